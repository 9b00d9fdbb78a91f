//! Two reports side by side.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Case, Domain, Fact, Kind, Metric, Outcome, Report, Unit, Value, Verdict};

/// Two reports side by side. It describes and does not judge: whether a difference is a regression takes paired
/// measurements, which is the gate's work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The first report, the base.
    pub a: Side,
    /// The second report.
    pub b: Side,
    /// Why the two do not compare, a sentence each. If there is any, all tables are empty.
    pub not_comparable: Vec<String>,
    /// What a reader must know before reading the tables, a sentence each.
    pub notes: Vec<String>,
    /// Every metric of either, in the order of `a`, then those that only `b` has.
    pub metrics: Vec<MetricChange>,
    /// Every fact of either, in the order of `a`, then those that only `b` has.
    pub facts: Vec<FactChange>,
    /// Every rule that either saw broken.
    pub rules: Vec<RuleChange>,
    /// The checks whose outcome differs.
    pub cases: Vec<CaseChange>,
    /// Of two releases: each part beside its twin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Comparison>,
}

/// One of the two reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// What made it, for example `goldenpath 0.1.0`.
    pub tool: String,
    /// What kind of run it was.
    pub kind: Kind,
    /// The scenario's name.
    pub scenario: Option<String>,
    /// Its seed.
    pub seed: Option<u64>,
    /// Its rolling hash.
    pub hash: Option<String>,
    /// What it amounted to.
    pub verdict: Verdict,
}

/// A metric on both sides; `None` where a report does not have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricChange {
    /// Its key.
    pub key: String,
    /// Its label.
    pub label: String,
    /// Its unit on both sides.
    pub unit: Unit,
    /// Its clock on both sides.
    pub domain: Domain,
    /// In the first report.
    pub a: Option<Metric>,
    /// In the second report.
    pub b: Option<Metric>,
}

/// A fact on both sides; `None` where a report does not have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FactChange {
    /// Its key.
    pub key: String,
    /// Its label.
    pub label: String,
    /// Its unit.
    pub unit: Option<Unit>,
    /// In the first report.
    pub a: Option<Value>,
    /// In the second report.
    pub b: Option<Value>,
}

/// How often a rule was broken on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleChange {
    /// The rule.
    pub rule: String,
    /// Findings in the first report.
    pub a: u64,
    /// Findings in the second report.
    pub b: u64,
}

/// A check whose outcome differs; `None` where a report does not have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseChange {
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// In the first report.
    pub a: Option<Outcome>,
    /// In the second report.
    pub b: Option<Outcome>,
}

/// Puts two reports side by side. Reports of different kinds or scenarios do not compare.
pub fn compare(a: &Report, b: &Report) -> Comparison {
    let not_comparable = obstacles(a, b);
    let mut comparison = Comparison {
        a: Side::of(a),
        b: Side::of(b),
        not_comparable,
        notes: notes(a, b),
        metrics: Vec::new(),
        facts: Vec::new(),
        rules: Vec::new(),
        cases: Vec::new(),
        parts: Vec::new(),
    };
    if comparison.is_comparable() {
        comparison.metrics = metric_changes(&a.metrics, &b.metrics);
        comparison.facts = fact_changes(&facts(a), &facts(b));
        comparison.rules = rule_changes(&a.findings_by_rule, &b.findings_by_rule);
        comparison.cases = case_changes(&a.cases, &b.cases);
        comparison.parts = part_changes(a, b, &mut comparison.notes);
    }
    comparison
}

impl Comparison {
    /// Whether the two measure the same thing.
    pub fn is_comparable(&self) -> bool {
        self.not_comparable.is_empty()
    }

    /// [`Verdict::NotComparable`] or [`Verdict::Pass`]: a comparison alone proves no regression.
    pub fn verdict(&self) -> Verdict {
        if self.is_comparable() { Verdict::Pass } else { Verdict::NotComparable }
    }
}

impl MetricChange {
    /// `b`'s median divided by `a`'s; `None` if either has no samples or `a`'s median is 0.
    pub fn ratio_p50(&self) -> Option<f64> {
        quotient(self.p50())
    }

    /// `b`'s 99th percentile divided by `a`'s; `None` if either has too few samples for one, or `a`'s is 0.
    pub fn ratio_p99(&self) -> Option<f64> {
        quotient(self.p99())
    }

    pub(crate) fn p50(&self) -> (Option<u64>, Option<u64>) {
        let p50 = |side: &Option<Metric>| side.as_ref().filter(|side| side.count > 0).map(|side| side.p50);
        (p50(&self.a), p50(&self.b))
    }

    pub(crate) fn p99(&self) -> (Option<u64>, Option<u64>) {
        let p99 =
            |side: &Option<Metric>| side.as_ref().filter(|side| side.supports(0.99)).map(|side| side.p99);
        (p99(&self.a), p99(&self.b))
    }
}

impl FactChange {
    /// `b` divided by `a`; `None` if either is missing or no number, or `a` is 0.
    pub fn ratio(&self) -> Option<f64> {
        let (a, b) = (self.a.as_ref()?.number()?, self.b.as_ref()?.number()?);
        (a != 0.0).then(|| b / a).filter(|ratio| ratio.is_finite())
    }
}

impl Side {
    fn of(report: &Report) -> Side {
        Side {
            tool: report.tool.to_string(),
            kind: report.kind,
            scenario: report.scenario.as_ref().map(|scenario| scenario.name.clone()),
            seed: report.seed,
            hash: report.hash.clone(),
            verdict: report.verdict,
        }
    }
}

fn obstacles(a: &Report, b: &Report) -> Vec<String> {
    let mut reasons = Vec::new();
    if a.kind != b.kind {
        reasons.push(format!("a is a {}, b is a {}", a.kind, b.kind));
    }
    match (&a.scenario, &b.scenario) {
        (Some(x), Some(y)) if x.name != y.name => {
            reasons.push(format!("a ran scenario {}, b ran {}", x.name, y.name));
        }
        (Some(x), Some(y)) if x.hash != y.hash => {
            reasons.push(format!("scenario {} was edited in between ({} is not {})", x.name, x.hash, y.hash));
        }
        (Some(x), None) => reasons.push(format!("a ran scenario {}, b ran none", x.name)),
        (None, Some(y)) => reasons.push(format!("a ran no scenario, b ran {}", y.name)),
        (Some(_), Some(_)) | (None, None) => {}
    }
    reasons
}

fn notes(a: &Report, b: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if a.hash.is_some() && a.hash == b.hash {
        notes.push("Both have the same run hash: it is the same run.".to_owned());
    }
    if a.seed != b.seed {
        notes.push("The seeds differ: the two drew different users and faults.".to_owned());
    }
    if a.tool != b.tool {
        notes.push(format!("a was made by {}, b by {}.", a.tool, b.tool));
    }
    if let (Some(x), Some(y)) = (&a.host, &b.host)
        && (&x.os, &x.arch, x.cpus) != (&y.os, &y.arch, y.cpus)
    {
        notes.push(format!("The machines differ: {x}; {y}."));
    }
    notes
}

/// Joined on everything that must agree for two numbers to mean the same; a metric that changed its unit shows up
/// as one that vanished and one that appeared.
fn metric_changes(a: &[Metric], b: &[Metric]) -> Vec<MetricChange> {
    let id = |metric: &Metric| (metric.key.clone(), metric.domain, metric.unit);
    let find =
        |metrics: &[Metric], like: &Metric| metrics.iter().find(|other| id(other) == id(like)).cloned();
    let only_b = b.iter().filter(|metric| find(a, metric).is_none());
    let change = |metric: &Metric| MetricChange {
        key: metric.key.clone(),
        label: metric.label.clone(),
        unit: metric.unit,
        domain: metric.domain,
        a: find(a, metric),
        b: find(b, metric),
    };
    a.iter().chain(only_b).map(change).collect()
}

fn fact_changes(a: &[Fact], b: &[Fact]) -> Vec<FactChange> {
    let find =
        |facts: &[Fact], key: &str| facts.iter().find(|fact| fact.key == key).map(|fact| fact.value.clone());
    let only_b = b.iter().filter(|fact| find(a, &fact.key).is_none());
    let change = |fact: &Fact| FactChange {
        key: fact.key.clone(),
        label: fact.label.clone(),
        unit: fact.unit,
        a: find(a, &fact.key),
        b: find(b, &fact.key),
    };
    a.iter().chain(only_b).map(change).collect()
}

/// The facts of a report; for a gate also what it found out about each benchmark.
fn facts(report: &Report) -> Vec<Fact> {
    let contests = report.gate.iter().flat_map(|gate| gate.contests.iter().chain(&gate.controls));
    let told = contests.flat_map(|contest| {
        let title = contest.title();
        let role = format!("{:?}", contest.role).to_lowercase();
        let key = |what: &str| format!("contest.{role}.{title}.{what}");
        [
            Fact::float(
                key("ratio"),
                format!("{title}, head over base"),
                1.0 + contest.estimate,
                Unit::Ratio,
            ),
            Fact::text(key("decision"), format!("{title}, verdict"), contest.decision.to_string()),
        ]
    });
    report.facts.iter().cloned().chain(told).collect()
}

/// Joined by kind and scenario; a part without twin is said.
fn part_changes(a: &Report, b: &Report, notes: &mut Vec<String>) -> Vec<Comparison> {
    let (Some(a), Some(b)) = (&a.release, &b.release) else { return Vec::new() };
    let alone = |one: &[Report], other: &[Report], side: &str| -> Vec<String> {
        let lonely = one.iter().filter(|part| other.iter().all(|twin| !twin.is_twin_of(part)));
        lonely.map(|part| format!("Only {side} has a {}.", part.subject())).collect()
    };
    notes.extend(alone(&a.parts, &b.parts, "a"));
    notes.extend(alone(&b.parts, &a.parts, "b"));
    let pairs =
        a.parts.iter().filter_map(|part| Some((part, b.parts.iter().find(|twin| twin.is_twin_of(part))?)));
    pairs.map(|(part, twin)| compare(part, twin)).collect()
}

fn rule_changes(a: &BTreeMap<String, u64>, b: &BTreeMap<String, u64>) -> Vec<RuleChange> {
    let rules: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let count = |counts: &BTreeMap<String, u64>, rule: &String| counts.get(rule).copied().unwrap_or(0);
    rules
        .into_iter()
        .map(|rule| RuleChange { rule: rule.clone(), a: count(a, rule), b: count(b, rule) })
        .collect()
}

fn case_changes(a: &[Case], b: &[Case]) -> Vec<CaseChange> {
    let index = |cases: &[Case]| -> BTreeMap<(String, String), Outcome> {
        cases.iter().map(|case| ((case.group.clone(), case.name.clone()), case.outcome.clone())).collect()
    };
    let (a, b) = (index(a), index(b));
    let ids: BTreeSet<&(String, String)> = a.keys().chain(b.keys()).collect();
    ids.into_iter()
        .filter(|id| a.get(*id) != b.get(*id))
        .map(|id| CaseChange {
            group: id.0.clone(),
            name: id.1.clone(),
            a: a.get(id).cloned(),
            b: b.get(id).cloned(),
        })
        .collect()
}

fn quotient((a, b): (Option<u64>, Option<u64>)) -> Option<f64> {
    let (a, b) = (a?, b?);
    (a != 0).then(|| b as f64 / a as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Distribution, sample};

    fn constant(key: &str, value: u64, unit: Unit) -> Metric {
        let mut distribution = Distribution::new();
        distribution.record_n(value, 100);
        distribution.to_metric(key, key, unit, Domain::Virtual)
    }

    #[test]
    fn a_report_compared_with_itself_shows_no_change() {
        let report = sample::passing();
        let comparison = compare(&report, &report);
        assert!(comparison.is_comparable());
        assert!(comparison.cases.is_empty());
        assert_eq!(comparison.metrics.len(), report.metrics.len());
        assert!(comparison.metrics.iter().all(|change| change.ratio_p50() == Some(1.0)));
        assert!(comparison.facts.iter().all(|change| change.a == change.b));
    }

    #[test]
    fn metrics_and_facts_are_joined_by_key_and_nothing_is_dropped() {
        let (mut a, mut b) = (sample::passing(), sample::passing());
        a.metrics = vec![constant("kept", 1_000, Unit::Microseconds), constant("gone", 5, Unit::Count)];
        b.metrics = vec![constant("kept", 1_500, Unit::Microseconds), constant("gone", 5, Unit::Bytes)];
        a.facts = vec![Fact::count("users", "users", 4), Fact::count("old", "old", 1)];
        b.facts = vec![Fact::count("new", "new", 1), Fact::count("users", "users", 6)];
        let comparison = compare(&a, &b);

        let kept: Vec<_> = comparison.metrics.iter().filter(|change| change.key == "kept").collect();
        assert_eq!((kept.len(), kept[0].ratio_p50(), kept[0].ratio_p99()), (1, Some(1.5), Some(1.5)));
        assert_eq!(comparison.metrics.iter().filter(|change| change.a.is_none()).count(), 1);
        assert_eq!(comparison.metrics.iter().filter(|change| change.b.is_none()).count(), 1);

        let facts: Vec<_> =
            comparison.facts.iter().map(|change| (change.key.as_str(), change.ratio())).collect();
        assert_eq!(facts, [("users", Some(1.5)), ("old", None), ("new", None)]);
    }

    #[test]
    fn an_edited_scenario_or_another_kind_does_not_compare() {
        let (a, mut b) = (sample::passing(), sample::passing());
        b.kind = Kind::Load;
        if let Some(scenario) = &mut b.scenario {
            scenario.hash = "ffff".to_owned();
        }
        let comparison = compare(&a, &b);
        assert_eq!(comparison.verdict(), Verdict::NotComparable);
        assert_eq!(comparison.not_comparable.len(), 2);
        assert!(comparison.not_comparable[1].contains("was edited"), "{:?}", comparison.not_comparable);
        assert!(comparison.metrics.is_empty() && comparison.facts.is_empty());
    }

    #[test]
    fn rules_and_cases_that_changed_are_named() {
        let comparison = compare(&sample::passing(), &sample::failing());
        assert!(comparison.rules.contains(&RuleChange { rule: "iso.I1".to_owned(), a: 0, b: 1 }));
        let isolation = comparison.cases.iter().find(|change| change.name == "isolation");
        assert_eq!(isolation.and_then(|change| change.b.clone()), Some(Outcome::Failed));
    }
}
