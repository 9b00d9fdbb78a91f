//! Deadlines, earliest first; equal ones in the order in which they were set.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use crate::{
    audience::UserRef,
    contract::{ConnId, Instant, RunRef, Wake},
};

/// What a deadline is for. Stale ones are recognised by generation when they fire, so nothing is ever removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The connection's next deadline of any sort.
    Connection(ConnId),
    /// The run's deadline.
    Run(RunRef),
    /// The user's recovery window.
    User(UserRef),
    /// The drain deadline.
    Drain,
}

/// The pending deadlines.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64, Timer)>>,
    set: u64,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Instant, timer: Timer) {
        self.set += 1;
        self.heap.push(Reverse((at, self.set, timer)));
    }

    /// The next deadline at or before `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        if self.heap.peek()?.0.0 > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, _, timer))| timer)
    }

    pub(crate) fn next(&self) -> Option<(Instant, Wake)> {
        self.heap.peek().map(|Reverse((at, _, timer))| {
            let wake = match timer {
                Timer::Connection(_) => Wake::Connection,
                Timer::Run(_) => Wake::Run,
                Timer::User(_) => Wake::User,
                Timer::Drain => Wake::Drain,
            };
            (*at, wake)
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}
