//! Hazards of the primary message router and its endpoint.

use super::{Absent, Shown};
use crate::legacy::Hazard;

pub(super) const SHOWN: &[Shown] = &[
    Shown::new(Hazard::H1, "golden.incomplete"),
    Shown::new(Hazard::H2, "wire.internals"),
    Shown::new(Hazard::H3, "iso.I1"),
    Shown::new(Hazard::H4, "bounds.memory"),
    Shown::new(Hazard::H5, "golden.incomplete"),
    Shown::new(Hazard::H6, "golden.incomplete"),
    Shown::new(Hazard::H7, "golden.closed"),
    Shown::new(Hazard::H8, "golden.answer"),
    Shown::new(Hazard::H12, "golden.answer"),
    Shown::new(Hazard::H13, "wire.echo"),
    Shown::new(Hazard::H14, "wire.internals"),
    Shown::new(Hazard::H18, "golden.late"),
    Shown::new(Hazard::H21, "iso.I1"),
    Shown::new(Hazard::H22, "iso.I4"),
    Shown::new(Hazard::H25, "iso.figures"),
    Shown::new(Hazard::H28, "golden.closed"),
];

pub(super) const ABSENT: &[Absent] = &[
    Absent::new(Hazard::H9, "every type that the clients here send has a handler"),
    Absent::new(Hazard::H10, "the clients here send nothing for others"),
    Absent::new(Hazard::H11, "the clients here report no errors and send nothing for others"),
    Absent::new(
        Hazard::H15,
        "a frame is read once and handed to one handler, so nobody sees the caller's object again",
    ),
    Absent::new(Hazard::H16, "a socket of a world is open until the server is told otherwise"),
    Absent::new(Hazard::H17, "a socket of a world is open until the server is told otherwise"),
    Absent::new(Hazard::H19, "a send of a world does not fail half way"),
    Absent::new(Hazard::H20, "no frame arrives at the very microsecond of a timeout"),
    Absent::new(Hazard::H23, "the clients here speak no JSON-RPC"),
    Absent::new(Hazard::H24, "no client sees figures by handler"),
    Absent::new(Hazard::H26, "no client asks whether the server is ready"),
    Absent::new(Hazard::H27, "only a host removes handlers"),
    Absent::new(Hazard::H29, "no client sends back what it was sent"),
    Absent::new(Hazard::H30, "a test double is no client"),
];
