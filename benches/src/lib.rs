//! Everything that measures the wall clock: the load client, the figures of performance, criterion targets.
//!
//! # Map
//! | module | what it knows |
//! |---|---|
//! | [`load`] | plays a scenario's plan over real sockets and judges what arrives with the simulator's checkers |
//! | [`drill`] | two nodes and a Redis under load, of which one breaks |
//! | [`gate`] | two revisions measured in turns, and what follows from it |
//! | [`stage`] | processes and wires for trials with real ones |
//! | [`workloads`] | what figures and criterion targets measure; it lives with the gate's worker |
//! | [`figures`] | ratios that do not depend on the machine, each against its goal |
#![forbid(unsafe_code)]

pub mod drill;
pub mod figures;
pub mod gate;
pub mod load;
pub mod stage;

pub use gate_worker::workloads;
