//! Numbers of one part, by whatever name its kind of run calls them.

use crate::{Kind, Metric, Report, Value};

/// What a simulation or a load test counted that a release judges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Runs that were asked for.
    pub(super) runs: u64,
    /// Runs that went as planned.
    pub(super) golden: u64,
    /// Something of one user at another.
    pub(super) leaks: u64,
    /// Events out of order.
    pub(super) order: u64,
    /// Losses, duplicates and reorders.
    pub(super) delivery: u64,
    /// Attempts to connect.
    pub(super) attempts: u64,
    /// Attempts that failed, connections lost against the plan, messages that could not be sent.
    pub(super) failed: u64,
}

impl Counts {
    /// `None` if the part is of a kind that counts nothing of this.
    pub(super) fn of(part: &Report) -> Option<Counts> {
        match part.kind {
            Kind::Simulation | Kind::Load => {}
            Kind::Conformance | Kind::Gate | Kind::Release | Kind::Replay | Kind::Sweep => return None,
        }
        let runs = count(part, "runs").or_else(|| count(part, "runs_asked"))?;
        let golden = count(part, "runs_complete").or_else(|| {
            let share = fact(part, "golden").or_else(|| fact(part, "golden_path"))?;
            Some((share.number()? * runs as f64).round() as u64)
        })?;
        let of = |keys: &[&str]| keys.iter().filter_map(|key| count(part, key)).sum();
        let refused = of(&["connects_failed"]);
        Some(Counts {
            runs,
            golden,
            leaks: of(&["leaks"]),
            order: of(&["order_violations"]),
            delivery: of(&["delivery_violations", "duplicates"]),
            attempts: of(&["connections"]) + refused,
            failed: refused + of(&["connections_lost", "unmet"]),
        })
    }

    /// All of a kind together; `None` if there is none.
    pub(super) fn total<'a>(parts: impl IntoIterator<Item = &'a Report>) -> Option<Counts> {
        parts.into_iter().filter_map(Counts::of).reduce(|one, other| Counts {
            runs: one.runs + other.runs,
            golden: one.golden + other.golden,
            leaks: one.leaks + other.leaks,
            order: one.order + other.order,
            delivery: one.delivery + other.delivery,
            attempts: one.attempts + other.attempts,
            failed: one.failed + other.failed,
        })
    }

    /// Runs that went as planned among those asked for.
    pub(super) fn reliability(&self) -> f64 {
        if self.runs == 0 { 1.0 } else { self.golden as f64 / self.runs as f64 }
    }

    /// What a user would call an error: runs that did not go as planned, connections refused or lost, messages unsent.
    pub(super) fn errors(&self) -> u64 {
        self.runs.saturating_sub(self.golden) + self.failed
    }

    /// Errors among everything that was asked for: runs and connections.
    pub(super) fn error_rate(&self) -> f64 {
        let asked = self.runs + self.attempts;
        if asked == 0 { 0.0 } else { self.errors() as f64 / asked as f64 }
    }
}

pub(super) fn fact<'a>(part: &'a Report, key: &str) -> Option<&'a Value> {
    part.facts.iter().find(|fact| fact.key == key).map(|fact| &fact.value)
}

/// A fact that is a whole number and not below zero.
pub(super) fn count(part: &Report, key: &str) -> Option<u64> {
    match fact(part, key)? {
        Value::Int(value) => u64::try_from(*value).ok(),
        Value::Float(_) | Value::Share(_) | Value::Text(_) => None,
    }
}

pub(super) fn metric<'a>(part: &'a Report, key: &str) -> Option<&'a Metric> {
    part.metrics.iter().find(|metric| metric.key == key && metric.count > 0)
}

/// What a part is called where its kind is known from the place.
pub(super) fn name(part: &Report) -> String {
    part.scenario.as_ref().map_or_else(|| part.kind.to_string(), |scenario| scenario.name.clone())
}
