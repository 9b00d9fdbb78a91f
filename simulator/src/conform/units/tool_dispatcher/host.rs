//! The host of recorded tool calls: runs on a stage, and tools that do as their script says.

use std::collections::BTreeMap;

use router::{
    AgentEvent, Config, Connect, Effect, Input, Instant, RunRef, ToolAnswer, ToolFailure, ToolStep,
    tools::Context,
};
use serde_json::{Value, json, value::RawValue};

use crate::conform::stage::{Line, Stage};

/// Longer than any recorded case: neither heartbeats nor the end of a run come between.
const LONG_US: u64 = 100 * 86_400_000_000;
/// Steps of the clock within one operation; more would be a loop.
const TURNS_MAX: usize = 10_000;

/// A tool of a recorded case.
#[derive(Clone, Debug)]
pub(in crate::conform) struct ScriptedTool {
    pub(in crate::conform) name: String,
    behaviour: String,
    pub(in crate::conform) takes_us: u64,
    pub(in crate::conform) result: Value,
    pub(in crate::conform) message: String,
}

impl ScriptedTool {
    /// What a case says about a tool; what it leaves out is as in the recordings.
    pub(in crate::conform) fn of(spec: &Value) -> Self {
        let text = |key: &str, default: &str| spec[key].as_str().unwrap_or(default).to_owned();
        let behaviour = text("behaviour", "ok");
        let message = match behaviour.as_str() {
            "memory" => "oom",
            "timeout" => "",
            _ => "tool blew up",
        };
        Self {
            name: text("name", ""),
            takes_us: (spec["takes"].as_f64().unwrap_or_default() * 1e6) as u64,
            result: spec.get("result").cloned().unwrap_or_else(|| json!({"ok": true})),
            message: text("message", message),
            behaviour,
        }
    }

    /// Whether it answers with its parameters.
    pub(in crate::conform) fn echoes(&self) -> bool {
        self.behaviour == "echo"
    }

    /// The kind of error it ends with; `None` when it answers.
    pub(in crate::conform) fn error_kind(&self) -> Option<&'static str> {
        match self.behaviour.as_str() {
            "error" => Some("ValueError"),
            "memory" => Some("MemoryError"),
            "timeout" => Some("TimeoutError"),
            _ => None,
        }
    }

    /// Whether an answer is the tool's own outcome: its result, its error, or the text of its deadline.
    pub(super) fn is_outcome(&self, answer: &ToolAnswer, deadline_us: u64) -> bool {
        let json: Value = serde_json::from_str(&answer.to_json()).unwrap_or_default();
        if self.takes_us >= deadline_us {
            json["error"] == format!("Timeout after {}ms", deadline_us / 1_000)
        } else if self.error_kind().is_some() {
            json["success"] == false && json["error"] == self.message
        } else {
            json["success"] == true && json["result"] == self.result
        }
    }
}

/// One thing that happened during a step.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Happened {
    /// A frame reached the owner's socket.
    Frame(Value),
    /// A tool began.
    ToolRun(String),
}

/// A run of a recorded case.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) run: RunRef,
    /// The name that the recording gives it.
    pub(super) label: String,
    /// The router's id of it.
    pub(super) id: String,
    pub(super) user: String,
}

struct Working {
    ends: Instant,
    run: RunRef,
    call: String,
    tool: String,
}

/// Runs, tools, sockets.
pub(super) struct Host {
    stage: Stage,
    tools: BTreeMap<(usize, u32, String), ScriptedTool>,
    working: Vec<Working>,
    answers: BTreeMap<String, ToolAnswer>,
    happened: Vec<Happened>,
    /// Frames of the stage that are in `happened` already.
    taken: usize,
    calls: u64,
    /// Every run by its router's id.
    labels: BTreeMap<String, String>,
    requests: Vec<String>,
}

impl Host {
    pub(super) fn new() -> Self {
        let config = Config { heartbeat_us: LONG_US, agent_deadline_us: LONG_US, ..Config::default() };
        Self {
            stage: Stage::new(config).expect("the defaults with longer times"),
            tools: BTreeMap::new(),
            working: Vec::new(),
            answers: BTreeMap::new(),
            happened: Vec::new(),
            taken: 0,
            calls: 0,
            labels: BTreeMap::new(),
            requests: Vec::new(),
        }
    }

    pub(super) const fn stage(&self) -> &Stage {
        &self.stage
    }

    pub(super) fn begin_step(&mut self) {
        self.stage.begin();
        self.happened.clear();
        self.taken = 0;
    }

    pub(super) fn happened(&self) -> &[Happened] {
        &self.happened
    }

    /// The recording's name of a run.
    pub(super) fn label(&self, id: &str) -> Option<&str> {
        self.labels.get(id).map(String::as_str)
    }

    pub(super) fn is_online(&self, user: &str) -> bool {
        self.stage.conn(user).is_some()
    }

    /// Opens or closes the owner's socket.
    pub(super) fn set_online(&mut self, user: &str, online: bool) {
        if online && !self.is_online(user) {
            self.stage.connect(user, user, Line::Up);
        } else if !online {
            self.stage.disconnect(user);
        }
    }

    /// Begins a run by the message of its user, who stays online only if so said. Nothing of it is recorded.
    pub(super) fn begin_run(&mut self, context: &Context, agent: &str, online: bool) -> Option<Place> {
        let (user, label) = (context.user().to_string(), context.run().to_owned());
        if !self.is_online(&user) {
            let ticket = self.stage.ticket();
            self.stage.connect_as(&user, &Connect::new(ticket, &user), Line::Up);
        }
        let mut message =
            json!({"type": "user_message", "thread_id": context.thread(), "payload": {"message": "go"}});
        if !self.requests.iter().any(|known| known == context.request()) {
            self.requests.push(context.request().to_owned());
            message["message_id"] = context.request().into();
        }
        self.stage.text(&user, &message.to_string());
        let started = self.stage.take_asked().into_iter().find_map(|effect| {
            let Effect::StartRun(request) = effect else { return None };
            Some((request.run, request.run_id()))
        });
        let (run, id) = started?;
        self.labels.insert(id.clone(), label.clone());
        self.stage.input(Input::Agent { run, event: AgentEvent::Started { agent, task: "" } });
        self.set_online(&user, online);
        self.begin_step();
        Some(Place { run, label, id, user })
    }

    /// Ends a run: its agent gives up, and what is in flight is cancelled.
    pub(super) fn end_run(&mut self, run: RunRef) {
        self.input(Input::Agent { run, event: AgentEvent::Failed { code: "", message: "" } });
    }

    /// Gives a run a tool.
    pub(super) fn register(&mut self, run: RunRef, tool: &ScriptedTool) {
        let step = ToolStep::Register { name: &tool.name, description: "" };
        self.input(Input::Tool { run, step });
        self.tools.insert((run.index(), run.generation(), tool.name.clone()), tool.clone());
    }

    /// Begins a call; answers its id.
    pub(super) fn call(&mut self, run: RunRef, run_id: Option<&str>, tool: &str, parameters: &str) -> String {
        self.calls += 1;
        let call = format!("call-{}", self.calls);
        let Ok(parameters) = RawValue::from_string(parameters.to_owned()) else { return call };
        let step = ToolStep::Call { call: &call, run_id, tool, parameters: &parameters };
        self.input(Input::Tool { run, step });
        call
    }

    /// Lets time pass until the calls have their answers, which come in the order of the calls.
    pub(super) fn answers(&mut self, calls: &[String]) -> Vec<ToolAnswer> {
        for _ in 0..TURNS_MAX {
            if calls.iter().all(|call| self.answers.contains_key(call)) {
                break;
            }
            let next = self.working.iter().map(|working| working.ends).min();
            let wake = self.stage.router().next_deadline().map(|(at, _)| at);
            let Some(at) = [next, wake].into_iter().flatten().min() else { break };
            self.stage.advance(at.since(self.stage.now()));
            self.notice();
            self.finish_due();
        }
        calls.iter().filter_map(|call| self.answers.remove(call)).collect()
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        self.stage.input(input);
        self.notice();
    }

    pub(super) fn advance(&mut self, micros: u64) {
        self.stage.advance(micros);
        self.notice();
    }

    /// Tools whose time is over report; those without delay at once.
    fn finish_due(&mut self) {
        let now = self.stage.now();
        while let Some(at) = self.working.iter().position(|working| working.ends <= now) {
            let Working { run, call, tool, .. } = self.working.remove(at);
            let Some(script) = self.tools.get(&(run.index(), run.generation(), tool)).cloned() else {
                continue;
            };
            let result = RawValue::from_string(script.result.to_string()).unwrap_or_default();
            let result = match script.error_kind() {
                Some(kind) => Err(ToolFailure { message: &script.message, kind }),
                None => Ok(&*result),
            };
            self.input(Input::Tool { run, step: ToolStep::Done { call: &call, result } });
        }
    }

    /// Takes down what the router asked and sent, in its order.
    fn notice(&mut self) {
        for (before, effect) in self.stage.take_asked_in_order() {
            self.take_frames(before);
            if let Effect::RunTool(request) = effect {
                self.happened.push(Happened::ToolRun(request.tool.to_string()));
                let key = (request.run.index(), request.run.generation(), request.tool.to_string());
                let takes_us = self.tools.get(&key).map_or(0, |tool| tool.takes_us);
                let (call, tool) = (request.call.to_string(), request.tool.to_string());
                let ends = self.stage.now().after(takes_us);
                self.working.push(Working { ends, run: request.run, call, tool });
            } else if let Effect::CancelTool(cancelled) = effect {
                self.working.retain(|working| *working.call != *cancelled.call);
            } else if let Effect::ToolAnswered(answer) = effect {
                self.answers.insert(answer.call.to_string(), *answer);
            }
        }
        self.take_frames(usize::MAX);
    }

    fn take_frames(&mut self, up_to: usize) {
        let frames = self.stage.sent();
        let up_to = up_to.min(frames.len());
        if self.taken < up_to {
            self.happened
                .extend(frames[self.taken..up_to].iter().map(|sent| Happened::Frame(sent.message.clone())));
            self.taken = up_to;
        }
    }
}
