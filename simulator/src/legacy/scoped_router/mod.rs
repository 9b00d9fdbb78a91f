//! The router of one request of one user, and the factory that made them.
//!
//! | switch | on | off |
//! |---|---|---|
//! | S1 | checking access takes the router's lock twice | the owner is looked up |
//! | S2 | each request has a pool of its own | all requests of a user share one, as long as one of their routers lives |
//! | S3 | the factory holds a router only while somebody else does | it holds it until it expires |
//! | S4 | a router expires by its age, in use or not | by the time since its last use, if it has no connection |
//! | S5 | a router keeps the manager that the factory had when it was made | it has the factory's |
//! | S6 | a sweep walks the factory's table across pauses | it walks a copy |
//! | S7 | a router's lock is held while it sends | for its own figures only |
//! | B6 | the function for a whole user makes a manager, which is refused | it uses the factory's router |

mod factory;
#[cfg(test)]
mod tests;

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
};

use serde_json::Value;

pub use factory::{Factory, FactoryStats};

use super::{
    broadcast::Service,
    event_loop::{EventLoop, Guard, Lock},
    event_router::{EventRouter, Place, Pool, Stats},
    plain::Raised,
    sink::Message,
    {Hazard, Hazards},
};

/// For whom, and in which request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestContext {
    /// The user.
    pub user: String,
    /// The request.
    pub request: String,
    /// The thread that it is about.
    pub thread: String,
}

impl RequestContext {
    /// By what the factory knows a router.
    pub fn isolation_key(&self) -> String {
        format!("event_router:{}:{}", self.user, self.request)
    }
}

/// The router; a clone is another reference to the same one.
#[derive(Clone)]
pub struct ScopedRouter(Rc<Inner>);

struct Inner {
    hazards: Hazards,
    event_loop: EventLoop,
    context: RequestContext,
    router: EventRouter,
    sink: Place,
    lock: Lock,
    routings: Cell<u64>,
    created_us: u64,
    accessed_us: Cell<u64>,
}

impl fmt::Debug for ScopedRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedRouter").field("context", &self.0.context).finish_non_exhaustive()
    }
}

impl PartialEq for ScopedRouter {
    /// The same object.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

/// Figures of a router.
#[derive(Clone, Debug, PartialEq)]
pub struct RouterStats {
    /// Counts of its pool.
    pub pool: Stats,
    /// Calls that route or broadcast.
    pub routings: u64,
    /// Time since it was made, in microseconds.
    pub age_us: u64,
}

impl ScopedRouter {
    fn new(
        hazards: Hazards,
        event_loop: &EventLoop,
        context: RequestContext,
        sink: Place,
        pool: Rc<RefCell<Pool>>,
    ) -> Self {
        let now_us = event_loop.now_us();
        Self(Rc::new(Inner {
            hazards,
            event_loop: event_loop.clone(),
            router: EventRouter::sharing(hazards, event_loop, Rc::clone(&sink), pool),
            context,
            sink,
            lock: Lock::new(event_loop),
            routings: Cell::new(0),
            created_us: now_us,
            accessed_us: Cell::new(now_us),
        }))
    }

    /// Takes the lock and notes the access. The lock is held as long as what is returned.
    async fn enter(&self) -> Option<Guard> {
        let guard = self.0.lock.acquire().await;
        self.0.accessed_us.set(self.0.event_loop.now_us());
        self.0.hazards.has(Hazard::S7).then_some(guard)
    }

    fn user(&self) -> Value {
        self.0.context.user.as_str().into()
    }

    /// Whom and what it was made for.
    pub fn context(&self) -> &RequestContext {
        &self.0.context
    }

    /// The router within.
    pub fn router(&self) -> &EventRouter {
        &self.0.router
    }

    /// Calls that route or broadcast.
    pub fn routings(&self) -> u64 {
        self.0.routings.get()
    }

    /// Time since the last call, in microseconds.
    pub fn unused_us(&self) -> u64 {
        self.0.event_loop.now_us() - self.0.accessed_us.get()
    }

    /// Whether it has expired, at this age in microseconds.
    pub fn is_expired(&self, age_max_us: u64) -> bool {
        if self.0.hazards.has(Hazard::S4) {
            return self.0.event_loop.now_us() - self.0.created_us > age_max_us;
        }
        self.unused_us() > age_max_us && self.0.router.pool().owners().is_empty()
    }

    /// A connection of the user; whether it was registered.
    ///
    /// # Errors
    /// As [`EventRouter::register_connection`].
    pub async fn register_connection(&self, connection: &Value, thread: &Value) -> Result<bool, Raised> {
        let _guard = self.enter().await;
        self.0.router.register_connection(&self.user(), connection, thread).await
    }

    /// A connection leaves; whether it was known.
    pub async fn unregister_connection(&self, connection: &Value) -> bool {
        let _guard = self.enter().await;
        self.0.router.unregister_connection(connection).await
    }

    /// Sends an event, with the ids of user and request, to a connection.
    ///
    /// # Errors
    /// `AttributeError`: the event is no map.
    pub async fn route_event(&self, connection: &Value, event: &Value) -> Result<Value, Raised> {
        let _guard = self.enter().await;
        self.0.routings.set(self.0.routings.get() + 1);
        let attribute = if event.is_array() { "update" } else { "copy" };
        let stamped = self.stamped(event, attribute)?;
        self.0.router.route_event(&self.user(), connection, &stamped).await
    }

    fn stamped(&self, event: &Value, attribute: &str) -> Result<Value, Raised> {
        let Value::Object(event) = event else { return Err(Raised::no_attribute(event, attribute)) };
        let mut event: Message = event.clone();
        event.insert("user_id".to_owned(), self.user());
        event.insert("request_id".to_owned(), self.0.context.request.as_str().into());
        Ok(Value::Object(event))
    }

    /// Sends an event, with the ids of user and request, to all of the user's connections: how many sends count as
    /// successful.
    ///
    /// # Errors
    /// `AttributeError`: the event is no map.
    pub async fn broadcast_to_user(&self, event: &Value) -> Result<usize, Raised> {
        let _guard = self.enter().await;
        self.0.routings.set(self.0.routings.get() + 1);
        let Some(sink) = self.0.sink.borrow().clone() else { return Ok(0) };
        let stamped = self.stamped(event, "get")?;
        if !self.0.hazards.has(Hazard::E10) || !self.0.hazards.has(Hazard::B5) {
            // The router within has the one service, and reports what it really did.
            return self.0.router.broadcast_to_user(&self.user(), &stamped).await;
        }
        let service = Service::new(self.0.hazards);
        match service.broadcast_to_user(&*sink, &self.user(), &stamped).await {
            Ok(outcome) => Ok(outcome.sends),
            Err(_) => self.0.router.broadcast_to_user(&self.user(), &stamped).await,
        }
    }

    /// Connections of the user that are not idle.
    ///
    /// # Errors
    /// As [`EventRouter::get_user_connections`].
    pub async fn get_user_connections(&self) -> Result<Vec<Value>, Raised> {
        let _guard = self.enter().await;
        self.0.router.get_user_connections(&self.user())
    }

    /// Removes idle connections: how many there were.
    pub async fn cleanup_stale_connections(&self) -> usize {
        let _guard = self.enter().await;
        self.0.router.cleanup_stale_connections().await
    }

    /// Whether a connection is the user's.
    pub async fn validate_user_access(&self, connection: &Value) -> bool {
        let owns = || self.0.router.pool().owner(connection) == Some(&self.user());
        if !self.0.hazards.has(Hazard::S1) {
            return owns();
        }
        let _guard = self.0.lock.acquire().await;
        // It asks another call of its own, which begins with the lock.
        let _again = self.0.lock.acquire().await;
        owns()
    }

    /// Figures.
    pub async fn get_router_stats(&self) -> RouterStats {
        let _guard = self.0.lock.acquire().await;
        RouterStats {
            pool: self.0.router.get_stats(),
            routings: self.routings(),
            age_us: self.0.event_loop.now_us() - self.0.created_us,
        }
    }
}
