//! The recorded unit `queue_buffer`: what users missed, a list per user.

mod explain;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use router::queue::{Event, Priority, Refusal};
use serde_json::{Map, Value, json};

use super::{
    Unit,
    queues::{Clock, Play, Script, Seen, concurrent},
};
use crate::{
    conform::{Action, Difference, Expect, Inexpressible, Notes},
    legacy::queues::{Missed, MissedMessages, MissedSettings, Strategy},
};

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    let config = setup.get("config").cloned().unwrap_or_default();
    let default = MissedSettings::default();
    let count = |name: &str| config[name].as_u64();
    let small = |name: &str| count(name).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    let strategy = config["overflow_strategy"].as_str().unwrap_or("drop_low_priority");
    let types = config["critical_message_types"].as_array();
    let types = types.map(|types| types.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    let settings = MissedSettings {
        user_max: small("max_buffer_size_per_user").unwrap_or(default.user_max),
        global_max: count("max_buffer_size_global").unwrap_or(default.global_max),
        message_bytes_max: small("max_message_size_bytes").unwrap_or(default.message_bytes_max),
        ttl_us: config["buffer_timeout_seconds"].as_f64().map_or(default.ttl_us, |age| (age * 1e6) as u64),
        strategy: match strategy {
            "drop_newest" => Strategy::DropNewest,
            "drop_low_priority" => Strategy::DropLowPriority,
            _ => Strategy::DropOldest,
        },
        protects: config["never_drop_critical"] != false,
        protected_types: types.unwrap_or(default.protected_types),
    };
    let known = matches!(strategy, "drop_oldest" | "drop_newest" | "drop_low_priority");
    Ok(Box::new(Buffer {
        queue: MissedMessages::new(settings),
        known_strategy: known,
        clock: Clock::start(),
        users: BTreeSet::new(),
        seen: Seen::default(),
        before: Value::Null,
        facts: Facts::default(),
        tale: Tale::default(),
        others: VecDeque::new(),
        answers: Vec::new(),
    }))
}

/// What the last step was, for whoever explains what differs.
#[derive(Debug, Default)]
struct Facts {
    events: Vec<Event>,
    refusal: Option<Refusal>,
    /// The bodies' numbers, their classes, and whether they were protected, before the step.
    failed: bool,
    /// A delivery was asked for during the pause after a failure.
    paused: bool,
}

/// What a case went through so far.
#[derive(Debug, Default)]
struct Tale {
    /// Classes of the messages by their number.
    classes: BTreeMap<String, Priority>,
    /// The old queue let a higher message go for a lower one: from then on the two hold other messages.
    apart: bool,
    /// Users whose list was cleared.
    cleared: BTreeSet<String>,
}

struct Buffer {
    queue: MissedMessages,
    known_strategy: bool,
    clock: Clock,
    users: BTreeSet<String>,
    seen: Seen,
    /// The state before the last step.
    before: Value,
    facts: Facts,
    tale: Tale,
    /// Operations that go on where the one before yields, with their place among the answers.
    others: VecDeque<(usize, Action)>,
    answers: Vec<Value>,
}

impl Buffer {
    fn buffer(&mut self, user: &str, action: &Action) -> bool {
        let priority = class(action.arg("priority"));
        let missed = Missed { priority, body: action.arg("message").clone() };
        self.tale.classes.insert(number(&missed.body).to_string(), priority);
        self.users.insert(user.to_owned());
        let kept = self.queue.keep(self.clock.0, user, missed, &mut self.facts.events);
        self.facts.refusal = kept.err();
        kept.is_ok()
    }

    fn deliver(&mut self, user: &str, action: &Action) -> u64 {
        let mut script = Script::of(action.arg("script"));
        let mut delivered = 0;
        let waited = !self.queue.messages(user).is_empty();
        let mut asked = false;
        while let Some((lease, missed)) = self.queue.next(self.clock.0, user) {
            asked = true;
            let play = script.next();
            if play == Play::Yield {
                self.let_others();
            }
            let result = match &play {
                Play::Good | Play::Yield | Play::Reenter => Ok(()),
                Play::Bad(error) => Err(error.as_str()),
                Play::Timeout => Err("timeout"),
                Play::No => Err("refused"),
            };
            if result.is_ok() {
                self.seen.sent.push(json!({"user": user, "message": missed.body}));
            }
            self.facts.failed |= result.is_err();
            delivered += u64::from(self.queue.settle(self.clock.0, lease, result, &mut self.facts.events));
        }
        self.facts.paused = waited && !asked;
        delivered
    }

    fn let_others(&mut self) {
        while let Some((at, action)) = self.others.pop_front() {
            let returns = self.one(&action).unwrap_or_default();
            self.answers[at] = json!({"returns": returns, "raises": null});
        }
    }

    fn one(&mut self, action: &Action) -> Option<Value> {
        let user = action.text("user").unwrap_or_default().to_owned();
        let returns = match action.op.as_str() {
            "buffer" => self.buffer(&user, action).into(),
            "deliver" => self.deliver(&user, action).into(),
            "get" => {
                let limit = action.arg("limit").as_u64().filter(|limit| *limit > 0).unwrap_or(u64::MAX);
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let messages = self.queue.messages(&user);
                messages.iter().take(limit).map(|waiting| number(&waiting.body.body)).collect()
            }
            "clear" => {
                self.tale.cleared.insert(user.clone());
                self.queue.clear(self.clock.0, &user, &mut self.facts.events).into()
            }
            "retry_tick" => {
                self.queue.tick(self.clock.0, &mut self.facts.events);
                Value::Null
            }
            "advance" => {
                self.clock.advance(action);
                self.queue.tick(self.clock.0, &mut self.facts.events);
                Value::Null
            }
            "info" => self.info(&user),
            "ids" => self.queue.messages(&user).iter().map(|waiting| waiting.seq.to_string()).collect(),
            "stats" => self.stats(),
            _ => return None,
        };
        Some(returns)
    }

    /// Recordings have a mask for ids that were made of the time.
    fn info(&self, user: &str) -> Value {
        let messages = self.queue.messages(user);
        let shown: Vec<Value> = messages
            .iter()
            .map(|waiting| {
                json!({
                    "id": "<id>", "priority": class_name(waiting.priority),
                    "created_at": waiting.offered_at.as_micros() as f64 / 1e6, "retry_count": waiting.failures,
                    "size_bytes": waiting.body.size(),
                })
            })
            .collect();
        json!({"buffer_size": shown.len(), "messages": shown})
    }

    fn stats(&self) -> Value {
        let state = self.state();
        let sizes: Map<String, Value> = state["buffers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(user, list)| (user.clone(), list.as_array().map_or(0, Vec::len).into()))
            .collect();
        let largest = sizes.values().filter_map(Value::as_u64).max().unwrap_or_default();
        let stats = &state["stats"];
        json!({
            "total_buffered_messages": state["message_count"], "largest_user_buffer": largest,
            "user_buffer_sizes": sizes, "messages_buffered": stats["messages_buffered"],
            "messages_delivered": stats["messages_delivered"], "messages_dropped": stats["messages_dropped"],
            "overflow_events": stats["overflow_events"], "buffer_size_bytes": state["total_size_bytes"],
        })
    }

    fn state(&self) -> Value {
        let (mut buffers, mut count, mut bytes) = (Map::new(), 0_usize, 0_u64);
        for user in &self.users {
            let messages = self.queue.messages(user);
            if messages.is_empty() {
                continue;
            }
            count += messages.len();
            bytes += messages.iter().map(|waiting| u64::from(waiting.body.size())).sum::<u64>();
            let list = messages.iter().map(|waiting| {
                json!([number(&waiting.body.body), class_name(waiting.priority), waiting.failures])
            });
            buffers.insert(user.clone(), list.collect());
        }
        let stats = self.queue.stats();
        json!({
            "buffers": buffers, "message_count": count, "total_size_bytes": bytes,
            "stats": {
                "messages_buffered": stats.buffered, "messages_delivered": stats.delivered,
                "messages_dropped": stats.dropped, "overflow_events": stats.overflows,
            },
        })
    }
}

/// What recordings name a message by.
fn number(body: &Value) -> Value {
    body["n"].clone()
}

/// What of a state is compared.
fn project(state: &Value) -> Value {
    let mut stats = Map::new();
    for name in ["messages_buffered", "messages_delivered", "messages_dropped", "overflow_events"] {
        stats.insert(name.to_owned(), state["stats"][name].clone());
    }
    json!({
        "buffers": filled(&state["buffers"]), "message_count": state["message_count"],
        "total_size_bytes": state["total_size_bytes"], "stats": stats,
    })
}

/// What of the figures is compared.
fn figures(returned: &Value) -> Value {
    let mut shown = json!({"user_buffer_sizes": filled(&returned["user_buffer_sizes"])});
    for name in [
        "total_buffered_messages",
        "largest_user_buffer",
        "messages_buffered",
        "messages_delivered",
        "messages_dropped",
        "overflow_events",
        "buffer_size_bytes",
    ] {
        shown[name] = returned[name].clone();
    }
    shown
}

/// Without lists that are empty.
fn filled(lists: &Value) -> Map<String, Value> {
    let mut lists = lists.as_object().cloned().unwrap_or_default();
    lists.retain(|_, list| *list != json!([]) && *list != json!(0));
    lists
}

/// A class by its old name.
fn class(name: &Value) -> Priority {
    match name.as_str().unwrap_or_default() {
        "CRITICAL" => Priority::Critical,
        "HIGH" => Priority::High,
        "LOW" => Priority::Low,
        _ => Priority::Normal,
    }
}

/// The old name of a class.
const fn class_name(class: Priority) -> &'static str {
    match class {
        Priority::Low => "LOW",
        Priority::Normal => "NORMAL",
        Priority::High => "HIGH",
        Priority::Critical => "CRITICAL",
    }
}

impl Unit for Buffer {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        self.before = self.state();
        (self.seen, self.facts) = (Seen::default(), Facts::default());
        if action.op == "concurrent" {
            let ops = concurrent(action);
            self.answers = vec![Value::Null; ops.len()];
            self.others = ops.into_iter().enumerate().collect();
            self.let_others();
            self.seen.returns = self.answers.clone().into();
        } else {
            const UNKNOWN: Inexpressible = Inexpressible("an operation that the lists have no word for");
            self.seen.returns = self.one(action).ok_or(UNKNOWN)?;
        }
        self.seen.state = self.state();
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let mut expect = expect.clone();
        if action.op == "stats" {
            expect.returns = figures(&expect.returns);
        }
        let out = self.seen.against(&expect, project, notes);
        self.explain(action, &expect, notes, out)
    }

    fn show(&self) -> Value {
        self.seen.show()
    }
}
