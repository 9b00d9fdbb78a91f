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
