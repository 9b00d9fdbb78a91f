//! What stood between a socket and the router: the loop that reads one connection.

use std::collections::VecDeque;

use super::reply;
use crate::legacy::{
    Hazard, Hazards,
    message_types::{
        Given, MessageType,
        build::{self, ServerArguments},
        parse,
    },
    python::{Dict, Value, json},
};

/// How an endpoint served a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By the router.
    Main,
    /// By a context per user.
    Factory,
    /// By a context per connection.
    Isolated,
}

/// What came of a frame, or of an idle period.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// A message for the router.
    Message(Value),
    /// A frame back to the client.
    Answer(Value),
    /// The loop ends: the connection is closed with code 1000, and no word why.
    Ends,
    /// The frame waits until the handler has ended.
    Held,
    /// The frame is lost.
    Lost,
    /// Nothing.
    Nothing,
}

/// The loop of one connection.
#[derive(Debug)]
pub struct MainLoop {
    hazards: Hazards,
    mode: Mode,
    /// Longest wait for a frame, in microseconds.
    timeout_us: u64,
    waits_since_us: u64,
    busy: bool,
    held: VecDeque<String>,
    ended: bool,
    processed: i64,
}

impl MainLoop {
    /// The loop of a connection that was accepted now.
    pub fn new(mode: Mode, timeout_us: u64, now_us: u64, hazards: Hazards) -> Self {
        Self {
            hazards,
            mode,
            timeout_us,
            waits_since_us: now_us,
            busy: false,
            held: VecDeque::new(),
            ended: false,
            processed: 0,
        }
    }

    /// Takes in a frame.
    ///
    /// H18: while a handler is at work nothing is read. H20: the receive is cancelled at the timeout, with what
    /// arrives at that instant.
    pub fn receive(&mut self, now_us: u64, text: &str) -> Read {
        if self.ended {
            return Read::Lost;
        }
        if self.busy && self.hazards.has(Hazard::H18) {
            self.held.push_back(text.to_owned());
            return Read::Held;
        }
        if now_us == self.waits_since_us + self.timeout_us && self.hazards.has(Hazard::H20) {
            return Read::Lost;
        }
        self.waits_since_us = now_us;
        self.read(now_us, text)
    }

    /// H7: what is no object, and what the reader itself fails at, ends the loop.
    fn read(&mut self, now_us: u64, text: &str) -> Read {
        self.processed += 1;
        let now = now_us as f64 / 1e6;
        let refused = |code: &str, text: &str| {
            let error = build::error_message(&code.into(), &text.into(), &Value::None, &Value::None, now);
            error.map_or(Read::Nothing, Read::Answer)
        };
        if matches!(json::loads(text), Err(json::Fault::Malformed(_))) {
            return refused("JSON_PARSE_ERROR", "Invalid JSON format");
        }
        match parse(text) {
            Ok(message) if message.as_dict().is_some() => self.of_mode(message, now),
            Ok(_) | Err(_) if self.hazards.has(Hazard::H7) => self.end(),
            Ok(_) => refused("NOT_AN_OBJECT", "a message is an object"),
            Err(_) => refused("BAD_NUMBER", "a number is too long, or the message nests too deep"),
        }
    }

    fn of_mode(&mut self, message: Value, now: f64) -> Read {
        if self.mode == Mode::Main {
            self.busy = true;
            return Read::Message(message);
        }
        answer(self.mode, now, self.hazards).map_or_else(|| self.end(), Read::Answer)
    }

    fn end(&mut self) -> Read {
        self.ended = true;
        Read::Ends
    }

    /// The handler has ended: the next frame that waited.
    pub fn handled(&mut self, now_us: u64) -> Read {
        self.busy = false;
        self.waits_since_us = now_us;
        let Some(text) = self.held.pop_front() else { return Read::Nothing };
        self.read(now_us, &text)
    }

    /// When an idle period is over; never while a handler is at work.
    pub fn idle_at(&self) -> Option<u64> {
        (!self.ended && !self.busy).then_some(self.waits_since_us + self.timeout_us)
    }

    /// An idle period is over: the client gets a heartbeat.
    pub fn idle(&mut self, now_us: u64) -> Read {
        if self.idle_at().is_none_or(|at| now_us < at) {
            return Read::Nothing;
        }
        self.waits_since_us = now_us;
        let now = now_us as f64 / 1e6;
        if self.mode == Mode::Main {
            let stats = Value::dict([("messages_processed", self.processed.into())]);
            return Read::Answer(reply::server(MessageType::Heartbeat, [("stats", stats)], now));
        }
        heartbeat(self.mode, now, self.hazards).map_or_else(|| self.end(), Read::Answer)
    }
}

/// What the other modes answer to a message. H28: of a type that their constructor does not know, so there is none.
pub fn answer(mode: Mode, now: f64, hazards: Hazards) -> Option<Value> {
    built(mode, "response", MessageType::AgentResponse, now, hazards)
}

/// What the other modes say after an idle period. H28 as for [`answer`].
pub fn heartbeat(mode: Mode, now: f64, hazards: Hazards) -> Option<Value> {
    built(mode, "heartbeat", MessageType::Heartbeat, now, hazards)
}

fn built(mode: Mode, what: &str, intended: MessageType, now: f64, hazards: Hazards) -> Option<Value> {
    let name = match mode {
        Mode::Main => intended.wire().to_owned(),
        Mode::Factory => format!("factory_{what}"),
        Mode::Isolated => format!("isolated_{what}"),
    };
    let name = Value::from(if hazards.has(Hazard::H28) { &name } else { intended.wire() });
    let arguments = ServerArguments {
        first: Given::Value(&name),
        data: &Value::None,
        content: &Value::None,
        correlation_id: &Value::None,
        extra: None::<&Dict>,
    };
    build::server_message(&arguments, now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT_US: u64 = 10_000_000;

    fn main(hazards: Hazards) -> MainLoop {
        MainLoop::new(Mode::Main, TIMEOUT_US, 0, hazards)
    }

    fn code(read: &Read) -> Option<&str> {
        let Read::Answer(frame) = read else { return None };
        frame.get("error_code").and_then(Value::as_str)
    }

    #[test]
    fn h7_ends_the_loop_at_a_bad_frame() {
        let long = "1".repeat(5000);
        for text in ["[]", "5", "null", &long] {
            assert_eq!(main(Hazards::ALL).receive(1, text), Read::Ends, "{text:.9}");
            let mut repaired = main(Hazards::ALL.without(Hazard::H7));
            assert!(code(&repaired.receive(1, text)).is_some(), "{text:.9}");
            assert!(matches!(repaired.receive(2, "{}"), Read::Message(_)));
        }
        assert_eq!(code(&main(Hazards::ALL).receive(1, "{")), Some("JSON_PARSE_ERROR"));
    }

    #[test]
    fn h18_reads_nothing_while_a_handler_is_at_work() {
        let mut on = main(Hazards::ALL);
        assert!(matches!(on.receive(1, "{}"), Read::Message(_)));
        assert_eq!(on.receive(2, "{}"), Read::Held);
        assert_eq!(on.idle_at(), None);
        assert!(matches!(on.handled(3), Read::Message(_)));
        let mut off = main(Hazards::ALL.without(Hazard::H18));
        assert!(matches!(off.receive(1, "{}"), Read::Message(_)));
        assert!(matches!(off.receive(2, "{}"), Read::Message(_)));
    }

    #[test]
    fn h20_loses_what_arrives_with_the_timeout() {
        assert_eq!(main(Hazards::ALL).receive(TIMEOUT_US, "{}"), Read::Lost);
        let mut off = main(Hazards::ALL.without(Hazard::H20));
        assert!(matches!(off.receive(TIMEOUT_US, "{}"), Read::Message(_)));
        assert!(matches!(main(Hazards::ALL).idle(TIMEOUT_US), Read::Answer(_)));
    }

    #[test]
    fn h28_ends_the_other_modes_at_the_first_frame_and_the_first_idle_period() {
        for mode in [Mode::Factory, Mode::Isolated] {
            let made = |hazards| MainLoop::new(mode, TIMEOUT_US, 0, hazards);
            assert_eq!(made(Hazards::ALL).receive(1, "{}"), Read::Ends);
            assert_eq!(made(Hazards::ALL).idle(TIMEOUT_US), Read::Ends);
            let mut repaired = made(Hazards::ALL.without(Hazard::H28));
            assert!(matches!(repaired.receive(1, "{}"), Read::Answer(_)));
            assert!(matches!(repaired.idle(TIMEOUT_US + 1), Read::Answer(_)));
        }
    }
}
