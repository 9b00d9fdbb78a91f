//! One connection with its queue and its processor, and the register of queues.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::{Facts, class, class_name};
use crate::{
    conform::{
        Action,
        units::queues::{Clock, Play, Script},
    },
    legacy::queues::{ConnectionQueue, Message, Settings, State},
};

/// A connection's queue, and what stands around it.
pub(super) struct Conn {
    pub(super) queue: ConnectionQueue,
    pub(super) clock: Clock,
    processor: Option<Script>,
    callbacks: u64,
    /// Callbacks that the last step called.
    pub(super) called: u64,
    /// It was opened by a connection that works, without having been told that it is ready.
    pub(super) opened: bool,
    /// The state of the connection, by name.
    connection: String,
    pub(super) sent: Vec<Value>,
    /// Operations that go on where the one before yields, with their place among the answers.
    pub(super) others: VecDeque<(usize, Action)>,
    pub(super) answers: Vec<Value>,
}

impl Conn {
    pub(super) fn open(setup: &Map<String, Value>) -> Option<Self> {
        let settings = settings(&Value::Object(setup.clone()));
        let queue = ConnectionQueue::new("conn_1", "user_1", settings).ok()?;
        Some(Self {
            queue,
            clock: Clock::start(),
            processor: None,
            callbacks: 0,
            called: 0,
            opened: false,
            connection: "connecting".to_owned(),
            sent: Vec::new(),
            others: VecDeque::new(),
            answers: Vec::new(),
        })
    }

    /// A queue as it would be made; `None`: its user is none.
    pub(super) fn valid(action: &Action) -> Option<ConnectionQueue> {
        let conn = action.text("conn").unwrap_or_default();
        ConnectionQueue::new(conn, action.text("user")?, Settings::default()).ok()
    }

    pub(super) fn act(&mut self, action: &Action, facts: &mut Facts) -> Option<Value> {
        self.called = 0;
        let now = self.clock.0;
        let returns = match action.op.as_str() {
            "enqueue" => self.enqueue(action, facts).into(),
            "flush" => self.flush(action.arg("force") == true, facts).into(),
            "clear" => {
                let wanted = action.arg("priority");
                let class = wanted.is_string().then(|| class(wanted));
                self.queue.clear(now, class, &mut facts.events).into()
            }
            "close" => {
                self.queue.close(now, &mut facts.events);
                Value::Null
            }
            "suspend" => {
                self.queue.suspend();
                Value::Null
            }
            "set_processor" => {
                self.processor = Some(Script::of(action.arg("script")));
                Value::Null
            }
            "unset_processor" => {
                self.processor = None;
                Value::Null
            }
            "add_flush_callback" => {
                self.callbacks += 1;
                Value::Null
            }
            "transition" => self.transition(action.text("state")?, facts).into(),
            "notify" => {
                self.notify(action.text("to")?, facts);
                Value::Null
            }
            "stats" => self.stats(),
            "repr" => self.repr().into(),
            "advance" => {
                self.clock.advance(action);
                if self.queue.may_go_on(self.clock.0, &mut facts.events) {
                    self.run_flush(facts);
                }
                Value::Null
            }
            _ => return None,
        };
        Some(returns)
    }

    /// Whether nobody takes messages.
    pub(super) const fn has_no_processor(&self) -> bool {
        self.processor.is_none()
    }

    /// Runs what waits for its turn.
    pub(super) fn let_others(&mut self, facts: &mut Facts) {
        while let Some((at, action)) = self.others.pop_front() {
            let returns = self.act(&action, facts).unwrap_or_default();
            self.answers[at] = json!({"returns": returns, "raises": null});
        }
    }

    fn enqueue(&mut self, action: &Action, facts: &mut Facts) -> bool {
        let through = self.queue.is_through();
        let message = Message {
            id: action.text("id").map(str::to_owned),
            priority: class(action.arg("priority")),
            body: action.arg("message").clone(),
        };
        let (waiting, queued) = (self.queue.messages().len(), self.queue.metrics().queued);
        let accepted = self.queue.enqueue(self.clock.0, message, &mut facts.events);
        let more = self.queue.messages().len() > waiting || self.queue.metrics().queued > queued;
        facts.duplicate |= accepted && !more;
        if accepted && through {
            self.drain(facts);
        }
        accepted
    }

    /// Lets out what may go.
    fn drain(&mut self, facts: &mut Facts) {
        while self.processor.is_some()
            && let Some(flight) = self.queue.next(self.clock.0)
        {
            let play = self.processor.as_mut().map_or(Play::Good, Script::next);
            if play == Play::Yield {
                self.let_others(facts);
            }
            let result = match &play {
                Play::Good | Play::Yield | Play::Reenter => Ok(()),
                Play::Bad(error) => Err(error.as_str()),
                Play::Timeout => Err("timeout"),
                Play::No => Err("refused"),
            };
            if result.is_ok() {
                self.sent.push(json!({
                    "conn": self.queue.connection(), "user": self.queue.user(), "message": flight.message.body,
                    "message_id": flight.message.id, "priority": class_name(flight.message.priority),
                    "attempt": flight.attempt,
                }));
            } else {
                facts.failed = true;
            }
            self.queue.settle(self.clock.0, &flight, result, &mut facts.events);
            if result.is_err() {
                return;
            }
        }
    }

    fn flush(&mut self, force: bool, facts: &mut Facts) -> bool {
        if self.processor.is_none() && !force {
            return false;
        }
        facts.hurried |= self.queue.is_pausing();
        self.run_flush(facts)
    }

    fn run_flush(&mut self, facts: &mut Facts) -> bool {
        if !self.queue.begin_flush(self.clock.0, &mut facts.events) {
            return false;
        }
        self.drain(facts);
        self.called = self.callbacks;
        self.queue.end_flush()
    }

    /// The connection says that it is in another state now.
    fn notify(&mut self, to: &str, facts: &mut Facts) {
        let before = self.queue.state();
        self.queue.connection_is(self.clock.0, to, &mut facts.events);
        facts.degraded |= to == "degraded" && before == State::PassThrough;
        let opened = matches!(to, "processing_ready" | "processing" | "idle" | "degraded");
        if opened && before != State::PassThrough {
            self.flush(true, facts);
        }
    }

    /// The state machine of the connection itself: it tells its queue.
    fn transition(&mut self, to: &str, facts: &mut Facts) -> bool {
        let may = may_become(&self.connection, to);
        if may {
            self.connection = to.to_owned();
            self.notify(to, facts);
        }
        may
    }

    pub(super) fn state(&self) -> Value {
        let metrics = self.queue.metrics();
        json!({
            "queue_state": self.queue.state().name(), "queues": lanes(&self.queue),
            "metrics": {
                "messages_queued": metrics.queued, "messages_flushed": metrics.flushed,
                "messages_dropped": metrics.dropped, "messages_expired": metrics.expired,
                "overflow_events": metrics.overflows,
            },
        })
    }

    fn stats(&self) -> Value {
        let mut stats = self.state();
        let sizes: Map<String, Value> = stats["queues"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(class, ids)| (class.clone(), ids.as_array().map_or(0, Vec::len).into()))
            .collect();
        let average = self.queue.metrics().average_ms;
        stats["metrics"]["average_queue_duration_ms"] = average.into();
        json!({
            "connection_id": self.queue.connection(), "user_id": self.queue.user(),
            "state": self.queue.state().name(), "total_size": self.queue.messages().len(),
            "queue_sizes_by_priority": sizes, "max_size": self.queue.settings().max_size,
            "max_message_age_seconds": self.queue.settings().max_age_us as f64 / 1e6, "metrics": stats["metrics"],
        })
    }

    fn repr(&self) -> String {
        let (queue, state) = (&self.queue, self.queue.state().name());
        format!(
            "MessageQueue(connection_id='{}', user_id='{}', state='{state}', size={}, max_size={})",
            queue.connection(),
            queue.user(),
            queue.messages().len(),
            queue.settings().max_size,
        )
    }
}

fn settings(args: &Value) -> Settings {
    let default = Settings::default();
    let max_size = args["max_size"].as_u64().and_then(|size| u32::try_from(size).ok());
    let max_age_us = args["max_age"].as_f64().map(|seconds| (seconds * 1e6) as u64);
    Settings {
        max_size: max_size.unwrap_or(default.max_size),
        max_age_us: max_age_us.unwrap_or(default.max_age_us),
    }
}

/// Ids that wait, class by class.
fn lanes(queue: &ConnectionQueue) -> Value {
    let mut lanes = json!({"critical": [], "high": [], "normal": [], "low": []});
    for waiting in queue.messages() {
        if let Some(ids) = lanes[class_name(waiting.priority)].as_array_mut() {
            ids.push(json!(waiting.body.id));
        }
    }
    lanes
}

/// What of a state is compared.
pub(super) fn project(state: &Value) -> Value {
    if state["registry"].is_object() {
        return json!({"registry": state["registry"], "queues": state["queues"]});
    }
    let mut metrics = Map::new();
    for name in
        ["messages_queued", "messages_flushed", "messages_dropped", "messages_expired", "overflow_events"]
    {
        metrics.insert(name.to_owned(), state["metrics"][name].clone());
    }
    json!({"queue_state": state["queue_state"], "queues": state["queues"], "metrics": metrics})
}

/// What of the figures is compared.
pub(super) fn stats(returned: &Value) -> Value {
    let mut shown = json!({"metrics": project(returned)["metrics"]});
    for name in [
        "connection_id",
        "user_id",
        "state",
        "total_size",
        "queue_sizes_by_priority",
        "max_size",
        "max_message_age_seconds",
    ] {
        shown[name] = returned[name].clone();
    }
    shown
}

/// Whether a connection may go from one state to another.
fn may_become(from: &str, to: &str) -> bool {
    const UP: [&str; 5] = ["connecting", "accepted", "authenticated", "services_ready", "processing_ready"];
    let rank = |state: &str| UP.iter().position(|known| *known == state);
    match (from, to) {
        ("closed", _) => false,
        (_, "failed" | "closed") => true,
        ("failed", to) => to == "connecting",
        ("closing", _) => false,
        (_, "closing") => true,
        ("processing_ready" | "processing" | "idle" | "reconnecting", "degraded") => true,
        (from, "degraded") => rank(from).is_some_and(|rank| rank >= 2),
        ("degraded", "reconnecting" | "processing_ready" | "processing" | "idle") => true,
        ("reconnecting", "authenticated" | "services_ready" | "processing_ready") => true,
        ("processing_ready" | "processing" | "idle", "processing_ready" | "processing" | "idle") => {
            from != to
        }
        (from, to) => rank(from).zip(rank(to)).is_some_and(|(from, to)| to == from + 1),
    }
}

/// The queues of several connections, by connection.
#[derive(Default)]
pub(super) struct Registry {
    queues: Vec<ConnectionQueue>,
    made: bool,
}

impl Registry {
    /// Whether nobody ever asked for it.
    pub(super) const fn is_empty(&self) -> bool {
        !self.made
    }

    pub(super) fn act(&mut self, action: &Action, clock: Clock, facts: &mut Facts) -> Option<Value> {
        self.made = true;
        let now = clock.0;
        let conn = action.text("conn").unwrap_or_default();
        let at = self.queues.iter().position(|queue| queue.connection() == conn);
        let returns = match action.op.as_str() {
            "registry_create" => self.create(action, at, facts),
            "registry_enqueue_each" => {
                let message = |n: usize| Message {
                    id: Some(format!("each {n}")),
                    priority: class(&Value::Null),
                    body: json!({}),
                };
                let mut accepted = true;
                for (n, queue) in self.queues.iter_mut().enumerate() {
                    accepted &= queue.enqueue(now, message(n), &mut facts.events);
                }
                accepted.into()
            }
            "registry_flush" => {
                // Nobody processes: the queue opens, and keeps what it has.
                let queue = at.and_then(|at| self.queues.get_mut(at));
                queue
                    .is_some_and(|queue| queue.begin_flush(now, &mut facts.events) && queue.end_flush())
                    .into()
            }
            "registry_active" => {
                let active = self.queues.iter().filter(|queue| is_active(queue));
                active.map(|queue| Value::from(queue.connection())).collect()
            }
            "registry_get" => at.map_or(Value::Null, |at| self.queues[at].user().into()),
            "registry_remove" => {
                if let Some(at) = at {
                    self.queues[at].close(now, &mut facts.events);
                    self.queues.remove(at);
                }
                at.is_some().into()
            }
            _ => return None,
        };
        Some(returns)
    }

    fn create(&mut self, action: &Action, at: Option<usize>, facts: &mut Facts) -> Value {
        let (conn, user) = (action.text("conn").unwrap_or_default(), action.text("user").unwrap_or_default());
        if let Some(at) = at {
            let owner = self.queues[at].user();
            if owner == user {
                return format!("existing:{owner}").into();
            }
            // Another user's connection: there is nothing to be had.
            facts.foreign = true;
            return Value::Null;
        }
        let settings = settings(&Value::Object(action.args.clone()));
        match ConnectionQueue::new(conn, user, settings) {
            Ok(queue) => {
                self.queues.push(queue);
                "new".into()
            }
            Err(_) => Value::Null,
        }
    }

    pub(super) fn state(&self) -> Value {
        let mut states = Map::new();
        for queue in &self.queues {
            let count = states.entry(queue.state().name()).or_insert(json!(0));
            *count = json!(count.as_u64().unwrap_or_default() + 1);
        }
        let waiting: usize = self.queues.iter().map(|queue| queue.messages().len()).sum();
        let names: Vec<&str> = self.queues.iter().map(ConnectionQueue::connection).collect();
        json!({
            "registry": {
                "total_queues": self.queues.len(),
                "active_queues": self.queues.iter().filter(|queue| is_active(queue)).count(),
                "total_queued_messages": waiting, "state_distribution": states,
            },
            "queues": names,
        })
    }
}

fn is_active(queue: &ConnectionQueue) -> bool {
    matches!(queue.state(), State::PassThrough | State::Flushing)
}
