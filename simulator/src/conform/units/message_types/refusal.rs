//! Refusals: ours have types, the recorded ones are exceptions or silence.

use router::{
    ErrorCode,
    message::{Fault, TypeFault},
    wire::BuildFault,
};
use serde_json::{Value, json};

use crate::conform::{
    Action, Difference, Expect, Notes, Translation,
    decisions::{LIMITS, MALFORMED},
};

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A builder refused.
    Build(BuildFault),
    /// The checking pass refused, here or in a router.
    Code(ErrorCode),
    /// The router acknowledged a type that nobody knows.
    Acknowledged,
    /// The value is no JSON: there is nothing to hand in.
    NotJson,
    /// The argument has a type that the call does not take: it would not compile.
    WrongType,
    /// The router did what it never should; always a difference.
    Unmade,
}

impl Refusal {
    pub(super) const UNKNOWN_TYPE: Self = Self::Build(BuildFault::Type(TypeFault::Unknown));

    /// The refusal that an error frame names.
    pub(super) fn code(name: &str) -> Self {
        ErrorCode::ALL.into_iter().find(|code| code.name() == name).map_or(Self::Unmade, Self::Code)
    }

    /// Against a recorded exception: its class and the beginning of its text must fit.
    pub(super) fn compare(&self, class: &str, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let text = expect.all.get("raises_message").and_then(Value::as_str).unwrap_or_default();
        if *self != Refusal::Unmade && self.fits_class(class) && self.fits_text(text) {
            notes.translated(Translation::N5);
            return Vec::new();
        }
        vec![Difference::new("raises", json!([class, text]), format!("{self:?}"))]
    }

    fn fits_class(&self, class: &str) -> bool {
        match (class, self) {
            // The old models validated all members in one go.
            ("ValidationError", _) => true,
            // A wrong kind of value.
            ("TypeError", Refusal::Build(BuildFault::NotAnObject(_) | BuildFault::BadRequest)) => true,
            ("TypeError", Refusal::Code(code)) => *code == ErrorCode::BadField,
            ("TypeError" | "ValueError", Refusal::WrongType) => true,
            ("TypeError", _) => false,
            ("OverflowError", Refusal::Code(code)) => *code == ErrorCode::BadNumber,
            // A wrong value.
            ("ValueError", Refusal::Build(fault)) => {
                !matches!(fault, BuildFault::NotAnObject(_) | BuildFault::BadRequest)
            }
            ("ValueError", _) => true,
            _ => false,
        }
    }

    fn fits_text(&self, text: &str) -> bool {
        let is = |fault: &BuildFault| *self == Refusal::Build(fault.clone());
        let no_type = is(&BuildFault::Type(TypeFault::NotText)) || *self == Refusal::WrongType;
        let unknown = *self == Refusal::UNKNOWN_TYPE;
        // In a router, a type that is no text is acknowledged like an unknown one, or refused as a bad field.
        let over_the_wire = matches!(self, Refusal::Acknowledged | Refusal::Code(ErrorCode::BadField));
        type Fits<'a> = &'a dyn Fn() -> bool;
        let table: [(&str, Fits<'_>); 15] = [
            ("Message type must be string", &|| no_type || over_the_wire),
            ("Unknown message type", &|| unknown || over_the_wire),
            ("Invalid message type", &|| no_type || unknown),
            ("msg_type (or message_type) is required", &|| no_type),
            ("Legacy pattern requires 'type'", &|| is(&BuildFault::TypeMissing)),
            ("Standard pattern requires data", &|| is(&BuildFault::NotAnObject("data"))),
            ("Error code must be", &|| is(&BuildFault::Blank("error_code")) || *self == Refusal::WrongType),
            ("Error message must be", &|| {
                is(&BuildFault::Blank("error_message")) || *self == Refusal::WrongType
            }),
            ("Error details must be", &|| is(&BuildFault::NotAnObject("details"))),
            ("Recovery suggestion", &|| *self == Refusal::WrongType),
            ("Agent message type", &|| matches!(self, Refusal::Build(BuildFault::PayloadEmpty(_)))),
            ("unhashable type", &|| over_the_wire),
            ("int too large", &|| *self == Refusal::Code(ErrorCode::BadNumber)),
            ("Exceeds the limit", &|| {
                matches!(self, Refusal::Code(ErrorCode::BadNumber | ErrorCode::NotAnObject))
            }),
            ("", &|| true),
        ];
        table.iter().find(|(prefix, _)| text.starts_with(prefix)).is_some_and(|(_, fits)| fits())
    }

    /// Against a recorded answer: "no" may have become a refusal, and some values have limits now.
    pub(super) fn compare_with_answer(
        &self,
        action: &Action,
        expect: &Expect,
        notes: &mut Notes,
    ) -> Vec<Difference> {
        let answer = &expect.returns;
        let said_no = answer.is_null() || *answer == Value::Bool(false);
        let decision = match self {
            Refusal::Code(ErrorCode::JsonParseError | ErrorCode::NotAnObject) if said_no => {
                notes.translated(Translation::N8);
                return Vec::new();
            }
            // What was read was no object, and a frame is one.
            Refusal::Code(ErrorCode::NotAnObject) if action.op == "parse" && !answer.is_object() => MALFORMED,
            // A type that is a list or an object.
            Refusal::Code(ErrorCode::BadField) if is_container(&action.arg("message")["type"]) => MALFORMED,
            // JSON has no such number, or a lone surrogate.
            Refusal::NotJson | Refusal::Code(ErrorCode::JsonParseError)
                if holds_no_number(answer)
                    || action.args.values().any(holds_no_number)
                    || is_lone(action) =>
            {
                LIMITS
            }
            // In a text, `1e400` was read as infinite; elsewhere an integer may have too many digits.
            Refusal::Code(ErrorCode::BadNumber)
                if holds_no_number(answer) || action.args.values().any(has_many_digits) =>
            {
                LIMITS
            }
            Refusal::Code(ErrorCode::TooDeep) if depth(answer) > router::message::NESTING_MAX => LIMITS,
            Refusal::Build(_)
            | Refusal::Code(_)
            | Refusal::Acknowledged
            | Refusal::NotJson
            | Refusal::WrongType
            | Refusal::Unmade => {
                return vec![Difference::new("returns", answer.clone(), format!("refused: {self:?}"))];
            }
        };
        notes.decided(decision);
        Vec::new()
    }
}

impl From<BuildFault> for Refusal {
    fn from(fault: BuildFault) -> Self {
        Self::Build(fault)
    }
}

impl From<TypeFault> for Refusal {
    fn from(fault: TypeFault) -> Self {
        Self::Build(fault.into())
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Code(fault.code)
    }
}

const fn is_container(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}

/// Whether there is a number in it that JSON has not.
fn holds_no_number(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.contains_key("$float") || members.values().any(holds_no_number),
        Value::Array(list) => list.iter().any(holds_no_number),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Whether there is an integer of more digits than a frame may have, or a text of so many digits.
fn has_many_digits(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(key, value)| {
            let digits = value.as_str().filter(|_| key == "$int").map_or(0, str::len);
            digits > router::message::MAX_NUMBER_DIGITS || has_many_digits(value)
        }),
        Value::Array(list) => list.iter().any(has_many_digits),
        Value::String(text) => text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 64),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether a text to be read holds half of a surrogate pair.
fn is_lone(action: &Action) -> bool {
    action.text("text").is_some_and(|text| text.to_ascii_lowercase().contains("\\ud"))
}

fn depth(value: &Value) -> u32 {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}
