//! The encoder of bridge calls: what an event of ours was called above the old wire, and old texts as ours.

use serde_json::{Value, json};

/// A tool or progress event as the call on the old bridge that would have sent it; `None` for any other frame.
/// Runs have the names of the recording.
pub(super) fn bridge_call(frame: &Value, label: impl Fn(&str) -> Option<String>) -> Option<Value> {
    let run_id = frame["run_id"].as_str().and_then(label)?;
    let (kind, agent) = (&frame["type"], &frame["agent_name"]);
    match kind.as_str()? {
        "tool_executing" => Some(json!({
            "event": kind, "run_id": run_id, "agent_name": agent, "tool_name": frame["tool_name"],
            "parameters": frame["parameters"],
        })),
        "tool_completed" => Some(json!({
            "event": kind, "run_id": run_id, "agent_name": agent, "tool_name": frame["tool_name"],
            "result": frame["results"], "execution_time_ms": frame["duration"],
        })),
        "progress_update" => Some(json!({
            "event": kind, "run_id": run_id, "agent_name": agent, "progress": frame["progress_data"],
        })),
        _ => None,
    }
}

/// The answer in the typed form of the old keyword interface.
pub(super) fn typed(answer: &Value) -> Value {
    if answer["success"] == true {
        json!({"status": "success", "message": "", "payload": {"result": answer["result"]}})
    } else {
        json!({"status": "error", "message": answer["error"], "payload": null})
    }
}

/// Whether two texts say the same, one with literals of the old language, the other with compact JSON. Both may have
/// been cut at the same number of characters, so that the shorter of two cut ones is a beginning of the other.
pub(super) fn same_text(recorded: &str, observed: &str, limit: usize) -> bool {
    if recorded == observed {
        return true;
    }
    let (left, right) = (plain(recorded), plain(observed));
    let was_cut = recorded.chars().count() >= limit;
    left == right || (was_cut && !left.is_empty() && (left.starts_with(&right) || right.starts_with(&left)))
}

/// A text without what the two notations differ in: white space, kind of quote, names of constants.
fn plain(text: &str) -> String {
    let text: String =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| if c == '\'' { '"' } else { c }).collect();
    text.replace("True", "true").replace("False", "false").replace("None", "null")
}

/// Lists in the reasons of refusals: recordings hold `[<set>]` for each, whose order meant nothing.
pub(in crate::conform) fn without_lists(reason: &str) -> String {
    let mut out = String::new();
    let mut rest = reason;
    while let Some((head, tail)) = rest.split_once('[') {
        let Some((_, after)) = tail.split_once(']') else { break };
        out.push_str(head);
        out.push_str("[<set>]");
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_both_notations_are_the_same() {
        assert!(same_text("{'ok': True, 'n': None}", r#"{"ok":true,"n":null}"#, 500));
        assert!(!same_text("{'ok': True}", r#"{"ok":false}"#, 500));
        assert!(!same_text("{'ok': Tr", r#"{"ok":true}"#, 500));
        assert!(same_text("kwargs: {'query': 'fi", r#"kwargs: {"query":"find""#, 20));
    }

    #[test]
    fn sets_have_no_order() {
        assert_eq!(
            without_lists("Required roles [a, b] not satisfied. User roles: []"),
            "Required roles [<set>] not satisfied. User roles: [<set>]"
        );
    }
}
