//! What an upgrade request says: the token it offers, and its query.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue};

/// Subprotocols that carry a token behind these words.
const PREFIXES: [&str; 3] = ["jwt.", "jwt-auth.", "bearer."];

/// The token a client offers, and the subprotocol to echo: the one that carried it, as offered.
#[derive(Debug, Default)]
pub(crate) struct Offer {
    pub(crate) token: Option<String>,
    pub(crate) protocol: Option<HeaderValue>,
}

impl Offer {
    pub(crate) fn find(headers: &HeaderMap) -> Self {
        for header in headers.get_all("Sec-WebSocket-Protocol") {
            for offered in header.to_str().unwrap_or_default().split(',').map(str::trim) {
                if let Some(text) = PREFIXES.iter().find_map(|prefix| offered.strip_prefix(prefix)) {
                    return Self { token: unwrapped(text), protocol: HeaderValue::from_str(offered).ok() };
                }
            }
        }
        let token = headers.get("Authorization").and_then(|value| bearer(value.to_str().ok()?));
        Self { token: token.map(String::from), protocol: None }
    }
}

/// The query of an upgrade.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) resume: Option<u64>,
    pub(crate) thread: Option<String>,
}

impl Query {
    /// Members that nobody knows are ignored; the error is a text for the client.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut query = Self::default();
        for (name, value) in text.split('&').filter_map(|member| member.split_once('=')) {
            match name {
                "resume" => {
                    query.resume =
                        Some(value.parse().map_err(|_| "resume: expected the last cursor, a whole number")?);
                }
                "thread" if !value.is_empty() => {
                    query.thread = Some(decoded(value).ok_or("thread: expected percent-encoded UTF-8")?);
                }
                _ => {}
            }
        }
        Ok(query)
    }
}

/// The token itself has dots; its base64url has none.
fn unwrapped(text: &str) -> Option<String> {
    if text.contains('.') {
        return Some(String::from(text));
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
    String::from_utf8(bytes).ok()
}

pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(crate) fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => (hex(rest.next()?)? << 4) | hex(rest.next()?)?,
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(name: &'static str, value: &str) -> (Option<String>, Option<String>) {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        let offer = Offer::find(&headers);
        (offer.token, offer.protocol.map(|value| String::from(value.to_str().unwrap())))
    }

    #[test]
    fn the_token_is_found_and_its_subprotocol_echoed_as_offered() {
        let token = Some(String::from("a.b.c"));
        for offered in ["jwt.a.b.c", "jwt-auth.a.b.c", "bearer.a.b.c", "jwt.YS5iLmM", "bearer.YS5iLmM"] {
            let listed = format!("chat, {offered}");
            assert_eq!(offer("Sec-WebSocket-Protocol", &listed), (token.clone(), Some(offered.into())));
        }
        assert_eq!(offer("Authorization", "bearer a.b.c"), (token, None));
        assert_eq!(offer("Authorization", "Basic a.b.c"), (None, None));
        assert_eq!(offer("Sec-WebSocket-Protocol", "chat"), (None, None));
    }

    #[test]
    fn the_query_is_read_or_refused() {
        let query = Query::parse("resume=41&thread=t%2F1&x=y").unwrap();
        assert_eq!(query, Query { resume: Some(41), thread: Some("t/1".into()) });
        assert_eq!(Query::parse(""), Ok(Query::default()));
        assert!(Query::parse("resume=-1").unwrap_err().starts_with("resume"));
        assert!(Query::parse("resume=").is_err() && Query::parse("thread=%F").is_err());
        assert!(Query::parse("thread=%FF").is_err());
    }
}
