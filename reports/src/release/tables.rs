//! The sections of a release report, before any format has touched them.

use super::{
    Release,
    figures::{self, Counts},
    time_key,
};
use crate::{
    Comparison, Contest, Decision, Kind, Metric, Report, Role, Sweep, Weight, gate, quantity,
    sweep::{self, Totals},
    table::{DASH, Table},
};

/// How many commits are listed; the number of all is always said.
const COMMITS_SHOWN_MAX: usize = 40;

/// How many conditions are listed, the rarest ones; the sweep's own report lists all.
const CONDITIONS_SHOWN_MAX: usize = 20;

/// A heading, what to know beforehand, and a table if there is anything to list.
#[derive(Debug)]
pub(crate) struct Section {
    /// Stable, unique on a page.
    pub(crate) id: &'static str,
    pub(crate) heading: String,
    pub(crate) note: String,
    pub(crate) table: Option<Table>,
}

/// All sections, in the order in which a reader asks.
pub(crate) fn sections(release: &Release) -> Vec<Section> {
    vec![
        goals(release),
        gaps(release),
        changes(release),
        against(release),
        latency(release),
        speed(release),
        exact(release),
        safety(release),
        reliability(release),
        seeds(release),
        memory(release),
        coverage(release),
        accepted(release),
        parts(release),
    ]
}

fn section(id: &'static str, heading: impl Into<String>, note: impl Into<String>, table: Table) -> Section {
    let table = (!table.rows.is_empty()).then_some(table);
    Section { id, heading: heading.into(), note: note.into(), table }
}

fn goals(release: &Release) -> Section {
    let row = |goal: &super::Goal| {
        vec![goal.what.clone(), goal.place.clone(), goal.wanted(), goal.found(), goal.outcome().to_owned()]
    };
    let table = Table::new(
        &["Goal", "Measured in", "#Asked for", "#Found", "Outcome"],
        release.goals.iter().map(row).collect(),
    );
    let note = "An error is a run that did not go as planned, a connection refused or lost, or a message unsent; \
                its rate is taken among all runs and connections. Failures that a scenario plans are no errors.";
    section("goals", "Goals", note, table)
}

fn gaps(release: &Release) -> Section {
    let rows = |gaps: &[super::Gap], counts: &str| -> Vec<Vec<String>> {
        gaps.iter().map(|gap| vec![gap.what.clone(), counts.to_owned(), gap.why.clone()]).collect()
    };
    let mut all = rows(&release.missing, "missing");
    all.extend(rows(&release.left_out, "left out"));
    let note = if all.is_empty() {
        "Everything that a release needs was measured."
    } else {
        "What is missing makes the release incomplete; what is left out was left out on purpose."
    };
    section("gaps", "Not measured", note, Table::new(&["What", "Counts as", "Why"], all))
}

fn changes(release: &Release) -> Section {
    let changes = &release.changes;
    let mut note = format!("From {} to {}", release.since, release.head);
    match &changes.unknown {
        Some(why) => note.push_str(&format!(": not known, {why}.")),
        None => {
            note.push_str(&format!(": {} commits", quantity::grouped(changes.commits_total)));
            if !changes.extent.is_empty() {
                note.push_str(&format!(", {}", changes.extent));
            }
            if changes.commits_total > COMMITS_SHOWN_MAX as u64 {
                note.push_str(&format!("; the newest {COMMITS_SHOWN_MAX} are listed"));
            }
            note.push('.');
        }
    }
    let shown = changes.commits.iter().take(COMMITS_SHOWN_MAX);
    let rows = shown.map(|commit| vec![commit.hash.clone(), commit.subject.clone()]).collect();
    section(
        "changes",
        format!("What changed since {}", release.since),
        note,
        Table::new(&["Commit", "Subject"], rows),
    )
}

fn against(release: &Release) -> Section {
    let mut rows = Vec::new();
    let (mut same, mut all) = (0, 0);
    for comparison in &release.against {
        let name = part_name(comparison);
        for obstacle in &comparison.not_comparable {
            rows.push(vec![
                name.clone(),
                format!("not comparable: {obstacle}"),
                DASH.into(),
                DASH.into(),
                DASH.into(),
                DASH.into(),
                DASH.into(),
                DASH.into(),
            ]);
        }
        for change in &comparison.metrics {
            all += 1;
            if change.p50().0 == change.p50().1 && change.p99().0 == change.p99().1 {
                same += 1;
                continue;
            }
            let shown = |value: Option<u64>| value.map_or(DASH.to_owned(), |value| change.unit.sample(value));
            let ratio = |ratio: Option<f64>| ratio.map_or(DASH.to_owned(), |ratio| format!("×{ratio:.3}"));
            rows.push(vec![
                name.clone(),
                change.label.clone(),
                shown(change.p50().0),
                shown(change.p50().1),
                ratio(change.ratio_p50()),
                shown(change.p99().0),
                shown(change.p99().1),
                ratio(change.ratio_p99()),
            ]);
        }
    }
    let heading = format!("Against the reports of {}", release.since);
    let note = if release.against.is_empty() {
        format!("No report of {} was found, so there is nothing to compare with.", release.since)
    } else {
        format!(
            "{same} of {all} distributions have the same median and 99th percentile; the others are listed. In virtual \
             time every difference is real; on the wall clock the gate decides, not this table."
        )
    };
    let titles = [
        "Part",
        "Metric",
        "#p50 before",
        "#p50 now",
        "#now/before",
        "#p99 before",
        "#p99 now",
        "#now/before",
    ];
    section("against", heading, note, Table::new(&titles, rows))
}

fn part_name(comparison: &Comparison) -> String {
    comparison.b.scenario.as_ref().map_or_else(
        || comparison.b.kind.to_string(),
        |scenario| format!("{scenario}, {}", comparison.b.kind),
    )
}

fn latency(release: &Release) -> Section {
    let shown = |metric: Option<&Metric>, quantile: f64| {
        metric.filter(|metric| metric.supports(quantile)).map_or(DASH.to_owned(), |metric| {
            metric.unit.sample(if quantile > 0.95 { metric.p99 } else { metric.p50 })
        })
    };
    let row = |part: &Report| {
        let of = |key: &str| figures::metric(part, key);
        let (first, answer, event) = (of("first_event"), of("answer"), of("event_latency"));
        let clock = part.metrics.first().map_or(DASH, |metric| metric.domain.label());
        vec![
            figures::name(part),
            clock.to_owned(),
            shown(first, 0.5),
            shown(first, 0.99),
            shown(event, 0.5),
            shown(event, 0.99),
            shown(answer, 0.5),
            shown(answer, 0.99),
        ]
    };
    let rows = played(release).map(row).collect();
    let titles =
        ["Scenario", "Clock", "#first event p50", "#p99", "#event p50", "#p99", "#whole run p50", "#p99"];
    let note = "From the message to its first event, from an event made to an event received, from the message to the \
                end of its run. The length of a run is the agent's and the tools' doing.";
    section("latency", "Latency by scenario", note, Table::new(&titles, rows))
}

fn speed(release: &Release) -> Section {
    let gates: Vec<&gate::Gate> = release.parts.iter().filter_map(|part| part.gate.as_deref()).collect();
    let note = match gates.first() {
        Some(gate) => format!(
            "{} against {}, measured in turns on one machine. A benchmark fails when the evidence that it is slower by \
             more than its limit reaches the threshold, and passes when the evidence for the opposite does. The \
             probability of a wrong accusation is at most {} over all of them together.",
            short(&gate.head.commit),
            short(&gate.base.commit),
            quantity::share(gate.rules.alpha)
        ),
        None => "Not measured; see above.".to_owned(),
    };
    section("speed", format!("Speed against {}", release.since), note, contest_table(release))
}

/// Benchmarks with verdict, estimate and evidence.
fn contest_table(release: &Release) -> Table {
    let row = |contest: &Contest| {
        let time = match release.times_ns.get(&time_key(contest)) {
            Some([base, head]) if base.is_finite() && head.is_finite() => format!("{base:.0} → {head:.0} ns"),
            Some(_) | None => DASH.to_owned(),
        };
        let verdict = match (contest.role, contest.decision) {
            (Role::MustPass, Decision::Pass) | (Role::MustFail, Decision::Fail) => "as it must".to_owned(),
            (Role::MustPass | Role::MustFail, decision) => format!("{decision}: the run is invalid"),
            (Role::Reported, decision) => format!("{decision}, shown only"),
            (Role::Gated, decision) => decision.to_string(),
        };
        let name = match contest.role {
            Role::MustPass => format!("control, base against itself: {}", contest.title()),
            Role::MustFail => format!("control, 10 % more work: {}", contest.title()),
            Role::Gated | Role::Reported => contest.title(),
        };
        vec![
            name,
            verdict,
            contest.estimated(),
            format!("{:+.0} %", (contest.limit - 1.0) * 100.0),
            contest.epochs.len().to_string(),
            evidence(contest.ln_e_fail.last(), contest.fail_at),
            evidence(contest.ln_e_pass.last(), contest.pass_at),
            time,
        ]
    };
    let titles = [
        "Benchmark",
        "Verdict",
        "#Change [interval]",
        "#Limit",
        "#Epochs",
        "#Evidence slower",
        "#Evidence not",
        "#Time per unit",
    ];
    Table::new(&titles, super::contests(&release.parts).map(row).collect())
}

/// A commit as people write it; anything else as it is.
fn short(commit: &str) -> &str {
    let is_hash = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { &commit[..10] } else { commit }
}

/// `2,184 of 100`: how strong the evidence is, and what it takes.
fn evidence(ln_e: Option<&f64>, at: f64) -> String {
    let ln_e = ln_e.copied().unwrap_or(0.0);
    // Beyond that, digits say nothing any more.
    let shown = if ln_e < 20.0 {
        quantity::grouped(ln_e.exp().round() as u64)
    } else {
        format!("10^{:.0}", ln_e / std::f64::consts::LN_10)
    };
    format!("{shown} of {at:.0}")
}

fn exact(release: &Release) -> Section {
    let gates: Vec<&gate::Gate> = release.parts.iter().filter_map(|part| part.gate.as_deref()).collect();
    let row = |difference: &gate::Difference| {
        let weight = match difference.weight {
            Weight::Regression => "regression",
            Weight::Accepted => "accepted",
            Weight::Improvement => "better",
            Weight::Note => "to know",
        };
        let [what, base, head, detail] =
            [&difference.what, &difference.base, &difference.head, &difference.detail].map(Clone::clone);
        vec![what, base, head, detail, weight.to_owned()]
    };
    let rows: Vec<Vec<String>> = gates.iter().flat_map(|gate| &gate.exact.differences).map(row).collect();
    let is_counted = gates.iter().any(|gate| !gate.exact.head.is_null());
    let note = match (is_counted, rows.is_empty()) {
        (false, _) => "Not measured; see above.",
        (true, true) => {
            "Hops, queue waits, copied bytes, allocations and virtual latencies are the same on both sides."
        }
        (true, false) => {
            "Hops, queue waits, copied bytes, allocations, virtual latencies: numbers that need no clock and have no noise."
        }
    };
    section(
        "exact",
        "Numbers that need no clock",
        note,
        Table::new(&["What", "Before", "Now", "Difference", "Counts as"], rows),
    )
}

fn safety(release: &Release) -> Section {
    let row = |part: &Report| {
        let counts = Counts::of(part)?;
        let numbers = [counts.leaks, counts.order, counts.delivery, counts.runs].map(quantity::grouped);
        Some([vec![figures::name(part), part.kind.to_string()], numbers.to_vec()].concat())
    };
    let titles = ["Scenario", "Run", "#Leaks", "#Out of order", "#Lost or doubled", "#Runs watched"];
    let note = "A leak is anything of one user that reaches, or is caused by, another. The same checkers watch virtual \
                time and real sockets.";
    section(
        "safety",
        "Leaks, order, delivery",
        note,
        Table::new(&titles, played(release).filter_map(row).collect()),
    )
}

fn reliability(release: &Release) -> Section {
    let row = |part: &Report| {
        let counts = Counts::of(part)?;
        let full = figures::fact(part, "full_golden").map_or(DASH.to_owned(), |value| value.shown(None));
        Some(vec![
            figures::name(part),
            part.kind.to_string(),
            quantity::grouped(counts.runs),
            quantity::share(counts.reliability()),
            full,
            quantity::grouped(counts.errors()),
            quantity::share(counts.error_rate()),
        ])
    };
    let titles = ["Scenario", "Run", "#Runs", "#As planned", "#All five events", "#Errors", "#Error rate"];
    let note = "A run goes as planned when every tab of its user saw exactly the events that its script makes, in \
                order. Scripts without tools have fewer than five kinds of events.";
    section(
        "reliability",
        "Golden-path reliability",
        note,
        Table::new(&titles, played(release).filter_map(row).collect()),
    )
}

fn seeds(release: &Release) -> Section {
    let heading = "Many seeds, and what they came across";
    let Some(sweep) = release.parts.iter().find_map(|part| part.sweep.as_deref()) else {
        return section("seeds", heading, "Not measured; see above.", Table::new(&[], Vec::new()));
    };
    let mut table = sweep::conditions(sweep);
    table.rows.truncate(CONDITIONS_SHOWN_MAX);
    section("seeds", heading, swept(sweep), table)
}

fn swept(sweep: &Sweep) -> String {
    let met = sweep.conditions.len() - sweep.unmet().count();
    let listed =
        if sweep.conditions.len() > CONDITIONS_SHOWN_MAX { "the rarest are listed" } else { "listed" };
    let Totals { seeds, failing, users, runs, .. } = sweep.totals;
    let [seeds, failing, users, runs] = [seeds, failing, users, runs].map(quantity::grouped);
    format!(
        "{seeds} seeds, each a scenario of its own, with {users} users and {runs} runs in all; {failing} of \
         them broke a rule. {met} of {} conditions that must come up sometimes did ({listed}), and {} of {} \
         combinations of what a run was at, what came, and what was wrong meanwhile.",
        sweep.conditions.len(),
        quantity::grouped(sweep.triples.met.len() as u64),
        quantity::grouped(sweep.triples.possible),
    )
}

fn memory(release: &Release) -> Section {
    let row = |part: &Report| {
        let shown = |key: &str| {
            part.facts.iter().find(|fact| fact.key == key).map_or(DASH.to_owned(), crate::Fact::shown)
        };
        let has = figures::fact(part, "server_memory_peak").is_some();
        has.then(|| {
            vec![
                figures::name(part),
                shown("server_memory_start"),
                shown("server_memory_peak"),
                shown("users"),
                shown("connections"),
            ]
        })
    };
    let rows: Vec<Vec<String>> = played(release).filter_map(row).collect();
    let note = if rows.is_empty() {
        "Not measured: no load test with a server of its own is among the reports, or its system does not tell."
    } else {
        "Resident memory of the server's process in the load test. What an idle connection costs is measured by \
         benches/idle_memory.py."
    };
    let titles = ["Load", "#At start", "#Most", "#Users", "#Connections opened"];
    section("memory", "Memory", note, Table::new(&titles, rows))
}

fn coverage(release: &Release) -> Section {
    let mut rows = Vec::new();
    for part in release.parts.iter().filter(|part| part.kind == Kind::Conformance) {
        for case in &part.cases {
            rows.push(vec![
                "conformance".to_owned(),
                case.name.clone(),
                case.outcome.label().to_owned(),
                case.detail.clone(),
            ]);
        }
    }
    for part in played(release) {
        let summary = crate::table::cases_summary(&part.cases);
        rows.push(vec![part.kind.to_string(), figures::name(part), part.verdict.to_string(), summary]);
    }
    for gap in &release.left_out {
        rows.push(vec!["left out".to_owned(), gap.what.clone(), DASH.to_owned(), gap.why.clone()]);
    }
    section("coverage", "Coverage", "", Table::new(&["Run", "What", "Outcome", "Detail"], rows))
}

fn accepted(release: &Release) -> Section {
    let rows = release
        .accepted
        .iter()
        .map(|entry| vec![entry.what.clone(), entry.value.clone(), entry.reason.clone()])
        .collect();
    let note = if release.accepted.is_empty() {
        "None is declared since the last release."
    } else {
        "Declared as part of a change, and seen by its reviewer."
    };
    section("accepted", "Known, accepted regressions", note, Table::new(&["What", "Accepted", "Why"], rows))
}

fn parts(release: &Release) -> Section {
    let row = |part: &Report| {
        vec![
            part.subject(),
            part.verdict.to_string(),
            part.tool.to_string(),
            part.hash.clone().unwrap_or_default(),
            part.replay.clone().unwrap_or_default(),
        ]
    };
    let rows = release.parts.iter().map(row).collect();
    section(
        "parts",
        "Every report",
        "What this page rests on, and how to see it again.",
        Table::new(&["Report", "Verdict", "Made by", "Run hash", "Repeat it"], rows),
    )
}

/// Simulations, then load tests.
pub(super) fn played(release: &Release) -> impl Iterator<Item = &Report> {
    let of = |kind: Kind| release.parts.iter().filter(move |part| part.kind == kind);
    of(Kind::Simulation).chain(of(Kind::Load))
}
