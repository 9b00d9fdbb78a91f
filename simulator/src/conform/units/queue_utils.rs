//! The recorded unit `queue_utils`: a bounded queue, the oldest out first.

use serde_json::{Map, Value, json};

use super::{
    Unit,
    queues::{Clock, Seen, cured},
};
use crate::{
    conform::{Action, Difference, Expect, Inexpressible, Notes},
    legacy::queues::BoundedQueue,
};

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    let max_size = setup.get("max_size").and_then(Value::as_u64).unwrap_or(1_000);
    let queue = BoundedQueue::new(u32::try_from(max_size).unwrap_or(u32::MAX));
    Ok(Box::new(Bounded { queue, clock: Clock::start(), seen: Seen::default(), cleared: 0 }))
}

struct Bounded {
    queue: BoundedQueue,
    clock: Clock,
    seen: Seen,
    cleared: u64,
}

impl Bounded {
    fn stats(&self) -> Map<String, Value> {
        let stats = self.queue.stats();
        let mut shown = Map::new();
        for (name, count) in [
            ("enqueued", stats.enqueued),
            ("dequeued", stats.dequeued),
            ("dropped", stats.dropped),
            ("errors", 0),
        ] {
            shown.insert(name.to_owned(), count.into());
        }
        shown
    }

    fn state(&self) -> Value {
        let waiting: Vec<&Value> = self.queue.bodies().into_iter().map(|body| &body["n"]).collect();
        json!({"queue": waiting, "stats": self.stats()})
    }
}

fn project(state: &Value) -> Value {
    json!({"queue": state["queue"], "stats": state["stats"]})
}

impl Unit for Bounded {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let now = self.clock.0;
        let len = self.queue.bodies().len();
        let returns = match action.op.as_str() {
            "enqueue" => self.queue.enqueue(now, action.arg("message").clone()).into(),
            "dequeue" => self.queue.dequeue(now).unwrap_or_default(),
            "size" => len.into(),
            "is_empty" => (len == 0).into(),
            "clear" => {
                self.cleared += self.queue.clear(now) as u64;
                Value::Null
            }
            "stats" => {
                let mut stats = self.stats();
                stats.insert("current_size".to_owned(), len.into());
                stats.insert("max_size".to_owned(), self.queue.max_size().into());
                stats.into()
            }
            "advance" => {
                self.clock.advance(action);
                Value::Null
            }
            _ => return Err(Inexpressible("an operation that the queue has no word for")),
        };
        self.seen = Seen { returns, state: self.state(), ..Seen::default() };
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        if expect.raises.as_deref() == Some("Deadlock") && self.seen.raises.is_none() {
            // It came back: that it waited for ever was all that was wrong.
            cured(notes, &["utils.U1", "hang"]);
        }
        let dropped = |state: &Value| state["stats"]["dropped"].as_u64().unwrap_or_default();
        let recorded = expect.state.as_ref().map(dropped).unwrap_or_default();
        if action.op == "clear" && self.cleared > 0 && dropped(&self.seen.state) == recorded + self.cleared {
            cured(notes, &["utils.U2", "uncounted_loss", "silent_loss"]);
        }
        self.seen.against(expect, project, notes)
    }

    fn show(&self) -> Value {
        self.seen.show()
    }
}
