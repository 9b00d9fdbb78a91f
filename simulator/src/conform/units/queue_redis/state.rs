//! What of a state is compared: ids per list in order, attempts, dead letters, the breakers by name.

use router::queue::{BreakerState, Priority, Waiting};
use serde_json::{Map, Value, json};

use super::Redis;
use crate::legacy::queues::Work;

/// The old name of a class.
pub(super) const fn class_name(class: Priority) -> &'static str {
    match class {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
        Priority::Critical => "critical",
    }
}

/// A class by its old name.
pub(super) fn class_named(name: &str) -> Option<Priority> {
    Priority::ALL.into_iter().find(|class| class_name(*class) == name)
}

/// Whether it stood in one of the lists: those that wait for another attempt stood elsewhere.
pub(super) const fn is_listed(message: &Waiting<'_, Work>) -> bool {
    message.failures == 0 && !message.leased
}

impl Redis {
    /// The state in the form in which recordings are compared.
    pub(super) fn state(&mut self) -> Value {
        let (mut lists, mut retry, mut leased) = (Map::new(), Map::new(), Vec::new());
        // The newest stood first.
        for message in self.queue.messages().iter().rev() {
            let work = message.body;
            if message.leased {
                leased.push(Value::from(work.id.clone()));
            } else if is_listed(message) {
                let key = format!("message_queue:{}", class_name(work.class));
                let list = lists.entry(key).or_insert_with(|| json!([]));
                list.as_array_mut().map(|list| list.push(work.id.clone().into())).unwrap_or_default();
            } else {
                retry.insert(work.id.clone(), message.failures.into());
            }
        }
        let now = self.clock.0;
        let letters = self.queue.letters(now, &mut self.facts.events);
        let index: Vec<Value> = letters.iter().rev().map(|letter| letter.work.id.clone().into()).collect();
        let dlq: Map<String, Value> = letters
            .iter()
            .map(|letter| {
                let shown = json!([letter.failures.last(), letter.attempts, letter.failures.len()]);
                (letter.work.id.clone(), shown)
            })
            .collect();
        let statuses = self.queue.statuses(now);
        let status: Map<String, Value> =
            statuses.map(|(id, noted)| (id.clone(), json!([noted.status.name(), noted.error]))).collect();
        let breakers = json!({
            "redis": breaker_name(self.queue.store_breaker().state()),
            "message": breaker_name(self.queue.handlers()),
        });
        json!({
            "lists": lists, "retry": retry, "leased": leased, "parked": [], "dlq": dlq, "dlq_index": index,
            "status": status, "breakers": breakers,
        })
    }
}

const fn breaker_name(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed { .. } => "closed",
        BreakerState::Open { .. } => "open",
        BreakerState::HalfOpen { .. } => "half_open",
    }
}

/// The recorded state in the same form.
pub(super) fn project(state: &Value) -> Value {
    let each = |name: &str, shown: fn(&Value) -> Value| -> Map<String, Value> {
        let entries = state[name].as_object().into_iter().flatten();
        entries.map(|(id, entry)| (id.clone(), shown(entry))).collect()
    };
    let mut lists = state["lists"].as_object().cloned().unwrap_or_default();
    lists.retain(|_, list| *list != json!([]));
    let parked: Vec<&String> = state["breaker_retry"].as_object().into_iter().flat_map(Map::keys).collect();
    let index = state["dlq_index"].as_array().into_iter().flatten();
    let index: Vec<&Value> = index.map(|entry| &entry[0]).collect();
    json!({
        "lists": lists,
        "retry": each("retry", |entry| entry["retry_count"].clone()),
        "leased": [],
        "parked": parked,
        "dlq": each("dlq", |entry| json!([entry["final_error"], entry["retry_count"], entry["retry_history"]])),
        "dlq_index": index,
        "status": each("status", |entry| json!([entry["status"], entry["error"]])),
        "breakers": {"redis": state["breakers"]["redis"][0], "message": state["breakers"]["message"][0]},
    })
}
