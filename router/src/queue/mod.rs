//! The one queue: everything of a user that has to wait waits in a lane of it.
//!
//! A pure state machine. Time is an argument, chance is an argument, nothing blocks, and what happens unasked is pushed to
//! the caller's list of [`Event`]s. A message is **offered**; it is admitted under a number, or known already, or refused.
//! What is admitted **waits** in a lane, is **leased** to whoever does the work, and ends exactly once: **delivered** (the
//! lease was acknowledged) or a **dead letter** with a reason.
//!
//! ```
//! use router::Instant;
//! use router::queue::{Admission, Limits, Offer, Outlet, Policies, Queue};
//!
//! let mut queue = Queue::new(Limits::default(), Policies::default());
//! let (now, mut events, mut leases) = (Instant::from_micros(0), Vec::new(), Vec::new());
//! let work = Offer { id: Some("m1"), ..Offer::new(Outlet::Worker(0), 5, "hello") };
//! assert_eq!(queue.offer(now, "ada", work, &mut events), Admission::Accepted { seq: 1 });
//! assert_eq!(queue.offer(now, "ada", work, &mut events), Admission::Duplicate { first: 1 });
//! queue.lease_work(now, 0, 10, &mut leases);
//! assert_eq!(queue.leased(leases[0]).map(|message| *message.body), Some("hello"));
//! assert!(queue.ack(now, leases[0]));
//! assert!(!queue.ack(now, leases[0]), "settled once");
//! ```
//!
//! | | guarantee | how |
//! |---|---|---|
//! | G1 | offered = duplicates + refused + delivered + dead + waiting + leased, per user and in all | [`Account`]; [`Queue::verify`] recounts |
//! | G2 | within a lane, order of delivery is order of admission; a failed head blocks its own lane only | a lane gives out its head and, for connections, what follows it within the window |
//! | G3 | an id is admitted once within its window; an old lease settles nothing | dedupe window; a fence per lease |
//! | G4 | messages, bytes, windows, dead letters are bounded, per user and in all | [`Limits`], [`Policy`] |
//! | G5 | nobody's message gives way to another user's; below the floor nobody is refused for another's load | eviction within one outlet; floors and a pool |
//! | G6 | protected messages are never dropped for others, and have headroom of their own | [`Offer::protected`] |
//! | G7 | a lower class is served after so many leases of higher ones | [`Limits::higher_leases_max`] |
//! | G8 | whatever happens unasked is an [`Event`] with a reason | |
//! | G9 | closing an outlet is final: what waits ends as a dead letter or moves to the user's lane | [`Queue::close`] |
//! | G10 | while something waits, a lease can be had or there is a deadline | [`Queue::next_deadline`] |
//!
//! Work is shared out over users by deficit round robin, counted in bytes (Shreedhar and Varghese, 1995); a turn goes on over
//! leases. Who had nothing before comes first, for one turn's bytes ([`Limits::quantum_bytes`]) and
//! [`Limits::higher_leases_max`] leases in a row. What it can come to at most: [`Queue::memory_bytes_max`].

mod admit;
mod bounds;
mod breaker;
mod contract;
mod deadlines;
mod lane;
mod lease;
mod letters;
mod policy;
mod retry;
mod settle;
mod turns;
mod user;
mod verify;
mod ways;

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::{cmp::Reverse, hash::BuildHasher};

use hashbrown::HashMap;

pub use self::{
    breaker::{Breaker, BreakerSettings, BreakerState, Forgive},
    contract::{
        Account, Admission, DeadLetter, Event, Lease, Leased, Offer, Outlet, Priority, Reason, Refusal,
        Retry, Waiting,
    },
    policy::{Limits, Overflow, Policy},
    retry::Backoff,
    settle::Scope,
    user::Standing,
    ways::Leftover,
};
use self::{lane::Lane, turns::Trade, user::User};
use crate::{audience::fingerprint, contract::Instant, dedupe::Reach};

/// The policy of each sort of outlet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies {
    /// Of work.
    pub worker: Policy,
    /// Of connections.
    pub connection: Policy,
    /// Of users.
    pub user: Policy,
    /// Of logs.
    pub log: Policy,
    /// When the breaker of a kind of work opens.
    pub breaker: BreakerSettings,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            worker: Policy::work(),
            connection: Policy::connection(),
            user: Policy::replay(),
            log: Policy::log(),
            breaker: BreakerSettings::HANDLER,
        }
    }
}

impl Policies {
    const fn of(&self, outlet: Outlet) -> &Policy {
        match outlet {
            Outlet::Worker(_) => &self.worker,
            Outlet::Connection(_) => &self.connection,
            Outlet::User => &self.user,
            Outlet::Log(_) => &self.log,
        }
    }
}

/// Names a lane; stale when the lane was emptied meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LaneRef {
    user: u32,
    way: u16,
    lane: u32,
    serial: u32,
}

/// Deadlines for which nobody sweeps.
const TIMERS_KEPT: usize = 64;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Lane(LaneRef),
    /// The user's windows and notices: index and generation.
    User(u32, u32),
}

/// The queue of everything that waits. `B` is what messages carry; it is never looked at.
#[derive(Clone, Debug)]
pub struct Queue<B> {
    limits: Limits,
    policies: Policies,
    users: Vec<Option<Box<User<B>>>>,
    free: Vec<u32>,
    generation: u32,
    /// Looked up only; nothing ever depends on its order.
    names: HashMap<Arc<str>, u32, Folding>,
    trades: BTreeMap<u16, Trade>,
    timers: BinaryHeap<Reverse<(Instant, u64, Due)>>,
    timers_set: u64,
    /// Deadlines that nobody waits for any more, at most.
    timers_stale: usize,
    account: Account,
    /// What all users have waiting above their floors.
    pool_messages: u64,
    pool_bytes: u64,
    /// Ids remembered in all windows.
    remembered: u64,
    /// Dead letters of all users, oldest first: user, generation, number. Stale ones are passed over.
    buried: VecDeque<(u32, u32, u64)>,
    letters: u64,
    last_seq: u64,
    last_serial: u32,
    last_fence: u64,
    is_shutting_down: bool,
}

impl<B> Queue<B> {
    /// An empty queue.
    pub fn new(limits: Limits, policies: Policies) -> Self {
        Self {
            limits,
            policies,
            users: Vec::new(),
            free: Vec::new(),
            generation: 0,
            names: HashMap::with_hasher(Folding),
            trades: BTreeMap::new(),
            timers: BinaryHeap::new(),
            timers_set: 0,
            timers_stale: 0,
            account: Account::default(),
            pool_messages: 0,
            pool_bytes: 0,
            remembered: 0,
            buried: VecDeque::new(),
            letters: 0,
            last_seq: 0,
            last_serial: 0,
            last_fence: 0,
            is_shutting_down: false,
        }
    }

    /// The books of all users, those that are gone included.
    pub const fn account(&self) -> Account {
        self.account
    }

    /// The books of one user, since the queue last had nothing of theirs; `None` while it has nothing.
    pub fn account_of(&self, user: &str) -> Option<Account> {
        self.user(user).map(|user| user.account)
    }

    /// Users of whom there is anything here.
    pub fn users_len(&self) -> usize {
        self.names.len()
    }

    /// The bounds in force.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes nothing more. What waits can still be leased.
    pub const fn shut_down(&mut self) {
        self.is_shutting_down = true;
    }

    fn user(&self, name: &str) -> Option<&User<B>> {
        let index = *self.names.get(name)?;
        self.users[index as usize].as_deref()
    }

    fn user_at(&mut self, index: u32, generation: u32) -> Option<&mut User<B>> {
        let user = self.users.get_mut(index as usize)?.as_deref_mut()?;
        (user.generation == generation).then_some(user)
    }

    fn lane_mut(&mut self, at: LaneRef) -> Option<&mut Lane<B>> {
        let user = self.users.get_mut(at.user as usize)?.as_mut()?;
        user.ways.get_mut(at.way as usize)?.lane_mut(at.lane as usize, at.serial)
    }

    const fn reach(&self) -> Reach {
        Reach { ids_max: self.limits.dedupe_ids_max, ttl_us: self.limits.dedupe_ttl_us }
    }

    fn set_timer(&mut self, at: Instant, due: Due) {
        self.timers_set += 1;
        self.timers.push(Reverse((at, self.timers_set, due)));
    }

    /// A deadline that is set will do nothing. Such deadlines are swept once they are the larger part.
    fn timer_is_stale(&mut self) {
        self.timers_stale += 1;
        if self.timers_stale > self.timers.len() / 2 + TIMERS_KEPT {
            self.timers_stale = 0;
            let users = &self.users;
            self.timers.retain(|Reverse((at, _, due))| {
                let armed_at = match *due {
                    Due::Lane(of) => users[of.user as usize].as_ref().and_then(|user| {
                        let lane = user.ways.get(of.way as usize)?.lanes.get(of.lane as usize)?.as_ref()?;
                        lane.armed_at.filter(|_| lane.serial == of.serial)
                    }),
                    Due::User(index, generation) => users[index as usize]
                        .as_ref()
                        .and_then(|user| user.armed_at.filter(|_| user.generation == generation)),
                };
                armed_at == Some(*at)
            });
            self.timers.shrink_to(2 * self.timers.len() + TIMERS_KEPT);
        }
    }
}

/// Hashes names as message ids are.
#[derive(Clone, Copy, Debug, Default)]
struct Folding;

impl BuildHasher for Folding {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(0)
    }
}

#[derive(Debug)]
struct Folded(u64);

impl core::hash::Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= fingerprint(bytes);
    }

    /// The mark that ends a text: nothing else is ever hashed here.
    fn write_u8(&mut self, _: u8) {}
}
