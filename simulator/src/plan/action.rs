//! The vocabulary of a plan.

use crate::script::Terminal;

/// One thing a tab does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// When, microseconds from the start of the scenario.
    pub at_us: u64,
    /// Which tab, from 0.
    pub tab: u8,
    /// What.
    pub kind: ActionKind,
}

/// What a tab can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// Opens the tab's first connection.
    Connect,
    /// Sends a message that starts a run.
    Say(Box<Say>),
    /// Sends `ping`.
    Ping,
    /// Sends `heartbeat`.
    Heartbeat,
    /// Sends `user_typing`.
    Typing {
        /// The thread the user types in.
        thread: Box<str>,
    },
    /// Sends a type that the router does not know; the answer is an acknowledgement.
    Unknown {
        /// The type on the wire.
        type_name: &'static str,
    },
    /// Sends a bad frame; the answer is an error message and the connection lives.
    Malformed(Box<Malformed>),
    /// Asks about quality; the answer names the same message and thread.
    Quality(Box<Question>),
    /// Stops the run of a message with `stop_agent`, naming its run id (a thread id would stop the thread's
    /// other runs too).
    Stop {
        /// The message whose run is stopped.
        message_id: Box<str>,
    },
    /// Loses the connection without a closing handshake.
    Disconnect,
    /// Connects again, with the cursor of the last frame seen if the scenario's network says so.
    Reconnect,
    /// Stops reading for a time, then reads on.
    StallReading {
        /// For how long, microseconds.
        for_us: u64,
    },
    /// Closes the connection for good; the last action of every tab.
    Leave,
}

/// A world of a million users plans tens of millions of them: what few have stands elsewhere.
const _: () = assert!(size_of::<Action>() <= 40, "an action has grown");

/// A frame that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The frame's text.
    pub frame: String,
    /// `error_code` of the answer.
    pub expected_code: &'static str,
}

/// A question about quality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// `type` on the wire.
    pub type_name: &'static str,
    /// `message_id` on the wire, such as `q0007`; unique within the user.
    pub message_id: String,
    /// `thread_id` on the wire.
    pub thread: String,
}

/// A message that starts a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Say {
    /// Its type.
    pub kind: MessageKind,
    /// `message_id` on the wire, such as `m0007`; unique within the user; also the request id of the run.
    pub message_id: String,
    /// `thread_id` on the wire; unique to the user.
    pub thread: String,
    /// The text, beginning with the user's canary.
    pub text: String,
    /// What becomes of its run.
    pub expected: ExpectedRun,
}

/// The types of message that start a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageKind {
    /// `user_message`, text in `payload.content`.
    UserMessage,
    /// `start_agent`, text in `payload.user_request`.
    StartAgent,
    /// `chat`, text in `payload.content`.
    Chat,
    /// `chat_message`, an alias of `user_message`.
    ChatMessage,
}

impl MessageKind {
    /// `type` on the wire.
    pub const fn wire_type(self) -> &'static str {
        match self {
            Self::UserMessage => "user_message",
            Self::StartAgent => "start_agent",
            Self::Chat => "chat",
            Self::ChatMessage => "chat_message",
        }
    }

    /// The member of `payload` that carries the text.
    pub const fn text_member(self) -> &'static str {
        match self {
            Self::UserMessage | Self::Chat | Self::ChatMessage => "content",
            Self::StartAgent => "user_request",
        }
    }
}

/// What becomes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedRun {
    /// How it ends.
    pub terminal: Terminal,
    /// Thinking events until then.
    pub thinking: u32,
    /// Tools started until then.
    pub tools: u32,
    /// Tools that end with an error by themselves until then.
    pub tool_errors: u32,
    /// Whether all five event types appear.
    pub full_golden: bool,
    /// When it ends at the latest, microseconds from the start of the scenario, with the network's largest
    /// delay.
    pub ends_at_us: u64,
}
