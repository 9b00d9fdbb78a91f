//! Hazards of the catalogue `routers_other`.

use super::{Absent, Shown};

pub(super) const SHOWN: &[Shown] = &[];

pub(super) const ABSENT: &[Absent] = &[];
