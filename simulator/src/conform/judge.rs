//! One case against the router: what it shows, and whether that is what its oracle demands.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Case, Difference, Inexpressible, Notes, OracleKind, case::Step, units};

/// What became of a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// As its oracle demands: agrees, or differs as the hazard's row says.
    Holds,
    /// It does not: the step, and what differs there.
    Fails {
        /// Index of the step.
        step: usize,
        /// What differs; for a negative case that wrongly agrees, nothing.
        differences: Vec<Difference>,
        /// One sentence.
        why: String,
    },
    /// A negative case that the canonical API cannot express.
    Inexpressible(Inexpressible),
    /// For models only.
    NotForUs,
}

/// A case and what became of it.
#[derive(Debug)]
pub struct Judged {
    /// What became of it.
    pub outcome: Outcome,
    /// What was noted.
    pub notes: Notes,
}

/// One step side by side, for people.
#[derive(Debug)]
pub struct Shown {
    /// The operation.
    pub op: String,
    /// Its arguments.
    pub args: Value,
    /// The recording.
    pub recorded: Value,
    /// The router.
    pub observed: Value,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// Plays a case and judges it; `show` takes each step. `Err` names a unit that nobody knows.
pub fn judge(case: &Case, show: &mut dyn FnMut(Shown)) -> Result<Judged, String> {
    let mut notes = Notes::default();
    if !units::NAMES.contains(&case.unit.as_str()) {
        return Err(case.unit.clone());
    }
    if case.oracle.kind == OracleKind::Model {
        return Ok(Judged { outcome: Outcome::NotForUs, notes });
    }
    let unit = units::open(&case.unit, &case.setup).ok_or_else(|| case.unit.clone())?;
    let mut unit = match unit {
        Ok(unit) => unit,
        Err(reason) => return Ok(Judged { outcome: inexpressible(case, 0, reason), notes }),
    };
    let negative = case.oracle.kind == OracleKind::Negative;
    // Where a negative case first differed, from `until` on.
    let mut differed: Option<(usize, Vec<Difference>)> = None;
    for (n, Step { action, expect }) in case.steps.iter().enumerate() {
        let hazardous = negative && n >= case.oracle.until;
        if let Err(reason) = unit.act(action) {
            if differed.is_some() {
                break; // it differed before: what follows has no counterpart
            }
            return Ok(Judged { outcome: inexpressible(case, n, reason), notes });
        }
        let (cures, decided) = (notes.cures.len(), notes.decisions.values().sum::<u64>());
        let differences = unit.compare(action, expect, &mut notes);
        if !hazardous {
            notes.cures.truncate(cures);
            notes.sound = None;
        }
        let by_decision = notes.decisions.values().sum::<u64>() > decided;
        show(Shown {
            op: action.op.clone(),
            args: Value::Object(action.args.clone()),
            recorded: Value::Object(expect.all.clone()),
            observed: unit.show(),
            differences: differences.clone(),
        });
        if hazardous {
            // Where a decision demands another outcome, the router differs, too.
            if differed.is_none() && (!differences.is_empty() || by_decision) {
                differed = Some((n, differences));
            }
        } else if !differences.is_empty() && case.oracle.kind != OracleKind::Verdict {
            let why = "differs from the recording".to_owned();
            return Ok(Judged { outcome: Outcome::Fails { step: n, differences, why }, notes });
        }
    }
    if let Some(intended) = case.intended.as_ref().filter(|_| case.oracle.kind == OracleKind::Verdict) {
        let differences = unit.verdict(intended, &mut notes);
        if !differences.is_empty() {
            let why = "the automaton's verdict is another".to_owned();
            let step = case.steps.len() - 1;
            return Ok(Judged { outcome: Outcome::Fails { step, differences, why }, notes });
        }
    }
    let outcome = match case.oracle.kind {
        OracleKind::Negative => defect(case, differed, &notes),
        OracleKind::Exception if notes.decisions.is_empty() => Outcome::Fails {
            step: case.steps.len() - 1,
            differences: Vec::new(),
            why: "no decision demands another outcome than the recorded one".to_owned(),
        },
        OracleKind::Positive
        | OracleKind::Boundary
        | OracleKind::Exception
        | OracleKind::Verdict
        | OracleKind::Model => Outcome::Holds,
    };
    Ok(Judged { outcome, notes })
}

/// A recorded defect must be gone, in the way that its hazard's row says.
fn defect(case: &Case, differed: Option<(usize, Vec<Difference>)>, notes: &Notes) -> Outcome {
    let hazards: BTreeSet<&str> = case.oracle.hazards.iter().map(String::as_str).collect();
    let Some((step, differences)) = differed else {
        if let Some(reason) = notes.sound {
            return Outcome::Inexpressible(Inexpressible(reason));
        }
        return Outcome::Fails {
            step: case.oracle.until.min(case.steps.len() - 1),
            differences: Vec::new(),
            why: format!("agrees with a recorded defect ({})", case.oracle.hazards.join(", ")),
        };
    };
    // Without a row nobody says what to look for: such cases are counted apart.
    if hazards.is_empty() || notes.cures.iter().any(|cure| hazards.contains(cure)) {
        return Outcome::Holds;
    }
    let why = format!("differs, but not in the way of {}", case.oracle.hazards.join(", "));
    Outcome::Fails { step, differences, why }
}

/// A negative case without a counterpart is listed; any other must be expressed.
fn inexpressible(case: &Case, step: usize, reason: Inexpressible) -> Outcome {
    if case.oracle.kind == OracleKind::Negative {
        return Outcome::Inexpressible(reason);
    }
    let why = format!("cannot be expressed: {}", reason.0);
    Outcome::Fails { step, differences: Vec::new(), why }
}
