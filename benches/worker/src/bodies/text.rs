//! Messages of clients.

use router::{AgentEvent, ConnId, Effect, Input, RunRef};

use super::{
    Body, Core, Tally,
    core::{KEPT_MAX, fill},
};
use crate::workloads::Message;

/// A message of a type that no handler knows.
pub(super) const UNKNOWN_TYPE: &str = r#"{"type":"warp_drive_status","payload":{"level":7,"note":"compare the cost of the last month with our forecast and show me the result","items":[1,2,3,{"deep":true}]},"thread_id":"thread-1","timestamp":"2026-11-21T00:00:00.000000Z"}"#;

/// A JSON-RPC call in the form in which its clients send it.
pub(super) const JSONRPC: &str = r#"{"jsonrpc":"2.0","id":"call-17","method":"tools/call","params":{"name":"cost_forecast","arguments":{"months":12,"currency":"EUR","detail":["storage","traffic","compute"]}}}"#;

/// Users of every benchmark here. More would not find their state in a cache after the other side had its turn, and what
/// a slot begins with would be measured instead of what it does.
const USERS: u32 = 200;

/// Microseconds between two batches. A user speaks often enough that no heartbeat is due.
const STEP_US: u64 = 10_000;

/// `user_message` to `StartRun`.
#[derive(Debug)]
pub(super) struct UserMessages {
    core: Core,
    conns: Vec<ConnId>,
    batch: Vec<(ConnId, String)>,
    message: Message,
    sent: u64,
}

impl UserMessages {
    pub(super) fn corpus() -> String {
        Message::new().patched(0, 0).to_owned()
    }

    pub(super) fn new() -> Self {
        let mut core = Core::new(Core::config());
        let conns = (0..USERS).map(|user| core.connect(user)).collect();
        let mut body = Self { core, conns, batch: Vec::new(), message: Message::new(), sent: 0 };
        fill(&mut body, 2 * (USERS * KEPT_MAX) as usize);
        body
    }
}

impl Body for UserMessages {
    fn batch(&self) -> usize {
        16
    }

    fn prepare(&mut self, units: usize) {
        self.batch.resize_with(units, || (self.conns[0], String::new()));
        for (conn, text) in &mut self.batch {
            let user = scattered(self.sent);
            self.sent += 1;
            *conn = self.conns[user];
            self.message.patched(user as u32, self.sent).clone_into(text);
        }
        self.core.advance(STEP_US);
    }

    fn step(&mut self, unit: usize) {
        let (conn, text) = &self.batch[unit];
        self.core.give(Input::Text { conn: *conn, text });
    }

    fn settle(&mut self, units: usize, tally: &mut Tally) {
        let runs: Vec<RunRef> = self
            .core
            .effects
            .iter()
            .filter_map(
                |effect| if let Effect::StartRun(request) = effect { Some(request.run) } else { None },
            )
            .collect();
        self.core.account(units, tally);
        assert_eq!(runs.len(), units, "every message starts a run");
        for (run, (conn, _)) in runs.iter().zip(&self.batch) {
            let started = AgentEvent::Started { agent: "agent", task: "" };
            let completed = AgentEvent::Completed { response: "done", execution_time_ms: None };
            for event in [started, completed] {
                self.core.give(Input::Agent { run: *run, event });
            }
            self.core.give(Input::Written { conn: *conn, frames: 128 });
        }
        assert_eq!(self.core.router.stats().runs.open, 0, "every run has ended");
        self.core.forget();
    }
}

/// The same message again and again, answered with a frame.
#[derive(Debug)]
pub(super) struct Answered {
    core: Core,
    conns: Vec<ConnId>,
    text: &'static str,
    batch: Vec<ConnId>,
    sent: u64,
}

impl Answered {
    pub(super) fn new(text: &'static str) -> Self {
        let mut core = Core::new(Core::config());
        let conns = (0..USERS).map(|user| core.connect(user)).collect();
        Self { core, conns, text, batch: Vec::new(), sent: 0 }
    }
}

impl Body for Answered {
    fn batch(&self) -> usize {
        64
    }

    fn prepare(&mut self, units: usize) {
        self.batch.clear();
        for _ in 0..units {
            self.batch.push(self.conns[scattered(self.sent)]);
            self.sent += 1;
        }
        self.core.advance(STEP_US);
    }

    fn step(&mut self, unit: usize) {
        self.core.give(Input::Text { conn: self.batch[unit], text: self.text });
    }

    fn settle(&mut self, units: usize, tally: &mut Tally) {
        let sends = tally.sends;
        self.core.account(units, tally);
        assert!(tally.sends - sends >= units as u64, "every message is answered");
        for conn in &self.batch {
            self.core.give(Input::Written { conn: *conn, frames: 128 });
        }
        self.core.forget();
    }
}

/// Users in an order that visits all of them before it repeats, far apart in memory.
fn scattered(number: u64) -> usize {
    // 117 and 200 have no common divisor.
    (number * 117 % u64::from(USERS)) as usize
}
