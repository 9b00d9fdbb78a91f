//! What client and server write on the wire. The reference client, the checkers and the load test read frames
//! through a [`Dialect`] only, so that another server can be driven by the same plan.

mod goldenpath;
mod scan;

use std::fmt;

use crate::plan::Say;

pub use goldenpath::Goldenpath;
pub(crate) use goldenpath::quoted;

/// One server's way of writing.
pub trait Dialect {
    /// Path of the upgrade request.
    fn path(&self) -> &'static str;

    /// Appends the query of the upgrade request, without the question mark; nothing if there is none.
    fn query(&self, resume: Option<u64>, thread: Option<&str>, out: &mut String);

    /// Appends the text of a client's message; false if the dialect has no such message.
    fn encode(&self, message: &Outgoing<'_>, out: &mut String) -> bool;

    /// Reads a server's frame.
    ///
    /// # Errors
    /// The frame is not a strict JSON object.
    fn decode<'a>(&self, text: &'a str) -> Result<ServerFrame<'a>, DecodeError>;
}

/// A client's message.
#[derive(Clone, Copy, Debug)]
pub enum Outgoing<'a> {
    /// Starts a run.
    Say(&'a Say),
    /// `ping`.
    Ping,
    /// `heartbeat`.
    Heartbeat,
    /// `user_typing`.
    Typing {
        /// The thread.
        thread: &'a str,
    },
    /// A type that the server does not know.
    Unknown {
        /// The type.
        type_name: &'a str,
    },
    /// A bad frame, word for word.
    Malformed {
        /// The frame.
        frame: &'a str,
    },
    /// A question about quality.
    Quality {
        /// Its type.
        type_name: &'a str,
        /// Its `message_id`.
        message_id: &'a str,
        /// The thread.
        thread: &'a str,
    },
    /// Ends one run.
    Stop {
        /// The run.
        run_id: &'a str,
    },
    /// Says up to where everything has arrived.
    Confirm {
        /// The newest cursor seen.
        cursor: u64,
    },
    /// Answers a heartbeat.
    Pong,
}

/// What a server's frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind<'a> {
    /// The first frame of a connection.
    Welcome {
        /// The user's cursor at the time of connecting. `None`: the node cannot reach the store that it shares with others;
        /// the welcome comes again, whole, when it can.
        cursor: Option<u64>,
    },
    /// An event of a run.
    Event(RunEventKind),
    /// Answer to `ping`.
    Pong,
    /// Answer to `heartbeat`.
    HeartbeatAck,
    /// The server asks for a sign of life.
    Heartbeat,
    /// A message was taken note of.
    Ack {
        /// `acknowledged` or `duplicate`.
        status: &'a str,
    },
    /// A message was refused.
    Error {
        /// The stable code.
        code: &'a str,
    },
    /// Runs are about to be stopped.
    Stopped,
    /// Frames that cannot be replayed any more, inclusive.
    Gap {
        /// First missing cursor.
        from: u64,
        /// Last missing cursor.
        to: u64,
    },
    /// Anything the server says about the connection.
    System,
    /// An answer about quality, or news of it: the members of `docs/wire.md`.
    Quality,
    /// Messages of the user ended without being worked on.
    Letters,
    /// An event of the host's.
    Notice {
        /// Its number.
        number: u64,
    },
    /// A type that the dialect does not know.
    Other,
}

/// The events of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunEventKind {
    /// `agent_started`
    Started,
    /// `agent_thinking`
    Thinking,
    /// `progress_update`
    Progress,
    /// `tool_executing`
    ToolExecuting,
    /// `tool_completed`
    ToolCompleted,
    /// `agent_completed`
    Completed,
    /// `agent_error`
    Error,
}

impl RunEventKind {
    /// All of them, in the order of the enum.
    pub const ALL: [RunEventKind; 7] = [
        Self::Started,
        Self::Thinking,
        Self::Progress,
        Self::ToolExecuting,
        Self::ToolCompleted,
        Self::Completed,
        Self::Error,
    ];

    /// The type on the wire of [`Goldenpath`]; also the word of reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "agent_started",
            Self::Thinking => "agent_thinking",
            Self::Progress => "progress_update",
            Self::ToolExecuting => "tool_executing",
            Self::ToolCompleted => "tool_completed",
            Self::Completed => "agent_completed",
            Self::Error => "agent_error",
        }
    }

    /// Whether nothing may follow it.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Error)
    }
}

/// A server's frame; texts as written on the wire, with escapes not resolved, empty if absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerFrame<'a> {
    /// What it is.
    pub kind: FrameKind<'a>,
    /// `type`.
    pub type_name: &'a str,
    /// The user it is for; not that of a welcome, which is cut.
    pub user_id: &'a str,
    /// The server's name of the connection, of a welcome.
    pub connection_id: &'a str,
    /// Whether a welcome says that all nodes count by one log.
    pub shared_log: bool,
    /// The conversation.
    pub thread_id: &'a str,
    /// The run.
    pub run_id: &'a str,
    /// `message_id` of the message that asked for the run.
    pub request_id: &'a str,
    /// The tool call.
    pub tool_call_id: &'a str,
    /// The tool.
    pub tool_name: &'a str,
    /// `status`.
    pub status: &'a str,
    /// `error_code`: of a refused message, or of a failed run.
    pub error_code: &'a str,
    /// `message_id`, of an acknowledgement or, in its details, of an error.
    pub message_id: &'a str,
    /// `timestamp`: a text, or a number with a fraction.
    pub timestamp: &'a str,
    /// `agent_name`, of an event.
    pub agent_name: &'a str,
    /// `received_type`, of an acknowledgement.
    pub received_type: &'a str,
    /// What the agent said in an event: `reasoning`, `results` or `final_response`, if it is a text.
    pub body: &'a str,
    /// Position within the run, from 1; 0 if absent.
    pub seq: u64,
    /// Position within everything the user must receive, from 1; 0 if absent.
    pub cursor: u64,
    /// Whether it is a replay.
    pub recovered: bool,
    /// `success`, of a tool that ended.
    pub success: Option<bool>,
}

impl ServerFrame<'_> {
    /// The name of the server's incarnation, of a welcome: `n0` in `conn-n0-17`. Empty if there is none, or if it says
    /// nothing because all nodes count by one log.
    pub fn node(&self) -> &str {
        if self.shared_log {
            return "";
        }
        let name = self.connection_id.strip_prefix("conn-").unwrap_or_default();
        name.split_once('-').map_or("", |(node, _)| node)
    }

    /// The event, if the frame is one.
    pub const fn event(&self) -> Option<RunEventKind> {
        match self.kind {
            FrameKind::Event(event) => Some(event),
            FrameKind::Welcome { .. }
            | FrameKind::Pong
            | FrameKind::HeartbeatAck
            | FrameKind::Heartbeat
            | FrameKind::Ack { .. }
            | FrameKind::Error { .. }
            | FrameKind::Stopped
            | FrameKind::Gap { .. }
            | FrameKind::System
            | FrameKind::Quality
            | FrameKind::Notice { .. }
            | FrameKind::Letters
            | FrameKind::Other => None,
        }
    }

    /// [`timestamp`](Self::timestamp) in microseconds since the Unix epoch, if it has the form
    /// `2026-11-21T00:00:00.000000Z`, or that of seconds with a fraction of up to six digits.
    pub fn emitted_at_us(&self) -> Option<u64> {
        micros_of(self.timestamp)
    }
}

/// Why a frame could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Byte position.
    pub at: usize,
    /// What should have been there.
    pub expected: &'static str,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a strict JSON object: byte {}: expected {}", self.at, self.expected)
    }
}

impl std::error::Error for DecodeError {}

fn micros_of(text: &str) -> Option<u64> {
    let Ok(bytes) = <&[u8; 27]>::try_from(text.as_bytes()) else { return micros_of_number(text) };
    let mut plain = true;
    let mut number = |from: usize, to: usize| {
        bytes[from..to].iter().fold(0, |number: u64, byte| {
            let digit = byte.wrapping_sub(b'0');
            plain &= digit < 10;
            number * 10 + u64::from(digit)
        })
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second, micros) = (number(11, 13), number(14, 16), number(17, 19), number(20, 26));
    if !plain {
        return None;
    }
    // Days since 0000-03-01 in the proleptic Gregorian calendar, years beginning in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1;
    let seconds = days.checked_sub(719_468)? * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(seconds * 1_000_000 + micros)
}

fn micros_of_number(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    let unit = 10_u64.pow(6_u32.checked_sub(fraction.len().try_into().ok()?)?);
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction.parse::<u64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_read_to_the_microsecond() {
        assert_eq!(micros_of("1970-01-01T00:00:00.000000Z"), Some(0));
        assert_eq!(micros_of("2023-11-14T22:13:20.000001Z"), Some(1_700_000_000_000_001));
        assert_eq!(micros_of("2024-02-29T23:59:59.999999Z"), Some(1_709_251_199_999_999));
        assert_eq!(micros_of("1700000000.286822"), Some(1_700_000_000_286_822));
        assert_eq!(micros_of("1700000000.5"), Some(1_700_000_000_500_000));
        for wrong in [
            "",
            "2023-11-14T22:13:20Z",
            "2023-11-14T22:13:20.00000xZ",
            "0000-01-01T00:00:00.000000Z",
            "-1.5",
            "1.5e3",
            "1.1234567",
            "99999999999999999999.5",
        ] {
            assert_eq!(micros_of(wrong), None, "{wrong}");
        }
    }
}
