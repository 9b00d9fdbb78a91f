//! `UserScopedWebSocketEventRouter`: one user's events, stamped with the ids of one request.

use alloc::{format, string::String, vec::Vec};

use serde_json::{Value, json};

use super::{
    Over, Pending, Uses, event_router,
    lent::{facade, used},
};
use crate::{
    contract::{self, Ticket},
    tools::Context,
};

const METHODS: &[&str] = &[
    "create_for_user",
    "create_user_event_router",
    "get_websocket_router_with_context",
    "register_connection",
    "unregister_connection",
    "route_event",
    "broadcast_to_user",
    "broadcast_user_event",
    "get_user_connections",
    "cleanup_stale_connections",
    "validate_user_access",
    "get_router_stats",
    "get_user_context",
];

/// The router of one user's events. Two of one user see the same connections, whatever request they were made for; there
/// is nothing to keep alive and nothing that expires.
#[deprecated(since = "0.1.0", note = "use `router::Router::for_user`")]
#[derive(Clone, Debug)]
pub struct UserScopedWebSocketEventRouter {
    uses: Uses,
    context: Context,
    routed: u64,
}

facade!(UserScopedWebSocketEventRouter);

impl UserScopedWebSocketEventRouter {
    /// A facade for an execution context. What is none cannot be made: see [`Context::new`].
    #[deprecated(since = "0.1.0", note = "use `router::Router::for_user`")]
    pub fn new(context: Context) -> Self {
        Self { uses: Uses::new("UserScopedWebSocketEventRouter", METHODS), context, routed: 0 }
    }

    /// What the old factory did.
    #[deprecated(since = "0.1.0", note = "use `router::Router::for_user`")]
    pub fn create_for_user(context: Context) -> Self {
        Self::made_by("create_for_user", context)
    }

    /// The same under its other name.
    #[deprecated(since = "0.1.0", note = "use `router::Router::for_user`")]
    pub fn create_user_event_router(context: Context) -> Self {
        Self::made_by("create_user_event_router", context)
    }

    /// The same under its third name. A router without a context was the process's own: use
    /// [`WebSocketEventRouter`](super::WebSocketEventRouter).
    #[deprecated(since = "0.1.0", note = "use `router::Router::for_user`")]
    pub fn get_websocket_router_with_context(context: Context) -> Self {
        Self::made_by("get_websocket_router_with_context", context)
    }

    /// The context that it was made for.
    #[deprecated(since = "0.1.0", note = "use `router::UserHandle::user` and `router::UserHandle::context`")]
    pub fn get_user_context(&mut self) -> &Context {
        self.uses.note("get_user_context");
        &self.context
    }

    fn made_by(maker: &'static str, context: Context) -> Self {
        let mut made = Self::new(context);
        made.uses.note(maker);
        made
    }

    /// What the old router stamped an event with.
    fn stamp(context: &Context) -> contract::Context<'_> {
        contract::Context { request: Some(context.request()), ..contract::Context::default() }
    }
}

impl Over<'_, '_, UserScopedWebSocketEventRouter> {
    /// Connects a socket of the user under a name. `false`: the router turned it away, and says why by
    /// [`Effect::Refused`](crate::Effect::Refused).
    #[deprecated(
        since = "0.1.0",
        note = "hand `router::Input::Connect` with a name to `router::Router::handle`"
    )]
    pub fn register_connection(&mut self, connection_id: &str, thread: Option<&str>, socket: Ticket) -> bool {
        let (facade, lent) = used(self, "register_connection");
        event_router::register(lent, facade.context.user(), connection_id, thread, socket)
    }

    /// Closes the user's connection of that name; `false` when the user has none.
    #[deprecated(
        since = "0.1.0",
        note = "hand `router::Input::Unregister` with the user to `router::Router::handle`"
    )]
    pub fn unregister_connection(&mut self, connection_id: &str) -> bool {
        let (facade, lent) = used(self, "unregister_connection");
        event_router::unregister(lent, Some(facade.context.user()), connection_id)
    }

    /// Sends an event to one of the user's connections, with the ids of user and request; whether it has it.
    #[deprecated(since = "0.1.0", note = "use `router::UserHandle::deliver_to`")]
    pub fn route_event(&mut self, connection_id: &str, event: &Value) -> Pending<bool> {
        let (facade, lent) = used(self, "route_event");
        facade.routed += 1;
        let context = &facade.context;
        let stamp = UserScopedWebSocketEventRouter::stamp(context);
        event_router::route(lent, context.user(), connection_id, stamp, event)
    }

    /// Sends an event to all of the user's connections, with the ids of user and request; how many of them have it.
    #[deprecated(since = "0.1.0", note = "use `router::UserHandle::deliver`")]
    pub fn broadcast_to_user(&mut self, event: &Value) -> Pending<u32> {
        let (facade, lent) = used(self, "broadcast_to_user");
        facade.routed += 1;
        let context = &facade.context;
        event_router::broadcast(lent, context.user(), UserScopedWebSocketEventRouter::stamp(context), event)
    }

    /// The same with the thread's id, too.
    #[deprecated(
        since = "0.1.0",
        note = "use `router::UserHandle::deliver` of a handle whose context has the thread"
    )]
    pub fn broadcast_user_event(&mut self, event: &Value) -> Pending<u32> {
        let (facade, lent) = used(self, "broadcast_user_event");
        facade.routed += 1;
        let context = &facade.context;
        let stamp = UserScopedWebSocketEventRouter::stamp(context);
        let stamp = contract::Context { thread: Some(context.thread()), ..stamp };
        event_router::broadcast(lent, context.user(), stamp, event)
    }

    /// Names of the user's connections that are not idle, in the order in which they were opened.
    #[deprecated(since = "0.1.0", note = "use `router::UserHandle::connections`")]
    pub fn get_user_connections(&mut self) -> Vec<String> {
        let (facade, lent) = used(self, "get_user_connections");
        event_router::names(lent, facade.context.user())
    }

    /// Closes every idle connection, other users' too: there is one registry. Answers how many those were.
    #[deprecated(since = "0.1.0", note = "hand `router::Input::SweepIdle` to `router::Router::handle`")]
    pub fn cleanup_stale_connections(&mut self) -> u32 {
        let (_, lent) = used(self, "cleanup_stale_connections");
        event_router::sweep(lent)
    }

    /// Whether the connection of that name is the user's.
    #[deprecated(since = "0.1.0", note = "use `router::UserHandle::owns`")]
    pub fn validate_user_access(&mut self, connection_id: &str) -> bool {
        let (facade, lent) = used(self, "validate_user_access");
        let handle = lent.router.for_user(facade.context.user(), contract::Context::default());
        lent.router.connection_named(connection_id).is_some_and(|conn| handle.owns(conn))
    }

    /// The user's connections under the old keys.
    #[deprecated(since = "0.1.0", note = "use `router::UserHandle::connections`")]
    pub fn get_router_stats(&mut self) -> Value {
        let (facade, lent) = used(self, "get_router_stats");
        let context = &facade.context;
        let user = &**context.user();
        let handle = lent.router.for_user(user, contract::Context::default());
        let (all, active) =
            (handle.connections(lent.now, false).len(), handle.connections(lent.now, true).len());
        let prefix: String = user.chars().take(8).collect();
        json!({
            "total_users": usize::from(all > 0),
            "total_connections": all,
            "active_connections": active,
            "connections_per_user": if all > 0 { json!({ user: all }) } else { json!({}) },
            "user_id_prefix": format!("{prefix}..."),
            "isolation_key": format!("event_router:{user}:{}", context.request()),
            "registry_routing_count": facade.routed,
            "compat_uses": facade.uses.json(),
        })
    }
}
