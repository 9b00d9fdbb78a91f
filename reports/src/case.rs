//! Checks that passed, failed or did not run.

use serde::{Deserialize, Serialize};

/// One check and how it went: a checker, a conformance vector, a control of the gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// What it belongs to, for example `checkers` or `vectors/emitter`.
    pub group: String,
    /// Its name, unique within the group. A checker's case carries the name that its findings give as `checker`.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
    /// Why it failed, or what was seen; may be empty or have several lines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// How long it took in seconds of wall-clock time; `None` in virtual time, so that reports stay identical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// How a [`Case`] went. In JSON `"passed"`, or `{"skipped": "no Redis on this machine"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It held.
    Passed,
    /// It did not hold.
    Failed,
    /// It could not be judged because something else broke.
    Errored,
    /// It did not run, and why.
    Skipped(String),
}

impl Case {
    /// A case that held.
    pub fn passed(group: impl Into<String>, name: impl Into<String>) -> Case {
        Case::new(group, name, Outcome::Passed, "")
    }

    /// A case that did not hold, and why.
    pub fn failed(group: impl Into<String>, name: impl Into<String>, detail: impl Into<String>) -> Case {
        Case::new(group, name, Outcome::Failed, detail)
    }

    /// A case that did not run, and why.
    pub fn skipped(group: impl Into<String>, name: impl Into<String>, reason: impl Into<String>) -> Case {
        Case::new(group, name, Outcome::Skipped(reason.into()), "")
    }

    /// A case with any outcome; `seconds` is `None`.
    pub fn new(
        group: impl Into<String>,
        name: impl Into<String>,
        outcome: Outcome,
        detail: impl Into<String>,
    ) -> Case {
        Case { group: group.into(), name: name.into(), outcome, detail: detail.into(), seconds: None }
    }
}

impl Outcome {
    /// `passed`, `failed`, `error` or `skipped`.
    pub fn label(&self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::Errored => "error",
            Outcome::Skipped(_) => "skipped",
        }
    }

    /// Whether it failed or could not be judged.
    pub fn is_bad(&self) -> bool {
        match self {
            Outcome::Failed | Outcome::Errored => true,
            Outcome::Passed | Outcome::Skipped(_) => false,
        }
    }
}
