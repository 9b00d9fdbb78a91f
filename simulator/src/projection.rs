//! What every run looked like to its user's first tab, without ids and times that two worlds cannot share: the
//! common ground on which virtual time and real sockets are compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::dialect::{RunEventKind, ServerFrame};

/// Runs by user id and request id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    runs: BTreeMap<(String, String), Vec<String>>,
}

impl Projection {
    /// Takes in an event as the user's first tab took it.
    pub fn event(&mut self, user_id: &str, event: RunEventKind, frame: &ServerFrame<'_>) {
        let word = match event {
            RunEventKind::ToolExecuting => format!("{} {}", frame.tool_call_id, frame.tool_name),
            RunEventKind::ToolCompleted => format!("{} {}", frame.tool_call_id, frame.status),
            RunEventKind::Error => frame.error_code.to_owned(),
            RunEventKind::Started
            | RunEventKind::Thinking
            | RunEventKind::Progress
            | RunEventKind::Completed => String::new(),
        };
        let line = format!("{} {} {word}", frame.seq, event.name()).trim_end().to_owned();
        self.runs.entry((user_id.to_owned(), frame.request_id.to_owned())).or_default().push(line);
    }

    /// For each (user id, request id) the events, in the order in which they were taken.
    pub fn per_run(&self) -> &BTreeMap<(String, String), Vec<String>> {
        &self.runs
    }

    /// The runs in which two worlds differ.
    pub fn differences<'a>(&'a self, other: &'a Self) -> Vec<Difference<'a>> {
        let keys: BTreeSet<_> = self.runs.keys().chain(other.runs.keys()).collect();
        let of = |side: &'a Self, key| side.runs.get(key).map(Vec::as_slice).unwrap_or_default();
        keys.into_iter()
            .map(|key| Difference {
                user_id: &key.0,
                request_id: &key.1,
                one: of(self, key),
                other: of(other, key),
            })
            .filter(|difference| difference.one != difference.other)
            .collect()
    }
}

/// A run that was not the same in two worlds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference<'a> {
    /// Its user.
    pub user_id: &'a str,
    /// The message that asked for it.
    pub request_id: &'a str,
    /// Its events in one world; empty if it did not happen there.
    pub one: &'a [String],
    /// Its events in the other world.
    pub other: &'a [String],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Dialect, Goldenpath};

    #[test]
    fn runs_are_compared_by_user_and_request() {
        let projection = |texts: &[(&str, &str)]| {
            let mut projection = Projection::default();
            for (request, code) in texts {
                let text =
                    format!(r#"{{"type":"agent_error","request_id":"{request}","error_code":"{code}"}}"#);
                projection.event("u", RunEventKind::Error, &Goldenpath.decode(&text).unwrap());
            }
            projection
        };
        let one = projection(&[("m1", "A"), ("m2", "B")]);
        assert_eq!(one.differences(&one), []);
        let other = projection(&[("m1", "A"), ("m2", "C"), ("m3", "D")]);
        let differences = one.differences(&other);
        assert_eq!(differences.iter().map(|found| found.request_id).collect::<Vec<_>>(), ["m2", "m3"]);
        assert_eq!(
            (differences[0].one, differences[0].other),
            (&["0 agent_error B".to_owned()][..], &["0 agent_error C".to_owned()][..])
        );
        assert!(differences[1].one.is_empty());
    }
}
