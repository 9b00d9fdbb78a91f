//! The recorded unit `queue_connstate`: the queue of one connection, and the register of these queues.

mod explain;
mod scene;

use router::queue::{Event, Priority, Reason};
use serde_json::{Map, Value, json};

use self::scene::{Conn, Registry};
use super::{
    Unit,
    queues::{Seen, concurrent},
};
use crate::conform::{Action, Difference, Expect, Inexpressible, Notes};

const UNKNOWN: Inexpressible = Inexpressible("an operation that the queue has no word for");

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    let conn = Conn::open(setup).ok_or(Inexpressible("a queue without a valid user"))?;
    Ok(Box::new(Connstate {
        conn,
        registry: Registry::default(),
        seen: Seen::default(),
        facts: Facts::default(),
    }))
}

/// What the last step was, for whoever explains what differs.
#[derive(Debug, Default)]
struct Facts {
    events: Vec<Event>,
    /// The state by name before it.
    before: &'static str,
    /// Messages that waited before it.
    waited: usize,
    /// An offer was known already.
    duplicate: bool,
    /// A flush was asked for during the pause after a failure.
    hurried: bool,
    /// The connection is, or was said to be, over, suspended or degraded.
    degraded: bool,
    /// A message failed, and waits for its next attempt.
    failed: bool,
    /// Whoever else asked for the register's queue of a connection.
    foreign: bool,
}

struct Connstate {
    conn: Conn,
    registry: Registry,
    seen: Seen,
    facts: Facts,
}

impl Connstate {
    fn one(&mut self, action: &Action) -> Option<(Value, Option<&'static str>)> {
        if action.op == "construct" {
            let made = Conn::valid(action);
            return Some(if made.is_some() {
                (Value::Null, None)
            } else {
                (Value::Null, Some("ValueError"))
            });
        }
        if action.op.starts_with("registry_") {
            let returns = self.registry.act(action, self.conn.clock, &mut self.facts)?;
            return Some((returns, None));
        }
        let returns = self.conn.act(action, &mut self.facts)?;
        Some((returns, None))
    }
}

impl Unit for Connstate {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        self.facts = Facts {
            before: self.conn.queue.state().name(),
            waited: self.conn.queue.messages().len(),
            ..Facts::default()
        };
        self.seen = Seen::default();
        if action.op == "concurrent" {
            let ops = concurrent(action);
            self.conn.answers = vec![json!({"returns": null, "raises": null}); ops.len()];
            self.conn.others = ops.into_iter().enumerate().collect();
            self.conn.let_others(&mut self.facts);
            self.seen.returns = self.conn.answers.clone().into();
        } else {
            (self.seen.returns, self.seen.raises) = self.one(action).ok_or(UNKNOWN)?;
        }
        self.seen.sent = std::mem::take(&mut self.conn.sent);
        self.seen.state = if self.registry.is_empty() { self.conn.state() } else { self.registry.state() };
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let mut seen = self.seen.clone();
        if action.op == "stats" {
            // Averages, times and what is not counted here any more are left out of both.
            seen.returns = scene::stats(&seen.returns);
        }
        let mut expect_projected = expect.clone();
        if action.op == "stats" {
            expect_projected.returns = scene::stats(&expect.returns);
        }
        let mut out = seen.against(&expect_projected, scene::project, notes);
        if let Some(called) = expect.all.get("flush_callbacks").filter(|called| **called != self.conn.called)
        {
            out.push(Difference::new("flush_callbacks", called.clone(), self.conn.called));
        }
        self.explain(action, expect, notes, out)
    }

    fn show(&self) -> Value {
        self.seen.show()
    }
}

/// Whether a message ended in this step for a reason.
fn ended(events: &[Event], wanted: fn(Reason) -> bool) -> bool {
    events.iter().any(|event| matches!(event, Event::DeadLettered { reason, .. } if wanted(*reason)))
}

/// A class by its old name.
fn class(name: &Value) -> Priority {
    match name.as_str().unwrap_or_default() {
        "critical" => Priority::Critical,
        "high" => Priority::High,
        "low" => Priority::Low,
        _ => Priority::Normal,
    }
}

/// The old name of a class.
const fn class_name(class: Priority) -> &'static str {
    match class {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
        Priority::Critical => "critical",
    }
}
