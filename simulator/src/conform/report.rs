//! The result of many cases: counts per unit, and what did not hold.

use std::collections::BTreeMap;

use reports::{Case as Check, Fact, Finding, Kind, Report, Tool, Verdict};

use super::{Case, Decision, Judged, OracleKind, Outcome, Translation, units};

/// Share of a unit's positive cases that decisions taken while building the proof may except.
const ADDED_SHARE_MAX: f64 = 0.03;

/// Counts of one unit.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Cases by how they are to be read: those that hold and all.
    kinds: BTreeMap<OracleKind, (u64, u64)>,
    /// Negative cases that the canonical API cannot express, with the reason.
    inexpressible: Vec<(String, &'static str)>,
    /// Negative cases that agree with the defect.
    wrongly_agree: u64,
    translations: BTreeMap<Translation, u64>,
    /// Cases that a decision excepts.
    decisions: BTreeMap<Decision, u64>,
    /// Positive cases excepted by decisions taken while building the proof.
    added: u64,
    /// Positive cases that hold by some decision, not as they were recorded.
    excepted: u64,
    /// Negative cases that hold and name no hazard: that they differ is all that is known.
    unlabelled: u64,
    failures: Vec<(String, usize, String)>,
}

impl Tally {
    /// Counts one case.
    pub fn add(&mut self, case: &Case, judged: &Judged) {
        let (holds, all) = self.kinds.entry(case.oracle.kind).or_default();
        *all += 1;
        match &judged.outcome {
            Outcome::Holds => {
                *holds += 1;
                let excepted = case.oracle.kind == OracleKind::Positive && !judged.notes.decisions.is_empty();
                self.excepted += u64::from(excepted);
                let negative = case.oracle.kind == OracleKind::Negative;
                self.unlabelled += u64::from(negative && case.oracle.hazards.is_empty());
            }
            Outcome::NotForUs => {}
            Outcome::Inexpressible(reason) => self.inexpressible.push((case.id.clone(), reason.0)),
            Outcome::Fails { step, differences, why } => {
                self.wrongly_agree +=
                    u64::from(case.oracle.kind == OracleKind::Negative && differences.is_empty());
                let first = differences.first().map_or_else(String::new, |first| {
                    format!("; {}: recorded {}, router {}", first.at, first.recorded, first.observed)
                });
                self.failures.push((case.id.clone(), *step, format!("{why}{first}")));
            }
        }
        for (translation, count) in &judged.notes.translations {
            *self.translations.entry(*translation).or_default() += count;
        }
        for decision in judged.notes.decisions.keys() {
            *self.decisions.entry(*decision).or_default() += 1;
        }
        let positive = case.oracle.kind == OracleKind::Positive;
        self.added += u64::from(positive && judged.notes.decisions.keys().any(|decision| decision.added));
    }

    fn count(&self, kind: OracleKind) -> (u64, u64) {
        self.kinds.get(&kind).copied().unwrap_or_default()
    }

    /// Whether decisions taken while building the proof except more than they may.
    fn excepts_too_much(&self) -> bool {
        self.added as f64 > ADDED_SHARE_MAX * self.count(OracleKind::Positive).1 as f64
    }

    /// One line: the counts of every kind of case.
    fn line(&self) -> String {
        let mut line = Vec::new();
        for (kind, (holds, all)) in &self.kinds {
            line.push(match kind {
                OracleKind::Positive if self.excepted == 0 => format!("{holds} of {all} positive agree"),
                OracleKind::Positive => {
                    format!("{holds} of {all} positive agree, {} of them by a decision", self.excepted)
                }
                OracleKind::Negative => {
                    let cannot = self.inexpressible.len();
                    let agree = self.wrongly_agree;
                    format!("{holds} of {all} negative differ as they should, {agree} wrongly agree, {cannot} cannot be expressed")
                }
                OracleKind::Model => format!("{all} for models only"),
                OracleKind::Boundary | OracleKind::Exception | OracleKind::Verdict => {
                    format!("{holds} of {all} {} hold", kind.name())
                }
            });
        }
        line.join("; ")
    }
}

/// The report over all units that were played.
pub fn report(tallies: &BTreeMap<String, Tally>, tool: Tool) -> Report {
    let mut report = Report::new(tool, Kind::Conformance);
    let in_order = units::NAMES.iter().filter_map(|name| tallies.get_key_value(*name));
    let mut translations: BTreeMap<Translation, u64> =
        Translation::ALL.into_iter().map(|translation| (translation, 0)).collect();
    for (unit, tally) in in_order {
        for (key, label, count) in counts(tally) {
            report.facts.push(Fact::count(format!("{unit}.{key}"), format!("{unit}: {label}"), count));
        }
        for (decision, count) in &tally.decisions {
            let added = if decision.added { ", added" } else { "" };
            let label = format!("{unit}: excepted by {}{added}", decision.name);
            report.facts.push(Fact::count(format!("{unit}.decision.{}", decision.name), label, *count));
        }
        for (translation, count) in &tally.translations {
            *translations.entry(*translation).or_default() += count;
        }
        let failed = !tally.failures.is_empty() || tally.excepts_too_much();
        let mut check = Check::passed("units", unit.clone());
        if failed {
            check.outcome = reports::Outcome::Failed;
        }
        check.detail = tally.line();
        report.cases.push(check);
        for (id, step, why) in &tally.failures {
            let detail = format!("step {step}: {why}");
            let mut finding = Finding::new("conform.differs", unit.clone(), 0, detail);
            finding.event = Some(id.clone());
            report.push_finding(finding);
        }
        if tally.excepts_too_much() {
            let detail =
                format!("{} positive cases are excepted by added decisions, more than 3 %", tally.added);
            report.push_finding(Finding::new("conform.excepted", unit.clone(), 0, detail));
        }
        for (id, reason) in &tally.inexpressible {
            report.cases.push(Check::skipped(format!("{unit}, cannot be expressed"), id, *reason));
        }
    }
    for (translation, count) in translations {
        let (name, about) = (translation.name(), translation.about());
        report.facts.push(Fact::count(format!("translation.{name}"), format!("{name}: {about}"), count));
    }
    if report.findings_total > 0 {
        report.judge(Verdict::Findings, format!("{} cases do not hold", report.findings_total));
    }
    report
}

fn counts(tally: &Tally) -> Vec<(&'static str, &'static str, u64)> {
    let (positive, negative) = (tally.count(OracleKind::Positive), tally.count(OracleKind::Negative));
    let (boundary, verdict) = (tally.count(OracleKind::Boundary), tally.count(OracleKind::Verdict));
    let (exception, cannot) = (tally.count(OracleKind::Exception), tally.inexpressible.len() as u64);
    [
        ("positive.agree", "positive, agree", positive.0),
        ("positive.as-recorded", "positive, agree as recorded", positive.0 - tally.excepted),
        ("positive.excepted", "positive, agree by a decision", tally.excepted),
        ("positive.disagree", "positive, disagree", positive.1 - positive.0),
        ("negative.differ", "negative, differ as they should", negative.0),
        ("negative.unlabelled", "negative, differ, without a hazard that says how", tally.unlabelled),
        ("negative.agree", "negative, wrongly agree", tally.wrongly_agree),
        ("negative.inexpressible", "negative, cannot be expressed", cannot),
        ("boundary.hold", "boundary, hold", boundary.0),
        ("boundary.fail", "boundary, fail", boundary.1 - boundary.0),
        ("verdict.hold", "verdict, hold", verdict.0),
        ("verdict.fail", "verdict, fail", verdict.1 - verdict.0),
        ("exception.hold", "exception, hold", exception.0),
        ("exception.fail", "exception, fail", exception.1 - exception.0),
        ("model", "for models only", tally.count(OracleKind::Model).1),
    ]
    .into_iter()
    .filter(|(key, _, count)| *count > 0 || key.starts_with("positive"))
    .collect()
}
