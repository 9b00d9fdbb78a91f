//! Hazards of the emitter, the bridge, and the way of a run's events.

use super::{Absent, Shown};
use crate::legacy::Hazard;

pub(super) const SHOWN: &[Shown] = &[
    Shown::new(Hazard::G0, "golden.incomplete"),
    Shown::new(Hazard::G1, "golden.incomplete"),
    Shown::new(Hazard::G2, "iso.I1"),
    Shown::new(Hazard::G3, "golden.incomplete"),
    Shown::new(Hazard::G4, "golden.incomplete"),
    Shown::new(Hazard::G5, "iso.I2"),
    Shown::new(Hazard::G6, "golden.incomplete"),
    Shown::new(Hazard::G7, "run.R5"),
    Shown::new(Hazard::G8, "wire.type"),
    Shown::new(Hazard::G9, "golden.value"),
    Shown::new(Hazard::G10, "deliver.I4"),
    Shown::new(Hazard::G11, "deliver.I4"),
    Shown::new(Hazard::G12, "deliver.I4"),
    Shown::new(Hazard::G13, "iso.I2"),
    Shown::new(Hazard::G14, "golden.incomplete"),
    Shown::new(Hazard::G15, "bounds.memory"),
    Shown::new(Hazard::G16, "golden.late"),
    Shown::new(Hazard::G17, "golden.closed"),
    Shown::new(Hazard::G18, "golden.terminal"),
    Shown::new(Hazard::G19, "golden.closed"),
    Shown::new(Hazard::G20, "iso.I1"),
    Shown::new(Hazard::G21, "iso.I1"),
    Shown::new(Hazard::G22, "golden.unasked"),
    Shown::new(Hazard::G23, "account.confirmed"),
    Shown::new(Hazard::G24, "deliver.I4"),
    Shown::new(Hazard::G25, "iso.I1"),
    Shown::new(Hazard::G26, "iso.I2"),
    Shown::new(Hazard::G27, "golden.terminal"),
    Shown::new(Hazard::G28, "run.R2"),
    Shown::new(Hazard::G31, "deliver.I4"),
    Shown::new(Hazard::G32, "golden.setup"),
];

pub(super) const ABSENT: &[Absent] = &[
    Absent::new(Hazard::G29, "nothing hands the validator a missing user: a user is a type of its own here"),
    Absent::new(
        Hazard::G30,
        "it costs time and changes no frame; what the hot path costs is measured by the gate",
    ),
];
