//! The plans' own tests, by their own names: `cargo test --test suites NAME`. What each asserts, and which legacy test it
//! stands for, is the table in `docs/suites.md`.
//!
//! They drive the real router, the real server over sockets, or the simulator, which drives the real router; or they ask
//! the source tree. Shares of success are 100 % everywhere. Nothing here measures time: a demand on time is met in virtual
//! time here, and on the wall clock by the benchmarks and the gate, which the table names.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at the effects it is about")]

mod callers;
mod fragmentation;
mod mission_critical;
mod planned;
mod queues;
mod simulated;
#[path = "../../router/server/tests/server/harness.rs"]
#[expect(dead_code, reason = "the server's own tests use the rest")]
mod sockets;
mod strategic;
mod structure;
mod table;
#[path = "../tree/mod.rs"]
mod tree;
#[path = "../../router/tests/core/harness.rs"]
mod world;
