//! Whether a scenario shows what is looked for, and shows it for the right reason.

use reports::Report;
use router::ConfigError;

use super::ShrinkError;
use crate::legacy::{Hazards, Played};
use crate::run::simulate_with;
use crate::scenario::Scenario;
use crate::world::Options;

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
            if control != self.played && play(scenario, seed, &control)?.findings_total == 0 {
                self.controls.push(control);
            }
        }
        Ok(())
    }

    /// What the server showed, if it breaks the rule and the controls break none.
    pub(super) fn confirmed(&self, scenario: &Scenario) -> Result<Option<Report>, ConfigError> {
        let report = play(scenario, scenario.seed, &self.played)?;
        if !report.findings_by_rule.contains_key(&self.rule) {
            return Ok(None);
        }
        for control in &self.controls {
            if play(scenario, scenario.seed, control)?.findings_total > 0 {
                return Ok(None);
            }
        }
        Ok(Some(report))
    }
}

fn play(scenario: &Scenario, seed: u64, played: &Played) -> Result<Report, ConfigError> {
    simulate_with(scenario, seed, played, Options::default())
}
