//! Who works on a run. The router asks ([`AgentBackend::start`]), the agent reports ([`RunSink::report`]);
//! what may be reported when, the router decides.
//!
//! The one back end here is [`Scripted`]: it plays a script against the clock.

mod rehearsed;
mod script;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use router::{AgentEvent, CancelReason, Input, RunRef, RunRequest, ToolAnswer, ToolStep};
use serde_json::value::RawValue;
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use crate::driver::Shared;

pub use self::{
    rehearsed::Rehearsed,
    script::{Beat, OwnedEvent, Script, ScriptSource},
};

/// Starts and stops agents.
///
/// Both calls come while the router is locked, so that a cancel never overtakes its start: they must return at
/// once, and must not report from within; spawn. A panic in `start` fails the run with `agent_error`.
pub trait AgentBackend: Send + Sync + 'static {
    /// Start working; report through the sink.
    fn start(&self, request: RunRequest, sink: RunSink);

    /// Stop working. The run has ended already; late reports are refused by the router.
    fn cancel(&self, run: RunRef, reason: CancelReason);

    /// What the run said waits for the shared store: say nothing more until [`resume`](Self::resume). Who goes on all the
    /// same is refused in the end. Nothing happens by default, which is fine for agents that say little.
    fn pause(&self, run: RunRef) {
        let _ = run;
    }

    /// Go on.
    fn resume(&self, run: RunRef) {
        let _ = run;
    }
}

/// Where an agent reports the progress of its run.
#[derive(Clone)]
pub struct RunSink {
    shared: Arc<Shared>,
    run: RunRef,
}

impl RunSink {
    pub(crate) fn new(shared: Arc<Shared>, run: RunRef) -> Self {
        Self { shared, run }
    }

    /// Has a tool run for this run, and waits for its outcome. Whether it may run, its two events and its deadline
    /// are the router's; `None` when the server is gone. Never from within [`AgentBackend::start`] or
    /// [`cancel`](AgentBackend::cancel).
    pub async fn call_tool(&self, tool: &str, parameters: &RawValue) -> Option<ToolAnswer> {
        self.shared.call_tool(self.run, tool, parameters).await
    }

    /// Tells of progress of work that is no tool call: the client gets a `progress_update` with the time `tool` may
    /// still take, judged by its name.
    pub fn progress(&self, tool: &str, percentage: f64, message: &str) {
        let step = ToolStep::Progress { call: None, tool, percentage, message };
        self.shared.input(Input::Tool { run: self.run, step });
    }

    /// Hands one event to the router; answers whether it was taken. What is refused leaves no frame: the event
    /// broke the run's order, or [`AgentEvent::Data`] named somebody else's ids. What became of an event that was
    /// taken, [`ServerHandle::delivery`](crate::ServerHandle::delivery) says. Never from within
    /// [`AgentBackend::start`] or [`cancel`](AgentBackend::cancel).
    pub fn report(&self, event: AgentEvent<'_>) -> bool {
        self.shared.report(self.run, event)
    }
}

impl fmt::Debug for RunSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunSink").field("run", &self.run).finish_non_exhaustive()
    }
}

/// The scripted agent: one task per run, which ends with its script or with a cancel.
pub struct Scripted {
    source: Arc<dyn ScriptSource>,
    playing: Arc<Playing>,
}

type Playing = Mutex<HashMap<RunRef, Played>>;

/// A run that is being played.
struct Played {
    task: AbortHandle,
    is_paused: watch::Sender<bool>,
}

impl Scripted {
    /// An agent that plays what `source` writes.
    pub fn new(source: impl ScriptSource) -> Self {
        Self { source: Arc::new(source), playing: Arc::default() }
    }

    fn set_paused(&self, run: RunRef, is_paused: bool) {
        if let Some(played) = lock(&self.playing).get(&run) {
            played.is_paused.send_replace(is_paused);
        }
    }

    /// Runs that are being played.
    pub fn playing(&self) -> usize {
        lock(&self.playing).len()
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted").field("playing", &self.playing()).finish_non_exhaustive()
    }
}

impl AgentBackend for Scripted {
    fn start(&self, request: RunRequest, sink: RunSink) {
        let (source, playing) = (Arc::clone(&self.source), Arc::clone(&self.playing));
        let run = request.run;
        // Beats are measured from here, however late the task gets its turn.
        let began = Instant::now();
        // Held until the task is listed, so that the task cannot leave before.
        let mut list = lock(&self.playing);
        let (is_paused, paused) = watch::channel(false);
        let task = tokio::spawn(async move {
            let leave = Leave { playing, run };
            play(&source.script(&request), began, &sink, paused).await;
            drop(leave);
        });
        list.insert(run, Played { task: task.abort_handle(), is_paused });
    }

    fn cancel(&self, run: RunRef, _: CancelReason) {
        // Aborting may drop the task, and with it its place in the list, right here: not under the lock.
        let played = lock(&self.playing).remove(&run);
        if let Some(played) = played {
            played.task.abort();
        }
    }

    fn pause(&self, run: RunRef) {
        self.set_paused(run, true);
    }

    fn resume(&self, run: RunRef) {
        self.set_paused(run, false);
    }
}

async fn play(script: &Script, began: Instant, sink: &RunSink, mut paused: watch::Receiver<bool>) {
    for beat in &script.beats {
        // An absolute deadline: a late beat does not push the next one.
        sleep_until(began + beat.at).await;
        if paused.wait_for(|paused| !paused).await.is_err() {
            return; // the run was cancelled
        }
        sink.report(beat.event.borrow());
    }
}

/// Takes a run off the list when its task ends, however it ends.
struct Leave {
    playing: Arc<Playing>,
    run: RunRef,
}

impl Drop for Leave {
    fn drop(&mut self) {
        lock(&self.playing).remove(&self.run);
    }
}

fn lock(playing: &Playing) -> MutexGuard<'_, HashMap<RunRef, Played>> {
    playing.lock().unwrap_or_else(PoisonError::into_inner)
}
