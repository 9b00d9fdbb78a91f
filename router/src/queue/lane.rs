//! One lane: messages that stay in order among themselves.

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};

use super::Priority;
use crate::contract::Instant;

/// Messages for which a lane always keeps room once it had them.
const ROOM_MIN: usize = 4;

/// A message that waits or is leased.
#[derive(Clone, Debug)]
pub(super) struct Entry<B> {
    pub(super) seq: u64,
    pub(super) offered_at: Instant,
    pub(super) bytes: u32,
    /// How urgent it is: what its lane is, unless its outlet goes by the order of arrival only.
    pub(super) priority: Priority,
    /// Number of its latest lease: one from before is stale.
    pub(super) fence: u64,
    pub(super) protected: bool,
    /// It came back from the dead letters.
    pub(super) redriven: bool,
    /// It came from an outlet that closed: what was leased here before it may be newer.
    pub(super) moved: bool,
    /// Most messages have none.
    pub(super) failures: Option<Box<Failures>>,
    pub(super) body: B,
}

/// What went wrong with a message.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    /// Attempts that failed since it was offered, or came back from the dead letters.
    pub(super) attempts: u32,
    /// What each of all its attempts said, the oldest first.
    pub(super) texts: Vec<Box<str>>,
}

impl<B> Entry<B> {
    /// A message that begins to wait now, under that number, and of which nothing has been tried.
    pub(super) const fn new(
        seq: u64,
        now: Instant,
        priority: Priority,
        protected: bool,
        bytes: u32,
        body: B,
    ) -> Self {
        Self {
            seq,
            offered_at: now,
            bytes,
            priority,
            fence: 0,
            protected,
            redriven: false,
            moved: false,
            failures: None,
            body,
        }
    }

    /// How often an attempt failed.
    pub(super) fn attempts(&self) -> u32 {
        self.failures.as_ref().map_or(0, |failures| failures.attempts)
    }
}

/// Messages in the order of their admission; the first `leased` of them are out.
#[derive(Clone, Debug)]
pub(super) struct Lane<B> {
    /// Tells this lane from an older one at the same place.
    pub(super) serial: u32,
    pub(super) class: Priority,
    pub(super) order: Option<u64>,
    pub(super) entries: VecDeque<Entry<B>>,
    pub(super) leased: u32,
    /// When the oldest lease was given, or when the one before it was settled.
    pub(super) progress_at: Instant,
    /// Nothing is leased before then.
    pub(super) backoff_until: Option<Instant>,
    /// The earliest deadline that is set for it.
    pub(super) armed_at: Option<Instant>,
    /// It stands among its outlet's lanes with work to give.
    pub(super) is_ready: bool,
    /// The one behind it there.
    pub(super) next_ready: Option<u32>,
}

impl<B> Lane<B> {
    pub(super) fn new(serial: u32, class: Priority, order: Option<u64>) -> Self {
        Self {
            serial,
            class,
            order,
            entries: VecDeque::new(),
            leased: 0,
            progress_at: Instant::default(),
            backoff_until: None,
            armed_at: None,
            is_ready: false,
            next_ready: None,
        }
    }

    /// Whether its next message may be leased, with so many leases out at most.
    pub(super) fn can_lease(&self, window: u32) -> bool {
        self.backoff_until.is_none() && self.leased < window && (self.leased as usize) < self.entries.len()
    }

    /// The next message to be leased.
    pub(super) fn next(&self) -> Option<&Entry<B>> {
        self.entries.get(self.leased as usize)
    }

    /// Whether it may be given up: it is empty, and no deadline would be set anew for the next message. Lanes of order keys
    /// are given up at once: another message with the key may never come.
    pub(super) fn is_over(&self) -> bool {
        self.entries.is_empty() && (self.armed_at.is_none() || self.order.is_some())
    }

    /// Takes out a message. Room that messages left is given back once it is three quarters of all.
    pub(super) fn remove(&mut self, place: usize) -> Option<Entry<B>> {
        let entry = self.entries.remove(place)?;
        let room = self.entries.capacity();
        if room > ROOM_MIN && self.entries.len() <= room / 4 {
            self.entries.shrink_to(room / 2);
        }
        Some(entry)
    }

    /// What waits, in the order of numbers again after older ones joined it.
    pub(super) fn sort(&mut self) {
        let leased = self.leased as usize;
        self.entries.make_contiguous()[leased..].sort_by_key(|entry| entry.seq);
    }

    /// Where a leased message stands, if the lease is the latest one of it.
    pub(super) fn leased_at(&self, seq: u64, fence: u64) -> Option<usize> {
        let leased = self.entries.iter().take(self.leased as usize);
        leased.into_iter().position(|entry| entry.seq == seq && entry.fence == fence)
    }

    /// The waiting messages that may give way to another, the oldest first.
    pub(super) fn expendable(&self) -> impl Iterator<Item = (usize, &Entry<B>)> {
        let leased = self.leased as usize;
        self.entries.iter().enumerate().skip(leased).filter(|(_, entry)| !entry.protected)
    }

    /// When something happens to it by itself: a lease ends, a pause ends, its oldest message is too old.
    pub(super) fn deadline(&self, lease_us: Option<u64>, ttl_us: Option<u64>) -> Option<Instant> {
        let lease = lease_us.filter(|_| self.leased > 0).map(|lease_us| self.progress_at.after(lease_us));
        // Exactly that age is kept.
        let expiry = ttl_us.zip(self.next()).map(|(ttl_us, entry)| entry.offered_at.after(ttl_us).after(1));
        [lease, expiry, self.backoff_until].into_iter().flatten().min()
    }
}
