//! The mission-critical suite of agent events: each of its 42 tests in its strong form. Where it was content with 60 to
//! 80 % of the cases, it is all of them here.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use router::{
    AgentEvent, Config, Connect, Context, Effect, Input, Instant, RunRequest, Ticket, ToolStatus,
    handlers::ReadyStatus,
};
use serde_json::{Value, json};

use crate::{
    callers::callers,
    fragmentation::judged,
    simulated::{flawless, longest},
    sockets::{Client, TestServer, chat, five, kinds},
    world::{self, FIVE, World},
};

/// The five events of one run, over a real socket; the request was `hello`.
async fn golden() -> Vec<Value> {
    let server = five().await;
    let mut client = server.login("ada").await;
    client.send(chat("m1", "hello")).await;
    client.until("agent_completed").await
}

/// An event has exactly the members of every critical event and its own, and none is null.
fn shaped(event: &Value, kind: &str, own: &[&str]) {
    let common = [
        "type",
        "user_id",
        "thread_id",
        "run_id",
        "request_id",
        "timestamp",
        "agent_name",
        "critical",
        "seq",
        "cursor",
        "metadata",
    ];
    let expected: BTreeSet<&str> = common.iter().chain(own).copied().collect();
    let members = event.as_object().expect("an object");
    assert_eq!(members.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    assert!(members.values().all(|value| !value.is_null()), "{event}");
    assert_eq!(
        (&event["type"], &event["user_id"], &event["critical"]),
        (&json!(kind), &json!("ada"), &json!(true))
    );
}

#[test]
fn notifier_all_methods() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let value = world::json("{}");
    let done = |call| AgentEvent::ToolCompleted {
        call,
        status: ToolStatus::Completed,
        results: &value,
        duration_ms: 1,
    };
    // Everything an agent can say, each reaching the client under its own type.
    let run = world.chat(tab, "m1");
    let said: [(AgentEvent<'_>, &str); 7] = [
        (AgentEvent::Started { agent: "a", task: "t" }, "agent_started"),
        (AgentEvent::Thinking { reasoning: "r", step: None }, "agent_thinking"),
        (AgentEvent::Progress { data: &value }, "progress_update"),
        (AgentEvent::ToolExecuting { call: "c", tool: "t", parameters: &value }, "tool_executing"),
        (done("c"), "tool_completed"),
        (AgentEvent::Data { kind: "final_report", data: &value }, "final_report"),
        (AgentEvent::Completed { response: "r", execution_time_ms: None }, "agent_completed"),
    ];
    for (event, kind) in said {
        world.agent(&run, event);
        assert_eq!(world.last(tab)["type"], kind);
    }
    for (end, kind) in [
        (AgentEvent::Failed { code: "X", message: "sorry" }, "agent_error"),
        (AgentEvent::Data { kind: "agent_death", data: &value }, "agent_death"),
    ] {
        let run = world.chat(tab, kind);
        world.agent(&run, AgentEvent::Started { agent: "a", task: "" });
        world.agent(&run, end);
        assert_eq!(world.last(tab)["type"], kind);
    }
    assert_eq!(world.router.stats().events.refused, 0);
}

#[tokio::test]
async fn real_connection_established() {
    let server = TestServer::start().await;
    let mut client = server.login("ada").await;
    client.send(r#"{"type":"ping"}"#).await;
    assert_eq!(client.json().await["type"], "pong");
}

#[tokio::test]
async fn tool_dispatcher_integration() {
    let (server, ran) = callers().await;
    let mut client = server.login("ada").await;
    client.send(chat("m1", "1")).await;
    let frames = client.until("agent_completed").await;
    assert_eq!(kinds(&frames), ["agent_started", "tool_executing", "tool_completed", "agent_completed"]);
    assert_eq!((ran.load(Ordering::Relaxed), server.handle.stats().tools.created), (1, 1));
}

#[tokio::test]
async fn agent_registry_integration() {
    let server = five().await;
    let (mut ada, mut eve) = (server.login("ada").await, server.login("eve").await);
    ada.send(chat("m1", "wait for ada")).await;
    ada.until("agent_started").await;
    eve.send(chat("m1", "hello")).await;
    assert_eq!(eve.until("agent_completed").await.len(), 5, "the same message id is another user's own");
    let runs = server.handle.stats().runs;
    assert_eq!((runs.started, runs.completed, runs.open), (2, 1, 1));
    ada.send(r#"{"type":"stop_agent"}"#).await;
    ada.until("agent_error").await;
    assert_eq!(server.handle.stats().runs.open, 0);
}

#[tokio::test]
async fn agent_started_structure() {
    let events = golden().await;
    shaped(&events[0], "agent_started", &["status", "task_description"]);
    assert_eq!((&events[0]["status"], &events[0]["task_description"]), (&json!("started"), &json!("hello")));
    assert_eq!(events[0]["agent_name"], "five");
}

#[tokio::test]
async fn agent_thinking_structure() {
    let events = golden().await;
    shaped(&events[1], "agent_thinking", &["reasoning", "step_number"]);
    assert_eq!((&events[1]["reasoning"], &events[1]["step_number"]), (&json!("hello"), &json!(1)));
}

#[tokio::test]
async fn tool_executing_structure() {
    let events = golden().await;
    shaped(&events[2], "tool_executing", &["tool_call_id", "tool_name", "parameters", "status"]);
    assert_eq!((&events[2]["tool_name"], &events[2]["parameters"]), (&json!("t"), &json!({})));
    assert_eq!(events[2]["status"], "executing");
}

#[tokio::test]
async fn tool_completed_structure() {
    let events = golden().await;
    shaped(
        &events[3],
        "tool_completed",
        &["tool_call_id", "tool_name", "results", "duration", "success", "status"],
    );
    assert_eq!((&events[3]["results"], &events[3]["duration"]), (&json!({}), &json!(1)));
    assert_eq!((&events[3]["success"], &events[3]["status"]), (&json!(true), &json!("completed")));
    assert_eq!(events[3]["tool_call_id"], events[2]["tool_call_id"]);
}

#[tokio::test]
async fn agent_completed_structure() {
    let events = golden().await;
    shaped(&events[4], "agent_completed", &["status", "final_response"]);
    assert_eq!((&events[4]["status"], &events[4]["final_response"]), (&json!("completed"), &json!("hello")));
}

#[tokio::test]
async fn complete_sequence() {
    let server = five().await;
    let mut client = server.login("ada").await;
    client.send(chat("m1", "hello")).await;
    let events = client.until("agent_completed").await;
    assert_eq!(kinds(&events), FIVE);
    assert!(judged(&events).full_golden);
    client.send(r#"{"type":"ping"}"#).await;
    assert_eq!(client.json().await["type"], "pong", "exactly five");
}

#[test]
fn timing_latency() {
    let played = flawless("[users]\ncount = 60\n[network]\ndisconnect_share = 0\n", 11);
    // The network's own delay is 20 ms at most; the legacy limit was 100 ms.
    assert!(longest(&played.times.event_latency) <= 20_020);
}

/// All orders of five reports.
fn orders() -> Vec<[usize; 5]> {
    let mut all = vec![vec![]];
    for _ in 0..5 {
        let longer = |order: Vec<usize>| {
            let rest: Vec<usize> = (0..5).filter(|n| !order.contains(n)).collect();
            rest.into_iter().map(move |n| [&order[..], &[n]].concat())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    all.into_iter().map(|order| order.try_into().expect("five")).collect()
}

#[test]
fn out_of_order_handling() {
    let value = world::json("{}");
    let reports = [
        AgentEvent::Started { agent: "a", task: "" },
        AgentEvent::Thinking { reasoning: "", step: None },
        AgentEvent::ToolExecuting { call: "c", tool: "t", parameters: &value },
        AgentEvent::ToolCompleted {
            call: "c",
            status: ToolStatus::Completed,
            results: &value,
            duration_ms: 1,
        },
        AgentEvent::Completed { response: "", execution_time_ms: None },
    ];
    let mut flawless = Vec::new();
    for order in orders() {
        let mut world = World::new(Config::default());
        let tab = world.connect("ada");
        let run = world.chat(tab, "m1");
        for at in order {
            world.agent(&run, reports[at]);
        }
        let frames = &world.frames(tab)[1..];
        assert!(judged(frames).well_formed, "{order:?} came out as {:?}", world.types(tab));
        assert_eq!(frames.len() as u64 + world.router.stats().events.refused, 5, "each is sent or refused");
        if frames.len() == 5 {
            flawless.push(order);
        }
    }
    // Started first, completed last, the tool's end after its start: thinking may stand in three places.
    assert_eq!(flawless, [[0, 1, 2, 3, 4], [0, 2, 1, 3, 4], [0, 2, 3, 1, 4]]);
}

#[tokio::test]
async fn real_agent_events() {
    let server = TestServer::start().await;
    let mut client = server.login("ada").await;
    for n in 0..10 {
        client.send(chat(&format!("m{n}"), "hello")).await;
        let frames = client.until("agent_completed").await;
        assert!(judged(&frames).complete, "run {n}");
    }
}

#[tokio::test]
async fn e2e_conversation() {
    let server = five().await;
    let mut client = server.login("ada").await;
    let mut threads = BTreeSet::new();
    for n in 0..5 {
        let text = format!("turn {n}");
        client.send(chat(&format!("m{n}"), &text)).await;
        let frames = client.until("agent_completed").await;
        assert_eq!((kinds(&frames), &frames[4]["final_response"]), (FIVE.to_vec(), &json!(text)));
        threads.extend(frames.iter().map(|frame| frame["thread_id"].to_string()));
    }
    assert_eq!(threads.len(), 1, "one conversation");
}

#[test]
fn comprehensive_flow() {
    let played = flawless("[users]\ncount = 100\n", 1);
    assert!(
        played.counts.full_golden > 0 && played.planned.agent_errors > 0,
        "with a few of everything that goes wrong"
    );
}

#[tokio::test]
async fn concurrent_connections() {
    let server = five().await;
    let mut clients = Vec::new();
    for n in 0..50 {
        clients.push(server.login(&format!("user-{}", n / 2)).await);
    }
    assert_eq!(server.handle.connections(), 50);
    for client in &mut clients {
        client.send(r#"{"type":"ping"}"#).await;
    }
    for client in &mut clients {
        assert_eq!(client.json().await["type"], "pong");
    }
    assert_eq!(server.handle.stats().connections.refused, 0);
}

#[test]
fn error_handling() {
    let agent = "[agent]\nagent_error_share = 0.5\ntimeout_share = 0.2\ntool_error_share = 0.5\n";
    let played = flawless(&format!("[users]\ncount = 40\n{agent}"), 5);
    assert!(
        played.planned.agent_errors > 0 && played.planned.timed_out > 0 && played.planned.with_tool_error > 0
    );
    let runs = played.stats.runs;
    assert_eq!((runs.failed, runs.timed_out), (played.planned.agent_errors, played.planned.timed_out));
}

#[tokio::test]
async fn performance_metrics() {
    let server = five().await;
    for user in ["ada", "bob", "eve"] {
        let mut client = server.login(user).await;
        for id in ["m1", "m2"] {
            client.send(chat(id, "hello")).await;
            client.until("agent_completed").await;
        }
    }
    let stats = server.handle.stats();
    assert_eq!((stats.inbound.received, stats.runs.completed, stats.events.offered), (6, 6, 30));
    let metrics = server.get("/metrics").await;
    assert!(metrics.contains("goldenpath_handler_messages_total{handler=\"chat\"} 6"), "{metrics}");
}

/// Sees the first event of a run, loses the connection without a word, and comes back with its cursor.
async fn lost_and_back(server: &TestServer, user: &str) -> Vec<Value> {
    let mut client = server.login(user).await;
    client.send(chat("m1", "hello")).await;
    let mut frames = vec![client.json().await];
    drop(client);
    server.empty().await;
    let cursor = &frames[0]["cursor"];
    let mut client = server.login_with(user, &format!("?resume={cursor}")).await;
    frames.extend(client.until("agent_completed").await);
    frames
}

#[tokio::test]
async fn resilience_and_recovery() {
    let server = five().await;
    for n in 0..10 {
        let frames = lost_and_back(&server, &format!("user-{n}")).await;
        assert_eq!(kinds(&frames), FIVE, "user {n}");
    }
}

#[test]
fn random_disconnect_recovery() {
    for seed in 1..=5 {
        let played = flawless("[users]\ncount = 20\n[network]\ndisconnect_share = 0.5\n", seed);
        assert!(played.planned.disconnects > 0);
        assert_eq!(played.counts.reconnects, played.planned.disconnects, "seed {seed}: each came back");
    }
}

#[tokio::test]
async fn rapid_reconnection_stress() {
    let server = five().await;
    let (mut cursor, mut seen) = (0, Vec::new());
    for n in 0..30 {
        let mut client: Client<_> = server.login_with("ada", &format!("?resume={cursor}")).await;
        // What was missed comes first.
        while seen.len() < 5 * n {
            let frame = client.json().await;
            cursor = frame["cursor"].as_u64().expect("a cursor");
            seen.push(cursor);
        }
        client.send(chat(&format!("m{n}"), "hello")).await;
        for _ in 0..n % 5 {
            let frame = client.json().await;
            cursor = frame["cursor"].as_u64().expect("a cursor");
            seen.push(cursor);
        }
        drop(client);
        server.empty().await;
    }
    let mut client = server.login_with("ada", &format!("?resume={cursor}")).await;
    while seen.len() < 150 {
        seen.push(client.json().await["cursor"].as_u64().expect("a cursor"));
    }
    assert_eq!(seen, (1..=150).collect::<Vec<_>>(), "each event once, in order, over thirty-one connections");
}

#[test]
fn message_loss_during_reconnection() {
    for cut in 0..=5 {
        let mut world = World::new(Config::default());
        let tab = world.connect("ada");
        let run = world.chat(tab, "m1");
        let mut reports = five_reports();
        for report in reports.drain(..cut) {
            report(&mut world, &run);
        }
        world.input(Input::Closed { conn: tab });
        for report in reports {
            report(&mut world, &run);
        }
        let resume = Connect { resume: Some(cut as u64), ..Connect::new(Ticket(0), "ada") };
        let back = world.connect_with(resume).expect("accepted");
        assert_eq!([world.types(tab), world.types(back)].concat(), FIVE, "lost after {cut}");
    }
}

type Report = fn(&mut World, &RunRequest);

fn five_reports() -> Vec<Report> {
    vec![
        |world, run| world.agent(run, AgentEvent::Started { agent: "a", task: "" }),
        |world, run| world.agent(run, AgentEvent::Thinking { reasoning: "r", step: None }),
        |world, run| {
            let parameters = &world::json("{}");
            world.agent(run, AgentEvent::ToolExecuting { call: "c", tool: "t", parameters });
        },
        |world, run| {
            let (results, status) = (&world::json("{}"), ToolStatus::Completed);
            world.agent(run, AgentEvent::ToolCompleted { call: "c", status, results, duration_ms: 1 });
        },
        |world, run| world.agent(run, AgentEvent::Completed { response: "r", execution_time_ms: None }),
    ]
}

#[test]
fn isolation_of_10_plus_users() {
    let played = flawless("[users]\ncount = 15\ntabs = { 2 = 1 }\n", 10);
    assert_eq!(played.counts.users, 15);
    let mut world = World::new(Config::default());
    for n in 0..15 {
        let tab = world.connect(&format!("user-{n}"));
        world.chat(tab, "m1");
    }
    let distinct =
        |of: &dyn Fn(&RunRequest) -> String| world.runs.iter().map(of).collect::<BTreeSet<_>>().len();
    assert_eq!(distinct(&|run| run.user.to_string()), 15);
    assert_eq!(distinct(&|run| run.thread_id.to_string()), 15, "a thread of its own for everybody");
    assert_eq!(distinct(&|run| run.run_id()), 15);
}

#[test]
fn concurrent_user_performance_impact() {
    let latency = |users: u32| {
        let network =
            "[network]\nlatency = \"5ms..5ms\"\ndisconnect_share = 0\n[users.arrival]\nover = \"1s\"\n";
        longest(&flawless(&format!("[users]\ncount = {users}\n{network}"), 24).times.event_latency)
    };
    assert_eq!(latency(1), latency(150), "in virtual time nobody waits for anybody");
}

#[test]
fn high_throughput_connections() {
    let arrival = "[users.arrival]\ndistribution = \"at_once\"\n[network]\nlatency = \"5ms..5ms\"\n";
    let played = flawless(&format!("[users]\ncount = 200\n{arrival}[session]\nmessages = 1\n"), 25);
    assert_eq!(played.stats.connections.refused, 0);
    let connect = longest(&played.times.connect);
    assert!((20_000..=20_040).contains(&connect), "twice there and back, for everybody: {connect}");
}

#[test]
fn connection_stability() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    for _ in 0..144 {
        world.wait(25_000_000);
        world.input(Input::Pong { conn: tab });
    }
    assert!(world.closed.is_empty(), "an hour of silence, each heartbeat answered");
    assert_eq!(world.router.stats().connections.heartbeats, 144);
    let run = world.chat(tab, "m1");
    world.play(&run);
    assert_eq!(world.types(tab)[144..], FIVE);
}

#[tokio::test]
async fn comprehensive_content() {
    let events = golden().await;
    let mut before = String::new();
    for event in &events {
        assert_eq!(event["metadata"], json!({"user_tier": "free", "is_priority_queue": false}));
        assert!(
            ["user_id", "thread_id", "run_id", "request_id", "agent_name"].iter().all(|id| event[id] != "")
        );
        let at = event["timestamp"].as_str().expect("a time").to_owned();
        assert!((at.len(), at.ends_with('Z')) == (27, true) && at >= before, "{at} after {before}");
        before = at;
    }
}

#[test]
fn latency_performance() {
    let network = "[network]\nlatency = \"1ms..20ms\"\ndisconnect_share = 0\n";
    let played = flawless(&format!("[users]\ncount = 60\ntabs = {{ 1 = 1, 3 = 1 }}\n{network}"), 28);
    for times in [&played.times.event_latency, &played.times.answer_latency, &played.times.fan_out_last] {
        assert!((times.quantile(0.5), times.quantile(0.95)) <= (20_020, 20_020));
        assert!(longest(times) <= 20_020, "the network's own 20 ms, where 200 ms were allowed");
    }
}

#[test]
fn reconnection_within_3_s() {
    let network = "[network]\ndisconnect_share = 0.5\nreconnect_outage = \"500ms..20s\"\n";
    let played = flawless(&format!("[users]\ncount = 40\n[session]\nstop_share = 0\n{network}"), 29);
    assert!(played.counts.recovered > 0 && played.counts.gaps == 0);
    assert!(longest(&played.times.resume) <= 3_000_000);
}

#[tokio::test]
async fn concurrent_users() {
    let server = five().await;
    let mut clients = Vec::new();
    for n in 0..20 {
        clients.push(server.login(&format!("user-{n}")).await);
    }
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(chat("m1", &format!("of user-{n}"))).await;
    }
    for (n, client) in clients.iter_mut().enumerate() {
        let frames = client.until("agent_completed").await;
        assert_eq!(
            (kinds(&frames), &frames[4]["final_response"]),
            (FIVE.to_vec(), &json!(format!("of user-{n}")))
        );
    }
}

#[test]
fn malformed_events() {
    let mix = "[session.mix]\nuser_message = 50\nmalformed = 50\n";
    let played = flawless(&format!("[users]\ncount = 40\n{mix}"), 31);
    assert!(played.planned.malformed > 100);
    assert_eq!(
        played.stats.inbound.rejected, played.planned.malformed,
        "each was refused, and its connection lived"
    );
}

#[tokio::test]
async fn burst() {
    let server = five().await;
    let mut client = server.login("ada").await;
    for n in 0..5 {
        client.send(chat(&format!("m{n}"), "hello")).await;
    }
    let mut frames = Vec::new();
    while frames.len() < 25 {
        frames.push(client.json().await);
    }
    for n in 0..5 {
        let of = |frame: &&Value| frame["request_id"] == format!("m{n}").as_str();
        let own: Vec<Value> = frames.iter().filter(of).cloned().collect();
        assert_eq!(kinds(&own), FIVE, "run {n}, each in its own order");
    }
    let cursors: Vec<_> = frames.iter().filter_map(|frame| frame["cursor"].as_u64()).collect();
    assert_eq!(cursors, (1..=25).collect::<Vec<_>>());
}

#[test]
fn ordering_under_load() {
    let session = "[session]\nmessages = \"30..40\"\nthink_time = \"0s..50ms\"\nthreads = \"1..4\"\n";
    let agent =
        "[agent]\nthinking_gap = \"50ms..500ms\"\ntool_scale = 0.2\n[limits]\nagent_deadline = \"20s\"\n";
    let users = "[users]\ncount = 40\n[users.arrival]\ndistribution = \"at_once\"\n";
    let played = flawless(&format!("{users}{session}{agent}"), 33);
    assert!(played.counts.runs > 1_000);
}

#[test]
fn cross_user_isolation_extreme() {
    let users = "[users]\ncount = 80\ntabs = { \"2..6\" = 1 }\n[users.arrival]\ndistribution = \"at_once\"\n";
    let network =
        "[network]\ndisconnect_share = 0.3\n[slow_reader]\nshare = 0.3\nstall = \"3s\"\nstalls = 1\n";
    let played = flawless(&format!("{users}[session]\nthreads = \"1..3\"\n{network}"), 34);
    assert!(played.counts.reconnects > 0 && played.planned.stalls > 0);
}

#[test]
fn registry_manager() {
    let mut world = World::new(Config::default());
    let (ada, _) = (world.connect("ada"), world.connect("eve"));
    let run = world.chat(ada, "m1");
    let listed = |world: &World, user: &str| world.router.find_run(user, &run.run_id());
    assert_eq!(
        (listed(&world, "ada"), listed(&world, "eve")),
        (Some(run.run), None),
        "a run is its owner's alone"
    );
    world.play(&run);
    assert_eq!(
        (listed(&world, "ada"), world.router.run_state(run.run)),
        (None, None),
        "and goes with its end"
    );
}

#[test]
fn engine_notifier() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    world.play(&run);
    let other = world.chat(tab, "m2");
    assert_eq!(
        (other.run.index(), other.run.generation()),
        (run.run.index(), run.run.generation() + 1),
        "the slot again"
    );
    let before = world.frames(tab).len();
    world.other.clear();
    world.agent(&run, AgentEvent::Started { agent: "late", task: "" });
    assert_eq!(world.frames(tab).len(), before, "an engine cannot speak for a later run by an old handle");
    assert!(world.other.iter().any(|effect| matches!(effect, Effect::AgentRefused(_))));
}

#[test]
fn unified_manager() {
    let mut world = World::new(Config::default());
    let open = |world: &World, user: &str| {
        world.router.for_user(user, Context::default()).connections(world.now, false).len()
    };
    assert_eq!((open(&world, "ada"), open(&world, "eve")), (0, 0), "nobody at first");
    let tab = world.connect("ada");
    world.connect("ada");
    assert_eq!((open(&world, "ada"), open(&world, "eve")), (2, 0));
    let handles = ["ada", "eve"].map(|user| world.router.for_user(user, Context::default()).owns(tab));
    assert_eq!(handles, [true, false]);
    world.input(Input::Closed { conn: tab });
    assert_eq!(open(&world, "ada"), 1);
}

#[test]
fn bridge_coordination() {
    let mut world = World::new(Config { ready_grace_us: 1_000, ..Config::default() });
    world.input(Input::Tick);
    assert_eq!(world.router.readiness(world.now).status, ReadyStatus::Initializing);
    world.wait(1_000);
    let ready = world.router.readiness(world.now);
    assert_eq!((ready.status, ready.missing.len()), (ReadyStatus::Ready, 0));
    assert_eq!(world.router.readiness(Instant::from_micros(0)).status, ReadyStatus::Ready, "and it stays so");
}

#[tokio::test]
async fn enhanced_tool_execution_wrapping() {
    let (server, ran) = callers().await;
    let mut client = server.login("ada").await;
    client.send(chat("m1", "3")).await;
    let frames = client.until("agent_completed").await;
    assert!(judged(&frames).complete);
    let calls = |kind: &str| -> BTreeSet<String> {
        frames
            .iter()
            .filter(|frame| frame["type"] == kind)
            .map(|frame| frame["tool_call_id"].to_string())
            .collect()
    };
    assert_eq!(calls("tool_executing").len(), 3);
    assert_eq!((calls("tool_completed"), ran.load(Ordering::Relaxed)), (calls("tool_executing"), 3));
}

#[tokio::test]
async fn agent_response_value() {
    let (server, _) = callers().await;
    let mut client = server.login("ada").await;
    for (below, sum) in [("1", "0"), ("4", "14"), ("10", "285")] {
        client.send(chat(below, below)).await;
        let frames = client.until("agent_completed").await;
        assert_eq!(
            frames.last().map(|frame| &frame["final_response"]),
            Some(&json!(sum)),
            "the right answer"
        );
    }
}

#[test]
fn multi_agent_value() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let first = world.chat(tab, "m1");
    let second = world.chat(tab, "m2");
    assert_eq!(first.thread_id, second.thread_id, "one hands over to the other within a thread");
    for (run, agent) in [(&first, "triage"), (&second, "optimizer")] {
        world.agent(run, AgentEvent::Started { agent, task: "" });
        for report in &five_reports()[1..] {
            report(&mut world, run);
        }
    }
    let names: Vec<&str> =
        world.frames(tab)[1..].iter().filter_map(|frame| frame["agent_name"].as_str()).collect();
    assert_eq!(names, [["triage"; 5], ["optimizer"; 5]].concat());
}

#[tokio::test]
async fn tool_integration_value() {
    let (server, ran) = callers().await;
    let mut client = server.login("ada").await;
    client.send(chat("m1", "8")).await;
    let frames = client.until("agent_completed").await;
    let outputs: BTreeSet<u64> = frames
        .iter()
        .filter(|frame| frame["type"] == "tool_completed")
        .filter_map(|frame| frame["results"]["output"].as_str()?.parse().ok())
        .collect();
    assert_eq!(outputs, (0..8).map(|n| n * n).collect(), "as many results as executions, and each its own");
    assert_eq!(ran.load(Ordering::Relaxed), 8);
}
