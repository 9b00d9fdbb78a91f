//! The connection manager that the old routers rested on: who is connected, and what waits for whom.
//!
//! A user's events are sent under a lock of that user, socket after socket. What nobody took waits in a queue and is
//! sent when the user connects (`recovery`). Failed sockets leave the registry through tasks of their own.
//!
//! | switch | on | off |
//! |---|---|---|
//! | M1 | with a connection leave those whose ids look alike | exactly that connection leaves |
//! | M2 | an id that another user has is taken over; events go to whoever has it now | refused; written to the owner only |
//! | M3 | what waited is sent beside newer events | it is sent first, under the user's lock |
//! | M4 | the queue is emptied first, sending is cut after 3 s each and 5 s in all | an entry leaves when it is written |
//! | M5 | beyond 50 entries the oldest go silently | the next client is told how many went |
//! | M6 | the lock is held until the slowest socket has taken it | sockets take it side by side, each in its order |
//! | M7 | any user is served | only the user whom the manager was made for |
//! | M8 | deliveries and locks stay in their tables | they go with what they were for |
//! | M9 | failed sockets are removed later | at once |
//! | M10 | a thread's id is taken for a user's | the connections of that user in that thread |
//! | M11 | all sockets are handed one object | each has its own |
//!
//! Left out: the attempts of "critical" events in other environments than tests (no recording reaches them), and the
//! queues of 1,000 entries that were made and never used.

mod recovery;
mod registry;
#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    rc::Rc,
};

use serde_json::Value;

use super::{
    event_loop::{EventLoop, Lock},
    plain::Raised,
    sink::{Answer, Message, Sink, Socket, Written},
    user_id::user_id,
    {Hazard, Hazards},
};

/// The manager; a clone is another handle of the same one.
#[derive(Clone)]
pub struct Manager(Rc<Inner>);

struct Inner {
    hazards: Hazards,
    event_loop: EventLoop,
    /// For whom it was made, if for anybody.
    made_for: Option<String>,
    /// Entries that wait for one user at most.
    queue_max: usize,
    books: RefCell<Books>,
}

/// Everything that the manager keeps.
#[derive(Default)]
struct Books {
    connections: BTreeMap<String, Connection>,
    of_user: BTreeMap<String, BTreeSet<String>>,
    locks: BTreeMap<String, Lock>,
    /// What waits, with its reason, time and attempts among the members.
    queues: BTreeMap<String, Vec<Message>>,
    /// Entries that a full queue lost and nobody has been told about.
    untold: BTreeMap<String, u64>,
    /// How often something had to wait.
    failures: BTreeMap<String, u64>,
    prevented: u64,
    events: u64,
    /// Entries of the table of deliveries.
    tracked: u64,
}

#[derive(Clone)]
struct Connection {
    user: String,
    thread: Option<String>,
    socket: Option<Rc<dyn Socket>>,
    /// One event after the other.
    turn: Lock,
}

/// How many entries the tables have that nobody asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Deliveries.
    pub deliveries: u64,
    /// Locks of users.
    pub locks: usize,
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let books = self.0.books.borrow();
        f.debug_struct("Manager")
            .field("connections", &books.connections.keys())
            .field("of_user", &books.of_user)
            .field("queues", &books.queues)
            .finish_non_exhaustive()
    }
}

impl Manager {
    /// A manager without connections; `made_for` is the user of the context that it was made with.
    pub fn new(hazards: Hazards, event_loop: &EventLoop, made_for: Option<&str>) -> Self {
        Self::with_queue_max(hazards, event_loop, made_for, recovery::QUEUE_MAX)
    }

    /// The same, with room for so many entries in the queue of each user.
    pub fn with_queue_max(
        hazards: Hazards,
        event_loop: &EventLoop,
        made_for: Option<&str>,
        queue_max: usize,
    ) -> Self {
        Self(Rc::new(Inner {
            hazards,
            event_loop: event_loop.clone(),
            made_for: made_for.map(str::to_owned),
            queue_max,
            books: RefCell::default(),
        }))
    }

    fn has(&self, hazard: Hazard) -> bool {
        self.0.hazards.has(hazard)
    }

    /// The lock of a user; made at its first use.
    fn lock_of(&self, user: &str) -> Lock {
        let mut books = self.0.books.borrow_mut();
        books.locks.entry(user.to_owned()).or_insert_with(|| Lock::new(&self.0.event_loop)).clone()
    }

    /// The manager of one user has nothing to do for another.
    fn serves(&self, user: &str) -> Result<(), Raised> {
        let other = self.0.made_for.as_deref().is_some_and(|made_for| made_for != user);
        if other && !self.has(Hazard::M7) {
            return Err(Raised::new("ValueError", "the manager serves another user"));
        }
        Ok(())
    }

    /// Sends an event to all connections of a user; what nobody takes waits for the user to connect.
    ///
    /// # Errors
    /// `ValueError`: not the id of a user.
    pub async fn send_to_user(&self, user: &Value, event: &Message) -> Result<Written, Raised> {
        let user = user_id(user)?;
        self.serves(user)?;
        let event = self.own(user, event);
        self.count_event();
        let guard = self.lock_of(user).acquire().await;
        let (ids, failed) = if self.has(Hazard::M6) {
            self.send_in_turn(user, &event).await
        } else {
            let sending = self.send_side_by_side(user, &event);
            drop(guard);
            sending.await
        };
        Ok(self.settle(user, &event, &ids, failed))
    }

    fn count_event(&self) {
        let mut books = self.0.books.borrow_mut();
        books.events += 1;
        books.tracked += u64::from(self.has(Hazard::M8));
    }

    /// The event with each `*_user_id` set to the user's own id.
    fn own(&self, user: &str, event: &Message) -> Message {
        let mut event = event.clone();
        let mut changed = false;
        for (_, value) in event.iter_mut().filter(|(key, _)| key.ends_with("_user_id")) {
            if value.as_str() != Some(user) {
                *value = user.into();
                changed = true;
            }
        }
        self.0.books.borrow_mut().prevented += u64::from(changed);
        event
    }

    /// Socket after socket: the ids that it was tried on, and those of them that failed.
    async fn send_in_turn(&self, user: &str, event: &Message) -> (Vec<String>, Vec<String>) {
        let ids = self.ids_of(user);
        let mut shared = event.clone();
        let mut failed = Vec::new();
        for id in &ids {
            let turn = if self.has(Hazard::M6) { None } else { self.turn_of(id) };
            let _guard = match &turn {
                Some(turn) => Some(turn.acquire().await),
                None => None,
            };
            let taken = if self.has(Hazard::M11) {
                self.write(user, id, &mut shared).await
            } else {
                self.write(user, id, &mut event.clone()).await
            };
            if !taken {
                failed.push(id.clone());
            }
        }
        (ids, failed)
    }

    fn turn_of(&self, id: &str) -> Option<Lock> {
        self.0.books.borrow().connections.get(id).map(|connection| connection.turn.clone())
    }

    /// Each socket in a task of its own; the order of one socket is the order of calls.
    fn send_side_by_side(
        &self,
        user: &str,
        event: &Message,
    ) -> impl Future<Output = (Vec<String>, Vec<String>)> + use<> {
        let ids = self.ids_of(user);
        let tasks: Vec<_> = ids
            .iter()
            .map(|id| {
                let (manager, user, id, mut event) =
                    (self.clone(), user.to_owned(), id.clone(), event.clone());
                let turn = self.turn_of(&id);
                self.0.event_loop.spawn(async move {
                    let Some(turn) = turn else { return false };
                    let _guard = turn.acquire().await;
                    manager.write(&user, &id, &mut event).await
                })
            })
            .collect();
        async move {
            let mut failed = Vec::new();
            for (id, task) in ids.iter().zip(tasks) {
                if !task.ended().await {
                    failed.push(id.clone());
                }
            }
            (ids, failed)
        }
    }

    /// Writes to the connection that has the id now.
    async fn write(&self, user: &str, id: &str, event: &mut Message) -> bool {
        let found = self.0.books.borrow().connections.get(id).cloned();
        let socket = found
            .filter(|connection| self.has(Hazard::M2) || connection.user == user)
            .and_then(|connection| connection.socket);
        match socket {
            Some(socket) => socket.send(event).await.is_ok(),
            None => false,
        }
    }

    /// What nobody took waits; those that failed leave.
    fn settle(&self, user: &str, event: &Message, ids: &[String], failed: Vec<String>) -> Written {
        let written = Written { tried: ids.len(), written: ids.len() - failed.len() };
        if ids.is_empty() {
            let starting = event.get("type").and_then(Value::as_str) == Some("startup_test");
            self.store(user, event, if starting { "startup_pending" } else { "no_connections" });
        } else if written.written == 0 {
            self.store(user, event, "all_connections_failed");
        }
        self.remove_failed(user, failed);
        written
    }

    fn remove_failed(&self, user: &str, failed: Vec<String>) {
        for id in failed {
            if self.has(Hazard::M9) {
                let manager = self.clone();
                self.0.event_loop.spawn(async move { manager.remove_connection(&id).await });
            } else {
                self.strike_off(user, &id);
            }
        }
    }

    fn ids_of(&self, user: &str) -> Vec<String> {
        let books = self.0.books.borrow();
        books.of_user.get(user).into_iter().flatten().cloned().collect()
    }

    /// Sends to one connection, whosever it is; whether its socket took it.
    pub async fn send_message(&self, id: &str, message: &Message) -> bool {
        let socket =
            self.0.books.borrow().connections.get(id).and_then(|connection| connection.socket.clone());
        match socket {
            Some(socket) => socket.send(&mut message.clone()).await.is_ok(),
            None => false,
        }
    }

    /// Sends to a thread of a user; whether it was sent or waits.
    pub async fn send_to_thread(&self, user: &str, thread: &str, message: &Message) -> bool {
        if self.has(Hazard::M10) {
            return self.send_to_user(&thread.into(), message).await.is_ok();
        }
        let ids: Vec<String> = {
            let books = self.0.books.borrow();
            let there = |(id, connection): (&String, &Connection)| {
                let meant = connection.user == user && connection.thread.as_deref() == Some(thread);
                meant.then(|| id.clone())
            };
            books.connections.iter().filter_map(there).collect()
        };
        let mut sent = false;
        for id in ids {
            sent |= self.send_message(&id, message).await;
        }
        sent
    }

    /// Sends to every connection of every user; those that fail leave.
    pub async fn broadcast(&self, message: &Message) {
        let all: Vec<(String, String)> = {
            let books = self.0.books.borrow();
            books.connections.iter().map(|(id, connection)| (id.clone(), connection.user.clone())).collect()
        };
        let mut shared = message.clone();
        for (id, user) in all {
            let taken = if self.has(Hazard::M11) {
                self.write(&user, &id, &mut shared).await
            } else {
                self.write(&user, &id, &mut message.clone()).await
            };
            if !taken {
                self.remove_connection(&id).await;
            }
        }
    }

    /// Sizes of the tables that serve the manager only.
    pub fn tables(&self) -> Tables {
        let books = self.0.books.borrow();
        Tables { deliveries: books.tracked, locks: books.locks.len() }
    }

    /// Ids that belonged to other users and were overwritten, and connection ids that changed their user.
    pub fn contamination_prevented(&self) -> u64 {
        self.0.books.borrow().prevented
    }

    /// Events that users were sent, the recovered ones included.
    pub fn events_sent(&self) -> u64 {
        self.0.books.borrow().events
    }
}

impl Sink for Manager {
    fn send_to_connection<'a>(
        &'a self,
        connection: &'a Value,
        event: &'a Message,
        still: &'a dyn Fn() -> bool,
    ) -> Option<Answer<'a, Value>> {
        // The routers looked for a name that the manager did not have.
        if self.has(Hazard::E9) {
            return None;
        }
        Some(Box::pin(async move {
            let id = connection.as_str().unwrap_or_default();
            Ok(Value::Bool(still() && self.send_message(id, event).await))
        }))
    }

    fn send_message_to_thread<'a>(&'a self, _: &'a Value, _: &'a Message) -> Option<Answer<'a, Value>> {
        None
    }

    fn connections_of(&self, user: &str) -> Result<usize, Raised> {
        Ok(self.ids_of(user).len())
    }

    fn send_to_user<'a>(&'a self, user: &'a str, event: &'a Message) -> Answer<'a, Written> {
        Box::pin(async move { Manager::send_to_user(self, &user.into(), event).await })
    }
}
