//! The recorded unit `emitter` in terms of the canonical router: the emitter, its manager, and the bridge above it.
//!
//! Each call becomes an event given as JSON in a run of its user; what the sockets get is compared with what was
//! recorded, after the rules of the canonical form are applied to the recording.

mod calls;
mod compare;
mod rules;
mod scene;

use std::collections::BTreeMap;

use router::{DeliveryState, Refusal, Tier, run::EventKind, wire};
use serde_json::{Map, Value, json, value::to_raw_value};

use self::{
    calls::Call,
    scene::{Outcome, Scene},
};
use super::Unit;
use crate::conform::{Action, Difference, Expect, Inexpressible, Notes, Obstacle, Sent, Tape, stage::Line};

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    let component = setup.get("component").and_then(Value::as_str);
    let mut unit = Emitter {
        scene: Scene::new(),
        bridge: component == Some("agent_websocket_bridge"),
        unified: setup.get("manager").and_then(Value::as_str) == Some("unified"),
        watched: setup.get("manager") != Some(&Value::Bool(false)),
        mapped: setup.get("run_to_thread").cloned().unwrap_or_default(),
        voices: BTreeMap::new(),
        current: String::new(),
        threads: BTreeMap::new(),
        away: false,
        inactive: false,
        broken: false,
        failures: 0,
        metadata: Value::Null,
        last: Last::default(),
    };
    if unit.bridge
        && let Some(Value::Object(context)) = setup.get("context")
    {
        unit.speak_for(String::new(), context.get("user_id").and_then(Value::as_str), Some(context), false);
    }
    Ok(Box::new(unit))
}

/// Who speaks: an emitter of the recording.
#[derive(Clone, Debug, Default)]
struct Voice {
    user: Option<String>,
    run: Option<usize>,
    /// It tries once only.
    fast: bool,
}

/// What the last operation brought about.
#[derive(Debug, Default)]
struct Last {
    call: Option<Call>,
    voice: Voice,
    outcome: Option<Outcome>,
    sent: Vec<Sent>,
    answer: Value,
    /// The user's socket was away when the event was handed in.
    was_away: bool,
}

struct Emitter {
    scene: Scene,
    bridge: bool,
    unified: bool,
    /// Somebody watches the sockets of the recording manager.
    watched: bool,
    mapped: Value,
    voices: BTreeMap<String, Voice>,
    current: String,
    /// Which user a recorded thread belongs to.
    threads: BTreeMap<String, String>,
    away: bool,
    inactive: bool,
    /// A socket of this case failed.
    broken: bool,
    failures: usize,
    /// Of the last frame.
    metadata: Value,
    last: Last,
}

const NOT_OURS: Inexpressible = Inexpressible("an operation of the old emitter that no canonical part has");
const NO_CONTEXT: Inexpressible =
    Inexpressible("an event without a run: the canonical API takes none, so there is no outcome to compare");
const NO_USURPER: Inexpressible =
    Inexpressible("a `type` member in the data of an event that the old normaliser shielded from it");

impl Unit for Emitter {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        self.scene.stage.begin();
        self.last = Last::default();
        let op = action.op.as_str();
        match op {
            "new" | "pool_acquire" | "factory_scoped" => self.new_voice(action),
            "use" => self.current = action.text("as").unwrap_or_default().to_owned(),
            "script" => self.script(action),
            "set_user_tier" => {
                let tier = action.text("user_tier").and_then(Tier::from_name).unwrap_or_default();
                if let Some(user) = self.voice().user {
                    self.scene.set_tier(&user, tier);
                }
            }
            "connect" => self.connect(action),
            "disconnect" => self.scene.stage.disconnect(action.text("conn").unwrap_or_default()),
            "break_socket" => {
                self.broken = true;
                self.scene.stage.set_line(action.text("conn").unwrap_or_default(), Line::Down);
            }
            "stats"
            | "get_auth_stats"
            | "get_token_metrics"
            | "update_token_metrics"
            | "pool_new"
            | "pool_release"
            | "tracker_statuses"
            | "tracker_metrics"
            | "attempt_recovery"
            | "cleanup" => {}
            "set_context" => {
                let user = self.voice().user;
                let (name, context) = (self.current.clone(), action.arg("context").as_object());
                self.speak_for(name, user.as_deref(), context, self.voice().fast);
                self.scene.stage.begin();
            }
            _ => {
                if !self.ask(action) {
                    self.speak(action)?;
                }
            }
        }
        self.last.sent = self.scene.sent();
        if let Some(sent) = self.last.sent.last() {
            self.metadata = sent.message["metadata"].clone();
        }
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        self.compare_step(action, expect, notes)
    }

    fn tape(&self) -> Result<Tape, Obstacle> {
        self.scene.stage.tape()
    }

    fn show(&self) -> Value {
        let sent: Vec<Value> = self
            .last
            .sent
            .iter()
            .map(|sent| json!({ "conn": sent.conn, "user": sent.user, "message": sent.message }))
            .collect();
        let outcome = self.last.outcome.map(|outcome| match outcome.refused {
            Some(why) => why.name().to_owned(),
            None if outcome.no_run => "no run".to_owned(),
            None => format!("{:?}", outcome.state),
        });
        json!({ "outcome": outcome, "answer": self.last.answer, "sent": sent })
    }
}

impl Emitter {
    fn voice(&self) -> Voice {
        self.voices.get(&self.current).cloned().unwrap_or_default()
    }

    fn new_voice(&mut self, action: &Action) {
        let context = action.arg("context").as_object().cloned();
        let of_context = context.as_ref().and_then(|context| context.get("user_id")).and_then(Value::as_str);
        let user = action.text("user_id").or(of_context).map(str::to_owned);
        if let (Some(user), Some(tier)) =
            (&user, context.as_ref().and_then(|context| context.get("user_tier")).and_then(Value::as_str))
        {
            self.scene.set_tier(user, Tier::from_name(tier).unwrap_or_default());
        }
        let name = action.text("as").unwrap_or("e").to_owned();
        let fast = action.arg("performance_mode") == &Value::Bool(true);
        self.speak_for(name, user.as_deref(), context.as_ref(), fast);
        self.scene.stage.begin();
        let voice = self.voice();
        self.last.answer = json!({
            "user_id": voice.run.map(|run| self.scene.runs[run].request.user.to_string()).or(voice.user.clone()),
            "tier": voice.user.as_deref().map(|user| self.scene.tier(user).name()),
        });
    }

    fn speak_for(
        &mut self,
        name: String,
        user: Option<&str>,
        context: Option<&Map<String, Value>>,
        fast: bool,
    ) {
        if let Some(user) = user.filter(|_| !self.unified && self.watched) {
            self.watch(user);
        }
        let run = user.zip(context).and_then(|(user, context)| self.scene.open_run(user, context));
        self.voices.insert(name.clone(), Voice { user: user.map(str::to_owned), run, fast });
        self.current = name;
    }

    fn watch(&mut self, user: &str) {
        let label = format!("watch {user}");
        if self.scene.stage.conn(&label).is_none() {
            self.scene.connect(&label, user, Line::Up);
        }
    }

    fn script(&mut self, action: &Action) {
        match action.arg("active").as_bool() {
            Some(false) => {
                self.inactive = true;
                self.go_away();
            }
            Some(true) => {
                self.inactive = false;
                self.come_back();
            }
            None => {}
        }
        if let Some(failures) = action.arg("fail_next").as_u64() {
            self.failures = failures as usize;
        }
        if let Some(results) = action.arg("send_results").as_array() {
            self.failures = results.iter().take_while(|result| **result != Value::Bool(true)).count();
        }
    }

    fn go_away(&mut self) {
        self.away = true;
        if let Some(user) = self.voice().user {
            self.scene.stage.disconnect(&format!("watch {user}"));
        }
    }

    fn come_back(&mut self) {
        self.away = false;
        if let Some(user) = self.voice().user.filter(|_| !self.unified && self.watched) {
            self.watch(&user);
        }
    }

    fn connect(&mut self, action: &Action) {
        let (label, user) =
            (action.text("conn").unwrap_or_default(), action.text("user").unwrap_or_default());
        if let Some(thread) = action.text("thread_id") {
            self.threads.insert(thread.to_owned(), user.to_owned());
        }
        self.scene.connect(label, user, Line::Up);
    }

    /// Questions; `false`: it was none.
    fn ask(&mut self, action: &Action) -> bool {
        let voice = self.voice();
        let user = voice.user.clone().unwrap_or_default();
        let text = |key: &str| action.text(key).unwrap_or_default().to_owned();
        self.last.answer = match action.op.as_str() {
            "validate_context" => {
                let context = Map::from_iter([("run_id".to_owned(), action.arg("run_id").clone())]);
                let run = self.scene.open_run(&user, &context);
                run.is_some_and(|run| self.scene.emit(run, "agent_started", &json!({})).accepted()).into()
            }
            "is_suspicious" | "resolve_thread" => {
                self.scene.stage.router().find_run(&user, &text("run_id")).is_none().into()
            }
            "is_suspicious_run_id" => Value::Null,
            // An emitter that is no task leaves nothing to do in the next tenth of a second.
            "batch_task_alive" => {
                let soon = self.scene.stage.now().after(100_000);
                self.scene.stage.router().next_deadline().is_some_and(|(at, _)| at <= soon).into()
            }
            "get_user_tier" => match self.metadata.get("user_tier") {
                Some(tier) => tier.clone(),
                None => self.scene.tier(&user).name().into(),
            },
            "is_priority_user" => match self.metadata.get("is_priority_queue") {
                Some(priority) => priority.clone(),
                None => (self.scene.tier(&user) == Tier::Enterprise).into(),
            },
            "recovery_queue" => self.scene.replayable(&text("user_id")).into(),
            "manager_event_stats" => {
                let events = self.scene.stage.router().stats().events;
                json!({ "events_delivered": events.delivered - self.scene.scenery().min(events.delivered),
                        "refused_foreign": events.refused_foreign })
            }
            "death_message" => wire::death_message(&text("death_cause"), &text("agent_name")).into(),
            "sanitize" => clean(action),
            _ => return false,
        };
        true
    }

    /// The run that a call speaks for.
    fn run_of(&mut self, action: &Action) -> Voice {
        let of_user = |unit: &mut Self, user: &str, context: &Map<String, Value>| {
            let known = format!("{user} {context:?}");
            if let Some(voice) = unit.voices.get(&known).filter(|voice| {
                let run = voice.run.map(|run| unit.scene.runs[run].request.run);
                run.is_some_and(|run| unit.scene.stage.router().run_state(run).is_some())
            }) {
                return voice.clone();
            }
            let run = unit.scene.open_run(user, context);
            let voice = Voice { user: Some(user.to_owned()), run, fast: false };
            unit.voices.insert(known, voice.clone());
            voice
        };
        match action.op.as_str() {
            "manager_emit" | "send_to_user" => {
                let user = action.text("user_id").unwrap_or_default().to_owned();
                of_user(self, &user, &Map::new())
            }
            "send_to_thread" => {
                let thread = action.text("thread_id").unwrap_or_default();
                let user = self.threads.get(thread).cloned().unwrap_or_default();
                of_user(self, &user, &Map::from_iter([("thread_id".to_owned(), thread.into())]))
            }
            "process_business_event" => {
                self.watch("somebody");
                of_user(self, "somebody", &Map::new())
            }
            _ if self.bridge => {
                let named = action.arg("context").get("run_id").filter(|_| action.op == "emit_event");
                let named = named.unwrap_or(action.arg("run_id")).as_str();
                let mut voice = self.voice();
                let own = voice.run.and_then(|run| self.scene.runs[run].old_run.as_deref());
                if own.is_none() || own != named {
                    voice.run = None;
                }
                voice
            }
            _ => self.voice(),
        }
    }

    fn speak(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let call = if self.bridge { calls::bridge(action) } else { calls::emitter(action) };
        let call = call.ok_or(NOT_OURS)?;
        let kind = call.kind.as_str().unwrap_or_default().to_owned();
        let golden = EventKind::of(&kind);
        let voice = self.run_of(action);
        // What failed for every context in the old bridge has no outcome to be compared without one.
        let lost_anyway = self.bridge
            && (action.op == "emit_agent_event"
                || matches!(golden, Some(EventKind::Thinking | EventKind::Completed)));
        if voice.run.is_none() && lost_anyway {
            return Err(NO_CONTEXT);
        }
        let shielded = !golden.is_some_and(EventKind::is_critical);
        if self.unified && shielded && call.data.get("type").is_some() {
            return Err(NO_USURPER);
        }
        let waits: &[u64] = match golden {
            Some(EventKind::Started | EventKind::ToolExecuting | EventKind::ToolCompleted) if self.bridge => {
                &[1_000_000, 2_000_000]
            }
            _ if self.bridge => &[],
            Some(kind) if kind.is_critical() && !voice.fast => &[100_000, 200_000],
            None if kind.starts_with("auth") => &[120_000, 240_000, 480_000, 960_000, 1_920_000],
            _ => &[],
        };
        self.last.was_away = self.inactive || self.failures > 0 || self.away;
        if self.failures > 0 {
            self.go_away();
        } else if self.away && !self.inactive {
            self.come_back();
        }
        let mut outcome = match voice.run {
            // The API takes a text as type: anything else cannot even be handed in.
            Some(_) if !call.kind.is_string() => {
                Outcome { refused: Some(Refusal::BadType), ..Outcome::default() }
            }
            Some(run) => self.scene.emit(run, &kind, &call.data),
            None => Outcome::NO_RUN,
        };
        if self.failures > 0 {
            // The call waited so long for its outcome; the client is back after as many failures.
            let tries = self.failures.min(waits.len());
            self.scene.stage.advance(waits[..tries].iter().sum());
            if self.failures <= waits.len() {
                self.come_back();
            }
            self.failures = self.failures.saturating_sub(waits.len() + 1);
            if let (Some(user), Some(DeliveryState::Waiting)) = (&voice.user, outcome.state) {
                outcome.state = self.scene.state(user, outcome.cursor);
            }
        }
        self.last.outcome = Some(outcome);
        self.last.call = Some(call);
        self.last.voice = voice;
        Ok(())
    }
}

/// The sanitiser itself.
fn clean(action: &Action) -> Value {
    use wire::sanitise::{Part, Sanitise, sanitise};
    let part = match action.text("kind").unwrap_or_default() {
        "parameters" => Part::Parameters,
        "result" => Part::Results,
        "error_message" => Part::ErrorText,
        "error_context" => Part::ErrorContext,
        "progress_data" => Part::Progress,
        _ => Part::Custom,
    };
    let raw = to_raw_value(action.arg("value")).expect("JSON");
    serde_json::from_str(&sanitise(part, &raw, &Sanitise::default()).json).unwrap_or_default()
}
