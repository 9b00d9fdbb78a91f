//! The texts of the server's frames, in the canonical form.

use router::{ConnId, ErrorCode, Instant};
use serde_json::{Value, json};

/// The first frame of a connection.
pub(super) fn welcome(conn: ConnId, user: &str, cursor: u64, now: Instant) -> String {
    let head: String = user.chars().take(8).collect();
    let data = json!({
        "mode": "main",
        "user_id": format!("{head}..."),
        "connection_id": conn_id(conn),
        "golden_path_events":
            ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"],
        "features": {"resume": true, "development_token": false},
        "cursor": cursor,
        "timestamp": iso(now),
    });
    server("connection_established", &data, now)
}

/// A message of the server about itself.
pub(super) fn server(kind: &str, data: &Value, now: Instant) -> String {
    json!({
        "type": kind,
        "data": data,
        "timestamp": unix(now),
        "server_id": null,
        "correlation_id": null,
    })
    .to_string()
}

/// Answer to a type that nobody takes.
pub(super) fn ack(received_type: &str, user: &str, now: Instant) -> String {
    let cut: String = received_type.chars().take(64).collect();
    json!({
        "type": "ack",
        "received_type": cut,
        "status": "acknowledged",
        "user_id": user,
        "timestamp": unix(now),
    })
    .to_string()
}

/// Answer to a message that is refused.
pub(super) fn error(code: ErrorCode, path: &str, now: Instant) -> String {
    let details = if path.is_empty() { json!({}) } else { json!({ "path": path }) };
    json!({
        "type": "error_message",
        "error_code": code.name(),
        "error_message": code.text(),
        "details": details,
        "timestamp": unix(now),
        "recovery_suggestions": [],
    })
    .to_string()
}

/// Answer to `stop_agent`.
pub(super) fn stopped(run_ids: &[String], user: &str, now: Instant) -> String {
    json!({ "type": "agent_stopped", "run_ids": run_ids, "user_id": user, "timestamp": unix(now) })
        .to_string()
}

/// What cannot be replayed any more, inclusive.
pub(super) fn gap(from: u64, to: u64, now: Instant) -> String {
    json!({ "type": "recovery_gap", "from": from, "to": to, "timestamp": unix(now) }).to_string()
}

/// The connection's name as clients see it.
pub(super) fn conn_id(conn: ConnId) -> String {
    format!("conn-model-{}-{}", conn.index(), conn.generation())
}

/// Seconds since the Unix epoch.
pub(super) fn unix(now: Instant) -> f64 {
    now.as_micros() as f64 / 1e6
}

/// ISO 8601 in UTC, to the microsecond.
pub(super) fn iso(now: Instant) -> String {
    let (seconds, micros) = (now.as_micros() / 1_000_000, now.as_micros() % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01 in the proleptic Gregorian calendar, years beginning in March.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_are_read() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000001Z"),
            (951_782_400, "2000-02-29T00:00:00.000001Z"),
            (1_700_000_000, "2023-11-14T22:13:20.000001Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000001Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000001Z"),
        ] {
            assert_eq!(iso(Instant::from_micros(seconds * 1_000_000 + 1)), text);
        }
    }
}
