//! The tools that the router has run: each call that it took up is answered once, by its own tool and in time.

use std::collections::{BTreeMap, BTreeSet};

use router::{AgentEvent, RunRef, ToolAnswer, ToolFailure, ToolOutcome, ToolRequest, ToolStatus, ToolStep};

/// How much later than its deadline a call may be given up, microseconds: a node that stands still for a moment is late.
const PATIENCE_US: u64 = 10_000_000;

/// A call: index and generation of its run, and its id within the run.
type Key = (u32, u32, Box<str>);

/// What is at work, and what agents run themselves because the router would not.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    /// Calls at work, with the time at which they must be given up, on the router's clock.
    open: BTreeMap<Key, u64>,
    /// Calls that were refused: their agents run these tools themselves.
    own: BTreeSet<Key>,
    /// The call that an agent or a tool speaks of right now.
    spoken_of: Option<Key>,
    refused: bool,
}

/// A rule that an answer broke, and how.
pub(crate) type Broken = (&'static str, String);

impl Tools {
    /// The step that has the router run a tool, or ends one, in place of the agent's own word; `None` for what is no
    /// matter of tools.
    pub(crate) fn step<'e>(&mut self, run: RunRef, event: &AgentEvent<'e>) -> Option<ToolStep<'e>> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only tools matter")]
        match *event {
            AgentEvent::ToolExecuting { call, tool, parameters } => {
                self.spoken_of = Some(key(run, call));
                Some(ToolStep::Call { call, run_id: None, tool, parameters })
            }
            AgentEvent::ToolCompleted { call, status, results, .. } => {
                let key = key(run, call);
                if self.own.remove(&key) {
                    return None;
                }
                self.spoken_of = Some(key);
                let message = results.get().trim_matches('"');
                let result = match status {
                    ToolStatus::Completed => Ok(results),
                    ToolStatus::Error | ToolStatus::Timeout | ToolStatus::Cancelled => {
                        Err(ToolFailure { message, kind: "ValueError" })
                    }
                };
                Some(ToolStep::Done { call, result })
            }
            _ => None,
        }
    }

    /// Whether the call just asked for was refused; from then on it is its agent's.
    pub(crate) fn take_refused(&mut self) -> bool {
        let spoken_of = self.spoken_of.take();
        let refused = std::mem::take(&mut self.refused);
        self.own.extend(spoken_of.filter(|_| refused));
        refused
    }

    /// The router has a tool run.
    pub(crate) fn run(&mut self, request: &ToolRequest) {
        self.open.insert(key(request.run, &request.call), request.deadline.as_micros());
    }

    /// The router answers an agent, at that time on its own clock.
    pub(crate) fn answered(&mut self, now_us: u64, answer: &ToolAnswer) -> Result<(), Broken> {
        let key = key(answer.run, &answer.call);
        let spoken_of = self.spoken_of.as_ref() == Some(&key);
        let reported = match &answer.outcome {
            ToolOutcome::Refused(_) => {
                self.refused |= spoken_of;
                return Ok(());
            }
            ToolOutcome::Success(_) => true,
            ToolOutcome::Failed { status, .. } => *status == ToolStatus::Error,
        };
        let Some(deadline_us) = self.open.remove(&key) else {
            return Err(("tools.answer", format!("{} is answered, and no such call is at work", key.2)));
        };
        if reported && !spoken_of {
            return Err(("tools.answer", format!("{} is answered with the report of another call", key.2)));
        }
        if now_us > deadline_us + PATIENCE_US {
            let late_s = (now_us - deadline_us) / 1_000_000;
            return Err(("tools.late", format!("{} is answered {late_s} s after its deadline", key.2)));
        }
        Ok(())
    }

    /// The node is gone with everything it had at work.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Calls that were never answered.
    pub(crate) fn at_work(&self) -> usize {
        self.open.len()
    }
}

fn key(run: RunRef, call: &str) -> Key {
    (run.index() as u32, run.generation(), call.into())
}
