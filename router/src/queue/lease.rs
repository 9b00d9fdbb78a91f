//! Leases: who works on what.

use alloc::vec::Vec;

use super::{LaneRef, Lease, Leased, Outlet, Queue};
use crate::contract::Instant;

impl<B> Queue<B> {
    /// Leases up to `max` pieces of work of a kind, each of another lane, users in turn. An open breaker leases nothing;
    /// a half-open one, one probe.
    pub fn lease_work(&mut self, now: Instant, kind: u16, max: usize, leases: &mut Vec<Lease>) {
        for _ in 0..max {
            let Some(trade) = self.trades.get_mut(&kind) else { return };
            if trade.is_idle() || !trade.breaker.admit(now) {
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
            let lane = LaneRef { user: index, way: way_index as u16, lane: at as u32, serial: lane.serial };
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
        let (seq, failures) = (entry.seq, entry.attempts());
        Some(Leased { user: &user.name, outlet: way.outlet, seq, failures, body: &entry.body })
    }

    /// A probe that went out will not be heard of again.
    pub(super) fn abandon_probe(&mut self, kind: u16) {
        if let Some(trade) = self.trades.get_mut(&kind) {
            trade.breaker.abandon();
        }
    }

    /// Leases the next message of a lane.
    pub(super) fn hand_out(&mut self, now: Instant, at: LaneRef) -> Option<Lease> {
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
