//! What a router keeps, counted by an allocator of this test's own: nothing of those who are gone.

use std::alloc::System;

use router::{
    AgentEvent, AskRef, Config, ConnId, Connect, Context, Deliver, Effect, Effects, Handler, HandlerFault,
    Incoming, Input, Instant, Kind, KindSet, QualityAnswer, ReceiptId, Replies, Router, RunRef, Sizes,
    Target, Ticket, ToolStep,
    routes::{Draft, Envelope},
};
use serde_json::value::RawValue;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes of an empty router with everything built in.
const EMPTY_BYTES_MAX: usize = 16 * 1024;
const SECOND: u64 = 1_000_000;
/// The audit of tool calls keeps 5,000 to 10,000 records.
const AUDIT_KEPT: usize = 5_000;

/// Answers in three seconds.
#[derive(Debug)]
struct Slow;

impl Handler for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn accepts(&self) -> KindSet {
        KindSet::of(&[Kind::TypingStarted])
    }

    fn handle(&mut self, _: &Incoming<'_>, replies: &mut Replies<'_>) -> Result<(), HandlerFault> {
        replies.send_after(3 * SECOND, "{}").map_err(|error| HandlerFault::failed(error.to_string()))
    }
}

/// What the router asked for.
#[derive(Default)]
struct Asked {
    accepted: Option<ConnId>,
    run: Option<RunRef>,
    ask: Option<AskRef>,
}

struct Churn {
    router: Router,
    out: Effects,
    now: Instant,
    tickets: u64,
    note: Box<RawValue>,
    /// The largest of each size that was seen between two visits.
    seen: Sizes,
}

impl Churn {
    fn input(&mut self, input: Input<'_>) -> Asked {
        self.out.clear();
        self.router.handle(self.now, input, &mut self.out);
        let mut asked = Asked::default();
        let (mut sends, mut closes) = (Vec::new(), Vec::new());
        for effect in self.out.iter() {
            if let Effect::Accepted { conn, .. } = effect {
                asked.accepted = Some(*conn);
            } else if let Effect::Send { conn, .. } = effect {
                sends.push(*conn);
            } else if let Effect::Close { conn, .. } = effect {
                closes.push(*conn);
            } else if let Effect::StartRun(request) = effect {
                asked.run = Some(request.run);
            } else if let Effect::AskQuality(request) = effect {
                asked.ask = Some(request.ask);
            }
        }
        for conn in sends {
            self.router.handle(self.now, Input::Written { conn, frames: 1 }, &mut self.out);
        }
        for conn in closes {
            self.router.handle(self.now, Input::Closed { conn }, &mut self.out);
        }
        asked
    }

    fn say(&mut self, conn: ConnId, text: &str) -> Asked {
        self.input(Input::Text { conn, text })
    }

    fn tool(&mut self, run: RunRef, call: &str, tool: &str) {
        let parameters = self.note.clone();
        let step = ToolStep::Call { call, run_id: None, tool, parameters: &parameters };
        self.input(Input::Tool { run, step });
    }

    /// One user comes, uses everything there is, and goes; what is kept of those before expires on the way. Of every
    /// two users one waits for what is asked, and one goes first.
    fn visit(&mut self, user: u64) {
        self.tickets += 1;
        self.now = self.now.after(SECOND);
        let patient = user.is_multiple_of(2);
        let (id, name) = (format!("visitor-{user}"), format!("tab-{user}"));
        let connect = Connect { name: Some(&name), ..Connect::new(Ticket(self.tickets), &id) };
        let conn = self.input(Input::Connect(connect)).accepted.expect("accepted");
        self.input(Input::Connect(Connect::new(Ticket(0), &id)));
        self.router.bind_handler(conn, Box::new(Slow)).expect("the connection is there");
        self.say(conn, r#"{"type":"typing_started","thread_id":"t"}"#);
        self.say(conn, r#"{"type":"subscribe_quality_alerts"}"#);
        assert!(self.router.subscribe_user(&id, &format!("topic-{user}")));
        self.say(conn, r#"{"type":"broadcast","payload":{"n":1}}"#);
        self.say(conn, &format!(r#"{{"type":"error_message","payload":{{"error_code":"E{user}"}}}}"#));
        let envelope = Envelope {
            id: name.clone(),
            destination: Some("service".into()),
            user: Some(id.as_str().into()),
            ..Envelope::default()
        };
        self.router.dispatch(self.now, envelope).expect("not draining");
        let metrics = r#"{"type":"get_quality_metrics","message_id":"q","payload":{}}"#;
        if let Some(ask) = self.say(conn, metrics).ask
            && patient
        {
            let answer = QualityAnswer::Ready(RawValue::NULL);
            self.input(Input::Quality { ask, answer });
        }
        self.run(conn, user, patient);
        self.deliver(&id, user);
        let seen = self.router.sizes();
        self.seen = each(self.seen, seen, usize::max);
        // The second connection is left to its heartbeats by those who wait.
        let others: Vec<ConnId> =
            self.router.connections(self.now, &id, false).iter().map(|other| other.conn).collect();
        for other in others.into_iter().filter(|other| !patient || *other == conn) {
            self.input(Input::Closed { conn: other });
        }
    }

    /// An event for the user, of whom a connection may go before it is written, and one for a user who never comes.
    fn deliver(&mut self, id: &str, user: u64) {
        let (stranger, note) = (format!("stranger-{user}"), self.note.clone());
        for to in [id, &stranger] {
            let (receipt, target) = (Some(ReceiptId(user)), Target::User(to));
            let deliver = Deliver { receipt, target, context: Context::default(), event: &note };
            self.out.clear();
            self.router.handle(self.now, Input::Deliver(deliver), &mut self.out);
        }
    }

    /// A run with a tool call, which ends by itself or by its deadline.
    fn run(&mut self, conn: ConnId, user: u64, patient: bool) {
        let chat = format!(r#"{{"type":"chat","message_id":"m{user}","payload":{{"content":"go"}}}}"#);
        let run = self.say(conn, &chat).run.expect("a run");
        let agent = format!("agent-{user}");
        self.input(Input::Agent { run, event: AgentEvent::Started { agent: &agent, task: "" } });
        self.tool(run, "call", "look");
        if patient {
            self.input(Input::Tool {
                run,
                step: ToolStep::Done { call: "call", result: Ok(RawValue::NULL) },
            });
            let event = AgentEvent::Completed { response: "done", execution_time_ms: None };
            self.input(Input::Agent { run, event });
        }
    }

    /// Fills the audit of tool calls up and stops right after it was cut, so that it has the same length each time.
    fn fill_audit(&mut self) {
        self.tickets += 1;
        let connect = Connect::new(Ticket(self.tickets), "resident");
        let conn = self.input(Input::Connect(connect)).accepted.expect("accepted");
        let chat =
            format!(r#"{{"type":"chat","message_id":"r{}","payload":{{"content":"go"}}}}"#, self.tickets);
        let run = self.say(conn, &chat).run.expect("a run");
        self.input(Input::Agent { run, event: AgentEvent::Started { agent: "agent-0", task: "" } });
        self.tool(run, "call", "look");
        let mut calls = 0;
        while calls < 2 * AUDIT_KEPT || self.router.toolbox().permissions().audit().len() != AUDIT_KEPT {
            // Not for this user's plan: refused by the policy, and written down.
            self.tool(run, "refused", "delete_corpus");
            calls += 1;
            assert!(calls < 4 * AUDIT_KEPT, "the audit is cut");
        }
        self.input(Input::Closed { conn });
    }

    /// Everybody is gone and everything kept for them has expired.
    fn settle(&mut self) -> Sizes {
        self.wait(25);
        self.fill_audit();
        self.wait(2);
        self.router.verify().expect("adds up");
        self.router.sizes()
    }

    fn wait(&mut self, hours: u32) {
        for _ in 0..hours * 60 {
            self.now = self.now.after(60 * SECOND);
            while let Some((at, _)) = self.router.next_deadline()
                && at <= self.now
            {
                self.input(Input::Tick);
            }
        }
    }
}

/// Two sizes, entry by entry.
fn each(a: Sizes, b: Sizes, f: impl Fn(usize, usize) -> usize) -> Sizes {
    // By name, so that a new table does not compile until somebody thinks of it here.
    let Sizes {
        connections,
        users,
        runs,
        timers,
        names,
        awaited_users,
        topics,
        subscriptions,
        receipts,
        handlers,
        bound_connections,
        batches,
        later_replies,
        error_codes,
        asks,
        agents,
        histories,
        tool_users,
        tool_windows,
    } = a;
    Sizes {
        connections: f(connections, b.connections),
        users: f(users, b.users),
        runs: f(runs, b.runs),
        timers: f(timers, b.timers),
        names: f(names, b.names),
        awaited_users: f(awaited_users, b.awaited_users),
        topics: f(topics, b.topics),
        subscriptions: f(subscriptions, b.subscriptions),
        receipts: f(receipts, b.receipts),
        handlers: f(handlers, b.handlers),
        bound_connections: f(bound_connections, b.bound_connections),
        batches: f(batches, b.batches),
        later_replies: f(later_replies, b.later_replies),
        error_codes: f(error_codes, b.error_codes),
        asks: f(asks, b.asks),
        agents: f(agents, b.agents),
        histories: f(histories, b.histories),
        tool_users: f(tool_users, b.tool_users),
        tool_windows: f(tool_windows, b.tool_windows),
    }
}

/// What stays when everybody is gone: slots for the next ones, and names that were bounded from the start. Of the tool
/// calls' windows, the last user's is left: it may be looked at for a day.
fn left(sizes: &Sizes) -> Sizes {
    let Sizes { connections, users, runs, error_codes, agents, .. } = *sizes;
    Sizes { connections, users, runs, error_codes, agents, tool_windows: 1, ..Sizes::default() }
}

// One test, so that no other thread of this process allocates meanwhile.
#[test]
fn an_empty_router_is_small_and_nothing_is_kept_of_those_who_are_gone() {
    let region = Region::new(ALLOCATOR);
    let router = Router::new(Config::default()).expect("valid");
    let change = region.change();
    let bytes = change.bytes_allocated - change.bytes_deallocated + size_of::<Router>();
    assert!(bytes <= EMPTY_BYTES_MAX, "an empty router takes {bytes} bytes");
    drop(router);

    // Rings that a thousand users fill.
    let config = Config {
        quality_agents_max: 4,
        quality_samples_max: 16,
        // Dead letters outlast their users on purpose, as many as this.
        dead_letters_max: 64,
        ..Config::default()
    };
    let mut router = Router::new(config).expect("valid");
    router.add_tool("look", "");
    router.add_tool("delete_corpus", "");
    let echo = |message: &mut Draft| Ok(message.payload().clone());
    router.add_route("service", std::sync::Arc::new(echo)).expect("there is room");
    let note = RawValue::from_string(r#"{"type":"note"}"#.to_owned()).expect("JSON");
    let now = Instant::from_micros(1_700_000_000 * SECOND);
    let mut churn = Churn { router, out: Effects::new(), now, tickets: 0, note, seen: Sizes::default() };
    let live = || {
        let stats = ALLOCATOR.stats();
        stats.bytes_allocated - stats.bytes_deallocated
    };
    (0..1_000).for_each(|user| churn.visit(user));
    let (sizes, heap) = (churn.settle(), live());
    each(churn.seen, churn.seen, |a, _| {
        assert!(a > 0, "a table was never used: {:?}", churn.seen);
        a
    });
    (1_000..101_000).for_each(|user| churn.visit(user));
    let (sizes_after, heap_after) = (churn.settle(), live());
    assert_eq!(sizes, left(&sizes), "something is kept of those who are gone");
    assert_eq!(sizes, sizes_after);
    assert!(heap_after as f64 <= heap as f64 * 1.01, "{heap} bytes grew to {heap_after}");
}
