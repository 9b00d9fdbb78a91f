//! Whole scenarios in virtual time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use simulator::{
    scenario::{Scenario, embedded},
    world::{Options, World},
};

/// What a scenario amounted to under its own seed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayedScenario {
    /// Hash of the scenario and its seed.
    pub corpus: String,
    /// Rolling hash over every input and effect.
    pub digest: String,
    /// Text frames of clients, whatever became of them.
    pub messages: u64,
    /// Inputs of the router: messages, agents' events, written frames, deadlines.
    pub hops: u64,
    /// Effects it asked for.
    pub effects: u64,
    /// Frames that waited in a queue of the router before they were handed to a socket.
    pub queue_passes: u64,
    /// How long they waited since they were made, all together, microseconds.
    pub queue_wait_us: u64,
    /// Most frames that were handed to one socket and not yet written.
    pub window_peak: u64,
    /// Times, by key.
    pub latency: BTreeMap<String, Latency>,
}

/// A distribution of virtual times, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Samples.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// Largest.
    pub max: u64,
}

/// Plays every scenario that is compiled in and has at most `users_max` users.
pub(super) fn play(users_max: u32) -> BTreeMap<String, PlayedScenario> {
    let mut played = BTreeMap::new();
    for (name, text) in embedded() {
        let scenario = Scenario::parse(name, text).expect("a scenario that is compiled in is valid");
        if scenario.users.count <= users_max {
            played.insert((*name).to_owned(), one(&scenario));
        }
    }
    played
}

fn one(scenario: &Scenario) -> PlayedScenario {
    let world =
        World::new(scenario.clone(), scenario.seed, Options::default()).expect("its limits are valid");
    let result = world.run();
    let (ledger, costs) = (result.checkers.ledger(), result.costs);
    let mut played = PlayedScenario {
        corpus: format!("{} seed {}", scenario.hash(), scenario.seed),
        digest: result.hash,
        messages: costs.messages,
        hops: costs.hops,
        effects: costs.effects,
        queue_passes: costs.queue_passes,
        queue_wait_us: costs.queue_wait_us,
        window_peak: u64::from(result.window_peak),
        ..PlayedScenario::default()
    };
    for metric in ledger.metrics() {
        let latency = Latency {
            count: metric.count,
            p50: metric.p50,
            p99: metric.p99,
            p999: metric.p999,
            max: metric.max,
        };
        played.latency.insert(metric.key, latency);
    }
    played
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_scenario_gives_the_same_numbers() {
        let (name, text) = embedded()[0];
        let scenario = Scenario::parse(name, text).unwrap();
        let played = one(&scenario);
        assert_eq!(played, one(&scenario));
        assert!(played.hops > played.messages && played.effects > 0);
        assert!(played.latency["first_event"].p50 > 0);
    }
}
