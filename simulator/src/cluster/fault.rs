//! What can go wrong between nodes and store, and when it does.

use super::draw::Draw;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// An operation never gets to the store.
    OpLost,
    /// An operation is carried out, and its answer is lost.
    AnswerLost,
    /// An answer comes late, after others.
    AnswerLate,
    /// A wake is lost.
    WakeLost,
    /// A wake comes twice.
    WakeDoubled,
    /// A wake comes late, after others.
    WakeLate,
    /// The store is away for everybody.
    StoreAway,
    /// The store comes back without the end of what it had.
    StoreRegressed,
    /// One node is cut off from the store.
    NodeCut,
    /// A node stands still, for longer than its leases last.
    NodePaused,
    /// A node dies, and another life of it begins.
    NodeKilled,
    /// A client's connection breaks.
    ConnectionLost,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [FaultKind; 12] = [
        FaultKind::OpLost,
        FaultKind::AnswerLost,
        FaultKind::AnswerLate,
        FaultKind::WakeLost,
        FaultKind::WakeDoubled,
        FaultKind::WakeLate,
        FaultKind::StoreAway,
        FaultKind::StoreRegressed,
        FaultKind::NodeCut,
        FaultKind::NodePaused,
        FaultKind::NodeKilled,
        FaultKind::ConnectionLost,
    ];

    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            FaultKind::OpLost => "op_lost",
            FaultKind::AnswerLost => "answer_lost",
            FaultKind::AnswerLate => "answer_late",
            FaultKind::WakeLost => "wake_lost",
            FaultKind::WakeDoubled => "wake_doubled",
            FaultKind::WakeLate => "wake_late",
            FaultKind::StoreAway => "store_away",
            FaultKind::StoreRegressed => "store_regressed",
            FaultKind::NodeCut => "node_cut",
            FaultKind::NodePaused => "node_paused",
            FaultKind::NodeKilled => "node_killed",
            FaultKind::ConnectionLost => "connection_lost",
        }
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
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Chances per operation or wake, out of a thousand, in the order of [`FaultKind::ALL`].
    pub(super) rates: [u64; FaultKind::ALL.len()],
    pub(super) strikes: Vec<Strike>,
    /// From here on nothing goes wrong.
    pub(super) until_us: u64,
}

impl Faults {
    /// Which kinds there are at all, how often, and when.
    pub(super) fn draw(draw: &mut Draw, nodes: usize, until_us: u64) -> Self {
        let mut faults = Self { until_us, ..Self::default() };
        for kind in FaultKind::ALL {
            if !draw.one_in(3) {
                continue;
            }
            let count = draw.from(1, 3);
            match kind {
                FaultKind::OpLost
                | FaultKind::AnswerLost
                | FaultKind::AnswerLate
                | FaultKind::WakeLost
                | FaultKind::WakeDoubled
                | FaultKind::WakeLate => faults.rates[kind as usize] = draw.from(2, 100),
                FaultKind::StoreAway => faults.strike(draw, kind, count, nodes, (200_000, 12_000_000)),
                FaultKind::StoreRegressed => faults.strike(draw, kind, 1, nodes, (100_000, 3_000_000)),
                FaultKind::NodeCut => faults.strike(draw, kind, count, nodes, (200_000, 12_000_000)),
                FaultKind::NodePaused => faults.strike(draw, kind, count, nodes, (1_000_000, 15_000_000)),
                FaultKind::NodeKilled => faults.strike(draw, kind, count, nodes, (500_000, 12_000_000)),
                FaultKind::ConnectionLost => faults.strike(draw, kind, 4 * count, nodes, (1, 2)),
            }
        }
        faults.strikes.sort_by_key(|strike| strike.at_us);
        faults
    }

    fn strike(
        &mut self,
        draw: &mut Draw,
        kind: FaultKind,
        count: u64,
        nodes: usize,
        (low, high): (u64, u64),
    ) {
        for _ in 0..count {
            let at_us = draw.from(1_000_000, self.until_us);
            let node = draw.from(0, nodes as u64 - 1) as usize;
            self.strikes.push(Strike { at_us, kind, for_us: draw.from(low, high), node });
        }
    }

    /// Whether that happens to this operation or wake.
    pub(super) fn happens(&self, kind: FaultKind, now_us: u64, draw: &mut Draw) -> bool {
        let rate = self.rates[kind as usize];
        rate > 0 && now_us < self.until_us && draw.from(0, 999) < rate
    }
}
