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
//! | [`trace`] | what happened, as a hash and as lines |
//! | [`run`] | all of it in one call |
//! | [`conform`] | recorded cases of what the router replaces, played against it |
//! | [`legacy`] | executable models of what it replaces, with their defects as switches |

mod actors;
pub mod checkers;
pub mod client;
pub mod conform;
pub mod dialect;
pub mod faults;
pub mod legacy;
mod network;
pub mod plan;
pub mod prng;
pub mod projection;
pub mod run;
pub mod scenario;
pub mod script;
pub mod trace;
pub mod world;

pub use run::{Replay, replay, report, simulate, simulate_with};
pub use world::{Options, RunResult, World, router_config};
