//! The twenty tests that were planned and never written: structure, security, golden path, performance and recovery.

use std::collections::BTreeSet;

use router::{AgentEvent, Config, ConnId, Effect, Input, Refusal, ToolStep, handlers::Described};

use crate::{
    simulated::{flawless, longest},
    strategic::{DISPATCHER, GLOBALS, MAKERS, ROUTER},
    structure::{competing, factories, globals, import_paths, makers, nothing, stand_ins, workspace},
    world::{FIVE, World, json},
};

#[test]
fn planned_01_one_router() {
    nothing(&competing(workspace(), "Router", &[ROUTER]));
    nothing(&competing(workspace(), "Routing", &[]));
}

#[test]
fn planned_02_one_dispatcher() {
    nothing(&competing(workspace(), "Dispatcher", &[DISPATCHER]));
    nothing(&competing(workspace(), "ToolExecutor", &[]));
}

#[test]
fn planned_03_one_queue_and_emitter() {
    nothing(&competing(workspace(), "MessageQueue", &[]));
    nothing(&competing(workspace(), "Emitter", &[]));
    // The one queue of outbound frames is the connection's own, and one function sends what is in it.
    let sends: BTreeSet<&str> = workspace()
        .iter()
        .filter(|source| source.path.starts_with("router/"))
        .filter(|source| source.made.iter().any(|made| made == "Effect::Send"))
        .map(|source| source.path.as_str())
        .collect();
    // The list of effects makes those of a fan-out itself, in the place where they stay; only the same function asks it to.
    let makers = ["router/src/audience/delivery.rs", "router/src/contract/effects.rs"];
    assert_eq!(sends.into_iter().collect::<Vec<_>>(), makers);
}

#[test]
fn planned_04_one_path() {
    for name in ["Router", "Config", "Effects", "Input", "Effect", "ConnId"] {
        let found = import_paths(workspace(), "router/src/", name);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [format!("router::{name}")]);
    }
}

#[test]
fn planned_05_private_constructors() {
    nothing(&factories(workspace(), "Router", MAKERS));
    for (made, place) in [
        ("Dispatcher", "router/src/tools/toolbox.rs"),
        ("Router", ROUTER.0),
        ("Authority", ""),
        ("Owner", "router/src/audience/mod.rs"),
        ("Sealed", "router/src/audience/mod.rs"),
    ] {
        let found = makers(workspace(), made);
        assert!(found.iter().all(|found| found == place), "{made} is made in {found:?}");
    }
}

#[test]
fn planned_06_no_global_state_and_no_stand_ins() {
    nothing(&globals(workspace(), GLOBALS));
    nothing(&stand_ins(workspace()));
}

#[test]
fn planned_07_fifty_users_on_three_tabs_each_see_their_own() {
    let played = flawless("[users]\ncount = 50\ntabs = { 3 = 1 }\n", 50);
    assert_eq!((played.planned.users, played.planned.tabs), (50, 150));
    assert_eq!(played.counts.events, 3 * played.planned.run_events);
}

#[test]
fn planned_08_a_spoofed_user_id_is_refused_at_any_depth() {
    let mut world = World::new(Config::default());
    let (tab, eve) = (world.connect("ada"), world.connect("eve"));
    let deep = format!("{}{{\"target_user_id\":\"eve\"}}{}", "[".repeat(50), "]".repeat(50));
    let spoofed = [
        r#"{"type":"chat","user_id":"eve","payload":{"content":"x"}}"#.to_owned(),
        r#"{"type":"chat","payload":{"content":"x","user_id":"eve"}}"#.to_owned(),
        r#"{"type":"chat","payload":{"content":"x","a":{"owner_user_id":"eve"}}}"#.to_owned(),
        r#"{"type":"chat","payload":{"content":"x","user\u005fid":"eve"}}"#.to_owned(),
        r#"{"type":"chat","user_id":"ada","payload":{"content":"x","b":[{"user_id":"ada"},{"user_id":"eve"}]}}"#.to_owned(),
        r#"{"type":"no such type","user_id":"eve"}"#.to_owned(),
        format!(r#"{{"type":"chat","payload":{{"content":"x","a":{deep}}}}}"#),
    ];
    for (n, frame) in (1..).zip(&spoofed) {
        world.other.clear();
        world.say(tab, frame);
        assert_eq!(world.last(tab)["error_code"], "FOREIGN_USER_ID", "{frame}");
        assert!(world.last(tab)["details"]["path"].is_string());
        assert_eq!(world.router.stats().by_code().collect::<Vec<_>>(), [("FOREIGN_USER_ID", n)]);
        let audits = world.other.iter().filter(|effect| matches!(effect, Effect::Audit(_))).count();
        assert_eq!(audits, usize::from(n == 1), "one record, the rest is suppressed and counted");
    }
    assert!(world.runs.is_empty() && world.types(eve).is_empty());
    world.say(tab, r#"{"type":"ping","user_id":"ada"}"#);
    assert_eq!(world.last(tab)["type"], "pong", "the connection lives");
}

#[test]
fn planned_09_a_foreign_thread_or_run_is_refused() {
    let mut world = World::new(Config::default());
    let (tab, eve) = (world.connect("ada"), world.connect("eve"));
    let run = world.chat(tab, "m1");
    world.agent(&run, AgentEvent::Started { agent: "a", task: "" });
    let before = world.frames(tab).len();
    let foreign = format!(r#"{{"type":"chat","thread_id":"{}","payload":{{"content":"x"}}}}"#, run.thread_id);
    world.say(eve, &foreign);
    assert_eq!(world.last(eve)["error_code"], "FOREIGN_THREAD");
    world.say(eve, &format!(r#"{{"type":"stop_agent","run_id":"{}"}}"#, run.run_id()));
    let own = world.chat(eve, "m1");
    for (key, value) in
        [("run_id", run.run_id()), ("thread_id", run.thread_id.to_string()), ("user_id", "ada".into())]
    {
        world.other.clear();
        let data = json(&format!(r#"{{"{key}":"{value}"}}"#));
        world.agent(&own, AgentEvent::Data { kind: "agent_started", data: &data });
        let refused = world.other.iter().any(
            |effect| matches!(effect, Effect::AgentRefused(refused) if refused.why == Refusal::ForeignId),
        );
        assert!(refused, "an agent of eve's says {key} {value}");
    }
    assert_eq!(world.frames(tab).len(), before, "ada hears nothing of it");
    world.agent(&run, AgentEvent::Completed { response: "done", execution_time_ms: None });
    assert_eq!(world.last(tab)["type"], "agent_completed", "and her run was not stopped");
}

#[test]
fn planned_10_two_runs_of_one_user_keep_their_ids_and_one_failure_delays_nobody() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let (a, b) = (world.chat(tab, "a"), world.chat(tab, "b"));
    for run in [&a, &b] {
        world.agent(run, AgentEvent::Started { agent: "x", task: "" });
    }
    world.agent(&a, AgentEvent::Thinking { reasoning: "of a", step: None });
    world.agent(&b, AgentEvent::Failed { code: "DOWN", message: "sorry" });
    world.agent(&a, AgentEvent::Completed { response: "of a", execution_time_ms: None });
    for (request, types) in [
        (&a, &["agent_started", "agent_thinking", "agent_completed"][..]),
        (&b, &["agent_started", "agent_error"]),
    ] {
        let own: Vec<_> =
            world.frames(tab).iter().filter(|frame| frame["run_id"] == request.run_id().as_str()).collect();
        assert_eq!(
            own.iter().map(|frame| frame["type"].as_str().unwrap_or_default()).collect::<Vec<_>>(),
            types
        );
        assert!(own.iter().all(|frame| frame["request_id"] == *request.request_id));
        let seqs: Vec<_> = own.iter().filter_map(|frame| frame["seq"].as_u64()).collect();
        assert_eq!(seqs, (1..=types.len() as u64).collect::<Vec<_>>());
    }
    assert_eq!(world.types(tab).len(), 5);
}

#[test]
fn planned_11_a_complete_run_has_five_events_and_one_tool() {
    let agent = "[agent]\ntools_per_run = { 1 = 1 }\nthinking = 1\ntool_error_share = 0\nagent_error_share = 0\ntimeout_share = 0\n";
    let played =
        flawless(&format!("[users]\ncount = 30\ntabs = {{ 1 = 1 }}\n[session]\nstop_share = 0\n{agent}"), 11);
    assert_eq!(played.counts.full_golden, played.counts.runs);
    assert_eq!(played.counts.events, 5 * played.counts.runs);
}

#[test]
fn planned_12_many_tools_parallel_tools_and_failing_tools() {
    let agent = "[agent]\ntools_per_run = { \"2..6\" = 1 }\nparallel_share = 0.5\ntool_error_share = 0.5\nagent_error_share = 0\ntimeout_share = 0\n";
    let played = flawless(&format!("[users]\ncount = 40\n[session]\nstop_share = 0\n{agent}"), 12);
    assert_eq!(played.counts.full_golden, played.counts.runs, "a failing tool ends no run");
    assert!(played.planned.with_tool_error > 0);
}

#[test]
fn planned_13_messages_during_set_up_are_held_and_handled_once_in_order() {
    let session =
        "[session]\nduring_setup = 1.0\nmessages = 1\nstop_share = 0\n[session.mix]\nuser_message = 1\n";
    let played = flawless(&format!("[users]\ncount = 40\n{session}[limits]\nready_after = \"500ms\"\n"), 13);
    assert_eq!((played.counts.runs, played.stats.inbound.duplicates), (40, 0));
    assert!(
        played.times.first_event.quantile(0.0) >= 500_000,
        "nobody is answered before the set-up is over"
    );
}

#[test]
fn planned_14_messages_pings_and_stops_are_served_during_a_run() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let first = world.chat(tab, "m1");
    world.agent(&first, AgentEvent::Started { agent: "a", task: "" });
    world.say(tab, r#"{"type":"ping"}"#);
    assert_eq!(world.last(tab)["type"], "pong");
    let second = world.chat(tab, "m2");
    assert_ne!(first.run, second.run);
    world.say(tab, &format!(r#"{{"type":"stop_agent","run_id":"{}"}}"#, first.run_id()));
    assert_eq!(world.types(tab), ["agent_started", "pong", "agent_stopped", "agent_error"]);
    assert_eq!(
        (&world.last(tab)["error_code"], &world.last(tab)["run_id"]),
        (&"CANCELLED".into(), &first.run_id().into())
    );
    world.play(&second);
    assert_eq!(world.types(tab)[4..], FIVE, "the other run goes on");
}

#[test]
fn planned_15_routing_takes_no_time_of_its_own() {
    let network = "[network]\nlatency = \"5ms..5ms\"\ndisconnect_share = 0\n";
    let sections = format!("[users]\ncount = 40\n{network}[agent]\nstart_delay = \"10ms..10ms\"\n");
    let played = flawless(&sections, 15);
    // Five there, ten until the agent starts, five back.
    assert!((20_000..=20_040).contains(&longest(&played.times.first_event)));
    assert!(longest(&played.times.answer_latency) <= 5_010);
}

#[test]
fn planned_16_overload_is_refused_and_served_again_and_bypasses_no_check() {
    let mut world = World::new(Config { rate_burst: 3, rate_per_s: 1, ..Config::default() });
    let failing = r#"{"name":"failing","accepts":["heartbeat"],"then":{"fail":"as the test wants it"}}"#;
    world.router.add_handler(Box::new(Described::from_json(failing).expect("good"))).expect("room");
    let (ada, eve) = (world.connect("ada"), world.connect("eve"));
    let answer = |world: &mut World, conn: ConnId, text: &str| {
        world.say(conn, text);
        let last = world.last(conn);
        last["error_code"].as_str().or(last["type"].as_str()).unwrap_or_default().to_owned()
    };
    let (ping, beat, spoof) =
        (r#"{"type":"ping"}"#, r#"{"type":"heartbeat"}"#, r#"{"type":"ping","user_id":"eve"}"#);
    // A handler that fails each time stays, is counted, and takes nobody with it: there is nothing to open.
    for _ in 0..3 {
        assert_eq!(answer(&mut world, ada, beat), "HANDLER_ERROR");
    }
    assert_eq!(answer(&mut world, ada, ping), "RATE_LIMITED", "closed for ada");
    assert_eq!(answer(&mut world, eve, ping), "pong", "and for nobody else");
    world.wait(1_000_000);
    assert_eq!(
        answer(&mut world, ada, spoof),
        "FOREIGN_USER_ID",
        "the first one let through is checked like any other"
    );
    assert_eq!(answer(&mut world, ada, ping), "RATE_LIMITED");
    world.wait(10_000_000);
    for _ in 0..3 {
        assert_eq!(answer(&mut world, ada, ping), "pong", "open again");
    }
    assert_eq!(world.router.stats().inbound.handler_errors, 3);
}

#[test]
fn planned_17_a_reconnect_in_mid_run_replays_without_gap_or_duplicate() {
    let network = "[network]\ndisconnect_share = 1\nreconnect_outage = \"200ms..1s\"\n";
    let played = flawless(&format!("[users]\ncount = 40\n[session]\nstop_share = 0\n{network}"), 17);
    assert_eq!((played.counts.reconnects, played.counts.gaps), (played.planned.disconnects, 0));
    assert!(played.counts.recovered > 0);
    assert!(longest(&played.times.resume) <= 3_000_000);
}

#[test]
fn planned_18_a_slow_reader_is_bounded_and_holds_nobody_else() {
    let slow = "[slow_reader]\nshare = 0.5\nstall = \"5s\"\nstalls = \"1..3\"\n";
    let played = flawless(&format!("[users]\ncount = 40\ntabs = {{ 1 = 1, 2 = 1 }}\n{slow}"), 18);
    assert!(played.planned.stalls > 0);
    assert_eq!(played.stats.connections.slow, 0, "none was so slow that it had to go");
}

#[test]
fn planned_19_a_burst_of_twenty_five_events_at_ten_times_the_rate() {
    let agent = "[agent]\ntools_per_run = { 1 = 1 }\nthinking = 21\nthinking_gap = \"0s..5ms\"\ntool_scale = 0.01\ntool_error_share = 0\nagent_error_share = 0\ntimeout_share = 0\n";
    let session = "[session]\nthink_time = \"0s..50ms\"\nstop_share = 0\n";
    let users = "[users]\ncount = 30\ntabs = { 1 = 1, 2 = 1 }\n[users.arrival]\ndistribution = \"at_once\"\n";
    let played = flawless(&format!("{users}{session}{agent}[network]\ndisconnect_share = 0\n"), 19);
    assert_eq!(played.planned.run_events, 25 * played.planned.runs);
    assert_eq!(played.counts.full_golden, played.counts.runs);
}

#[test]
fn planned_20_after_a_long_soak_everything_is_at_its_baseline() {
    let mut world = World::new(Config { recovery_ttl_us: 1_000_000, dedupe_ttl_us: 1, ..Config::default() });
    world.router.add_tool("look", "");
    soak(&mut world, 0..60);
    let baseline = world.router.sizes();
    soak(&mut world, 60..1_000);
    assert_eq!(world.router.sizes(), baseline, "no table grows with those who are gone");
    let stats = world.router.stats();
    assert_eq!((stats.connections.users, stats.connections.open, stats.runs.open), (0, 0, 0));
    assert_eq!((stats.tools.active, stats.tools.in_flight, stats.events.waiting), (0, 0, 0));
    assert_eq!((world.router.timers_len(), stats.runs.started), (0, 1_000));
}

/// Visits that end in every way, each by one of twenty users; then time for everything to be given up.
fn soak(world: &mut World, visits: std::ops::Range<u32>) {
    let parameters = json("{}");
    for n in visits {
        let tab = world.connect(&format!("user-{}", n % 20));
        world.say(tab, r#"{"type":"subscribe","topic":"quality"}"#);
        let run = world.chat(tab, &format!("m{n}"));
        world.agent(&run, AgentEvent::Started { agent: "a", task: "" });
        let step = ToolStep::Call { call: "c", run_id: None, tool: "look", parameters: &parameters };
        world.input(Input::Tool { run: run.run, step });
        match n % 4 {
            0 => world.agent(&run, AgentEvent::Failed { code: "X", message: "" }),
            1 => world.say(tab, r#"{"type":"stop_agent"}"#),
            2 => world.wait(61_000_000),
            _ => {} // goes on while nobody looks
        }
        world.input(Input::Closed { conn: tab });
        world.runs.clear();
        (world.received, world.other) = Default::default();
    }
    world.wait(600_000_000);
}
