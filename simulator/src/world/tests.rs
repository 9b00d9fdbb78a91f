use super::*;
use crate::scenario::embedded;
use crate::simulate;

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
        assert_eq!((counts.golden, counts.users), (counts.runs, u64::from(scenario.users.count)), "{name}");
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
