//! The core from outside: golden path, isolation, recovery, bounds, drain, accounting.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at the effects it is about")]

mod accounting;
mod bounds;
#[expect(deprecated, reason = "the facades are what is tested")]
mod compat;
mod connections;
mod deliver;
mod emitter;
mod fingerprint;
mod frames;
mod golden_path;
mod handlers;
mod harness;
mod laws;
mod nodes;
mod quality;
mod questions;
mod queue;
mod queue_fairness;
mod queue_laws;
mod recovery;
mod routes;
mod tools;
mod waiting;

/// Planted defects are for tests of tests. What everybody builds has neither the switch nor a word of it.
#[cfg(not(feature = "mutants"))]
#[test]
fn a_default_build_has_no_planted_defects() {
    let limits = format!("{:?}", router::Config::default());
    assert!(!limits.contains("mutant"), "{limits}");
}
