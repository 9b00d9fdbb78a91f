//! What of a router's state can change what it does next, and nothing else: for telling states apart.
//!
//! Two routers of one set-up whose fingerprints are equal answer the same inputs with the same effects, up to the names in
//! the table below. Whoever explores all interleavings of a small world visits each state once by it.
//!
//! | in the state | in the fingerprint |
//! |---|---|
//! | a point in time | its distance from now |
//! | a run, by the number in its id | its place among those named before it |
//! | a connection, by the number in its id | the same |
//! | frames that are kept or wait | their text, with these names in place of ids and times |
//! | users' ids, threads, message ids, words of clients and agents | as they are |
//! | cursors | as they are: clients are told them, and say them |
//!
//! # What is left out, and why nothing depends on it
//! - **Counters and figures** ([`Stats`](crate::Stats), counts of handlers, of tools, of the monitor, the permission layer's
//!   audit log, routes' histories, delivery states of events that left): they are read when the host asks, and no rule asks them.
//! - **Slots and generations**: a handle names whoever it was made for, or nobody. Of a free slot only what it should not
//!   hold any more is looked at.
//! - **Deadlines that were replaced**: one that fires finds its successor and does nothing. Those that count stand with what
//!   they are for, and which of two of the same microsecond was set first, as far as one connection can see it.
//! - **How much was issued** (runs, connections, batches, calls): the next number is a new name, whatever it is.
//! - **Who of several users, or of one user's connections, comes first in a table**: that orders effects for different
//!   sockets, which no client can compare.
//! - **The set-up**: limits, policies, grants, the tools of the catalogue, routes, custom handlers,
//!   and whether the right to cross users was taken. It is the host's, and
//!   the same in all states that one set-up leads to.
//! - **Buffers** that are kept for their memory.
//!
//! A defect may read what is left out: that is what makes it one. A search by fingerprints still plays real paths only, so
//! what it finds is so; that it found nothing is said of a router that keeps to the list.

mod frame;
mod hash;

pub use self::hash::Mix;
use crate::{
    contract::{ConnId, Frame, Instant},
    router::Router,
};

/// Takes in a router's state, piece by piece. Lists come with their length ahead, so that no two states give one row of pieces.
pub trait Digest {
    /// A number, a flag, a distance in time.
    fn number(&mut self, number: u64);

    /// A text that the router keeps.
    fn text(&mut self, text: &str);

    /// A run, by the number in its id.
    fn run(&mut self, number: u64);

    /// A connection, by the number in its id.
    fn connection(&mut self, number: u64);

    /// The hash by which a message id is remembered. It comes with the run that the message started, so that whoever names
    /// runs by their messages can pass over it.
    fn message_mark(&mut self, mark: u64);
}

/// The state, 128 bits: runs and connections are called by the order in which the walk meets them.
#[derive(Clone, Debug, Default)]
struct Ordered {
    mix: Mix,
    runs: alloc::vec::Vec<u64>,
    connections: alloc::vec::Vec<u64>,
}

/// The place of a number in a list that it is added to when it is new.
fn place(list: &mut alloc::vec::Vec<u64>, number: u64) -> u64 {
    let at = list.iter().position(|known| *known == number).unwrap_or_else(|| {
        list.push(number);
        list.len() - 1
    });
    at as u64
}

impl Digest for Ordered {
    fn number(&mut self, number: u64) {
        self.mix.number(number);
    }

    fn text(&mut self, text: &str) {
        self.mix.text(text);
    }

    fn run(&mut self, number: u64) {
        let place = place(&mut self.runs, number);
        self.mix.number(place);
    }

    fn connection(&mut self, number: u64) {
        let place = place(&mut self.connections, number);
        self.mix.number(place);
    }

    fn message_mark(&mut self, mark: u64) {
        self.mix.number(mark);
    }
}

/// A digest on its way through the state.
pub(crate) struct Walk<'w> {
    into: &'w mut dyn Digest,
    pub(crate) now: Instant,
    node: &'w str,
}

impl Walk<'_> {
    pub(crate) fn number(&mut self, number: u64) {
        self.into.number(number);
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.into.number(u64::from(flag));
    }

    pub(crate) fn len(&mut self, len: usize) {
        self.into.number(len as u64);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.into.text(text);
    }

    pub(crate) fn optional_text(&mut self, text: Option<&str>) {
        self.flag(text.is_some());
        self.text(text.unwrap_or_default());
    }

    pub(crate) fn run(&mut self, number: u64) {
        self.into.run(number);
    }

    pub(crate) fn connection(&mut self, number: u64) {
        self.into.connection(number);
    }

    pub(crate) fn message_mark(&mut self, mark: u64) {
        self.into.message_mark(mark);
    }

    /// How far off a point in time is; the end of all time is no point.
    pub(crate) fn time(&mut self, at: Instant) {
        self.into.number(match at.as_micros() {
            u64::MAX => u64::MAX,
            _ if at < self.now => self.now.since(at) << 1 | 1,
            _ => at.since(self.now) << 1,
        });
    }

    /// How long ago that was, at most `cap`: more makes no difference.
    pub(crate) fn age(&mut self, at: Instant, cap: u64) {
        self.into.number(self.now.since(at).min(cap));
    }

    pub(crate) fn frame(&mut self, frame: &Frame) {
        frame::digest(frame.as_str(), self);
    }
}

impl Router {
    /// The whole state in 128 bits; see the [module](self). Two states that differ have the same with a probability of 2⁻¹²⁸,
    /// if the hash is as good as a random one.
    pub fn fingerprint(&self) -> u128 {
        let mut ordered = Ordered::default();
        self.digest_shared(&mut ordered);
        for user in self.audience.users() {
            self.digest_user(&user.id, &mut ordered);
            for index in &user.conns {
                self.digest_connection(self.audience.conn_at(*index).id(*index), &mut ordered);
            }
        }
        ordered.mix.finish()
    }

    /// The part of the state that belongs to no user.
    pub fn digest_shared(&self, into: &mut dyn Digest) {
        let mut walk = self.walk(into);
        self.digest_drain(&mut walk);
        self.desk.monitor.digest(&mut walk);
        self.receipts.digest(&mut walk);
        self.audience.digest_free_slots(&mut walk);
    }

    /// A user, without the connections; nothing of a user who is not known.
    pub fn digest_user(&self, user: &str, into: &mut dyn Digest) {
        let mut walk = self.walk(into);
        let Some(user) = self.audience.find(user) else { return walk.flag(false) };
        walk.flag(true);
        self.audience.digest_user(user, &self.config, &self.receipts, &mut walk);
        let state = self.audience.user(user);
        walk.len(state.runs.len());
        for run in &state.runs {
            self.digest_run(*run, &mut walk);
        }
        self.tools.digest_user(&state.id, &mut walk);
        self.handlers.digest_batch(user, &self.audience, &self.timers, &mut walk);
        self.desk.digest_user(user, &mut walk);
        self.waiting.queue.digest_letters(&state.id, &mut walk);
    }

    /// A connection; the first thing said is its own number. Nothing of one that is no more.
    pub fn digest_connection(&self, conn: ConnId, into: &mut dyn Digest) {
        let mut walk = self.walk(into);
        let Some(state) = self.audience.conn(conn) else { return walk.flag(false) };
        state.digest(&self.config, &self.receipts, &mut walk);
        let user = state.user;
        self.digest_held(&self.audience.user(user).id, state.cold.number, &mut walk);
        // Of what fires at the same moment, this connection sees the order.
        let ahead = self.timers.ahead(crate::timers::Timer::Connection(conn), state.cold.timer_at);
        walk.number(ahead.filter(|timer| self.is_timer_of(*timer, user)).count() as u64);
        self.handlers.digest_later(conn, &self.timers, &mut walk);
    }

    /// A frame that was sent and waits elsewhere, as it would be told if it waited here.
    pub fn digest_frame(&self, frame: &Frame, into: &mut dyn Digest) {
        self.walk(into).frame(frame);
    }

    fn walk<'w>(&'w self, into: &'w mut dyn Digest) -> Walk<'w> {
        Walk { into, now: self.now, node: &self.node }
    }
}
