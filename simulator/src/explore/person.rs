//! A user of the small world, and what a tab's reference client remembers. The rules are those of the checkers, written over
//! what the small world knows: which events were published, in which order.

use router::{ConnId, Frame, RunRef};

use super::Breach;
use crate::dialect::RunEventKind;

/// A user.
#[derive(Clone, Debug, Default)]
pub(super) struct Person {
    pub(super) tabs: Vec<Tab>,
    /// In the order in which they were said: message `n` is called `mN`, by every user alike.
    pub(super) messages: Vec<Message>,
    /// The events of all runs as their agents reported them; the first has cursor 1.
    pub(super) stream: Vec<Published>,
    /// Highest cursor that any socket took.
    pub(super) written: u64,
}

/// A message and its run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) run: RunRef,
    pub(super) progress: Progress,
}

/// How far an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Asked,
    Started,
    Thought,
    /// A tool is at work.
    Calling,
    Called,
    Done,
}

/// An event of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) message: u8,
    pub(super) kind: RunEventKind,
}

/// A tab.
#[derive(Clone, Debug)]
pub(super) struct Tab {
    pub(super) line: Line,
    /// Connections that the tab has given up and the server does not know to be gone.
    pub(super) lost: Vec<Lost>,
    /// The newest cursor seen; 0 before the first.
    pub(super) seen: u64,
    /// The user's cursor when the tab first connected.
    pub(super) base: Option<u64>,
    /// A run has ended, and what was seen is to be confirmed.
    pub(super) confirm: bool,
}

/// Whether a tab is connected.
#[derive(Clone, Debug)]
pub(super) enum Line {
    /// Not yet.
    Never,
    Live(Socket),
    /// Not any more.
    Away,
}

/// A tab's connection.
#[derive(Clone, Debug)]
pub(super) struct Socket {
    pub(super) conn: ConnId,
    /// What waits to be read, if the tab does not read.
    pub(super) unread: Option<Vec<Frame>>,
}

/// A connection whose client is gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    pub(super) conn: ConnId,
    /// What is written to it goes nowhere; if not, nothing can be written to it.
    pub(super) swallows: bool,
    /// Frames it was given and has not taken.
    pub(super) unwritten: u32,
}

impl Tab {
    pub(super) const fn new() -> Self {
        Self { line: Line::Never, lost: Vec::new(), seen: 0, base: None, confirm: false }
    }

    /// Up to here the tab needs nothing.
    pub(super) fn at(&self) -> u64 {
        if self.seen > 0 { self.seen } else { self.base.unwrap_or_default() }
    }

    /// The connection, if the tab reads.
    pub(super) fn reading(&self) -> Option<ConnId> {
        match &self.line {
            Line::Live(socket) if socket.unread.is_none() => Some(socket.conn),
            Line::Live(_) | Line::Never | Line::Away => None,
        }
    }

    /// Takes an event by the cursor rule. `stream` is what was published. Answers whether it was new.
    pub(super) fn take(
        &mut self,
        stream: &[Published],
        (run, kind, seq, cursor): (Option<u8>, RunEventKind, u64, u64),
    ) -> Result<bool, Breach> {
        let breach = |rule, detail| Err(Breach::new(rule, detail));
        let name = kind.name();
        let Some(published) = (cursor as usize).checked_sub(1).and_then(|at| stream.get(at)) else {
            return breach("golden.unasked", format!("{name} with cursor {cursor}, which no agent reported"));
        };
        if run != Some(published.message) || kind != published.kind {
            let (message, published) = (published.message, published.kind.name());
            let detail = format!("cursor {cursor} carries {name}, and belongs to {published} of m{message}");
            return breach("deliver.I4", detail);
        }
        let before = stream[..cursor as usize].iter().filter(|event| event.message == published.message);
        if before.count() as u64 != seq {
            return breach("deliver.I4", format!("{name} with cursor {cursor} has seq {seq}"));
        }
        if cursor <= self.seen {
            return Ok(false);
        }
        // A first event at or below the welcome's cursor is a replay of what nobody received: any start is right.
        let early = self.seen == 0 && self.base.is_some_and(|base| cursor <= base);
        if cursor != self.at() + 1 && !early {
            return breach(
                "deliver.I4",
                format!("cursor {cursor} follows {}, without a gap announced", self.at()),
            );
        }
        self.seen = cursor;
        self.confirm |= kind.is_terminal();
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RunEventKind::{Completed, Started, Thinking};

    fn stream() -> Vec<Published> {
        [(0, Started), (1, Started), (0, Thinking), (0, Completed)]
            .map(|(message, kind)| Published { message, kind })
            .to_vec()
    }

    /// The rule that an event breaks for a tab with that base and that cursor seen.
    fn rule(base: u64, seen: u64, event: (Option<u8>, RunEventKind, u64, u64)) -> Option<String> {
        let mut tab = Tab { base: Some(base), seen, ..Tab::new() };
        tab.take(&stream(), event).err().map(|breach| breach.rule)
    }

    #[test]
    fn an_event_is_what_was_published_under_its_cursor_and_comes_in_order() {
        assert_eq!(rule(0, 0, (Some(0), Started, 1, 1)), None);
        assert_eq!(rule(0, 1, (Some(1), Started, 1, 2)), None);
        assert_eq!(rule(2, 0, (Some(0), Thinking, 2, 3)), None, "from the welcome's cursor on");
        assert_eq!(rule(2, 0, (Some(1), Started, 1, 2)), None, "a replay of what nobody received");
        let is = |found: Option<String>, rule: &str| assert_eq!(found.as_deref(), Some(rule));
        is(rule(0, 1, (Some(0), Thinking, 2, 3)), "deliver.I4"); // one left out
        is(rule(0, 0, (Some(1), Started, 1, 1)), "deliver.I4"); // another run's
        is(rule(0, 0, (Some(0), Thinking, 1, 1)), "deliver.I4"); // another event
        is(rule(0, 2, (Some(0), Thinking, 3, 3)), "deliver.I4"); // another place in its run
        is(rule(0, 4, (Some(0), Completed, 4, 5)), "golden.unasked"); // nobody reported it
        is(rule(0, 0, (None, Started, 1, 1)), "deliver.I4"); // no run of this user's
    }

    #[test]
    fn a_repeat_is_dropped_and_an_end_is_to_be_confirmed() {
        let mut tab = Tab { base: Some(0), seen: 3, ..Tab::new() };
        assert_eq!(tab.take(&stream(), (Some(0), Thinking, 2, 3)), Ok(false));
        assert_eq!((tab.at(), tab.confirm), (3, false));
        assert_eq!(tab.take(&stream(), (Some(0), Completed, 3, 4)), Ok(true));
        assert_eq!((tab.at(), tab.confirm), (4, true));
    }
}
