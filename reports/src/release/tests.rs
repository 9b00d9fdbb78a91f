use super::*;
use crate::Finding;
use crate::sweep::{Broken, Condition, SeedRange, Sweep, Totals};
use crate::{Domain, ScenarioRef, Unit, html, json, junit, markdown, sample, text};

fn tool() -> Tool {
    Tool::new("goldenpath", "0.1.0")
}

fn part(kind: Kind, scenario: &str) -> Report {
    let mut report = Report::new(tool(), kind);
    report.scenario = (!scenario.is_empty()).then(|| ScenarioRef {
        name: scenario.into(),
        about: String::new(),
        hash: "5f".into(),
    });
    report
}

fn simulation() -> Report {
    let mut report = part(Kind::Simulation, "churn");
    report.facts = vec![
        Fact::count("runs", "runs", 1_000),
        Fact::share("golden", "golden path share", 1_000, 1_000),
        Fact::count("connections", "connections", 400),
        Fact::count("leaks", "leaks", 0),
        Fact::count("order_violations", "order", 0),
    ];
    report.metrics = sample::metrics(Domain::Virtual);
    report.timelines = sample::passing().timelines;
    report
}

fn load(golden: u64) -> Report {
    let mut report = part(Kind::Load, "load");
    report.facts = vec![
        Fact::count("runs_asked", "runs asked for", 1_000),
        Fact::count("runs_complete", "runs complete", golden),
        Fact::count("connections", "connections opened", 100),
        Fact::int("server_memory_peak", "most memory", 9 << 20, Unit::Bytes),
    ];
    report.metrics = sample::metrics(Domain::Wall);
    report
}

/// Two thousand seeds, so many of which break a rule; one of two conditions was met.
fn sweep(failing: u64) -> Report {
    let mut sweep = Sweep::new("--swarm", "", SeedRange { from: 0, to: 2_000 }, 3);
    sweep.played = sweep.asked.clone();
    sweep.totals = Totals { seeds: 2_000, failing, users: 41_000, runs: 300_000, ..Totals::default() };
    let condition = |name: &str, seeds, first_seed| Condition {
        name: name.to_owned(),
        about: format!("what {name} is"),
        seeds,
        first_seed,
    };
    sweep.conditions = vec![condition("queues", 7, Some(4)), condition("crashes", 0, None)];
    if failing > 0 {
        let broken = Broken { seeds: failing, findings: failing, fastest: Vec::new() };
        sweep.rules.insert("deliver.I4".to_owned(), broken);
    }
    let swarm = part(Kind::Sweep, "swarm").scenario.expect("it has one");
    crate::sweep::report(tool(), swarm, sweep)
}

fn gate(verdict: Verdict) -> Report {
    let mut report = part(Kind::Gate, "");
    let mut gate = sample::gate();
    if verdict == Verdict::Pass {
        gate.contests.truncate(1);
    } else {
        report.judge(verdict, "fan_out.1000 is slower by more than 5 %");
    }
    report.gate = Some(Box::new(gate));
    report
}

fn whole(verdict: Verdict) -> Collected {
    Collected {
        since: "v0.1.0".to_owned(),
        head: "2ea4ca7".to_owned(),
        parts: vec![simulation(), load(1_000), part(Kind::Conformance, ""), gate(verdict), sweep(0)],
        ..Collected::default()
    }
}

#[test]
fn with_everything_measured_and_reached_it_is_released() {
    let report = release(tool(), whole(Verdict::Pass));
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    assert!(text::render(&report).starts_with("✓ RELEASE: release ("));
    let goals = &report.release.as_ref().expect("a release").goals;
    assert!(goals.iter().all(|goal| goal.holds() == Some(true)), "{goals:?}");
}

#[test]
fn nothing_is_missing_in_silence() {
    for kind in [Kind::Simulation, Kind::Sweep, Kind::Load, Kind::Conformance, Kind::Gate] {
        let mut collected = whole(Verdict::Pass);
        collected.parts.retain(|part| part.kind != kind);
        let report = release(tool(), collected);
        assert_eq!(report.verdict, Verdict::Inconclusive, "{kind}");
        let said = format!("Not measured: {}", needed(kind));
        assert!(report.reasons.iter().any(|reason| reason.starts_with(&said)), "{:?}", report.reasons);
        assert!(html::render(&report).contains("incomplete"));
        assert!(junit::render(&report).contains("<error"), "a release that is incomplete is not green");
    }
    let mut collected = whole(Verdict::Pass);
    collected.parts.retain(|part| part.kind != Kind::Gate);
    collected.missing = vec![Gap::new(needed(Kind::Gate), "the tag is not in this clone")];
    let report = release(tool(), collected);
    assert_eq!(
        report.reasons,
        ["Not measured: speed against the last release, because the tag is not in this clone."]
    );
}

#[test]
fn a_goal_that_nothing_was_counted_for_is_open_and_so_is_the_release() {
    let mut collected = whole(Verdict::Pass);
    collected.parts[1].facts.clear();
    let report = release(tool(), collected);
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert!(
        report.reasons.iter().any(|reason| reason.contains("reliability (real sockets)")),
        "{:?}",
        report.reasons
    );

    let mut collected = whole(Verdict::Pass);
    collected.parts[3].judge(Verdict::Error, "the environment is invalid");
    let report = release(tool(), collected);
    assert_eq!(report.verdict, Verdict::Error);
    assert_eq!(report.release.and_then(|release| release.goals.last().and_then(Goal::holds)), None);
}

#[test]
fn the_worst_part_decides_and_is_named() {
    let report = release(tool(), whole(Verdict::Regression));
    assert_eq!(report.verdict, Verdict::Regression);
    assert!(
        report.reasons.contains(&"Gate (regression): fan_out.1000 is slower by more than 5 %".to_owned())
    );
    assert!(report.reasons.iter().any(|reason| reason.starts_with("Missed: no benchmark slower")));

    let mut collected = whole(Verdict::Regression);
    collected.parts[0].push_finding(Finding::new("iso.I1", "isolation", 7, "event of a at b"));
    collected.parts[0].findings_total = 40;
    collected.parts[0].findings_by_rule.insert("iso.I1".to_owned(), 40);
    let report = release(tool(), collected);
    assert_eq!((report.verdict, report.findings_total), (Verdict::IsolationBreach, 40));
    assert_eq!(report.findings_by_rule["iso.I1"], 40);
    assert_eq!(report.findings[0].detail, "churn: event of a at b");
    assert!(text::render(&report).starts_with("⚠ DO NOT RELEASE"));
}

#[test]
fn reliability_and_errors_are_judged_at_their_limits() {
    let judged = |golden: u64| {
        let mut collected = whole(Verdict::Pass);
        collected.parts[1] = load(golden);
        release(tool(), collected).verdict
    };
    // 1,000 runs and 100 connections: 5 errors are 0.45 %, and 99.5 % of the runs went well.
    assert_eq!(judged(995), Verdict::Pass);
    assert_eq!(judged(994), Verdict::Findings);
}

#[test]
fn a_seed_that_breaks_a_rule_stops_a_release_and_what_all_of_them_met_is_shown() {
    let mut collected = whole(Verdict::Pass);
    collected.parts[4] = sweep(2);
    let report = release(tool(), collected);
    assert_eq!(report.verdict, Verdict::Findings);
    assert!(
        report.reasons.contains(&"Sweep of swarm (findings): deliver.I4 broken in 2 seeds".to_owned()),
        "{:?}",
        report.reasons
    );
    assert!(report.reasons.iter().any(|reason| reason.starts_with("Missed: no seed of the swarm")));
    let page = markdown::render(&report);
    assert!(page.contains("2,000 seeds, each a scenario of its own, with 41,000 users"), "{page}");
    assert!(page.contains("1 of 2 conditions"), "{page}");
    let at = |name: &str| page.find(name).expect("listed");
    assert!(at("what crashes is") < at("what queues is"), "what was never met comes first");
}

#[test]
fn a_release_keeps_what_its_page_shows_and_no_more() {
    let report = release(tool(), whole(Verdict::Regression));
    let parts = &report.release.as_ref().expect("a release").parts;
    assert!(parts.iter().all(|part| part.timelines.is_empty()));
    assert!(parts.iter().flat_map(|part| &part.metrics).all(|metric| metric.buckets.is_empty()));
    assert!(html::render(&report).contains("1000 → 1110 ns"), "times per unit outlive the raw values");
    let back = json::from_str(&json::to_string(&report)).expect("reads what it wrote");
    assert_eq!(back, report);
    assert_eq!(html::render(&back), html::render(&report));
}

#[test]
fn earlier_reports_are_set_beside_their_twins() {
    let before = release(tool(), whole(Verdict::Pass));
    let mut collected = whole(Verdict::Pass);
    collected.parts[0].metrics[0].p99 *= 2;
    collected.before = vec![before.clone(), part(Kind::Simulation, "gone")];
    let report = release(tool(), collected);
    let against = &report.release.as_ref().expect("a release").against;
    assert_eq!(against.len(), 5);
    let page = markdown::render(&report);
    assert!(page.contains("| churn, simulation | send to first event |"), "{page}");
    assert!(page.contains("×2.000") && page.contains("5 of 6 distributions"), "{page}");

    let compared = compare(&before, &report);
    assert_eq!(compared.parts.len(), 5);
    assert!(text::render_comparison(&compared).contains("×2.000"));
}

#[test]
fn every_section_is_in_every_rendering() {
    let report = release(tool(), whole(Verdict::Regression));
    let (page, terminal, summary) = (html::render(&report), text::render(&report), markdown::render(&report));
    for section in sections(report.release.as_ref().expect("a release")) {
        for shown in [&page, &terminal, &summary] {
            assert!(shown.contains(&section.heading), "{} is missing", section.heading);
        }
        assert!(page.contains(&format!("<section id=\"{}\">", section.id)));
    }
    assert!(page.contains("checks more") && terminal.contains("1.12"), "an accepted cost is not shown");
    assert_eq!(page.matches("role=\"img\"").count(), page.matches("<desc ").count());
    // Two quantile plots, and two figures for each of four contests.
    assert_eq!(page.matches("role=\"img\"").count(), 10);
}

#[test]
fn hostile_words_are_text_here_too() {
    let mut collected = whole(Verdict::Regression);
    collected.since = sample::HOSTILE.to_owned();
    collected.changes.commits = vec![Commit { hash: "1".to_owned(), subject: sample::HOSTILE.to_owned() }];
    collected.left_out = vec![Gap::new(sample::HOSTILE, sample::HOSTILE)];
    if let Some(gate) = &mut collected.parts[3].gate {
        gate.contests[0].name = sample::HOSTILE.to_owned();
    }
    let report = release(tool(), collected);
    let page = html::render(&report);
    assert!(!page.contains("<script") && !page.contains(['\u{202e}', '\u{1b}']));
    assert!(!text::render(&report).chars().any(|c| c != '\n' && c.is_control()));
}
