//! What messages have in common, written in one place: the router's own replies and those that a host builds.

use super::Writer;
use crate::contract::Instant;

/// `{"type":…,"data":`; `kind` needs no escape.
pub(super) fn server_head(w: &mut Writer, kind: &str) {
    w.begin();
    w.raw("{\"type\":\"");
    w.raw(kind);
    w.raw("\",\"data\":");
}

/// `,"timestamp":…,"server_id":…,"correlation_id":…}`
pub(super) fn server_tail(w: &mut Writer, now: Instant, server: Option<&str>, correlation: Option<&str>) {
    w.unix_seconds(",\"timestamp\":", now);
    if server.is_none() && correlation.is_none() {
        w.raw(",\"server_id\":null,\"correlation_id\":null}");
        return;
    }
    text_or_null(w, ",\"server_id\":", server);
    text_or_null(w, ",\"correlation_id\":", correlation);
    w.raw("}");
}

/// `{"type":"error_message","error_code":…,"error_message":…,"details":`
pub(super) fn error_head(w: &mut Writer, code: &str, text: &str) {
    w.begin();
    w.text("{\"type\":\"error_message\",\"error_code\":", code);
    w.text(",\"error_message\":", text);
    w.raw(",\"details\":");
}

/// `,"timestamp":…,"recovery_suggestions":…}`
pub(super) fn error_tail(w: &mut Writer, now: Instant, suggestions: Option<&[&str]>) {
    w.unix_seconds(",\"timestamp\":", now);
    w.raw(",\"recovery_suggestions\":");
    match suggestions {
        None => w.raw("null"),
        Some(suggestions) => {
            w.raw("[");
            for (n, suggestion) in suggestions.iter().enumerate() {
                w.text(if n == 0 { "" } else { "," }, suggestion);
            }
            w.raw("]");
        }
    }
    w.raw("}");
}

/// A member that is a text or null.
pub(super) fn text_or_null(w: &mut Writer, key: &str, text: Option<&str>) {
    match text {
        Some(text) => w.text(key, text),
        None => {
            w.raw(key);
            w.raw("null");
        }
    }
}
