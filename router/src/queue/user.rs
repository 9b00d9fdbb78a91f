//! What the queue holds of one user.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};

use super::{Account, DeadLetter, Outlet, Priority, lane::Lane};
use crate::{contract::Instant, dedupe::Dedupe};

/// Whether an outlet gives out what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It keeps everything until it is opened.
    Held,
    /// It gives out as much as its window lets.
    #[default]
    Open,
    /// It gives out one message at a time.
    Degraded,
    /// It is over: nothing comes in or goes out, and nothing opens it again.
    Closed,
}

/// Where messages of a user go to, with the lanes of those that wait for it.
#[derive(Debug)]
pub(super) struct Way<B> {
    pub(super) outlet: Outlet,
    pub(super) standing: Standing,
    /// A lane keeps its place while it has messages.
    pub(super) lanes: Vec<Option<Lane<B>>>,
    /// Messages in all lanes, leased ones included.
    pub(super) messages: u32,
    pub(super) leased: u32,
    /// Lanes with work to give, by class; for workers only.
    pub(super) ready: [VecDeque<u16>; Priority::COUNT],
    /// Bytes that may still be leased in this turn, by class.
    pub(super) deficit: [u32; Priority::COUNT],
    /// Whether the user stands in the ring of that class.
    pub(super) in_ring: [bool; Priority::COUNT],
}

impl<B> Way<B> {
    pub(super) fn new(outlet: Outlet) -> Self {
        Self {
            outlet,
            standing: Standing::Open,
            lanes: Vec::new(),
            messages: 0,
            leased: 0,
            ready: Default::default(),
            deficit: [0; Priority::COUNT],
            in_ring: [false; Priority::COUNT],
        }
    }

    /// Leases that may be out at once.
    pub(super) const fn window(&self, window: u32) -> u32 {
        match (self.standing, self.outlet) {
            (Standing::Held | Standing::Closed, _) => 0,
            (Standing::Degraded, _) => 1,
            (Standing::Open, Outlet::Worker(_)) => u32::MAX,
            (Standing::Open, Outlet::Connection(_) | Outlet::User | Outlet::Log(_)) => window,
        }
    }

    /// Whether nothing would be lost by forgetting it.
    pub(super) fn is_plain(&self) -> bool {
        self.messages == 0 && self.standing == Standing::Open && self.lanes.iter().all(Option::is_none)
    }

    pub(super) fn live_lanes(&self) -> impl Iterator<Item = (usize, &Lane<B>)> {
        self.lanes.iter().enumerate().filter_map(|(at, lane)| lane.as_ref().map(|lane| (at, lane)))
    }

    pub(super) fn lane_mut(&mut self, at: usize, serial: u32) -> Option<&mut Lane<B>> {
        self.lanes.get_mut(at)?.as_mut().filter(|lane| lane.serial == serial)
    }
}

/// One user.
#[derive(Debug)]
pub(super) struct User<B> {
    pub(super) name: Arc<str>,
    pub(super) generation: u32,
    pub(super) ways: Vec<Way<B>>,
    /// Messages in all lanes, leased ones included.
    pub(super) messages: u32,
    pub(super) bytes: u64,
    pub(super) account: Account,
    pub(super) dedupe: Dedupe,
    pub(super) dead: VecDeque<DeadLetter<B>>,
    /// No notice before then.
    pub(super) notice_at: Instant,
    /// Dead letters of which the user was not told.
    pub(super) untold: u32,
    /// The earliest deadline that is set for the user itself.
    pub(super) armed_at: Option<Instant>,
}

impl<B> User<B> {
    pub(super) fn new(name: Arc<str>, generation: u32) -> Self {
        Self {
            name,
            generation,
            ways: Vec::new(),
            messages: 0,
            bytes: 0,
            account: Account::default(),
            dedupe: Dedupe::default(),
            dead: VecDeque::new(),
            notice_at: Instant::default(),
            untold: 0,
            armed_at: None,
        }
    }

    pub(super) fn way(&self, outlet: Outlet) -> Option<usize> {
        self.ways.iter().position(|way| way.outlet == outlet)
    }

    pub(super) fn way_or_new(&mut self, outlet: Outlet) -> usize {
        if let Some(way) = self.way(outlet) {
            return way;
        }
        // Connections and runs come and go: a place that one left is taken by the next.
        let passing = |outlet: Outlet| matches!(outlet, Outlet::Connection(_) | Outlet::Log(_));
        let vacant = |way: &Way<B>| passing(way.outlet) && way.is_plain();
        match self.ways.iter().position(vacant) {
            Some(way) => {
                self.ways[way].outlet = outlet;
                way
            }
            None => {
                self.ways.push(Way::new(outlet));
                self.ways.len() - 1
            }
        }
    }

    /// Whether nothing of it is left to keep.
    pub(super) fn is_idle(&self) -> bool {
        self.messages == 0
            && self.dedupe.len() == 0
            && self.dead.is_empty()
            && self.untold == 0
            && self.ways.iter().all(Way::is_plain)
    }
}
