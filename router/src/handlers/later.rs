//! Answers for later: given at once, sent when their time comes, so that no handler ever waits.

use alloc::collections::BTreeMap;

use super::{Handlers, LaterReplies};
use crate::{
    contract::{ConnId, Effects, Frame},
    fingerprint::Walk,
    router::Router,
    timers::{Timer, Timers},
};

/// Names one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LaterKey(ConnId, u64);

/// Answers that wait, by connection and in the order in which they were given.
#[derive(Clone, Debug, Default)]
pub(super) struct Later {
    waiting: BTreeMap<LaterKey, Frame>,
    given: u64,
    pub(super) counts: LaterReplies,
}

impl Later {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes an answer in, unless its connection has too many waiting.
    fn add(&mut self, conn: ConnId, frame: Frame, per_conn_max: u32) -> Option<LaterKey> {
        self.counts.offered += 1;
        let own = LaterKey(conn, 0)..=LaterKey(conn, u64::MAX);
        if self.waiting.range(own).count() >= per_conn_max as usize {
            self.counts.dropped += 1;
            return None;
        }
        self.given += 1;
        let key = LaterKey(conn, self.given);
        self.counts.waiting += 1;
        self.waiting.insert(key, frame);
        Some(key)
    }

    fn take(&mut self, key: LaterKey, open: bool) -> Option<Frame> {
        let frame = self.waiting.remove(&key)?;
        self.counts.waiting -= 1;
        *(if open { &mut self.counts.sent } else { &mut self.counts.dropped }) += 1;
        Some(frame)
    }

    /// Forgets what waits for a connection that is gone.
    pub(super) fn release(&mut self, conn: ConnId) {
        while let Some((key, _)) =
            self.waiting.range(LaterKey(conn, 0)..=LaterKey(conn, u64::MAX)).next().map(|(k, f)| (*k, f))
        {
            self.waiting.remove(&key);
            self.counts.waiting -= 1;
            self.counts.dropped += 1;
        }
    }
}

impl Handlers {
    /// What waits for a connection, in the order in which it was given.
    pub(crate) fn digest_later(&self, conn: ConnId, timers: &Timers, walk: &mut Walk<'_>) {
        let own = self.later.waiting.range(LaterKey(conn, 0)..=LaterKey(conn, u64::MAX));
        walk.len(own.clone().count());
        for (key, frame) in own {
            walk.time(timers.due(Timer::Later(key.0, key.1)).unwrap_or(walk.now));
            walk.frame(frame);
        }
    }
}

impl Router {
    pub(super) fn send_later(&mut self, conn: ConnId, after_us: u64, frame: Frame) {
        let max = self.config.later_replies_per_connection_max;
        if let Some(key) = self.handlers.later.add(conn, frame, max) {
            self.timers.set(self.now.after(after_us), Timer::Later(key.0, key.1));
        }
    }

    pub(crate) fn later_due(&mut self, conn: ConnId, number: u64, out: &mut Effects) {
        let open = self.is_open(conn);
        if let Some(frame) = self.handlers.later.take(LaterKey(conn, number), open)
            && open
        {
            self.reply(conn, frame, out);
        }
    }
}
