//! What things are called in a diagram: a few words each.

use router::AgentEvent;
use serde::Deserialize;

use crate::dialect::{Dialect, FrameKind, Goldenpath};

/// Characters of a frame that is no message.
const HEAD: usize = 20;

/// A message of a client.
pub(super) fn of_text(text: &str) -> String {
    #[derive(Deserialize)]
    struct Said {
        #[serde(rename = "type")]
        type_name: String,
        message_id: Option<String>,
        user_id: Option<String>,
        run_id: Option<String>,
    }
    let Ok(said) = serde_json::from_str::<Said>(text) else { return head(text) };
    let mut words = vec![said.type_name];
    words.extend(said.message_id);
    words.extend(said.run_id);
    words.extend(said.user_id.map(|user| format!("as {}", name_of(&user))));
    words.join(" ")
}

/// A frame for the client of a user. Whom it belongs to is said if that is somebody else.
pub(super) fn of_frame(text: &str, user_id: &str) -> String {
    let Ok(frame) = Goldenpath.decode(text) else { return head(text) };
    let mut words = match frame.kind {
        FrameKind::Welcome { .. } => return "welcome".to_owned(),
        FrameKind::Event(event) => vec![event.name()],
        FrameKind::Error { code } => vec!["error", code],
        FrameKind::Ack { status } => vec!["ack", status],
        FrameKind::Gap { .. }
        | FrameKind::Notice { .. }
        | FrameKind::Letters
        | FrameKind::Pong
        | FrameKind::Heartbeat
        | FrameKind::HeartbeatAck
        | FrameKind::Stopped
        | FrameKind::System
        | FrameKind::Quality
        | FrameKind::Other => vec![frame.type_name],
    };
    let foreign = !frame.user_id.is_empty() && !user_id.is_empty() && frame.user_id != user_id;
    let owner = format!("of {}", name_of(frame.user_id));
    if foreign {
        words.push(&owner);
    }
    words.extend([frame.request_id, frame.error_code].into_iter().filter(|word| !word.is_empty()));
    if frame.recovered {
        words.push("recovered");
    }
    words.dedup();
    words.join(" ")
}

/// What an agent reports.
pub(super) fn of_agent(run: &str, event: &AgentEvent<'_>) -> String {
    let what = match event {
        AgentEvent::Data { kind, .. } => kind,
        AgentEvent::Started { .. } => "started",
        AgentEvent::Thinking { .. } => "thinking",
        AgentEvent::Progress { .. } => "progress",
        AgentEvent::ToolExecuting { tool, .. } => return format!("{run} tool {tool}"),
        AgentEvent::ToolCompleted { status, .. } => return format!("{run} tool {}", status.name()),
        AgentEvent::Completed { .. } => "answer",
        AgentEvent::Failed { .. } => "fails",
    };
    format!("{run} {what}")
}

/// The number in `user-000123-9f3c`.
pub(super) fn number(user_id: &str) -> Option<u32> {
    user_id.strip_prefix("user-")?.split('-').next()?.parse().ok()
}

fn name_of(user_id: &str) -> String {
    number(user_id).map_or_else(|| user_id.to_owned(), |number| format!("user {number}"))
}

fn head(text: &str) -> String {
    let short: String = text.chars().take(HEAD).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_messages_have_short_names() {
        let event = r#"{"type":"agent_started","user_id":"user-000005-2bda","request_id":"m0001","seq":1,"cursor":1}"#;
        assert_eq!(of_frame(event, "user-000005-2bda"), "agent_started m0001");
        assert_eq!(of_frame(event, "user-000000-5069"), "agent_started of user 5 m0001");
        let error = r#"{"type":"error_message","error_code":"TOO_DEEP"}"#;
        assert_eq!(of_frame(error, ""), "error TOO_DEEP");
        let said = r#"{"type":"chat","payload":{"content":"x"},"thread_id":"t","message_id":"m0001"}"#;
        assert_eq!(of_text(said), "chat m0001");
        assert_eq!(of_text("not json at all, and long"), "not json at all, and…");
        assert_eq!(number("user-000123-9f3c"), Some(123));
    }
}
