//! Fingerprints: equal ones mean equal behaviour, and what differs in behaviour differs in its fingerprint.

use std::collections::{BTreeMap, BTreeSet};

use router::{
    AgentEvent, Config, ConnId, Connect, Context, Deliver, Effect, Effects, Input, Instant, ReceiptId,
    Router, RunRef, Target, Ticket, ToolStep, message::parse_timestamp,
};
use serde_json::{Value, value::RawValue};

use crate::harness::{World, json};

const USERS: [&str; 2] = ["ada", "eve"];

/// What can happen next, by names that two routers share: users, and the place of a connection or run among the user's.
#[derive(Clone, Copy, Debug)]
enum Step {
    Connect(usize, Option<u64>),
    Close(usize, usize),
    Written(usize, usize, u32),
    Text(usize, usize, &'static str),
    Agent(usize, usize, u8),
    Call(usize, usize),
    Done(usize, usize),
    Wait(u64),
    Flush,
}

const TEXTS: [&str; 19] = [
    r#"{"type":"user_message","message_id":"m0","thread_id":"t","payload":{"content":"hello"}}"#,
    r#"{"type":"user_message","message_id":"m1","payload":{"content":"hello"}}"#,
    r#"{"type":"user_message","message_id":"m0","thread_id":"t","payload":{"content":"hello"}}"#,
    r#"{"type":"chat","payload":{"content":"no id"}}"#,
    r#"{"type":"stop_agent","payload":{}}"#,
    r#"{"type":"stop_agent","thread_id":"t","payload":{}}"#,
    r#"{"type":"ping","payload":{}}"#,
    r#"{"type":"pong","payload":{}}"#,
    r#"{"type":"resume","payload":{"cursor":0}}"#,
    r#"{"type":"resume","payload":{"cursor":2}}"#,
    r#"{"type":"confirmation","payload":{"cursor":1}}"#,
    r#"{"type":"confirmation","payload":{"cursor":4}}"#,
    r#"{"type":"subscribe","payload":{"topic":"thread:t"}}"#,
    r#"{"type":"unsubscribe","payload":{"topic":"thread:t"}}"#,
    r#"{"type":"subscribe_quality_alerts","payload":{"action":"subscribe"}}"#,
    r#"{"type":"broadcast","payload":{"text":"to my other tabs"}}"#,
    r#"{"type":"user_message","user_id":"mallory","payload":{"content":"x"}}"#,
    r#"{"type":"get_quality_metrics","payload":{"agent_name":"a"}}"#,
    r#"{"type":"#,
];

/// A number without a pattern; the same ones in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % n
    }

    fn step(&mut self) -> Step {
        let user = self.below(2);
        let nth = self.below(2);
        match self.below(20) {
            0..=2 => Step::Connect(user, [None, None, Some(0), Some(2)][self.below(4)]),
            3 => Step::Close(user, nth),
            4..=6 => Step::Written(user, nth, 1 + self.below(3) as u32),
            7..=11 => Step::Text(user, nth, TEXTS[self.below(TEXTS.len())]),
            12..=15 => Step::Agent(user, nth, self.below(6) as u8),
            16 => Step::Call(user, nth),
            17 => Step::Done(user, nth),
            18 => Step::Wait([1, 100_000, 5_000_000, 10_000_000][self.below(4)]),
            _ => Step::Flush,
        }
    }
}

/// A router, and what its shell knows.
struct Rig {
    router: Router,
    now: Instant,
    conns: [Vec<ConnId>; 2],
    runs: [Vec<RunRef>; 2],
    /// Ids of the router's, by the order in which they were met.
    names: BTreeMap<String, usize>,
}

impl Rig {
    fn new(config: &Config, now: Instant) -> Self {
        let mut router = Router::new(config.clone()).expect("valid limits");
        router.add_tool("look", "");
        Self { router, now, conns: Default::default(), runs: Default::default(), names: BTreeMap::new() }
    }

    /// The same once more; names are given anew.
    fn fork(&self) -> Self {
        Self {
            router: self.router.fork().expect("no custom handler"),
            now: self.now,
            conns: self.conns.clone(),
            runs: self.runs.clone(),
            names: BTreeMap::new(),
        }
    }

    /// Makes a step; answers what the router did, connection by connection, with names in place of ids and times.
    fn step(&mut self, step: Step) -> Vec<String> {
        let conn = |user: usize, nth: usize| self.conns[user].get(nth).copied();
        let run = |user: usize, nth: usize| self.runs[user].get(nth).copied();
        let value = json(r#"{"q":1}"#);
        let input = match step {
            Step::Connect(user, resume) => {
                Some(Input::Connect(Connect { resume, ..Connect::new(Ticket(user as u64), USERS[user]) }))
            }
            Step::Close(user, nth) => conn(user, nth).map(|conn| Input::Closed { conn }),
            Step::Written(user, nth, frames) => conn(user, nth).map(|conn| Input::Written { conn, frames }),
            Step::Text(user, nth, text) => conn(user, nth).map(|conn| Input::Text { conn, text }),
            Step::Agent(user, nth, kind) => run(user, nth).map(|run| {
                let event = match kind {
                    0 | 1 => AgentEvent::Started { agent: "a", task: "look" },
                    2 => AgentEvent::Thinking { reasoning: "hm", step: None },
                    3 => AgentEvent::ToolExecuting { call: "own", tool: "search", parameters: &value },
                    4 => AgentEvent::Completed { response: "done", execution_time_ms: None },
                    _ => AgentEvent::Failed { code: "X", message: "no" },
                };
                Input::Agent { run, event }
            }),
            Step::Call(user, nth) => run(user, nth).map(|run| {
                let step = ToolStep::Call { call: "c", run_id: None, tool: "look", parameters: &value };
                Input::Tool { run, step }
            }),
            Step::Done(user, nth) => run(user, nth)
                .map(|run| Input::Tool { run, step: ToolStep::Done { call: "c", result: Ok(&value) } }),
            Step::Wait(micros) => {
                self.now = self.now.after(micros);
                Some(Input::Tick)
            }
            Step::Flush => Some(Input::Flush),
        };
        let Some(input) = input else { return Vec::new() };
        let mut out = Effects::new();
        self.router.handle(self.now, input, &mut out);
        let mut told: Vec<((usize, usize), String)> = Vec::new();
        for effect in out.iter() {
            let line = self.told(effect, &out);
            told.push(line);
        }
        if let Step::Close(user, nth) = step
            && nth < self.conns[user].len()
        {
            self.conns[user].remove(nth);
        }
        for runs in &mut self.runs {
            runs.retain(|run| self.router.context_of(*run).is_some());
        }
        // What goes to different connections or to different users' agents, nobody can compare.
        told.sort_by_key(|(to, _)| *to);
        told.into_iter().map(|((user, nth), line)| format!("{user}.{nth} {line}")).collect()
    }

    fn told(&mut self, effect: &Effect, out: &Effects) -> ((usize, usize), String) {
        let nobody = (9, 9);
        match effect {
            Effect::Accepted { ticket, conn } => {
                self.conns[ticket.0 as usize].push(*conn);
                (nobody, "accepted".to_owned())
            }
            Effect::Refused { frame, close, .. } => {
                (nobody, format!("refused {close:?} {}", self.shown(out.frame(*frame).as_str())))
            }
            Effect::Send { conn, frame } => (self.place(*conn), self.shown(out.frame(*frame).as_str())),
            Effect::Ping { conn } => (self.place(*conn), "ping".to_owned()),
            Effect::Close { conn, close } => (self.place(*conn), format!("close {close:?}")),
            Effect::StartRun(request) => {
                let user = USERS.iter().position(|user| **user == *request.user).expect("known");
                self.runs[user].push(request.run);
                let words = [&*request.thread_id, request.text(), &*request.payload, &request.request_id];
                let id = self.shown(&format!("\"{}\"", request.run_id()));
                let words = words.map(|word| self.shown(&Value::from(word).to_string()));
                ((user, 8), format!("run {id}: {words:?} within {}", request.deadline.since(self.now)))
            }
            Effect::Audit(audit) => {
                (self.place(audit.conn), format!("audit {} {}", audit.path, audit.suppressed))
            }
            Effect::RunTool(request) => {
                let line =
                    format!("tool {} {} {}", request.call, request.user, request.deadline.since(self.now));
                (self.agents(request.run), line)
            }
            Effect::ToolAnswered(answer) => {
                (self.agents(answer.run), format!("answer {} {:?}", answer.call, answer.outcome))
            }
            Effect::AskQuality(request) => {
                let user = USERS.iter().position(|user| **user == *request.user).expect("known");
                ((user, 8), format!("ask within {}", request.deadline.since(self.now)))
            }
            Effect::CancelRun { run, reason } => (self.agents(*run), format!("cancel {reason:?}")),
            Effect::CancelTool(tool) => (self.agents(tool.run), format!("cancel tool {}", tool.call)),
            Effect::AgentRefused(refused) => (self.agents(refused.run), format!("refused {:?}", refused.why)),
            other => panic!("no step leads to {other:?}"),
        }
    }

    /// Where the agents of a run's owner are told something.
    fn agents(&self, run: RunRef) -> (usize, usize) {
        (usize::from(self.runs[1].contains(&run)), 8)
    }

    fn place(&self, conn: ConnId) -> (usize, usize) {
        let place = |user: usize| Some((user, self.conns[user].iter().position(|known| *known == conn)?));
        place(0).or_else(|| place(1)).expect("the router writes to connections that are there")
    }

    /// A frame with names in place of ids, and distances in place of times.
    fn shown(&mut self, text: &str) -> String {
        let mut value: Value = serde_json::from_str(text).expect("JSON");
        self.rename(&mut value, false);
        value.to_string()
    }

    fn rename(&mut self, value: &mut Value, time: bool) {
        match value {
            Value::Object(members) => {
                members.iter_mut().for_each(|(key, value)| self.rename(value, key == "timestamp"));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.rename(item, false)),
            _ if time => {
                let raw = RawValue::from_string(value.to_string()).expect("JSON");
                if let Some(at) = parse_timestamp((&*raw).into()) {
                    *value = Value::from(self.now.since(at));
                }
            }
            Value::String(id) if id.contains("-n0-") => {
                let known = self.names.len();
                let name = *self.names.entry(id.clone()).or_insert(known);
                *id = format!("id {name}");
            }
            _ => {}
        }
    }
}

fn config() -> Config {
    Config {
        socket_window_frames: 2,
        outbound_frames_max: 3,
        agent_deadline_us: 15_000_000,
        tool_deadline_us: 10_000_000,
        recovery_ttl_us: 12_000_000,
        dedupe_ttl_us: 20_000_000,
        recovery_frames_max: 5,
        rate_burst: 4,
        rate_per_s: 1,
        ..Config::default()
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_micros(1_700_000_000_000_000 + seconds * 1_000_000)
}

/// Random walks, from routers that begin at different times and with different numbers behind them: whenever two meet
/// in a fingerprint, they are made to go the same way for a while and must do the same.
#[test]
fn equal_fingerprints_mean_equal_behaviour() {
    for set_up in [0, 3_000_000] {
        let config = Config { ready_after_us: set_up, ..config() };
        let mut met: BTreeMap<u128, (u64, Rig)> = BTreeMap::new();
        let (mut pairs, mut spoken) = (0, 0);
        for walk in 0..600_u64 {
            let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (walk + 1) << 20);
            let mut rig = Rig::new(&config, at(walk * 977));
            if walk % 3 == 1 {
                // Numbers and slots that nobody has any more.
                rig.step(Step::Connect(1, None));
                rig.step(Step::Connect(0, None));
                rig.step(Step::Close(1, 0));
                rig.step(Step::Close(0, 0));
                rig.step(Step::Wait(100_000_000));
            }
            for _ in 0..24 {
                let _ = rig.step(dice.step());
                let fingerprint = rig.router.fingerprint();
                match met.get(&fingerprint) {
                    Some((other, twin)) if *other != walk => {
                        pairs += 1;
                        spoken += compared(&rig, twin, dice.below(1 << 30) as u64 + 1);
                    }
                    Some(_) => {}
                    None => {
                        met.insert(fingerprint, (walk, rig.fork()));
                    }
                }
            }
        }
        assert!(pairs > 1_000 && spoken > 2_000, "{pairs} pairs that said {spoken} things are no test");
        assert!(met.len() > 3_000, "{} states", met.len());
    }
}

/// Leads two routers the same way; answers how much they had to say.
fn compared(one: &Rig, other: &Rig, seed: u64) -> usize {
    let (mut one, mut other) = (one.fork(), other.fork());
    let mut dice = Dice(seed);
    let mut said = 0;
    for n in 0..12 {
        let step = dice.step();
        let (first, second) = (one.step(step), other.step(step));
        assert_eq!(first, second, "step {n}, {step:?}");
        assert_eq!(one.router.fingerprint(), other.router.fingerprint(), "after step {n}, {step:?}");
        said += first.len();
    }
    said
}

#[test]
fn a_fork_goes_its_own_way_and_leaves_the_first_as_it_was() {
    let mut rig = Rig::new(&config(), at(0));
    let mut dice = Dice(7);
    for _ in 0..200 {
        rig.step(dice.step());
        let before = rig.router.fingerprint();
        let mut fork = rig.fork();
        assert_eq!(fork.router.fingerprint(), before);
        fork.router.verify().expect("accounts");
        for _ in 0..3 {
            fork.step(dice.step());
        }
        assert_eq!(rig.router.fingerprint(), before);
    }
}

#[test]
fn what_users_do_in_any_order_leads_to_one_fingerprint() {
    let script = |user: usize| {
        [
            Step::Connect(user, None),
            Step::Text(user, 0, TEXTS[0]),
            Step::Agent(user, 0, 0),
            Step::Connect(user, Some(0)),
            Step::Agent(user, 0, 2),
            Step::Written(user, 0, 2),
        ]
    };
    let (ada, eve) = (script(0), script(1));
    let mut seen = BTreeSet::new();
    for order in 0_u32..64 {
        let mut rig = Rig::new(&config(), at(u64::from(order)));
        let (mut left, mut right) = (ada.iter(), eve.iter());
        for n in 0..12 {
            let next = if order >> (n % 6) & 1 == 0 {
                left.next().or_else(|| right.next())
            } else {
                right.next().or_else(|| left.next())
            };
            rig.step(*next.expect("twelve steps"));
        }
        seen.insert(rig.router.fingerprint());
    }
    assert_eq!(seen.len(), 1);
}

#[test]
fn a_router_that_has_forgotten_everybody_is_as_new() {
    let config = Config { quality_monitor: false, ..config() };
    let mut rig = Rig::new(&config, at(0));
    let new = rig.router.fingerprint();
    let mut dice = Dice(11);
    for _ in 0..200 {
        rig.step(dice.step());
    }
    assert_ne!(rig.router.fingerprint(), new);
    for user in [0, 1] {
        while !rig.conns[user].is_empty() {
            rig.step(Step::Close(user, 0));
        }
    }
    for _ in 0..100 {
        rig.step(Step::Wait(10_000_000));
    }
    // A day until the last tool call is out of every window.
    rig.step(Step::Wait(86_400_000_000));
    assert_eq!(rig.router.fingerprint(), new);
}

/// One thing more or less than in the state before: what a client, an agent or the host could find out.
#[test]
fn what_makes_a_difference_later_makes_one_in_the_fingerprint() {
    type Twist = fn(&mut World, ConnId, &router::RunRequest);
    let twists: [(&str, Twist); 27] = [
        ("nothing", |_, _, _| {}),
        ("another tab", |world, _, _| _ = world.connect("ada")),
        ("another user", |world, _, _| _ = world.connect("eve")),
        ("a tab that comes back", |world, _, _| {
            world.connect_with(Connect { resume: Some(0), ..Connect::new(Ticket(0), "ada") });
        }),
        ("a tab with a thread", |world, _, _| {
            world.connect_with(Connect { thread: Some("t"), ..Connect::new(Ticket(0), "ada") });
        }),
        ("a tab with another thread", |world, _, _| {
            world.connect_with(Connect { thread: Some("u"), ..Connect::new(Ticket(0), "ada") });
        }),
        ("a tab with a name", |world, _, _| {
            world.connect_with(Connect { name: Some("n"), ..Connect::new(Ticket(0), "ada") });
        }),
        ("a token that expires", |world, _, _| {
            let expires_at = Some(world.now.after(60_000_000));
            world.connect_with(Connect { expires_at, ..Connect::new(Ticket(0), "ada") });
        }),
        ("a tab gone", |world, conn, _| world.input(Input::Closed { conn })),
        ("a frame that is not written", |world, conn, _| {
            world.stalled.push(conn);
            world.say(conn, r#"{"type":"ping","payload":{}}"#);
        }),
        ("a message", |world, conn, _| _ = world.chat(conn, "m2")),
        ("the same with another id", |world, conn, _| _ = world.chat(conn, "m3")),
        ("a run that thinks", |world, _, run| {
            world.agent(run, AgentEvent::Thinking { reasoning: "hm", step: None });
        }),
        ("a run that thinks otherwise", |world, _, run| {
            world.agent(run, AgentEvent::Thinking { reasoning: "ah", step: None });
        }),
        ("a run at its end", |world, _, run| {
            world.agent(run, AgentEvent::Completed { response: "done", execution_time_ms: None });
        }),
        ("a tool of the agent's", |world, _, run| {
            let parameters = json("{}");
            world.agent(run, AgentEvent::ToolExecuting { call: "c", tool: "s", parameters: &parameters });
        }),
        ("the same called otherwise", |world, _, run| {
            let parameters = json("{}");
            world.agent(run, AgentEvent::ToolExecuting { call: "d", tool: "s", parameters: &parameters });
        }),
        ("a cursor confirmed", |world, conn, _| {
            world.say(conn, r#"{"type":"confirmation","payload":{"cursor":1}}"#);
        }),
        ("a frame refused", |world, conn, _| world.say(conn, "{")),
        ("another user named", |world, conn, _| {
            world.say(conn, r#"{"type":"ping","user_id":"eve","payload":{}}"#);
        }),
        ("a ping: one message less of the rate", |world, conn, _| {
            world.say(conn, r#"{"type":"ping","payload":{}}"#);
        }),
        ("a batch that waits", |world, conn, _| {
            world.say(conn, r#"{"type":"broadcast","payload":{"n":1}}"#);
        }),
        ("a batch with other words", |world, conn, _| {
            world.say(conn, r#"{"type":"broadcast","payload":{"n":2}}"#);
        }),
        ("a topic", |world, _, _| assert!(world.router.subscribe_user("ada", "news"))),
        ("an event of the host's with an open receipt", |world, conn, _| {
            world.stalled.push(conn);
            let event = json(r#"{"type":"note"}"#);
            let (receipt, target) = (Some(ReceiptId(1)), Target::User("ada"));
            world.input(Input::Deliver(Deliver {
                receipt,
                target,
                context: Context::default(),
                event: &event,
            }));
        }),
        ("a second later", |world, _, _| world.wait(1_000_000)),
        ("a drain", |world, _, _| world.input(Input::Drain)),
    ];
    let mut seen: BTreeMap<u128, &str> = BTreeMap::new();
    for (what, twist) in twists {
        let mut world = World::new(Config::default());
        let conn = world.connect("ada");
        let run = world.chat(conn, "m1");
        world.agent(&run, AgentEvent::Started { agent: "a", task: "look" });
        twist(&mut world, conn, &run);
        if let Some(other) = seen.insert(world.router.fingerprint(), what) {
            panic!("`{what}` and `{other}` have one fingerprint");
        }
    }
}

#[test]
fn while_a_custom_handler_is_registered_there_is_no_fork() {
    #[derive(Debug)]
    struct Deaf;
    impl router::Handler for Deaf {
        fn name(&self) -> &str {
            "deaf"
        }

        fn accepts(&self) -> router::KindSet {
            router::KindSet::ALL
        }

        fn wants(&self, _: &router::Incoming<'_>) -> Result<bool, router::HandlerFault> {
            Ok(false)
        }

        fn handle(
            &mut self,
            _: &router::Incoming<'_>,
            _: &mut router::Replies<'_>,
        ) -> Result<(), router::HandlerFault> {
            Ok(())
        }
    }
    let mut router = Router::new(Config::default()).expect("valid");
    assert!(router.fork().is_some_and(|mut fork| fork.take_authority().is_none()));
    router.add_handler(Box::new(Deaf)).expect("room");
    assert!(router.fork().is_none());
}
