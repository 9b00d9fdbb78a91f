//! One seed of a sweep, played.

use std::borrow::Cow;

use reports::Finding;
use reports::sweep::SeedOutcome;
use router::ConfigError;

use super::Ingredient;
use crate::coverage::Coverage;
use crate::legacy::Played;
use crate::run;
use crate::scenario::Scenario;
use crate::world::{Options, RunResult};

/// What the seeds of a sweep play.
#[derive(Clone, Debug, PartialEq)]
pub enum Plays {
    /// Each its own scenario.
    Swarm {
        /// What is left out of all of them.
        without: Vec<Ingredient>,
    },
    /// All of them this one.
    Scenario(Box<Scenario>),
}

impl Plays {
    /// What a seed plays.
    pub fn scenario(&self, seed: u64) -> Cow<'_, Scenario> {
        match self {
            Plays::Swarm { without } => Cow::Owned(super::scenario_without(seed, without)),
            Plays::Scenario(scenario) => Cow::Borrowed(scenario),
        }
    }
}

/// Plays one seed, with every checker. `coverage` watches.
///
/// # Errors
/// The scenario's limits make no sense to the router.
pub fn play(
    plays: &Plays,
    seed: u64,
    played: &Played,
    coverage: &mut Coverage,
) -> Result<SeedOutcome, ConfigError> {
    let scenario = plays.scenario(seed).into_owned();
    let expect = scenario.expect.clone();
    let options = Options { coverage: Some(coverage), ..Options::default() };
    let mut result = run::play(scenario, seed, played, options)?;
    run::judge(&expect, &mut result);
    Ok(outcome(seed, &result))
}

fn outcome(seed: u64, result: &RunResult) -> SeedOutcome {
    let ledger = result.checkers.ledger();
    let counts = &ledger.counts;
    let first = |rule: &String| ledger.findings().iter().find(|finding| finding.rule == *rule).cloned();
    // What was only counted has a finding without words.
    let finding = |rule: &String| {
        first(rule).unwrap_or_else(|| Finding::new(rule.as_str(), "", result.ended_at_us, "counted only"))
    };
    SeedOutcome {
        seed,
        hash: u128::from_str_radix(&result.hash, 16).unwrap_or_default(),
        virtual_us: result.ended_at_us,
        active_us: result.left_at_us,
        inputs: result.inputs,
        received: counts.messages_in,
        delivered: counts.messages_out,
        users: counts.users,
        runs: counts.runs,
        findings: ledger.by_rule().keys().map(finding).collect(),
        by_rule: ledger.by_rule().clone(),
    }
}
