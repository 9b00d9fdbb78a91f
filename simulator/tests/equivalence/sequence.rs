//! A generated sequence, and the case it becomes.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use simulator::conform::{Action, Case, Expect, Oracle, OracleKind, case::Step};

/// One operation, and the user that it is done by or for.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) by: String,
    pub(crate) op: &'static str,
    pub(crate) args: Value,
}

impl Op {
    /// An operation of nobody in particular.
    pub(crate) fn of_nobody(op: &'static str, args: Value) -> Self {
        Self { by: String::new(), op, args }
    }
}

/// A set-up and operations.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    pub(crate) unit: &'static str,
    pub(crate) setup: Value,
    pub(crate) ops: Vec<Op>,
    /// The first operations that belong to the set-up.
    pub(crate) fixed: usize,
}

impl Sequence {
    /// How many users take part.
    pub(crate) fn users(&self) -> usize {
        let users: BTreeSet<&str> =
            self.ops.iter().map(|op| op.by.as_str()).filter(|user| !user.is_empty()).collect();
        users.len()
    }

    /// The case, without any outcome.
    pub(crate) fn case(&self) -> Case {
        let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let nothing =
            Expect { returns: Value::Null, raises: None, sent: Vec::new(), state: None, all: Map::new() };
        let step = |Op { op, args, .. }: &Op| Step {
            action: Action { op: (*op).to_owned(), args: members(args) },
            expect: nothing.clone(),
        };
        Case {
            id: "generated".to_owned(),
            unit: self.unit.to_owned(),
            about: String::new(),
            oracle: Oracle { kind: OracleKind::Positive, until: 0, hazards: Vec::new() },
            setup: members(&self.setup),
            steps: self.ops.iter().map(step).collect(),
            intended: None,
            line: 0,
        }
    }

    /// For people: the set-up, then a line per operation.
    pub(crate) fn text(&self) -> String {
        let ops = self.ops.iter().map(|op| format!("  {} {}\n", op.op, op.args));
        format!("  setup {}\n{}", self.setup, ops.collect::<String>())
    }
}

/// The line that a case is in a file.
pub(crate) fn line(case: &Case) -> String {
    let step =
        |step: &Step| json!({"op": step.action.op, "args": step.action.args, "expect": step.expect.all});
    let steps: Vec<Value> = case.steps.iter().map(step).collect();
    let whole = json!({
        "id": case.id, "unit": case.unit, "about": case.about, "oracle": {"kind": "positive"},
        "setup": case.setup, "steps": steps,
    });
    format!("{whole}\n")
}
