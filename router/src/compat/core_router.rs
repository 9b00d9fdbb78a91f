//! `CoreRouter`: messages between services.

use alloc::{sync::Arc, vec::Vec};

use serde_json::{Value, json};

use super::{
    Over, Uses,
    lent::{facade, used},
};
use crate::routes::{Dispatched, Envelope, Full, Middleware, Record, Refused, RouteHandler};

const METHODS: &[&str] =
    &["add_route", "add_middleware", "route_message", "start", "stop", "get_statistics", "message_history"];

/// The router of messages between services. Its own state is the count of its uses.
#[deprecated(since = "0.1.0", note = "use `router::Router`; `router::routes` tells how")]
#[derive(Clone, Debug)]
pub struct CoreRouter {
    uses: Uses,
}

facade!(CoreRouter);

impl CoreRouter {
    /// A facade; it may be made as often as one likes.
    #[deprecated(since = "0.1.0", note = "use `router::Router::new`, once per server")]
    pub fn new() -> Self {
        Self { uses: Uses::new("CoreRouter", METHODS) }
    }
}

impl Default for CoreRouter {
    fn default() -> Self {
        Self::new()
    }
}

impl Over<'_, '_, CoreRouter> {
    /// Adds a handler behind those that the key has. The pattern is an exact key.
    #[deprecated(since = "0.1.0", note = "use `router::Router::add_route`")]
    pub fn add_route(&mut self, pattern: &str, handler: Arc<dyn RouteHandler>) -> Result<(), Full> {
        let (_, lent) = used(self, "add_route");
        lent.router.add_route(pattern, handler)
    }

    /// Adds a middleware behind those that are there.
    #[deprecated(since = "0.1.0", note = "use `router::Router::add_middleware`")]
    pub fn add_middleware(&mut self, middleware: Arc<dyn Middleware>) -> Result<(), Full> {
        let (_, lent) = used(self, "add_middleware");
        lent.router.add_middleware(middleware)
    }

    /// The only success itself, or the list of successes; null when there was no route, when a middleware dropped the
    /// message, and when it was none. What looks alike here is told apart by the canonical answer.
    #[deprecated(
        since = "0.1.0",
        note = "use `router::Router::dispatch`, or `router::Router::dispatch_value` for a message in JSON"
    )]
    pub fn route_message(&mut self, message: Value) -> Value {
        let (_, lent) = used(self, "route_message");
        old_answer(lent.router.dispatch_value(lent.now, message))
    }

    /// Sets a figure; nothing depends on it.
    #[deprecated(since = "0.1.0", note = "use `router::Router::start`")]
    pub fn start(&mut self) {
        let (_, lent) = used(self, "start");
        lent.router.start();
    }

    /// Takes the figure back; nothing depends on it.
    #[deprecated(
        since = "0.1.0",
        note = "use `router::Router::stop`; the real stop is `router::Input::Drain`"
    )]
    pub fn stop(&mut self) {
        let (_, lent) = used(self, "stop");
        lent.router.stop();
    }

    /// The four old figures.
    #[deprecated(since = "0.1.0", note = "use `router::Router::dispatch_figures`")]
    pub fn get_statistics(&mut self) -> Value {
        let (facade, lent) = used(self, "get_statistics");
        let figures = lent.router.dispatch_figures();
        json!({
            "total_messages": figures.total_messages,
            "active_routes": figures.active_routes,
            "middleware_count": figures.middleware_count,
            "active": figures.active,
            "compat_uses": facade.uses.json(),
        })
    }

    /// The services' own messages as they were left, oldest first; bounded. Those of a user are not among them.
    #[deprecated(since = "0.1.0", note = "use `router::Router::history`")]
    pub fn message_history(&mut self) -> Vec<Envelope> {
        let (_, lent) = used(self, "message_history");
        lent.router.history(None).map(Record::left).cloned().collect()
    }
}

/// The bare value that the old router answered with.
fn old_answer(answer: Result<Dispatched, Refused>) -> Value {
    let Ok(Dispatched::Results(results)) = answer else { return Value::Null };
    let mut successes: Vec<Value> = results.into_iter().flatten().collect();
    match successes.len() {
        1 => successes.remove(0),
        _ => Value::Array(successes),
    }
}
