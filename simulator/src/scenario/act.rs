//! `act`: what every user does, one row for each thing, instead of a plan that is drawn from a seed.
//!
//! ```toml
//! act = [
//!   { at = "0s", user = 3, do = "connect" },
//!   { at = "200ms", user = 3, do = "user_message", run = [
//!     { at = "5ms", do = "started" },
//!     { at = "100ms", do = "tool", name = "search_corpus", for = "2s" },
//!     { at = "3s", do = "answer" },
//!   ] },
//! ]
//! ```
//!
//! A user that no row names does not come; the others keep their number, and with it and the seed their id, their
//! canary, their threads and the delays of their network. A user leaves by itself when everything is over. A row holds
//! to what a drawn plan promises (see [`plan::written`](crate::plan)): a file that does not is refused with the place.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::size::Size;
use super::time::Micros;
use super::users::Tier;

/// One row of `act`: one thing that one tab of one user does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// When, from the start. Rows of the same time happen in the order given.
    pub at: Micros,
    /// Which user, by number; below `users.count`.
    pub user: u32,
    /// Which of its tabs, from 0 without a gap. Default 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tab: u8,
    /// What.
    #[serde(rename = "do")]
    pub deed: Deed,
    /// `connect`: the plan that the user pays for; one row of the user is enough. Default "free".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Messages: `message_id` on the wire. Default "m0000", "m0001" and so on, and "q0001" and so on for questions of
    /// quality. `stop`: the message whose run is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Messages: which of the user's threads, 0 to 15. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<u32>,
    /// Messages that start a run: what the text says after the user's canary. Default nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Messages that start a run: what its agent does. Default: drawn from `[agent]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Vec<AgentStep>>,
    /// Messages that start a run: whether its agent also reports what it must not, as `agent.unruly_share` says.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unruly: bool,
    /// Messages that start a run: whether its agent goes on when its run was ended, as `agent.deaf_share` says.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deaf: bool,
    /// Messages that start a run: whether the router runs its tools, as `agent.dispatched_share` says.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dispatched: bool,
    /// `disconnect`: until the tab connects again. `stall`: until it reads again.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Micros>,
    /// `unknown` and `quality`: the type on the wire.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// `bad_frame`: which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<BadFrame>,
    /// `foreign`: the number of the user in whose name the message is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<u32>,
}

impl Act {
    /// A row with no more than what every row has.
    pub const fn new(at_us: u64, user: u32, tab: u8, deed: Deed) -> Self {
        Self {
            at: Micros::new(at_us),
            user,
            tab,
            deed,
            tier: None,
            message: None,
            thread: None,
            text: None,
            run: None,
            unruly: false,
            deaf: false,
            dispatched: false,
            lasts: None,
            type_name: None,
            frame: None,
            names: None,
        }
    }

    /// When, microseconds from the start.
    pub const fn at_us(&self) -> u64 {
        self.at.us()
    }

    /// `for`, in microseconds; 0 without.
    pub fn lasts_us(&self) -> u64 {
        self.lasts.map_or(0, Micros::us)
    }

    /// The keys that the row gives beside those that every row has.
    pub(crate) fn given(&self) -> impl Iterator<Item = &'static str> {
        [
            ("tier", self.tier.is_some()),
            ("message", self.message.is_some()),
            ("thread", self.thread.is_some()),
            ("text", self.text.is_some()),
            ("run", self.run.is_some()),
            ("unruly", self.unruly),
            ("deaf", self.deaf),
            ("dispatched", self.dispatched),
            ("for", self.lasts.is_some()),
            ("type", self.type_name.is_some()),
            ("frame", self.frame.is_some()),
            ("names", self.names.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, given)| given.then_some(key))
    }
}

/// What a row does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Opens the tab's first connection. All connects of a user come before all else that it does.
    Connect,
    /// Loses the connection, and has another after `for`.
    Disconnect,
    /// Does not read `for` a time.
    Stall,
    /// Sends `user_message`, which starts a run.
    UserMessage,
    /// Sends `start_agent`, which starts a run.
    StartAgent,
    /// Sends `chat`, which starts a run.
    Chat,
    /// Sends `chat_message`, an alias of `user_message`.
    ChatMessage,
    /// Stops the run of a `message` in a quiet moment: no event of the run may be near.
    Stop,
    /// Sends `ping`.
    Ping,
    /// Sends `heartbeat`.
    Heartbeat,
    /// Sends `user_typing`.
    Typing,
    /// Sends a `type` that the router does not know.
    Unknown,
    /// Sends a `frame` that is refused.
    BadFrame,
    /// Sends a message that `names` another user, which is refused.
    Foreign,
    /// Asks about quality by a `type`.
    Quality,
}

impl Deed {
    /// The name in scenario files.
    pub const fn name(self) -> &'static str {
        match self {
            Deed::Connect => "connect",
            Deed::Disconnect => "disconnect",
            Deed::Stall => "stall",
            Deed::UserMessage => "user_message",
            Deed::StartAgent => "start_agent",
            Deed::Chat => "chat",
            Deed::ChatMessage => "chat_message",
            Deed::Stop => "stop",
            Deed::Ping => "ping",
            Deed::Heartbeat => "heartbeat",
            Deed::Typing => "typing",
            Deed::Unknown => "unknown",
            Deed::BadFrame => "bad_frame",
            Deed::Foreign => "foreign",
            Deed::Quality => "quality",
        }
    }

    /// Whether it starts a run.
    pub const fn starts_run(self) -> bool {
        matches!(self, Deed::UserMessage | Deed::StartAgent | Deed::Chat | Deed::ChatMessage)
    }

    /// Keys that it must have, and keys that it may have, beside those of every row.
    pub(crate) const fn keys(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Deed::Connect => (&[], &["tier"]),
            Deed::Disconnect | Deed::Stall => (&["for"], &[]),
            Deed::UserMessage | Deed::StartAgent | Deed::Chat | Deed::ChatMessage => {
                (&[], &["message", "thread", "text", "run", "unruly", "deaf", "dispatched"])
            }
            Deed::Stop => (&["message"], &[]),
            Deed::Ping | Deed::Heartbeat => (&[], &[]),
            Deed::Typing => (&[], &["thread"]),
            Deed::Unknown => (&["type"], &[]),
            Deed::BadFrame => (&["frame"], &[]),
            Deed::Foreign => (&["names"], &["thread"]),
            Deed::Quality => (&["type"], &["message", "thread"]),
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A frame that the router refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BadFrame {
    /// JSON that ends too soon.
    CutOff,
    /// No JSON at all.
    NotJson,
    /// `NaN` for a number.
    NotANumber,
    /// Half of a surrogate pair.
    LoneSurrogate,
    /// An array.
    Array,
    /// A text.
    Text,
    /// A number.
    Number,
    /// An array for the payload.
    PayloadArray,
    /// A number for the thread.
    ThreadNumber,
    /// An object for the type.
    TypeObject,
    /// The type twice.
    TypeTwice,
    /// A number beyond all numbers.
    HugeNumber,
    /// Somebody's name that is nobody's here.
    SomeoneElse,
    /// Nested too deep.
    TooDeep,
    /// Longer than a frame may be.
    TooLarge,
}

/// One step of an agent, as a row of `run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentStep {
    /// When, from the start of the run; never before the step above it.
    pub at: Micros,
    /// What. The first is `started`; the last, and no other, is `answer`, `fail` or `silence`.
    #[serde(rename = "do")]
    pub kind: StepKind,
    /// `tool`: its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `tool`: how long it runs; without it the tool never ends by itself, and the run does not end with an answer.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Micros>,
    /// `tool`: whether it ends with an error. Default false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fails: bool,
    /// Size of the text, the canary included. Default the canary alone, "20B".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Size>,
}

impl AgentStep {
    /// A step with no more than what every step has.
    pub const fn new(at_us: u64, kind: StepKind) -> Self {
        Self { at: Micros::new(at_us), kind, name: None, lasts: None, fails: false, bytes: None }
    }

    /// When it ends, microseconds from the start of the run: for a tool that ends, its end.
    pub fn end_us(&self) -> u64 {
        self.at.us() + self.lasts.map_or(0, Micros::us)
    }
}

/// What an agent does in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// `agent_started`.
    Started,
    /// `agent_thinking`.
    Thinking,
    /// `tool_executing`, and `tool_completed` when it ends.
    Tool,
    /// `agent_completed`.
    Answer,
    /// `agent_error`; open tools are closed.
    Fail,
    /// Nothing more: the deadline ends the run.
    Silence,
}

impl StepKind {
    /// The name in scenario files.
    pub const fn name(self) -> &'static str {
        match self {
            StepKind::Started => "started",
            StepKind::Thinking => "thinking",
            StepKind::Tool => "tool",
            StepKind::Answer => "answer",
            StepKind::Fail => "fail",
            StepKind::Silence => "silence",
        }
    }

    /// Whether a run ends with it.
    pub const fn is_last(self) -> bool {
        matches!(self, StepKind::Answer | StepKind::Fail | StepKind::Silence)
    }
}

const fn is_zero(tab: &u8) -> bool {
    *tab == 0
}

const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEEDS: [Deed; 15] = [
        Deed::Connect,
        Deed::Disconnect,
        Deed::Stall,
        Deed::UserMessage,
        Deed::StartAgent,
        Deed::Chat,
        Deed::ChatMessage,
        Deed::Stop,
        Deed::Ping,
        Deed::Heartbeat,
        Deed::Typing,
        Deed::Unknown,
        Deed::BadFrame,
        Deed::Foreign,
        Deed::Quality,
    ];

    #[test]
    fn a_deed_and_a_step_have_the_names_they_are_written_with() {
        for deed in DEEDS {
            assert_eq!(serde_json::to_value(deed).unwrap(), deed.name());
        }
        for kind in [StepKind::Started, StepKind::Thinking, StepKind::Tool, StepKind::Answer, StepKind::Fail]
        {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    /// The keys that rules speak of are the keys of the format.
    #[test]
    fn every_key_of_a_row_is_some_deeds() {
        let full = Act {
            tier: Some(Tier::Free),
            message: Some(String::new()),
            thread: Some(0),
            text: Some(String::new()),
            run: Some(Vec::new()),
            unruly: true,
            deaf: true,
            dispatched: true,
            lasts: Some(Micros::new(1)),
            type_name: Some(String::new()),
            frame: Some(BadFrame::Array),
            names: Some(1),
            tab: 1,
            ..Act::new(0, 0, 1, Deed::Ping)
        };
        let written = serde_json::to_value(&full).unwrap();
        let keys: std::collections::BTreeSet<&str> =
            written.as_object().unwrap().keys().map(String::as_str).collect();
        let known: std::collections::BTreeSet<&str> = DEEDS
            .iter()
            .flat_map(|deed| [deed.keys().0, deed.keys().1].concat())
            .chain(["at", "user", "tab", "do"])
            .collect();
        assert_eq!(keys, known);
        assert_eq!(full.given().count() + 4, keys.len());
    }
}
