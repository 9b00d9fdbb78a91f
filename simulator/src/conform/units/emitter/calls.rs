//! The named encoders of the old calls: which event, with which members, each call means.

use serde_json::{Map, Value, json};

use crate::conform::Action;

/// An event in terms of the canonical router.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) kind: Value,
    pub(super) data: Value,
}

/// `emitter-calls`: the emitter's methods.
pub(super) fn emitter(action: &Action) -> Option<Call> {
    let args = &action.args;
    let data = match action.op.as_str() {
        "emit"
        | "emit_via_critical"
        | "emit_auth_event"
        | "notify_custom"
        | "manager_emit"
        | "process_business_event" => {
            return Some(Call { kind: action.arg("event_type").clone(), data: action.arg("data").clone() });
        }
        "send_to_user" | "send_to_thread" => {
            let mut data = action.arg("message").as_object().cloned().unwrap_or_default();
            let kind = data.remove("type").unwrap_or_default();
            return Some(Call { kind, data: Value::Object(data) });
        }
        "notify_agent_started" => {
            let mut data = without(args, &["context", "metadata"]);
            data.insert("metadata".to_owned(), merged(args, &["metadata", "context"]));
            data
        }
        "notify_agent_thinking" => {
            let mut data = args.clone();
            let said = ["reasoning", "thought"].iter().any(|key| args.get(*key).is_some_and(truthy));
            if !said {
                data.insert("reasoning".to_owned(), json!("Agent is thinking..."));
            }
            data
        }
        "notify_tool_executing" | "notify_tool_completed" => args.clone(),
        // The result stands in its own member, and as before in the metadata.
        "notify_agent_completed" => {
            let mut data = args.clone();
            let mut metadata = merged(args, &["metadata", "result"]);
            if let Some(time) = args.get("execution_time_ms") {
                metadata["execution_time_ms"] = time.clone();
            }
            data.insert("metadata".to_owned(), metadata);
            data
        }
        "notify_agent_error" => with_default(args, "status", "error"),
        "notify_progress_update" => with_default(args, "message", ""),
        _ => return None,
    };
    let kind = action.op.trim_start_matches("notify_");
    Some(Call { kind: kind.into(), data: Value::Object(data) })
}

/// `bridge-calls`: the methods of the bridge, with the sentences it made for people.
pub(super) fn bridge(action: &Action) -> Option<Call> {
    let args = &action.args;
    let agent = args.get("agent_name").and_then(Value::as_str).unwrap_or("Agent").to_owned();
    let tool = action.text("tool_name").unwrap_or_default();
    let mut data = without(args, &["run_id", "trace_context", "event_type", "data", "event_data", "context"]);
    data.insert("agent_name".to_owned(), json!(agent));
    let mut say = |text: String| data.insert("message".to_owned(), Value::String(text));
    match action.op.as_str() {
        "notify_agent_started" => {
            say(format!("{agent} has started processing your request"));
            data.insert("context".to_owned(), args.get("context").cloned().unwrap_or(json!({})));
        }
        "notify_agent_thinking" => {}
        "notify_tool_executing" => _ = say(format!("{agent} is using {tool}")),
        "notify_tool_completed" => {
            say(format!("{agent} completed {tool}"));
            data.entry("result").or_insert(json!({}));
        }
        "notify_agent_completed" => _ = say(format!("{agent} has completed processing your request")),
        "notify_agent_error" => {
            say(format!("{agent} encountered an issue processing your request"));
            data.entry("error_context").or_insert(json!({}));
            let error = data.remove("error").unwrap_or_default();
            data.insert("error_message".to_owned(), error);
        }
        "notify_agent_death" => _ = data.entry("death_context").or_insert(json!({})),
        "notify_progress_update" => {
            let message = action.arg("progress").get("message").cloned();
            let progress = data.remove("progress").unwrap_or_default();
            data.insert("progress_data".to_owned(), progress);
            if let Some(message) = message {
                data.insert("message".to_owned(), message);
            }
        }
        "notify_custom" => {
            let kind = action.arg("notification_type").clone();
            let mut own = action.arg("data").as_object().cloned()?;
            own.insert("agent_name".to_owned(), json!(agent));
            return Some(Call { kind, data: Value::Object(own) });
        }
        "emit_agent_event" | "emit_event" => {
            let name = if action.op == "emit_event" { "event_data" } else { "data" };
            return Some(Call { kind: action.arg("event_type").clone(), data: action.arg(name).clone() });
        }
        _ => return None,
    }
    let kind = action.op.trim_start_matches("notify_");
    Some(Call { kind: kind.into(), data: Value::Object(data) })
}

fn without(args: &Map<String, Value>, keys: &[&str]) -> Map<String, Value> {
    args.iter()
        .filter(|(key, _)| !keys.contains(&key.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

/// The members of several arguments; later ones win.
fn merged(args: &Map<String, Value>, keys: &[&str]) -> Value {
    let mut all = Map::new();
    for key in keys {
        if let Some(Value::Object(members)) = args.get(*key) {
            all.extend(members.clone());
        }
    }
    Value::Object(all)
}

fn with_default(args: &Map<String, Value>, key: &str, default: &str) -> Map<String, Value> {
    let mut data = args.clone();
    data.entry(key).or_insert_with(|| default.into());
    data
}

fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}
