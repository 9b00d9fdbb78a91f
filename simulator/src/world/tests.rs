mod faults;

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

/// Fifty users at once at a node that needs a millisecond for everything.
fn busy(service: Option<crate::scenario::Service>) -> Scenario {
    let mut scenario = scenario("tiny", 5);
    scenario.users.count = 50;
    scenario.users.arrival.over = crate::scenario::Micros::new(100_000);
    Scenario { service, ..scenario }
}

fn a_millisecond_each() -> crate::scenario::Service {
    let ms = crate::scenario::Nanos::new(1_000_000);
    crate::scenario::Service { hop: ms, effect: ms, ..crate::scenario::Service::default() }
}

#[test]
fn a_node_that_takes_time_makes_everybody_wait_and_breaks_nothing() {
    let run = |service| World::new(busy(service), 1, Options::default()).unwrap().run();
    let (fast, slow) = (run(None), run(Some(a_millisecond_each())));
    assert!(fast.node.is_none());
    let node = slow.node.as_ref().unwrap();
    let (fast_counts, slow_counts) = (fast.checkers.ledger().counts, slow.checkers.ledger().counts);
    assert_eq!(slow.checkers.ledger().findings(), []);
    assert_eq!((slow_counts.events, slow_counts.golden), (fast_counts.events, fast_counts.golden));
    let first_event = |result: &RunResult| result.checkers.ledger().times.first_event.quantile(0.5);
    assert!(first_event(&slow) > first_event(&fast) + 2_000, "an input and an effect, twice");
    assert!(node.wait.quantile(0.99) > 1_000 && node.transit.quantile(0.0) >= 2_000);
    // Every input and every effect was served, and nothing else.
    let served = slow.costs.hops + slow.costs.effects;
    assert!(node.busy_ns >= served * 1_000_000 && node.busy_ns < served * 1_100_000);
    assert_eq!(run(Some(a_millisecond_each())).hash, slow.hash);
}

#[test]
fn the_last_of_many_tabs_gets_an_event_when_all_others_have() {
    let mut scenario = busy(Some(a_millisecond_each()));
    scenario.users.count = 1;
    scenario.users.tabs = crate::scenario::CountWeights::new(&[(crate::scenario::Counts::new(200, 200), 1)]);
    scenario.limits.connections_per_user_max = Some(255);
    (scenario.limits.rate_per_s, scenario.limits.rate_burst) = (Some(1_000_000), Some(1_000_000));
    scenario.network.latency = crate::scenario::MicrosRange::new(1_000, 1_000);
    scenario.network.disconnect_share = crate::scenario::Share::new(0.0);
    // Two thirds of a second pass between the first of a fan-out and the last, and its being written.
    scenario.session.think_time =
        crate::scenario::Pause::Uniform(crate::scenario::MicrosRange::new(9_000_000, 9_000_000));
    scenario.agent.event_gap = crate::scenario::Micros::new(1_000_000);
    scenario.limits.agent_deadline = None;
    let result = World::new(scenario, 1, Options::default()).unwrap().run();
    assert_eq!(result.checkers.ledger().by_rule().keys().collect::<Vec<_>>(), Vec::<&String>::new());
    let node = result.node.unwrap();
    let between = node.last.quantile(0.0) - node.first.quantile(0.0);
    assert_eq!(between, 199_000, "a millisecond for each that comes behind the first");
    let times = &result.checkers.ledger().times;
    assert!(times.fan_out_last.quantile(0.0) >= times.fan_out_first.quantile(0.0) + 199_000);
}

#[test]
fn counts_are_those_of_the_router() {
    let mut stalling = scenario("slow-reader", 60);
    stalling.agent.thinking = crate::scenario::Counts::new(60, 64);
    stalling.slow_reader.share = crate::scenario::Share::new(1.0);
    for (scenario, has_queues) in [(scenario("tiny", 5), false), (stalling, true)] {
        let result = World::new(scenario, 1, Options::default()).unwrap().run();
        let (costs, stats) = (result.costs, &result.stats);
        assert_eq!((costs.hops, costs.messages), (result.inputs, stats.inbound.received));
        // A frame is addressed to a connection once, and handed to its socket once unless the connection is gone first.
        let frames = stats.frames;
        assert!(
            costs.sends <= frames.offered && costs.sends + frames.dropped >= frames.offered,
            "{frames:?}"
        );
        assert_eq!(costs.queue_passes > 0, has_queues);
        assert_eq!(costs.queue_wait_us > 0, has_queues, "and each waited for the reader");
        assert!(costs.effects > costs.sends && costs.copied_bytes > costs.copies * 50, "{costs:?}");
    }
}

#[test]
fn a_journey_that_took_too_long_is_a_finding_that_says_by_how_much() {
    let mut scenario = scenario("journeys", 40);
    let report = |scenario: &Scenario| simulate(scenario, 1, Options::default()).unwrap();
    let kept = report(&scenario);
    assert_eq!(kept.verdict, reports::Verdict::Pass, "{:?}", kept.reasons);
    let keys: Vec<&str> = kept.metrics.iter().map(|metric| metric.key.as_str()).collect();
    for key in ["journey.answer", "journey.by-tool.5", "event.tool_completed", "tier.enterprise", "node_last"]
    {
        assert!(keys.contains(&key), "{key}: {keys:?}");
    }
    scenario.expect.journeys[1].steps[3].max = Some(crate::scenario::Micros::new(1_000));
    let missed = report(&scenario);
    assert_eq!(missed.findings_by_rule.keys().collect::<Vec<_>>(), ["objective.journey.by-tool"]);
    let detail = &missed.findings[0].detail;
    assert!(
        detail.contains("from tool_executing to tool_completed") && detail.contains("at most 1ms"),
        "{detail}"
    );
}
