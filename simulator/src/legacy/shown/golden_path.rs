//! Hazards of the catalogue `golden_path`.

use super::{Absent, Shown};

pub(super) const SHOWN: &[Shown] = &[];

pub(super) const ABSENT: &[Absent] = &[];
