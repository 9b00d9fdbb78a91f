//! What a host asks of a router besides routing: registering, figures, readiness.

use super::{
    BuiltIn, CRITICAL, Conn, Counters, Found, Handler, HandlerId, MessageRouter, Owner, Snapshot,
    figures::Readiness,
    handlers::{agent::BRIDGED, agent_message::Bridge},
    task::SECOND_US,
};
use crate::legacy::{
    Hazard,
    message_types::MessageType,
    python::{Dict, Raised, Value, number},
};

impl MessageRouter {
    /// Registers a handler behind all others of the host.
    pub fn add_handler(&mut self, handler: Box<dyn Handler>) -> HandlerId {
        self.registry.add(handler, None)
    }

    /// Registers a handler at a place among those of the host.
    pub fn insert_handler(&mut self, index: i64, handler: Box<dyn Handler>) -> HandlerId {
        self.registry.insert(index, handler)
    }

    /// Registers a handler once more; false if it is not registered.
    pub fn add_again(&mut self, index: Option<i64>, id: HandlerId) -> bool {
        self.registry.again(index, id)
    }

    /// Registers the bridge of a connection, as the endpoint did for each.
    pub fn register_bridge(&mut self, conn: Conn, user: &str) -> HandlerId {
        let bridge = Bridge::of(user, &BRIDGED, self.hazards);
        self.add_owned(Owner { user: user.to_owned(), conn }, Box::new(bridge))
    }

    /// Registers a handler for one user, by one of its connections.
    pub fn add_owned(&mut self, owner: Owner, handler: Box<dyn Handler>) -> HandlerId {
        self.registry.add(handler, Some(owner))
    }

    /// Takes a handler out, the first of several entries.
    pub fn remove_handler(&mut self, id: HandlerId) {
        self.registry.remove(id);
    }

    /// Takes a built-in handler out for everybody.
    ///
    /// # Errors
    /// Without H27 that is refused.
    pub fn remove_built_in(&mut self, which: BuiltIn) -> Result<(), Raised> {
        if !self.hazards.has(Hazard::H27) {
            return Err(Raised::value("a built-in handler is not the caller's to remove"));
        }
        self.registry.remove_built_in(which);
        Ok(())
    }

    /// A router without built-in handlers, made by its host on purpose.
    pub fn clear_built_ins(&mut self) {
        BuiltIn::REGISTERED.into_iter().for_each(|which| self.registry.remove_built_in(which));
    }

    /// A connection is gone.
    pub fn connection_closed(&mut self, conn: Conn) {
        self.registry.closed(conn, self.hazards);
        self.built_ins.closed(conn, self.hazards);
    }

    /// A user has no connection any more.
    pub fn user_gone(&mut self, user: &str) {
        self.by_user.remove(user);
    }

    /// Who handles a type, whoever sends it.
    pub fn find_handler(&mut self, kind: MessageType) -> Option<Found> {
        self.registry.find(kind, None, self.hazards)
    }

    /// All handlers in order, with their names.
    pub fn handlers(&self) -> impl Iterator<Item = (Found, &str)> {
        self.registry.order()
    }

    /// Entries that are kept by user, by error text or by socket.
    pub fn entries(&self) -> usize {
        self.built_ins.entries()
    }

    /// What was counted.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What was counted of one user. H25: what was counted of everybody.
    pub fn counters_of(&self, user: &str) -> Counters {
        if self.hazards.has(Hazard::H25) {
            return self.counters.clone();
        }
        self.by_user.get(user).cloned().unwrap_or_default()
    }

    /// A look at the statistics.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { taken: self.counters.clone(), hazards: self.hazards }
    }

    /// A built-in handler's own figures.
    pub fn figures(&self, which: BuiltIn) -> Option<Value> {
        self.built_ins.figures(which)
    }

    /// Sets how long there may be no handlers, in seconds.
    pub fn set_grace(&mut self, seconds: Value) {
        self.grace = seconds;
    }

    /// The wall clock was set by so many microseconds.
    pub const fn clock_stepped(&mut self, by_us: i64) {
        self.wall_us += by_us;
    }

    /// Whether it is ready. H25: by the wall clock.
    pub fn readiness(&mut self, now_us: u64) -> Value {
        let hazards = self.hazards;
        let lacking = CRITICAL.iter().any(|kind| self.registry.find(*kind, None, hazards).is_none());
        let wall_us = if hazards.has(Hazard::H25) { self.wall_us } else { 0 };
        let grace = number::float_of(&self.grace).unwrap_or_default();
        let (now, started) = (now_us as i64 + wall_us, self.started_us as i64);
        let readiness = Readiness {
            elapsed_us: now - started,
            elapsed: now as f64 / 1e6 - started as f64 / 1e6,
            grace: &self.grace,
            grace_us: (grace * SECOND_US as f64) as i64,
            handlers: self.registry.order().map(|(_, name)| name).collect(),
            lacking,
        };
        readiness.value(hazards)
    }

    /// All statistics. H24: by a handler's name, so that of two with one name the last is seen.
    pub fn statistics(&mut self, now_us: u64) -> Value {
        let readiness = self.readiness(now_us);
        let mut by_name = Dict::default();
        let mut order = Vec::new();
        for (n, (found, name)) in self.registry.order().enumerate() {
            let own = match found {
                Found::Custom(id) => self.registry.figures(id),
                Found::BuiltIn(which) => self.built_ins.figures(which),
            };
            let figures = own.unwrap_or_else(|| Value::dict([("status", "active".into())]));
            let twin = by_name.has(name) && !self.hazards.has(Hazard::H24);
            by_name.set(if twin { format!("{name} [{n}]") } else { name.to_owned() }, figures);
            order.push(Value::from(format!("[{n}] {name}")));
        }
        let mut statistics = self.counters.value();
        statistics.set("handler_stats", by_name);
        statistics.set("handler_count", order.len() as i64);
        statistics.set("handler_order", Value::List(order));
        statistics.set("handler_status", readiness);
        statistics.into()
    }
}
