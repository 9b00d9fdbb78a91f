//! What a release must reach, each goal with what was measured.

use serde::{Deserialize, Serialize};

use super::figures::Counts;
use crate::{Case, Decision, Fact, Kind, Outcome, Report, Role, Unit, Verdict, quantity};

/// Share of runs that must go as planned.
const RELIABILITY_MIN: f64 = 0.995;

/// Largest share of runs and connections that may fail.
const ERROR_RATE_MAX: f64 = 0.005;

/// Something to be reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// Stable name, `snake_case`.
    pub key: String,
    /// What a person reads.
    pub what: String,
    /// Where it was measured.
    pub place: String,
    /// What was measured and what is asked for; `None` if nothing was measured.
    pub measured: Option<Measured>,
}

/// A number beside its limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Measured {
    /// A number of things of which there must be none.
    None {
        /// How many there are.
        count: u64,
    },
    /// A share that must be at least this.
    AtLeast {
        /// The share.
        share: f64,
        /// The limit.
        limit: f64,
    },
    /// A share that must be at most this.
    AtMost {
        /// The share.
        share: f64,
        /// The limit.
        limit: f64,
    },
}

/// All goals, those that matter most first. One that nothing was measured for is there, too.
pub(super) fn goals(parts: &[Report]) -> Vec<Goal> {
    let all = Counts::total(parts);
    let none = |count: Option<u64>| count.map(|count| Measured::None { count });
    let goal = |key: &str, what: &str, place: &str, measured| Goal {
        key: key.to_owned(),
        what: what.to_owned(),
        place: place.to_owned(),
        measured,
    };
    let everywhere = "all scenarios and sockets";
    let mut goals = vec![
        goal("leaks", "nothing of one user reaches another", everywhere, none(all.map(|all| all.leaks))),
        goal("order", "no event out of order", everywhere, none(all.map(|all| all.order))),
        goal("delivery", "nothing lost, doubled or overtaken", everywhere, none(all.map(|all| all.delivery))),
    ];
    let worlds = [(Kind::Simulation, "virtual", "virtual time"), (Kind::Load, "sockets", "real sockets")];
    for (kind, key, place) in worlds {
        let counts = Counts::total(parts.iter().filter(|part| part.kind == kind));
        let measured =
            counts.map(|counts| Measured::AtLeast { share: counts.reliability(), limit: RELIABILITY_MIN });
        goals.push(goal(&format!("reliability_{key}"), "golden-path reliability", place, measured));
        let measured =
            counts.map(|counts| Measured::AtMost { share: counts.error_rate(), limit: ERROR_RATE_MAX });
        goals.push(goal(&format!("errors_{key}"), "error rate", place, measured));
    }
    let sweeps = parts.iter().filter_map(|part| part.sweep.as_deref()).map(|sweep| sweep.totals);
    let failing = sweeps.filter(|totals| totals.seeds > 0).map(|totals| totals.failing);
    goals.push(goal(
        "swarm",
        "no seed of the swarm breaks a rule",
        "many seeds, virtual time",
        none(failing.reduce(|a, b| a + b)),
    ));
    let conformance =
        parts.iter().filter(|part| part.kind == Kind::Conformance).map(|part| part.findings_total);
    goals.push(goal(
        "conformance",
        "every recorded case holds",
        "recorded cases",
        none(conformance.reduce(|a, b| a + b)),
    ));
    // A gate whose controls failed, or whose sides differ, measured nothing.
    let says_nothing = |part: &&Report| matches!(part.verdict, Verdict::Error | Verdict::NotComparable);
    let gates = parts.iter().filter(|part| !says_nothing(part)).filter_map(|part| part.gate.as_deref());
    let slower = gates.map(|gate| {
        let is_slower = |role: Role, decision: Decision| role == Role::Gated && decision == Decision::Fail;
        gate.contests.iter().filter(|contest| is_slower(contest.role, contest.decision)).count() as u64
    });
    let place = "the gate, wall clock";
    goals.push(goal(
        "slower",
        "no benchmark slower than its limit",
        place,
        none(slower.reduce(|a, b| a + b)),
    ));
    goals
}

impl Goal {
    /// Whether it is reached; `None` if nothing was measured.
    pub fn holds(&self) -> Option<bool> {
        self.measured.map(|measured| match measured {
            Measured::None { count } => count == 0,
            Measured::AtLeast { share, limit } => share >= limit,
            Measured::AtMost { share, limit } => share <= limit,
        })
    }

    /// What is asked for, in words.
    pub(super) fn wanted(&self) -> String {
        match self.measured {
            Some(Measured::None { .. }) => "0".to_owned(),
            Some(Measured::AtLeast { limit, .. }) => format!("≥ {:.1} %", limit * 100.0),
            Some(Measured::AtMost { limit, .. }) => format!("≤ {:.1} %", limit * 100.0),
            None => String::new(),
        }
    }

    /// What was measured, in words.
    pub(super) fn found(&self) -> String {
        match self.measured {
            Some(Measured::None { count }) => quantity::grouped(count),
            Some(Measured::AtLeast { share, .. } | Measured::AtMost { share, .. }) => quantity::share(share),
            None => "not measured".to_owned(),
        }
    }

    /// The outcome in a word, with a sign that needs no colour.
    pub(super) fn outcome(&self) -> &'static str {
        match self.holds() {
            Some(true) => "✓ reached",
            Some(false) => "✗ missed",
            None => "? open",
        }
    }

    pub(super) fn case(&self) -> Case {
        let outcome = match self.holds() {
            Some(true) => Outcome::Passed,
            Some(false) => Outcome::Failed,
            None => Outcome::Skipped("not measured".to_owned()),
        };
        let detail = match self.measured {
            Some(_) => format!("{}, asked for {}", self.found(), self.wanted()),
            None => String::new(),
        };
        Case::new("goals", format!("{} ({})", self.what, self.place), outcome, detail)
    }

    /// The verdict of a goal that is missed, with the reason. What was not measured is judged by whoever knows why.
    pub(super) fn judged(&self) -> Option<(Verdict, String)> {
        if self.holds() != Some(false) {
            return None;
        }
        let verdict = match self.key.as_str() {
            "leaks" => Verdict::IsolationBreach,
            "slower" => Verdict::Regression,
            _ => Verdict::Findings,
        };
        let reason =
            format!("Missed: {} ({}): {}, asked for {}.", self.what, self.place, self.found(), self.wanted());
        Some((verdict, reason))
    }

    /// The number for the top of the page.
    pub(super) fn fact(&self) -> Option<Fact> {
        let label = match self.key.as_str() {
            "leaks" => "leaks between users",
            "order" => "order violations",
            "reliability_virtual" => "reliability, virtual time",
            "reliability_sockets" => "reliability, sockets",
            "errors_sockets" => "error rate, sockets",
            "swarm" => "seeds that break a rule",
            "conformance" => "recorded cases that differ",
            "slower" => "benchmarks slower",
            _ => return None,
        };
        Some(match self.measured? {
            Measured::None { count } => Fact::int(&self.key, label, count as i64, Unit::Count),
            Measured::AtLeast { share, .. } | Measured::AtMost { share, .. } => Fact {
                key: self.key.clone(),
                label: label.to_owned(),
                value: crate::Value::Share(share),
                unit: None,
            },
        })
    }
}
