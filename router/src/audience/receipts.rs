//! Open receipts: which deliveries still wait for which connections.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use super::{Conn, Flow, User};
use crate::{
    contract::{ConnId, Effect, Missed, Receipt, ReceiptId},
    fingerprint::Walk,
};

/// What a connection owes a receipt: one frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    pub(super) receipt: u64,
    pub(super) part: u32,
    pub(super) at: At,
}

/// Which frame of the connection it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    /// The n-th that the connection is given, from 1: a frame outside the recovery window.
    Position(u64),
    /// The event with that cursor.
    Cursor(u64),
}

/// One user's share of a delivery.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// The event waits in the user's recovery window.
    kept: bool,
    delivered: bool,
}

#[derive(Clone, Debug)]
struct Open {
    /// Addressed connections that have neither been written nor missed it.
    waiting: u32,
    /// Everybody has been addressed.
    sealed: bool,
    parts: Vec<Part>,
    account: Receipt,
}

/// The share of a receipt that one user's connections are booked on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(super) receipt: u64,
    pub(super) part: u32,
}

/// All open receipts, by a number of our own: callers may use theirs as they like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receipts {
    open: BTreeMap<u64, Open>,
    opened: u64,
}

impl Receipts {
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Where an open receipt stands among all of them: its name in a fingerprint.
    pub(super) fn place(&self, receipt: u64) -> usize {
        self.open.range(..receipt).count()
    }

    pub(crate) fn digest(&self, walk: &mut Walk<'_>) {
        walk.len(self.open.len());
        for open in self.open.values() {
            let Open { waiting, sealed, parts, account } = open;
            walk.number(u64::from(*waiting));
            walk.flag(*sealed);
            walk.len(parts.len());
            for part in parts {
                walk.flag(part.kept);
                walk.flag(part.delivered);
            }
            walk.number(account.receipt.0);
            walk.text(&account.event_type);
            walk.number(u64::from(account.attempted));
            walk.number(u64::from(account.delivered));
            walk.len(account.failed.len());
            account.failed.iter().for_each(|(_, missed)| walk.number(*missed as u64));
        }
    }

    /// Connections that any open receipt waits for.
    pub(crate) fn waiting(&self) -> u64 {
        self.open.values().map(|open| u64::from(open.waiting)).sum()
    }

    pub(crate) fn open(&mut self, receipt: ReceiptId, event_type: Box<str>) -> u64 {
        self.opened += 1;
        let account = Receipt::blank(receipt, event_type);
        let open = Open { waiting: 0, sealed: false, parts: Vec::new(), account };
        self.open.insert(self.opened, open);
        self.opened
    }

    /// Another user's share; `kept` when the event waits in that user's window.
    pub(crate) fn share(&mut self, receipt: u64, kept: bool) -> Share {
        let mut part = 0;
        if let Some(open) = self.open.get_mut(&receipt) {
            part = open.parts.len() as u32;
            open.parts.push(Part { kept, delivered: false });
        }
        Share { receipt, part }
    }
}

impl Flow<'_> {
    /// A connection is addressed: `Ok` when it was given the frame, or will be.
    pub(super) fn book(&mut self, share: Share, conn: &mut Conn, id: ConnId, frame: Result<At, Missed>) {
        let Some(open) = self.receipts.open.get_mut(&share.receipt) else { return };
        open.account.attempted += 1;
        open.waiting += 1;
        self.stats.deliveries.attempted += 1;
        self.stats.deliveries.awaited += 1;
        let Share { receipt, part } = share;
        match frame {
            Ok(at) => conn.cold.awaited.push(Awaited { receipt, part, at }),
            Err(missed) => self.miss(Awaited { receipt, part, at: At::Position(0) }, id, missed),
        }
    }

    /// Everybody has been addressed: the receipt is complete as soon as nobody is waited for.
    pub(crate) fn seal(&mut self, receipt: u64) {
        if let Some(open) = self.receipts.open.get_mut(&receipt) {
            open.sealed = true;
        }
        self.finish(receipt);
    }

    /// The connection was written up to where it stands: settles what it owed up to there.
    pub(super) fn settle_written(&mut self, conn: &mut Conn) {
        let (frames, cursor) = (conn.cold.frames_written, conn.written);
        let mut awaited = core::mem::take(&mut conn.cold.awaited);
        awaited.retain(|awaited| {
            let written = match awaited.at {
                At::Position(at) => at <= frames,
                At::Cursor(at) => at <= cursor,
            };
            if written {
                self.hit(*awaited);
            }
            !written
        });
        conn.cold.awaited = awaited;
    }

    /// The connection will not be written anything more.
    pub(super) fn miss_all(&mut self, conn: &mut Conn, id: ConnId) {
        for awaited in core::mem::take(&mut conn.cold.awaited) {
            self.miss(awaited, id, Missed::Closed);
        }
    }

    /// The window has lost everything up to `cursor`: what the connection has not been given of it, it never will be.
    pub(super) fn miss_gapped(&mut self, conn: &mut Conn, id: ConnId, cursor: u64) {
        let taken = conn.taken;
        let mut awaited = core::mem::take(&mut conn.cold.awaited);
        awaited.retain(|awaited| {
            let gone = matches!(awaited.at, At::Cursor(at) if at > taken && at <= cursor);
            if gone {
                self.miss(*awaited, id, Missed::Gapped);
            }
            !gone
        });
        conn.cold.awaited = awaited;
    }

    /// The connection has changed its threads: what it has not been given of the others, it never will be.
    pub(super) fn miss_unwanted(&mut self, conn: &mut Conn, id: ConnId, user: &User) {
        let mut awaited = core::mem::take(&mut conn.cold.awaited);
        awaited.retain(|awaited| {
            let At::Cursor(at) = awaited.at else { return true };
            let wanted =
                at <= conn.taken || user.logged(at).is_none_or(|event| conn.wants(event.thread.as_deref()));
            if !wanted {
                self.miss(*awaited, id, Missed::Overflow);
            }
            wanted
        });
        conn.cold.awaited = awaited;
    }

    /// The user's window has lost everything up to `cursor`: no receipt may say any more that it is kept.
    pub(super) fn break_promises(&mut self, user: &mut User, cursor: u64) {
        while let Some((share, _)) = user.promised.front().copied().filter(|(_, kept)| *kept <= cursor) {
            user.promised.pop_front();
            let open = self.receipts.open.get_mut(&share.receipt);
            if let Some(part) = open.and_then(|open| open.parts.get_mut(share.part as usize)) {
                part.kept = false;
            }
        }
    }

    fn hit(&mut self, awaited: Awaited) {
        let Some(open) = self.receipts.open.get_mut(&awaited.receipt) else { return };
        open.account.delivered += 1;
        open.waiting -= 1;
        if let Some(part) = open.parts.get_mut(awaited.part as usize) {
            part.delivered = true;
        }
        self.stats.deliveries.delivered += 1;
        self.stats.deliveries.awaited -= 1;
        self.finish(awaited.receipt);
    }

    fn miss(&mut self, awaited: Awaited, id: ConnId, missed: Missed) {
        let Some(open) = self.receipts.open.get_mut(&awaited.receipt) else { return };
        open.account.failed.push((id, missed));
        open.waiting -= 1;
        if missed == Missed::Gapped
            && let Some(part) = open.parts.get_mut(awaited.part as usize)
        {
            part.kept = false;
        }
        self.stats.deliveries.failed += 1;
        self.stats.deliveries.awaited -= 1;
        self.finish(awaited.receipt);
    }

    fn finish(&mut self, receipt: u64) {
        if !self.receipts.open.get(&receipt).is_some_and(|open| open.sealed && open.waiting == 0) {
            return;
        }
        let Some(mut open) = self.receipts.open.remove(&receipt) else { return };
        open.account.queued = open.parts.iter().filter(|part| part.kept && !part.delivered).count() as u32;
        self.stats.deliveries.receipts_open -= 1;
        self.stats.deliveries.receipts_given += 1;
        self.stats.deliveries.receipts_reached += u64::from(open.account.delivered > 0);
        self.out.push(Effect::Receipt(Box::new(open.account)));
    }
}
