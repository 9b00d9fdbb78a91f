//! The one checking pass over an inbound frame: strict JSON (RFC 8259), nesting, numbers, lone surrogates,
//! repeated envelope keys, types of envelope members, ids of other users at any depth. It reads each byte once
//! and copies nothing; only a refused frame is looked at again, for the path of its fault.

use alloc::{format, string::String, vec::Vec};

use super::envelope::{Envelope, Fault, Fields, Member, Raw, Span, unescape};
use crate::error::ErrorCode;

/// Most digits a number may have, sign, point and exponent not counted.
pub const MAX_NUMBER_DIGITS: usize = 64;

/// Deepest nesting that the checking pass can follow.
pub const NESTING_MAX: u32 = 64;

/// Checks `text` as a frame of `own_user` and returns its envelope, or the first fault.
///
/// A syntax error anywhere wins over faults of content; of those, the first in the frame is reported.
/// `nesting_max` is at most [`NESTING_MAX`]. Guarantee: never panics, for any text.
pub fn scan<'a>(text: &'a str, own_user: &[u8], nesting_max: u32) -> Result<Envelope<'a>, Fault> {
    if text.len() > usize::from(u16::MAX) {
        let code = ErrorCode::TooLarge;
        return Err(Fault { code, offset: 0, path: String::new(), expected: "less than 64 KiB" });
    }
    let mut scanner = Scanner::new(text, own_user, nesting_max.min(NESTING_MAX));
    match scanner.run() {
        // It is large: made where it goes, and not passed on.
        Ok((start, end)) => Ok(scanner.envelope(start, end)),
        Err(refusal) => Err(locate(text, refusal)),
    }
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

/// A key as it stands in the frame, quotes stripped, and where its value begins.
#[derive(Clone, Copy, Default)]
struct Key {
    start: usize,
    end: usize,
    escaped: bool,
    value: usize,
}

impl Key {
    fn member(self, end: usize, escaped: bool) -> Member {
        Member {
            key: Span::new(self.start, self.end),
            value: Span::new(self.value, end),
            key_escaped: self.escaped,
            value_escaped: escaped,
        }
    }
}

struct Scanner<'a, 'u> {
    text: &'a str,
    bytes: &'a [u8],
    own_user: &'u [u8],
    nesting_max: u32,
    /// The first fault of content; syntax goes on being checked.
    content: Option<Refusal>,
    seen: u32,
    slots: [Option<Raw<'a>>; ENVELOPE_KEYS],
    jsonrpc: Option<Raw<'a>>,
    top: Fields<'a>,
    payload: Fields<'a>,
    /// The envelope member being read at depth 1, and the payload's at depth 2.
    top_key: Key,
    top_slot: usize,
    inner_key: Key,
    in_payload: bool,
}

impl<'a, 'u> Scanner<'a, 'u> {
    fn new(text: &'a str, own_user: &'u [u8], nesting_max: u32) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            own_user,
            nesting_max,
            content: None,
            seen: 0,
            slots: [None; ENVELOPE_KEYS],
            jsonrpc: None,
            top: Fields::new(text),
            payload: Fields::new(text),
            top_key: Key::default(),
            top_slot: NO_SLOT,
            inner_key: Key::default(),
            in_payload: false,
        }
    }

    /// Where the frame's object begins and ends.
    fn run(&mut self) -> Result<(usize, usize), Refusal> {
        let start = skip_space(self.bytes, 0);
        let end = self.walk(start)?;
        if skip_space(self.bytes, end) != self.bytes.len() {
            return Err(syntax(end));
        }
        if self.bytes[start] != b'{' {
            return Err(Refusal { code: ErrorCode::NotAnObject, offset: start, expected: "an object" });
        }
        match self.content {
            Some(refusal) => Err(refusal),
            None => Ok((start, end)),
        }
    }

    fn envelope(&mut self, start: usize, end: usize) -> Envelope<'a> {
        self.top.close(Span::new(start, end));
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

    /// Walks one value of any depth, from its first byte to past its last. Not recursive: which open containers
    /// are objects is one bit each.
    fn walk(&mut self, mut at: usize) -> Result<usize, Refusal> {
        let bytes = self.bytes;
        let (mut depth, mut objects, mut names_user) = (0_u32, 0_u64, false);
        loop {
            // A value begins here.
            let start = at;
            let mut escaped = false;
            match bytes.get(at) {
                Some(b'"') => {
                    (at, escaped) = string(bytes, at)?;
                    if names_user {
                        self.check_user(start, at, escaped);
                    }
                }
                Some(open @ (b'{' | b'[')) => {
                    if depth == self.nesting_max {
                        let expected = "less nesting";
                        return Err(Refusal { code: ErrorCode::TooDeep, offset: at, expected });
                    }
                    if names_user {
                        self.note(ErrorCode::BadField, at, "a text or null");
                    }
                    let object = *open == b'{';
                    objects = objects & !(1 << depth) | u64::from(object) << depth;
                    depth += 1;
                    self.in_payload |= depth == 2 && object && self.top_slot == PAYLOAD && objects & 1 == 1;
                    at = skip_space(bytes, at + 1);
                    let closing = if object { b'}' } else { b']' };
                    if bytes.get(at) != Some(&closing) {
                        names_user = object && self.key(&mut at, depth)?;
                        continue;
                    }
                    at += 1;
                    depth -= 1;
                }
                Some(b'-' | b'0'..=b'9') => {
                    at = self.number(at)?;
                    if names_user {
                        self.note(ErrorCode::BadField, start, "a text or null");
                    }
                }
                Some(b'n') => at = literal(bytes, at, b"null")?,
                Some(first @ (b't' | b'f')) => {
                    at = literal(bytes, at, if *first == b't' { b"true" } else { b"false" })?;
                    if names_user {
                        self.note(ErrorCode::BadField, start, "a text or null");
                    }
                }
                _ => return Err(syntax(at)),
            }
            // A value has ended here, and perhaps containers with it.
            loop {
                match depth {
                    0 => return Ok(at),
                    1 if objects & 1 == 1 => self.top_value(at, escaped),
                    2 if self.in_payload => self.payload.push(self.inner_key.member(at, escaped)),
                    _ => {}
                }
                escaped = false;
                at = skip_space(bytes, at);
                let in_object = objects >> (depth - 1) & 1 == 1;
                match bytes.get(at) {
                    Some(b',') => {
                        at = skip_space(bytes, at + 1);
                        names_user = in_object && self.key(&mut at, depth)?;
                        break;
                    }
                    Some(b'}') if in_object => {}
                    Some(b']') if !in_object => {}
                    _ => return Err(syntax(at)),
                }
                at += 1;
                depth -= 1;
            }
        }
    }

    /// A key and its colon, up to its value. Answers whether it names a user.
    fn key(&mut self, at: &mut usize, depth: u32) -> Result<bool, Refusal> {
        let bytes = self.bytes;
        if bytes.get(*at) != Some(&b'"') {
            return Err(syntax(*at));
        }
        let start = *at + 1;
        let (past, escaped) = string(bytes, *at)?;
        let colon = skip_space(bytes, past);
        if bytes.get(colon) != Some(&b':') {
            return Err(syntax(colon));
        }
        *at = skip_space(bytes, colon + 1);
        let key = Key { start, end: past - 1, escaped, value: *at };
        if depth == 1 {
            self.top_key(key);
        } else if depth == 2 && self.in_payload {
            self.inner_key = key;
        }
        // Every key that names a user ends in `d`, unless it is escaped.
        Ok((escaped || bytes[key.end - 1] == b'd') && self.names_user(key))
    }

    fn top_key(&mut self, key: Key) {
        let slot = if key.escaped {
            slot_of(unescape(&self.text[key.start..key.end]).as_bytes())
        } else {
            slot_of(&self.bytes[key.start..key.end])
        };
        if slot < NO_SLOT {
            if self.seen & (1 << slot) != 0 {
                self.note(ErrorCode::BadField, key.start, "each envelope key once");
            }
            self.seen |= 1 << slot;
        }
        self.top_key = key;
        self.top_slot = slot;
    }

    /// The value of a member of the envelope has ended.
    fn top_value(&mut self, end: usize, escaped: bool) {
        self.top.push(self.top_key.member(end, escaped));
        let (slot, start) = (self.top_slot, self.top_key.value);
        if slot == NO_SLOT {
            return;
        }
        let raw = Raw::new(&self.text[start..end], escaped);
        if slot == JSONRPC {
            self.jsonrpc = Some(raw);
            return;
        }
        let first = self.bytes[start];
        match slot {
            TYPE if matches!(first, b'[' | b'{') => self.note(ErrorCode::BadField, start, "a text"),
            PAYLOAD => {
                self.in_payload = false;
                self.payload.close(Span::new(start, end));
                if first != b'{' {
                    self.note(ErrorCode::BadPayload, start, "an object");
                }
            }
            MESSAGE_ID | THREAD_ID | RUN_ID if first != b'"' && first != b'n' => {
                self.note(ErrorCode::BadField, start, "a text or null");
            }
            _ => {}
        }
        self.slots[slot] = Some(raw);
    }

    /// Whether the key is `user_id` or ends in `_user_id`, after unescaping.
    fn names_user(&self, key: Key) -> bool {
        let named = |name: &[u8]| name == b"user_id" || name.ends_with(b"_user_id");
        if key.escaped {
            named(unescape(&self.text[key.start..key.end]).as_bytes())
        } else {
            named(&self.bytes[key.start..key.end])
        }
    }

    /// The text of a key that names a user: it must be nobody or the sender.
    fn check_user(&mut self, start: usize, end: usize, escaped: bool) {
        let own = if escaped {
            let user = unescape(&self.text[start + 1..end - 1]);
            user.is_empty() || user.as_bytes() == self.own_user
        } else {
            let user = &self.bytes[start + 1..end - 1];
            user.is_empty() || user == self.own_user
        };
        if !own {
            self.note(ErrorCode::ForeignUserId, start, "no id of another user");
        }
    }

    fn number(&mut self, start: usize) -> Result<usize, Refusal> {
        let bytes = self.bytes;
        let mut at = start + usize::from(bytes[start] == b'-');
        let mut digits = 0;
        if bytes.get(at) == Some(&b'0') {
            at += 1;
            digits += 1;
        } else {
            digits += take_digits(bytes, &mut at)?;
        }
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            digits += take_digits(bytes, &mut at)?;
        }
        let mut finite = true;
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            if matches!(bytes.get(at), Some(b'+' | b'-')) {
                at += 1;
            }
            digits += take_digits(bytes, &mut at)?;
            // Without an exponent, 64 digits are finite.
            finite =
                digits <= MAX_NUMBER_DIGITS && self.text[start..at].parse::<f64>().is_ok_and(f64::is_finite);
        }
        if !finite || digits > MAX_NUMBER_DIGITS {
            self.note(ErrorCode::BadNumber, start, "a finite number of at most 64 digits");
        }
        Ok(at)
    }

    #[cold]
    fn note(&mut self, code: ErrorCode, offset: usize, expected: &'static str) {
        if self.content.is_none() {
            self.content = Some(Refusal { code, offset, expected });
        }
    }
}

#[cold]
const fn syntax(offset: usize) -> Refusal {
    Refusal { code: ErrorCode::JsonParseError, offset, expected: "JSON (RFC 8259)" }
}

/// Reads a string from its opening quote; answers where it ends and whether it holds an escape.
#[inline]
fn string(bytes: &[u8], quote: usize) -> Result<(usize, bool), Refusal> {
    let at = skip_plain(bytes, quote + 1);
    if bytes.get(at) == Some(&b'"') {
        return Ok((at + 1, false));
    }
    escaped_string(bytes, at).map(|end| (end, true))
}

/// The rest of a string from its first escape on.
fn escaped_string(bytes: &[u8], mut at: usize) -> Result<usize, Refusal> {
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = skip_plain(bytes, escape(bytes, at)?),
            _ => return Err(syntax(at)),
        }
    }
}

fn escape(bytes: &[u8], at: usize) -> Result<usize, Refusal> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match hex4(bytes, at + 2)? {
            0xD800..=0xDBFF => {
                let low = bytes.get(at + 6..at + 8) == Some(b"\\u".as_slice());
                if !low || !matches!(hex4(bytes, at + 8)?, 0xDC00..=0xDFFF) {
                    return Err(syntax(at));
                }
                Ok(at + 12)
            }
            0xDC00..=0xDFFF => Err(syntax(at)),
            _ => Ok(at + 6),
        },
        _ => Err(syntax(at)),
    }
}

fn hex4(bytes: &[u8], from: usize) -> Result<u32, Refusal> {
    let digits = bytes.get(from..from + 4).ok_or(syntax(from))?;
    digits.iter().try_fold(0, |value, digit| {
        let digit = (*digit as char).to_digit(16).ok_or(syntax(from))?;
        Ok(value << 4 | digit)
    })
}

fn take_digits(bytes: &[u8], at: &mut usize) -> Result<usize, Refusal> {
    let start = *at;
    while matches!(bytes.get(*at), Some(b'0'..=b'9')) {
        *at += 1;
    }
    if *at == start { Err(syntax(start)) } else { Ok(*at - start) }
}

fn literal(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Refusal> {
    if bytes[at..].starts_with(word) { Ok(at + word.len()) } else { Err(syntax(at)) }
}

#[inline]
fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\t' | b'\r')) {
        at += 1;
    }
    at
}

/// The envelope slot of a key.
fn slot_of(key: &[u8]) -> usize {
    match key {
        b"type" => TYPE,
        b"payload" => PAYLOAD,
        b"timestamp" => TIMESTAMP,
        b"message_id" => MESSAGE_ID,
        b"user_id" => USER_ID,
        b"thread_id" => THREAD_ID,
        b"run_id" => RUN_ID,
        b"jsonrpc" => JSONRPC,
        _ => NO_SLOT,
    }
}

/// Offset of the first byte from `at` on that a string cannot hold as it is: quote, backslash, control.
#[inline]
pub(crate) fn skip_plain(bytes: &[u8], mut at: usize) -> usize {
    // Most strings end within two words; long texts go on in blocks that the compiler turns into vector code.
    for _ in 0..2 {
        let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) else {
            return skip_plain_end(bytes, at);
        };
        match not_plain(u64::from_le_bytes(*chunk)) {
            Some(offset) => return at + offset,
            None => at += 8,
        }
    }
    skip_plain_long(bytes, at)
}

fn skip_plain_long(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<32>) {
        let mut any = 0;
        for byte in block {
            any |= u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\');
        }
        if any != 0 {
            break;
        }
        at += 32;
    }
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        match not_plain(u64::from_le_bytes(*chunk)) {
            Some(offset) => return at + offset,
            None => at += 8,
        }
    }
    skip_plain_end(bytes, at)
}

/// The last bytes, fewer than a word: taken from the word that the text ends with, if it has one.
#[inline]
fn skip_plain_end(bytes: &[u8], mut at: usize) -> usize {
    const SPACES: u64 = 0x2020_2020_2020_2020;
    let left = bytes.len().saturating_sub(at);
    if let Some(chunk) = bytes.last_chunk::<8>().filter(|_| left > 0) {
        let rest = u64::from_le_bytes(*chunk) >> (8 * (8 - left)) | SPACES.wrapping_shl(8 * left as u32);
        return not_plain(rest).map_or(bytes.len(), |offset| at + offset);
    }
    while at < bytes.len() && !matches!(bytes[at], b'"' | b'\\' | 0..=0x1f) {
        at += 1;
    }
    at
}

/// Position of the first byte of a word, lowest first, that is not plain ("has zero byte" trick, Mycroft 1987; exact for
/// the lowest byte that matches).
#[inline]
fn not_plain(word: u64) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let control = word.wrapping_sub(ONES * 0x20);
    // Both marks are ASCII, so a byte's high bit is the same with and without them.
    let hit = (quote | backslash | control) & !word & HIGHS;
    (hit != 0).then(|| hit.trailing_zeros() as usize / 8)
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
        assert_eq!((envelope.payload().len(), envelope.payload().is_empty()), (2, false));
        let empty = scan(r#"{"payload":{}}"#, b"ada", 64).expect("good");
        assert_eq!((empty.payload().len(), empty.payload().is_empty()), (0, true));
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
    fn all_digits_of_a_number_count() {
        for (head, room) in [("0.", 63), ("1.", 63), ("1e", 63), ("0.5e", 62), ("-1", 63)] {
            let of = |digits: usize| code(&format!("{{\"n\":{head}{}}}", "0".repeat(digits)));
            assert_eq!((of(room), of(room + 1)), (None, Some(ErrorCode::BadNumber)), "{head}");
        }
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
