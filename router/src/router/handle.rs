//! A user's view of the router.

use alloc::vec::Vec;

use super::Router;
use crate::{
    audience::{Connection, Pool},
    contract::{ConnId, Context, Deliver, Instant, ReceiptId, Target, UserId},
};

/// One user, and the ids of what is being done for that user. It owns nothing and is made as often as it is needed: two
/// handles of one user are the same, whatever request they were made for.
///
/// It makes [`Deliver`] values for its own user only; there is no way to a topic or to everybody.
///
/// ```
/// # use router::{Config, Connect, Context, Effect, Effects, Input, Instant, ReceiptId, Router, Ticket};
/// # let (mut router, mut out) = (Router::new(Config::default()).expect("valid"), Effects::new());
/// # let now = Instant::from_micros(1);
/// # router.handle(now, Input::Connect(Connect::new(Ticket(1), "ada")), &mut out);
/// # let event = serde_json::value::RawValue::from_string(r#"{"type":"note"}"#.into()).expect("JSON");
/// let handle = router.for_user("ada", Context { request: Some("req-7"), ..Context::default() });
/// let tab = handle.connections(now, false)[0].conn;
/// assert!(handle.owns(tab));
/// let delivery = handle.deliver_to(tab, Some(ReceiptId(1)), &event);
/// router.handle(now, Input::Deliver(delivery), &mut out);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct UserHandle<'r, 'a> {
    router: &'r Router,
    user: &'a str,
    context: Context<'a>,
}

impl<'a> UserHandle<'_, 'a> {
    /// Whose handle it is.
    pub const fn user(&self) -> &'a str {
        self.user
    }

    /// What its deliveries are stamped with.
    pub const fn context(&self) -> Context<'a> {
        self.context
    }

    /// The user's live connections, in the order in which they were opened; only those that are not idle, if so wished.
    pub fn connections(&self, now: Instant, active_only: bool) -> Vec<Connection> {
        self.router.connections(now, self.user, active_only)
    }

    /// Whether the connection is live and this user's.
    pub fn owns(&self, conn: ConnId) -> bool {
        self.router.audience.find(self.user).is_some_and(|user| self.router.audience.owns(user, conn))
    }

    /// An event for all of the user's connections.
    pub fn deliver<'e>(
        &self,
        receipt: Option<ReceiptId>,
        event: &'e serde_json::value::RawValue,
    ) -> Deliver<'e>
    where
        'a: 'e,
    {
        Deliver { receipt, target: Target::User(self.user), context: self.context, event }
    }

    /// An event for one of the user's connections; refused if it is not.
    pub fn deliver_to<'e>(
        &self,
        conn: ConnId,
        receipt: Option<ReceiptId>,
        event: &'e serde_json::value::RawValue,
    ) -> Deliver<'e>
    where
        'a: 'e,
    {
        Deliver { receipt, target: Target::Connection(self.user, conn), context: self.context, event }
    }

    /// An event for the user's connections that want the handle's thread; for all of them if it has none.
    pub fn deliver_to_thread<'e>(
        &self,
        receipt: Option<ReceiptId>,
        event: &'e serde_json::value::RawValue,
    ) -> Deliver<'e>
    where
        'a: 'e,
    {
        let target = match self.context.thread {
            Some(thread) => Target::Thread(self.user, thread),
            None => Target::User(self.user),
        };
        Deliver { receipt, target, context: self.context, event }
    }
}

impl Router {
    /// A view of one user. The user need not be known yet.
    pub const fn for_user<'a>(&self, user: &'a str, context: Context<'a>) -> UserHandle<'_, 'a> {
        UserHandle { router: self, user, context }
    }

    /// The live connections of a user, in the order in which they were opened; only those that are not idle, if so
    /// wished. Nobody's, when the user is not known.
    pub fn connections(&self, now: Instant, user: &str, active_only: bool) -> Vec<Connection> {
        let Some(user) = self.audience.find(user) else { return Vec::new() };
        let wanted = |connection: &Connection| !active_only || connection.idle_us < self.config.idle_us;
        self.audience.connections(user, now).filter(wanted).collect()
    }

    /// The live connection of exactly that name.
    pub fn connection_named(&self, name: &str) -> Option<ConnId> {
        self.audience.named(name)
    }

    /// The user whose live connection that is.
    pub fn user_of(&self, conn: ConnId) -> Option<&UserId> {
        self.audience.conn(conn).map(|conn| &self.audience.user(conn.user).id)
    }

    /// Makes a known user a subscriber of a topic, as the host's own doing. `false` when the user is not known or has as
    /// many subscriptions as allowed.
    pub fn subscribe_user(&mut self, user: &str, topic: &str) -> bool {
        self.audience.find(user).is_some_and(|user| self.audience.subscribe_topic(user, topic))
    }

    /// Ends a subscription; `false` when there was none.
    pub fn unsubscribe_user(&mut self, user: &str, topic: &str) -> bool {
        let user = self.audience.find(user);
        user.is_some_and(|user| {
            mutant!(self.config, LeakSubscription) || self.audience.unsubscribe_topic(user, topic)
        })
    }

    /// Users with a live connection, and how many, in order of their ids.
    pub fn users_connected(&self) -> impl Iterator<Item = (&UserId, usize)> {
        self.audience.live_users()
    }

    /// How much of the registry is in use. A walk over all connections.
    pub fn pool(&self, now: Instant) -> Pool {
        self.audience.pool(now.max(self.now), self.config.idle_us)
    }
}
