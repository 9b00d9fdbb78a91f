//! Recorded cases on the executable models of the old parts ([`crate::legacy`]).
//!
//! Here nothing is translated and nothing excepted: with every hazard on, a model must bring about what was recorded,
//! member by member. What only the old language could tell is left out by a rule on the case's shape, with a reason.

mod compare;
mod report;
mod units;

use serde_json::{Map, Value};

use super::case::Step;
use super::{Action, Case, Difference, Expect, Shown};
use crate::legacy::{Hazard, Hazards};

pub use report::{Tally, report};

/// What only the old language could tell: no model repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PythonOnly(pub &'static str);

/// A model behind the operations of recorded cases.
pub trait Player {
    /// Does the operation, and says what came of it.
    fn play(&mut self, action: &Action) -> Result<Played, PythonOnly>;
}

/// What one operation brought about, in the form of a recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Played {
    /// What the call returned.
    pub returns: Value,
    /// Class of the exception it raised.
    pub raises: Option<String>,
    /// The frames it sent, in order, in the form of the unit's recordings.
    pub sent: Vec<Value>,
    /// The unit's state afterwards.
    pub state: Option<Value>,
    /// Further members that the unit's recordings have (`error_text`, `order`, …).
    pub more: Map<String, Value>,
}

impl Played {
    /// A call that returned.
    pub fn returned(value: impl Into<Value>) -> Self {
        Self { returns: value.into(), ..Self::default() }
    }

    /// A call that raised.
    pub fn raised(class: impl Into<String>) -> Self {
        Self { raises: Some(class.into()), ..Self::default() }
    }

    /// With another member.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    fn into_expect(self) -> Expect {
        let Self { returns, raises, sent, state, more } = self;
        let mut all = more;
        all.insert("returns".to_owned(), returns.clone());
        all.insert("raises".to_owned(), raises.clone().map_or(Value::Null, Value::String));
        all.insert("sent".to_owned(), Value::Array(sent.clone()));
        if let Some(state) = &state {
            all.insert("state".to_owned(), state.clone());
        }
        Expect { returns, raises, sent, state, all }
    }
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The model brings about what was recorded, at every step.
    Agrees,
    /// It does not.
    Differs {
        /// Index of the step.
        step: usize,
        /// What differs there.
        differences: Vec<Difference>,
    },
    /// Nothing a model could repeat.
    PythonOnly(PythonOnly),
}

/// The units that have a model.
pub const NAMES: &[&str] = units::NAMES;

/// The switches that were on when a unit was recorded.
pub fn recorded_hazards(unit: &str) -> Hazards {
    match unit {
        // The same cases as `message_router`, recorded with two corrections.
        "message_router_intended" => Hazards::ALL.without(Hazard::H1).without(Hazard::H2),
        _ => Hazards::ALL,
    }
}

/// Plays a case on its unit's model and compares; `show` takes each step. `None`: the unit has no model.
pub fn judge(case: &Case, hazards: Hazards, show: &mut dyn FnMut(Shown)) -> Option<Outcome> {
    let mut player = match units::open(&case.unit, &case.setup, hazards)? {
        Ok(player) => player,
        Err(reason) => return Some(Outcome::PythonOnly(reason)),
    };
    for (step, Step { action, expect }) in case.steps.iter().enumerate() {
        let played = match player.play(action) {
            Ok(played) => played.into_expect(),
            Err(reason) => return Some(Outcome::PythonOnly(reason)),
        };
        let differences = compare::recorded(expect, &played);
        show(Shown {
            op: action.op.clone(),
            args: Value::Object(action.args.clone()),
            recorded: Value::Object(expect.all.clone()),
            observed: Value::Object(played.all),
            differences: differences.clone(),
        });
        if !differences.is_empty() {
            return Some(Outcome::Differs { step, differences });
        }
    }
    Some(Outcome::Agrees)
}

/// Plays the operations of a case on its unit's model and writes down what came of each in place of what stands there.
/// `None`: the unit has no model.
///
/// # Errors
/// An operation that no model repeats.
pub fn record(case: &mut Case, hazards: Hazards) -> Option<Result<(), PythonOnly>> {
    let player = units::open(&case.unit, &case.setup, hazards)?;
    Some(player.and_then(|mut player| {
        for step in &mut case.steps {
            step.expect = player.play(&step.action)?.into_expect();
        }
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_without_a_model_is_not_judged() {
        let line =
            r#"{"id":"a","unit":"nobody","oracle":{"kind":"positive"},"steps":[{"op":"x","expect":{}}]}"#;
        let mut case = crate::conform::read(line).expect("well formed").remove(0);
        assert_eq!(judge(&case, Hazards::ALL, &mut |_| {}), None);
        assert!(record(&mut case, Hazards::NONE).is_none());
    }
}
