//! Everything of the router that has to wait, in its one queue.
//!
//! | what waits | outlet | until |
//! |---|---|---|
//! | a message of a client whose connection is being set up | the connection | it is served |
//! | a run | the agents | one of them is free ([`Config::agents_max`]) |
//! | an event of a node of several | the log of its run | the shared store has it |
//!
//! What ended undelivered, and whose user has not been served otherwise, is a dead letter: for operators, who can have the
//! message worked on again. Frames behind a slow socket do not wait here, but in the list that their connection has for its
//! socket: they are bound to cursors, and to the recovery window behind them.

mod backend;
mod letters;
mod work;

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

pub(crate) use self::work::{Opening, Seat};
pub use self::{
    backend::{Backend, backend},
    letters::{Letter, RedriveRefusal, Redriven},
};
use crate::{
    cluster::Unlogged,
    config::Config,
    contract::{ConnId, Effects, RunRequest},
    fingerprint::Walk,
    queue::{
        Account, Backoff, Event, Leftover, Limits, Offer, Outlet, Overflow, Policies, Policy, Queue, Reason,
    },
    router::Router,
};

/// The one kind of work.
pub(crate) const AGENTS: Outlet = Outlet::Worker(AGENTS_KIND);
const AGENTS_KIND: u16 = 0;
/// What a run takes of its user's turn.
const RUN_COST: u32 = 1;

/// What waits.
#[derive(Clone, Debug)]
pub(crate) enum Waits {
    /// What a client sent before its connection was served.
    Held(Box<str>),
    /// A run for an agent.
    Run(Arc<RunRequest>),
    /// An event on its way into the shared log.
    Event(Unlogged),
}

impl Waits {
    pub(crate) const fn event(&self) -> Option<&Unlogged> {
        match self {
            Waits::Event(event) => Some(event),
            Waits::Held(_) | Waits::Run(_) => None,
        }
    }
}

/// The queue, and what it counts for all users together.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) queue: Queue<Waits>,
    /// Bytes held for connections that are being set up.
    held_bytes: u64,
    /// Agents at work under a lease.
    working: u32,
    /// Dead letters that wait for an agent again.
    redriven: u64,
    /// Dead letters told of to their users.
    notices: u64,
    /// An agent may have become free, or something to do.
    is_stirred: bool,
}

/// Levels and counts of the one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Every message that was ever offered, and what became of it.
    pub account: Account,
    /// Messages held for connections that are being set up (a level).
    pub held: u64,
    /// Their bytes (a level).
    pub held_bytes: u64,
    /// Runs that wait for an agent (a level).
    pub runs_waiting: u64,
    /// Agents at work under a lease (a level). Without a bound on agents, these are the redriven ones.
    pub agents_working: u32,
    /// Events on their way into the shared log (a level).
    pub events_unlogged: u64,
    /// Dead letters that are kept (a level).
    pub letters: u64,
    /// Notices of dead letters to users.
    pub notices: u64,
    /// Users of whom anything waits or is kept (a level).
    pub users: u64,
    /// What keeps runs that wait.
    pub runs_backend: Backend,
    /// What keeps events that wait.
    pub events_backend: Backend,
}

impl Waiting {
    pub(crate) fn new(config: &Config) -> Self {
        // What bounds it is said elsewhere, for each thing that waits: a user's runs and messages, and those of the node.
        let limits = Limits {
            users_max: 1 << 24,
            user_messages_max: 1 << 20,
            user_bytes_max: 1 << 40,
            pool_messages_max: 1 << 40,
            pool_bytes_max: 1 << 50,
            dead_letters_max: config.dead_letters_per_user_max,
            dead_letters_total_max: config.dead_letters_max,
            // A turn is a run, whatever it has to say.
            quantum_bytes: RUN_COST,
            notice_every_us: config.dead_letter_notice_us,
            ..Limits::default()
        };
        let once = Policy {
            headroom_messages: 0,
            message_bytes_max: u32::MAX,
            ttl_us: None,
            attempts_max: 1,
            backoff: Backoff::DOUBLING,
            overflow: Overflow::Refuse,
            overflow_protected: Overflow::Refuse,
            lease_us: None,
            dead_ttl_us: config.dead_letter_ttl_us,
            ..Policy::work()
        };
        let policies = Policies {
            // Whoever waits for a run is told how it ended by the run itself.
            worker: Policy { messages_max: u32::MAX, notifies: false, ..once.clone() },
            connection: Policy {
                by_priority: false,
                messages_max: config.held_frames_max,
                window: 1,
                ..once
            },
            ..Policies::default()
        };
        let queue = Queue::new(limits, policies);
        Self { queue, held_bytes: 0, working: 0, redriven: 0, notices: 0, is_stirred: false }
    }
}

impl Router {
    /// What waits, and what became of what waited.
    pub fn queue_stats(&self) -> QueueStats {
        let Waiting { queue, held_bytes, working, redriven: _, notices, is_stirred: _ } = &self.waiting;
        let (account, is_shared) = (queue.account(), self.cluster.is_some());
        let (held, events_unlogged) = (self.stats.inbound.held, self.stats.cluster.pending);
        QueueStats {
            account,
            held,
            held_bytes: *held_bytes,
            runs_waiting: account.waiting + account.leased - held - events_unlogged - u64::from(*working),
            agents_working: *working,
            events_unlogged,
            letters: queue.letters_len(),
            notices: *notices,
            users: queue.users_len() as u64,
            runs_backend: backend(is_shared, AGENTS),
            events_backend: backend(is_shared, Outlet::Log(0)),
        }
    }

    /// Keeps a message of a connection that is being set up. `false`: there is no room for it.
    pub(crate) fn hold(&mut self, conn: ConnId, text: &str) -> bool {
        let (bytes_max, total_max) = (self.config.held_bytes_max, self.config.held_bytes_total_max);
        let Some(state) = self.audience.conn_mut(conn) else { return false };
        let bytes = text.len() as u64;
        if state.cold.held_bytes as u64 + bytes > u64::from(bytes_max)
            || self.waiting.held_bytes + bytes > total_max
        {
            return false;
        }
        let (user, outlet) = (state.user, Outlet::Connection(state.cold.number));
        let offer = Offer::new(outlet, text.len() as u32, Waits::Held(text.into()));
        let name = &self.audience.user(user).id;
        let admission = self.waiting.queue.offer(self.now, name, offer, &mut Vec::new());
        if !matches!(admission, crate::queue::Admission::Accepted { .. }) {
            return false;
        }
        let Some(state) = self.audience.conn_mut(conn) else { return false };
        state.cold.held += 1;
        state.cold.held_bytes += text.len();
        self.waiting.held_bytes += bytes;
        self.stats.inbound.held += 1;
        true
    }

    /// The next message that was held for a connection.
    pub(crate) fn next_held(&mut self, conn: ConnId) -> Option<Box<str>> {
        let state = self.audience.conn_mut(conn).filter(|state| state.cold.held > 0)?;
        state.cold.held -= 1;
        let (user, outlet) = (state.user, Outlet::Connection(state.cold.number));
        let taken = self.waiting.queue.take(self.now, &self.audience.user(user).id, outlet);
        let Some(Waits::Held(text)) = taken else { return None };
        if let Some(state) = self.audience.conn_mut(conn) {
            state.cold.held_bytes -= text.len();
        }
        self.waiting.held_bytes -= text.len() as u64;
        self.stats.inbound.held -= 1;
        Some(text)
    }

    /// A connection is gone before it was served: what it sent is a dead letter.
    pub(crate) fn bury_held(&mut self, conn: ConnId, out: &mut Effects) {
        let Some(state) = self.audience.conn_mut(conn).filter(|state| state.cold.held > 0) else { return };
        let (held, bytes) = (u64::from(state.cold.held), state.cold.held_bytes as u64);
        (state.cold.held, state.cold.held_bytes) = (0, 0);
        let (user, outlet) = (state.user, Outlet::Connection(state.cold.number));
        let name = self.audience.user(user).id.clone();
        let (queue, mut events) = (&mut self.waiting.queue, Vec::new());
        queue.close(self.now, &name, outlet, Leftover::Bury(Reason::ConnectionGone), &mut events);
        queue.forget(&name, outlet);
        self.waiting.held_bytes -= bytes;
        self.stats.inbound.held -= held;
        self.stats.inbound.rejected += held;
        self.heed(&events, out);
    }

    /// Does what the queue does by itself, if it is time.
    #[inline]
    pub(crate) fn tick_queue(&mut self, out: &mut Effects) {
        if !self.waiting.queue.is_quiet() {
            self.tick_restless(out);
        }
    }

    #[cold]
    fn tick_restless(&mut self, out: &mut Effects) {
        let is_due = self.waiting.queue.next_deadline().is_some_and(|at| at <= self.now);
        if is_due {
            let mut events = Vec::new();
            self.waiting.queue.tick(self.now, &mut events);
            self.heed(&events, out);
            self.waiting.is_stirred = true;
        }
    }

    /// Tells users what the queue wants them told.
    pub(crate) fn heed(&mut self, events: &[Event], out: &mut Effects) {
        for event in events {
            match event {
                Event::Notice { user, letters } => self.notify_letters(user, *letters, out),
                Event::DeadLettered { .. } | Event::LeaseExpired { .. } | Event::LetterDropped { .. } => {}
            }
        }
    }

    /// What is held for a connection.
    pub(crate) fn digest_held(&self, user: &str, connection: u64, walk: &mut Walk<'_>) {
        for waiting in self.waiting.queue.messages(user, Outlet::Connection(connection)) {
            if let Waits::Held(text) = waiting.body {
                walk.text(text);
            }
        }
    }

    /// Recounts what the queue and its counters claim.
    pub(crate) fn verify_waiting(&self) -> Result<(), String> {
        let Waiting { queue, held_bytes, working, redriven, .. } = &self.waiting;
        queue.verify()?;
        let (mut held, mut bytes, mut runs, mut at_work) = (0, 0, 0, 0);
        for conn in self.audience.all_conns().filter_map(|conn| self.audience.conn(conn)) {
            held += u64::from(conn.cold.held);
            bytes += conn.cold.held_bytes as u64;
        }
        for run in self.open_runs().filter_map(|run| self.run(run)) {
            match run.seat {
                Seat::None => {}
                Seat::Waits(_) => runs += 1,
                Seat::Works(_) => at_work += 1,
            }
        }
        let account = queue.account();
        let here = held + runs + at_work + redriven + self.stats.cluster.pending;
        let levels = [
            ("messages held", self.stats.inbound.held, held),
            ("bytes held", *held_bytes, bytes),
            ("agents at work under a lease", u64::from(*working), at_work),
            ("what waits in the queue", account.waiting + account.leased, here),
        ];
        match levels.into_iter().find(|(_, claimed, counted)| claimed != counted) {
            Some((what, claimed, counted)) => {
                Err(alloc::format!("{what}: counter says {claimed}, there are {counted}"))
            }
            None => Ok(()),
        }
    }
}
