//! Counts of what passes through a router.

use router::{Effect, Effects, FrameIx, Input, RunRequest};
use serde_json::Value;

use crate::dialect::{Dialect as _, Goldenpath};
use crate::world::EPOCH_US;

/// What passed through a router. Sums, not averages: integers compare exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// Text frames of clients, whatever became of them.
    pub messages: u64,
    /// Inputs: messages, agents' reports, written frames, deadlines.
    pub hops: u64,
    /// Effects that were asked for.
    pub effects: u64,
    /// Frames among them, one for every recipient.
    pub sends: u64,
    /// Frames that waited in a queue of the router before they were handed to a socket: those that another frame's having
    /// been written made room for.
    pub queue_passes: u64,
    /// How long they waited since they were made, all together, microseconds.
    pub queue_wait_us: u64,
    /// Frames that were made and texts that were handed on; the recipients of a fan-out share one.
    pub copies: u64,
    /// Bytes of them.
    pub copied_bytes: u64,
}

/// What one effect is, to whom counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Whether it hands a frame to a socket.
    pub is_send: bool,
    /// Bytes that were copied for it; `None` if none were, as for the further recipients of a frame.
    pub copied: Option<u64>,
}

impl Load {
    /// What an effect is, given the frame of the one before it.
    #[inline]
    pub fn of(effect: &Effect, effects: &Effects, last: &mut Option<FrameIx>) -> Self {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "whatever else is asked for copies nothing that is ours to know"
        )]
        match effect {
            Effect::Send { frame, .. } => {
                let is_new = last.replace(*frame) != Some(*frame);
                Self { is_send: true, copied: is_new.then(|| effects.frame(*frame).len() as u64) }
            }
            Effect::Refused { frame, .. } => {
                Self { is_send: false, copied: Some(effects.frame(*frame).len() as u64) }
            }
            Effect::StartRun(request) => Self { is_send: false, copied: Some(handed_on(request)) },
            _ => Self::default(),
        }
    }
}

impl Costs {
    /// Counts an input.
    #[inline]
    pub(crate) fn input(&mut self, input: &Input<'_>) {
        self.hops += 1;
        self.messages += u64::from(matches!(input, Input::Text { .. }));
    }

    /// Counts an effect.
    #[inline]
    pub(crate) fn effect(&mut self, load: Load) {
        self.effects += 1;
        self.sends += u64::from(load.is_send);
        if let Some(bytes) = load.copied {
            self.copies += 1;
            self.copied_bytes += bytes;
        }
    }

    /// Counts effects, whatever inputs they are of.
    pub fn add_effects(&mut self, effects: &Effects) {
        let mut last = None;
        for effect in effects.iter() {
            self.effect(Load::of(effect, effects, &mut last));
        }
    }

    /// Counts a frame that had waited in a queue until `now_us`, microseconds since the world began.
    pub(crate) fn queue_pass(&mut self, now_us: u64, frame: &str) {
        let now_us = EPOCH_US + now_us;
        self.queue_passes += 1;
        self.queue_wait_us += now_us.saturating_sub(made_us(frame).unwrap_or(now_us));
    }
}

fn handed_on(request: &RunRequest) -> u64 {
    (request.text().len() + request.payload.len() + request.request_id.len() + request.thread_id.len()) as u64
}

/// When a frame was made, microseconds since 1970: run events say it in words, the router's own messages in seconds.
fn made_us(text: &str) -> Option<u64> {
    if let Some(at_us) = Goldenpath.decode(text).ok().and_then(|frame| frame.emitted_at_us()) {
        return Some(at_us);
    }
    let frame: Value = serde_json::from_str(text).ok()?;
    // Rounding takes back what the binary fraction lost.
    frame["timestamp"].as_f64().map(|seconds| (seconds * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use router::{ConnId, RunRef};

    use super::*;

    #[test]
    fn a_fan_out_copies_its_frame_once() {
        let mut effects = Effects::new();
        let (one, two) = (effects.text("{\"a\":1}"), effects.text("{\"b\":22}"));
        for (index, frame) in [(0, one), (1, one), (2, two), (0, one)] {
            effects.push(Effect::Send { conn: ConnId::from_parts(index, 0), frame });
        }
        let request = RunRequest::stand_in(RunRef::from_parts(0, 0), 1, "ada".into(), "hello");
        effects.push(Effect::StartRun(Arc::new(request)));
        effects.push(Effect::Ping { conn: ConnId::from_parts(0, 0) });
        let mut costs = Costs::default();
        costs.add_effects(&effects);
        let expected = Costs {
            effects: 6,
            sends: 4,
            copies: 4,
            copied_bytes: 7 + 8 + 7 + ("hello".len() + "{}".len()) as u64,
            ..Costs::default()
        };
        assert_eq!(costs, expected);
    }

    #[test]
    fn a_frame_says_when_it_was_made_in_words_or_in_seconds() {
        let mut costs = Costs::default();
        costs.queue_pass(40_689, r#"{"type":"agent_started","timestamp":"2023-11-14T22:13:20.040000Z"}"#);
        costs.queue_pass(40_689, r#"{"type":"pong","timestamp":1700000000.040600}"#);
        costs.queue_pass(40_689, r#"{"type":"pong"}"#);
        assert_eq!((costs.queue_passes, costs.queue_wait_us), (3, 689 + 89));
    }
}
