//! What goes wrong in a world, and how its clients bear it.
//!
//! | module | what it knows |
//! |---|---|
//! | `chain` | the rules about frames: a verdict for each |
//! | `timetable` | when what befalls clients and the node is to happen |
//! | `clock` | what the node's clock shows |
//! | `care` | what a client minds that must reckon with all this |
//! | `liveness` | how long it may take until everything is quiet again |
//! | `tally` | how often each kind happened |
//!
//! A scenario without faults has none of it, not even a draw.
//!
//! **Phases.** While rules last, what must never happen is judged. When the last one is over, nothing goes wrong any
//! more; what users had in mind is done to its end, and from then on, within [`budget_us`], everything must come to rest.

mod care;
mod chain;
mod clock;
mod liveness;
mod tally;
mod timetable;

pub use liveness::budget_us;
pub use tally::FaultCounts;

pub(crate) use care::{Care, Step};
pub(crate) use chain::{Cargo, Chain, Fate, LinkFaults, begins_us, garble};
pub(crate) use clock::NodeClock;
pub(crate) use timetable::{Deed, Due, strikes, timetable};
