//! What differs, and why: decisions that demand it, defects that are gone.

use router::queue::{Priority, Reason};
use serde_json::{Value, json};

use super::{Connstate, ended};
use crate::{
    conform::{
        Action, Decision, Difference, Expect, Notes,
        units::queues::{cured, of_the_contract},
    },
    legacy::queues::State,
};

const PROTECTED: Decision = of_the_contract(
    "adapter-protection",
    "in the adapter of connections only the highest class is protected: an agent event of a lower one gives way",
);
const FINAL: Decision = of_the_contract(
    "closed-is-final",
    "a closed or suspended queue takes nothing, lets nothing out, and stays so",
);
const DEGRADED: Decision = of_the_contract(
    "degraded-drains",
    "a degraded connection gets one message at a time: its queue is draining",
);
const READY: Decision = of_the_contract(
    "ready-states",
    "a connection that is processing or idle is ready: its queue opens, and what waited goes out",
);
const NOT_PAUSED: Decision = of_the_contract(
    "flush-now",
    "an explicit flush ends the pause after a failure; without one the queue waits for it",
);
const GOES_ON: Decision =
    of_the_contract("flush-goes-on", "a flush that failed goes on by itself when its pause is over");
const TOLD: Decision = of_the_contract(
    "expiry-told",
    "an urgent message that expires is a dead letter with that reason, and is told",
);
const AVERAGE: Decision =
    of_the_contract("true-average", "the average is over the time from offer to delivery of each message");

/// The events of a run that are never sacrificed elsewhere.
const RUN_EVENTS: [&str; 5] =
    ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"];

impl Connstate {
    pub(super) fn explain(
        &mut self,
        action: &Action,
        expect: &Expect,
        notes: &mut Notes,
        out: Vec<Difference>,
    ) -> Vec<Difference> {
        let out = self.finality(expect, notes, out);
        let out = self.degraded(notes, out);
        let out = self.ready(action, notes, out);
        self.overflow(expect, notes);
        self.failures(action, expect, notes);
        self.endings(action, expect, notes, &out);
        self.figures(action, expect, notes);
        out
    }

    /// Nothing leaves a closed or suspended queue, and nothing opens it again.
    fn finality(&self, expect: &Expect, notes: &mut Notes, out: Vec<Difference>) -> Vec<Difference> {
        let state = self.conn.queue.state();
        let over = matches!(state, State::Closed | State::Suspended);
        let recorded = recorded_state(expect);
        if over && recorded == "pass_through" {
            let quiet = self.seen.sent.is_empty() && self.seen.returns != true;
            if self.facts.before == state.name() && quiet {
                notes.decided(FINAL);
                cured(notes, &["connstate.C8", "resurrection"]);
                return Vec::new();
            }
            cured(notes, &["connstate.C8", "resurrection"]);
        }
        out
    }

    fn degraded(&self, notes: &mut Notes, mut out: Vec<Difference>) -> Vec<Difference> {
        let draining = |difference: &Difference| {
            difference.recorded == "pass_through" && difference.observed == State::Flushing.name()
        };
        if self.conn.queue.is_degraded() && out.iter().any(draining) {
            out.retain(|difference| !draining(difference));
            notes.decided(DEGRADED);
        }
        out
    }

    /// A connection that works was ready before, whether the queue was told so or not.
    fn ready(&mut self, action: &Action, notes: &mut Notes, out: Vec<Difference>) -> Vec<Difference> {
        let told = action.op == "notify" && matches!(action.text("to"), Some("processing" | "idle"));
        let empty = self.conn.queue.messages().is_empty();
        let opened =
            told && self.conn.queue.state() == State::PassThrough && self.facts.before == "buffering";
        if opened && empty && self.seen.sent.len() == self.facts.waited {
            self.conn.opened = true;
            notes.decided(READY);
            return Vec::new();
        }
        let through = action.op == "enqueue" && self.seen.returns == true && self.seen.sent.len() == 1;
        if self.conn.opened && through && empty && self.seen.sent[0]["message_id"] == *action.arg("id") {
            notes.decided(READY);
            return Vec::new();
        }
        out
    }

    fn overflow(&self, expect: &Expect, notes: &mut Notes) {
        if !ended(&self.facts.events, |reason| matches!(reason, Reason::Evicted { .. })) {
            return;
        }
        if expect.returns == false && self.seen.returns == true {
            cured(notes, &["connstate.C3", "overflow"]);
        }
        let evicted =
            self.conn.queue.dead().filter(|(_, reason)| matches!(reason, Reason::Evicted { .. })).last();
        let kind = evicted.and_then(|(message, _)| message.body["type"].as_str());
        if kind.is_some_and(|kind| RUN_EVENTS.contains(&kind)) {
            notes.decided(PROTECTED);
        }
    }

    fn failures(&self, action: &Action, expect: &Expect, notes: &mut Notes) {
        let queue = &self.conn.queue;
        if self.facts.hurried && self.seen.sent.iter().any(|sent| sent["attempt"].as_u64() > Some(1)) {
            notes.decided(NOT_PAUSED);
        }
        if self.facts.failed {
            if expect.sent.len() > self.seen.sent.len() {
                cured(notes, &["connstate.C7", "reorder"]);
            }
            let waits = queue.messages();
            let urgent =
                waits.iter().find(|waiting| waiting.priority == Priority::Critical && waiting.failures > 0);
            if let Some(urgent) = urgent
                && !recorded_lane(expect, "critical").contains(&json!(urgent.body.id))
            {
                cured(notes, &["connstate.C4", "silent_loss"]);
            }
            if action.op == "enqueue" && expect.returns == false && self.seen.returns == true {
                cured(notes, &["connstate.C17", "sender_refused", "silent_loss"]);
            }
        }
        if ended(&self.facts.events, |reason| reason == Reason::AttemptsExhausted) {
            cured(notes, &["connstate.C5", "silent_loss"]);
        }
        if queue.is_pausing() && queue.next_deadline().is_some() && recorded_state(expect) == "buffering" {
            notes.decided(GOES_ON);
            cured(notes, &["connstate.C6", "stuck"]);
        }
    }

    fn endings(&self, action: &Action, expect: &Expect, notes: &mut Notes, out: &[Difference]) {
        let queue = &self.conn.queue;
        if expect.raises.as_deref() == Some("Deadlock") && self.seen.raises.is_none() {
            cured(notes, &["connstate.C2", "connstate.C10", "deadlock"]);
        }
        if ended(&self.facts.events, |reason| reason == Reason::ConnectionGone) {
            cured(notes, &["connstate.C18", "silent_loss"]);
        }
        if action.op == "transition" && !out.is_empty() {
            cured(notes, &["connstate.C1", "stuck"]);
        }
        if self.conn.has_no_processor() && !queue.messages().is_empty() {
            let kept = queue.messages().len() > recorded_len(expect);
            if kept && recorded_state(expect) == "pass_through" {
                cured(notes, &["connstate.C9", "silent_loss"]);
            }
        }
        let expired = queue.dead().filter(|(_, reason)| *reason == Reason::Expired).last();
        if ended(&self.facts.events, |reason| reason == Reason::Expired)
            && expired.is_some_and(|(message, _)| message.priority == Priority::Critical)
        {
            notes.decided(TOLD);
            cured(notes, &["connstate.C13", "silent_loss"]);
        }
        let guarded = action.op == "concurrent" && all_true(&expect.returns) && !all_true(&self.seen.returns);
        if guarded {
            cured(notes, &["connstate.C11", "guard"]);
        }
        if self.facts.foreign {
            cured(notes, &["connstate.C12", "cross_user"]);
        }
        if self.facts.duplicate {
            cured(notes, &["connstate.C15", "duplicate"]);
        }
    }

    /// The average of the old queue left out what went out at the first attempt.
    fn figures(&self, action: &Action, expect: &Expect, notes: &mut Notes) {
        let recorded = expect.returns["metrics"]["average_queue_duration_ms"].as_f64();
        let average = self.conn.queue.metrics().average_ms;
        if action.op == "stats" && recorded.is_some_and(|recorded| recorded < average) {
            notes.decided(AVERAGE);
            cured(notes, &["connstate.C14", "metric"]);
        }
    }
}

fn recorded_state(expect: &Expect) -> &str {
    expect.state.as_ref().and_then(|state| state["queue_state"].as_str()).unwrap_or_default()
}

fn recorded_lane<'e>(expect: &'e Expect, class: &str) -> &'e [Value] {
    let lane = expect.state.as_ref().and_then(|state| state["queues"][class].as_array());
    lane.map(Vec::as_slice).unwrap_or_default()
}

fn recorded_len(expect: &Expect) -> usize {
    ["critical", "high", "normal", "low"].iter().map(|class| recorded_lane(expect, class).len()).sum()
}

fn all_true(answers: &Value) -> bool {
    answers.as_array().is_some_and(|answers| answers.iter().all(|answer| answer["returns"] == true))
}
