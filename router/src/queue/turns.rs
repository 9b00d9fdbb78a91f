//! Whose turn it is: users who have work to give, in deficit round robin, counted in bytes.

use alloc::{boxed::Box, collections::VecDeque};

use super::{
    Breaker, Lease, Outlet, Priority, Queue,
    user::{User, Way},
};
use crate::contract::Instant;

/// A user in a ring: index and generation. One that is gone is passed over.
type Member = (u32, u32);

/// One kind of work: whose turn it is, and whether it goes well.
#[derive(Clone, Debug)]
pub(super) struct Trade {
    /// Users with work to give, by class.
    pub(super) rings: [Ring; Priority::COUNT],
    /// Leases in a row of higher classes while a lower one waited.
    higher_leases: u32,
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

/// Users with work of one class to give.
#[derive(Clone, Debug, Default)]
pub(super) struct Ring {
    /// Those who had nothing before. They come first, so that whoever has little does not wait for the turns of all who
    /// have much.
    fresh: VecDeque<Member>,
    /// The others; the front one has its turn.
    turns: VecDeque<Member>,
    /// Leases of fresh ones in a row while others waited.
    fresh_leases: u32,
}

/// How a user stands in the ring of one class.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn {
    pub(super) place: Place,
    /// Bytes that may still be leased in this turn.
    deficit: u32,
}

/// Where a user stands in the ring of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: it had nothing more to give.
    #[default]
    Away,
    /// Among those who had nothing before.
    Fresh,
    /// Among the others.
    Ring,
    /// Nowhere, since all that it can give is leased. It comes back among the fresh ones: its first turn is not over.
    FreshLater,
    /// The same; it comes back in front of the others: its turn goes on.
    RingNext,
    /// The same; it comes back behind all others: its turn is over.
    RingLast,
}

impl Trade {
    pub(super) fn new(breaker: Breaker) -> Self {
        Self { rings: Default::default(), higher_leases: 0, breaker, culprit: Culprit::Nobody }
    }

    /// Whether nobody has work to give.
    pub(super) fn is_idle(&self) -> bool {
        self.rings.iter().all(Ring::is_empty)
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

impl Ring {
    /// Everybody in it; some may be gone.
    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.fresh.iter().chain(&self.turns)
    }

    /// A user has work to give again.
    pub(super) fn enter(&mut self, member: Member, turn: &mut Turn, quantum: u32) {
        match turn.place {
            Place::Fresh | Place::Ring => {}
            Place::Away => {
                *turn = Turn { place: Place::Fresh, deficit: quantum };
                self.fresh.push_back(member);
            }
            Place::FreshLater => {
                turn.place = Place::Fresh;
                self.fresh.push_back(member);
            }
            Place::RingNext => {
                turn.place = Place::Ring;
                self.turns.push_front(member);
            }
            Place::RingLast => {
                *turn = Turn { place: Place::Ring, deficit: quantum };
                self.turns.push_back(member);
            }
        }
    }

    /// Passes over those who are gone, once there are more than so many in all.
    pub(super) fn sweep<B>(&mut self, users: &[Option<Box<User<B>>>], most: usize) {
        if self.fresh.len() + self.turns.len() > most {
            let is_here = |(index, generation): &Member| {
                users[*index as usize].as_ref().is_some_and(|user| user.generation == *generation)
            };
            self.fresh.retain(is_here);
            self.turns.retain(is_here);
        }
    }

    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.turns.is_empty()
    }

    /// Who is next, and whether they are fresh. After so many fresh ones in a row, it is one of the others.
    fn front(&self, fresh_leases_max: u32) -> Option<(Member, bool)> {
        let fresh =
            self.fresh.front().filter(|_| self.turns.is_empty() || self.fresh_leases < fresh_leases_max);
        let next = fresh.map(|member| (*member, true));
        next.or_else(|| self.turns.front().map(|member| (*member, false)))
    }

    fn leave(&mut self, is_fresh: bool) {
        if is_fresh {
            self.fresh.pop_front()
        } else {
            self.turns.pop_front()
        };
    }

    /// The next one's turn is over: it goes behind all others.
    fn pass(&mut self, is_fresh: bool) {
        let member = if is_fresh { self.fresh.pop_front() } else { self.turns.pop_front() };
        self.turns.extend(member);
        if !is_fresh {
            self.fresh_leases = 0;
        }
    }

    fn count(&mut self, is_fresh: bool) {
        self.fresh_leases = if is_fresh && !self.turns.is_empty() { self.fresh_leases + 1 } else { 0 };
    }
}

impl<B> Queue<B> {
    /// Leases one message: the front user of the class may lease while its turn's bytes last; then the next one.
    pub(super) fn take_turn(&mut self, now: Instant, kind: u16) -> Option<Lease> {
        let (quantum, most) = (self.limits.quantum_bytes.max(1), self.limits.higher_leases_max);
        let trade = self.trades.get_mut(&kind)?;
        let mut class = trade.class(most)?;
        let mut passed = 0;
        loop {
            let trade = self.trades.get_mut(&kind)?;
            let ring = &mut trade.rings[class];
            let Some((member, is_fresh)) = ring.front(most) else {
                class = trade.class(most)?;
                continue;
            };
            let Some(way) = way_of(&mut self.users, member, kind) else {
                ring.leave(is_fresh);
                continue;
            };
            let Some((lane, bytes)) = way.next_ready(class) else {
                way.turns[class] = Turn::default();
                ring.leave(is_fresh);
                continue;
            };
            let more_waits = way.messages > way.leased + 1;
            let turn = &mut way.turns[class];
            if turn.deficit < bytes {
                if ring.fresh.len() + ring.turns.len() > 1 {
                    *turn = Turn { place: Place::Ring, deficit: turn.deficit.saturating_add(quantum) };
                    ring.pass(is_fresh);
                    passed += 1;
                    if passed > ring.turns.len() {
                        self.skip_rounds(kind, class, quantum);
                        passed = 0;
                    }
                    continue;
                }
                // Nobody else waits: there is nobody to be fair to.
                turn.deficit = bytes;
            }
            turn.deficit -= bytes;
            let turn = *turn;
            ring.count(is_fresh);
            way.pop_ready(class);
            if !way.has_ready(class) {
                ring.leave(is_fresh);
                let place = match (turn.deficit, is_fresh) {
                    (0, _) => Place::RingLast,
                    (_, true) => Place::FreshLater,
                    (_, false) => Place::RingNext,
                };
                way.turns[class] = if more_waits { Turn { place, ..turn } } else { Turn::default() };
            }
            let outlet = Outlet::Worker(kind);
            let way = self.users[member.0 as usize].as_ref()?.way(outlet)?;
            let lane = self.lane_ref(member.0, way, lane)?;
            return self.hand_out(now, lane);
        }
    }

    /// Nobody's turn is worth the message at hand: all get as many rounds at once as the first of them needs.
    fn skip_rounds(&mut self, kind: u16, class: usize, quantum: u32) {
        let Some(ring) = self.trades.get(&kind).map(|trade| &trade.rings[class]) else { return };
        let users = &mut self.users;
        let lacks = ring.turns.iter().filter_map(|member| {
            let way = way_of(users, *member, kind)?;
            let (_, bytes) = way.next_ready(class)?;
            Some(bytes.saturating_sub(way.turns[class].deficit).div_ceil(quantum))
        });
        let Some(rounds) = lacks.min() else { return };
        for member in &ring.turns {
            if let Some(way) = way_of(users, *member, kind) {
                let turn = &mut way.turns[class];
                turn.deficit = turn.deficit.saturating_add(rounds.saturating_mul(quantum));
            }
        }
    }
}

/// What a user who is still there has of a kind of work.
fn way_of<B>(users: &mut [Option<Box<User<B>>>], member: Member, kind: u16) -> Option<&mut Way<B>> {
    let (index, generation) = member;
    let user = users[index as usize].as_mut().filter(|user| user.generation == generation)?;
    user.ways.iter_mut().find(|way| way.outlet.work() == Some(kind))
}
