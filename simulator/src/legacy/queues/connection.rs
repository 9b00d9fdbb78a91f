//! The queue of one connection: holds what comes while the connection is set up, flushes it when the connection is
//! ready, and from then on hands everything through.

use router::{
    Instant,
    queue::{
        Admission, Event, Lease, Leftover, Offer, Outlet, Policy, Priority, Queue, Reason, Refusal, Retry,
        Scope, Standing, Waiting,
    },
};
use serde_json::Value;

use super::{queue_of, size_of};

/// The one outlet of an adapter: each has a queue of its own.
const OUTLET: Outlet = Outlet::Connection(1);

/// A message for a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The sender's id of it.
    pub id: Option<String>,
    /// Its class.
    pub priority: Priority,
    /// What it says.
    pub body: Value,
}

/// How much a queue holds, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Messages.
    pub max_size: u32,
    /// Age, microseconds; exactly this age is still sent.
    pub max_age_us: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_size: 1_000, max_age_us: 300_000_000 }
    }
}

/// The old names of what a queue does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything waits: for the connection, or for the pause after a failure.
    Buffering,
    /// What waits goes out one by one; what comes goes behind it.
    Flushing,
    /// Nothing waits: what comes goes out.
    PassThrough,
    /// Nothing comes in or goes out.
    Suspended,
    /// It is over.
    Closed,
}

impl State {
    /// The old name.
    pub const fn name(self) -> &'static str {
        match self {
            State::Buffering => "buffering",
            State::Flushing => "flushing",
            State::PassThrough => "pass_through",
            State::Suspended => "suspended",
            State::Closed => "closed",
        }
    }
}

/// The old counters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Messages that waited.
    pub queued: u64,
    /// Of these, those that went out.
    pub flushed: u64,
    /// Refused, evicted, or ended after their last attempt.
    pub dropped: u64,
    /// Ended of old age.
    pub expired: u64,
    /// Times that there was no room.
    pub overflows: u64,
    /// Mean time from offer to delivery, milliseconds: half of it is the latest flush.
    pub average_ms: f64,
}

/// A message on its way out.
#[derive(Debug)]
pub struct InFlight {
    lease: Lease,
    /// The message.
    pub message: Message,
    /// Which attempt it is, from 1.
    pub attempt: u32,
}

/// The queue of one connection.
#[derive(Debug)]
pub struct ConnectionQueue {
    connection: String,
    user: String,
    settings: Settings,
    queue: Queue<Message>,
    suspended: bool,
    /// A flush is on: when it started no other may.
    flush: Option<Flush>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Flush {
    failed: bool,
    sent: u32,
    waited_us: u64,
}

impl ConnectionQueue {
    /// A queue that holds everything until the connection is ready.
    ///
    /// # Errors
    /// That is no user id.
    pub fn new(connection: &str, user: &str, settings: Settings) -> Result<Self, Refusal> {
        let policy = Policy {
            messages_max: settings.max_size,
            headroom_messages: 0,
            ttl_us: Some(settings.max_age_us),
            ..Policy::connection()
        };
        let user = user.trim();
        let mut queue = queue_of(policy, 1_000);
        queue.stand(Instant::default(), user, OUTLET, Standing::Held, &mut Vec::new())?;
        Ok(Self {
            connection: connection.to_owned(),
            user: user.to_owned(),
            settings,
            queue,
            suspended: false,
            flush: None,
            metrics: Metrics::default(),
        })
    }

    /// Its connection.
    pub fn connection(&self) -> &str {
        &self.connection
    }

    /// Whose connection it is.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Its settings.
    pub const fn settings(&self) -> Settings {
        self.settings
    }

    /// The old counters.
    pub const fn metrics(&self) -> Metrics {
        self.metrics
    }

    /// What waits, class by class, the highest first.
    pub fn messages(&self) -> Vec<Waiting<'_, Message>> {
        self.queue.messages(&self.user, OUTLET)
    }

    /// Messages that ended without going out: the ids, and why.
    pub fn dead(&self) -> impl Iterator<Item = (&Message, Reason)> {
        self.queue.dead_letters(&self.user).map(|letter| (&letter.body, letter.reason))
    }

    /// When something happens by itself.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.queue.next_deadline()
    }

    /// What it does.
    pub fn state(&self) -> State {
        match self.queue.standing(&self.user, OUTLET) {
            Standing::Closed => State::Closed,
            _ if self.suspended => State::Suspended,
            Standing::Degraded => State::Flushing,
            Standing::Open if self.queue.waiting(&self.user, OUTLET) == 0 => State::PassThrough,
            Standing::Open if self.flush.is_some() => State::Flushing,
            Standing::Open | Standing::Held => State::Buffering,
        }
    }

    /// Whether what comes may go out at once: nothing waits for the connection, a pause or a flush.
    pub fn is_through(&self) -> bool {
        let out = matches!(self.queue.standing(&self.user, OUTLET), Standing::Open | Standing::Degraded);
        out && !self.suspended && self.flush.is_none() && self.queue.waiting(&self.user, OUTLET) == 0
    }

    /// Whether a flush is on.
    pub const fn is_flushing(&self) -> bool {
        self.flush.is_some()
    }

    /// Whether the connection is degraded.
    pub fn is_degraded(&self) -> bool {
        self.queue.standing(&self.user, OUTLET) == Standing::Degraded
    }

    /// Whether a flush failed, and what waits will go on by itself.
    pub fn is_pausing(&self) -> bool {
        let out = matches!(self.queue.standing(&self.user, OUTLET), Standing::Open | Standing::Degraded);
        out && !self.suspended && self.flush.is_none() && self.queue.waiting(&self.user, OUTLET) > 0
    }

    /// Takes a message. `true`: it waits, or came before. Whether it may go out at once, [`next`](Self::next) knows.
    pub fn enqueue(&mut self, now: Instant, message: Message, events: &mut Vec<Event>) -> bool {
        if self.suspended {
            self.metrics.dropped += 1;
            return false;
        }
        let through = self.is_through();
        let offer = Offer {
            id: message.id.as_deref(),
            priority: message.priority,
            protected: message.priority == Priority::Critical,
            ..Offer::new(OUTLET, size_of(&message.body), message.clone())
        };
        let before = events.len();
        let admission = self.queue.offer(now, &self.user, offer, events);
        let evicted = self.count(&events[before..]);
        match admission {
            Admission::Accepted { .. } => {
                self.metrics.overflows += u64::from(evicted > 0);
                self.metrics.queued += u64::from(!through);
                true
            }
            Admission::Duplicate { .. } => true,
            Admission::Refused(refusal) => {
                self.metrics.dropped += 1;
                self.metrics.overflows += u64::from(refusal == Refusal::UserQuota);
                false
            }
        }
    }

    /// Starts a flush: what waits may go out, pauses after failures are over. `false` when it is over, suspended, or a
    /// flush is on already.
    pub fn begin_flush(&mut self, now: Instant, events: &mut Vec<Event>) -> bool {
        let over = matches!(self.state(), State::Closed | State::Suspended);
        if over || self.flush.is_some() {
            return false;
        }
        if self.queue.standing(&self.user, OUTLET) == Standing::Held {
            self.stand(now, Standing::Open, events);
        }
        self.queue.resume(now, &self.user, OUTLET);
        self.tick(now, events);
        self.flush = Some(Flush::default());
        true
    }

    /// The next message that goes out. After one failed nothing does: nothing overtakes it.
    pub fn next(&mut self, now: Instant) -> Option<InFlight> {
        if self.suspended || self.flush.as_ref().is_some_and(|flush| flush.failed) {
            return None;
        }
        let mut leases = Vec::new();
        self.queue.lease(now, &self.user, OUTLET, 1, &mut leases);
        let lease = *leases.first()?;
        let leased = self.queue.leased(lease)?;
        Some(InFlight { lease, message: leased.body.clone(), attempt: leased.failures + 1 })
    }

    /// What became of a message on its way. It waits again after a failure, as long as it has attempts left.
    pub fn settle(
        &mut self,
        now: Instant,
        flight: &InFlight,
        sent: Result<(), &str>,
        events: &mut Vec<Event>,
    ) {
        let offered_at = self
            .messages()
            .iter()
            .find(|waiting| waiting.seq == flight.lease.seq())
            .map(|waiting| waiting.offered_at);
        let before = events.len();
        match sent {
            Ok(()) => {
                if self.queue.ack(now, flight.lease)
                    && let Some(flush) = &mut self.flush
                {
                    flush.sent += 1;
                    flush.waited_us += offered_at.map_or(0, |at| now.since(at));
                }
            }
            Err(error) => {
                let failed = self.queue.nack(now, flight.lease, error, Retry::Later { chance: 0 }, events);
                if failed && let Some(flush) = &mut self.flush {
                    flush.failed = true;
                }
                self.count(&events[before..]);
            }
        }
    }

    /// Ends a flush. `true` when nothing failed and nothing is left.
    pub fn end_flush(&mut self) -> bool {
        let Some(flush) = self.flush.take() else { return false };
        self.metrics.flushed += u64::from(flush.sent);
        if flush.sent > 0 {
            let mean = flush.waited_us as f64 / 1_000.0 / f64::from(flush.sent);
            self.metrics.average_ms = (self.metrics.average_ms + mean) / 2.0;
        }
        let over = matches!(self.state(), State::Closed | State::Suspended);
        !flush.failed && !over && self.queue.waiting(&self.user, OUTLET) == 0
    }

    /// Whether a flush that failed may go on: its pause is over.
    pub fn may_go_on(&mut self, now: Instant, events: &mut Vec<Event>) -> bool {
        let due = self.is_pausing() && self.queue.next_deadline().is_some_and(|at| at <= now);
        if due {
            self.tick(now, events);
        }
        due
    }

    /// The connection came into another state: ready and busy ones open the queue, a degraded one lets messages out
    /// one at a time, ended ones close it.
    pub fn connection_is(&mut self, now: Instant, state: &str, events: &mut Vec<Event>) {
        match state {
            "processing_ready" | "processing" | "idle" => self.stand(now, Standing::Open, events),
            "degraded" => self.stand(now, Standing::Degraded, events),
            "failed" | "closed" | "closing" => self.close(now, events),
            _ => {}
        }
    }

    /// Refuses everything, and lets nothing out.
    pub const fn suspend(&mut self) {
        self.suspended = true;
    }

    /// It is over; what waits ends as dead letters.
    pub fn close(&mut self, now: Instant, events: &mut Vec<Event>) {
        let before = events.len();
        let leftover = Leftover::Bury(Reason::ConnectionGone);
        self.queue.close(now, &self.user, OUTLET, leftover, events);
        self.count(&events[before..]);
    }

    /// Ends what waits, of one class or of all, and answers how much.
    pub fn clear(&mut self, now: Instant, class: Option<Priority>, events: &mut Vec<Event>) -> usize {
        let scope = match class {
            Some(class) => Scope::Class(&self.user, OUTLET, class),
            None => Scope::Outlet(&self.user, OUTLET),
        };
        self.queue.clear(now, scope, events)
    }

    fn stand(&mut self, now: Instant, standing: Standing, events: &mut Vec<Event>) {
        // The user is known since the queue was made: there is always room for it.
        let _known = self.queue.stand(now, &self.user, OUTLET, standing, events);
    }

    fn tick(&mut self, now: Instant, events: &mut Vec<Event>) {
        let before = events.len();
        self.queue.tick(now, events);
        self.count(&events[before..]);
    }

    /// Counts what ended, and answers how many gave way to another.
    fn count(&mut self, events: &[Event]) -> usize {
        let mut evicted = 0;
        for event in events {
            let Event::DeadLettered { reason, .. } = event else { continue };
            match reason {
                Reason::Expired => self.metrics.expired += 1,
                Reason::Evicted { .. } => {
                    self.metrics.dropped += 1;
                    evicted += 1;
                }
                Reason::AttemptsExhausted | Reason::ConnectionGone | Reason::Poison => {
                    self.metrics.dropped += 1
                }
                Reason::NoHandler | Reason::Cleared | Reason::Shutdown | Reason::Fenced => {}
            }
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, priority: Priority) -> Message {
        Message { id: Some(id.to_owned()), priority, body: Value::Null }
    }

    /// Lets everything out that may go; the messages in `bad` fail.
    fn flush(queue: &mut ConnectionQueue, now: Instant, bad: &[&str]) -> (bool, Vec<String>) {
        let (mut events, mut sent) = (Vec::new(), Vec::new());
        if !queue.begin_flush(now, &mut events) {
            return (false, sent);
        }
        while let Some(flight) = queue.next(now) {
            let id = flight.message.id.clone().unwrap_or_default();
            let result = if bad.contains(&id.as_str()) { Err("bad") } else { Ok(()) };
            if result.is_ok() {
                sent.push(id);
            }
            queue.settle(now, &flight, result, &mut events);
        }
        (queue.end_flush(), sent)
    }

    #[test]
    fn a_failure_stops_the_flush_and_nothing_overtakes() {
        let now = Instant::default();
        let mut queue = ConnectionQueue::new("c", " ada ", Settings::default()).expect("a user");
        assert_eq!((queue.user(), queue.state()), ("ada", State::Buffering));
        for (id, class) in [("low", Priority::Low), ("high", Priority::High)] {
            assert!(queue.enqueue(now, message(id, class), &mut Vec::new()));
        }
        assert_eq!(flush(&mut queue, now, &["high"]), (false, vec![]));
        assert_eq!(queue.state(), State::Buffering);
        assert!(queue.next_deadline().is_some(), "it goes on by itself");
        assert_eq!(flush(&mut queue, now, &[]), (true, vec!["high".to_owned(), "low".to_owned()]));
        assert_eq!(queue.state(), State::PassThrough);
    }

    #[test]
    fn attempts_end_and_what_ended_is_kept() {
        let now = Instant::default();
        let mut queue = ConnectionQueue::new("c", "ada", Settings::default()).expect("a user");
        queue.enqueue(now, message("m", Priority::Critical), &mut Vec::new());
        for _ in 0..3 {
            assert_eq!(flush(&mut queue, now, &["m"]), (false, vec![]));
        }
        let dead: Vec<Reason> = queue.dead().map(|(_, reason)| reason).collect();
        assert_eq!((dead, queue.metrics().dropped), (vec![Reason::AttemptsExhausted], 1));
    }

    #[test]
    fn closed_is_final_and_strands_nothing() {
        let now = Instant::default();
        let mut queue = ConnectionQueue::new("c", "ada", Settings::default()).expect("a user");
        queue.enqueue(now, message("m", Priority::Normal), &mut Vec::new());
        queue.connection_is(now, "failed", &mut Vec::new());
        assert_eq!(queue.dead().map(|(_, reason)| reason).collect::<Vec<_>>(), [Reason::ConnectionGone]);
        queue.connection_is(now, "processing_ready", &mut Vec::new());
        assert_eq!(flush(&mut queue, now, &[]), (false, vec![]));
        assert!(!queue.enqueue(now, message("n", Priority::Critical), &mut Vec::new()));
        assert_eq!(queue.state(), State::Closed);
    }

    #[test]
    fn a_user_is_needed() {
        assert!(ConnectionQueue::new("c", "  ", Settings::default()).is_err());
    }
}
