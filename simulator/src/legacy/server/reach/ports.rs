//! The sockets of the models, and a manager that looks them up by name.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use router::{ConnId, UserId};
use serde_json::Value;

use crate::legacy::{
    Hazard, Hazards,
    event_loop::EventLoop,
    plain::Raised,
    sink::{self, Answer, Message, Sink, Socket},
};

/// Frames that a socket of the old kind buffered before a send to it waited or failed.
const BUFFER_FRAMES: usize = 8;
/// How often a send that waits looks again.
const LOOK_US: u64 = 5_000;
/// Time that a client takes for each frame when it has just come back on a poor line.
const RECOVERING_US: u64 = 1_500_000;
/// Time between the look-up of a connection and the write to it.
const LOOK_UP_US: u64 = 50_000;

/// A frame that a socket took.
#[derive(Debug)]
pub(in crate::legacy::server) struct Written {
    pub(in crate::legacy::server) conn: ConnId,
    pub(in crate::legacy::server) message: Message,
    /// Time that it waited for this very socket.
    pub(in crate::legacy::server) waited_us: u64,
}

/// All sockets.
#[derive(Debug)]
pub(super) struct Ports {
    hazards: Hazards,
    event_loop: EventLoop,
    written: RefCell<Vec<Written>>,
    load: RefCell<BTreeMap<ConnId, usize>>,
    gone: RefCell<BTreeSet<ConnId>>,
}

impl Ports {
    pub(super) fn new(hazards: Hazards, event_loop: &EventLoop) -> Self {
        Self {
            hazards,
            event_loop: event_loop.clone(),
            written: RefCell::default(),
            load: RefCell::default(),
            gone: RefCell::default(),
        }
    }

    fn any(&self, hazards: &[Hazard]) -> bool {
        hazards.iter().any(|hazard| self.hazards.has(*hazard))
    }

    pub(super) fn written(&self) -> Vec<Written> {
        self.written.take()
    }

    pub(super) fn load(&self, conn: ConnId, frames: usize) {
        self.load.borrow_mut().insert(conn, frames);
    }

    pub(super) fn gone(&self, conn: ConnId) {
        self.load.borrow_mut().remove(&conn);
        self.gone.borrow_mut().insert(conn);
    }

    fn is_full(&self, conn: ConnId) -> bool {
        self.load.borrow().get(&conn).is_some_and(|load| *load >= BUFFER_FRAMES)
    }

    fn is_gone(&self, conn: ConnId) -> bool {
        self.gone.borrow().contains(&conn)
    }
}

/// One socket. Old sockets buffered little: a send to a full one failed, or waited, whichever the hazard at hand is
/// about. Without such a hazard the frame is queued behind the socket.
#[derive(Debug)]
pub(super) struct Port {
    conn: ConnId,
    user: UserId,
    ports: Rc<Ports>,
}

impl Port {
    pub(super) fn new(conn: ConnId, user: &UserId, ports: &Rc<Ports>) -> Self {
        ports.gone.borrow_mut().remove(&conn);
        Self { conn, user: user.clone(), ports: Rc::clone(ports) }
    }
}

impl Socket for Port {
    fn send<'a>(&'a self, message: &'a mut Message) -> Answer<'a, ()> {
        Box::pin(async move {
            let Self { conn, user, ports } = self;
            let since = ports.event_loop.now_us();
            if ports.any(&[Hazard::B2, Hazard::B3, Hazard::M9]) && ports.is_full(*conn) {
                return Err(Raised::new("RuntimeError", "the socket takes no more"));
            }
            if ports.any(&[Hazard::M6, Hazard::S7]) {
                while ports.is_full(*conn) && !ports.is_gone(*conn) {
                    ports.event_loop.sleep(LOOK_US).await;
                }
            }
            if ports.any(&[Hazard::M4]) && message.contains_key("recovered") {
                ports.event_loop.sleep(RECOVERING_US).await;
            }
            if ports.is_gone(*conn) {
                return Err(Raised::new("RuntimeError", "the socket is closed"));
            }
            if ports.any(&[Hazard::M11]) {
                // This kind of socket says in the frame whose it is, if nobody has.
                message.entry("user_id").or_insert_with(|| (&**user).into());
            }
            *ports.load.borrow_mut().entry(*conn).or_default() += 1;
            let waited_us = ports.event_loop.now_us() - since;
            ports.written.borrow_mut().push(Written { conn: *conn, message: message.clone(), waited_us });
            Ok(())
        })
    }
}

/// A manager that has what the event router looked for: sockets by name, and threads by who spoke in them.
pub(super) struct Switchboard {
    hazards: Hazards,
    event_loop: EventLoop,
    sockets: RefCell<BTreeMap<String, Rc<Port>>>,
    threads: RefCell<BTreeMap<String, BTreeSet<String>>>,
}

impl fmt::Debug for Switchboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switchboard").field("sockets", &self.sockets.borrow().keys()).finish_non_exhaustive()
    }
}

impl Switchboard {
    pub(super) fn new(hazards: Hazards, event_loop: &EventLoop) -> Self {
        let event_loop = event_loop.clone();
        Self { hazards, event_loop, sockets: RefCell::default(), threads: RefCell::default() }
    }

    pub(super) fn connect(&self, name: &str, socket: Rc<Port>) {
        self.sockets.borrow_mut().insert(name.to_owned(), socket);
    }

    pub(super) fn disconnect(&self, name: &str, conn: ConnId) {
        let mut sockets = self.sockets.borrow_mut();
        if sockets.get(name).is_some_and(|socket| socket.conn == conn) {
            sockets.remove(name);
            for names in self.threads.borrow_mut().values_mut() {
                names.remove(name);
            }
        }
    }

    pub(super) fn join(&self, name: &str, thread: &str) {
        self.threads.borrow_mut().entry(thread.to_owned()).or_default().insert(name.to_owned());
    }

    fn socket(&self, name: &str) -> Option<Rc<Port>> {
        self.sockets.borrow().get(name).cloned()
    }

    async fn write(&self, name: &str, event: &Message) -> bool {
        match self.socket(name) {
            Some(socket) => socket.send(&mut event.clone()).await.is_ok(),
            None => false,
        }
    }
}

impl Sink for Switchboard {
    fn send_to_connection<'a>(
        &'a self,
        connection: &'a Value,
        event: &'a Message,
        still: &'a dyn Fn() -> bool,
    ) -> Option<Answer<'a, Value>> {
        // E9: it has no such method. E6: it has the one for threads only.
        if self.hazards.has(Hazard::E9) || self.hazards.has(Hazard::E6) {
            return None;
        }
        Some(Box::pin(async move {
            if self.hazards.has(Hazard::E5) {
                self.event_loop.sleep(LOOK_UP_US).await;
            }
            let name = connection.as_str().unwrap_or_default();
            Ok(Value::Bool(still() && self.write(name, event).await))
        }))
    }

    fn send_message_to_thread<'a>(
        &'a self,
        thread: &'a Value,
        event: &'a Message,
    ) -> Option<Answer<'a, Value>> {
        if !self.hazards.has(Hazard::E6) {
            return None;
        }
        Some(Box::pin(async move {
            let thread = thread.as_str().unwrap_or_default();
            let names: Vec<String> =
                self.threads.borrow().get(thread).into_iter().flatten().cloned().collect();
            let mut sent = false;
            for name in names {
                sent |= self.write(&name, event).await;
            }
            Ok(sent.into())
        }))
    }

    fn connections_of(&self, user: &str) -> Result<usize, Raised> {
        Ok(self.sockets.borrow().values().filter(|socket| *socket.user == *user).count())
    }

    fn send_to_user<'a>(&'a self, user: &'a str, event: &'a Message) -> Answer<'a, sink::Written> {
        Box::pin(async move {
            let of_user =
                |(name, socket): (&String, &Rc<Port>)| (*socket.user == *user).then(|| name.clone());
            let names: Vec<String> = self.sockets.borrow().iter().filter_map(of_user).collect();
            let mut written = sink::Written { tried: names.len(), written: 0 };
            for name in names {
                written.written += usize::from(self.write(&name, event).await);
            }
            Ok(written)
        })
    }
}
