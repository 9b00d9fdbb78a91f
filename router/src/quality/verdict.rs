//! Kinds of text, and the verdict on one.

use alloc::{string::String, vec::Vec};

use super::thousandths;
use crate::wire::Writer;

/// What kind of text is to be judged (`content_type` on the wire).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentKind {
    /// `optimization`: advice on what to change.
    Optimization,
    /// `data_analysis`: what the figures say.
    DataAnalysis,
    /// `action_plan`: what to do, step by step.
    ActionPlan,
    /// `report`.
    Report,
    /// `triage`: what a request is about.
    Triage,
    /// `error_message`: what went wrong, for a person. Clients ask for it as `error`.
    ErrorMessage,
    /// `general`, and every type that is none of the others.
    #[default]
    General,
}

impl ContentKind {
    /// The kind that a client's `content_type` asks for; exact spelling, anything else is general.
    pub fn requested(name: &str) -> Self {
        match name {
            "optimization" => ContentKind::Optimization,
            "data_analysis" => ContentKind::DataAnalysis,
            "action_plan" => ContentKind::ActionPlan,
            "report" => ContentKind::Report,
            "triage" => ContentKind::Triage,
            "error" => ContentKind::ErrorMessage,
            _ => ContentKind::General,
        }
    }

    /// The name in a verdict.
    pub const fn name(self) -> &'static str {
        match self {
            ContentKind::Optimization => "optimization",
            ContentKind::DataAnalysis => "data_analysis",
            ContentKind::ActionPlan => "action_plan",
            ContentKind::Report => "report",
            ContentKind::Triage => "triage",
            ContentKind::ErrorMessage => "error_message",
            ContentKind::General => "general",
        }
    }
}

/// One thing that a text was marked down for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The rule, a stable name.
    pub rule: &'static str,
    /// What it cost, in thousandths of the whole score.
    pub penalty: u64,
}

/// What a gate thinks of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the score reaches the threshold.
    pub passed: bool,
    /// 0 to 1000.
    pub score: u64,
    /// What had to be reached, 0 to 1000.
    pub threshold: u64,
    /// What kind of text it was taken for.
    pub kind: ContentKind,
    /// Whether the bar was the higher one.
    pub strict: bool,
    /// How many words the text has.
    pub words: u64,
    /// What it was marked down for, in the order of the rules.
    pub issues: Vec<Issue>,
}

impl Verdict {
    /// The verdict as a JSON object; score, threshold and penalties run from 0 to 1.
    pub fn json(&self) -> String {
        let mut w = Writer::default();
        w.raw(if self.passed { "{\"passed\":true" } else { "{\"passed\":false" });
        thousandths(&mut w, ",\"score\":", self.score);
        thousandths(&mut w, ",\"threshold\":", self.threshold);
        w.text(",\"quality_level\":", level(self.score));
        w.text(",\"content_type\":", self.kind.name());
        w.raw(if self.strict { ",\"strict_mode\":true" } else { ",\"strict_mode\":false" });
        w.number(",\"words\":", self.words);
        w.raw(",\"issues\":[");
        for (n, issue) in self.issues.iter().enumerate() {
            w.text(if n == 0 { "{\"rule\":" } else { ",{\"rule\":" }, issue.rule);
            thousandths(&mut w, ",\"penalty\":", issue.penalty);
            w.raw("}");
        }
        w.raw("]}");
        w.finish().into()
    }
}

/// Lowest score of each level, best first; every score below the last is `poor`.
pub(super) const LEVELS: [(&str, u64); 4] =
    [("excellent", 900), ("good", 700), ("acceptable", 500), ("poor", 0)];

/// The name of a score.
pub(super) fn level(score: u64) -> &'static str {
    LEVELS.iter().find(|(_, from)| score >= *from).map_or("poor", |(name, _)| name)
}
