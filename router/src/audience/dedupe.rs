//! The window of message ids a user has sent lately, as 64-bit fingerprints.

use alloc::{boxed::Box, collections::VecDeque};
use core::hash::{BuildHasher, Hasher};

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::{config::Config, contract::Instant};

/// Up to here a look through all of them is quicker than any index, and most users never have more.
const INDEXED_FROM: usize = 16;

#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    fingerprint: u64,
    run: u64,
    at: Instant,
}

/// Bounded by count and age; the oldest leave first.
#[derive(Debug)]
pub(super) enum Dedupe {
    /// Few: looked through.
    Short(SmallVec<[Seen; 2]>),
    /// Many: indexed.
    Long(Box<Indexed>),
}

#[derive(Debug)]
pub(super) struct Indexed {
    recent: VecDeque<Seen>,
    /// Looked up only; nothing ever depends on its order.
    runs: HashMap<u64, u64, Itself>,
}

/// A fingerprint is its own hash.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Itself(u64);

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
    /// Number of the run that the message with that id started, if it is in the window.
    pub(super) fn find(&mut self, wanted: u64, now: Instant, config: &Config) -> Option<u64> {
        while self.oldest().is_some_and(|seen| now.since(seen.at) >= config.dedupe_ttl_us) {
            self.forget_oldest();
        }
        match self {
            Dedupe::Short(recent) => {
                recent.iter().find(|seen| seen.fingerprint == wanted).map(|seen| seen.run)
            }
            Dedupe::Long(indexed) => indexed.runs.get(&wanted).copied(),
        }
    }

    pub(super) fn remember(&mut self, fingerprint: u64, run: u64, now: Instant, config: &Config) {
        if config.dedupe_ids_max == 0 {
            return;
        }
        if self.len() >= config.dedupe_ids_max as usize {
            self.forget_oldest();
        }
        let seen = Seen { fingerprint, run, at: now };
        match self {
            Dedupe::Short(recent) if recent.len() < INDEXED_FROM => recent.push(seen),
            Dedupe::Short(recent) => {
                recent.push(seen);
                let runs = recent.iter().map(|seen| (seen.fingerprint, seen.run)).collect();
                let recent = recent.drain(..).collect();
                *self = Dedupe::Long(Box::new(Indexed { recent, runs }));
            }
            Dedupe::Long(indexed) => {
                indexed.recent.push_back(seen);
                indexed.runs.insert(seen.fingerprint, seen.run);
            }
        }
    }

    /// When the youngest entry may be forgotten.
    pub(super) fn until(&self, config: &Config) -> Option<Instant> {
        let youngest = match self {
            Dedupe::Short(recent) => recent.last(),
            Dedupe::Long(indexed) => indexed.recent.back(),
        };
        youngest.map(|seen| seen.at.after(config.dedupe_ttl_us))
    }

    pub(super) fn len(&self) -> usize {
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

    fn forget_oldest(&mut self) {
        match self {
            Dedupe::Short(recent) => {
                if !recent.is_empty() {
                    recent.remove(0);
                }
            }
            Dedupe::Long(indexed) => {
                if let Some(seen) = indexed.recent.pop_front() {
                    indexed.runs.remove(&seen.fingerprint);
                }
                if indexed.recent.is_empty() {
                    *self = Dedupe::default();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::fingerprint as of;
    use std::format;

    #[test]
    fn an_id_is_known_for_its_window() {
        let config = Config { dedupe_ids_max: 2, dedupe_ttl_us: 100, ..Config::default() };
        let at = Instant::from_micros;
        let mut window = Dedupe::default();
        window.remember(of("a"), 1, at(0), &config);
        assert_eq!(window.find(of("a"), at(99), &config), Some(1));
        assert_eq!(window.find(of("a"), at(100), &config), None);
        for (id, run) in [("b", 2), ("c", 3), ("d", 4)] {
            window.remember(of(id), run, at(200), &config);
        }
        assert_eq!(window.find(of("b"), at(200), &config), None);
        assert_eq!(window.find(of("d"), at(200), &config), Some(4));
    }

    #[test]
    fn long_windows_answer_as_short_ones_do() {
        let config = Config { dedupe_ids_max: 100, ..Config::default() };
        let now = Instant::from_micros(0);
        let mut window = Dedupe::default();
        for n in 0..500 {
            window.remember(of(&format!("m{n}")), n, now, &config);
            let oldest = (n + 1).saturating_sub(100);
            assert_eq!(window.find(of(&format!("m{oldest}")), now, &config), Some(oldest));
            assert_eq!(
                oldest.checked_sub(1).and_then(|gone| window.find(of(&format!("m{gone}")), now, &config)),
                None
            );
        }
    }
}
