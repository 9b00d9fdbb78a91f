//! Laws over random inputs: never a panic, same inputs same effects, nobody reached or named but the owner, sums that
//! hold after every step.

use std::sync::Arc;

use proptest::prelude::*;
use router::{
    AgentEvent, Authority, Config, ConnId, Connect, Deliver, Effect, Effects, Input, Instant, Kind, Router,
    RunRef, Target, Ticket, ToolStatus, Violation,
    routes::{Draft, Envelope, Failure, Verdict},
};

use crate::harness::json;

/// The users. No name is part of another, nor of anything that the router writes of its own accord; a welcome shows
/// the first eight characters.
const USERS: [&str; 3] = ["ada-7f3e-alpha", "eve-9c1d-omega", "kim-b20a-sigma"];
/// How much of a name gives its owner away.
const TELLING: usize = 6;

/// Events of an agent below this are what it would say next; those from here on are any.
const NEXT: u8 = 20;

#[derive(Clone, Debug)]
enum Op {
    Connect { user: u8, resume: Option<u64>, thread: Option<u8>, expires: Option<u64> },
    AuthFailed,
    Text { conn: u8, text: String },
    Binary { conn: u8 },
    Pong { conn: u8 },
    Violation { conn: u8, kind: u8 },
    Written { conn: u8, frames: u32 },
    Closed { conn: u8 },
    Agent { run: u8, event: u8 },
    Broadcast,
    Deliver { user: u8, thread: u8 },
    Dispatch { user: u8, to: u8 },
    Wait { micros: u64 },
    Drain,
}

/// A type out of the whole table, or one that nobody knows.
fn name() -> impl Strategy<Value = String> {
    let spellings = Kind::spellings();
    prop_oneof![
        // Those that begin, end and catch up on things come more often than their share.
        4 => prop::sample::select(vec!["user_message", "chat", "start_agent", "stop_agent"]),
        2 => prop::sample::select(vec!["resume", "confirmation", "subscribe", "unsubscribe"]),
        6 => (0..spellings.len()).prop_map(move |n| spellings[n].0),
        1 => Just("no such type"),
    ]
    .prop_map(str::to_owned)
}

/// The members that handlers look at, with values of the right and of the wrong type; `%T` and `%R` become a thread
/// and a run that exist, no matter whose.
fn member() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "content",
        "message",
        "text",
        "user_request",
        "thread_id",
        "run_id",
        "run_ids",
        "seq",
        "cursor",
        "topic",
        "event_id",
        "room",
        "action",
        "method",
        "id",
        "items",
        "messages",
        "status",
        "metadata",
        "ünïcode",
    ]);
    let value = prop_oneof![
        4 => prop::sample::select(vec![
            "\"hello\"", "\"%T\"", "\"%R\"", "\"t1\"", "\"thread:t1\"", "\"thread:%T\"", "\"subscribe\"", "1", "3",
        ]),
        2 => prop::sample::select(vec![
            "null", "true", "-1", "1e3", "18446744073709551615", "1.5", "\"\"", "[]", "{}", "[{\"a\":[1,2,{}]}]",
            "\"\\ud83d\\ude00\"", "\"\\u0000\"", "{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"id\":1}",
        ]),
    ];
    (key, value).prop_map(|(key, value)| format!("\"{key}\":{value}"))
}

fn frame() -> impl Strategy<Value = String> {
    let members = || prop::collection::vec(member(), 0..4);
    (name(), 0u8..5, members(), members()).prop_map(|(name, id, envelope, payload)| {
        let envelope: String = envelope.iter().map(|member| format!(",{member}")).collect();
        let payload = payload.join(",");
        format!(r#"{{"type":"{name}","message_id":"m{id}"{envelope},"payload":{{"content":"c",{payload}}}}}"#)
            .replace(",}", "}")
    })
}

/// A frame with one thing done to it.
fn mutated() -> impl Strategy<Value = String> {
    (frame(), any::<prop::sample::Index>(), 0u8..6, any::<char>()).prop_map(|(frame, at, how, with)| {
        let chars: Vec<char> = frame.chars().collect();
        let at = at.index(chars.len());
        let (before, after): (String, String) = (chars[..at].iter().collect(), chars[at..].iter().collect());
        match how {
            0 => before,
            1 => after,
            2 => format!("{before}{with}{after}"),
            3 => format!("{before}{}", after.chars().skip(1).collect::<String>()),
            4 => format!("{frame}{after}"),
            _ => format!("{before}{}{after}", prefix(with)),
        }
    })
}

/// Something that has a meaning in JSON.
fn prefix(by: char) -> &'static str {
    const ALL: [&str; 8] = ["\"", "\\", "{", "]", "\\ud800", "NaN", ",", "\u{feff}"];
    ALL[by as usize % ALL.len()]
}

fn malformed() -> impl Strategy<Value = String> {
    prop_oneof![
        (1usize..90).prop_map(|deep| format!(
            r#"{{"type":"ping","payload":{{"a":{}1{}}}}}"#,
            "[".repeat(deep),
            "]".repeat(deep)
        )),
        (0u32..99).prop_map(|digits| format!(
            r#"{{"type":"ping","timestamp":1{},"payload":{{"n":1e{digits}9}}}}"#,
            "0".repeat(digits as usize)
        )),
        (8000usize..9000)
            .prop_map(|len| format!(r#"{{"type":"chat","payload":{{"content":"{}"}}}}"#, "x".repeat(len))),
        (0usize..3, 0u8..5).prop_map(|(user, how)| {
            let user = USERS[user];
            match how {
                0 => format!(r#"{{"type":"chat","user_id":"{user}","payload":{{"content":"c"}}}}"#),
                1 => format!(
                    r#"{{"type":"chat","payload":{{"content":"c","a":[{{"owner_user_id":"{user}"}}]}}}}"#
                ),
                2 => format!(r#"{{"type":"chat","payload":{{"content":"c","\u0075ser_id":"{user}"}}}}"#),
                3 => format!(
                    r#"{{"type":"chat","user_id":null,"user_id":"{user}","payload":{{"content":"c"}}}}"#
                ),
                _ => format!(r#"{{"type":"chat","payload":{{"content":"c","user_id":["{user}"]}}}}"#),
            }
        }),
        prop::sample::select(vec![
            "",
            "[]",
            "null",
            "7",
            "{}",
            "{\"type\":null}",
            "{\"type\":7}",
            "{\"type\":[]}",
            "{\"type\":\"ping\",\"type\":\"chat\"}",
            "{\"type\":\"chat\",\"payload\":[1]}"
        ])
        .prop_map(str::to_owned),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        16 => frame(),
        1 => mutated(),
        1 => malformed(),
        1 => "(\\PC|[\\x00-\\x7f]){0,60}",
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let connect = (0u8..3, prop::option::of(0u64..20), prop::option::weighted(0.2, 0u8..3));
    prop_oneof![
        6 => (connect, prop::option::weighted(0.1, 0u64..60_000_000))
            .prop_map(|((user, resume, thread), expires)| Op::Connect { user, resume, thread, expires }),
        1 => Just(Op::AuthFailed),
        24 => (any::<u8>(), text()).prop_map(|(conn, text)| Op::Text { conn, text }),
        1 => any::<u8>().prop_map(|conn| Op::Binary { conn }),
        1 => any::<u8>().prop_map(|conn| Op::Pong { conn }),
        1 => (any::<u8>(), 0u8..3).prop_map(|(conn, kind)| Op::Violation { conn, kind }),
        16 => (any::<u8>(), 0u32..9).prop_map(|(conn, frames)| Op::Written { conn, frames }),
        3 => any::<u8>().prop_map(|conn| Op::Closed { conn }),
        24 => (any::<u8>(), 0u8..NEXT + 9).prop_map(|(run, event)| Op::Agent { run, event }),
        1 => Just(Op::Broadcast),
        1 => (any::<u8>(), 0..4u8).prop_map(|(user, thread)| Op::Deliver { user, thread }),
        4 => (0u8..4, 0u8..4).prop_map(|(user, to)| Op::Dispatch { user, to }),
        8 => (0u64..2_000_000).prop_map(|micros| Op::Wait { micros }),
        2 => (2_000_000u64..70_000_000).prop_map(|micros| Op::Wait { micros }),
        1 => (200_000_000u64..900_000_000).prop_map(|micros| Op::Wait { micros }),
    ]
}

/// Mostly without a drain: after it there is little left to see.
fn ops() -> impl Strategy<Value = Vec<Op>> {
    let drain = prop::option::weighted(0.3, any::<prop::sample::Index>());
    (prop::collection::vec(op(), 1..200), drain).prop_map(|(mut ops, drain)| {
        if let Some(at) = drain {
            ops.insert(at.index(ops.len()), Op::Drain);
        }
        ops
    })
}

/// Whom an input is about; what it brings about may concern nobody else.
#[derive(Clone, Copy, Debug, PartialEq)]
enum About {
    User(usize),
    Nobody,
    All,
}

/// One router under random inputs, and what is known of it from outside.
struct Play {
    router: Router,
    authority: Option<Authority>,
    now: Instant,
    out: Effects,
    log: Vec<String>,
    /// Connection, user, and whether the shell has not yet handed in `Closed`.
    conns: Vec<(ConnId, usize, bool)>,
    /// Run, user, and how far its agent came.
    runs: Vec<(RunRef, usize, u8)>,
    /// Ids of threads and runs that somebody has seen.
    threads: Vec<String>,
    run_ids: Vec<String>,
}

impl Play {
    fn new() -> Self {
        let config = Config {
            socket_window_frames: 3,
            outbound_frames_max: 4,
            recovery_frames_max: 6,
            route_history_messages_max: 3,
            ready_after_us: 1000,
            rejects_max: 6,
            ..Config::default()
        };
        let mut router = Router::new(config).expect("valid");
        let authority = router.take_authority();
        router
            .add_middleware(Arc::new(|message: &mut Draft| match message.destination() {
                Some("d2") => Ok(Verdict::Drop),
                _ => Ok(Verdict::Pass),
            }))
            .expect("room");
        router.add_route("d1", Arc::new(|message: &mut Draft| Ok(message.payload().clone()))).expect("room");
        router.add_route("d1", Arc::new(|_: &mut Draft| Err(Failure::new("boom")))).expect("room");
        Self {
            router,
            authority,
            now: Instant::from_micros(1_700_000_000_000_000),
            out: Effects::new(),
            log: Vec::new(),
            conns: Vec::new(),
            runs: Vec::new(),
            threads: Vec::new(),
            run_ids: Vec::new(),
        }
    }

    /// Mostly one that is open; sometimes one that is gone.
    fn conn(&self, n: u8) -> Option<(ConnId, usize)> {
        let open = self.conns.iter().filter(|(.., open)| *open || n >= 240);
        let (conn, user, _) = open.clone().nth(usize::from(n) % open.count().max(1))?;
        Some((*conn, *user))
    }

    /// Mostly one of the newest.
    fn run(&self, n: u8) -> Option<usize> {
        let newest = if n >= 240 { self.runs.len() } else { self.runs.len().min(4) };
        (newest > 0).then(|| self.runs.len() - 1 - usize::from(n) % newest)
    }

    /// Ids of others in it, too: whoever has seen one may try it.
    fn filled(&self, text: &str) -> String {
        let of = |ids: &[String]| ids.get(text.len() % ids.len().max(1)).cloned().unwrap_or_default();
        text.replace("%T", &of(&self.threads)).replace("%R", &of(&self.run_ids))
    }

    fn play(&mut self, op: &Op) -> Result<(), TestCaseError> {
        match op {
            Op::Connect { user, resume, thread, expires } => {
                let user = usize::from(*user) % USERS.len();
                let thread = thread.map(|n| format!("t{n}"));
                let expires_at = expires.map(|micros| self.now.after(micros));
                let connect = Connect::new(Ticket(1), USERS[user]);
                let connect = Connect { resume: *resume, thread: thread.as_deref(), expires_at, ..connect };
                self.input(Input::Connect(connect), About::User(user))
            }
            Op::AuthFailed => self.input(Input::AuthFailed { ticket: Ticket(2) }, About::Nobody),
            Op::Text { conn, text } => {
                let text = self.filled(text);
                self.on(*conn, |conn| Input::Text { conn, text: &text })
            }
            Op::Binary { conn } => self.on(*conn, |conn| Input::Binary { conn }),
            Op::Pong { conn } => self.on(*conn, |conn| Input::Pong { conn }),
            Op::Violation { conn, kind } => {
                let kinds = [Violation::TooBig, Violation::InvalidUtf8, Violation::Protocol];
                let kind = kinds[usize::from(*kind) % kinds.len()];
                self.on(*conn, |conn| Input::Violation { conn, kind })
            }
            Op::Written { conn, frames } => self.on(*conn, |conn| Input::Written { conn, frames: *frames }),
            Op::Closed { conn: n } => {
                let Some((closed, user)) = self.conn(*n) else { return Ok(()) };
                self.input(Input::Closed { conn: closed }, About::User(user))?;
                for (_, _, open) in self.conns.iter_mut().filter(|(conn, ..)| *conn == closed) {
                    *open = false;
                }
                Ok(())
            }
            Op::Agent { run, event } => self.agent(*run, *event),
            Op::Broadcast => {
                let authority = self.authority.take().expect("put back each time");
                let event = json(r#"{"type":"system_message"}"#);
                let input = Input::Deliver(Deliver::new(Target::All(&authority, None), &event));
                let result = self.input(input, About::All);
                self.authority = Some(authority);
                result
            }
            Op::Deliver { user, thread } => {
                let event = json(r#"{"type":"note","payload":{"text":"t"}}"#);
                let owner = usize::from(*user) % USERS.len();
                let thread = self.threads.get(usize::from(*thread)).cloned();
                let target = thread
                    .as_ref()
                    .map_or(Target::User(USERS[owner]), |thread| Target::Thread(USERS[owner], thread));
                self.input(Input::Deliver(Deliver::new(target, &event)), About::User(owner))
            }
            Op::Dispatch { user, to } => self.dispatch(*user, *to),
            Op::Wait { micros } => {
                self.now = self.now.after(*micros);
                self.input(Input::Tick, About::All)
            }
            Op::Drain => self.input(Input::Drain, About::All),
        }
    }

    fn on<'a>(&mut self, n: u8, make: impl FnOnce(ConnId) -> Input<'a>) -> Result<(), TestCaseError> {
        let Some((conn, user)) = self.conn(n) else { return Ok(()) };
        self.input(make(conn), About::User(user))
    }

    fn agent(&mut self, run: u8, event: u8) -> Result<(), TestCaseError> {
        let Some((run, user, step)) = self.run(run).map(|at| &mut self.runs[at]) else { return Ok(()) };
        let (run, user) = (*run, *user);
        // Mostly what an agent says next; else anything.
        let event = if event < NEXT {
            *step += 1;
            [0, 1, 3, 5, 2, 4, 6, 7][usize::from(*step - 1) % 8]
        } else {
            event - NEXT
        };
        let value = json(r#"{"a":[1]}"#);
        let (call, value) = (if event.is_multiple_of(2) { "c1" } else { "c2" }, &*value);
        let event = match event {
            0 => AgentEvent::Started { agent: "a", task: "" },
            1 => AgentEvent::Thinking { reasoning: "", step: None },
            2 => AgentEvent::Progress { data: value },
            3 | 4 => AgentEvent::ToolExecuting { call, tool: "t", parameters: value },
            5 | 6 => {
                let status = if event == 5 { ToolStatus::Completed } else { ToolStatus::Timeout };
                AgentEvent::ToolCompleted { call, status, results: value, duration_ms: 1 }
            }
            7 => AgentEvent::Completed { response: "", execution_time_ms: None },
            _ => AgentEvent::Failed { code: "", message: "" },
        };
        self.input(Input::Agent { run, event }, About::User(user))
    }

    fn dispatch(&mut self, user: u8, to: u8) -> Result<(), TestCaseError> {
        let user = USERS.get(usize::from(user));
        let message = Envelope {
            id: format!("of {user:?}"),
            destination: Some(format!("d{to}").into()),
            user: user.map(|user| Arc::from(*user)),
            ..Envelope::default()
        };
        let outcome = self.router.dispatch(self.now, message);
        self.log.push(format!("{outcome:?}"));
        self.router.verify().map_err(TestCaseError::fail)?;
        for whose in USERS.iter().map(Some).chain([None]) {
            let named = format!("of {whose:?}");
            for record in self.router.history(whose.copied()) {
                prop_assert_eq!(&record.received().id, &named, "a history shows somebody else's message");
            }
        }
        Ok(())
    }

    /// Deadlines first, so that what the input itself brings about can be told from them.
    fn input(&mut self, input: Input<'_>, about: About) -> Result<(), TestCaseError> {
        self.step(Input::Tick, About::All, "")?;
        // Every input of a draining router may finish the drain.
        let about = if self.router.is_draining() { About::All } else { about };
        let said = if let Input::Text { text, .. } = input { text } else { "" };
        self.step(input, about, said)
    }

    fn step(&mut self, input: Input<'_>, about: About, said: &str) -> Result<(), TestCaseError> {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        self.router.handle(self.now, input, &mut out);
        self.router.verify().map_err(TestCaseError::fail)?;
        let mut first = None;
        for effect in out.iter() {
            self.log.push(format!("{effect:?}"));
            match effect {
                Effect::Accepted { conn, .. } => {
                    let About::User(user) = about else {
                        return Err(TestCaseError::fail("accepted whom?"));
                    };
                    self.conns.push((*conn, user, true));
                }
                Effect::StartRun(request) => {
                    let user = USERS.iter().position(|user| **user == *request.user).expect("known");
                    prop_assert!(
                        about == About::All || about == About::User(user),
                        "a run for somebody else"
                    );
                    self.runs.push((request.run, user, 0));
                    self.threads.push(request.thread_id.to_string());
                    self.run_ids.push(request.run_id());
                }
                Effect::Send { conn, frame } => {
                    let text = out.frame(*frame).as_str();
                    // Alerts of the embedded monitor are for all who subscribed; they hold figures, and name nobody.
                    let about =
                        if text.starts_with(r#"{"type":"quality_alert""#) { About::All } else { about };
                    let user = self.reached(*conn, about)?;
                    self.log.push(text.to_owned());
                    let told = text.to_lowercase();
                    prop_assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "not JSON: {text}");
                    for (other, name) in USERS.iter().enumerate() {
                        prop_assert!(
                            other == user || !told.contains(&name[..TELLING]) || said.contains(name),
                            "{} is shown {name}: {text}",
                            USERS[user]
                        );
                    }
                    if matches!(input, Input::Deliver(Deliver { target: Target::All(..), .. })) {
                        prop_assert_eq!(&**first.get_or_insert_with(|| text.to_owned()), text);
                    }
                }
                Effect::Ping { conn } | Effect::Close { conn, .. } => {
                    self.reached(*conn, about)?;
                }
                Effect::Audit(record) => {
                    let user = self.reached(record.conn, about)?;
                    prop_assert_eq!(&*record.user, USERS[user]);
                }
                Effect::CancelRun { run, .. } => {
                    let owner = self.runs.iter().find(|(known, ..)| known == run).map(|(_, user, _)| *user);
                    prop_assert!(
                        about == About::All || owner.is_some_and(|owner| about == About::User(owner)),
                        "somebody else's run is stopped"
                    );
                }
                _ => {}
            }
        }
        self.out = out;
        Ok(())
    }

    /// Whose connection that is; it must be open, and of somebody whom the input is about.
    fn reached(&self, conn: ConnId, about: About) -> Result<usize, TestCaseError> {
        let Some((_, user, true)) = self.conns.iter().find(|(known, ..)| *known == conn) else {
            return Err(TestCaseError::fail("an effect for a connection that is not there"));
        };
        let concerned = match about {
            About::User(concerned) => concerned == *user,
            About::Nobody => false,
            About::All => true,
        };
        prop_assert!(concerned, "an input about {about:?} reaches {}", USERS[*user]);
        Ok(*user)
    }
}

/// Plays the operations; answers every effect as text, and fails when a law breaks.
fn play(ops: &[Op]) -> Result<Vec<String>, TestCaseError> {
    let mut play = Play::new();
    for user in 0..3 {
        play.play(&Op::Connect { user, resume: None, thread: None, expires: None })?;
    }
    play.play(&Op::Wait { micros: 1000 })?;
    ops.iter().try_for_each(|op| play.play(op))?;
    Ok(play.log)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn same_inputs_same_effects_and_every_law_holds(ops in ops()) {
        prop_assert_eq!(play(&ops)?, play(&ops)?);
    }

    #[test]
    fn any_text_is_answered_or_ignored_and_never_panics(text in prop_oneof![
        "(\\PC|[\\x00-\\x7f]){0,200}", mutated(), malformed(), any::<String>(),
    ]) {
        play(&[Op::Text { conn: 0, text }])?;
    }
}
