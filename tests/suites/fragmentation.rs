//! The fragmentation tests: whichever way a message or an event comes in, there is one router behind it.

use std::collections::{BTreeMap, BTreeSet};

use router::{
    AgentEvent, Config, Context, Deliver, Effect, Input, Kind, OwnedEvent, Profile, Router, Target, ToolStep,
    handlers::{Described, RegisterError},
    run::{EventKind, Observed, verdict},
};
use serde_json::Value;

use crate::{
    simulated::flawless,
    sockets::{TestServer, chat, five, kinds},
    strategic::ROUTER,
    structure::{Source, competing, nothing, workspace},
    world::{FIVE, World, json},
};

/// Types in which the legacy routers differed.
const MIXED: [&str; 5] =
    ["start_agent", "get_quality_metrics", "agent_thinking", "user_message", "tool_executing"];
const QUALITY: [Kind; 4] = [
    Kind::GetQualityMetrics,
    Kind::SubscribeQualityAlerts,
    Kind::ValidateContent,
    Kind::GenerateQualityReport,
];

/// Every type that routes is the one router: by name, and by taking a message in and answering what is to be done.
#[test]
fn single_message_router_implementation() {
    nothing(&competing(workspace(), "Router", &[ROUTER]));
    nothing(&competing(workspace(), "MessageHandler", &[]));
    let handlers: Vec<_> = declared(|name| name == "Handler").collect();
    assert_eq!(handlers, ["router/src/handlers/custom.rs: Handler"], "one trait for handlers of the host");
}

fn declared(named: impl Fn(&str) -> bool + 'static) -> impl Iterator<Item = String> {
    workspace().iter().filter(|source| source.path.starts_with("router/")).flat_map(move |source: &Source| {
        let types = source.declared.iter().filter(|declared| declared.public && named(&declared.name));
        types.map(|declared| format!("{}: {}", source.path, declared.name)).collect::<Vec<_>>()
    })
}

#[test]
fn routing_interface_consistency() {
    // One verb for what clients, agents and hosts hand in, one for messages between services; no synonyms.
    let verbs = ["handle", "route", "dispatch", "process", "deliver", "broadcast", "emit", "publish", "send"];
    let found: BTreeSet<String> = workspace()
        .iter()
        .filter(|source| source.path.starts_with("router/src/") && !source.path.contains("/compat"))
        .flat_map(|source| &source.declared)
        .filter(|declared| {
            declared.public && declared.owner == ROUTER.1 && declared.head.starts_with("(&mut self")
        })
        .filter(|declared| verbs.iter().any(|verb| declared.name.split('_').next() == Some(verb)))
        .map(|declared| declared.name.clone())
        .collect();
    // `dispatch_value` is `dispatch` for a message that has not been read yet.
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["dispatch", "dispatch_value", "handle"]);
}

#[test]
fn handler_registration_conflicts() {
    let mut router = Router::new(Config::default()).expect("valid");
    for kind in Kind::ALL {
        let owners: Vec<_> =
            Profile::STANDARD.built_ins.iter().filter(|built_in| built_in.accepts(*kind)).collect();
        assert!(owners.len() <= 1, "{} is claimed by {owners:?}", kind.name());
        let found = router.find_handler(*kind).map(|found| found.name().to_owned());
        assert_eq!(found.as_deref(), owners.first().map(|owner| owner.name()), "{}", kind.name());
    }
    // The quality types are the quality handler's, and nobody else's.
    assert!(
        QUALITY.iter().all(|kind| router.find_handler(*kind).is_some_and(|found| found.name() == "quality"))
    );
    // Of two that the host registers for one type, the first has it, whatever comes later; and there is an end.
    let mine = |name: &str| {
        Box::new(
            Described::from_json(&format!(r#"{{"name":"{name}","accepts":["ping"],"then":"take"}}"#))
                .expect("good"),
        )
    };
    router.add_handler(mine("first")).expect("room");
    while router.add_handler(mine("later")) != Err(RegisterError::TooMany) {}
    assert_eq!(
        router.find_handler(Kind::Ping).map(|found| found.name().to_owned()).as_deref(),
        Some("first")
    );
    router.verify().expect("accounts");
}

/// What a client can tell one answer from another by: not the time, nor the router's name.
fn essence(frame: &Value) -> Value {
    let keys = [
        "type",
        "error_code",
        "received_type",
        "status",
        "user_id",
        "thread_id",
        "message_id",
        "request_id",
        "seq",
        "cursor",
        "agent_name",
        "tool_name",
        "results",
        "final_response",
    ];
    let shown = keys.iter().filter_map(|key| Some(((*key).to_owned(), frame.get(*key)?.clone())));
    let mut essence: BTreeMap<String, Value> = shown.collect();
    // A thread that the router named carries the router's name.
    essence.retain(|key, value| key != "thread_id" || value == "t1");
    serde_json::to_value(essence).expect("JSON")
}

fn message(kind: &str) -> String {
    format!(
        r#"{{"type":"{kind}","message_id":"m-{kind}","thread_id":"t1","payload":{{"content":"hello","user_request":"hello"}}}}"#
    )
}

/// The five events as the scripted agent of the sockets reports them.
fn play(world: &mut World) {
    let request = world.runs.last().expect("a run").clone();
    let value = || json("{}");
    let text = || request.text().to_owned();
    for event in [
        OwnedEvent::Started { agent: "five".into(), task: text() },
        OwnedEvent::Thinking { reasoning: text(), step: Some(1) },
        OwnedEvent::ToolExecuting { call: "c".into(), tool: "t".into(), parameters: value() },
        OwnedEvent::ToolCompleted {
            call: "c".into(),
            status: router::ToolStatus::Completed,
            results: value(),
            duration_ms: 1,
        },
        OwnedEvent::Completed { response: text(), execution_time_ms: None },
    ] {
        world.agent(&request, event.borrow());
    }
}

#[tokio::test]
async fn identical_message_routing_behavior() {
    let server = five().await;
    let mut client = server.login("ada").await;
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    for kind in MIXED {
        let (before, runs) = (world.frames(tab).len(), world.runs.len());
        world.say(tab, &message(kind));
        if world.runs.len() > runs {
            play(&mut world);
        }
        let asks: Vec<_> = world
            .other
            .iter()
            .filter_map(|effect| match effect {
                Effect::AskQuality(request) => Some(request.ask),
                _ => None,
            })
            .collect();
        world.other.clear();
        for ask in asks {
            let answer = json("{}");
            world.input(Input::Quality { ask, answer: router::QualityAnswer::Ready(&answer) });
        }
        let in_process: Vec<Value> = world.frames(tab)[before..].iter().map(essence).collect();
        assert!(!in_process.is_empty(), "{kind} is answered");
        client.send(message(kind)).await;
        for expected in in_process {
            assert_eq!(essence(&client.json().await), expected, "{kind}");
        }
    }
    client.send(r#"{"type":"ping"}"#).await;
    assert_eq!(client.json().await["type"], "pong", "and nothing more came");
}

#[tokio::test]
async fn quality_message_routing_fragmentation() {
    let server = TestServer::start().await;
    let mut client = server.login("ada").await;
    for (kind, answer) in [
        ("get_quality_metrics", "quality_metrics"),
        ("validate_content", "content_validation_result"),
        ("generate_quality_report", "quality_report_generated"),
        ("subscribe_quality_alerts", "quality_alerts_subscribed"),
    ] {
        client.send(message(kind)).await;
        let frame = client.json().await;
        assert_eq!((&frame["type"], &frame["message_id"]), (&answer.into(), &format!("m-{kind}").into()));
    }
    let stats = server.handle.handler_stats();
    let quality: Vec<_> = stats.iter().filter(|handler| handler.counts.total() > 0).collect();
    assert_eq!(quality.iter().map(|handler| handler.name.as_str()).collect::<Vec<_>>(), ["quality"]);
    assert_eq!(quality[0].counts.handled, 4);
}

#[test]
fn event_routing_coordination_failures() {
    let mut world = World::new(Config::default());
    let authority = world.router.take_authority().expect("the first time");
    let (tab, eve) = (world.connect("ada"), world.connect("eve"));
    // From an agent in the typed form, from an agent as JSON, and from the host by each of its ways.
    let run = world.chat(tab, "m1");
    world.play(&run);
    assert_eq!(world.types(tab), FIVE);
    let run = world.chat(tab, "m2");
    for kind in FIVE {
        world.agent(&run, AgentEvent::Data { kind, data: &json("{}") });
    }
    assert_eq!(world.types(tab)[5..], FIVE);
    for (n, kind) in FIVE.into_iter().enumerate() {
        let event = json(&format!(r#"{{"type":"{kind}"}}"#));
        for target in [
            Target::Connection("ada", tab),
            Target::User("ada"),
            Target::Thread("ada", "t1"),
            Target::All(&authority, Some(eve)),
        ] {
            world.input(Input::Deliver(Deliver {
                context: Context::default(),
                ..Deliver::new(target, &event)
            }));
            assert_eq!(world.last(tab)["type"], kind, "{target:?}");
        }
        assert_eq!(world.types(tab).len(), 10 + 4 * (n + 1), "each once");
    }
    assert!(world.types(eve).is_empty());
}

#[test]
fn tool_dispatch_routing_failures() {
    let mut world = World::new(Config::default());
    world.router.add_tool("look", "");
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    world.agent(&run, AgentEvent::Started { agent: "a", task: "" });
    let (parameters, result) = (json(r#"{"q":"x"}"#), json(r#"{"n":1}"#));
    world.other.clear();
    let step = ToolStep::Call { call: "c", run_id: None, tool: "look", parameters: &parameters };
    world.input(Input::Tool { run: run.run, step });
    for _ in 0..2 {
        world.input(Input::Tool { run: run.run, step: ToolStep::Done { call: "c", result: Ok(&result) } });
    }
    let executions = world.other.iter().filter(|effect| matches!(effect, Effect::RunTool(_))).count();
    let answers = world.other.iter().filter(|effect| matches!(effect, Effect::ToolAnswered(_))).count();
    assert_eq!(
        (executions, answers),
        (1, 1),
        "one execution and one answer, though its end was reported twice"
    );
    assert_eq!(world.types(tab)[1..], ["tool_executing", "tool_completed"]);
}

/// What the automaton says of the run events among some frames.
pub(crate) fn judged(frames: &[Value]) -> router::run::Verdict {
    let events = frames.iter().filter(|frame| frame["run_id"].is_string());
    verdict(events.map(|frame| Observed {
        kind: frame["type"].as_str().and_then(EventKind::of),
        call: frame["tool_call_id"].as_str(),
        tool: frame["tool_name"].as_str(),
    }))
}

#[tokio::test]
async fn agent_execution_routing_chain_breaks() {
    let server = five().await;
    let mut client = server.login("ada").await;
    client.send(message("start_agent")).await;
    let frames = client.until("agent_completed").await;
    let judged = judged(&frames);
    assert!(judged.full_golden, "{judged:?}");
    assert!(frames.iter().all(|frame| frame["request_id"] == "m-start_agent" && frame["thread_id"] == "t1"));
    assert_eq!(
        frames[4]["final_response"], "hello",
        "the request reached the agent, and its answer the client"
    );
}

#[test]
fn websocket_event_delivery_fragmentation() {
    let played = flawless("[users]\ncount = 30\ntabs = { \"2..5\" = 1 }\n[session]\nstop_share = 0\n", 3);
    assert!(played.planned.run_frames_out >= 2 * played.planned.run_events, "each event, on each tab");
    assert!(played.counts.full_golden > 0);
}

#[test]
fn database_routing_coordination() {
    // The router has no storage: no package but the shell's edges, the meters and the binary opens a file.
    let opens = |source: &&Source| {
        let imports = source.imports.iter().any(|path| {
            ["std::fs", "tokio::fs", "std::net", "std::env"].iter().any(|module| path.starts_with(module))
        });
        imports
            || ["std::fs::", "tokio::fs::", "File::open", "fs::read"]
                .iter()
                .any(|call| source.text.contains(call))
    };
    let touching: BTreeSet<&str> = workspace()
        .iter()
        .filter(|source| {
            ["router/", "simulator/", "reports/"].iter().any(|package| source.path.starts_with(package))
        })
        .filter(opens)
        .map(|source| source.path.as_str())
        .collect();
    let shell: BTreeSet<&str> =
        touching.iter().copied().filter(|path| path.starts_with("router/server/")).collect();
    assert_eq!(touching, shell, "only the shell touches the machine");
    assert!(shell.contains("router/server/src/server.rs"), "the question finds what is there: {shell:?}");
}

#[test]
fn redis_cache_routing_consistency() {
    let mut world = World::new(Config::default());
    let mut runs: BTreeMap<(String, String), String> = BTreeMap::new();
    for round in 0..3 {
        for user in ["ada", "eve", "bob"] {
            let tab = world.connect(user);
            for id in ["m1", "m2"] {
                let before = world.runs.len();
                let run = world.chat(tab, id);
                if round == 0 {
                    assert_eq!(world.runs.len(), before + 1, "the first of that user by that id");
                    runs.insert((user.into(), id.into()), run.run_id());
                } else {
                    assert_eq!(world.runs.len(), before, "no second run");
                    let ack = world.last(tab);
                    assert_eq!((&ack["status"], &ack["user_id"]), (&"duplicate".into(), &user.into()));
                    assert_eq!(ack["run_id"], runs[&(user.to_owned(), id.to_owned())].as_str());
                }
            }
        }
    }
    assert_eq!(runs.values().collect::<BTreeSet<_>>().len(), 6, "a key is of one user and one message");
    assert_eq!(world.router.stats().inbound.duplicates, 12);
}

#[test]
fn multi_user_routing_isolation_failures() {
    let played = flawless("[users]\ncount = 60\ntabs = { 1 = 1, 2 = 1, 3 = 1 }\n", 994);
    assert_eq!(played.counts.users, 60);
    assert_eq!(played.stats.inbound.handler_errors, 0);
}

#[tokio::test]
async fn complete_user_journey_routing() {
    let server = five().await;
    let mut client = server.login("ada").await;
    client.send(r#"{"type":"ping"}"#).await;
    assert_eq!(client.json().await["type"], "pong");
    client.send(chat("m1", "hello")).await;
    let frames = client.until("agent_completed").await;
    assert!(judged(&frames).full_golden);
    let cursor = frames[4]["cursor"].as_u64().expect("a cursor");
    drop(client);
    server.empty().await;
    let mut client = server.login_with("ada", &format!("?resume={cursor}")).await;
    client.send(chat("m2", "again")).await;
    let frames = client.until("agent_completed").await;
    assert!(judged(&frames).full_golden && frames.iter().all(|frame| frame["request_id"] == "m2"));
    assert_eq!(server.handle.stats().runs.completed, 2);
}

#[tokio::test]
async fn concurrent_user_routing_isolation() {
    let server = five().await;
    let mut clients = Vec::new();
    for n in 0..12 {
        clients.push((format!("user-{n}"), server.login(&format!("user-{n}")).await));
    }
    for round in 0..3 {
        for (user, client) in &mut clients {
            client.send(chat(&format!("m{round}"), &format!("{user}'s own {round}"))).await;
        }
    }
    for (user, client) in &mut clients {
        for _ in 0..15 {
            let frame = client.json().await;
            assert_eq!(frame["user_id"], user.as_str());
            if let Some(text) = frame["final_response"].as_str() {
                assert!(text.starts_with(&format!("{user}'s own ")), "{text}");
            }
        }
        client.send(r#"{"type":"ping"}"#).await;
        assert_eq!(client.json().await["type"], "pong", "fifteen events, and nothing of anybody else's");
    }
}

#[tokio::test]
async fn ai_response_delivery_routing_chain() {
    let server = five().await;
    let mut client = server.login("ada").await;
    let answers = [
        "plain".to_owned(),
        "\"quotes\", \\ and \u{1}\n\ttabs".to_owned(),
        "ünï☃ 👩‍👩‍👧 \u{2028}".to_owned(),
        "long ".repeat(1_500),
    ];
    for (n, answer) in answers.iter().enumerate() {
        client.send(chat(&format!("m{n}"), answer)).await;
        let frames = client.until("agent_completed").await;
        assert_eq!(kinds(&frames), FIVE);
        assert_eq!(frames[4]["final_response"], answer.as_str(), "to the byte");
    }
}

#[test]
fn business_value_protection() {
    let mut runs = 0;
    for seed in 1..=10 {
        // Held to 100 %, where the plan asks for 99.5 %.
        runs += flawless("[users]\ncount = 25\ntabs = { 1 = 3, 2 = 1 }\n", seed).counts.golden;
    }
    assert!(runs >= 1_000, "{runs} runs are too few to speak of reliability");
}
