//! The isolation boundary: the only module that turns a user into connections.
//!
//! A frame reaches a connection through three values that only this module makes, all branded with one
//! lifetime that exists for one user and one call: [`Owner`] (a user was looked up), [`Member`] (a connection
//! was found to be that user's) and [`Sealed`] (a frame was made for that user). Two users never share a brand,
//! so sending one user's frame to another's connection does not compile:
//!
//! ```compile_fail,E0521
//! # use router::audience::{Audience, Owner, UserRef};
//! fn crossed(audience: &mut Audience, ada: UserRef, eve: UserRef) {
//!     audience.with_owner(ada, |audience, ada: Owner<'_>| {
//!         let secret = ada.seal_text("for ada's eyes only");
//!         audience.with_owner(eve, |_, eve: Owner<'_>| {
//!             eve.accepts(&secret); // the brands differ
//!         });
//!     });
//! }
//! ```
//!
//! The same with one user compiles:
//!
//! ```
//! # use router::audience::{Audience, Owner, UserRef};
//! fn straight(audience: &mut Audience, ada: UserRef) {
//!     audience.with_owner(ada, |_, ada: Owner<'_>| {
//!         let note = ada.seal_text("for ada's eyes only");
//!         ada.accepts(&note);
//!     });
//! }
//! ```
//!
//! A sealed frame cannot leave the call it was made in either:
//!
//! ```compile_fail
//! # use router::audience::{Audience, UserRef};
//! fn kept(audience: &mut Audience, ada: UserRef) {
//!     let mut kept = None;
//!     audience.with_owner(ada, |_, ada| kept = Some(ada.seal_text("later")));
//! }
//! ```
//!
//! A host crosses users by [`Target::Topic`] and [`Target::All`] only, and these need the router's one [`Authority`], which
//! nobody can make:
//!
//! ```compile_fail,E0423
//! # use router::{Authority, Target};
//! let target = Target::All(&Authority(()), None);
//! ```
//!
//! A user's handle has no word for another user: its deliveries are for its own, and to whom cannot be said.
//!
//! ```compile_fail,E0061
//! # use router::{Context, Router};
//! # fn crossed(router: &Router, event: &serde_json::value::RawValue) {
//! let ada = router.for_user("ada", Context::default());
//! let delivery = ada.deliver("eve", None, event);
//! # }
//! ```
//!
//! [`Target::Topic`]: crate::Target::Topic
//! [`Target::All`]: crate::Target::All
//! [`Authority`]: crate::Authority

mod conn;
mod delivery;
mod digest;
mod receipts;
mod registry;
mod replica;
mod standing;
mod tell;
mod topics;
mod user;
mod vouch;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::marker::PhantomData;

pub(crate) use conn::{Conn, ConnState};
pub(crate) use delivery::{CURSOR_MAX, Entry, Flow};
pub(crate) use receipts::{Awaited, Receipts};
pub use registry::{Connection, Pool};
pub(crate) use user::{Logged, User, fingerprint, is_issued_thread, is_user_id};

use crate::contract::{ConnId, Connect, Frame, Tier, UserId};

/// A known user: index and generation. Names nobody by itself; only [`Audience`] can use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserRef {
    pub(crate) index: u32,
    generation: u32,
}

type Brand<'b> = PhantomData<fn(&'b ()) -> &'b ()>;

/// One user, looked up for the length of one call.
#[derive(Debug)]
pub struct Owner<'b> {
    user: UserRef,
    brand: Brand<'b>,
}

/// A connection of the owner with the same brand.
#[derive(Debug)]
pub struct Member<'b> {
    index: u32,
    brand: Brand<'b>,
}

/// A frame made for the owner with the same brand.
#[derive(Debug)]
pub struct Sealed<'b> {
    frame: Frame,
    brand: Brand<'b>,
}

impl<'b> Owner<'b> {
    /// Makes a frame this user's.
    pub(crate) fn seal(&self, frame: Frame) -> Sealed<'b> {
        Sealed { frame, brand: PhantomData }
    }

    /// Makes a text this user's frame.
    pub fn seal_text(&self, text: &str) -> Sealed<'b> {
        self.seal(Frame::copy_of(text))
    }

    /// Compiles only for a frame of the same user.
    pub fn accepts(&self, _: &Sealed<'b>) {}

    /// Which user this is.
    pub const fn user(&self) -> UserRef {
        self.user
    }
}

/// Connections and users, in dense tables.
#[derive(Clone, Debug, Default)]
pub struct Audience {
    conns: Vec<Conn>,
    free_conns: Vec<u32>,
    users: Vec<User>,
    free_users: Vec<u32>,
    /// Users by the hash of their ids, and those that share one: what an id is compared with stands in the user, who is needed
    /// anyway. In order of the ids themselves a search would look at those of others.
    by_id: BTreeSet<(u64, u32)>,
    /// Connections by the caller's own name of them.
    by_name: BTreeMap<Arc<str>, u32>,
    /// Users known only because something was put by for them.
    awaited: u32,
    opened: u64,
    topics: topics::Topics,
}

impl Audience {
    /// Nobody, and each user may subscribe to that many topics.
    pub(crate) fn with_topics(per_user_max: u32) -> Self {
        Self { topics: topics::Topics::new(per_user_max), ..Self::default() }
    }

    /// Looks a user up for the length of one call. The user must be one this audience knows.
    pub fn with_owner<R>(&mut self, user: UserRef, f: impl for<'b> FnOnce(&mut Self, Owner<'b>) -> R) -> R {
        f(self, Owner { user, brand: PhantomData })
    }

    /// Looks a connection and its owner up for the length of one call; `None` if the connection is no more.
    pub(crate) fn with_member<R>(
        &mut self,
        conn: ConnId,
        f: impl for<'b> FnOnce(&mut Self, Owner<'b>, Member<'b>) -> R,
    ) -> Option<R> {
        let user = self.conn(conn)?.user;
        let (owner, member) =
            (Owner { user, brand: PhantomData }, Member { index: conn.index, brand: PhantomData });
        Some(f(self, owner, member))
    }

    /// Begins to fetch what a message on this connection will need, all at once: with a million users each line
    /// of memory is a miss, and one after the other they would cost more than the message.
    pub(crate) fn warm(&self, id: ConnId, step: u8) {
        if let (Some(conn), Some(user)) =
            (self.conns.get(id.index as usize), self.users.get(id.user_hint as usize))
        {
            core::hint::black_box(conn.lines(step) ^ user.lines(step));
        }
    }

    pub(crate) fn conn(&self, id: ConnId) -> Option<&Conn> {
        self.conns.get(id.index as usize).filter(|conn| conn.is(id.generation))
    }

    pub(crate) fn conn_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.get_mut(id.index as usize).filter(|conn| conn.is(id.generation))
    }

    pub(crate) fn user(&self, user: UserRef) -> &User {
        &self.users[user.index as usize]
    }

    pub(crate) fn user_mut(&mut self, user: UserRef) -> &mut User {
        &mut self.users[user.index as usize]
    }

    /// Whether the user is still known.
    pub(crate) fn knows(&self, user: UserRef) -> bool {
        self.users.get(user.index as usize).is_some_and(|known| known.is(user.generation))
    }

    pub(crate) fn find(&self, id: &str) -> Option<UserRef> {
        let mark = fingerprint(id.as_bytes());
        let mut alike = self.by_id.range((mark, 0)..=(mark, u32::MAX));
        alike
            .find(|(_, index)| self.users[*index as usize].id_bytes() == id.as_bytes())
            .map(|(_, index)| self.user_ref(*index))
    }

    pub(crate) fn find_or_add(&mut self, id: &str, tier: Tier) -> UserRef {
        if let Some(user) = self.find(id) {
            let known = self.user_mut(user);
            known.tier = tier;
            let awaited = core::mem::take(&mut known.awaited);
            self.awaited -= u32::from(awaited);
            return user;
        }
        let (mark, id) = (fingerprint(id.as_bytes()), UserId::from(id));
        let index = match self.free_users.pop() {
            Some(index) => {
                self.users[index as usize].reuse(id, tier);
                index
            }
            None => {
                self.users.push(User::new(id, tier));
                self.users.len() as u32 - 1
            }
        };
        self.by_id.insert((mark, index));
        self.user_ref(index)
    }

    /// Takes in a user who never was here, to keep something for.
    pub(crate) fn add_awaited(&mut self, id: &str, tier: Tier) -> UserRef {
        let user = self.find_or_add(id, tier);
        self.user_mut(user).awaited = true;
        self.awaited += 1;
        user
    }

    /// How many users are known only because something is kept for them.
    pub(crate) const fn awaited_users(&self) -> u32 {
        self.awaited
    }

    pub(crate) fn remove_user(&mut self, user: UserRef) {
        self.topics.forget(user);
        let slot = &mut self.users[user.index as usize];
        self.awaited -= u32::from(slot.awaited);
        self.by_id.remove(&(fingerprint(slot.id_bytes()), user.index));
        slot.free();
        self.free_users.push(user.index);
    }

    /// Takes a connection in; it is not yet open. Answers its handle.
    pub(crate) fn add_conn(&mut self, user: UserRef, connect: &Connect<'_>, flow: &Flow<'_>) -> ConnId {
        self.opened += 1;
        let index = self.free_conns.pop().unwrap_or_else(|| {
            self.conns.push(Conn::vacant());
            self.conns.len() as u32 - 1
        });
        let acked = connect.resume.unwrap_or(self.user(user).delivered).min(self.user(user).cursor);
        let conn = &mut self.conns[index as usize];
        conn.occupy(user, self.opened, connect, acked, flow);
        let id = conn.id(index);
        if let Some(name) = connect.name {
            self.give_name(index, name);
        }
        self.user_mut(user).conns.push(index);
        id
    }

    /// All connections, in index order.
    pub(crate) fn all_conns(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.conns
            .iter()
            .enumerate()
            .filter(|(_, conn)| conn.in_use())
            .map(|(index, conn)| conn.id(index as u32))
    }

    pub(crate) fn conns_len(&self) -> usize {
        self.conns.len() - self.free_conns.len()
    }

    /// Slots for connections and for users, the free ones included.
    pub(crate) fn slots(&self) -> (usize, usize) {
        (self.conns.len(), self.users.len())
    }

    pub(crate) fn names_len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn users_len(&self) -> usize {
        self.by_id.len()
    }

    /// Every user, in an order that depends on nothing but their ids.
    pub(crate) fn users(&self) -> impl Iterator<Item = &User> {
        self.by_id.iter().map(|(_, index)| &self.users[*index as usize])
    }

    pub(crate) fn conn_at(&self, index: u32) -> &Conn {
        &self.conns[index as usize]
    }

    fn user_ref(&self, index: u32) -> UserRef {
        UserRef { index, generation: self.users[index as usize].generation() }
    }
}
