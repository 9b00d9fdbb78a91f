//! Everything that measures the wall clock: the load client, the figures of performance, criterion targets.
//!
//! # Map
//! | module | what it knows |
//! |---|---|
//! | [`load`] | plays a scenario's plan over real sockets and judges what arrives with the simulator's checkers |
//! | [`gate`] | two revisions measured in turns, and what follows from it |
//! | [`workloads`] | what figures and criterion targets measure; it lives with the gate's worker |
//! | [`figures`] | ratios that do not depend on the machine, each against its goal |
#![forbid(unsafe_code)]

pub mod figures;
pub mod gate;
pub mod load;

pub use gate_worker::workloads;
