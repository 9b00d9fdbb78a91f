//! What the checking pass finds: borrowed spans of the frame, nothing copied.

use alloc::{borrow::Cow, string::String};

use serde_json::value::RawValue;

use crate::error::ErrorCode;

/// One JSON value as it stands in the frame; already checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    json: &'a str,
    /// A text with an escape in it.
    escaped: bool,
}

impl<'a> Raw<'a> {
    pub(super) const fn new(json: &'a str, escaped: bool) -> Self {
        Self { json, escaped }
    }

    /// The value's JSON text.
    pub const fn json(self) -> &'a str {
        self.json
    }

    /// The value if it is a text, unescaped; borrowed unless it holds an escape.
    pub fn text(self) -> Option<Cow<'a, str>> {
        let inner = self.json.strip_prefix('"')?.strip_suffix('"')?;
        if self.escaped {
            // Checked already, so this cannot fail; an empty text would be refused later, never misread.
            return Some(Cow::Owned(serde_json::from_str::<String>(self.json).unwrap_or_default()));
        }
        Some(Cow::Borrowed(inner))
    }

    /// Whether the value is `null`.
    pub fn is_null(self) -> bool {
        self.json == "null"
    }

    /// The value if it is a whole number that fits.
    pub fn integer(self) -> Option<u64> {
        self.json.parse().ok()
    }

    /// Whether the value is an array or an object.
    pub fn is_container(self) -> bool {
        self.json.starts_with(['[', '{'])
    }
}

impl<'a> From<&'a RawValue> for Raw<'a> {
    fn from(value: &'a RawValue) -> Self {
        Self::new(value.get(), value.get().contains('\\'))
    }
}

/// Members kept per object; further ones are found by a parse of the whole object.
const KEPT: usize = 10;

/// A span of the frame. Frames are shorter than 64 KiB: [`Config::validate`](crate::Config::validate).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    pub(super) const fn new(start: usize, end: usize) -> Self {
        Self { start: start as u16, end: end as u16 }
    }

    pub(super) fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Member {
    pub(super) key: Span,
    pub(super) value: Span,
    pub(super) key_escaped: bool,
    pub(super) value_escaped: bool,
}

/// The members of one object of the frame.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    text: &'a str,
    span: Span,
    members: [Member; KEPT],
    len: u32,
}

impl<'a> Fields<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, span: Span::default(), members: [Member::default(); KEPT], len: 0 }
    }

    pub(super) fn push(&mut self, member: Member) {
        if let Some(slot) = self.members.get_mut(self.len as usize) {
            *slot = member;
        }
        self.len += 1;
    }

    pub(super) const fn close(&mut self, span: Span) {
        self.span = span;
    }

    /// The object's JSON text.
    pub fn json(&self) -> &'a str {
        self.span.of(self.text)
    }

    /// How many members the object has, repeated keys included.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether the object has no member.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of `key`; of repeated keys the last.
    pub fn find(&self, key: &str) -> Option<Raw<'a>> {
        if self.len as usize > KEPT {
            return self.find_by_parsing(key);
        }
        self.members[..self.len as usize].iter().rev().find_map(|member| {
            let name = member.key.of(self.text);
            let same = if member.key_escaped { unescape(name) == key } else { name == key };
            same.then(|| Raw::new(member.value.of(self.text), member.value_escaped))
        })
    }

    /// The value of `key` if it is a text that is not empty.
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.find(key)?.text().filter(|text| !text.is_empty())
    }

    fn find_by_parsing(&self, key: &str) -> Option<Raw<'a>> {
        type Members<'a> = alloc::collections::BTreeMap<Cow<'a, str>, &'a serde_json::value::RawValue>;
        let members: Members<'a> = serde_json::from_str(self.json()).ok()?;
        members.get(key).map(|raw| Raw::new(raw.get(), raw.get().contains('\\')))
    }
}

/// A key's text after unescaping.
pub(super) fn unescape(written: &str) -> String {
    let quoted = alloc::format!("\"{written}\"");
    serde_json::from_str(&quoted).unwrap_or_default()
}

/// A checked frame.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// `type`, if present.
    pub kind: Option<Raw<'a>>,
    /// `timestamp`, if present.
    pub timestamp: Option<Raw<'a>>,
    /// `message_id`: a text.
    pub message_id: Option<Raw<'a>>,
    /// `thread_id`: a text.
    pub thread_id: Option<Raw<'a>>,
    /// `run_id`: a text.
    pub run_id: Option<Raw<'a>>,
    /// `jsonrpc`, if present.
    pub jsonrpc: Option<Raw<'a>>,
    /// The members of the whole object.
    pub top: Fields<'a>,
    /// The members of `payload`, if there is one.
    pub(super) payload: Option<Fields<'a>>,
}

impl<'a> Envelope<'a> {
    /// The same frame with the whole object as its payload and no ids: how JSON-RPC is read.
    pub(crate) const fn whole(&self) -> Self {
        let mut whole = *self;
        whole.payload = None;
        whole.message_id = None;
        whole.thread_id = None;
        whole.run_id = None;
        whole.timestamp = None;
        whole
    }

    /// The members of `payload`, or of the whole object when there is no `payload`.
    pub const fn payload(&self) -> &Fields<'a> {
        match &self.payload {
            Some(payload) => payload,
            None => &self.top,
        }
    }
}

/// Why a frame was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The code the client gets.
    pub code: ErrorCode,
    /// Byte offset in the frame.
    pub offset: usize,
    /// Path of the member, e.g. `payload.items[2].user_id`; empty for the frame as a whole.
    pub path: String,
    /// What was expected there; empty when the code says it all.
    pub expected: &'static str,
}
