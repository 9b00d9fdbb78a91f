//! The two old circuit breakers over the one breaker.

use router::{
    Instant,
    queue::{Breaker, BreakerSettings, BreakerState, Forgive},
};

/// What a call through a breaker came to.
#[derive(Clone, Debug, PartialEq)]
pub struct CallOutcome {
    /// `Ok`, or the error of the last attempt; `None` when the breaker let nothing through.
    pub result: Option<Result<(), String>>,
    /// Attempts.
    pub calls: u32,
    /// Pauses between them, microseconds.
    pub pauses_us: Vec<u64>,
}

/// How often and how slowly one call is tried again.
#[derive(Clone, Copy, Debug)]
pub struct RetrySettings {
    /// Attempts of one call.
    pub attempts_max: u32,
    /// Pause after the first; it doubles.
    pub base_us: u64,
    /// Longest pause.
    pub cap_us: u64,
}

/// A breaker whose calls are tried again inside of it.
#[derive(Debug)]
pub struct RetryingBreaker {
    breaker: Breaker,
    retry: RetrySettings,
}

impl RetryingBreaker {
    /// A closed one. A success while it is closed forgives one failure.
    pub const fn new(settings: BreakerSettings, retry: RetrySettings) -> Self {
        let settings = BreakerSettings { forgive: Forgive::One, ..settings };
        Self { breaker: Breaker::new(settings), retry }
    }

    /// The breaker.
    pub const fn state(&self) -> BreakerState {
        self.breaker.state()
    }

    /// Whether a call may go.
    pub fn allowed(&mut self, now: Instant) -> bool {
        self.breaker.admit(now)
    }

    /// A call did well.
    pub fn success(&mut self) {
        self.breaker.success();
    }

    /// A call failed.
    pub fn failure(&mut self, now: Instant) {
        self.breaker.failure(now);
    }

    /// Makes a call: tried again after pauses, and one success or failure for the breaker in the end. `now` is moved
    /// on by the pauses.
    pub fn call(
        &mut self,
        now: &mut Instant,
        mut attempt: impl FnMut() -> Result<(), String>,
    ) -> CallOutcome {
        let mut outcome = CallOutcome { result: None, calls: 0, pauses_us: Vec::new() };
        if !self.allowed(*now) {
            return outcome;
        }
        let mut pause = self.retry.base_us;
        loop {
            outcome.calls += 1;
            let result = attempt();
            let ended = result.is_ok() || outcome.calls >= self.retry.attempts_max;
            if ended {
                match &result {
                    Ok(()) => self.breaker.success(),
                    Err(_) => self.breaker.failure(*now),
                }
                outcome.result = Some(result);
                return outcome;
            }
            outcome.pauses_us.push(pause.min(self.retry.cap_us));
            *now = now.after(pause.min(self.retry.cap_us));
            pause = pause.saturating_mul(2);
        }
    }
}

/// The settings of the shared breaker.
#[derive(Clone, Copy, Debug)]
pub struct UnifiedSettings {
    /// The breaker's own.
    pub breaker: BreakerSettings,
}

/// The breaker that most services shared.
#[derive(Debug)]
pub struct UnifiedBreaker {
    settings: UnifiedSettings,
    breaker: Breaker,
}

impl UnifiedBreaker {
    /// A closed one.
    pub const fn new(settings: UnifiedSettings) -> Self {
        Self { settings, breaker: Breaker::new(settings.breaker) }
    }

    /// The breaker.
    pub const fn state(&self) -> BreakerState {
        self.breaker.state()
    }

    /// Whether a call could go now. Asking sends no probe out.
    pub fn can_execute(&self, now: Instant) -> bool {
        self.breaker.clone().admit(now)
    }

    /// A call that went somewhere else did well. A half-open breaker takes it for its probe.
    pub fn success(&mut self, now: Instant) {
        self.breaker.admit(now);
        self.breaker.success();
    }

    /// A call that went somewhere else failed.
    pub fn failure(&mut self, now: Instant) {
        self.breaker.admit(now);
        self.breaker.failure(now);
    }

    /// Makes a call; `None` when the breaker lets none through.
    pub fn call(&mut self, now: Instant, outcome: Result<(), String>) -> Option<Result<(), String>> {
        if !self.breaker.admit(now) {
            return None;
        }
        match outcome {
            Ok(()) => self.breaker.success(),
            Err(_) => self.breaker.failure(now),
        }
        Some(outcome)
    }

    /// Opens it by hand.
    pub fn force_open(&mut self, now: Instant) {
        self.breaker.trip(now);
    }

    /// Closes it by hand.
    pub const fn reset(&mut self) {
        self.breaker = Breaker::new(self.settings.breaker);
    }
}
