//! Several nodes, one store, users that wander between them, and whatever goes wrong in between.
//!
//! The nodes are routers, the store is the [model](crate::store) that is held to the scripts on Redis; all of it runs in
//! virtual time from one seed. Each seed draws its faults, at least three: operations and answers that are lost or late,
//! wakes that are lost, doubled or early, a store that is away, loses its tail or forgets its scripts, nodes that are cut
//! off, pause beyond their leases, die, or reach for the same runs. Then everything heals, and what was promised is
//! looked at:
//!
//! - a message that was accepted has one run, and the run one end, on every tab of its user;
//! - every tab gets the user's events in the order of the log, each once, or is told of a gap; a gap is excused only when
//!   the store lost its tail, or the log had not kept what the tab missed;
//! - while nothing is wrong, an event is on every tab as soon as it is in the log; a run is taken over when its lease has
//!   run out, and not before;
//! - nobody gets an event of somebody else;
//! - at the end nothing is in doubt and nothing waits.
//!
//! What is left of this when the store lost its tail, is in `docs/nodes.md`. It is small on purpose: one file per part, and
//! [`play`] is all there is to call.

mod condition;
mod draw;
mod fault;
mod judge;
mod node;
mod outcome;
mod person;
mod shrink;
mod watch;
mod world;

use std::fmt;

use self::world::World;
pub use self::{
    condition::{Condition, Sometimes},
    fault::FaultKind,
    outcome::{ABOUT, outcome},
    shrink::shrink,
    watch::{News, Watched},
};

/// What a world is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Nodes, at least 2.
    pub nodes: u32,
    /// Users.
    pub users: u32,
    /// Messages that each user sends.
    pub messages: u32,
    /// What does not go wrong.
    pub without: Vec<FaultKind>,
    /// A planted defect.
    #[cfg(feature = "mutants")]
    pub mutant: Option<router::Mutant>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nodes: 2,
            users: 6,
            messages: 12,
            without: Vec::new(),
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule of the contract: `deliver.I2`, `iso.I1`, `golden.incomplete`, ….
    pub rule: &'static str,
    /// When, microseconds of virtual time.
    pub at_us: u64,
    /// What was expected and what was seen.
    pub detail: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:.6} s: {}", self.rule, self.at_us as f64 / 1e6, self.detail)
    }
}

/// What a seed came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// What must not be, in the order in which it was seen; the first few.
    pub breaches: Vec<Breach>,
    /// Frames that arrived at clients.
    pub frames: u64,
    /// Messages sent, those sent again included.
    pub sent: u64,
    /// Messages accepted, each once.
    pub accepted: u64,
    /// Inputs of all nodes.
    pub inputs: u64,
    /// Operations that the store carried out.
    pub operations: u64,
    /// Frames that the cursor rule dropped.
    pub repeats: u64,
    /// Gaps that clients were told of.
    pub gaps: u64,
    /// Runs that ended because their node was gone.
    pub lost_runs: u64,
    /// Runs that were taken over.
    pub taken_over: u64,
    /// How often each kind of fault struck, in the order of [`FaultKind::ALL`].
    pub faults: [u32; FaultKind::ALL.len()],
    /// What the seed came across, in the order of [`Condition::ALL`].
    pub met: [bool; Condition::ALL.len()],
    /// Virtual time, microseconds.
    pub virtual_us: u64,
    /// Everything that arrived at clients, in order.
    pub hash: u64,
}

/// Plays one seed.
pub fn play(settings: &Settings, seed: u64) -> Played {
    World::new(settings, seed).play()
}

/// Plays one seed and tells every step.
pub fn tell(settings: &Settings, seed: u64, line: &mut dyn FnMut(String)) -> Played {
    World::new(settings, seed).telling(line).play()
}
