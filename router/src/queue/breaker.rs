//! The circuit breaker: one implementation, its states and numbers as settings.

use crate::contract::Instant;

/// When a breaker opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failures_max: u32,
    /// Successes of probes that close it.
    pub successes_min: u32,
    /// Time from opening to the first probe, microseconds.
    pub recovery_us: u64,
    /// What a success does to the failures counted so far.
    pub forgive: Forgive,
}

/// What a success does while the breaker is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgive {
    /// Failures in a row count: it forgives all.
    All,
    /// It forgives one.
    One,
}

impl BreakerSettings {
    /// For handlers of messages: three failures, two successes, 30 s.
    pub const HANDLER: Self =
        Self { failures_max: 3, successes_min: 2, recovery_us: 30_000_000, forgive: Forgive::All };
    /// For a store: five failures, three successes, 60 s.
    pub const STORE: Self =
        Self { failures_max: 5, successes_min: 3, recovery_us: 60_000_000, forgive: Forgive::All };
}

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed {
        /// Failures counted.
        failures: u32,
    },
    /// Nothing until then.
    Open {
        /// When the first probe may go.
        until: Instant,
    },
    /// One probe at a time.
    HalfOpen {
        /// Probes that succeeded.
        successes: u32,
        /// Whether one is out.
        probing: bool,
    },
}

/// A circuit breaker: closed, after too many failures open, after a time half-open with one probe at a time; enough
/// successful probes close it, one that fails opens it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    settings: BreakerSettings,
    state: BreakerState,
}

impl Breaker {
    /// A closed one.
    pub const fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: BreakerState::Closed { failures: 0 } }
    }

    /// What it lets through now, as far as it has been asked.
    pub const fn state(&self) -> BreakerState {
        self.state
    }

    /// Whether a call may go now. A probe that may go is out from then on, until its success or failure is told.
    pub fn admit(&mut self, now: Instant) -> bool {
        match self.state {
            BreakerState::Closed { .. } => true,
            BreakerState::Open { until } if now >= until => {
                self.state = BreakerState::HalfOpen { successes: 0, probing: true };
                true
            }
            BreakerState::HalfOpen { successes, probing: false } => {
                self.state = BreakerState::HalfOpen { successes, probing: true };
                true
            }
            BreakerState::Open { .. } | BreakerState::HalfOpen { probing: true, .. } => false,
        }
    }

    /// A call that was admitted did well.
    pub fn success(&mut self) {
        self.state = match self.state {
            BreakerState::Closed { failures } => {
                let failures = match self.settings.forgive {
                    Forgive::All => 0,
                    Forgive::One => failures.saturating_sub(1),
                };
                BreakerState::Closed { failures }
            }
            BreakerState::HalfOpen { successes, .. } if successes + 1 >= self.settings.successes_min => {
                BreakerState::Closed { failures: 0 }
            }
            BreakerState::HalfOpen { successes, .. } => {
                BreakerState::HalfOpen { successes: successes + 1, probing: false }
            }
            // A call admitted before it opened: too late to say anything.
            open @ BreakerState::Open { .. } => open,
        };
    }

    /// A call that was admitted failed.
    pub fn failure(&mut self, now: Instant) {
        self.state = match self.state {
            BreakerState::Closed { failures } if failures + 1 < self.settings.failures_max => {
                BreakerState::Closed { failures: failures + 1 }
            }
            BreakerState::Closed { .. } | BreakerState::HalfOpen { .. } => {
                BreakerState::Open { until: now.after(self.settings.recovery_us) }
            }
            open @ BreakerState::Open { .. } => open,
        };
    }

    /// Opens it whatever it counted: an operator, or a check of health, says so.
    pub fn trip(&mut self, now: Instant) {
        self.state = BreakerState::Open { until: now.after(self.settings.recovery_us) };
    }

    /// A probe that was out will never be told of; the next may go.
    pub fn abandon(&mut self) {
        if let BreakerState::HalfOpen { successes, .. } = self.state {
            self.state = BreakerState::HalfOpen { successes, probing: false };
        }
    }

    /// When the state changes by itself: the first probe after opening.
    pub const fn deadline(&self) -> Option<Instant> {
        match self.state {
            BreakerState::Open { until } => Some(until),
            BreakerState::Closed { .. } | BreakerState::HalfOpen { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn it_opens_probes_and_closes_along_its_graph() {
        let mut breaker = Breaker::new(BreakerSettings::HANDLER);
        let at = |seconds: u64| Instant::from_micros(seconds * SECOND);
        breaker.failure(at(0));
        breaker.failure(at(0));
        breaker.success();
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 0 });
        (0..3).for_each(|_| breaker.failure(at(1)));
        assert!(!breaker.admit(at(30)));
        assert!(breaker.admit(at(31)), "the first probe");
        assert!(!breaker.admit(at(31)), "one at a time");
        breaker.success();
        assert!(breaker.admit(at(31)));
        breaker.failure(at(32));
        assert_eq!(breaker.deadline(), Some(at(62)));
        assert!(breaker.admit(at(62)));
        breaker.abandon();
        assert!(breaker.admit(at(62)));
        breaker.success();
        assert!(breaker.admit(at(62)));
        breaker.success();
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 0 });
    }

    #[test]
    fn tripped_by_hand_it_recovers_as_always() {
        let mut breaker = Breaker::new(BreakerSettings::HANDLER);
        breaker.trip(Instant::from_micros(0));
        assert!(!breaker.admit(Instant::from_micros(29 * SECOND)));
        assert!(breaker.admit(Instant::from_micros(30 * SECOND)));
    }

    #[test]
    fn forgiving_one_failure_keeps_the_others() {
        let mut breaker = Breaker::new(BreakerSettings { forgive: Forgive::One, ..BreakerSettings::HANDLER });
        let now = Instant::from_micros(0);
        breaker.failure(now);
        breaker.failure(now);
        breaker.success();
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 1 });
    }
}
