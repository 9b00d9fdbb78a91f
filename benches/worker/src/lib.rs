//! What the performance gate measures, as a program of its own that is built from either side's sources.
//!
//! The gate (`benches::gate`) builds this package twice, from the base and from the head, runs the two in turns, and
//! compares. So this package depends on nothing but the router and the simulator: it links in a fraction of a second, and
//! nothing else can change what it measures.
//!
//! # Map
//! | module | what it knows |
//! |---|---|
//! | [`bodies`] | the benchmarks: what is prepared, what is timed, what is put back |
//! | [`slot`] | runs a number of units and times them |
//! | [`protocol`] | how a worker is asked and how it answers |
//! | [`program`] | its command line |
//! | [`exact`] | what needs no clock: hops, effects, copied bytes, allocations, virtual time |
//! | [`workloads`] | what figures and criterion targets measure |
//!
//! Two programs: `gate-worker` is timed; `gate-exact` counts allocations, which would slow the other one down. A third one
//! beside this package, `gate-loopback`, adds a server and its clients: a longer build, and nothing here waits for it.
#![forbid(unsafe_code)]

pub mod bodies;
pub mod exact;
mod fnv;
pub mod program;
pub mod protocol;
pub mod slot;
pub mod workloads;
