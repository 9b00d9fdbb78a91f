//! Events that a host delivers: passed on as they are, but for the ids, which are the router's to set.

use alloc::borrow::Cow;
use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Writer, members::is_unreadable};
use crate::contract::{Context, DeliveryRefusal, Frame, Instant};

/// What an event is checked against and gets.
pub(crate) struct Stamp<'a> {
    /// Whose it is; `None` when it is for several.
    pub(crate) user: Option<&'a str>,
    pub(crate) context: Context<'a>,
    /// Whether a thread that the event names itself may stand.
    pub(crate) may_name: &'a dyn Fn(&str) -> bool,
    pub(crate) now: Instant,
}

/// Begins the frame of an event: everything but its user, its cursor and the closing brace. Answers its `type`.
pub(crate) fn begin_delivered<'e>(
    w: &mut Writer,
    event: &'e str,
    stamp: &Stamp<'_>,
) -> Result<Option<&'e str>, DeliveryRefusal> {
    w.begin();
    w.raw("{");
    let mut members = Members { w, stamp, comma: "", kind: None, timed: false, refused: None };
    let mut json = serde_json::Deserializer::from_str(event);
    if json.deserialize_map(&mut members).is_err() {
        return Err(DeliveryRefusal::NotAnObject);
    }
    if let Some(refusal) = members.refused {
        return Err(refusal);
    }
    if is_unreadable(event) {
        return Err(DeliveryRefusal::NotAnObject);
    }
    let (timed, kind, mut comma) = (members.timed, members.kind, members.comma);
    let Context { thread, run, request } = stamp.context;
    for (key, id) in [("\"thread_id\":", thread), ("\"run_id\":", run), ("\"request_id\":", request)] {
        if let Some(id) = id {
            w.raw(comma);
            w.text(key, id);
            comma = ",";
        }
    }
    if !timed {
        w.raw(comma);
        w.iso("\"timestamp\":", stamp.now);
    }
    Ok(kind)
}

/// Ends the frame that [`begin_delivered`] began.
pub(crate) fn end_delivered(w: &mut Writer, user: Option<&str>, cursor: Option<u64>) -> Frame {
    if let Some(user) = user {
        w.text(",\"user_id\":", user);
    }
    if let Some(cursor) = cursor {
        w.number(",\"cursor\":", cursor);
    }
    w.raw("}");
    Frame::copy_of(w.finish())
}

/// The `type` of an event as JSON, if it is an object that has one.
pub(crate) fn delivered_type(event: &str) -> Option<&str> {
    let (mut w, now) = (Writer::default(), Instant::default());
    let stamp = Stamp { user: None, context: Context::default(), may_name: &|_| true, now };
    let mut members =
        Members { w: &mut w, stamp: &stamp, comma: "", kind: None, timed: false, refused: None };
    serde_json::Deserializer::from_str(event).deserialize_map(&mut members).ok()?;
    members.kind
}

/// A key, copied only if it holds an escape.
struct Key<'e>(Cow<'e, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.into())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

struct Members<'w, 's, 'e> {
    w: &'w mut Writer,
    stamp: &'s Stamp<'s>,
    comma: &'static str,
    kind: Option<&'e str>,
    timed: bool,
    refused: Option<DeliveryRefusal>,
}

impl<'e> Members<'_, '_, 'e> {
    fn member(&mut self, key: &str, json: &'e str) {
        let Context { thread, run, request } = self.stamp.context;
        let stands = match key {
            "user_id" => self.own(json, self.stamp.user, false),
            "thread_id" => self.own(json, thread, true),
            "run_id" => self.own(json, run, true),
            "request_id" => self.own(json, request, true),
            // The router's own.
            "cursor" | "recovered" => false,
            _ => {
                if key.ends_with("_user_id") {
                    self.own(json, self.stamp.user, false);
                }
                true
            }
        };
        if key == "thread_id" && stands && text(json).is_some_and(|thread| !(self.stamp.may_name)(&thread)) {
            self.refused = Some(DeliveryRefusal::ForeignUser);
        }
        if key == "type" {
            self.kind = Some(json);
        }
        let untimed = key == "timestamp" && json == "null";
        self.timed |= key == "timestamp" && !untimed;
        if stands && !untimed {
            self.w.raw(self.comma);
            self.comma = ",";
            self.w.string(key);
            self.w.raw(":");
            self.w.raw(json);
        }
    }

    /// An id of the event: another text than ours refuses it. Answers whether it is passed on as it is, because nothing
    /// is set in its place; `free` says that then it may be any.
    fn own(&mut self, json: &str, ours: Option<&str>, free: bool) -> bool {
        let named = text(json).filter(|named| !named.is_empty());
        if named.is_some_and(|named| ours.map_or(!free, |ours| *named != *ours)) {
            self.refused = Some(DeliveryRefusal::ForeignUser);
        }
        ours.is_none() && free
    }
}

fn text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        // A text that cannot be read is another text than ours.
        return Some(serde_json::from_str(json).map_or(Cow::Borrowed(json), Cow::Owned));
    }
    Some(Cow::Borrowed(inner))
}

impl<'de> Visitor<'de> for &mut Members<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            let value: &'de RawValue = map.next_value()?;
            self.member(&key, value.get());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(
        event: &str,
        user: Option<&str>,
        context: Context<'_>,
    ) -> Result<serde_json::Value, DeliveryRefusal> {
        let (mut w, now) = (Writer::default(), Instant::default());
        let stamp = Stamp { user, context, may_name: &|thread| thread != "eves", now };
        begin_delivered(&mut w, event, &stamp)?;
        let frame = end_delivered(&mut w, user, Some(7));
        Ok(serde_json::from_str(frame.as_str()).expect("valid JSON"))
    }

    #[test]
    fn ids_are_set_and_the_rest_is_passed_on() {
        let context = Context { thread: Some("t1"), run: None, request: Some("r\"1") };
        let event = r#" {"type":"x","user_id":null,"thread_id":5,"cursor":99,"recovered":true,"data":{"user_id":"eve"},
            "sender_id":"eve","my_user_id":"","a\"b":1,"run_id":"own"} "#;
        let frame = encode(event, Some("ada"), context).expect("admitted");
        assert_eq!(
            frame,
            serde_json::json!({"type": "x", "user_id": "ada", "thread_id": "t1", "request_id": "r\"1", "run_id": "own",
                "cursor": 7, "data": {"user_id": "eve"}, "sender_id": "eve", "my_user_id": "", "a\"b": 1,
                "timestamp": "1970-01-01T00:00:00.000000Z"})
        );
    }

    #[test]
    fn an_event_has_one_time_its_own_if_it_says_one() {
        let at = |event: &str| {
            encode(event, Some("ada"), Context::default()).expect("admitted")["timestamp"].clone()
        };
        assert_eq!(at(r#"{"timestamp":5.25}"#), 5.25);
        for silent in [r#"{"timestamp":null}"#, "{}"] {
            assert_eq!(at(silent), "1970-01-01T00:00:00.000000Z", "{silent}");
        }
    }

    #[test]
    fn what_names_somebody_else_is_refused() {
        let context = Context { thread: None, run: Some("r1"), request: None };
        for (event, refusal) in [
            (r#"{"user_id":"eve"}"#, DeliveryRefusal::ForeignUser),
            (r#"{"user_id":"ada","user_id":"eve"}"#, DeliveryRefusal::ForeignUser),
            (r#"{"\u0075ser_id":"eve"}"#, DeliveryRefusal::ForeignUser),
            (r#"{"user_id":"\u0065ve"}"#, DeliveryRefusal::ForeignUser),
            (r#"{"target_user_id":"eve"}"#, DeliveryRefusal::ForeignUser),
            (r#"{"run_id":"r2"}"#, DeliveryRefusal::ForeignUser),
            (r#"{"thread_id":"eves"}"#, DeliveryRefusal::ForeignUser),
            (r#"{"user_id":"ada\ud800"}"#, DeliveryRefusal::ForeignUser),
            (r#"{"x":["\ud800"]}"#, DeliveryRefusal::NotAnObject),
            ("[1]", DeliveryRefusal::NotAnObject),
            ("5", DeliveryRefusal::NotAnObject),
        ] {
            assert_eq!(encode(event, Some("ada"), context), Err(refusal), "{event}");
        }
        assert!(encode(r#"{"user_id":"\u0061da"}"#, Some("ada"), context).is_ok());
        assert_eq!(encode(r#"{"user_id":"ada"}"#, None, context), Err(DeliveryRefusal::ForeignUser));
        assert_eq!(encode("{}", Some("ada"), context).expect("admitted")["user_id"], "ada");
    }
}
