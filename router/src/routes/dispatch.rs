//! Dispatching: the router's own part, before and after the way through the pipeline.

use alloc::{string::String, sync::Arc};
use core::fmt;

use serde_json::Value;

use super::{
    Dispatched, Envelope, Middleware, NotAMessage, Pipeline, Record, RouteHandler, history::Histories,
};
use crate::{
    audience::{Audience, UserRef},
    config::{Config, ConfigError},
    contract::Instant,
    error::ErrorCode,
    router::Router,
};

/// What a router has for messages between services. Empty, it owns no memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    /// Shared with messages under way, hence replaced rather than changed while there are any.
    pipeline: Arc<Pipeline>,
    histories: Histories,
    active: bool,
}

impl Routes {
    /// How many users have a history.
    pub(crate) fn histories_len(&self) -> usize {
        self.histories.users_len()
    }

    /// Recounts; answers how many records there are.
    pub(crate) fn verify(&self, audience: &Audience, config: &Config) -> Result<u64, String> {
        self.histories.verify(audience, config)
    }
}

/// A table that is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// The limit's field in [`Config`].
    pub limit: &'static str,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no room: limit `{}`", self.limit)
    }
}

impl core::error::Error for Full {}

impl From<Full> for ConfigError {
    fn from(full: Full) -> Self {
        Self { field: full.limit, expected: "room for everything that is installed" }
    }
}

/// Why a message was not dispatched. It is in no history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no message.
    NotAMessage(NotAMessage),
    /// The router drains.
    ShuttingDown,
}

impl Refused {
    /// The stable code for it.
    pub const fn code(self) -> ErrorCode {
        match self {
            Refused::NotAMessage(error) => error.code(),
            Refused::ShuttingDown => ErrorCode::ShuttingDown,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NotAMessage(error) => error.fmt(f),
            Refused::ShuttingDown => f.write_str("the router is shutting down"),
        }
    }
}

impl core::error::Error for Refused {}

/// Four figures under the names that the routers before this one had for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages handed in, those included that were refused, dropped or led nowhere.
    pub total_messages: u64,
    /// Keys with a handler.
    pub active_routes: usize,
    /// Middleware installed.
    pub middleware_count: usize,
    /// Set by [`Router::start`] and [`Router::stop`]; decides about nothing.
    pub active: bool,
}

/// A message that was accepted. It holds the pipeline as it is now: what is installed later does not touch it.
#[derive(Debug)]
#[must_use = "the message goes nowhere until it is run"]
pub struct Started {
    pipeline: Arc<Pipeline>,
    received: Arc<Envelope>,
}

impl Started {
    /// Takes the message through middleware and handlers. Needs no router: a host that guards its router with a lock
    /// does this outside of it.
    pub fn run(self) -> Finished {
        let (outcome, draft) = self.pipeline.run(&self.received);
        let left = draft.left(&self.received);
        Finished { received: self.received, left, outcome }
    }
}

/// A message that took its way; the router has yet to hear of it.
#[derive(Debug)]
#[must_use = "the router counts it in `end_dispatch`"]
pub struct Finished {
    received: Arc<Envelope>,
    left: Option<Arc<Envelope>>,
    outcome: Dispatched,
}

impl Router {
    /// Adds a handler behind those that the key has. Nothing is changed when there is no room for it.
    pub fn add_route(&mut self, key: &str, handler: Arc<dyn RouteHandler>) -> Result<(), Full> {
        let pipeline = &*self.routes.pipeline;
        match pipeline.handlers_at(key) {
            0 if pipeline.routes().len() >= self.config.routes_max as usize => {
                return Err(Full { limit: "routes_max" });
            }
            there if there >= self.config.route_handlers_max as usize => {
                return Err(Full { limit: "route_handlers_max" });
            }
            _ => {}
        }
        Arc::make_mut(&mut self.routes.pipeline).add_route(key, handler);
        Ok(())
    }

    /// Removes a key with all its handlers; answers how many those were.
    pub fn remove_route(&mut self, key: &str) -> usize {
        match self.routes.pipeline.handlers_at(key) {
            0 => 0,
            _ => Arc::make_mut(&mut self.routes.pipeline).remove_route(key),
        }
    }

    /// Adds a middleware behind those that are there. Nothing is changed when there is no room for it.
    pub fn add_middleware(&mut self, middleware: Arc<dyn Middleware>) -> Result<(), Full> {
        if self.routes.pipeline.middleware().len() >= self.config.middleware_max as usize {
            return Err(Full { limit: "middleware_max" });
        }
        Arc::make_mut(&mut self.routes.pipeline).add_middleware(middleware);
        Ok(())
    }

    /// What is installed.
    pub fn pipeline(&self) -> &Pipeline {
        &self.routes.pipeline
    }

    /// Takes a message through middleware and handlers; see [`routes`](crate::routes) for the order of steps.
    pub fn dispatch(&mut self, now: Instant, message: Envelope) -> Result<Dispatched, Refused> {
        let finished = self.begin_dispatch(message)?.run();
        Ok(self.end_dispatch(now, finished))
    }

    /// The same for a message in JSON; a value that is none is refused and counted.
    pub fn dispatch_value(&mut self, now: Instant, message: Value) -> Result<Dispatched, Refused> {
        match Envelope::from_value(message) {
            Ok(message) => self.dispatch(now, message),
            Err(error) => Err(self.refuse_dispatch(Refused::NotAMessage(error))),
        }
    }

    /// The first third of [`dispatch`](Self::dispatch): accepts the message or refuses it.
    pub fn begin_dispatch(&mut self, message: Envelope) -> Result<Started, Refused> {
        if self.is_draining() {
            return Err(self.refuse_dispatch(Refused::ShuttingDown));
        }
        Ok(Started { pipeline: Arc::clone(&self.routes.pipeline), received: Arc::new(message) })
    }

    /// The last third of [`dispatch`](Self::dispatch): counts the message and keeps it in the history.
    pub fn end_dispatch(&mut self, now: Instant, finished: Finished) -> Dispatched {
        let Finished { received, left, outcome } = finished;
        let counts = &mut self.stats.dispatches;
        counts.offered += 1;
        match &outcome {
            Dispatched::Dropped { .. } => counts.dropped += 1,
            Dispatched::Unrouted { .. } => counts.unrouted += 1,
            Dispatched::Results(results) => {
                counts.routed += 1;
                let failed = results.iter().filter(|result| result.is_err()).count() as u64;
                counts.calls_failed += failed;
                counts.calls += results.len() as u64;
            }
        }
        let user = match received.user.as_deref() {
            None => Some(None),
            // Of whom the router does not know, nothing is kept: there would be no moment to forget it.
            Some(user) => self.audience.find(user).map(Some),
        };
        let forgotten = match user {
            Some(user) => {
                let record = Record::new(self.now.max(now), received, left);
                self.routes.histories.push(user, record, &self.config)
            }
            None => 1,
        };
        let counts = &mut self.stats.dispatches;
        counts.kept = counts.kept + 1 - forgotten;
        counts.forgotten += forgotten;
        outcome
    }

    /// Messages dispatched for a user, or with `None` for the services themselves; oldest first.
    pub fn history(&self, user: Option<&str>) -> impl DoubleEndedIterator<Item = &Record> {
        let whose = match user {
            None => Some(None),
            Some(user) => self.audience.find(user).map(Some),
        };
        whose.into_iter().flat_map(|whose| self.routes.histories.of(whose))
    }

    /// Sets the figure `active`. Nothing depends on it; see [`routes`](crate::routes).
    pub const fn start(&mut self) {
        self.routes.active = true;
    }

    /// Takes the figure `active` back. Nothing depends on it: the real stop is
    /// [`Input::Drain`](crate::Input::Drain).
    pub const fn stop(&mut self) {
        self.routes.active = false;
    }

    /// Figures on messages between services.
    pub fn dispatch_figures(&self) -> Figures {
        let pipeline = self.pipeline();
        Figures {
            total_messages: self.stats.dispatches.offered,
            active_routes: pipeline.routes().len(),
            middleware_count: pipeline.middleware().len(),
            active: self.routes.active,
        }
    }

    /// The user is about to leave the router, and its history with it.
    pub(crate) fn forget_dispatches(&mut self, user: UserRef) {
        let forgotten = self.routes.histories.forget(user);
        self.stats.dispatches.kept -= forgotten;
        self.stats.dispatches.forgotten += forgotten;
    }

    fn refuse_dispatch(&mut self, refused: Refused) -> Refused {
        self.stats.dispatches.offered += 1;
        self.stats.dispatches.refused += 1;
        refused
    }
}
