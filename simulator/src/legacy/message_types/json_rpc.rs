//! JSON-RPC in the envelope of messages.

use super::{MessageType, build};
use crate::legacy::{
    Hazard, Hazards,
    python::{Raised, Value},
};

/// Whether a value is JSON-RPC: its version is exactly the text `2.0`, and it has a method, a result or an error,
/// whatever their values.
pub fn is_json_rpc(value: &Value) -> bool {
    let Some(dict) = value.as_dict() else { return false };
    let version = dict.get("jsonrpc").and_then(Value::as_str);
    version == Some("2.0") && ["method", "result", "error"].iter().any(|key| dict.has(key))
}

/// Which of the three types it is, by its keys alone.
///
/// H23: a method makes a request, even one that asks for no answer.
///
/// # Errors
/// `TypeError` for what has no keys and is no text or list.
pub fn kind(value: &Value, hazards: Hazards) -> Result<MessageType, Raised> {
    let has = |key: &str| match value {
        Value::Dict(dict) => Ok(dict.has(key)),
        Value::List(list) => Ok(list.iter().any(|item| item.as_str() == Some(key))),
        Value::Str(text) => Ok(text.contains(key)),
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Big(_) | Value::Float(_) => {
            Err(Raised::kind(format!("argument of type '{}' is not iterable", value.type_name())))
        }
    };
    Ok(if has("method")? {
        let asks = hazards.has(Hazard::H23) || has("id")?;
        if asks { MessageType::JsonRpcRequest } else { MessageType::JsonRpcNotification }
    } else if has("result")? || has("error")? {
        MessageType::JsonRpcResponse
    } else {
        MessageType::JsonRpcNotification
    })
}

/// The message that carries it: the whole object is the payload, and no id is kept.
///
/// # Errors
/// As [`kind`], and `ValidationError` for what is no object.
pub fn convert(value: &Value, now: f64, hazards: Hazards) -> Result<Value, Raised> {
    let kind = kind(value, hazards)?;
    if value.as_dict().is_none() {
        return Err(Raised::invalid());
    }
    Ok(build::message(kind, value.clone(), Value::Float(now), [Value::None, Value::None, Value::None]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h23_a_method_without_an_id_is_taken_for_a_request() {
        let call = Value::dict([("jsonrpc", "2.0".into()), ("method", "m".into())]);
        assert!(is_json_rpc(&call));
        assert_eq!(kind(&call, Hazards::ALL), Ok(MessageType::JsonRpcRequest));
        let repaired = Hazards::ALL.without(Hazard::H23);
        assert_eq!(kind(&call, repaired), Ok(MessageType::JsonRpcNotification));
    }

    #[test]
    fn the_version_is_a_text() {
        let of = |version: Value| Value::dict([("jsonrpc", version), ("method", Value::None)]);
        assert!(is_json_rpc(&of("2.0".into())));
        assert!(!is_json_rpc(&of(Value::Float(2.0))));
        assert!(!is_json_rpc(&Value::dict([("jsonrpc", "2.0".into())])));
    }
}
