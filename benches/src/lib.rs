//! Everything that measures the wall clock: the load client, the figures of performance, criterion targets.
//!
//! # Map
//! | module | what it knows |
//! |---|---|
//! | [`load`] | plays a scenario's plan over real sockets and judges what arrives with the simulator's checkers |
//! | [`workloads`] | what is measured, built once for criterion targets, figures and gate |
//! | [`figures`] | ratios that do not depend on the machine, each against its goal |
#![forbid(unsafe_code)]

pub mod figures;
pub mod load;
pub mod workloads;
