//! `WebSocketEventRouter`: events to connections by the caller's own names of them.

use alloc::{
    string::{String, ToString as _},
    vec::Vec,
};

use serde_json::{Map, Value, json};

use super::{
    Lent, Over, Pending, Uses,
    lent::{facade, used},
    pending,
};
use crate::contract::{Connect, Context, Effect, Input, Target, Ticket};

const METHODS: &[&str] = &[
    "register_connection",
    "unregister_connection",
    "route_event",
    "broadcast_to_user",
    "get_user_connections",
    "cleanup_stale_connections",
    "get_stats",
];

/// The router of events to connections. It has no pool of its own: the router's registry is the only one.
#[deprecated(since = "0.1.0", note = "use `router::Router`, one value per server")]
#[derive(Clone, Debug)]
pub struct WebSocketEventRouter {
    uses: Uses,
}

facade!(WebSocketEventRouter);

impl WebSocketEventRouter {
    /// A facade; it may be made as often as one likes.
    #[deprecated(since = "0.1.0", note = "use `router::Router::new`, once per server")]
    pub fn new() -> Self {
        Self { uses: Uses::new("WebSocketEventRouter", METHODS) }
    }
}

impl Default for WebSocketEventRouter {
    fn default() -> Self {
        Self::new()
    }
}

impl Over<'_, '_, WebSocketEventRouter> {
    /// Connects a socket under a name. `false`: the router turned it away, and says why by
    /// [`Effect::Refused`](crate::Effect::Refused).
    #[deprecated(
        since = "0.1.0",
        note = "hand `router::Input::Connect` with a name to `router::Router::handle`"
    )]
    pub fn register_connection(
        &mut self,
        user: &str,
        connection_id: &str,
        thread: Option<&str>,
        socket: Ticket,
    ) -> bool {
        let (_, lent) = used(self, "register_connection");
        register(lent, user, connection_id, thread, socket)
    }

    /// Closes the connection of that name; `false` when there is none.
    #[deprecated(since = "0.1.0", note = "hand `router::Input::Unregister` to `router::Router::handle`")]
    pub fn unregister_connection(&mut self, connection_id: &str) -> bool {
        let (_, lent) = used(self, "unregister_connection");
        unregister(lent, None, connection_id)
    }

    /// Sends an event to one connection of a user; whether it has it.
    #[deprecated(
        since = "0.1.0",
        note = "hand `router::Input::Deliver` with `router::Target::Connection` to `router::Router::handle`"
    )]
    pub fn route_event(&mut self, user: &str, connection_id: &str, event: &Value) -> Pending<bool> {
        let (_, lent) = used(self, "route_event");
        route(lent, user, connection_id, Context::default(), event)
    }

    /// Sends an event to all of a user's connections; how many of them have it. It is kept for a user who is away.
    #[deprecated(
        since = "0.1.0",
        note = "hand `router::Input::Deliver` with `router::Target::User` to `router::Router::handle`"
    )]
    pub fn broadcast_to_user(&mut self, user: &str, event: &Value) -> Pending<u32> {
        let (_, lent) = used(self, "broadcast_to_user");
        broadcast(lent, user, Context::default(), event)
    }

    /// Names of a user's connections that are not idle, in the order in which they were opened. A connection without a
    /// name is not among them.
    #[deprecated(since = "0.1.0", note = "use `router::Router::connections`")]
    pub fn get_user_connections(&mut self, user: &str) -> Vec<String> {
        let (_, lent) = used(self, "get_user_connections");
        names(lent, user)
    }

    /// Closes every idle connection; how many those were.
    #[deprecated(since = "0.1.0", note = "hand `router::Input::SweepIdle` to `router::Router::handle`")]
    pub fn cleanup_stale_connections(&mut self) -> u32 {
        let (_, lent) = used(self, "cleanup_stale_connections");
        sweep(lent)
    }

    /// Users and connections under the old keys.
    #[deprecated(since = "0.1.0", note = "use `router::Router::pool` and `router::Router::users_connected`")]
    pub fn get_stats(&mut self) -> Value {
        let (facade, lent) = used(self, "get_stats");
        let pool = lent.router.pool(lent.now);
        let per_user: Map<String, Value> =
            lent.router.users_connected().map(|(user, count)| (user.to_string(), count.into())).collect();
        json!({
            "total_users": pool.users,
            "total_connections": pool.connections,
            "active_connections": pool.active,
            "connections_per_user": per_user,
            "compat_uses": facade.uses.json(),
        })
    }
}

pub(super) fn register(
    lent: &mut Lent<'_>,
    user: &str,
    name: &str,
    thread: Option<&str>,
    ticket: Ticket,
) -> bool {
    if !lent.connects {
        return false;
    }
    let connect = Connect { name: Some(name), thread, ..Connect::new(ticket, user) };
    let accepted = |effect: &Effect| matches!(effect, Effect::Accepted { ticket: of, .. } if *of == ticket);
    lent.input(Input::Connect(connect)).iter().any(accepted)
}

/// `user`: whose it must be.
pub(super) fn unregister(lent: &mut Lent<'_>, user: Option<&str>, name: &str) -> bool {
    let there = lent.router.connection_named(name);
    lent.input(Input::Unregister { user, name });
    there.is_some() && lent.router.connection_named(name) != there
}

pub(super) fn route(
    lent: &mut Lent<'_>,
    user: &str,
    name: &str,
    context: Context<'_>,
    event: &Value,
) -> Pending<bool> {
    // A name that nobody has is no connection; whose it is otherwise, the router says.
    let Some(conn) = lent.router.connection_named(name) else { return Pending::Ready(false) };
    let receipt = lent.deliver(Target::Connection(user, conn), context, event);
    Pending::new(receipt, user, lent.now, pending::reached)
}

pub(super) fn broadcast(
    lent: &mut Lent<'_>,
    user: &str,
    context: Context<'_>,
    event: &Value,
) -> Pending<u32> {
    let receipt = lent.deliver(Target::User(user), context, event);
    Pending::new(receipt, user, lent.now, pending::count)
}

pub(super) fn names(lent: &Lent<'_>, user: &str) -> Vec<String> {
    let connections = lent.router.connections(lent.now, user, true);
    connections.into_iter().filter_map(|connection| connection.name).map(|name| name.to_string()).collect()
}

pub(super) fn sweep(lent: &mut Lent<'_>) -> u32 {
    let swept =
        |effect: &Effect| if let Effect::Swept { connections } = effect { Some(*connections) } else { None };
    lent.input(Input::SweepIdle).iter().find_map(swept).unwrap_or_default()
}
