//! A user: what the tabs saw, what was sent, and what became of it.

use std::collections::BTreeMap;

use crate::dialect::{Dialect as _, FrameKind, Goldenpath, RunEventKind, ServerFrame};

/// One user.
#[derive(Debug)]
pub(super) struct Person {
    /// Agents say the name of their node, and nothing else.
    pub(super) has_signed_bodies: bool,
    pub(super) id: String,
    pub(super) tabs: Vec<Tab>,
    pub(super) messages: Vec<Message>,
    /// What the store forgot of the user.
    pub(super) lost: Vec<Lost>,
    /// The greatest cursor of which it is known that the log began there.
    pub(super) first: u64,
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
    /// It is asked for again, since its end may lie in a gap.
    pub(super) is_doubted: bool,
    /// When any tab saw its end, or was told that it is over.
    pub(super) over_us: Option<u64>,
    /// The store may have forgotten that it came, or how far it was: it may be done twice, and end twice.
    pub(super) is_excused: bool,
    /// The run of its events.
    pub(super) run: Option<String>,
}

/// The tail that a store lost of a user's log: cursors above `from`, up to `to`, may stand for two events each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Lost {
    pub(super) const fn has(&self, cursor: u64) -> bool {
        self.from < cursor && cursor <= self.to
    }

    /// Whether `before` was shown before the tail was lost, or may have been, and `after` thereafter.
    pub(super) const fn divides(&self, before: u64, after: u64) -> bool {
        before <= self.to && after > self.from
    }
}

/// What a tab saw at a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) message: usize,
    pub(super) run: String,
    pub(super) seq: u64,
    pub(super) event: RunEventKind,
    pub(super) code: String,
    /// Which node's agent said it, if that is told.
    pub(super) by: String,
}

/// One tab.
#[derive(Debug, Default)]
pub(super) struct Tab {
    /// Which node, which life of it, and which connection there; `None` while there is none.
    pub(super) link: Option<Link>,
    /// Counts connections, so that what is on its way for an older one is dropped.
    pub(super) generation: u32,
    pub(super) is_welcome: bool,
    /// Since when it is.
    pub(super) welcome_us: u64,
    /// The user's cursor at its first welcome, or that with which it came back without ever having been welcomed: what
    /// comes after is this tab's.
    pub(super) base: Option<u64>,
    /// The last cursor that it saw, or was told is missing.
    pub(super) cursor: Option<u64>,
    /// It asked for all that comes after a cursor.
    is_resumed: bool,
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
    /// It is welcome, before the store could be asked what it missed.
    Degraded,
    /// A new event.
    Event(u64),
    /// Something is missing, between these cursors.
    Gap(u64, u64),
    /// Its message came before.
    Duplicate,
    /// The message was not taken in, or nobody knows; with the code. It should be sent again, after a while.
    Again(usize, &'static str),
    /// Something must not be.
    Breach(&'static str, String),
}

/// Why a message is sent again.
const AGAIN: [&str; 6] =
    ["BACKEND_UNAVAILABLE", "UNKNOWN_OUTCOME", "RUN_LIMIT", "RATE_LIMITED", "OVERLOADED", "SHUTTING_DOWN"];

impl Message {
    pub(super) const fn is_over(&self) -> bool {
        self.over_us.is_some()
    }
}

impl Tab {
    /// A connection begins. Answers the cursor to resume with: the last one that it saw, or that of the first welcome;
    /// 0 if no welcome ever reached it.
    pub(super) fn connects(&mut self) -> Option<u64> {
        let resume = self.cursor.or(self.base).or((self.generation > 0).then_some(0));
        self.base = self.base.or(resume);
        self.is_resumed = resume.is_some();
        self.generation += 1;
        self.is_welcome = false;
        resume
    }

    /// Up to where it has everything, or knows what is missing. Who comes for the first time may yet be given what nobody
    /// got.
    fn last(&self) -> Option<u64> {
        self.cursor.or(self.base.filter(|_| self.is_resumed))
    }

    /// What is to be said of a frame with a cursor that is not the next one; `None`: it is.
    fn out_of_turn(&mut self, cursor: u64, what: &str) -> Option<News> {
        let Some(base) = self.base.filter(|_| self.is_welcome) else {
            return Some(News::Breach("golden.setup", format!("an event ahead of the welcome: {what}")));
        };
        if cursor == 0 {
            return Some(News::Breach("deliver.I1", format!("an event without a cursor: {what}")));
        }
        let last = self.last();
        if last.is_some_and(|last| cursor <= last) {
            self.repeats += 1;
            return Some(News::Nothing);
        }
        let last = last.unwrap_or(base);
        (cursor > last + 1).then(|| {
            let detail = format!("cursor {cursor} follows {last}, without a gap announced: {what}");
            News::Breach("deliver.I4", detail)
        })
    }

    /// Whether anything between the two was announced as missing.
    pub(super) fn has_gap(&self, after: u64, before: u64) -> bool {
        self.gaps.iter().any(|(from, to)| *from < before && *to > after)
    }
}

impl Person {
    pub(super) fn new(id: String, tabs: usize, messages: u32) -> Self {
        let message = |n| Message { id: format!("{id}-m{n}"), ..Message::default() };
        Self {
            tabs: (0..tabs).map(|_| Tab::default()).collect(),
            messages: (0..messages).map(message).collect(),
            lost: Vec::new(),
            first: 0,
            has_signed_bodies: true,
            id,
        }
    }

    fn message(&self, id: &str) -> Option<usize> {
        let number = id.strip_prefix(&self.id)?.strip_prefix("-m")?;
        number.parse().ok().filter(|at| *at < self.messages.len())
    }

    /// Whether the cursor may stand for two events.
    pub(super) fn is_ambiguous(&self, cursor: u64) -> bool {
        self.lost.iter().any(|lost| lost.has(cursor))
    }

    /// The store forgot what it had learned of the user since `since_us`.
    pub(super) fn forgotten(&mut self, lost: Lost, since_us: u64) {
        self.lost.push(lost);
        for message in self.messages.iter_mut().filter(|message| message.sent) {
            message.is_excused |= message.over_us.is_none_or(|over_us| over_us >= since_us);
        }
    }

    /// A frame arrived at a tab.
    pub(super) fn receive(&mut self, tab: usize, text: &str, now_us: u64) -> News {
        let Ok(frame) = Goldenpath.decode(text) else {
            return News::Breach("wire.frame", format!("unreadable: {text}"));
        };
        // That of a welcome is cut.
        let is_foreign = !frame.user_id.is_empty() && frame.user_id != self.id;
        if is_foreign && !matches!(frame.kind, FrameKind::Welcome { .. }) {
            return News::Breach("iso.I1", format!("got a frame of {}: {text}", frame.user_id));
        }
        match frame.kind {
            FrameKind::Welcome { cursor } => {
                let state = &mut self.tabs[tab];
                (state.is_welcome, state.welcome_us) = (true, now_us);
                state.base = state.base.or(cursor);
                if cursor.is_some() { News::Nothing } else { News::Degraded }
            }
            FrameKind::Gap { from, to } => {
                let state = &mut self.tabs[tab];
                let last = state.last();
                state.gaps.push((from, to));
                state.cursor = state.cursor.max(Some(to));
                match last {
                    Some(last) if from > last + 1 => {
                        let detail = format!("a gap from {from} to {to} follows {last}");
                        News::Breach("deliver.I4", detail)
                    }
                    Some(_) | None => News::Gap(from, to),
                }
            }
            FrameKind::Event(event) => self.event(tab, &frame, event, now_us),
            // Its cursor is one of the user's, too.
            FrameKind::Letters => {
                let state = &mut self.tabs[tab];
                state.out_of_turn(frame.cursor, text).unwrap_or_else(|| {
                    state.cursor = Some(frame.cursor);
                    News::Event(frame.cursor)
                })
            }
            FrameKind::Ack { status: "duplicate" } => {
                let Some(message) = self.message(frame.message_id) else { return News::Nothing };
                let message = &mut self.messages[message];
                message.is_accepted = true;
                if message.is_doubted && frame.run_id.is_empty() {
                    message.over_us = message.over_us.or(Some(now_us));
                }
                News::Duplicate
            }
            FrameKind::Error { code } => {
                let again = AGAIN.into_iter().find(|known| *known == code);
                match (self.message(frame.message_id), again) {
                    (Some(message), Some(code)) => News::Again(message, code),
                    // It does not say of which; whatever is not answered is sent again.
                    (None, Some("RATE_LIMITED")) => News::Nothing,
                    _ => News::Breach("golden.answer", format!("refused: {text}")),
                }
            }
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

    fn event(&mut self, tab: usize, frame: &ServerFrame<'_>, event: RunEventKind, now_us: u64) -> News {
        let Some(message) = self.message(frame.request_id) else {
            return News::Breach("golden.unasked", format!("an event of no message: {frame:?}"));
        };
        let cursor = frame.cursor;
        let by = if self.has_signed_bodies { frame.body } else { "" };
        let (run, code, by) = (frame.run_id.to_owned(), frame.error_code.to_owned(), by.to_owned());
        let seen = Seen { message, run, seq: frame.seq, event, code, by };
        let is_ambiguous = self.is_ambiguous(cursor);
        if let Some(news) = self.tabs[tab].out_of_turn(cursor, &format!("{seen:?}")) {
            return match self.tabs[tab].seen.get(&cursor) {
                Some(known) if news == News::Nothing && *known != seen && !is_ambiguous => {
                    News::Breach("deliver.I1", format!("cursor {cursor} was {known:?}, and is {seen:?}"))
                }
                Some(_) | None => news,
            };
        }
        let state = &mut self.tabs[tab];
        state.cursor = Some(cursor);
        let message = &mut self.messages[seen.message];
        message.is_accepted = true;
        if seen.event.is_terminal() {
            message.over_us = message.over_us.or(Some(now_us));
        }
        let run = message.run.get_or_insert_with(|| seen.run.clone());
        if *run != seen.run && !message.is_excused {
            let detail = format!("{} is done by {run} and by {}", message.id, seen.run);
            return News::Breach("golden.once", detail);
        }
        state.seen.insert(cursor, seen);
        News::Event(cursor)
    }
}
