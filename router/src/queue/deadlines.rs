//! What happens by itself: leases and pauses end, messages and windows grow too old.

use alloc::vec::Vec;
use core::cmp::Reverse;

use super::{
    Breaker, BreakerState, Due, Event, LaneRef, Outlet, Priority, Queue, Reason, Retry,
    turns::{Ring, Trade},
};
use crate::contract::Instant;

/// Members of a ring among whom nobody looks for those who are gone.
const MEMBERS_KEPT: usize = 64;

impl<B> Queue<B> {
    /// Does what is due. `events` gets what happened.
    pub fn tick(&mut self, now: Instant, events: &mut Vec<Event>) {
        while let Some(Reverse((at, _, due))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            match due {
                Due::Lane(lane) => self.lane_is_due(now, lane, events),
                Due::User(index, generation) => self.user_is_due(now, index, generation, events),
            }
        }
    }

    /// Whether nothing can come due.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.timers.is_empty() && self.trades.is_empty()
    }

    /// When [`tick`](Self::tick), or a lease, may have something to do next; it may turn out to be nothing.
    pub fn next_deadline(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|Reverse((at, ..))| *at);
        if self.trades.is_empty() {
            return timer;
        }
        let probes = self.trades.iter().filter_map(|(kind, trade)| {
            let at = trade.breaker.deadline()?;
            // Those who stand in a ring may have been served otherwise, or be gone.
            let waits = |(index, generation): &(u32, u32)| {
                let user = self.users[*index as usize].as_ref().filter(|user| user.generation == *generation);
                user.and_then(|user| Some(&user.ways[user.way(Outlet::Worker(*kind))?]))
                    .is_some_and(|way| (0..Priority::COUNT).any(|class| way.has_ready(class)))
            };
            trade.rings.iter().flat_map(Ring::members).any(waits).then_some(at)
        });
        timer.into_iter().chain(probes).min()
    }

    /// What the breaker of a kind of work lets through.
    pub fn breaker(&self, kind: u16) -> BreakerState {
        self.trades.get(&kind).map_or(BreakerState::Closed { failures: 0 }, |trade| trade.breaker.state())
    }

    /// Sets the lane's next deadline, and puts it among those with work to give if it has some.
    pub(super) fn arm(&mut self, now: Instant, at: LaneRef) {
        let Some(user) = self.users[at.user as usize].as_mut() else { return };
        let generation = user.generation;
        let way = &mut user.ways[at.way as usize];
        let (outlet, policy) = (way.outlet, self.policies.of(way.outlet));
        let (lease_us, ttl_us) = (policy.lease_us, policy.ttl_us);
        // Work is leased one piece per lane: what follows a failed piece must wait behind it.
        let window = way.window(policy.window).min(if outlet.work().is_some() { 1 } else { u32::MAX });
        let Some(lane) = way.lane_mut(at.lane as usize, at.serial) else { return };
        let mut deadline = lane.deadline(lease_us, ttl_us).map(|deadline| deadline.max(now));
        let mut was_armed = false;
        if deadline.is_some_and(|deadline| lane.armed_at.is_some_and(|armed| armed <= deadline)) {
            deadline = None;
        } else if deadline.is_some() {
            was_armed = lane.armed_at.is_some();
            lane.armed_at = deadline;
        }
        let ready = outlet.work().filter(|_| lane.can_lease(window) && !lane.is_ready);
        if let Some(kind) = ready {
            let (class, quantum) = (lane.class.index(), self.limits.quantum_bytes.max(1));
            way.push_ready(at.lane);
            let breaker = self.policies.breaker;
            let trade = self.trades.entry(kind).or_insert_with(|| Trade::new(Breaker::new(breaker)));
            let ring = &mut trade.rings[class];
            ring.enter((at.user, generation), &mut way.turns[class], quantum);
            ring.sweep(&self.users, 2 * self.names.len() + MEMBERS_KEPT);
        }
        if let Some(deadline) = deadline {
            self.set_timer(deadline, Due::Lane(at));
        }
        if was_armed {
            self.timer_is_stale();
        }
    }

    fn lane_is_due(&mut self, now: Instant, at: LaneRef, events: &mut Vec<Event>) {
        let Some(outlet) = self.outlet_of(at) else { return };
        let (lease_us, ttl_us) = {
            let policy = self.policies.of(outlet);
            (policy.lease_us, policy.ttl_us)
        };
        let Some(lane) = self.lane_mut(at) else { return };
        lane.armed_at = None;
        if lane.backoff_until.is_some_and(|until| until <= now) {
            lane.backoff_until = None;
        }
        let ended =
            lane.leased > 0 && lease_us.is_some_and(|lease_us| now >= lane.progress_at.after(lease_us));
        if ended {
            let seq = lane.entries[0].seq;
            if let Some(user) = &self.users[at.user as usize] {
                events.push(Event::LeaseExpired { user: user.name.clone(), seq });
            }
            self.fail(now, at, 0, "the lease was not settled in time", Retry::Later { chance: 0 }, events);
        }
        if let Some(ttl_us) = ttl_us {
            while let Some(lane) = self.lane_mut(at) {
                let too_old = lane.next().is_some_and(|entry| now.since(entry.offered_at) > ttl_us);
                if !too_old {
                    break;
                }
                let place = lane.leased as usize;
                self.bury(now, at, place, Reason::Expired, events);
            }
        }
        self.settled(now, at);
    }

    fn user_is_due(&mut self, now: Instant, index: u32, generation: u32, events: &mut Vec<Event>) {
        let reach = self.reach();
        let Some(user) = self.user_at(index, generation) else { return };
        if user.armed_at.is_some_and(|armed| armed <= now) {
            user.armed_at = None;
        }
        let before = user.dedupe.len();
        user.dedupe.forget(now, reach);
        let forgotten = before - user.dedupe.len();
        let notice = (user.untold > 0 && user.notice_at <= now).then(|| (user.name.clone(), user.untold));
        self.remembered -= forgotten as u64;
        if let Some((user, letters)) = notice {
            self.notify(now, index, user, letters, events);
        }
        self.forget_letters(now, index);
        if let Some(next) = self.user_deadline(index) {
            self.arm_user(index, next);
        }
        self.rest(index);
    }

    /// When a window of a user moves on, or a notice may go.
    fn user_deadline(&self, index: u32) -> Option<Instant> {
        let user = self.users[index as usize].as_ref()?;
        let window = user.dedupe.until(self.reach());
        let notice = (user.untold > 0).then_some(user.notice_at);
        let letter = user.dead.front().map(|letter| self.letter_until(letter));
        [window, notice, letter].into_iter().flatten().min()
    }

    fn outlet_of(&self, at: LaneRef) -> Option<super::Outlet> {
        let way = self.users.get(at.user as usize)?.as_ref()?.ways.get(at.way as usize)?;
        let lane = way.lanes.get(at.lane as usize)?.as_ref()?;
        (lane.serial == at.serial).then_some(way.outlet)
    }
}
