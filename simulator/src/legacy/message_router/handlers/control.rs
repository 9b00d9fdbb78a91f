//! Replies that need no memory: connections, typing, heartbeats, and what agents report.

use crate::legacy::{
    Hazard,
    message_router::{
        message::Message,
        reply::{self, Retry},
        socket::{Frame, live, live_or_double},
        task::{Context, Step},
    },
    message_types::MessageType,
    python::{Raised, Value},
};

/// Greets and says goodbye. A disconnect does not close the socket.
///
/// A user's id that cannot be cut for the log raises ahead of everything.
pub(super) fn connection(message: &Message, cx: &mut Context<'_>) -> Step {
    if let Some(fault) = cx.user.slice_fault() {
        return Step::Done(Err(Raised::kind(fault)));
    }
    let status = if message.kind == MessageType::Connect {
        "connected"
    } else if message.kind == MessageType::Disconnect {
        "disconnect_acknowledged"
    } else {
        return Step::returned(false);
    };
    let data = [("status", status.into()), ("user_id", cx.user.clone()), ("timestamp", cx.now().into())];
    let reply = reply::server(MessageType::SystemMessage, data, cx.now());
    Retry::new(Frame::Json(reply), reply::RETRIES).attempt(cx)
}

/// Acknowledges typing to whoever types, and tells nobody else.
pub(super) fn typing(message: &Message, cx: &mut Context<'_>) -> Step {
    let thread = match &message.thread_id {
        Some(thread) if !thread.is_empty() => thread.as_str().into(),
        _ => message.get("thread_id").cloned().unwrap_or_default(),
    };
    let data = [
        ("status", "typing_acknowledged".into()),
        ("type", message.kind.written(cx.hazards).into()),
        ("user_id", cx.user.clone()),
        ("thread_id", thread),
        ("timestamp", cx.now().into()),
    ];
    acknowledged(data, cx)
}

/// Acknowledges what an agent reports.
pub(super) fn agent(message: &Message, cx: &mut Context<'_>) -> Step {
    let data = [
        ("status", "agent_message_acknowledged".into()),
        ("original_type", message.kind.written(cx.hazards).into()),
        ("user_id", cx.user.clone()),
        ("timestamp", cx.now().into()),
    ];
    acknowledged(data, cx)
}

/// H16: on a dead socket nothing is sent, and that is a success.
fn acknowledged<const N: usize>(data: [(&str, Value); N], cx: &mut Context<'_>) -> Step {
    if !live(cx.sockets.look(cx.conn), cx.hazards) {
        return Step::returned(cx.hazards.has(Hazard::H16));
    }
    let reply = reply::server(MessageType::SystemMessage, data, cx.now());
    Step::returned(cx.send_json(reply).is_ok())
}

/// Answers pings and heartbeats; on a dead socket that is a failure.
pub(super) fn heartbeat(message: &Message, cx: &mut Context<'_>) -> Step {
    let now = cx.now();
    let reply = if message.kind == MessageType::Ping {
        let data = [("timestamp", now.into()), ("user_id", cx.user.clone())];
        reply::server(MessageType::Pong, data, now)
    } else if message.kind == MessageType::Heartbeat {
        let data = [("timestamp", now.into()), ("status", "healthy".into())];
        reply::server(MessageType::HeartbeatAck, data, now)
    } else {
        return Step::returned(true);
    };
    let open = live_or_double(cx.sockets.look(cx.conn), cx.hazards) == Ok(true);
    Step::returned(open && cx.send_json(reply).is_ok())
}
