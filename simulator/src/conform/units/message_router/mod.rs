//! The recorded unit `message_router` in terms of the canonical router.
//!
//! A message is a text frame of a connected socket; a handler of the recording is a custom handler of the host; a
//! question about handlers goes to the registry. The adapter routes nothing.

mod act;
mod canned;
mod compare;
mod frames;
mod handlers;
mod sent;
mod sockets;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use router::{BuiltIn, Config, HandlerId, Kind, Profile};
use serde_json::{Map, Value, json};

use self::{
    canned::Canned,
    handlers::{Call, Log, Speech},
    sockets::Sockets,
};
use super::Unit;
use crate::conform::{
    Action, Difference, Expect, Inexpressible, Notes, Obstacle, Sent, Tape,
    stage::{self, Stage},
};

/// Names that the nine, and the one for tests, had in recordings.
const OLD_NAMES: &[(&str, BuiltIn)] = &[
    ("ConnectionHandler", BuiltIn::Connection),
    ("TypingHandler", BuiltIn::Typing),
    ("HeartbeatHandler", BuiltIn::Heartbeat),
    ("AgentHandler", BuiltIn::AgentMessage),
    ("AgentRequestHandler", BuiltIn::AgentRequest),
    ("UserMessageHandler", BuiltIn::UserMessage),
    ("JsonRpcHandler", BuiltIn::JsonRpc),
    ("ErrorHandler", BuiltIn::Error),
    ("BatchMessageHandler", BuiltIn::Batch),
    ("E2EAgentHandler", BuiltIn::EndToEnd),
];

/// The counters that recordings have, in our names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counters {
    routed: u64,
    unhandled: u64,
    handler_errors: u64,
    rejected: u64,
    types: BTreeMap<String, u64>,
}

/// What the last operation brought about.
#[derive(Debug, Default)]
struct Seen {
    /// The plain answer to a question; null for anything else.
    answer: Value,
    /// How each message of the step ended.
    messages: Vec<Ended>,
    sent: Vec<Sent>,
    calls: Vec<Call>,
    /// Why a registration was refused.
    refused: Option<String>,
    /// Labels of sockets that broke during the step.
    broke: Vec<String>,
    runs_completed: u64,
    run_events: u64,
    timestamps_replaced: u64,
}

/// How one message ended.
#[derive(Clone, Debug, PartialEq)]
struct Ended {
    conn: String,
    message: Value,
    kind: Option<Kind>,
    outcome: Outcome,
    /// Every frame that was due to its sender at once was written.
    delivered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Handled,
    Unhandled,
    HandlerError,
    Rejected,
    /// Nobody of that name can have a connection.
    NotAdmitted,
    /// The built-in handler that was called is not the one for the type.
    NotItsType,
}

/// The unit at work.
struct Player {
    config: Config,
    clear_built_ins: bool,
    /// Made on first use: some recordings look at the time before there is a router.
    stage: Option<Stage>,
    /// Routers made; one that did nothing before it was made anew does not count.
    routers: u32,
    sockets: Sockets,
    agents: Canned,
    log: Log,
    speech: Speech,
    /// What each handler of the recording is, by its label.
    definitions: BTreeMap<String, Value>,
    /// The label behind each registration.
    registered: BTreeMap<HandlerId, String>,
    seen: Seen,
    /// Counters as last recorded, and ours at that time.
    last_recorded: Counters,
    last_seen: Counters,
    /// Kinds that were sent since then.
    sent_kinds: Vec<Kind>,
}

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    let flag = |name: &str| setup.get(name).and_then(Value::as_bool);
    let config = Config {
        profile: Profile::LEGACY_9,
        // Recordings know no rate, no abuse and no heartbeat of ours, and frames of any size up to ours.
        rate_burst: 1_000_000,
        rejects_max: 0,
        heartbeat_us: 3_600_000_000,
        inbound_bytes_max: 65_535,
        ..stage::defaults(setup)
    };
    let mut player = Player {
        config,
        clear_built_ins: flag("clear_builtins").unwrap_or(false),
        stage: None,
        routers: 0,
        sockets: Sockets::new(setup.get("connections")),
        agents: Canned::default(),
        log: Log::default(),
        speech: Speech::default(),
        definitions: BTreeMap::new(),
        registered: BTreeMap::new(),
        seen: Seen::default(),
        last_recorded: Counters::default(),
        last_seen: Counters::default(),
        sent_kinds: Vec::new(),
    };
    if flag("router") != Some(false) {
        player.stage()?;
    }
    Ok(Box::new(player))
}

impl Unit for Player {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        self.perform(action)
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        self.compare_step(action, expect, notes)
    }

    fn tape(&self) -> Result<Tape, Obstacle> {
        if self.routers > 1 {
            return Err(Obstacle::Routers);
        }
        self.stage.as_ref().map_or(Err(Obstacle::Silent), Stage::tape)
    }

    fn show(&self) -> Value {
        let sent = self
            .seen
            .sent
            .iter()
            .map(|sent| json!({"conn": sent.conn, "at_us": sent.at_us, "message": sent.message}));
        let ended =
            self.seen.messages.iter().map(|ended| json!([format!("{:?}", ended.outcome), ended.delivered]));
        let calls = self.seen.calls.iter().map(Call::show);
        let stats = self.counters();
        json!({
            "answer": self.seen.answer,
            "ended": ended.collect::<Vec<_>>(),
            "sent": sent.collect::<Vec<_>>(),
            "calls": calls.collect::<Vec<_>>(),
            "refused": self.seen.refused,
            "routed": stats.routed, "unhandled": stats.unhandled, "handler_errors": stats.handler_errors,
            "rejected": stats.rejected, "types": stats.types,
        })
    }
}
