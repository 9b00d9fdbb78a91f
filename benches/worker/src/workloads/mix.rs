//! A mix of ten kinds of messages over a socket that takes everything at once, and custom handlers beside it.

use std::time::Instant as Clock;

use router::{
    AgentEvent, Config, ConnId, Effect, Effects, Handler, HandlerFault, Incoming, Input, Instant, Kind,
    KindSet, Replies, Router, RunRef,
};

use super::{EPOCH, connect};

/// Messages of one round: as many of each kind.
pub const MIX_MESSAGES: usize = 1_000;

/// The kinds, in the order in which each user sends them.
pub const KINDS: [&str; 10] = [
    "user_message",
    "ping",
    "chat_message",
    "typing",
    "heartbeat",
    "agent_update",
    "thread_update",
    "agent_thinking",
    "nobody_knows_this",
    "jsonrpc",
];

/// Enough that no limit is met: each has ten runs open at the end of a round.
const USERS: usize = 20;
/// Between two rounds, so that every user may speak again.
const ROUND_US: u64 = 10_000_000;

/// A custom handler that takes everything of its types and says nothing.
#[derive(Debug)]
pub struct Silent {
    accepts: KindSet,
}

impl Silent {
    /// A handler of these types.
    pub const fn new(accepts: KindSet) -> Self {
        Self { accepts }
    }

    /// A handler of types that are not in the mix.
    pub const fn elsewhere() -> Self {
        Self::new(KindSet::of(&[Kind::RoomMessage, Kind::DirectMessage, Kind::StopAgent]))
    }
}

impl Handler for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    fn accepts(&self) -> KindSet {
        self.accepts
    }

    fn handle(&mut self, _: &Incoming<'_>, _: &mut Replies<'_>) -> Result<(), HandlerFault> {
        Ok(())
    }
}

/// Users who send the mix, one connection each.
#[derive(Debug)]
pub struct Mix {
    router: Router,
    effects: Effects,
    now: Instant,
    conns: Vec<ConnId>,
    batch: Vec<(ConnId, String)>,
    runs: Vec<(ConnId, RunRef)>,
    sent: u64,
}

impl Mix {
    /// Users under the default limits, and as many custom handlers of other types.
    pub fn new(handlers: u32) -> Self {
        let mut router = Router::new(Config::default()).expect("the defaults are valid");
        let mut effects = Effects::new();
        for _ in 0..handlers {
            router.add_handler(Box::new(Silent::elsewhere())).expect("there is room");
        }
        let conns = (0..USERS as u64)
            .map(|user| {
                let conn = connect(&mut router, &mut effects, user, &format!("user-{user:07}"));
                router.handle(EPOCH, Input::Written { conn, frames: 1 }, &mut effects);
                conn
            })
            .collect();
        let runs = Vec::with_capacity(MIX_MESSAGES);
        Self { router, effects, now: EPOCH, conns, batch: Vec::new(), runs, sent: 0 }
    }

    /// Writes the next messages: each user in turn, and each in the order of [`KINDS`].
    pub fn prepare(&mut self) {
        self.now = self.now.after(ROUND_US);
        self.batch.clear();
        for n in 0..MIX_MESSAGES {
            let text = text(KINDS[n / USERS % KINDS.len()], self.sent);
            self.batch.push((self.conns[n % USERS], text));
            self.sent += 1;
        }
    }

    /// The timed part: every message, and the report that its answers are written. A function of its own, for
    /// profilers.
    #[inline(never)]
    pub fn route(&mut self) {
        for at in 0..self.batch.len() {
            self.one(at);
        }
    }

    /// The same, with a look at the clock around each message: adds each one's nanoseconds.
    pub fn route_each(&mut self, nanos: &mut Vec<u64>) {
        for at in 0..self.batch.len() {
            let begin = Clock::now();
            self.one(at);
            nanos.push(begin.elapsed().as_nanos() as u64);
        }
    }

    /// Ends the runs of the round, writes and confirms their frames. How many there were.
    pub fn settle(&mut self) -> usize {
        let runs = std::mem::take(&mut self.runs);
        for (conn, run) in &runs {
            self.effects.clear();
            let started = AgentEvent::Started { agent: "agent", task: "" };
            let completed = AgentEvent::Completed { response: "done", execution_time_ms: None };
            for event in [started, completed] {
                self.router.handle(self.now, Input::Agent { run: *run, event }, &mut self.effects);
            }
            self.router.handle(self.now, Input::Written { conn: *conn, frames: 2 }, &mut self.effects);
        }
        for conn in &self.conns {
            let text = r#"{"type":"confirmation","payload":{"cursor":4000000000}}"#;
            self.router.handle(self.now, Input::Text { conn: *conn, text }, &mut self.effects);
        }
        let count = runs.len();
        self.runs = runs;
        self.runs.clear();
        self.effects.clear();
        count
    }

    /// The router's accounts.
    pub fn router(&self) -> &Router {
        &self.router
    }

    #[inline]
    fn one(&mut self, at: usize) {
        let (conn, text) = &self.batch[at];
        self.effects.clear();
        self.router.handle(self.now, Input::Text { conn: *conn, text }, &mut self.effects);
        let mut frames = 0;
        for effect in self.effects.iter() {
            if let Effect::Send { .. } = effect {
                frames += 1;
            } else if let Effect::StartRun(request) = effect {
                self.runs.push((*conn, request.run));
            }
        }
        if frames > 0 {
            self.router.handle(self.now, Input::Written { conn: *conn, frames }, &mut self.effects);
        }
    }
}

/// A message of a kind of the mix.
fn text(kind: &str, number: u64) -> String {
    match kind {
        "user_message" | "chat_message" => format!(
            r#"{{"type":"{kind}","payload":{{"content":"what did the last month cost","thread_id":"t"}},"message_id":"m-{number}","timestamp":"2026-11-21T00:00:00.000000Z"}}"#
        ),
        "jsonrpc" => format!(r#"{{"jsonrpc":"2.0","method":"tools/list","params":{{}},"id":{number}}}"#),
        other => {
            format!(
                r#"{{"type":"{other}","payload":{{"thread_id":"t","note":"n-{number}","status":"busy"}}}}"#
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_ten_kinds_and_no_limit_is_met() {
        for handlers in [0, 50] {
            let mut mix = Mix::new(handlers);
            let mut nanos = Vec::new();
            for round in 0..20 {
                mix.prepare();
                if round % 2 == 0 {
                    mix.route();
                } else {
                    mix.route_each(&mut nanos);
                }
                assert_eq!(mix.settle(), MIX_MESSAGES / 5, "two of ten start a run");
            }
            assert_eq!(nanos.len(), 10 * MIX_MESSAGES);
            mix.router().verify().unwrap();
            let stats = mix.router().stats();
            let inbound = &stats.inbound;
            assert_eq!((inbound.rejected, inbound.handler_errors, stats.runs.open), (0, 0, 0));
            assert_eq!(inbound.unknown, 20 * MIX_MESSAGES as u64 / 10);
            // The unknown one and the one that nobody owns.
            assert_eq!(inbound.unhandled, 2 * inbound.unknown);
            let taken: u64 = mix.router().handler_stats().iter().map(|stats| stats.counts.total()).sum();
            let confirmations = 20 * USERS as u64;
            assert_eq!(taken, inbound.received - 2 * inbound.unknown);
            assert_eq!(inbound.received, 20 * MIX_MESSAGES as u64 + confirmations);
        }
    }
}
