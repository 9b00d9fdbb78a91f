//! The core from outside: golden path, isolation, recovery, bounds, drain, accounting.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at the effects it is about")]

mod accounting;
mod bounds;
#[expect(deprecated, reason = "the facades are what is tested")]
mod compat;
mod deliver;
mod emitter;
mod frames;
mod golden_path;
mod handlers;
mod harness;
mod laws;
mod quality;
mod queue;
mod queue_laws;
mod recovery;
mod routes;
mod tools;
