//! A user: what the tabs saw, what was sent, and what became of it.

use std::collections::BTreeMap;

use crate::dialect::{Dialect as _, FrameKind, Goldenpath, RunEventKind};

/// One user.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) tabs: Vec<Tab>,
    pub(super) messages: Vec<Message>,
}

/// A message of the user's.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) sent: bool,
    /// When it goes out next, unless an answer comes before.
    pub(super) due_us: u64,
    /// An event of it, or the word that it came before, arrived at any tab.
    pub(super) is_accepted: bool,
    /// Any tab saw its end, or was told of a gap that may hold it.
    pub(super) is_over: bool,
    /// The run of its events.
    pub(super) run: Option<String>,
}

/// What a tab saw at a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) message: usize,
    pub(super) run: String,
    pub(super) seq: u64,
    pub(super) event: RunEventKind,
    pub(super) code: String,
}

/// One tab.
#[derive(Debug, Default)]
pub(super) struct Tab {
    /// Which node, which life of it, and which connection there; `None` while there is none.
    pub(super) link: Option<Link>,
    /// Counts connections, so that what is on its way for an older one is dropped.
    pub(super) generation: u32,
    pub(super) is_welcome: bool,
    /// Up to where it has everything, or was told that something is missing.
    pub(super) cursor: Option<u64>,
    pub(super) seen: BTreeMap<u64, Seen>,
    /// Ranges it was told are missing.
    pub(super) gaps: Vec<(u64, u64)>,
    pub(super) repeats: u64,
    /// When what is on its way arrives, at the earliest.
    pub(super) up_at_us: u64,
    pub(super) down_at_us: u64,
}

/// A connection, as the client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) node: usize,
    pub(super) life: u32,
    pub(super) conn: Option<router::ConnId>,
}

/// What a frame means to its tab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing to do.
    Nothing,
    /// The message should be sent again, after a while.
    Again(usize),
    /// Something must not be.
    Breach(&'static str, String),
}

impl Person {
    pub(super) fn new(id: String, tabs: usize, messages: u32) -> Self {
        let message = |n| Message { id: format!("m{n}"), ..Message::default() };
        Self {
            id,
            tabs: (0..tabs).map(|_| Tab::default()).collect(),
            messages: (0..messages).map(message).collect(),
        }
    }

    fn message(&self, id: &str) -> Option<usize> {
        id.strip_prefix('m')?.parse().ok().filter(|at| *at < self.messages.len())
    }

    /// A frame arrived at a tab. `tail_lost`: something may be missing for good.
    pub(super) fn receive(&mut self, tab: usize, text: &str, tail_lost: bool) -> News {
        let Ok(frame) = Goldenpath.decode(text) else {
            return News::Breach("wire.frame", format!("unreadable: {text}"));
        };
        let state = &mut self.tabs[tab];
        match frame.kind {
            FrameKind::Welcome { .. } => {
                let degraded = text.contains("\"degraded\":true");
                state.is_welcome = true;
                if !degraded && state.cursor.is_none() {
                    // What came before is none of this tab's, but for what nobody got yet.
                    state.cursor = Some(0);
                }
                News::Nothing
            }
            FrameKind::Gap { from, to } => {
                state.gaps.push((from, to));
                let cursor = state.cursor.unwrap_or_default();
                state.cursor = Some(cursor.max(to));
                if !tail_lost {
                    return News::Breach(
                        "deliver.gap",
                        format!("told of a gap from {from} to {to}, for no reason"),
                    );
                }
                News::Nothing
            }
            FrameKind::Event(event) => {
                if frame.user_id != self.id {
                    return News::Breach("iso.I1", format!("got an event of {}: {text}", frame.user_id));
                }
                let Some(message) = self.message(frame.request_id) else {
                    if tail_lost && frame.request_id.is_empty() {
                        return self.take_nameless(tab, frame.cursor);
                    }
                    return News::Breach("golden.unasked", format!("an event of no message: {text}"));
                };
                let seen = Seen {
                    message,
                    run: frame.run_id.to_owned(),
                    seq: frame.seq,
                    event,
                    code: frame.error_code.to_owned(),
                };
                self.event(tab, frame.cursor, seen, tail_lost)
            }
            FrameKind::Ack { status: "duplicate" } => {
                if let Some(message) = self.message(frame.message_id) {
                    self.messages[message].is_accepted = true;
                }
                News::Nothing
            }
            FrameKind::Error { code } => match (self.message(frame.message_id), code) {
                (
                    Some(message),
                    "BACKEND_UNAVAILABLE"
                    | "UNKNOWN_OUTCOME"
                    | "RUN_LIMIT"
                    | "RATE_LIMITED"
                    | "OVERLOADED"
                    | "SHUTTING_DOWN",
                ) => News::Again(message),
                // It does not say of which; whatever is not answered is sent again.
                (None, "RATE_LIMITED") => News::Nothing,
                _ => News::Breach("golden.answer", format!("refused: {text}")),
            },
            FrameKind::Pong
            | FrameKind::HeartbeatAck
            | FrameKind::Heartbeat
            | FrameKind::Ack { .. }
            | FrameKind::Stopped
            | FrameKind::System
            | FrameKind::Quality
            | FrameKind::Notice { .. }
            | FrameKind::Other => News::Nothing,
        }
    }

    /// The end of a run of which nobody knows any more what was asked for.
    fn take_nameless(&mut self, tab: usize, cursor: u64) -> News {
        let state = &mut self.tabs[tab];
        state.gaps.push((cursor, cursor));
        state.cursor = state.cursor.max(Some(cursor));
        News::Nothing
    }

    fn event(&mut self, tab: usize, cursor: u64, seen: Seen, tail_lost: bool) -> News {
        let state = &mut self.tabs[tab];
        let last = state.cursor.unwrap_or_default();
        if cursor == 0 {
            return News::Breach("deliver.I1", format!("an event without a cursor: {seen:?}"));
        }
        if cursor <= last {
            state.repeats += 1;
            return match state.seen.get(&cursor) {
                Some(known) if *known != seen && !tail_lost => {
                    News::Breach("deliver.I1", format!("cursor {cursor} was {known:?}, and is {seen:?}"))
                }
                Some(_) | None => News::Nothing,
            };
        }
        let is_first = state.seen.is_empty() && state.gaps.is_empty();
        if cursor > last + 1 && !is_first {
            let detail = format!("cursor {cursor} follows {last}, without a gap announced: {seen:?}");
            return News::Breach("deliver.I4", detail);
        }
        state.cursor = Some(cursor);
        let message = &mut self.messages[seen.message];
        message.is_accepted = true;
        message.is_over |= seen.event.is_terminal();
        let run = message.run.get_or_insert_with(|| seen.run.clone());
        if *run != seen.run && !tail_lost {
            return News::Breach(
                "golden.once",
                format!("{} is done by {run} and by {}", message.id, seen.run),
            );
        }
        state.seen.insert(cursor, seen);
        News::Nothing
    }
}
