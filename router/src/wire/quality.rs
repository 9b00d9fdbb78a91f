//! Quality frames: answers to one user, news for the subscribers.

use super::Writer;
use crate::{contract::Frame, contract::Instant, error::ErrorCode, quality::Ids};

/// An answer: `{type, payload}` and the ids of the message it answers, those that it had.
pub(crate) fn quality_reply(w: &mut Writer, kind: &str, payload: &str, ids: &Ids) -> Frame {
    w.begin();
    w.text("{\"type\":", kind);
    w.raw(",\"payload\":");
    w.raw(payload);
    for (key, id) in
        [(",\"message_id\":", &ids.message), (",\"thread_id\":", &ids.thread), (",\"run_id\":", &ids.run)]
    {
        if let Some(id) = id {
            w.text(key, id);
        }
    }
    w.raw("}");
    Frame::copy_of(w.finish())
}

/// The payload of `quality_report_generated`.
pub(crate) fn quality_report(
    w: &mut Writer,
    now: Instant,
    markdown: &str,
    data: &str,
) -> alloc::string::String {
    w.begin();
    w.text("{\"report\":", markdown);
    w.raw(",\"raw_data\":");
    w.raw(data);
    w.iso(",\"timestamp\":", now);
    w.raw("}");
    w.finish().into()
}

/// `quality_update`, or `quality_alert` with an object that gets `severity: info` when it names none.
pub(crate) fn quality_news(w: &mut Writer, kind: &str, payload: &str, default_severity: bool) -> Frame {
    w.begin();
    w.text("{\"type\":", kind);
    w.raw(",\"payload\":");
    match payload.trim_end().strip_suffix('}').filter(|_| default_severity) {
        Some(open) => {
            w.raw(open);
            let empty = open.trim_end().ends_with('{') && open.trim().len() == 1;
            w.raw(if empty { "\"severity\":\"info\"}" } else { ",\"severity\":\"info\"}" });
        }
        None => w.raw(payload),
    }
    w.raw("}");
    Frame::copy_of(w.finish())
}

/// `quality_update` of a run whose final response was judged: the verdict, or why there is none.
pub(crate) fn response_judged(
    w: &mut Writer,
    node: &str,
    run: u64,
    ids: (&str, &str, &str),
    verdict: Result<&str, ErrorCode>,
) -> Frame {
    let (thread, request, agent) = ids;
    w.begin();
    w.raw("{\"type\":\"quality_update\",\"payload\":{\"about\":\"agent_completed\"");
    w.id(",\"run_id\":", "run", node, run);
    w.text(",\"thread_id\":", thread);
    w.text(",\"request_id\":", request);
    w.text(",\"agent_name\":", agent);
    match verdict {
        Ok(verdict) => {
            w.raw(",\"verdict\":");
            w.raw(verdict);
        }
        Err(code) => w.text(",\"verdict\":null,\"error_code\":", code.name()),
    }
    w.raw("}}");
    Frame::copy_of(w.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_is_added_to_any_object() {
        let mut w = Writer::default();
        for (alert, payload) in [
            ("{}", r#"{"severity":"info"}"#),
            ("{ }", r#"{ "severity":"info"}"#),
            (r#"{"a":{}}"#, r#"{"a":{},"severity":"info"}"#),
            ("{\"a\":\"{\"}\n", r#"{"a":"{","severity":"info"}"#),
        ] {
            let frame = quality_news(&mut w, "quality_alert", alert, true);
            assert_eq!(frame.as_str(), alloc::format!(r#"{{"type":"quality_alert","payload":{payload}}}"#));
        }
    }
}
