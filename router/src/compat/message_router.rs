//! `MessageRouter`: clients' messages and their handlers.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString as _},
    vec::Vec,
};

use serde_json::{Map, Value, json};

use super::{
    Over, Uses,
    lent::{facade, used},
};
use crate::{
    contract::{ConnId, Context, Input, Instant},
    handlers::{Figures, Handler, HandlerId, ReadyStatus, RegisterError},
};

const METHODS: &[&str] = &[
    "add_handler",
    "register_handler",
    "insert_handler",
    "remove_handler",
    "handlers",
    "get_handler_order",
    "route_message",
    "route_message_compat",
    "get_stats",
    "handler_status",
];

/// The primary router of clients' messages. Its own state is the count of its uses.
#[deprecated(since = "0.1.0", note = "use `router::Router`, one value per server")]
#[derive(Clone, Debug)]
pub struct MessageRouter {
    uses: Uses,
}

facade!(MessageRouter);

impl MessageRouter {
    /// A facade; it may be made as often as one likes.
    #[deprecated(since = "0.1.0", note = "use `router::Router::new`, once per server")]
    pub fn new() -> Self {
        Self { uses: Uses::new("MessageRouter", METHODS) }
    }
}

impl Default for MessageRouter {
    fn default() -> Self {
        Self::new()
    }
}

impl Over<'_, '_, MessageRouter> {
    /// Registers a handler behind the others; all of them come before the built-in ones.
    #[deprecated(since = "0.1.0", note = "use `router::Router::add_handler`")]
    pub fn add_handler(&mut self, handler: Box<dyn Handler>) -> Result<HandlerId, RegisterError> {
        let (_, lent) = used(self, "add_handler");
        lent.router.add_handler(handler)
    }

    /// The same under its other name.
    #[deprecated(since = "0.1.0", note = "use `router::Router::add_handler`")]
    pub fn register_handler(&mut self, handler: Box<dyn Handler>) -> Result<HandlerId, RegisterError> {
        let (_, lent) = used(self, "register_handler");
        lent.router.add_handler(handler)
    }

    /// Registers a handler before the one at `index`; a negative index counts from the end.
    #[deprecated(since = "0.1.0", note = "use `router::Router::insert_handler`; the index comes first there")]
    pub fn insert_handler(
        &mut self,
        handler: Box<dyn Handler>,
        index: i64,
    ) -> Result<HandlerId, RegisterError> {
        let (_, lent) = used(self, "insert_handler");
        lent.router.insert_handler(index, handler)
    }

    /// Takes a registration away; nothing happens when there is none.
    #[deprecated(
        since = "0.1.0",
        note = "use `router::Router::remove_handler`; a built-in handler is switched off by `router::Router::set_built_in`"
    )]
    pub fn remove_handler(&mut self, handler: HandlerId) {
        let (_, lent) = used(self, "remove_handler");
        lent.router.remove_handler(handler);
    }

    /// Names of all handlers in the order in which they are asked.
    #[deprecated(since = "0.1.0", note = "use `router::Router::handler_order`")]
    pub fn handlers(&mut self) -> Vec<String> {
        let (_, lent) = used(self, "handlers");
        lent.router.handler_order().map(|(_, name)| name.to_string()).collect()
    }

    /// The same, each with its place: `[0] name`.
    #[deprecated(since = "0.1.0", note = "use `router::Router::handler_order`")]
    pub fn get_handler_order(&mut self) -> Vec<String> {
        let (_, lent) = used(self, "get_handler_order");
        order(lent.router)
    }

    /// Routes a text frame of a user's connection. `false`: it was refused or its handler failed, and the client was told
    /// so; or the connection is not that user's, and nothing was done.
    #[deprecated(
        since = "0.1.0",
        note = "hand `router::Input::Text` to `router::Router::handle`; a connection knows its user"
    )]
    pub fn route_message(&mut self, user: &str, websocket: ConnId, raw: &str) -> bool {
        used(self, "route_message");
        self.route(user, websocket, raw)
    }

    /// The same for a message that was parsed already.
    #[deprecated(
        since = "0.1.0",
        note = "hand the text to `router::Router::handle` as `router::Input::Text`, unparsed"
    )]
    pub fn route_message_compat(&mut self, user: &str, websocket: ConnId, message: &Value) -> bool {
        used(self, "route_message_compat");
        self.route(user, websocket, &message.to_string())
    }

    /// Counters, handlers and readiness under the old keys. What the old router counted as an error of a handler and was
    /// an unfit message stands under `rejected`.
    #[deprecated(since = "0.1.0", note = "use `router::Router::stats` and `router::Router::handler_stats`")]
    pub fn get_stats(&mut self) -> Value {
        let (facade, lent) = used(self, "get_stats");
        let (router, now) = (&*lent.router, lent.now);
        let inbound = &router.stats().inbound;
        let types: Map<String, Value> =
            router.stats().by_kind().map(|(name, count)| (name.into(), count.into())).collect();
        let own: Map<String, Value> = router
            .handler_stats()
            .into_iter()
            .map(|handler| (handler.name, figures(&handler.figures)))
            .collect();
        json!({
            "messages_routed": inbound.routed,
            "unhandled_messages": inbound.unhandled,
            "handler_errors": inbound.handler_errors,
            "rejected": inbound.rejected,
            "message_types": types,
            "handler_stats": own,
            "handler_order": order(router),
            "handler_count": router.handler_order().count(),
            "handler_status": status(router, now),
            "compat_uses": facade.uses.json(),
        })
    }

    /// Whether the handlers are there that the router must have.
    #[deprecated(since = "0.1.0", note = "use `router::Router::readiness`")]
    pub fn handler_status(&mut self) -> Value {
        let (_, lent) = used(self, "handler_status");
        status(lent.router, lent.now)
    }

    fn route(&mut self, user: &str, conn: ConnId, text: &str) -> bool {
        if !self.lent.router.for_user(user, Context::default()).owns(conn) {
            return false;
        }
        // What is due counts before the message, and not as its outcome.
        self.lent.input(Input::Tick);
        let before = self.lent.router.stats().inbound;
        self.lent.input(Input::Text { conn, text });
        let after = self.lent.router.stats().inbound;
        let failed = |inbound: crate::stats::Inbound| inbound.handler_errors + inbound.rejected;
        after.received > before.received && failed(after) == failed(before)
    }
}

fn order(router: &crate::Router) -> Vec<String> {
    router.handler_order().enumerate().map(|(at, (_, name))| format!("[{at}] {name}")).collect()
}

fn status(router: &crate::Router, now: Instant) -> Value {
    let readiness = router.readiness(now);
    json!({
        "status": readiness.status.name(),
        "message": readiness.to_string(),
        "handler_count": readiness.handlers,
        "elapsed_seconds": seconds(readiness.elapsed_us),
        "grace_period_active": readiness.status == ReadyStatus::Initializing,
    })
}

/// A handler's own figures under the old keys.
fn figures(figures: &Figures) -> Value {
    let at = |at: Option<Instant>| at.map(|at| seconds(at.as_micros()));
    match figures {
        Figures::None => json!({ "status": "active" }),
        Figures::UserMessage(own) => {
            json!({"processed": own.processed, "errors": own.errors, "last_message_time": at(own.last_at)})
        }
        Figures::JsonRpc(own) => json!({
            "requests": own.requests,
            "responses": own.responses,
            "notifications": own.notifications,
            "errors": own.errors,
        }),
        Figures::Error(own) => {
            let types: Map<String, Value> =
                own.by_code.iter().map(|(code, count)| (code.to_string(), (*count).into())).collect();
            json!({"total_errors": own.total, "error_types": types, "last_error_time": at(own.last_at)})
        }
        Figures::Batch(own) => json!({
            "batches_created": own.batches,
            "messages_batched": own.batched,
            "pending_message_count": own.pending,
            "active_timers": own.timers,
        }),
        Figures::Own(text) => serde_json::from_str(text).unwrap_or_default(),
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
