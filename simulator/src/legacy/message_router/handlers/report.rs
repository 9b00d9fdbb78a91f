//! Handlers that count: messages that need no answer, JSON-RPC, errors.

use std::collections::BTreeMap;

use crate::legacy::{
    Hazard,
    message_router::{
        message::Message,
        reply,
        socket::live_or_double,
        task::{Context, Step},
    },
    message_types::MessageType,
    python::{Dict, Value, text},
};

/// Kinds of errors that are told apart, without H11.
const ERROR_KINDS_MAX: usize = 64;
/// The kind of all others.
const OTHER: &str = "other";

/// What they count.
#[derive(Debug, Default)]
pub(super) struct Reports {
    processed: i64,
    refused: i64,
    processed_at: Option<f64>,
    requests: i64,
    responses: i64,
    notifications: i64,
    failed: i64,
    errors: i64,
    error_at: Option<f64>,
    /// By the error's code, in the order of their first.
    error_kinds: BTreeMap<String, i64>,
}

impl Reports {
    /// Takes note of a message, and reads the beginning of its content, which must be a text or a list.
    ///
    /// H8: nobody hears of a content that is something else.
    pub(super) fn user_message(&mut self, message: &Message, cx: &mut Context<'_>) -> Step {
        self.processed += 1;
        self.processed_at = Some(cx.now());
        let bad = message.get("content").is_some_and(|content| content.slice_fault().is_some());
        if bad {
            self.refused += 1;
            if !cx.hazards.has(Hazard::H8) {
                reply::refuse("BAD_PAYLOAD", "content must be a text", "payload.content", cx);
            }
        }
        Step::returned(!bad)
    }

    pub(super) fn user_message_figures(&self) -> Value {
        Value::dict([
            ("processed", self.processed.into()),
            ("errors", self.refused.into()),
            ("last_message_time", self.processed_at.into()),
        ])
    }

    /// Answers a request that has an id; takes note of anything else.
    pub(super) fn json_rpc(&mut self, message: &Message, cx: &mut Context<'_>) -> Step {
        if message.kind == MessageType::JsonRpcResponse {
            self.responses += 1;
            return Step::returned(true);
        }
        if message.kind != MessageType::JsonRpcRequest {
            self.notifications += 1;
            return Step::returned(true);
        }
        self.requests += 1;
        let Some(id) = message.get("id").filter(|id| !id.is_none()) else { return Step::returned(true) };
        let result = Value::dict([
            ("status", "processed".into()),
            ("method", message.get("method").cloned().unwrap_or_else(|| "".into())),
        ]);
        let answer = Value::dict([("jsonrpc", "2.0".into()), ("result", result), ("id", id.clone())]);
        let sent = match live_or_double(cx.sockets.look(cx.conn), cx.hazards) {
            Ok(true) => cx.send_json(answer).is_ok(),
            // H16: an answer that nobody gets is a success.
            Ok(false) => return Step::returned(cx.hazards.has(Hazard::H16)),
            Err(_) => false,
        };
        self.failed += i64::from(!sent);
        Step::returned(sent)
    }

    pub(super) fn json_rpc_figures(&self) -> Value {
        Value::dict([
            ("requests", self.requests.into()),
            ("responses", self.responses.into()),
            ("notifications", self.notifications.into()),
            ("errors", self.failed.into()),
        ])
    }

    /// Counts an error by its code, and acknowledges it.
    ///
    /// H11: the client names the code, and each is kept for ever.
    pub(super) fn error(&mut self, message: &Message, cx: &mut Context<'_>) -> Step {
        self.errors += 1;
        self.error_at = Some(cx.now());
        let code = message.get("error_code").cloned().unwrap_or_else(|| "UNKNOWN".into());
        if !code.is_hashable() {
            return Step::returned(false);
        }
        let mut kind = text::str(&code);
        let new = !self.error_kinds.contains_key(&kind);
        if new && self.error_kinds.len() >= ERROR_KINDS_MAX && !cx.hazards.has(Hazard::H11) {
            OTHER.clone_into(&mut kind);
        }
        *self.error_kinds.entry(kind).or_default() += 1;
        let data = [
            ("content", "Error received and logged".into()),
            ("error_code", code),
            ("status", "acknowledged".into()),
        ];
        let reply = reply::server(MessageType::SystemMessage, data, cx.now());
        Step::returned(match live_or_double(cx.sockets.look(cx.conn), cx.hazards) {
            Ok(true) => cx.send_json(reply).is_ok(),
            Ok(false) => cx.hazards.has(Hazard::H16),
            Err(_) => false,
        })
    }

    pub(super) fn error_figures(&self) -> Value {
        let mut kinds = Dict::default();
        for (kind, count) in &self.error_kinds {
            kinds.set(kind.clone(), *count);
        }
        Value::dict([
            ("total_errors", self.errors.into()),
            ("error_types", kinds.into()),
            ("last_error_time", self.error_at.into()),
        ])
    }

    /// Kinds of errors that are told apart.
    pub(super) fn error_kinds(&self) -> usize {
        self.error_kinds.len()
    }
}
