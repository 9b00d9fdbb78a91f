//! What the queue holds of one user.

use alloc::{collections::VecDeque, sync::Arc};

use smallvec::SmallVec;

use super::{
    Account, DeadLetter, Outlet, Priority,
    lane::Lane,
    turns::{Place, Turn},
};
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
#[derive(Clone, Debug)]
pub(super) struct Way<B> {
    pub(super) outlet: Outlet,
    pub(super) standing: Standing,
    /// A lane keeps its place while it has messages. Most have one.
    pub(super) lanes: SmallVec<[Option<Lane<B>>; 1]>,
    /// Messages in all lanes, leased ones included.
    pub(super) messages: u32,
    pub(super) leased: u32,
    /// Lanes with work to give, by class: the first and the last of a list that runs through the lanes. For workers only.
    ready: [Option<(u32, u32)>; Priority::COUNT],
    /// How the user stands in the ring of that class.
    pub(super) turns: [Turn; Priority::COUNT],
}

impl<B> Way<B> {
    pub(super) fn new(outlet: Outlet) -> Self {
        Self {
            outlet,
            standing: Standing::Open,
            lanes: SmallVec::new(),
            messages: 0,
            leased: 0,
            ready: [None; Priority::COUNT],
            turns: [Turn::default(); Priority::COUNT],
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

    /// Whether a lane of the class may have work to give.
    pub(super) const fn has_ready(&self, class: usize) -> bool {
        self.ready[class].is_some()
    }

    /// Puts a lane behind those of its class with work to give.
    pub(super) fn push_ready(&mut self, at: u32) {
        let Some(lane) = &mut self.lanes[at as usize] else { return };
        (lane.is_ready, lane.next_ready) = (true, None);
        let class = lane.class.index();
        let first = match self.ready[class] {
            Some((first, last)) => {
                if let Some(last) = &mut self.lanes[last as usize] {
                    last.next_ready = Some(at);
                }
                first
            }
            None => at,
        };
        self.ready[class] = Some((first, at));
    }

    /// The lane of the class that gives next, and the bytes of what it gives, at least one.
    pub(super) fn next_ready(&self, class: usize) -> Option<(usize, u32)> {
        let (first, _) = self.ready[class]?;
        let entry = self.lanes[first as usize].as_ref()?.next()?;
        Some((first as usize, entry.bytes.max(1)))
    }

    /// Takes out the lane of the class that gives next.
    pub(super) fn pop_ready(&mut self, class: usize) {
        let Some((first, last)) = self.ready[class] else { return };
        let next = self.lanes[first as usize].as_mut().and_then(|lane| {
            lane.is_ready = false;
            lane.next_ready.take()
        });
        self.ready[class] = next.map(|next| (next, last));
    }

    /// Takes out a lane, wherever it stands.
    pub(super) fn drop_ready(&mut self, at: u32) {
        let lane = self.lanes[at as usize].as_ref().filter(|lane| lane.is_ready);
        let Some(class) = lane.map(|lane| lane.class.index()) else { return };
        let Some((first, last)) = self.ready[class] else { return };
        if first == at {
            return self.pop_ready(class);
        }
        let next_of = |lane: u32| self.lanes[lane as usize].as_ref().and_then(|lane| lane.next_ready);
        let mut before = first;
        while let Some(next) = next_of(before).filter(|next| *next != at) {
            before = next;
        }
        let next = next_of(at);
        if let Some(lane) = &mut self.lanes[before as usize] {
            lane.next_ready = next;
        }
        if let Some(lane) = &mut self.lanes[at as usize] {
            (lane.is_ready, lane.next_ready) = (false, None);
        }
        self.ready[class] = Some((first, if last == at { before } else { last }));
    }

    /// The serial of a lane that could give work and stands in no line for it.
    pub(super) fn forgotten(&self) -> Option<u32> {
        self.outlet.work().filter(|_| matches!(self.standing, Standing::Open | Standing::Degraded))?;
        let mut lanes = self.lanes.iter().flatten().filter(|lane| lane.can_lease(1));
        let waits = |lane: &&Lane<B>| {
            let place = self.turns[lane.class.index()].place;
            !lane.is_ready || !matches!(place, Place::Fresh | Place::Ring)
        };
        lanes.find(waits).map(|lane| lane.serial)
    }

    /// Takes out all lanes.
    pub(super) fn clear_ready(&mut self) {
        self.ready = [None; Priority::COUNT];
        for lane in self.lanes.iter_mut().flatten() {
            (lane.is_ready, lane.next_ready) = (false, None);
        }
    }
}

/// One user.
#[derive(Clone, Debug)]
pub(super) struct User<B> {
    pub(super) name: Arc<str>,
    pub(super) generation: u32,
    /// Most have one.
    pub(super) ways: SmallVec<[Way<B>; 1]>,
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
            ways: SmallVec::new(),
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
