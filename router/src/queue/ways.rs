//! Opening, holding and closing outlets.

use alloc::vec::Vec;
use core::cmp::Reverse;

use super::{
    Event, LaneRef, Outlet, Queue, Reason, Refusal, Standing, Waiting,
    lane::{Entry, Lane},
};
use crate::contract::Instant;

/// What becomes of what waits for an outlet that closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// It ends.
    Bury(Reason),
    /// It waits for the user's next connection, in its order.
    Keep,
}

impl<B> Queue<B> {
    /// How an outlet stands: open, unless something else was said.
    pub fn standing(&self, user: &str, outlet: Outlet) -> Standing {
        let way = self.user(user).and_then(|user| user.way(outlet).map(|way| &user.ways[way]));
        way.map_or(Standing::Open, |way| way.standing)
    }

    /// Messages of a user's outlet, leased ones included.
    pub fn waiting(&self, user: &str, outlet: Outlet) -> u32 {
        let way = self.user(user).and_then(|user| user.way(outlet).map(|way| &user.ways[way]));
        way.map_or(0, |way| way.messages)
    }

    /// What has not ended of a user's outlet: class by class, the highest first, each in the order in which it goes
    /// out. For people and for those who list.
    pub fn messages(&self, user: &str, outlet: Outlet) -> Vec<Waiting<'_, B>> {
        let way = self.user(user).and_then(|user| user.way(outlet).map(|way| &user.ways[way]));
        let mut lanes: Vec<&Lane<B>> =
            way.iter().flat_map(|way| way.live_lanes()).map(|(_, lane)| lane).collect();
        lanes.sort_by_key(|lane| (Reverse(lane.class), lane.entries.front().map(|entry| entry.seq)));
        let entries = lanes.into_iter().flat_map(|lane| {
            let entries = lane.entries.iter().enumerate();
            entries.map(|(at, entry)| waiting(lane, at, entry))
        });
        entries.collect()
    }

    /// Ends the pauses of an outlet after failures: what waits there may be leased again at once.
    pub fn resume(&mut self, now: Instant, user: &str, outlet: Outlet) {
        let Some(&index) = self.names.get(user) else { return };
        let way = self.users[index as usize].as_ref().and_then(|user| user.way(outlet));
        for lane in way.map(|way| self.lanes_of(index, way)).unwrap_or_default() {
            if let Some(lane) = self.lane_mut(lane) {
                lane.backoff_until = None;
            }
            self.settled(now, lane);
        }
    }

    /// Holds, opens or degrades an outlet. A closed one stays closed.
    ///
    /// # Errors
    /// That is no user, or there is no room for one more.
    pub fn stand(
        &mut self,
        now: Instant,
        user: &str,
        outlet: Outlet,
        standing: Standing,
        events: &mut Vec<Event>,
    ) -> Result<(), Refusal> {
        if standing == Standing::Closed {
            self.close(now, user, outlet, Leftover::Bury(Reason::ConnectionGone), events);
            return Ok(());
        }
        let index = self.user_or_new(user)?;
        let Some(user) = &mut self.users[index as usize] else { return Err(Refusal::InvalidUser) };
        let way_index = user.way_or_new(outlet);
        let way = &mut user.ways[way_index];
        if way.standing != Standing::Closed {
            way.standing = standing;
            // What it had to give is looked at anew.
            way.clear_ready();
            for lane in self.lanes_of(index, way_index) {
                self.arm(now, lane);
            }
        }
        self.rest(index);
        Ok(())
    }

    /// Closes an outlet for ever. Leases of it are taken back first.
    pub fn close(
        &mut self,
        now: Instant,
        user: &str,
        outlet: Outlet,
        leftover: Leftover,
        events: &mut Vec<Event>,
    ) {
        let Ok(index) = self.user_or_new(user) else { return };
        let Some(user) = &mut self.users[index as usize] else { return };
        let way_index = user.way_or_new(outlet);
        user.ways[way_index].standing = Standing::Closed;
        let lanes = self.lanes_of(index, way_index);
        let leased = self.users[index as usize].as_ref().map_or(0, |user| user.ways[way_index].leased);
        for lane in &lanes {
            self.take_back(*lane, 0);
        }
        if let Some(kind) = outlet.work().filter(|_| leased > 0) {
            self.abandon_probe(kind);
        }
        match leftover {
            Leftover::Keep if outlet != Outlet::User => self.hand_over(now, index, &lanes),
            Leftover::Keep => {
                for lane in lanes {
                    self.bury_waiting(now, lane, Reason::ConnectionGone, events);
                }
            }
            Leftover::Bury(reason) => {
                for lane in lanes {
                    self.bury_waiting(now, lane, reason, events);
                }
            }
        }
    }

    /// Forgets a closed outlet; its name may be used again.
    pub fn forget(&mut self, user: &str, outlet: Outlet) {
        let Some(&index) = self.names.get(user) else { return };
        if let Some(user) = &mut self.users[index as usize]
            && let Some(way) = user.way(outlet).map(|way| &mut user.ways[way])
            && way.standing == Standing::Closed
        {
            way.standing = Standing::Open;
        }
        self.rest(index);
    }

    /// Moves everything of some lanes to the user's own, in the order of admission.
    fn hand_over(&mut self, now: Instant, index: u32, lanes: &[LaneRef]) {
        let mut moved = Vec::new();
        for &lane in lanes {
            while let Some(order) = self.lane_mut(lane).map(|lane| lane.order) {
                let Some(entry) = self.remove(lane, 0) else { break };
                moved.push((entry.priority, order, entry));
            }
            self.give_up(lane);
        }
        moved.sort_by_key(|(_, _, entry)| entry.seq);
        let Some(user) = &mut self.users[index as usize] else { return };
        let way = user.way_or_new(Outlet::User);
        for (class, order, mut entry) in moved {
            entry.moved = true;
            self.push(now, index, way, class, order, entry);
        }
        let Some(user) = &mut self.users[index as usize] else { return };
        user.ways[way].lanes.iter_mut().flatten().for_each(Lane::sort);
    }

    /// Gives up an empty lane without letting go of its user.
    fn give_up(&mut self, at: LaneRef) {
        if let Some(user) = &mut self.users[at.user as usize] {
            let way = &mut user.ways[at.way as usize];
            way.drop_ready(at.lane);
            let was_armed = way.lanes[at.lane as usize].take().is_some_and(|lane| lane.armed_at.is_some());
            if was_armed {
                self.timer_is_stale();
            }
        }
    }

    fn lanes_of(&self, index: u32, way_index: usize) -> Vec<LaneRef> {
        let Some(user) = &self.users[index as usize] else { return Vec::new() };
        let lanes = user.ways[way_index].live_lanes();
        lanes.filter_map(|(at, _)| self.lane_ref(index, way_index, at)).collect()
    }
}

fn waiting<'a, B>(lane: &Lane<B>, at: usize, entry: &'a Entry<B>) -> Waiting<'a, B> {
    Waiting {
        seq: entry.seq,
        priority: entry.priority,
        order: lane.order,
        leased: at < lane.leased as usize,
        failures: entry.attempts(),
        offered_at: entry.offered_at,
        body: &entry.body,
    }
}
