//! The event router: a pool of connections with their users, and events for one of them or for all of a user's.
//!
//! Users, connections and threads are whatever values the callers passed. The pool knows no sockets: it sends through a
//! manager ([`Sink`]), which has a registry of its own.
//!
//! | switch | on | off |
//! |---|---|---|
//! | E1 | a connection may be registered twice | the second registration replaces the first |
//! | E2 | cleaning up deletes the id's owner, whoever that is | only if it is the user of the stale entry |
//! | E3 | idle time counts within its day | in full |
//! | E4 | a send counts as activity although it fails | only if it succeeds |
//! | E5 | a send goes to whoever has the id by then | the owner is asked once more before the write |
//! | E6 | to the thread that the event names, whoever is in it, once per connection | to the connection's own thread, if it is the user's alone, once |
//! | E7 | no user equals no owner | an id that is no text, or blank, is refused |
//! | E8 | the first manager of the process stays, even if it is none | a later one fills the place |
//! | E9 | the manager lacks what is looked up ([`super::manager`]) | it has it |
//! | E10 | broadcasts count what the manager counts, and fall back to the pool | they count frames, and there is one way |
//! | B5 | each broadcast makes a service | the router has one |
//!
//! An id that another user has can be taken over while E2 or E5 is on: without that, neither has anything to show.

mod pool;
mod process;
#[cfg(test)]
mod tests;

use std::{cell::RefCell, fmt, rc::Rc};

use serde_json::Value;

use super::{
    broadcast::Service,
    event_loop::{EventLoop, Lock},
    plain::{self, Raised},
    sink::{Message, Sink},
    {Hazard, Hazards},
};

pub use pool::{Entry, Pool, Stats};
pub use process::Process;

/// A place for a manager.
pub type Place = Rc<RefCell<Option<Rc<dyn Sink>>>>;

/// The router; a clone is another handle of the same one.
#[derive(Clone)]
pub struct EventRouter(Rc<Inner>);

struct Inner {
    hazards: Hazards,
    event_loop: EventLoop,
    sink: Place,
    pool: Rc<RefCell<Pool>>,
    lock: Lock,
    service: Service,
}

impl fmt::Debug for EventRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventRouter").field("pool", &self.0.pool.borrow()).finish_non_exhaustive()
    }
}

impl EventRouter {
    /// A router with a pool of its own.
    pub fn new(hazards: Hazards, event_loop: &EventLoop, sink: Option<Rc<dyn Sink>>) -> Self {
        Self::sharing(
            hazards,
            event_loop,
            Rc::new(RefCell::new(sink)),
            Rc::new(RefCell::new(Pool::new(hazards))),
        )
    }

    /// A router that shares its manager's place and its pool with others.
    pub fn sharing(hazards: Hazards, event_loop: &EventLoop, sink: Place, pool: Rc<RefCell<Pool>>) -> Self {
        let (lock, service) = (Lock::new(event_loop), Service::new(hazards));
        Self(Rc::new(Inner { hazards, event_loop: event_loop.clone(), sink, pool, lock, service }))
    }

    fn has(&self, hazard: Hazard) -> bool {
        self.0.hazards.has(hazard)
    }

    fn sink(&self) -> Option<Rc<dyn Sink>> {
        self.0.sink.borrow().clone()
    }

    /// Whether it has a manager.
    pub fn has_manager(&self) -> bool {
        self.0.sink.borrow().is_some()
    }

    /// The pool, for reading.
    pub fn pool(&self) -> std::cell::Ref<'_, Pool> {
        self.0.pool.borrow()
    }

    /// A connection of a user, in a thread; whether it was registered.
    ///
    /// # Errors
    /// `TypeError`: a user that is a map.
    pub async fn register_connection(
        &self,
        user: &Value,
        connection: &Value,
        thread: &Value,
    ) -> Result<bool, Raised> {
        let _guard = self.0.lock.acquire().await;
        if !self.may_be_id(user) || !self.may_be_id(connection) {
            return Ok(false);
        }
        if !plain::is_hashable(user) {
            // The error is caught, and named with the beginning of the id.
            return beginning(user).map(|()| false);
        }
        let now_us = self.0.event_loop.now_us();
        Ok(self.0.pool.borrow_mut().register(user, connection, thread, now_us))
    }

    /// A connection leaves; whether it was known.
    pub async fn unregister_connection(&self, connection: &Value) -> bool {
        let _guard = self.0.lock.acquire().await;
        self.0.pool.borrow_mut().unregister(connection)
    }

    fn may_be_id(&self, id: &Value) -> bool {
        self.has(Hazard::E7) || id.as_str().is_some_and(|id| !id.trim().is_empty())
    }

    /// Sends an event to a connection of a user: what the manager answered, false where it was not asked.
    ///
    /// # Errors
    /// `AttributeError`: the event is no map. `TypeError`: another's connection, and a user that has no beginning.
    pub async fn route_event(
        &self,
        user: &Value,
        connection: &Value,
        event: &Value,
    ) -> Result<Value, Raised> {
        if !self.may_be_id(user) {
            return Ok(false.into());
        }
        let owned = self.0.pool.borrow().owner(connection) == Some(user)
            || (user.is_null() && plain::is_hashable(connection) && self.0.pool.borrow().is_free(connection));
        if !owned {
            return beginning(user).map(|()| false.into());
        }
        let now_us = || self.0.event_loop.now_us();
        if self.has(Hazard::E4) {
            self.0.pool.borrow_mut().touch(user, connection, now_us());
        }
        let Some(sink) = self.sink() else { return Ok(false.into()) };
        let Value::Object(message) = event else { return Err(Raised::no_attribute(event, "get")) };
        let answer = self.send(&*sink, user, connection, message).await;
        if !self.has(Hazard::E4) && plain::is_truthy(&answer) {
            self.0.pool.borrow_mut().touch(user, connection, now_us());
        }
        Ok(answer)
    }

    async fn send(&self, sink: &dyn Sink, user: &Value, connection: &Value, event: &Message) -> Value {
        let meant = self.0.pool.borrow().registration(user, connection);
        let still = || self.has(Hazard::E5) || self.0.pool.borrow().registration(user, connection) == meant;
        if let Some(answer) = sink.send_to_connection(connection, event, &still) {
            return answer.await.unwrap_or(Value::Bool(false));
        }
        let Some(thread) = self.thread_of(user, connection, event) else { return false.into() };
        match sink.send_message_to_thread(&thread, event) {
            Some(answer) => answer.await.unwrap_or(Value::Bool(false)),
            None => false.into(),
        }
    }

    /// The thread that an event for a connection goes to.
    fn thread_of(&self, user: &Value, connection: &Value, event: &Message) -> Option<Value> {
        let pool = self.0.pool.borrow();
        if self.has(Hazard::E6) {
            let named = event.get("thread_id").filter(|thread| plain::is_truthy(thread));
            return named.cloned().or_else(|| pool.thread(user, connection));
        }
        pool.thread(user, connection).filter(|thread| pool.is_alone_in(user, thread))
    }

    /// Sends an event to all of a user's connections: how many sends count as successful.
    ///
    /// # Errors
    /// What neither the service nor the pool takes.
    pub async fn broadcast_to_user(&self, user: &Value, event: &Value) -> Result<usize, Raised> {
        let Some(sink) = self.sink() else { return Ok(0) };
        let made = Service::new(self.0.hazards);
        let service = if self.has(Hazard::B5) { &made } else { &self.0.service };
        match service.broadcast_to_user(&*sink, user, event).await {
            Ok(outcome) if self.has(Hazard::E10) => Ok(outcome.sends),
            Ok(outcome) => Ok(outcome.written.written),
            Err(raised) if self.has(Hazard::E10) => {
                drop(raised);
                beginning(user)?;
                self.pool_broadcast(user, event).await
            }
            Err(raised) => Err(raised),
        }
    }

    /// Sends an event to each entry that the pool has for a user: how many were sent.
    ///
    /// # Errors
    /// `TypeError`: a user that is no text. `AttributeError`: the event is no map.
    pub async fn pool_broadcast(&self, user: &Value, event: &Value) -> Result<usize, Raised> {
        if !plain::is_hashable(user) {
            return Err(Raised::unhashable(user));
        }
        // The list itself is walked: who registers meanwhile is on it.
        let entries = self.0.pool.borrow().entries(user);
        let (mut sent, mut next, mut threads) = (0, 0, Vec::new());
        loop {
            let Some(Entry { connection, thread, .. }) = entries.borrow().get(next).cloned() else { break };
            next += 1;
            if !self.has(Hazard::E6) && self.goes_to_threads() {
                if threads.contains(&thread) {
                    continue;
                }
                threads.push(thread);
            }
            sent += usize::from(plain::is_truthy(&self.route_event(user, &connection, event).await?));
        }
        beginning(user)?;
        Ok(sent)
    }

    /// Whether the manager can send to threads only.
    fn goes_to_threads(&self) -> bool {
        let nothing = Message::new();
        self.sink().is_some_and(|sink| sink.send_to_connection(&Value::Null, &nothing, &|| false).is_none())
    }

    /// Connections of a user that are not idle.
    ///
    /// # Errors
    /// `TypeError`: a user that is a list or a map.
    pub fn get_user_connections(&self, user: &Value) -> Result<Vec<Value>, Raised> {
        if !plain::is_hashable(user) {
            return Err(Raised::unhashable(user));
        }
        Ok(self.0.pool.borrow().active(user, self.0.event_loop.now_us()))
    }

    /// Removes idle connections: how many there were.
    pub async fn cleanup_stale_connections(&self) -> usize {
        let _guard = self.0.lock.acquire().await;
        self.0.pool.borrow_mut().cleanup(self.0.event_loop.now_us())
    }

    /// Counts of the pool.
    pub fn get_stats(&self) -> Stats {
        self.0.pool.borrow().stats(self.0.event_loop.now_us())
    }

    /// What the router's own service counted; with B5 on it is never asked.
    pub fn service(&self) -> &Service {
        &self.0.service
    }
}

/// Log lines named users by the first eight characters of their id: what is no text or list cannot be cut.
pub(super) fn beginning(user: &Value) -> Result<(), Raised> {
    match user {
        Value::String(_) | Value::Array(_) => Ok(()),
        Value::Object(_) => Err(Raised::new("TypeError", "unhashable type: 'slice'")),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let text = format!("'{}' object is not subscriptable", plain::type_name(user));
            Err(Raised::new("TypeError", text))
        }
    }
}
