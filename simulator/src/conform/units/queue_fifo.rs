//! The recorded unit `queue_fifo`: handlers by type, and a list of dead letters.

use std::collections::{BTreeMap, BTreeSet};

use router::queue::{Event, Reason};
use serde_json::{Map, Value, json};

use super::{
    Unit,
    queues::{Clock, NUMBERS, Play, Script, Seen, cured, handed},
};
use crate::{
    conform::{Action, Difference, Expect, Inexpressible, Notes},
    legacy::queues::FifoQueue,
};

/// Messages that a handler puts back into the queue it works for, at most.
const REENTRIES_MAX: usize = 3;

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    let most = setup.get("dlq_max").and_then(Value::as_u64).unwrap_or(1_000);
    Ok(Box::new(Fifo {
        queue: FifoQueue::new(u32::try_from(most).unwrap_or(u32::MAX)),
        handlers: BTreeMap::new(),
        clock: Clock::start(),
        seen: Seen::default(),
        events: Vec::new(),
        numbers: BTreeMap::new(),
        repeated: false,
        reentries: 0,
    }))
}

struct Fifo {
    queue: FifoQueue,
    handlers: BTreeMap<String, Script>,
    clock: Clock,
    seen: Seen,
    /// What happened unasked in the last step.
    events: Vec<Event>,
    /// Numbers of the messages that had an old id.
    numbers: BTreeMap<String, BTreeSet<u64>>,
    /// An old id was given a second time in the last step.
    repeated: bool,
    reentries: usize,
}

impl Fifo {
    fn enqueue(&mut self, message: &Map<String, Value>) -> bool {
        let Some(number) = self.queue.enqueue(self.clock.0, message.clone()) else { return false };
        let waiting = self.queue.waiting();
        let id = waiting.last().map(|(_, body)| body["id"].to_string()).unwrap_or_default();
        self.number(id, number);
        true
    }

    /// Notes under which number an old id is here.
    fn number(&mut self, id: String, number: u64) {
        let numbers = self.numbers.entry(id).or_default();
        self.repeated |= numbers.insert(number) && numbers.len() > 1;
    }

    fn process(&mut self) {
        while let Some(message) = self.queue.take(self.clock.0) {
            let kind = match message.get("type") {
                None => "default".to_owned(),
                Some(kind) => kind.as_str().unwrap_or_default().to_owned(),
            };
            let play = self.handlers.get_mut(&kind).map(Script::next);
            let result = match &play {
                None => Err((Reason::NoHandler, "no handler")),
                Some(Play::Bad(error)) => Err((Reason::AttemptsExhausted, error.as_str())),
                Some(Play::Timeout) => Err((Reason::AttemptsExhausted, "timeout")),
                Some(Play::No) => Err((Reason::AttemptsExhausted, "refused")),
                Some(Play::Good | Play::Yield | Play::Reenter) => Ok(()),
            };
            if result.is_ok() {
                self.seen.sent.push(handed(&message));
            }
            if play == Some(Play::Reenter) && self.reentries < REENTRIES_MAX {
                self.reentries += 1;
                let again = Map::from_iter([("type".to_owned(), Value::from(kind))]);
                self.enqueue(&again);
            }
            self.queue.done(self.clock.0, result, &mut self.events);
        }
    }

    fn stats(&self) -> Value {
        let letters = self.queue.letters();
        let mut errors: BTreeMap<String, u64> = BTreeMap::new();
        for letter in &letters {
            *errors.entry(letter.error.clone()).or_default() += 1;
        }
        let mut stats = json!({"total_failed": letters.len(), "errors": errors});
        if let (Some(oldest), Some(newest)) = (letters.first(), letters.last()) {
            stats["oldest_failure"] = oldest.shown()["failed_at"].clone();
            stats["newest_failure"] = newest.shown()["failed_at"].clone();
        }
        stats
    }

    fn bury(&mut self, message: &Map<String, Value>, error: &str) {
        self.queue.bury(self.clock.0, message.clone(), error, &mut self.events);
        if let Some(letter) = self.queue.letters().last() {
            let id = format!("letter {}", letter.original_id());
            self.number(id, letter.seq);
        }
    }

    fn state(&self) -> Value {
        let waiting: Vec<Value> = self.queue.waiting().iter().map(|(_, body)| body["id"].clone()).collect();
        let letters: Vec<Value> =
            self.queue.letters().iter().map(|letter| json!([letter.original_id(), letter.error])).collect();
        let handlers: Vec<&String> = self.handlers.keys().collect();
        json!({"queue": waiting, "handlers": handlers, "dlq": letters})
    }
}

fn project(state: &Value) -> Value {
    json!({"queue": state["queue"], "handlers": state["handlers"], "dlq": state["dlq"]})
}

impl Unit for Fifo {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        (self.seen, self.events, self.repeated) = (Seen::default(), Vec::new(), false);
        let message = action.arg("message");
        let returns = match action.op.as_str() {
            "enqueue" | "dlq_add" if !message.is_object() => {
                self.seen.raises = Some("TypeError");
                Value::Null
            }
            "enqueue" => message.as_object().is_some_and(|message| self.enqueue(message)).into(),
            "dequeue" => self.queue.dequeue(self.clock.0).unwrap_or_default(),
            "size" => self.queue.waiting().len().into(),
            "register" => {
                let kind = action.text("type").unwrap_or_default().to_owned();
                self.handlers.insert(kind, Script::of(action.arg("script")));
                Value::Null
            }
            "process" => {
                self.process();
                Value::Null
            }
            "dlq_add" => {
                if let Some(message) = message.as_object() {
                    self.bury(message, action.text("error").unwrap_or_default());
                }
                Value::Null
            }
            "dlq_get" => self.queue.letters().iter().map(|letter| letter.shown()).collect(),
            "dlq_stats" => self.stats(),
            "dlq_retry" => {
                self.queue.take_back(action.arg("id")).map(|letter| letter.shown()).unwrap_or_default()
            }
            "dlq_clear_old" => {
                let hours = action.arg("hours").as_f64().unwrap_or(24.0);
                self.queue.clear_old(self.clock.0, (hours * 3.6e9) as u64).into()
            }
            "advance" => {
                self.clock.advance(action);
                Value::Null
            }
            _ => return Err(Inexpressible("an operation that the queue has no word for")),
        };
        self.seen.returns = returns;
        self.seen.state = self.state();
        Ok(())
    }

    fn compare(&mut self, _: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let mut out = self.seen.against(expect, project, notes);
        if self.repeated {
            // Two messages, one old id: here they are two, whatever their bodies say.
            notes.decided(NUMBERS);
            cured(notes, &["fifo.F3", "id_collision"]);
        }
        for event in &self.events {
            match event {
                Event::DeadLettered { reason: Reason::NoHandler, .. } => {
                    cured(notes, &["fifo.F2", "silent_loss"])
                }
                Event::DeadLettered { reason: Reason::AttemptsExhausted, .. } => {
                    cured(notes, &["fifo.F1", "fifo.F6", "silent_loss"]);
                }
                Event::LetterDropped { seq, .. } => {
                    // The same letters are left, but here it is told that one had to go.
                    out.push(Difference::new("events", "<nothing>", format!("dead letter {seq} dropped")));
                    cured(notes, &["fifo.F5", "silent_loss"]);
                }
                Event::DeadLettered { .. } | Event::LeaseExpired { .. } | Event::Notice { .. } => {}
            }
        }
        out
    }

    fn show(&self) -> Value {
        self.seen.show()
    }
}
