//! Messages that a host builds.

use super::{Given, MessageType, normalise};
use crate::legacy::{
    Hazards,
    python::{Dict, Raised, Value, number, text},
};

/// Members that no payload may have.
const FORBIDDEN: [&str; 3] = ["forbidden_field", "another_violation", "invalid_field"];

/// A message in the envelope that handlers are given.
pub fn message(kind: MessageType, payload: Value, timestamp: Value, ids: [Value; 3]) -> Value {
    let [message_id, user_id, thread_id] = ids;
    Value::dict([
        ("type", kind.wire().into()),
        ("payload", payload),
        ("timestamp", timestamp),
        ("message_id", message_id),
        ("user_id", user_id),
        ("thread_id", thread_id),
    ])
}

/// The envelope of server messages.
pub fn server(kind: MessageType, data: Dict, now: f64) -> Value {
    server_with(kind, data, now, Value::None)
}

fn server_with(kind: MessageType, data: Dict, now: f64, correlation_id: Value) -> Value {
    Value::dict([
        ("type", kind.wire().into()),
        ("data", data.into()),
        ("timestamp", now.into()),
        ("server_id", Value::None),
        ("correlation_id", correlation_id),
    ])
}

/// Arguments of [`server_message`].
#[derive(Clone, Copy, Debug)]
pub struct ServerArguments<'a> {
    /// A type, or one flat object that holds type and data.
    pub first: Given<'a>,
    /// Data.
    pub data: &'a Value,
    /// Data under its other name.
    pub content: &'a Value,
    /// Correlation id.
    pub correlation_id: &'a Value,
    /// Members that are merged over the data.
    pub extra: Option<&'a Dict>,
}

/// A server message: of a type and data, of a flat object, or of content alone.
///
/// # Errors
/// `ValueError` for a type that is missing or unknown, `TypeError` for data that is no object.
pub fn server_message(arguments: &ServerArguments<'_>, now: f64) -> Result<Value, Raised> {
    let ServerArguments { first, data, content, correlation_id, extra } = arguments;
    let given = if data.is_none() { content } else { data };
    let system = Given::Type(MessageType::SystemMessage);
    let (given_type, mut members) = if let Given::Value(Value::Dict(flat)) = first {
        let Some(kind) = flat.get("type") else {
            let keys = flat.iter().map(|(key, _)| key).collect();
            return Err(Raised::value(format!(
                "Legacy pattern requires 'type' field in dictionary. Got dictionary keys: {}",
                text::repr(&keys)
            )));
        };
        let mut members = flat.clone();
        members.remove("type");
        (Given::Value(kind), members)
    } else {
        let content_only = matches!(first, Given::Value(Value::None)) && !content.is_none();
        (if content_only { system } else { *first }, data_of(given)?)
    };
    let kind = normalise(given_type).map_err(|raised| {
        let shown = match given_type {
            Given::Type(kind) => format!("MessageType.{}", kind.name()),
            Given::Value(value) => text::str(value),
        };
        Raised::value(format!(
            "Invalid message type '{shown}': {}. Use MessageType enum values or valid string types.",
            raised.text
        ))
    })?;
    for (key, value) in extra.iter().flat_map(|extra| extra.iter()) {
        members.set(key, value.clone());
    }
    Ok(server_with(kind, members, now, (*correlation_id).clone()))
}

/// A dictionary, empty for nothing.
fn dict_of(value: &Value) -> Option<Dict> {
    if value.is_none() { Some(Dict::default()) } else { value.as_dict().cloned() }
}

fn data_of(value: &Value) -> Result<Dict, Raised> {
    dict_of(value).ok_or_else(|| {
        Raised::kind(format!(
            "Standard pattern requires data to be a dictionary. Got <class '{}'>: {}",
            value.type_name(),
            text::str(value)
        ))
    })
}

/// An error message.
///
/// # Errors
/// `ValueError` for a blank code or text, `TypeError` for details or suggestions of another kind.
pub fn error_message(
    code: &Value,
    message: &Value,
    details: &Value,
    suggestions: &Value,
    now: f64,
) -> Result<Value, Raised> {
    for (value, name) in [(code, "Error code"), (message, "Error message")] {
        if value.as_str().is_none_or(|text| number::strip(text).is_empty()) {
            return Err(Raised::value(format!(
                "{name} must be a non-empty string, got <class '{}'>: {}",
                value.type_name(),
                text::str(value)
            )));
        }
    }
    let type_of = Value::type_name;
    let Some(details) = dict_of(details) else {
        let name = type_of(details);
        return Err(Raised::kind(format!("Error details must be a dictionary, got <class '{name}'>")));
    };
    if let Value::List(list) = suggestions {
        if let Some((n, item)) = list.iter().enumerate().find(|(_, item)| item.as_str().is_none()) {
            let name = type_of(item);
            let text = format!("Recovery suggestion {n} must be a string, got <class '{name}'>");
            return Err(Raised::kind(text));
        }
    } else if !suggestions.is_none() {
        let name = type_of(suggestions);
        return Err(Raised::kind(format!("Recovery suggestions must be a list, got <class '{name}'>")));
    }
    Ok(Value::dict([
        ("type", "error_message".into()),
        ("error_code", code.clone()),
        ("error_message", message.clone()),
        ("details", details.into()),
        ("timestamp", now.into()),
        ("recovery_suggestions", suggestions.clone()),
    ]))
}

/// The third shape of errors, which no router used.
pub fn format_error(code: &Value, message: &Value, request_id: &Value, now: f64) -> Value {
    let error =
        Value::dict([("code", code.clone()), ("message", message.clone()), ("timestamp", now.into())]);
    let mut dict = Dict::from([("type", "error".into()), ("error", error)]);
    if request_id.truthy() {
        dict.set("request_id", request_id.clone());
    }
    dict.into()
}

/// Arguments of [`standard_message`].
#[derive(Clone, Copy, Debug)]
pub struct StandardArguments<'a> {
    /// The type.
    pub msg_type: Given<'a>,
    /// The type under its other name.
    pub message_type: Given<'a>,
    /// The payload.
    pub payload: &'a Value,
    /// The payload under its other name.
    pub content: &'a Value,
    /// The user's id and the thread's.
    pub ids: [&'a Value; 2],
}

/// A message with a time and an id, its payload checked.
///
/// # Errors
/// `ValueError` and `TypeError` for what no message may be or hold.
pub fn standard_message(
    arguments: &StandardArguments<'_>,
    id: &str,
    now: f64,
    hazards: Hazards,
) -> Result<Value, Raised> {
    let StandardArguments { msg_type, message_type, payload, content, ids } = arguments;
    let is_given = |given: &Given<'_>| !matches!(given, Given::Value(Value::None));
    if is_given(msg_type) && is_given(message_type) {
        return Err(Raised::value("Cannot specify both msg_type and message_type parameters"));
    }
    if !payload.is_none() && !content.is_none() {
        return Err(Raised::value("Cannot specify both payload and content parameters"));
    }
    let given = if is_given(msg_type) { msg_type } else { message_type };
    if !is_given(given) {
        return Err(Raised::value("msg_type (or message_type) is required"));
    }
    let kind = normalise(*given)?;
    let payload = if payload.is_none() { content } else { payload };
    let Some(payload) = dict_of(payload) else {
        let name = payload.type_name();
        return Err(Raised::kind(format!("Payload must be a dictionary, got <class '{name}'>")));
    };
    check_payload(kind, &payload, hazards)?;
    let message_id = Value::from(format!("msg_{}_{id}", kind.wire()));
    let [user, thread] = ids.map(Clone::clone);
    Ok(message(kind, payload.into(), now.into(), [message_id, user, thread]))
}

fn check_payload(kind: MessageType, payload: &Dict, hazards: Hazards) -> Result<(), Raised> {
    if let Some(field) = FORBIDDEN.iter().find(|field| payload.has(field)) {
        return Err(Raised::value(format!(
            "Payload contains forbidden fields that violate SSOT: {{'{field}'}}"
        )));
    }
    if matches!(kind, MessageType::AgentRequest | MessageType::StartAgent) {
        if payload.is_empty() {
            let name = kind.written(hazards);
            let text = format!("Agent message type '{name}' requires non-empty payload");
            return Err(Raised::value(text));
        }
        if let Some(request) = payload.get("request")
            && !matches!(request, Value::Dict(_) | Value::Str(_))
        {
            let name = request.type_name();
            let text = format!("Agent message 'request' field must be dict or string, got <class '{name}'>");
            return Err(Raised::kind(text));
        }
    }
    match first_non_number(&payload.clone().into()) {
        Some(number) => {
            let name = if number.is_nan() { "NaN" } else { "infinity" };
            Err(Raised::value(format!("Payload contains {name} values that violate SSOT")))
        }
        None => Ok(()),
    }
}

fn first_non_number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => (!number.is_finite()).then_some(*number),
        Value::List(list) => list.iter().find_map(first_non_number),
        Value::Dict(dict) => dict.iter().find_map(|(_, value)| first_non_number(value)),
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Big(_) | Value::Str(_) => None,
    }
}

/// A message of a type alone, with a time and an id.
///
/// # Errors
/// As [`normalise`].
pub fn default_message(given: Given<'_>, ids: [&Value; 2], id: &str, now: f64) -> Result<Value, Raised> {
    let [user, thread] = ids.map(Clone::clone);
    Ok(message(normalise(given)?, Value::dict([]), now.into(), [id.into(), user, thread]))
}

/// A typed message of its members: no alias, nothing set, other members dropped.
///
/// # Errors
/// `ValidationError` for a member of another type.
pub fn typed(fields: &Dict) -> Result<Value, Raised> {
    let kind = fields.get("type").and_then(Value::as_str).and_then(MessageType::from_wire);
    typed_as(kind.ok_or_else(Raised::invalid)?, fields)
}

/// As [`typed`], of a type that is known already.
///
/// # Errors
/// As [`typed`].
pub fn typed_as(kind: MessageType, fields: &Dict) -> Result<Value, Raised> {
    let payload = match fields.get("payload") {
        None => Value::dict([]),
        Some(payload) if payload.as_dict().is_some() => payload.clone(),
        Some(_) => return Err(Raised::invalid()),
    };
    let timestamp = match fields.get("timestamp") {
        None | Some(Value::None) => Value::None,
        Some(value) => number::lenient_float(value).ok_or_else(Raised::invalid)?.into(),
    };
    let id = |name: &str| match fields.get(name) {
        None | Some(Value::None) => Ok(Value::None),
        Some(Value::Str(text)) => Ok(Value::from(text.as_str())),
        Some(_) => Err(Raised::invalid()),
    };
    Ok(message(kind, payload, timestamp, [id("message_id")?, id("user_id")?, id("thread_id")?]))
}

/// The settings of batches, most of which nothing used.
pub fn batch_config() -> Value {
    Value::dict([
        ("max_batch_size", Value::Int(10)),
        ("max_wait_time", 0.1.into()),
        ("strategy", "adaptive".into()),
        ("enable_compression", false.into()),
        ("retry_attempts", Value::Int(3)),
        ("retry_delay_seconds", 0.5.into()),
        ("priority_threshold", Value::Int(100)),
    ])
}
