//! Recognised inbound types and their aliases: one table.

use core::fmt;

use serde_json::value::RawValue;

use super::Raw;

macro_rules! kinds {
    ($($variant:ident $name:literal $(| $alias:literal)* ;)*) => {
        /// A recognised inbound type, after aliases. `name` is the canonical wire name.
        #[expect(missing_docs, reason = "the wire name beside each variant says it all")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($variant,)* }

        impl Kind {
            /// All kinds, in the order of the table.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)*];

            /// The canonical name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$variant => $name,)* }
            }
        }

        /// Every accepted spelling; sorted once, at compile time, so that look-up is a binary search.
        const SPELLINGS: &[(&str, Kind)] = &sorted([$(($name, Kind::$variant), $(($alias, Kind::$variant),)*)*]);
    };
}

kinds! {
    Connect "connect" | "connected";
    Disconnect "disconnect";
    ConnectionEstablished "connection_established" | "factory_connection_established"
        | "isolated_connection_established" | "legacy_connection_established";
    Heartbeat "heartbeat" | "legacy_heartbeat";
    HeartbeatAck "heartbeat_ack";
    Ping "ping";
    Pong "pong";
    UserMessage "user_message" | "user" | "user_input" | "chat_message" | "message";
    Chat "chat";
    SystemMessage "system_message" | "system";
    ErrorMessage "error_message" | "error";
    UserTyping "user_typing" | "typing";
    AgentTyping "agent_typing";
    TypingStarted "typing_started";
    TypingStopped "typing_stopped";
    StartAgent "start_agent" | "execute_agent" | "EXECUTE_AGENT";
    AgentStarted "agent_started";
    AgentStart "agent_start";
    AgentComplete "agent_complete";
    AgentCompleted "agent_completed";
    ToolExecute "tool_execute";
    ToolExecuting "tool_executing";
    ToolComplete "tool_complete";
    ToolCompleted "tool_completed";
    AgentRequest "agent_request" | "agent";
    AgentTask "agent_task";
    AgentTaskAck "agent_task_ack";
    AgentResponse "agent_response" | "legacy_response";
    AgentResponseChunk "agent_response_chunk";
    AgentResponseComplete "agent_response_complete";
    AgentStatusRequest "agent_status_request";
    AgentStatusUpdate "agent_status_update" | "agent_status" | "agent_update";
    AgentProgress "agent_progress";
    AgentThinking "agent_thinking";
    AgentError "agent_error" | "agent_failed" | "agent_fallback";
    ThreadUpdate "thread_update" | "thread";
    ThreadMessage "thread_message";
    Broadcast "broadcast";
    BroadcastTest "broadcast_test";
    DirectMessage "direct_message";
    RoomMessage "room_message";
    JsonrpcRequest "jsonrpc_request";
    JsonrpcResponse "jsonrpc_response";
    JsonrpcNotification "jsonrpc_notification";
    ResilienceTest "resilience_test";
    RecoveryTest "recovery_test";
    StopAgent "stop_agent";
    Confirmation "confirmation";
    Resume "resume";
    Subscribe "subscribe";
    Unsubscribe "unsubscribe";
    GetQualityMetrics "get_quality_metrics";
    SubscribeQualityAlerts "subscribe_quality_alerts";
    ValidateContent "validate_content";
    GenerateQualityReport "generate_quality_report";
}

impl Kind {
    /// The kind of that exact spelling: canonical or alias, case-sensitive, untrimmed.
    pub fn from_name(name: &str) -> Option<Self> {
        SPELLINGS.binary_search_by(|(spelling, _)| (*spelling).cmp(name)).ok().map(|at| SPELLINGS[at].1)
    }

    /// The kind that a JSON value names, as the `type` of a message does.
    pub fn from_json(value: &RawValue) -> Result<Self, TypeFault> {
        let text = Raw::from(value).text().ok_or(TypeFault::NotText)?;
        Self::from_name(&text).ok_or(TypeFault::Unknown)
    }

    /// Every accepted spelling with its kind, sorted by spelling.
    pub fn spellings() -> &'static [(&'static str, Kind)] {
        SPELLINGS
    }

    /// Whether such a message asks for an agent run.
    pub const fn starts_run(self) -> bool {
        matches!(
            self,
            Kind::UserMessage | Kind::Chat | Kind::StartAgent | Kind::AgentRequest | Kind::AgentTask
        )
    }
}

/// Why a JSON value names no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeFault {
    /// It is null, a number, a bool, an array or an object.
    NotText,
    /// It is a text, but no accepted spelling: look-up is case-sensitive and does not trim.
    Unknown,
}

impl fmt::Display for TypeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TypeFault::NotText => "the type of a message must be a text",
            TypeFault::Unknown => "the type of the message is not known",
        })
    }
}

impl core::error::Error for TypeFault {}

/// Insertion sort by spelling, for constants.
const fn sorted<const N: usize>(mut table: [(&'static str, Kind); N]) -> [(&'static str, Kind); N] {
    let mut i = 1;
    while i < N {
        let mut j = i;
        while j > 0 && less(table[j].0.as_bytes(), table[j - 1].0.as_bytes()) {
            let swap = table[j];
            table[j] = table[j - 1];
            table[j - 1] = swap;
            j -= 1;
        }
        i += 1;
    }
    table
}

const fn less(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return a[i] < b[i];
        }
        i += 1;
    }
    a.len() < b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_found_and_nothing_near_it() {
        for (spelling, kind) in Kind::spellings() {
            assert_eq!(Kind::from_name(spelling), Some(*kind), "{spelling}");
        }
        for near in ["PING", "ping ", "", "ack", "Execute_Agent", "user_messages"] {
            assert_eq!(Kind::from_name(near), None, "{near}");
        }
    }

    #[test]
    fn a_json_value_names_a_kind_or_says_why_not() {
        for (json, kind) in [
            ("\"user\"", Ok(Kind::UserMessage)),
            ("\"pi\\u006eg\"", Ok(Kind::Ping)),
            ("\"PING\"", Err(TypeFault::Unknown)),
            ("null", Err(TypeFault::NotText)),
            ("5", Err(TypeFault::NotText)),
            ("[\"ping\"]", Err(TypeFault::NotText)),
        ] {
            let value: &RawValue = serde_json::from_str(json).expect("JSON");
            assert_eq!(Kind::from_json(value), kind, "{json}");
        }
    }

    #[test]
    fn the_legacy_table_has_46_types_and_21_aliases() {
        let added = [
            Kind::StopAgent,
            Kind::Confirmation,
            Kind::Resume,
            Kind::Subscribe,
            Kind::Unsubscribe,
            Kind::GetQualityMetrics,
            Kind::SubscribeQualityAlerts,
            Kind::ValidateContent,
            Kind::GenerateQualityReport,
        ];
        assert_eq!(Kind::ALL.len(), 46 + added.len());
        assert_eq!(Kind::spellings().len(), 67 + added.len());
    }
}
