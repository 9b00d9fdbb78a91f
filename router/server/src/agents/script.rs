//! What a scripted agent will do: events with their times.

use std::time::Duration;

pub use router::OwnedEvent;
use router::RunRequest;

/// Writes the script of a run.
pub trait ScriptSource: Send + Sync + 'static {
    /// What the agent does with this request; a pure function of it.
    fn script(&self, request: &RunRequest) -> Script;
}

/// One run of a scripted agent.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// What happens, ordered by time.
    pub beats: Vec<Beat>,
}

/// One thing a scripted agent does.
#[derive(Clone, Debug)]
pub struct Beat {
    /// When, from the start of the run.
    pub at: Duration,
    /// What it reports.
    pub event: OwnedEvent,
}
