//! The built-in handlers, the one for end-to-end tests, and the one that was registered nowhere.

pub(super) mod agent;
pub(super) mod agent_message;
pub(super) mod batch;
mod control;
pub(super) mod end_to_end;
mod report;

use self::{batch::Batch, end_to_end::EndToEnd, report::Reports};
use super::{
    message::Message,
    socket::Conn,
    task::{Context, Step},
};
use crate::legacy::{
    Hazards,
    message_types::MessageType::{self, *},
    python::Value,
};

/// A built-in handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuiltIn {
    /// Greets and says goodbye.
    Connection,
    /// Acknowledges typing.
    Typing,
    /// Answers pings and heartbeats.
    Heartbeat,
    /// Acknowledges what agents report.
    Agent,
    /// The canned agent.
    AgentRequest,
    /// Counts messages that need no answer.
    UserMessage,
    /// Answers JSON-RPC.
    JsonRpc,
    /// Acknowledges and counts errors.
    Error,
    /// Batches what is meant for others.
    Batch,
    /// For end-to-end tests; not registered.
    EndToEnd,
}

impl BuiltIn {
    /// Those of a fresh router, in their order.
    pub const REGISTERED: [BuiltIn; 9] = [
        BuiltIn::Connection,
        BuiltIn::Typing,
        BuiltIn::Heartbeat,
        BuiltIn::Agent,
        BuiltIn::AgentRequest,
        BuiltIn::UserMessage,
        BuiltIn::JsonRpc,
        BuiltIn::Error,
        BuiltIn::Batch,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            BuiltIn::Connection => "ConnectionHandler",
            BuiltIn::Typing => "TypingHandler",
            BuiltIn::Heartbeat => "HeartbeatHandler",
            BuiltIn::Agent => "AgentHandler",
            BuiltIn::AgentRequest => "AgentRequestHandler",
            BuiltIn::UserMessage => "UserMessageHandler",
            BuiltIn::JsonRpc => "JsonRpcHandler",
            BuiltIn::Error => "ErrorHandler",
            BuiltIn::Batch => "BatchMessageHandler",
            BuiltIn::EndToEnd => "E2EAgentHandler",
        }
    }

    /// The handler of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let known = Self::REGISTERED.into_iter().chain([BuiltIn::EndToEnd]);
        known.into_iter().find(|built_in| built_in.name() == name)
    }

    /// The types it serves.
    pub const fn types(self) -> &'static [MessageType] {
        match self {
            BuiltIn::Connection => &[Connect, Disconnect],
            BuiltIn::Typing => &[UserTyping, AgentTyping, TypingStarted, TypingStopped],
            BuiltIn::Heartbeat => &[Ping, Pong, Heartbeat, HeartbeatAck],
            BuiltIn::Agent => {
                &[AgentTaskAck, AgentResponseChunk, AgentResponseComplete, AgentStatusUpdate, AgentError]
            }
            BuiltIn::AgentRequest => &[AgentRequest, StartAgent],
            BuiltIn::UserMessage => {
                &[SystemMessage, AgentResponse, AgentProgress, ThreadUpdate, ThreadMessage]
            }
            BuiltIn::JsonRpc => &[JsonRpcRequest, JsonRpcResponse, JsonRpcNotification],
            BuiltIn::Error => &[ErrorMessage],
            BuiltIn::Batch => &[Broadcast, RoomMessage],
            BuiltIn::EndToEnd => {
                &[AgentTask, AgentStatusRequest, BroadcastTest, DirectMessage, ResilienceTest, RecoveryTest]
            }
        }
    }

    /// Whether it serves a type.
    pub fn accepts(self, kind: MessageType) -> bool {
        self.types().contains(&kind)
    }
}

/// The built-in handlers with what they remember.
#[derive(Debug, Default)]
pub(super) struct BuiltIns {
    reports: Reports,
    pub(super) batch: Batch,
    end_to_end: EndToEnd,
}

impl BuiltIns {
    /// Has a handler handle a message.
    pub(super) fn handle(&mut self, which: BuiltIn, message: &Message, cx: &mut Context<'_>) -> Step {
        match which {
            BuiltIn::Connection => control::connection(message, cx),
            BuiltIn::Typing => control::typing(message, cx),
            BuiltIn::Heartbeat => control::heartbeat(message, cx),
            BuiltIn::Agent => control::agent(message, cx),
            BuiltIn::AgentRequest => agent::request(message, cx),
            BuiltIn::UserMessage => self.reports.user_message(message, cx),
            BuiltIn::JsonRpc => self.reports.json_rpc(message, cx),
            BuiltIn::Error => self.reports.error(message, cx),
            BuiltIn::Batch => self.batch.handle(message, cx),
            BuiltIn::EndToEnd => self.end_to_end.handle(message, cx),
        }
    }

    /// A handler's own figures, if it keeps any.
    pub(super) fn figures(&self, which: BuiltIn) -> Option<Value> {
        match which {
            BuiltIn::UserMessage => Some(self.reports.user_message_figures()),
            BuiltIn::JsonRpc => Some(self.reports.json_rpc_figures()),
            BuiltIn::Error => Some(self.reports.error_figures()),
            BuiltIn::Batch => Some(self.batch.figures()),
            BuiltIn::Connection
            | BuiltIn::Typing
            | BuiltIn::Heartbeat
            | BuiltIn::Agent
            | BuiltIn::AgentRequest
            | BuiltIn::EndToEnd => None,
        }
    }

    /// A connection is gone.
    pub(super) fn closed(&mut self, conn: Conn, hazards: Hazards) {
        self.end_to_end.closed(conn, hazards);
    }

    /// Entries that the handlers keep by user, by error text or by socket.
    pub(super) fn entries(&self) -> usize {
        self.reports.error_kinds() + self.batch.users() + self.end_to_end.sockets()
    }
}
