//! The pool: entries of connections by user, and the owner of each id.

use std::{cell::RefCell, rc::Rc};

use serde_json::Value;

use crate::legacy::{Hazard, Hazards, plain};

/// From this time without activity on, a connection is idle.
const IDLE_US: u64 = 300_000_000;
const DAY_US: u64 = 86_400_000_000;

/// One registration.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Id of the connection.
    pub connection: Value,
    /// Its thread; null without one.
    pub thread: Value,
    /// When something was last sent, or when it was registered. Microseconds.
    pub last_activity_us: u64,
    /// Which registration it is.
    number: u64,
}

type Entries = Rc<RefCell<Vec<Entry>>>;

/// The pool. Users and ids stand in the order in which they came.
#[derive(Debug)]
pub struct Pool {
    hazards: Hazards,
    idle_us: u64,
    users: Vec<(Value, Entries)>,
    owners: Vec<(Value, Value)>,
    registered: u64,
}

/// Counts of a pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Entries.
    pub total_connections: usize,
    /// Entries that are not idle.
    pub active_connections: usize,
    /// Entries of each user.
    pub connections_per_user: Vec<(Value, usize)>,
}

impl Pool {
    /// An empty pool.
    pub fn new(hazards: Hazards) -> Self {
        Self::with_idle_us(hazards, IDLE_US)
    }

    /// An empty pool whose connections are idle from this time without activity on, in microseconds.
    pub fn with_idle_us(hazards: Hazards, idle_us: u64) -> Self {
        Self { hazards, idle_us, users: Vec::new(), owners: Vec::new(), registered: 0 }
    }

    /// Whose connection it is.
    pub fn owner(&self, connection: &Value) -> Option<&Value> {
        self.owners.iter().find(|(id, _)| id == connection).map(|(_, owner)| owner)
    }

    pub(super) fn is_free(&self, connection: &Value) -> bool {
        self.owner(connection).is_none()
    }

    /// The owner of each id.
    pub fn owners(&self) -> &[(Value, Value)] {
        &self.owners
    }

    /// Each user with its entries.
    pub fn users(&self) -> impl Iterator<Item = (&Value, Vec<Entry>)> {
        self.users.iter().map(|(user, entries)| (user, entries.borrow().clone()))
    }

    /// The list of a user's entries as it is now; an empty one for somebody unknown.
    pub(super) fn entries(&self, user: &Value) -> Entries {
        let found = self.users.iter().find(|(other, _)| other == user);
        found.map(|(_, entries)| Rc::clone(entries)).unwrap_or_default()
    }

    fn first(&self, user: &Value, connection: &Value) -> Option<Entry> {
        self.entries(user).borrow().iter().find(|entry| entry.connection == *connection).cloned()
    }

    /// Which registration a connection of a user is, as long as it is that user's.
    pub(super) fn registration(&self, user: &Value, connection: &Value) -> Option<u64> {
        self.first(user, connection)
            .filter(|_| self.owner(connection) == Some(user))
            .map(|entry| entry.number)
    }

    pub(super) fn thread(&self, user: &Value, connection: &Value) -> Option<Value> {
        self.first(user, connection).map(|entry| entry.thread).filter(plain::is_truthy)
    }

    /// Whether nobody else has a connection in a thread.
    pub(super) fn is_alone_in(&self, user: &Value, thread: &Value) -> bool {
        let mut others = self.users.iter().filter(|(other, _)| other != user);
        others.all(|(_, entries)| entries.borrow().iter().all(|entry| entry.thread != *thread))
    }

    pub(super) fn register(&mut self, user: &Value, connection: &Value, thread: &Value, now_us: u64) -> bool {
        let former = self.owner(connection).cloned();
        let taken_over = former.is_some_and(|former| former != *user);
        if taken_over && !self.hazards.has(Hazard::E2) && !self.hazards.has(Hazard::E5) {
            return false;
        }
        if !self.users.iter().any(|(other, _)| other == user) {
            self.users.push((user.clone(), Entries::default()));
        }
        self.registered += 1;
        let entry = Entry {
            connection: connection.clone(),
            thread: thread.clone(),
            last_activity_us: now_us,
            number: self.registered,
        };
        let entries = self.entries(user);
        let mut entries = entries.borrow_mut();
        if !self.hazards.has(Hazard::E1) {
            // It takes the place of the one that had the name, behind all others.
            entries.retain(|other| other.connection != *connection);
        }
        entries.push(entry);
        if !plain::is_hashable(connection) {
            // It is in the list by now, and has no owner.
            return false;
        }
        match self.owners.iter_mut().find(|(id, _)| id == connection) {
            Some((_, owner)) => *owner = user.clone(),
            None => self.owners.push((connection.clone(), user.clone())),
        }
        true
    }

    pub(super) fn unregister(&mut self, connection: &Value) -> bool {
        let Some(owner) = self.owner(connection).filter(|owner| plain::is_truthy(owner)).cloned() else {
            return false;
        };
        self.keep(&owner, |entry| entry.connection != *connection);
        self.owners.retain(|(id, _)| id != connection);
        true
    }

    /// Replaces a user's list by one of the entries to keep; a user without entries goes.
    fn keep(&mut self, user: &Value, keeps: impl Fn(&Entry) -> bool) {
        let kept: Vec<Entry> = self.entries(user).borrow().iter().filter(|e| keeps(e)).cloned().collect();
        if kept.is_empty() {
            self.users.retain(|(other, _)| other != user);
        } else if let Some((_, entries)) = self.users.iter_mut().find(|(other, _)| other == user) {
            *entries = Rc::new(RefCell::new(kept));
        }
    }

    /// Something was sent to a connection.
    pub(super) fn touch(&self, user: &Value, connection: &Value, now_us: u64) {
        if let Some(entry) = self.entries(user).borrow_mut().iter_mut().find(|e| e.connection == *connection)
        {
            entry.last_activity_us = now_us;
        }
    }

    fn is_active(&self, entry: &Entry, now_us: u64) -> bool {
        let idle_us = now_us.saturating_sub(entry.last_activity_us);
        // A duration has days and seconds; only the seconds were looked at.
        if self.hazards.has(Hazard::E3) { idle_us % DAY_US < self.idle_us } else { idle_us < self.idle_us }
    }

    pub(super) fn active(&self, user: &Value, now_us: u64) -> Vec<Value> {
        let entries = self.entries(user);
        let entries = entries.borrow();
        entries.iter().filter(|e| self.is_active(e, now_us)).map(|e| e.connection.clone()).collect()
    }

    pub(super) fn cleanup(&mut self, now_us: u64) -> usize {
        let users: Vec<Value> = self.users.iter().map(|(user, _)| user.clone()).collect();
        let mut removed = 0;
        for user in users {
            let entries = self.entries(&user).borrow().clone();
            let stale: Vec<Entry> = entries.into_iter().filter(|e| !self.is_active(e, now_us)).collect();
            removed += stale.len();
            let any_owner = self.hazards.has(Hazard::E2);
            for Entry { connection, .. } in &stale {
                self.owners.retain(|(id, owner)| id != connection || !(any_owner || *owner == user));
            }
            self.keep(&user, |entry| !stale.contains(entry));
        }
        removed
    }

    pub(super) fn stats(&self, now_us: u64) -> Stats {
        let mut stats = Stats::default();
        for (user, entries) in self.users() {
            stats.total_connections += entries.len();
            stats.active_connections += entries.iter().filter(|entry| self.is_active(entry, now_us)).count();
            stats.connections_per_user.push((user.clone(), entries.len()));
        }
        stats
    }
}
