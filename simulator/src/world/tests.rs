use super::*;
use crate::scenario::embedded;
use crate::trace::{Difference, Header};
use crate::{Replay, replay, simulate};

/// An embedded scenario, cut to a number of users that a test can afford.
fn scenario(name: &str, users: u32) -> Scenario {
    let text = embedded().iter().find(|(known, _)| *known == name).map(|(_, text)| *text).unwrap();
    let mut scenario = Scenario::parse(name, text).unwrap();
    scenario.users.count = scenario.users.count.min(users);
    scenario
}

fn json(scenario: &Scenario, seed: u64) -> String {
    reports::json::to_string(
        &simulate(scenario, seed, Options { timelines: 5, ..Options::default() }).unwrap(),
    )
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_another_hash() {
    for name in ["tiny", "reconnect", "slow-reader", "stop"] {
        let scenario = scenario(name, 30);
        assert_eq!(json(&scenario, 7), json(&scenario, 7), "{name}");
        let hash = |seed| World::new(scenario.clone(), seed, Options::default()).unwrap().run().hash;
        assert_eq!(hash(7), hash(7), "{name}");
        assert_ne!(hash(7), hash(8), "{name}");
    }
}

#[test]
fn watching_changes_nothing() {
    let scenario = scenario("reconnect", 20);
    let hash = |options| World::new(scenario.clone(), 3, options).unwrap().run().hash;
    let mut lines = 0;
    let mut trace = |_: &str| {
        lines += 1;
        true
    };
    let watched = Options {
        trace: Some(&mut trace),
        projection: true,
        timelines: 9,
        verify_every: 7,
        ..Options::default()
    };
    assert_eq!(hash(watched), hash(Options { checkers: false, verify_every: 0, ..Options::default() }));
    assert!(lines > 1_000);
}

#[test]
fn every_embedded_scenario_runs_without_a_finding() {
    for (name, _) in embedded() {
        let scenario = scenario(name, 120);
        let result = World::new(scenario.clone(), scenario.seed, Options::default()).unwrap().run();
        let (ledger, counts) = (result.checkers.ledger(), result.checkers.ledger().counts);
        assert_eq!(ledger.findings(), [], "{name}");
        assert_eq!(counts.golden + counts.forgiven, counts.runs, "{name}");
        assert_eq!(counts.users, u64::from(scenario.users.count), "{name}");
        if !scenario.faults.is_empty() {
            assert!(result.faults.total() > 0, "{name}");
            continue;
        }
        assert_eq!(counts.forgiven, 0, "{name}");
        let planned = Plan::new(scenario.clone(), scenario.seed).summary();
        assert_eq!((counts.runs, counts.full_golden), (planned.runs, planned.full_golden), "{name}");
        assert_eq!(counts.events, planned.run_frames_out, "{name}: every tab took every event once");
        let report = simulate(&scenario, scenario.seed, Options::default()).unwrap();
        assert_eq!(report.verdict, reports::Verdict::Pass, "{name}: {:?}", report.reasons);
    }
}

#[test]
fn many_seeds_run_without_a_finding() {
    for name in ["tiny", "churn", "burst", "slow-reader", "agree-reconnect"] {
        for seed in 1..=20 {
            let result = World::new(scenario(name, 12), seed, Options::default()).unwrap().run();
            assert_eq!(result.checkers.ledger().findings(), [], "{name} {seed}");
        }
    }
}

#[test]
fn a_stalled_reader_fills_its_socket_and_still_gets_everything() {
    let mut scenario = scenario("slow-reader", 60);
    scenario.agent.thinking = crate::scenario::Counts::new(60, 64);
    scenario.slow_reader.share = crate::scenario::Share::new(1.0);
    let result = World::new(scenario, 1, Options::default()).unwrap().run();
    assert_eq!(result.checkers.ledger().findings(), []);
    assert_eq!(result.window_peak, 32, "the router's window was used to the full");
}

#[test]
fn a_missed_objective_is_a_finding() {
    let mut scenario = scenario("tiny", 5);
    scenario.expect.first_event_p99 = Some(crate::scenario::Micros::new(1));
    let report = simulate(&scenario, 1, Options::default()).unwrap();
    assert_eq!(report.findings_by_rule.keys().collect::<Vec<_>>(), ["objective.first_event_p99"]);
    assert_eq!(report.verdict, reports::Verdict::Findings);
}

#[test]
fn a_run_cut_short_blames_nobody() {
    let options = Options { until_us: Some(2_000_000), ..Options::default() };
    let result = World::new(scenario("golden-path", 200), 1, options).unwrap().run();
    assert!(result.ended_at_us <= 2_000_000 && result.inputs > 0);
    assert_eq!(result.checkers.ledger().findings(), []);
}

fn recorded(name: &str, users: u32, seed: u64) -> Vec<String> {
    let scenario = scenario(name, users);
    let mut lines = vec![Header::new(&scenario, seed).to_line()];
    let mut take = |line: &str| {
        lines.push(line.to_owned());
        true
    };
    let options = Options { trace: Some(&mut take), ..Options::default() };
    World::new(scenario, seed, options).unwrap().run();
    lines
}

#[test]
fn every_trace_repeats() {
    for (name, _) in embedded() {
        let lines = recorded(name, 3, 11);
        assert!(lines.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{name}");
        let Replay { difference, report, header } = replay(lines.into_iter()).unwrap();
        assert_eq!((difference, report.kind), (None, reports::Kind::Replay), "{name}");
        assert!(report.findings.iter().all(|finding| finding.rule.starts_with("objective.")), "{name}");
        assert_eq!((header.scenario.as_str(), header.seed), (*name, 11));
    }
}

#[test]
fn a_changed_trace_is_named_at_the_line_of_the_change() {
    let lines = recorded("tiny", 5, 1);
    let at = lines.len() / 2;
    let differs = |from: &str, to: &str| {
        let mut lines = lines.clone();
        let found = (at..lines.len()).find(|&line| lines[line].contains(from)).unwrap();
        lines[found] = lines[found].replacen(from, to, 1);
        let difference = replay(lines.into_iter()).unwrap().difference.unwrap();
        assert_eq!(difference.line, found as u64 + 1);
        assert!(difference.at_us > 0);
        difference.what
    };
    assert_eq!(differs(r#""critical":true"#, r#""critical":tRue"#), Difference::Line);
    assert_eq!(differs(r#""critical":true"#, r#""critical":null"#), Difference::Effect);
    assert_eq!(differs(r#""agent":"T"#, r#""agent":"S"#), Difference::Input);
    assert_eq!(differs(r#"{"t":"#, r#"{"t":1"#), Difference::Time);
    assert_eq!(differs(r#""h":""#, r#""h":"x"#), Difference::Hash);
    let shorter = replay(lines[..at].iter().cloned()).unwrap().difference.unwrap();
    assert_eq!((shorter.line, shorter.what), (at as u64 + 1, Difference::Line));
    let mut longer = lines.clone();
    longer.push(lines[at].clone());
    let longer = replay(longer.into_iter()).unwrap();
    assert_eq!(longer.difference.map(|difference| difference.line), Some(lines.len() as u64 + 1));
    assert_eq!(longer.report.verdict, reports::Verdict::ReplayDiverged);
}

#[test]
fn a_trace_of_another_kind_is_refused() {
    let lines = recorded("tiny", 2, 1);
    let with_header = |from: &str, to: &str| {
        let mut lines = lines.clone();
        lines[0] = lines[0].replacen(from, to, 1);
        replay(lines.into_iter()).unwrap_err().to_string()
    };
    assert!(with_header(r#""format":1"#, r#""format":2"#).contains("format 2"));
    assert!(with_header(r#""version":""#, r#""version":"9."#).contains("version 9."));
    assert!(with_header(r#""hash":""#, r#""hash":"0"#).contains("hash"));
    assert!(with_header("{", "").contains("header"));
}

#[test]
fn questions_about_quality_are_answered_by_the_embedded_services() {
    let mut world = World::new(scenario("tiny", 1), 1, Options::default()).unwrap();
    world.input(Input::Connect(router::Connect::new(
        carry::ticket_of(LinkRef { index: 9, generation: 0 }),
        "ada",
    )));
    let conn = router_conn(&world);
    for text in [
        r#"{"type":"generate_quality_report","payload":{"report_type":"detailed"}}"#,
        r#"{"type":"validate_content","payload":{"content":"x"}}"#,
    ] {
        world.input(Input::Text { conn, text });
    }
    world.answer_questions();
    let stats = Router::stats(&world.subject).quality;
    assert_eq!((stats.asked, stats.answered, stats.open), (7, 7, 0));
}

/// The one connection of a world's router.
fn router_conn(world: &World<'_>) -> router::ConnId {
    let accepted = world.effects.iter().find_map(|effect| {
        let router::Effect::Accepted { conn, .. } = effect else { return None };
        Some(*conn)
    });
    accepted.expect("accepted")
}
