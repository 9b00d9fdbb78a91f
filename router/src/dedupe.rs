//! The window of message ids a user has sent lately, as 64-bit fingerprints, each with a number that was given to it.

use alloc::{boxed::Box, collections::VecDeque};
use core::hash::{BuildHasher, Hasher};

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::{contract::Instant, fingerprint::Walk};

/// Up to here a look through all of them is quicker than any index, and most users never have more.
const INDEXED_FROM: usize = 16;

/// Bytes per id of a full window: the list, and the index with its free places and control bytes.
pub(crate) const ID_BYTES: u64 = (size_of::<Seen>() + 3 * (size_of::<(u64, u64)>() + 1)) as u64;

/// How far a window reaches back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Ids; 0 for no window at all.
    pub(crate) ids_max: u32,
    /// Age of an id.
    pub(crate) ttl_us: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    fingerprint: u64,
    number: u64,
    at: Instant,
}

/// Bounded by count and age; the oldest leave first.
#[derive(Clone, Debug)]
pub(crate) enum Dedupe {
    /// Few: looked through.
    Short(SmallVec<[Seen; 2]>),
    /// Many: indexed.
    Long(Box<Indexed>),
}

#[derive(Clone, Debug)]
pub(crate) struct Indexed {
    recent: VecDeque<Seen>,
    /// Looked up only; nothing ever depends on its order.
    numbers: HashMap<u64, u64, Itself>,
}

/// A fingerprint is its own hash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Itself(u64);

impl BuildHasher for Itself {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}

impl Default for Dedupe {
    fn default() -> Self {
        Dedupe::Short(SmallVec::new())
    }
}

impl Dedupe {
    /// The number that was given to the id, if it is in the window.
    pub(crate) fn find(&mut self, wanted: u64, now: Instant, reach: Reach) -> Option<u64> {
        self.forget(now, reach);
        match self {
            Dedupe::Short(recent) => {
                recent.iter().find(|seen| seen.fingerprint == wanted).map(|seen| seen.number)
            }
            Dedupe::Long(indexed) => indexed.numbers.get(&wanted).copied(),
        }
    }

    /// Notes the number of an id.
    pub(crate) fn remember(&mut self, fingerprint: u64, number: u64, now: Instant, reach: Reach) {
        if reach.ids_max == 0 {
            return;
        }
        if self.len() >= reach.ids_max as usize {
            self.forget_oldest();
        }
        let seen = Seen { fingerprint, number, at: now };
        match self {
            Dedupe::Short(recent) if recent.len() < INDEXED_FROM => recent.push(seen),
            Dedupe::Short(recent) => {
                recent.push(seen);
                let numbers = recent.iter().map(|seen| (seen.fingerprint, seen.number)).collect();
                let recent = recent.drain(..).collect();
                *self = Dedupe::Long(Box::new(Indexed { recent, numbers }));
            }
            Dedupe::Long(indexed) => {
                indexed.recent.push_back(seen);
                indexed.numbers.insert(seen.fingerprint, seen.number);
            }
        }
    }

    /// When the youngest entry may be forgotten.
    pub(crate) fn until(&self, reach: Reach) -> Option<Instant> {
        let youngest = match self {
            Dedupe::Short(recent) => recent.last(),
            Dedupe::Long(indexed) => indexed.recent.back(),
        };
        youngest.map(|seen| seen.at.after(reach.ttl_us))
    }

    /// What is still known, oldest first.
    pub(crate) fn digest(&self, reach: Reach, walk: &mut Walk<'_>) {
        let (few, many) = match self {
            Dedupe::Short(recent) => (&recent[..], None),
            Dedupe::Long(indexed) => (&[][..], Some(&indexed.recent)),
        };
        let now = walk.now;
        let known = few.iter().chain(many.into_iter().flatten());
        let known = known.filter(|seen| now.since(seen.at) < reach.ttl_us);
        walk.len(known.clone().count());
        for seen in known {
            walk.message_mark(seen.fingerprint);
            walk.run(seen.number);
            walk.time(seen.at);
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Dedupe::Short(recent) => recent.len(),
            Dedupe::Long(indexed) => indexed.recent.len(),
        }
    }

    fn oldest(&self) -> Option<&Seen> {
        match self {
            Dedupe::Short(recent) => recent.first(),
            Dedupe::Long(indexed) => indexed.recent.front(),
        }
    }

    /// Forgets what is too old.
    pub(crate) fn forget(&mut self, now: Instant, reach: Reach) {
        while self.oldest().is_some_and(|seen| now.since(seen.at) >= reach.ttl_us) {
            self.forget_oldest();
        }
    }

    /// Makes room for one id.
    pub(crate) fn forget_oldest(&mut self) {
        match self {
            Dedupe::Short(recent) => {
                if !recent.is_empty() {
                    recent.remove(0);
                }
            }
            Dedupe::Long(indexed) => {
                if let Some(seen) = indexed.recent.pop_front() {
                    indexed.numbers.remove(&seen.fingerprint);
                }
                let (len, room) = (indexed.recent.len(), indexed.recent.capacity());
                if len <= INDEXED_FROM / 4 {
                    *self = Dedupe::Short(indexed.recent.drain(..).collect());
                } else if len <= room / 4 {
                    // A window that was large for a while does not stay so.
                    indexed.recent.shrink_to(room / 2);
                    indexed.numbers.shrink_to(room / 2);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn of(id: &str) -> u64 {
        crate::audience::fingerprint(id.as_bytes())
    }
    use std::format;

    #[test]
    fn an_id_is_known_for_its_window() {
        let reach = Reach { ids_max: 2, ttl_us: 100 };
        let at = Instant::from_micros;
        let mut window = Dedupe::default();
        window.remember(of("a"), 1, at(0), reach);
        assert_eq!(window.find(of("a"), at(99), reach), Some(1));
        assert_eq!(window.find(of("a"), at(100), reach), None);
        for (id, run) in [("b", 2), ("c", 3), ("d", 4)] {
            window.remember(of(id), run, at(200), reach);
        }
        assert_eq!(window.find(of("b"), at(200), reach), None);
        assert_eq!(window.find(of("d"), at(200), reach), Some(4));
    }

    #[test]
    fn long_windows_answer_as_short_ones_do() {
        let reach = Reach { ids_max: 100, ttl_us: 1_000 };
        let now = Instant::from_micros(0);
        let mut window = Dedupe::default();
        for n in 0..500 {
            window.remember(of(&format!("m{n}")), n, now, reach);
            let oldest = (n + 1).saturating_sub(100);
            assert_eq!(window.find(of(&format!("m{oldest}")), now, reach), Some(oldest));
            assert_eq!(
                oldest.checked_sub(1).and_then(|gone| window.find(of(&format!("m{gone}")), now, reach)),
                None
            );
        }
    }
}
