//! The recorded unit `message_types`: names, timestamps, JSON-RPC and constructors.
//!
//! What a client can say is said to a router over a socket; what a host builds is built with [`router::wire`]. An exception
//! of the recording stands for a refusal: its class and the beginning of its text say which, and ours has a type.

mod build;
mod refusal;
mod stamp;

use router::{
    Config, Kind,
    message::{self, JsonRpc, frontend_name},
};
use serde_json::{Map, Value, json, value::RawValue};

use self::{refusal::Refusal, stamp::Stamp};
use super::Unit;
use crate::conform::{
    Action, Difference, Expect, Inexpressible, Notes, Translation, compare,
    decisions::TIMESTAMPS,
    stage::{Line, Stage},
};

const USER: &str = "ada";
const SOCKET: &str = "socket";

/// Opens the unit with the set-up of a case.
pub(super) fn open(_setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    Ok(Box::new(MessageTypes { seen: Seen::Value(Value::Null) }))
}

struct MessageTypes {
    seen: Seen,
}

/// What an operation brought about.
#[derive(Debug)]
enum Seen {
    Value(Value),
    Stamp(Stamp),
    /// A message that was built; its timestamp may have been replaced.
    Message {
        message: Value,
        replaced: bool,
    },
    Refused(Refusal),
    /// Two names for one argument: no call of ours can be written like that.
    TwoNames,
    /// The limits of batches under their old names.
    Batching(Value),
}

impl From<Result<Value, Refusal>> for Seen {
    fn from(result: Result<Value, Refusal>) -> Self {
        result.map_or_else(Seen::Refused, Seen::Value)
    }
}

impl Unit for MessageTypes {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let value = action.arg("value");
        self.seen = match action.op.as_str() {
            "normalize" => normalised(value).into(),
            "is_unknown" => is_unknown(value).into(),
            "frontend_type" => outbound(value).into(),
            "is_jsonrpc" => {
                read(action.arg("message"), |envelope| json!(envelope.json_rpc().is_some())).into()
            }
            "validate_structure" => {
                read(action.arg("message"), |envelope| json!(envelope.kind.is_some())).into()
            }
            "parse" => parsed(action.text("text").unwrap_or_default()).into(),
            "convert_jsonrpc" => converted(action.arg("message")).into(),
            "convert_timestamp" | "safe_convert_timestamp" | "validate_timestamp" => {
                stamp::sent(value).map_or_else(Seen::Refused, Seen::Stamp)
            }
            "server_message" => build::server(action).into(),
            "error_message" => build::error(action).into(),
            "format_error" => build::nested(action).into(),
            "standard_message" if build::has_two_names(action) => Seen::TwoNames,
            "standard_message" => build::standard(action).into(),
            "default_message" => build::default(action).into(),
            "websocket_message" => build::typed(action.arg("fields")),
            "batch_config" => Seen::Batching(batching()),
            _ => return Err(Inexpressible("an operation that nobody recorded")),
        };
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        match (&self.seen, &expect.raises) {
            (Seen::TwoNames, _) => {
                notes.translated(Translation::N9);
                Vec::new()
            }
            (Seen::Batching(limits), _) => {
                // Compression, strategy and retries were never used by anything.
                notes.translated(Translation::N9);
                let kept = limits.as_object().into_iter().flatten();
                let recorded = kept.map(|(key, _)| (key.clone(), expect.returns[key].clone())).collect();
                let mut out = Vec::new();
                compare::values("returns", &Value::Object(recorded), limits, &[], notes, &mut out);
                out
            }
            (Seen::Refused(refusal), Some(class)) => refusal.compare(class, expect, notes),
            (Seen::Refused(refusal), None) => refusal.compare_with_answer(action, expect, notes),
            (Seen::Stamp(stamp), _) => stamp.compare(action, expect, notes),
            (Seen::Message { replaced: true, .. }, _) if !stamp::may_be_replaced(action, expect) => {
                vec![Difference::new("timestamp", expect.returns["timestamp"].clone(), "<replaced>")]
            }
            (Seen::Message { message, replaced }, raises) => {
                let mut recorded = expect.returns.clone();
                if *replaced {
                    notes.decided(TIMESTAMPS);
                    if raises.is_some() {
                        return Vec::new();
                    }
                    recorded["timestamp"] = json!(compare::TIME);
                }
                answers(&recorded, message, raises.as_deref(), notes)
            }
            (Seen::Value(value), raises) => answers(&expect.returns, value, raises.as_deref(), notes),
        }
    }

    fn show(&self) -> Value {
        match &self.seen {
            Seen::Value(value) => value.clone(),
            Seen::Stamp(stamp) => json!(format!("{stamp:?}")),
            Seen::Message { message, .. } => message.clone(),
            Seen::Refused(refusal) => json!(format!("refused: {refusal:?}")),
            Seen::TwoNames => json!("two names for one argument"),
            Seen::Batching(limits) => limits.clone(),
        }
    }
}

/// Compares two answers; an issued id stands in the recording as `<id>` or, with the beginning of its name, `<id:msg>`.
fn answers(recorded: &Value, seen: &Value, raises: Option<&str>, notes: &mut Notes) -> Vec<Difference> {
    if let Some(class) = raises {
        return vec![Difference::new("raises", class, seen.clone())];
    }
    let mut recorded = recorded.clone();
    if let Some(id) = recorded.get_mut("message_id")
        && let Some(prefix) = id.as_str().and_then(|id| id.strip_prefix("<id")?.strip_suffix('>'))
        && let Some(seen) = seen["message_id"].as_str()
        && seen.starts_with(prefix.trim_start_matches(':'))
    {
        *id = json!(seen);
    }
    let mut out = Vec::new();
    compare::values("returns", &recorded, seen, &[], notes, &mut out);
    out
}

/// A router with one connection.
fn stage() -> Result<Stage, Refusal> {
    let mut stage = Stage::new(Config::default()).map_err(|_| Refusal::Unmade)?;
    stage.connect(SOCKET, USER, Line::Up);
    Ok(stage)
}

/// Says a frame to a router, and what it answered first.
fn said(stage: &mut Stage, frame: &str) -> Result<Value, Refusal> {
    stage.begin();
    stage.text(SOCKET, frame);
    let answer = stage.sent().first().map(|sent| sent.message.clone()).unwrap_or_default();
    let stats = stage.router().stats();
    match answer["error_code"].as_str() {
        // An error about the frame itself; a kind that was counted is its handler's business.
        Some(code) if stats.inbound.rejected > 0 && stats.by_kind().next().is_none() => {
            Err(Refusal::code(code))
        }
        _ => Ok(answer),
    }
}

/// The kind under which a router counts a message of that type.
fn normalised(value: &Value) -> Result<Value, Refusal> {
    if let Some(kind) = typed_kind(value) {
        return kind.map(|kind| json!(kind.name()));
    }
    let mut stage = stage()?;
    said(&mut stage, &frame(&[("type", value)]))?;
    let kind = stage.router().stats().by_kind().next().map(|(name, _)| json!(name));
    kind.ok_or(Refusal::Acknowledged)
}

/// Whether a router counts the type under no kind; then it acknowledges it as one that nobody knows.
fn is_unknown(value: &Value) -> Result<Value, Refusal> {
    let mut stage = stage()?;
    let answer = said(&mut stage, &frame(&[("type", value)]))?;
    let unknown = stage.router().stats().by_kind().next().is_none();
    let acknowledged = answer["type"] == "ack" && answer["status"] == "acknowledged";
    if unknown && !acknowledged { Err(Refusal::Unmade) } else { Ok(json!(unknown)) }
}

fn outbound(value: &Value) -> Result<Value, Refusal> {
    if let Some(kind) = typed_kind(value) {
        return kind.map(|kind| json!(kind.frontend_name()));
    }
    match value.as_str() {
        Some(name) => frontend_name(name).map(|name| json!(name)).ok_or(Refusal::UNKNOWN_TYPE),
        None => Ok(Kind::from_json(&raw(value)?).map(|kind| json!(kind.frontend_name()))?),
    }
}

/// The kind that a typed argument is; `None` for any other value.
fn typed_kind(value: &Value) -> Option<Result<Kind, Refusal>> {
    let name = value.get("$enum")?.as_str()?;
    Some(canonical(name))
}

/// The kind of a canonical name: a typed constructor knows no aliases.
fn canonical(name: &str) -> Result<Kind, Refusal> {
    Kind::ALL.iter().find(|kind| kind.name() == name).copied().ok_or(Refusal::UNKNOWN_TYPE)
}

/// Reads a message with the checking pass.
fn read(message: &Value, look: impl Fn(&message::Envelope<'_>) -> Value) -> Result<Value, Refusal> {
    let text = text_of(message);
    Ok(look(&message::scan(&text, USER.as_bytes(), message::NESTING_MAX)?))
}

fn parsed(text: &str) -> Result<Value, Refusal> {
    let envelope = message::scan(text, USER.as_bytes(), message::NESTING_MAX)?;
    serde_json::from_str(envelope.top.json()).map_err(|_| Refusal::Unmade)
}

/// A JSON-RPC object as the message that it becomes.
fn converted(value: &Value) -> Result<Value, Refusal> {
    let text = text_of(value);
    let envelope = message::scan(&text, USER.as_bytes(), message::NESTING_MAX)?;
    let rpc = envelope.json_rpc().unwrap_or_else(|| JsonRpc::read(&envelope.top));
    let payload: &RawValue = serde_json::from_str(envelope.top.json()).map_err(|_| Refusal::Unmade)?;
    let message = router::wire::StandardMessage::new(rpc.kind).payload(payload)?;
    build::json_of(&message.timestamp(build::NOW).encode())
}

/// The default limits of batches, as the router has them.
fn batching() -> Value {
    let config = router::Config::default();
    json!({
        "max_batch_size": config.batch_messages_max,
        "max_wait_time": config.batch_wait_us as f64 / 1e6,
        "priority_threshold": config.batch_urgent_priority,
    })
}

/// A frame of these members.
fn frame(members: &[(&str, &Value)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(key, value)| format!("{}:{}", json!(key), text_of(value))).collect();
    format!("{{{}}}", members.join(","))
}

/// A recorded value as a client would write it: numbers that JSON has not, and typed values, too.
fn text_of(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let one = members.iter().next().filter(|_| members.len() == 1);
            match one.and_then(|(key, value)| Some((key.as_str(), value.as_str()?))) {
                Some(("$float", "nan")) => "NaN".to_owned(),
                Some(("$float", "inf")) => "Infinity".to_owned(),
                Some(("$float", "-inf")) => "-Infinity".to_owned(),
                Some(("$int", digits)) => digits.to_owned(),
                Some(("$enum", name)) => json!(name).to_string(),
                _ => {
                    let members: Vec<(&str, &Value)> =
                        members.iter().map(|(key, value)| (key.as_str(), value)).collect();
                    frame(&members)
                }
            }
        }
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(text_of).collect();
            format!("[{}]", list.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// A recorded value as JSON, if it can be.
fn raw(value: &Value) -> Result<Box<RawValue>, Refusal> {
    serde_json::from_str(&text_of(value)).map_err(|_| Refusal::NotJson)
}
