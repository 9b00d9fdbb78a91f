//! A recorded event as the rules of the canonical form make it: written from the contract, on values, so that it
//! is a second opinion on the router's encoder.

use router::Tier;
use serde_json::{Map, Value, json};

/// Members that the canonical form adds.
pub(super) const ADDED: &[&str] = &[
    "user_id",
    "thread_id",
    "run_id",
    "request_id",
    "agent_name",
    "critical",
    "seq",
    "cursor",
    "status",
    "tool_call_id",
    "recovered",
    "truncated",
    "redacted",
    "metadata",
    "timestamp",
    "error_code",
    "error_message",
    "progress_data",
    "execution_time_ms",
];

/// A recorded event, brought into one flat object: the type, and the members.
pub(super) struct Flat {
    pub(super) kind: String,
    pub(super) members: Map<String, Value>,
    /// It was recorded above the wire.
    pub(super) above: bool,
    /// A `type` member that won over the event's type.
    pub(super) usurped: Option<Value>,
}

/// Reads the shapes that recordings have.
pub(super) fn flatten(message: &Value) -> Flat {
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    if let (Some(kind), Some(data)) = (message.get("event_type"), message.get("data")) {
        let mut members = object(data);
        let kind = kind.as_str().unwrap_or_default().to_owned();
        let usurped = members.remove("type").filter(|given| *given != Value::String(kind.clone()));
        return Flat { kind, members, above: true, usurped };
    }
    let whole = message.get("body").unwrap_or(message);
    let mut members = object(whole);
    let kind = members.remove("type").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
    let nested = message.get("body").is_some();
    if nested && let Some(Value::Object(data)) = members.remove("data") {
        members.extend(data);
        for beside in ["trace", "event_id", "message_id"] {
            members.remove(beside);
        }
    }
    Flat { kind, members, above: nested, usurped: None }
}

/// The event as it must leave the router.
pub(super) fn canonical(flat: &Flat, tier: Tier) -> Map<String, Value> {
    let mut event: Map<String, Value> = flat
        .members
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    event.remove("attempt");
    event.remove("critical");
    let golden = ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"];
    if golden.contains(&flat.kind.as_str()) {
        event.insert("critical".to_owned(), json!(true));
    }
    event.insert(
        "type".to_owned(),
        json!(if flat.kind == "agent_failed" { "agent_error" } else { &flat.kind }),
    );
    if let Some(Value::Object(metadata)) = event.get_mut("metadata") {
        metadata.insert("user_tier".to_owned(), json!(tier.name()));
        metadata.insert("is_priority_queue".to_owned(), json!(tier == Tier::Enterprise));
    }
    for (field, aliases, default) in own(&flat.kind) {
        let value = aliases.iter().find_map(|alias| event.get(*alias).cloned()).or(default);
        if let Some(value) = value {
            event.insert((*field).to_owned(), value);
        }
    }
    event
}

type Own = (&'static str, &'static [&'static str], Option<Value>);

/// Own members: the field, where its value is looked for, in that order, and the default.
fn own(kind: &str) -> Vec<Own> {
    match kind {
        "agent_started" => vec![
            ("agent_name", &["agent_name", "name"], Some(json!("unknown_agent"))),
            ("task_description", &["task_description", "task"], Some(json!("Processing request"))),
        ],
        "agent_thinking" => {
            vec![("reasoning", &["reasoning", "thought", "thinking"], Some(json!("Agent is processing...")))]
        }
        "tool_executing" => vec![
            ("tool_name", &["tool_name", "name"], Some(json!("unknown_tool"))),
            ("parameters", &["parameters", "params"], Some(json!({}))),
        ],
        "tool_completed" => vec![
            ("tool_name", &["tool_name", "name"], Some(json!("unknown_tool"))),
            ("results", &["results", "result", "output"], Some(json!({}))),
            ("duration", &["duration", "duration_ms", "elapsed_time"], Some(json!(0))),
            ("success", &["success"], Some(json!(true))),
        ],
        "agent_completed" => vec![
            ("status", &["status"], Some(json!("completed"))),
            ("final_response", &["final_response", "response", "result"], Some(json!("Task completed"))),
        ],
        _ => Vec::new(),
    }
}

/// Whether `observed` is `recorded`, cut or redacted as the sanitiser does it: reached by the same path.
pub(super) fn sanitised(recorded: &Value, observed: &Value) -> bool {
    match (recorded, observed) {
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| {
                    right.get(key).is_some_and(|seen| {
                        let secret = ["password", "secret", "key", "token", "auth", "credential"];
                        let lower = key.to_lowercase();
                        sanitised(value, seen)
                            || *seen == "[REDACTED]" && secret.iter().any(|word| lower.contains(word))
                    })
                })
        }
        (Value::Array(left), Value::Array(right)) if right.len() == 11 && left.len() > 10 => {
            right[10] == "...(truncated)" && left.iter().zip(&right[..10]).all(|(a, b)| sanitised(a, b))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| sanitised(a, b))
        }
        (Value::String(left), Value::String(right)) => {
            let cut = |limit: usize| {
                let begin: String = left.chars().take(limit).collect();
                left.chars().count() > limit && *right == format!("{begin}...")
            };
            left == right
                || [200, 300, 500, 1000].into_iter().any(cut)
                || *right
                    == ["/Users", "/home"]
                        .iter()
                        .fold(left.clone(), |text, home| text.replace(&format!("{home}/"), "[PATH]/"))
        }
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        _ => recorded == observed,
    }
}
