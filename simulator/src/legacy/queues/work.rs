//! The queue of work that several nodes shared: priorities, attempts with pauses, dead letters, a status per message.
//!
//! Over the one queue: what waits, waits there; here are the statuses that the old interface kept for an hour, and the
//! breaker before the store. While the store is away a message is refused, and never put aside.

mod wire;

use std::collections::{BTreeMap, BTreeSet};

use router::{
    Instant,
    queue::{
        Admission, Backoff, Breaker, BreakerSettings, BreakerState, DeadLetter, Event, Lease, Limits, Offer,
        Outlet, Policies, Policy, Priority, Queue, Reason, Refusal, Retry, Waiting,
    },
};
use serde_json::Value;

pub use self::wire::{Misread, read};

/// All work is of one kind: what a user sent stays in its order, whatever type it has.
const KIND: u16 = 0;
const OUTLET: Outlet = Outlet::Worker(KIND);
/// How long a status is known.
const STATUS_TTL_US: u64 = 3_600_000_000;
/// Attempts when a message says nothing else.
pub const ATTEMPTS_MAX: u32 = 5;

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// The sender's id of it.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// Which handler it is for.
    pub kind: Value,
    /// What the handler is given.
    pub payload: Value,
    /// Its class.
    pub class: Priority,
    /// Attempts before it is a dead letter; none is as good as one.
    pub attempts_max: u32,
}

/// A message in the hands of a worker.
#[derive(Debug)]
pub struct InHand {
    lease: Lease,
    /// The message.
    pub work: Work,
    /// Attempts that failed before.
    pub failures: u32,
}

/// What became of the latest step of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits.
    Pending,
    /// It waits for another attempt.
    Retrying,
    /// It is done.
    Completed,
    /// It is a dead letter.
    DeadLetter,
}

impl Status {
    /// The old name.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Retrying => "retrying",
            Status::Completed => "completed",
            Status::DeadLetter => "dead_letter",
        }
    }
}

/// A status, and what went wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Noted {
    /// The status.
    pub status: Status,
    /// What went wrong last, unless it is done or new.
    pub error: Option<String>,
    until: Instant,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untaken {
    /// The store is away, or was so often that nobody asks it for now.
    StoreAway,
    /// The queue refused it.
    Refused(Refusal),
}

/// A dead letter as the old interface listed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// The message.
    pub work: Work,
    /// What went wrong, the oldest attempt first.
    pub failures: Vec<String>,
    /// Attempts since it was taken in last.
    pub attempts: u32,
    /// Why it ended.
    pub reason: Reason,
    seq: u64,
    dead_at: Instant,
}

/// The queue of work.
#[derive(Debug)]
pub struct WorkQueue {
    queue: Queue<Work>,
    users: BTreeSet<String>,
    status: BTreeMap<String, Noted>,
    /// What went wrong last with messages that have not ended well, by number.
    errors: BTreeMap<u64, String>,
    /// Failures of letters that were given another chance, by number: how many there had been before.
    forgiven: BTreeMap<u64, usize>,
    store: Breaker,
    /// What an operator says of the handlers; what they do themselves, the queue's own breaker knows.
    handlers: Breaker,
    store_away: bool,
    /// The random part of pauses, from 0 to below 1.
    jitter: f64,
}

impl WorkQueue {
    /// An empty queue whose pauses have this random part.
    pub fn new(jitter: f64) -> Self {
        let worker = Policy { attempts_max: u32::MAX, ..Policy::work() };
        // Users take turns message by message, whatever their length; bodies count one byte.
        let limits = Limits { quantum_bytes: 1, notice_every_us: 0, ..Limits::default() };
        Self {
            queue: Queue::new(limits, Policies { worker, ..Policies::default() }),
            users: BTreeSet::new(),
            status: BTreeMap::new(),
            errors: BTreeMap::new(),
            forgiven: BTreeMap::new(),
            store: Breaker::new(BreakerSettings::STORE),
            handlers: Breaker::new(BreakerSettings::HANDLER),
            store_away: false,
            jitter,
        }
    }

    /// Takes a message in. `Ok(false)`: it is known already.
    ///
    /// # Errors
    /// Why it was not taken; the sender is to be told.
    pub fn enqueue(&mut self, now: Instant, work: Work, events: &mut Vec<Event>) -> Result<bool, Untaken> {
        self.reach_store(now)?;
        let offer =
            Offer { id: Some(&work.id.clone()), priority: work.class, ..Offer::new(OUTLET, 1, work.clone()) };
        match self.queue.offer(now, &work.user.clone(), offer, events) {
            Admission::Accepted { .. } => {
                self.users.insert(work.user.clone());
                self.note(now, &work.id, Status::Pending, None);
                Ok(true)
            }
            Admission::Duplicate { .. } => Ok(false),
            Admission::Refused(refusal) => Err(Untaken::Refused(refusal)),
        }
    }

    /// Something among the messages that is none: a dead letter at once, under the id of `work`.
    pub fn poison(&mut self, now: Instant, work: Work, error: &str, events: &mut Vec<Event>) {
        let (user, class) = (work.user.clone(), work.class);
        // An outlet of its own, so that nothing waits behind it.
        let outlet = Outlet::Connection(u64::MAX);
        let offer = Offer { priority: class, ..Offer::new(outlet, 1, work) };
        self.queue.offer(now, &user, offer, events);
        self.users.insert(user.clone());
        let mut leases = Vec::new();
        self.queue.lease(now, &user, outlet, 1, &mut leases);
        for lease in leases {
            self.queue.nack(now, lease, error, Retry::Never(Reason::Poison), events);
        }
    }

    /// What a worker does next: the highest class first, users in turns, nothing that follows what failed.
    pub fn take(&mut self, now: Instant, events: &mut Vec<Event>) -> Option<InHand> {
        self.tick(now, events);
        if self.store_away || !self.handlers.admit(now) {
            return None;
        }
        let mut leases = Vec::new();
        self.queue.lease_work(now, KIND, 1, &mut leases);
        let Some((lease, leased)) =
            leases.first().and_then(|lease| Some((*lease, self.queue.leased(*lease)?)))
        else {
            self.handlers.abandon();
            return None;
        };
        Some(InHand { lease, work: leased.body.clone(), failures: leased.failures })
    }

    /// What a handler made of it; the status then. The last attempt that fails leaves a dead letter, for `reason`.
    pub fn done(
        &mut self,
        now: Instant,
        hand: &InHand,
        result: Result<(), (&str, Reason)>,
        events: &mut Vec<Event>,
    ) -> Status {
        let seq = hand.lease.seq();
        match result {
            Ok(()) => {
                self.queue.ack(now, hand.lease);
                self.handlers.success();
                self.forgiven.remove(&seq);
                self.note(now, &hand.work.id, Status::Completed, None);
                Status::Completed
            }
            Err((error, reason)) => {
                let last = hand.failures + 1 >= hand.work.attempts_max;
                let retry = match last {
                    true => Retry::Never(reason),
                    false => Retry::Later { chance: whole_seconds(hand.failures + 1, self.jitter) },
                };
                self.queue.nack(now, hand.lease, error, retry, events);
                self.errors.insert(seq, error.to_owned());
                let status = if last { Status::DeadLetter } else { Status::Retrying };
                self.note(now, &hand.work.id, status, Some(error.to_owned()));
                status
            }
        }
    }

    /// What went wrong last with a message in hand, also before it was a dead letter.
    pub fn last_error(&self, hand: &InHand) -> Option<&str> {
        self.errors.get(&hand.lease.seq()).map(String::as_str)
    }

    /// Gives a dead letter another chance, with all its attempts. `false`: there is none of that id.
    ///
    /// # Errors
    /// The store is away; the letter stays.
    pub fn redrive(&mut self, now: Instant, id: &str) -> Result<bool, Untaken> {
        let Some(letter) = self.letters(now, &mut Vec::new()).into_iter().find(|letter| letter.work.id == id)
        else {
            return Ok(false);
        };
        self.reach_store(now)?;
        match self.queue.redrive(now, &letter.work.user, letter.seq) {
            Some(Admission::Accepted { .. }) => {
                self.forgiven.insert(letter.seq, letter.failures.len());
                self.note(now, id, Status::Pending, None);
                Ok(true)
            }
            Some(Admission::Refused(refusal)) => Err(Untaken::Refused(refusal)),
            Some(Admission::Duplicate { .. }) | None => Ok(false),
        }
    }

    /// The dead letters of all users, the newest first.
    pub fn letters(&mut self, now: Instant, events: &mut Vec<Event>) -> Vec<Letter> {
        self.tick(now, events);
        let letters = self.users.iter().flat_map(|user| self.queue.dead_letters(user));
        let mut letters: Vec<Letter> = letters.map(|letter| self.letter(letter)).collect();
        letters.sort_by_key(|letter| std::cmp::Reverse((letter.dead_at, letter.seq)));
        letters
    }

    /// What has not ended, of all users, in the order of admission.
    pub fn messages(&self) -> Vec<Waiting<'_, Work>> {
        let mut messages: Vec<Waiting<'_, Work>> =
            self.users.iter().flat_map(|user| self.queue.messages(user, OUTLET)).collect();
        messages.sort_by_key(|message| message.seq);
        messages
    }

    /// The statuses that are known, by id.
    pub fn statuses(&self, now: Instant) -> impl Iterator<Item = (&String, &Noted)> {
        self.status.iter().filter(move |(_, noted)| noted.until > now)
    }

    /// Something befell the store: it cannot be reached, or it can again.
    pub const fn store_is_away(&mut self, away: bool) {
        self.store_away = away;
    }

    /// The breaker before the store.
    pub const fn store_breaker(&mut self) -> &mut Breaker {
        &mut self.store
    }

    /// What an operator says of the handlers.
    pub const fn handler_breaker(&mut self) -> &mut Breaker {
        &mut self.handlers
    }

    /// What the handlers' failures came to, and what an operator said.
    pub fn handlers(&self) -> BreakerState {
        match self.handlers.state() {
            BreakerState::Closed { .. } => self.queue.breaker(KIND),
            said @ (BreakerState::Open { .. } | BreakerState::HalfOpen { .. }) => said,
        }
    }

    /// The process ended and began again: what waits is there, breakers begin anew.
    pub fn restart(&mut self) {
        self.store = Breaker::new(BreakerSettings::STORE);
        self.handlers = Breaker::new(BreakerSettings::HANDLER);
    }

    /// Whether all is accounted for.
    ///
    /// # Errors
    /// What does not add up.
    pub fn verify(&self) -> Result<(), String> {
        self.queue.verify()
    }

    fn reach_store(&mut self, now: Instant) -> Result<(), Untaken> {
        if !self.store.admit(now) {
            return Err(Untaken::StoreAway);
        }
        if self.store_away {
            self.store.failure(now);
            return Err(Untaken::StoreAway);
        }
        self.store.success();
        Ok(())
    }

    fn tick(&mut self, now: Instant, events: &mut Vec<Event>) {
        self.queue.tick(now, events);
        self.status.retain(|_, noted| noted.until > now);
    }

    fn note(&mut self, now: Instant, id: &str, status: Status, error: Option<String>) {
        let until = now.after(STATUS_TTL_US);
        self.status.insert(id.to_owned(), Noted { status, error, until });
    }

    fn letter(&self, letter: &DeadLetter<Work>) -> Letter {
        let before = self.forgiven.get(&letter.seq).copied().unwrap_or_default();
        Letter {
            work: letter.body.clone(),
            failures: letter.failures.iter().map(|failure| failure.to_string()).collect(),
            attempts: u32::try_from(letter.failures.len() - before).unwrap_or(u32::MAX),
            reason: letter.reason,
            seq: letter.seq,
            dead_at: letter.dead_at,
        }
    }
}

/// The pause after the `failures`-th failure, in whole seconds as ever: 1, 2, 4, … at most 60.
pub fn pause_s(failures: u32, jitter: f64) -> u64 {
    if failures == 0 {
        return 1;
    }
    (Backoff::DOUBLING.after(failures, chance(jitter)) / 1_000_000).max(1)
}

/// The chance with which the queue's own pause is that of whole seconds.
fn whole_seconds(failures: u32, jitter: f64) -> u32 {
    let wanted_us = pause_s(failures, jitter) * 1_000_000;
    let plain_us = Backoff::DOUBLING.after(failures, 0);
    // plain · 0.4 · chance / 2^32 is what chance adds; rounded up, it adds less than a microsecond too much.
    let more = u128::from(wanted_us.saturating_sub(plain_us)) * (1_000_u128 << 32);
    let chance = more.div_ceil(u128::from(plain_us) * 400);
    u32::try_from(chance).unwrap_or(u32::MAX)
}

fn chance(jitter: f64) -> u32 {
    (jitter.clamp(0.0, 1.0) * (1_u64 << 32) as f64) as u32
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn work(id: &str) -> Work {
        let (kind, payload) = (json!("t"), json!({}));
        Work { id: id.into(), user: "ada".into(), kind, payload, class: Priority::Normal, attempts_max: 2 }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn pauses_are_whole_seconds_and_the_queue_keeps_them() {
        assert_eq!([1, 2, 3, 6, 7].map(|n| pause_s(n, 0.25)), [1, 2, 4, 35, 60]);
        for failures in 1..9 {
            for jitter in [0.0, 0.1, 0.25, 0.5, 0.75, 0.999] {
                let kept = Backoff::DOUBLING.after(failures, whole_seconds(failures, jitter));
                assert_eq!(kept, pause_s(failures, jitter) * 1_000_000, "{failures} {jitter}");
            }
        }
    }

    #[test]
    fn what_fails_waits_dies_and_gets_another_chance() {
        let (mut queue, mut events) = (WorkQueue::new(0.0), Vec::new());
        assert_eq!(queue.enqueue(at(0), work("a"), &mut events), Ok(true));
        assert_eq!(queue.enqueue(at(0), work("a"), &mut events), Ok(false));
        let fail = Err(("boom", Reason::AttemptsExhausted));
        let hand = queue.take(at(0), &mut events).expect("it waits");
        assert_eq!(queue.done(at(0), &hand, fail, &mut events), Status::Retrying);
        assert!(queue.take(at(0), &mut events).is_none(), "it pauses");
        let hand = queue.take(at(1), &mut events).expect("the pause is over");
        assert_eq!(queue.done(at(1), &hand, fail, &mut events), Status::DeadLetter);
        let letters = queue.letters(at(1), &mut events);
        assert_eq!((letters[0].attempts, letters[0].failures.len()), (2, 2));
        assert_eq!(queue.redrive(at(2), "a"), Ok(true));
        assert_eq!(queue.redrive(at(2), "a"), Ok(false));
        let hand = queue.take(at(2), &mut events).expect("it waits again");
        assert_eq!((hand.failures, queue.last_error(&hand)), (0, Some("boom")));
        assert_eq!(queue.done(at(2), &hand, Ok(()), &mut events), Status::Completed);
        assert_eq!(queue.statuses(at(3_601)).count(), 1);
        assert_eq!(queue.statuses(at(3_602)).count(), 0);
        queue.verify().expect("all is accounted for");
    }

    #[test]
    fn while_the_store_is_away_nothing_is_taken_and_the_sender_knows() {
        let (mut queue, mut events) = (WorkQueue::new(0.0), Vec::new());
        queue.store_is_away(true);
        for n in 0..5 {
            assert_eq!(queue.enqueue(at(0), work(&n.to_string()), &mut events), Err(Untaken::StoreAway));
        }
        queue.store_is_away(false);
        assert_eq!(queue.enqueue(at(59), work("x"), &mut events), Err(Untaken::StoreAway), "nobody asks it");
        assert_eq!(queue.enqueue(at(60), work("x"), &mut events), Ok(true));
    }
}
