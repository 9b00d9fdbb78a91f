//! Tool calls: what they promise, and what cannot happen to them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use router::{
    AgentEvent, Config, ConnId, Connect, Effect, Effects, Input, Instant, RunRef, Ticket, Tier, ToolAnswer,
    ToolFailure, ToolOutcome, ToolRefusalReason, ToolRequest, ToolStatus, ToolStep,
    tools::{
        Context, Ending, Grants, Health, Level, OpenError, PermissionResult, Permissions, Person, Plan,
        Policy, Toolbox,
    },
};
use serde_json::{Value, json, value::RawValue};

use crate::harness::World;

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).expect("JSON")
}

/// A router with a tool `look` for everybody, and one user in it.
fn world(config: Config) -> (World, ConnId) {
    let (long_us, no_heartbeat_us) = (1_000_000_000_000, 1_000_000_000_000);
    let mut world = World::new(Config { heartbeat_us: no_heartbeat_us, recovery_ttl_us: long_us, ..config });
    for tool in ["look", "search_corpus", "create_corpus", "delete_corpus"] {
        world.router.add_tool(tool, "");
    }
    let conn = world.connect("ada");
    world.received.clear();
    (world, conn)
}

/// A run of the connection's user that is at work.
fn working(world: &mut World, conn: ConnId) -> RunRef {
    world.say(conn, r#"{"type":"chat","thread_id":"t","payload":{"message":"go"}}"#);
    let run = world.runs.last().expect("a run").run;
    world.input(Input::Agent { run, event: AgentEvent::Started { agent: "caller", task: "" } });
    run
}

fn call(world: &mut World, run: RunRef, call: &str, tool: &str) {
    let parameters = raw(&json!({"query": "x"}));
    world.input(Input::Tool {
        run,
        step: ToolStep::Call { call, run_id: None, tool, parameters: &parameters },
    });
}

fn done(world: &mut World, run: RunRef, call: &str, result: &Value) {
    world.input(Input::Tool { run, step: ToolStep::Done { call, result: Ok(&raw(result)) } });
}

fn answers(world: &World) -> Vec<&ToolAnswer> {
    fn answer(effect: &Effect) -> Option<&ToolAnswer> {
        if let Effect::ToolAnswered(answer) = effect { Some(answer) } else { None }
    }
    world.other.iter().filter_map(answer).collect()
}

fn requests(world: &World) -> Vec<&ToolRequest> {
    fn request(effect: &Effect) -> Option<&ToolRequest> {
        if let Effect::RunTool(request) = effect { Some(request) } else { None }
    }
    world.other.iter().filter_map(request).collect()
}

/// Type, call and status of each tool event that a connection has got.
fn events(world: &World, conn: ConnId) -> Vec<String> {
    let frames = world.received.get(&conn).into_iter().flatten();
    let tool = frames.filter(|frame| frame["type"].as_str().is_some_and(|kind| kind.starts_with("tool_")));
    let text = |frame: &Value, key: &str| frame[key].as_str().unwrap_or_default().to_owned();
    tool.map(|frame| {
        format!("{} {} {}", text(frame, "type"), text(frame, "tool_call_id"), text(frame, "status"))
    })
    .collect()
}

#[test]
fn a_call_has_two_events_and_the_first_comes_before_its_tool() {
    let (mut world, conn) = world(Config::default());
    let run = working(&mut world, conn);
    let (mut out, parameters) = (Effects::new(), raw(&json!({})));
    let step = ToolStep::Call { call: "first", run_id: None, tool: "look", parameters: &parameters };
    world.router.handle(world.now, Input::Tool { run, step }, &mut out);
    let kinds: Vec<_> = out.iter().map(|effect| matches!(effect, Effect::RunTool(_))).collect();
    assert_eq!(kinds, [false, true], "the event is handed over before the tool is run");
    world.input(Input::Written { conn, frames: 1 });
    call(&mut world, run, "c", "look");
    assert_eq!(requests(&world)[0].parameters.as_ref(), r#"{"query":"x"}"#);
    world.wait(1_500_000);
    done(&mut world, run, "c", &json!({"n": 1}));
    assert_eq!(events(&world, conn), ["tool_executing c executing", "tool_completed c completed"]);
    let frame = world.received[&conn].last().expect("an event");
    assert_eq!(frame["duration"], 1_500);
    let results =
        json!({"status": "success", "duration_ms": 1_500, "tool_name": "look", "output": r#"{"n":1}"#});
    assert_eq!(frame["results"], results);
    let run_id = world.runs[0].run_id();
    let answer =
        json!({"success": true, "result": {"n": 1}, "metadata": {"tool_name": "look", "run_id": run_id}});
    assert_eq!(serde_json::from_str::<Value>(&answers(&world)[0].to_json()).expect("JSON"), answer);
}

#[test]
fn a_summary_shows_no_secret() {
    let (mut world, conn) = world(Config::default());
    let run = working(&mut world, conn);
    let parameters = raw(&json!({"password": "hunter2", "city": "Bonn"}));
    let step = ToolStep::Call { call: "c1", run_id: None, tool: "look", parameters: &parameters };
    world.input(Input::Tool { run, step });
    let shown = &world.last(conn)["parameters"]["summary"];
    assert_eq!(shown, "city: Bonn; password: [REDACTED]");
    assert_eq!(*requests(&world)[0].parameters, *parameters.get(), "the tool itself gets it");
}

#[test]
fn a_refused_call_has_no_event_and_takes_nothing() {
    let (mut world, conn) = world(Config::default());
    let run = working(&mut world, conn);
    let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    let deep = RawValue::from_string(deep).expect("JSON");
    let table: [(&str, Option<&str>, &RawValue, ToolRefusalReason); 5] = [
        ("Look", None, &raw(&json!({})), ToolRefusalReason::NotFound),
        ("look", Some("run-other"), &raw(&json!({})), ToolRefusalReason::NotFound),
        ("look", None, &raw(&json!([1])), ToolRefusalReason::Invalid),
        ("look", None, &deep, ToolRefusalReason::Invalid),
        (
            "create_corpus",
            None,
            &raw(&json!({})),
            ToolRefusalReason::Permission(PermissionResult::InsufficientPlan),
        ),
    ];
    for (n, (tool, run_id, parameters, _)) in table.iter().enumerate() {
        let call = n.to_string();
        let step = ToolStep::Call { call: &call, run_id: *run_id, tool, parameters };
        world.input(Input::Tool { run, step });
    }
    let reasons: Vec<_> = answers(&world)
        .iter()
        .map(|answer| match &answer.outcome {
            ToolOutcome::Refused(refusal) => refusal.reason,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(reasons, table.map(|(.., reason)| reason));
    assert!(events(&world, conn).is_empty() && requests(&world).is_empty());
    let stats = world.router.stats().tools;
    assert_eq!((stats.refused, stats.executed, stats.in_flight), (5, 0, 0));
    assert_eq!(world.router.dispatcher_of(run).expect("made").figures().refused, 5);
}

#[test]
fn a_deadline_applies_and_a_late_report_changes_nothing() {
    let (mut world, conn) = world(Config::default());
    let run = working(&mut world, conn);
    call(&mut world, run, "c", "look");
    world.wait(29_999_999);
    assert!(answers(&world).is_empty());
    world.wait(1);
    assert_eq!(answers(&world)[0].error(), "Timeout after 30000ms");
    assert!(
        world
            .other
            .iter()
            .any(|effect| matches!(effect, Effect::CancelTool(cancelled) if &*cancelled.call == "c"))
    );
    call(&mut world, run, "c", "look");
    assert!(matches!(
        &answers(&world)[1].outcome,
        ToolOutcome::Refused(refusal) if refusal.reason == ToolRefusalReason::Order
    ));
    done(&mut world, run, "c", &json!(1));
    assert_eq!(events(&world, conn), ["tool_executing c executing", "tool_completed c timeout"]);
    let results = &world.received[&conn].last().expect("an event")["results"];
    assert_eq!((&results["error_type"], &results["recoverable"]), (&"TimeoutError".into(), &true.into()));
    assert_eq!(world.router.stats().tools.late, 1);
    call(&mut world, run, "d", "look");
    done(&mut world, run, "d", &json!(1));
    let dispatcher = world.router.dispatcher_of(run).expect("open");
    assert_eq!((dispatcher.uptime_s(world.now), dispatcher.in_flight()), (30, 0));
    let figures = dispatcher.figures();
    assert_eq!((figures.executed, figures.successful, figures.failed), (2, 1, 1));
    assert_eq!((figures.success_rate(), figures.average_ms()), (0.5, 15_000.0));
}

#[test]
fn what_is_said_of_a_call_that_is_no_more_is_counted_late() {
    let (mut world, conn) = world(Config::default());
    let run = working(&mut world, conn);
    done(&mut world, run, "before any call", &json!(1));
    assert_eq!(world.router.stats().tools.late, 1);
    call(&mut world, run, "c", "look");
    let progress = ToolStep::Progress { call: Some("unknown"), tool: "", percentage: 5.0, message: "" };
    world.input(Input::Tool { run, step: progress });
    assert_eq!(world.router.stats().tools.late, 2);
    world.input(Input::Agent { run, event: AgentEvent::Failed { code: "X", message: "" } });
    let before = world.frames(conn).len();
    done(&mut world, run, "c", &json!(1));
    assert_eq!((world.router.stats().tools.late, world.frames(conn).len()), (3, before));
}

#[test]
fn of_a_user_who_is_gone_the_toolbox_keeps_nothing() {
    let mut world = World::new(Config::default());
    world.router.add_tool("look", "");
    let conn = world.connect("ada");
    let run = working(&mut world, conn);
    call(&mut world, run, "c", "look");
    done(&mut world, run, "c", &json!(1));
    world.input(Input::Agent { run, event: AgentEvent::Completed { response: "", execution_time_ms: None } });
    assert_eq!(world.router.sizes().tool_users, 1, "its rate of calls is still of interest");
    world.input(Input::Closed { conn });
    world.wait(300_000_000);
    assert_eq!((world.router.sizes().tool_users, world.router.stats().connections.users), (0, 0));
}

#[test]
fn an_agent_cannot_end_a_dispatched_call_by_its_own_word() {
    let (mut world, conn) = world(Config::default());
    let run = working(&mut world, conn);
    call(&mut world, run, "c", "look");
    let event = AgentEvent::ToolCompleted {
        call: "c",
        status: ToolStatus::Completed,
        results: &raw(&json!(1)),
        duration_ms: 0,
    };
    world.input(Input::Agent { run, event });
    world.input(Input::Agent { run, event: AgentEvent::Completed { response: "", execution_time_ms: None } });
    done(&mut world, run, "c", &json!(2));
    assert_eq!(events(&world, conn), ["tool_executing c executing", "tool_completed c completed"]);
    assert_eq!(world.received[&conn].last().expect("an event")["results"]["output"], "2");
}

#[test]
fn every_end_of_a_run_cancels_its_calls_ahead_of_the_terminal_event() {
    for end in ["failed", "stopped", "drained"] {
        let (mut world, conn) = world(Config { agent_deadline_us: 1_000_000_000, ..Config::default() });
        let run = working(&mut world, conn);
        call(&mut world, run, "a", "look");
        call(&mut world, run, "b", "search_corpus");
        match end {
            "failed" => {
                world.input(Input::Agent { run, event: AgentEvent::Failed { code: "X", message: "" } });
            }
            "stopped" => world.say(conn, r#"{"type":"stop_agent","thread_id":"t"}"#),
            _ => {
                world.wait(29_000_000);
                let parameters = raw(&json!({}));
                let step = ToolStep::Call { call: "c", run_id: None, tool: "look", parameters: &parameters };
                world.input(Input::Drain);
                world.input(Input::Tool { run, step });
                world.wait(30_000_000);
            }
        }
        let got = events(&world, conn);
        let terminal = world.received[&conn].iter().position(|frame| frame["type"] == "agent_error");
        let last = world.received[&conn].iter().rposition(|frame| frame["type"] == "tool_completed");
        assert!(terminal.expect("it ended") > last.expect("it was told"), "{end}: {got:?}");
        let stats = world.router.stats().tools;
        assert_eq!((stats.in_flight, stats.active, stats.closed), (0, 0, 1), "{end}");
        let answered: BTreeSet<_> = answers(&world).iter().map(|answer| answer.call.to_string()).collect();
        assert_eq!(answered.len(), if end == "drained" { 3 } else { 2 }, "{end}");
        call(&mut world, run, "late", "look");
        assert_eq!(answers(&world).last().map(|answer| answer.is_error()), Some(true), "{end}");
    }
}

#[test]
fn two_users_share_nothing_and_a_handle_names_one_run() {
    let (mut world, ada) = world(Config::default());
    let eve = world.connect("eve");
    world.received.remove(&eve);
    let hers = working(&mut world, ada);
    let his = working(&mut world, eve);
    let step = ToolStep::Register { name: "only_hers", description: "" };
    world.input(Input::Tool { run: hers, step });
    assert!(world.router.tools_of(hers).expect("open").contains(&"only_hers"));
    call(&mut world, his, "x", "only_hers");
    assert_eq!(answers(&world).last().expect("answered").error(), "Tool only_hers not found");
    call(&mut world, hers, "c", "only_hers");
    call(&mut world, his, "c", "look");
    // The same call id in two runs: each report ends the call of its own run.
    done(&mut world, his, "c", &json!("his"));
    done(&mut world, hers, "c", &json!("hers"));
    for (conn, output) in [(ada, "hers"), (eve, "his")] {
        assert_eq!(events(&world, conn), ["tool_executing c executing", "tool_completed c completed"]);
        assert_eq!(world.received[&conn].last().expect("an event")["results"]["output"], output);
    }
}

#[test]
fn events_of_calls_wait_for_a_user_who_is_away() {
    let (mut world, conn) = world(Config::default());
    let run = working(&mut world, conn);
    world.input(Input::Closed { conn });
    call(&mut world, run, "c", "look");
    done(&mut world, run, "c", &json!(1));
    assert_eq!(answers(&world).last().map(|answer| answer.is_error()), Some(false));
    let back = world.connect("ada");
    assert_eq!(events(&world, back), ["tool_executing c executing", "tool_completed c completed"]);
}

#[test]
fn a_nameless_agent_speaks_as_its_tool() {
    let (mut world, conn) = world(Config::default());
    world.say(conn, r#"{"type":"chat","payload":{"message":"go"}}"#);
    let run = world.runs[0].run;
    world.input(Input::Agent { run, event: AgentEvent::Started { agent: "", task: "" } });
    call(&mut world, run, "c", "look");
    let step = ToolStep::Progress { call: Some("c"), tool: "", percentage: 40.0, message: "" };
    world.input(Input::Tool { run, step });
    let names: Vec<_> =
        world.received[&conn].iter().filter_map(|frame| frame["agent_name"].as_str()).collect();
    assert_eq!(names, ["unknown_agent", "ToolExecutor[look]", "ToolDispatcher"]);
    let progress = &world.received[&conn].last().expect("an event")["progress_data"];
    assert_eq!(progress["message"], "Processing: 40% complete");
    assert_eq!(progress["estimated_remaining_ms"], 3_000);
}

#[test]
fn a_user_has_so_many_dispatchers_and_calls_and_no_more() {
    let limits = Config {
        tool_dispatchers_per_user_max: 2,
        tool_calls_in_flight_per_user_max: 3,
        tool_calls_per_user_per_min: 4,
        ..Config::default()
    };
    let (mut world, conn) = world(limits);
    let runs: Vec<_> = (0..3).map(|_| working(&mut world, conn)).collect();
    for (n, run) in runs.iter().enumerate() {
        call(&mut world, *run, &n.to_string(), "look");
    }
    assert_eq!(answers(&world)[0].error(), "Dispatcher limit per user exceeded (2)");
    call(&mut world, runs[0], "x", "look");
    call(&mut world, runs[1], "y", "look");
    assert_eq!(answers(&world)[1].error(), "Concurrent execution limit exceeded (3)");
    done(&mut world, runs[0], "0", &json!(1));
    call(&mut world, runs[0], "z", "look");
    done(&mut world, runs[0], "x", &json!(1));
    call(&mut world, runs[0], "w", "look");
    assert_eq!(answers(&world).last().expect("answered").error(), "Rate limit exceeded for user");
    // The end of a run gives its dispatcher back.
    world.input(Input::Agent { run: runs[1], event: AgentEvent::Failed { code: "", message: "" } });
    world.wait(60_000_000);
    let run = working(&mut world, conn);
    call(&mut world, run, "v", "look");
    assert_eq!(requests(&world).last().expect("run").run, run);
}

#[test]
fn a_host_makes_admins_and_a_connection_its_plan() {
    let (mut world, _) = world(Config::default());
    let enterprise = Connect { tier: Tier::Enterprise, ..Connect::new(Ticket(0), "grace") };
    let conn = world.connect_with(enterprise).expect("accepted");
    let error = |world: &World| answers(world).last().map(|answer| answer.error().to_owned());
    let run = working(&mut world, conn);
    call(&mut world, run, "a", "create_corpus");
    assert_eq!(requests(&world).len(), 1, "enterprise is cleared for PREMIUM");
    call(&mut world, run, "b", "delete_corpus");
    assert_eq!(error(&world).as_deref(), Some("Security level ADMIN required, user has PREMIUM"));
    world.router.set_grants("grace", Some(Grants { admin: true, ..Grants::default() }));
    call(&mut world, run, "c", "delete_corpus");
    assert_eq!(
        error(&world).as_deref(),
        Some("Security level ADMIN required, user has PREMIUM"),
        "the dispatcher of this run was made without the capability"
    );
    let run = working(&mut world, conn);
    call(&mut world, run, "d", "delete_corpus");
    assert_eq!(error(&world).as_deref(), Some("Required roles [admin] not satisfied. User roles: []"));
    let roles = BTreeSet::from(["admin".to_owned()]);
    world.router.set_grants("grace", Some(Grants { admin: true, roles, ..Grants::default() }));
    call(&mut world, run, "e", "delete_corpus");
    assert_eq!(requests(&world).last().map(|request| &*request.call), Some("e"));
    assert_eq!(world.router.tool_health(0), Health::Healthy);
    world.router.verify().expect("the probe leaves no trace");
}

#[test]
fn slots_are_counted_per_user_and_tool() {
    let mut toolbox = Toolbox::new(*World::new(Config::default()).router.toolbox().limits());
    let one = Policy { concurrent_max: Some(1), ..Policy::open(Level::Basic) };
    for tool in ["a", "b"] {
        toolbox.permissions_mut().set_policy(tool, one.clone());
    }
    let now = router::Instant::from_micros(1);
    let person =
        router::tools::Person { plan: router::tools::Plan::named("enterprise"), grants: Grants::default() };
    let layer = toolbox.permissions_mut();
    let mut ask = |user: &str, tool: &str| layer.check(now, &user.into(), &person, tool, "{}").result;
    assert_eq!(ask("ada", "a"), PermissionResult::Allowed);
    assert_eq!(ask("ada", "b"), PermissionResult::Allowed, "another tool has its own slots");
    assert_eq!(ask("eve", "a"), PermissionResult::Allowed, "and another user");
    assert_eq!(ask("ada", "a"), PermissionResult::QuotaExceeded);
    layer.release("ada", "a");
    assert!(layer.check(now, &"ada".into(), &person, "a", "{}").holds_slot);
    assert_eq!(layer.check(now, &"ada".into(), &person, "create_corpus", "{}").calls_remaining, Some(10));
    for _ in 0..10_100 {
        layer.check(now, &"ada".into(), &person, "b", "{}");
    }
    assert!(layer.audit().len() <= 10_000);
}

#[test]
fn many_users_leave_room_for_the_next() {
    let mut permissions = Permissions::default();
    let start = Instant::from_micros(1_700_000_000_000_000);
    let person = Person { plan: Plan::named("free"), grants: Grants::default() };
    let mut ask = |after_us: u64, user: &str| {
        permissions.check(start.after(after_us), &user.into(), &person, "look_up", "{}").calls_remaining
    };
    let first = ask(0, "u0");
    for n in 1..=100_000_u32 {
        assert_eq!(ask(u64::from(n), &format!("u{n}")), first, "{n}");
    }
    assert!(ask(200_000, "u100000") < first, "the newest calls are remembered");
    assert_eq!(ask(200_000, "u0"), first, "the oldest made room");
}

#[test]
fn a_window_sees_calls_strictly_newer_than_its_length() {
    let mut toolbox = Toolbox::new(*World::new(Config::default()).router.toolbox().limits());
    let two = Policy { per_min: Some(2), per_day: Some(3), ..Policy::open(Level::Basic) };
    toolbox.permissions_mut().set_policy("a", two);
    let person =
        router::tools::Person { plan: router::tools::Plan::named("free"), grants: Grants::default() };
    let mut ask = |at_s: u64| {
        let at = router::Instant::from_micros(at_s * 1_000_000);
        let said = toolbox.permissions_mut().check(at, &"ada".into(), &person, "a", "{}");
        (said.calls_remaining, said.reset_at.map(|at| at.as_micros() / 1_000_000))
    };
    let table = [
        (100, (Some(2), None)),
        (110, (Some(1), None)),
        (159, (Some(0), Some(160))),
        (160, (Some(1), None)),
        (171, (Some(0), Some(86_500))),
        (86_500, (Some(1), None)),
    ];
    for (at_s, expected) in table {
        assert_eq!(ask(at_s), expected, "at {at_s} s");
    }
}

#[test]
fn the_admin_capability_needs_the_flag_and_a_dispatcher_that_has_it() {
    let mut toolbox = Toolbox::new(*World::new(Config::default()).router.toolbox().limits());
    toolbox.add_tool("root", "");
    toolbox.permissions_mut().set_policy("root", Policy::open(Level::Admin));
    let now = router::Instant::from_micros(1);
    let context = || Context::new("ada", "thread", "run-7", "m-7").expect("good ids");
    assert_eq!(toolbox.open_admin(now, context()).err(), Some(OpenError::AdminRequired));
    let grants = Grants { admin: true, ..Grants::default() };
    toolbox.set_grants("ada", Some(grants.clone()));
    let person = router::tools::Person { plan: router::tools::Plan::named("free"), grants };
    let asked = router::tools::Call { call: "c", run_id: Some("run-7"), tool: "root", parameters: "{}" };
    let mut plain = toolbox.open(now, context()).expect("made");
    let refused = toolbox.begin(now, &mut plain, &person, &asked).expect_err("refused");
    assert_eq!(refused.text, "Security level ADMIN required, user has BASIC");
    let mut admin = toolbox.open_admin(now, context()).expect("made");
    toolbox.begin(now, &mut admin, &person, &asked).expect("taken up");
    let cancelled = toolbox.close(now, &mut admin);
    assert_eq!(cancelled.iter().map(|ended| ended.status).collect::<Vec<_>>(), [ToolStatus::Cancelled]);
    assert!(!admin.is_active() && toolbox.close(now, &mut admin).is_empty());
    let disposed = toolbox.begin(now, &mut admin, &person, &asked).expect_err("disposed");
    assert_eq!(disposed.text, "Dispatcher [ada:thread:run-7:m-7] has been disposed");
    assert!(toolbox.finish(now, &mut admin, "c", Ending::TimedOut).is_none());
    _ = toolbox.close(now, &mut plain);
    let (inside, left) = toolbox.scoped(now, context(), |_, scoped| scoped.is_active()).expect("made");
    assert!(inside && left.is_empty());
    assert_eq!((toolbox.stats().active, toolbox.stats().failed_creations), (0, 1));
    assert_eq!(toolbox.health(now, 0), Health::Healthy);
    assert_eq!(toolbox.health(now, 1_000_001), Health::Degraded);
}

#[derive(Clone, Debug)]
enum Move {
    Call(usize, u8, bool),
    Done(usize, u8, bool),
    Wait(u64),
    End(usize),
    Away(bool),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (0..3_usize, 0..6_u8, any::<bool>()).prop_map(|(run, call, known)| Move::Call(run, call, known)),
        4 => (0..3_usize, 0..6_u8, any::<bool>()).prop_map(|(run, call, good)| Move::Done(run, call, good)),
        1 => (1..20_000_000_u64).prop_map(Move::Wait),
        1 => (0..3_usize).prop_map(Move::End),
        1 => any::<bool>().prop_map(Move::Away),
    ];
    proptest::collection::vec(one, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: figures add up after every step (the harness recounts them), each call has
    /// one answer, a call that was taken up has two events, any other none, and nothing is left at the end.
    #[test]
    fn calls_are_conserved(moves in moves()) {
        let (mut world, mut conn) = world(Config { agent_deadline_us: u64::MAX / 2, ..Config::default() });
        let one = Policy { concurrent_max: Some(1), ..Policy::open(Level::Basic) };
        world.router.set_tool_policy("search_corpus", one);
        let mut runs: Vec<_> = (0..3).map(|_| working(&mut world, conn)).collect();
        let mut frames: Vec<Value> = Vec::new();
        let (mut asked, mut answered, mut requested, mut online) = (0, 0, 0, true);
        for step in moves {
            match step {
                Move::Call(run, id, known) => {
                    asked += 1;
                    call(&mut world, runs[run], &id.to_string(), if known { "look" } else { "search_corpus" });
                }
                Move::Done(run, id, good) => {
                    let failure = ToolFailure { message: "no", kind: "MemoryError" };
                    let value = raw(&json!(id));
                    let result = if good { Ok(&*value) } else { Err(failure) };
                    world.input(Input::Tool { run: runs[run], step: ToolStep::Done { call: &id.to_string(), result } });
                }
                Move::Wait(micros) => world.wait(micros),
                Move::End(run) => {
                    world.input(Input::Agent { run: runs[run], event: AgentEvent::Failed { code: "", message: "" } });
                    if online {
                        runs[run] = working(&mut world, conn);
                    }
                }
                Move::Away(away) if away == online => {
                    if away {
                        frames.append(&mut world.received.remove(&conn).unwrap_or_default());
                        world.input(Input::Closed { conn });
                    } else {
                        conn = world.connect("ada");
                    }
                    online = !away;
                }
                Move::Away(_) => {}
            }
            answered += answers(&world).len();
            requested += requests(&world).len();
            world.other.clear();
            let figures = runs.iter().filter_map(|run| world.router.dispatcher_of(*run));
            for dispatcher in figures {
                let sum = dispatcher.figures();
                prop_assert_eq!(sum.executed, sum.successful + sum.failed + dispatcher.in_flight() as u64);
            }
        }
        for run in runs {
            world.input(Input::Agent { run, event: AgentEvent::Failed { code: "", message: "" } });
        }
        answered += answers(&world).len();
        if !online {
            conn = world.connect("ada");
        }
        frames.append(&mut world.received.remove(&conn).unwrap_or_default());
        prop_assert_eq!(answered, asked);
        let stats = world.router.stats().tools;
        prop_assert_eq!((stats.in_flight, stats.active), (0, 0));
        prop_assert_eq!(world.router.toolbox().permissions().running("ada", "search_corpus"), 0);
        prop_assert_eq!(stats.executed as usize, requested);
        let mut told: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for frame in frames.iter().filter(|frame| frame.get("tool_call_id").is_some()) {
            if seen.insert(frame["cursor"].as_u64()) {
                let key = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
                told.entry((key("run_id"), key("tool_call_id"))).or_default().push(key("type"));
            }
        }
        let pairs: usize = told.values().map(Vec::len).sum();
        prop_assert_eq!(pairs, 2 * requested);
        for kinds in told.values() {
            for pair in kinds.chunks(2) {
                prop_assert_eq!(pair, ["tool_executing", "tool_completed"]);
            }
        }
    }
}
