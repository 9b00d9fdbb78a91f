//! The script source that needs nothing else: a short golden path, the same for the same request.

use std::time::Duration;

use router::{RunRequest, ToolStatus};
use serde_json::{json, value::to_raw_value};

use super::script::{Beat, OwnedEvent, Script, ScriptSource};

/// Longest quotation of the request, in characters.
const WORD_CHARS_MAX: usize = 64;

/// Derives 1 to 3 thinking steps, up to 2 tools and an answer from (seed, user, request id). Each text
/// repeats the first word of the request, so that a reader sees whose run it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rehearsed {
    /// Another seed gives other rehearsals.
    pub seed: u64,
}

impl ScriptSource for Rehearsed {
    fn script(&self, request: &RunRequest) -> Script {
        let mut draw = Draw::new(self.seed, &request.user, &request.request_id);
        let word: String =
            request.text().split_whitespace().next().unwrap_or("…").chars().take(WORD_CHARS_MAX).collect();
        rehearse(&mut draw, &word)
    }
}

fn rehearse(draw: &mut Draw, word: &str) -> Script {
    let mut stage = Stage { at_ms: 0, beats: Vec::new() };
    stage
        .beat(0, OwnedEvent::Started { agent: "rehearsed_agent".into(), task: format!("Working on {word}") });
    for step in 1..=1 + draw.below(3) as u32 {
        let reasoning = format!("Step {step}: thinking about {word}");
        stage.beat(2 + draw.below(20), OwnedEvent::Thinking { reasoning, step: Some(step) });
    }
    for number in 1..=draw.below(3) {
        stage.tool(number, 5 + draw.below(40), word);
    }
    let total_ms = stage.at_ms + 2 + draw.below(20);
    let response = format!("Done with {word}");
    stage.beat(total_ms - stage.at_ms, OwnedEvent::Completed { response, execution_time_ms: Some(total_ms) });
    Script { beats: stage.beats }
}

struct Stage {
    at_ms: u64,
    beats: Vec<Beat>,
}

impl Stage {
    fn beat(&mut self, after_ms: u64, event: OwnedEvent) {
        self.at_ms += after_ms;
        self.beats.push(Beat { at: Duration::from_millis(self.at_ms), event });
    }

    fn tool(&mut self, number: u64, duration_ms: u64, word: &str) {
        let call = format!("call-{number}");
        let tool = String::from("look_up");
        let parameters = to_raw_value(&json!({ "query": word })).expect("plain JSON");
        let results = to_raw_value(&json!({ "found": word })).expect("plain JSON");
        self.beat(2, OwnedEvent::ToolExecuting { call: call.clone(), tool, parameters });
        let status = ToolStatus::Completed;
        self.beat(duration_ms, OwnedEvent::ToolCompleted { call, status, results, duration_ms });
    }
}

/// splitmix64 over a hash of what names the run. It shapes texts and pauses; it routes nothing.
struct Draw(u64);

impl Draw {
    fn new(seed: u64, user: &str, request_id: &str) -> Self {
        let bytes = user.bytes().chain([0]).chain(request_id.bytes());
        // FNV-1a, started from the seed.
        Self(bytes.fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(seed: u64, id: &str) -> Vec<String> {
        let script = rehearse(&mut Draw::new(seed, "ada", id), "hello");
        assert!(script.beats.is_sorted_by_key(|beat| beat.at));
        script.beats.iter().map(|beat| format!("{:?} {:?}", beat.at, beat.event)).collect()
    }

    #[test]
    fn the_same_request_is_rehearsed_the_same_way() {
        assert_eq!(events(1, "m1"), events(1, "m1"));
        assert!((0..20).any(|n| events(1, "m1") != events(1, &format!("m{n}"))));
    }

    #[test]
    fn a_rehearsal_is_a_golden_path() {
        for n in 0..50 {
            let events = events(n, "m");
            assert!(events[0].contains("Started") && events[1].contains("Thinking"));
            assert!(events.last().unwrap().contains("Completed"));
            assert!(events.iter().all(|event| event.contains("hello")));
        }
    }
}
