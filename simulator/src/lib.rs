//! Deterministic multi-user simulator: scenarios, plans, and a virtual-time world around the real router
//! core. Touches a seed, nothing else.
//!
//! | module | what it knows |
//! |---|---|
//! | [`scenario`], [`plan`], [`script`] | what is to happen: users, their actions, their agents |
//! | [`world`] | how it happens: router, users, agents and network in virtual time |
//! | [`faults`] | what goes wrong in it, and how clients bear that |
//! | [`dialect`], [`client`] | how a client speaks and what it remembers; the load test's too |
//! | [`checkers`], [`projection`] | what must hold, from what clients see; the load test's too |
//! | [`shrink`] | how to make what broke a rule small enough to read |
//! | [`service`] | what passes through the node, and how long that takes |
//! | [`store`] | the store that several nodes share, as a model |
//! | [`trace`] | what happened, as a hash and as lines |
//! | [`swarm`], [`coverage`] | a scenario for each seed; what many seeds came across |
//! | [`explore`] | all interleavings of a small world, instead of those that a seed draws |
//! | [`run`] | all of it in one call |
//! | [`conform`] | recorded cases of what the router replaces, played against it |
//! | [`legacy`] | executable models of what it replaces, with their defects as switches |
//! | [`teeth`] | that each known defect is named by a checker |

mod actors;
pub mod checkers;
pub mod client;
pub mod cluster;
pub mod conform;
pub mod coverage;
pub mod dialect;
pub mod explore;
pub mod faults;
mod few;
pub mod legacy;
mod network;
pub mod plan;
pub mod prng;
pub mod projection;
pub mod run;
pub mod scenario;
pub mod script;
mod sequence;
pub mod service;
pub mod shrink;
pub mod store;
pub mod swarm;
pub mod teeth;
pub mod trace;
pub mod world;

pub use run::{Replay, replay, report, simulate, simulate_with};
pub use world::{Options, RunResult, World, router_config};
