//! What the checking pass finds: borrowed spans of the frame, nothing copied.

use alloc::{borrow::Cow, string::String};

use crate::error::ErrorCode;

/// One JSON value as it stands in the frame; already checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(pub(super) &'a str);

impl<'a> Raw<'a> {
    /// The value's JSON text.
    pub const fn json(self) -> &'a str {
        self.0
    }

    /// The value if it is a text, unescaped; borrowed unless it holds an escape.
    pub fn text(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if inner.as_bytes().contains(&b'\\') {
            // Checked already, so this cannot fail; an empty text would be refused later, never misread.
            return Some(Cow::Owned(serde_json::from_str::<String>(self.0).unwrap_or_default()));
        }
        Some(Cow::Borrowed(inner))
    }

    /// Whether the value is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// The value if it is a whole number that fits.
    pub fn integer(self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// Whether the value is an array or an object.
    pub fn is_container(self) -> bool {
        self.0.starts_with(['[', '{'])
    }
}

/// Members kept per object; further ones are found by a parse of the whole object.
const KEPT: usize = 12;

#[derive(Clone, Copy, Debug, Default)]
struct Member {
    key: (u32, u32),
    value: (u32, u32),
}

/// The members of one object of the frame.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    text: &'a str,
    span: (u32, u32),
    members: [Member; KEPT],
    len: u32,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        let none = Member { key: (0, 0), value: (0, 0) };
        Self { text, span: (0, 0), members: [none; KEPT], len: 0 }
    }

    pub(super) fn push(&mut self, key: (usize, usize), value: (usize, usize)) {
        if let Some(slot) = self.members.get_mut(self.len as usize) {
            *slot = Member { key: (key.0 as u32, key.1 as u32), value: (value.0 as u32, value.1 as u32) };
        }
        self.len += 1;
    }

    pub(super) fn close(&mut self, span: (usize, usize)) {
        self.span = (span.0 as u32, span.1 as u32);
    }

    /// The object's JSON text.
    pub fn json(&self) -> &'a str {
        &self.text[self.span.0 as usize..self.span.1 as usize]
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
            let name = &self.text[member.key.0 as usize..member.key.1 as usize];
            same_key(name, key).then(|| Raw(&self.text[member.value.0 as usize..member.value.1 as usize]))
        })
    }

    /// The value of `key` if it is a text that is not empty.
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.find(key)?.text().filter(|text| !text.is_empty())
    }

    fn find_by_parsing(&self, key: &str) -> Option<Raw<'a>> {
        type Members<'a> = alloc::collections::BTreeMap<Cow<'a, str>, &'a serde_json::value::RawValue>;
        let members: Members<'a> = serde_json::from_str(self.json()).ok()?;
        members.get(key).map(|raw| Raw(raw.get()))
    }
}

/// Whether a key as written in the frame (quotes stripped, perhaps escaped) is `key`.
pub(super) fn same_key(written: &str, key: &str) -> bool {
    if written.as_bytes().contains(&b'\\') { unescape(written) == key } else { written == key }
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
    /// The members of `payload`, or of the whole object when there is no `payload`.
    pub payload: Fields<'a>,
    /// The members of the whole object.
    pub top: Fields<'a>,
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
