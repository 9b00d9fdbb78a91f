//! What a user saw, event by event, and how it is laid out in rows.

use serde::{Deserialize, Serialize};

/// What one user saw during a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The user.
    pub user: String,
    /// One per connection or run, in the order to show them.
    pub lanes: Vec<Lane>,
}

/// The events of one connection or run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// What it is, for example `connection c1`.
    pub label: String,
    /// Its events, ascending in time; events of equal time in the order of arrival.
    pub marks: Vec<Mark>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When, in microseconds since the run began.
    pub at_us: u64,
    /// The event type on the wire, for example `tool_executing`.
    pub kind: String,
    /// The run it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The tool call it belongs to; joins `tool_executing` with its `tool_completed`. Without it the two are
    /// joined first in, first out within the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Its number within the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Anything worth a word, for example the tool's name; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Mark {
    /// An event that belongs to no run yet.
    pub fn new(at_us: u64, kind: impl Into<String>) -> Mark {
        Mark { at_us, kind: kind.into(), run: None, call: None, seq: None, note: String::new() }
    }

    pub(crate) fn event(&self) -> Event {
        Event::of(&self.kind)
    }
}

/// What an event type means to a reader of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Started,
    Thinking,
    ToolExecuting,
    ToolCompleted,
    Completed,
    Error,
    Other,
}

impl Event {
    /// In the order of a run; [`Event::Other`] last.
    pub(crate) const ALL: [Event; 7] = [
        Event::Started,
        Event::Thinking,
        Event::ToolExecuting,
        Event::ToolCompleted,
        Event::Completed,
        Event::Error,
        Event::Other,
    ];

    fn of(kind: &str) -> Event {
        match kind {
            "agent_started" => Event::Started,
            "agent_thinking" => Event::Thinking,
            "tool_executing" => Event::ToolExecuting,
            "tool_completed" => Event::ToolCompleted,
            "agent_completed" => Event::Completed,
            "agent_error" | "agent_failed" | "agent_death" => Event::Error,
            _ => Event::Other,
        }
    }

    /// What a legend says.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Event::Started => "agent_started",
            Event::Thinking => "agent_thinking",
            Event::ToolExecuting => "tool_executing",
            Event::ToolCompleted => "tool_completed",
            Event::Completed => "agent_completed",
            Event::Error => "agent_error",
            Event::Other => "other",
        }
    }
}

/// A row of a lane: runs that do not overlap in time share one.
#[derive(Debug, Default)]
pub(crate) struct Row<'a> {
    /// Ascending in time.
    pub(crate) marks: Vec<&'a Mark>,
    pub(crate) spans: Vec<Span<'a>>,
}

/// A tool call, from executing to completed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Span<'a> {
    pub(crate) executing: &'a Mark,
    pub(crate) completed: Option<&'a Mark>,
}

impl Timeline {
    /// First and last microsecond; `None` if there is no event.
    pub(crate) fn extent(&self) -> Option<(u64, u64)> {
        let times = || self.lanes.iter().flat_map(|lane| &lane.marks).map(|mark| mark.at_us);
        Some((times().min()?, times().max()?))
    }

    pub(crate) fn marks_total(&self) -> usize {
        self.lanes.iter().map(|lane| lane.marks.len()).sum()
    }
}

impl Lane {
    /// The lane in as few rows as keep overlapping runs apart; at least one.
    pub(crate) fn rows(&self) -> Vec<Row<'_>> {
        let mut rows = vec![Row::default()];
        let mut ends: Vec<Option<u64>> = vec![None];
        for run in self.runs() {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let free = ends.iter().position(|end| end.is_none_or(|end| end < first.at_us));
            let index = free.unwrap_or_else(|| {
                rows.push(Row::default());
                ends.push(None);
                rows.len() - 1
            });
            ends[index] = Some(last.at_us);
            rows[index].spans.extend(spans(&run));
            rows[index].marks.extend(run);
        }
        // Events outside any run are points that need no room of their own.
        rows[0].marks.extend(self.marks.iter().filter(|mark| mark.run.is_none()));
        for row in &mut rows {
            row.marks.sort_by_key(|mark| mark.at_us);
        }
        rows
    }

    /// The events of each run, runs in the order of their first event.
    fn runs(&self) -> Vec<Vec<&Mark>> {
        let mut names: Vec<&str> = Vec::new();
        let mut runs: Vec<Vec<&Mark>> = Vec::new();
        for mark in &self.marks {
            let Some(name) = mark.run.as_deref() else { continue };
            let index = names.iter().position(|&known| known == name).unwrap_or_else(|| {
                names.push(name);
                runs.push(Vec::new());
                names.len() - 1
            });
            runs[index].push(mark);
        }
        for run in &mut runs {
            run.sort_by_key(|mark| mark.at_us);
        }
        runs
    }
}

/// Joins the tool events of one run: by call, else first in, first out.
fn spans<'a>(run: &[&'a Mark]) -> Vec<Span<'a>> {
    let mut spans: Vec<Span<'a>> = Vec::new();
    for &mark in run {
        match mark.event() {
            Event::ToolExecuting => spans.push(Span { executing: mark, completed: None }),
            Event::ToolCompleted => {
                let open = spans
                    .iter_mut()
                    .find(|span| span.completed.is_none() && span.executing.call == mark.call);
                if let Some(span) = open {
                    span.completed = Some(mark);
                }
            }
            Event::Started | Event::Thinking | Event::Completed | Event::Error | Event::Other => {}
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(at_us: u64, kind: &str, run: &str, call: &str) -> Mark {
        let call = (!call.is_empty()).then(|| call.to_owned());
        Mark { run: Some(run.to_owned()), call, ..Mark::new(at_us, kind) }
    }

    fn lane(marks: Vec<Mark>) -> Lane {
        Lane { label: "connection c1".to_owned(), marks }
    }

    #[test]
    fn overlapping_runs_get_rows_of_their_own_and_later_ones_reuse_them() {
        let lane = lane(vec![
            mark(0, "agent_started", "r1", ""),
            mark(5, "agent_started", "r2", ""),
            mark(10, "agent_completed", "r1", ""),
            mark(11, "agent_started", "r3", ""),
            Mark::new(12, "heartbeat"),
            mark(20, "agent_completed", "r2", ""),
            mark(21, "agent_completed", "r3", ""),
        ]);
        let times: Vec<Vec<u64>> =
            lane.rows().iter().map(|row| row.marks.iter().map(|mark| mark.at_us).collect()).collect();
        assert_eq!(times, [vec![0, 10, 11, 12, 21], vec![5, 20]]);
    }

    #[test]
    fn parallel_tools_are_joined_by_call_and_others_in_order() {
        let lane = lane(vec![
            mark(1, "tool_executing", "r", "a"),
            mark(2, "tool_executing", "r", "b"),
            mark(3, "tool_completed", "r", "b"),
            mark(4, "tool_completed", "r", "a"),
            mark(5, "tool_executing", "r", ""),
        ]);
        let rows = lane.rows();
        let joined: Vec<(u64, Option<u64>)> = rows[0]
            .spans
            .iter()
            .map(|span| (span.executing.at_us, span.completed.map(|mark| mark.at_us)))
            .collect();
        assert_eq!(joined, [(1, Some(4)), (2, Some(3)), (5, None)]);
    }
}
