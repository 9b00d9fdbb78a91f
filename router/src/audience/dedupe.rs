//! The window of message ids a user has sent lately, as 64-bit fingerprints.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
};

use smallvec::SmallVec;

use crate::{config::Config, contract::Instant};

/// Up to here a look through all of them is quicker than any index, and most users never have more.
const INDEXED_FROM: usize = 32;

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
    runs: BTreeMap<u64, u64>,
}

impl Default for Dedupe {
    fn default() -> Self {
        Dedupe::Short(SmallVec::new())
    }
}

impl Dedupe {
    /// Number of the run that the message with that id started, if it is in the window.
    pub(super) fn find(&mut self, message_id: &str, now: Instant, config: &Config) -> Option<u64> {
        while self.oldest().is_some_and(|seen| now.since(seen.at) >= config.dedupe_ttl_us) {
            self.forget_oldest();
        }
        let wanted = super::user::fingerprint(message_id);
        match self {
            Dedupe::Short(recent) => {
                recent.iter().find(|seen| seen.fingerprint == wanted).map(|seen| seen.run)
            }
            Dedupe::Long(indexed) => indexed.runs.get(&wanted).copied(),
        }
    }

    pub(super) fn remember(&mut self, message_id: &str, run: u64, now: Instant, config: &Config) {
        if config.dedupe_ids_max == 0 {
            return;
        }
        if self.len() >= config.dedupe_ids_max as usize {
            self.forget_oldest();
        }
        let seen = Seen { fingerprint: super::user::fingerprint(message_id), run, at: now };
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

    fn len(&self) -> usize {
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
    use std::format;

    #[test]
    fn an_id_is_known_for_its_window() {
        let config = Config { dedupe_ids_max: 2, dedupe_ttl_us: 100, ..Config::default() };
        let at = Instant::from_micros;
        let mut window = Dedupe::default();
        window.remember("a", 1, at(0), &config);
        assert_eq!(window.find("a", at(99), &config), Some(1));
        assert_eq!(window.find("a", at(100), &config), None);
        for (id, run) in [("b", 2), ("c", 3), ("d", 4)] {
            window.remember(id, run, at(200), &config);
        }
        assert_eq!(window.find("b", at(200), &config), None);
        assert_eq!(window.find("d", at(200), &config), Some(4));
    }

    #[test]
    fn long_windows_answer_as_short_ones_do() {
        let config = Config { dedupe_ids_max: 100, ..Config::default() };
        let now = Instant::from_micros(0);
        let mut window = Dedupe::default();
        for n in 0..500 {
            window.remember(&format!("m{n}"), n, now, &config);
            let oldest = (n + 1).saturating_sub(100);
            assert_eq!(window.find(&format!("m{oldest}"), now, &config), Some(oldest));
            assert_eq!(
                oldest.checked_sub(1).and_then(|gone| window.find(&format!("m{gone}"), now, &config)),
                None
            );
        }
    }
}
