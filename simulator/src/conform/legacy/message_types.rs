//! Recorded cases of `message_types` on the model of that name.

use serde_json::{Map, Value as Json};

use super::{Played, Player, PythonOnly};
use crate::{
    conform::Action,
    legacy::{
        Hazards,
        message_types::{
            self as model, Given, MessageType,
            build::{self, ServerArguments, StandardArguments},
            json_rpc, timestamp,
        },
        python::{Dict, Raised, Value},
    },
};

/// The clock, which recordings do not show.
const NOW: f64 = 1_700_000_000.0;
/// Recordings cut the texts of exceptions at this many characters.
const TEXT_CHARS_MAX: usize = 160;

pub(super) fn open(_setup: &Map<String, Json>, hazards: Hazards) -> Result<Box<dyn Player>, PythonOnly> {
    Ok(Box::new(MessageTypes { hazards, issued: 0 }))
}

struct MessageTypes {
    hazards: Hazards,
    /// Ids given so far.
    issued: u32,
}

impl Player for MessageTypes {
    fn play(&mut self, action: &Action) -> Result<Played, PythonOnly> {
        let returned = self.call(action).ok_or(PythonOnly("an operation that nobody recorded"))?;
        Ok(match returned {
            Ok(value) => {
                let returned = value.to_recorded();
                let issues = matches!(action.op.as_str(), "standard_message" | "default_message");
                Played::returned(if issues { without_ids(returned) } else { returned })
            }
            Err(raised) => played(&raised),
        })
    }
}

/// An exception as recordings hold it.
pub(super) fn played(raised: &Raised) -> Played {
    let text = if raised.text.chars().count() > TEXT_CHARS_MAX {
        let kept: String = raised.text.chars().take(TEXT_CHARS_MAX).collect();
        serde_json::json!({ "$prefix": kept })
    } else {
        Json::from(raised.text.as_str())
    };
    let played = Played::raised(raised.class.as_str());
    if raised.text.is_empty() { played } else { played.member("raises_message", text) }
}

impl MessageTypes {
    /// `None`: there is no such operation.
    fn call(&mut self, action: &Action) -> Option<Result<Value, Raised>> {
        let hazards = self.hazards;
        let argument = |name: &str| Value::from_recorded(action.arg(name));
        let (value, message) = (argument("value"), argument("message"));
        let given = given(action.arg("value"), &value);
        self.issued += 1;
        let id = self.issued.to_string();
        Some(match action.op.as_str() {
            "normalize" => model::normalise(given).map(|kind| kind.wire().into()),
            "frontend_type" => model::frontend(given, hazards).map(Value::from),
            "is_unknown" => model::is_unknown(given).map(Value::from),
            "is_jsonrpc" => Ok(json_rpc::is_json_rpc(&message).into()),
            "convert_jsonrpc" => json_rpc::convert(&message, NOW, hazards),
            "validate_structure" => Ok(model::has_structure(&message).into()),
            "parse" => model::parse(action.text("text")?),
            "convert_timestamp" => timestamp::strict(&value, NOW, hazards).map(seconds),
            "safe_convert_timestamp" => {
                let fallback = action.args.get("fallback").and_then(Json::as_bool).unwrap_or(true);
                timestamp::lenient(&value, NOW, fallback, hazards).map(|at| at.map(seconds).into())
            }
            "validate_timestamp" => timestamp::is_valid(&value, hazards).map(Value::from),
            "server_message" => server_message(action),
            "error_message" => build::error_message(
                &argument("error_code"),
                &argument("error_message"),
                &argument("details"),
                &argument("suggestions"),
                NOW,
            ),
            "format_error" => {
                let (code, message) = (argument("error_code"), argument("error_message"));
                Ok(build::format_error(&code, &message, &argument("request_id"), NOW))
            }
            "standard_message" => standard_message(action, &id, hazards),
            "default_message" => {
                let (kind, user, thread) =
                    (argument("message_type"), argument("user_id"), argument("thread_id"));
                let given = self::given(action.arg("message_type"), &kind);
                build::default_message(given, [&user, &thread], &id, NOW)
            }
            "websocket_message" => typed(action.arg("fields")),
            "batch_config" => Ok(build::batch_config()),
            _ => return None,
        })
    }
}

/// Readings of the clock stand in recordings as such, all other times as they are.
fn seconds(seconds: f64) -> Value {
    if seconds == NOW { "<time>".into() } else { seconds.into() }
}

/// A member of the enumeration is recorded as an object of one key.
fn enumerated(recorded: &Json) -> Option<MessageType> {
    recorded.get("$enum").and_then(Json::as_str).and_then(MessageType::from_wire)
}

fn given<'a>(recorded: &Json, value: &'a Value) -> Given<'a> {
    enumerated(recorded).map_or(Given::Value(value), Given::Type)
}

fn server_message(action: &Action) -> Result<Value, Raised> {
    let argument = |name: &str| Value::from_recorded(action.arg(name));
    let (first, extra) = (argument("msg_type_or_dict"), argument("extra"));
    let arguments = ServerArguments {
        first: given(action.arg("msg_type_or_dict"), &first),
        data: &argument("data"),
        content: &argument("content"),
        correlation_id: &argument("correlation_id"),
        extra: extra.as_dict(),
    };
    build::server_message(&arguments, NOW)
}

fn standard_message(action: &Action, id: &str, hazards: Hazards) -> Result<Value, Raised> {
    let argument = |name: &str| Value::from_recorded(action.arg(name));
    let (one, other) = (argument("msg_type"), argument("message_type"));
    let (user, thread) = (argument("user_id"), argument("thread_id"));
    let arguments = StandardArguments {
        msg_type: given(action.arg("msg_type"), &one),
        message_type: given(action.arg("message_type"), &other),
        payload: &argument("payload"),
        content: &argument("content"),
        ids: [&user, &thread],
    };
    build::standard_message(&arguments, id, NOW, hazards)
}

fn typed(fields: &Json) -> Result<Value, Raised> {
    let members = Value::from_recorded(fields);
    let members = members.as_dict().cloned().unwrap_or_else(Dict::default);
    match fields.get("type").and_then(enumerated) {
        Some(kind) => build::typed_as(kind, &members),
        None => build::typed(&members),
    }
}

/// An id that was issued stands in a recording as `<id>`, or with the beginning of its name as `<id:msg>`.
fn without_ids(mut returned: Json) -> Json {
    if let Some(id) = returned.get_mut("message_id")
        && let Some(text) = id.as_str()
    {
        *id = Json::from(if text.starts_with("msg_") { "<id:msg>" } else { "<id>" });
    }
    returned
}
