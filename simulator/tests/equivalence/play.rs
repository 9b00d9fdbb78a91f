//! One case on the model, then on the canonical router.

use std::fmt;

use serde_json::Value;
use simulator::{
    conform::{self, Case, Expect, Outcome, Shown},
    legacy::{Hazard, Hazards},
};

use crate::sequence::Sequence;

/// Where the two differ, and no decision says why.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    step: usize,
    op: String,
    /// The first place that differs.
    at: String,
    why: String,
}

impl Difference {
    const fn unplayed(unit: String, why: String) -> Self {
        Self { step: 0, op: unit, at: String::new(), why }
    }

    /// Whether two sequences differ in the same way, as far as one can tell.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.op == other.op && self.at == other.at
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}, {}: {}", self.step, self.op, self.why)
    }
}

/// The case with the outcomes that the model has, if the canonical router holds it.
pub(crate) fn play(sequence: &Sequence) -> Result<Case, Difference> {
    play_case(sequence.case())
}

/// The same for a case whose outcomes, if it has any, are of no importance.
pub(crate) fn play_case(mut case: Case) -> Result<Case, Difference> {
    match conform::legacy::record(&mut case, hazards()) {
        None => panic!("unit `{}` has no model", case.unit),
        Some(Err(reason)) => return Err(Difference::unplayed(case.unit, reason.0.to_owned())),
        Some(Ok(())) => {}
    }
    for step in &mut case.steps {
        times(&mut step.expect);
    }
    let mut last = None;
    let judged = conform::judge(&case, &mut |shown: Shown| last = Some(shown)).expect("a unit that is known");
    match judged.outcome {
        Outcome::Holds => Ok(case),
        Outcome::Fails { step, differences, why } => {
            let at = differences.first().map_or_else(String::new, |difference| difference.at.clone());
            let differences = differences.iter().map(|difference| {
                format!(
                    "\n  at {}: model {}, router {}",
                    difference.at, difference.recorded, difference.observed
                )
            });
            let shown = last.map_or_else(String::new, |shown| {
                format!("\n  model  {}\n  router {}", shown.recorded, shown.observed)
            });
            let why = format!("{why}{}{shown}", differences.collect::<String>());
            Err(Difference { step, op: case.steps[step].action.op.clone(), at, why })
        }
        other @ (Outcome::Inexpressible(_) | Outcome::NotForUs) => {
            Err(Difference::unplayed(case.unit, format!("not judged: {other:?}")))
        }
    }
}

/// What is on while generated sequences are played: nothing but what is no defect of a router that serves everybody.
pub(crate) fn hazards() -> Hazards {
    // A manager for each user would be the cure; the canonical router is one, and knows whose each connection is.
    Hazards::NONE.with(Hazard::M7)
}

/// In recordings a reading of the clock is written `<time>`, and compared as a time of whatever form.
fn times(expect: &mut Expect) {
    for sent in &mut expect.sent {
        readings(sent);
    }
    readings(&mut expect.returns);
    if let Some(all) = expect.all.get_mut("sent") {
        all.clone_from(&Value::Array(expect.sent.clone()));
    }
    expect.all.insert("returns".to_owned(), expect.returns.clone());
}

fn readings(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                if key == "timestamp" && value.as_f64().is_some_and(|seconds| seconds >= 1.6e9) {
                    *value = "<time>".into();
                } else {
                    readings(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(readings),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
