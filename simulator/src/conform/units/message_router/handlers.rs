//! Handlers of a recording as custom handlers of the host.

use std::sync::{Arc, Mutex, PoisonError};

use router::{
    Handler, HandlerFault, Incoming, KindSet, Replies,
    handlers::{Described, DescriptionError},
};
use serde_json::{Map, Value, json};

/// What a custom handler was given.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) handler: String,
    pub(super) user: String,
    pub(super) kind: &'static str,
    pub(super) payload: Value,
    pub(super) timestamp: f64,
    pub(super) arrived: f64,
    pub(super) message_id: Option<String>,
    pub(super) thread_id: Option<String>,
}

impl Call {
    pub(super) fn show(&self) -> Value {
        json!({
            "handler": self.handler, "user": self.user, "type": self.kind, "payload": self.payload,
            "timestamp": self.timestamp, "message_id": self.message_id, "thread_id": self.thread_id,
        })
    }
}

/// Calls since it was last read.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Call>>>);

impl Log {
    pub(super) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, call: Call) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

/// A described handler that writes down what it is given.
#[derive(Debug)]
pub(super) struct Watched {
    label: String,
    described: Described,
    log: Log,
}

impl Watched {
    /// Reads a handler's recorded definition.
    pub(super) fn new(definition: &Value, log: &Log) -> Result<Self, DescriptionError> {
        let described = Described::from_json(&description(definition).to_string())?;
        let label = definition["id"].as_str().unwrap_or_default().to_owned();
        Ok(Self { label, described, log: log.clone() })
    }
}

impl Handler for Watched {
    fn name(&self) -> &str {
        &self.described.name
    }

    fn accepts(&self) -> KindSet {
        self.described.accepts
    }

    fn wants(&self, incoming: &Incoming<'_>) -> Result<bool, HandlerFault> {
        self.described.wants(incoming)
    }

    fn handle(&mut self, incoming: &Incoming<'_>, replies: &mut Replies<'_>) -> Result<(), HandlerFault> {
        self.log.add(Call {
            handler: self.label.clone(),
            user: incoming.user().to_owned(),
            kind: incoming.kind().name(),
            payload: serde_json::from_str(incoming.payload()).unwrap_or_default(),
            timestamp: incoming.sent_at().as_micros() as f64 / 1e6,
            arrived: incoming.arrived().as_micros() as f64 / 1e6,
            message_id: incoming.message_id().map(|id| id.into_owned()),
            thread_id: incoming.thread_id().map(|id| id.into_owned()),
        });
        self.described.handle(incoming, replies)
    }

    fn figures(&self) -> Option<String> {
        self.described.figures()
    }
}

/// A recorded definition in the words of our descriptions. What was no handler is no description either.
fn description(definition: &Value) -> Value {
    if definition["kind"] == "invalid" {
        let mut whole = json!({"name": definition["name"], "accepts": "*", "then": "take"});
        let members = whole.as_object_mut();
        let without = |members: Option<&mut Map<String, Value>>, name: &str| members.map(|m| m.remove(name));
        match definition["shape"].as_str().unwrap_or_default() {
            "int" => return json!(5),
            "none" => return Value::Null,
            "dict" => return json!({}),
            "list" => return json!([]),
            "no_can_handle" => _ = without(members, "accepts"),
            "no_handle_message" => _ = without(members, "then"),
            "can_handle_not_callable" => whole["accepts"] = json!(5),
            "handle_message_not_callable" => whole["then"] = json!(5),
            // A function, a text, or anything else without members.
            shape => return json!(shape),
        }
        return whole;
    }
    let mut description = json!({"name": definition["name"], "accepts": definition["accepts"]});
    description["then"] = match (&definition["raises"], definition.get("returns")) {
        (Value::String(cause), _) => json!({"fail": cause}),
        (_, Some(Value::Bool(false))) => json!("refuse"),
        _ => json!("take"),
    };
    if definition["reply"].is_object() {
        description["reply"] = definition["reply"].clone();
        let seconds = definition["sleep"].as_f64().unwrap_or_default();
        description["delay_ms"] = json!((seconds * 1000.0).round() as u64);
    }
    if definition["can_handle_raises"].is_string() {
        description["wants"] = json!("fails");
    }
    if definition["stats"].is_object() {
        description["figures"] = definition["stats"].clone();
    }
    description
}

/// What the next message to the speaker makes it say to its sender.
#[derive(Clone, Debug, Default)]
pub(super) struct Speech(Arc<Mutex<Option<Said>>>);

/// One thing to say to one connection.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Frame(String),
    ServerMessage(String),
    /// Code, text, details.
    Error(String, String, String),
}

impl Speech {
    pub(super) fn set(&self, said: Said) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
    }
}

/// A handler of the host that says what it is told: the router's way to one connection.
#[derive(Debug)]
pub(super) struct Speaker(pub(super) Speech);

impl Handler for Speaker {
    fn name(&self) -> &'static str {
        "speaker"
    }

    fn accepts(&self) -> KindSet {
        KindSet::of(&[router::Kind::DirectMessage])
    }

    fn handle(&mut self, _: &Incoming<'_>, replies: &mut Replies<'_>) -> Result<(), HandlerFault> {
        let said = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let result = match said {
            None => Ok(()),
            Some(Said::Frame(json)) => replies.send(&json),
            Some(Said::ServerMessage(data)) => replies.server_message("system_message", &data),
            Some(Said::Error(code, text, details)) => replies.error(&code, &text, &details),
        };
        result.map_err(|error| HandlerFault::failed(error.to_string()))
    }
}
