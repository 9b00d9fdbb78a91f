//! Violations that a checker found.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::{Domain, Verdict, escape::visible, quantity};

/// One violation of one rule, with everything needed to look it up in a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule of the contract that was broken: `iso.I1`, `run.R3`, `deliver.I2`, `golden.incomplete`, `queue.I1`.
    /// The prefix `iso.` makes the run an isolation breach.
    pub rule: String,
    /// The checker that saw it.
    pub checker: String,
    /// When, in microseconds since the run began, in the time of `domain`.
    pub at_us: u64,
    /// Which clock `at_us` is of.
    pub domain: Domain,
    /// The user it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The connection it happened on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The run it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The event type, or the event, it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// What was expected and what was seen, in one sentence.
    pub detail: String,
}

impl Finding {
    /// A finding in virtual time that names no user, connection, run or event yet.
    pub fn new(
        rule: impl Into<String>,
        checker: impl Into<String>,
        at_us: u64,
        detail: impl Into<String>,
    ) -> Finding {
        Finding {
            rule: rule.into(),
            checker: checker.into(),
            at_us,
            domain: Domain::Virtual,
            user: None,
            connection: None,
            run: None,
            event: None,
            detail: detail.into(),
        }
    }

    /// Whether something crossed from one user to another.
    pub fn is_isolation(&self) -> bool {
        self.rule.starts_with("iso.")
    }

    /// The verdict that this finding alone justifies.
    pub fn verdict(&self) -> Verdict {
        if self.is_isolation() { Verdict::IsolationBreach } else { Verdict::Findings }
    }

    /// Who and what it concerns, as `key=value` words; empty if nothing is known. Safe for one line of a terminal.
    pub(crate) fn subject(&self) -> String {
        let known = [
            ("user", &self.user),
            ("connection", &self.connection),
            ("run", &self.run),
            ("event", &self.event),
        ];
        let words: Vec<String> = known
            .iter()
            .filter_map(|(key, value)| value.as_ref().map(|value| format!("{key}={}", visible(value))))
            .collect();
        words.join(" ")
    }
}

/// One line: `run.R3 at 1.204500 s (order) user=u1 run=r1: completed without executing`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = quantity::exact_seconds(self.at_us);
        write!(f, "{} at {at} ({})", visible(&self.rule), visible(&self.checker))?;
        let subject = self.subject();
        if !subject.is_empty() {
            write!(f, " {subject}")?;
        }
        write!(f, ": {}", visible(&self.detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_even_if_its_words_are_hostile() {
        let mut finding = Finding::new("run.R3", "order", 1_204_500, "completed\nwithout\u{1b}[2J executing");
        finding.user = Some("u1\u{202e}".to_owned());
        assert_eq!(
            finding.to_string(),
            "run.R3 at 1.204500 s (order) user=u1\\u{202e}: completed\\nwithout\\u{1b}[2J executing"
        );
    }
}
