//! What is written into the store: events of the log, and what another node must know of a run. The store reads neither.

use alloc::{borrow::Cow, boxed::Box, string::String, sync::Arc, vec::Vec};

use bytes::Bytes;
use serde::{Deserialize, Deserializer};

use crate::{contract::Tier, message::Kind, run::OpenTool, wire::Writer};

/// First byte of an event: how the rest is laid out.
const EVENT: u8 = 1;
/// Length of a thread that is none.
const NO_THREAD: u16 = u16::MAX;

/// An event as it lies in the log: the frame without its cursor, behind the thread that it is for.
pub(super) fn event(thread: Option<&str>, text: &str) -> Bytes {
    let len = thread.map_or(NO_THREAD, |thread| thread.len() as u16);
    let mut bytes = Vec::with_capacity(3 + thread.map_or(0, str::len) + text.len());
    bytes.push(EVENT);
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(thread.unwrap_or_default().as_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.into()
}

/// The thread and the text of an event; `None` if it is none of ours.
pub(super) fn read_event(bytes: &[u8]) -> Option<(Option<&str>, &str)> {
    let (head, rest) = bytes.split_at_checked(3)?;
    let [EVENT, low, high] = *head else { return None };
    let len = u16::from_le_bytes([low, high]);
    let (thread, text) = if len == NO_THREAD {
        (None, rest)
    } else {
        let (thread, text) = rest.split_at_checked(len.into())?;
        (Some(core::str::from_utf8(thread).ok()?), text)
    };
    let text = core::str::from_utf8(text).ok()?;
    (text.starts_with('{') && text.ends_with('}')).then_some((thread, text))
}

/// What another node must know of a run to end it, or, as long as no event of it is in the log, to do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) thread: Arc<str>,
    pub(super) request: Arc<str>,
    pub(super) tier: Tier,
    pub(super) agent: Box<str>,
    /// Tool calls that are open: call and tool.
    pub(super) open: Vec<(Box<str>, Box<str>)>,
    /// What was asked for, until the first event.
    pub(super) asked: Option<Asked>,
}

/// A message that is to be worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) text: Box<str>,
    pub(super) payload: Box<str>,
    pub(super) gated: bool,
}

impl Note {
    pub(super) fn open_tools(open: &[OpenTool]) -> Vec<(Box<str>, Box<str>)> {
        open.iter().map(|open| (open.call.clone(), open.tool.clone())).collect()
    }

    pub(super) fn encode(&self, w: &mut Writer) -> Bytes {
        w.begin();
        w.text("{\"v\":1,\"thread\":", &self.thread);
        w.text(",\"request\":", &self.request);
        w.text(",\"tier\":", self.tier.name());
        w.text(",\"agent\":", &self.agent);
        w.raw(",\"open\":[");
        for (n, (call, tool)) in self.open.iter().enumerate() {
            w.text(if n == 0 { "[" } else { ",[" }, call);
            w.text(",", tool);
            w.raw("]");
        }
        w.raw("]");
        if let Some(Asked { kind, text, payload, gated }) = &self.asked {
            w.text(",\"kind\":", kind.name());
            w.text(",\"text\":", text);
            w.text(",\"payload\":", payload);
            w.raw(if *gated { ",\"gated\":true" } else { ",\"gated\":false" });
        }
        w.raw("}");
        Bytes::copy_from_slice(w.finish().as_bytes())
    }

    /// `None` if it is none of ours.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let written: Written<'_> = serde_json::from_slice(bytes).ok()?;
        let asked = written.kind.as_deref().and_then(Kind::from_name).map(|kind| Asked {
            kind,
            text: written.text.unwrap_or_default().into(),
            payload: written.payload.unwrap_or(Cow::Borrowed("{}")).into(),
            gated: written.gated,
        });
        Some(Self {
            thread: (&*written.thread).into(),
            request: (&*written.request).into(),
            tier: Tier::from_name(&written.tier)?,
            agent: written.agent.into(),
            open: written.open.into_iter().map(|(call, tool)| (call.into(), tool.into())).collect(),
            asked,
        })
    }
}

/// A [`Note`] as it is written.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(rename = "v", deserialize_with = "first_version")]
    _version: (),
    thread: String,
    request: String,
    tier: String,
    agent: String,
    open: Vec<(String, String)>,
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    payload: Option<Cow<'a, str>>,
    #[serde(default)]
    gated: bool,
}

fn first_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    match u64::deserialize(deserializer)? {
        1 => Ok(()),
        other => Err(serde::de::Error::custom(alloc::format!("version {other}, expected 1"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_as_it_was_written_and_nothing_else_is() {
        for thread in [None, Some(""), Some("thread-1"), Some("ä\"")] {
            let bytes = event(thread, "{\"type\":\"x\"}");
            assert_eq!(read_event(&bytes), Some((thread, "{\"type\":\"x\"}")));
            for end in 0..bytes.len() {
                assert_eq!(read_event(&bytes[..end]), None, "{end}");
            }
        }
        assert_eq!(read_event(b"\x02\xff\xff{}"), None);
        assert_eq!(read_event(b"\x01\xff\xff{\xff}"), None);
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let asked = Asked {
            kind: Kind::UserMessage,
            text: "a \"b\"".into(),
            payload: r#"{"content":"a \"b\""}"#.into(),
            gated: true,
        };
        let note = Note {
            thread: "t".into(),
            request: "m\n1".into(),
            tier: Tier::Mid,
            agent: "".into(),
            open: alloc::vec![("c1".into(), "search".into()), ("c2".into(), "".into())],
            asked: Some(asked),
        };
        for note in [Note { asked: None, ..note.clone() }, note] {
            let bytes = note.encode(&mut Writer::default());
            assert_eq!(Note::read(&bytes), Some(note));
            assert_eq!(Note::read(&bytes[1..]), None);
        }
        assert_eq!(
            Note::read(br#"{"v":2,"thread":"","request":"","tier":"free","agent":"","open":[]}"#),
            None
        );
    }
}
