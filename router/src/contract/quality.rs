//! Quality: what the router asks of its services, what comes back, and what a host tells the subscribers.
//!
//! A quality service is work, so it stands outside: the router pushes [`Effect::AskQuality`] and goes on; the answer
//! comes back as [`Input::Quality`], whenever. The embedded services of [`quality`](crate::quality) answer at once.
//!
//! [`Effect::AskQuality`]: super::Effect::AskQuality
//! [`Input::Quality`]: super::Input::Quality

use alloc::{
    borrow::{Cow, ToOwned as _},
    boxed::Box,
    string::String,
};

use serde_json::value::RawValue;

use super::{Instant, UserId};
use crate::{audience::UserRef, quality::ContentKind};

/// One question that waits for its answer. Used up by the answer: a second one is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskRef {
    pub(crate) user: UserRef,
    pub(crate) number: u64,
}

impl AskRef {
    /// Number of the question, counted from 1 over all users.
    pub const fn number(self) -> u64 {
        self.number
    }
}

/// A question to a quality service.
#[derive(Clone, Debug)]
pub struct QualityRequest {
    /// Names the question in the answer.
    pub ask: AskRef,
    /// Who wants to know.
    pub user: UserId,
    /// Conversation that the message named, in the envelope or else in the payload.
    pub thread_id: Option<Box<str>>,
    /// Run that the message named, in the envelope or else in the payload.
    pub run_id: Option<Box<str>>,
    /// What is asked.
    pub question: QualityQuestion,
    /// When the router gives up waiting and tells the client so.
    pub deadline: Instant,
}

/// What is asked of a quality service.
#[derive(Clone, Debug)]
pub enum QualityQuestion {
    /// Figures over all agents.
    Dashboard,
    /// Figures of one agent over a period.
    AgentReport {
        /// The agent's name.
        agent: Given,
        /// Length of the period; a number of hours, unless the client thought otherwise.
        hours: Given,
    },
    /// A verdict on a text.
    Validate {
        /// The text.
        content: Given,
        /// What kind of text it is.
        kind: ContentKind,
        /// The bar is higher.
        strict: bool,
    },
}

/// A value as the client gave it: JSON, checked, of any type. What it means, the service decides.
#[derive(Clone, Debug)]
pub struct Given(Box<RawValue>);

impl Given {
    /// The value of that JSON text, which must be one; else `null`.
    pub(crate) fn new(json: &str) -> Self {
        Self(RawValue::from_string(json.into()).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// A text.
    pub(crate) fn of_text(text: &str) -> Self {
        Self(serde_json::value::to_raw_value(text).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// The value's JSON text.
    pub fn json(&self) -> &str {
        self.0.get()
    }

    /// The value if it is a text, unescaped; else its JSON text.
    pub fn text(&self) -> Cow<'_, str> {
        match serde_json::from_str::<String>(self.json()) {
            Ok(text) => Cow::Owned(text),
            Err(_) => Cow::Borrowed(self.json()),
        }
    }

    /// The value if it is a whole number, or a text that writes one.
    pub fn integer(&self) -> Option<u32> {
        self.text().trim().parse().ok()
    }
}

/// What a quality service answered.
#[derive(Clone, Copy, Debug)]
pub enum QualityAnswer<'a> {
    /// The answer, any JSON value; it goes to the client as it is.
    Ready(&'a RawValue),
    /// The service failed. Why is the host's affair: the client gets a stable code and no more.
    Failed,
}

/// What a host tells everybody who subscribed to quality.
#[derive(Clone, Copy, Debug)]
pub enum QualityNews<'a> {
    /// `quality_update` with any JSON value as payload.
    Update(&'a RawValue),
    /// `quality_alert` with an object as payload, whose `severity` is `info` unless it says otherwise.
    /// Anything but an object is refused.
    Alert(&'a RawValue),
}
