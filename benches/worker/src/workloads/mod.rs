//! Workloads that criterion targets, figures and the gate share. Everything is built outside the timed part, and
//! what a timed part leaves behind is put back outside of it too.

mod mix;
mod queue;

use std::collections::VecDeque;

use router::{
    AgentEvent, Authority, Config, ConnId, Connect, Deliver, Effect, Effects, Input, Instant, Router, RunRef,
    Target, Ticket,
};
use serde::Deserialize;
use serde_json::value::RawValue;

pub use self::{
    mix::{KINDS, MIX_MESSAGES, Mix, Silent},
    queue::{Passed, Passing, QUEUED_BYTES},
};

/// Length of the message that is routed, bytes.
pub const MESSAGE_BYTES: usize = 300;

/// Start of every workload on the router's clock.
const EPOCH: Instant = Instant::from_micros(1_700_000_000_000_000);

/// What the same bytes are parsed into for comparison: the envelope's keys borrowed, the payload passed through.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the members of the envelope, as docs/wire.md has them")]
pub struct PlainEnvelope<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<&'a str>,
    #[serde(borrow)]
    pub message_id: Option<&'a str>,
    #[serde(borrow)]
    pub thread_id: Option<&'a str>,
    #[serde(borrow)]
    pub timestamp: Option<&'a str>,
    #[serde(borrow)]
    pub user_id: Option<&'a str>,
    #[serde(borrow)]
    pub run_id: Option<&'a str>,
    #[serde(borrow)]
    pub payload: &'a RawValue,
}

/// One `user_message` of [`MESSAGE_BYTES`] whose user and message id are patched in place.
#[derive(Clone, Debug)]
pub struct Message {
    text: String,
    digits: [usize; 3],
}

impl Message {
    /// The message of user 0 with id 0.
    pub fn new() -> Self {
        let with = |content: &str| {
            format!(
                r#"{{"type":"user_message","payload":{{"content":"{content}","language":"en","attachments":[],"options":{{"stream":true,"depth":2}}}},"thread_id":"thread-0000000","message_id":"m-0000000000","timestamp":"2026-11-21T00:00:00.000000Z","user_id":"user-0000000"}}"#
            )
        };
        let words = "compare the cost of the last month with our forecast and show me the result";
        let text = with(&words[..MESSAGE_BYTES - with("").len()]);
        let after = |mark: &str| text.find(mark).map_or(0, |at| at + mark.len());
        let digits = [after("\"thread-"), after("\"m-"), after("\"user-")];
        Self { text, digits }
    }

    /// The message of a user, with an id of its own; the length stays the same.
    pub fn patched(&mut self, user: u32, number: u64) -> &str {
        let (user, number) = (format!("{user:07}"), format!("{number:010}"));
        for (at, digits) in self.digits.into_iter().zip([&user, &number, &user]) {
            self.text.replace_range(at..at + digits.len(), digits);
        }
        &self.text
    }
}

impl Default for Message {
    fn default() -> Self {
        Self::new()
    }
}

/// Users with one connection each, who send messages that start runs.
#[derive(Debug)]
pub struct Chat {
    router: Router,
    effects: Effects,
    now: Instant,
    step_us: u64,
    conns: Vec<ConnId>,
    sent: u64,
    users_at: u64,
    batch: Vec<(ConnId, String)>,
}

impl Chat {
    /// `users` connected users, under the default limits. Every batch moves the clock by `step_us`.
    pub fn new(users: u32, step_us: u64) -> Self {
        let mut router = Router::new(Config::default()).expect("the defaults are valid");
        let mut effects = Effects::new();
        let conns = (0..users)
            .map(|user| {
                let conn = connect(&mut router, &mut effects, u64::from(user), &format!("user-{user:07}"));
                router.handle(EPOCH, Input::Written { conn, frames: 1 }, &mut effects);
                conn
            })
            .collect();
        Self { router, effects, now: EPOCH, step_us, conns, sent: 0, users_at: 0, batch: Vec::new() }
    }

    /// Lets every user say something once, so that what a user's first message allocates is there.
    pub fn warm_up(&mut self) {
        let mut message = Message::new();
        for user in 0..self.conns.len() {
            self.sent += 1;
            self.batch.clear();
            self.batch.push((self.conns[user], message.patched(user as u32, self.sent).to_owned()));
            self.route();
            self.settle();
        }
    }

    /// Writes the next batch of messages, of users in a scattered order.
    pub fn prepare(&mut self, messages: usize) {
        let mut message = Message::new();
        self.batch.clear();
        for _ in 0..messages {
            let user = self.next_user();
            self.sent += 1;
            let text = message.patched(user as u32, self.sent).to_owned();
            self.batch.push((self.conns[user], text));
        }
        self.now = self.now.after(self.step_us);
        self.effects.clear();
    }

    /// The batch that was prepared, as texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.batch.iter().map(|(_, text)| text.as_str())
    }

    /// The timed part: every message of the batch to its `StartRun`. A function of its own, for profilers.
    #[inline(never)]
    pub fn route(&mut self) {
        for (conn, text) in &self.batch {
            self.router.handle(self.now, Input::Text { conn: *conn, text }, &mut self.effects);
        }
    }

    /// Ends the runs of the batch, writes and confirms their frames. How many there were.
    pub fn settle(&mut self) -> usize {
        let runs: Vec<RunRef> = self
            .effects
            .iter()
            .filter_map(
                |effect| if let Effect::StartRun(request) = effect { Some(request.run) } else { None },
            )
            .collect();
        for (run, (conn, _)) in runs.iter().zip(&self.batch) {
            self.effects.clear();
            let started = AgentEvent::Started { agent: "agent", task: "" };
            let completed = AgentEvent::Completed { response: "done", execution_time_ms: None };
            for event in [started, completed] {
                self.router.handle(self.now, Input::Agent { run: *run, event }, &mut self.effects);
            }
            self.router.handle(self.now, Input::Written { conn: *conn, frames: 2 }, &mut self.effects);
            // Beyond any cursor: everything that was written is confirmed.
            let text = r#"{"type":"confirmation","payload":{"cursor":4000000000}}"#;
            self.router.handle(self.now, Input::Text { conn: *conn, text }, &mut self.effects);
        }
        self.effects.clear();
        runs.len()
    }

    /// The router's accounts.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// A stride coprime to the number of users visits all of them before it repeats, far apart in memory.
    fn next_user(&mut self) -> usize {
        let users = self.conns.len() as u64;
        self.users_at = self.users_at.wrapping_add(1);
        let scattered = (self.users_at ^ (self.users_at >> 7)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        (scattered % users) as usize
    }
}

/// What a fan-out goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// One broadcast to as many users, one connection each.
    Users,
    /// One run event to as many tabs of one user.
    Tabs,
}

/// One frame to many connections.
#[derive(Debug)]
pub struct FanOut {
    router: Router,
    effects: Effects,
    authority: Authority,
    conns: Vec<ConnId>,
    run: Option<RunRef>,
    data: Box<RawValue>,
}

impl FanOut {
    /// `recipients` connections, all of whose frames are written.
    pub fn new(audience: Audience, recipients: u32) -> Self {
        let config = Config {
            connections_per_user_max: if audience == Audience::Tabs { recipients } else { 8 },
            // Room for rounds without a report of what was written.
            socket_window_frames: 128,
            ..Config::default()
        };
        let mut router = Router::new(config).expect("the limits are valid");
        let mut effects = Effects::new();
        let authority = router.take_authority().expect("it was not taken before");
        let conns: Vec<ConnId> = (0..recipients)
            .map(|index| {
                let user = if audience == Audience::Tabs { 0 } else { index };
                connect(&mut router, &mut effects, u64::from(index), &format!("user-{user:07}"))
            })
            .collect();
        let data = RawValue::from_string(
            r#"{"type":"system_notice","data":{"text":"the service restarts at noon"}}"#.to_owned(),
        );
        let data = data.expect("valid JSON");
        let mut fan_out = Self { router, effects, authority, conns, run: None, data };
        if audience == Audience::Tabs {
            fan_out.start_run();
        }
        fan_out.written();
        fan_out
    }

    /// The timed part: one frame to everybody. A function of its own, for profilers.
    #[inline(never)]
    pub fn send(&mut self) {
        let input = match self.run {
            Some(run) => {
                let event =
                    AgentEvent::Thinking { reasoning: "comparing the cost of the last month", step: None };
                Input::Agent { run, event }
            }
            None => Input::Deliver(Deliver::new(Target::All(&self.authority, None), &self.data)),
        };
        self.router.handle(EPOCH, input, &mut self.effects);
    }

    /// Forgets the effects; how many sends there were.
    pub fn clear(&mut self) -> usize {
        let sends = self.effects.iter().filter(|effect| matches!(effect, Effect::Send { .. })).count();
        self.effects.clear();
        sends
    }

    /// Reports everything as written.
    pub fn written(&mut self) {
        for conn in &self.conns {
            let input = Input::Written { conn: *conn, frames: 128 };
            self.router.handle(EPOCH, input, &mut self.effects);
        }
        self.effects.clear();
    }

    /// The connections, in the order in which they were opened.
    pub fn conns(&self) -> &[ConnId] {
        &self.conns
    }

    /// The router's accounts.
    pub fn router(&self) -> &Router {
        &self.router
    }

    fn start_run(&mut self) {
        let mut message = Message::new();
        let input = Input::Text { conn: self.conns[0], text: message.patched(0, 1) };
        self.router.handle(EPOCH, input, &mut self.effects);
        self.run = self.effects.iter().find_map(|effect| {
            let Effect::StartRun(request) = effect else { return None };
            Some(request.run)
        });
        if let Some(run) = self.run {
            let event = AgentEvent::Started { agent: "agent", task: "" };
            self.router.handle(EPOCH, Input::Agent { run, event }, &mut self.effects);
        }
        self.effects.clear();
    }
}

/// What a fan-out is compared with: one handle of eight bytes into a ring per connection, in the same order.
#[derive(Debug)]
pub struct Rings {
    rings: Vec<VecDeque<u64>>,
}

impl Rings {
    /// Rings that have room.
    pub fn new(recipients: u32) -> Self {
        Self { rings: (0..recipients).map(|_| VecDeque::with_capacity(64)).collect() }
    }

    /// The timed part.
    pub fn send(&mut self, handle: u64) {
        for ring in &mut self.rings {
            ring.push_back(handle);
        }
    }

    /// Empties the rings; how many handles there were.
    pub fn clear(&mut self) -> usize {
        let sends = self.rings.iter().map(VecDeque::len).sum();
        self.rings.iter_mut().for_each(VecDeque::clear);
        sends
    }
}

fn connect(router: &mut Router, effects: &mut Effects, ticket: u64, user: &str) -> ConnId {
    effects.clear();
    router.handle(EPOCH, Input::Connect(Connect::new(Ticket(ticket), user)), effects);
    let accepted = effects.iter().find_map(|effect| {
        let Effect::Accepted { conn, .. } = effect else { return None };
        Some(*conn)
    });
    accepted.expect("the limits allow the connection")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_starts_a_run_and_no_limit_is_met() {
        let mut chat = Chat::new(10, 100_000);
        for _ in 0..100 {
            chat.prepare(16);
            assert!(chat.texts().all(|text| text.len() == MESSAGE_BYTES));
            let parsed: PlainEnvelope<'_> = serde_json::from_str(chat.texts().next().unwrap()).unwrap();
            assert_eq!(parsed.kind, Some("user_message"));
            chat.route();
            assert_eq!(chat.settle(), 16);
        }
        chat.router().verify().unwrap();
        let stats = chat.router().stats();
        assert_eq!((stats.runs.completed, stats.runs.open, stats.inbound.rejected), (1_600, 0, 0));
        assert_eq!(stats.events.waiting, 0);
    }

    #[test]
    fn one_frame_reaches_everybody_and_is_encoded_once() {
        for audience in [Audience::Users, Audience::Tabs] {
            let mut fan_out = FanOut::new(audience, 50);
            let before = fan_out.router().stats().frames.encoded;
            for _ in 0..10 {
                fan_out.send();
                assert_eq!(fan_out.clear(), 50, "{audience:?}");
                fan_out.written();
            }
            assert_eq!(fan_out.router().stats().frames.encoded - before, 10, "{audience:?}");
        }
        let mut rings = Rings::new(50);
        rings.send(7);
        assert_eq!(rings.clear(), 50);
    }
}
