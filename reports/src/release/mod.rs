//! Everything a release rests on, joined into one report with one verdict.
//!
//! Whoever ran or read the parts hands them over; here they are judged. Nothing that a release needs can be missing in
//! silence: what was not measured is named with its reason, and makes the release incomplete.

mod figures;
mod goals;
mod page;
mod tables;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Accepted, Case, Comparison, Contest, Fact, Kind, Outcome, Report, Tool, Value, Verdict, compare,
};

pub use self::goals::{Goal, Measured};
pub(crate) use self::{
    page::sections as page_sections,
    tables::{Section, sections},
};

/// The kinds of run that a release needs, and what each is called when it is missing.
const NEEDED: [(Kind, &str); 5] = [
    (Kind::Simulation, "scenarios in virtual time"),
    (Kind::Sweep, "many seeds of the swarm"),
    (Kind::Load, "load over real sockets"),
    (Kind::Conformance, "conformance with recorded behaviour"),
    (Kind::Gate, "speed against the last release"),
];

/// The metrics whose quantiles are drawn for each scenario: what the router answers for.
const PLOTTED: [&str; 4] = ["first_event", "event_latency", "resume", "fan_out_last"];

/// What a release report holds beside what every report has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// The last release, as it was named: usually a tag.
    pub since: String,
    /// What is to be released, usually a commit.
    pub head: String,
    /// What changed in between.
    pub changes: Changes,
    /// What was to be reached, and what was.
    pub goals: Vec<Goal>,
    /// The reports that all this rests on, cut down to what a release shows: their own files hold timelines, findings,
    /// distributions and raw times.
    pub parts: Vec<Report>,
    /// Median time per unit of base and head, nanoseconds, by role and title of each contest of the gate.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub times_ns: BTreeMap<String, [f64; 2]>,
    /// Each part beside its twin of the last release, if there is one.
    pub against: Vec<Comparison>,
    /// What the release needs and nobody measured: it is incomplete.
    pub missing: Vec<Gap>,
    /// What was left out on purpose.
    pub left_out: Vec<Gap>,
    /// Costs that the changes since the last release declare as accepted.
    pub accepted: Vec<Accepted>,
}

/// What lies between the last release and this one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// How many commits.
    pub commits_total: u64,
    /// The newest of them.
    pub commits: Vec<Commit>,
    /// How many files, lines added and lines removed, in words; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub extent: String,
    /// Why nothing is known about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its hash, shortened.
    pub hash: String,
    /// The first line of its message.
    pub subject: String,
}

/// Something that is not there, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// What was run or read for a release, before it is judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    /// See [`Release::since`].
    pub since: String,
    /// See [`Release::head`].
    pub head: String,
    /// See [`Release::changes`].
    pub changes: Changes,
    /// The reports, in the order to show them.
    pub parts: Vec<Report>,
    /// The reports of the last release; a release report stands for its parts.
    pub before: Vec<Report>,
    /// See [`Release::missing`]. A kind of run that is neither here nor among the parts is added.
    pub missing: Vec<Gap>,
    /// See [`Release::left_out`].
    pub left_out: Vec<Gap>,
    /// See [`Release::accepted`]; what a gate's report declares is added.
    pub accepted: Vec<Accepted>,
}

impl Gap {
    /// Something that is not there, and why.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Gap {
        Gap { what: what.into(), why: why.into() }
    }
}

/// Judges a release. Its verdict is the worst of its parts and goals; with something missing it is at least
/// [`Verdict::Inconclusive`]. In words: release, do not release, or incomplete.
pub fn release(tool: Tool, collected: Collected) -> Report {
    let Collected { since, head, changes, parts, before, mut missing, left_out, mut accepted } = collected;
    for (kind, what) in NEEDED {
        if parts.iter().all(|part| part.kind != kind) && missing.iter().all(|gap| gap.what != what) {
            missing.push(Gap::new(what, "no report was given and nothing was run"));
        }
    }
    let gates = parts.iter().filter_map(|part| part.gate.as_deref());
    for entry in gates.flat_map(|gate| &gate.accepted) {
        if !accepted.contains(entry) {
            accepted.push(entry.clone());
        }
    }
    let goals = goals::goals(&parts);

    let mut report = Report::new(tool, Kind::Release);
    for part in &parts {
        take(&mut report, part);
    }
    for goal in &goals {
        report.cases.push(goal.case());
        if let Some((verdict, reason)) = goal.judged() {
            report.judge(verdict, reason);
        }
    }
    for gap in &missing {
        report.cases.push(Case::skipped("release", gap.what.clone(), gap.why.clone()));
        report.judge(Verdict::Inconclusive, format!("Not measured: {}, because {}.", gap.what, gap.why));
    }
    if report.verdict == Verdict::Pass {
        // Its kind of run is there, and still it counted nothing.
        for goal in goals.iter().filter(|goal| goal.holds().is_none()) {
            let reason = format!("Not measured: {} ({}): its report does not tell.", goal.what, goal.place);
            report.judge(Verdict::Inconclusive, reason);
        }
    }
    if report.reasons.is_empty() {
        report.reasons.push(format!(
            "All {} reports pass and all {} goals are reached.",
            parts.len(),
            goals.len()
        ));
    }
    report.host = parts.iter().find_map(|part| part.host.clone());
    report.facts = facts(&parts, &goals, &changes, &missing);
    let against = against(&parts, &before);
    let times_ns = contests(&parts).map(|contest| (time_key(contest), contest.per_unit_ns())).collect();
    let parts = parts.into_iter().map(condensed).collect();
    let release =
        Release { since, head, changes, goals, parts, times_ns, against, missing, left_out, accepted };
    report.release = Some(Box::new(release));
    report
}

/// The name of what is missing when there is no run of `kind`.
pub fn needed(kind: Kind) -> &'static str {
    NEEDED.iter().find(|(needed, _)| *needed == kind).map_or("a report", |(_, what)| what)
}

/// The word for a release's verdict.
pub(crate) fn headline(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "release",
        Verdict::Inconclusive | Verdict::NotComparable => "incomplete",
        Verdict::Findings
        | Verdict::IsolationBreach
        | Verdict::Regression
        | Verdict::ReplayDiverged
        | Verdict::TraceAltered
        | Verdict::Unreached
        | Verdict::Error => "do not release",
    }
}

/// What that word means.
pub(crate) fn meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "everything that a release needs was measured and holds",
        Verdict::Inconclusive => "nothing is proven to be wrong, but not everything was measured or decided",
        Verdict::NotComparable => {
            "nothing is proven to be wrong, but speed cannot be compared with the last release"
        }
        Verdict::Findings => "a checker found a violation, or a goal is missed",
        Verdict::IsolationBreach => "something of one user crossed to another",
        Verdict::Regression => "it is slower than the last release, and that is proven",
        Verdict::ReplayDiverged => "a run, repeated, did something else",
        Verdict::TraceAltered => "a recorded run is not as it was written",
        Verdict::Unreached => "a condition that must be met never was",
        Verdict::Error => "a run that the release rests on could not be carried out",
    }
}

/// Lets one part speak: its verdict, its findings, and the checks that have a meaning of their own in a release.
fn take(report: &mut Report, part: &Report) {
    let subject = part.subject();
    let outcome = match part.verdict {
        Verdict::Pass => Outcome::Passed,
        Verdict::Inconclusive | Verdict::NotComparable | Verdict::Error => Outcome::Errored,
        Verdict::Findings
        | Verdict::IsolationBreach
        | Verdict::Regression
        | Verdict::ReplayDiverged
        | Verdict::TraceAltered
        | Verdict::Unreached => Outcome::Failed,
    };
    report.cases.push(Case::new("release", subject.clone(), outcome, part.reasons.join("\n")));
    if matches!(part.kind, Kind::Gate | Kind::Conformance) {
        report.cases.extend(part.cases.iter().cloned());
    }
    if part.verdict != Verdict::Pass {
        let why = match part.reasons.as_slice() {
            [] => part.verdict.meaning().to_owned(),
            [only] => only.clone(),
            [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
        };
        report.judge(part.verdict, format!("{} ({}): {why}", capitalised(&subject), part.verdict));
    }
    let counted = report.findings_total;
    for finding in &part.findings {
        let mut finding = finding.clone();
        if let Some(scenario) = &part.scenario {
            finding.detail = format!("{}: {}", scenario.name, finding.detail);
        }
        report.push_finding(finding);
    }
    // The part may have counted more than it kept.
    report.findings_total = counted + part.findings_total.max(part.findings.len() as u64);
    let mut kept: BTreeMap<&str, u64> = BTreeMap::new();
    part.findings.iter().for_each(|finding| *kept.entry(&finding.rule).or_default() += 1);
    for (rule, count) in &part.findings_by_rule {
        let more = count.saturating_sub(kept.get(rule.as_str()).copied().unwrap_or(0));
        *report.findings_by_rule.entry(rule.clone()).or_default() += more;
    }
}

/// The numbers on top of the page: those a person who signs a release asks for first.
fn facts(parts: &[Report], goals: &[Goal], changes: &Changes, missing: &[Gap]) -> Vec<Fact> {
    let mut facts = Vec::new();
    let reached = goals.iter().filter(|goal| goal.holds() == Some(true)).count();
    facts.push(Fact::text("goals", "goals reached", format!("{reached} of {}", goals.len())));
    facts.extend(goals.iter().filter_map(Goal::fact));
    if changes.unknown.is_none() {
        facts.push(Fact::count("commits", "commits since", changes.commits_total));
    }
    let scenarios = parts.iter().filter(|part| part.kind == Kind::Simulation).count();
    facts.push(Fact::count("scenarios", "scenarios played", scenarios as u64));
    facts.push(Fact::count("missing", "not measured", missing.len() as u64));
    facts
}

/// Every part beside its twin among the earlier reports.
fn against(parts: &[Report], before: &[Report]) -> Vec<Comparison> {
    let before: Vec<&Report> = before
        .iter()
        .flat_map(|report| match &report.release {
            Some(release) => release.parts.iter().collect(),
            None => vec![report],
        })
        .collect();
    let twin = |part: &Report| before.iter().copied().find(|other| other.is_twin_of(part));
    parts.iter().filter_map(|part| Some(compare(&stripped(twin(part)?), &stripped(part)))).collect()
}

/// Without what only the part's own report needs to hold.
fn condensed(mut part: Report) -> Report {
    part.timelines.clear();
    part.findings.clear();
    for metric in &mut part.metrics {
        metric.buckets.clear();
        if !PLOTTED.contains(&metric.key.as_str()) {
            metric.quantiles.clear();
        }
    }
    if part.kind == Kind::Conformance {
        // A reason for every single case that cannot be expressed.
        part.facts.retain(|fact| !matches!(fact.value, Value::Text(_)));
    }
    if let Some(gate) = &mut part.gate {
        // Null says that nothing was counted, and must go on saying so.
        for counted in [&mut gate.exact.base, &mut gate.exact.head] {
            if !counted.is_null() {
                *counted = serde_json::Value::Object(serde_json::Map::new());
            }
        }
        let contests = gate.contests.iter_mut().chain(&mut gate.controls);
        contests.flat_map(|contest| &mut contest.epochs).for_each(|epoch| epoch.quads.clear());
    }
    part
}

/// Without what a comparison does not show.
fn stripped(part: &Report) -> Report {
    let mut part = condensed(part.clone());
    part.metrics.iter_mut().for_each(|metric| metric.quantiles.clear());
    part
}

/// All contests of all gates, those that judge first.
fn contests(parts: &[Report]) -> impl Iterator<Item = &Contest> {
    let gates = || parts.iter().filter_map(|part| part.gate.as_deref());
    gates().flat_map(|gate| &gate.contests).chain(gates().flat_map(|gate| &gate.controls))
}

fn time_key(contest: &Contest) -> String {
    format!("{:?} {}", contest.role, contest.title())
}

pub(crate) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
