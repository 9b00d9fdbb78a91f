//! Laws of the queue over random sequences: its guarantees, judged by a witness that sees nothing of the inside.

mod draw;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use proptest::{
    prelude::*,
    test_runner::{Config as Runs, TestRng, TestRunner},
};
use router::{
    Instant,
    queue::{
        Admission, BreakerState, Event, Lease, Leftover, Offer, Outlet, Overflow, Priority, Queue, Reason,
        Refusal, Retry, Scope, Standing,
    },
};

use self::draw::{ATTEMPTS_MAX, BASE_US, Op, PAUSE_MAX_US, limits, op, policies};

const USERS: [&str; 4] = ["ada", "eve", "kim", "zoe"];
const OUTLETS: [Outlet; 5] =
    [Outlet::Worker(0), Outlet::Worker(1), Outlet::Connection(7), Outlet::Connection(8), Outlet::User];
/// Sequences in an ordinary run; `GOLDENPATH_QUEUE_SEQUENCES` asks for more.
const SEQUENCES: u32 = 1_500;
/// Rounds of leasing and waiting in which everything that waits must end.
const ROUNDS_MAX: usize = 300;

/// What a message carries: whose it is and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Body {
    user: u8,
    tag: u64,
}

#[derive(Clone, Debug)]
struct Known {
    user: u8,
    outlet: Outlet,
    class: Priority,
    order: Option<u8>,
    protected: bool,
    /// It keeps a number that is older than its place in its lane.
    out_of_turn: bool,
    failures: u32,
    /// It must not be leased before then.
    not_before: Instant,
}

/// Everything that was seen from outside.
#[derive(Debug, Default)]
struct Witness {
    offered: u64,
    duplicates: u64,
    refused: u64,
    delivered: BTreeSet<u64>,
    dead: BTreeMap<u64, Known>,
    forgotten_dead: u64,
    withdrawn: u64,
    open: BTreeMap<u64, Known>,
    leases: Vec<(Lease, Outlet)>,
    /// The newest message delivered of each lane.
    newest: BTreeMap<(u8, Outlet, Option<u8>, Priority), u64>,
    last_seq: u64,
    closed: BTreeSet<(u8, Outlet)>,
    /// When something of an outlet failed last.
    failed_at: BTreeMap<(u8, Outlet), Instant>,
    is_shutting_down: bool,
}

/// What a message, an outlet or the clock went through: a step counts only if it did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Transition {
    /// Offered, and waits.
    Accepted,
    /// Offered, and known.
    Duplicate,
    /// Offered, and refused.
    Refused,
    /// Waiting, and leased.
    Leased,
    /// Leased, and delivered.
    Delivered,
    /// Settled by a lease that names nothing any more.
    Stale,
    /// Leased, and waits again after a failure.
    WaitsAgain,
    /// Leased, and dead after a failure.
    FailedForGood,
    /// Waiting, and dead for another reason than a failure.
    Ended,
    /// Dead, and waits again.
    Redriven,
    /// Waiting or leased, and taken back by its sender.
    Withdrawn,
    /// Waiting, and delivered in one step.
    Taken,
    /// An outlet was opened, held or degraded.
    Stood,
    /// An outlet was closed.
    Closed,
    /// Time passed.
    Waited,
    /// The queue shut down.
    ShutDown,
}

impl Transition {
    const ALL: [Transition; 16] = [
        Transition::Accepted,
        Transition::Duplicate,
        Transition::Refused,
        Transition::Leased,
        Transition::Delivered,
        Transition::Stale,
        Transition::WaitsAgain,
        Transition::FailedForGood,
        Transition::Ended,
        Transition::Redriven,
        Transition::Withdrawn,
        Transition::Taken,
        Transition::Stood,
        Transition::Closed,
        Transition::Waited,
        Transition::ShutDown,
    ];
}

/// What a whole run came across.
#[derive(Debug, Default)]
struct Seen {
    sequences: u64,
    steps: u64,
    /// Steps in which something went that way.
    transitions: BTreeMap<Transition, u64>,
    refusals: BTreeMap<&'static str, u64>,
    reasons: BTreeMap<&'static str, u64>,
}

struct Play {
    queue: Queue<Body>,
    now: Instant,
    witness: Witness,
    tags: u64,
    /// What this step did.
    did: BTreeSet<Transition>,
    seen: Rc<RefCell<Seen>>,
}

impl Play {
    fn step(&mut self, op: &Op) {
        let before = [self.queue.breaker(0), self.queue.breaker(1)];
        let mut events = Vec::new();
        match *op {
            Op::Offer { user, outlet, id, class, order, protected, bytes } => {
                self.offer(user, outlet, id, class, order, protected, bytes, &mut events);
            }
            Op::LeaseWork { kind, max } => {
                let mut leases = Vec::new();
                let is_closed = matches!(self.queue.breaker(kind), BreakerState::Closed { .. });
                let due = is_closed && USERS.iter().any(|user| self.must_give(user, Outlet::Worker(kind)));
                self.queue.lease_work(self.now, kind, max, &mut leases);
                assert!(!due || !leases.is_empty(), "queue.G10: work waits, and there is no lease");
                self.took(&leases);
            }
            Op::Lease { user, outlet, max } => {
                let mut leases = Vec::new();
                let (name, outlet) = (USERS[user as usize], OUTLETS[outlet as usize]);
                let due = self.must_give(name, outlet);
                self.queue.lease(self.now, name, outlet, max, &mut leases);
                assert!(!due || !leases.is_empty(), "queue.G10: something waits, and there is no lease");
                self.took(&leases);
            }
            Op::Ack { lease } => self.ack(lease),
            Op::Nack { lease, retry, chance } => self.nack(lease, retry, chance, &mut events),
            Op::Stand { user, outlet, standing } => {
                let standing = [Standing::Held, Standing::Open, Standing::Degraded][standing as usize];
                let (name, outlet) = (USERS[user as usize], OUTLETS[outlet as usize]);
                let before = self.queue.standing(name, outlet);
                _ = self.queue.stand(self.now, name, outlet, standing, &mut events);
                if self.queue.standing(name, outlet) != before {
                    self.did.insert(Transition::Stood);
                }
            }
            Op::Close { user, outlet, keep } => {
                let (name, outlet) = (USERS[user as usize], OUTLETS[outlet as usize]);
                let other = [Reason::ConnectionGone, Reason::Fenced][usize::from(user % 2)];
                let reason = if self.witness.is_shutting_down { Reason::Shutdown } else { other };
                let leftover = if keep { Leftover::Keep } else { Leftover::Bury(reason) };
                if self.queue.standing(name, outlet) != Standing::Closed {
                    self.did.insert(Transition::Closed);
                }
                self.queue.close(self.now, name, outlet, leftover, &mut events);
                // A pause is the outlet's: what moves to another one begins there anew.
                let here = |known: &&mut Known| keep && (known.user, known.outlet) == (user, outlet);
                for known in self.witness.open.values_mut().filter(here) {
                    known.not_before = Instant::default();
                    known.out_of_turn = true;
                    known.outlet = Outlet::User;
                }
                if self.queue.standing(name, outlet) == Standing::Closed {
                    self.witness.closed.insert((user, outlet));
                }
            }
            Op::Clear { scope, user, outlet } => {
                let (name, outlet) = (USERS[user as usize], OUTLETS[outlet as usize]);
                let scope = match scope {
                    0 => Scope::All,
                    1 => Scope::User(name),
                    2 => Scope::Outlet(name, outlet),
                    _ => Scope::Class(name, outlet, Priority::Normal),
                };
                let cleared = self.queue.clear(self.now, scope, &mut events);
                let told = events.iter().filter(|event| matches!(event, Event::DeadLettered { .. })).count();
                assert_eq!(cleared, told);
            }
            Op::Redrive { letter } => self.redrive(letter),
            Op::Take { user, outlet } => self.take(user, outlet),
            Op::Withdraw { .. } | Op::End { .. } | Op::BuryNew { .. } => self.end_otherwise(op, &mut events),
            Op::Wait { micros } => {
                self.now = self.now.after(micros);
                self.queue.tick(self.now, &mut events);
                self.did.insert(Transition::Waited);
            }
            Op::ShutDown => {
                self.queue.shut_down();
                self.witness.is_shutting_down = true;
                self.did.insert(Transition::ShutDown);
            }
        }
        self.hear(&events);
        self.check();
        let after = [self.queue.breaker(0), self.queue.breaker(1)];
        for (before, after) in before.into_iter().zip(after) {
            assert!(along_the_graph(before, after), "queue.I10: {before:?} to {after:?}");
        }
        let mut seen = self.seen.borrow_mut();
        seen.steps += 1;
        for transition in std::mem::take(&mut self.did) {
            *seen.transitions.entry(transition).or_default() += 1;
        }
    }

    /// A message ends that nobody works on: taken back, ended, or dead from the start.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the steps that end something otherwise")]
    fn end_otherwise(&mut self, op: &Op, events: &mut Vec<Event>) {
        match *op {
            Op::Withdraw { message } => {
                if let Some((seq, name, outlet)) = self.pick_message(message) {
                    let body = self.queue.withdraw(self.now, name, outlet, seq).expect("it is there");
                    let known = self.witness.open.remove(&seq).expect("open");
                    assert_eq!((body.user, USERS[known.user as usize]), (known.user, name), "queue.I6");
                    assert!(self.queue.withdraw(self.now, name, outlet, seq).is_none(), "once");
                    self.witness.withdrawn += 1;
                    self.did.insert(Transition::Withdrawn);
                }
            }
            Op::End { message } => {
                if let Some((seq, name, outlet)) = self.pick_message(message) {
                    assert!(self.queue.end(self.now, name, outlet, seq, Reason::Fenced, events));
                }
            }
            Op::BuryNew { user, outlet } => {
                self.tags += 1;
                let (name, outlet) = (USERS[user as usize], OUTLETS[outlet as usize]);
                let offer = Offer::new(outlet, 5, Body { user, tag: self.tags });
                if let Ok(seq) = self.queue.bury_new(self.now, name, offer, Reason::Expired, events) {
                    assert!(seq > self.witness.last_seq, "numbers rise");
                    self.witness.last_seq = seq;
                    self.witness.offered += 1;
                    let class = Priority::Normal;
                    let (order, protected, out_of_turn, failures) = (None, false, false, 0);
                    let not_before = Instant::default();
                    let known =
                        Known { user, outlet, class, order, protected, out_of_turn, failures, not_before };
                    self.witness.open.insert(seq, known);
                }
            }
            _ => {}
        }
    }

    /// Whether an outlet must have something to give: it is open, nothing of it is out, and no pause can last so long.
    fn must_give(&self, name: &str, outlet: Outlet) -> bool {
        let user = USERS.iter().position(|user| *user == name).expect("one of ours") as u8;
        let open = matches!(self.queue.standing(name, outlet), Standing::Open | Standing::Degraded);
        let paused = self.witness.failed_at.get(&(user, outlet));
        let out = self.live().any(|(lease, of)| {
            of == outlet && self.witness.open.get(&lease.seq()).is_some_and(|known| known.user == user)
        });
        open && !out
            && self.queue.waiting(name, outlet) > 0
            && paused.is_none_or(|failed_at| self.now.since(*failed_at) > PAUSE_MAX_US)
    }

    #[expect(clippy::too_many_arguments, reason = "an offer is all of this")]
    fn offer(
        &mut self,
        user: u8,
        outlet: u8,
        id: Option<u8>,
        class: u8,
        order: Option<u8>,
        protected: bool,
        bytes: u32,
        events: &mut Vec<Event>,
    ) {
        self.tags += 1;
        let id = id.map(|id| format!("m{id}"));
        let priority = Priority::ALL[class as usize];
        let offer = Offer {
            id: id.as_deref(),
            priority,
            order: order.map(u64::from),
            protected,
            ..Offer::new(OUTLETS[outlet as usize], bytes, Body { user, tag: self.tags })
        };
        // Now and then somebody who is nobody.
        let name = if bytes == 39 { "no user" } else { USERS[user as usize] };
        self.witness.offered += 1;
        match self.queue.offer(self.now, name, offer, events) {
            Admission::Accepted { seq } => {
                assert!(seq > self.witness.last_seq, "numbers rise");
                self.witness.last_seq = seq;
                self.did.insert(Transition::Accepted);
                let known = Known {
                    user,
                    outlet: OUTLETS[outlet as usize],
                    class: priority,
                    order,
                    protected,
                    out_of_turn: false,
                    failures: 0,
                    not_before: Instant::default(),
                };
                self.witness.open.insert(seq, known);
            }
            Admission::Duplicate { first } => {
                assert!(first <= self.witness.last_seq && id.is_some());
                self.witness.duplicates += 1;
                self.did.insert(Transition::Duplicate);
            }
            Admission::Refused(refusal) => {
                if refusal == Refusal::Closed {
                    assert!(self.witness.closed.contains(&(user, OUTLETS[outlet as usize])));
                }
                *self.seen.borrow_mut().refusals.entry(refusal.name()).or_default() += 1;
                self.witness.refused += 1;
                self.did.insert(Transition::Refused);
            }
        }
    }

    fn took(&mut self, leases: &[Lease]) {
        for &lease in leases {
            let message = self.queue.leased(lease).expect("fresh from the queue");
            let seq = message.seq;
            let known = self.witness.open.get(&seq).expect("queue.I3: what ended is not leased");
            assert_eq!(USERS[known.user as usize], &**message.user, "queue.I6");
            assert_eq!(known.user, message.body.user, "queue.I6");
            assert_eq!(known.failures, message.failures);
            assert!(message.failures < ATTEMPTS_MAX, "queue.I7");
            assert!(self.now >= known.not_before, "queue.I7: the pause was not kept");
            assert!(
                !self.witness.closed.contains(&(known.user, message.outlet)),
                "a closed outlet gives nothing"
            );
            let out = self.live().any(|(other, _)| other.seq() == seq);
            assert!(!out, "queue.I3: leased twice at once");
            let outlet = message.outlet;
            let lane =
                |known: &Known| (known.user, known.order, known.order.map_or(Some(known.class), |_| None));
            let beside = self.live().any(|(other, of)| {
                of == outlet
                    && self.witness.open.get(&other.seq()).is_some_and(|other| lane(other) == lane(known))
            });
            assert!(
                !beside || !matches!(outlet, Outlet::Worker(_)),
                "queue.I3: two pieces of one lane are out"
            );
            assert_eq!(outlet, known.outlet);
            self.did.insert(Transition::Leased);
            self.witness.leases.push((lease, outlet));
        }
    }

    fn ack(&mut self, lease: u8) {
        if let Some((lease, outlet)) = self.pick(lease) {
            self.settle(lease, outlet);
        }
    }

    fn settle(&mut self, lease: Lease, outlet: Outlet) {
        let live = self.queue.leased(lease).is_some();
        let before: Vec<u64> = self.live_leases();
        assert_eq!(self.queue.ack(self.now, lease), live, "queue.G3: a stale lease settles nothing");
        let after = self.live_leases();
        let done: Vec<u64> = before.into_iter().filter(|seq| !after.contains(seq)).collect();
        assert_eq!(done.contains(&lease.seq()), live);
        self.did.insert(if live { Transition::Delivered } else { Transition::Stale });
        for seq in done {
            self.delivered(seq, outlet);
        }
    }

    /// The next message of an outlet, out of it in one step: what a lease would have given.
    fn take(&mut self, user: u8, outlet: u8) {
        let (name, outlet) = (USERS[user as usize], OUTLETS[outlet as usize]);
        let seqs = |play: &Self| -> BTreeSet<u64> {
            play.queue.messages(name, outlet).iter().map(|message| message.seq).collect()
        };
        let (due, before) = (self.must_give(name, outlet), seqs(self));
        let taken = self.queue.take(self.now, name, outlet);
        assert!(!due || taken.is_some(), "queue.G10: something waits, and cannot be taken");
        let after = seqs(self);
        let gone: Vec<u64> = before.difference(&after).copied().collect();
        assert_eq!(gone.len(), usize::from(taken.is_some()), "that one, and no other");
        if let (Some(body), Some(seq)) = (taken, gone.first()) {
            assert_eq!(body.user, user, "queue.I6");
            assert!(!self.witness.closed.contains(&(user, outlet)), "a closed outlet gives nothing");
            self.did.insert(Transition::Taken);
            self.delivered(*seq, outlet);
        }
    }

    fn delivered(&mut self, seq: u64, outlet: Outlet) {
        let known = self.witness.open.remove(&seq).expect("open");
        assert!(self.witness.delivered.insert(seq), "queue.I3: delivered twice");
        let class = if outlet == Outlet::User { Priority::Normal } else { known.class };
        let class = if known.order.is_some() { Priority::Low } else { class };
        let newest = self.witness.newest.entry((known.user, outlet, known.order, class)).or_default();
        assert!(known.out_of_turn || seq > *newest, "queue.I2: {seq} after {newest}");
        *newest = seq.max(*newest);
    }

    fn nack(&mut self, lease: u8, retry: u8, chance: u32, events: &mut Vec<Event>) {
        let Some((lease, outlet)) = self.pick(lease) else { return };
        let live = self.queue.leased(lease).is_some();
        let retry = match retry {
            0 => Retry::Never(Reason::Poison),
            1 => Retry::Never(Reason::NoHandler),
            2 => Retry::Now,
            _ => Retry::Later { chance },
        };
        assert_eq!(self.queue.nack(self.now, lease, "it failed", retry, events), live);
        if let Some(known) = self.witness.open.get(&lease.seq()).filter(|_| live) {
            self.witness.failed_at.insert((known.user, outlet), self.now);
        }
        let ended = events.iter().any(|event| matches!(event, Event::DeadLettered { .. }));
        self.did.insert(match (live, ended) {
            (false, _) => Transition::Stale,
            (true, true) => Transition::FailedForGood,
            (true, false) => Transition::WaitsAgain,
        });
        if let Some(known) = self.witness.open.get_mut(&lease.seq()).filter(|_| live) {
            known.failures += 1;
            let pause_us = BASE_US << (known.failures - 1);
            let later = matches!(retry, Retry::Later { .. });
            known.not_before = if later { self.now.after(pause_us) } else { Instant::default() };
        }
    }

    fn redrive(&mut self, letter: u8) {
        let letters: Vec<(u64, u8)> =
            self.witness.dead.iter().map(|(seq, known)| (*seq, known.user)).collect();
        if letters.is_empty() {
            return;
        }
        let (seq, user) = letters[usize::from(letter) % letters.len()];
        let kept = self.queue.dead_letters(USERS[user as usize]).any(|letter| letter.seq == seq);
        match self.queue.redrive(self.now, USERS[user as usize], seq) {
            Some(Admission::Accepted { seq: again }) => {
                assert!(kept);
                self.did.insert(Transition::Redriven);
                assert_eq!(again, seq, "it keeps its number");
                let mut known = self.witness.dead.remove(&seq).expect("dead");
                known.out_of_turn = true;
                known.failures = 0;
                known.not_before = Instant::default();
                self.witness.open.insert(seq, known);
                let again = self.queue.redrive(self.now, USERS[user as usize], seq);
                assert_eq!(again, Some(Admission::Duplicate { first: seq }));
            }
            Some(Admission::Refused(_)) => assert!(kept),
            Some(Admission::Duplicate { .. }) | None => assert!(!kept),
        }
    }

    fn hear(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::DeadLettered { user, seq, reason, .. } => {
                    let known = self.witness.open.remove(seq).expect("queue.I9: it ends once");
                    assert_eq!(USERS[known.user as usize], &**user);
                    if let Reason::Evicted { by } = reason {
                        let by = &self.witness.open[by];
                        assert_eq!(by.user, known.user, "queue.I5: the sender's own message gives way");
                        assert!(!known.protected, "queue.G6");
                    }
                    *self.seen.borrow_mut().reasons.entry(reason.name()).or_default() += 1;
                    if !self.did.contains(&Transition::FailedForGood) {
                        self.did.insert(Transition::Ended);
                    }
                    self.witness.dead.insert(*seq, known);
                }
                Event::LeaseExpired { seq, .. } => {
                    if let Some(known) = self.witness.open.get_mut(seq) {
                        known.failures += 1;
                        self.witness.failed_at.insert((known.user, known.outlet), self.now);
                        known.not_before = self.now.after(BASE_US << (known.failures - 1));
                    }
                }
                Event::LetterDropped { .. } => {}
                Event::Notice { letters, .. } => assert!(*letters > 0),
            }
        }
    }

    fn check(&mut self) {
        self.queue.verify().expect("queue.I1, queue.I4");
        let (account, witness) = (self.queue.account(), &self.witness);
        assert_eq!(account.offered, witness.offered);
        assert_eq!(account.duplicates, witness.duplicates);
        assert_eq!(account.refused, witness.refused);
        assert_eq!(account.delivered, witness.delivered.len() as u64);
        assert_eq!(account.dead, witness.dead.len() as u64 + witness.forgotten_dead + witness.withdrawn);
        assert_eq!(account.waiting + account.leased, witness.open.len() as u64, "queue.I1");
        assert_eq!(account.leased, self.live_leases().len() as u64);
    }

    /// The leases that still name something.
    fn live(&self) -> impl Iterator<Item = (Lease, Outlet)> {
        let leases = self.witness.leases.iter().copied();
        leases.filter(|(lease, _)| self.queue.leased(*lease).is_some())
    }

    fn live_leases(&self) -> Vec<u64> {
        self.live().map(|(lease, _)| lease.seq()).collect()
    }

    /// A message that has not ended: its number, whose it is, and where it goes to.
    fn pick_message(&self, message: u8) -> Option<(u64, &'static str, Outlet)> {
        let open = &self.witness.open;
        let at = usize::from(message) % open.len().max(1);
        open.iter().nth(at).map(|(seq, known)| (*seq, USERS[known.user as usize], known.outlet))
    }

    fn pick(&self, lease: u8) -> Option<(Lease, Outlet)> {
        // Mostly one that names something; now and then any.
        let live: Vec<_> = self.live().collect();
        let leases = if lease < 200 && !live.is_empty() { &live } else { &self.witness.leases };
        (!leases.is_empty()).then(|| leases[usize::from(lease) % leases.len()])
    }

    /// Everything is opened and done: all must end, and nothing be left.
    fn heal(&mut self) {
        let mut events = Vec::new();
        for user in USERS {
            for outlet in OUTLETS {
                _ = self.queue.stand(self.now, user, outlet, Standing::Open, &mut events);
            }
        }
        self.hear(&events);
        for _ in 0..ROUNDS_MAX {
            let mut leases = Vec::new();
            for kind in 0..2 {
                self.queue.lease_work(self.now, kind, 100, &mut leases);
            }
            for (user, outlet) in USERS.iter().flat_map(|user| OUTLETS.map(|outlet| (user, outlet))) {
                self.queue.lease(self.now, user, outlet, 100, &mut leases);
            }
            self.took(&leases);
            while let Some(&(lease, outlet)) =
                self.witness.leases.iter().find(|(lease, _)| self.queue.leased(*lease).is_some())
            {
                self.settle(lease, outlet);
            }
            let account = self.queue.account();
            if account.waiting + account.leased == 0 {
                break;
            }
            if let Some(next) = self.queue.next_deadline() {
                let mut events = Vec::new();
                self.now = self.now.max(next);
                self.queue.tick(self.now, &mut events);
                self.hear(&events);
            }
        }
        self.check();
        assert!(self.witness.open.is_empty(), "queue.I8: {:?} never ended", self.witness.open);
        for (user, outlet) in USERS.iter().flat_map(|user| OUTLETS.map(|outlet| (user, outlet))) {
            self.queue.forget(user, outlet);
        }
        // Letters, windows and notices run out.
        while let Some(next) = self.queue.next_deadline() {
            let mut events = Vec::new();
            self.now = self.now.max(next);
            self.queue.tick(self.now, &mut events);
        }
        assert_eq!(self.queue.users_len(), 0, "queue.G4: somebody is kept for nothing");
    }
}

fn along_the_graph(before: BreakerState, after: BreakerState) -> bool {
    use BreakerState::{Closed, HalfOpen, Open};
    match (before, after) {
        (Closed { .. }, Closed { .. } | Open { .. }) | (Open { .. }, HalfOpen { .. }) => true,
        (HalfOpen { .. }, HalfOpen { .. } | Open { .. } | Closed { .. }) => true,
        (Open { until }, Open { until: later }) => until == later,
        (Closed { .. }, HalfOpen { .. }) | (Open { .. }, Closed { .. }) => false,
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a test runs is no setting of the router")]
fn the_guarantees_hold_over_random_sequences() {
    let asked = std::env::var("GOLDENPATH_QUEUE_SEQUENCES").ok().and_then(|count| count.parse().ok());
    let sequences = asked.unwrap_or(SEQUENCES);
    let seen = Rc::new(RefCell::new(Seen::default()));
    let runs =
        Runs { cases: sequences, failure_persistence: None, max_shrink_iters: 2_000, ..Runs::default() };
    let rng = TestRng::from_seed(prop::test_runner::RngAlgorithm::ChaCha, &[7; 32]);
    let overflow = prop::sample::select(vec![
        Overflow::Refuse,
        Overflow::EvictLower,
        Overflow::DropOldest,
        Overflow::DropLowest,
    ]);
    let plan = (overflow, prop::collection::vec(op(), 45..105), prop::collection::vec(op(), 2..8));
    let mut runner = TestRunner::new_with_rng(runs, rng);
    let played = runner.run(&plan, |(overflow, ops, last)| {
        let queue = Queue::new(limits(), policies(overflow));
        let (now, did) = (Instant::from_micros(1_000), BTreeSet::new());
        let mut play = Play { queue, now, witness: Witness::default(), tags: 0, did, seen: Rc::clone(&seen) };
        for op in ops.iter().chain([&Op::ShutDown]).chain(&last) {
            play.step(op);
        }
        play.heal();
        play.seen.borrow_mut().sequences += 1;
        Ok(())
    });
    if let Err(failure) = played {
        panic!("{failure}");
    }
    report(&seen.borrow());
}

/// A sample that misses something says little.
#[expect(clippy::print_stdout, reason = "the long run shows what it covered")]
fn report(seen: &Seen) {
    let each = seen.steps / seen.sequences;
    println!("{} sequences, {each} steps each, {} in all", seen.sequences, seen.steps);
    for transition in Transition::ALL {
        let steps = seen.transitions.get(&transition).copied().unwrap_or_default();
        println!("  {transition:<14?} {steps:>9}  {:.1} %", steps as f64 * 100.0 / seen.steps as f64);
        assert!(steps * 100 >= seen.steps, "{transition:?}: in fewer than one step in a hundred");
    }
    println!("refusals {:?}\nreasons  {:?}", seen.refusals, seen.reasons);
    assert!(each >= 50);
    for name in ["too_large", "user_quota", "global_quota", "closed", "invalid_user", "shutting_down"] {
        assert!(seen.refusals.contains_key(name), "no offer was refused for {name}");
    }
    let reasons = [
        Reason::AttemptsExhausted,
        Reason::Expired,
        Reason::Evicted { by: 0 },
        Reason::NoHandler,
        Reason::Poison,
        Reason::ConnectionGone,
        Reason::Cleared,
        Reason::Shutdown,
        Reason::Fenced,
    ];
    for reason in reasons {
        assert!(seen.reasons.contains_key(reason.name()), "no message ended for {reason:?}");
    }
}
