//! A message on its way: what middleware and handlers read, and what they may change of it.

use alloc::{string::String, sync::Arc};

use serde_json::{Map, Value};

use super::{Envelope, Purpose};

/// A message on its way through middleware and handlers.
///
/// Whoever has it may read all of it and amend payload and headers; those that come later see that. The message that
/// was handed to the router stays as it was. What somebody who fails has amended is undone.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Shared with the history until it is amended.
    envelope: Arc<Envelope>,
    /// Where it was redirected to.
    destination: Option<Arc<str>>,
    /// The message that came in, as it was when another was put in its place.
    left: Option<Arc<Envelope>>,
}

impl Draft {
    pub(super) const fn new(envelope: Arc<Envelope>) -> Self {
        Self { envelope, destination: None, left: None }
    }

    /// The sender's name for the message.
    pub fn id(&self) -> &str {
        &self.envelope.id
    }

    /// What it is for.
    pub fn purpose(&self) -> &Purpose {
        &self.envelope.purpose
    }

    /// Who sends it.
    pub fn source(&self) -> &str {
        &self.envelope.source
    }

    /// Where it goes now.
    pub fn destination(&self) -> Option<&str> {
        self.destination.as_deref().or(self.envelope.destination.as_deref())
    }

    /// The content.
    pub fn payload(&self) -> &Value {
        &self.envelope.payload
    }

    /// What goes with it.
    pub fn headers(&self) -> &Map<String, Value> {
        &self.envelope.headers
    }

    /// For whom it is sent. Nobody on the way can change that.
    pub fn user(&self) -> Option<&str> {
        self.envelope.user.as_deref()
    }

    /// The content, to be amended.
    pub fn payload_mut(&mut self) -> &mut Value {
        &mut self.own().payload
    }

    /// What goes with it, to be amended.
    pub fn headers_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.own().headers
    }

    /// The message as it is now, to make another of it for [`Verdict::Replace`](super::Verdict::Replace).
    pub fn to_envelope(&self) -> Envelope {
        let destination = self.key();
        Envelope { destination, ..(*self.envelope).clone() }
    }

    pub(super) fn key(&self) -> Option<Arc<str>> {
        self.destination.clone().or_else(|| self.envelope.destination.clone())
    }

    pub(super) fn redirect(&mut self, destination: Arc<str>) {
        self.destination = Some(destination);
    }

    /// Puts another message in place. `false`, and nothing is done, when it is somebody else's.
    pub(super) fn replace(&mut self, by: Envelope) -> bool {
        if by.user != self.envelope.user {
            return false;
        }
        let before = core::mem::replace(&mut self.envelope, Arc::new(by));
        if self.left.is_none() {
            self.left = Some(before);
        }
        self.destination = None;
        true
    }

    /// The message that came in as it was left, if that is not as it came.
    pub(super) fn left(self, received: &Arc<Envelope>) -> Option<Arc<Envelope>> {
        let left = self.left.unwrap_or(self.envelope);
        (!Arc::ptr_eq(&left, received)).then_some(left)
    }

    fn own(&mut self) -> &mut Envelope {
        Arc::make_mut(&mut self.envelope)
    }
}
