use super::reach::{Reach, Way};
use super::*;
use crate::checkers::bounds::Bounds;
use crate::scenario::{Scenario, embedded};
use crate::world::{Options, RunResult, World, router_config};

fn scenario(name: &str, users: u32) -> Scenario {
    let text = embedded().iter().find(|(known, _)| *known == name).map(|(_, text)| *text).unwrap();
    let mut scenario = Scenario::parse(name, text).unwrap();
    scenario.users.count = scenario.users.count.min(users);
    scenario
}

fn run(scenario: Scenario, seed: u64) -> RunResult {
    run_by(scenario, seed, None)
}

/// With events going this way to the sockets.
fn run_by(scenario: Scenario, seed: u64, way: Option<Way>) -> RunResult {
    let limits = router_config(&scenario);
    let bounds = Bounds::new(limits.socket_window_frames);
    let mut server = LegacyServer::new(limits, Hazards::NONE);
    if let Some(way) = way {
        server.deliver = Deliver::over(Reach::by(way, Hazards::NONE));
    }
    World::with_subject(scenario, seed, server, bounds, Options::default()).run()
}

#[test]
fn many_seeds_are_silent_too() {
    for name in ["tiny", "churn", "reconnect", "hazards"] {
        for seed in 1..=10 {
            let findings = run(scenario(name, 24), seed).checkers.ledger().findings().to_vec();
            assert_eq!(findings, [], "{name} {seed}");
        }
    }
}

#[test]
fn every_way_of_an_event_is_silent_without_hazards() {
    for way in [Way::Service, Way::Pool, Way::Scoped] {
        for name in ["hazards", "reconnect", "slow-reader"] {
            let findings = run_by(scenario(name, 40), 7, Some(way)).checkers.ledger().findings().to_vec();
            assert_eq!(findings, [], "{name} by {way:?}");
        }
    }
}

#[test]
fn without_hazards_no_checker_has_a_word_to_say() {
    for (name, _) in embedded() {
        let scenario = scenario(name, 60);
        if !scenario.faults.is_empty() {
            continue; // what it promises where there are faults is less: the world's own tests say what
        }
        let result = run(scenario.clone(), scenario.seed);
        let (ledger, counts) = (result.checkers.ledger(), result.checkers.ledger().counts);
        assert_eq!(ledger.findings(), [], "{name}");
        assert_eq!((counts.golden, counts.users), (counts.runs, u64::from(scenario.users.count)), "{name}");
    }
}
