//! `broadcast` and `room_message`: from one connection of a user to the user's other connections, in batches.
//!
//! A batch goes out when it is full, when a message in it is urgent, or when its first message has waited long
//! enough. A room is a thread. No other user can be reached from here: a batch is looked up by its owner.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use super::{BatchFigures, Handlers, Message, control::THREAD_BYTES_MAX};
use crate::{
    audience::{Audience, Conn, UserRef},
    contract::{ConnId, Effects, Frame},
    error::ErrorCode,
    fingerprint::Walk,
    message::{Kind, Raw},
    router::Router,
    stats::Outcome,
    timers::{Timer, Timers},
    wire::{self, BatchedMessage},
};

/// Room in a frame for a message's members beside its payload, and for a batch's beside its messages, in bytes.
const MEMBERS_BYTES: usize = 2048;

/// Names one batch while it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BatchKey(UserRef, u64);

impl BatchKey {
    /// Whose batch it is.
    pub(crate) const fn user(self) -> UserRef {
        self.0
    }
}

#[derive(Clone, Debug)]
struct Queued {
    from: ConnId,
    kind: Kind,
    thread: Option<Box<str>>,
    priority: i64,
    payload: Box<str>,
}

impl Queued {
    /// Whether a connection is one of the others, and in the room.
    fn is_for(&self, conn: &Conn, id: ConnId) -> bool {
        let outside = |thread: &str| self.kind == Kind::RoomMessage && !conn.wants(Some(thread));
        self.from != id && !self.thread.as_deref().is_some_and(outside)
    }

    fn encoded(&self) -> BatchedMessage<'_> {
        let Self { kind, thread, priority, payload, .. } = self;
        BatchedMessage { kind: *kind, thread: thread.as_deref(), priority: *priority, payload }
    }
}

#[derive(Clone, Debug)]
struct Queue {
    number: u64,
    bytes: usize,
    messages: Vec<Queued>,
}

/// A message that waits for its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingMessage<'a> {
    /// Whose it is.
    pub user: &'a str,
    /// `broadcast` or `room_message`.
    pub kind: Kind,
    /// The conversation it names.
    pub thread: Option<&'a str>,
    /// Its priority.
    pub priority: i64,
    /// Its payload, a JSON object.
    pub payload: &'a str,
}

/// Messages that wait, one queue per user that has any: nothing is kept of a user without.
#[derive(Clone, Debug, Default)]
pub(super) struct Batches {
    queues: BTreeMap<UserRef, Queue>,
    issued: u64,
    counts: BatchFigures,
}

impl Batches {
    pub(super) fn figures(&self) -> BatchFigures {
        BatchFigures { timers: self.queues.len() as u64, ..self.counts }
    }

    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }

    pub(super) fn count(&self) -> u64 {
        self.queues.values().map(|queue| queue.messages.len() as u64).sum()
    }

    pub(super) fn pending<'a>(&'a self, audience: &'a Audience) -> impl Iterator<Item = PendingMessage<'a>> {
        let known = self.queues.iter().filter(|(user, _)| audience.knows(**user));
        known.flat_map(|(user, queue)| {
            let user = &*audience.user(*user).id;
            queue.messages.iter().map(move |message| PendingMessage {
                user,
                kind: message.kind,
                thread: message.thread.as_deref(),
                priority: message.priority,
                payload: &message.payload,
            })
        })
    }

    fn take(&mut self, user: UserRef) -> Option<Queue> {
        let queue = self.queues.remove(&user)?;
        self.counts.pending -= queue.messages.len() as u64;
        Some(queue)
    }
}

impl Handlers {
    /// What waits for a user's batch, and until when.
    pub(crate) fn digest_batch(
        &self,
        user: UserRef,
        audience: &Audience,
        timers: &Timers,
        walk: &mut Walk<'_>,
    ) {
        let Some(queue) = self.batches.queues.get(&user) else { return walk.flag(false) };
        let Queue { number, bytes, messages } = queue;
        walk.flag(true);
        walk.time(timers.due(Timer::Batch(BatchKey(user, *number))).unwrap_or(walk.now));
        walk.len(*bytes);
        walk.len(messages.len());
        for Queued { from, kind, thread, priority, payload } in messages {
            let from = audience.conn(*from).map(|conn| conn.cold.number);
            walk.flag(from.is_some());
            from.into_iter().for_each(|number| walk.connection(number));
            walk.number(*kind as u64);
            walk.optional_text(thread.as_deref());
            walk.number(*priority as u64);
            walk.text(payload);
        }
    }
}

/// A whole number, also as `5.0` or `"5"`; without one, 0.
fn priority(stated: Option<Raw<'_>>) -> Option<i64> {
    let Some(stated) = stated else { return Some(0) };
    let text = stated.text();
    let digits = text.as_deref().map_or(stated.json(), str::trim);
    digits.parse().ok().or_else(|| {
        let number: f64 = digits.parse().ok()?;
        let whole = number as i64;
        (whole as f64 == number && number.abs() < 9e15).then_some(whole)
    })
}

impl Router {
    pub(super) fn batch(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let payload = message.payload();
        let Some(priority) = priority(payload.find("priority")) else {
            return self.bad_field(message, "payload.priority", "a whole number", out);
        };
        let thread = message.envelope.thread_id.and_then(Raw::text).filter(|id| !id.is_empty());
        let thread = thread.or_else(|| payload.text("thread_id"));
        if thread.as_ref().is_some_and(|id| id.len() > THREAD_BYTES_MAX) {
            return self.bad_field(message, "thread_id", "at most 256 bytes", out);
        }
        let bytes = payload.json().len() + MEMBERS_BYTES;
        let bytes_max = self.config.outbound_frame_bytes_max as usize - MEMBERS_BYTES;
        if bytes > bytes_max {
            let limit = Some((bytes_max - MEMBERS_BYTES) as u64);
            return self.reject(message.conn, ErrorCode::TooLarge, None, limit, None, out);
        }
        if self
            .handlers
            .batches
            .queues
            .get(&message.user)
            .is_some_and(|queue| queue.bytes + bytes > bytes_max)
        {
            self.flush_batch(message.user, out);
        }
        let batches = &mut self.handlers.batches;
        batches.counts.queued += 1;
        batches.counts.pending += 1;
        let queue = batches.queues.entry(message.user).or_insert_with(|| {
            batches.issued += 1;
            let key = BatchKey(message.user, batches.issued);
            self.timers.set(self.now.after(self.config.batch_wait_us), Timer::Batch(key));
            Queue { number: batches.issued, bytes: 0, messages: Vec::new() }
        });
        queue.bytes += bytes;
        queue.messages.push(Queued {
            from: message.conn,
            kind: message.kind,
            thread: thread.as_deref().map(Box::from),
            priority,
            payload: payload.json().into(),
        });
        let full = queue.messages.len() >= self.config.batch_messages_max as usize;
        if full || priority >= self.config.batch_urgent_priority || self.holds_no_batches() {
            self.flush_batch(message.user, out);
        }
        Outcome::Handled
    }

    pub(crate) fn batch_due(&mut self, key: BatchKey, out: &mut Effects) {
        let waits = self.handlers.batches.queues.get(&key.0);
        if waits.is_some_and(|queue| queue.number == key.1) {
            self.flush_batch(key.0, out);
        }
    }

    /// Sends every batch that waits.
    pub(crate) fn flush_batches(&mut self, out: &mut Effects) {
        while let Some(user) = self.handlers.batches.queues.keys().next().copied() {
            self.flush_batch(user, out);
        }
    }

    fn flush_batch(&mut self, user: UserRef, out: &mut Effects) {
        let Some(queue) = self.handlers.batches.take(user) else { return };
        let messages = queue.messages.len() as u64;
        if !self.audience.knows(user) {
            self.handlers.batches.counts.dropped += messages;
            return;
        }
        let (audience, mut flow) = self.flow(out);
        let frames = audience.with_owner(user, |audience, owner| {
            let id = audience.user(user).id.clone();
            let (now, node) = (flow.now, flow.config.node.as_str());
            // Connections that get the same messages share one frame.
            let mut made: Vec<(u64, Frame)> = Vec::new();
            audience.send_each(&owner, &mut flow, |conn, conn_id, flow| {
                let chosen = queue.messages.iter().enumerate().filter(|(_, m)| m.is_for(conn, conn_id));
                let set = chosen.fold(0, |set, (n, _)| set | 1_u64 << n);
                if set == 0 {
                    return None;
                }
                if let Some((_, frame)) = made.iter().find(|(other, _)| *other == set) {
                    return Some(owner.seal(frame.clone()));
                }
                let wanted = queue.messages.iter().enumerate().filter(|(n, _)| set >> n & 1 == 1);
                let wanted = wanted.map(|(_, message)| message.encoded());
                let frame = wire::batch(flow.writer, now, node, queue.number, wanted, &id);
                flow.stats.frames.encoded += 1;
                made.push((set, frame.clone()));
                Some(owner.seal(frame))
            })
        });
        let counts = &mut self.handlers.batches.counts;
        counts.batches += 1;
        counts.batched += messages;
        counts.frames += frames;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_a_whole_number_in_any_writing() {
        for (json, number) in [
            ("5", Some(5)),
            ("-5", Some(-5)),
            ("5.0", Some(5)),
            ("1e2", Some(100)),
            ("\"101\"", Some(101)),
            ("5.5", None),
            ("null", None),
            ("true", None),
            ("\"high\"", None),
            ("\"\"", None),
            ("[1]", None),
            ("1e300", None),
        ] {
            let text = alloc::format!("{{\"type\":\"broadcast\",\"payload\":{{\"priority\":{json}}}}}");
            let envelope = crate::message::scan(&text, b"ada", 64).expect("valid");
            assert_eq!(priority(envelope.payload().find("priority")), number, "{json}");
        }
        assert_eq!(priority(None), Some(0));
    }
}
