//! Batches: what is meant for others is collected per user, and flushed by size, by priority or by time.

use crate::legacy::{
    Hazard, Hazards,
    message_router::{
        message::Message,
        socket::{Conn, Frame, Sockets, live},
        task::{Context, SECOND_US, Step},
    },
    message_types::{MessageType, build},
    python::{Dict, Value, number, text},
};

/// Messages of one batch.
const SIZE_MAX: usize = 10;
/// How long the first message of a batch waits, in microseconds.
const WAIT_US: u64 = SECOND_US / 10;
/// From this priority on a batch is flushed at once.
const PRIORITY_NOW: i64 = 100;

/// A message that waits.
#[derive(Debug)]
struct Pending {
    kind: MessageType,
    content: Value,
    thread_id: Option<String>,
    priority: i64,
    /// Where it came from.
    conn: Conn,
}

/// The queue of one user.
#[derive(Debug)]
struct Queue {
    user: Value,
    messages: Vec<Pending>,
    /// When its timer fires, and its turn among timers.
    due: Option<(u64, u64)>,
}

/// Batches of all users.
#[derive(Debug, Default)]
pub(in crate::legacy::message_router) struct Batch {
    /// By the user's id as text; in the order in which they came.
    queues: Vec<(String, Queue)>,
    created: i64,
    batched: i64,
    sent: i64,
    timers: u64,
}

impl Batch {
    /// Queues a message; false for a priority that is no integer.
    pub(super) fn handle(&mut self, message: &Message, cx: &mut Context<'_>) -> Step {
        let zero = Value::Int(0);
        let priority = number::lenient_int(message.get("priority").unwrap_or(&zero));
        let (Some(priority), true) = (priority, cx.user.is_hashable()) else { return Step::returned(false) };
        let user = text::str(cx.user);
        self.timers += 1;
        let timer = (cx.now_us + WAIT_US, self.timers);
        let queue = self.queue(&user, cx.user);
        queue.messages.push(Pending {
            kind: message.kind,
            content: message.payload.clone(),
            thread_id: message.thread_id.clone(),
            priority,
            conn: cx.conn,
        });
        let urgent = queue.messages.iter().any(|message| message.priority >= PRIORITY_NOW);
        if queue.messages.len() >= SIZE_MAX || urgent {
            self.flush(&user, cx.now_us, cx.sockets, cx.hazards);
        } else if queue.due.is_none() {
            queue.due = Some(timer);
        }
        Step::returned(true)
    }

    fn queue(&mut self, user: &str, id: &Value) -> &mut Queue {
        let at = self.queues.iter().position(|(known, _)| known == user).unwrap_or_else(|| {
            let queue = Queue { user: id.clone(), messages: Vec::new(), due: None };
            self.queues.push((user.to_owned(), queue));
            self.queues.len() - 1
        });
        &mut self.queues[at].1
    }

    /// When the next timer fires.
    pub(in crate::legacy::message_router) fn next_due(&self) -> Option<u64> {
        self.queues.iter().filter_map(|(_, queue)| queue.due).min().map(|(at, _)| at)
    }

    /// Has the timer fire that is next, at its time.
    pub(in crate::legacy::message_router) fn fire(&mut self, sockets: &mut dyn Sockets, hazards: Hazards) {
        let due = self.queues.iter().filter_map(|(user, queue)| Some((queue.due?, user.clone()))).min();
        if let Some(((at, _), user)) = due {
            self.flush(&user, at, sockets, hazards);
        }
    }

    /// Flushes every queue that holds something.
    pub(in crate::legacy::message_router) fn flush_all(
        &mut self,
        now_us: u64,
        sockets: &mut dyn Sockets,
        hazards: Hazards,
    ) {
        let users: Vec<String> = self.queues.iter().map(|(user, _)| user.clone()).collect();
        for user in users {
            self.flush(&user, now_us, sockets, hazards);
        }
    }

    /// H10: the batch is counted as sent, and nothing is transmitted. Without it each message goes to the other
    /// connections of its user, and what was handed on is counted. H11: an empty queue stays.
    fn flush(&mut self, user: &str, now_us: u64, sockets: &mut dyn Sockets, hazards: Hazards) {
        let Some(at) = self.queues.iter().position(|(known, _)| known == user) else { return };
        let queue = &mut self.queues[at].1;
        queue.due = None;
        let messages = std::mem::take(&mut queue.messages);
        let owner = queue.user.clone();
        if !hazards.has(Hazard::H11) {
            self.queues.remove(at);
        }
        if messages.is_empty() {
            return;
        }
        self.created += 1;
        if hazards.has(Hazard::H10) {
            self.batched += messages.len() as i64;
            self.sent += 1;
            return;
        }
        for message in messages {
            self.batched += transmit(&message, &owner, now_us, sockets, hazards);
        }
        self.sent += 1;
    }

    /// Messages that wait, by user.
    pub(in crate::legacy::message_router) fn pending(&self) -> Value {
        let mut users = Dict::default();
        for (user, queue) in &self.queues {
            let entries = queue.messages.iter().map(|message| {
                Value::dict([
                    ("content", message.content.clone()),
                    ("connection_id", format!("ws_{user}").into()),
                    ("user_id", queue.user.clone()),
                    ("thread_id", message.thread_id.clone().into()),
                    ("priority", message.priority.into()),
                    ("state", "pending".into()),
                    ("retry_count", Value::Int(0)),
                    ("max_retries", Value::Int(3)),
                ])
            });
            users.set(user.clone(), Value::List(entries.collect()));
        }
        users.into()
    }

    pub(super) fn figures(&self) -> Value {
        let pending: usize = self.queues.iter().map(|(_, queue)| queue.messages.len()).sum();
        let timers = self.queues.iter().filter(|(_, queue)| queue.due.is_some()).count();
        Value::dict([
            ("batches_created", self.created.into()),
            ("messages_batched", self.batched.into()),
            ("batch_send_successes", self.sent.into()),
            ("batch_send_failures", Value::Int(0)),
            ("pending_message_count", (pending as i64).into()),
            ("active_timers", (timers as i64).into()),
        ])
    }

    /// Users with a queue.
    pub(super) fn users(&self) -> usize {
        self.queues.len()
    }
}

/// Hands a message to the other connections of its user; how many took it.
fn transmit(
    message: &Pending,
    user: &Value,
    now_us: u64,
    sockets: &mut dyn Sockets,
    hazards: Hazards,
) -> i64 {
    let mut taken = 0;
    let data = message.content.as_dict().cloned().unwrap_or_default();
    let frame = build::server(message.kind, data, now_us as f64 / SECOND_US as f64);
    for conn in sockets.of_user(user) {
        let open = conn != message.conn && live(sockets.look(conn), hazards);
        if open && sockets.send(conn, now_us, Frame::Json(frame.clone())).is_ok() {
            taken += 1;
        }
    }
    taken
}
