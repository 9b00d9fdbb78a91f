//! Hazards of the other routers, the broadcast paths and the connection manager.

use super::{Absent, Shown};
use crate::legacy::Hazard;

pub(super) const SHOWN: &[Shown] = &[
    Shown::new(Hazard::C3, "iso.I3"),
    Shown::new(Hazard::Q1, "iso.I1").with_seed(4),
    Shown::new(Hazard::Q3, "account.news").with_seed(9),
    Shown::new(Hazard::Q4, "golden.answer"),
    Shown::new(Hazard::Q5, "golden.closed"),
    Shown::new(Hazard::Q8, "bounds.memory"),
    Shown::new(Hazard::Q10, "account.news"),
    Shown::new(Hazard::E1, "deliver.I3"),
    Shown::new(Hazard::E2, "golden.incomplete"),
    Shown::new(Hazard::E5, "iso.I1"),
    Shown::new(Hazard::E6, "iso.I1"),
    Shown::new(Hazard::E7, "iso.I1"),
    Shown::new(Hazard::E8, "golden.incomplete"),
    Shown::new(Hazard::E9, "golden.incomplete"),
    Shown::new(Hazard::E10, "account.D16"),
    Shown::new(Hazard::S1, "golden.incomplete"),
    Shown::new(Hazard::S2, "golden.incomplete"),
    Shown::new(Hazard::S3, "golden.incomplete"),
    Shown::new(Hazard::S4, "golden.incomplete"),
    Shown::new(Hazard::S5, "golden.incomplete"),
    Shown::new(Hazard::S7, "deliver.I6").within("slow-reader"),
    Shown::new(Hazard::B1, "account.D16"),
    Shown::new(Hazard::B2, "account.D16").within("slow-reader"),
    Shown::new(Hazard::B3, "account.D16").within("slow-reader"),
    Shown::new(Hazard::B6, "golden.incomplete"),
    Shown::new(Hazard::M1, "golden.incomplete"),
    Shown::new(Hazard::M2, "iso.I1"),
    Shown::new(Hazard::M3, "deliver.I4").within("reconnect"),
    Shown::new(Hazard::M4, "deliver.I4"),
    Shown::new(Hazard::M5, "deliver.I4").within("reconnect"),
    Shown::new(Hazard::M6, "deliver.I6").within("slow-reader"),
    Shown::new(Hazard::M7, "iso.I1"),
    Shown::new(Hazard::M8, "bounds.memory"),
    Shown::new(Hazard::M10, "golden.incomplete"),
    Shown::new(Hazard::M11, "iso.I1"),
];

pub(super) const ABSENT: &[Absent] = &[
    Absent::new(Hazard::C1, "only a host installs middleware"),
    Absent::new(Hazard::C2, "only a host registers handlers"),
    Absent::new(Hazard::Q2, "a frame is read once, so nobody sees the caller's message again"),
    Absent::new(Hazard::Q7, "the clients here ask for no strict verdict"),
    Absent::new(Hazard::Q9, "the questions of the clients here are well formed"),
    Absent::new(Hazard::E3, "no session of a simulation is silent for a day"),
    Absent::new(
        Hazard::E4,
        "a connection that is gone is reported to the server, and leaves the pool with that",
    ),
    Absent::new(Hazard::S6, "the sweep ends in an error that nobody sees, and is begun again"),
    Absent::new(Hazard::B4, "no event of the scripted agents names a sender"),
    Absent::new(Hazard::B5, "nobody reads the statistics"),
    Absent::new(Hazard::M9, "what differs is one attempt on a socket that is gone anyway"),
];
