//! Messages from a server to a client.

use serde_json::value::RawValue;

use super::{BuildFault, Members, members, object_or_null};
use crate::{
    contract::{Frame, Instant},
    message::{Kind, frontend_name},
    wire::{Writer, shape},
};

/// A server message: `{type, data, timestamp, server_id, correlation_id}`.
///
/// ```
/// use router::{Instant, Kind, wire::ServerMessage};
///
/// let data = serde_json::from_str(r#"{"status":"maintenance at noon"}"#)?;
/// let frame = ServerMessage::new(Kind::SystemMessage).data(data)?.encode(Instant::from_micros(1_500_000));
/// assert_eq!(
///     frame.as_str(),
///     concat!(
///         r#"{"type":"system_message","data":{"status":"maintenance at noon"},"#,
///         r#""timestamp":1.500000,"server_id":null,"correlation_id":null}"#
///     )
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ServerMessage<'a> {
    name: &'static str,
    data: Data<'a>,
    server_id: Option<&'a str>,
    correlation_id: Option<&'a str>,
}

#[derive(Clone, Debug)]
enum Data<'a> {
    Empty,
    /// As the host wrote it.
    Given(&'a RawValue),
    /// Put together from members.
    Members(Members<'a>),
}

impl<'a> ServerMessage<'a> {
    /// A message of this kind, under its canonical name, with no data.
    pub const fn new(kind: Kind) -> Self {
        Self::called(kind.name())
    }

    /// A message of the kind that `name` spells; the message carries the canonical name.
    pub fn named(name: &str) -> Result<Self, BuildFault> {
        match Kind::from_name(name) {
            Some(kind) => Ok(Self::new(kind)),
            None => Err(BuildFault::Type(crate::message::TypeFault::Unknown)),
        }
    }

    /// A message under the name by which a front end knows it: see [`frontend_name`].
    pub fn outbound(name: &str) -> Result<Self, BuildFault> {
        match frontend_name(name) {
            Some(name) => Ok(Self::called(name)),
            None => Err(BuildFault::Type(crate::message::TypeFault::Unknown)),
        }
    }

    /// A message from one flat object: its member `type` is the type, all others together are the data. A member
    /// `data` or `timestamp` is data like any other.
    pub fn from_flat(object: &'a RawValue) -> Result<Self, BuildFault> {
        let mut members = members(object, "the message")?;
        let kind = Kind::from_json(members.remove("type").ok_or(BuildFault::TypeMissing)?)?;
        Ok(Self { data: Data::Members(members), ..Self::new(kind) })
    }

    const fn called(name: &'static str) -> Self {
        Self { name, data: Data::Empty, server_id: None, correlation_id: None }
    }

    /// Replaces the data: an object; null is no data.
    pub fn data(self, data: &'a RawValue) -> Result<Self, BuildFault> {
        let data = object_or_null(data, "data")?.map_or(Data::Empty, Data::Given);
        Ok(Self { data, ..self })
    }

    /// Sets one member of the data, over what is there.
    pub fn member(self, key: &'a str, value: &'a RawValue) -> Result<Self, BuildFault> {
        let mut members = match self.data {
            Data::Empty => Members::new(),
            Data::Given(object) => members(object, "data")?,
            Data::Members(members) => members,
        };
        members.insert(key.into(), value);
        Ok(Self { data: Data::Members(members), ..self })
    }

    /// Names the server that speaks.
    #[must_use]
    pub fn server_id(self, id: &'a str) -> Self {
        Self { server_id: Some(id), ..self }
    }

    /// Says which request this belongs to.
    #[must_use]
    pub fn correlation_id(self, id: &'a str) -> Self {
        Self { correlation_id: Some(id), ..self }
    }

    /// The message as a frame, stamped `now`.
    pub fn encode(&self, now: Instant) -> Frame {
        let mut w = Writer::default();
        shape::server_head(&mut w, self.name);
        match &self.data {
            Data::Empty => w.raw("{}"),
            Data::Given(data) => w.raw(data.get()),
            Data::Members(members) => {
                w.raw("{");
                for (n, (key, value)) in members.iter().enumerate() {
                    w.text(if n == 0 { "" } else { "," }, key);
                    w.raw(":");
                    w.raw(value.get());
                }
                w.raw("}");
            }
        }
        shape::server_tail(&mut w, now, self.server_id, self.correlation_id);
        Frame::copy_of(w.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::TypeFault;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).expect("JSON")
    }

    fn text(message: &ServerMessage<'_>) -> serde_json::Value {
        serde_json::from_str(message.encode(Instant::from_micros(7_000_000)).as_str()).expect("JSON")
    }

    #[test]
    fn the_three_ways_to_build_one() {
        let flat = raw(r#"{"type":"legacy_heartbeat","timestamp":"iso","data":{"a":1}}"#);
        let data = raw(r#"{"a":1,"b":2}"#);
        let whole = |kind: &str, data: serde_json::Value, correlation: Option<&str>| {
            serde_json::json!({
                "type": kind, "data": data, "timestamp": 7.0, "server_id": null, "correlation_id": correlation,
            })
        };
        assert_eq!(
            text(&ServerMessage::named("error").expect("known")),
            whole("error_message", serde_json::json!({}), None)
        );
        assert_eq!(
            text(&ServerMessage::from_flat(flat).expect("flat").correlation_id("c\"1")),
            whole("heartbeat", serde_json::json!({"timestamp": "iso", "data": {"a": 1}}), Some("c\"1"))
        );
        let merged =
            ServerMessage::outbound("final_report").and_then(|m| m.data(data)?.member("a", raw("9")));
        assert_eq!(
            text(&merged.expect("good")),
            whole("final_report", serde_json::json!({"a": 9, "b": 2}), None)
        );
    }

    #[test]
    fn what_cannot_be_built_says_why() {
        let flat = |json| ServerMessage::from_flat(raw(json)).map(|_| ());
        assert_eq!(flat("{}"), Err(BuildFault::TypeMissing));
        assert_eq!(flat("[]"), Err(BuildFault::NotAnObject("the message")));
        assert_eq!(flat(r#"{"type":null}"#), Err(BuildFault::Type(TypeFault::NotText)));
        assert_eq!(flat(r#"{"type":"nope"}"#), Err(BuildFault::Type(TypeFault::Unknown)));
        let data = |json| ServerMessage::new(Kind::Ping).data(raw(json)).map(|_| ());
        assert_eq!(data("null"), Ok(()));
        for wrong in ["[]", "\"s\"", "5", "true"] {
            assert_eq!(data(wrong), Err(BuildFault::NotAnObject("data")), "{wrong}");
        }
    }
}
