//! Where a run event stands: read off the recovery window and how far the user's connections have come. No event
//! has a record of its own; only what was given up before anybody was written it leaves a trace, as a range.

use alloc::vec::Vec;

use super::{Audience, User, UserRef};
use crate::contract::{Delivery, DeliveryState};

/// Ranges remembered per user; the oldest is forgotten, and then it and all before it are said to be gapped: rather a
/// delivered event called gapped than a lost one called delivered.
const RANGES_MAX: usize = 16;

/// How far clients have confirmed, and what nobody was ever written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Highest cursor that a client said it has.
    confirmed: u64,
    /// Inclusive ranges of cursors given up unwritten, ascending.
    lost: Vec<Lost>,
    /// Last cursor of the newest range forgotten.
    forgotten_to: u64,
}

#[derive(Clone, Copy, Debug)]
struct Lost {
    from: u64,
    to: u64,
    expired: bool,
}

impl Standing {
    pub(super) fn confirm(&mut self, cursor: u64) {
        self.confirmed = self.confirmed.max(cursor);
    }

    /// The events of that range were given up before anybody was written them.
    pub(super) fn lose(&mut self, from: u64, to: u64, expired: bool) {
        if from > to {
            return;
        }
        if let Some(last) = self.lost.last_mut().filter(|last| last.expired == expired && last.to + 1 == from)
        {
            last.to = to;
            return;
        }
        if self.lost.len() == RANGES_MAX {
            self.forgotten_to = self.lost.remove(0).to;
        }
        self.lost.push(Lost { from, to, expired });
    }

    fn lost(&self, cursor: u64) -> Option<DeliveryState> {
        if cursor <= self.forgotten_to {
            return Some(DeliveryState::Gapped);
        }
        let range = self.lost.iter().find(|range| (range.from..=range.to).contains(&cursor))?;
        Some(if range.expired { DeliveryState::Expired } else { DeliveryState::Gapped })
    }
}

impl User {
    fn delivery(&self, cursor: u64) -> Option<Delivery> {
        if cursor == 0 || cursor > self.cursor {
            return None;
        }
        let replayable = cursor >= self.log_first();
        let state = self.standing.lost(cursor).unwrap_or(if cursor <= self.standing.confirmed {
            DeliveryState::Confirmed
        } else if cursor <= self.delivered {
            DeliveryState::Delivered
        } else if replayable {
            DeliveryState::Waiting
        } else {
            DeliveryState::Gapped
        });
        Some(Delivery { state, cursor, replayable })
    }

    fn cursor_in_window(&self, run: u64, seq: u64) -> Option<u64> {
        let at = self.log.iter().position(|logged| logged.run == run && logged.seq == seq)?;
        Some(self.log_first() + at as u64)
    }
}

impl Audience {
    /// Where the event with that cursor stands; `None` when there never was one.
    pub(crate) fn delivery(&self, user: UserRef, cursor: u64) -> Option<Delivery> {
        self.user(user).delivery(cursor)
    }

    /// The cursor of a run event that is still in the window.
    pub(crate) fn cursor_in_run(&self, user: UserRef, run: u64, seq: u64) -> Option<u64> {
        self.user(user).cursor_in_window(run, seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_ranges_merge_and_are_bounded() {
        let mut standing = Standing::default();
        standing.lose(3, 4, false);
        standing.lose(5, 6, false);
        standing.lose(7, 7, true);
        assert_eq!(standing.lost.len(), 2);
        assert_eq!(standing.lost(6), Some(DeliveryState::Gapped));
        assert_eq!(standing.lost(7), Some(DeliveryState::Expired));
        assert_eq!(standing.lost(2), None);
        for n in 0..100 {
            standing.lose(10 + 2 * n, 10 + 2 * n, false);
        }
        assert_eq!(standing.lost.len(), RANGES_MAX);
        assert_eq!(standing.lost(12), Some(DeliveryState::Gapped), "forgotten, not delivered");
        assert_eq!(standing.lost(7), Some(DeliveryState::Gapped));
    }
}
