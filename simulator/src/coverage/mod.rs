//! What a sweep came across: named conditions that must happen sometimes, and triples of what a run was at, what came,
//! and which fault was in force.
//!
//! A sweep without a finding says nothing if nothing happened in it. So a [`Coverage`] watches every input with its
//! effects, and the router's own accounts; it is one object for all seeds that a thread plays, and two of them
//! [add up](Coverage::absorb) in any order. Watching changes nothing, and nothing is allocated per observation.

mod conditions;
mod triples;
mod watch;

use router::{Effects, Input, Stats};

pub use conditions::Condition;
pub use triples::{Moment, Stage};

use crate::faults::FaultCounts;
use crate::scenario::{Fault, FaultKind};
use conditions::Met;
use triples::Grid;
use watch::Watch;

/// What one or more seeds came across.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// The seed that is being played.
    seed: u64,
    /// What it has met so far.
    met: Met,
    /// Seeds in which each condition was met, and the lowest of them.
    sums: [(u64, u64); Condition::ALL.len()],
    /// The same for each kind of fault: that it happened.
    faults: [(u64, u64); FaultKind::ALL.len()],
    grid: Grid,
    watch: Watch,
}

/// What only the end of a run tells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ending<'a> {
    /// The router's accounts, if it is one.
    pub(crate) stats: Option<&'a Stats>,
    /// Whether a socket held as many unwritten frames as it may.
    pub(crate) window_full: bool,
    /// Frames that the clients' cursor rule dropped.
    pub(crate) repeats: u64,
    /// How often each kind of fault happened.
    pub(crate) faults: FaultCounts,
}

impl Default for Coverage {
    fn default() -> Self {
        Self {
            seed: 0,
            met: Met::default(),
            sums: [(0, u64::MAX); Condition::ALL.len()],
            faults: [(0, u64::MAX); FaultKind::ALL.len()],
            grid: Grid::default(),
            watch: Watch::default(),
        }
    }
}

impl Coverage {
    /// A coverage that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A seed begins. What an earlier one left unfinished is forgotten.
    pub(crate) fn begin(&mut self, seed: u64, users: u32, faults: &[Fault]) {
        self.seed = seed;
        self.met = Met::default();
        self.watch.begin(users);
        self.grid.begin(seed, faults);
    }

    /// One input of the router, with everything that it asked for in answer.
    #[inline]
    pub(crate) fn input(&mut self, at_us: u64, input: &Input<'_>, effects: &Effects, stats: Option<&Stats>) {
        self.watch.input(at_us, input, effects, stats, &mut self.met, &mut self.grid);
    }

    /// The node is no more, with all its runs and connections and its accounts.
    pub(crate) fn node_lost(&mut self, stats: Option<&Stats>) {
        self.watch.node_lost(stats, &mut self.met);
    }

    /// The seed is over.
    pub(crate) fn finish(&mut self, ending: Ending<'_>) {
        conditions::finish(&mut self.met, ending);
        for condition in self.met.iter() {
            add(&mut self.sums[condition as usize], (1, self.seed));
        }
        for (kind, _) in ending.faults.iter().filter(|(_, times)| *times > 0) {
            add(&mut self.faults[kind as usize], (1, self.seed));
        }
    }

    /// Adds what another one saw.
    pub fn absorb(&mut self, other: &Coverage) {
        let (sums, faults) = (self.sums.iter_mut(), self.faults.iter_mut());
        for (sum, part) in sums.zip(&other.sums).chain(faults.zip(&other.faults)) {
            add(sum, *part);
        }
        self.grid.absorb(&other.grid);
    }

    /// Conditions and triples met so far, over all seeds that are finished: a number that only grows.
    pub fn reached(&self) -> (usize, usize) {
        let sums = self.sums.iter().chain(&self.faults[1..]);
        (sums.filter(|(seeds, _)| *seeds > 0).count(), self.grid.reached())
    }

    /// Seeds in which a condition was met.
    pub fn seeds_of(&self, condition: Condition) -> u64 {
        self.sums[condition as usize].0
    }

    /// How many conditions there are.
    pub const fn named() -> usize {
        // Letting a frame through, the first kind, is no fault.
        Condition::ALL.len() + FaultKind::ALL.len() - 1
    }

    /// All conditions, as reports list them.
    pub fn conditions(&self) -> Vec<reports::sweep::Condition> {
        let row = |name: &str, about: &str, (seeds, first): (u64, u64)| reports::sweep::Condition {
            name: name.to_owned(),
            about: about.to_owned(),
            seeds,
            first_seed: (seeds > 0).then_some(first),
        };
        let named = Condition::ALL.iter().zip(self.sums);
        let named = named.map(|(condition, sum)| row(condition.name(), condition.about(), sum));
        let faults = FaultKind::ALL.into_iter().zip(self.faults).filter(|(kind, _)| *kind != FaultKind::Pass);
        let faults = faults.map(|(kind, sum)| {
            row(&format!("fault_{}", kind.name()), &format!("a fault happened: {}", kind.name()), sum)
        });
        named.chain(faults).collect()
    }

    /// The triples that were met, as reports list them.
    pub fn triples(&self) -> reports::sweep::Triples {
        self.grid.to_report()
    }
}

/// Adds seeds, and the lowest of them.
fn add(sum: &mut (u64, u64), part: (u64, u64)) {
    *sum = (sum.0 + part.0, sum.1.min(part.1));
}

#[cfg(test)]
mod needs;
#[cfg(test)]
mod tests;
