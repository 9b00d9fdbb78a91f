//! Handlers of the host.

use super::{handlers::agent_message::Ask, message::Message};
use crate::legacy::{
    message_types::MessageType,
    python::{Raised, Value},
};

/// What a handler does with a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Reaction {
    /// It waits so many microseconds first.
    pub after_us: u64,
    /// It sends this to the sender.
    pub reply: Option<Value>,
    /// It asks an agent.
    pub ask: Option<Ask>,
    /// It returns or raises, at the end.
    pub returns: Result<Value, Raised>,
}

impl Reaction {
    /// It returns this, and nothing else.
    pub fn returned(value: impl Into<Value>) -> Self {
        Self { after_us: 0, reply: None, ask: None, returns: Ok(value.into()) }
    }
}

/// A handler that a host registers.
pub trait Handler: Send {
    /// Its name in figures.
    fn name(&self) -> &str;

    /// Whether it wants messages of a type: anything true is a yes.
    ///
    /// # Errors
    /// An exception counts as a no.
    fn can_handle(&mut self, kind: MessageType) -> Result<Value, Raised>;

    /// Handles a message of a connection's user.
    fn handle(&mut self, user: &Value, message: &Message) -> Reaction;

    /// Figures of its own, if it keeps any.
    fn figures(&self) -> Option<Value> {
        None
    }
}
