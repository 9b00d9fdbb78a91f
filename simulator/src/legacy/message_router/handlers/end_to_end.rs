//! The handler for end-to-end tests, which routers did not register.

use std::collections::BTreeSet;

use crate::legacy::{
    Hazard, Hazards,
    message_router::{
        message::Message,
        reply,
        socket::Conn,
        task::{Context, Resume, SECOND_US, Step},
    },
    message_types::MessageType,
    python::Value,
};

/// Between two frames, in microseconds.
const PACE_US: u64 = SECOND_US / 10;

/// What it remembers.
#[derive(Debug, Default)]
pub(in crate::legacy::message_router) struct EndToEnd {
    /// Every socket that took part in a broadcast.
    sockets: BTreeSet<Conn>,
}

/// A task under way.
#[derive(Debug)]
pub(in crate::legacy::message_router) struct Task {
    task_id: Value,
    sent: usize,
}

impl EndToEnd {
    /// Never asks whether the socket is open; a failed send is a failure.
    pub(super) fn handle(&mut self, message: &Message, cx: &mut Context<'_>) -> Step {
        let now = cx.now();
        let get = |key: &str| message.get(key).cloned();
        let frame = match message.kind.wire() {
            "agent_task" => {
                let task_id = get("task_id").unwrap_or_else(|| "unknown".into());
                return Task { task_id, sent: 0 }.next(cx);
            }
            "agent_status_request" => {
                let data = [
                    ("active_agents", Value::List(Vec::new())),
                    ("total_agents", Value::Int(0)),
                    ("timestamp", now.into()),
                ];
                reply::server(MessageType::AgentStatusUpdate, data, now)
            }
            "direct_message" => {
                let target = get("target_client").unwrap_or_default();
                if !target.equals_int(1) {
                    return Step::returned(true);
                }
                Value::dict([
                    ("type", message.kind.wire().into()),
                    ("message_id", get("message_id").unwrap_or_default()),
                    ("message", get("message").unwrap_or_else(|| "".into())),
                    ("target_client", target),
                    ("timestamp", now.into()),
                ])
            }
            "resilience_test" | "recovery_test" => {
                let data = [
                    ("content", "Resilience test acknowledged".into()),
                    ("original_type", message.kind.written(cx.hazards).into()),
                    ("timestamp", now.into()),
                ];
                reply::server(MessageType::SystemMessage, data, now)
            }
            "broadcast_test" => {
                self.sockets.insert(cx.conn);
                return Step::returned(true);
            }
            _ => return Step::returned(false),
        };
        Step::returned(cx.send_json(frame).is_ok())
    }

    /// A connection is gone. H11: it is kept.
    pub(super) fn closed(&mut self, conn: Conn, hazards: Hazards) {
        if !hazards.has(Hazard::H11) {
            self.sockets.remove(&conn);
        }
    }

    /// Sockets it keeps.
    pub(super) fn sockets(&self) -> usize {
        self.sockets.len()
    }
}

impl Task {
    /// Sends the next frame of three.
    pub(in crate::legacy::message_router) fn next(mut self, cx: &mut Context<'_>) -> Step {
        let (now, id) = (cx.now(), ("task_id", self.task_id.clone()));
        let stamp = ("timestamp", now.into());
        let frame = match self.sent {
            0 => {
                let data = [id, ("status", "acknowledged".into()), stamp];
                reply::server(MessageType::AgentTaskAck, data, now)
            }
            1 => {
                let chunk = "Hello, this is a test response chunk".into();
                let data = [id, ("chunk", chunk), ("chunk_index", Value::Int(0)), stamp];
                reply::server(MessageType::AgentResponseChunk, data, now)
            }
            _ => {
                let data = [id, ("status", "completed".into()), ("total_chunks", Value::Int(1)), stamp];
                reply::server(MessageType::AgentResponseComplete, data, now)
            }
        };
        if cx.send_json(frame).is_err() {
            return Step::returned(false);
        }
        self.sent += 1;
        if self.sent == 3 { Step::returned(true) } else { Step::Pause(PACE_US, Resume::EndToEnd(self)) }
    }
}
