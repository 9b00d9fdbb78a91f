//! What the units of the old queues share: handlers that do as they are told, and what a step brought about.

use serde_json::{Value, json};

use crate::conform::{Action, Decision, Difference, Expect, Notes, compare::values};
use router::Instant;

/// When recordings begin, microseconds since 1970.
const START_US: u64 = 1_700_000_000_000_000;

/// A decision of the contract.
pub(super) const fn of_the_contract(name: &'static str, demands: &'static str) -> Decision {
    Decision { name, demands, added: false }
}

/// An id of the old form may repeat.
pub(super) const NUMBERS: Decision = of_the_contract(
    "message-numbers",
    "the old id is a member of the body and may repeat; each message has a number of its own, and none is lost",
);
/// Operations that run side by side: the others get their turn where the first one yields.
pub(super) fn concurrent(action: &Action) -> Vec<Action> {
    let ops = action.arg("ops").as_array().cloned().unwrap_or_default();
    ops.into_iter()
        .map(|op| Action {
            op: op["op"].as_str().unwrap_or_default().to_owned(),
            args: op["args"].as_object().cloned().unwrap_or_default(),
        })
        .collect()
}

/// The clock of a case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(pub(super) Instant);

impl Clock {
    pub(super) const fn start() -> Self {
        Self(Instant::from_micros(START_US))
    }

    pub(super) fn advance(&mut self, action: &Action) {
        let seconds = action.arg("seconds").as_f64().unwrap_or_default().max(0.0);
        self.0 = self.0.after((seconds * 1e6).round() as u64);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::start()
    }
}

/// What a handler does at one call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Play {
    /// It does well.
    Good,
    /// It lets others go first, and does well.
    Yield,
    /// It puts a message into the queue that it works for, and does well.
    Reenter,
    /// It fails with that text.
    Bad(String),
    /// It takes too long.
    Timeout,
    /// It answers that it did not.
    No,
}

/// What a handler does, call by call; the last entry repeats.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    entries: Vec<Value>,
    calls: usize,
}

impl Script {
    pub(super) fn of(entries: &Value) -> Self {
        Self { entries: entries.as_array().cloned().unwrap_or_default(), calls: 0 }
    }

    pub(super) fn next(&mut self) -> Play {
        let entry =
            self.entries.get(self.calls).or(self.entries.last()).cloned().unwrap_or_else(|| json!("ok"));
        self.calls += 1;
        match &entry {
            Value::String(text) => match text.as_str() {
                "ok" => Play::Good,
                "yield" => Play::Yield,
                "reenter" => Play::Reenter,
                "timeout" => Play::Timeout,
                text => Play::Bad(text.strip_prefix("fail:").unwrap_or(text).to_owned()),
            },
            Value::Bool(true) => Play::Good,
            Value::Number(number) if number.as_f64() != Some(0.0) => Play::Good,
            Value::Bool(false) | Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Play::No
            }
        }
    }
}

/// What a step brought about.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// What the call returned.
    pub(super) returns: Value,
    /// Class of the exception it raised.
    pub(super) raises: Option<&'static str>,
    /// What handlers were given and did well with.
    pub(super) sent: Vec<Value>,
    /// The projection of the state.
    pub(super) state: Value,
}

impl Seen {
    /// Against the recording, whose state goes through the same projection first.
    pub(super) fn against(
        &self,
        expect: &Expect,
        project: fn(&Value) -> Value,
        notes: &mut Notes,
    ) -> Vec<Difference> {
        let mut out = Vec::new();
        if expect.raises.as_deref() != self.raises {
            out.push(Difference::new("raises", json!(expect.raises), json!(self.raises)));
        }
        values("returns", &expect.returns, &self.returns, &[], notes, &mut out);
        if expect.sent.len() == self.sent.len() {
            for (n, (recorded, sent)) in expect.sent.iter().zip(&self.sent).enumerate() {
                values(&format!("sent[{n}]"), recorded, sent, &[], notes, &mut out);
            }
        } else {
            out.push(Difference::new("sent", json!(expect.sent), json!(self.sent)));
        }
        if let Some(state) = &expect.state {
            values("state", &project(state), &self.state, &[], notes, &mut out);
        }
        out
    }

    pub(super) fn show(&self) -> Value {
        json!({"returns": self.returns, "raises": self.raises, "sent": self.sent, "state": self.state})
    }

    /// Takes what another operation at the same time brought about.
    pub(super) fn outcome(&self) -> Value {
        json!({"returns": self.returns, "raises": self.raises})
    }
}

/// A message as the old handlers' log has it.
pub(super) fn handed(message: &Value) -> Value {
    json!({"conn": null, "user": null, "message": message})
}

/// Says that a defect is gone, by its row and by what it was called in recordings.
pub(super) fn cured(notes: &mut Notes, names: &[&'static str]) {
    for name in names {
        notes.cured(name);
    }
}
