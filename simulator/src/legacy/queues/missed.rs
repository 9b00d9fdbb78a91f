//! What users missed: a list per user, in the order of arrival, until somebody takes it.

use router::{
    Instant,
    queue::{
        Admission, Event, Lease, Limits, Offer, Outlet, Overflow, Policies, Policy, Priority, Queue, Reason,
        Refusal, Retry, Scope, Waiting,
    },
};
use serde_json::Value;

/// What gives way when a user's list is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The oldest message that is not above the new one.
    DropOldest,
    /// The new one.
    DropNewest,
    /// The oldest of the lowest class, if that is not above the new one's.
    DropLowPriority,
}

/// How much is kept.
#[derive(Clone, Debug)]
pub struct MissedSettings {
    /// Messages per user.
    pub user_max: u32,
    /// Messages of all users.
    pub global_max: u64,
    /// Longest message, bytes.
    pub message_bytes_max: u32,
    /// Age at which a message is given up, microseconds.
    pub ttl_us: u64,
    /// What gives way.
    pub strategy: Strategy,
    /// Whether anything is protected.
    pub protects: bool,
    /// Types that nothing else may push out.
    pub protected_types: Vec<String>,
}

impl Default for MissedSettings {
    fn default() -> Self {
        let types =
            ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"];
        Self {
            user_max: 200,
            global_max: 1_000,
            message_bytes_max: 32_768,
            ttl_us: 120_000_000,
            strategy: Strategy::DropLowPriority,
            protects: true,
            protected_types: types.map(str::to_owned).to_vec(),
        }
    }
}

/// A message that somebody missed.
#[derive(Clone, Debug, PartialEq)]
pub struct Missed {
    /// Its class.
    pub priority: Priority,
    /// What it says.
    pub body: Value,
}

impl Missed {
    /// Its length, bytes: compact, with everything outside of ASCII escaped; a plain text is as long as it is.
    pub fn size(&self) -> u32 {
        let bytes = match &self.body {
            Value::String(text) => text.len(),
            Value::Bool(true) => "True".len(),
            Value::Bool(false) => "False".len(),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                let escaped = |char: char| match char as u32 {
                    0..=0x7f => 1,
                    0x80..=0xffff => 6,
                    _ => 12,
                };
                self.body.to_string().chars().map(escaped).sum()
            }
        };
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

/// The old counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MissedStats {
    /// Messages taken in.
    pub buffered: u64,
    /// Messages given to somebody.
    pub delivered: u64,
    /// Messages that were refused, gave way, or were given up.
    pub dropped: u64,
    /// Of these, those that gave way to another.
    pub evicted: u64,
    /// Times that all users' lists were full.
    pub overflows: u64,
}

/// The lists of all users.
#[derive(Debug)]
pub struct MissedMessages {
    queue: Queue<Missed>,
    settings: MissedSettings,
    stats: MissedStats,
}

impl MissedMessages {
    /// Empty lists.
    pub fn new(settings: MissedSettings) -> Self {
        let overflow = match settings.strategy {
            Strategy::DropOldest => Overflow::DropOldest,
            Strategy::DropNewest => Overflow::Refuse,
            Strategy::DropLowPriority => Overflow::DropLowest,
        };
        let user = Policy {
            messages_max: settings.user_max,
            headroom_messages: 0,
            message_bytes_max: settings.message_bytes_max,
            ttl_us: Some(settings.ttl_us),
            overflow,
            overflow_protected: Overflow::DropOldest,
            window: 1,
            ..Policy::replay()
        };
        let limits =
            Limits { floor_messages: 0, pool_messages_max: settings.global_max, ..Limits::default() };
        let queue = Queue::new(limits, Policies { user, ..Policies::default() });
        Self { queue, settings, stats: MissedStats::default() }
    }

    /// The old counters.
    pub const fn stats(&self) -> MissedStats {
        self.stats
    }

    /// Whether nothing may push a message out.
    pub fn is_protected(&self, missed: &Missed) -> bool {
        let listed = missed.body["type"]
            .as_str()
            .is_some_and(|kind| self.settings.protected_types.iter().any(|listed| listed == kind));
        self.settings.protects && (missed.priority == Priority::Critical || listed)
    }

    /// Keeps a message for a user.
    ///
    /// # Errors
    /// Why it is not kept.
    pub fn keep(
        &mut self,
        now: Instant,
        user: &str,
        missed: Missed,
        events: &mut Vec<Event>,
    ) -> Result<u64, Refusal> {
        let offer = Offer {
            priority: missed.priority,
            protected: self.is_protected(&missed),
            ..Offer::new(Outlet::User, missed.size(), missed)
        };
        let before = events.len();
        let admission = self.queue.offer(now, user, offer, events);
        self.count(&events[before..]);
        match admission {
            Admission::Accepted { seq } | Admission::Duplicate { first: seq } => {
                self.stats.buffered += 1;
                Ok(seq)
            }
            Admission::Refused(refusal) => {
                self.stats.dropped += 1;
                self.stats.overflows += u64::from(refusal == Refusal::GlobalQuota);
                Err(refusal)
            }
        }
    }

    /// The user's oldest message, for delivery; `None` while another is in hand, and during the pause after a failure.
    pub fn next(&mut self, now: Instant, user: &str) -> Option<(Lease, Missed)> {
        let mut leases = Vec::new();
        self.queue.lease(now, user, Outlet::User, 1, &mut leases);
        let lease = *leases.first()?;
        let missed = self.queue.leased(lease)?.body.clone();
        Some((lease, missed))
    }

    /// What became of a delivery. `true`: the message is delivered, and gone.
    pub fn settle(
        &mut self,
        now: Instant,
        lease: Lease,
        delivered: Result<(), &str>,
        events: &mut Vec<Event>,
    ) -> bool {
        let before = events.len();
        match delivered {
            Ok(()) => {
                let done = self.queue.ack(now, lease);
                self.stats.delivered += u64::from(done);
                done
            }
            Err(error) => {
                self.queue.nack(now, lease, error, Retry::Later { chance: 0 }, events);
                self.count(&events[before..]);
                false
            }
        }
    }

    /// What a user missed, the oldest first.
    pub fn messages(&self, user: &str) -> Vec<Waiting<'_, Missed>> {
        self.queue.messages(user, Outlet::User)
    }

    /// Forgets what a user missed, and answers how much.
    pub fn clear(&mut self, now: Instant, user: &str, events: &mut Vec<Event>) -> usize {
        self.queue.clear(now, Scope::Outlet(user, Outlet::User), events)
    }

    /// Does what is due: pauses end, what is too old is given up.
    pub fn tick(&mut self, now: Instant, events: &mut Vec<Event>) {
        let before = events.len();
        self.queue.tick(now, events);
        self.count(&events[before..]);
    }

    fn count(&mut self, events: &[Event]) {
        for event in events {
            let Event::DeadLettered { reason, .. } = event else { continue };
            self.stats.dropped += 1;
            self.stats.evicted += u64::from(matches!(reason, Reason::Evicted { .. }));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lengths_are_those_of_escaped_text() {
        let size = |body: Value| Missed { priority: Priority::Normal, body }.size();
        assert_eq!(size(json!({"t": "漢字"})), 20);
        assert_eq!(size(json!({"t": "😀"})), 20);
        assert_eq!(size(json!("漢")), 3, "a plain text is as long as it is");
        assert_eq!((size(json!(true)), size(json!(12))), (4, 2));
    }

    #[test]
    fn a_failed_delivery_waits_and_is_delivered_once() {
        let mut lists = MissedMessages::new(MissedSettings::default());
        let (now, mut events) = (Instant::default(), Vec::new());
        let missed = Missed { priority: Priority::Normal, body: json!({"n": 1}) };
        lists.keep(now, "ada", missed, &mut events).expect("room");
        let (lease, _) = lists.next(now, "ada").expect("one waits");
        assert!(!lists.settle(now, lease, Err("gone"), &mut events));
        assert!(lists.next(now, "ada").is_none(), "it pauses");
        let later = now.after(500_000);
        lists.tick(later, &mut events);
        let (lease, _) = lists.next(later, "ada").expect("its pause is over");
        assert!(lists.settle(later, lease, Ok(()), &mut events));
        assert!(lists.messages("ada").is_empty());
        assert_eq!(lists.stats(), MissedStats { buffered: 1, delivered: 1, ..MissedStats::default() });
    }
}
