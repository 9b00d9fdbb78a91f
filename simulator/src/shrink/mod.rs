//! Makes what breaks a rule small enough to read.
//!
//! A scenario that breaks a rule under a seed is written out row by row, and then loses whatever the finding does not
//! need: users, then tabs, messages, steps of runs, faults, settings, and in the end odd values. Each candidate is a
//! whole scenario that holds to what a plan promises, so that a finding is the server's doing. A candidate is taken if
//! it is smaller, **breaks the same rule**, and leaves the **controls** quiet: servers without the defect, which found
//! nothing in the scenario to begin with. The passes repeat until none of them takes anything more.
//!
//! Nothing here is drawn and nothing reads a clock: the same scenario, seed, server and rule give the same result. Who
//! calls may end it early, and has then the smallest one so far.

mod candidate;
mod ddmin;
mod passes;
mod size;
mod suspicion;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeSet;
use std::fmt;

use reports::Report;
use router::ConfigError;

use crate::plan::Plan;
use crate::scenario::{Scenario, rules};

pub use size::Size;
pub use suspicion::Suspicion;

/// Most runs of one shrinking.
pub const RUNS_MAX: u64 = 5_000;

/// How far a shrinking has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The pass at work.
    pub pass: &'static str,
    /// Candidates that were played.
    pub runs: u64,
    /// The smallest scenario so far.
    pub size: Size,
}

/// A scenario that was made small.
#[derive(Debug)]
pub struct Shrunk {
    /// It; its `seed` is the one to play it with.
    pub scenario: Scenario,
    /// The rule that it breaks.
    pub rule: String,
    /// What it was, and what it is.
    pub sizes: (Size, Size),
    /// Candidates that were played.
    pub runs: u64,
    /// Whether nothing more can be taken away; otherwise it was ended early.
    pub finished: bool,
    /// Of the server under suspicion, playing it.
    pub report: Report,
}

/// Why nothing was made small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShrinkError {
    /// The scenario does not break the rule; the rules that it breaks.
    NoSuchFinding(Vec<String>),
    /// Written out row by row it breaks a promise of the plan, or does not break the rule any more; why.
    NotTheSame(String),
    /// The scenario's limits make no sense to the router.
    Limits(String),
}

impl fmt::Display for ShrinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchFinding(rules) if rules.is_empty() => f.write_str("no rule is broken"),
            Self::NoSuchFinding(rules) => write!(f, "that rule is not broken, but {}", rules.join(", ")),
            Self::NotTheSame(why) => write!(f, "the plan cannot be written out: {why}"),
            Self::Limits(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ShrinkError {}

impl From<ConfigError> for ShrinkError {
    fn from(error: ConfigError) -> Self {
        Self::Limits(error.to_string())
    }
}

/// Makes a scenario small that breaks the rule of a suspicion. `told` hears of every candidate that was played, and ends
/// it by answering false.
///
/// # Errors
/// The scenario does not break the rule, or not when its plan is written out.
pub fn shrink(
    scenario: &Scenario,
    seed: u64,
    mut suspicion: Suspicion,
    runs_max: u64,
    told: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Shrunk, ShrinkError> {
    suspicion.settle(scenario, seed)?;
    let acts = Plan::new(scenario.clone(), seed).acts();
    let start = Scenario { acts, seed, ..scenario.clone() };
    if let Some(broken) = rules::first_broken(&start) {
        return Err(ShrinkError::NotTheSame(format!("{}: {}, {}", broken.key, broken.message, broken.help)));
    }
    let Some(report) = suspicion.confirmed(&start)? else {
        return Err(ShrinkError::NotTheSame("it does not break the rule".to_owned()));
    };
    let size = Size::of(&start);
    let mut shrinker = Shrinker {
        best: start,
        report,
        size,
        suspicion,
        seen: BTreeSet::new(),
        runs: 0,
        runs_max,
        pass: "users",
        told,
        ended: false,
    };
    loop {
        let before = shrinker.size;
        passes::all(&mut shrinker);
        values::all(&mut shrinker);
        if shrinker.size == before || shrinker.ended {
            break;
        }
    }
    let Shrinker { best, report, size: small, suspicion, runs, ended, .. } = shrinker;
    let rule = suspicion.rule().to_owned();
    Ok(Shrunk { scenario: best, rule, sizes: (size, small), runs, finished: !ended, report })
}

/// A shrinking at work.
struct Shrinker<'a> {
    /// The smallest scenario that breaks the rule.
    best: Scenario,
    /// What it showed.
    report: Report,
    size: Size,
    suspicion: Suspicion,
    /// Hashes of the candidates that were tried.
    seen: BTreeSet<String>,
    runs: u64,
    runs_max: u64,
    pass: &'static str,
    told: &'a mut dyn FnMut(&Progress) -> bool,
    ended: bool,
}

impl Shrinker<'_> {
    /// Takes a candidate if it is smaller and still breaks the rule.
    fn attempt(&mut self, candidate: Scenario) -> bool {
        if self.ended || candidate.acts.is_empty() {
            return false;
        }
        let size = Size::of(&candidate);
        if size >= self.size || rules::first_broken(&candidate).is_some() {
            return false;
        }
        if !self.seen.insert(candidate.hash()) {
            return false;
        }
        self.runs += 1;
        let taken = match self.suspicion.confirmed(&candidate) {
            Ok(Some(report)) => {
                (self.best, self.report, self.size) = (candidate, report, size);
                true
            }
            Ok(None) | Err(_) => false,
        };
        let progress = Progress { pass: self.pass, runs: self.runs, size: self.size };
        self.ended |= !(self.told)(&progress) || self.runs >= self.runs_max;
        taken
    }
}
