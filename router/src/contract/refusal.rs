//! Reports that were dropped, and why.

use super::RunRef;
use crate::run::Rule;

/// An agent's report that was dropped: no frame left, and `events.refused` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedEvent {
    /// The run it named.
    pub run: RunRef,
    /// Why.
    pub why: Refusal,
}

/// Why an agent's report was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// It broke a rule of the run's order.
    Rule(Rule),
    /// It named another user, thread, run or request than its run's.
    ForeignId,
    /// Its data is not a JSON object, or has a text that is none: half of a surrogate pair.
    NotAnObject,
    /// Its `metadata` is not a JSON object.
    BadMetadata,
    /// Its data is nested deeper than 64.
    TooDeep,
    /// Its type is longer than 64 bytes.
    BadType,
    /// Its agent was told to pause, and went on.
    Overrun,
}

impl Refusal {
    /// The name in reports: that of the rule, or `refused(…)`.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::Rule(rule) => rule.name(),
            Refusal::ForeignId => "refused(foreign_user)",
            Refusal::NotAnObject => "refused(not_an_object)",
            Refusal::BadMetadata => "refused(bad_metadata)",
            Refusal::TooDeep => "refused(too_deep)",
            Refusal::BadType => "refused(bad_type)",
            Refusal::Overrun => "refused(overrun)",
        }
    }

    /// A number of its own, for hashes.
    pub const fn code(self) -> u64 {
        match self {
            Refusal::Rule(rule) => rule as u64,
            Refusal::ForeignId => 64,
            Refusal::NotAnObject => 65,
            Refusal::BadMetadata => 66,
            Refusal::BadType => 67,
            Refusal::TooDeep => 68,
            Refusal::Overrun => 69,
        }
    }
}

impl From<Rule> for Refusal {
    fn from(rule: Rule) -> Self {
        Refusal::Rule(rule)
    }
}
