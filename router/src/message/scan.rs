//! The one checking pass over an inbound frame: strict JSON (RFC 8259), nesting, numbers, lone surrogates,
//! repeated envelope keys, types of envelope members, ids of other users at any depth. It reads each byte once
//! and copies nothing; only a refused frame is looked at again, for the path of its fault.

use alloc::{format, string::String, vec::Vec};

use super::envelope::{Envelope, Fault, Fields, Member, Raw, Span, unescape};
use crate::error::ErrorCode;

/// Most digits a number may have, sign, point and exponent not counted.
pub const MAX_NUMBER_DIGITS: usize = 64;

/// Checks `text` as a frame of `own_user` and returns its envelope, or the first fault.
///
/// A syntax error anywhere wins over faults of content; of those, the first in the frame is reported.
/// `nesting_max` is at most 64. Guarantee: never panics, for any text.
pub fn scan<'a>(text: &'a str, own_user: &[u8], nesting_max: u32) -> Result<Envelope<'a>, Fault> {
    if text.len() > usize::from(u16::MAX) {
        let code = ErrorCode::TooLarge;
        return Err(Fault { code, offset: 0, path: String::new(), expected: "less than 64 KiB" });
    }
    let mut scanner = Scanner::new(text, own_user, nesting_max.min(64));
    scanner.run().map_err(|refusal| locate(text, refusal))
}

/// A fault before its path is known.
#[derive(Clone, Copy)]
struct Refusal {
    code: ErrorCode,
    offset: usize,
    expected: &'static str,
}

/// The envelope's own members, in bit order of `Scanner::seen`.
const ENVELOPE_KEYS: usize = 7;
const TYPE: usize = 0;
const PAYLOAD: usize = 1;
const TIMESTAMP: usize = 2;
const MESSAGE_ID: usize = 3;
const USER_ID: usize = 4;
const THREAD_ID: usize = 5;
const RUN_ID: usize = 6;

/// An envelope member of the sender's own.
const NO_SLOT: usize = ENVELOPE_KEYS;
/// `jsonrpc`: looked for, but no member of our envelope.
const JSONRPC: usize = NO_SLOT + 1;

/// A key as it stands in the frame, quotes stripped.
#[derive(Clone, Copy, Default)]
struct Key {
    start: usize,
    end: usize,
    escaped: bool,
}

struct Scanner<'a, 'u> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    own_user: &'u [u8],
    nesting_max: u32,
    depth: u32,
    /// Bit `d` is set while the container at depth `d` is an object.
    objects: u64,
    /// The first fault of content; syntax goes on being checked.
    content: Option<Refusal>,
    seen: u32,
    slots: [Option<Raw<'a>>; ENVELOPE_KEYS],
    jsonrpc: Option<Raw<'a>>,
    top: Fields<'a>,
    payload: Fields<'a>,
    /// The envelope member being read at depth 1.
    top_key: Key,
    top_slot: usize,
    top_value: usize,
    /// The payload member being read at depth 2.
    inner_key: Key,
    inner_value: usize,
    in_payload: bool,
}

type Step<T = ()> = Result<T, Refusal>;

impl<'a, 'u> Scanner<'a, 'u> {
    fn new(text: &'a str, own_user: &'u [u8], nesting_max: u32) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            own_user,
            nesting_max,
            depth: 0,
            objects: 0,
            content: None,
            seen: 0,
            slots: [None; ENVELOPE_KEYS],
            jsonrpc: None,
            top: Fields::new(text),
            payload: Fields::new(text),
            top_key: Key::default(),
            top_slot: NO_SLOT,
            top_value: 0,
            inner_key: Key::default(),
            inner_value: 0,
            in_payload: false,
        }
    }

    fn run(&mut self) -> Step<Envelope<'a>> {
        self.skip_space();
        let start = self.at;
        let object = self.peek() == Some(b'{');
        self.value()?;
        while self.depth > 0 {
            self.next_member()?;
        }
        let end = self.at;
        self.skip_space();
        if self.at != self.bytes.len() {
            return Err(self.syntax());
        }
        if !object {
            return Err(self.refusal(ErrorCode::NotAnObject, start, "an object"));
        }
        match self.content {
            Some(refusal) => Err(refusal),
            None => Ok(self.envelope((start, end))),
        }
    }

    fn envelope(&mut self, span: (usize, usize)) -> Envelope<'a> {
        self.top.close(Span::new(span.0, span.1));
        Envelope {
            kind: self.slots[TYPE],
            timestamp: self.slots[TIMESTAMP],
            message_id: self.slots[MESSAGE_ID].filter(|raw| !raw.is_null()),
            thread_id: self.slots[THREAD_ID].filter(|raw| !raw.is_null()),
            run_id: self.slots[RUN_ID].filter(|raw| !raw.is_null()),
            jsonrpc: self.jsonrpc,
            payload: self.slots[PAYLOAD].is_some().then_some(self.payload),
            top: self.top,
        }
    }

    /// Inside a container: the comma, the key if it is an object, and the next value; or its end.
    fn next_member(&mut self) -> Step {
        self.skip_space();
        let in_object = self.in_object();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                if in_object { self.member() } else { self.value() }
            }
            Some(b'}') if in_object => {
                self.close();
                Ok(())
            }
            Some(b']') if !in_object => {
                self.close();
                Ok(())
            }
            _ => Err(self.syntax()),
        }
    }

    fn value(&mut self) -> Step {
        let start = self.at;
        let mut escaped = false;
        match self.peek() {
            Some(b'"') => escaped = self.string()?,
            Some(b'{') => return self.open(true),
            Some(b'[') => return self.open(false),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal("true")?,
            Some(b'f') => self.literal("false")?,
            Some(b'n') => self.literal("null")?,
            _ => return Err(self.syntax()),
        }
        if self.depth <= 2 {
            self.value_done(start, escaped);
        }
        Ok(())
    }

    fn open(&mut self, object: bool) -> Step {
        if self.depth == self.nesting_max {
            return Err(self.refusal(ErrorCode::TooDeep, self.at, "less nesting"));
        }
        self.depth += 1;
        let bit = 1 << (self.depth - 1);
        self.objects = if object { self.objects | bit } else { self.objects & !bit };
        if object && self.depth == 2 && self.top_slot == PAYLOAD && self.in_object_at(1) {
            self.in_payload = true;
        }
        self.at += 1;
        self.skip_space();
        match (self.peek(), object) {
            (Some(b'}'), true) | (Some(b']'), false) => {
                self.close();
                Ok(())
            }
            (_, true) => self.member(),
            (_, false) => self.value(),
        }
    }

    fn close(&mut self) {
        self.at += 1;
        self.depth -= 1;
        match self.depth {
            1 if self.in_object_at(1) => self.value_done(self.top_value, false),
            2 if self.in_payload && self.in_object_at(2) => self.value_done(self.inner_value, false),
            _ => {}
        }
    }

    /// A key, its colon, and the start of its value.
    fn member(&mut self) -> Step {
        if self.peek() != Some(b'"') {
            return Err(self.syntax());
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let key = Key { start, end: self.at - 1, escaped };
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.syntax());
        }
        self.at += 1;
        self.skip_space();
        if self.depth == 1 {
            self.top_member(key);
        } else if self.depth == 2 && self.in_payload {
            self.inner_key = key;
            self.inner_value = self.at;
        }
        // Every key that names a user ends in `d`, unless it is escaped.
        let names_user = (key.escaped || self.bytes[key.end - 1] == b'd') && self.names_user(key);
        let value_at = self.at;
        self.value()?;
        if names_user {
            self.check_user(value_at);
        }
        Ok(())
    }

    fn top_member(&mut self, key: Key) {
        let slot = if key.escaped {
            slot_of(&unescape(&self.text[key.start..key.end]))
        } else {
            slot_of(&self.text[key.start..key.end])
        };
        if slot < NO_SLOT {
            if self.seen & (1 << slot) != 0 {
                self.note(ErrorCode::BadField, key.start, "each envelope key once");
            }
            self.seen |= 1 << slot;
        }
        self.top_key = key;
        self.top_slot = slot;
        self.top_value = self.at;
    }

    /// A value at depth 1 (a member of the envelope) or 2 (of the payload) has ended at `self.at`.
    fn value_done(&mut self, start: usize, escaped: bool) {
        let (key, fields) = match self.depth {
            1 if self.in_object_at(1) => (self.top_key, &mut self.top),
            2 if self.in_payload => (self.inner_key, &mut self.payload),
            _ => return,
        };
        fields.push(Member {
            key: Span::new(key.start, key.end),
            value: Span::new(start, self.at),
            key_escaped: key.escaped,
            value_escaped: escaped,
        });
        if self.depth == 1 && self.top_slot != NO_SLOT {
            self.envelope_value(start, escaped);
        }
    }

    fn envelope_value(&mut self, start: usize, escaped: bool) {
        let raw = Raw::new(&self.text[start..self.at], escaped);
        let first = self.bytes[start];
        match self.top_slot {
            JSONRPC => {
                self.jsonrpc = Some(raw);
                return;
            }
            TYPE if matches!(first, b'[' | b'{') => self.note(ErrorCode::BadField, start, "a text"),
            PAYLOAD => {
                self.in_payload = false;
                self.payload.close(Span::new(start, self.at));
                if first != b'{' {
                    self.note(ErrorCode::BadPayload, start, "an object");
                }
            }
            MESSAGE_ID | THREAD_ID | RUN_ID if first != b'"' && first != b'n' => {
                self.note(ErrorCode::BadField, start, "a text or null");
            }
            _ => {}
        }
        self.slots[self.top_slot] = Some(raw);
    }

    /// Whether the key is `user_id` or ends in `_user_id`, after unescaping.
    fn names_user(&self, key: Key) -> bool {
        let named = |name: &str| name == "user_id" || name.ends_with("_user_id");
        let name = &self.text[key.start..key.end];
        if key.escaped { named(&unescape(name)) } else { named(name) }
    }

    fn check_user(&mut self, start: usize) {
        let json = &self.text[start..self.at];
        let raw = Raw::new(json, json.as_bytes().contains(&b'\\'));
        match raw.text() {
            Some(user) if user.is_empty() || user.as_bytes() == self.own_user => {}
            Some(_) => self.note(ErrorCode::ForeignUserId, start, "no id of another user"),
            None if raw.is_null() => {}
            // A container's end is not known here, nor needed: its first byte already says it is no text.
            None => self.note(ErrorCode::BadField, start, "a text or null"),
        }
    }

    /// Reads a string, `self.at` on its quote; answers whether it holds an escape.
    fn string(&mut self) -> Step<bool> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at = skip_plain(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.syntax()),
            }
        }
    }

    fn escape(&mut self) -> Step {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => match self.hex4(self.at + 2)? {
                0xD800..=0xDBFF => {
                    let low = self.bytes.get(self.at + 6..self.at + 8) == Some(b"\\u".as_slice());
                    if !low || !matches!(self.hex4(self.at + 8)?, 0xDC00..=0xDFFF) {
                        return Err(self.syntax());
                    }
                    self.at += 12;
                    Ok(())
                }
                0xDC00..=0xDFFF => Err(self.syntax()),
                _ => {
                    self.at += 6;
                    Ok(())
                }
            },
            _ => Err(self.syntax()),
        }
    }

    fn hex4(&self, from: usize) -> Step<u32> {
        let digits = self.bytes.get(from..from + 4).ok_or_else(|| self.syntax())?;
        digits.iter().try_fold(0, |value, digit| {
            let digit = (*digit as char).to_digit(16).ok_or_else(|| self.syntax())?;
            Ok(value << 4 | digit)
        })
    }

    fn number(&mut self) -> Step {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let mut digits = match self.peek() {
            Some(b'0') => {
                self.at += 1;
                1
            }
            _ => self.digits()?,
        };
        if self.peek() == Some(b'.') {
            self.at += 1;
            digits += self.digits()?;
        }
        let mut finite = true;
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            digits += self.digits()?;
            // Without an exponent, 64 digits are finite.
            finite = digits <= MAX_NUMBER_DIGITS
                && self.text[start..self.at].parse::<f64>().is_ok_and(f64::is_finite);
        }
        if !finite || digits > MAX_NUMBER_DIGITS {
            self.note(ErrorCode::BadNumber, start, "a finite number of at most 64 digits");
        }
        Ok(())
    }

    fn digits(&mut self) -> Step<usize> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.syntax()) } else { Ok(self.at - start) }
    }

    fn literal(&mut self, word: &str) -> Step {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.syntax())
        }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    const fn in_object(&self) -> bool {
        self.in_object_at(self.depth)
    }

    const fn in_object_at(&self, depth: u32) -> bool {
        self.objects & (1 << (depth - 1)) != 0
    }

    fn note(&mut self, code: ErrorCode, offset: usize, expected: &'static str) {
        if self.content.is_none() {
            self.content = Some(Refusal { code, offset, expected });
        }
    }

    const fn refusal(&self, code: ErrorCode, offset: usize, expected: &'static str) -> Refusal {
        Refusal { code, offset, expected }
    }

    const fn syntax(&self) -> Refusal {
        self.refusal(ErrorCode::JsonParseError, self.at, "JSON (RFC 8259)")
    }
}

/// The envelope slot of a key; chosen by length first, as few keys share one.
fn slot_of(key: &str) -> usize {
    match (key.len(), key) {
        (4, "type") => TYPE,
        (7, "payload") => PAYLOAD,
        (9, "timestamp") => TIMESTAMP,
        (10, "message_id") => MESSAGE_ID,
        (7, "user_id") => USER_ID,
        (9, "thread_id") => THREAD_ID,
        (6, "run_id") => RUN_ID,
        (7, "jsonrpc") => JSONRPC,
        _ => NO_SLOT,
    }
}

/// Offset of the first byte from `at` on that a string cannot hold as it is: quote, backslash, control.
/// Eight bytes a step ("has zero byte" trick, Mycroft 1987; exact for the lowest byte that matches).
fn skip_plain(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zero_in = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    while let Some(chunk) = bytes.get(at..at + 8) {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        let quote = zero_in(word ^ (ONES * b'"' as u64));
        let backslash = zero_in(word ^ (ONES * b'\\' as u64));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let hit = quote | backslash | control;
        if hit != 0 {
            return at + hit.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while at < bytes.len() && !matches!(bytes[at], b'"' | b'\\' | 0..=0x1f) {
        at += 1;
    }
    at
}

/// The path of a refusal, found by walking the frame's keys and indices up to its offset.
fn locate(text: &str, refusal: Refusal) -> Fault {
    let whole = matches!(refusal.code, ErrorCode::JsonParseError | ErrorCode::NotAnObject);
    let path = if whole { String::new() } else { path_at(text, refusal.offset) };
    Fault { code: refusal.code, offset: refusal.offset, path, expected: refusal.expected }
}

/// Longest path reported, in bytes; deeper parts are left out.
const PATH_BYTES_MAX: usize = 256;

fn path_at(text: &str, offset: usize) -> String {
    let bytes = text.as_bytes();
    let mut parts: Vec<Part> = Vec::new();
    let mut at = 0;
    let mut expect_key = false;
    while at < bytes.len() && at <= offset {
        match bytes[at] {
            b'{' => {
                if at == offset {
                    break;
                }
                parts.push(Part::Key(0, 0));
                expect_key = true;
            }
            b'[' => {
                if at == offset {
                    break;
                }
                parts.push(Part::Index(0));
                expect_key = false;
            }
            b'}' | b']' => {
                parts.pop();
                expect_key = false;
            }
            b',' => match parts.last_mut() {
                Some(Part::Index(index)) => *index += 1,
                Some(Part::Key(..)) => expect_key = true,
                None => {}
            },
            b'"' => {
                let start = at + 1;
                at = string_end(bytes, start);
                if expect_key && let Some(part) = parts.last_mut() {
                    *part = Part::Key(start, at);
                    expect_key = false;
                }
            }
            _ => {}
        }
        at += 1;
    }
    render(text, &parts)
}

#[derive(Clone, Copy)]
enum Part {
    Key(usize, usize),
    Index(usize),
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

fn render(text: &str, parts: &[Part]) -> String {
    let mut path = String::new();
    for part in parts {
        let piece = match part {
            Part::Key(start, end) => {
                let key = unescape(&text[*start..*end]);
                if path.is_empty() { key } else { format!(".{key}") }
            }
            Part::Index(index) => format!("[{index}]"),
        };
        if path.len() + piece.len() > PATH_BYTES_MAX {
            path.push('…');
            break;
        }
        path.push_str(&piece);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;
    use std::vec;

    fn code(text: &str) -> Option<ErrorCode> {
        scan(text, b"ada", 64).err().map(|fault| fault.code)
    }

    #[test]
    fn envelope_and_payload_are_found() {
        let frame = r#" {"type":"user_message","payload":{"content":"hi \"you\"","n":[1,{"a":2}],"o":{"x":1}},"thread_id":"t1","x":3} "#;
        let envelope = scan(frame, b"ada", 64).expect("good");
        assert_eq!(envelope.kind.and_then(Raw::text).as_deref(), Some("user_message"));
        assert_eq!(envelope.thread_id.and_then(Raw::text).as_deref(), Some("t1"));
        assert_eq!(envelope.payload().text("content").as_deref(), Some("hi \"you\""));
        assert_eq!(envelope.payload().find("n").map(Raw::json), Some(r#"[1,{"a":2}]"#));
        assert_eq!(envelope.payload().find("o").map(Raw::json), Some(r#"{"x":1}"#));
        assert_eq!(envelope.top.find("x").map(Raw::json), Some("3"));
        assert!(envelope.payload().json().starts_with(r#"{"content""#));
    }

    #[test]
    fn without_payload_the_whole_object_is_the_payload() {
        let envelope = scan(r#"{"type":"subscribe","topic":"thread:t"}"#, b"ada", 64).expect("good");
        assert_eq!(envelope.payload().text("topic").as_deref(), Some("thread:t"));
    }

    #[test]
    fn more_members_than_are_kept_are_still_found() {
        let members: vec::Vec<String> = (0..40).map(|n| format!("\"k{n}\":{n}")).collect();
        let frame = format!("{{\"type\":\"chat\",\"payload\":{{{}}}}}", members.join(","));
        let envelope = scan(&frame, b"ada", 64).expect("good");
        assert_eq!(envelope.payload().find("k39").map(Raw::json), Some("39"));
        assert_eq!(envelope.payload().find("k40"), None);
    }

    #[test]
    fn faults_have_code_and_path() {
        let table: &[(&str, ErrorCode, &str)] = &[
            ("", ErrorCode::JsonParseError, ""),
            ("not json", ErrorCode::JsonParseError, ""),
            ("\u{feff}{}", ErrorCode::JsonParseError, ""),
            ("[]", ErrorCode::NotAnObject, ""),
            ("5", ErrorCode::NotAnObject, ""),
            ("null", ErrorCode::NotAnObject, ""),
            (r#"{"type":"a"} x"#, ErrorCode::JsonParseError, ""),
            (r#"{"type":NaN}"#, ErrorCode::JsonParseError, ""),
            (r#"{"a":"\ud800"}"#, ErrorCode::JsonParseError, ""),
            (r#"{"a":"\udc00\ud800"}"#, ErrorCode::JsonParseError, ""),
            (r#"{"a":01}"#, ErrorCode::JsonParseError, ""),
            (r#"{"a":1e400}"#, ErrorCode::BadNumber, "a"),
            (r#"{"type":["x"]}"#, ErrorCode::BadField, "type"),
            (r#"{"type":"x","payload":null}"#, ErrorCode::BadPayload, "payload"),
            (r#"{"type":"x","payload":[1]}"#, ErrorCode::BadPayload, "payload"),
            (r#"{"type":"x","thread_id":5}"#, ErrorCode::BadField, "thread_id"),
            (r#"{"type":"x","ty\u0070e":"y"}"#, ErrorCode::BadField, "type"),
            (r#"{"user_id":"eve"}"#, ErrorCode::ForeignUserId, "user_id"),
            (r#"{"user\u005fid":"eve"}"#, ErrorCode::ForeignUserId, "user_id"),
            (
                r#"{"payload":{"a":[0,{"b":{"c":{"target_user_id":"eve"}}}]}}"#,
                ErrorCode::ForeignUserId,
                "payload.a[1].b.c.target_user_id",
            ),
            (r#"{"payload":{"user_id":{"x":1}}}"#, ErrorCode::BadField, "payload.user_id"),
            (r#"{"payload":{"user_id":7}}"#, ErrorCode::BadField, "payload.user_id"),
        ];
        for (text, code, path) in table {
            let fault = scan(text, b"ada", 64).expect_err(text);
            assert_eq!((fault.code, fault.path.as_str()), (*code, *path), "{text}");
        }
    }

    #[test]
    fn own_null_and_empty_ids_pass_and_every_duplicate_counts() {
        for text in [
            r#"{"user_id":"ada","payload":{"user_id":null,"x_user_id":"","sender_id":"eve","userId":"eve"}}"#,
            r#"{"payload":{"user_id":"\u0061da"}}"#,
        ] {
            assert_eq!(code(text), None, "{text}");
        }
        assert_eq!(code(r#"{"payload":{"user_id":"ada","user_id":"eve"}}"#), Some(ErrorCode::ForeignUserId));
    }

    #[test]
    fn nesting_and_digits_stop_where_they_should() {
        let nested = |n: usize| format!("{{\"a\":{}1{}}}", "[".repeat(n - 1), "]".repeat(n - 1));
        assert_eq!(code(&nested(64)), None);
        assert_eq!(code(&nested(65)), Some(ErrorCode::TooDeep));
        assert_eq!(code(&format!("{{\"a\":{}}}", "9".repeat(64))), None);
        assert_eq!(code(&format!("{{\"a\":{}}}", "9".repeat(65))), Some(ErrorCode::BadNumber));
    }

    fn json(depth: u32) -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(|x| serde_json::json!(if x.is_finite() { x } else { 0.5 })),
            "\\PC{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(depth, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map("[a-z\"\\\\]{0,5}", inner, 0..5)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_is_judged_as_the_library_judges_it(text in "[\\[\\]{}\":,0-9a-z \\\\eE.+-]{0,40}|\\PC{0,60}") {
            let library = serde_json::from_str::<serde_json::Value>(&text);
            let ours = code(&text);
            if library.is_err() {
                prop_assert!(matches!(ours, Some(ErrorCode::JsonParseError | ErrorCode::BadNumber)), "{text}: {ours:?}");
            } else {
                prop_assert_ne!(ours, Some(ErrorCode::JsonParseError), "{}", text);
            }
        }

        #[test]
        fn good_objects_pass_and_their_members_are_found(payload in json(4)) {
            let frame = serde_json::json!({"type": "chat", "payload": {"p": payload.clone()}}).to_string();
            let envelope = scan(&frame, b"ada", 64).expect("good");
            let found = envelope.payload().find("p").expect("there").json();
            prop_assert_eq!(found, payload.to_string());
        }
    }
}
