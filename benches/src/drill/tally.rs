//! What became of a round, and of all of them.

use std::{fmt, time::Duration};

use reports::{Case, Domain, Fact, Finding, Kind, Outcome, Report, ScenarioRef, Tool, Unit, Verdict};

use super::{ACCEPTED_MIN, DrillOptions, Fault, OPEN_MIN};
use crate::load::host;

/// What became of a round.
#[derive(Clone, Debug)]
pub struct Tally {
    /// What broke.
    pub fault: Fault,
    /// Which round of that fault, from 1.
    pub number: u32,
    /// Messages accepted when the fault struck.
    pub accepted_then: usize,
    /// Those of them whose run was open.
    pub open_then: usize,
    /// From the strike until everything was there again.
    pub healed: Duration,
    /// From the strike until everything that was open then had ended; `None` if it never did.
    pub recovered: Option<Duration>,
    /// Messages accepted in all.
    pub accepted: usize,
    /// Those of them that never ended.
    pub lost: usize,
    /// Messages that nobody took in, however often they were sent.
    pub unsettled: usize,
    /// Frames that the cursor rule dropped.
    pub repeats: u64,
    /// Runs that ended because their node was gone.
    pub node_lost: usize,
    /// Connections that ended before their time.
    pub connections_lost: u64,
    /// Frames received.
    pub frames: u64,
    /// What does not hold: rule and detail.
    pub breaches: Vec<(&'static str, String)>,
    /// How long the round took.
    pub at: Duration,
}

impl Tally {
    /// Whether there was enough to break.
    pub const fn counts(&self) -> bool {
        self.accepted_then >= ACCEPTED_MIN && self.open_then >= OPEN_MIN
    }

    /// What came twice although the cursor rule held, or was done twice.
    pub fn duplicates(&self) -> usize {
        let twice = ["deliver.I1", "deliver.I3", "golden.once", "run.R6"];
        self.breaches.iter().filter(|(rule, _)| twice.contains(rule)).count()
    }

    /// What crossed users.
    pub fn leaks(&self) -> usize {
        self.breaches.iter().filter(|(rule, _)| rule.starts_with("iso.")).count()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>10} {:>2}: {} accepted and {} open at the fault, {} accepted in all; {} lost, {} duplicates after the cursor \
             rule, {} raw repeats, {} leaks; {} NODE_LOST, {} connections lost; whole after {:.1} s, ",
            self.fault,
            self.number,
            self.accepted_then,
            self.open_then,
            self.accepted,
            self.lost,
            self.duplicates(),
            self.repeats,
            self.leaks(),
            self.node_lost,
            self.connections_lost,
            self.healed.as_secs_f64(),
        )?;
        match self.recovered {
            Some(recovered) => write!(f, "what was open had ended after {:.1} s", recovered.as_secs_f64())?,
            None => f.write_str("what was open never ended")?,
        }
        if self.unsettled > 0 {
            write!(f, "; {} never taken in", self.unsettled)?;
        }
        if self.breaches.len() > self.duplicates() + self.leaks() {
            write!(f, "; {} breaches", self.breaches.len())?;
        }
        if !self.counts() {
            f.write_str("; NOT COUNTED: not enough to break")?;
        }
        Ok(())
    }
}

/// All rounds in one report.
pub(super) fn report(options: &DrillOptions, tallies: Vec<Tally>) -> Report {
    let mut report = Report::new(Tool::new("goldenpath", env!("CARGO_PKG_VERSION")), Kind::Load);
    let scenario = &options.scenario;
    report.scenario = Some(ScenarioRef {
        name: scenario.name.clone(),
        about: scenario.about.clone(),
        hash: scenario.hash(),
    });
    report.seed = Some(options.seed);
    report.host = Some(host());
    for fault in &options.faults {
        let rounds: Vec<&Tally> = tallies.iter().filter(|tally| tally.fault == *fault).collect();
        report.facts.push(summary(*fault, &rounds));
    }
    let sum = |of: &dyn Fn(&Tally) -> u64| tallies.iter().map(of).sum();
    report.facts.extend([
        Fact::count("rounds", "rounds that count", sum(&|tally| u64::from(tally.counts()))),
        Fact::count("accepted", "messages accepted", sum(&|tally| tally.accepted as u64)),
        Fact::count("lost", "of them lost", sum(&|tally| tally.lost as u64)),
        Fact::count(
            "duplicates",
            "duplicates after the cursor rule",
            sum(&|tally| tally.duplicates() as u64),
        ),
        Fact::count("repeats", "raw repeats, dropped by the cursor rule", sum(&|tally| tally.repeats)),
        Fact::count("leaks", "frames that crossed users", sum(&|tally| tally.leaks() as u64)),
        Fact::count("node_lost", "runs ended with NODE_LOST", sum(&|tally| tally.node_lost as u64)),
        Fact::count("unsettled", "messages that nobody took in", sum(&|tally| tally.unsettled as u64)),
        Fact::count("connections_lost", "connections lost", sum(&|tally| tally.connections_lost)),
        Fact::count("frames", "frames received", sum(&|tally| tally.frames)),
    ]);
    let slowest = tallies.iter().filter_map(|tally| tally.recovered).max().unwrap_or_default();
    let slowest = slowest.as_micros() as i64;
    report.facts.push(Fact::int("recovery", "slowest recovery", slowest, Unit::Microseconds));
    for tally in tallies {
        take(tally, &mut report);
    }
    report
}

fn summary(fault: Fault, rounds: &[&Tally]) -> Fact {
    let mut times: Vec<Duration> = rounds.iter().filter_map(|tally| tally.recovered).collect();
    times.sort();
    let at =
        |part: usize| times.get(part * times.len().saturating_sub(1) / 2).map_or(0.0, Duration::as_secs_f64);
    let least = |of: &dyn Fn(&Tally) -> usize| rounds.iter().map(|tally| of(tally)).min().unwrap_or_default();
    let lost: usize = rounds.iter().map(|tally| tally.lost).sum();
    let text = format!(
        "{} rounds, at least {} accepted and {} open at the fault; {lost} lost; recovered in {:.1} to {:.1} s, median {:.1} s",
        rounds.len(),
        least(&|tally| tally.accepted_then),
        least(&|tally| tally.open_then),
        at(0),
        at(2),
        at(1),
    );
    Fact::text(fault.name(), fault.name(), text)
}

fn take(tally: Tally, report: &mut Report) {
    let (name, detail) = (format!("{} {}", tally.fault, tally.number), tally.to_string());
    let outcome = match (tally.breaches.is_empty() && tally.unsettled == 0, tally.counts()) {
        (false, _) => Outcome::Failed,
        (true, true) => Outcome::Passed,
        (true, false) => {
            report.judge(
                Verdict::Inconclusive,
                format!(
                    "{name}: {} accepted and {} open at the fault, {ACCEPTED_MIN} and {OPEN_MIN} must be",
                    tally.accepted_then, tally.open_then
                ),
            );
            Outcome::Failed
        }
    };
    report.cases.push(Case::new("drill", &name, outcome, detail));
    for (rule, detail) in tally.breaches {
        let mut finding =
            Finding::new(rule, "drill", tally.at.as_micros() as u64, format!("{name}: {detail}"));
        finding.domain = Domain::Wall;
        report.push_finding(finding);
    }
}
