//! What an agent is asked to do.

use alloc::{boxed::Box, string::String, sync::Arc};

use super::{Instant, RunRef, Tier, UserId};
use crate::message::Kind;

/// A request to run an agent, with the ids that every event of the run will carry.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// Handle for the agent's reports.
    pub run: RunRef,
    /// Owner.
    pub user: UserId,
    /// Plan of the owner.
    pub tier: Tier,
    /// Conversation.
    pub thread_id: Arc<str>,
    /// The client's `message_id`, or one of ours: joins a message to its run.
    pub request_id: Arc<str>,
    /// What kind of message asked.
    pub kind: Kind,
    /// The message's payload: a JSON object, checked.
    pub payload: Box<str>,
    /// When the router ends the run by itself.
    pub deadline: Instant,
    pub(crate) node: Arc<str>,
    pub(crate) number: u64,
    pub(crate) text: RequestText,
}

/// The text of a request: nearly always it stands in the payload as it is.
#[derive(Clone, Debug)]
pub(crate) enum RequestText {
    /// Start and end in the payload.
    Within(u32, u32),
    /// It was escaped.
    Unescaped(Box<str>),
}

impl RunRequest {
    /// The request of a run that somebody else than a router starts: for models that stand in for one. The other
    /// fields are public and begin empty; the run's id is made of `number`.
    pub fn stand_in(run: RunRef, number: u64, user: UserId, text: &str) -> Self {
        Self {
            run,
            user,
            tier: Tier::Free,
            thread_id: "".into(),
            request_id: "".into(),
            kind: Kind::UserMessage,
            payload: "{}".into(),
            deadline: Instant::default(),
            node: "model".into(),
            number,
            text: RequestText::Unescaped(text.into()),
        }
    }

    /// The text to work on, unescaped.
    pub fn text(&self) -> &str {
        match &self.text {
            RequestText::Within(start, end) => &self.payload[*start as usize..*end as usize],
            RequestText::Unescaped(text) => text,
        }
    }

    /// Id of this run, unique per router incarnation.
    pub fn run_id(&self) -> String {
        crate::run::id("run", &self.node, self.number)
    }
}
