//! What happened, as a rolling hash that always runs and as a trace that is written on demand.
//!
//! The hash covers every input and every effect with their times and bytes; one seed, one commit and one scenario have
//! one hash. A trace is JSONL: a header that can repeat the run, one line per input with its effects, and a last line with
//! the run's hash. Each line is chained to the one before it, so that two things are told apart: the file is not as it was
//! written ([`Flaw`]), or this program does something else than the one that wrote it ([`FirstDifference`]).
//!
//! Everything here is text in memory; files and their compression are the caller's.

mod chain;
mod compare;
mod hash;
mod header;
mod line;
mod look;

pub use chain::{Chain, Chained, Damage, Flaw, FlawKind, NotOpened, Opened, Recorded};
pub use compare::{Compare, Difference, FirstDifference, Outcome, Place};
pub use hash::RunHash;
pub use header::{FORMAT, Header, HeaderError};
pub(crate) use line::line;
pub use look::{Form, Lens, Look};
#[cfg(test)]
mod tests;
