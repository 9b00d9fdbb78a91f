//! What existed once per process: one event router, and functions that made what they needed.

use std::{cell::RefCell, rc::Rc};

use serde_json::Value;

use super::{EventRouter, Place};
use crate::legacy::{
    Hazard, Hazards, broadcast::Service, event_loop::EventLoop, manager::Manager, plain::Raised, sink::Sink,
};

/// The process.
#[derive(Debug)]
pub struct Process {
    hazards: Hazards,
    event_loop: EventLoop,
    router: RefCell<Option<EventRouter>>,
}

impl Process {
    /// A process that has made no router yet.
    pub fn new(hazards: Hazards, event_loop: &EventLoop) -> Self {
        Self { hazards, event_loop: event_loop.clone(), router: RefCell::new(None) }
    }

    /// The router of the process; made with this manager if there is none yet.
    pub fn router(&self, sink: Option<Rc<dyn Sink>>) -> EventRouter {
        let mut router = self.router.borrow_mut();
        let router =
            router.get_or_insert_with(|| EventRouter::new(self.hazards, &self.event_loop, sink.clone()));
        let place: &Place = &router.0.sink;
        if !self.hazards.has(Hazard::E8) && place.borrow().is_none() {
            *place.borrow_mut() = sink;
        }
        router.clone()
    }

    /// Forgets the router.
    pub fn reset(&self) {
        *self.router.borrow_mut() = None;
    }

    /// Sends an event to a user; how many sends count as successful.
    ///
    /// In production the manager that is made for the call is refused. Under a test runner it is allowed, and empty.
    pub async fn broadcast_to_user(&self, user: &Value, event: &Value, under_test_runner: bool) -> usize {
        if !self.hazards.has(Hazard::B6) {
            let router = self.router(None);
            return router.broadcast_to_user(user, event).await.unwrap_or(0);
        }
        if !under_test_runner {
            return 0;
        }
        let manager = Manager::new(self.hazards, &self.event_loop, None);
        let outcome: Result<_, Raised> =
            Service::new(self.hazards).broadcast_to_user(&manager, user, event).await;
        outcome.map_or(0, |outcome| outcome.sends)
    }
}
