//! The dialect of `docs/wire.md`.

use std::fmt::Write as _;

use super::scan::{Scanner, Value};
use super::{DecodeError, Dialect, FrameKind, Outgoing, RunEventKind, ServerFrame};
use crate::plan::Say;

/// Ours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Goldenpath;

impl Dialect for Goldenpath {
    fn path(&self) -> &'static str {
        "/ws"
    }

    fn query(&self, resume: Option<u64>, thread: Option<&str>, out: &mut String) {
        if let Some(cursor) = resume {
            _ = write!(out, "resume={cursor}");
        }
        if let Some(thread) = thread {
            out.push_str(if resume.is_some() { "&thread=" } else { "thread=" });
            percent_encoded(thread, out);
        }
    }

    fn encode(&self, message: &Outgoing<'_>, out: &mut String) -> bool {
        match message {
            Outgoing::Say(say) => encode_say(say, out),
            Outgoing::Ping => out.push_str(r#"{"type":"ping","payload":{}}"#),
            Outgoing::Heartbeat => out.push_str(r#"{"type":"heartbeat","payload":{}}"#),
            Outgoing::Typing { thread } => {
                out.push_str(r#"{"type":"user_typing","payload":{},"thread_id":"#);
                quoted(thread, out);
                out.push('}');
            }
            Outgoing::Unknown { type_name } => {
                out.push_str(r#"{"type":"#);
                quoted(type_name, out);
                out.push_str(r#","payload":{}}"#);
            }
            Outgoing::Quality { type_name, message_id, thread } => {
                out.push_str(r#"{"type":"#);
                quoted(type_name, out);
                out.push_str(r#","payload":{},"thread_id":"#);
                quoted(thread, out);
                out.push_str(r#","message_id":"#);
                quoted(message_id, out);
                out.push('}');
            }
            Outgoing::Malformed { frame } => out.push_str(frame),
            Outgoing::Stop { run_id } => {
                out.push_str(r#"{"type":"stop_agent","payload":{},"run_id":"#);
                quoted(run_id, out);
                out.push('}');
            }
            Outgoing::Confirm { cursor } => {
                _ = write!(out, r#"{{"type":"confirmation","payload":{{"cursor":{cursor}}}}}"#);
            }
            Outgoing::Pong => out.push_str(r#"{"type":"pong","payload":{}}"#),
        }
        true
    }

    fn decode<'a>(&self, text: &'a str) -> Result<ServerFrame<'a>, DecodeError> {
        let mut read = Members::default();
        let mut scanner = Scanner::new(text);
        if read.head(&mut scanner)? {
            scanner.more(|scanner, key| {
                let usual = key == "metadata" && METADATA.iter().any(|usual| scanner.take_text(usual));
                if usual { Ok(()) } else { read.member(scanner, key) }
            })?;
        } else {
            scanner.skip_space();
            scanner.object(|scanner, key| read.member(scanner, key))?;
        }
        scanner.end()?;
        Ok(read.frame())
    }
}

/// Values of `metadata` that need no reading: nothing in them matters here.
const METADATA: [&str; 4] = [
    r#"{"user_tier":"free","is_priority_queue":false}"#,
    r#"{"user_tier":"early","is_priority_queue":false}"#,
    r#"{"user_tier":"mid","is_priority_queue":false}"#,
    r#"{"user_tier":"enterprise","is_priority_queue":true}"#,
];

/// The members that matter, wherever they stand.
#[derive(Default)]
struct Members<'a> {
    type_name: &'a str,
    user_id: &'a str,
    thread_id: &'a str,
    run_id: &'a str,
    request_id: &'a str,
    tool_call_id: &'a str,
    tool_name: &'a str,
    status: &'a str,
    error_code: &'a str,
    message_id: &'a str,
    timestamp: &'a str,
    agent_name: &'a str,
    received_type: &'a str,
    body: &'a str,
    data_user_id: &'a str,
    connection_id: &'a str,
    shared_log: bool,
    degraded: bool,
    seq: u64,
    cursor: u64,
    data_cursor: u64,
    number: u64,
    from: u64,
    to: u64,
    recovered: bool,
    success: Option<bool>,
}

impl<'a> Members<'a> {
    /// Reads the members that nearly every frame begins with, as long as they stand in the usual order and form, without
    /// looking for their names; whether there was any. What follows is read like anything else.
    fn head(&mut self, scanner: &mut Scanner<'a>) -> Result<bool, DecodeError> {
        if !scanner.take(br#"{"type":""#) {
            return Ok(false);
        }
        self.type_name = scanner.string_rest()?;
        if scanner.take(br#","user_id":""#) {
            self.user_id = scanner.string_rest()?;
        }
        if scanner.take(br#","data":{"timestamp":"#) {
            scanner.skip_space();
            scanner.value(2)?;
            if scanner.take(br#","user_id":""#) {
                self.data_user_id = scanner.string_rest()?;
            }
            scanner.more(|scanner, key| self.data(scanner, key))?;
            self.tail(scanner)?;
            return Ok(true);
        }
        if scanner.take(br#","thread_id":""#) {
            self.thread_id = scanner.string_rest()?;
        }
        if scanner.take(br#","run_id":""#) {
            self.run_id = scanner.string_rest()?;
        }
        if scanner.take(br#","request_id":""#) {
            self.request_id = scanner.string_rest()?;
        }
        if scanner.take(br#","timestamp":""#) {
            self.timestamp = scanner.string_rest()?;
        }
        if scanner.take(br#","agent_name":""#) {
            self.agent_name = scanner.string_rest()?;
        }
        _ = scanner.take(br#","critical":true"#);
        if scanner.take(br#","seq":"#)
            && let Value::Integer(seq) = scanner.whole()?
        {
            self.seq = seq;
        }
        if scanner.take(br#","cursor":"#)
            && let Value::Integer(cursor) = scanner.whole()?
        {
            self.cursor = cursor;
        }
        self.own(scanner)?;
        Ok(true)
    }

    /// The same for what a server message ends with.
    fn tail(&mut self, scanner: &mut Scanner<'a>) -> Result<(), DecodeError> {
        if scanner.take(br#","timestamp":"#) {
            scanner.skip_space();
            if let Value::Text(text) | Value::Number(text) = scanner.value(1)? {
                self.timestamp = text;
            }
            _ = scanner.take(br#","server_id":null,"correlation_id":null"#);
        }
        Ok(())
    }

    /// The same for the members of an event's own, in the order of its types.
    fn own(&mut self, scanner: &mut Scanner<'a>) -> Result<(), DecodeError> {
        if scanner.take(br#","status":""#) {
            self.status = scanner.string_rest()?;
        }
        if scanner.take(br#","task_description":""#) {
            scanner.string_rest()?;
        }
        if scanner.take(br#","reasoning":""#) {
            self.body = scanner.string_rest()?;
        }
        if scanner.take(br#","step_number":"#) {
            scanner.whole()?;
        }
        if scanner.take(br#","tool_call_id":""#) {
            self.tool_call_id = scanner.string_rest()?;
            if scanner.take(br#","tool_name":""#) {
                self.tool_name = scanner.string_rest()?;
            }
            if scanner.take(br#","parameters":"#) {
                scanner.skip_space();
                scanner.value(1)?;
            }
            if scanner.take(br#","results":""#) {
                self.body = scanner.string_rest()?;
            }
            if scanner.take(br#","duration":"#) {
                scanner.whole()?;
            }
        }
        if scanner.take(br#","final_response":""#) {
            self.body = scanner.string_rest()?;
        }
        if scanner.take(br#","execution_time_ms":"#) {
            scanner.whole()?;
        }
        Ok(())
    }

    fn member(&mut self, scanner: &mut Scanner<'a>, key: &'a str) -> Result<(), DecodeError> {
        if key == "details" && scanner.peek() == Some(b'{') {
            return scanner.object(|scanner, key| {
                if let (Value::Text(text), "message_id") = (scanner.value(2)?, key) {
                    self.message_id = text;
                }
                Ok(())
            });
        }
        if key == "data" && scanner.peek() == Some(b'{') {
            return scanner.object(|scanner, key| self.data(scanner, key));
        }
        if key == "results" && scanner.peek() == Some(b'{') {
            // The router's own account of a tool that it had run.
            return scanner.object(|scanner, key| {
                if let ("output" | "error", Value::Text(text)) = (key, scanner.value(2)?) {
                    self.body = text;
                }
                Ok(())
            });
        }
        match scanner.value(1)? {
            Value::Text(text) => self.text(key, text),
            Value::Integer(number) => self.integer(key, number),
            Value::Bool(flag) if key == "recovered" => self.recovered = flag,
            Value::Bool(flag) if key == "success" => self.success = Some(flag),
            Value::Number(text) if key == "timestamp" => self.timestamp = text,
            Value::Number(_) | Value::Bool(_) | Value::Other => {}
        }
        Ok(())
    }

    fn data(&mut self, scanner: &mut Scanner<'a>, key: &'a str) -> Result<(), DecodeError> {
        if key == "features" && scanner.peek() == Some(b'{') {
            return scanner.object(|scanner, key| {
                self.shared_log |= matches!((key, scanner.value(3)?), ("shared_log", Value::Bool(true)));
                Ok(())
            });
        }
        match (key, scanner.value(2)?) {
            ("user_id", Value::Text(text)) => self.data_user_id = text,
            ("connection_id", Value::Text(text)) => self.connection_id = text,
            ("cursor", Value::Integer(number)) => self.data_cursor = number,
            ("degraded", Value::Bool(flag)) => self.degraded = flag,
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, key: &str, text: &'a str) {
        match key.as_bytes() {
            b"type" => self.type_name = text,
            b"user_id" => self.user_id = text,
            b"thread_id" => self.thread_id = text,
            b"run_id" => self.run_id = text,
            b"request_id" => self.request_id = text,
            b"tool_call_id" => self.tool_call_id = text,
            b"tool_name" => self.tool_name = text,
            b"status" => self.status = text,
            b"error_code" => self.error_code = text,
            b"message_id" => self.message_id = text,
            b"timestamp" => self.timestamp = text,
            b"agent_name" => self.agent_name = text,
            b"received_type" => self.received_type = text,
            b"reasoning" | b"results" | b"final_response" => self.body = text,
            _ => {}
        }
    }

    fn integer(&mut self, key: &str, number: u64) {
        match key.as_bytes() {
            b"seq" => self.seq = number,
            b"cursor" => self.cursor = number,
            b"number" => self.number = number,
            b"from" => self.from = number,
            b"to" => self.to = number,
            _ => {}
        }
    }

    fn kind(&self) -> FrameKind<'a> {
        use RunEventKind as Event;
        match self.type_name {
            "agent_started" => FrameKind::Event(Event::Started),
            "agent_thinking" => FrameKind::Event(Event::Thinking),
            "progress_update" => FrameKind::Event(Event::Progress),
            "tool_executing" => FrameKind::Event(Event::ToolExecuting),
            "tool_completed" => FrameKind::Event(Event::ToolCompleted),
            "agent_completed" => FrameKind::Event(Event::Completed),
            "agent_error" | "agent_death" => FrameKind::Event(Event::Error),
            "connection_established" => {
                FrameKind::Welcome { cursor: (!self.degraded).then_some(self.data_cursor) }
            }
            "pong" => FrameKind::Pong,
            "heartbeat_ack" => FrameKind::HeartbeatAck,
            "heartbeat" => FrameKind::Heartbeat,
            "ack" => FrameKind::Ack { status: self.status },
            "error_message" => FrameKind::Error { code: self.error_code },
            "agent_stopped" => FrameKind::Stopped,
            "recovery_gap" => FrameKind::Gap { from: self.from, to: self.to },
            "system_message" | "subscribed" | "unsubscribed" => FrameKind::System,
            "quality_metrics"
            | "content_validation_result"
            | "quality_report_generated"
            | "quality_alerts_subscribed"
            | "quality_alerts_unsubscribed"
            | "quality_update"
            | "quality_alert" => FrameKind::Quality,
            "dead_letters" => FrameKind::Letters,
            "notice" => FrameKind::Notice { number: self.number },
            _ => FrameKind::Other,
        }
    }

    fn frame(self) -> ServerFrame<'a> {
        let kind = self.kind();
        let welcome = matches!(kind, FrameKind::Welcome { .. });
        let user_id = if self.user_id.is_empty() && !welcome { self.data_user_id } else { self.user_id };
        ServerFrame {
            kind,
            type_name: self.type_name,
            user_id,
            connection_id: self.connection_id,
            shared_log: self.shared_log,
            thread_id: self.thread_id,
            run_id: self.run_id,
            request_id: self.request_id,
            tool_call_id: self.tool_call_id,
            tool_name: self.tool_name,
            status: self.status,
            error_code: self.error_code,
            message_id: self.message_id,
            timestamp: self.timestamp,
            agent_name: self.agent_name,
            received_type: self.received_type,
            body: self.body,
            seq: self.seq,
            cursor: self.cursor,
            recovered: self.recovered,
            success: self.success,
        }
    }
}

fn encode_say(say: &Say, out: &mut String) {
    out.push_str(r#"{"type":""#);
    out.push_str(say.kind.wire_type());
    out.push_str(r#"","payload":{""#);
    out.push_str(say.kind.text_member());
    out.push_str(r#"":"#);
    quoted(&say.text, out);
    out.push_str(r#"},"thread_id":"#);
    quoted(&say.thread, out);
    out.push_str(r#","message_id":"#);
    quoted(&say.message_id, out);
    out.push('}');
}

/// Appends a JSON string.
pub(crate) fn quoted(text: &str, out: &mut String) {
    out.push('"');
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[done..at]);
        done = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            _ => _ = write!(out, "\\u{byte:04x}"),
        }
    }
    out.push_str(&text[done..]);
    out.push('"');
}

fn percent_encoded(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ExpectedRun, MessageKind};
    use crate::script::Terminal;

    const EVENT: &str = r#"{"type":"tool_completed","user_id":"u","thread_id":"t","run_id":"run-n0-17","request_id":"m0001","timestamp":"2026-11-21T00:00:00.000000Z","agent_name":"data","critical":true,"seq":3,"cursor":41,"tool_call_id":"c0","tool_name":"search","results":{"text":"a \"quoted\" ü \u00e9 \ud83d\ude00","n":[1,-2.5e3,null]},"duration":12,"success":false,"status":"error","metadata":{"user_tier":"free","seq":9},"recovered":true}"#;

    #[test]
    fn a_run_event_is_read_without_copying() {
        let frame = Goldenpath.decode(EVENT).unwrap();
        assert_eq!(frame.event(), Some(RunEventKind::ToolCompleted));
        assert_eq!((frame.user_id, frame.run_id, frame.request_id), ("u", "run-n0-17", "m0001"));
        assert_eq!((frame.seq, frame.cursor, frame.recovered, frame.success), (3, 41, true, Some(false)));
        assert_eq!((frame.tool_call_id, frame.status), ("c0", "error"));
    }

    #[test]
    fn kinds_are_told_apart() {
        let kind = |text| Goldenpath.decode(text).unwrap().kind;
        assert_eq!(
            kind(
                r#" {"type":"connection_established","data":{"user_id":"user-000...","cursor":7},"timestamp":1.5} "#
            ),
            FrameKind::Welcome { cursor: Some(7) }
        );
        assert_eq!(kind(r#"{"type":"recovery_gap","from":12,"to":30}"#), FrameKind::Gap { from: 12, to: 30 });
        assert_eq!(kind(r#"{"type":"ack","status":"duplicate"}"#), FrameKind::Ack { status: "duplicate" });
        assert_eq!(kind("{}"), FrameKind::Other);
        let pong = Goldenpath.decode(r#"{"type":"pong","data":{"user_id":"u"}}"#).unwrap();
        assert_eq!((pong.kind, pong.user_id), (FrameKind::Pong, "u"));
    }

    /// The scanner refuses exactly what a full parser refuses, on every prefix and every one-byte change.
    #[test]
    fn strictness_agrees_with_a_full_parser() {
        let full =
            |text: &str| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok();
        let mut judged = 0;
        for at in 0..EVENT.len() {
            for byte in [b'"', b'\\', b'{', b']', b',', b'0', b'.', b'-', b'u', b' ', 0x1f] {
                let mut bytes = EVENT.as_bytes().to_vec();
                bytes[at] = byte;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                assert_eq!(Goldenpath.decode(&text).is_ok(), full(&text), "{text}");
                judged += 1;
            }
            if EVENT.is_char_boundary(at) {
                assert!(Goldenpath.decode(&EVENT[..at]).is_err());
            }
        }
        assert!(judged > 4_000);
        for text in ["{} x", "[]", "5", "", r#"{"a":01}"#, r#"{"a":1,}"#, r#"{"a":"\ud800"}"#] {
            assert!(Goldenpath.decode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn messages_are_valid_json_whatever_the_text() {
        let expected = ExpectedRun {
            terminal: Terminal::Completed,
            thinking: 1,
            tools: 0,
            tool_errors: 0,
            full_golden: false,
            ends_at_us: 0,
        };
        let text = "quote \" slash \\ line \n ü".to_owned();
        let thread = "t".to_owned();
        let say = Say { kind: MessageKind::Chat, message_id: "m1".to_owned(), thread, text, expected };
        let mut out = String::new();
        assert!(Goldenpath.encode(&Outgoing::Say(&say), &mut out));
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value["payload"]["content"], "quote \" slash \\ line \n ü");
        assert_eq!((&value["message_id"], &value["thread_id"]), (&"m1".into(), &"t".into()));
        for message in [Outgoing::Ping, Outgoing::Confirm { cursor: 7 }, Outgoing::Stop { run_id: "r" }] {
            let mut out = String::new();
            assert!(Goldenpath.encode(&message, &mut out));
            assert!(Goldenpath.decode(&out).is_ok(), "{out}");
        }
    }

    #[test]
    fn the_query_names_cursor_and_thread() {
        let query = |resume, thread| {
            let mut out = String::new();
            Goldenpath.query(resume, thread, &mut out);
            out
        };
        assert_eq!(query(None, None), "");
        assert_eq!(query(Some(5), Some("a b")), "resume=5&thread=a%20b");
        assert_eq!(query(None, Some("t-1")), "thread=t-1");
    }
}
