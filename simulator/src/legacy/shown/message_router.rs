//! Hazards of the primary message router and its endpoint.

use super::{Absent, Shown};

pub(super) const SHOWN: &[Shown] = &[];

pub(super) const ABSENT: &[Absent] = &[];
