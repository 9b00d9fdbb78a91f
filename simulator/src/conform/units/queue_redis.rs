//! The recorded unit `queue_redis`: the queue of work that several nodes shared.

mod explain;
mod state;

use std::collections::BTreeMap;

use router::queue::{Event, Priority, Reason};
use serde_json::{Map, Value, json};

use super::{
    Unit,
    queues::{Clock, Play, Script, Seen, concurrent},
};
use crate::{
    conform::{Action, Difference, Expect, Inexpressible, Notes},
    legacy::queues::{ATTEMPTS_MAX, InHand, SYSTEM, Status, Untaken, Work, WorkQueue, pause_s, read},
};

/// What stands in recordings for an id that was drawn.
const FRESH_ID: &str = "<id>";
/// What stands in recordings for an entry that is no message.
const RAW: &str = "<raw>";
const TIME: &str = "<time>";
/// What a worker takes in one cycle, at most.
const CYCLE_MAX: usize = 10_000;

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    let jitter = setup.get("jitter").and_then(Value::as_f64).unwrap_or(0.0);
    Ok(Box::new(Redis {
        queue: WorkQueue::new(jitter),
        handlers: BTreeMap::new(),
        clock: Clock::start(),
        seen: Seen::default(),
        facts: Facts::default(),
        course: explain::Course::default(),
    }))
}

/// What the last step was, for whoever explains what differs.
#[derive(Debug, Default)]
struct Facts {
    events: Vec<Event>,
    /// A message that was known already.
    duplicate: bool,
    /// An id that was refused because the store is away.
    refused: Option<String>,
    /// Something that is no message came among them.
    poison: bool,
    /// Messages of which a worker had one in its hands, by id.
    handled: Vec<String>,
    /// A higher class was served while a lower one waited.
    passed_over: bool,
}

struct Redis {
    queue: WorkQueue,
    handlers: BTreeMap<String, Script>,
    clock: Clock,
    seen: Seen,
    facts: Facts,
    course: explain::Course,
}

impl Redis {
    fn one(&mut self, action: &Action) -> Option<Value> {
        let now = self.clock.0;
        Some(match action.op.as_str() {
            "register" => {
                self.handlers.insert(action.arg("type").to_string(), Script::of(action.arg("script")));
                Value::Null
            }
            "enqueue" => self.enqueue(sent(action)).into(),
            "worker_step" => match self.take() {
                Some(hand) => self.work(&hand),
                None => Value::Null,
            },
            "worker_poll" => self.take().map(|hand| self.polled(&hand)).unwrap_or_default(),
            "retry_cycle" => {
                self.retry_cycle();
                Value::Null
            }
            // Nothing is ever put aside: there is nothing to fetch back.
            "breaker_cycle" => Value::Null,
            "stats" => self.stats(),
            "dlq_list" => self.list(action),
            "dlq_reprocess" => {
                let id = action.text("id").unwrap_or_default();
                match self.queue.redrive(now, id) {
                    Ok(done) => done.into(),
                    Err(_) => {
                        self.facts.refused = Some(id.to_owned());
                        false.into()
                    }
                }
            }
            "redis_down" | "redis_up" => {
                self.queue.store_is_away(action.op == "redis_down");
                Value::Null
            }
            "restart" => {
                self.queue.restart();
                self.handlers.clear();
                Value::Null
            }
            "breaker_fail" | "breaker_success" => self.breaker(action)?,
            "inject_raw" | "inject_kv" => {
                self.inject(action);
                Value::Null
            }
            "retry_delay" => {
                let count = action.arg("retry_count").as_u64().and_then(|count| u32::try_from(count).ok())?;
                pause_s(count, action.arg("jitter").as_f64().unwrap_or_default()).into()
            }
            "roundtrip" => match read(action.arg("data"), FRESH_ID, TIME) {
                Ok(message) => message.into(),
                Err(misread) => {
                    self.seen.raises = Some(misread.class());
                    Value::Null
                }
            },
            // Everything that is written is read again: of history and due times nothing is lost.
            "roundtrip_lost" => Value::Array(Vec::new()),
            "advance" => {
                self.clock.advance(action);
                Value::Null
            }
            _ => return None,
        })
    }

    fn enqueue(&mut self, work: Work) -> bool {
        let id = work.id.clone();
        match self.queue.enqueue(self.clock.0, work.clone(), &mut self.facts.events) {
            Ok(fresh) => {
                self.facts.duplicate = !fresh;
                if fresh {
                    self.course.accepted(&work);
                }
                true
            }
            Err(untaken) => {
                if untaken == Untaken::StoreAway {
                    self.facts.refused = Some(id);
                }
                false
            }
        }
    }

    fn take(&mut self) -> Option<InHand> {
        let waiting = self.queue.messages().iter().map(|message| message.body.class).min();
        let hand = self.queue.take(self.clock.0, &mut self.facts.events)?;
        self.facts.passed_over |= waiting.is_some_and(|lowest| lowest < hand.work.class);
        self.facts.handled.push(hand.work.id.clone());
        Some(hand)
    }

    /// Has a handler do its work, and answers as a worker did.
    fn work(&mut self, hand: &InHand) -> Value {
        let play = self.play(hand);
        self.finish(hand, play)
    }

    fn play(&mut self, hand: &InHand) -> Option<Play> {
        self.handlers.get_mut(&hand.work.kind.to_string()).map(Script::next)
    }

    fn finish(&mut self, hand: &InHand, play: Option<Play>) -> Value {
        let work = &hand.work;
        let missing = || {
            let kind = work.kind.as_str().map_or_else(|| work.kind.to_string(), str::to_owned);
            format!("No handler registered for message type: {kind}")
        };
        let error = match play {
            Some(Play::Good | Play::Yield | Play::Reenter) => None,
            Some(Play::Bad(error)) => Some((error, Reason::AttemptsExhausted)),
            Some(Play::Timeout) => Some(("Processing timeout".to_owned(), Reason::AttemptsExhausted)),
            Some(Play::No) => Some(("refused".to_owned(), Reason::AttemptsExhausted)),
            None => Some((missing(), Reason::NoHandler)),
        };
        let before = self.queue.last_error(hand).map(str::to_owned);
        let result = match &error {
            None => Ok(()),
            Some((error, reason)) => Err((error.as_str(), *reason)),
        };
        let status = self.queue.done(self.clock.0, hand, result, &mut self.facts.events);
        if error.is_none() {
            let message = json!({"type": work.kind, "payload": work.payload});
            self.seen.sent.push(json!({"conn": null, "user": work.user, "message": message}));
            self.course.completed(&work.id);
        }
        let shown = error.map(|(error, _)| error).or(before);
        if status == Status::DeadLetter {
            let text = format!("Message processing failed: {}", shown.as_deref().unwrap_or_default());
            let message = json!({"type": "error", "message": text});
            self.seen.sent.push(json!({"conn": null, "user": work.user, "message": message}));
        }
        let retries = hand.failures + u32::from(status != Status::Completed);
        json!({
            "id": work.id, "status": status.name(), "retry_count": retries, "error": shown,
            "max_retries": work.attempts_max,
        })
    }

    /// Takes a message and dies.
    fn polled(&self, hand: &InHand) -> Value {
        let status = if hand.failures > 0 { Status::Retrying } else { Status::Pending };
        json!({
            "id": hand.work.id, "status": status.name(), "retry_count": hand.failures,
            "max_retries": hand.work.attempts_max,
        })
    }

    /// Does what waits for another attempt and is due.
    fn retry_cycle(&mut self) {
        for _ in 0..CYCLE_MAX {
            let retries = self.queue.messages().iter().any(|message| message.failures > 0 && !message.leased);
            let Some(hand) = retries.then(|| self.take()).flatten() else { return };
            self.work(&hand);
        }
    }

    /// Operations side by side: the others get their turn where a handler yields.
    fn side_by_side(&mut self, ops: &[Action]) -> Option<Value> {
        let mut answers = vec![Value::Null; ops.len()];
        let mut yielding = Vec::new();
        for (n, action) in ops.iter().enumerate() {
            if action.op != "worker_step" {
                answers[n] = self.one(action)?;
                continue;
            }
            let Some(hand) = self.take() else { continue };
            match self.play(&hand) {
                Some(Play::Yield) => yielding.push((n, hand)),
                play => answers[n] = self.finish(&hand, play),
            }
        }
        for (n, hand) in yielding {
            answers[n] = self.finish(&hand, Some(Play::Good));
        }
        Some(answers.into_iter().map(|returns| json!({"returns": returns, "raises": null})).collect())
    }

    fn stats(&self) -> Value {
        let mut queues = json!({"LOW": 0, "NORMAL": 0, "HIGH": 0, "CRITICAL": 0});
        let mut total = 0;
        for message in self.queue.messages().iter().filter(|message| state::is_listed(message)) {
            let name = state::class_name(message.body.class).to_uppercase();
            queues[&name] = (queues[&name].as_u64().unwrap_or_default() + 1).into();
            total += 1;
        }
        let completed = self.queue.statuses(self.clock.0);
        let completed = completed.filter(|(_, noted)| noted.status == Status::Completed).count();
        json!({"queues": queues, "total_pending": total, "processing": 0, "completed": completed, "failed": 0})
    }

    fn list(&mut self, action: &Action) -> Value {
        let limit = action.arg("limit").as_u64().map_or(100, |limit| limit as usize);
        let letters = self.queue.letters(self.clock.0, &mut self.facts.events);
        let rows = letters
            .iter()
            .take(limit)
            .map(|letter| json!([letter.work.id, letter.failures.last(), Status::DeadLetter.name()]));
        rows.collect()
    }

    fn breaker(&mut self, action: &Action) -> Option<Value> {
        let now = self.clock.0;
        let breaker = match action.text("name")? {
            "redis" => self.queue.store_breaker(),
            "message" => self.queue.handler_breaker(),
            _ => return None,
        };
        for _ in 0..action.arg("n").as_u64().unwrap_or(1) {
            breaker.admit(now);
            match action.op.as_str() {
                "breaker_fail" => breaker.failure(now),
                _ => breaker.success(),
            }
        }
        Some(Value::Null)
    }

    /// Somebody wrote past the interface. What is a message is taken in; what is none is a dead letter.
    fn inject(&mut self, action: &Action) {
        let text = action.text("value").unwrap_or_default();
        let key = action.text("key").unwrap_or_default();
        let written: Value = serde_json::from_str(text).unwrap_or_default();
        let id = |value: Option<&Value>, none: &str| match value {
            Some(Value::String(id)) => id.clone(),
            Some(id) => id.to_string(),
            None => none.to_owned(),
        };
        match read(&written, FRESH_ID, TIME) {
            Ok(message) => {
                let user = message["user_id"].as_str().filter(|user| !user.is_empty()).unwrap_or(SYSTEM);
                let listed = key.strip_prefix("message_queue:").map(state::class_named);
                let work = Work {
                    id: id(message.get("id"), FRESH_ID),
                    user: user.to_owned(),
                    kind: message["type"].clone(),
                    payload: message["payload"].clone(),
                    class: listed.flatten().unwrap_or_default(),
                    attempts_max: message["max_retries"].as_u64().map_or(ATTEMPTS_MAX, |most| most as u32),
                };
                self.course.injected(&work.id);
                self.enqueue(work);
            }
            Err(misread) => {
                self.facts.poison = true;
                let work = Work {
                    id: id(written.get("id"), RAW),
                    user: SYSTEM.to_owned(),
                    kind: Value::Null,
                    payload: text.into(),
                    class: Priority::Normal,
                    attempts_max: 1,
                };
                self.queue.poison(self.clock.0, work, misread.text(), &mut self.facts.events);
            }
        }
    }
}

/// The message that an operation hands in.
fn sent(action: &Action) -> Work {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let class = action.arg("priority").as_u64().unwrap_or(1) as usize;
    Work {
        id: text(action.arg("id")),
        user: text(action.arg("user")),
        kind: action.arg("type").clone(),
        payload: action.arg("payload").clone(),
        class: Priority::ALL.get(class).copied().unwrap_or_default(),
        attempts_max: action.arg("max_retries").as_u64().map_or(ATTEMPTS_MAX, |most| most as u32),
    }
}

impl Unit for Redis {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        const UNKNOWN: Inexpressible = Inexpressible("an operation that the queue has no word for");
        (self.seen, self.facts) = (Seen::default(), Facts::default());
        let returns =
            if action.op == "concurrent" { self.side_by_side(&concurrent(action)) } else { self.one(action) };
        self.seen.returns = returns.ok_or(UNKNOWN)?;
        self.seen.state = self.state();
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let mut expect = expect.clone();
        // Steps beside the queue were recorded without a state.
        expect.state = expect.state.filter(|state| state.as_object().is_some_and(|state| !state.is_empty()));
        let out = self.seen.against(&expect, state::project, notes);
        self.explain(action, &expect, notes, out)
    }

    fn show(&self) -> Value {
        self.seen.show()
    }
}
