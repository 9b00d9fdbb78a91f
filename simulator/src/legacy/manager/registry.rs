//! Who is connected.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    Connection, Hazard, Manager,
    recovery::{CONNECT_US, Under},
};
use crate::legacy::{event_loop::Lock, plain::Raised, sink::Socket};

impl Manager {
    /// Registers a connection, and sends it what waited for its user before returning.
    ///
    /// # Errors
    /// `ValueError`: an empty id, or an id that another user has and keeps.
    pub async fn add_connection(
        &self,
        user: &str,
        id: &str,
        thread: Option<&str>,
        socket: Option<Rc<dyn Socket>>,
    ) -> Result<(), Raised> {
        if user.is_empty() || id.is_empty() {
            return Err(Raised::new("ValueError", "user id and connection id must not be empty"));
        }
        self.serves(user)?;
        let guard = self.lock_of(user).acquire().await;
        {
            let mut books = self.0.books.borrow_mut();
            if books.connections.get(id).is_some_and(|former| former.user != user) {
                if !self.has(Hazard::M2) {
                    return Err(Raised::new("ValueError", "the connection id belongs to another user"));
                }
                books.prevented += 1;
            }
            let (user, thread) = (user.to_owned(), thread.map(str::to_owned));
            let turn = Lock::new(&self.0.event_loop);
            books.of_user.entry(user.clone()).or_default().insert(id.to_owned());
            books.connections.insert(id.to_owned(), Connection { user, thread, socket, turn });
        }
        if self.has(Hazard::M3) {
            drop(guard);
            self.recover(user, CONNECT_US, Under::EachSend).await;
        } else {
            self.recover(user, CONNECT_US, Under::Caller).await;
            drop(guard);
        }
        Ok(())
    }

    /// A connection leaves.
    pub async fn remove_connection(&self, id: &str) {
        let Some(user) = self.owner(id) else { return };
        let guard = self.lock_of(&user).acquire().await;
        self.strike_off(&user, id);
        drop(guard);
        self.forget_lock(&user);
    }

    /// Takes a connection out of the registry, under the lock of its user.
    pub(super) fn strike_off(&self, user: &str, id: &str) {
        let mut books = self.0.books.borrow_mut();
        if books.connections.remove(id).is_none() {
            return;
        }
        if let Some(ids) = books.of_user.get_mut(user) {
            if self.has(Hazard::M1) {
                ids.retain(|other| !look_alike(other, id));
            } else {
                ids.remove(id);
            }
            if ids.is_empty() {
                books.of_user.remove(user);
            }
        }
    }

    /// The lock of a user who has left, and for whom nothing waits.
    fn forget_lock(&self, user: &str) {
        let mut books = self.0.books.borrow_mut();
        let gone = !books.of_user.contains_key(user) && books.queues.get(user).is_none_or(Vec::is_empty);
        if gone && !self.has(Hazard::M8) && books.locks.get(user).is_some_and(|lock| !lock.is_held()) {
            books.locks.remove(user);
        }
    }

    /// Forgets what waits for a user, and the user's lock if nobody holds it.
    pub fn forget_user(&self, user: &str) {
        {
            let mut books = self.0.books.borrow_mut();
            books.queues.remove(user);
            books.untold.remove(user);
        }
        self.forget_lock(user);
    }

    /// Gives a connection another socket; only tests of the old code did so.
    pub fn set_socket(&self, id: &str, socket: Rc<dyn Socket>) {
        if let Some(connection) = self.0.books.borrow_mut().connections.get_mut(id) {
            connection.socket = Some(socket);
        }
    }

    /// Whose connection it is.
    pub fn owner(&self, id: &str) -> Option<String> {
        self.0.books.borrow().connections.get(id).map(|connection| connection.user.clone())
    }

    /// Ids of all connections, also of those that their user is no longer listed with.
    pub fn connections(&self) -> Vec<String> {
        self.0.books.borrow().connections.keys().cloned().collect()
    }

    /// The ids that each user is listed with.
    pub fn registered(&self) -> BTreeMap<String, Vec<String>> {
        let listed = |(user, ids): (&String, &std::collections::BTreeSet<String>)| {
            (user.clone(), ids.iter().cloned().collect())
        };
        self.0.books.borrow().of_user.iter().map(listed).collect()
    }

    /// Whether a user has a connection with a socket.
    pub fn is_connection_active(&self, user: &str) -> bool {
        let books = self.0.books.borrow();
        let has_socket = |id: &String| books.connections.get(id).is_some_and(|c| c.socket.is_some());
        books.of_user.get(user).is_some_and(|ids| ids.iter().any(has_socket))
    }
}

/// Two ids count as one if they begin with the same word, or if neither has a word to begin with.
fn look_alike(left: &str, right: &str) -> bool {
    let word = |id: &str| id.split_once('_').map(|(word, _)| word.to_owned());
    word(left) == word(right)
}
