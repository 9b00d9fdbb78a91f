//! The types of messages, the names under which they came in, and those under which they went out.

use crate::legacy::{
    Hazard, Hazards,
    python::{Raised, Value},
};

macro_rules! types {
    ($($variant:ident = $wire:literal,)*) => {
        /// A type of message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum MessageType {
            $(#[doc = concat!("`", $wire, "`.")] $variant,)*
        }

        impl MessageType {
            /// All of them, in the order of the enumeration.
            pub const ALL: &'static [MessageType] = &[$(MessageType::$variant,)*];

            /// The name on the wire.
            pub const fn wire(self) -> &'static str {
                match self {
                    $(MessageType::$variant => $wire,)*
                }
            }
        }
    };
}

types! {
    Connect = "connect",
    Disconnect = "disconnect",
    ConnectionEstablished = "connection_established",
    Heartbeat = "heartbeat",
    HeartbeatAck = "heartbeat_ack",
    Ping = "ping",
    Pong = "pong",
    UserMessage = "user_message",
    Chat = "chat",
    SystemMessage = "system_message",
    ErrorMessage = "error_message",
    UserTyping = "user_typing",
    AgentTyping = "agent_typing",
    TypingStarted = "typing_started",
    TypingStopped = "typing_stopped",
    StartAgent = "start_agent",
    AgentStarted = "agent_started",
    AgentStart = "agent_start",
    AgentComplete = "agent_complete",
    AgentCompleted = "agent_completed",
    ToolExecute = "tool_execute",
    ToolExecuting = "tool_executing",
    ToolComplete = "tool_complete",
    ToolCompleted = "tool_completed",
    AgentRequest = "agent_request",
    AgentTask = "agent_task",
    AgentTaskAck = "agent_task_ack",
    AgentResponse = "agent_response",
    AgentResponseChunk = "agent_response_chunk",
    AgentResponseComplete = "agent_response_complete",
    AgentStatusRequest = "agent_status_request",
    AgentStatusUpdate = "agent_status_update",
    AgentProgress = "agent_progress",
    AgentThinking = "agent_thinking",
    AgentError = "agent_error",
    ThreadUpdate = "thread_update",
    ThreadMessage = "thread_message",
    Broadcast = "broadcast",
    BroadcastTest = "broadcast_test",
    DirectMessage = "direct_message",
    RoomMessage = "room_message",
    JsonRpcRequest = "jsonrpc_request",
    JsonRpcResponse = "jsonrpc_response",
    JsonRpcNotification = "jsonrpc_notification",
    ResilienceTest = "resilience_test",
    RecoveryTest = "recovery_test",
}

/// Other strings that were taken for a type.
const ALIASES: &[(&str, MessageType)] = &[
    ("connected", MessageType::Connect),
    ("user", MessageType::UserMessage),
    ("user_input", MessageType::UserMessage),
    ("chat_message", MessageType::UserMessage),
    ("message", MessageType::UserMessage),
    ("agent", MessageType::AgentRequest),
    ("agent_status", MessageType::AgentStatusUpdate),
    ("agent_update", MessageType::AgentStatusUpdate),
    ("agent_failed", MessageType::AgentError),
    ("agent_fallback", MessageType::AgentError),
    ("execute_agent", MessageType::StartAgent),
    ("EXECUTE_AGENT", MessageType::StartAgent),
    ("typing", MessageType::UserTyping),
    ("thread", MessageType::ThreadUpdate),
    ("error", MessageType::ErrorMessage),
    ("system", MessageType::SystemMessage),
    ("factory_connection_established", MessageType::ConnectionEstablished),
    ("isolated_connection_established", MessageType::ConnectionEstablished),
    ("legacy_connection_established", MessageType::ConnectionEstablished),
    ("legacy_response", MessageType::AgentResponse),
    ("legacy_heartbeat", MessageType::Heartbeat),
];

/// Strings that went out unchanged, whether or not they name a type.
const PASSED_THROUGH: &[&str] = &[
    "agent_started",
    "agent_thinking",
    "agent_completed",
    "agent_fallback",
    "agent_failed",
    "agent_error",
    "tool_executing",
    "tool_completed",
    "tool_started",
    "partial_result",
    "final_report",
    "stream_chunk",
    "agent_registered",
    "agent_unregistered",
    "agent_cancelled",
    "agent_status_changed",
    "agent_metrics_updated",
    "agent_manager_shutdown",
    "agent_stopped",
    "agent_log",
];

/// What was given for a type: a member of the enumeration, or a value of a message.
#[derive(Clone, Copy, Debug)]
pub enum Given<'a> {
    /// A member of the enumeration.
    Type(MessageType),
    /// Anything else.
    Value(&'a Value),
}

impl MessageType {
    /// The type that has exactly this name.
    pub fn from_wire(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.wire() == name)
    }

    /// The type that this string was taken for; case and spaces count.
    pub fn from_text(text: &str) -> Option<Self> {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == text).map(|(_, kind)| *kind);
        alias.or_else(|| Self::from_wire(text))
    }

    /// The name in the enumeration.
    pub fn name(self) -> String {
        self.wire().to_ascii_uppercase()
    }

    /// How a type was written into frames and figures: by its name in the enumeration (H14), or on the wire.
    pub fn written(self, hazards: Hazards) -> String {
        if hazards.has(Hazard::H14) { format!("MessageType.{}", self.name()) } else { self.wire().to_owned() }
    }
}

/// The type that is meant. No unknown string becomes a chat message here.
///
/// # Errors
/// `ValueError` for what is no string, and for a string that nobody knows.
pub fn normalise(given: Given<'_>) -> Result<MessageType, Raised> {
    let value = match given {
        Given::Type(kind) => return Ok(kind),
        Given::Value(value) => value,
    };
    let Some(text) = value.as_str() else {
        let name = value.type_name();
        let text = format!("Message type must be string or MessageType enum, got <class '{name}'>");
        return Err(Raised::value(text));
    };
    MessageType::from_text(text).ok_or_else(|| {
        let names: Vec<String> = MessageType::ALL.iter().map(|kind| format!("'{}'", kind.name())).collect();
        let aliases: Vec<String> = ALIASES.iter().map(|(alias, _)| format!("'{alias}'")).collect();
        let (names, aliases) = (names.join(", "), aliases.join(", "));
        Raised::value(format!(
            "Unknown message type: '{text}'. Valid types: [{names}] or legacy types: [{aliases}]"
        ))
    })
}

/// Whether nobody knows the type.
///
/// # Errors
/// `TypeError` for a list or an object, which no table can be asked for.
pub fn is_unknown(given: Given<'_>) -> Result<bool, Raised> {
    match given {
        Given::Type(_) => Ok(false),
        Given::Value(value) if !value.is_hashable() => Err(Raised::unhashable(value.type_name())),
        Given::Value(value) => Ok(value.as_str().and_then(MessageType::from_text).is_none()),
    }
}

/// The name under which a message of that type went out.
///
/// H29: some of these names mean something else when they come back in, or nothing.
///
/// # Errors
/// As [`normalise`], for anything but the strings that were passed through.
pub fn frontend(given: Given<'_>, hazards: Hazards) -> Result<String, Raised> {
    if let Given::Value(Value::Str(text)) = given
        && PASSED_THROUGH.contains(&text.as_str())
    {
        return Ok(text.clone());
    }
    let kind = normalise(given)?;
    let renamed = match kind.wire() {
        "agent_response" => Some("agent_completed"),
        "agent_progress" => Some("agent_update"),
        "thread_update" => Some("thread_updated"),
        "error_message" => Some("error"),
        _ => None,
    };
    let kept = |name: &&str| hazards.has(Hazard::H29) || MessageType::from_text(name) == Some(kind);
    Ok(renamed.filter(kept).unwrap_or(kind.wire()).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_46_types_and_67_strings_for_them() {
        assert_eq!(MessageType::ALL.len(), 46);
        let mut strings: Vec<&str> = MessageType::ALL.iter().map(|kind| kind.wire()).collect();
        strings.extend(ALIASES.iter().map(|(alias, _)| *alias));
        strings.sort_unstable();
        strings.dedup();
        assert_eq!(strings.len(), 67);
    }

    #[test]
    fn an_outbound_name_comes_back_as_the_same_type_once_repaired() {
        let back = |kind: MessageType, hazards| {
            frontend(Given::Type(kind), hazards).ok().and_then(|name| MessageType::from_text(&name))
        };
        let lost =
            |hazards| MessageType::ALL.iter().filter(|kind| back(**kind, hazards) != Some(**kind)).count();
        assert_eq!(lost(Hazards::ALL), 3);
        assert_eq!(lost(Hazards::ALL.without(Hazard::H29)), 0);
    }

    #[test]
    fn case_and_spaces_count() {
        for text in ["PING", "ping ", "MessageType.PING", ""] {
            assert!(normalise(Given::Value(&text.into())).is_err(), "{text:?}");
        }
        assert_eq!(normalise(Given::Value(&"EXECUTE_AGENT".into())), Ok(MessageType::StartAgent));
    }
}
