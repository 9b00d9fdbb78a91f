//! Whole runs: a scenario and a seed in, a report out; and a trace in, its repetition's verdict out.

use reports::{Fact, Finding, Kind, Report, ScenarioRef, Tool, Unit, Verdict};
use router::ConfigError;

use crate::checkers::bounds::Bounds;
use crate::checkers::{JourneyTimes, Ledger, cases};
use crate::legacy::{LegacyServer, Played};
use crate::scenario::{Expect, Micros, Scenario};
use crate::service::{Costs, NodeTimes};
use crate::trace::{Compare, Damage, Flaw, Header, HeaderError, NotOpened, Outcome, Recorded};
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
    let mut result = play(scenario.clone(), seed, played, options)?;
    let mut report = report(scenario, seed, &mut result);
    report.replay = Some(format!("goldenpath sim {} --seed {seed}{}", scenario.name, played.arguments()));
    if played.names().is_some() {
        report.facts.insert(0, Fact::text("subject", "server", "legacy"));
        report.facts.insert(1, Fact::text("hazards", "hazards on", played.hazards_text()));
    }
    Ok(report)
}

/// Runs a world with that server in its middle.
///
/// # Errors
/// The scenario's limits make no sense to the router.
pub fn play(
    scenario: Scenario,
    seed: u64,
    played: &Played,
    options: Options<'_>,
) -> Result<RunResult, ConfigError> {
    match played {
        Played::Router => World::new(scenario, seed, options).map(World::run),
        #[cfg(feature = "mutants")]
        Played::Mutant(mutant) => {
            let config = router::Config { mutant: Some(*mutant), ..router_config(&scenario) };
            World::with_config(scenario, seed, config, options).map(World::run)
        }
        Played::Legacy(hazards) => {
            let limits = router_config(&scenario);
            limits.validate()?;
            let bounds = Bounds::new(limits.socket_window_frames);
            let server = LegacyServer::new(limits, *hazards);
            Ok(World::with_subject(scenario, seed, server, bounds, options).run())
        }
    }
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
    report.sequence = result.sequence.take();
    let ledger = result.checkers.ledger();
    report.facts = facts(ledger, result);
    if !scenario.faults.is_empty() {
        report.facts.extend(fault_facts(ledger, result));
    }
    report.metrics = ledger.metrics();
    report.metrics.extend(result.node.iter().flat_map(NodeTimes::metrics));
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
    /// The header of the trace; `None` if it is not as it was written.
    pub header: Option<Header>,
    /// The report of the repetition. Of one that did not come to the trace's end it only says which run it was.
    pub report: Report,
    /// Whether the two are the same, and if not, where they part.
    pub outcome: Outcome,
}

/// Told the number of a line and its text; false if that is enough.
pub type Show<'a> = &'a mut dyn FnMut(u64, &str) -> bool;

/// Runs a trace's scenario again and compares line by line. `raw` gives the trace's lines, each with its end, the header
/// first. `show` is told each line that is the same in both, with its number, as far as it wants to know: false ends the
/// repetition there.
///
/// # Errors
/// The trace cannot be repeated by this program.
pub fn replay(
    raw: impl Iterator<Item = Result<Vec<u8>, Damage>>,
    mut show: Option<Show<'_>>,
) -> Result<Replay, HeaderError> {
    let (recorded, header, scenario) = match Recorded::open(raw) {
        Ok(opened) => opened,
        Err(NotOpened::Refused(error)) => return Err(error),
        Err(NotOpened::Flawed(flaw)) => {
            let mut report = Report::new(Tool::new("goldenpath", env!("CARGO_PKG_VERSION")), Kind::Replay);
            judge_flaw(&flaw, None, &mut report);
            return Ok(Replay { header: None, report, outcome: Outcome::Flawed { flaw, place: None } });
        }
    };
    let mut compare = Compare::new(recorded);
    let mut is_enough = false;
    let mut take = |line: &str| {
        let is_same = compare.line(line);
        if let Some(show) = show.as_mut().filter(|_| is_same) {
            is_enough = !show(compare.number(), line);
        }
        is_same && !is_enough
    };
    let options = Options { trace: Some(&mut take), timelines: TIMELINES, ..Options::default() };
    let played = header.played()?;
    let mut report = simulate_with(&scenario, header.seed, &played, options)
        .map_err(|error| HeaderError::Scenario(error.to_string()))?;
    report.kind = Kind::Replay;
    let outcome =
        if is_enough { compare.so_far() } else { compare.finish(report.hash.as_deref().unwrap_or_default()) };
    // Cut off where the two part, the repetition leaves everything open: its findings mean nothing.
    if is_enough || outcome != Outcome::Same {
        report = cut_short(report);
    }
    match &outcome {
        Outcome::Same => {}
        Outcome::Differs(difference) => report.judge(Verdict::ReplayDiverged, difference.to_string()),
        Outcome::Flawed { flaw, place } => {
            judge_flaw(flaw, place.as_ref().map(ToString::to_string), &mut report);
        }
    }
    Ok(Replay { header: Some(header), report, outcome })
}

/// A trace that just ends says nothing wrong; one that was altered does.
fn judge_flaw(flaw: &Flaw, place: Option<String>, report: &mut Report) {
    let verdict = if flaw.is_cut_off() { Verdict::ReplayDiverged } else { Verdict::TraceAltered };
    report.judge(verdict, flaw.to_string());
    report.reasons.extend(place);
}

/// What a report of a run that was cut off still says: which run it was.
fn cut_short(report: Report) -> Report {
    let Report { tool, kind, scenario, seed, .. } = report;
    Report { scenario, seed, ..Report::new(tool, kind) }
}

fn facts(ledger: &Ledger, result: &RunResult) -> Vec<Fact> {
    let counts = &ledger.counts;
    let span = i64::try_from(result.ended_at_us).unwrap_or(i64::MAX);
    let mut facts = vec![
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
    ];
    facts.extend(cost_facts(&result.costs));
    facts.push(Fact::int("virtual_time", "virtual time", span, Unit::Microseconds));
    facts.extend(ledger.journeys.iter().map(JourneyTimes::fact));
    if let Some(node) = &result.node {
        let (busy_us, span_us) = (node.busy_ns / 1_000, result.ended_at_us);
        facts.push(Fact::share("node_busy", "share of the time that the node worked", busy_us, span_us));
    }
    facts
}

/// What passed through the router, in all and for each message of a client.
fn cost_facts(costs: &Costs) -> Vec<Fact> {
    let per = |amount: u64| amount as f64 / costs.messages.max(1) as f64;
    vec![
        Fact::count("effects", "effects of the router", costs.effects),
        Fact::count("queue_passes", "frames that waited in a queue of the router", costs.queue_passes),
        Fact::float("hops_per_message", "inputs per message", per(costs.hops), Unit::Ratio),
        Fact::float("effects_per_message", "effects per message", per(costs.effects), Unit::Ratio),
        Fact::float("passes_per_message", "queue passes per message", per(costs.queue_passes), Unit::Ratio),
        Fact::float("copied_per_message", "copied per message", per(costs.copied_bytes), Unit::Bytes),
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
pub(crate) fn judge(expect: &Expect, result: &mut RunResult) {
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
        let Some(limit) = limit.filter(|_| !times.is_empty()) else { continue };
        let p99_us = times.quantile(0.99);
        if p99_us > limit.us() {
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
    let mut missed: Vec<(String, String)> =
        missed.into_iter().map(|(rule, detail)| (rule.to_owned(), detail)).collect();
    missed.extend(ledger.journeys.iter().flat_map(JourneyTimes::missed_objectives));
    for (rule, detail) in missed {
        result.checkers.ledger_mut().push(Finding::new(rule, "objectives", at_us, detail));
    }
}
