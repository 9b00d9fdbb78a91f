//! Whole scenarios in virtual time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use simulator::{
    scenario::{Scenario, embedded},
    world::{EPOCH_US, Options, World},
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

const DAY_US: u64 = 86_400_000_000;

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
    let mut played = PlayedScenario {
        corpus: format!("{} seed {}", scenario.hash(), scenario.seed),
        ..PlayedScenario::default()
    };
    let mut take = |line: &str| {
        played.line(line);
        true
    };
    let options = Options { trace: Some(&mut take), ..Options::default() };
    let world = World::new(scenario.clone(), scenario.seed, options).expect("its limits are valid");
    let result = world.run();
    let ledger = result.checkers.ledger();
    played.digest = result.hash;
    played.hops = result.inputs;
    played.window_peak = u64::from(result.window_peak);
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

/// What is read of a line of a trace.
#[derive(Deserialize)]
struct Line<'a> {
    t: u64,
    #[serde(rename = "in", borrow)]
    input: &'a RawValue,
    #[serde(borrow)]
    out: Vec<&'a RawValue>,
}

impl PlayedScenario {
    fn line(&mut self, line: &str) {
        let Ok(Line { t, input, out }) = serde_json::from_str(line) else { return };
        self.effects += out.len() as u64;
        self.messages += u64::from(input.get().contains(r#","text":"#));
        // A frame that is handed on because another was written has waited for that.
        if !input.get().contains(r#","written":"#) {
            return;
        }
        for effect in out {
            let effect: Value = serde_json::from_str(effect.get()).unwrap_or_default();
            if effect["send"].is_array() {
                self.queue_passes += 1;
                let made_us = made_us(&effect["frame"]).unwrap_or(EPOCH_US + t);
                self.queue_wait_us += (EPOCH_US + t).saturating_sub(made_us);
            }
        }
    }
}

/// When a frame was made, microseconds since 1970; run events say it in words, the router's own messages in seconds.
fn made_us(frame: &Value) -> Option<u64> {
    match &frame["timestamp"] {
        Value::String(text) => {
            let (_, time) = text.trim_end_matches('Z').split_once('T')?;
            let (clock, micros) = time.split_once('.')?;
            let seconds =
                clock.split(':').try_fold(0, |sum, part| Some(sum * 60 + part.parse::<u64>().ok()?))?;
            let of_day = seconds * 1_000_000 + micros.parse::<u64>().ok()?;
            // No scenario lasts a day: the frame was made on the day of the start, or after its midnight.
            let first = EPOCH_US % DAY_US;
            Some(EPOCH_US - first + of_day + if of_day < first { DAY_US } else { 0 })
        }
        // Rounding takes back what the binary fraction lost.
        Value::Number(seconds) => seconds.as_f64().map(|seconds| (seconds * 1e6).round() as u64),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
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

    #[test]
    fn a_frame_that_is_sent_when_another_was_written_has_waited() {
        let mut played = PlayedScenario::default();
        played.line(
            r#"{"t":40689,"in":{"conn":[0,0],"text":"{}"},"out":[{"send":[0,0],"frame":{"timestamp":"2023-11-14T22:13:20.000000Z"}}],"h":"0"}"#,
        );
        assert_eq!((played.messages, played.effects, played.queue_passes), (1, 1, 0));
        played.line(
            r#"{"t":40689,"in":{"conn":[0,0],"written":1},"out":[{"send":[0,0],"frame":{"timestamp":"2023-11-14T22:13:20.040000Z"}},{"send":[0,0],"frame":{"timestamp":1700000000.040600}}],"h":"0"}"#,
        );
        assert_eq!((played.effects, played.queue_passes, played.queue_wait_us), (3, 2, 689 + 89));
    }
}
