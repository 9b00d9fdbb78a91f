//! Which texts the old code took for the id of a user.

use serde_json::Value;

use super::plain::{self, Raised};

/// A user's id without the white space around it.
///
/// # Errors
/// `ValueError`: no text, blank, or none of the forms.
pub fn user_id(value: &Value) -> Result<&str, Raised> {
    let trimmed = value.as_str().map(str::trim).filter(|id| !id.is_empty());
    let Some(id) = trimmed else {
        return Err(Raised::new("ValueError", format!("Invalid user_id: {}", plain::str(value))));
    };
    if is_known_form(id) {
        return Ok(id);
    }
    Err(Raised::new("ValueError", format!("Invalid user_id format: {id}")))
}

/// Beginnings that anything may follow.
const OPEN_PREFIXES: [&str; 8] =
    ["temp_auth_", "awaiting_auth_", "e2e-", "non_existent_", "invalid_", "fake_", "dummy_", "sample_"];
/// What an id with a counter and eight hexadecimal digits can be the id of, other than a user.
const OTHER_KINDS: [&str; 10] = [
    "session",
    "request",
    "thread",
    "run",
    "agent",
    "tool",
    "websocket",
    "transaction",
    "trace",
    "execution",
];

fn is_known_form(id: &str) -> bool {
    matches!(id, "pending_auth" | "awaiting_auth")
        || OPEN_PREFIXES.iter().any(|prefix| id.strip_prefix(prefix).is_some_and(is_plain))
        || is_uuid(id)
        || ((15..=21).contains(&id.len()) && all(id, |c| c.is_ascii_digit()))
        || is_words_and_number(id)
        || is_hyphened(id)
        || is_structured(id)
}

fn all(text: &str, is: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(is)
}

fn is_plain(text: &str) -> bool {
    all(text, |c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn is_uuid(id: &str) -> bool {
    let parts: Vec<&str> = id.split('-').collect();
    let lengths = [8, 4, 4, 4, 12];
    parts.len() == lengths.len()
        && parts.iter().zip(lengths).all(|(part, length)| part.len() == length && is_hex(part))
}

fn is_hex(text: &str) -> bool {
    all(text, |c| c.is_ascii_hexdigit())
}

/// One or two words of letters, then a number: `user_1`, `concurrent_user_12`.
fn is_words_and_number(id: &str) -> bool {
    let parts: Vec<&str> = id.split('_').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    (1..=2).contains(&words.len())
        && words.iter().all(|word| all(word, |c| c.is_ascii_alphabetic()))
        && all(number, |c| c.is_ascii_digit())
}

/// Three parts with hyphens, the first of letters: `mock-user-a1`.
fn is_hyphened(id: &str) -> bool {
    let parts: Vec<&str> = id.split('-').collect();
    parts.len() == 3
        && all(parts[0], |c| c.is_ascii_alphabetic())
        && parts[1..].iter().all(|part| all(part, |c| c.is_ascii_alphanumeric()))
}

/// `[prefix_]kind_counter_hex`, of the kind of a user.
fn is_structured(id: &str) -> bool {
    let parts: Vec<&str> = id.split('_').collect();
    let [.., kind, counter, hex] = parts.as_slice() else { return false };
    is_plain(id)
        && !kind.is_empty()
        && !OTHER_KINDS.contains(kind)
        && all(counter, |c| c.is_ascii_digit())
        && hex.len() == 8
        && is_hex(hex)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_known_forms_are_taken_and_others_refused() {
        let taken = [
            "user_1",
            " user_1 ",
            "u_1",
            "concurrent_user_12",
            "550e8400-e29b-41d4-a716-446655440000",
            "123456789012345",
            "pending_auth",
            "temp_auth_x",
            "mock-user-a1",
            "e2e-x",
            "invalid_x",
            "user_1_12345678",
        ];
        for id in taken {
            assert_eq!(user_id(&json!(id)), Ok(id.trim()));
        }
        let refused = ["alice", "user1", "12345", "bob@example.com", "ünï_1", "pool_test_user_456"];
        for id in refused.into_iter().chain(["user_1;drop", "thread_1_12345678", "bad id"]) {
            assert_eq!(user_id(&json!(id)).unwrap_err().text, format!("Invalid user_id format: {id}"));
        }
        for (value, text) in [(json!(null), "None"), (json!(" "), " "), (json!(true), "True")] {
            assert_eq!(user_id(&value).unwrap_err().text, format!("Invalid user_id: {text}"));
        }
    }
}
