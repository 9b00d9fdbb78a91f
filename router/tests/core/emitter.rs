//! Events given as JSON: the same frames as from the typed variants, the rules for who may say what, the sanitiser,
//! and what became of each event.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use router::{
    AgentEvent, Config, ConnId, Connect, DeliveryState, Effect, EventRef, Input, Refusal, Rule, RunRequest,
    Ticket, Tier, ToolStatus,
    wire::sanitise::{Sanitise, Scope},
};
use serde_json::{Value, json, value::RawValue};

use crate::harness::{World, json as raw};

fn open(config: Config) -> (World, ConnId, RunRequest) {
    let mut world = World::new(config);
    let conn = world.connect("ada");
    let request = world.chat(conn, "m1");
    (world, conn, request)
}

fn give(world: &mut World, request: &RunRequest, kind: &str, data: &Value) {
    let data = raw(&data.to_string());
    world.agent(request, AgentEvent::Data { kind, data: &data });
}

fn refusal(world: &World) -> Option<Refusal> {
    world.other.iter().rev().find_map(|effect| match effect {
        Effect::AgentRefused(refused) => Some(refused.why),
        _ => None,
    })
}

#[test]
fn aliases_defaults_and_further_members() {
    let (mut world, conn, request) = open(Config::default());
    give(&mut world, &request, "agent_started", &json!({"name": "triage", "task": "look", "x": null}));
    let started = world.last(conn).clone();
    assert_eq!((&started["agent_name"], &started["task_description"]), (&json!("triage"), &json!("look")));
    assert_eq!((&started["name"], &started["status"]), (&json!("triage"), &json!("started")));
    assert!(started.get("x").is_none() && started["critical"] == true && started["seq"] == 1);
    give(
        &mut world,
        &request,
        "agent_thinking",
        &json!({"thought": "hm", "metadata": {"a": 1, "user_tier": "x"}}),
    );
    let thinking = world.last(conn);
    assert_eq!(thinking["reasoning"], "hm");
    assert_eq!(thinking["agent_name"], "triage");
    assert_eq!(thinking["metadata"], json!({"a": 1, "user_tier": "free", "is_priority_queue": false}));
    give(&mut world, &request, "tool_executing", &json!({"name": "search", "params": {"q": 1}}));
    give(
        &mut world,
        &request,
        "tool_completed",
        &json!({"output": [1], "duration_ms": 3.5, "success": false}),
    );
    let ended = world.last(conn);
    assert_eq!((&ended["tool_name"], &ended["tool_call_id"]), (&json!("search"), &json!("auto-3")));
    assert_eq!((&ended["results"], &ended["duration"]), (&json!([1]), &json!(3.5)));
    assert_eq!((&ended["success"], &ended["status"]), (&json!(false), &json!("error")));
    give(&mut world, &request, "my_event", &json!({"seq": 99, "type": "agent_completed", "a": [1]}));
    let custom = world.last(conn);
    assert_eq!((&custom["type"], &custom["seq"], &custom["a"]), (&json!("my_event"), &json!(5), &json!([1])));
    assert!(custom.get("critical").is_none());
    give(&mut world, &request, "agent_completed", &json!({"result": {"n": 1}}));
    assert_eq!(world.last(conn)["final_response"], json!({"n": 1}));
    assert_eq!(world.router.stats().runs.completed, 1);
}

#[test]
fn a_foreign_id_refuses_the_event_and_moves_nothing() {
    let (mut world, conn, request) = open(Config::default());
    let before = world.frames(conn).len();
    for data in [
        json!({"user_id": "eve"}),
        json!({"target_user_id": "eve"}),
        json!({"thread_id": "elsewhere"}),
        json!({"run_id": "run-n0-99"}),
        json!({"request_id": "m2"}),
    ] {
        give(&mut world, &request, "agent_started", &data);
        assert_eq!(refusal(&world), Some(Refusal::ForeignId), "{data}");
    }
    let twice = raw(r#"{"run_id":"run-n0-99","run_id":null}"#);
    world.agent(&request, AgentEvent::Data { kind: "agent_started", data: &twice });
    assert_eq!(refusal(&world), Some(Refusal::ForeignId));
    assert_eq!(world.frames(conn).len(), before);
    let events = world.router.stats().events;
    assert_eq!((events.refused, events.refused_foreign), (6, 6));
    // Its own ids, nulls and bodies are no matter.
    let own = json!({"user_id": "ada", "run_id": request.run_id(), "request_id": "m1", "other_user_id": null,
        "context": {"user_id": "eve"}});
    give(&mut world, &request, "agent_started", &own);
    assert_eq!(world.last(conn)["user_id"], "ada");
    assert_eq!(world.last(conn)["context"]["user_id"], "eve");
}

#[test]
fn what_is_no_event_is_refused_with_its_reason() {
    let (mut world, _, request) = open(Config::default());
    for data in ["null", "5", "[1]", "\"text\""] {
        let data: Box<RawValue> = raw(data);
        world.agent(&request, AgentEvent::Data { kind: "custom", data: &data });
        assert_eq!(refusal(&world), Some(Refusal::NotAnObject));
    }
    for (data, why) in [
        (r#"{"owner_user_id":"ada\ud800"}"#, Refusal::ForeignId),
        (r#"{"x":["\ud800"]}"#, Refusal::NotAnObject),
        (r#"{"\udc00":1}"#, Refusal::NotAnObject),
    ] {
        world.agent(&request, AgentEvent::Data { kind: "custom", data: &raw(data) });
        assert_eq!(refusal(&world), Some(why), "{data}");
    }
    give(&mut world, &request, "custom", &json!({"metadata": null}));
    assert_eq!(refusal(&world), Some(Refusal::BadMetadata));
    give(&mut world, &request, &"x".repeat(65), &json!({}));
    assert_eq!(refusal(&world), Some(Refusal::BadType));
    let deep = raw(&format!(r#"{{"a":{}{}}}"#, "[".repeat(64), "]".repeat(64)));
    world.agent(&request, AgentEvent::Data { kind: "custom", data: &deep });
    assert_eq!(refusal(&world), Some(Refusal::TooDeep));
    give(&mut world, &request, "agent_thinking", &json!({}));
    assert_eq!(refusal(&world), Some(Refusal::Rule(Rule::R1)));
    assert_eq!(world.router.stats().events.refused_malformed, 9);
}

#[test]
fn a_type_is_one_text_of_the_frame_whatever_is_in_it() {
    let (mut world, conn, request) = open(Config::default());
    give(&mut world, &request, "agent_started", &json!({}));
    for kind in [r#"x","user_id":"eve","cursor":9,"a":""#, "a\"b", "a\\", "\u{0}\n", "ünï☃", ""] {
        give(&mut world, &request, kind, &json!({"n": 1}));
        let frame = world.last(conn);
        assert_eq!((&frame["type"], &frame["user_id"]), (&json!(kind), &json!("ada")));
        assert_eq!((&frame["n"], frame.get("a")), (&json!(1), None));
    }
    assert_eq!(world.router.stats().events.refused, 0);
}

#[test]
fn failures_close_open_tools_and_a_death_is_an_end() {
    let (mut world, conn, request) = open(Config::default());
    give(&mut world, &request, "agent_started", &json!({"agent_name": "triage"}));
    give(&mut world, &request, "tool_executing", &json!({"tool_call_id": "c1"}));
    give(&mut world, &request, "agent_death", &json!({"death_cause": "timeout"}));
    let frames = world.frames(conn);
    let [.., closed, death] = frames else { panic!("two frames") };
    assert_eq!((&closed["tool_call_id"], &closed["status"]), (&json!("c1"), &json!("cancelled")));
    assert_eq!((&death["status"], &death["recovery_action"]), (&json!("dead"), &json!("refresh_required")));
    assert!(death["message"].as_str().expect("text").contains("triage agent took too long"));
    give(&mut world, &request, "agent_thinking", &json!({}));
    assert_eq!(refusal(&world), Some(Refusal::Rule(Rule::R6)));
    let other = world.chat(conn, "m2");
    give(&mut world, &other, "agent_started", &json!({}));
    give(&mut world, &other, "agent_failed", &json!({"error": format!("boom at /{}/bob/x.py", "home")}));
    assert_eq!(world.last(conn)["type"], "agent_error");
    assert_eq!(world.last(conn)["error_message"], "boom at [PATH]/bob/x.py");
    assert_eq!(world.last(conn)["redacted"], true);
    assert_eq!(world.router.stats().runs.failed, 2);
}

#[test]
fn the_sanitiser_works_where_it_is_told_to() {
    let parameters = json!({"q": "x".repeat(201), "Api_Key": "s3cr3t", "list": [{"token": "t"}]});
    let shown = |scope: Scope, typed: bool| {
        let config = Config { sanitise: Sanitise { scope, ..Sanitise::default() }, ..Config::default() };
        let (mut world, conn, request) = open(config);
        world.agent(&request, AgentEvent::Started { agent: "a", task: "" });
        let value = raw(&parameters.to_string());
        if typed {
            let event = AgentEvent::ToolExecuting { call: "c", tool: "t", parameters: &value };
            world.agent(&request, event);
        } else {
            let data = json!({"tool_call_id": "c", "tool_name": "t", "parameters": parameters});
            give(&mut world, &request, "tool_executing", &data);
        }
        world.last(conn).clone()
    };
    for (scope, typed, cleaned) in [
        (Scope::Given, false, true),
        (Scope::Given, true, false),
        (Scope::Everything, true, true),
        (Scope::Everything, false, true),
        (Scope::Nothing, false, false),
    ] {
        let frame = shown(scope, typed);
        assert_eq!(frame.get("redacted").is_some(), cleaned, "{scope:?} {typed}");
        assert_eq!(frame.get("truncated").is_some(), cleaned);
        if cleaned {
            assert_eq!(frame["parameters"]["Api_Key"], "[REDACTED]");
            assert_eq!(frame["parameters"]["list"][0]["token"], "[REDACTED]");
            assert_eq!(frame["parameters"]["q"].as_str().map(str::len), Some(203));
        } else {
            assert_eq!(frame["parameters"], parameters);
        }
    }
}

#[test]
fn a_frame_of_many_members_is_bounded() {
    let config = Config { outbound_frame_bytes_max: 16 * 1024, ..Config::default() };
    let config = Config { sanitise: Sanitise { scope: Scope::Nothing, ..Sanitise::default() }, ..config };
    let (mut world, conn, request) = open(config);
    let mut data = json!({"metadata": {"long": "\u{1}".repeat(3000)}});
    for n in 0..300 {
        data[format!("\"member\" {n}")] = json!("\u{1}\"".repeat(60));
    }
    give(&mut world, &request, "custom", &data);
    let frame = world.last(conn);
    assert_eq!(frame["truncated"], true);
    assert!(frame.to_string().len() <= 16 * 1024, "{}", frame.to_string().len());
}

#[test]
fn a_failure_without_words_has_a_text_all_the_same() {
    for scope in [Scope::Nothing, Scope::Given, Scope::Everything] {
        let sanitise = Sanitise { scope, ..Sanitise::default() };
        let (mut world, conn, request) = open(Config { sanitise, ..Config::default() });
        world.agent(&request, AgentEvent::Started { agent: "a", task: "" });
        world.agent(&request, AgentEvent::Failed { code: "X", message: "" });
        assert_eq!(world.last(conn)["error_message"], "An error occurred", "{scope:?}");
    }
}

#[test]
fn metadata_is_passed_on_whole_or_left_out_as_a_whole() {
    let (mut world, conn, request) =
        open(Config { outbound_frame_bytes_max: 16 * 1024, ..Config::default() });
    let data = raw(r#"{"metadata":{"a":1,"b":[2],"a":3,"user_tier":"x"}}"#);
    world.agent(&request, AgentEvent::Data { kind: "custom", data: &data });
    let expected = json!({"a": 3, "b": [2], "user_tier": "free", "is_priority_queue": false});
    assert_eq!(world.last(conn)["metadata"], expected);
    // Room for 682 bytes, and a byte of a key may need six.
    for (bytes, kept) in [(112, true), (113, false)] {
        let key = "k".repeat(bytes);
        give(&mut world, &request, "custom", &json!({"metadata": {&key: 1}, "n": 1}));
        let frame = world.last(conn);
        assert_eq!((frame["metadata"].get(&key).is_some(), &frame["n"]), (kept, &json!(1)), "{bytes}");
        assert_eq!(frame["truncated"] == true, !kept);
    }
}

#[test]
fn a_delivery_is_waited_for_made_and_confirmed() {
    let (mut world, conn, request) = open(Config::default());
    world.stalled.push(conn);
    give(&mut world, &request, "agent_started", &json!({}));
    let by_seq = EventRef::InRun { run_id: &request.run_id(), seq: 1 };
    let state = |world: &World, event| world.router.delivery("ada", event).map(|delivery| delivery.state);
    assert_eq!(state(&world, by_seq), Some(DeliveryState::Waiting));
    world.stalled.clear();
    world.input(Input::Written { conn, frames: 1 });
    assert_eq!(state(&world, by_seq), Some(DeliveryState::Delivered));
    world.say(
        conn,
        &format!(r#"{{"type":"confirmation","event_id":"{}:1","status":"failed"}}"#, request.run_id()),
    );
    assert_eq!(state(&world, by_seq), Some(DeliveryState::Delivered));
    world.say(conn, &format!(r#"{{"type":"confirmation","event_id":"{}:1"}}"#, request.run_id()));
    assert_eq!(state(&world, EventRef::Cursor(1)), Some(DeliveryState::Confirmed));
    assert!(!world.router.delivery("ada", EventRef::Cursor(1)).expect("known").replayable);
    let events = world.router.stats().events;
    assert_eq!((events.confirmations, events.confirmations_failed), (1, 1));
    assert_eq!(state(&world, EventRef::Cursor(2)), None);
    assert_eq!(world.router.delivery("eve", EventRef::Cursor(1)), None);
}

#[test]
fn what_nobody_was_written_is_gapped_or_expired() {
    let config = Config { recovery_frames_max: 3, ..Config::default() };
    let (mut world, conn, request) = open(config);
    world.input(Input::Closed { conn });
    give(&mut world, &request, "agent_started", &json!({}));
    for _ in 0..4 {
        give(&mut world, &request, "agent_thinking", &json!({}));
    }
    let states: Vec<_> = (1..=5)
        .map(|cursor| world.router.delivery("ada", EventRef::Cursor(cursor)).expect("known").state)
        .collect();
    use DeliveryState::{Expired, Gapped, Waiting};
    assert_eq!(states, [Gapped, Gapped, Waiting, Waiting, Waiting]);
    // The run ends at its deadline; then nobody comes back, until another connection keeps the user known.
    give(&mut world, &request, "agent_completed", &json!({}));
    world.wait(119_000_000);
    let back = world.connect_with(Connect { resume: Some(900), ..Connect::new(Ticket(0), "ada") });
    assert!(back.is_some());
    let state = world.router.delivery("ada", EventRef::Cursor(5)).expect("known").state;
    assert_eq!(state, Expired);
    let state = world.router.delivery("ada", EventRef::Cursor(1)).expect("known").state;
    assert_eq!(state, Gapped);
}

#[test]
fn only_the_router_names_runs() {
    let (mut world, conn, request) = open(Config::default());
    assert_eq!(world.router.find_run("ada", &request.run_id()), Some(request.run));
    assert_eq!(world.router.find_run("eve", &request.run_id()), None);
    for id in ["", " ", "registry", "None", "run_1", "run-n0-", "run-n0-2", "run-n0-1x"] {
        assert_eq!(world.router.find_run("ada", id), None, "{id}");
    }
    assert!(router::run::can_name_a_run(&request.run_id()));
    // A client that names one in its message gets the router's, too.
    world.say(
        conn,
        r#"{"type":"user_message","run_id":"registry","message_id":"m9","payload":{"content":"x"}}"#,
    );
    assert_eq!(world.runs.last().expect("a run").run_id(), "run-n0-2");
}

/// One step of a run, in both forms.
#[derive(Clone, Debug)]
enum Step {
    Thinking(String, Option<u32>),
    Progress(Value),
    Tool(String, Value, Value, u64, bool),
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[\\PC\"\\\\\n]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d\"é]{1,3}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        ("\\PC{1,20}", prop::option::of(any::<u32>())).prop_map(|(text, step)| Step::Thinking(text, step)),
        value().prop_map(Step::Progress),
        ("[a-z]{1,8}", value(), value(), any::<u32>(), any::<bool>())
            .prop_map(|(tool, p, r, ms, ok)| Step::Tool(tool, p, r, u64::from(ms), ok)),
    ]
}

/// What happens to the sockets of one user while a run goes on.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Connect,
    Close(usize),
    Stall(usize),
    Resume(usize),
    Emit,
    Confirm(usize),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        Just(Turn::Connect),
        (0..4_usize).prop_map(Turn::Close),
        (0..4_usize).prop_map(Turn::Stall),
        (0..4_usize).prop_map(Turn::Resume),
        Just(Turn::Emit),
        Just(Turn::Emit),
        Just(Turn::Emit),
        (0..4_usize).prop_map(Turn::Confirm),
    ]
}

/// Cursors that reached the operating system on some connection.
fn written(world: &World, unwritten: &BTreeMap<ConnId, usize>) -> BTreeSet<u64> {
    let of = |conn: &ConnId| {
        let frames = world.frames(*conn);
        frames[..frames.len() - unwritten.get(conn).copied().unwrap_or_default()].to_vec()
    };
    world.received.keys().flat_map(of).filter_map(|frame| frame["cursor"].as_u64()).collect()
}

/// Members that an agent should not say, and some that it may.
fn member() -> impl Strategy<Value = (String, Value)> {
    let key = prop::sample::select(vec![
        "type",
        "user_id",
        "x_user_id",
        "thread_id",
        "run_id",
        "seq",
        "cursor",
        "recovered",
        "critical",
        "metadata",
        "timestamp",
        "agent_name",
        "name",
        "tool_name",
        "tool_call_id",
        "status",
        "results",
        "error",
        "x",
        "\"",
    ]);
    let word =
        prop::sample::select(vec![json!("ada"), json!("eve"), json!("run-n0-1"), json!(null), json!(7)]);
    (key.prop_map(str::to_owned), prop_oneof![word, value()])
}

proptest! {
    #[test]
    fn whatever_an_agent_gives_the_router_says_whose_it_is(
        events in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed",
                    "agent_failed", "agent_death", "progress_update", "custom", "",
                ]),
                prop::collection::vec(member(), 0..5),
            ),
            0..12,
        ),
    ) {
        let (mut world, conn, request) = open(Config::default());
        for (kind, members) in &events {
            // As text, so that keys may be repeated.
            let members: Vec<String> = members.iter().map(|(key, value)| format!("{}:{value}", json!(key))).collect();
            let data = raw(&format!("{{{}}}", members.join(",")));
            world.agent(&request, AgentEvent::Data { kind, data: &data });
        }
        let run: Vec<&Value> = world.frames(conn).iter().filter(|frame| frame.get("run_id").is_some()).collect();
        for (n, frame) in run.iter().enumerate() {
            prop_assert_eq!(&frame["user_id"], "ada");
            prop_assert_eq!(&frame["run_id"], "run-n0-1");
            prop_assert_eq!(&frame["request_id"], "m1");
            prop_assert_eq!(&frame["seq"], n + 1);
            prop_assert_eq!(&frame["metadata"]["user_tier"], "free");
            prop_assert!(frame.get("recovered").is_none());
            prop_assert!(frame["agent_name"].as_str().is_some_and(|name| !name.is_empty()));
        }
        // A run whose last word is still to come ends by its deadline; what there is is a word's beginning.
        let observed = run.iter().map(|frame| router::run::Observed {
            kind: router::run::EventKind::of(frame["type"].as_str().expect("text")),
            call: frame["tool_call_id"].as_str(),
            tool: frame["tool_name"].as_str(),
        });
        let verdict = router::run::verdict(observed);
        prop_assert!(verdict.well_formed, "{:?}", verdict);
    }

    #[test]
    fn a_delivery_is_said_of_exactly_what_was_written(turns in prop::collection::vec(turn(), 0..60)) {
        let config = Config { recovery_frames_max: 4, socket_window_frames: 2, outbound_frames_max: 2, ..Config::default() };
        let (mut world, first, request) = open(config);
        give(&mut world, &request, "agent_started", &json!({}));
        let mut conns = vec![first];
        // Frames of stalled sockets that were handed over and not written.
        let mut unwritten: BTreeMap<ConnId, usize> = BTreeMap::new();
        let mut ever = written(&world, &unwritten);
        let mut gapped = BTreeSet::new();
        for turn in turns {
            let before: BTreeMap<ConnId, usize> =
                world.stalled.iter().map(|conn| (*conn, world.frames(*conn).len())).collect();
            match turn {
                Turn::Connect => conns.extend(world.connect_with(Connect::new(Ticket(0), "ada"))),
                Turn::Emit => give(&mut world, &request, "agent_thinking", &json!({})),
                Turn::Close(at) | Turn::Stall(at) | Turn::Resume(at) | Turn::Confirm(at) if at < conns.len() => {
                    let conn = conns[at];
                    match turn {
                        Turn::Close(_) => {
                            conns.remove(at);
                            world.input(Input::Closed { conn });
                        }
                        Turn::Stall(_) if !world.stalled.contains(&conn) => world.stalled.push(conn),
                        Turn::Resume(_) => {
                            world.stalled.retain(|stalled| *stalled != conn);
                            let frames = unwritten.remove(&conn).unwrap_or_default() as u32;
                            world.input(Input::Written { conn, frames });
                        }
                        Turn::Confirm(_) => {
                            let seen = written(&world, &unwritten).into_iter().max().unwrap_or_default();
                            world.say(conn, &format!(r#"{{"type":"confirmation","cursor":{seen}}}"#));
                        }
                        Turn::Stall(_) | Turn::Connect | Turn::Emit => {}
                    }
                }
                Turn::Close(_) | Turn::Stall(_) | Turn::Resume(_) | Turn::Confirm(_) => {}
            }
            for conn in world.stalled.clone() {
                let more = world.frames(conn).len() - before.get(&conn).copied().unwrap_or(world.frames(conn).len());
                *unwritten.entry(conn).or_default() += more;
            }
            let known = ever.clone();
            ever.extend(written(&world, &unwritten));
            for cursor in 1..=world.router.last_cursor("ada").expect("known") {
                let state = world.router.delivery("ada", EventRef::Cursor(cursor)).expect("known").state;
                let holds = match state {
                    DeliveryState::Waiting => !ever.contains(&cursor),
                    DeliveryState::Delivered | DeliveryState::Confirmed => ever.contains(&cursor),
                    DeliveryState::Gapped => gapped.contains(&cursor) || !known.contains(&cursor),
                    DeliveryState::Expired => false,
                };
                prop_assert!(holds, "cursor {} is {:?} after {:?}", cursor, state, turn);
                if state == DeliveryState::Gapped {
                    gapped.insert(cursor);
                } else {
                    prop_assert!(!gapped.contains(&cursor), "cursor {} came back", cursor);
                }
            }
        }
    }

    #[test]
    fn both_forms_of_an_event_give_the_same_frame(
        steps in prop::collection::vec(step(), 0..6),
        agent in "\\PC{1,20}",
        task in "\\PC{1,20}",
        failure in prop::option::of("[ -~]{1,40}"),
        scope in prop_oneof![Just(Scope::Nothing), Just(Scope::Everything)],
        tier in prop_oneof![Just(Tier::Free), Just(Tier::Enterprise)],
    ) {
        let run = |typed: bool| {
            let sanitise = Sanitise { scope, ..Sanitise::default() };
            let mut world = World::new(Config { sanitise, ..Config::default() });
            let conn = world.connect_with(Connect { tier, ..Connect::new(Ticket(0), "ada") }).expect("accepted");
            let request = world.chat(conn, "m1");
            let mut tell = |event: AgentEvent<'_>, kind: &str, data: Value| {
                if typed {
                    world.agent(&request, event);
                } else {
                    give(&mut world, &request, kind, &data);
                }
            };
            let started = AgentEvent::Started { agent: &agent, task: &task };
            tell(started, "agent_started", json!({"agent_name": agent, "task_description": task}));
            for (n, step) in steps.iter().enumerate() {
                match step {
                    Step::Thinking(reasoning, step) => {
                        let data = json!({"reasoning": reasoning, "step_number": step});
                        tell(AgentEvent::Thinking { reasoning, step: *step }, "agent_thinking", data);
                    }
                    Step::Progress(progress) => {
                        let value = raw(&progress.to_string());
                        let data = json!({"progress_data": progress});
                        tell(AgentEvent::Progress { data: &value }, "progress_update", data);
                    }
                    Step::Tool(tool, parameters, results, duration_ms, ok) => {
                        let call = format!("call-{n}");
                        let value = raw(&parameters.to_string());
                        let event = AgentEvent::ToolExecuting { call: &call, tool, parameters: &value };
                        let data = json!({"tool_call_id": call, "tool_name": tool, "parameters": parameters});
                        tell(event, "tool_executing", data);
                        let value = raw(&results.to_string());
                        let status = if *ok { ToolStatus::Completed } else { ToolStatus::Error };
                        let event = AgentEvent::ToolCompleted {
                            call: &call, status, results: &value, duration_ms: *duration_ms,
                        };
                        let data = json!({"tool_call_id": call, "results": results,
                            "duration": duration_ms, "success": ok});
                        tell(event, "tool_completed", data);
                    }
                }
            }
            match &failure {
                Some(message) => {
                    let data = json!({"error_code": "E1", "error_message": message});
                    tell(AgentEvent::Failed { code: "E1", message }, "agent_error", data);
                }
                None => {
                    let data = json!({"final_response": task, "execution_time_ms": 7});
                    let event = AgentEvent::Completed { response: &task, execution_time_ms: Some(7) };
                    tell(event, "agent_completed", data);
                }
            }
            (world.frames(conn).to_vec(), world.router.stats().runs)
        };
        prop_assert_eq!(run(true), run(false));
    }
}
