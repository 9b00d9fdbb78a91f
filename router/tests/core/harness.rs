//! A router, a clock and the frames each connection has received.

use std::collections::BTreeMap;

use router::{
    AgentEvent, Close, Config, ConnId, Connect, Effect, Effects, Input, Instant, Router, RunRequest, Ticket,
    ToolStatus,
};
use serde_json::{Value, value::RawValue};

/// One world under test. Sockets write at once unless they are stalled.
pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) now: Instant,
    pub(crate) out: Effects,
    pub(crate) received: BTreeMap<ConnId, Vec<Value>>,
    pub(crate) closed: BTreeMap<ConnId, Close>,
    pub(crate) runs: Vec<RunRequest>,
    pub(crate) refused: Vec<Value>,
    pub(crate) other: Vec<Effect>,
    pub(crate) stalled: Vec<ConnId>,
    /// No socket ever writes by itself.
    pub(crate) by_hand: bool,
    tickets: u64,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            router: Router::new(config).expect("valid limits"),
            now: Instant::from_micros(1_700_000_000_000_000),
            out: Effects::new(),
            received: BTreeMap::new(),
            closed: BTreeMap::new(),
            runs: Vec::new(),
            refused: Vec::new(),
            other: Vec::new(),
            stalled: Vec::new(),
            by_hand: false,
            tickets: 0,
        }
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        self.router.handle(self.now, input, &mut out);
        self.router.verify().expect("accounts");
        let mut written: BTreeMap<ConnId, u32> = BTreeMap::new();
        for effect in out.iter() {
            match effect {
                Effect::Send { conn, frame } => {
                    let value = serde_json::from_str(out.frame(*frame).as_str()).expect("valid JSON");
                    self.received.entry(*conn).or_default().push(value);
                    *written.entry(*conn).or_default() += 1;
                }
                Effect::Close { conn, close } => {
                    self.closed.insert(*conn, *close);
                }
                Effect::StartRun(request) => self.runs.push((**request).clone()),
                Effect::Refused { frame, .. } => {
                    self.refused.push(serde_json::from_str(out.frame(*frame).as_str()).expect("valid JSON"));
                }
                other => self.other.push(other.clone()),
            }
        }
        self.out = out;
        for (conn, frames) in written {
            if !self.by_hand && !self.stalled.contains(&conn) {
                self.input(Input::Written { conn, frames });
            }
        }
    }

    pub(crate) fn connect(&mut self, user: &str) -> ConnId {
        self.connect_with(Connect::new(Ticket(0), user)).expect("accepted")
    }

    pub(crate) fn connect_with(&mut self, connect: Connect<'_>) -> Option<ConnId> {
        self.tickets += 1;
        self.other.clear();
        self.input(Input::Connect(Connect { ticket: Ticket(self.tickets), ..connect }));
        self.other.iter().find_map(|effect| match effect {
            Effect::Accepted { conn, .. } => Some(*conn),
            _ => None,
        })
    }

    pub(crate) fn say(&mut self, conn: ConnId, text: &str) {
        self.input(Input::Text { conn, text });
    }

    /// Sends a chat message and answers the run it started.
    pub(crate) fn chat(&mut self, conn: ConnId, id: &str) -> RunRequest {
        let text =
            format!(r#"{{"type":"user_message","message_id":"{id}","payload":{{"content":"hello"}}}}"#);
        self.say(conn, &text);
        self.runs.last().cloned().expect("a run")
    }

    pub(crate) fn agent(&mut self, request: &RunRequest, event: AgentEvent<'_>) {
        self.input(Input::Agent { run: request.run, event });
    }

    /// All five events, in order.
    pub(crate) fn play(&mut self, request: &RunRequest) {
        let value = json(r#"{"q":1}"#);
        self.agent(request, AgentEvent::Started { agent: "triage", task: "look" });
        self.agent(request, AgentEvent::Thinking { reasoning: "hm", step: Some(1) });
        self.agent(request, AgentEvent::ToolExecuting { call: "t1", tool: "search", parameters: &value });
        self.agent(
            request,
            AgentEvent::ToolCompleted {
                call: "t1",
                status: ToolStatus::Completed,
                results: &value,
                duration_ms: 5,
            },
        );
        self.agent(request, AgentEvent::Completed { response: "done", execution_time_ms: Some(9) });
    }

    pub(crate) fn wait(&mut self, micros: u64) {
        let until = self.now.after(micros);
        while let Some((at, _)) = self.router.next_deadline().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            self.input(Input::Tick);
        }
        self.now = until;
        self.input(Input::Tick);
    }

    pub(crate) fn frames(&self, conn: ConnId) -> &[Value] {
        self.received.get(&conn).map_or(&[], Vec::as_slice)
    }

    /// Types of what a connection received, the welcome left out.
    pub(crate) fn types(&self, conn: ConnId) -> Vec<&str> {
        self.frames(conn)
            .iter()
            .map(|f| f["type"].as_str().expect("type"))
            .filter(|t| *t != "connection_established")
            .collect()
    }

    pub(crate) fn last(&self, conn: ConnId) -> &Value {
        self.frames(conn).last().expect("a frame")
    }
}

pub(crate) fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("JSON")
}

pub(crate) const FIVE: [&str; 5] =
    ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"];
