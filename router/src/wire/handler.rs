//! Frames of the built-in handlers that are no server messages: JSON-RPC, batches, test echoes.

use super::Writer;
use crate::{
    contract::{Frame, Instant},
    message::{Kind, Raw},
};

/// The answer to a JSON-RPC request.
pub(crate) fn json_rpc_result(w: &mut Writer, method: Option<Raw<'_>>, id: Raw<'_>) -> Frame {
    w.begin();
    w.raw("{\"jsonrpc\":\"2.0\",\"result\":{\"status\":\"processed\",\"method\":");
    w.raw(method.map_or("\"\"", Raw::json));
    w.raw("},\"id\":");
    w.raw(id.json());
    w.raw("}");
    Frame::copy_of(w.finish())
}

/// A JSON-RPC error; without an id of its request, `null`.
pub(crate) fn json_rpc_error(w: &mut Writer, (code, text): (i32, &str), id: Option<Raw<'_>>) -> Frame {
    w.begin();
    w.raw("{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-");
    w.number("", u64::from(code.unsigned_abs()));
    w.text(",\"message\":", text);
    w.raw("},\"id\":");
    w.raw(id.map_or("null", Raw::json));
    w.raw("}");
    Frame::copy_of(w.finish())
}

/// One message of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchedMessage<'a> {
    pub(crate) kind: Kind,
    pub(crate) thread: Option<&'a str>,
    pub(crate) priority: i64,
    /// A JSON object.
    pub(crate) payload: &'a str,
}

/// Messages of a user's connection for the user's other connections.
pub(crate) fn batch<'a>(
    w: &mut Writer,
    now: Instant,
    node: &str,
    number: u64,
    messages: impl Iterator<Item = BatchedMessage<'a>>,
    user: &str,
) -> Frame {
    w.begin();
    w.id("{\"type\":\"batch\",\"batch_id\":", "batch", node, number);
    w.raw(",\"messages\":[");
    let mut count = 0;
    for message in messages {
        w.text(if count == 0 { "{\"type\":" } else { ",{\"type\":" }, message.kind.name());
        match message.thread {
            Some(thread) => w.text(",\"thread_id\":", thread),
            None => w.raw(",\"thread_id\":null"),
        }
        w.raw(if message.priority < 0 { ",\"priority\":-" } else { ",\"priority\":" });
        w.number("", message.priority.unsigned_abs());
        w.raw(",\"payload\":");
        w.raw(message.payload);
        w.raw("}");
        count += 1;
    }
    w.number("],\"size\":", count);
    w.text(",\"user_id\":", user);
    w.unix_seconds(",\"timestamp\":", now);
    w.raw("}");
    Frame::copy_of(w.finish())
}

/// The echo of a direct message to the first client of an end-to-end test.
pub(crate) fn direct_message(
    w: &mut Writer,
    now: Instant,
    id: Option<Raw<'_>>,
    text: Option<Raw<'_>>,
    target: Raw<'_>,
) -> Frame {
    w.begin();
    w.raw("{\"type\":\"direct_message\",\"message_id\":");
    w.raw(id.map_or("null", Raw::json));
    w.raw(",\"message\":");
    w.raw(text.map_or("\"\"", Raw::json));
    w.raw(",\"target_client\":");
    w.raw(target.json());
    w.unix_seconds(",\"timestamp\":", now);
    w.raw("}");
    Frame::copy_of(w.finish())
}
