//! Admission: who may wait, and who gives way.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use super::{
    Admission, Event, LaneRef, Offer, Outlet, Overflow, Priority, Queue, Reason, Refusal, Standing,
    lane::{Entry, Lane},
    user::{User, Way},
};
use crate::{
    audience::{fingerprint, is_user_id},
    contract::Instant,
};

/// A message that gives way: its lane and its place there.
#[derive(Clone, Copy)]
struct Victim {
    lane: usize,
    at: usize,
    bytes: u32,
}

impl<B> Queue<B> {
    /// Offers a message. `events` gets what happens to others for its sake.
    pub fn offer(
        &mut self,
        now: Instant,
        user: &str,
        offer: Offer<'_, B>,
        events: &mut Vec<Event>,
    ) -> Admission {
        self.account.offered += 1;
        let index = match self.user_or_new(user) {
            Ok(index) => index,
            Err(refusal) => {
                self.account.refused += 1;
                return Admission::Refused(refusal);
            }
        };
        let id = offer.id.map(|id| fingerprint(id.as_bytes()));
        let admission = self.admit(now, index, id, offer, events);
        let Some(user) = &mut self.users[index as usize] else { return admission };
        user.account.offered += 1;
        match admission {
            Admission::Accepted { .. } => {}
            Admission::Duplicate { .. } => {
                user.account.duplicates += 1;
                self.account.duplicates += 1;
            }
            Admission::Refused(_) => {
                user.account.refused += 1;
                self.account.refused += 1;
            }
        }
        self.rest(index);
        admission
    }

    fn admit(
        &mut self,
        now: Instant,
        index: u32,
        id: Option<u64>,
        offer: Offer<'_, B>,
        events: &mut Vec<Event>,
    ) -> Admission {
        let policy = self.policies.of(offer.outlet);
        if self.is_shutting_down {
            return Admission::Refused(Refusal::ShuttingDown);
        }
        if offer.bytes > policy.message_bytes_max {
            return Admission::Refused(Refusal::TooLarge { limit: policy.message_bytes_max });
        }
        let reach = self.reach();
        let Some(user) = &mut self.users[index as usize] else {
            return Admission::Refused(Refusal::InvalidUser);
        };
        let way = user.way_or_new(offer.outlet);
        if user.ways[way].standing == Standing::Closed {
            return Admission::Refused(Refusal::Closed);
        }
        if let Some(id) = id {
            let before = user.dedupe.len();
            let first = user.dedupe.find(id, now, reach);
            self.remembered -= (before - user.dedupe.len()) as u64;
            if let Some(first) = first {
                return Admission::Duplicate { first };
            }
        }
        let victim = match self.make_room(index, way, &offer) {
            Ok(victim) => victim,
            Err(refusal) => return Admission::Refused(refusal),
        };
        self.last_seq += 1;
        let seq = self.last_seq;
        let left = victim.and_then(|victim| {
            let lane = self.lane_ref(index, way, victim.lane)?;
            self.bury(now, lane, victim.at, Reason::Evicted { by: seq }, events);
            Some(lane)
        });
        let Offer { priority, order, protected, bytes, body, .. } = offer;
        let entry = Entry::new(seq, now, priority, protected, bytes, body);
        self.push(now, index, way, priority, order, entry);
        if let Some(lane) = left {
            self.settled(now, lane);
        }
        if let Some(id) = id {
            self.remember(now, index, id, seq);
        }
        Admission::Accepted { seq }
    }

    /// Whether there is room for a message, and who gives way for it.
    fn make_room(&self, index: u32, way: usize, offer: &Offer<'_, B>) -> Result<Option<Victim>, Refusal> {
        let policy = self.policies.of(offer.outlet);
        let user = self.users[index as usize].as_ref().ok_or(Refusal::InvalidUser)?;
        let headroom = if offer.protected { policy.headroom_messages } else { 0 };
        let room = policy.room(offer.protected);
        let full = user.ways[way].messages >= room
            || user.messages >= self.limits.user_messages_max.saturating_add(headroom);
        let victim = if full {
            let overflow = if offer.protected { policy.overflow_protected } else { policy.overflow };
            let victim = victim(&user.ways[way], offer.priority, overflow, policy.by_priority);
            Some(victim.ok_or(Refusal::UserQuota)?)
        } else {
            None
        };
        let freed = victim.map_or(0, |victim| u64::from(victim.bytes));
        let bytes = user.bytes - freed + u64::from(offer.bytes);
        if bytes > self.limits.user_bytes_max {
            return Err(Refusal::UserQuota);
        }
        self.pool_takes(user, user.messages + u32::from(victim.is_none()), bytes)?;
        Ok(victim)
    }

    /// Whether the pool lets a user come to hold so much: below the floor always, above it as far as there is room.
    pub(super) fn pool_takes(&self, user: &User<B>, messages: u32, bytes: u64) -> Result<(), Refusal> {
        let (more, more_bytes) = self.above_floor(messages, bytes);
        let (own, own_bytes) = self.above_floor(user.messages, user.bytes);
        let crowded = |pool: u64, own: u64, more: u64, max: u64| more > own && pool - own + more > max;
        let is_crowded = crowded(self.pool_messages, own, more, self.limits.pool_messages_max)
            || crowded(self.pool_bytes, own_bytes, more_bytes, self.limits.pool_bytes_max);
        if is_crowded { Err(Refusal::GlobalQuota) } else { Ok(()) }
    }

    /// What so much of one user takes from the pool.
    pub(super) fn above_floor(&self, messages: u32, bytes: u64) -> (u64, u64) {
        let messages = messages.saturating_sub(self.limits.floor_messages);
        (u64::from(messages), bytes.saturating_sub(self.limits.floor_bytes))
    }

    /// Books what a user has waiting, after it changed from so much.
    pub(super) fn rebook(&mut self, before: (u32, u64), after: (u32, u64)) {
        let (was, was_bytes) = self.above_floor(before.0, before.1);
        let (is, is_bytes) = self.above_floor(after.0, after.1);
        self.pool_messages = self.pool_messages - was + is;
        self.pool_bytes = self.pool_bytes - was_bytes + is_bytes;
    }

    /// Puts a message behind those of its lane.
    pub(super) fn push(
        &mut self,
        now: Instant,
        index: u32,
        way: usize,
        priority: Priority,
        order: Option<u64>,
        mut entry: Entry<B>,
    ) {
        let serial = self.last_serial + 1;
        let Some(user) = &mut self.users[index as usize] else { return };
        let before = (user.messages, user.bytes);
        let way_index = way;
        let way = &mut user.ways[way];
        let by_priority = self.policies.of(way.outlet).by_priority;
        let class = if by_priority { priority } else { Priority::Normal };
        let mine = |lane: &Lane<B>| match order {
            Some(_) => lane.order == order,
            None => lane.order.is_none() && lane.class == class,
        };
        let at = match way.lanes.iter().position(|lane| lane.as_ref().is_some_and(mine)) {
            Some(at) => at,
            None => {
                self.last_serial = serial;
                let lane = Some(Lane::new(serial, class, order));
                match way.lanes.iter().position(Option::is_none) {
                    Some(at) => {
                        way.lanes[at] = lane;
                        at
                    }
                    None => {
                        way.lanes.push(lane);
                        way.lanes.len() - 1
                    }
                }
            }
        };
        user.messages += 1;
        user.bytes += u64::from(entry.bytes);
        user.account.waiting += 1;
        self.account.waiting += 1;
        way.messages += 1;
        if let Some(lane) = &mut way.lanes[at] {
            entry.priority = if by_priority { lane.class } else { priority };
            lane.entries.push_back(entry);
        }
        let after = (user.messages, user.bytes);
        self.rebook(before, after);
        if let Some(lane) = self.lane_ref(index, way_index, at) {
            self.arm(now, lane);
        }
    }

    pub(super) fn lane_ref(&self, user: u32, way: usize, lane: usize) -> Option<LaneRef> {
        let serial = self.users[user as usize].as_ref()?.ways.get(way)?.lanes.get(lane)?.as_ref()?.serial;
        Some(LaneRef { user, way: way as u16, lane: lane as u32, serial })
    }

    fn remember(&mut self, now: Instant, index: u32, id: u64, seq: u64) {
        let reach = self.reach();
        let Some(user) = &mut self.users[index as usize] else { return };
        let before = user.dedupe.len();
        // Without room for more ids in all, only those who have some of their own to forget remember new ones.
        if self.remembered >= self.limits.dedupe_total_max {
            if before == 0 {
                return;
            }
            user.dedupe.forget_oldest();
        }
        user.dedupe.remember(id, seq, now, reach);
        self.remembered = self.remembered + user.dedupe.len() as u64 - before as u64;
        if let Some(until) = user.dedupe.until(reach).filter(|_| user.armed_at.is_none()) {
            self.arm_user(index, until);
        }
    }

    pub(super) fn user_or_new(&mut self, name: &str) -> Result<u32, Refusal> {
        if let Some(index) = self.names.get(name) {
            return Ok(*index);
        }
        if !is_user_id(name) {
            return Err(Refusal::InvalidUser);
        }
        if self.names.len() >= self.limits.users_max as usize {
            return Err(Refusal::GlobalQuota);
        }
        self.generation += 1;
        let name: Arc<str> = Arc::from(name);
        let user = Some(Box::new(User::new(Arc::clone(&name), self.generation)));
        let index = match self.free.pop() {
            Some(index) => {
                self.users[index as usize] = user;
                index
            }
            None => {
                self.users.push(user);
                (self.users.len() - 1) as u32
            }
        };
        self.names.insert(name, index);
        Ok(index)
    }

    /// Lets go of a user of whom nothing is left.
    pub(super) fn rest(&mut self, index: u32) {
        let idle = self.users[index as usize].as_ref().is_some_and(|user| user.is_idle());
        if idle && let Some(user) = self.users[index as usize].take() {
            self.names.remove(&user.name);
            self.free.push(index);
            if user.armed_at.is_some() {
                self.timer_is_stale();
            }
        }
    }
}

/// Who gives way to a message of that class in a full outlet.
fn victim<B>(way: &Way<B>, priority: Priority, overflow: Overflow, by_priority: bool) -> Option<Victim> {
    // In a lane of one class only its oldest can be the one.
    let most = if by_priority { 1 } else { usize::MAX };
    let candidates = way.live_lanes().flat_map(|(lane, queue)| {
        let entries = queue.expendable().take(most);
        entries.map(move |(at, entry)| (entry.priority, entry.seq, Victim { lane, at, bytes: entry.bytes }))
    });
    match overflow {
        Overflow::Refuse => None,
        Overflow::EvictLower => candidates.filter(|(class, ..)| *class < priority).min_by_key(key),
        Overflow::DropLowest => candidates.min_by_key(key).filter(|(class, ..)| *class <= priority),
        Overflow::DropOldest => {
            candidates.filter(|(class, ..)| *class <= priority).min_by_key(|(_, seq, _)| *seq)
        }
    }
    .map(|(.., victim)| victim)
}

/// The lowest class first, and in it the oldest.
fn key(candidate: &(Priority, u64, Victim)) -> (Priority, u64) {
    (candidate.0, candidate.1)
}

impl Outlet {
    /// The kind of work, for workers.
    pub(super) const fn work(self) -> Option<u16> {
        match self {
            Outlet::Worker(kind) => Some(kind),
            Outlet::Connection(_) | Outlet::User | Outlet::Log(_) => None,
        }
    }
}
