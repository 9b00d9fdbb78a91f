//! JSON-RPC 2.0 (jsonrpc.org/specification): recognised by its own members, whatever `type` says.

use super::Message;
use crate::{
    contract::Effects,
    message::{Envelope, Kind, Raw},
    router::Router,
    stats::Outcome,
    wire,
};

/// The request is not a request.
const INVALID_REQUEST: (i32, &str) = (-32600, "Invalid Request");
/// A handler failed.
const INTERNAL_ERROR: (i32, &str) = (-32603, "Internal error");

/// The kind of a JSON-RPC message. One that names a version, but neither method nor result nor error, and no
/// `type` either, is a request that will be refused.
pub(crate) fn kind_of(envelope: &Envelope<'_>) -> Option<Kind> {
    if let Some(rpc) = envelope.json_rpc() {
        return Some(rpc.kind);
    }
    let version = envelope.jsonrpc?.text()?;
    (version == "2.0" && envelope.kind.is_none()).then_some(Kind::JsonrpcRequest)
}

/// The id of a request that wants an answer.
fn answered_id<'a>(message: Message<'a, '_>) -> Option<Raw<'a>> {
    message.payload().find("id").filter(|id| !id.is_null())
}

impl Router {
    pub(super) fn json_rpc(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let figures = &mut self.handlers.json_rpc;
        if message.kind == Kind::JsonrpcResponse {
            figures.responses += 1;
            return Outcome::Handled;
        }
        if message.kind == Kind::JsonrpcNotification {
            figures.notifications += 1;
            return Outcome::Handled;
        }
        let method = message.payload().find("method");
        // Without `type`, the message claimed to be JSON-RPC and nothing else.
        if method.is_none() && message.envelope.kind.is_none() {
            figures.errors += 1;
            let id = answered_id(message).filter(|id| !id.is_container());
            let frame = wire::json_rpc_error(&mut self.writer, INVALID_REQUEST, id);
            self.stats.frames.encoded += 1;
            self.reply(message.conn, frame, out);
            return Outcome::Rejected;
        }
        figures.requests += 1;
        if let Some(id) = answered_id(message) {
            let frame = wire::json_rpc_result(&mut self.writer, method, id);
            self.stats.frames.encoded += 1;
            self.reply(message.conn, frame, out);
        }
        Outcome::Handled
    }

    /// Answers a request whose handler failed in its own language; `false` when it is no such request.
    pub(super) fn json_rpc_failed(&mut self, message: Message<'_, '_>, out: &mut Effects) -> bool {
        let Some(id) = answered_id(message).filter(|_| message.kind == Kind::JsonrpcRequest) else {
            return false;
        };
        let frame = wire::json_rpc_error(&mut self.writer, INTERNAL_ERROR, Some(id));
        self.stats.frames.encoded += 1;
        self.reply(message.conn, frame, out);
        true
    }
}
