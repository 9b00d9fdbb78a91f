//! Recorded cases: the format, and errors that name line and field.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize as _;
use serde_json::{Map, Value};

/// One recorded case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name in reports; nothing is decided by it.
    pub id: String,
    /// The part of the old system that was recorded.
    pub unit: String,
    /// A sentence for people; nothing is decided by it.
    pub about: String,
    /// What the recording obliges us to.
    pub oracle: Oracle,
    /// What stood ready before the first step.
    pub setup: Map<String, Value>,
    /// What was done, and what came of it.
    pub steps: Vec<Step>,
    /// The verdict that was intended, in cases of event sequences.
    pub intended: Option<Value>,
    /// Line in its file, from 1.
    pub line: usize,
}

/// What a recording obliges us to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oracle {
    /// How it is to be read.
    pub kind: OracleKind,
    /// Steps before this index are positive in a negative case.
    pub until: usize,
    /// The defects that the recorded run went through.
    pub hazards: Vec<String>,
}

/// How a case is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OracleKind {
    /// Every step must agree.
    Positive,
    /// A defect was recorded: the outcome must differ from `until` on.
    Negative,
    /// Only accepted or refused is compared.
    Boundary,
    /// A guarantee demands another outcome than the recorded one.
    Exception,
    /// The field `intended` is the target.
    Verdict,
    /// For executable models of the old code only.
    Model,
}

impl OracleKind {
    const NAMES: [(&'static str, OracleKind); 6] = [
        ("positive", OracleKind::Positive),
        ("negative", OracleKind::Negative),
        ("boundary", OracleKind::Boundary),
        ("exception", OracleKind::Exception),
        ("verdict", OracleKind::Verdict),
        ("model", OracleKind::Model),
    ];

    /// The name in files and reports.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// One step: an operation and its recorded outcome.
#[derive(Clone, Debug)]
pub struct Step {
    /// What was done.
    pub action: Action,
    /// What came of it.
    pub expect: Expect,
}

/// An operation on the recorded unit.
#[derive(Clone, Debug)]
pub struct Action {
    /// Its name.
    pub op: String,
    /// Its arguments.
    pub args: Map<String, Value>,
}

impl Action {
    /// An argument; null when it is not there.
    pub fn arg(&self, name: &str) -> &Value {
        self.args.get(name).unwrap_or(&Value::Null)
    }

    /// An argument that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.arg(name).as_str()
    }
}

/// The recorded outcome of one step.
#[derive(Clone, Debug)]
pub struct Expect {
    /// What the call returned.
    pub returns: Value,
    /// Class of the exception it raised.
    pub raises: Option<String>,
    /// The frames it sent, in order: objects with `conn`, `user`, `message` and more.
    pub sent: Vec<Value>,
    /// State afterwards, if it was recorded.
    pub state: Option<Value>,
    /// All members, for what only one unit has (`order`, `slept`, `error_text`, …).
    pub all: Map<String, Value>,
}

/// A line that is not a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Line, from 1.
    pub line: usize,
    /// The field, e.g. `steps[3].op`; empty when the line is not JSON at all.
    pub field: String,
    /// What was expected there.
    pub expected: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, field, expected } = self;
        if field.is_empty() {
            write!(f, "line {line}: expected {expected}")
        } else {
            write!(f, "line {line}, field {field}: expected {expected}")
        }
    }
}

impl std::error::Error for Malformed {}

/// Levels of objects and lists in one line. Reading and comparing call themselves once per level.
pub const NESTING_LEVELS_MAX: usize = 10_000;
/// A step lets at most a year pass, in seconds: the router wakes at each of its deadlines meanwhile.
const ADVANCE_SECONDS_MAX: f64 = 31_536_000.0;

/// Reads a file of cases, one a line; empty lines are passed over. An id stands once in a file.
pub fn read(text: &str) -> Result<Vec<Case>, Malformed> {
    let mut lines_of: BTreeMap<String, usize> = BTreeMap::new();
    let mut cases = Vec::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let case = case(n + 1, line)?;
        if let Some(other) = lines_of.insert(case.id.clone(), case.line) {
            let expected = format!("an id of its own: `{}` stands in line {other}, too", case.id);
            return Err(Malformed { line: case.line, field: "id".to_owned(), expected });
        }
        cases.push(case);
    }
    Ok(cases)
}

/// Whether a text of JSON nests deeper than [`NESTING_LEVELS_MAX`]; found without a call per level.
fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_LEVELS_MAX {
            return true;
        }
    }
    false
}

fn case(line: usize, text: &str) -> Result<Case, Malformed> {
    let at = |field: &str, expected: &str| Malformed {
        line,
        field: field.to_owned(),
        expected: expected.to_owned(),
    };
    if is_too_deep(text) {
        return Err(at("", &format!("at most {NESTING_LEVELS_MAX} levels of nesting")));
    }
    let value = parse(text).map_err(|error| at("", &format!("a JSON object ({error})")))?;
    let Value::Object(mut whole) = value else { return Err(at("", "a JSON object")) };
    let text_of = |whole: &Map<String, Value>, field: &str| {
        whole.get(field).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| at(field, "a text"))
    };
    let (id, unit) = (text_of(&whole, "id")?, text_of(&whole, "unit")?);
    let about = whole.get("about").and_then(Value::as_str).unwrap_or_default().to_owned();
    let oracle = oracle(whole.get("oracle"), &at)?;
    let setup = match whole.remove("setup") {
        Some(Value::Object(setup)) => setup,
        None | Some(Value::Null) => Map::new(),
        Some(_) => return Err(at("setup", "an object")),
    };
    let Some(Value::Array(steps)) = whole.remove("steps") else {
        return Err(at("steps", "a list of steps"));
    };
    if steps.is_empty() {
        return Err(at("steps", "at least one step"));
    }
    let steps: Vec<Step> =
        steps.into_iter().enumerate().map(|(n, step)| self::step(n, step, &at)).collect::<Result<_, _>>()?;
    if oracle.until > steps.len() {
        return Err(at("oracle.until", &format!("at most the number of steps, {}", steps.len())));
    }
    let intended = whole.remove("intended").filter(|intended| !intended.is_null());
    if oracle.kind == OracleKind::Verdict && intended.is_none() {
        return Err(at("intended", "the verdict that was intended"));
    }
    Ok(Case { id, unit, about, oracle, setup, steps, intended, line })
}

/// Some recordings hold values nested deeper than the library's default limit.
fn parse(text: &str) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    let value = Value::deserialize(&mut reader)?;
    reader.end().map(|()| value)
}

fn oracle(value: Option<&Value>, at: &dyn Fn(&str, &str) -> Malformed) -> Result<Oracle, Malformed> {
    let Some(Value::Object(oracle)) = value else { return Err(at("oracle", "an object")) };
    let kind = oracle.get("kind").and_then(Value::as_str).unwrap_or_default();
    let (_, kind) = OracleKind::NAMES
        .iter()
        .find(|(name, _)| *name == kind)
        .ok_or_else(|| at("oracle.kind", "positive, negative, boundary, exception, verdict or model"))?;
    let until = match oracle.get("until") {
        None | Some(Value::Null) => 0,
        Some(until) => until
            .as_u64()
            .and_then(|until| usize::try_from(until).ok())
            .ok_or_else(|| at("oracle.until", "a step's index"))?,
    };
    let hazards = match oracle.get("hazards") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list
            .iter()
            .map(|id| id.as_str().map(str::to_owned).ok_or_else(|| at("oracle.hazards", "a list of texts")))
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(at("oracle.hazards", "a list of texts")),
    };
    Ok(Oracle { kind: *kind, until, hazards })
}

fn step(n: usize, value: Value, at: &dyn Fn(&str, &str) -> Malformed) -> Result<Step, Malformed> {
    let at = |field: &str, expected: &str| at(&format!("steps[{n}]{field}"), expected);
    let Value::Object(mut step) = value else { return Err(at("", "an object")) };
    let op = step.get("op").and_then(Value::as_str).ok_or_else(|| at(".op", "a text"))?.to_owned();
    let args = match step.remove("args") {
        Some(Value::Object(args)) => args,
        None | Some(Value::Null) => Map::new(),
        Some(_) => return Err(at(".args", "an object")),
    };
    let seconds = args.get("seconds").and_then(Value::as_f64).filter(|_| op == "advance");
    if seconds.is_some_and(|seconds| seconds > ADVANCE_SECONDS_MAX) {
        return Err(at(".args.seconds", &format!("at most {ADVANCE_SECONDS_MAX}, a year")));
    }
    let Some(Value::Object(all)) = step.remove("expect") else { return Err(at(".expect", "an object")) };
    let raises = match all.get("raises") {
        None | Some(Value::Null) => None,
        Some(Value::String(class)) => Some(class.clone()),
        Some(_) => return Err(at(".expect.raises", "a text or null")),
    };
    let sent = match all.get("sent") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(sent)) if sent.iter().all(Value::is_object) => sent.clone(),
        Some(_) => return Err(at(".expect.sent", "a list of objects")),
    };
    let returns = all.get("returns").cloned().unwrap_or_default();
    let state = all.get("state").filter(|state| !state.is_null()).cloned();
    Ok(Step { action: Action { op, args }, expect: Expect { returns, raises, sent, state, all } })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"id":"a","unit":"u","oracle":{"kind":"negative","until":1,"hazards":["H1"]},"setup":{},"steps":[{"op":"x","args":{"n":1},"expect":{"returns":true,"raises":null,"sent":[{"conn":"c"}]}}]}"#;

    #[test]
    fn a_case_is_read_whole() {
        let cases = read(&format!("{GOOD}\n\n")).expect("well formed");
        assert_eq!(cases.len(), 1);
        assert_eq!(cases[0].oracle.kind, OracleKind::Negative);
        assert_eq!(cases[0].steps[0].action.arg("n"), &Value::from(1));
        assert_eq!(cases[0].steps[0].expect.sent.len(), 1);
    }

    #[test]
    fn brackets_in_texts_are_no_nesting() {
        let brackets = format!("\"\\\"{}\"", "[".repeat(50_000));
        let cases = read(&GOOD.replace("{\"n\":1}", &format!("{{\"n\":{brackets}}}"))).expect("well formed");
        assert_eq!(cases[0].steps[0].action.text("n").map(str::len), Some(50_001));
    }

    #[test]
    fn what_is_wrong_is_named_with_line_and_field() {
        let table = [
            (GOOD.replace("\"negative\"", "\"wrong\""), "oracle.kind"),
            (GOOD.replace("\"until\":1", "\"until\":2"), "oracle.until"),
            (GOOD.replace("\"op\":\"x\"", "\"op\":7"), "steps[0].op"),
            (GOOD.replace("{\"conn\":\"c\"}", "5"), "steps[0].expect.sent"),
            (GOOD.replace("\"id\":\"a\",", ""), "id"),
            ("[1]".to_owned(), ""),
            (GOOD[..GOOD.len() - 9].to_owned(), ""),
            (GOOD.replace("\"negative\"", "\"verdict\""), "intended"),
            (
                GOOD.replace("{\"n\":1}", "{\"seconds\":1e30}").replace("\"x\"", "\"advance\""),
                "steps[0].args.seconds",
            ),
            (GOOD.to_owned(), "id"),
            ("[".repeat(50_000), ""),
        ];
        for (bad, field) in table {
            let error = read(&format!("{GOOD}\n{bad}")).expect_err("malformed");
            assert_eq!((error.line, error.field.as_str()), (2, field), "{error}");
        }
    }
}
