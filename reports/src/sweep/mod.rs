//! What a sweep over many seeds saw: sums, the rules that were broken, the conditions that were met.
//!
//! Every part of a [`Sweep`] is a sum, a union or a choice by a total order over virtual measures. So it does not matter
//! in which order seeds are added, by how many threads, or on how many machines: parts that are joined by [`merge()`] are the sweep
//! that was never divided. Only [`Sweep::measured`] is of the machine, and nothing compares it.

mod condition;
mod merge;
mod outcome;
mod seeds;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use self::tables::{conditions, tables};
pub use self::{
    condition::{Condition, Triple, Triples},
    merge::{MergeRefusal, merge},
    outcome::{Failing, SeedHash, SeedOutcome, Totals},
    seeds::SeedRange,
};
use crate::{Case, Fact, Finding, Kind, Outcome, Report, ScenarioRef, Tool, Unit, Verdict};

/// The group under which conditions are listed as checks.
pub const CONDITIONS: &str = "sometimes";

/// What a sweep over many seeds saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// How the command line names what the seeds were played on, such as `--swarm`.
    pub source: String,
    /// What it adds to name who played, such as ` --subject legacy`; empty for the router.
    pub arguments: String,
    /// Seeds that were asked for: disjoint, ascending, not adjacent.
    pub asked: Vec<SeedRange>,
    /// Seeds that were played, in the same form.
    pub played: Vec<SeedRange>,
    /// Why it ended before all that were asked for were played; each reason once, in their order.
    #[serde(default)]
    pub stopped: Vec<String>,
    /// Failing seeds kept of each rule.
    pub keep: u32,
    /// From how many seeds on every condition must have been met; `None`: never.
    #[serde(default)]
    pub demand_from: Option<u64>,
    /// Sums over all seeds.
    pub totals: Totals,
    /// Broken rules.
    pub rules: BTreeMap<String, Broken>,
    /// Named conditions, met or not, in the order of their declaration.
    pub conditions: Vec<Condition>,
    /// What a run was at, what came, and what was wrong meanwhile.
    pub triples: Triples,
    /// What the machine spent. Not deterministic, and no part of any comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// What became of one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// Seeds in which it was broken.
    pub seeds: u64,
    /// How often.
    pub findings: u64,
    /// The seeds that show it with the least, at most [`Sweep::keep`]: fewest inputs, then shortest, then lowest seed.
    pub fastest: Vec<Failing>,
}

/// What a sweep took on its machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Time on processors, over all threads, microseconds.
    pub cpu_us: u64,
    /// Time by the clock, microseconds; of parts that were merged, the longest.
    pub wall_us: u64,
    /// Threads; of parts that were merged, their sum.
    pub jobs: u32,
}

impl Sweep {
    /// A sweep in which nothing has been played.
    pub fn new(source: impl Into<String>, arguments: impl Into<String>, asked: SeedRange, keep: u32) -> Self {
        Self {
            source: source.into(),
            arguments: arguments.into(),
            asked: seeds::union(&[asked]),
            played: Vec::new(),
            stopped: Vec::new(),
            keep,
            demand_from: None,
            totals: Totals::default(),
            rules: BTreeMap::new(),
            conditions: Vec::new(),
            triples: Triples::default(),
            measured: None,
        }
    }

    /// Adds what one seed was. Which seeds were played is said by [`played`](Self::played), which the caller sets.
    pub fn add(&mut self, seed: &SeedOutcome) {
        self.totals.add(&seed.totals());
        for (rule, &findings) in &seed.by_rule {
            let first = seed.findings.iter().find(|finding| finding.rule == *rule);
            let broken = self.rules.entry(rule.clone()).or_default();
            broken.seeds += 1;
            broken.findings += findings;
            broken.keep(first.map(|finding| seed.failing(finding)), self.keep);
        }
    }

    /// Adds what another sweep of the same kind saw, but not which seeds: see [`merge()`].
    pub fn absorb(&mut self, other: &Sweep) {
        self.totals.add(&other.totals);
        for (rule, part) in &other.rules {
            let broken = self.rules.entry(rule.clone()).or_default();
            broken.seeds += part.seeds;
            broken.findings += part.findings;
            broken.keep(part.fastest.iter().cloned(), self.keep);
        }
        condition::join(&mut self.conditions, &other.conditions);
        self.triples.join(&other.triples);
        self.measured = match (self.measured, other.measured) {
            (Some(one), Some(other)) => Some(Measured {
                cpu_us: one.cpu_us + other.cpu_us,
                wall_us: one.wall_us.max(other.wall_us),
                jobs: one.jobs + other.jobs,
            }),
            (one, other) => one.or(other),
        };
    }

    /// The conditions that were never met.
    pub fn unmet(&self) -> impl Iterator<Item = &Condition> {
        self.conditions.iter().filter(|condition| condition.seeds == 0)
    }

    /// Whether every condition must have been met.
    pub fn demands(&self) -> bool {
        self.demand_from.is_some_and(|from| self.totals.seeds >= from)
    }

    /// The command that plays one of its seeds.
    pub fn replay_of(&self, seed: u64) -> String {
        format!("goldenpath sim {} --seed {seed}{}", self.source, self.arguments)
    }
}

impl Broken {
    fn keep(&mut self, more: impl IntoIterator<Item = Failing>, most: u32) {
        self.fastest.extend(more);
        self.fastest.sort_by_key(Failing::rank);
        self.fastest.truncate(most as usize);
    }
}

/// The report of a sweep. `scenario` is the profile that its seeds were drawn from, or the one scenario that all of them
/// played.
pub fn report(tool: Tool, scenario: ScenarioRef, sweep: Sweep) -> Report {
    let mut report = Report::new(tool, Kind::Sweep);
    report.hash = Some(sweep.totals.hash.to_string());
    report.facts = facts(&sweep);
    report.findings_total = sweep.rules.values().map(|broken| broken.findings).sum();
    for (rule, broken) in &sweep.rules {
        report.findings_by_rule.insert(rule.clone(), broken.findings);
        report.verdict = report.verdict.worst(Finding::new(rule.as_str(), "", 0, "").verdict());
        let seeds = if broken.seeds == 1 { "seed" } else { "seeds" };
        report.reasons.push(format!("{rule} broken in {} {seeds}", broken.seeds));
        for failing in &broken.fastest {
            let mut finding = failing.finding.clone();
            let again = sweep.replay_of(failing.seed);
            finding.detail = format!("{}; again: {again}", finding.detail);
            report.findings.push(finding);
        }
    }
    report.findings.sort_by_key(|finding| !finding.is_isolation());
    report.findings.truncate(crate::FINDINGS_MAX);
    report.cases = cases(&sweep);
    let unmet: Vec<&str> = sweep.unmet().map(|condition| condition.name.as_str()).collect();
    if sweep.demands() && !unmet.is_empty() {
        let why = format!("never met in {} seeds: {}", sweep.totals.seeds, unmet.join(", "));
        report.judge(Verdict::Unreached, why);
    }
    if sweep.totals.seeds == 0 {
        report.judge(Verdict::Inconclusive, "no seed was played");
    }
    report.reasons.extend(sweep.stopped.iter().cloned());
    let asked: Vec<String> = sweep.asked.iter().map(ToString::to_string).collect();
    report.replay =
        Some(format!("goldenpath sim {} --seeds {}{}", sweep.source, asked.join(","), sweep.arguments));
    report.scenario = Some(scenario);
    report.sweep = Some(Box::new(sweep));
    report
}

fn facts(sweep: &Sweep) -> Vec<Fact> {
    let Totals { seeds, virtual_us, active_us, inputs, received, delivered, users, runs, .. } = sweep.totals;
    let ranges = |ranges: &[SeedRange]| {
        let shown: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
    };
    let span = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
    let met = sweep.conditions.len() - sweep.unmet().count();
    vec![
        Fact::text("played", "seeds played, the end not included", ranges(&sweep.played)),
        Fact::count("seeds", "seeds", seeds),
        Fact::count("failing_rules", "rules broken", sweep.rules.len() as u64),
        Fact::count("users", "users", users),
        Fact::count("runs", "runs", runs),
        Fact::count("inputs", "inputs of the router", inputs),
        Fact::count("messages_in", "messages to the router", received),
        Fact::count("messages_out", "frames delivered", delivered),
        Fact::int("virtual_time", "virtual time", span(virtual_us), Unit::Microseconds),
        Fact::int("active_time", "of that, with users in session", span(active_us), Unit::Microseconds),
        Fact::count("conditions", "conditions met", met as u64),
        Fact::count("conditions_named", "conditions named", sweep.conditions.len() as u64),
        Fact::count("triples", "run state × event × fault met", sweep.triples.met.len() as u64),
        Fact::count("triples_possible", "run state × event × fault possible", sweep.triples.possible),
    ]
}

/// A condition that was not met fails only if it was demanded.
fn cases(sweep: &Sweep) -> Vec<Case> {
    let case = |condition: &Condition| match condition.first_seed {
        Some(seed) => {
            let detail = format!("in {} seeds, first in seed {seed}", condition.seeds);
            Case::new(CONDITIONS, condition.name.as_str(), Outcome::Passed, detail)
        }
        None if sweep.demands() => {
            Case::failed(CONDITIONS, condition.name.as_str(), format!("never: {}", condition.about))
        }
        None => Case::skipped(
            CONDITIONS,
            condition.name.as_str(),
            format!("not demanded, and never: {}", condition.about),
        ),
    };
    let broken = |(rule, broken): (&String, &Broken)| {
        let lines: Vec<String> = broken.fastest.iter().map(|failing| failing.finding.to_string()).collect();
        Case::failed("rules", rule.as_str(), lines.join("\n"))
    };
    sweep.rules.iter().map(broken).chain(sweep.conditions.iter().map(case)).collect()
}
