//! The report: everything one run has to say.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

use crate::{Case, Fact, Finding, Gate, Metric, Release, Sequence, Sweep, Timeline, Verdict, release};

/// The schema that this version writes: a name, a slash and the major version. A later `/1.x` may add fields.
pub const SCHEMA: &str = "goldenpath.report/1";

/// How many findings a report holds; the rest is only counted. One broken rule can be broken a million times.
pub const FINDINGS_MAX: usize = 200;

/// Everything one run has to say. Filled by simulation, load, conformance, gate and replay alike.
///
/// Lists are shown in the order given; whoever fills them puts the most important first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// What made it.
    pub tool: Tool,
    /// What kind of run it was.
    pub kind: Kind,
    /// The scenario that was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<ScenarioRef>,
    /// The seed; with tool and scenario it names a deterministic run completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Rolling hash over everything that happened, in hex. Equal hashes mean equal runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// What it amounts to.
    pub verdict: Verdict,
    /// Why the verdict, a sentence each.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// Single numbers and words.
    #[serde(default)]
    pub facts: Vec<Fact>,
    /// Measured distributions.
    #[serde(default)]
    pub metrics: Vec<Metric>,
    /// Checks and how they went.
    #[serde(default)]
    pub cases: Vec<Case>,
    /// The first violations, at most [`FINDINGS_MAX`] if filled by [`Report::push_finding`].
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// How many violations there were.
    #[serde(default)]
    pub findings_total: u64,
    /// How many violations there were of each rule.
    #[serde(default)]
    pub findings_by_rule: BTreeMap<String, u64>,
    /// What chosen users saw, event by event.
    #[serde(default)]
    pub timelines: Vec<Timeline>,
    /// Who sent what to whom, for a run that is small enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Box<Sequence>>,
    /// The evidence of a gate, raw values included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Box<Gate>>,
    /// What a release rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Box<Release>>,
    /// What many seeds saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Box<Sweep>>,
    /// The machine, if the run measured the wall clock. `None` in virtual time: the machine does not matter there
    /// and the report stays byte-identical everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// The command that repeats the run, ready to paste into a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
}

/// The program that made a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version, as precise as a repetition needs.
    pub version: String,
}

/// What kind of run a report is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Virtual time, against the core.
    Simulation,
    /// Wall clock, over sockets.
    Load,
    /// Recorded vectors against the core.
    Conformance,
    /// Two builds measured against each other.
    Gate,
    /// Everything a release rests on.
    Release,
    /// A recorded run repeated.
    Replay,
    /// Many seeds, in virtual time.
    Sweep,
}

/// The scenario a report is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScenarioRef {
    /// Its name.
    pub name: String,
    /// What it is about, one sentence.
    #[serde(default)]
    pub about: String,
    /// Hash of its text, in hex. Two reports compare only if it agrees.
    pub hash: String,
}

/// The machine of a wall-clock run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Operating system.
    pub os: String,
    /// Processor architecture.
    pub arch: String,
    /// Number of processors the run could use.
    pub cpus: u32,
    /// Load average over the minute before the run, in runnable tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_1m: Option<f64>,
    /// Anything else a reader must know; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Report {
    /// An empty report that passes.
    pub fn new(tool: Tool, kind: Kind) -> Report {
        Report {
            schema: SCHEMA.to_owned(),
            tool,
            kind,
            scenario: None,
            seed: None,
            hash: None,
            verdict: Verdict::Pass,
            reasons: Vec::new(),
            facts: Vec::new(),
            metrics: Vec::new(),
            cases: Vec::new(),
            findings: Vec::new(),
            findings_total: 0,
            findings_by_rule: BTreeMap::new(),
            timelines: Vec::new(),
            sequence: None,
            gate: None,
            release: None,
            sweep: None,
            host: None,
            replay: None,
        }
    }

    /// Counts a violation, lets it worsen the verdict, and keeps it if there is room. An isolation breach always
    /// finds room as long as a lesser finding can give way: it must not drown in the noise it causes.
    pub fn push_finding(&mut self, finding: Finding) {
        self.verdict = self.verdict.worst(finding.verdict());
        self.findings_total += 1;
        *self.findings_by_rule.entry(finding.rule.clone()).or_default() += 1;
        if self.findings.len() >= FINDINGS_MAX && finding.is_isolation() {
            let lesser = self.findings.iter().rposition(|kept| !kept.is_isolation());
            lesser.map(|index| self.findings.remove(index));
        }
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    /// Lets `verdict` worsen the report's own, with a reason that is kept either way.
    pub fn judge(&mut self, verdict: Verdict, reason: impl Into<String>) {
        self.verdict = self.verdict.worst(verdict);
        self.reasons.push(reason.into());
    }

    /// The word for what it amounts to: that of the verdict, except for a release.
    pub(crate) fn headline(&self) -> &'static str {
        match self.kind {
            Kind::Release => release::headline(self.verdict),
            Kind::Simulation | Kind::Load | Kind::Conformance | Kind::Gate | Kind::Replay | Kind::Sweep => {
                self.verdict.label()
            }
        }
    }

    /// What the headline means, one sentence without a full stop.
    pub(crate) fn meaning(&self) -> &'static str {
        match self.kind {
            Kind::Release => release::meaning(self.verdict),
            Kind::Simulation | Kind::Load | Kind::Conformance | Kind::Gate | Kind::Replay | Kind::Sweep => {
                self.verdict.meaning()
            }
        }
    }

    /// Whether the two are of the same kind of run and the same scenario, whatever the seed.
    pub(crate) fn is_twin_of(&self, other: &Report) -> bool {
        let name = |report: &Report| report.scenario.as_ref().map(|scenario| scenario.name.clone());
        self.kind == other.kind && name(self) == name(other)
    }

    /// What was run, for headings: `simulation of golden_path`. Not escaped for any format.
    pub(crate) fn subject(&self) -> String {
        match &self.scenario {
            Some(scenario) => format!("{} of {}", self.kind, scenario.name),
            None => self.kind.to_string(),
        }
    }
}

impl Tool {
    /// A program by name and version.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Tool {
        Tool { name: name.into(), version: version.into() }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Simulation => "simulation",
            Kind::Load => "load test",
            Kind::Conformance => "conformance",
            Kind::Gate => "gate",
            Kind::Release => "release",
            Kind::Replay => "replay",
            Kind::Sweep => "sweep",
        })
    }
}

/// One line: `linux x86_64, 2 processors, load 0.31`.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.cpus == 1 { "" } else { "s" };
        write!(f, "{} {}, {} processor{plural}", self.os, self.arch, self.cpus)?;
        if let Some(load) = self.load_1m {
            write!(f, ", load {load:.2}")?;
        }
        if !self.note.is_empty() {
            write!(f, ", {}", self.note)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_isolation_breach_is_kept_and_counted() {
        let mut report = Report::new(Tool::new("goldenpath", "0.1.0"), Kind::Simulation);
        for at_us in 0..FINDINGS_MAX as u64 + 50 {
            report.push_finding(Finding::new("run.R1", "order", at_us, "thinking before started"));
        }
        assert_eq!(report.verdict, Verdict::Findings);
        report.push_finding(Finding::new("iso.I1", "isolation", 9_999, "event of a at b"));

        assert_eq!(report.verdict, Verdict::IsolationBreach);
        assert_eq!(report.findings.len(), FINDINGS_MAX);
        assert_eq!(report.findings.last().map(|finding| finding.rule.as_str()), Some("iso.I1"));
        assert_eq!(report.findings_total, FINDINGS_MAX as u64 + 51);
        assert_eq!(report.findings_by_rule["run.R1"], FINDINGS_MAX as u64 + 50);
    }

    #[test]
    fn judging_never_improves_a_verdict() {
        let mut report = Report::new(Tool::new("goldenpath", "0.1.0"), Kind::Gate);
        report.judge(Verdict::Regression, "routing is 12 % slower");
        report.judge(Verdict::Inconclusive, "fan-out was too noisy");
        assert_eq!(report.verdict, Verdict::Regression);
        assert_eq!(report.reasons.len(), 2);
    }
}
