//! One case on the model, then on the canonical router.

use std::fmt;

use simulator::{
    conform::{self, Case, Outcome, Shown},
    legacy::Hazards,
};

use crate::sequence::Sequence;

/// Where the two differ, and no decision says why.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    step: usize,
    op: String,
    why: String,
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
    match conform::legacy::record(&mut case, Hazards::NONE) {
        None => panic!("unit `{}` has no model", case.unit),
        Some(Err(reason)) => return Err(Difference { step: 0, op: case.unit, why: reason.0.to_owned() }),
        Some(Ok(())) => {}
    }
    let mut last = None;
    let judged = conform::judge(&case, &mut |shown: Shown| last = Some(shown)).expect("a unit that is known");
    match judged.outcome {
        Outcome::Holds => Ok(case),
        Outcome::Fails { step, differences, why } => {
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
            Err(Difference { step, op: case.steps[step].action.op.clone(), why })
        }
        other @ (Outcome::Inexpressible(_) | Outcome::NotForUs | Outcome::NotPlayed) => {
            Err(Difference { step: 0, op: case.unit, why: format!("not judged: {other:?}") })
        }
    }
}
