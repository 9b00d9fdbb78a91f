//! Messages in the shape that clients send.

use alloc::{borrow::Cow, format, string::String};

use serde_json::value::RawValue;

use super::{BuildFault, members};
use crate::{
    contract::Instant,
    message::{self, Kind},
    wire::{Writer, shape},
};

/// Names that no payload may use at its top level: earlier clients marked invalid messages with them.
pub const RESERVED_KEYS: [&str; 3] = ["forbidden_field", "another_violation", "invalid_field"];

/// A standard message: `{type, payload, timestamp, message_id, user_id, thread_id}`.
///
/// [`build`](Self::build) checks it; what it lets through, the router of that user accepts.
#[derive(Clone, Debug)]
pub struct StandardMessage<'a> {
    kind: Kind,
    payload: Option<&'a RawValue>,
    timestamp: Option<Instant>,
    message_id: Option<Cow<'a, str>>,
    user_id: Option<&'a str>,
    thread_id: Option<&'a str>,
}

impl<'a> StandardMessage<'a> {
    /// A message of this kind: the payload empty, everything else null.
    pub const fn new(kind: Kind) -> Self {
        Self { kind, payload: None, timestamp: None, message_id: None, user_id: None, thread_id: None }
    }

    /// The payload, an object.
    pub fn payload(self, payload: &'a RawValue) -> Result<Self, BuildFault> {
        if !payload.get().starts_with('{') {
            return Err(BuildFault::NotAnObject("payload"));
        }
        Ok(Self { payload: Some(payload), ..self })
    }

    /// When it was sent.
    #[must_use]
    pub fn timestamp(self, at: Instant) -> Self {
        Self { timestamp: Some(at), ..self }
    }

    /// Names it, so that the router recognises a repetition.
    #[must_use]
    pub fn message_id(self, id: &'a str) -> Self {
        Self { message_id: Some(id.into()), ..self }
    }

    /// Stamps it `now` and names it `msg_<type>_<number>`; the caller counts.
    #[must_use]
    pub fn stamped(self, now: Instant, number: u64) -> Self {
        let id = format!("msg_{}_{number}", self.kind.name());
        Self { timestamp: Some(now), message_id: Some(id.into()), ..self }
    }

    /// The sender.
    #[must_use]
    pub fn user_id(self, id: &'a str) -> Self {
        Self { user_id: Some(id), ..self }
    }

    /// The thread.
    #[must_use]
    pub fn thread_id(self, id: &'a str) -> Self {
        Self { thread_id: Some(id), ..self }
    }

    /// The message as JSON text, if it keeps the rules: no [`RESERVED_KEYS`] in the payload; for `start_agent` and
    /// `agent_request` a payload that is not empty, its `request` an object or a text if it is there; and whatever
    /// the router's checking pass demands: finite numbers, bounded nesting, no id of another user, less than 64 KiB.
    pub fn build(&self) -> Result<String, BuildFault> {
        let members = match self.payload {
            Some(payload) => members(payload, "payload")?,
            None => super::Members::new(),
        };
        if let Some(key) = RESERVED_KEYS.into_iter().find(|key| members.contains_key(*key)) {
            return Err(BuildFault::Reserved(key));
        }
        if matches!(self.kind, Kind::StartAgent | Kind::AgentRequest) {
            if members.is_empty() {
                return Err(BuildFault::PayloadEmpty(self.kind));
            }
            if members.get("request").is_some_and(|request| !request.get().starts_with(['{', '"'])) {
                return Err(BuildFault::BadRequest);
            }
        }
        let text = self.encode();
        let own = self.user_id.unwrap_or_default();
        match message::scan(&text, own.as_bytes(), message::NESTING_MAX) {
            Ok(_) => Ok(text),
            Err(fault) => Err(BuildFault::Refused(fault)),
        }
    }

    /// The message as JSON text, unchecked.
    pub fn encode(&self) -> String {
        let mut w = Writer::default();
        w.begin();
        w.text("{\"type\":", self.kind.name());
        w.raw(",\"payload\":");
        w.raw(self.payload.map_or("{}", RawValue::get));
        match self.timestamp {
            Some(at) => w.unix_seconds(",\"timestamp\":", at),
            None => w.raw(",\"timestamp\":null"),
        }
        shape::text_or_null(&mut w, ",\"message_id\":", self.message_id.as_deref());
        shape::text_or_null(&mut w, ",\"user_id\":", self.user_id);
        shape::text_or_null(&mut w, ",\"thread_id\":", self.thread_id);
        w.raw("}");
        w.finish().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).expect("JSON")
    }

    fn build(kind: Kind, payload: &str) -> Result<String, BuildFault> {
        StandardMessage::new(kind).payload(raw(payload))?.build()
    }

    #[test]
    fn a_good_one_reads_back_through_the_checking_pass() {
        let payload = raw("{\"é\":\"🚀\"}");
        let message = StandardMessage::new(Kind::Chat).payload(payload).expect("an object");
        let text = message.user_id("u").thread_id("t").stamped(Instant::from_micros(7_000_000), 3).build();
        let text = text.expect("good");
        let envelope = message::scan(&text, b"u", 64).expect("the router takes it");
        assert_eq!(envelope.kind.map(message::Raw::json), Some("\"chat\""));
        assert_eq!(envelope.message_id.map(message::Raw::json), Some("\"msg_chat_3\""));
        assert_eq!(envelope.sent_at(), Some(Instant::from_micros(7_000_000)));
        assert_eq!(envelope.payload().json(), payload.get());
    }

    #[test]
    fn what_cannot_be_built_says_why() {
        for (kind, payload, fault) in [
            (Kind::Ping, "\"s\"", BuildFault::NotAnObject("payload")),
            (Kind::Ping, "null", BuildFault::NotAnObject("payload")),
            (Kind::Ping, r#"{"invalid_field":1}"#, BuildFault::Reserved("invalid_field")),
            (Kind::StartAgent, "{}", BuildFault::PayloadEmpty(Kind::StartAgent)),
            (Kind::AgentRequest, r#"{"request":null}"#, BuildFault::BadRequest),
            (Kind::AgentRequest, r#"{"request":5}"#, BuildFault::BadRequest),
        ] {
            assert_eq!(build(kind, payload), Err(fault), "{payload}");
        }
        assert!(build(Kind::AgentRequest, r#"{"request":"r"}"#).is_ok());
        assert!(build(Kind::AgentRequest, r#"{"x":1}"#).is_ok());
        assert!(build(Kind::Ping, r#"{"a":{"forbidden_field":1}}"#).is_ok(), "the top level only");
    }

    #[test]
    fn what_the_router_would_refuse_is_refused_here() {
        for (payload, code) in [
            (r#"{"a":[{"b":1e400}]}"#, ErrorCode::BadNumber),
            (r#"{"user_id":"eve"}"#, ErrorCode::ForeignUserId),
        ] {
            let refused = build(Kind::Ping, payload);
            assert!(matches!(&refused, Err(BuildFault::Refused(fault)) if fault.code == code), "{refused:?}");
        }
    }
}
