//! The message between services, and what makes a value one.

use alloc::{string::String, sync::Arc};
use core::fmt::{self, Write as _};

use serde_json::{Map, Value};

use crate::{contract::UserId, error::ErrorCode};

/// What a message is for. It never decides about its route.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// `request`.
    Request,
    /// `response`.
    Response,
    /// `event`.
    Event,
    /// `command`.
    Command,
    /// Any other name, kept as it came.
    Other(Arc<str>),
    /// Its sender named none.
    #[default]
    Unsaid,
}

impl Purpose {
    /// The purpose of that name. Names are exact: `REQUEST` is another one.
    pub fn from_name(name: &str) -> Self {
        match name {
            "request" => Purpose::Request,
            "response" => Purpose::Response,
            "event" => Purpose::Event,
            "command" => Purpose::Command,
            other => Purpose::Other(other.into()),
        }
    }

    /// Its name; `None` when none was said.
    pub fn name(&self) -> Option<&str> {
        match self {
            Purpose::Request => Some("request"),
            Purpose::Response => Some("response"),
            Purpose::Event => Some("event"),
            Purpose::Command => Some("command"),
            Purpose::Other(name) => Some(name),
            Purpose::Unsaid => None,
        }
    }
}

/// A message from one service to another, inside one process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Envelope {
    /// The sender's name for it; the router does not ask that it be new.
    pub id: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Who sends it.
    pub source: String,
    /// The exact key of the route; `None` leads nowhere.
    pub destination: Option<Arc<str>>,
    /// The content: any JSON value.
    pub payload: Value,
    /// What goes with it.
    pub headers: Map<String, Value>,
    /// For whom it is sent; `None` for the services' own business. A client cannot set it: whoever makes an
    /// envelope of a client's frame puts the connection's user here.
    pub user: Option<UserId>,
}

impl Envelope {
    /// Reads a message out of JSON: an object with the texts `id` and `source`, and with `destination`, `type`,
    /// `payload`, `headers` (an object) and `user`, each of which may be null or absent. Other members are left
    /// aside.
    pub fn from_value(value: Value) -> Result<Self, NotAMessage> {
        let Value::Object(mut whole) = value else { return Err(NotAMessage::NoObject) };
        let mut take = |field: &'static str| whole.remove(field).unwrap_or_default();
        let payload = take("payload");
        let headers = match take("headers") {
            Value::Null => Map::new(),
            Value::Object(headers) => headers,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(NotAMessage::Field { field: "headers", expected: "an object" });
            }
        };
        let mut text = |field: &'static str, expected| match take(field) {
            Value::String(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Err(NotAMessage::Field { field, expected })
            }
        };
        let missing = |field| NotAMessage::Field { field, expected: "a text" };
        Ok(Self {
            id: text("id", "a text")?.ok_or_else(|| missing("id"))?,
            source: text("source", "a text")?.ok_or_else(|| missing("source"))?,
            destination: text("destination", "a text or null")?.map(Arc::from),
            purpose: text("type", "a text or null")?
                .map_or(Purpose::Unsaid, |name| Purpose::from_name(&name)),
            user: text("user", "a text or null")?.map(Arc::from),
            payload,
            headers,
        })
    }

    /// Bytes that it counts for in a history: the lengths of its texts, of its payload as compact JSON, and of each
    /// header's key and value.
    pub fn bytes(&self) -> usize {
        self.id.len()
            + self.source.len()
            + self.destination.as_deref().map_or(0, str::len)
            + self.purpose.name().map_or(0, str::len)
            + json_bytes(&self.payload)
            + self.headers.iter().map(|(key, value)| key.len() + json_bytes(value)).sum::<usize>()
    }
}

fn json_bytes(value: &Value) -> usize {
    let mut counter = Counter(0);
    // A counter takes everything.
    let _ = write!(counter, "{value}");
    counter.0
}

struct Counter(usize);

impl fmt::Write for Counter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// Why a value is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAMessage {
    /// It is not even an object.
    NoObject,
    /// A member is missing or of another type.
    Field {
        /// Which.
        field: &'static str,
        /// What was expected there.
        expected: &'static str,
    },
}

impl NotAMessage {
    /// The stable code for it.
    pub const fn code(self) -> ErrorCode {
        match self {
            NotAMessage::NoObject => ErrorCode::NotAnObject,
            NotAMessage::Field { .. } => ErrorCode::BadField,
        }
    }
}

impl fmt::Display for NotAMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAMessage::NoObject => f.write_str("not a message: expected an object"),
            NotAMessage::Field { field, expected } => {
                write!(f, "not a message: expected {expected} in `{field}`")
            }
        }
    }
}

impl core::error::Error for NotAMessage {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_read_by_type() {
        let whole = json!({
            "id": "m1", "type": "command", "source": "s", "destination": "d", "payload": [1], "headers": {"h": 1},
            "user": "ada", "timestamp": 0.0
        });
        let envelope = Envelope::from_value(whole).expect("a message");
        assert_eq!((envelope.purpose, envelope.destination.as_deref()), (Purpose::Command, Some("d")));
        assert_eq!((envelope.payload, envelope.user.as_deref()), (json!([1]), Some("ada")));
        let bare = Envelope::from_value(json!({"id": "", "source": "", "headers": null})).expect("a message");
        assert_eq!(bare, Envelope::default());
    }

    #[test]
    fn what_is_no_message_is_named() {
        let at = |field, expected| NotAMessage::Field { field, expected };
        let table = [
            (json!(5), NotAMessage::NoObject),
            (json!([]), NotAMessage::NoObject),
            (json!({"source": "s"}), at("id", "a text")),
            (json!({"id": 1, "source": "s"}), at("id", "a text")),
            (json!({"id": "1", "source": "s", "destination": ["d"]}), at("destination", "a text or null")),
            (json!({"id": "1", "source": "s", "type": 7}), at("type", "a text or null")),
            (json!({"id": "1", "source": "s", "headers": []}), at("headers", "an object")),
        ];
        for (value, error) in table {
            assert_eq!(Envelope::from_value(value), Err(error));
        }
    }

    #[test]
    fn names_come_back() {
        for name in ["request", "response", "event", "command", "REQUEST", ""] {
            assert_eq!(Purpose::from_name(name).name(), Some(name));
        }
    }

    #[test]
    fn bytes_are_those_of_the_compact_form() {
        let envelope = Envelope { id: "m1".into(), payload: json!({"a": [1, "ü"]}), ..Envelope::default() };
        assert_eq!(envelope.bytes(), 2 + r#"{"a":[1,"ü"]}"#.len());
    }
}
