//! Ways to a real agent: the bridge that each connection registered, and the handler that nobody did.

use crate::legacy::{
    Hazard, Hazards,
    message_router::{
        custom::{Handler, Reaction},
        message::Message,
    },
    message_types::MessageType,
    python::{Raised, Value, text},
};

/// What an agent is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// For whom it answers.
    pub user: String,
    /// The text.
    pub text: String,
    /// The thread, if one was named.
    pub thread_id: Option<String>,
    /// The run, if one was named.
    pub run_id: Option<String>,
}

/// The handler that a connection registered for its user: it hands messages to its own user's agent.
#[derive(Debug)]
pub struct Bridge {
    user: String,
    kinds: Vec<MessageType>,
    hazards: Hazards,
}

impl Bridge {
    /// The bridge of a user, for messages of some types.
    pub fn of(user: &str, kinds: &[MessageType], hazards: Hazards) -> Self {
        Self { user: user.to_owned(), kinds: kinds.to_vec(), hazards }
    }
}

impl Handler for Bridge {
    fn name(&self) -> &str {
        "AgentBridgeHandler"
    }

    fn can_handle(&mut self, kind: MessageType) -> Result<Value, Raised> {
        Ok(self.kinds.contains(&kind).into())
    }

    /// H5: the bridge lacks the method that is called, and the message ends here. It looks at no user: its agent
    /// answers its own, whoever sent the message (H3).
    fn handle(&mut self, _user: &Value, message: &Message) -> Reaction {
        if self.hazards.has(Hazard::H5) {
            return Reaction::returned(false);
        }
        // H22: whoever the message names is believed to have sent it.
        let named = message.user_id.as_deref().filter(|id| !id.is_empty() && self.hazards.has(Hazard::H22));
        match ask(named.unwrap_or(&self.user), message) {
            Some(ask) => Reaction { ask: Some(ask), ..Reaction::returned(true) },
            None => Reaction::returned(false),
        }
    }
}

/// The intended way to the agent service, registered nowhere.
#[derive(Debug)]
pub struct AgentMessage {
    kinds: Vec<MessageType>,
    hazards: Hazards,
    processed: i64,
    errors: i64,
}

impl AgentMessage {
    /// The handler, for the types that were meant for it.
    pub fn new(hazards: Hazards) -> Self {
        Self::of(&[MessageType::StartAgent, MessageType::UserMessage, MessageType::Chat], hazards)
    }

    /// The handler, for some types.
    pub fn of(kinds: &[MessageType], hazards: Hazards) -> Self {
        Self { kinds: kinds.to_vec(), hazards, processed: 0, errors: 0 }
    }
}

impl Handler for AgentMessage {
    fn name(&self) -> &str {
        "AgentMessageHandler"
    }

    fn can_handle(&mut self, kind: MessageType) -> Result<Value, Raised> {
        Ok(self.kinds.contains(&kind).into())
    }

    /// H6: it waits for what cannot be waited for, and calls its service with arguments that it does not take.
    fn handle(&mut self, user: &Value, message: &Message) -> Reaction {
        let ask = ask(&text::str(user), message).filter(|_| !self.hazards.has(Hazard::H6));
        let Some(ask) = ask else {
            self.errors += 1;
            return Reaction::returned(false);
        };
        self.processed += 1;
        Reaction { ask: Some(ask), ..Reaction::returned(true) }
    }

    fn figures(&self) -> Option<Value> {
        let figures = [("messages_processed", self.processed.into()), ("errors", self.errors.into())];
        Some(Value::dict(figures))
    }
}

/// What a message asks: nothing if it has no text.
fn ask(user: &str, message: &Message) -> Option<Ask> {
    let keys: &[&str] = if message.kind == MessageType::StartAgent {
        &["user_request", "message", "content"]
    } else {
        &["message", "content", "text"]
    };
    let said = keys.iter().filter_map(|key| message.get(key)).find(|value| value.truthy())?;
    let id = |key: &str| message.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Ask {
        user: user.to_owned(),
        text: text::str(said),
        thread_id: message.thread_id.clone().filter(|id| !id.is_empty()).or_else(|| id("thread_id")),
        run_id: id("run_id"),
    })
}
