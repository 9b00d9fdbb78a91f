//! The quality router: requests of clients, answered with the help of two services, and news for subscribers.
//!
//! | part | what it holds |
//! |---|---|
//! | this one | messages: taken in, given their ids, routed |
//! | `handlers` | the four kinds of request, and what is done when they fail |
//! | `news` | broadcasts, one recipient at a time |
//! | `sending` | who can be written to |
//! | `report` | the text of a report |
//!
//! A user, a type, an id can be anything, for nobody checked. The router sends through a [`Host`]; where it waits for a
//! service it answers [`Next::Ask`], so that other calls can come in between.

mod handlers;
mod news;
mod report;
mod sending;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

pub use self::{
    handlers::{Pending, REASON},
    news::{Broadcast, News, Subscribers},
    sending::Wiring,
};
use super::{
    Hazard, Hazards,
    plain::{self, Raised},
};

/// The world around the router.
pub trait Host {
    /// Writes to a user's connections, all of them.
    ///
    /// # Errors
    /// The text of what went wrong.
    fn send(&mut self, user: &Value, message: &Value) -> Result<(), String>;

    /// The monitoring service takes a subscriber in.
    ///
    /// # Errors
    /// The text of its refusal.
    fn admit(&mut self, user: &Value) -> Result<(), String> {
        _ = user;
        Ok(())
    }
}

/// What a service is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// The figures of all agents, from monitoring.
    Dashboard,
    /// The figures of one agent, from monitoring.
    AgentReport {
        /// Its name.
        agent: Value,
        /// Over how many hours.
        hours: Value,
    },
    /// A verdict, from the gate.
    Validate {
        /// On what.
        content: Value,
        /// The kind of content it is judged as.
        kind: &'static str,
        /// Whether the verdict is to be strict.
        strict: Value,
        /// Q7: it is handed in where the gate expects the context, so the gate is never strict.
        strict_as_context: bool,
    },
}

/// What follows a call.
#[derive(Debug)]
pub enum Next {
    /// Nothing.
    Done,
    /// The answer to a question is waited for; [`QualityRouter::answered`] goes on with it.
    Ask(Question, Pending),
    /// The message belongs to the agent's handler: an agent is to be started for that user with that payload.
    StartAgent {
        /// The user.
        user: Value,
        /// The payload.
        payload: Value,
    },
}

/// Thread and run of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ids {
    /// The thread.
    pub thread: Value,
    /// The run.
    pub run: Value,
}

/// A message that was taken in: what its envelope says.
#[derive(Clone, Debug)]
pub struct Envelope {
    kind: Value,
    ids: Ids,
}

/// The router, with the subscribers of its monitoring service.
#[derive(Debug)]
pub struct QualityRouter {
    hazards: Hazards,
    wiring: Wiring,
    /// In the order of their texts, for that of the old set cannot be known.
    subscribers: Vec<Value>,
    current: Ids,
    log: Vec<String>,
}

impl QualityRouter {
    /// A router whose monitoring service has these subscribers.
    pub fn new(hazards: Hazards, wiring: Wiring, subscribers: impl IntoIterator<Item = Value>) -> Self {
        let mut router =
            Self { hazards, wiring, subscribers: Vec::new(), current: Ids::default(), log: Vec::new() };
        for user in subscribers {
            router.subscribe(&user);
        }
        router
    }

    /// Takes a message in and routes it, with nothing between.
    ///
    /// # Errors
    /// What reaches the caller: Q5, Q9.
    pub fn handle_message(
        &mut self,
        user: &Value,
        message: &mut Value,
        host: &mut dyn Host,
    ) -> Result<Next, Raised> {
        let envelope = self.receive(message)?;
        self.route(user, message, envelope, host)
    }

    /// Takes a message in: its ids become the router's.
    ///
    /// # Errors
    /// Q9: it is no map.
    pub fn receive(&mut self, message: &Value) -> Result<Envelope, Raised> {
        if !message.is_object() && self.hazards.has(Hazard::Q9) {
            return Err(Raised::no_attribute(message, "get"));
        }
        let member = |key: &str| message.get(key).cloned().unwrap_or_default();
        let ids = Ids { thread: member("thread_id"), run: member("run_id") };
        if self.hazards.has(Hazard::Q1) {
            self.current = ids.clone();
        }
        Ok(Envelope { kind: member("type"), ids })
    }

    /// Routes a message that was taken in. Q1: with the ids that the router has now.
    ///
    /// # Errors
    /// What reaches the caller: Q5, Q9.
    pub fn route(
        &mut self,
        user: &Value,
        message: &mut Value,
        envelope: Envelope,
        host: &mut dyn Host,
    ) -> Result<Next, Raised> {
        let Envelope { kind, ids } = envelope;
        if !plain::is_hashable(&kind) || !message.is_object() {
            if self.hazards.has(Hazard::Q9) {
                return Err(Raised::unhashable(&kind));
            }
            self.tell_error(user, REASON, "error message", host);
            return Ok(Next::Done);
        }
        let Some(request) = Request::named(&kind) else {
            self.tell_error(
                user,
                &format!("Unknown message type: {}", plain::str(&kind)),
                "error message",
                host,
            );
            return Ok(Next::Done);
        };
        let ids = if self.hazards.has(Hazard::Q1) { self.current.clone() } else { ids };
        let mut new = json!({});
        let payload = message.get_mut("payload").unwrap_or(&mut new);
        let mut enriched = payload.clone();
        for (key, id) in [("thread_id", ids.thread), ("run_id", ids.run)] {
            if !plain::is_truthy(&id) {
                continue;
            }
            match &mut enriched {
                Value::Object(members) => {
                    members.insert(key.to_owned(), id);
                }
                other if self.hazards.has(Hazard::Q9) => return Err(Raised::item_assignment(other)),
                // What is no map is the handler's to refuse.
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
            }
        }
        if self.hazards.has(Hazard::Q2) {
            payload.clone_from(&enriched);
        }
        self.handle(request, user, enriched, host)
    }

    /// The ids of the latest message. Q1: they are kept; else there are none.
    pub const fn current(&self) -> &Ids {
        &self.current
    }

    /// Who is subscribed, in the order of their texts.
    pub fn subscribers(&self) -> &[Value] {
        &self.subscribers
    }

    /// The errors that were logged since the last call of this.
    pub fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// A user's last connection is gone, and the time in which it could come back. Q8: nobody looks.
    pub fn user_left(&mut self, user: &Value) {
        if !self.hazards.has(Hazard::Q8) {
            self.unsubscribe(user);
        }
    }

    /// Adds a subscriber; one that is there stays the one it is.
    pub fn subscribe(&mut self, user: &Value) {
        if !self.subscribers.contains(user) {
            let at = self.subscribers.partition_point(|there| plain::str(there) < plain::str(user));
            self.subscribers.insert(at, user.clone());
        }
    }

    /// Takes a subscriber out, if it is there.
    pub fn unsubscribe(&mut self, user: &Value) {
        self.subscribers.retain(|there| there != user);
    }
}

/// The kinds of request that the router knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Metrics,
    Subscription,
    Validation,
    Report,
    StartAgent,
}

impl Request {
    fn named(kind: &Value) -> Option<Self> {
        Some(match kind.as_str()? {
            "get_quality_metrics" => Request::Metrics,
            "subscribe_quality_alerts" => Request::Subscription,
            "validate_content" => Request::Validation,
            "generate_quality_report" => Request::Report,
            "start_agent" => Request::StartAgent,
            _ => return None,
        })
    }
}

/// A payload's member, or what stands for a missing one.
fn member(payload: &Map<String, Value>, key: &str, missing: impl Into<Value>) -> Value {
    payload.get(key).cloned().unwrap_or_else(|| missing.into())
}
