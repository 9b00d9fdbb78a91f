//! The end of a lease, and of a message.

use alloc::{boxed::Box, vec::Vec};

use super::{
    Due, Event, LaneRef, Lease, Outlet, Priority, Queue, Reason, Retry, lane::Entry, turns::Culprit,
};
use crate::contract::Instant;

/// What an operator clears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Everything that waits.
    All,
    /// What waits of one user.
    User(&'a str),
    /// What waits for one outlet of one user.
    Outlet(&'a str, Outlet),
    /// What waits for one outlet of one user, of one class.
    Class(&'a str, Outlet, Priority),
}

impl<B> Queue<B> {
    /// The work of a lease is done, and with it that of all leases of its lane before it. `false` for a stale lease:
    /// nothing happens.
    pub fn ack(&mut self, now: Instant, lease: Lease) -> bool {
        let Some((at, place)) = self.find(lease) else { return false };
        for _ in 0..=place {
            self.remove(at, 0);
            self.account.delivered += 1;
            if let Some(user) = &mut self.users[at.user as usize] {
                user.account.delivered += 1;
            }
        }
        if let Some(trade) = self.kind_of(at).and_then(|kind| self.trades.get_mut(&kind)) {
            trade.breaker.success();
            trade.culprit = Culprit::Nobody;
        }
        if let Some(lane) = self.lane_mut(at) {
            lane.progress_at = now;
        }
        self.settled(now, at);
        true
    }

    /// The work of a lease failed. Leases of its lane after it are taken back, their messages wait again behind it.
    /// `false` for a stale lease: nothing happens.
    pub fn nack(
        &mut self,
        now: Instant,
        lease: Lease,
        error: &str,
        retry: Retry,
        events: &mut Vec<Event>,
    ) -> bool {
        let Some((at, place)) = self.find(lease) else { return false };
        self.fail(now, at, place, error, retry, events);
        true
    }

    pub(super) fn fail(
        &mut self,
        now: Instant,
        at: LaneRef,
        place: usize,
        error: &str,
        retry: Retry,
        events: &mut Vec<Event>,
    ) {
        self.blame(now, at);
        self.take_back(at, place);
        let Some(way) = self.users[at.user as usize].as_ref().map(|user| &user.ways[at.way as usize]) else {
            return;
        };
        let (attempts_max, backoff) = {
            let policy = self.policies.of(way.outlet);
            (policy.attempts_max, policy.backoff)
        };
        let Some(lane) = self.lane_mut(at) else { return };
        let entry = &mut lane.entries[place];
        let failures = entry.failures.get_or_insert_default();
        failures.attempts += 1;
        failures.texts.push(Box::from(error));
        let failures = failures.attempts;
        let pause_us = match retry {
            Retry::Never(reason) => return self.bury_and_settle(now, at, place, reason, events),
            Retry::Later { .. } | Retry::Now if failures >= attempts_max => {
                return self.bury_and_settle(now, at, place, Reason::AttemptsExhausted, events);
            }
            Retry::Later { chance } => backoff.after(failures, chance),
            Retry::Now => 0,
        };
        // A later message of the window may have failed before: its pause is the lane's, too.
        let until = (pause_us > 0).then(|| now.after(pause_us));
        lane.backoff_until = lane.backoff_until.max(until);
        self.settled(now, at);
    }

    fn bury_and_settle(
        &mut self,
        now: Instant,
        at: LaneRef,
        place: usize,
        reason: Reason,
        events: &mut Vec<Event>,
    ) {
        self.bury(now, at, place, reason, events);
        self.settled(now, at);
    }

    /// Takes the next message of an outlet out of it and has it count as delivered: a lease that is settled at once. `None`
    /// also while the one before it is leased.
    pub fn take(&mut self, now: Instant, user: &str, outlet: Outlet) -> Option<B> {
        let mut leases = Vec::new();
        self.lease(now, user, outlet, 1, &mut leases);
        let (at, place) = self.find(*leases.first()?)?;
        if place > 0 {
            self.take_back(at, place);
            self.settled(now, at);
            return None;
        }
        let entry = self.remove(at, place)?;
        self.account.delivered += 1;
        if let Some(user) = &mut self.users[at.user as usize] {
            user.account.delivered += 1;
        }
        self.settled(now, at);
        Some(entry.body)
    }

    /// Takes back a message, leased or not: it ends undelivered, and is no letter. `None`: there is no such message.
    pub fn withdraw(&mut self, now: Instant, user: &str, outlet: Outlet, seq: u64) -> Option<B> {
        let (at, place) = self.whereabouts(user, outlet, seq)?;
        self.give_up_probe(at, place);
        let entry = self.remove(at, place)?;
        self.account.dead += 1;
        if let Some(user) = &mut self.users[at.user as usize] {
            user.account.dead += 1;
        }
        self.settled(now, at);
        Some(entry.body)
    }

    /// Ends a message, leased or not, that nobody failed at. `false`: there is no such message.
    pub fn end(
        &mut self,
        now: Instant,
        user: &str,
        outlet: Outlet,
        seq: u64,
        reason: Reason,
        events: &mut Vec<Event>,
    ) -> bool {
        let Some((at, place)) = self.whereabouts(user, outlet, seq) else { return false };
        self.give_up_probe(at, place);
        self.bury_and_settle(now, at, place, reason, events);
        true
    }

    /// Whoever has a message in hand that ends otherwise is no probe for a breaker any more.
    fn give_up_probe(&mut self, at: LaneRef, place: usize) {
        let is_leased = self.lane_mut(at).is_some_and(|lane| place < lane.leased as usize);
        if let Some(kind) = self.kind_of(at).filter(|_| is_leased) {
            self.abandon_probe(kind);
        }
    }

    /// Where a message stands.
    fn whereabouts(&self, user: &str, outlet: Outlet, seq: u64) -> Option<(LaneRef, usize)> {
        let index = *self.names.get(user)?;
        let user = self.users[index as usize].as_deref()?;
        let way = user.way(outlet)?;
        let mut lanes = user.ways[way].live_lanes();
        lanes.find_map(|(at, lane)| {
            let place = lane.entries.iter().position(|entry| entry.seq == seq)?;
            Some((self.lane_ref(index, way, at)?, place))
        })
    }

    /// Ends what waits, and answers how much. What is leased goes on.
    pub fn clear(&mut self, now: Instant, scope: Scope<'_>, events: &mut Vec<Event>) -> usize {
        let (name, outlet, class) = match scope {
            Scope::All => (None, None, None),
            Scope::User(name) => (Some(name), None, None),
            Scope::Outlet(name, outlet) => (Some(name), Some(outlet), None),
            Scope::Class(name, outlet, class) => (Some(name), Some(outlet), Some(class)),
        };
        let users: Vec<u32> = match name {
            Some(name) => self.names.get(name).copied().into_iter().collect(),
            None => (0..self.users.len() as u32).collect(),
        };
        let mut cleared = 0;
        for index in users {
            let mut lanes = Vec::new();
            for (way_index, way) in
                self.users[index as usize].iter().flat_map(|user| user.ways.iter().enumerate())
            {
                if outlet.is_some_and(|outlet| outlet != way.outlet) {
                    continue;
                }
                let fits = |class_of: Priority| class.is_none_or(|class| class == class_of);
                let fitting = way.live_lanes().filter(|(_, lane)| fits(lane.class));
                lanes.extend(fitting.filter_map(|(at, _)| self.lane_ref(index, way_index, at)));
            }
            for lane in lanes {
                cleared += self.bury_waiting(now, lane, Reason::Cleared, events);
            }
            self.rest(index);
        }
        cleared
    }

    /// Ends everything that waits in a lane.
    pub(super) fn bury_waiting(
        &mut self,
        now: Instant,
        at: LaneRef,
        reason: Reason,
        events: &mut Vec<Event>,
    ) -> usize {
        let mut ended = 0;
        while let Some(place) = self.lane_mut(at).filter(|lane| lane.next().is_some()).map(|lane| lane.leased)
        {
            self.bury(now, at, place as usize, reason, events);
            ended += 1;
        }
        self.settled(now, at);
        ended
    }

    /// Ends one message.
    pub(super) fn bury(
        &mut self,
        now: Instant,
        at: LaneRef,
        place: usize,
        reason: Reason,
        events: &mut Vec<Event>,
    ) {
        let Some(lane) = self.lane_mut(at) else { return };
        let order = lane.order;
        let Some(entry) = self.remove(at, place) else { return };
        self.account.dead += 1;
        let Some(user) = &mut self.users[at.user as usize] else { return };
        user.account.dead += 1;
        let outlet = user.ways[at.way as usize].outlet;
        self.bury_entry(now, at.user, outlet, order, entry, reason, events);
    }

    /// Takes a message out of its lane, leased or not, and out of the books of what is here.
    pub(super) fn remove(&mut self, at: LaneRef, place: usize) -> Option<Entry<B>> {
        let user = self.users[at.user as usize].as_mut()?;
        let before = (user.messages, user.bytes);
        let way = &mut user.ways[at.way as usize];
        let lane = way.lane_mut(at.lane as usize, at.serial)?;
        let entry = lane.remove(place)?;
        let was_leased = place < lane.leased as usize;
        if was_leased {
            lane.leased -= 1;
            way.leased -= 1;
            user.account.leased -= 1;
            self.account.leased -= 1;
        } else {
            user.account.waiting -= 1;
            self.account.waiting -= 1;
        }
        way.messages -= 1;
        user.messages -= 1;
        user.bytes -= u64::from(entry.bytes);
        let after = (user.messages, user.bytes);
        self.rebook(before, after);
        Some(entry)
    }

    /// Messages leased from a place on wait again.
    pub(super) fn take_back(&mut self, at: LaneRef, place: usize) {
        let Some(user) = self.users[at.user as usize].as_mut() else { return };
        let way = &mut user.ways[at.way as usize];
        let Some(lane) = way.lane_mut(at.lane as usize, at.serial) else { return };
        let back = lane.leased - place as u32;
        lane.leased -= back;
        way.leased -= back;
        user.account.leased -= u64::from(back);
        user.account.waiting += u64::from(back);
        self.account.leased -= u64::from(back);
        self.account.waiting += u64::from(back);
    }

    /// After messages left a lane or came back: it is given up when it is empty, and gives out what it can otherwise.
    pub(super) fn settled(&mut self, now: Instant, at: LaneRef) {
        let Some(lane) = self.lane_mut(at) else { return };
        if !lane.entries.is_empty() {
            return self.arm(now, at);
        }
        let is_over = lane.is_over();
        if let Some(user) = &mut self.users[at.user as usize] {
            let way = &mut user.ways[at.way as usize];
            way.drop_ready(at.lane);
            if !is_over {
                return;
            }
            let was_armed = way.lanes[at.lane as usize].take().is_some_and(|lane| lane.armed_at.is_some());
            if was_armed {
                self.timer_is_stale();
            }
        }
        self.rest(at.user);
    }

    /// A failure counts against the breaker of its kind of work; but failures of one user alone do not open it.
    fn blame(&mut self, now: Instant, at: LaneRef) {
        let Some(kind) = self.kind_of(at) else { return };
        let Some(generation) = self.users[at.user as usize].as_ref().map(|user| user.generation) else {
            return;
        };
        let breaker_max = self.policies.breaker.failures_max;
        let Some(trade) = self.trades.get_mut(&kind) else { return };
        trade.culprit = match trade.culprit {
            Culprit::Nobody => Culprit::One(at.user, generation),
            Culprit::One(user, of) if (user, of) == (at.user, generation) => trade.culprit,
            Culprit::One(..) | Culprit::Several => Culprit::Several,
        };
        let would_open = match trade.breaker.state() {
            super::BreakerState::Closed { failures } => failures + 1 >= breaker_max,
            super::BreakerState::Open { .. } | super::BreakerState::HalfOpen { .. } => false,
        };
        if !would_open || trade.culprit == Culprit::Several {
            trade.breaker.failure(now);
        }
    }

    pub(super) fn kind_of(&self, at: LaneRef) -> Option<u16> {
        self.users[at.user as usize].as_ref()?.ways.get(at.way as usize)?.outlet.work()
    }

    fn find(&self, lease: Lease) -> Option<(LaneRef, usize)> {
        let user = self.users.get(lease.user as usize)?.as_ref()?;
        let way = user.ways.get(lease.way as usize).filter(|_| user.generation == lease.generation)?;
        let lane = way.lanes.get(lease.lane as usize)?.as_ref().filter(|lane| lane.serial == lease.serial)?;
        let at = LaneRef { user: lease.user, way: lease.way, lane: lease.lane, serial: lease.serial };
        Some((at, lane.leased_at(lease.seq, lease.fence)?))
    }

    /// Sets a deadline for the user, unless an earlier one is set.
    pub(super) fn arm_user(&mut self, index: u32, at: Instant) {
        let Some(user) = &mut self.users[index as usize] else { return };
        if user.armed_at.is_none_or(|armed| at < armed) {
            let was_armed = user.armed_at.replace(at).is_some();
            let due = Due::User(index, user.generation);
            self.set_timer(at, due);
            if was_armed {
                self.timer_is_stale();
            }
        }
    }
}
