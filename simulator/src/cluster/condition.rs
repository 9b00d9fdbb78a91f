//! What must come about sometimes: a sweep in which nothing happened says nothing.

use super::FaultKind;

/// The list, written once: each with its name in reports and what it is.
macro_rules! conditions {
    ($($name:ident $text:literal: $about:literal,)+) => {
        /// Something that a seed may come across.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Condition {
            $(#[doc = $about] $name,)+
        }

        impl Condition {
            /// All of them.
            pub const ALL: &'static [Condition] = &[$(Condition::$name,)+];

            /// Stable name.
            pub const fn name(self) -> &'static str {
                match self { $(Condition::$name => $text,)+ }
            }

            /// What it is.
            pub const fn about(self) -> &'static str {
                match self { $(Condition::$name => $about,)+ }
            }
        }
    };
}

conditions! {
    TakenOver "taken_over": "a run was taken over",
    RunAgain "run_again": "a run was done by a second node, since no event of it was in the log",
    RunLost "run_lost": "a run was ended by another node, since events of it were in the log",
    PausedLong "paused_beyond_lease": "a node stood still for longer than its leases last",
    Fenced "fenced": "an append of an owner before a takeover was refused",
    AppendKnown "append_known": "an append was asked again that was in the log, and got its cursor",
    AppendUnplaced "append_unplaced": "an append was asked again that was in the log, and only the log knew where",
    AppendGap "append_gap": "an append came ahead of one that was lost",
    AppendNoRun "append_no_run": "events were appended to a run that the store had lost",
    AdmitKnown "admit_known": "a message was asked again that had been taken in, and its answer lost",
    Duplicate "duplicate": "a client was told that its message came before",
    UnknownOutcome "unknown_outcome": "a client was told that nobody knows what became of its message",
    Unavailable "unavailable": "a message was refused since the store was away",
    Degraded "degraded": "a client was welcomed while the store was away",
    AgentPaused "agent_paused": "an agent was told to pause, since its events waited for the log",
    Fetched "fetched": "events were read from the log whose wake was lost, or came ahead of its turn",
    Raised "raised": "cursors went on above what was shown, since the store had lost its tail",
    Overtaken "overtaken": "a store that had lost its tail went on unnoticed: a cursor stands for two events",
    GapTold "gap_told": "a client was told of a gap after the store had lost its tail",
    Trimmed "trimmed": "a client was told of a gap since the log had not kept all of it",
}

/// Seeds in which each condition was met, or a kind of fault struck, and the lowest of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sometimes {
    conditions: Vec<(u64, u64)>,
    faults: Vec<(u64, u64)>,
}

impl Default for Sometimes {
    fn default() -> Self {
        let none = (0, u64::MAX);
        Self { conditions: vec![none; Condition::ALL.len()], faults: vec![none; FaultKind::ALL.len()] }
    }
}

impl Sometimes {
    /// Adds what a seed came across.
    pub fn add(&mut self, seed: u64, played: &super::Played) {
        let met = self.conditions.iter_mut().zip(played.met.iter().copied());
        let struck = self.faults.iter_mut().zip(played.faults.iter().map(|times| *times > 0));
        for (sum, _) in met.chain(struck).filter(|(_, met)| *met) {
            *sum = (sum.0 + 1, sum.1.min(seed));
        }
    }

    /// Adds what another one saw.
    pub fn absorb(&mut self, other: &Self) {
        let sums = self.conditions.iter_mut().chain(&mut self.faults);
        for (sum, part) in sums.zip(other.conditions.iter().chain(&other.faults)) {
            *sum = (sum.0 + part.0, sum.1.min(part.1));
        }
    }

    /// Seeds in which it was met.
    pub fn seeds_of(&self, condition: Condition) -> u64 {
        self.conditions[condition as usize].0
    }

    /// Seeds in which that fault struck.
    pub fn seeds_struck(&self, kind: FaultKind) -> u64 {
        self.faults[kind as usize].0
    }

    /// How many have been met, faults included.
    pub fn reached(&self) -> usize {
        self.conditions.iter().chain(&self.faults).filter(|(seeds, _)| *seeds > 0).count()
    }

    /// How many there are.
    pub const fn named() -> usize {
        Condition::ALL.len() + FaultKind::ALL.len()
    }

    /// All of them, as reports list them.
    pub fn listed(&self) -> Vec<reports::sweep::Condition> {
        let row = |name: String, about: String, (seeds, first): (u64, u64)| reports::sweep::Condition {
            name,
            about,
            seeds,
            first_seed: (seeds > 0).then_some(first),
        };
        let conditions = Condition::ALL
            .iter()
            .zip(&self.conditions)
            .map(|(condition, sum)| row(condition.name().to_owned(), condition.about().to_owned(), *sum));
        let faults = FaultKind::ALL.iter().zip(&self.faults).map(|(kind, sum)| {
            row(format!("fault_{}", kind.name()), format!("a fault happened: {}", kind.about()), *sum)
        });
        conditions.chain(faults).collect()
    }
}
