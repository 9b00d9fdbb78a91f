//! Built-in handlers: one function per family of types, chosen by an exhaustive match, so that a new type does
//! not compile until somebody owns it.

mod agent;
mod chat;
mod control;

pub(crate) use self::control::THREAD_BYTES_MAX;

use crate::{
    audience::UserRef,
    contract::{ConnId, Effects},
    message::{Envelope, Fields, Kind},
    router::Router,
    stats::Outcome,
};

/// A checked message on its way to a handler. Ids live here and nowhere else: nothing is kept between messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a, 'e> {
    pub(crate) conn: ConnId,
    pub(crate) user: UserRef,
    pub(crate) kind: Kind,
    pub(crate) envelope: &'e Envelope<'a>,
}

impl<'a> Message<'a, '_> {
    pub(crate) const fn payload(&self) -> &Fields<'a> {
        self.envelope.payload()
    }
}

impl Router {
    pub(crate) fn handle_message(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        match message.kind {
            Kind::UserMessage | Kind::Chat | Kind::StartAgent | Kind::AgentRequest | Kind::AgentTask => {
                self.start_run(message, out)
            }
            Kind::StopAgent => self.stop_runs(message, out),
            Kind::Connect
            | Kind::Disconnect
            | Kind::Heartbeat
            | Kind::HeartbeatAck
            | Kind::Ping
            | Kind::Pong
            | Kind::UserTyping
            | Kind::AgentTyping
            | Kind::TypingStarted
            | Kind::TypingStopped => self.control(message, out),
            Kind::AgentTaskAck
            | Kind::AgentResponseChunk
            | Kind::AgentResponseComplete
            | Kind::AgentStatusUpdate
            | Kind::AgentError => self.acknowledge_agent(message, out),
            Kind::Confirmation => self.confirm(message, out),
            Kind::Resume => self.resume(message, out),
            Kind::Subscribe => self.subscribe(message, true, out),
            Kind::Unsubscribe => self.subscribe(message, false, out),
            Kind::ConnectionEstablished
            | Kind::SystemMessage
            | Kind::ErrorMessage
            | Kind::AgentStarted
            | Kind::AgentStart
            | Kind::AgentComplete
            | Kind::AgentCompleted
            | Kind::ToolExecute
            | Kind::ToolExecuting
            | Kind::ToolComplete
            | Kind::ToolCompleted
            | Kind::AgentResponse
            | Kind::AgentStatusRequest
            | Kind::AgentProgress
            | Kind::AgentThinking
            | Kind::ThreadUpdate
            | Kind::ThreadMessage
            | Kind::Broadcast
            | Kind::BroadcastTest
            | Kind::DirectMessage
            | Kind::RoomMessage
            | Kind::JsonrpcRequest
            | Kind::JsonrpcResponse
            | Kind::JsonrpcNotification
            | Kind::ResilienceTest
            | Kind::RecoveryTest
            | Kind::GetQualityMetrics
            | Kind::SubscribeQualityAlerts
            | Kind::ValidateContent
            | Kind::GenerateQualityReport => self.unowned(message, out),
        }
    }
}
