//! Code of the host's that runs while the router is locked. Its panic ends there: the effects at hand belong to other
//! users, too, and the router's books must add up.

use std::panic::{AssertUnwindSafe, catch_unwind};

use router::{Handler, HandlerFault, Incoming, KindSet, Replies};
use tokio::runtime::Handle;

/// Calls a back end, which may spawn even when the step is on a thread of the host's own.
pub(crate) fn guard_in<R>(runtime: &Handle, what: &str, call: impl FnOnce() -> R) -> Option<R> {
    let _entered = runtime.enter();
    guard(what, call)
}

/// Calls the host's code; `None` when it panicked, which is logged.
fn guard<R>(what: &str, call: impl FnOnce() -> R) -> Option<R> {
    // What the call had borrowed is the host's own, and whole by the host's own care.
    let done = catch_unwind(AssertUnwindSafe(call));
    if done.is_err() {
        tracing::error!("{what} panicked");
    }
    done.ok()
}

/// A custom handler whose panic is a failure like another.
#[derive(Debug)]
pub(crate) struct Guarded(pub(crate) Box<dyn Handler>);

impl Handler for Guarded {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn accepts(&self) -> KindSet {
        self.0.accepts()
    }

    fn wants(&self, incoming: &Incoming<'_>) -> Result<bool, HandlerFault> {
        guard("a custom handler, asked what it wants,", || self.0.wants(incoming)).unwrap_or_else(panicked)
    }

    fn handle(&mut self, incoming: &Incoming<'_>, replies: &mut Replies<'_>) -> Result<(), HandlerFault> {
        guard("a custom handler", || self.0.handle(incoming, replies)).unwrap_or_else(panicked)
    }

    fn figures(&self) -> Option<String> {
        guard("a custom handler, asked for its figures,", || self.0.figures()).flatten()
    }
}

fn panicked<R>() -> Result<R, HandlerFault> {
    Err(HandlerFault::failed("it panicked"))
}
