//! The common clock of a run, and the generator's audit of itself.

use std::time::Duration;

use reports::Distribution;
use tokio::time::Instant;

/// A worker that did nothing for this long has stalled.
const STALL_US: u64 = 50_000;
/// Stalls that are kept; the rest is counted.
const STALLS_MAX: usize = 20;

/// Microseconds since the common start of all workers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    begin: Instant,
}

impl Clock {
    pub(super) fn new(begin: std::time::Instant) -> Self {
        Self { begin: Instant::from_std(begin) }
    }

    /// Time since the start; 0 before it.
    pub(super) fn now_us(self) -> u64 {
        Instant::now().saturating_duration_since(self.begin).as_micros() as u64
    }

    /// An instant of the plan. Deadlines are absolute, so nothing drifts.
    pub(super) fn at(self, us: u64) -> Instant {
        self.begin + Duration::from_micros(us)
    }
}

/// How late one worker is.
#[derive(Clone, Debug, Default)]
pub(super) struct Lateness {
    /// From the planned instant, or from the end of a wait for the target if that was later, to the sending.
    pub(super) late: Distribution,
    /// Actions that the target kept waiting: a connection that took long, a socket that took nothing.
    pub(super) held_up: u64,
    /// Times at which a worker did nothing.
    pub(super) stalls: Vec<Stall>,
    /// How many there were.
    pub(super) stalls_total: u64,
}

/// A worker did nothing, although it had something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stall {
    /// When it should have done something.
    pub(super) at_us: u64,
    /// How much later it did.
    pub(super) for_us: u64,
}

impl Lateness {
    /// An action planned for `planned_us` is carried out; until `free_us` its tab waited for the target.
    pub(super) fn acted(&mut self, planned_us: u64, free_us: u64, now_us: u64) {
        self.held_up += u64::from(free_us > planned_us);
        self.late.record(now_us.saturating_sub(planned_us.max(free_us)));
    }

    /// The worker's own watch woke up.
    pub(super) fn watched(&mut self, planned_us: u64, now_us: u64) {
        let for_us = now_us.saturating_sub(planned_us);
        if for_us >= STALL_US {
            self.stalls_total += 1;
            if self.stalls.len() < STALLS_MAX {
                self.stalls.push(Stall { at_us: planned_us, for_us });
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.late.merge(&other.late);
        self.held_up += other.held_up;
        self.stalls_total += other.stalls_total;
        self.stalls.extend_from_slice(&other.stalls);
        self.stalls.sort_by_key(|stall| stall.at_us);
        self.stalls.truncate(STALLS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_target_is_not_the_generators_fault() {
        let mut lateness = Lateness::default();
        lateness.acted(1_000, 0, 1_200);
        lateness.acted(2_000, 9_000, 9_100);
        assert_eq!((lateness.late.quantile(1.0), lateness.held_up), (200, 1));
    }

    #[test]
    fn stalls_are_counted_beyond_those_kept() {
        let mut lateness = Lateness::default();
        (0..30).for_each(|n| lateness.watched(n * 1_000_000, n * 1_000_000 + 40_000 + 1_000 * n));
        assert_eq!((lateness.stalls_total, lateness.stalls[0].for_us), (20, 50_000));
        let mut other = Lateness::default();
        other.watched(0, 90_000);
        lateness.merge(&other);
        assert_eq!(
            (lateness.stalls_total, lateness.stalls.len(), lateness.stalls[0].for_us),
            (21, 20, 90_000)
        );
    }
}
