//! Dead letters: told to whom they were of, listed for operators, and worked on again.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};

use super::{AGENTS, Opening, Seat, Waits};
use crate::{
    audience::is_user_id,
    contract::{Context, Effect, Effects, Instant, RunRequest, Tier, UserId},
    queue::{Admission, Lease, Outlet, Reason, Retry},
    router::Router,
};

/// A message that ended without being worked on to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its number.
    pub number: u64,
    /// Whose message it was.
    pub user: UserId,
    /// What it waited for: `work`, or `connection` for one that was sent before its connection was served.
    pub outlet: &'static str,
    /// Why it ended.
    pub reason: Reason,
    /// When it was offered, and when it ended, router time.
    pub offered_at: Instant,
    /// When it ended.
    pub dead_at: Instant,
    /// What went wrong, the oldest attempt first.
    pub failures: Vec<Box<str>>,
    /// The id of its request; none of what never was a request.
    pub request: Option<Arc<str>>,
    /// Bytes of its payload.
    pub bytes: u32,
    /// Whether it can be worked on again.
    pub is_redrivable: bool,
}

/// What became of [`Input::Redrive`](crate::Input::Redrive).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redriven {
    /// Whose letter.
    pub user: UserId,
    /// Its number.
    pub letter: u64,
    /// `Ok`: it waits for an agent, or has one.
    pub outcome: Result<(), RedriveRefusal>,
}

/// Why a letter is not worked on again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RedriveRefusal {
    /// There is no such letter.
    Unknown,
    /// It waits again, or is worked on already.
    Waits,
    /// It was for a connection, which is gone.
    ConnectionGone,
    /// The user has as many runs open as one may.
    RunLimit,
    /// Too many runs wait for an agent.
    Overloaded,
    /// The router drains.
    ShuttingDown,
    /// The shared store cannot be reached.
    BackendUnavailable,
}

impl RedriveRefusal {
    /// All refusals.
    pub const ALL: [RedriveRefusal; 7] = [
        RedriveRefusal::Unknown,
        RedriveRefusal::Waits,
        RedriveRefusal::ConnectionGone,
        RedriveRefusal::RunLimit,
        RedriveRefusal::Overloaded,
        RedriveRefusal::ShuttingDown,
        RedriveRefusal::BackendUnavailable,
    ];

    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            RedriveRefusal::Unknown => "unknown",
            RedriveRefusal::Waits => "waits",
            RedriveRefusal::ConnectionGone => "connection_gone",
            RedriveRefusal::RunLimit => "run_limit",
            RedriveRefusal::Overloaded => "overloaded",
            RedriveRefusal::ShuttingDown => "shutting_down",
            RedriveRefusal::BackendUnavailable => "backend_unavailable",
        }
    }
}

impl Router {
    /// The dead letters, the oldest first: of one user or of all, from a number on, so many at most.
    pub fn dead_letters(&self, user: Option<&str>, from: u64, max: usize) -> Vec<Letter> {
        let all = self.waiting.queue.all_dead_letters();
        let mut letters: Vec<_> = all
            .filter(|(name, letter)| letter.seq >= from && user.is_none_or(|user| ***name == *user))
            .collect();
        letters.sort_unstable_by_key(|(_, letter)| letter.seq);
        letters.truncate(max);
        let letters = letters.into_iter().map(|(name, letter)| Letter {
            number: letter.seq,
            user: Arc::clone(name),
            outlet: match letter.outlet {
                Outlet::Worker(_) => "work",
                Outlet::Connection(_) => "connection",
                Outlet::User => "user",
                Outlet::Log(_) => "log",
            },
            reason: letter.reason,
            offered_at: letter.offered_at,
            dead_at: letter.dead_at,
            failures: letter.failures.clone(),
            request: match &letter.body {
                Waits::Run(request) => Some(Arc::clone(&request.request_id)),
                Waits::Held(_) | Waits::Event(_) => None,
            },
            bytes: match &letter.body {
                Waits::Run(request) => request.payload.len() as u32,
                Waits::Held(_) | Waits::Event(_) => letter.bytes,
            },
            is_redrivable: letter.outlet == AGENTS,
        });
        letters.collect()
    }

    /// Has a dead letter worked on again, and says what came of it.
    pub(crate) fn redrive(&mut self, user: &str, letter: u64, out: &mut Effects) {
        let outcome = self.try_redrive(user, letter);
        out.push(Effect::Redriven(Box::new(Redriven { user: user.into(), letter, outcome })));
        self.waiting.is_stirred = true;
    }

    fn try_redrive(&mut self, user: &str, letter: u64) -> Result<(), RedriveRefusal> {
        let known = self.waiting.queue.dead_letters(user).find(|known| known.seq == letter);
        if known.is_some_and(|known| known.outlet != AGENTS) {
            return Err(RedriveRefusal::ConnectionGone);
        }
        if self.is_draining() {
            return Err(RedriveRefusal::ShuttingDown);
        }
        if self.cluster.is_some() && !self.is_store_up() {
            return Err(RedriveRefusal::BackendUnavailable);
        }
        let open = self.audience.find(user).map_or(0, |user| self.audience.user(user).runs.len());
        if open >= self.config.runs_per_user_max as usize {
            return Err(RedriveRefusal::RunLimit);
        }
        if self.is_crowded() {
            return Err(RedriveRefusal::Overloaded);
        }
        match self.waiting.queue.redrive(self.now, user, letter) {
            Some(Admission::Accepted { .. }) => {
                self.waiting.redriven += 1;
                Ok(())
            }
            Some(Admission::Duplicate { .. }) => Err(RedriveRefusal::Waits),
            Some(Admission::Refused(_)) => Err(RedriveRefusal::Overloaded),
            None => Err(RedriveRefusal::Unknown),
        }
    }

    /// A message that was a dead letter has an agent: its run is another one than before.
    pub(super) fn do_again(&mut self, asked: &RunRequest, lease: Lease, out: &mut Effects) {
        self.waiting.redriven -= 1;
        let owner = self.audience.find(&asked.user);
        let open = owner.map_or(0, |user| self.audience.user(user).runs.len());
        if open >= self.config.runs_per_user_max as usize {
            let (retry, mut events) = (Retry::Never(Reason::AttemptsExhausted), Vec::new());
            self.waiting.queue.nack(self.now, lease, "its user had too many runs open", retry, &mut events);
            return self.heed(&events, out);
        }
        let owner = owner.unwrap_or_else(|| self.await_user(&asked.user, asked.tier));
        let (node, number) = (self.node.clone(), self.next_run_number());
        let (run, deadline) = self.open_run(Opening {
            owner,
            node: node.clone(),
            number,
            thread: asked.thread_id.clone(),
            request: asked.request_id.clone(),
            gated: false,
            outbox: 0,
        });
        if let Some(slot) = self.run_mut(run) {
            slot.seat = Seat::Works(Box::new(lease));
        }
        self.waiting.working += 1;
        let request = Arc::new(RunRequest { run, deadline, node, number, ..asked.clone() });
        if self.cluster.is_some() {
            self.admit_message(request, false, None, out);
        } else {
            self.start_agent(request, out);
        }
    }

    /// Tells a user that messages ended without being worked on.
    pub(super) fn notify_letters(&mut self, user: &str, letters: u32, out: &mut Effects) {
        let owner = match self.audience.find(user) {
            Some(owner) => owner,
            None if is_user_id(user) && self.may_await(user) => self.await_user(user, Tier::Free),
            None => return,
        };
        let event: String = format!(r#"{{"type":"dead_letters","payload":{{"count":{letters}}}}}"#);
        if self.begin_for(owner, Context::default(), &event).is_ok() {
            self.waiting.notices += 1;
            self.publish_delivered(owner, None, None, None, out);
        }
    }
}
