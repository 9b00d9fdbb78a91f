//! What the old routers and the broadcast service saw of a connection manager.

use std::{future::Future, pin::Pin};

use serde_json::{Map, Value};

use super::plain::Raised;

/// An event or a message: a map.
pub type Message = Map<String, Value>;

/// An answer that may take time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Raised>> + 'a>>;

/// What became of an event for a user's connections. The old manager told nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Connections that it was tried on.
    pub tried: usize,
    /// Sockets that took it.
    pub written: usize,
}

/// A connection manager, as far as others looked at it.
pub trait Sink {
    /// Sends to one connection. `None`: there is no such method. `still` is asked just before the write, and says whether
    /// the connection is the one that was meant.
    fn send_to_connection<'a>(
        &'a self,
        connection: &'a Value,
        event: &'a Message,
        still: &'a dyn Fn() -> bool,
    ) -> Option<Answer<'a, Value>>;

    /// Sends to all connections of a thread, whoever they belong to. `None`: there is no such method.
    fn send_message_to_thread<'a>(
        &'a self,
        thread: &'a Value,
        event: &'a Message,
    ) -> Option<Answer<'a, Value>>;

    /// How many connections a user has.
    ///
    /// # Errors
    /// Whatever the manager raises.
    fn connections_of(&self, user: &str) -> Result<usize, Raised>;

    /// Sends to all connections of a user.
    fn send_to_user<'a>(&'a self, user: &'a str, event: &'a Message) -> Answer<'a, Written>;
}

/// A socket, as far as the manager looked at it.
pub trait Socket {
    /// Sends a message. The object is the manager's own: a socket that changes it changes what is sent after it.
    fn send<'a>(&'a self, message: &'a mut Message) -> Answer<'a, ()>;
}
