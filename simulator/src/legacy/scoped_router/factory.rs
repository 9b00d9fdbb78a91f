//! The factory: one router per request, as long as somebody holds it.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    rc::{Rc, Weak},
};

use serde_json::Value;

use super::{Hazard, Hazards, Inner, RequestContext, ScopedRouter};
use crate::legacy::{
    event_loop::EventLoop,
    event_router::{Place, Pool},
    plain::Raised,
    sink::Sink,
};

/// The factory.
pub struct Factory {
    hazards: Hazards,
    event_loop: EventLoop,
    sink: Place,
    /// In the order of making.
    tracked: RefCell<Vec<Tracked>>,
    /// The pool of each user, where requests share one.
    pools: RefCell<BTreeMap<String, Weak<RefCell<Pool>>>>,
}

struct Tracked {
    key: String,
    router: Weak<Inner>,
    /// Keeps it alive.
    _held: Option<ScopedRouter>,
}

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Factory").field("tracked", &self.tracked()).finish_non_exhaustive()
    }
}

/// Figures of a factory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FactoryStats {
    /// Routers that somebody holds.
    pub active_routers: usize,
    /// Entries of the table.
    pub total_tracked: usize,
    /// Calls that route or broadcast, of routers that somebody holds.
    pub total_routings: u64,
    /// Whether new routers get a manager.
    pub has_manager: bool,
}

impl Factory {
    /// A factory without a manager.
    pub fn new(hazards: Hazards, event_loop: &EventLoop) -> Self {
        Self {
            hazards,
            event_loop: event_loop.clone(),
            sink: Place::default(),
            tracked: RefCell::default(),
            pools: RefCell::default(),
        }
    }

    /// The manager for routers from now on.
    pub fn set_manager(&self, sink: Rc<dyn Sink>) {
        *self.sink.borrow_mut() = Some(sink);
    }

    /// A router that the factory does not know, with a manager of its own.
    pub fn untracked(&self, context: RequestContext, sink: Option<Rc<dyn Sink>>) -> ScopedRouter {
        let pool = self.pool(&context.user);
        ScopedRouter::new(self.hazards, &self.event_loop, context, Rc::new(RefCell::new(sink)), pool)
    }

    fn pool(&self, user: &str) -> Rc<RefCell<Pool>> {
        let fresh = || Rc::new(RefCell::new(Pool::new(self.hazards)));
        if self.hazards.has(Hazard::S2) {
            return fresh();
        }
        let mut pools = self.pools.borrow_mut();
        pools.retain(|_, pool| pool.strong_count() > 0);
        if let Some(pool) = pools.get(user).and_then(Weak::upgrade) {
            return pool;
        }
        let pool = fresh();
        pools.insert(user.to_owned(), Rc::downgrade(&pool));
        pool
    }

    /// The router of a request; made if there is none, or if nobody holds it any more.
    pub fn create_for_user(&self, context: &RequestContext) -> ScopedRouter {
        if let Some(router) = self.get_user_router_if_exists(context) {
            return router;
        }
        let sink = if self.hazards.has(Hazard::S5) {
            Rc::new(RefCell::new(self.sink.borrow().clone()))
        } else {
            Rc::clone(&self.sink)
        };
        let pool = self.pool(&context.user);
        let router = ScopedRouter::new(self.hazards, &self.event_loop, context.clone(), sink, pool);
        let key = context.isolation_key();
        let held = (!self.hazards.has(Hazard::S3)).then(|| router.clone());
        let entry = Tracked { key: key.clone(), router: Rc::downgrade(&router.0), _held: held };
        let mut tracked = self.tracked.borrow_mut();
        match tracked.iter_mut().find(|tracked| tracked.key == key) {
            Some(dead) => *dead = entry,
            None => tracked.push(entry),
        }
        drop(tracked);
        router
    }

    /// The router of a request, if somebody holds it.
    pub fn get_user_router_if_exists(&self, context: &RequestContext) -> Option<ScopedRouter> {
        let key = context.isolation_key();
        let tracked = self.tracked.borrow();
        tracked.iter().find(|tracked| tracked.key == key)?.router.upgrade().map(ScopedRouter)
    }

    /// Forgets routers that nobody holds and those that have expired: how many.
    ///
    /// # Errors
    /// `RuntimeError`: the table changed meanwhile.
    pub async fn cleanup_expired_routers(&self, age_max_us: u64) -> Result<usize, Raised> {
        let tracked: Vec<(String, Option<ScopedRouter>)> = {
            let entries = self.tracked.borrow();
            let of = |entry: &Tracked| (entry.key.clone(), entry.router.upgrade().map(ScopedRouter));
            entries.iter().map(of).collect()
        };
        let mut gone = Vec::new();
        for (key, router) in &tracked {
            if let Some(router) = router {
                if !router.is_expired(age_max_us) {
                    continue;
                }
                router.cleanup_stale_connections().await;
            }
            gone.push(key.as_str());
            if self.hazards.has(Hazard::S6) && self.tracked.borrow().len() != tracked.len() {
                return Err(Raised::new("RuntimeError", "dictionary changed size during iteration"));
            }
        }
        self.tracked.borrow_mut().retain(|entry| !gone.contains(&entry.key.as_str()));
        Ok(gone.len())
    }

    /// Figures.
    pub fn stats(&self) -> FactoryStats {
        let tracked = self.tracked.borrow();
        let alive = || tracked.iter().filter_map(|entry| entry.router.upgrade().map(ScopedRouter));
        FactoryStats {
            active_routers: alive().count(),
            total_tracked: tracked.len(),
            total_routings: alive().map(|router| router.routings()).sum(),
            has_manager: self.sink.borrow().is_some(),
        }
    }

    /// Keys of the table, sorted.
    pub fn tracked(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.tracked.borrow().iter().map(|entry| entry.key.clone()).collect();
        keys.sort();
        keys
    }

    /// Sends an event to a connection, with the router of the request.
    ///
    /// # Errors
    /// As [`ScopedRouter::route_event`].
    pub async fn route_user_event(
        &self,
        event: &Value,
        context: &RequestContext,
        connection: &Value,
    ) -> Result<Value, Raised> {
        let router = self.create_for_user(context);
        router.route_event(connection, event).await
    }

    /// Sends an event to a user: how many sends count as successful.
    ///
    /// # Errors
    /// As [`ScopedRouter::broadcast_to_user`].
    pub async fn broadcast_user_event(
        &self,
        event: &Value,
        context: &RequestContext,
    ) -> Result<usize, Raised> {
        if self.hazards.has(Hazard::B6) {
            return Ok(0);
        }
        let mut event = event.clone();
        if let Value::Object(event) = &mut event {
            event.insert("thread_id".to_owned(), context.thread.as_str().into());
        }
        self.create_for_user(context).broadcast_to_user(&event).await
    }
}
