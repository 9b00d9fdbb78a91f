//! Two plain queues: one bounded, and one with handlers by type and a list of dead letters.

use router::{
    Instant,
    queue::{Backoff, Event, Lease, Offer, Outlet, Policy, Queue, Reason, Retry, Scope},
};
use serde_json::{Map, Value};

use super::{SYSTEM, queue_of, size_of};

/// A plain queue's policy: the order of arrival, one attempt, and nothing by itself.
fn plain(messages_max: u32) -> Policy {
    Policy {
        messages_max,
        headroom_messages: 0,
        window: 1,
        lease_us: None,
        backoff: Backoff::None,
        // Letters go when somebody clears them, or when there are too many.
        dead_ttl_us: u64::MAX / 4,
        ..Policy::plain()
    }
}

/// The old counters of a bounded queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoundedStats {
    /// Messages taken in.
    pub enqueued: u64,
    /// Messages given out.
    pub dequeued: u64,
    /// Messages refused or cleared.
    pub dropped: u64,
}

/// A queue of so many messages, the oldest out first.
#[derive(Debug)]
pub struct BoundedQueue {
    queue: Queue<Value>,
    max_size: u32,
    stats: BoundedStats,
}

impl BoundedQueue {
    /// An empty one; 0 is no bound but the memory's.
    pub fn new(max_size: u32) -> Self {
        let messages_max = if max_size == 0 { u32::MAX } else { max_size };
        Self { queue: queue_of(plain(messages_max), 1_000), max_size, stats: BoundedStats::default() }
    }

    /// The bound it was made with.
    pub const fn max_size(&self) -> u32 {
        self.max_size
    }

    /// The old counters.
    pub const fn stats(&self) -> BoundedStats {
        self.stats
    }

    /// Takes a message; `false`: there is no room, it is refused.
    pub fn enqueue(&mut self, now: Instant, body: Value) -> bool {
        let offer = Offer::new(Outlet::User, size_of(&body), body);
        let admission = self.queue.offer(now, SYSTEM, offer, &mut Vec::new());
        let accepted = matches!(admission, router::queue::Admission::Accepted { .. });
        if accepted {
            self.stats.enqueued += 1;
        } else {
            self.stats.dropped += 1;
        }
        accepted
    }

    /// Gives the oldest message out; `None`: nothing waits. Nothing blocks here: whoever wants to wait, does.
    pub fn dequeue(&mut self, now: Instant) -> Option<Value> {
        let (lease, body) = head(&mut self.queue, now, Outlet::User)?;
        self.queue.ack(now, lease);
        self.stats.dequeued += 1;
        Some(body)
    }

    /// Ends what waits, and answers how much.
    pub fn clear(&mut self, now: Instant) -> usize {
        let cleared = self.queue.clear(now, Scope::Outlet(SYSTEM, Outlet::User), &mut Vec::new());
        self.stats.dropped += cleared as u64;
        cleared
    }

    /// What waits, the oldest first.
    pub fn bodies(&self) -> Vec<&Value> {
        self.queue.messages(SYSTEM, Outlet::User).into_iter().map(|waiting| waiting.body).collect()
    }
}

/// The oldest message of an outlet, leased.
pub(super) fn head<B: Clone>(queue: &mut Queue<B>, now: Instant, outlet: Outlet) -> Option<(Lease, B)> {
    let mut leases = Vec::new();
    queue.lease(now, SYSTEM, outlet, 1, &mut leases);
    let lease = *leases.first()?;
    let body = queue.leased(lease)?.body.clone();
    Some((lease, body))
}

/// A dead letter, as the old list showed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// The number of the message, of which there is one only.
    pub seq: u64,
    /// The message.
    pub body: Value,
    /// What went wrong last.
    pub error: String,
    /// When it ended.
    pub failed_at: Instant,
}

impl Letter {
    /// The old id, a member of the message.
    pub fn original_id(&self) -> &Value {
        &self.body["id"]
    }

    /// The message as it was listed.
    pub fn shown(&self) -> Value {
        let mut shown = self.body.as_object().cloned().unwrap_or_default();
        shown.insert("error".to_owned(), self.error.clone().into());
        shown.insert("failed_at".to_owned(), seconds(self.failed_at));
        shown.insert("original_id".to_owned(), self.original_id().clone());
        Value::Object(shown)
    }
}

/// A moment as old messages carry it.
pub(super) fn seconds(at: Instant) -> Value {
    Value::from(at.as_micros() as f64 / 1e6)
}

/// A queue with handlers by type. What they fail at, and what has none, is a dead letter.
#[derive(Debug)]
pub struct FifoQueue {
    queue: Queue<Value>,
    /// What a handler is given.
    taken: Option<Lease>,
}

/// What is put among the dead letters by hand goes through an outlet of its own.
const BY_HAND: Outlet = Outlet::Connection(1);

impl FifoQueue {
    /// An empty one that keeps so many dead letters.
    pub fn new(dead_letters_max: u32) -> Self {
        Self { queue: queue_of(plain(Policy::plain().messages_max), dead_letters_max), taken: None }
    }

    /// Takes a message, and answers its number; `None`: it is no object, or there is no room. The message gets its old
    /// id, the number of those that wait, and the time.
    pub fn enqueue(&mut self, now: Instant, body: Map<String, Value>) -> Option<u64> {
        let mut body = body;
        let id = self.queue.waiting(SYSTEM, Outlet::User) - u32::from(self.taken.is_some());
        body.insert("id".to_owned(), id.to_string().into());
        body.insert("timestamp".to_owned(), seconds(now));
        let body = Value::Object(body);
        let offer = Offer::new(Outlet::User, size_of(&body), body);
        match self.queue.offer(now, SYSTEM, offer, &mut Vec::new()) {
            router::queue::Admission::Accepted { seq } => Some(seq),
            router::queue::Admission::Duplicate { .. } | router::queue::Admission::Refused(_) => None,
        }
    }

    /// Gives the oldest message out.
    pub fn dequeue(&mut self, now: Instant) -> Option<Value> {
        let (lease, body) = head(&mut self.queue, now, Outlet::User)?;
        self.queue.ack(now, lease);
        Some(body)
    }

    /// Gives the oldest message to a handler; what became of it is told with [`done`](Self::done).
    pub fn take(&mut self, now: Instant) -> Option<Value> {
        let (lease, body) = head(&mut self.queue, now, Outlet::User)?;
        self.taken = Some(lease);
        Some(body)
    }

    /// What became of the message that was taken; failed, or without a handler, it is a dead letter.
    pub fn done(&mut self, now: Instant, result: Result<(), (Reason, &str)>, events: &mut Vec<Event>) {
        let Some(lease) = self.taken.take() else { return };
        match result {
            Ok(()) => {
                self.queue.ack(now, lease);
            }
            Err((reason, error)) => {
                self.queue.nack(now, lease, error, Retry::Never(reason), events);
            }
        }
    }

    /// What waits, with its number, the oldest first.
    pub fn waiting(&self) -> Vec<(u64, &Value)> {
        let waiting = self.queue.messages(SYSTEM, Outlet::User);
        waiting
            .into_iter()
            .filter(|waiting| !waiting.leased)
            .map(|waiting| (waiting.seq, waiting.body))
            .collect()
    }

    /// Puts a message among the dead letters by hand.
    pub fn bury(&mut self, now: Instant, body: Map<String, Value>, error: &str, events: &mut Vec<Event>) {
        let body = Value::Object(body);
        let offer = Offer::new(BY_HAND, size_of(&body), body);
        self.queue.offer(now, SYSTEM, offer, events);
        if let Some((lease, _)) = head(&mut self.queue, now, BY_HAND) {
            self.queue.nack(now, lease, error, Retry::Never(Reason::Poison), events);
        }
    }

    /// The dead letters, the oldest first.
    pub fn letters(&self) -> Vec<Letter> {
        let letters = self.queue.dead_letters(SYSTEM);
        letters
            .map(|letter| Letter {
                seq: letter.seq,
                body: letter.body.clone(),
                error: letter.failures.last().map(|error| (**error).to_owned()).unwrap_or_default(),
                failed_at: letter.dead_at,
            })
            .collect()
    }

    /// Hands the oldest dead letter with that old id back to whoever asks; it is dealt with.
    pub fn take_back(&mut self, id: &Value) -> Option<Letter> {
        let letter = self.letters().into_iter().find(|letter| letter.original_id() == id)?;
        self.queue.discard(SYSTEM, letter.seq)?;
        Some(letter)
    }

    /// Forgets dead letters of that age or more, and answers how many.
    pub fn clear_old(&mut self, now: Instant, age_us: u64) -> usize {
        let old: Vec<u64> = self
            .letters()
            .iter()
            .filter(|letter| now.since(letter.failed_at) >= age_us)
            .map(|letter| letter.seq)
            .collect();
        old.into_iter().filter(|seq| self.queue.discard(SYSTEM, *seq).is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn what_a_handler_fails_at_is_a_dead_letter_and_the_rest_goes_on() {
        let (now, mut events) = (Instant::default(), Vec::new());
        let mut queue = FifoQueue::new(10);
        for n in 0..3 {
            assert!(queue.enqueue(now, object(json!({"type": "a", "n": n})),).is_some());
        }
        let mut done = Vec::new();
        while let Some(message) = queue.take(now) {
            let bad = message["n"] == 1;
            let result = if bad { Err((Reason::AttemptsExhausted, "boom")) } else { Ok(()) };
            if !bad {
                done.push(message["n"].clone());
            }
            queue.done(now, result, &mut events);
        }
        assert_eq!(done, [0, 2]);
        let letters = queue.letters();
        assert_eq!(
            (letters.len(), letters[0].error.as_str(), letters[0].original_id()),
            (1, "boom", &json!("1"))
        );
        assert_eq!(queue.take_back(&json!("1")).map(|letter| letter.seq), Some(letters[0].seq));
        assert!(queue.take_back(&json!("1")).is_none());
    }

    #[test]
    fn a_bounded_queue_refuses_the_newest_and_counts_what_is_cleared() {
        let now = Instant::default();
        let mut queue = BoundedQueue::new(1);
        assert!(queue.enqueue(now, json!(1)));
        assert!(!queue.enqueue(now, json!(2)));
        assert_eq!(queue.clear(now), 1);
        assert_eq!(queue.dequeue(now), None);
        assert_eq!(queue.stats(), BoundedStats { enqueued: 1, dequeued: 0, dropped: 2 });
    }
}
