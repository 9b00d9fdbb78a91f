//! Deadlines, earliest first; equal ones in the order in which they were set.

use alloc::{
    collections::{BTreeMap, BinaryHeap, VecDeque},
    vec::Vec,
};
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

/// A deadline, its number in the order in which they were set, and what it is for.
type Entry = (Instant, u64, Timer);

/// Microseconds of a span of time, as a power of two: a quarter of a second.
const SPAN_BITS: u32 = 18;
/// Deadlines that the heap takes in any case: so many stand near one another.
const NEAR: usize = 1_024;
/// So many deadlines fall due soon.
const SOON: usize = 15;

const fn span_of(entry: &Entry) -> u64 {
    entry.0.as_micros() >> SPAN_BITS
}

/// The pending deadlines. A heap has the earliest. When it is full, what is due in a later span of time than its first is put
/// together by spans, and comes into the heap when its span does: a million connections have a million deadlines, most of them
/// far away, and in one heap of all of them each step would wait for memory a dozen times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<Entry>>,
    /// By span, each later than that of the heap's first.
    later: BTreeMap<u64, Vec<Entry>>,
    /// How many are in `later`.
    late: usize,
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
                self.put((at, self.set, timer));
            }
        }
    }

    fn put(&mut self, entry: Entry) {
        let span = span_of(&entry);
        if self.heap.len() < NEAR || self.heap.peek().is_none_or(|Reverse(first)| span <= span_of(first)) {
            self.heap.push(Reverse(entry));
        } else {
            self.late += 1;
            self.later.entry(span).or_default().push(entry);
        }
    }

    /// Takes the earliest out of the heap, and into it those of the span that begins.
    fn pop(&mut self) {
        self.heap.pop();
        while let Some(later) = self.later.first_entry()
            && self.heap.peek().is_none_or(|Reverse(first)| *later.key() <= span_of(first))
        {
            let entries = later.remove();
            self.late -= entries.len();
            self.heap.extend(entries.into_iter().map(Reverse));
        }
    }

    /// Some of what is due next, in no order.
    pub(crate) fn soon(&self) -> impl Iterator<Item = Timer> + '_ {
        // A heap's first levels.
        self.heap.as_slice().iter().take(SOON).map(|Reverse((.., timer))| *timer)
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
            self.pop();
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
        let same = move |entry: &Entry| entry.0 == at;
        let own = self.all().filter(same).filter(|(.., timer)| *timer == of).map(|(_, set, _)| set).min();
        let ahead = self.all().filter(same).filter(move |(_, set, _)| own.is_some_and(|own| *set < own));
        ahead.map(|(.., timer)| timer)
    }

    fn all(&self) -> impl Iterator<Item = Entry> + '_ {
        let runs = self.runs.iter().map(|(at, set, run)| (*at, *set, Timer::Run(*run)));
        let later = self.later.values().flatten().copied();
        self.heap.iter().map(|Reverse(entry)| *entry).chain(later).chain(runs)
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len() + self.late + self.runs.len()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes out in the order of time and of setting, whatever is set when, and tells how many there are.
    #[test]
    fn deadlines_come_in_order_however_many_there_are() {
        let (mut timers, mut expected, mut state) = (Timers::default(), BTreeMap::new(), 1_u64);
        let mut dice = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut now, mut out, mut most_late) = (0, 0, 0);
        for number in 0..60_000_u64 {
            // Three are set for each that is taken out, then fewer: it fills up, and runs empty.
            for _ in 0..if number < 20_000 { 3 } else { u64::from(number % 3 == 0) } {
                let far = [1_000, 300_000, 25_000_000, 600_000_000][dice(4) as usize];
                let at = Instant::from_micros(now + dice(far));
                let timer = Timer::Doubt(dice(1_000_000));
                timers.set(at, timer);
                expected.insert((at, timers.set), timer);
            }
            most_late = most_late.max(timers.late);
            let Some(((at, _), timer)) = expected.pop_first() else { break };
            assert_eq!(timers.next(), Some((at, Wake::Store)));
            assert_eq!(timers.pop_due(Instant::from_micros(at.as_micros().saturating_sub(1))), None);
            assert_eq!(timers.pop_due(at), Some(timer), "number {number}");
            assert_eq!(timers.len(), expected.len());
            (now, out) = (at.as_micros(), out + 1);
            if number % 1_000 == 0 {
                let all: BTreeMap<_, _> = timers.all().map(|(at, set, timer)| ((at, set), timer)).collect();
                assert_eq!(all, expected);
            }
        }
        assert!(out > 50_000 && most_late > 10_000, "{out} came, {most_late} stood apart");
    }
}
