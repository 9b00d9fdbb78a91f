//! Reach: which sockets an event reaches, as the old routers, the broadcast service and the manager decide.
//!
//! The models do the deciding ([`crate::legacy::manager`], [`crate::legacy::event_router`],
//! [`crate::legacy::scoped_router`], [`crate::legacy::broadcast`]); here are their sockets, their names for connections,
//! and the three ways that events went over them. The switches choose the way: a hazard of the event router or of the
//! scoped one needs its router in the way, all others go through the service and the manager.

mod ports;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use router::{ConnId, Instant, UserId};
use serde_json::{Value, json};

pub(super) use self::ports::Written;
use self::ports::{Port, Ports, Switchboard};
use super::agents::Context;
use super::common::Common;
use super::emit::Event;
use super::wire;
use crate::legacy::{
    Hazard, Hazards,
    broadcast::Service,
    event_loop::EventLoop,
    event_router::{EventRouter, Pool, Process},
    manager::Manager,
    plain,
    scoped_router::{Factory, RequestContext},
    sink::{Message, Sink},
};

/// What is older than this is swept, in a world whose sessions last for seconds.
const SWEEP_US: u64 = 2_000_000;

/// When a connection is idle there.
const IDLE_US: u64 = 22_000_000;
/// Entries that wait for a user at most, where users are away for seconds and not for hours.
const QUEUE_MAX: usize = 6;

/// The way of an event to the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Service and manager.
    Service,
    /// The pool of the process's event router.
    Pool,
    /// A router for each request.
    Scoped,
}

/// The models and what they stand on.
#[derive(Debug)]
pub(super) struct Reach {
    hazards: Hazards,
    way: Way,
    event_loop: EventLoop,
    ports: Rc<Ports>,
    manager: Manager,
    service: Rc<Service>,
    process: Rc<Process>,
    router: EventRouter,
    switchboard: Rc<Switchboard>,
    factory: Rc<Factory>,
    /// Names of connections, and whose they are.
    names: BTreeMap<ConnId, (String, UserId)>,
    /// Sends that were reported as successful and not yet taken into the accounts.
    claims: Rc<Cell<u64>>,
    /// For whom the manager was made, once that is known.
    made_for: Option<UserId>,
}

impl Reach {
    pub(super) fn new(hazards: Hazards) -> Self {
        Self::by(Way::of(hazards), hazards)
    }

    /// The models in this way of events.
    pub(super) fn by(way: Way, hazards: Hazards) -> Self {
        let event_loop = EventLoop::new();
        let ports = Rc::new(Ports::new(hazards, &event_loop));
        let switchboard = Rc::new(Switchboard::new(hazards, &event_loop));
        // The first to ask for the process's router had no manager yet.
        let process = Rc::new(Process::new(hazards, &event_loop));
        drop(process.router(None));
        let router = if hazards.has(Hazard::E2) {
            let pool = Pool::with_idle_us(hazards, IDLE_US);
            let place: Rc<dyn Sink> = switchboard.clone();
            EventRouter::sharing(
                hazards,
                &event_loop,
                Rc::new(RefCell::new(Some(place))),
                Rc::new(RefCell::new(pool)),
            )
        } else {
            process.router(Some(switchboard.clone()))
        };
        Self {
            way,
            manager: if hazards.has(Hazard::M5) {
                Manager::with_queue_max(hazards, &event_loop, None, QUEUE_MAX)
            } else {
                Manager::new(hazards, &event_loop, None)
            },
            service: Rc::new(Service::new(hazards)),
            factory: Rc::new(Factory::new(hazards, &event_loop)),
            hazards,
            event_loop,
            ports,
            process,
            router,
            switchboard,
            names: BTreeMap::new(),
            claims: Rc::default(),
            made_for: None,
        }
    }

    fn has(&self, hazard: Hazard) -> bool {
        self.hazards.has(hazard)
    }

    /// Whether the manager's own queue keeps what nobody is there for.
    pub(super) fn recovers(&self) -> bool {
        [Hazard::M3, Hazard::M4, Hazard::M5].into_iter().any(|hazard| self.has(hazard))
    }

    /// A connection is registered, by the name that it has.
    pub(super) fn connect(&mut self, common: &Common, conn: ConnId, user: &UserId) {
        self.event_loop.advance_to(common.now.as_micros());
        let name = self.name(conn, user);
        let socket = Rc::new(Port::new(conn, user, &self.ports));
        self.names.insert(conn, (name.clone(), user.clone()));
        match self.way {
            Way::Service => {
                if !self.recovers() {
                    self.manager.forget_user(user);
                }
                let (manager, user) = (self.manager.clone(), user.to_string());
                let beat = self.has(Hazard::M11).then(|| beat(common.now));
                self.event_loop.spawn(async move {
                    // An id that somebody else has is refused, and the connection gets nothing.
                    drop(manager.add_connection(&user, &name, None, Some(socket)).await);
                    if let Some(beat) = beat {
                        // Whenever somebody comes, everybody's socket is kept awake.
                        manager.broadcast(&beat).await;
                    }
                });
            }
            Way::Pool => {
                self.switchboard.connect(&name, socket);
                // E7: the pool learns of a connection when it is set up; the manager knows it before.
                let after_us = if self.has(Hazard::E7) { common.limits.ready_after_us } else { 0 };
                // E1: it is told when the socket is accepted, and once more when the set-up is over.
                let times = if self.has(Hazard::E1) { 2 } else { 1 };
                let (router, event_loop) = (self.router.clone(), self.event_loop.clone());
                let (user, name) = (Value::from(&**user), Value::from(name));
                self.event_loop.spawn(async move {
                    if after_us > 0 {
                        event_loop.sleep(after_us).await;
                    }
                    for _ in 0..times {
                        drop(router.register_connection(&user, &name, &Value::Null).await);
                    }
                });
            }
            Way::Scoped => {
                self.switchboard.connect(&name, socket);
                let router = self.factory.create_for_user(&registered(user));
                self.event_loop.spawn(async move {
                    drop(router.register_connection(&name.into(), &Value::Null).await);
                });
            }
        }
        self.event_loop.run_ready();
    }

    /// A connection is no more.
    pub(super) fn disconnect(&mut self, common: &Common, conn: ConnId) {
        self.event_loop.advance_to(common.now.as_micros());
        self.ports.gone(conn);
        let Some((name, user)) = self.names.remove(&conn) else { return };
        self.switchboard.disconnect(&name, conn);
        match self.way {
            Way::Service => {
                let manager = self.manager.clone();
                self.event_loop.spawn(async move { manager.remove_connection(&name).await });
            }
            Way::Pool => {
                // E10: only the manager is told. E2: the pool is left to the sweep.
                if !self.has(Hazard::E10) && !self.has(Hazard::E2) {
                    let router = self.router.clone();
                    self.event_loop.spawn(async move { router.unregister_connection(&name.into()).await });
                }
            }
            Way::Scoped => {
                let router = self.factory.create_for_user(&registered(&user));
                self.event_loop.spawn(async move { router.unregister_connection(&name.into()).await });
            }
        }
        self.event_loop.run_ready();
    }

    /// The name that the old parts knew a connection by. Theirs were given by clients, who count their tabs, or by
    /// whoever accepted the socket, who counts its places.
    fn name(&self, conn: ConnId, user: &UserId) -> String {
        if self.has(Hazard::M2) || self.has(Hazard::E5) {
            let tabs = self.names.values().filter(|(_, owner)| owner == user).count();
            format!("tab_{tabs}")
        } else if self.has(Hazard::E2) || self.has(Hazard::E7) {
            format!("place_{}", conn.index())
        } else {
            format!("conn_{}_{}", conn.index(), conn.generation())
        }
    }

    /// A run begins.
    pub(super) fn begin(&mut self, context: &Context) {
        if let Some((name, _)) = self.names.get(&context.conn) {
            self.switchboard.join(name, &context.thread_id);
        }
        if self.way == Way::Scoped {
            drop(self.factory.create_for_user(&RequestContext {
                user: context.user.to_string(),
                request: context.request_id.clone(),
                thread: context.thread_id.clone(),
            }));
        }
    }

    /// An event goes its way. What it reaches at once, and later, is told by [`Reach::written`].
    pub(super) fn publish(&mut self, common: &mut Common, event: &Event) {
        self.event_loop.advance_to(common.now.as_micros());
        self.serve(common, &event.to);
        match self.way {
            Way::Service => self.by_service(event),
            Way::Pool => self.by_pool(event),
            Way::Scoped => self.by_scoped(event),
        }
        self.event_loop.run_ready();
    }

    /// M7: the manager was made for one user, and nobody compares.
    fn serve(&mut self, common: &mut Common, user: &UserId) {
        if !self.has(Hazard::M7) {
            return;
        }
        let made_for = self.made_for.get_or_insert_with(|| user.clone()).clone();
        if made_for != *user {
            common.accounts.breach(|| crate::checkers::bounds::Breach {
                rule: "iso.I1",
                user: Some(user.to_string()),
                run: None,
                event: None,
                detail: format!("the manager of {made_for} serves {user}"),
            });
        }
    }

    fn by_service(&self, event: &Event) {
        let (claims, service, manager) = (self.claims.clone(), self.service.clone(), self.manager.clone());
        let (user, members) = (Value::from(&*event.to), event.members.clone());
        let by_thread = self.has(Hazard::M10);
        let by_function = self.has(Hazard::B6).then(|| self.process.clone());
        self.event_loop.spawn(async move {
            if let Some(process) = by_function {
                let sent = process.broadcast_to_user(&user, &Value::Object(members), false).await;
                claims.set(claims.get() + sent as u64);
                return;
            }
            if by_thread {
                // It is for the run's thread, and goes to all connections of the user who has it.
                let thread = members.get("thread_id").map(plain::str).unwrap_or_default();
                let sent = manager.send_to_thread(user.as_str().unwrap_or_default(), &thread, &members).await;
                claims.set(claims.get() + u64::from(sent));
                return;
            }
            let outcome = service.broadcast_to_user(&manager, &user, &Value::Object(members)).await;
            claims.set(claims.get() + outcome.map_or(0, |outcome| outcome.sends as u64));
        });
    }

    fn by_pool(&self, event: &Event) {
        let (claims, router) = (self.claims.clone(), self.router.clone());
        let (user, members) = (Value::from(&*event.to), Value::Object(event.members.clone()));
        let away = !self.names.values().any(|(_, owner)| *owner == event.to);
        let lost = self.has(Hazard::E7) && away;
        let place = Value::from(format!("place_{}", event.conn.index()));
        // E10: how many got it is read off the pool.
        let from_pool = self.has(Hazard::E10);
        self.event_loop.spawn(async move {
            // Nobody cleaned up: it is done beside the work.
            router.cleanup_stale_connections().await;
            if lost {
                // With its last connection the user's name is gone; the connection that asked is still known.
                drop(router.route_event(&Value::Null, &place, &members).await);
                return;
            }
            let pooled = router.get_user_connections(&user).map_or(0, |list| list.len());
            let sent = router.pool_broadcast(&user, &members).await.unwrap_or(0);
            claims.set(claims.get() + if from_pool { pooled } else { sent } as u64);
        });
    }

    fn by_scoped(&self, event: &Event) {
        let text = |key: &str| event.members.get(key).map(plain::str).unwrap_or_default();
        let context = RequestContext {
            user: event.to.to_string(),
            request: text("request_id"),
            thread: text("thread_id"),
        };
        // The application gets its manager when it first sends: routers have been made by then.
        self.factory.set_manager(self.switchboard.clone());
        let (claims, factory, event_loop) =
            (self.claims.clone(), self.factory.clone(), self.event_loop.clone());
        let (members, checks) = (Value::Object(event.members.clone()), self.has(Hazard::S1));
        self.event_loop.spawn(async move {
            drop(factory.cleanup_expired_routers(SWEEP_US).await);
            let router = factory.create_for_user(&context);
            for connection in router.get_user_connections().await.unwrap_or_default() {
                let (claims, router, members) = (claims.clone(), router.clone(), members.clone());
                event_loop.spawn(async move {
                    if checks && !router.validate_user_access(&connection).await {
                        return;
                    }
                    let answer = router.route_event(&connection, &members).await;
                    let sent = answer.is_ok_and(|answer| plain::is_truthy(&answer));
                    claims.set(claims.get() + u64::from(sent));
                });
            }
        });
    }

    /// Lets time pass for sends that take some.
    pub(super) fn advance(&mut self, now: Instant) {
        self.event_loop.advance_to(now.as_micros());
    }

    /// When a send that takes time goes on.
    pub(super) fn next(&self) -> Option<Instant> {
        self.event_loop.next_due_us().map(Instant::from_micros)
    }

    /// Frames that sockets took since the last time, in order.
    pub(super) fn written(&mut self) -> Vec<Written> {
        self.ports.written()
    }

    /// Sends reported as successful since the last time.
    pub(super) fn claimed(&mut self) -> u64 {
        self.claims.take()
    }

    /// How many frames a socket has not written.
    pub(super) fn load(&mut self, conn: ConnId, frames: usize) {
        self.ports.load(conn, frames);
    }

    /// Nobody comes back for a user.
    pub(super) fn forget(&mut self, user: &UserId) {
        self.manager.forget_user(user);
    }

    /// Entries of tables that serve nobody but the manager.
    pub(super) fn tables(&self) -> u64 {
        let tables = self.manager.tables();
        tables.deliveries + tables.locks as u64
    }
}

impl Way {
    fn of(hazards: Hazards) -> Self {
        let any = |list: &[Hazard]| list.iter().any(|hazard| hazards.has(*hazard));
        if any(&[Hazard::S1, Hazard::S2, Hazard::S3, Hazard::S4, Hazard::S5, Hazard::S7]) {
            Way::Scoped
        } else if any(&[
            Hazard::E1,
            Hazard::E2,
            Hazard::E5,
            Hazard::E6,
            Hazard::E7,
            Hazard::E8,
            Hazard::E9,
            Hazard::E10,
        ]) {
            Way::Pool
        } else {
            Way::Service
        }
    }
}

/// The request in which a user's connections are registered.
fn registered(user: &UserId) -> RequestContext {
    RequestContext { user: user.to_string(), request: "connect".to_owned(), thread: String::new() }
}

/// A heartbeat for everybody.
fn beat(now: Instant) -> Message {
    let beat: Value = serde_json::from_str(&wire::server("heartbeat", &json!({}), now)).unwrap_or_default();
    beat.as_object().cloned().unwrap_or_default()
}
