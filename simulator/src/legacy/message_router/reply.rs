//! Replies: the retrying sender, and the helpers of hosts.

use super::{
    socket::{Frame, live, live_or_double},
    task::{Context, Resume, SECOND_US, Step},
};
use crate::legacy::{
    Hazard,
    message_types::{MessageType, build},
    python::{Dict, Value},
};

/// Attempts after the first.
pub(super) const RETRIES: u32 = 2;
/// Longest pause between two attempts, in microseconds.
const PAUSE_US_MAX: u64 = SECOND_US;
/// Pause after the first failed attempt, in microseconds; it doubles.
const PAUSE_US: u64 = SECOND_US / 10;
/// Texts of failures after which there is no further attempt.
const HOPELESS: [&str; 2] = ["Need to call 'accept' first", "WebSocket is not connected"];

/// A frame that is sent until it goes, or attempts run out.
#[derive(Debug)]
pub(super) struct Retry {
    frame: Frame,
    retries: u32,
    failed: u32,
}

impl Retry {
    pub(super) fn new(frame: Frame, retries: u32) -> Self {
        Self { frame, retries, failed: 0 }
    }

    /// One attempt; false at the end of all of them.
    ///
    /// H19: a send that failed after the frame was handed on is repeated, and the client has it twice.
    pub(super) fn attempt(mut self, cx: &mut Context<'_>) -> Step {
        if self.failed == 0 && !live(cx.sockets.look(cx.conn), cx.hazards) {
            return Step::returned(false);
        }
        let Err(fault) = cx.send(self.frame.clone()) else { return Step::returned(true) };
        let raised = &fault.raised;
        let hopeless = raised.class == "WebSocketDisconnect"
            || raised.class == "RuntimeError" && HOPELESS.iter().any(|text| raised.text.contains(text));
        if fault.handed_on && !cx.hazards.has(Hazard::H19) {
            return Step::returned(true);
        }
        if hopeless || self.failed >= self.retries {
            return Step::returned(false);
        }
        let pause = (PAUSE_US << self.failed.min(16)).min(PAUSE_US_MAX);
        self.failed += 1;
        Step::Pause(pause, Resume::Retry(self))
    }
}

/// A server message with the data given.
pub(super) fn server<const N: usize>(kind: MessageType, data: [(&str, Value); N], now: f64) -> Value {
    build::server(kind, Dict::from(data), now)
}

/// The acknowledgement of a type that nobody knows; whether it was delivered.
pub(super) fn acknowledge(received: Value, cx: &mut Context<'_>) -> bool {
    let Ok(true) = live_or_double(cx.sockets.look(cx.conn), cx.hazards) else { return false };
    let ack = Value::dict([
        ("type", "ack".into()),
        ("received_type", received),
        ("timestamp", cx.now().into()),
        ("user_id", cx.user.clone()),
        ("status", "acknowledged".into()),
    ]);
    cx.send_json(ack).is_ok()
}

/// An error frame of a stable code, which the old router did not send (H8): best effort.
pub(super) fn refuse(code: &str, text: &str, path: &str, cx: &mut Context<'_>) {
    let mut details = Dict::default();
    if !path.is_empty() {
        details.set("path", path);
    }
    let (none, details) = (Value::None, Value::from(details));
    let error = build::error_message(&code.into(), &text.into(), &details, &none, cx.now());
    if let (Ok(error), true) = (error, live(cx.sockets.look(cx.conn), cx.hazards)) {
        // Whether it arrives decides nothing: the message is refused either way.
        let _undelivered = cx.send_json(error);
    }
}

/// Sends an error message; false for a blank code or text, a dead socket, a failed send.
pub(super) fn send_error(code: &Value, text: &Value, details: &Value, cx: &mut Context<'_>) -> bool {
    let Ok(true) = live_or_double(cx.sockets.look(cx.conn), cx.hazards) else { return false };
    let error = build::error_message(code, text, details, &Value::None, cx.now());
    error.is_ok_and(|error| cx.send_json(error).is_ok())
}

/// Sends a system message of a content and more data, which may overwrite the content.
pub(super) fn send_system(content: &Value, more: &Value, cx: &mut Context<'_>) -> bool {
    let Ok(true) = live_or_double(cx.sockets.look(cx.conn), cx.hazards) else { return false };
    let mut data = Dict::from([("content", content.clone())]);
    let Some(more) = more.as_dict().cloned().or_else(|| (!more.truthy()).then(Dict::default)) else {
        return false;
    };
    more.iter().for_each(|(key, value)| data.set(key, value.clone()));
    cx.send_json(build::server(MessageType::SystemMessage, data, cx.now())).is_ok()
}
