//! The tables that every rendering shows, before any format has touched them.

use crate::{Case, Comparison, Domain, Fact, Finding, Metric, Outcome, Report, Unit, quantity};

/// What stands where there is nothing to say.
pub(crate) const DASH: &str = "–";

/// Up to this many findings need no count per rule.
const COUNTED_BY_EYE_MAX: u64 = 10;

/// A table of unescaped cells.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<String>>,
}

#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) is_number: bool,
}

impl Table {
    /// A column whose title starts with `#` holds numbers and is aligned right.
    pub(crate) fn new(titles: &[&'static str], rows: Vec<Vec<String>>) -> Table {
        let column = |title: &&'static str| match title.strip_prefix('#') {
            Some(title) => Column { title, is_number: true },
            None => Column { title, is_number: false },
        };
        Table { columns: titles.iter().map(column).collect(), rows }
    }
}

/// What names the run: pairs of label and value.
pub(crate) fn identity(report: &Report) -> Vec<(&'static str, String)> {
    let mut pairs = vec![("made by", report.tool.to_string())];
    if let Some(scenario) = &report.scenario {
        if !scenario.about.is_empty() {
            pairs.push(("about", scenario.about.clone()));
        }
        pairs.push(("scenario hash", scenario.hash.clone()));
    }
    pairs.extend(report.seed.map(|seed| ("seed", seed.to_string())));
    pairs.extend(report.hash.clone().map(|hash| ("run hash", hash)));
    pairs.extend(report.host.as_ref().map(|host| ("machine", host.to_string())));
    pairs
}

pub(crate) fn facts(facts: &[Fact]) -> Table {
    let rows = facts.iter().map(|fact| vec![fact.label.clone(), fact.shown()]).collect();
    Table::new(&["Fact", "#Value"], rows)
}

/// The metrics of each clock that has any, virtual time first.
pub(crate) fn by_domain(metrics: &[Metric]) -> Vec<(Domain, Vec<&Metric>)> {
    [Domain::Virtual, Domain::Wall]
        .into_iter()
        .map(|domain| (domain, metrics.iter().filter(|metric| metric.domain == domain).collect::<Vec<_>>()))
        .filter(|(_, metrics)| !metrics.is_empty())
        .collect()
}

/// A quantile without a sample beyond it is a dash: the maximum beside it says the same and says it honestly.
pub(crate) fn metrics(metrics: &[&Metric]) -> Table {
    let row = |metric: &&Metric| {
        let shown = |value: u64, known: bool| if known { metric.unit.sample(value) } else { DASH.to_owned() };
        let some = metric.count > 0;
        vec![
            metric.label.clone(),
            quantity::grouped(metric.count),
            shown(metric.min, some),
            shown(metric.p50, some),
            shown(metric.p90, metric.supports(0.9)),
            shown(metric.p99, metric.supports(0.99)),
            shown(metric.p999, metric.supports(0.999)),
            shown(metric.max, some),
        ]
    };
    let titles = ["Metric", "#samples", "#min", "#p50", "#p90", "#p99", "#p99.9", "#max"];
    Table::new(&titles, metrics.iter().map(row).collect())
}

pub(crate) fn findings(findings: &[Finding]) -> Table {
    let row = |finding: &Finding| {
        vec![
            finding.rule.clone(),
            quantity::exact_seconds(finding.at_us),
            finding.checker.clone(),
            finding.detail.clone(),
            finding.subject(),
        ]
    };
    Table::new(&["Rule", "#At", "Checker", "Detail", "Concerns"], findings.iter().map(row).collect())
}

/// `1,204 findings, the first 50 shown`, or just how many there are.
pub(crate) fn findings_summary(report: &Report, shown_max: usize) -> String {
    // A report filled by hand may not have counted.
    let total = report.findings_total.max(report.findings.len() as u64);
    let shown = report.findings.len().min(shown_max);
    let noun = if total == 1 { "finding" } else { "findings" };
    let count = quantity::grouped(total);
    if shown as u64 == total { format!("{count} {noun}") } else { format!("{count} {noun}, {shown} shown") }
}

/// How often each rule was broken; `None` if the findings are few enough to be counted by eye.
pub(crate) fn rules(report: &Report) -> Option<Table> {
    if report.findings_total <= COUNTED_BY_EYE_MAX {
        return None;
    }
    let row = |(rule, count): (&String, &u64)| vec![rule.clone(), quantity::grouped(*count)];
    Some(Table::new(&["Rule", "#Findings"], report.findings_by_rule.iter().map(row).collect()))
}

pub(crate) fn cases<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Table {
    let row = |case: &Case| {
        let detail = match &case.outcome {
            Outcome::Skipped(reason) => reason.clone(),
            Outcome::Passed | Outcome::Failed | Outcome::Errored => case.detail.clone(),
        };
        vec![case.group.clone(), case.name.clone(), case.outcome.label().to_owned(), detail]
    };
    Table::new(&["Group", "Check", "Outcome", "Detail"], cases.into_iter().map(row).collect())
}

/// `12 checks: 10 passed, 1 failed, 1 skipped`.
pub(crate) fn cases_summary(cases: &[Case]) -> String {
    let noun = if cases.len() == 1 { "check" } else { "checks" };
    let parts: Vec<String> = ["passed", "failed", "error", "skipped"]
        .into_iter()
        .map(|label| (label, cases.iter().filter(|case| case.outcome.label() == label).count()))
        .filter(|&(_, count)| count > 0)
        .map(|(label, count)| format!("{} {label}", quantity::grouped(count as u64)))
        .collect();
    format!("{} {noun}: {}", quantity::grouped(cases.len() as u64), parts.join(", "))
}

/// The non-empty tables of a comparison, each with its heading.
pub(crate) fn comparison(comparison: &Comparison) -> Vec<(&'static str, Table)> {
    let tables = [
        ("Metrics", metric_changes(comparison)),
        ("Facts", fact_changes(comparison)),
        ("Findings", rule_changes(comparison)),
        ("Checks that changed", case_changes(comparison)),
    ];
    tables.into_iter().filter(|(_, table)| !table.rows.is_empty()).collect()
}

/// What names the two sides.
pub(crate) fn sides(comparison: &Comparison) -> Table {
    let row = |name: &str, side: &crate::Side| {
        vec![
            name.to_owned(),
            side.kind.to_string(),
            side.scenario.clone().unwrap_or_default(),
            side.seed.map_or(String::new(), |seed| seed.to_string()),
            side.verdict.to_string(),
            side.tool.clone(),
            side.hash.clone().unwrap_or_default(),
        ]
    };
    let rows = vec![row("a", &comparison.a), row("b", &comparison.b)];
    Table::new(&["Side", "Kind", "Scenario", "#Seed", "Verdict", "Made by", "Run hash"], rows)
}

/// What a part of a release is called, and how it did on both sides.
pub(crate) fn part_heading(part: &Comparison) -> String {
    let name = part.a.scenario.as_ref().map_or_else(String::new, |scenario| format!(" of {scenario}"));
    format!("{}{name}: {}, then {}", part.a.kind, part.a.verdict, part.b.verdict)
}

fn metric_changes(comparison: &Comparison) -> Table {
    let row = |change: &crate::MetricChange| {
        let shown = |value: Option<u64>| value.map_or(DASH.to_owned(), |value| change.unit.sample(value));
        let (p50, p99) = (change.p50(), change.p99());
        vec![
            change.label.clone(),
            change.domain.label().to_owned(),
            shown(p50.0),
            shown(p50.1),
            ratio(change.ratio_p50()),
            shown(p99.0),
            shown(p99.1),
            ratio(change.ratio_p99()),
        ]
    };
    let titles = ["Metric", "Clock", "#p50 a", "#p50 b", "#b/a", "#p99 a", "#p99 b", "#b/a"];
    Table::new(&titles, comparison.metrics.iter().map(row).collect())
}

fn fact_changes(comparison: &Comparison) -> Table {
    let row = |change: &crate::FactChange| {
        let unit = change.unit.or(Some(Unit::Count));
        let shown =
            |value: &Option<crate::Value>| value.as_ref().map_or(DASH.to_owned(), |value| value.shown(unit));
        let note = if change.a == change.b { "same".to_owned() } else { ratio(change.ratio()) };
        vec![change.label.clone(), shown(&change.a), shown(&change.b), note]
    };
    Table::new(&["Fact", "#a", "#b", "#b/a"], comparison.facts.iter().map(row).collect())
}

fn rule_changes(comparison: &Comparison) -> Table {
    let row = |change: &crate::RuleChange| {
        let note = match (change.a, change.b) {
            (0, _) => "appeared",
            (_, 0) => "vanished",
            (a, b) if a == b => "same",
            _ => "",
        };
        vec![change.rule.clone(), quantity::grouped(change.a), quantity::grouped(change.b), note.to_owned()]
    };
    Table::new(&["Rule", "#a", "#b", ""], comparison.rules.iter().map(row).collect())
}

fn case_changes(comparison: &Comparison) -> Table {
    let shown = |outcome: &Option<Outcome>| outcome.as_ref().map_or(DASH, Outcome::label).to_owned();
    let row = |change: &crate::CaseChange| {
        vec![change.group.clone(), change.name.clone(), shown(&change.a), shown(&change.b)]
    };
    Table::new(&["Group", "Check", "a", "b"], comparison.cases.iter().map(row).collect())
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or(DASH.to_owned(), |ratio| format!("×{ratio:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Distribution;

    #[test]
    fn a_quantile_that_the_samples_do_not_support_is_a_dash() {
        let mut distribution = Distribution::new();
        distribution.record_n(7, 150);
        let metric = distribution.to_metric("k", "l", Unit::Count, Domain::Virtual);
        let none = Distribution::new().to_metric("k", "l", Unit::Count, Domain::Virtual);
        let table = metrics(&[&metric, &none]);
        assert_eq!(table.rows[0], ["l", "150", "7", "7", "7", "7", DASH, "7"]);
        assert_eq!(table.rows[1], ["l", "0", DASH, DASH, DASH, DASH, DASH, DASH]);
    }
}
