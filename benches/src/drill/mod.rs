//! The drill: two real nodes and a real Redis under load, and then something breaks.
//!
//! A round fills the nodes with fresh users, each with a tab on either node; when enough messages are accepted and enough
//! runs are open, the fault strikes. Clients do what clients do: they come back to the next node with their cursor, and send
//! again, under its id, what nobody acknowledged. When everything has come to rest, what every tab saw goes through the judge
//! of [`simulator::cluster`], so a finding here and a finding there mean the same. Processes and wires are those of
//! [`stage`](crate::stage): nothing is pretended.
//!
//! *Accepted* is a message of which its user got an event, or the word that it came before.

mod crowd;
mod round;
mod tally;

use std::{fmt, path::PathBuf, str::FromStr};

use reports::Report;
use simulator::scenario::Scenario;

use crate::stage::StageError;

pub use self::tally::Tally;

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node is killed, and started again a second later.
    KillNode,
    /// Redis is killed, and started again on what is on its disk.
    KillRedis,
    /// One node cannot reach Redis for three seconds: in turns its connections break, or nothing passes on them.
    CutRedis,
    /// A new process takes over from a node, which drains.
    DrainNode,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 4] = [Fault::KillNode, Fault::KillRedis, Fault::CutRedis, Fault::DrainNode];

    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::KillNode => "kill-node",
            Fault::KillRedis => "kill-redis",
            Fault::CutRedis => "cut-redis",
            Fault::DrainNode => "drain-node",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Fault::ALL.map(Fault::name);
        let found = Fault::ALL.into_iter().find(|fault| fault.name() == text);
        found.ok_or_else(|| format!("expected one of {}", names.join(", ")))
    }
}

/// Everything a drill needs to know.
#[derive(Clone, Debug)]
pub struct DrillOptions {
    /// The program whose `serve` is tried.
    pub program: PathBuf,
    /// `redis-server`.
    pub redis_server: PathBuf,
    /// What breaks, one after the other.
    pub faults: Vec<Fault>,
    /// Rounds of each fault.
    pub rounds: u32,
    /// Limits and agents of the nodes, and who the users are.
    pub scenario: Scenario,
    /// Seed of all of it.
    pub seed: u64,
    /// How long a silent node keeps its runs, milliseconds; the product's own by default.
    pub lease_ms: Option<u64>,
}

/// A round is struck when this many messages were accepted.
pub const ACCEPTED_MIN: usize = 200;
/// And this many runs are open.
pub const OPEN_MIN: usize = 20;

/// Plays all rounds, and tells each as it ends. Not to be called from within an async runtime.
///
/// # Errors
/// The stage could not be set. What went wrong in a round is in the report instead.
pub fn run(options: &DrillOptions, tell: &dyn Fn(&str)) -> Result<Report, StageError> {
    let mut drill = round::Drill::begin(options)?;
    let mut tallies = Vec::new();
    for fault in &options.faults {
        for number in 1..=options.rounds {
            let tally = drill.play(*fault, number)?;
            tell(&tally.to_string());
            tallies.push(tally);
        }
    }
    Ok(tally::report(options, tallies))
}
