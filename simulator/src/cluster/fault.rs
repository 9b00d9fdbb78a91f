//! What can go wrong between nodes and store, and when it does.

use super::draw::Draw;
use crate::prng::Domain;

/// The list, written once: each with its name in reports and what it is.
macro_rules! kinds {
    ($($name:ident $text:literal: $about:literal,)+) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FaultKind {
            $(#[doc = $about] $name,)+
        }

        impl FaultKind {
            /// All of them.
            pub const ALL: [FaultKind; [$($text),+].len()] = [$(FaultKind::$name,)+];

            /// Stable name.
            pub const fn name(self) -> &'static str {
                match self { $(FaultKind::$name => $text,)+ }
            }

            /// What it is.
            pub const fn about(self) -> &'static str {
                match self { $(FaultKind::$name => $about,)+ }
            }
        }
    };
}

kinds! {
    OpLost "op_lost": "an operation never gets to the store",
    AnswerLost "answer_lost": "an operation is carried out, and its answer is lost",
    AnswerLate "answer_late": "an answer comes late, after others",
    WakeLost "wake_lost": "a wake is lost",
    WakeDoubled "wake_doubled": "a wake comes twice",
    WakeLate "wake_late": "a wake comes late, after others",
    WakeEarly "wake_early": "a wake comes well ahead of the answer to the append that caused it",
    NoScript "no_script": "the store has forgotten its scripts: what was asked is carried out a way there and back later, behind what was asked after it",
    TwoTakers "two_takers": "two nodes ask for the runs of a third, one right after the other",
    StoreAway "store_away": "the store is away for everybody",
    StoreRegressed "store_regressed": "the store comes back without the end of what it had",
    NodeCut "node_cut": "one node is cut off from the store",
    NodePaused "node_paused": "a node stands still, mostly for longer than its leases last",
    NodeKilled "node_killed": "a node dies, and another life of it begins",
    ConnectionLost "connection_lost": "a client's connection breaks",
}

impl FaultKind {
    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What goes wrong at a time of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strike {
    pub(super) at_us: u64,
    pub(super) kind: FaultKind,
    pub(super) for_us: u64,
    pub(super) node: usize,
}

/// What goes wrong in a seed.
#[derive(Debug)]
pub(super) struct Faults {
    /// Chances per operation or wake, out of a thousand, and the dice of each kind.
    rates: Vec<(u64, Draw)>,
    pub(super) strikes: Vec<Strike>,
    /// From here on nothing goes wrong.
    pub(super) until_us: u64,
}

impl Faults {
    /// Which kinds there are at all, how often, and when. Those of `without` are left out, which shifts no other.
    pub(super) fn draw(seed: u64, nodes: usize, until_us: u64, without: &[FaultKind]) -> Self {
        let mut faults = Self { rates: Vec::new(), strikes: Vec::new(), until_us };
        // One of these, three times, is there in any case.
        let sure = Draw::new(seed, Domain::Fault, u64::MAX - 1).one_of(&[
            FaultKind::StoreAway,
            FaultKind::NodeCut,
            FaultKind::NodePaused,
            FaultKind::NodeKilled,
        ]);
        for kind in FaultKind::ALL {
            let mut draw = Draw::new(seed, Domain::Fault, kind as u64);
            let is_there = (draw.one_in(3) || kind == sure) && !without.contains(&kind);
            let (rate, count) = (draw.from(2, 100), draw.from(1, 3));
            let count = if kind == sure { 3 } else { count };
            let mut strike = |count: u64, low: u64, high: u64| {
                for _ in 0..count * u64::from(is_there) {
                    let at_us = draw.from(1_000_000, until_us);
                    let node = draw.from(0, nodes as u64 - 1) as usize;
                    faults.strikes.push(Strike { at_us, kind, for_us: draw.from(low, high), node });
                }
            };
            let rate = match kind {
                FaultKind::OpLost
                | FaultKind::AnswerLost
                | FaultKind::AnswerLate
                | FaultKind::WakeLost
                | FaultKind::WakeDoubled
                | FaultKind::WakeLate
                | FaultKind::WakeEarly => rate,
                // Takeovers are rare.
                FaultKind::TwoTakers => 500,
                FaultKind::NoScript => {
                    strike(2 * count, 1, 2);
                    0
                }
                FaultKind::StoreAway | FaultKind::NodeCut => {
                    strike(count, 200_000, 12_000_000);
                    0
                }
                FaultKind::StoreRegressed => {
                    strike(1, 100_000, 3_000_000);
                    0
                }
                FaultKind::NodePaused => {
                    strike(count, 1_000_000, 15_000_000);
                    0
                }
                FaultKind::NodeKilled => {
                    strike(count, 500_000, 12_000_000);
                    0
                }
                FaultKind::ConnectionLost => {
                    strike(4 * count, 1, 2);
                    0
                }
            };
            faults.rates.push((rate * u64::from(is_there), draw));
        }
        faults.strikes.sort_by_key(|strike| strike.at_us);
        faults
    }

    /// Whether that happens to this operation or wake.
    pub(super) fn happens(&mut self, kind: FaultKind, now_us: u64) -> bool {
        let (rate, draw) = &mut self.rates[kind as usize];
        *rate > 0 && now_us < self.until_us && draw.from(0, 999) < *rate
    }
}
