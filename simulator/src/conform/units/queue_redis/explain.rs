//! What differs, and why: decisions that demand it, defects that are gone.

use std::collections::{BTreeMap, BTreeSet};

use router::queue::{BreakerState, Priority};
use serde_json::{Value, json};

use super::{Redis, state::project};
use crate::{
    conform::{
        Action, Decision, Difference, Expect, Notes,
        units::queues::{cured, of_the_contract},
    },
    legacy::queues::Work,
};

const ORDER: Decision = of_the_contract(
    "order-within-lane",
    "what follows a failed message of the same user and class waits behind it; nothing is lost, nothing overtakes",
);
const STORE_AWAY: Decision = of_the_contract(
    "store-away-refuses",
    "while the store is away a message is refused and the sender told; what is stored already stays as it is",
);
const HISTORY: Decision = of_the_contract(
    "whole-history",
    "a dead letter has the account of all its attempts, and is listed with it",
);
const ONE_USER: Decision = of_the_contract(
    "one-user-opens-no-breaker",
    "failures of one user hold up that user's work and do not open the breaker of all",
);

/// What the messages of a case have come to so far, here and in the recording.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Messages taken in here, by id: whose, which class, in which order.
    taken: BTreeMap<String, (String, Priority, usize)>,
    /// Messages that ended well here, in order.
    completed: Vec<String>,
    /// Messages that somebody wrote past the interface.
    injected: BTreeSet<String>,
    /// A decision sent the case another way: from then on its guarantee is what is checked.
    departed: Option<Decision>,
    /// Ids that the recording took in.
    recorded_taken: BTreeSet<String>,
    /// Ids that ended well in the recording.
    recorded_completed: BTreeSet<String>,
    /// Ids that the recording has lost.
    recorded_lost: BTreeSet<String>,
    /// The recorded state before this step, projected.
    recorded_before: Value,
}

impl Course {
    pub(super) fn accepted(&mut self, work: &Work) {
        let order = self.taken.len();
        self.taken.insert(work.id.clone(), (work.user.clone(), work.class, order));
    }

    pub(super) fn completed(&mut self, id: &str) {
        self.completed.push(id.to_owned());
    }

    pub(super) fn injected(&mut self, id: &str) {
        self.injected.insert(id.to_owned());
    }
}

impl Redis {
    pub(super) fn explain(
        &mut self,
        action: &Action,
        expect: &Expect,
        notes: &mut Notes,
        mut out: Vec<Difference>,
    ) -> Vec<Difference> {
        let recorded = expect.state.as_ref().map(project).unwrap_or_default();
        let handled = self.recorded_handled(action, expect, &recorded);
        self.refused(expect, &recorded, notes);
        self.order_and_pauses(action, &handled, notes);
        self.losses(action, expect, &recorded, &handled, notes);
        self.turns(expect, &out, notes);
        self.letters(action, expect, &recorded, notes, &mut out);
        self.breakers(expect, &recorded, notes, &mut out);
        if self.facts.duplicate && expect.returns == true {
            cured(notes, &["redis.R3", "duplicate"]);
        }
        if action.op == "roundtrip_lost" && expect.returns != self.seen.returns {
            cured(notes, &["redis.R2", "backoff_ignored", "silent_loss"]);
        }
        if self.facts.poison || handled.iter().any(|id| self.course.injected.contains(id)) {
            cured(notes, &["redis.R9", "poison", "edge"]);
        }
        self.course.recorded_before = recorded;
        if let Some(decision) = self.course.departed
            && !out.is_empty()
        {
            match self.guarantee() {
                Ok(()) => {
                    notes.decided(decision);
                    out.clear();
                }
                Err(broken) => out.push(Difference::new("guarantee", decision.demands, broken)),
            }
        }
        out
    }

    /// What the departed case is held to instead of the recording: nothing is lost, and within a user's class nothing
    /// overtakes.
    fn guarantee(&mut self) -> Result<(), String> {
        self.queue.verify()?;
        let letters = self.queue.letters(self.clock.0, &mut self.facts.events);
        let waiting = self.queue.messages();
        for id in self.course.taken.keys() {
            let places = [
                waiting.iter().any(|message| message.body.id == *id),
                letters.iter().any(|letter| letter.work.id == *id),
                self.course.completed.contains(id),
            ];
            if places.into_iter().filter(|there| *there).count() != 1 {
                return Err(format!("{id} is waiting, dead, done: {places:?}"));
            }
        }
        let mut last: BTreeMap<(&str, Priority), usize> = BTreeMap::new();
        for id in &self.course.completed {
            let Some((user, class, order)) = self.course.taken.get(id) else { continue };
            if last.insert((user, *class), *order).is_some_and(|before| before > *order) {
                return Err(format!("{id} was overtaken"));
            }
        }
        Ok(())
    }

    /// Ids that the recording handled in this step.
    fn recorded_handled(&self, action: &Action, expect: &Expect, recorded: &Value) -> Vec<String> {
        let id = |value: &Value| value["id"].as_str().map(str::to_owned);
        match action.op.as_str() {
            "worker_step" | "worker_poll" => id(&expect.returns).into_iter().collect(),
            "retry_cycle" => self.recorded_retried(recorded),
            "concurrent" => {
                let returns = expect.returns.as_array().into_iter().flatten();
                let mut ids: Vec<String> = returns.filter_map(|answer| id(&answer["returns"])).collect();
                ids.extend(self.recorded_retried(recorded));
                ids
            }
            _ => Vec::new(),
        }
    }

    /// Ids whose retry entry is gone, or counts more.
    fn recorded_retried(&self, recorded: &Value) -> Vec<String> {
        let before = self.course.recorded_before["retry"].as_object().into_iter().flatten();
        let retried = before.filter(|(id, count)| recorded["retry"][id.as_str()] != **count);
        retried.map(|(id, _)| id.clone()).collect()
    }

    /// The store was away: the recording said yes.
    fn refused(&mut self, expect: &Expect, recorded: &Value, notes: &mut Notes) {
        let Some(id) = self.facts.refused.clone().filter(|_| expect.returns == true) else { return };
        notes.decided(STORE_AWAY);
        self.course.departed = Some(STORE_AWAY);
        let parked = recorded["parked"].as_array().is_some_and(|parked| parked.contains(&json!(id)));
        if parked {
            // Nothing is put aside: so nothing expires there, comes back late, or comes back twice.
            cured(notes, &["redis.R12", "redis.R13", "redis.R14", "redis.R3"]);
            cured(notes, &["silent_loss", "expiry", "reorder", "duplicate"]);
        } else {
            cured(notes, &["redis.R5", "silent_loss"]);
        }
    }

    /// The recording handled what waits here: behind another message of its lane, or for the end of its own pause.
    fn order_and_pauses(&mut self, action: &Action, handled: &[String], notes: &mut Notes) {
        let waiting = self.queue.messages();
        let mut order_kept = false;
        for id in handled.iter().filter(|id| !self.facts.handled.contains(id)) {
            let Some(message) = waiting.iter().find(|message| message.body.id == *id) else { continue };
            let lane = (&message.body.user, message.body.class);
            let blocked = waiting
                .iter()
                .any(|other| (&other.body.user, other.body.class) == lane && other.seq < message.seq);
            if blocked {
                order_kept = true;
                cured(notes, &["redis.R14", "reorder"]);
            } else if message.failures > 0 {
                cured(notes, &["redis.R2", "backoff_ignored"]);
                if action.op == "concurrent" {
                    cured(notes, &["redis.R3", "duplicate", "interleaving"]);
                }
            }
        }
        // One lease per lane: of several workers only one has something to do.
        let once = action.op == "concurrent" && handled.len() > self.facts.handled.len();
        let mut ours = self.facts.handled.clone();
        ours.sort();
        ours.dedup();
        if once && ours.len() == self.facts.handled.len() {
            let lanes: BTreeSet<_> = handled.iter().filter_map(|id| self.course.taken.get(id)).collect();
            let lanes: BTreeSet<_> = lanes.iter().map(|(user, class, _)| (user, class)).collect();
            if lanes.len() < handled.len() {
                order_kept = true;
                cured(notes, &["redis.R14", "reorder", "redis.R3", "duplicate", "interleaving"]);
            }
        }
        if order_kept {
            notes.decided(ORDER);
            self.course.departed.get_or_insert(ORDER);
        }
    }

    /// What the recording took in and has nowhere any more.
    fn losses(
        &mut self,
        action: &Action,
        expect: &Expect,
        recorded: &Value,
        handled: &[String],
        notes: &mut Notes,
    ) {
        if action.op == "enqueue" && expect.returns == true {
            let id = action.text("id").unwrap_or_default();
            self.course.recorded_taken.insert(id.to_owned());
            self.course.recorded_completed.remove(id);
        }
        let status = recorded["status"].as_object().into_iter().flatten();
        let completed = status.filter(|(_, noted)| noted[0] == "completed").map(|(id, _)| id.clone());
        self.course.recorded_completed.extend(completed);
        if expect.state.is_none() {
            return;
        }
        let mut known: BTreeSet<String> = self.course.recorded_completed.clone();
        for list in recorded["lists"].as_object().into_iter().flatten() {
            known
                .extend(list.1.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
        }
        for group in ["retry", "dlq"] {
            known.extend(recorded[group].as_object().into_iter().flatten().map(|(id, _)| id.clone()));
        }
        let parked = recorded["parked"].as_array().into_iter().flatten();
        known.extend(parked.filter_map(Value::as_str).map(str::to_owned));
        let lost: Vec<String> = self.course.recorded_taken.difference(&known).cloned().collect();
        for id in lost {
            if !self.course.recorded_lost.insert(id.clone()) || !self.is_accounted_for(&id) {
                continue;
            }
            cured(notes, &["silent_loss"]);
            match action.op.as_str() {
                "advance" => cured(notes, &["redis.R13", "expiry"]),
                "enqueue" => cured(notes, &["redis.R5"]),
                "retry_cycle" => cured(notes, &["redis.R10"]),
                "dlq_reprocess" => cured(notes, &["redis.R6"]),
                _ if handled.contains(&id) => cured(notes, &["redis.R4"]),
                _ => cured(notes, &["redis.R1"]),
            }
        }
    }

    /// Whether a message is here, or ended, or its sender was told that it was not taken.
    fn is_accounted_for(&mut self, id: &str) -> bool {
        let Some(_) = self.course.taken.get(id) else { return true };
        let letters = self.queue.letters(self.clock.0, &mut self.facts.events);
        self.queue.messages().iter().any(|message| message.body.id == *id)
            || letters.iter().any(|letter| letter.work.id == id)
            || self.course.completed.iter().any(|done| done == id)
    }

    /// Whose turn it was.
    fn turns(&self, expect: &Expect, out: &[Difference], notes: &mut Notes) {
        let ids = (expect.returns["id"].as_str(), self.seen.returns["id"].as_str());
        let of = |id: &str| self.course.taken.get(id);
        if let (Some(recorded), Some(ours)) = (ids.0.and_then(of), ids.1.and_then(of))
            && recorded != ours
        {
            if recorded.0 != ours.0 {
                cured(notes, &["redis.R15", "fairness"]);
            }
            if ours.1 < recorded.1 {
                cured(notes, &["redis.R15", "starvation"]);
            }
        }
        if self.facts.passed_over && out.is_empty() {
            notes.sound("no more of a higher class in a row than the one queue allows, too");
        }
    }

    fn letters(
        &mut self,
        action: &Action,
        expect: &Expect,
        recorded: &Value,
        notes: &mut Notes,
        out: &mut Vec<Difference>,
    ) {
        let ours = self.queue.letters(self.clock.0, &mut self.facts.events);
        for letter in &ours {
            let at = format!("state.dlq.{}[2]", letter.work.id);
            let whole = letter.failures.len() >= letter.attempts as usize;
            let differs = |difference: &Difference| difference.at == at;
            if whole && out.iter().any(differs) {
                out.retain(|difference| !differs(difference));
                notes.decided(HISTORY);
                cured(notes, &["redis.R2"]);
            } else if whole && action.op == "dlq_list" && out.is_empty() {
                notes.decided(HISTORY);
            }
            let status = &recorded["status"][&letter.work.id][0];
            let unlisted = action.op == "dlq_list" && expect.returns == json!([]);
            if status == "processing" || (unlisted && !recorded["dlq"][&letter.work.id].is_null()) {
                cured(notes, &["redis.R6", "silent_loss"]);
            }
        }
        let told = |sent: &[Value]| sent.iter().filter(|sent| sent["message"]["type"] == "error").count();
        if told(&expect.sent) < told(&self.seen.sent) {
            cured(notes, &["redis.R7", "silent_loss"]);
        }
        let index = recorded["dlq_index"].as_array().into_iter().flatten();
        let stale = index.filter_map(Value::as_str).any(|id| recorded["dlq"][id].is_null());
        if stale && ours.is_empty() {
            cured(notes, &["redis.R16", "unbounded"]);
        }
    }

    fn breakers(&self, expect: &Expect, recorded: &Value, notes: &mut Notes, out: &mut Vec<Difference>) {
        let differs = |out: &[Difference], name: &str| {
            out.iter().any(|difference| difference.at == format!("state.breakers.{name}"))
        };
        if differs(out, "redis") {
            cured(notes, &["redis.R11", "breaker_state"]);
        }
        let closed = matches!(self.queue.handlers(), BreakerState::Closed { .. });
        let users: BTreeSet<&String> = self.course.taken.values().map(|(user, ..)| user).collect();
        if differs(out, "message") && recorded["breakers"]["message"] == "open" && closed {
            cured(notes, &["redis.R10", "redis.R18", "breaker_state"]);
            if users.len() < 2 {
                notes.decided(ONE_USER);
                out.retain(|difference| difference.at != "state.breakers.message");
            }
        }
        // A success was recorded, and the failures before it still count.
        let counted = expect.state.as_ref().and_then(|state| state["breakers"]["message"][1].as_u64());
        let done = expect.sent.iter().any(|sent| sent["message"]["type"] != "error");
        if done && counted.is_some_and(|failures| failures > 0) && closed {
            cured(notes, &["redis.R10", "breaker_state"]);
        }
    }
}
