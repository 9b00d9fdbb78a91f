//! From what the workers brought home to one report.

use reports::{
    Case, Domain, Fact, Finding, Host, Kind, Metric, Outcome as CaseOutcome, Report, ScenarioRef, Tool, Unit,
    Verdict,
};
use simulator::{
    checkers::{Counts, JourneyTimes},
    plan::{Plan, Summary},
    projection::Projection,
    scenario::Expect,
};

use super::{LoadError, LoadOptions, LoadResult, ledger::Ledger, target::Address, worker::Outcome};

/// The target took TCP connections and not one user.
pub(super) fn nobody_connected(outcomes: &[Outcome], address: &Address) -> Option<LoadError> {
    let connected: u64 = outcomes.iter().map(|outcome| outcome.checkers.ledger().counts.connections).sum();
    let attempts = outcomes.iter().map(|outcome| outcome.ledger.connects_failed).sum();
    let error = outcomes.iter().find_map(|outcome| outcome.ledger.first_failure.clone())?;
    (connected == 0).then(|| LoadError::Refused { url: address.url.clone(), error, attempts })
}

pub(super) fn result(
    options: &LoadOptions,
    plan: &Plan,
    planned: &Summary,
    host: Host,
    outcomes: Vec<Outcome>,
) -> LoadResult {
    let mut report = Report::new(Tool::new("goldenpath", env!("CARGO_PKG_VERSION")), Kind::Load);
    let scenario = plan.scenario();
    report.scenario = Some(ScenarioRef {
        name: scenario.name.clone(),
        about: scenario.about.clone(),
        hash: scenario.hash(),
    });
    report.seed = Some(plan.seed());
    report.host = Some(host);
    let mut merged = Merged::default();
    let mut projection: Option<Projection> = None;
    for mut outcome in outcomes {
        outcome.checkers.ledger().report(&mut report);
        report.timelines.append(&mut outcome.checkers.timelines());
        merged.add(&outcome);
        // There is one worker if it is asked for.
        projection = projection.or_else(|| outcome.checkers.projection());
    }
    // Whose timelines they are is decided by index, and ids begin with it.
    report.timelines.sort_by(|one, two| one.user.cmp(&two.user));
    report.metrics = merged.metrics();
    // Virtual or real, a journey that took too long is the same finding.
    for (rule, detail) in merged.journeys.iter().flat_map(JourneyTimes::missed_objectives) {
        let mut finding = Finding::new(rule, "objectives", merged.ended_us, detail);
        finding.domain = Domain::Wall;
        report.push_finding(finding);
    }
    report.facts = merged.facts(planned, &report);
    report.cases = simulator::checkers::cases(&report);
    judge(options, &merged, &mut report);
    LoadResult { report, projection }
}

/// What all workers counted.
#[derive(Default)]
struct Merged {
    counts: Counts,
    ledger: Ledger,
    metrics: Vec<Metric>,
    journeys: Vec<JourneyTimes>,
    ended_us: u64,
}

impl Merged {
    fn add(&mut self, outcome: &Outcome) {
        self.counts += &outcome.checkers.ledger().counts;
        self.ledger.merge(&outcome.ledger);
        self.ended_us = self.ended_us.max(outcome.ended_us);
        let journeys = &outcome.checkers.ledger().journeys;
        if self.journeys.is_empty() {
            self.journeys.clone_from(journeys);
        } else {
            self.journeys.iter_mut().zip(journeys).for_each(|(all, part)| all.merge(part));
        }
        for metric in outcome.checkers.ledger().metrics() {
            match self.metrics.iter_mut().find(|known| known.key == metric.key) {
                // Key, unit and domain come from one table, so this cannot fail.
                Some(known) => _ = known.merge(&metric),
                None => self.metrics.push(metric),
            }
        }
    }

    fn metrics(&mut self) -> Vec<Metric> {
        let mut metrics = std::mem::take(&mut self.metrics);
        metrics.extend(self.ledger.metrics());
        metrics
    }

    fn facts(&self, planned: &Summary, report: &Report) -> Vec<Fact> {
        let Self { counts, ledger, ended_us, .. } = self;
        let of = |prefix: &str| -> u64 {
            report.findings_by_rule.iter().filter(|(rule, _)| rule.starts_with(prefix)).map(|(_, n)| n).sum()
        };
        let seconds = *ended_us as f64 / 1e6;
        let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let lateness = &ledger.lateness;
        let mut facts = vec![
            Fact::count("users", "users", counts.users),
            Fact::count("runs_planned", "runs planned", planned.runs),
            Fact::count("runs_asked", "runs asked for", counts.runs),
            Fact::count("runs_complete", "runs complete, as planned, on every tab", counts.golden),
            Fact::share("golden_path", "golden path share", counts.golden, counts.runs),
            Fact::share("full_golden", "runs with all five event types", counts.full_golden, counts.runs),
            Fact::count("leaks", "frames that crossed users", of("iso.")),
            Fact::count("order_violations", "order violations", of("run.") + of("deliver.I4")),
            Fact::count("duplicates", "duplicates after the cursor rule", of("deliver.I3")),
            Fact::count("repeats", "raw repeats, dropped by the cursor rule", counts.repeats),
            Fact::count("gaps", "gaps announced", counts.gaps),
            Fact::count("events", "run events received", counts.events),
            Fact::count("recovered", "frames replayed", counts.recovered),
            Fact::count("connections", "connections opened", counts.connections),
            Fact::count("reconnects", "of them reconnects", counts.reconnects),
            Fact::count("connects_failed", "attempts to connect that failed", ledger.connects_failed),
            Fact::count("connections_lost", "connections lost against the plan", ledger.lost),
            Fact::count("unmet", "planned messages that could not be sent", ledger.unmet),
            Fact::count("frames_in", "frames sent to the server", ledger.frames_sent),
            Fact::count("frames_out", "frames received from the server", ledger.frames_received),
            Fact::float("frames_in_rate", "frames sent", rate(ledger.frames_sent), Unit::PerSecond),
            Fact::float("frames_out_rate", "frames received", rate(ledger.frames_received), Unit::PerSecond),
            Fact::int("bytes_in", "sent to the server", ledger.bytes_sent as i64, Unit::Bytes),
            Fact::int("bytes_out", "received from the server", counts.bytes_out as i64, Unit::Bytes),
            Fact::int("duration", "duration", *ended_us as i64, Unit::Microseconds),
            Fact::count("held_up", "actions the server kept waiting", lateness.held_up),
            Fact::count("impatient", "tabs that left before everything had arrived", ledger.impatient),
            Fact::count("stalls", "times the generator stood still for 50 ms or more", lateness.stalls_total),
        ];
        facts.extend(self.journeys.iter().map(JourneyTimes::fact));
        if ledger.unsaid > 0 {
            facts.push(Fact::count("unsaid", "messages the dialect cannot say", ledger.unsaid));
        }
        if !lateness.stalls.is_empty() {
            let told = lateness
                .stalls
                .iter()
                .map(|stall| format!("{} ms at {:.3} s", stall.for_us / 1_000, stall.at_us as f64 / 1e6));
            let told: Vec<_> = told.collect();
            facts.push(Fact::text("stalls_list", "stalls of the generator", told.join(", ")));
        }
        if let Some(error) = &ledger.first_failure {
            facts.push(Fact::text("first_failure", "first failed attempt to connect", error.clone()));
        }
        facts
    }
}

/// The objectives of the scenario, judged in real time as the simulation judges them in virtual time.
fn missed_objectives(expect: &Expect, merged: &Merged) -> Vec<String> {
    let limits = [
        ("first_event", expect.first_event_p99),
        ("event_latency", expect.event_latency_p99),
        ("answer_latency", expect.answer_p99),
        ("pong", expect.pong_p99),
        ("resume", expect.resume_p99),
    ];
    let mut missed: Vec<String> = limits
        .into_iter()
        .filter_map(|(key, limit)| {
            let limit = limit?;
            let metric = merged.metrics.iter().find(|metric| metric.key == key && metric.count > 0)?;
            (metric.p99 > limit.us()).then(|| {
                format!(
                    "objective {key}: {} at the 99th percentile, expected at most {limit}",
                    micros(metric.p99)
                )
            })
        })
        .collect();
    let (full, runs) = (merged.counts.full_golden, merged.counts.runs);
    if expect.min_full_golden_share.is_some_and(|least| (full as f64) < least.get() * runs as f64) {
        missed.push(format!("objective full_golden: {full} of {runs} runs showed all five events"));
    }
    missed
}

/// Whether the workload was played as planned, and on time.
fn judge(options: &LoadOptions, merged: &Merged, report: &mut Report) {
    let Merged { counts, ledger, .. } = merged;
    let golden = if counts.runs == 0 { 1.0 } else { counts.golden as f64 / counts.runs as f64 };
    let wanted = options.scenario.expect.golden_path.get();
    if golden < wanted {
        let reason =
            format!("{:.2} % of the runs went as planned, {:.2} % must", golden * 100.0, wanted * 100.0);
        report.judge(Verdict::Findings, reason);
    }
    for reason in missed_objectives(&options.scenario.expect, merged) {
        report.judge(Verdict::Findings, reason);
    }
    let unmet = ledger.unmet + ledger.connects_failed;
    if unmet > 0 {
        let (messages, connects) = (ledger.unmet, ledger.connects_failed);
        let reason = format!(
            "the plan could not be carried out: {messages} messages unsent, {connects} attempts to connect failed"
        );
        report.cases.push(Case::failed("generator", "carried out", reason.clone()));
        report.judge(Verdict::Findings, reason);
    } else {
        report.cases.push(Case::passed("generator", "carried out"));
    }
    let late = &ledger.lateness.late;
    let (p99, limit) = (late.quantile(0.99), options.late_limit_us);
    let told = format!("99th percentile of lateness {}, limit {}", micros(p99), micros(limit));
    let on_time = Case::new(
        "generator",
        "on time",
        if p99 > limit { CaseOutcome::Failed } else { CaseOutcome::Passed },
        told.clone(),
    );
    report.cases.push(on_time);
    if p99 > limit {
        report.judge(
            Verdict::Inconclusive,
            format!("the generator itself was late ({told}): use a machine that has time, or fewer users"),
        );
    }
}

fn micros(us: u64) -> String {
    format!("{:.2} ms", us as f64 / 1_000.0)
}
