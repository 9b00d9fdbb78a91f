use router::{AgentEvent, CancelReason, Config, Connect, Effect, Input, Ticket, ToolStatus};

use crate::harness::{FIVE, World, json};

#[test]
fn five_events_reach_every_tab_in_order_and_nobody_else() {
    let mut world = World::new(Config::default());
    let (tab1, tab2, eve) = (world.connect("ada"), world.connect("ada"), world.connect("eve"));
    let run = world.chat(tab1, "m1");
    world.play(&run);
    for tab in [tab1, tab2] {
        assert_eq!(world.types(tab), FIVE);
        let events = &world.frames(tab)[1..];
        for (n, event) in events.iter().enumerate() {
            assert_eq!(event["seq"], n as u64 + 1);
            assert_eq!(event["cursor"], n as u64 + 1);
            assert_eq!(event["user_id"], "ada");
            assert_eq!(event["run_id"], run.run_id());
            assert_eq!(event["request_id"], "m1");
            assert_eq!(event["agent_name"], "triage");
            assert_eq!(event["critical"], true);
            assert_eq!(event["metadata"]["user_tier"], "free");
        }
        assert_eq!(events[3]["success"], true);
        assert_eq!(events[3]["duration"], 5);
        assert_eq!(events[4]["final_response"], "done");
    }
    assert!(world.types(eve).is_empty());
    assert_eq!(world.router.stats().frames.encoded, 3 + 5, "a welcome each, and each event once");
}

#[test]
fn illegal_reports_are_refused_and_named() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    let value = json("{}");
    world.agent(&run, AgentEvent::Thinking { reasoning: "early", step: None });
    world.agent(&run, AgentEvent::Started { agent: "a", task: "" });
    world.agent(&run, AgentEvent::Started { agent: "a", task: "" });
    world.agent(
        &run,
        AgentEvent::ToolCompleted {
            call: "x",
            status: ToolStatus::Completed,
            results: &value,
            duration_ms: 0,
        },
    );
    world.agent(&run, AgentEvent::ToolExecuting { call: "x", tool: "t", parameters: &value });
    world.agent(&run, AgentEvent::Completed { response: "", execution_time_ms: None });
    let rules: Vec<_> = world.router.stats().by_rule().collect();
    assert_eq!(rules, [("run.R1", 1), ("run.R2", 1), ("run.R3", 1), ("run.R4", 1)]);
    assert_eq!(world.types(tab), ["agent_started", "tool_executing"]);
}

#[test]
fn failure_closes_open_tools_first() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    let value = json("{}");
    world.agent(&run, AgentEvent::Started { agent: "a", task: "" });
    for call in ["x", "y"] {
        world.agent(&run, AgentEvent::ToolExecuting { call, tool: call, parameters: &value });
    }
    world.agent(&run, AgentEvent::Failed { code: "MODEL_DOWN", message: "sorry" });
    let types = world.types(tab);
    assert_eq!(types[3..], ["tool_completed", "tool_completed", "agent_error"]);
    assert_eq!(world.frames(tab)[4]["status"], "cancelled");
    assert_eq!(world.last(tab)["error_code"], "MODEL_DOWN");
}

#[test]
fn stop_ends_the_runs_of_the_thread_and_their_agents() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    world.say(tab, r#"{"type":"user_message","thread_id":"other","payload":{"content":"x"}}"#);
    let other = world.runs[1].clone();
    let stop = format!(r#"{{"type":"stop_agent","thread_id":"{}"}}"#, run.thread_id);
    world.say(tab, &stop);
    assert_eq!(world.types(tab), ["agent_stopped", "agent_started", "agent_error"]);
    assert_eq!(world.last(tab)["error_code"], "CANCELLED");
    assert!(world.other.iter().any(|effect| matches!(
        effect,
        Effect::CancelRun { run: cancelled, reason: CancelReason::Stopped } if *cancelled == run.run
    )));
    world.play(&other);
    assert_eq!(world.types(tab)[3..], FIVE);
    world.agent(&run, AgentEvent::Thinking { reasoning: "late", step: None });
    assert_eq!(world.types(tab).len(), 8, "nothing after a terminal event");
}

#[test]
fn a_silent_agent_is_ended_by_its_deadline() {
    let mut world = World::new(Config { agent_deadline_us: 1_000_000, ..Config::default() });
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    world.agent(&run, AgentEvent::Started { agent: "a", task: "" });
    world.wait(999_999);
    assert_eq!(world.types(tab), ["agent_started"]);
    world.wait(1);
    assert_eq!(world.last(tab)["error_code"], "TIMEOUT");
    assert_eq!(world.router.stats().runs.timed_out, 1);
}

#[test]
fn messages_during_set_up_wait_and_keep_their_order() {
    let mut world = World::new(Config { ready_after_us: 50_000, ..Config::default() });
    let tab = world.connect("ada");
    for text in ["one", "two"] {
        world.say(tab, &format!(r#"{{"type":"chat","payload":{{"content":"{text}"}}}}"#));
    }
    assert_eq!((world.runs.len(), world.router.stats().inbound.held), (0, 2));
    world.wait(50_000);
    let texts: Vec<_> = world.runs.iter().map(|run| run.text()).collect();
    assert_eq!(texts, ["one", "two"]);
}

#[test]
fn a_repeated_message_id_starts_no_second_run() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    world.chat(tab, "m1");
    assert_eq!(world.runs.len(), 1);
    assert_eq!(world.last(tab)["status"], "duplicate");
    assert_eq!(world.last(tab)["run_id"], run.run_id());
}

#[test]
fn a_thread_filter_holds_back_other_threads_only() {
    let mut world = World::new(Config::default());
    let all = world.connect("ada");
    let connect = Connect { thread: Some("t1"), ..Connect::new(Ticket(0), "ada") };
    let one = world.connect_with(connect).expect("accepted");
    for thread in ["t1", "t2"] {
        world.say(all, &format!(r#"{{"type":"chat","thread_id":"{thread}","payload":{{"content":"x"}}}}"#));
        let run = world.runs.last().cloned().expect("run");
        world.play(&run);
    }
    assert_eq!(world.types(all).len(), 10);
    assert_eq!(world.types(one), FIVE);
}

#[test]
fn drain_refuses_new_work_and_finishes_the_old() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    world.input(Input::Drain);
    world.say(tab, r#"{"type":"chat","payload":{"content":"late"}}"#);
    assert_eq!(world.last(tab)["error_code"], "SHUTTING_DOWN");
    assert!(world.connect_with(Connect::new(Ticket(0), "eve")).is_none());
    world.play(&run);
    assert_eq!(world.closed[&tab].code(), 1001);
    world.input(Input::Closed { conn: tab });
    assert!(world.other.iter().any(|effect| matches!(effect, Effect::Drained)));
}

#[test]
fn drain_ends_what_is_left_at_its_deadline() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    world.chat(tab, "m1");
    world.input(Input::Drain);
    world.wait(30_000_000);
    assert_eq!(world.last(tab)["error_code"], "SHUTDOWN");
    assert_eq!(world.closed[&tab].code(), 1001);
}

#[test]
fn a_drain_at_its_deadline_still_flushes_what_it_ended() {
    let mut world = World::new(Config { socket_window_frames: 4, ..Config::default() });
    let tab = world.connect("ada");
    for n in 0..16 {
        world.chat(tab, &format!("m{n}"));
    }
    world.input(Input::Drain);
    world.wait(30_000_000);
    let errors = world.types(tab).iter().filter(|kind| **kind == "agent_error").count();
    assert_eq!((errors, world.closed[&tab].code()), (16, 1001));
    assert_eq!(world.router.stats().frames.dropped, 0);
}

#[test]
fn without_agents_a_patient_client_is_told_and_kept() {
    let mut world = World::new(Config { agents_available: false, ..Config::default() });
    let tab = world.connect("ada");
    for n in 0..30 {
        world.say(tab, &format!(r#"{{"type":"chat","message_id":"m{n}","payload":{{"content":"x"}}}}"#));
    }
    assert_eq!(world.last(tab)["error_code"], "AGENT_UNAVAILABLE");
    assert!(world.closed.is_empty());
    assert_eq!(world.router.stats().inbound.unhandled, 30);
}

#[test]
fn names_and_calls_of_agents_are_bounded() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    let (long, value) = ("n".repeat(1_000_000), json("{}"));
    world.agent(&run, AgentEvent::Started { agent: &long, task: &long });
    assert_eq!(world.last(tab)["truncated"], true);
    for n in 0..70 {
        let call = format!("c{n}");
        world.agent(&run, AgentEvent::ToolExecuting { call: &call, tool: &long, parameters: &value });
    }
    world.agent(&run, AgentEvent::ToolExecuting { call: &long, tool: "t", parameters: &value });
    assert_eq!(world.router.stats().by_rule().collect::<Vec<_>>(), [("run.R7", 7)]);
    assert!(world.frames(tab).iter().all(|frame| frame.to_string().len() < 256 * 1024));
}

#[test]
fn an_end_by_the_routers_own_decision_says_why() {
    let mut world = World::new(Config { agent_deadline_us: 1_000_000, ..Config::default() });
    let tab = world.connect("ada");
    let started = AgentEvent::Started { agent: "a", task: "" };
    let run = world.chat(tab, "stopped");
    world.agent(&run, started);
    world.say(tab, r#"{"type":"stop_agent"}"#);
    let run = world.chat(tab, "late");
    world.agent(&run, started);
    world.wait(1_000_000);
    let mut short = World::new(Config { drain_deadline_us: 1_000_000, ..Config::default() });
    let last = short.connect("ada");
    let run = short.chat(last, "shut down");
    short.agent(&run, started);
    short.input(Input::Drain);
    short.wait(1_000_000);
    let ends: Vec<_> = [world.frames(tab), short.frames(last)]
        .concat()
        .into_iter()
        .filter(|frame| frame["type"] == "agent_error")
        .map(|frame| format!("{} {}", frame["error_code"], frame["error_message"]))
        .collect();
    let expected = [
        r#""CANCELLED" "The run was stopped""#,
        r#""TIMEOUT" "The agent took too long""#,
        r#""SHUTDOWN" "The server is shutting down""#,
    ];
    assert_eq!(ends, expected);
}

#[test]
fn a_stop_by_its_id_ends_that_run_and_no_other() {
    let mut world = World::new(Config::default());
    let (tab, eve) = (world.connect("ada"), world.connect("eve"));
    let (first, second) = (world.chat(tab, "m1"), world.chat(tab, "m2"));
    let stop = |run_id: &str| format!(r#"{{"type":"stop_agent","run_id":"{run_id}"}}"#);
    for nothing in ["run-n0-99", "", "registry"] {
        world.say(tab, &stop(nothing));
        assert_eq!(world.last(tab)["run_ids"], serde_json::json!([]), "{nothing:?}");
    }
    world.say(eve, &stop(&second.run_id()));
    assert_eq!(world.last(eve)["run_ids"], serde_json::json!([]), "nobody stops another's");
    assert_eq!(world.router.stats().runs.open, 2);
    world.say(tab, &stop(&second.run_id()));
    let stopped = world.frames(tab).iter().rfind(|frame| frame["type"] == "agent_stopped").expect("told");
    assert_eq!(stopped["run_ids"], serde_json::json!([second.run_id()]));
    assert_eq!(world.last(tab)["run_id"], second.run_id().as_str());
    assert_eq!(world.router.find_run("ada", &first.run_id()), Some(first.run));
    assert_eq!((world.router.stats().runs.open, world.router.stats().runs.cancelled), (1, 1));
}
