//! Middleware and routes, and what becomes of a message on its way through them.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString as _},
    sync::Arc,
    vec::Vec,
};
use core::fmt;

use serde_json::Value;

use super::{Draft, Envelope};

/// Why a handler or a middleware failed: for the log and the caller, not for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

impl Failure {
    /// A failure with its reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Failure {}

/// Takes the messages of a route. Functions of that form are handlers, too; they have no name.
///
/// A handler does its work at once, without waiting, and from the message alone: equal messages, equal answers. It
/// has no way to the router, so it cannot dispatch in its turn. Work that takes time belongs to an agent or a tool.
pub trait RouteHandler: Send + Sync {
    /// What reports call it.
    fn name(&self) -> Option<&str> {
        None
    }

    /// Handles a message. What it amends is seen by the handlers after it, unless it fails.
    fn handle(&self, message: &mut Draft) -> Result<Value, Failure>;
}

impl<F> RouteHandler for F
where
    F: Fn(&mut Draft) -> Result<Value, Failure> + Send + Sync,
{
    fn handle(&self, message: &mut Draft) -> Result<Value, Failure> {
        self(message)
    }
}

/// Sees every message before its route is looked up. Functions of that form are middleware, too, without a name.
///
/// The same rules hold as for a [`RouteHandler`].
pub trait Middleware: Send + Sync {
    /// What reports call it.
    fn name(&self) -> Option<&str> {
        None
    }

    /// Says what becomes of the message. A failure drops it.
    fn pass(&self, message: &mut Draft) -> Result<Verdict, Failure>;
}

impl<F> Middleware for F
where
    F: Fn(&mut Draft) -> Result<Verdict, Failure> + Send + Sync,
{
    fn pass(&self, message: &mut Draft) -> Result<Verdict, Failure> {
        self(message)
    }
}

/// What middleware says of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It goes on, with what was amended.
    Pass,
    /// It goes on to another route.
    Redirect(Arc<str>),
    /// Another message goes on in its place. It must be for the same user.
    Replace(Envelope),
    /// It ends here.
    Drop,
}

/// Who did something: position in the order of installation, and a name if there is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Position, from 0.
    pub index: usize,
    /// Its name.
    pub name: Option<String>,
}

impl Place {
    fn new(index: usize, name: Option<&str>) -> Self {
        Self { index, name: name.map(String::from) }
    }
}

/// What became of a message that was dispatched.
#[derive(Clone, Debug, PartialEq)]
pub enum Dispatched {
    /// A middleware ended it; later ones and the route did not see it.
    Dropped {
        /// Which.
        by: Place,
        /// Why.
        why: DropReason,
    },
    /// Nobody listens at its destination.
    Unrouted {
        /// The destination after all middleware.
        destination: Option<Arc<str>>,
    },
    /// One answer per handler of the route, in their order. One that failed keeps its place.
    Results(Vec<Result<Value, HandlerFailed>>),
}

/// Why a middleware ended a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// It decided so.
    Decided,
    /// It failed.
    Failed(Failure),
    /// It would have put a message for another user in place.
    ForeignUser,
}

/// A handler that failed; the others ran nevertheless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerFailed {
    /// Which, in the order of its route.
    pub handler: Place,
    /// Why.
    pub failure: Failure,
}

impl fmt::Display for HandlerFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { handler, failure } = self;
        match &handler.name {
            Some(name) => write!(f, "handler {} ({name}): {failure}", handler.index),
            None => write!(f, "handler {}: {failure}", handler.index),
        }
    }
}

impl core::error::Error for HandlerFailed {}

/// Middleware and routes. A clone is cheap enough to be taken at each change, and never changes under a message.
#[derive(Clone, Default)]
pub struct Pipeline {
    middleware: Vec<Arc<dyn Middleware>>,
    routes: BTreeMap<Arc<str>, Vec<Arc<dyn RouteHandler>>>,
}

impl Pipeline {
    /// Names of the middleware, in order.
    pub fn middleware(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        self.middleware.iter().map(|middleware| middleware.name())
    }

    /// Keys of the routes, sorted, each with the names of its handlers in order.
    pub fn routes(&self) -> impl ExactSizeIterator<Item = (&str, Vec<Option<&str>>)> {
        self.routes
            .iter()
            .map(|(key, handlers)| (&**key, handlers.iter().map(|handler| handler.name()).collect()))
    }

    pub(super) fn handlers_at(&self, key: &str) -> usize {
        self.routes.get(key).map_or(0, Vec::len)
    }

    pub(super) fn add_route(&mut self, key: &str, handler: Arc<dyn RouteHandler>) {
        match self.routes.get_mut(key) {
            Some(handlers) => handlers.push(handler),
            None => {
                self.routes.insert(key.into(), Vec::from([handler]));
            }
        }
    }

    pub(super) fn remove_route(&mut self, key: &str) -> usize {
        self.routes.remove(key).map_or(0, |handlers| handlers.len())
    }

    pub(super) fn add_middleware(&mut self, middleware: Arc<dyn Middleware>) {
        self.middleware.push(middleware);
    }

    /// Takes a message through: middleware in order, then the handlers of the route in order.
    pub(super) fn run(&self, received: &Arc<Envelope>) -> (Dispatched, Draft) {
        let mut draft = Draft::new(Arc::clone(received));
        for (index, middleware) in self.middleware.iter().enumerate() {
            let before = draft.clone();
            let why = match middleware.pass(&mut draft) {
                Ok(Verdict::Pass) => continue,
                Ok(Verdict::Redirect(destination)) => {
                    draft.redirect(destination);
                    continue;
                }
                Ok(Verdict::Replace(by)) => {
                    if draft.replace(by) {
                        continue;
                    }
                    draft = before;
                    DropReason::ForeignUser
                }
                Ok(Verdict::Drop) => DropReason::Decided,
                Err(failure) => {
                    draft = before;
                    DropReason::Failed(failure)
                }
            };
            return (Dispatched::Dropped { by: Place::new(index, middleware.name()), why }, draft);
        }
        let Some(handlers) = draft.destination().and_then(|key| self.routes.get(key)) else {
            return (Dispatched::Unrouted { destination: draft.key() }, draft);
        };
        let mut results = Vec::with_capacity(handlers.len());
        for (index, handler) in handlers.iter().enumerate() {
            let before = draft.clone();
            results.push(handler.handle(&mut draft).map_err(|failure| {
                draft = before;
                HandlerFailed { handler: Place::new(index, handler.name()), failure }
            }));
        }
        (Dispatched::Results(results), draft)
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |names: Vec<Option<&str>>| -> Vec<String> {
            names.into_iter().map(|name| name.unwrap_or("(unnamed)").to_string()).collect()
        };
        let routes: BTreeMap<&str, Vec<String>> =
            self.routes().map(|(key, handlers)| (key, names(handlers))).collect();
        f.debug_struct("Pipeline")
            .field("middleware", &names(self.middleware().collect()))
            .field("routes", &routes)
            .finish()
    }
}
