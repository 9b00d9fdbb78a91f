//! Named queues with one handler each.

use router::{
    Instant,
    queue::{Admission, Backoff, Event, Lease, Offer, Outlet, Policy, Queue, Reason, Retry, Scope},
};
use serde_json::{Map, Value};

use super::{
    SYSTEM,
    plain::{head, seconds},
    queue_of, size_of,
};

/// Named queues, made when something is first published to them.
#[derive(Debug)]
pub struct Topics {
    queue: Queue<Value>,
    /// Their names; the place is the outlet's number.
    names: Vec<String>,
    stopped: bool,
    running: bool,
}

impl Default for Topics {
    fn default() -> Self {
        let policy = Policy {
            headroom_messages: 0,
            window: 1,
            lease_us: None,
            backoff: Backoff::None,
            ..Policy::topic()
        };
        Self { queue: queue_of(policy, 1_000), names: Vec::new(), stopped: false, running: false }
    }
}

impl Topics {
    /// Messages that may wait in one of them.
    pub const fn messages_max() -> u32 {
        Policy::topic().messages_max
    }

    /// Publishes a message, and answers its number; `None`: there is no room. The message gets its old id (the name and
    /// how many wait), the time and the name.
    pub fn publish(&mut self, now: Instant, name: &str, mut body: Map<String, Value>) -> Option<u64> {
        let outlet = self.outlet_or_new(name);
        let waiting = self.waiting(name).len();
        body.insert("id".to_owned(), format!("{name}_{waiting}").into());
        body.insert("timestamp".to_owned(), seconds(now));
        body.insert("queue".to_owned(), name.into());
        let body = Value::Object(body);
        let offer = Offer::new(outlet, size_of(&body), body);
        match self.queue.offer(now, SYSTEM, offer, &mut Vec::new()) {
            Admission::Accepted { seq } => Some(seq),
            Admission::Duplicate { .. } | Admission::Refused(_) => None,
        }
    }

    /// Gives the oldest message out.
    pub fn consume(&mut self, now: Instant, name: &str) -> Option<Value> {
        let outlet = self.outlet(name)?;
        let (lease, body) = head(&mut self.queue, now, outlet)?;
        self.queue.ack(now, lease);
        Some(body)
    }

    /// Gives the oldest message to its handler; nothing while an earlier one is in hand, or after a stop.
    pub fn take(&mut self, now: Instant, name: &str) -> Option<(Lease, Value)> {
        let outlet = self.outlet(name).filter(|_| !self.stopped)?;
        head(&mut self.queue, now, outlet)
    }

    /// What became of a message that was taken; what failed is a dead letter.
    pub fn done(&mut self, now: Instant, lease: Lease, result: Result<(), &str>, events: &mut Vec<Event>) {
        match result {
            Ok(()) => {
                self.queue.ack(now, lease);
            }
            Err(error) => {
                self.queue.nack(now, lease, error, Retry::Never(Reason::AttemptsExhausted), events);
            }
        }
    }

    /// What waits, with its number, the oldest first.
    pub fn waiting(&self, name: &str) -> Vec<(u64, &Value)> {
        let Some(outlet) = self.outlet(name) else { return Vec::new() };
        let waiting = self.queue.messages(SYSTEM, outlet);
        waiting
            .into_iter()
            .filter(|waiting| !waiting.leased)
            .map(|waiting| (waiting.seq, waiting.body))
            .collect()
    }

    /// The names, in the order in which they came up.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Ends what waits, and answers how much.
    pub fn purge(&mut self, now: Instant, name: &str) -> usize {
        let Some(outlet) = self.outlet(name) else { return 0 };
        self.queue.clear(now, Scope::Outlet(SYSTEM, outlet), &mut Vec::new())
    }

    /// Handlers are given messages.
    pub const fn start(&mut self) {
        (self.stopped, self.running) = (false, true);
    }

    /// Handlers are given nothing until the next start.
    pub const fn stop(&mut self) {
        (self.stopped, self.running) = (true, false);
    }

    /// Whether it was started, and not stopped since.
    pub const fn is_running(&self) -> bool {
        self.running
    }

    fn outlet(&self, name: &str) -> Option<Outlet> {
        let at = self.names.iter().position(|known| known == name)?;
        Some(Outlet::Connection(at as u64))
    }

    fn outlet_or_new(&mut self, name: &str) -> Outlet {
        if let Some(outlet) = self.outlet(name) {
            return outlet;
        }
        self.names.push(name.to_owned());
        Outlet::Connection(self.names.len() as u64 - 1)
    }
}
