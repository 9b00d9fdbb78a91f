//! What happened, as a rolling hash that always runs and as a trace that is written on demand.
//!
//! The hash covers every input and every effect with their times and bytes; one seed, one commit and one
//! scenario have one hash. A trace is JSONL: a header that can repeat the run, then one line per input with its
//! effects and the hash so far, so that a change of any line shows at that line.

mod compare;
mod hash;
mod line;

pub use compare::{Compare, Difference, FirstDifference};
pub use hash::RunHash;
pub(crate) use line::line;
pub use line::{FORMAT, Header, HeaderError};
