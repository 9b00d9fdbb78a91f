//! The members of a JSON object, in their order, values untouched.

use alloc::{borrow::Cow, vec::Vec};
use core::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The members of one object, repeated keys included; of those the last counts.
#[derive(Debug, Default)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The members of `json`; `None` when it is not an object.
    pub(super) fn read(json: &'a str) -> Option<Self> {
        if json.trim_ascii_start().starts_with('{') { serde_json::from_str(json).ok() } else { None }
    }

    /// Every member, in the order of the text.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Cow<'a, str>, &'a RawValue)> {
        self.0.iter().map(|(key, value)| (key, *value))
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The value of `key`, if it is there and not null.
    pub(super) fn find(&self, key: &str) -> Option<&'a RawValue> {
        let (_, value) = self.0.iter().rev().find(|(name, _)| name == key)?;
        (!is_null(value)).then_some(*value)
    }

    /// The first of `keys` that is there and not null.
    pub(super) fn first(&self, keys: &[&str]) -> Option<&'a RawValue> {
        keys.iter().find_map(|key| self.find(key))
    }
}

/// Whether a value is null.
pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// Whether containers are nested deeper than `max`. The text is JSON.
pub(super) fn is_deeper(json: &str, max: u32) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b'}' | b']' if !in_text => depth -= 1,
            _ => {}
        }
    }
    false
}

/// Whether a text in it cannot be read: half of a surrogate pair is no character. The text is JSON otherwise.
pub(super) fn is_unreadable(json: &str) -> bool {
    let mut rest = json;
    let mut high = false;
    while let Some(at) = rest.find('\\') {
        let (unit, after) = match rest[at + 1..].strip_prefix('u') {
            Some(hex) => (hex.get(..4).and_then(|hex| u16::from_str_radix(hex, 16).ok()), 6),
            None => (None, 2),
        };
        let low = unit.is_some_and(|unit| (0xDC00..0xE000).contains(&unit));
        if low != high || (high && at > 0) {
            return true;
        }
        high = unit.is_some_and(|unit| (0xD800..0xDC00).contains(&unit));
        rest = rest.get(at + after..).unwrap_or_default();
    }
    high
}

/// A value's text, if it is one.
pub(super) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let json = value.get();
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// A key, borrowed where it needs no unescaping.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.into())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_repeated_keys_counts_and_all_are_seen() {
        let members = Members::read(r#" {"a":1,"b\n":null,"a":"x"} "#).expect("an object");
        assert_eq!(members.find("a").map(RawValue::get), Some("\"x\""));
        assert!(members.find("b\n").is_none());
        assert_eq!(members.first(&["b\n", "a"]).and_then(text).as_deref(), Some("x"));
        assert_eq!((members.len(), members.iter().filter(|(key, _)| **key == "a").count()), (3, 2));
        assert!(is_deeper("[{\"a\":[]}]", 2) && !is_deeper("[[],{\"[\\\"{[\":1},[]]", 2));
        for json in
            [r#""\ud800""#, r#""\udc00""#, r#""\ud800x\udc00""#, r#""\ud800\n""#, r#"["\uD83D\uD83D\uDE00"]"#]
        {
            assert!(
                is_unreadable(json) && serde_json::from_str::<serde_json::Value>(json).is_err(),
                "{json}"
            );
        }
        for json in [r#""\\ud800""#, r#""\ud83d\ude00\u0041\n""#, r#"{"a":"\\","b":1}"#, "[]"] {
            assert!(
                !is_unreadable(json) && serde_json::from_str::<serde_json::Value>(json).is_ok(),
                "{json}"
            );
        }
        assert!(Members::read("[]").is_none() && Members::read("null").is_none());
    }
}
