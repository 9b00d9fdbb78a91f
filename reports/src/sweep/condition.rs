//! Conditions and triples: what the seeds of a sweep came across.

use serde::{Deserialize, Serialize};

/// A named condition, met or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Its name, unique within a sweep.
    pub name: String,
    /// What it means, in a few words.
    pub about: String,
    /// Seeds in which it was met.
    pub seeds: u64,
    /// The lowest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seed: Option<u64>,
}

/// The triples that were met, of how many that are possible.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triples {
    /// Triples that can be met at all.
    pub possible: u64,
    /// Those that were, in the order of state, event and fault.
    pub met: Vec<Triple>,
}

/// A state of a run, an event that met it, and the fault that was in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triple {
    /// Place in the declaration of all triples.
    pub place: u32,
    /// What the run, or the runs of the user, were at.
    pub state: String,
    /// What came.
    pub event: String,
    /// Which fault was in force; `none` if none was.
    pub fault: String,
    /// How often.
    pub times: u64,
    /// The lowest seed in which it was met.
    pub first_seed: u64,
}

/// Adds up two lists of the same conditions.
pub(super) fn join(into: &mut Vec<Condition>, other: &[Condition]) {
    for part in other {
        match into.iter_mut().find(|known| known.name == part.name) {
            Some(known) => {
                known.seeds += part.seeds;
                known.first_seed = known.first_seed.into_iter().chain(part.first_seed).min();
            }
            None => into.push(part.clone()),
        }
    }
}

impl Triples {
    /// Adds up two lists of the same declaration.
    pub(super) fn join(&mut self, other: &Triples) {
        self.possible = self.possible.max(other.possible);
        for part in &other.met {
            match self.met.binary_search_by_key(&part.place, |known| known.place) {
                Ok(at) => {
                    self.met[at].times += part.times;
                    self.met[at].first_seed = self.met[at].first_seed.min(part.first_seed);
                }
                Err(at) => self.met.insert(at, part.clone()),
            }
        }
    }
}
