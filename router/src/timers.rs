//! Deadlines, earliest first; equal ones in the order in which they were set.

use alloc::collections::{BinaryHeap, VecDeque};
use core::cmp::Reverse;

use crate::{
    audience::UserRef,
    contract::{AskRef, ConnId, Instant, RunRef, Wake},
    handlers::BatchKey,
};

/// What a deadline is for. Stale ones are recognised by generation when they fire, so nothing is ever removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The connection's next deadline of any sort.
    Connection(ConnId),
    /// The run's deadline.
    Run(RunRef),
    /// The deadline of a tool call of the run, by the call's number.
    Tool(RunRef, u64),
    /// The user's recovery window.
    User(UserRef),
    /// The message whose first question that was.
    Ask(AskRef),
    /// The drain deadline.
    Drain,
    /// A batch has waited long enough.
    Batch(BatchKey),
    /// A handler's answer for later, by its number on its connection.
    Later(ConnId, u64),
    /// The node's own sign of life to the shared store.
    Pulse,
    /// The user's leases and attachment at the shared store.
    Renew(UserRef),
    /// Requests to the shared store that are to be made again.
    Again,
    /// A message of which it is not known whether it was taken in: by the number of its outbox.
    Doubt(u64),
}

// Heaps move their entries about.
const _: () = assert!(size_of::<Timer>() <= 24);

/// The pending deadlines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64, Timer)>>,
    /// Runs all have the same time to live, so their deadlines come in order: no heap is needed for the one
    /// timer that every chat message sets.
    runs: VecDeque<(Instant, u64, RunRef)>,
    set: u64,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Instant, timer: Timer) {
        self.set += 1;
        match timer {
            Timer::Run(run) => {
                debug_assert!(self.runs.back().is_none_or(|(last, ..)| *last <= at), "in order");
                self.runs.push_back((at, self.set, run));
            }
            Timer::Tool(..)
            | Timer::Connection(_)
            | Timer::User(_)
            | Timer::Ask(_)
            | Timer::Drain
            | Timer::Batch(_)
            | Timer::Later(..)
            | Timer::Pulse
            | Timer::Renew(_)
            | Timer::Again
            | Timer::Doubt(_) => {
                self.heap.push(Reverse((at, self.set, timer)));
            }
        }
    }

    /// The next deadline at or before `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = self.first()?;
        if at > now {
            return None;
        }
        if self.run_is_first() {
            self.runs.pop_front();
        } else {
            self.heap.pop();
        }
        Some(timer)
    }

    pub(crate) fn next(&self) -> Option<(Instant, Wake)> {
        self.first().map(|(at, timer)| {
            let wake = match timer {
                Timer::Connection(_) => Wake::Connection,
                Timer::Run(_) => Wake::Run,
                Timer::Tool(..) => Wake::Tool,
                Timer::User(_) => Wake::User,
                Timer::Ask(_) => Wake::Ask,
                Timer::Drain => Wake::Drain,
                Timer::Batch(_) | Timer::Later(..) => Wake::Handler,
                Timer::Pulse | Timer::Renew(_) | Timer::Again | Timer::Doubt(_) => Wake::Store,
            };
            (at, wake)
        })
    }

    /// When that timer fires next; none if it does not.
    pub(crate) fn due(&self, wanted: Timer) -> Option<Instant> {
        self.all().filter(|(.., timer)| *timer == wanted).map(|(at, ..)| at).min()
    }

    /// The timers that fire at that moment and ahead of that one.
    pub(crate) fn ahead(&self, of: Timer, at: Instant) -> impl Iterator<Item = Timer> + '_ {
        let same = move |entry: &(Instant, u64, Timer)| entry.0 == at;
        let own = self.all().filter(same).filter(|(.., timer)| *timer == of).map(|(_, set, _)| set).min();
        let ahead = self.all().filter(same).filter(move |(_, set, _)| own.is_some_and(|own| *set < own));
        ahead.map(|(.., timer)| timer)
    }

    fn all(&self) -> impl Iterator<Item = (Instant, u64, Timer)> + '_ {
        let runs = self.runs.iter().map(|(at, set, run)| (*at, *set, Timer::Run(*run)));
        self.heap.iter().map(|Reverse(entry)| *entry).chain(runs)
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len() + self.runs.len()
    }

    fn first(&self) -> Option<(Instant, Timer)> {
        if self.run_is_first() {
            return self.runs.front().map(|(at, _, run)| (*at, Timer::Run(*run)));
        }
        self.heap.peek().map(|Reverse((at, _, timer))| (*at, *timer))
    }

    fn run_is_first(&self) -> bool {
        match (self.runs.front(), self.heap.peek()) {
            (Some((at, set, _)), Some(Reverse((other_at, other_set, _)))) => {
                (at, set) < (other_at, other_set)
            }
            (run, _) => run.is_some(),
        }
    }
}
