//! What differs, and why: decisions that demand it, defects that are gone.

use std::collections::BTreeSet;

use router::queue::{Event, Reason, Refusal};
use serde_json::{Value, json};

use super::{Buffer, number, project};
use crate::conform::{
    Action, Decision, Difference, Expect, Notes,
    units::queues::{cured, of_the_contract},
};

const COUNTED: Decision = of_the_contract(
    "evictions-counted",
    "a message that gives way, or is refused, is counted as dropped, once",
);
const NEVER_HIGHER: Decision = of_the_contract(
    "never-evict-higher",
    "no message gives way to one of a lower class: a lower one does, or none",
);
const STRATEGY: Decision = of_the_contract(
    "unknown-strategy",
    "an unknown strategy is the oldest message's in the adapter, and an error in a configuration file",
);

impl Buffer {
    pub(super) fn explain(
        &mut self,
        action: &Action,
        expect: &Expect,
        notes: &mut Notes,
        out: Vec<Difference>,
    ) -> Vec<Difference> {
        let evicted = self.facts.events.iter().any(is_eviction);
        if evicted && !self.known_strategy {
            notes.decided(STRATEGY);
        }
        let out = self.counted(notes, out);
        self.overflow(action, expect, notes);
        self.deliveries(action, expect, notes);
        self.endings(action, expect, notes, &out);
        self.inversion(action, expect, notes, out)
    }

    /// Whatever gives way is dropped; the old count left it out.
    fn counted(&self, notes: &mut Notes, mut out: Vec<Difference>) -> Vec<Difference> {
        let evicted = self.queue.stats().evicted;
        let only_counted = |difference: &Difference| {
            let (recorded, observed) = (difference.recorded.as_u64(), difference.observed.as_u64());
            difference.at.ends_with("messages_dropped")
                && evicted > 0
                && recorded.zip(observed).is_some_and(|(recorded, observed)| recorded + evicted == observed)
        };
        if out.iter().any(only_counted) {
            out.retain(|difference| !only_counted(difference));
            notes.decided(COUNTED);
            cured(notes, &["buffer.B6", "uncounted_loss"]);
        }
        out
    }

    fn overflow(&self, action: &Action, expect: &Expect, notes: &mut Notes) {
        if action.op != "buffer" {
            return;
        }
        let dropped = |state: &Value| state["stats"]["messages_dropped"].as_u64().unwrap_or_default();
        let recorded = expect.state.as_ref().map(dropped).unwrap_or_default();
        let refused = self.facts.refusal;
        let lists = |state: &Value| project(state)["buffers"].clone();
        let kept = self.seen.state["buffers"] == self.before["buffers"];
        match refused {
            Some(Refusal::UserQuota) if expect.returns == true => {
                cured(notes, &["buffer.B7", "critical_dropped", "overflow"]);
                let none = self.queue.messages(action.text("user").unwrap_or_default()).is_empty();
                if none {
                    cured(notes, &["buffer.B17", "silent_loss"]);
                }
            }
            Some(Refusal::UserQuota) if kept => {
                notes.sound("the new message was refused, and nothing that is protected gave way");
            }
            Some(Refusal::GlobalQuota) => {
                if kept
                    && expect.state.as_ref().is_some_and(|state| lists(state) != self.seen.state["buffers"])
                {
                    cured(notes, &["buffer.B9", "cross_user", "critical_dropped", "overflow"]);
                }
                if dropped(&self.seen.state) > recorded {
                    cured(notes, &["buffer.B6", "uncounted_loss"]);
                }
            }
            Some(Refusal::TooLarge { .. }) if dropped(&self.seen.state) != recorded => {
                notes.decided(COUNTED);
                cured(notes, &["buffer.B10", "wrong_error", "exception", "counter"]);
            }
            Some(Refusal::InvalidUser) => cured(notes, &["buffer.B14", "user_id", "edge"]),
            None if expect.returns == false => cured(notes, &["buffer.B13", "silent_loss"]),
            _ => {}
        }
    }

    fn deliveries(&self, action: &Action, expect: &Expect, notes: &mut Notes) {
        if expect.raises.as_deref() == Some("AttributeError") && self.seen.raises.is_none() {
            cured(notes, &["buffer.B1", "exception", "silent_loss"]);
        }
        let sent =
            |frames: &[Value]| frames.iter().map(|frame| number(&frame["message"])).collect::<Vec<_>>();
        let (recorded, seen) = (sent(&expect.sent), sent(&self.seen.sent));
        let state = expect.state.as_ref().map(project).unwrap_or_default();
        let listed: Vec<String> = state["buffers"]
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(_, list)| list.as_array().into_iter().flatten())
            .map(|entry| entry[0].to_string())
            .collect();
        let twice = |numbers: &[String]| numbers.iter().collect::<BTreeSet<_>>().len() < numbers.len();
        let sent_twice: Vec<String> = recorded.iter().map(Value::to_string).collect();
        if (twice(&listed) || twice(&sent_twice)) && seen.len() <= recorded.len() {
            cured(notes, &["buffer.B3", "duplicate"]);
        }
        if self.facts.paused {
            // The old list was tried again at once, whatever its schedule said.
            cured(notes, &["buffer.B3", "schedule"]);
        }
        if self.facts.failed && recorded.len() > seen.len() {
            cured(notes, &["buffer.B5", "reorder"]);
        }
        let overdue = expect.state.as_ref().and_then(|state| state["retry_queue"].as_array());
        let blocked = overdue.into_iter().flatten().skip(1).find(|entry| entry[1].as_f64() < Some(0.0));
        if let Some(blocked) = blocked
            && self.attempts(&blocked[0]) == Some(0)
        {
            // It was never tried ahead of the message before it: nothing of it can be overdue.
            cured(notes, &["buffer.B16", "reorder"]);
        }
        let count = |state: &Value| state["message_count"].as_i64().unwrap_or_default();
        let out_of_step = i64::try_from(listed.len()).is_ok_and(|listed| listed != count(&state));
        if out_of_step && !listed.is_empty() | (count(&state) != 0) {
            cured(notes, &["buffer.B2", "counter", "leak", "counter_leak"]);
        }
        if action.op == "concurrent" {
            notes.sound("what was recorded adds up: one of the schedules that the one queue allows");
        }
    }

    /// Attempts that failed of the message with that number.
    fn attempts(&self, wanted: &Value) -> Option<u64> {
        let lists = self.seen.state["buffers"].as_object()?;
        let mut entries = lists.values().filter_map(Value::as_array).flatten();
        entries.find(|entry| entry[0] == *wanted).and_then(|entry| entry[2].as_u64())
    }

    fn endings(&self, action: &Action, expect: &Expect, notes: &mut Notes, out: &[Difference]) {
        if action.op == "retry_tick" && !out.is_empty() && self.seen.state == self.before {
            // Nothing is put in a second time.
            cured(notes, &["buffer.B3", "buffer.B6", "uncounted_loss", "duplicate"]);
        }
        if self
            .facts
            .events
            .iter()
            .any(|event| matches!(event, Event::DeadLettered { reason: Reason::Expired, .. }))
        {
            cured(notes, &["buffer.B11", "timeout_unused", "unbounded", "expiry"]);
        }
        for user in &self.tale.cleared {
            let back = expect
                .state
                .as_ref()
                .is_some_and(|state| state["buffers"][user].as_array().is_some_and(|list| !list.is_empty()));
            if back && self.queue.messages(user).is_empty() && action.op != "buffer" {
                cured(notes, &["buffer.B4", "resurrection"]);
            }
        }
    }

    /// The old queue let go of a message for one of a lower class. From then on both hold other messages, and ours is
    /// held to what it had.
    fn inversion(
        &mut self,
        action: &Action,
        expect: &Expect,
        notes: &mut Notes,
        out: Vec<Difference>,
    ) -> Vec<Difference> {
        if out.is_empty() {
            return out;
        }
        if self.tale.apart {
            if self.holds_by_itself(action) {
                notes.decided(NEVER_HIGHER);
                return Vec::new();
            }
            return out;
        }
        let Some((gone, came)) = self.recorded_eviction(action, expect) else { return out };
        if gone <= came {
            return out;
        }
        // Ours is refused, or something lower gave way.
        let kept = |state: &Value| numbers(state, action.text("user").unwrap_or_default());
        let ours: Vec<Value> =
            kept(&self.before).into_iter().filter(|n| !kept(&self.seen.state).contains(n)).collect();
        let lower =
            ours.iter().all(|n| self.tale.classes.get(&n.to_string()).is_some_and(|class| *class <= came));
        if lower && ours.len() == usize::from(self.facts.refusal.is_none()) {
            self.tale.apart = true;
            notes.decided(NEVER_HIGHER);
            cured(notes, &["buffer.B8", "priority_inversion"]);
            return Vec::new();
        }
        out
    }

    /// The class of the message that the recording shows to have left, and of the one that came.
    fn recorded_eviction(
        &self,
        action: &Action,
        expect: &Expect,
    ) -> Option<(router::queue::Priority, router::queue::Priority)> {
        let user = action.text("user").filter(|_| action.op == "buffer" && expect.returns == true)?;
        let after = numbers(expect.state.as_ref()?, user);
        let gone = numbers(&self.before, user).into_iter().find(|n| !after.contains(n))?;
        let gone = self.tale.classes.get(&gone.to_string())?;
        let came = self.tale.classes.get(&number(action.arg("message")).to_string())?;
        Some((*gone, *came))
    }

    /// Whether a step did with our messages what it should, whatever the recording's were.
    fn holds_by_itself(&self, action: &Action) -> bool {
        let user = action.text("user").unwrap_or_default();
        let (before, after) = (numbers(&self.before, user), numbers(&self.seen.state, user));
        match action.op.as_str() {
            "deliver" => {
                let sent: Vec<Value> = self.seen.sent.iter().map(|frame| number(&frame["message"])).collect();
                before.starts_with(&sent)
                    && after[..] == before[sent.len()..]
                    && self.seen.returns == sent.len()
            }
            "get" => self.seen.returns == json!(after) && before == after,
            "stats" => self.seen.returns["messages_dropped"] == self.seen.state["stats"]["messages_dropped"],
            "clear" => after.is_empty() && self.seen.returns == before.len(),
            "buffer" => {
                let came = number(action.arg("message"));
                (self.seen.returns == true) == (after.last() == Some(&came))
            }
            "advance" | "retry_tick" | "info" => before == after,
            _ => false,
        }
    }
}

fn is_eviction(event: &Event) -> bool {
    matches!(event, Event::DeadLettered { reason: Reason::Evicted { .. }, .. })
}

/// The numbers of the messages in a user's list.
fn numbers(state: &Value, user: &str) -> Vec<Value> {
    let list = state["buffers"][user].as_array();
    list.into_iter().flatten().map(|entry| entry[0].clone()).collect()
}
