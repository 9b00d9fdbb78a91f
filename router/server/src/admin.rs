//! What operators ask for, over plain HTTP beside the WebSocket, with a token of their own.
//!
//! | request | answer |
//! |---|---|
//! | `GET /admin/queue` | what waits, and what became of what waited |
//! | `GET /admin/dead-letters?user_id=U&from=N&limit=N` | messages that ended without being worked on, the oldest first |
//! | `POST /admin/redrive?user_id=U&letter=N` | has one worked on again |
//!
//! Without a token in the configuration there is nothing here: 404.

use std::{fmt, sync::Arc};

use router::{Letter, QueueStats, RedriveRefusal};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use tokio_tungstenite::tungstenite::http::{HeaderMap, StatusCode, Uri};

use crate::{
    driver::Shared,
    handshake::{bearer, decoded},
    http::{Answer, Method},
};

/// Where operators ask.
pub(crate) const PREFIX: &str = "/admin/";
/// Letters told of in one answer, and how many of them unless asked for fewer.
const LETTERS_MAX: usize = 1_000;
/// Shortest token that is taken.
const TOKEN_BYTES_MIN: usize = 16;

/// What an operator proves to be one by.
#[derive(Clone)]
pub struct AdminToken(Box<[u8]>);

impl AdminToken {
    /// A token of at least 16 bytes; white space around it does not count. `None`: it is too short.
    pub fn new(token: &[u8]) -> Option<Self> {
        let token = token.trim_ascii();
        (token.len() >= TOKEN_BYTES_MIN).then(|| Self(token.into()))
    }

    fn is(&self, offered: &str) -> bool {
        self.0.ct_eq(offered.as_bytes()).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

/// The answer to an operator's request.
pub(crate) fn answer(
    method: Method,
    uri: &Uri,
    headers: &HeaderMap,
    token: Option<&AdminToken>,
    shared: &Arc<Shared>,
) -> Answer {
    let Some(token) = token else {
        return Answer::refusal(
            StatusCode::NOT_FOUND,
            "not found: the server was started without an admin token",
        );
    };
    let offered = headers.get("Authorization").and_then(|value| bearer(value.to_str().ok()?));
    if !offered.is_some_and(|offered| token.is(offered)) {
        return Answer::refusal(
            StatusCode::UNAUTHORIZED,
            "expected the admin token: Authorization: Bearer TOKEN",
        );
    }
    let query = match Query::parse(uri.query().unwrap_or_default()) {
        Ok(query) => query,
        Err(text) => return Answer::refusal(StatusCode::BAD_REQUEST, text),
    };
    match (method, uri.path()) {
        (Method::Get, "/admin/queue") => {
            Answer::json(StatusCode::OK, &queue(&shared.queue_stats(), shared.node()))
        }
        (Method::Get, "/admin/dead-letters") => {
            let max = query.limit.unwrap_or(LETTERS_MAX).min(LETTERS_MAX);
            let letters = shared.dead_letters(query.user.as_deref(), query.from.unwrap_or_default(), max);
            // Whoever wants the rest asks from there on.
            let next = letters.last().filter(|_| letters.len() == max).map(|last| last.number + 1);
            let letters: Vec<Value> = letters.iter().map(letter).collect();
            Answer::json(StatusCode::OK, &json!({ "letters": letters, "next": next }))
        }
        (Method::Post, "/admin/redrive") => match (&query.user, query.letter) {
            (Some(user), Some(number)) => redriven(shared.redrive(user, number)),
            _ => Answer::refusal(StatusCode::BAD_REQUEST, "expected user_id=USER&letter=NUMBER"),
        },
        (Method::Post, "/admin/queue" | "/admin/dead-letters") => {
            Answer::refusal(StatusCode::METHOD_NOT_ALLOWED, "expected GET")
        }
        (Method::Get, "/admin/redrive") => Answer::refusal(StatusCode::METHOD_NOT_ALLOWED, "expected POST"),
        (Method::Get | Method::Post, _) => Answer::refusal(StatusCode::NOT_FOUND, "not found"),
    }
}

fn queue(stats: &QueueStats, node: &str) -> Value {
    let account = &stats.account;
    json!({
        "node": node,
        "offered": account.offered,
        "duplicates": account.duplicates,
        "refused": account.refused,
        "delivered": account.delivered,
        "dead": account.dead,
        "waiting": account.waiting,
        "leased": account.leased,
        "held": stats.held,
        "held_bytes": stats.held_bytes,
        "runs_waiting": stats.runs_waiting,
        "agents_working": stats.agents_working,
        "events_unlogged": stats.events_unlogged,
        "dead_letters": stats.letters,
        "notices": stats.notices,
        "users": stats.users,
        "backends": { "runs": stats.runs_backend.name(), "events": stats.events_backend.name() },
    })
}

fn letter(letter: &Letter) -> Value {
    json!({
        "letter": letter.number,
        "user_id": &*letter.user,
        "outlet": letter.outlet,
        "reason": letter.reason.name(),
        "offered_at_us": letter.offered_at.as_micros(),
        "dead_at_us": letter.dead_at.as_micros(),
        "request_id": letter.request.as_deref(),
        "bytes": letter.bytes,
        "failures": letter.failures,
        "redrivable": letter.is_redrivable,
    })
}

fn redriven(outcome: Result<(), RedriveRefusal>) -> Answer {
    let status = match outcome {
        Ok(()) => StatusCode::ACCEPTED,
        Err(RedriveRefusal::Unknown) => StatusCode::NOT_FOUND,
        Err(RedriveRefusal::Waits | RedriveRefusal::ConnectionGone) => StatusCode::CONFLICT,
        Err(RedriveRefusal::RunLimit | RedriveRefusal::Overloaded) => StatusCode::TOO_MANY_REQUESTS,
        Err(RedriveRefusal::ShuttingDown | RedriveRefusal::BackendUnavailable) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    let body = json!({ "redriven": outcome.is_ok(), "refusal": outcome.err().map(RedriveRefusal::name) });
    Answer::json(status, &body)
}

/// What a request says behind its path.
#[derive(Debug, Default)]
struct Query {
    user: Option<String>,
    letter: Option<u64>,
    from: Option<u64>,
    limit: Option<usize>,
}

impl Query {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut query = Self::default();
        for (name, value) in text.split('&').filter_map(|member| member.split_once('=')) {
            match name {
                "user_id" => {
                    query.user = Some(decoded(value).ok_or("user_id: expected percent-encoded UTF-8")?)
                }
                "letter" => {
                    query.letter = Some(value.parse().map_err(|_| "letter: expected the letter's number")?);
                }
                "from" => query.from = Some(value.parse().map_err(|_| "from: expected a letter's number")?),
                "limit" => query.limit = Some(value.parse().map_err(|_| "limit: expected a whole number")?),
                _ => {}
            }
        }
        Ok(query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_enough_and_compared_whole() {
        assert!(AdminToken::new(b"short").is_none());
        let token = AdminToken::new(b" 0123456789abcdef\n").expect("16 bytes");
        assert!(token.is("0123456789abcdef"));
        assert!(!token.is("0123456789abcde") && !token.is("0123456789abcdeX") && !token.is(""));
        assert_eq!(format!("{token:?}"), "AdminToken(…)");
    }

    #[test]
    fn a_bad_query_is_named() {
        assert_eq!(Query::parse("user_id=a%20b&letter=7").expect("good").user.as_deref(), Some("a b"));
        for (text, name) in
            [("letter=x", "letter"), ("from=-1", "from"), ("limit=a", "limit"), ("user_id=%F", "user_id")]
        {
            assert!(Query::parse(text).expect_err("bad").starts_with(name), "{text}");
        }
    }
}
