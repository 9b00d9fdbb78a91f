//! Messages that a host builds.

use router::{
    Instant, Kind,
    message::{Raw, parse_timestamp},
    wire::{ErrorMessage, ServerMessage, StandardMessage, nested_error},
};
use serde_json::{Value, value::RawValue};

use super::{Refusal, Seen, canonical, frame, raw, typed_kind};
use crate::conform::{Action, stage::START};

/// When all messages are built.
pub(super) const NOW: Instant = START;

/// A server message: of a type and data, of one flat object, or of content alone.
pub(super) fn server(action: &Action) -> Result<Value, Refusal> {
    let kind = action.arg("msg_type_or_dict");
    let content = Some(action.arg("data")).filter(|data| !data.is_null()).unwrap_or(action.arg("content"));
    let content_raw = raw(content)?;
    let flat_raw;
    let mut message = match (typed_kind(kind), kind) {
        (Some(kind), _) => ServerMessage::new(kind?).data(&content_raw)?,
        (None, Value::String(name)) => ServerMessage::named(name)?.data(&content_raw)?,
        (None, Value::Null) if !content.is_null() => {
            ServerMessage::new(Kind::SystemMessage).data(&content_raw)?
        }
        (None, kind) => {
            // A type that is neither of these can only stand in a flat object.
            flat_raw = if kind.is_object() { raw(kind)? } else { json_text(frame(&[("type", kind)]))? };
            ServerMessage::from_flat(&flat_raw)?
        }
    };
    let extra: Vec<(&String, Box<RawValue>)> = action
        .arg("extra")
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| raw(value).map(|value| (key, value)))
        .collect::<Result<_, _>>()?;
    for (key, value) in &extra {
        message = message.member(key, value)?;
    }
    if let Some(id) = text_or_null(action.arg("correlation_id"))? {
        message = message.correlation_id(id);
    }
    json_of(message.encode(NOW).as_str())
}

pub(super) fn error(action: &Action) -> Result<Value, Refusal> {
    let mut error = ErrorMessage::new(text(action.arg("error_code"))?, text(action.arg("error_message"))?)?;
    let details = raw(action.arg("details"))?;
    error = error.details(&details)?;
    let suggestions: Vec<&str> = match action.arg("suggestions") {
        Value::Null => Vec::new(),
        Value::Array(list) => list.iter().map(text).collect::<Result<_, _>>()?,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            return Err(Refusal::WrongType);
        }
    };
    if !action.arg("suggestions").is_null() {
        error = error.suggestions(&suggestions);
    }
    json_of(error.encode(NOW).as_str())
}

pub(super) fn nested(action: &Action) -> Result<Value, Refusal> {
    let request = text_or_null(action.arg("request_id"))?;
    let (code, message) = (text(action.arg("error_code"))?, text(action.arg("error_message"))?);
    json_of(nested_error(NOW, code, message, request).as_str())
}

/// Whether an argument is given under both of its old names.
pub(super) fn has_two_names(action: &Action) -> bool {
    [("msg_type", "message_type"), ("payload", "content")]
        .iter()
        .any(|(one, other)| !action.arg(one).is_null() && !action.arg(other).is_null())
}

/// A standard message, checked, stamped and named.
pub(super) fn standard(action: &Action) -> Result<Value, Refusal> {
    let kind = kind_of(either(action, "msg_type", "message_type"))?;
    let payload = either(action, "payload", "content");
    let payload_raw = raw(payload)?;
    let mut message = StandardMessage::new(kind).stamped(NOW, 1);
    if !payload.is_null() {
        message = message.payload(&payload_raw)?;
    }
    let message =
        with_ids(message, action.arg("message_id"), action.arg("user_id"), action.arg("thread_id"))?;
    json_of(&message.build()?)
}

/// A message of a type alone, stamped and named.
pub(super) fn default(action: &Action) -> Result<Value, Refusal> {
    let message = StandardMessage::new(kind_of(action.arg("message_type"))?).stamped(NOW, 1);
    let message = with_ids(message, &Value::Null, action.arg("user_id"), action.arg("thread_id"))?;
    json_of(&message.encode())
}

/// A message of typed members: no alias, nothing stamped, no rule beyond the types.
pub(super) fn typed(fields: &Value) -> Seen {
    typed_message(fields)
        .map_or_else(Seen::Refused, |(message, replaced)| Seen::Message { message, replaced })
}

fn typed_message(fields: &Value) -> Result<(Value, bool), Refusal> {
    let kind = match typed_kind(&fields["type"]) {
        Some(kind) => kind?,
        None => canonical(text(&fields["type"])?)?,
    };
    let (payload, timestamp) = (raw(&fields["payload"])?, raw(&fields["timestamp"])?);
    let mut message = StandardMessage::new(kind);
    if fields.get("payload").is_some() {
        message = message.payload(&payload)?;
    }
    let taken = parse_timestamp(Raw::from(&*timestamp));
    let replaced = taken.is_none() && !fields["timestamp"].is_null();
    if !fields["timestamp"].is_null() {
        message = message.timestamp(taken.unwrap_or(NOW));
    }
    let message = with_ids(message, &fields["message_id"], &fields["user_id"], &fields["thread_id"])?;
    Ok((json_of(&message.encode())?, replaced))
}

fn with_ids<'a>(
    mut message: StandardMessage<'a>,
    message_id: &'a Value,
    user_id: &'a Value,
    thread_id: &'a Value,
) -> Result<StandardMessage<'a>, Refusal> {
    if let Some(id) = text_or_null(message_id)? {
        message = message.message_id(id);
    }
    if let Some(id) = text_or_null(user_id)? {
        message = message.user_id(id);
    }
    if let Some(id) = text_or_null(thread_id)? {
        message = message.thread_id(id);
    }
    Ok(message)
}

fn kind_of(value: &Value) -> Result<Kind, Refusal> {
    typed_kind(value).unwrap_or_else(|| Ok(Kind::from_json(&raw(value)?)?))
}

/// An argument under one of its two old names.
fn either<'a>(action: &'a Action, one: &str, other: &str) -> &'a Value {
    if action.arg(one).is_null() { action.arg(other) } else { action.arg(one) }
}

fn text(value: &Value) -> Result<&str, Refusal> {
    value.as_str().ok_or(Refusal::WrongType)
}

fn text_or_null(value: &Value) -> Result<Option<&str>, Refusal> {
    if value.is_null() { Ok(None) } else { text(value).map(Some) }
}

fn json_text(text: String) -> Result<Box<RawValue>, Refusal> {
    RawValue::from_string(text).map_err(|_| Refusal::NotJson)
}

/// What was built, read back; it must be JSON.
pub(super) fn json_of(text: &str) -> Result<Value, Refusal> {
    serde_json::from_str(text).map_err(|_| Refusal::Unmade)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn two_names_for_one_argument_are_seen() {
        let args = |value: Value| Action {
            op: "standard_message".to_owned(),
            args: value.as_object().cloned().unwrap_or_default(),
        };
        assert!(has_two_names(&args(json!({"payload": {}, "content": {}}))));
        assert!(!has_two_names(&args(json!({"payload": {}, "message_type": "ping"}))));
    }
}
