//! Replies to one connection: server messages, acknowledgements, errors, gaps.

use super::{Writer, shape};
use crate::{
    contract::{Frame, Instant},
    error::ErrorCode,
    message::{Fault, Kind, Raw},
};

/// Longest received type that an acknowledgement repeats, in characters.
const ECHO_CHARS_MAX: usize = 64;

/// The `data` of a server message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ServerData<'a> {
    Welcome {
        user: &'a str,
        node: &'a str,
        connection: u64,
        cursor: u64,
        development: bool,
        /// Cursors count over all nodes of a shared store.
        is_shared: bool,
        /// What was missed is not known yet, nor the cursor: the store cannot be reached.
        degraded: bool,
    },
    Pong {
        user: &'a str,
    },
    HeartbeatAck,
    Heartbeat {
        node: &'a str,
        connection: u64,
    },
    Connection {
        connected: bool,
        user: &'a str,
    },
    Typing {
        kind: Kind,
        user: &'a str,
        thread: Option<Raw<'a>>,
    },
    AgentAcknowledged {
        kind: Kind,
        user: &'a str,
    },
    /// `json`: the code itself when it is not a text.
    ErrorReceived {
        code: &'a str,
        json: Option<&'a str>,
    },
    /// The three answers to a task of an end-to-end test; `task` is a JSON value.
    Task {
        task: &'a str,
        step: u8,
    },
    NoAgents,
    TestAcknowledged {
        kind: Kind,
    },
}

/// `{type, data, timestamp, server_id, correlation_id}`.
pub(crate) fn server_message(w: &mut Writer, now: Instant, data: ServerData<'_>) -> Frame {
    let kind = match data {
        ServerData::Welcome { .. } => "connection_established",
        ServerData::Pong { .. } => "pong",
        ServerData::HeartbeatAck => "heartbeat_ack",
        ServerData::Heartbeat { .. } => "heartbeat",
        ServerData::Connection { .. }
        | ServerData::Typing { .. }
        | ServerData::AgentAcknowledged { .. }
        | ServerData::ErrorReceived { .. }
        | ServerData::TestAcknowledged { .. } => "system_message",
        ServerData::Task { step: 0, .. } => "agent_task_ack",
        ServerData::Task { step: 1, .. } => "agent_response_chunk",
        ServerData::Task { .. } => "agent_response_complete",
        ServerData::NoAgents => "agent_status_update",
    };
    shape::server_head(w, kind);
    write_data(w, now, data);
    shape::server_tail(w, now, None, None);
    Frame::copy_of(w.finish())
}

fn write_data(w: &mut Writer, now: Instant, data: ServerData<'_>) {
    match data {
        ServerData::Welcome { user, node, connection, cursor, development, is_shared, degraded } => {
            let prefix = user.char_indices().nth(8).map_or(user, |(at, _)| &user[..at]);
            w.raw("{\"mode\":\"main\",\"user_id\":");
            w.string(&alloc::format!("{prefix}..."));
            w.id(",\"connection_id\":", "conn", node, connection);
            w.raw(concat!(
                ",\"golden_path_events\":[\"agent_started\",\"agent_thinking\",\"tool_executing\",",
                "\"tool_completed\",\"agent_completed\"],\"features\":{\"resume\":true,\"development_token\":"
            ));
            w.raw(if development { "true" } else { "false" });
            w.raw(if is_shared { ",\"shared_log\":true}" } else { "}" });
            if degraded {
                w.raw(",\"degraded\":true");
            } else {
                w.number(",\"cursor\":", cursor);
            }
            w.iso(",\"timestamp\":", now);
            w.raw("}");
        }
        ServerData::Pong { user } => {
            w.unix_seconds("{\"timestamp\":", now);
            w.text(",\"user_id\":", user);
            w.raw("}");
        }
        ServerData::HeartbeatAck => {
            w.unix_seconds("{\"timestamp\":", now);
            w.raw(",\"status\":\"healthy\"}");
        }
        ServerData::Heartbeat { node, connection } => {
            w.id("{\"connection_id\":", "conn", node, connection);
            w.iso(",\"timestamp\":", now);
            w.raw("}");
        }
        ServerData::Connection { connected, user } => {
            w.text("{\"status\":", if connected { "connected" } else { "disconnect_acknowledged" });
            w.text(",\"user_id\":", user);
            w.unix_seconds(",\"timestamp\":", now);
            w.raw("}");
        }
        ServerData::Typing { kind, user, thread } => {
            w.text("{\"status\":\"typing_acknowledged\",\"type\":", kind.name());
            w.text(",\"user_id\":", user);
            w.raw(",\"thread_id\":");
            w.raw(thread.map_or("null", Raw::json));
            w.unix_seconds(",\"timestamp\":", now);
            w.raw("}");
        }
        ServerData::AgentAcknowledged { kind, user } => {
            w.text("{\"status\":\"agent_message_acknowledged\",\"original_type\":", kind.name());
            w.text(",\"user_id\":", user);
            w.unix_seconds(",\"timestamp\":", now);
            w.raw("}");
        }
        ServerData::ErrorReceived { code, json } => {
            w.raw("{\"content\":\"Error received and logged\",\"error_code\":");
            match json {
                Some(json) => w.raw(json),
                None => w.string(code),
            }
            w.raw(",\"status\":\"acknowledged\"}");
        }
        ServerData::Task { task, step } => {
            w.raw("{\"task_id\":");
            w.raw(task);
            w.raw(match step {
                0 => ",\"status\":\"acknowledged\"",
                1 => ",\"chunk\":\"Hello, this is a test response chunk\",\"chunk_index\":0",
                _ => ",\"status\":\"completed\",\"total_chunks\":1",
            });
            w.unix_seconds(",\"timestamp\":", now);
            w.raw("}");
        }
        ServerData::NoAgents => {
            w.unix_seconds("{\"active_agents\":[],\"total_agents\":0,\"timestamp\":", now);
            w.raw("}");
        }
        ServerData::TestAcknowledged { kind } => {
            w.text("{\"content\":\"Resilience test acknowledged\",\"original_type\":", kind.name());
            w.unix_seconds(",\"timestamp\":", now);
            w.raw("}");
        }
    }
}

/// The acknowledgement of a type that nobody knows; the type is cut at 64 characters.
pub(crate) fn ack(w: &mut Writer, now: Instant, received: &str, user: &str) -> Frame {
    let end = received.char_indices().nth(ECHO_CHARS_MAX).map_or(received.len(), |(at, _)| at);
    w.begin();
    w.text("{\"type\":\"ack\",\"received_type\":", &received[..end]);
    w.unix_seconds(",\"timestamp\":", now);
    w.text(",\"user_id\":", user);
    w.raw(",\"status\":\"acknowledged\"}");
    Frame::copy_of(w.finish())
}

/// The answer to a repeated message id; `run` while its run is open.
pub(crate) fn duplicate(
    w: &mut Writer,
    now: Instant,
    kind: Kind,
    user: &str,
    message_id: &str,
    run: Option<&str>,
) -> Frame {
    w.begin();
    w.text("{\"type\":\"ack\",\"received_type\":", kind.name());
    w.text(",\"status\":\"duplicate\",\"message_id\":", message_id);
    match run {
        Some(run) => w.text(",\"run_id\":", run),
        None => w.raw(",\"run_id\":null"),
    }
    w.text(",\"user_id\":", user);
    w.unix_seconds(",\"timestamp\":", now);
    w.raw("}");
    Frame::copy_of(w.finish())
}

/// The answer to `stop_agent`.
pub(crate) fn stopped<'r>(
    w: &mut Writer,
    now: Instant,
    runs: impl Iterator<Item = (&'r str, u64)>,
    thread: Option<&str>,
    user: &str,
) -> Frame {
    w.begin();
    w.raw("{\"type\":\"agent_stopped\",\"run_ids\":[");
    for (n, (node, run)) in runs.enumerate() {
        w.id(if n == 0 { "" } else { "," }, "run", node, run);
    }
    match thread {
        Some(thread) => w.text("],\"thread_id\":", thread),
        None => w.raw("],\"thread_id\":null"),
    }
    w.text(",\"user_id\":", user);
    w.unix_seconds(",\"timestamp\":", now);
    w.raw("}");
    Frame::copy_of(w.finish())
}

/// The answer to `subscribe` and `unsubscribe`.
pub(crate) fn subscription(w: &mut Writer, now: Instant, subscribed: bool, topic: &str) -> Frame {
    w.begin();
    w.text("{\"type\":", if subscribed { "subscribed" } else { "unsubscribed" });
    w.text(",\"topic\":", topic);
    w.unix_seconds(",\"timestamp\":", now);
    w.raw("}");
    Frame::copy_of(w.finish())
}

/// The answer to `resume`: what comes from here on is what came after the cursor.
pub(crate) fn resumed(w: &mut Writer, now: Instant, cursor: u64) -> Frame {
    w.begin();
    w.number("{\"type\":\"resumed\",\"cursor\":", cursor);
    w.unix_seconds(",\"timestamp\":", now);
    w.raw("}");
    Frame::copy_of(w.finish())
}

/// Announces cursors `from..=to` as gone.
pub(crate) fn gap(w: &mut Writer, now: Instant, from: u64, to: u64) -> Frame {
    w.begin();
    w.number("{\"type\":\"recovery_gap\",\"from\":", from);
    w.number(",\"to\":", to);
    w.unix_seconds(",\"timestamp\":", now);
    w.raw("}");
    Frame::copy_of(w.finish())
}

/// The one error frame. `limit` is what was exceeded; of a store that cannot be reached, when to try again.
pub(crate) fn error(
    w: &mut Writer,
    now: Instant,
    code: ErrorCode,
    fault: Option<&Fault>,
    limit: Option<u64>,
    message_id: Option<&str>,
) -> Frame {
    shape::error_head(w, code.name(), code.text());
    w.raw("{");
    let mut comma = "";
    let mut member = |w: &mut Writer, key: &str, text: &str| {
        w.raw(comma);
        comma = ",";
        w.text(key, text);
    };
    if let Some(fault) = fault {
        if !fault.path.is_empty() {
            member(w, "\"path\":", &fault.path);
        }
        if !fault.expected.is_empty() {
            member(w, "\"expected\":", fault.expected);
        }
    }
    if let Some(id) = message_id {
        member(w, "\"message_id\":", id);
    }
    if let Some(limit) = limit {
        w.raw(comma);
        let is_pause = code == ErrorCode::BackendUnavailable;
        w.number(if is_pause { "\"retry_after_ms\":" } else { "\"limit\":" }, limit);
    }
    w.raw("}");
    shape::error_tail(w, now, Some(&[code.suggestion()]));
    Frame::copy_of(w.finish())
}
