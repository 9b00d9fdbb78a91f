//! The recorded unit `breaker_ws`: a breaker whose calls are tried again inside of it.

use router::queue::{BreakerSettings, BreakerState, Forgive};
use serde_json::{Map, Value, json};

use super::{
    Unit,
    queues::{Clock, Play, Script, Seen, cured, of_the_contract},
};
use crate::{
    conform::{Action, Decision, Difference, Expect, Inexpressible, Notes, Translation},
    legacy::queues::{RetrySettings, RetryingBreaker},
};

/// A success while it is closed forgives one failure here, not all.
const FORGIVES_ONE: Decision = of_the_contract(
    "forgives-one",
    "in the adapter of this breaker a success while it is closed forgives one failure; elsewhere it forgives all",
);

/// Microseconds of a member in seconds.
fn micros(config: &Value, name: &str, otherwise: f64) -> u64 {
    (config[name].as_f64().unwrap_or(otherwise) * 1e6) as u64
}

fn count(config: &Value, name: &str, otherwise: u32) -> u32 {
    config[name].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(otherwise)
}

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    let config = setup.get("config").cloned().unwrap_or_default();
    let settings = BreakerSettings {
        failures_max: count(&config, "failure_threshold", 5),
        successes_min: count(&config, "success_threshold", 2),
        recovery_us: micros(&config, "recovery_timeout", 30.0),
        forgive: Forgive::One,
    };
    let retry = RetrySettings {
        attempts_max: count(&config, "max_retry_attempts", 5),
        base_us: micros(&config, "base_delay", 1.0),
        cap_us: micros(&config, "max_delay", 60.0),
    };
    let breaker = RetryingBreaker::new(settings, retry);
    Ok(Box::new(Retrying { breaker, clock: Clock::start(), seen: Seen::default(), forgave: false }))
}

struct Retrying {
    breaker: RetryingBreaker,
    clock: Clock,
    seen: Seen,
    /// A success forgave one failure of several, in this case.
    forgave: bool,
}

impl Retrying {
    fn failures(&self) -> u32 {
        match self.breaker.state() {
            BreakerState::Closed { failures } => failures,
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => 0,
        }
    }

    fn call(&mut self, action: &Action) -> Value {
        let mut script = Script::of(action.arg("script"));
        let outcome = self.breaker.call(&mut self.clock.0, || match script.next() {
            Play::Good | Play::Yield | Play::Reenter => Ok(()),
            Play::Bad(error) => Err(error),
            Play::Timeout => Err("timeout".to_owned()),
            Play::No => Err("refused".to_owned()),
        });
        let kind = action.text("type").unwrap_or("websocket");
        let error = match &outcome.result {
            None => json!(["CircuitBreakerOpenError", format!("Circuit breaker is OPEN for {kind}")]),
            Some(Err(error)) => json!(["RuntimeError", error]),
            Some(Ok(())) => Value::Null,
        };
        let done = matches!(outcome.result, Some(Ok(()))).then_some("done");
        let sleeps: Vec<f64> = outcome.pauses_us.iter().map(|pause| *pause as f64 / 1e6).collect();
        json!({"result": done, "error": error, "calls": outcome.calls, "sleeps": sleeps})
    }
}

/// The name of a state.
pub(super) const fn name(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed { .. } => "closed",
        BreakerState::Open { .. } => "open",
        BreakerState::HalfOpen { .. } => "half_open",
    }
}

fn project(state: &Value) -> Value {
    json!({"state": state["state"]})
}

impl Unit for Retrying {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let before = self.failures();
        let returns = match action.op.as_str() {
            "allowed" => self.breaker.allowed(self.clock.0).into(),
            "success" => {
                self.breaker.success();
                self.forgave |= before > 1 && self.failures() == before - 1;
                Value::Null
            }
            "failure" => {
                self.breaker.failure(self.clock.0);
                Value::Null
            }
            "call" => self.call(action),
            "advance" => {
                self.clock.advance(action);
                Value::Null
            }
            _ => return Err(Inexpressible("an operation that the breaker has no word for")),
        };
        let state = json!({"state": name(self.breaker.state())});
        self.seen = Seen { returns, state, ..Seen::default() };
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let mut seen = self.seen.clone();
        let recorded = &expect.returns["error"];
        if recorded[0].is_string()
            && seen.returns["error"].is_array()
            && recorded[0] != seen.returns["error"][0]
        {
            // The class of a time-out is the old runtime's.
            notes.translated(Translation::N5);
            seen.returns["error"] = recorded.clone();
        }
        let probing = matches!(self.breaker.state(), BreakerState::HalfOpen { probing: true, .. });
        if action.op == "allowed" && expect.returns == true && self.seen.returns == false && probing {
            // A probe is out: the next has to wait for it.
            cured(notes, &["breaker.W1", "breaker_state"]);
        }
        if self.forgave && action.op != "success" {
            notes.decided(FORGIVES_ONE);
        }
        seen.against(expect, project, notes)
    }

    fn show(&self) -> Value {
        self.seen.show()
    }
}
