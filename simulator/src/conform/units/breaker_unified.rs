//! The recorded unit `breaker_unified`: the breaker that most services shared.

use router::queue::{BreakerSettings, BreakerState, Forgive};
use serde_json::{Map, Value, json};

use super::{
    Unit,
    breaker_ws::name,
    queues::{Clock, Seen, cured},
};
use crate::{
    conform::{Action, Difference, Expect, Inexpressible, Notes},
    legacy::queues::{UnifiedBreaker, UnifiedSettings},
};

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    let config = setup.get("config").cloned().unwrap_or_default();
    let count = |name: &str, otherwise: u32| {
        config[name].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(otherwise)
    };
    let settings = BreakerSettings {
        failures_max: count("failure_threshold", 5),
        successes_min: count("success_threshold", 2),
        recovery_us: (config["recovery_timeout"].as_f64().unwrap_or(60.0) * 1e6) as u64,
        forgive: Forgive::All,
    };
    let breaker = UnifiedBreaker::new(UnifiedSettings { breaker: settings });
    Ok(Box::new(Unified { breaker, clock: Clock::start(), seen: Seen::default() }))
}

struct Unified {
    breaker: UnifiedBreaker,
    clock: Clock,
    seen: Seen,
}

fn project(state: &Value) -> Value {
    json!({"state": state["state"]})
}

impl Unit for Unified {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let now = self.clock.0;
        let mut raises = None;
        let returns = match action.op.as_str() {
            "can_execute" => self.breaker.can_execute(now).into(),
            "success" => {
                self.breaker.success(now);
                Value::Null
            }
            "failure" => {
                self.breaker.failure(now);
                Value::Null
            }
            "call" => {
                let outcome = action.text("outcome").unwrap_or("ok");
                let outcome = if outcome == "ok" { Ok(()) } else { Err(outcome.to_owned()) };
                match self.breaker.call(now, outcome) {
                    Some(Ok(())) => "done".into(),
                    Some(Err(_)) => {
                        raises = Some("RuntimeError");
                        Value::Null
                    }
                    None => {
                        raises = Some("CircuitBreakerOpenError");
                        Value::Null
                    }
                }
            }
            "force_open" => {
                self.breaker.force_open(now);
                Value::Null
            }
            "reset" => {
                self.breaker.reset();
                Value::Null
            }
            "advance" => {
                self.clock.advance(action);
                Value::Null
            }
            _ => return Err(Inexpressible("an operation that the breaker has no word for")),
        };
        let state = json!({"state": name(self.breaker.state())});
        self.seen = Seen { returns, raises, state, ..Seen::default() };
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let recorded = expect.state.as_ref().and_then(|state| state["state"].as_str()).unwrap_or_default();
        let half_open = matches!(self.breaker.state(), BreakerState::HalfOpen { .. });
        if recorded == "closed" && half_open {
            // The first probe did well, and more are asked for.
            cured(notes, &["breaker.W2", "breaker_state"]);
        }
        let told = matches!(action.op.as_str(), "success" | "can_execute");
        if recorded == "open" && told && (half_open || self.seen.returns == true && expect.returns == false) {
            // After its time it lets a probe through, whichever way outcomes are told to it.
            cured(notes, &["redis.R11", "breaker_state"]);
        }
        self.seen.against(expect, project, notes)
    }

    fn show(&self) -> Value {
        self.seen.show()
    }
}
