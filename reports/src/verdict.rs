//! What a run amounts to, and the exit code that says so.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::Finding;

/// What a run amounts to. One verdict per report; [`Verdict::worst`] joins several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every check held.
    Pass,
    /// A checker found a violation that is not an isolation breach.
    Findings,
    /// Something of one user reached, or was caused by, another user.
    IsolationBreach,
    /// A performance regression is proven.
    Regression,
    /// The evidence decides nothing, for example because the machine was too noisy.
    Inconclusive,
    /// The two sides do not measure the same thing.
    NotComparable,
    /// A recorded run, repeated, did something else.
    ReplayDiverged,
    /// A recorded run is not as it was written: its file was altered.
    TraceAltered,
    /// A condition that a sweep must come across never came about: it proves less than it claims to.
    Unreached,
    /// The run could not be carried out: infrastructure or an internal error.
    Error,
}

impl Verdict {
    /// The verdict that `findings` alone justify: [`Verdict::IsolationBreach`] if any rule starts with `iso.`,
    /// [`Verdict::Findings`] if there is any other, else [`Verdict::Pass`].
    pub fn of_findings<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Verdict {
        findings.into_iter().map(Finding::verdict).fold(Verdict::Pass, Verdict::worst)
    }

    /// The worse of two verdicts. From worst to best: isolation breach, findings, replay diverged, trace
    /// altered, error, regression, unreached, not comparable, inconclusive, pass. Commutative and associative.
    #[must_use]
    pub fn worst(self, other: Verdict) -> Verdict {
        if other.severity() > self.severity() { other } else { self }
    }

    /// The exit code of the process that reached this verdict. 2 (usage, unreadable file) is never a verdict.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Pass => 0,
            Verdict::Error => 1,
            Verdict::Regression => 3,
            Verdict::Inconclusive => 4,
            Verdict::NotComparable => 5,
            Verdict::Findings => 6,
            Verdict::IsolationBreach => 7,
            Verdict::ReplayDiverged => 8,
            Verdict::TraceAltered => 9,
            Verdict::Unreached => 10,
        }
    }

    /// One sentence a newcomer understands, without a full stop.
    pub fn meaning(self) -> &'static str {
        match self {
            Verdict::Pass => "every check held",
            Verdict::Findings => "a checker found a violation",
            Verdict::IsolationBreach => "something of one user crossed to another",
            Verdict::Regression => "a performance regression is proven",
            Verdict::Inconclusive => "the evidence decides nothing",
            Verdict::NotComparable => "the two sides do not measure the same thing",
            Verdict::ReplayDiverged => "the recorded run, repeated, did something else",
            Verdict::TraceAltered => "the recorded run is not as it was written",
            Verdict::Unreached => "a condition that must be met never was",
            Verdict::Error => "the run could not be carried out",
        }
    }

    /// The word used by every rendering, for example `isolation breach`.
    pub fn label(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Findings => "findings",
            Verdict::IsolationBreach => "isolation breach",
            Verdict::Regression => "regression",
            Verdict::Inconclusive => "inconclusive",
            Verdict::NotComparable => "not comparable",
            Verdict::ReplayDiverged => "replay diverged",
            Verdict::TraceAltered => "trace altered",
            Verdict::Unreached => "unreached",
            Verdict::Error => "error",
        }
    }

    /// A sign that tells the verdicts apart without colour.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Verdict::Pass => "✓",
            Verdict::Findings | Verdict::ReplayDiverged | Verdict::TraceAltered | Verdict::Error => "✗",
            Verdict::IsolationBreach => "⚠",
            Verdict::Regression => "▼",
            Verdict::Inconclusive | Verdict::NotComparable | Verdict::Unreached => "?",
        }
    }

    fn severity(self) -> u8 {
        match self {
            Verdict::Pass => 0,
            Verdict::Inconclusive => 1,
            Verdict::NotComparable => 2,
            Verdict::Unreached => 3,
            Verdict::Regression => 4,
            Verdict::Error => 5,
            Verdict::TraceAltered => 6,
            Verdict::ReplayDiverged => 7,
            Verdict::Findings => 8,
            Verdict::IsolationBreach => 9,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From worst to best, as documented.
    const PRECEDENCE: [Verdict; 10] = [
        Verdict::IsolationBreach,
        Verdict::Findings,
        Verdict::ReplayDiverged,
        Verdict::TraceAltered,
        Verdict::Error,
        Verdict::Regression,
        Verdict::Unreached,
        Verdict::NotComparable,
        Verdict::Inconclusive,
        Verdict::Pass,
    ];

    #[test]
    fn the_worse_verdict_wins_whatever_the_order() {
        for (rank, &worse) in PRECEDENCE.iter().enumerate() {
            for &better in &PRECEDENCE[rank..] {
                assert_eq!(worse.worst(better), worse);
                assert_eq!(better.worst(worse), worse);
            }
        }
    }

    #[test]
    fn exit_codes_are_the_published_ones() {
        assert_eq!(PRECEDENCE.map(Verdict::exit_code), [7, 6, 8, 9, 1, 3, 10, 5, 4, 0]);
    }

    #[test]
    fn one_isolation_finding_among_others_is_a_breach() {
        let order = Finding::new("run.R3", "order", 1, "completed without executing");
        let isolation = Finding::new("iso.I1", "isolation", 2, "event of a at b");
        let lookalike = Finding::new("isolated.X", "order", 3, "only looks like it");

        assert_eq!(Verdict::of_findings([]), Verdict::Pass);
        assert_eq!(Verdict::of_findings([&order, &lookalike]), Verdict::Findings);
        assert_eq!(Verdict::of_findings([&order, &isolation, &lookalike]), Verdict::IsolationBreach);
    }
}
