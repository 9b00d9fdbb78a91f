//! Leases: who works on what.

use alloc::{collections::VecDeque, vec::Vec};

use super::{Breaker, LaneRef, Lease, Leased, Outlet, Priority, Queue, user::Way};
use crate::contract::Instant;

/// One kind of work: whose turn it is, and whether it goes well.
#[derive(Debug)]
pub(super) struct Trade {
    /// Users with work to give, by class, index and generation; the front one has its turn.
    pub(super) rings: [VecDeque<(u32, u32)>; Priority::COUNT],
    /// Leases in a row of higher classes while a lower one waited.
    pub(super) higher_leases: u32,
    pub(super) breaker: Breaker,
    /// The user of the failures counted since the last success, while there is only one.
    pub(super) culprit: Culprit,
}

/// Whose failures a breaker has counted: one user's alone do not open it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Culprit {
    /// Nobody's.
    #[default]
    Nobody,
    /// That one's only: index and generation.
    One(u32, u32),
    /// Of several.
    Several,
}

impl Trade {
    pub(super) fn new(breaker: Breaker) -> Self {
        Self { rings: Default::default(), higher_leases: 0, breaker, culprit: Culprit::Nobody }
    }

    /// The class to serve next: the highest that has work, or the next lower one after too many of higher ones.
    fn class(&mut self, higher_leases_max: u32) -> Option<usize> {
        let top = self.rings.iter().rposition(|ring| !ring.is_empty())?;
        let lower = self.rings[..top].iter().rposition(|ring| !ring.is_empty());
        match lower {
            Some(lower) if self.higher_leases >= higher_leases_max => {
                self.higher_leases = 0;
                Some(lower)
            }
            Some(_) => {
                self.higher_leases += 1;
                Some(top)
            }
            None => {
                self.higher_leases = 0;
                Some(top)
            }
        }
    }
}

impl<B> Queue<B> {
    /// Leases up to `max` pieces of work of a kind, each of another lane, users in turn. An open breaker leases nothing;
    /// a half-open one, one probe.
    pub fn lease_work(&mut self, now: Instant, kind: u16, max: usize, leases: &mut Vec<Lease>) {
        for _ in 0..max {
            let Some(trade) = self.trades.get_mut(&kind) else { return };
            if trade.rings.iter().all(VecDeque::is_empty) || !trade.breaker.admit(now) {
                return;
            }
            match self.take_turn(now, kind) {
                Some(lease) => leases.push(lease),
                None => return self.abandon_probe(kind),
            }
        }
    }

    /// Leases what a connection, or the user's lane, has to give, in order, as far as its window lets.
    pub fn lease(&mut self, now: Instant, user: &str, outlet: Outlet, max: usize, leases: &mut Vec<Lease>) {
        let Some(&index) = self.names.get(user).filter(|_| outlet.work().is_none()) else { return };
        for _ in 0..max {
            let Some(user) = &self.users[index as usize] else { return };
            let Some(way_index) = user.way(outlet) else { return };
            let way = &user.ways[way_index];
            let window = way.window(self.policies.of(outlet).window);
            if way.leased >= window {
                return;
            }
            let lanes = way.live_lanes().filter(|(_, lane)| lane.can_lease(window));
            let next = lanes.min_by_key(|(_, lane)| {
                (core::cmp::Reverse(lane.class), lane.next().map_or(u64::MAX, |entry| entry.seq))
            });
            let Some((at, lane)) = next else { return };
            let lane = LaneRef { user: index, way: way_index as u16, lane: at as u16, serial: lane.serial };
            let Some(lease) = self.hand_out(now, lane) else { return };
            leases.push(lease);
        }
    }

    /// The message behind a lease; `None` for one that is settled or stale.
    pub fn leased(&self, lease: Lease) -> Option<Leased<'_, B>> {
        let user = self.users.get(lease.user as usize)?.as_ref()?;
        if user.generation != lease.generation {
            return None;
        }
        let way = user.ways.get(lease.way as usize)?;
        let lane = way.lanes.get(lease.lane as usize)?.as_ref().filter(|lane| lane.serial == lease.serial)?;
        let entry = &lane.entries[lane.leased_at(lease.seq, lease.fence)?];
        let (seq, failures) = (entry.seq, entry.attempts);
        Some(Leased { user: &user.name, outlet: way.outlet, seq, failures, body: &entry.body })
    }

    /// Deficit round robin: the front user of the class may lease while its turn's bytes last; then the next one.
    fn take_turn(&mut self, now: Instant, kind: u16) -> Option<Lease> {
        let (quantum, most) = (self.limits.quantum_bytes.max(1), self.limits.higher_leases_max);
        let trade = self.trades.get_mut(&kind)?;
        let mut class = trade.class(most)?;
        loop {
            let ring = &mut trade.rings[class];
            let Some(&(index, generation)) = ring.front() else {
                class = trade.class(most)?;
                continue;
            };
            let alone = ring.len() == 1;
            let user = self.users[index as usize].as_mut().filter(|user| user.generation == generation);
            let Some(way) =
                user.and_then(|user| user.ways.iter_mut().find(|way| way.outlet.work() == Some(kind)))
            else {
                ring.pop_front();
                continue;
            };
            let Some((lane, bytes)) = turn(way, class) else {
                way.in_ring[class] = false;
                ring.pop_front();
                continue;
            };
            if way.deficit[class] < bytes {
                if !alone {
                    way.deficit[class] = way.deficit[class].saturating_add(quantum);
                    ring.rotate_left(1);
                    continue;
                }
                // Nobody else waits: there is nobody to be fair to.
                way.deficit[class] = bytes;
            }
            way.deficit[class] -= bytes;
            way.ready[class].pop_front();
            if way.ready[class].is_empty() {
                way.deficit[class] = 0;
                way.in_ring[class] = false;
                ring.pop_front();
            }
            if let Some(lane) = way.lanes[lane].as_mut() {
                lane.is_ready = false;
            }
            let way = self.users[index as usize].as_ref()?.way(Outlet::Worker(kind))?;
            let lane = self.lane_ref(index, way, lane)?;
            return self.hand_out(now, lane);
        }
    }

    /// A probe that went out will not be heard of again.
    pub(super) fn abandon_probe(&mut self, kind: u16) {
        if let Some(trade) = self.trades.get_mut(&kind) {
            trade.breaker.abandon();
        }
    }

    /// Leases the next message of a lane.
    fn hand_out(&mut self, now: Instant, at: LaneRef) -> Option<Lease> {
        let user = self.users[at.user as usize].as_mut()?;
        let generation = user.generation;
        let way = &mut user.ways[at.way as usize];
        let lane = way.lane_mut(at.lane as usize, at.serial)?;
        let next = lane.leased as usize;
        let entry = lane.entries.get_mut(next)?;
        self.last_fence += 1;
        entry.fence = self.last_fence;
        let (seq, fence) = (entry.seq, entry.fence);
        if lane.leased == 0 {
            lane.progress_at = now;
        }
        lane.leased += 1;
        way.leased += 1;
        user.account.waiting -= 1;
        user.account.leased += 1;
        self.account.waiting -= 1;
        self.account.leased += 1;
        self.arm(now, at);
        Some(Lease { user: at.user, generation, way: at.way, lane: at.lane, serial: at.serial, seq, fence })
    }
}

/// The lane and the bytes of what would be given next; `None` when there is nothing.
fn turn<B>(way: &Way<B>, class: usize) -> Option<(usize, u32)> {
    let lane = *way.ready[class].front()? as usize;
    let entry = way.lanes[lane].as_ref()?.next()?;
    Some((lane, entry.bytes.max(1)))
}
