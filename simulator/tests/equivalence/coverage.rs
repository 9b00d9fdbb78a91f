//! What the sequences came across.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;
use simulator::conform::{Case, Expect};

use crate::sequence::Sequence;

/// Every cell that can occur: a line `unit  operation  outcome`.
const CELLS: &str = include_str!("cells.txt");
/// A cell occurs at least that often in [`PER`] sequences.
const FLOOR: usize = 100;
/// See [`FLOOR`].
const PER: usize = 100_000;

/// Unit, operation, outcome.
type Cell = (String, String, String);

/// Counts over all sequences.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    lengths: Vec<usize>,
    shared: usize,
    cells: BTreeMap<Cell, usize>,
}

impl Coverage {
    /// Counts a sequence and its outcomes.
    pub(crate) fn add(&mut self, sequence: &Sequence, case: &Case) {
        self.lengths.push(sequence.ops.len());
        self.shared += usize::from(sequence.users() >= 2);
        for step in &case.steps {
            let cell = (case.unit.clone(), step.action.op.clone(), outcome(&step.expect));
            *self.cells.entry(cell).or_default() += 1;
        }
    }

    fn median(&self) -> usize {
        let mut lengths = self.lengths.clone();
        lengths.sort_unstable();
        lengths.get(lengths.len() / 2).copied().unwrap_or_default()
    }

    /// Sequences are long, and nearly all of them have more than one user.
    pub(crate) fn assert_shape(&self) {
        assert!(self.median() >= 20, "the median sequence has {} operations", self.median());
        assert!(
            self.shared * 10 >= self.lengths.len() * 9,
            "{} of {} have two users",
            self.shared,
            self.lengths.len()
        );
    }

    /// Each listed cell reaches its floor, and every cell is listed.
    pub(crate) fn assert_cells(&self) {
        let listed: BTreeSet<Cell> = CELLS.lines().filter_map(cell_of).collect();
        let floor = FLOOR * self.lengths.len() / PER;
        let count = |cell: &Cell| self.cells.get(cell).copied().unwrap_or_default();
        let rare: Vec<String> = listed
            .iter()
            .filter(|cell| count(cell) < floor)
            .map(|cell| format!("{cell:?} occurs {} times, less than {floor}", count(cell)))
            .collect();
        let unlisted: Vec<String> = self
            .cells
            .iter()
            .filter(|(cell, _)| !listed.contains(*cell))
            .map(|(cell, count)| format!("{cell:?} occurs {count} times and is not listed"))
            .collect();
        assert!(rare.is_empty() && unlisted.is_empty(), "{}\n{}", rare.join("\n"), unlisted.join("\n"));
    }
}

fn cell_of(line: &str) -> Option<Cell> {
    let mut parts = line.split("  ").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned);
    Some((parts.next()?, parts.next()?, parts.next()?))
}

/// The class of an outcome: what was raised, what was written, what was returned; never of whom or how much.
fn outcome(expect: &Expect) -> String {
    if let Some(class) = &expect.raises {
        return format!("raised {class}");
    }
    let kinds: BTreeSet<&str> = expect.sent.iter().map(|sent| kind(&sent["message"])).collect();
    let written = match kinds.len() {
        0 => String::new(),
        1 => kinds.into_iter().collect(),
        _ => "several kinds".to_owned(),
    };
    let returned = match &expect.returns {
        Value::Null => "",
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        Value::Number(number) if number.as_f64() == Some(0.0) => "zero",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(list) if list.is_empty() => "an empty list",
        Value::Array(list) => several(list),
        Value::Object(_) => one(&expect.returns),
    };
    match (written.is_empty(), returned.is_empty()) {
        (true, true) => "nothing".to_owned(),
        (true, false) => returned.to_owned(),
        (false, true) => written,
        (false, false) => format!("{returned}, {written}"),
    }
}

/// A report of one call, by what it says of itself.
fn one(report: &Value) -> &str {
    let said = |member: &str, yes: &'static str, no: &'static str| {
        Some(if report[member].as_bool()? { yes } else { no })
    };
    let success =
        said("success", "succeeded", "failed").or_else(|| said("is_successful", "succeeded", "failed"));
    // A permission is one of few results.
    success
        .or_else(|| report["result"].as_str().filter(|_| report["allowed"].is_boolean()))
        .unwrap_or("an object")
}

/// Reports of several calls.
fn several(reports: &[Value]) -> &'static str {
    let failed = reports.iter().filter(|report| one(report) == "failed").count();
    match failed {
        _ if reports.iter().all(|report| one(report) == "an object" || !report.is_object()) => "a list",
        0 => "all succeeded",
        n if n == reports.len() => "all failed",
        _ => "some failed",
    }
}

/// The type of a frame, where the generator or the protocol gave it a name.
fn kind(message: &Value) -> &str {
    match message {
        Value::Object(_) => message["type"].as_str().unwrap_or("no type"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => "no object",
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.shared as f64 / self.lengths.len().max(1) as f64;
        writeln!(f, "sequences: {}", self.lengths.len())?;
        writeln!(f, "operations: {}", self.lengths.iter().sum::<usize>())?;
        writeln!(f, "median length: {} operations", self.median())?;
        writeln!(f, "two users or more: {share:.1} %")?;
        writeln!(f, "\n{:16}  {:28}  {:44}  count", "unit", "operation", "outcome")?;
        for ((unit, op, outcome), count) in &self.cells {
            writeln!(f, "{unit:16}  {op:28}  {outcome:44}  {count}")?;
        }
        Ok(())
    }
}
