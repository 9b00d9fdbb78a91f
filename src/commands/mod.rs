//! One file per command: typed options in, a verdict or a failure out.

pub(crate) mod completions;
pub(crate) mod conform;
pub(crate) mod drill;
pub(crate) mod explore;
pub(crate) mod figures;
pub(crate) mod gate;
pub(crate) mod hazards;
pub(crate) mod load;
pub(crate) mod migrate;
mod nodes;
pub(crate) mod queue;
pub(crate) mod release;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod scenario;
pub(crate) mod serve;
pub(crate) mod shrink;
pub(crate) mod sim;
mod sweep;
