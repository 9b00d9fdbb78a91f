//! Handlers of a recording: what each does is described, and what each was given is written down.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};

use super::{START_US, sockets::raised};
use crate::legacy::{
    message_router::{Handler, Message, Reaction},
    message_types::MessageType,
    python::{Raised, Value},
};

/// What handlers were given, in the form of a recording.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Json>>>);

impl Log {
    pub(super) fn take(&self) -> Vec<Json> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, call: Json) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

/// A described handler.
#[derive(Debug)]
pub(super) struct Watched {
    definition: Json,
    log: Log,
}

impl Watched {
    pub(super) fn new(definition: &Json, log: &Log) -> Self {
        Self { definition: definition.clone(), log: log.clone() }
    }
}

impl Handler for Watched {
    fn name(&self) -> &str {
        self.definition["name"].as_str().unwrap_or_default()
    }

    fn can_handle(&mut self, kind: MessageType) -> Result<Value, Raised> {
        if let Some(fault) = self.definition["can_handle_raises"].as_str() {
            return Err(raised(fault));
        }
        let accepts = &self.definition["accepts"];
        let listed = accepts.as_array().is_some_and(|kinds| kinds.iter().any(|name| name == kind.wire()));
        Ok((*accepts == "*" || listed).into())
    }

    fn handle(&mut self, user: &Value, message: &Message) -> Reaction {
        let text = |text: &Option<String>| text.as_deref().map_or(Json::Null, Json::from);
        // Within a case all readings of the clock are recorded as such.
        let read =
            message.timestamp >= START_US as f64 / 1e6 && message.timestamp < START_US as f64 / 1e6 + 3600.0;
        self.log.add(json!({
            "handler": self.definition["id"], "user": user.to_recorded(), "type": message.kind.wire(),
            "payload": message.payload.to_recorded(),
            "timestamp": if read { json!("<time>") } else { Value::Float(message.timestamp).to_recorded() },
            "message_id": text(&message.message_id), "message_user_id": text(&message.user_id),
            "thread_id": text(&message.thread_id),
        }));
        let definition = &self.definition;
        let returns = definition.get("returns").map_or(Value::Bool(true), Value::from_recorded);
        let seconds = definition["sleep"].as_f64().unwrap_or_default();
        Reaction {
            after_us: (seconds * 1e6).round() as u64,
            reply: definition.get("reply").filter(|reply| !reply.is_null()).map(Value::from_recorded),
            ask: None,
            returns: definition["raises"].as_str().map_or(Ok(returns), |fault| Err(raised(fault))),
        }
    }

    fn figures(&self) -> Option<Value> {
        self.definition.get("stats").map(Value::from_recorded)
    }
}

/// What the old language called the type of something that is no handler.
pub(super) fn type_name(definition: &Json) -> &str {
    match definition["shape"].as_str().unwrap_or_default() {
        "function" => "function",
        "string" => "str",
        "int" => "int",
        "none" => "NoneType",
        "dict" => "dict",
        "list" => "list",
        _ => definition["name"].as_str().unwrap_or_default(),
    }
}
