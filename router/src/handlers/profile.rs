//! Which types are recognised, which built-in handler owns which type, and which of them are on.

use core::fmt;

use crate::message::Kind;

/// A set of recognised types.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct KindSet(u128);

// One bit per kind.
const _: () = assert!(Kind::ALL.len() <= 128);

impl KindSet {
    /// No type.
    pub const NONE: Self = Self(0);
    /// Every recognised type: what a catch-all accepts.
    pub const ALL: Self = Self::of(Kind::ALL);

    /// The set of these types.
    pub const fn of(kinds: &[Kind]) -> Self {
        let mut bits = 0;
        let mut n = 0;
        while n < kinds.len() {
            bits |= 1 << kinds[n] as u32;
            n += 1;
        }
        Self(bits)
    }

    /// Whether the type is in the set.
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 >> kind as u32 & 1 == 1
    }

    /// This set and one more type.
    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u32)
    }

    /// The types of this set that are not in the other.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The types of this set, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(move |kind| self.contains(*kind))
    }
}

impl fmt::Debug for KindSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Kind::name)).finish()
    }
}

/// A built-in handler. Scoped to its router: taking one away concerns nobody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuiltIn {
    /// `connect`, `disconnect`: answered with a status.
    Connection,
    /// The four typing types: acknowledged.
    Typing,
    /// `ping`, `heartbeat` and their answers.
    Heartbeat,
    /// Agents' messages that arrive from a client: acknowledged.
    AgentMessage,
    /// `agent_request`, `start_agent`: start a run.
    AgentRequest,
    /// `system_message`, `agent_response`, `agent_progress`, `thread_update`, `thread_message`: taken and counted.
    UserMessage,
    /// JSON-RPC 2.0.
    JsonRpc,
    /// `error_message` from a client: counted by code.
    Error,
    /// `broadcast`, `room_message`: to the user's other connections, in batches.
    Batch,
    /// `user_message`, `chat`, `agent_task`: start a run.
    Chat,
    /// `stop_agent`.
    Stop,
    /// `confirmation`, `resume`.
    Recovery,
    /// `subscribe`, `unsubscribe`.
    Subscription,
    /// The four quality types.
    Quality,
    /// Answers for end-to-end tests of a client; off unless asked for.
    EndToEnd,
}

impl BuiltIn {
    /// All of them, in the order in which they are listed.
    pub const ALL: &'static [BuiltIn] = &[
        BuiltIn::Connection,
        BuiltIn::Typing,
        BuiltIn::Heartbeat,
        BuiltIn::AgentMessage,
        BuiltIn::AgentRequest,
        BuiltIn::UserMessage,
        BuiltIn::JsonRpc,
        BuiltIn::Error,
        BuiltIn::Batch,
        BuiltIn::Chat,
        BuiltIn::Stop,
        BuiltIn::Recovery,
        BuiltIn::Subscription,
        BuiltIn::Quality,
        BuiltIn::EndToEnd,
    ];

    /// The name in statistics; stable.
    pub const fn name(self) -> &'static str {
        match self {
            BuiltIn::Connection => "connection",
            BuiltIn::Typing => "typing",
            BuiltIn::Heartbeat => "heartbeat",
            BuiltIn::AgentMessage => "agent_message",
            BuiltIn::AgentRequest => "agent_request",
            BuiltIn::UserMessage => "user_message",
            BuiltIn::JsonRpc => "json_rpc",
            BuiltIn::Error => "error",
            BuiltIn::Batch => "batch",
            BuiltIn::Chat => "chat",
            BuiltIn::Stop => "stop",
            BuiltIn::Recovery => "recovery",
            BuiltIn::Subscription => "subscription",
            BuiltIn::Quality => "quality",
            BuiltIn::EndToEnd => "end_to_end",
        }
    }

    /// The built-in handler of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|built_in| built_in.name() == name)
    }

    /// Whether messages of that type are for this handler, when it is on and no earlier one takes them.
    pub fn accepts(self, kind: Kind) -> bool {
        let (first, second) = owners(kind);
        first == Some(self) || second == Some(self)
    }
}

/// Who owns a type: the first of the two that is on. A new type does not compile until somebody says.
pub(super) const fn owners(kind: Kind) -> (Option<BuiltIn>, Option<BuiltIn>) {
    let owner = match kind {
        Kind::Connect | Kind::Disconnect => BuiltIn::Connection,
        Kind::UserTyping | Kind::AgentTyping | Kind::TypingStarted | Kind::TypingStopped => BuiltIn::Typing,
        Kind::Heartbeat | Kind::HeartbeatAck | Kind::Ping | Kind::Pong => BuiltIn::Heartbeat,
        Kind::AgentTaskAck
        | Kind::AgentResponseChunk
        | Kind::AgentResponseComplete
        | Kind::AgentStatusUpdate
        | Kind::AgentError => BuiltIn::AgentMessage,
        Kind::StartAgent | Kind::AgentRequest => BuiltIn::AgentRequest,
        Kind::SystemMessage
        | Kind::AgentResponse
        | Kind::AgentProgress
        | Kind::ThreadUpdate
        | Kind::ThreadMessage => BuiltIn::UserMessage,
        Kind::JsonrpcRequest | Kind::JsonrpcResponse | Kind::JsonrpcNotification => BuiltIn::JsonRpc,
        Kind::ErrorMessage => BuiltIn::Error,
        Kind::Broadcast | Kind::RoomMessage => BuiltIn::Batch,
        Kind::UserMessage | Kind::Chat => BuiltIn::Chat,
        Kind::AgentTask => return (Some(BuiltIn::Chat), Some(BuiltIn::EndToEnd)),
        Kind::StopAgent => BuiltIn::Stop,
        Kind::Confirmation | Kind::Resume => BuiltIn::Recovery,
        Kind::Subscribe | Kind::Unsubscribe => BuiltIn::Subscription,
        Kind::GetQualityMetrics
        | Kind::SubscribeQualityAlerts
        | Kind::ValidateContent
        | Kind::GenerateQualityReport => BuiltIn::Quality,
        Kind::AgentStatusRequest
        | Kind::BroadcastTest
        | Kind::DirectMessage
        | Kind::ResilienceTest
        | Kind::RecoveryTest => BuiltIn::EndToEnd,
        Kind::ConnectionEstablished
        | Kind::AgentStarted
        | Kind::AgentStart
        | Kind::AgentComplete
        | Kind::AgentCompleted
        | Kind::ToolExecute
        | Kind::ToolExecuting
        | Kind::ToolComplete
        | Kind::ToolCompleted
        | Kind::AgentThinking => return (None, None),
    };
    (Some(owner), None)
}

/// A set of built-in handlers.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct BuiltIns(u32);

impl BuiltIns {
    /// None.
    pub const NONE: Self = Self(0);

    /// The set of these.
    pub const fn of(list: &[BuiltIn]) -> Self {
        let mut bits = 0;
        let mut n = 0;
        while n < list.len() {
            bits |= 1 << list[n] as u32;
            n += 1;
        }
        Self(bits)
    }

    /// Whether that one is in the set.
    pub const fn contains(self, built_in: BuiltIn) -> bool {
        self.0 >> built_in as u32 & 1 == 1
    }

    /// This set and one more.
    pub const fn with(self, built_in: BuiltIn) -> Self {
        Self(self.0 | 1 << built_in as u32)
    }

    /// This set and one less.
    pub const fn without(self, built_in: BuiltIn) -> Self {
        Self(self.0 & !(1 << built_in as u32))
    }

    /// How many.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set's members, in listing order.
    pub fn iter(self) -> impl Iterator<Item = BuiltIn> {
        BuiltIn::ALL.iter().copied().filter(move |built_in| self.contains(*built_in))
    }

    /// Who of the set owns a type.
    #[inline]
    pub(crate) const fn owner(self, kind: Kind) -> Option<BuiltIn> {
        let (first, second) = owners(kind);
        match (first, second) {
            (Some(first), _) if self.contains(first) => Some(first),
            (_, Some(second)) if self.contains(second) => Some(second),
            _ => None,
        }
    }
}

impl fmt::Debug for BuiltIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(BuiltIn::name)).finish()
    }
}

/// Types that came after the routers this one replaces.
const NEWER: KindSet = KindSet::of(&[
    Kind::StopAgent,
    Kind::Confirmation,
    Kind::Resume,
    Kind::Subscribe,
    Kind::Unsubscribe,
    Kind::GetQualityMetrics,
    Kind::SubscribeQualityAlerts,
    Kind::ValidateContent,
    Kind::GenerateQualityReport,
]);

/// What a router recognises and serves from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The name, for people.
    pub name: &'static str,
    /// Built-in handlers that are on.
    pub built_ins: BuiltIns,
    /// Types that are recognised; any other text is acknowledged as unknown.
    pub recognised: KindSet,
    /// Types that must have a handler before the router says it is ready.
    pub critical: KindSet,
    /// Whether `agent_request` and `start_agent` start a run without a text, too.
    pub textless_requests: bool,
}

impl Profile {
    /// Everything but the answers for end-to-end tests: the product.
    pub const STANDARD: Self = Self {
        name: "standard",
        built_ins: BuiltIns::of(BuiltIn::ALL).without(BuiltIn::EndToEnd),
        recognised: KindSet::ALL,
        critical: KindSet::of(&[Kind::UserMessage, Kind::StartAgent, Kind::Ping]),
        textless_requests: false,
    };

    /// The nine built-in handlers and the 67 spellings of the primary router that this one replaces, no more.
    pub const LEGACY_9: Self = Self {
        name: "legacy-9",
        built_ins: BuiltIns::of(&[
            BuiltIn::Connection,
            BuiltIn::Typing,
            BuiltIn::Heartbeat,
            BuiltIn::AgentMessage,
            BuiltIn::AgentRequest,
            BuiltIn::UserMessage,
            BuiltIn::JsonRpc,
            BuiltIn::Error,
            BuiltIn::Batch,
        ]),
        recognised: KindSet::ALL.without(NEWER),
        critical: KindSet::of(&[Kind::AgentRequest, Kind::Ping]),
        textless_requests: true,
    };

    /// The profile of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::STANDARD, Self::LEGACY_9].into_iter().find(|profile| profile.name == name)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn the_nine_own_what_they_owned() {
        let nine = Profile::LEGACY_9.built_ins;
        assert_eq!(nine.len(), 9);
        let owned = Kind::ALL.iter().filter(|kind| nine.owner(**kind).is_some()).count();
        assert_eq!(owned, 2 + 4 + 4 + 5 + 2 + 5 + 3 + 1 + 2);
        assert_eq!(nine.owner(Kind::UserMessage), None);
        assert_eq!(nine.owner(Kind::AgentTask), None);
        assert_eq!(nine.with(BuiltIn::EndToEnd).owner(Kind::AgentTask), Some(BuiltIn::EndToEnd));
        assert_eq!(Profile::STANDARD.built_ins.owner(Kind::AgentTask), Some(BuiltIn::Chat));
        assert_eq!(Profile::LEGACY_9.recognised.iter().count(), 46);
    }

    #[test]
    fn names_and_sets_go_both_ways() {
        for built_in in BuiltIn::ALL {
            assert_eq!(BuiltIn::from_name(built_in.name()), Some(*built_in));
        }
        let pair = KindSet::of(&[Kind::Pong, Kind::Ping]);
        assert_eq!(pair.iter().collect::<Vec<_>>(), [Kind::Ping, Kind::Pong]);
        assert_eq!(pair.without(KindSet::of(&[Kind::Ping])).iter().count(), 1);
        assert_eq!(Profile::from_name("legacy-9"), Some(Profile::LEGACY_9));
    }
}
