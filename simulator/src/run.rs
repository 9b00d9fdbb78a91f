//! Whole runs: a scenario and a seed in, a report out; and a trace in, its repetition's verdict out.

use reports::{Fact, Finding, Kind, Report, ScenarioRef, Tool, Unit, Verdict};
use router::ConfigError;

use crate::checkers::bounds::Bounds;
use crate::checkers::{Ledger, cases};
use crate::legacy::{LegacyServer, Played};
use crate::scenario::{Expect, Micros, Scenario};
use crate::trace::{Compare, FirstDifference, Header, HeaderError};
use crate::world::{Options, RunResult, World, router_config};

/// Users whose timelines a report shows.
pub const TIMELINES: u32 = 5;

/// Runs a scenario and reports. The report is the same, byte for byte, wherever and whenever it is made.
///
/// # Errors
/// The scenario's limits make no sense to the router.
pub fn simulate(scenario: &Scenario, seed: u64, options: Options<'_>) -> Result<Report, ConfigError> {
    let mut result = World::new(scenario.clone(), seed, options)?.run();
    Ok(report(scenario, seed, &mut result))
}

/// The same with another server in the middle than the router, if `played` says so.
///
/// # Errors
/// The scenario's limits make no sense to the router.
pub fn simulate_with(
    scenario: &Scenario,
    seed: u64,
    played: &Played,
    options: Options<'_>,
) -> Result<Report, ConfigError> {
    let Played::Legacy(hazards) = played else { return simulate(scenario, seed, options) };
    let limits = router_config(scenario);
    limits.validate()?;
    let bounds = Bounds::new(limits.socket_window_frames);
    let server = LegacyServer::new(limits, *hazards);
    let mut result = World::with_subject(scenario.clone(), seed, server, bounds, options).run();
    let mut report = report(scenario, seed, &mut result);
    report.replay = Some(format!("goldenpath sim {} --seed {seed}{}", scenario.name, played.arguments()));
    report.facts.insert(0, Fact::text("subject", "server", "legacy"));
    report.facts.insert(1, Fact::text("hazards", "hazards on", played.hazards_text()));
    Ok(report)
}

/// The report of a run.
pub fn report(scenario: &Scenario, seed: u64, result: &mut RunResult) -> Report {
    let mut report = Report::new(Tool::new("goldenpath", env!("CARGO_PKG_VERSION")), Kind::Simulation);
    report.scenario = Some(ScenarioRef {
        name: scenario.name.clone(),
        about: scenario.about.clone(),
        hash: scenario.hash(),
    });
    report.seed = Some(seed);
    report.hash = Some(result.hash.clone());
    report.replay = Some(format!("goldenpath sim {} --seed {seed}", scenario.name));
    judge(&scenario.expect, result);
    report.timelines = result.checkers.timelines();
    let ledger = result.checkers.ledger();
    report.facts = facts(ledger, result);
    if !scenario.faults.is_empty() {
        report.facts.extend(fault_facts(ledger, result));
    }
    report.metrics = ledger.metrics();
    ledger.report(&mut report);
    report.cases = cases(&report);
    if ledger.total() > 0 {
        report.reasons.push(format!("{} findings", ledger.total()));
    }
    report
}

/// What a repetition showed.
#[derive(Debug)]
pub struct Replay {
    /// The header of the trace.
    pub header: Header,
    /// The report of the repetition, up to the first difference.
    pub report: Report,
    /// Where the two part, if they do.
    pub difference: Option<FirstDifference>,
}

/// Runs a trace's scenario again and compares line by line. `lines` are the trace's, the header first.
///
/// # Errors
/// The trace cannot be repeated by this program.
pub fn replay(mut lines: impl Iterator<Item = String>) -> Result<Replay, HeaderError> {
    let (header, scenario) = Header::parse(&lines.next().unwrap_or_default())?;
    let mut compare = Compare::new(lines);
    let mut take = |line: &str| compare.line(line);
    let options = Options { trace: Some(&mut take), timelines: TIMELINES, ..Options::default() };
    let played = header.played()?;
    let mut report = simulate_with(&scenario, header.seed, &played, options)
        .map_err(|error| HeaderError::Scenario(error.to_string()))?;
    report.kind = Kind::Replay;
    let difference = compare.finish();
    if let Some(difference) = &difference {
        // Cut off where the two part, the repetition leaves everything open: its findings mean nothing.
        report = diverged(report);
        report.judge(Verdict::ReplayDiverged, difference.to_string());
    }
    Ok(Replay { header, report, difference })
}

/// What a report of a run that was cut off still says: which run it was.
fn diverged(report: Report) -> Report {
    let Report { tool, kind, scenario, seed, .. } = report;
    Report { scenario, seed, ..Report::new(tool, kind) }
}

fn facts(ledger: &Ledger, result: &RunResult) -> Vec<Fact> {
    let counts = &ledger.counts;
    let span = i64::try_from(result.ended_at_us).unwrap_or(i64::MAX);
    vec![
        Fact::count("users", "users", counts.users),
        Fact::count("connections", "connections", counts.connections),
        Fact::count("runs", "runs", counts.runs),
        Fact::share("golden", "golden path share", counts.golden, counts.runs - counts.forgiven),
        Fact::share("full_golden", "runs with all five events", counts.full_golden, counts.runs),
        Fact::count("leaks", "isolation breaches", ledger.count_of("iso.")),
        Fact::count("order_violations", "order violations", ledger.count_of("run.")),
        Fact::count("delivery_violations", "losses, duplicates and reorders", ledger.count_of("deliver.")),
        Fact::count("events", "run events received", counts.events),
        Fact::count("messages_in", "messages to the router", counts.messages_in),
        Fact::count("messages_out", "messages from the router", counts.messages_out),
        Fact::count("frames_delivered", "frames that arrived, either way", result.delivered),
        Fact::count("reconnects", "reconnects", counts.reconnects),
        Fact::count("recovered", "replayed frames", counts.recovered),
        Fact::count("repeats", "frames that the cursor rule dropped", counts.repeats),
        Fact::count("gaps", "announced gaps", counts.gaps),
        Fact::count("window_peak", "most frames unwritten on one socket", u64::from(result.window_peak)),
        Fact::share("pool_efficiency", "connections that got a frame lately", result.pool.1, result.pool.0),
        Fact::count("inputs", "inputs of the router", result.inputs),
        Fact::int("virtual_time", "virtual time", span, Unit::Microseconds),
    ]
}

/// What went wrong, and what came of it. Only for scenarios with faults: other reports stay as they are.
fn fault_facts(ledger: &Ledger, result: &RunResult) -> Vec<Fact> {
    let happened = result.faults.iter().filter(|(_, count)| *count > 0);
    let mut facts: Vec<Fact> = happened
        .map(|(kind, count)| {
            Fact::count(format!("fault_{}", kind.name()), format!("faults: {}", kind.name()), count)
        })
        .collect();
    facts.push(Fact::count("forgiven", "runs that a fault made end otherwise", ledger.counts.forgiven));
    facts.push(Fact::count("runs_lost", "runs open when their node died", result.runs_lost));
    facts
}

/// Objectives that were missed become findings.
fn judge(expect: &Expect, result: &mut RunResult) {
    let at_us = result.ended_at_us;
    let ledger = result.checkers.ledger();
    let (counts, times) = (ledger.counts, &ledger.times);
    let mut missed = Vec::new();
    let rows = [
        ("objective.first_event_p99", expect.first_event_p99, &times.first_event),
        ("objective.event_latency_p99", expect.event_latency_p99, &times.event_latency),
        ("objective.answer_p99", expect.answer_p99, &times.answer_latency),
        ("objective.pong_p99", expect.pong_p99, &times.pong),
        ("objective.resume_p99", expect.resume_p99, &times.resume),
    ];
    for (rule, limit, times) in rows {
        let p99_us = times.quantile(0.99);
        if let Some(limit) = limit.filter(|limit| p99_us > limit.us() && !times.is_empty()) {
            missed.push((
                rule,
                format!("{} at the 99th percentile, expected at most {limit}", Micros::new(p99_us)),
            ));
        }
    }
    let share = |part: u64, of: u64| if of == 0 { 1.0 } else { part as f64 / of as f64 };
    // What a fault explains is nobody's miss.
    let judged = counts.runs - counts.forgiven;
    let (golden, full) = (share(counts.golden, judged), share(counts.full_golden, counts.runs));
    if golden < expect.golden_path.get() {
        let detail = format!("{} of {judged} runs went as planned", counts.golden);
        missed.push(("objective.golden_path", detail));
    }
    if expect.min_full_golden_share.is_some_and(|least| full < least.get()) {
        let detail = format!("{} of {} runs showed all five events", counts.full_golden, counts.runs);
        missed.push(("objective.full_golden", detail));
    }
    for (rule, detail) in missed {
        result.checkers.ledger_mut().push(Finding::new(rule, "objectives", at_us, detail));
    }
}
