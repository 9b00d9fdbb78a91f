//! How well the models repeat what was recorded.

use std::collections::BTreeMap;

use reports::{Case as Check, Fact, Finding, Kind, Report, Tool, Verdict};

use super::{NAMES, Outcome};
use crate::conform::Case;

/// Share of a unit's cases that its model must repeat in full.
const AGREE_SHARE_MIN: f64 = 0.98;
/// Share of a unit's cases that may be left to the old language.
const PYTHON_SHARE_MAX: f64 = 0.02;

/// Counts of one unit.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    all: u64,
    agree: u64,
    python_only: Vec<(String, &'static str)>,
    differ: Vec<(String, usize, String)>,
}

impl Tally {
    /// Counts one case.
    pub fn add(&mut self, case: &Case, outcome: &Outcome) {
        self.all += 1;
        match outcome {
            Outcome::Agrees => self.agree += 1,
            Outcome::PythonOnly(reason) => self.python_only.push((case.id.clone(), reason.0)),
            Outcome::Differs { step, differences } => {
                let first = differences.first().map_or_else(String::new, |first| {
                    format!("{}: recorded {}, model {}", first.at, first.recorded, first.observed)
                });
                self.differ.push((case.id.clone(), *step, first));
            }
        }
    }

    /// Whether the model repeats enough, and leaves little enough to the old language.
    fn holds(&self) -> bool {
        self.agree as f64 >= AGREE_SHARE_MIN * self.all as f64
            && self.python_only.len() as f64 <= PYTHON_SHARE_MAX * self.all as f64
    }
}

/// The report over all units that were played. A unit whose model repeats too little is a finding; each case that
/// differs is one, too, then, and listed as skipped otherwise.
pub fn report(tallies: &BTreeMap<String, Tally>, tool: Tool) -> Report {
    let mut report = Report::new(tool, Kind::Conformance);
    report.facts.push(Fact::text("subject", "subject", "legacy"));
    for (unit, tally) in NAMES.iter().filter_map(|name| tallies.get_key_value(*name)) {
        let counts = [
            ("cases", "recorded cases", tally.all),
            ("agree", "repeated in full", tally.agree),
            ("differ", "differ", tally.differ.len() as u64),
            ("python-only", "left to the old language", tally.python_only.len() as u64),
        ];
        for (key, label, count) in counts {
            report.facts.push(Fact::count(format!("{unit}.{key}"), format!("{unit}: {label}"), count));
        }
        let text = format!(
            "{} of {} repeated in full, {} differ, {} left to the old language",
            tally.agree,
            tally.all,
            tally.differ.len(),
            tally.python_only.len()
        );
        let holds = tally.holds();
        let mut check = Check::passed("models", unit.clone());
        if !holds {
            check.outcome = reports::Outcome::Failed;
            report.judge(Verdict::Findings, format!("{unit}: {text}"));
        }
        check.detail = text;
        report.cases.push(check);
        for (id, step, first) in &tally.differ {
            let why = format!("step {step}: {first}");
            if holds {
                report.cases.push(Check::skipped(format!("{unit}, differ"), id, why));
            } else {
                let mut finding = Finding::new("conform.model", unit.clone(), 0, why);
                finding.event = Some(id.clone());
                report.push_finding(finding);
            }
        }
        for (id, reason) in &tally.python_only {
            report.cases.push(Check::skipped(format!("{unit}, left to the old language"), id, *reason));
        }
    }
    report
}
