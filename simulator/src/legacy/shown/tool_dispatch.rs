//! Hazards of the tool dispatchers and the engine behind them.

use super::{Absent, Shown};
use crate::legacy::Hazard;

/// A scenario with premium tools, slots and deadlines; and a seed under which no user has four calls of one tool at once,
/// which would rightly be one too many.
const LIMITS: (&str, u64) = ("tool-limits", 3);

pub(super) const SHOWN: &[Shown] = &[
    Shown::new(Hazard::T1, "golden.incomplete"),
    Shown::new(Hazard::T2, "account.answer"),
    Shown::new(Hazard::T3, "account.answer"),
    Shown::new(Hazard::T4, "golden.incomplete"),
    Shown::new(Hazard::T5, "golden.incomplete"),
    Shown::new(Hazard::T6, "bounds.deadline").within(LIMITS.0).with_seed(LIMITS.1),
    Shown::new(Hazard::T7, "account.answer").with_seed(10),
    Shown::new(Hazard::T8, "account.tools"),
    Shown::new(Hazard::T9, "account.tools"),
    Shown::new(Hazard::T10, "account.tools"),
    Shown::new(Hazard::T11, "account.tools"),
    Shown::new(Hazard::T12, "account.tools"),
    Shown::new(Hazard::T13, "iso.I2"),
    Shown::new(Hazard::T14, "bounds.memory"),
    Shown::new(Hazard::T15, "golden.incomplete").within(LIMITS.0).with_seed(LIMITS.1),
    Shown::new(Hazard::T16, "golden.incomplete").within(LIMITS.0).with_seed(LIMITS.1),
    Shown::new(Hazard::T17, "account.permission"),
    Shown::new(Hazard::T18, "golden.incomplete"),
    Shown::new(Hazard::T19, "golden.incomplete"),
    Shown::new(Hazard::T21, "golden.incomplete"),
    Shown::new(Hazard::T23, "bounds.memory"),
    Shown::new(Hazard::T25, "run.R1"),
    Shown::new(Hazard::T26, "golden.incomplete"),
];

pub(super) const ABSENT: &[Absent] = &[
    Absent::new(Hazard::T20, "no client of a simulation is an administrator, and no frame can make it one"),
    Absent::new(
        Hazard::T22,
        "it costs time and log lines and changes no frame; what the hot path costs is measured by the gate",
    ),
    Absent::new(
        Hazard::T24,
        "each result of a simulated tool carries its user's mark, so none is empty or zero",
    ),
    Absent::new(Hazard::T27, "the double stood in tests only, never in a server"),
];
