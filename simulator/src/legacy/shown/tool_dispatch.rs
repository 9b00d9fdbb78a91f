//! Hazards of the tool dispatchers and the engine behind them.

use super::{Absent, Shown};

pub(super) const SHOWN: &[Shown] = &[];

pub(super) const ABSENT: &[Absent] = &[];
