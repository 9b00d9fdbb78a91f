//! Whether a scenario shows what is looked for, and shows it for the right reason.

use reports::Report;
use router::ConfigError;

use super::ShrinkError;
use crate::legacy::{Hazards, Played};
use crate::plan::Plan;
use crate::run;
use crate::scenario::Scenario;
use crate::world::Options;

/// Virtual time that a world goes on beyond its plan at most, microseconds: recovery windows, heartbeats and deadlines are
/// long over by then.
const OVERTIME_US: u64 = 3_600_000_000;

/// A server that breaks a rule.
#[derive(Clone, Debug)]
pub struct Suspicion {
    played: Played,
    rule: String,
    controls: Vec<Played>,
}

impl Suspicion {
    /// That this server breaks the rule. An empty rule stands for the worst that is found first.
    pub fn new(played: Played, rule: impl Into<String>) -> Self {
        Self { played, rule: rule.into(), controls: Vec::new() }
    }

    /// The server.
    pub const fn played(&self) -> &Played {
        &self.played
    }

    /// The rule.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Finds the rule, if none was named, and the servers that find nothing in the scenario.
    pub(super) fn settle(&mut self, scenario: &Scenario, seed: u64) -> Result<(), ShrinkError> {
        let report = play(scenario, seed, &self.played)?;
        let Some(report) = report else { return Err(ShrinkError::NoSuchFinding(Vec::new())) };
        if self.rule.is_empty() {
            let breach = report.findings.iter().find(|finding| finding.is_isolation());
            let worst = breach.or_else(|| report.findings.first());
            self.rule = worst.map(|finding| finding.rule.clone()).unwrap_or_default();
        }
        if !report.findings_by_rule.contains_key(&self.rule) {
            return Err(ShrinkError::NoSuchFinding(report.findings_by_rule.into_keys().collect()));
        }
        self.controls.clear();
        for control in [Played::Router, Played::Legacy(Hazards::NONE)] {
            if control != self.played && is_quiet(scenario, seed, &control)? {
                self.controls.push(control);
            }
        }
        Ok(())
    }

    /// What the server showed, if it breaks the rule and the controls break none.
    pub(super) fn confirmed(&self, scenario: &Scenario) -> Result<Option<Report>, ConfigError> {
        let report = play(scenario, scenario.seed, &self.played)?;
        let breaks = |report: &Report| report.findings_by_rule.contains_key(&self.rule);
        let Some(report) = report.filter(breaks) else { return Ok(None) };
        for control in &self.controls {
            if !is_quiet(scenario, scenario.seed, control)? {
                return Ok(None);
            }
        }
        Ok(Some(report))
    }
}

fn is_quiet(scenario: &Scenario, seed: u64, played: &Played) -> Result<bool, ConfigError> {
    Ok(play(scenario, seed, played)?.is_some_and(|report| report.findings_total == 0))
}

/// Plays a scenario, but not for ever: what breaks a server can keep its world from ending. Nothing then.
fn play(scenario: &Scenario, seed: u64, played: &Played) -> Result<Option<Report>, ConfigError> {
    let planned_us = Plan::new(scenario.clone(), seed).summary().ends_at_us;
    let until_us = Some(planned_us + 2 * OVERTIME_US);
    let options = Options { until_us, ..Options::default() };
    let mut result = run::play(scenario.clone(), seed, played, options)?;
    let ended = result.ended_at_us <= planned_us + OVERTIME_US;
    Ok(ended.then(|| run::report(scenario, seed, &mut result)))
}
