//! The recorded unit `queue_generic`: named queues with one handler each, and a wrapper around one of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use router::queue::Event;
use serde_json::{Map, Value, json};

use super::{
    Unit,
    queues::{Clock, NUMBERS, Play, Script, Seen, concurrent, cured, handed},
};
use crate::{
    conform::{Action, Difference, Expect, Inexpressible, Notes},
    legacy::queues::Topics,
};

/// Messages that a handler puts back into the queue it works for, at most.
const REENTRIES_MAX: usize = 3;

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    let wrapped = setup.get("wrapper").and_then(Value::as_str).unwrap_or("default").to_owned();
    Ok(Box::new(Generic { wrapped, ..Generic::default() }))
}

#[derive(Default)]
struct Generic {
    topics: Topics,
    /// The wrapper has named queues of its own.
    own: Topics,
    wrapped: String,
    handlers: BTreeMap<String, Script>,
    clock: Clock,
    seen: Seen,
    events: Vec<Event>,
    /// Numbers of the messages that had an old id.
    numbers: BTreeMap<String, BTreeSet<u64>>,
    repeated: bool,
    /// A handler took another's place in this case.
    replaced: bool,
    reentries: usize,
    /// Operations that go on where the one before yields, with their place among the answers.
    others: VecDeque<(usize, Action)>,
    answers: Vec<Value>,
}

impl Generic {
    fn publish(&mut self, own: bool, name: &str, message: &Map<String, Value>) -> bool {
        let topics = if own { &mut self.own } else { &mut self.topics };
        let Some(number) = topics.publish(self.clock.0, name, message.clone()) else { return false };
        let id = topics.waiting(name).last().map(|(_, body)| body["id"].to_string()).unwrap_or_default();
        let numbers = self.numbers.entry(format!("{own} {id}")).or_default();
        self.repeated |= numbers.insert(number) && numbers.len() > 1;
        true
    }

    fn process(&mut self, name: &str) {
        while self.handlers.contains_key(name)
            && let Some((lease, message)) = self.topics.take(self.clock.0, name)
        {
            let play = self.handlers.get_mut(name).map_or(Play::Good, Script::next);
            let result = match &play {
                Play::Bad(error) => Err(error.as_str()),
                Play::Timeout => Err("timeout"),
                Play::No => Err("refused"),
                Play::Good | Play::Yield | Play::Reenter => Ok(()),
            };
            if play == Play::Yield {
                self.let_others();
            }
            if result.is_ok() {
                self.seen.sent.push(handed(&message));
            }
            if play == Play::Reenter && self.reentries < REENTRIES_MAX {
                self.reentries += 1;
                let again = Map::from_iter([("type".to_owned(), message["type"].clone())]);
                self.publish(false, name, &again);
            }
            self.topics.done(self.clock.0, lease, result, &mut self.events);
        }
    }

    fn let_others(&mut self) {
        while let Some((at, action)) = self.others.pop_front() {
            let (returns, raises) = self.one(&action).unwrap_or_default();
            self.answers[at] = Seen { returns, raises, ..Seen::default() }.outcome();
        }
    }

    /// What an operation returns and raises; `None` for one that nobody knows.
    fn one(&mut self, action: &Action) -> Option<(Value, Option<&'static str>)> {
        let now = self.clock.0;
        let name = action.text("queue").unwrap_or_default();
        let own = self.wrapped.clone();
        let message = action.arg("message");
        let returns = match action.op.as_str() {
            "publish" | "put" if !message.is_object() => return Some((Value::Null, Some("TypeError"))),
            "publish" => message.as_object().is_some_and(|message| self.publish(false, name, message)).into(),
            "put" => message.as_object().is_some_and(|message| self.publish(true, &own, message)).into(),
            "consume" => self.topics.consume(now, name).unwrap_or_default(),
            "get" => self.own.consume(now, &own).unwrap_or_default(),
            "size" => self.topics.waiting(name).len().into(),
            "w_size" => self.own.waiting(&own).len().into(),
            "purge" => self.topics.purge(now, name).into(),
            "w_clear" => self.own.purge(now, &own).into(),
            "list" => json!(self.topics.names()),
            "subscribe" => {
                let script = Script::of(action.arg("script"));
                self.replaced |= self.handlers.insert(name.to_owned(), script).is_some();
                Value::Null
            }
            "process" => {
                self.process(name);
                Value::Null
            }
            "start" => {
                self.topics.start();
                Value::Null
            }
            "stop" => {
                self.topics.stop();
                Value::Null
            }
            "advance" => {
                self.clock.advance(action);
                Value::Null
            }
            _ => return None,
        };
        Some((returns, None))
    }

    fn state(&self) -> Value {
        let ids = |topics: &Topics| -> Value {
            let named = topics.names().iter().map(|name| {
                let waiting = topics.waiting(name);
                (name.clone(), waiting.iter().map(|(_, body)| body["id"].clone()).collect())
            });
            Value::Object(named.collect())
        };
        let handlers: Vec<&String> = self.handlers.keys().collect();
        json!({
            "queues": ids(&self.topics), "handlers": handlers, "running": self.topics.is_running(),
            "wrapper": ids(&self.own),
        })
    }
}

fn project(state: &Value) -> Value {
    json!({
        "queues": state["queues"], "handlers": state["handlers"], "running": state["running"],
        "wrapper": state["wrapper"],
    })
}

/// Messages that wait in all named queues of a state.
fn waiting(state: &Value) -> usize {
    let queues = state["queues"].as_object();
    queues.into_iter().flatten().filter_map(|(_, ids)| ids.as_array()).map(Vec::len).sum()
}

impl Unit for Generic {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        (self.seen, self.events, self.repeated) = (Seen::default(), Vec::new(), false);
        const UNKNOWN: Inexpressible = Inexpressible("an operation that the queue has no word for");
        if action.op == "concurrent" {
            let ops = concurrent(action);
            self.answers = vec![Value::Null; ops.len()];
            self.others = ops.into_iter().enumerate().collect();
            self.let_others();
            self.seen.returns = self.answers.clone().into();
        } else {
            let (returns, raises) = self.one(action).ok_or(UNKNOWN)?;
            (self.seen.returns, self.seen.raises) = (returns, raises);
        }
        self.seen.state = self.state();
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let mut out = self.seen.against(expect, project, notes);
        if self.repeated {
            notes.decided(NUMBERS);
            cured(notes, &["generic.G3", "id_collision"]);
        }
        for event in &self.events {
            if let Event::DeadLettered { seq, reason, .. } = event {
                // The old queue forgot it without a word; here it is kept, and told.
                out.push(Difference::new(
                    "events",
                    "<nothing>",
                    format!("dead letter {seq}: {}", reason.name()),
                ));
                cured(notes, &["generic.G1", "silent_loss"]);
            }
        }
        let kept = expect.state.as_ref().is_some_and(|state| waiting(state) < waiting(&self.seen.state));
        if action.op == "process" && kept {
            if self.handlers.contains_key(action.text("queue").unwrap_or_default()) {
                cured(notes, &["generic.G5", "flag_ignored"]);
            } else {
                cured(notes, &["generic.G2", "silent_loss"]);
            }
        }
        match action.op.as_str() {
            "concurrent" => notes.sound("recorded in order: one of the schedules that the one queue allows"),
            "process" if self.replaced => {
                notes.sound("one handler for each kind of work is what the one queue has, too")
            }
            "publish" if waiting(&self.seen.state) <= Topics::messages_max() as usize => {
                notes.sound("as many as were recorded are within the bound of the one queue");
            }
            _ => {}
        }
        out
    }

    fn show(&self) -> Value {
        self.seen.show()
    }
}
