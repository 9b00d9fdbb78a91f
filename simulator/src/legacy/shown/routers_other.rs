//! Hazards of the other routers, the broadcast paths and the connection manager.

use super::{Absent, Shown};

pub(super) const SHOWN: &[Shown] = &[];

pub(super) const ABSENT: &[Absent] = &[];
