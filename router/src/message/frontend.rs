//! Outbound names: what a front end calls the messages that it is sent.

use super::Kind;

/// Names of agent events that go out as they are; 12 of them are not accepted inbound.
const PASSED: [&str; 20] = [
    "agent_cancelled",
    "agent_completed",
    "agent_error",
    "agent_failed",
    "agent_fallback",
    "agent_log",
    "agent_manager_shutdown",
    "agent_metrics_updated",
    "agent_registered",
    "agent_started",
    "agent_status_changed",
    "agent_stopped",
    "agent_thinking",
    "agent_unregistered",
    "final_report",
    "partial_result",
    "stream_chunk",
    "tool_completed",
    "tool_executing",
    "tool_started",
];

/// Kinds whose outbound name is not their canonical one.
const RENAMED: [(Kind, &str); 4] = [
    (Kind::AgentResponse, "agent_completed"),
    (Kind::AgentProgress, "agent_update"),
    (Kind::ThreadUpdate, "thread_updated"),
    (Kind::ErrorMessage, "error"),
];

impl Kind {
    /// The name under which a front end knows this kind.
    ///
    /// It is the canonical name but for four kinds, and is no inverse of [`Kind::from_name`]: sent back in, `agent_update`
    /// is an `agent_status_update`, `agent_completed` (of `agent_response`) stays what it says, `thread_updated` is
    /// unknown, and only `error` is what it was.
    pub fn frontend_name(self) -> &'static str {
        RENAMED.iter().find(|(kind, _)| *kind == self).map_or(self.name(), |(_, name)| *name)
    }
}

/// The name under which a front end knows the message that a host calls `name`; `None` for a name that nobody knows.
///
/// Names of agent events pass as they are, though they may be unknown or aliases inbound; any other accepted spelling is
/// that of a [`Kind`], and goes out under its [`Kind::frontend_name`].
pub fn frontend_name(name: &str) -> Option<&'static str> {
    match PASSED.binary_search(&name) {
        Ok(at) => Some(PASSED[at]),
        Err(_) => Kind::from_name(name).map(Kind::frontend_name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{string::String, vec::Vec};

    #[test]
    fn the_names_that_pass_are_sorted_and_12_are_outbound_only() {
        assert!(PASSED.is_sorted());
        let outbound_only = PASSED.iter().filter(|name| Kind::from_name(name).is_none()).count();
        assert_eq!(outbound_only, 12);
    }

    #[test]
    fn aliases_of_events_pass_and_other_aliases_are_resolved() {
        for (name, outbound) in [
            ("agent_failed", Some("agent_failed")),
            ("agent_fallback", Some("agent_fallback")),
            ("final_report", Some("final_report")),
            ("error", Some("error")),
            ("legacy_response", Some("agent_completed")),
            ("agent_update", Some("agent_status_update")),
            ("thread", Some("thread_updated")),
            ("EXECUTE_AGENT", Some("start_agent")),
            ("thread_updated", None),
            ("PING", None),
            ("ack", None),
            ("", None),
        ] {
            assert_eq!(frontend_name(name), outbound, "{name}");
        }
    }

    /// What becomes of each kind whose outbound name, sent back in, is not that kind.
    const CHANGED: [(Kind, Option<Kind>); 3] = [
        (Kind::AgentResponse, Some(Kind::AgentCompleted)),
        (Kind::AgentProgress, Some(Kind::AgentStatusUpdate)),
        (Kind::ThreadUpdate, None),
    ];

    fn back(kind: Kind) -> Option<Kind> {
        CHANGED.iter().find(|(changed, _)| *changed == kind).map_or(Some(kind), |(_, back)| *back)
    }

    proptest! {
        #[test]
        fn names_come_back_as_documented(at in 0..Kind::ALL.len()) {
            let kind = Kind::ALL[at];
            // The canonical name, which server messages carry, always does.
            prop_assert_eq!(Kind::from_name(kind.name()), Some(kind));
            prop_assert_eq!(Kind::from_name(kind.frontend_name()), back(kind));
            prop_assert_eq!(frontend_name(kind.name()), Some(kind.frontend_name()));
        }

        #[test]
        fn only_what_comes_in_or_passes_goes_out(name in "[a-z_]{0,24}|\\PC{0,8}") {
            let known = Kind::from_name(&name).is_some() || PASSED.contains(&name.as_str());
            prop_assert_eq!(frontend_name(&name).is_some(), known);
        }
    }

    #[test]
    fn every_spelling_goes_out_as_its_kind_does_or_as_itself() {
        let wrong: Vec<String> = Kind::spellings()
            .iter()
            .filter(|(spelling, kind)| {
                let outbound = frontend_name(spelling);
                outbound != Some(kind.frontend_name()) && outbound != Some(*spelling)
            })
            .map(|(spelling, _)| String::from(*spelling))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
