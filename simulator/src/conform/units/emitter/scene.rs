//! Users, sockets and runs of a case: a recording of single events stands for those events within runs that have
//! come so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use router::{
    AgentEvent, Config, Connect, DeliveryState, Effect, EventRef, Input, Refusal, RunRef, RunRequest, Tier,
    run::{EventKind, Phase, can_name_a_run},
};
use serde_json::{Map, Value, json, value::to_raw_value};

use crate::conform::{
    Sent,
    stage::{Line, Stage},
};

/// What the router did with an event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) refused: Option<Refusal>,
    /// There was no run to speak for.
    pub(super) no_run: bool,
    pub(super) state: Option<DeliveryState>,
    pub(super) cursor: u64,
    pub(super) run_lives: bool,
}

impl Outcome {
    pub(super) const NO_RUN: Outcome =
        Outcome { refused: None, no_run: true, state: None, cursor: 0, run_lives: false };

    pub(super) const fn accepted(&self) -> bool {
        self.refused.is_none() && !self.no_run
    }

    pub(super) const fn delivered(&self) -> bool {
        matches!(self.state, Some(DeliveryState::Delivered | DeliveryState::Confirmed))
    }
}

/// A run, and the ids that the recording has for it.
#[derive(Debug)]
pub(super) struct OldRun {
    pub(super) request: Arc<RunRequest>,
    pub(super) old_run: Option<String>,
    pub(super) old_request: Option<String>,
}

pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) runs: Vec<OldRun>,
    /// Run ids and seqs of events that only set the scene.
    scenery: BTreeSet<(String, u64)>,
    tiers: BTreeMap<String, Tier>,
    sockets: u64,
}

impl Scene {
    pub(super) fn new() -> Self {
        let stage = Stage::new(Config::default()).expect("the defaults are valid");
        Self { stage, runs: Vec::new(), scenery: BTreeSet::new(), tiers: BTreeMap::new(), sockets: 0 }
    }

    /// Connects a socket under a label; `false` when it was refused.
    pub(super) fn connect(&mut self, label: &str, user: &str, line: Line) -> bool {
        let tier = self.tiers.get(user).copied().unwrap_or_default();
        let ticket = self.stage.ticket();
        self.stage.connect_as(label, &Connect { tier, ..Connect::new(ticket, user) }, line)
    }

    /// A user's plan is what the token of the newest connection says.
    pub(super) fn set_tier(&mut self, user: &str, tier: Tier) {
        self.tiers.insert(user.to_owned(), tier);
        self.with_socket(user, |_, _| ());
    }

    pub(super) fn tier(&self, user: &str) -> Tier {
        self.tiers.get(user).copied().unwrap_or_default()
    }

    /// Lends a socket of that user that comes and goes.
    fn with_socket<R>(&mut self, user: &str, f: impl FnOnce(&mut Self, &str) -> R) -> Option<R> {
        self.sockets += 1;
        let label = format!("passing {}", self.sockets);
        if !self.connect(&label, user, Line::Up) {
            return None;
        }
        let answer = f(self, &label);
        self.stage.disconnect(&label);
        Some(answer)
    }

    /// Starts a run with the ids of a recorded context. `None`: such a context names no run, or no user.
    pub(super) fn open_run(&mut self, user: &str, context: &Map<String, Value>) -> Option<usize> {
        let text = |key: &str| context.get(key).and_then(Value::as_str).map(str::to_owned);
        let (old_run, old_request) = (text("run_id"), text("request_id"));
        if context.contains_key("run_id") && !old_run.as_deref().is_some_and(can_name_a_run) {
            return None;
        }
        let known = |id: &String| self.runs.iter().any(|run| run.old_request.as_ref() == Some(id));
        let mut message = json!({ "type": "user_message", "payload": { "content": "go" } });
        if let Some(request) = old_request.clone().filter(|id| !known(id)) {
            message["message_id"] = request.into();
        }
        if let Some(thread) = text("thread_id") {
            message["thread_id"] = thread.into();
        }
        let request = self.with_socket(user, |scene, label| {
            scene.stage.text(label, &message.to_string());
            scene.stage.take_asked().into_iter().find_map(|effect| {
                let Effect::StartRun(request) = effect else { return None };
                Some(request)
            })
        })??;
        self.runs.push(OldRun { request, old_run, old_request });
        Some(self.runs.len() - 1)
    }

    /// Hands in an event, in a run that has come so far that the automaton can take it.
    pub(super) fn emit(&mut self, run: usize, kind: &str, data: &Value) -> Outcome {
        let handle = self.runs[run].request.run;
        self.come_so_far(run, handle, kind);
        let refused = self.hand_in(handle, kind, data);
        let user = self.runs[run].request.user.clone();
        let router = self.stage.router();
        let cursor = router.last_cursor(&user).unwrap_or_default();
        let run_lives = router.run_state(handle).is_some();
        Outcome { refused, no_run: false, state: self.state(&user, cursor), cursor, run_lives }
    }

    pub(super) fn state(&self, user: &str, cursor: u64) -> Option<DeliveryState> {
        self.stage.router().delivery(user, EventRef::Cursor(cursor)).map(|delivery| delivery.state)
    }

    fn come_so_far(&mut self, run: usize, handle: RunRef, kind: &str) {
        let Some(kind) = EventKind::of(kind) else { return };
        let state = |scene: &Self| scene.stage.router().run_state(handle);
        if kind != EventKind::Started && state(self).is_some_and(|(phase, ..)| phase == Phase::Idle) {
            self.decorate(run, handle, "agent_started");
        }
        match (kind, state(self)) {
            (EventKind::ToolCompleted, Some((_, 0, _))) => self.decorate(run, handle, "tool_executing"),
            (EventKind::Completed, Some((_, open, _))) => {
                for _ in 0..open {
                    self.decorate(run, handle, "tool_completed");
                }
            }
            _ => {}
        }
    }

    fn decorate(&mut self, run: usize, handle: RunRef, kind: &str) {
        let refused = self.hand_in(handle, kind, &json!({}));
        debug_assert!(refused.is_none(), "a scene that cannot be set");
        if let Some((_, _, seq)) = self.stage.router().run_state(handle) {
            self.scenery.insert((self.runs[run].request.run_id(), seq));
        }
    }

    fn hand_in(&mut self, run: RunRef, kind: &str, data: &Value) -> Option<Refusal> {
        let data = to_raw_value(data).expect("JSON");
        self.stage.input(Input::Agent { run, event: AgentEvent::Data { kind, data: &data } });
        self.stage.take_asked().into_iter().find_map(|effect| {
            let Effect::AgentRefused(refused) = effect else { return None };
            Some(refused.why)
        })
    }

    /// What reached the sockets, without what only set the scene.
    pub(super) fn sent(&self) -> Vec<Sent> {
        let scenery = |sent: &&Sent| {
            let run = sent.message["run_id"].as_str().unwrap_or_default().to_owned();
            self.scenery.contains(&(run, sent.message["seq"].as_u64().unwrap_or_default()))
        };
        self.stage
            .sent()
            .iter()
            .filter(|sent| !sent.conn.starts_with("passing ") && !scenery(sent))
            .cloned()
            .collect()
    }

    /// Events of the recording that the user's recovery window still holds.
    pub(super) fn replayable(&self, user: &str) -> usize {
        let router = self.stage.router();
        let held = |cursor: &u64| {
            router.delivery(user, EventRef::Cursor(*cursor)).is_some_and(|delivery| delivery.replayable)
        };
        let all = (1..=router.last_cursor(user).unwrap_or_default()).filter(held).count();
        all.saturating_sub(self.scenery.len())
    }

    /// How many events only set the scene.
    pub(super) fn scenery(&self) -> u64 {
        self.scenery.len() as u64
    }
}
