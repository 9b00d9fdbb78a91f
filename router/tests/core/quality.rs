use router::{
    AgentEvent, AskRef, Config, ConnId, Effect, Input, QualityAnswer, QualityNews, QualityQuestion,
    QualityRequest, ToolStatus,
    quality::{self, Gate},
};
use serde_json::{Value, json as value};

use crate::harness::{World, json};

/// The questions that the last inputs brought about.
fn asked(world: &mut World) -> Vec<QualityRequest> {
    let (asked, other) = std::mem::take(&mut world.other)
        .into_iter()
        .partition(|effect| matches!(effect, Effect::AskQuality(_)));
    world.other = other;
    let unwrap = |effect| match effect {
        Effect::AskQuality(request) => *request,
        _ => unreachable!("partitioned"),
    };
    Vec::into_iter(asked).map(unwrap).collect()
}

fn answer(world: &mut World, ask: AskRef, text: &str) {
    let answer = json(text);
    world.input(Input::Quality { ask, answer: QualityAnswer::Ready(&answer) });
}

/// Answers everything with the embedded services, until nothing is asked any more.
fn answer_all(world: &mut World) {
    loop {
        let requests = asked(world);
        if requests.is_empty() {
            return;
        }
        for request in requests {
            let answer = quality::answer(&request, world.router.quality_monitor(), &Gate, world.now);
            let answer = answer.expect("JSON");
            world.input(Input::Quality { ask: request.ask, answer: QualityAnswer::Ready(&answer) });
        }
    }
}

fn ask(world: &mut World, conn: ConnId, text: &str) -> QualityRequest {
    world.say(conn, text);
    asked(world).pop().expect("a question")
}

fn news(world: &mut World, news: QualityNews<'_>) {
    let authority = world.router.take_authority().expect("the first to ask");
    world.input(Input::QualityNews { authority: &authority, news });
}

const METRICS: &str = r#"{"type":"get_quality_metrics","payload":{}}"#;
const SUBSCRIBE: &str = r#"{"type":"subscribe_quality_alerts"}"#;
const UNSUBSCRIBE: &str = r#"{"type":"subscribe_quality_alerts","payload":{"action":"unsubscribe"}}"#;

#[test]
fn an_answer_goes_to_every_tab_of_its_user_and_to_nobody_else() {
    let mut world = World::new(Config::default());
    let (tab, other, eve) = (world.connect("ada"), world.connect("ada"), world.connect("eve"));
    let request = ask(&mut world, tab, METRICS);
    assert!(matches!(request.question, QualityQuestion::Dashboard) && &*request.user == "ada");
    assert!(world.types(tab).is_empty(), "nothing before the answer");
    answer(&mut world, request.ask, r#"{"n":1}"#);
    for conn in [tab, other] {
        assert_eq!(world.last(conn), &value!({"type": "quality_metrics", "payload": {"n": 1}}));
    }
    assert!(world.types(eve).is_empty());
    answer(&mut world, request.ask, r#"{"n":2}"#);
    assert_eq!(world.types(tab).len(), 1, "a second answer is ignored");
    assert_eq!(world.router.stats().quality.stale_answers, 1);
}

#[test]
fn ids_belong_to_their_message_and_the_envelope_wins() {
    let mut world = World::new(Config::default());
    let (ada, eve) = (world.connect("ada"), world.connect("eve"));
    let first = ask(
        &mut world,
        ada,
        r#"{"type":"get_quality_metrics","message_id":"m1","thread_id":"outer","payload":{"thread_id":"inner","run_id":"r1"}}"#,
    );
    let second = ask(&mut world, eve, METRICS);
    let third = ask(&mut world, ada, METRICS);
    assert_eq!((first.thread_id.as_deref(), first.run_id.as_deref()), (Some("outer"), Some("r1")));
    for request in [&second, &third] {
        assert_eq!(
            (&request.thread_id, &request.run_id),
            (&None, &None),
            "nothing is kept of the message before"
        );
    }
    // In another order than they were asked, and still each with its own.
    answer(&mut world, third.ask, "3");
    answer(&mut world, second.ask, "2");
    answer(&mut world, first.ask, "1");
    assert_eq!(world.last(eve), &value!({"type": "quality_metrics", "payload": 2}));
    let ada = world.frames(ada);
    assert_eq!(ada[ada.len() - 2], value!({"type": "quality_metrics", "payload": 3}));
    let own = value!({"type": "quality_metrics", "payload": 1, "message_id": "m1", "thread_id": "outer", "run_id": "r1"});
    assert_eq!(ada[ada.len() - 1], own);
}

#[test]
fn values_reach_the_service_as_they_were_given() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let frame = r#"{"type":"get_quality_metrics","payload":{"agent_name":["a"],"period_hours":"48"}}"#;
    let QualityQuestion::AgentReport { agent, hours } = ask(&mut world, tab, frame).question else {
        panic!("an agent's report")
    };
    assert_eq!((agent.json(), hours.json(), hours.integer()), (r#"["a"]"#, r#""48""#, Some(48)));
    for falsy in ["null", "\"\"", "0", "0.0", "false", "[ ]", "{}"] {
        let frame = format!(r#"{{"type":"get_quality_metrics","payload":{{"agent_name":{falsy}}}}}"#);
        world.wait(20_000_000);
        let question = ask(&mut world, tab, &frame).question;
        assert!(matches!(question, QualityQuestion::Dashboard), "{falsy}");
    }
    for (strict, reached) in
        [("true", true), ("\"yes\"", true), ("1", true), ("false", false), ("null", false)]
    {
        let frame = format!(
            r#"{{"type":"validate_content","payload":{{"content":"ä\n","content_type":"error","strict_mode":{strict}}}}}"#
        );
        world.wait(20_000_000);
        let QualityQuestion::Validate { content, kind, strict } = ask(&mut world, tab, &frame).question
        else {
            panic!("a validation")
        };
        assert_eq!((&*content.text(), kind.name(), strict), ("ä\n", "error_message", reached));
    }
}

#[test]
fn a_detailed_report_asks_the_five_agents_in_turn_and_then_the_dashboard() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    world.say(
        tab,
        r#"{"type":"generate_quality_report","payload":{"report_type":"detailed","period":"week"}}"#,
    );
    let mut names = Vec::new();
    for n in 0..5 {
        let request = asked(&mut world).pop().expect("one question at a time");
        let QualityQuestion::AgentReport { agent, hours } = &request.question else { panic!("an agent") };
        assert_eq!(hours.integer(), Some(168));
        names.push(agent.text().into_owned());
        answer(&mut world, request.ask, &format!(r#"{{"score":{n}}}"#));
    }
    let request = asked(&mut world).pop().expect("the dashboard");
    answer(&mut world, request.ask, r#"{"overall_stats":{"average_quality":0.9},"recent_alerts":[]}"#);
    let reply = world.last(tab);
    assert_eq!(reply["type"], "quality_report_generated");
    assert_eq!(reply["payload"]["raw_data"]["agents"][&names[4]]["score"], 4);
    assert_eq!(reply["payload"]["raw_data"]["summary"]["overall_stats"]["average_quality"], 0.9);
    let text = reply["payload"]["report"].as_str().expect("Markdown");
    assert!(text.starts_with(
        "# AI Quality Report\n\n**Generated:** 2023-11-14T22:13:20.000000Z\n**Type:** Detailed\n"
    ));
    assert!(text.contains("Overall statistics: {\"average_quality\":0.9}\n"), "{text}");
    assert!(text.contains(r#"Agent metrics: {"TriageSubAgent":{"score":0},"#), "{text}");
    assert!(names[0] == "TriageSubAgent" && names[4] == "ReportingSubAgent");
    assert_eq!(world.router.stats().quality.asked, 6);
}

#[test]
fn what_fails_is_told_with_a_code_and_no_more() {
    let mut world = World::new(Config::default());
    let (tab, other) = (world.connect("ada"), world.connect("ada"));
    let request = ask(&mut world, tab, r#"{"type":"get_quality_metrics","message_id":"m1","payload":{}}"#);
    world.input(Input::Quality { ask: request.ask, answer: QualityAnswer::Failed });
    for conn in [tab, other] {
        assert_eq!(world.last(conn)["error_code"], "HANDLER_ERROR");
        assert_eq!(world.last(conn)["details"], value!({"message_id": "m1"}));
    }
    // No answer at all: told at the deadline; what comes later is ignored.
    let request = ask(&mut world, tab, METRICS);
    world.wait(9_999_999);
    assert_eq!(world.types(tab).len(), 1);
    world.wait(2);
    assert_eq!(world.last(tab)["error_code"], "SERVICE_NOT_READY");
    answer(&mut world, request.ask, "1");
    assert_eq!(world.last(tab)["error_code"], "SERVICE_NOT_READY");
    // An answer that no frame could hold.
    let request = ask(&mut world, tab, METRICS);
    answer(&mut world, request.ask, &format!("\"{}\"", "x".repeat(64 * 1024)));
    assert_eq!(world.last(tab)["error_code"], "HANDLER_ERROR");
    for (payload, path) in [
        (r#"{"report_type":null}"#, "report_type"),
        (r#"{"report_type":5}"#, "report_type"),
        (&format!(r#"{{"report_type":"{}"}}"#, "x".repeat(65)), "report_type"),
        (&format!(r#"{{"run_id":"{}"}}"#, "x".repeat(129)), "run_id"),
    ] {
        world.say(tab, &format!(r#"{{"type":"generate_quality_report","payload":{payload}}}"#));
        assert_eq!(world.last(tab)["details"]["path"], path);
    }
    let stats = world.router.stats().quality;
    assert_eq!((stats.asked, stats.failed, stats.timed_out, stats.open), (3, 2, 1, 0));
}

#[test]
fn one_deadline_holds_for_all_questions_of_a_report() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let mut request =
        ask(&mut world, tab, r#"{"type":"generate_quality_report","payload":{"report_type":"detailed"}}"#);
    let deadline = request.deadline;
    for _ in 0..3 {
        world.wait(3_000_000);
        answer(&mut world, request.ask, "{}");
        request = asked(&mut world).pop().expect("the next");
        assert_eq!(request.deadline, deadline);
    }
    world.wait(1_000_001);
    assert_eq!(world.types(tab), ["error_message"]);
    answer(&mut world, request.ask, "{}");
    assert!(asked(&mut world).is_empty());
}

#[test]
fn open_questions_are_bounded_per_user_and_go_with_the_user() {
    let config = Config { recovery_ttl_us: 1_000_000, ..Config::default() };
    let mut world = World::new(config);
    let (tab, eve) = (world.connect("ada"), world.connect("eve"));
    for _ in 0..5 {
        world.say(tab, METRICS);
    }
    assert_eq!(world.last(tab)["error_code"], "OVERLOADED");
    let requests = asked(&mut world);
    assert_eq!(requests.len(), 4);
    let of_eve = ask(&mut world, eve, METRICS);
    world.input(Input::Closed { conn: tab });
    world.wait(1_000_001);
    answer(&mut world, requests[0].ask, "1");
    answer(&mut world, of_eve.ask, "2");
    assert_eq!(world.last(eve)["payload"], 2);
    let stats = world.router.stats().quality;
    assert_eq!((stats.abandoned, stats.stale_answers, stats.open), (4, 1, 0));
}

#[test]
fn a_drain_waits_for_answers_and_takes_no_new_questions() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let request = ask(&mut world, tab, METRICS);
    world.input(Input::Drain);
    assert!(world.closed.is_empty());
    world.say(tab, METRICS);
    assert_eq!(world.last(tab)["error_code"], "SHUTTING_DOWN");
    answer(&mut world, request.ask, "1");
    assert_eq!(world.last(tab)["payload"], 1);
    assert_eq!(world.closed[&tab].code(), 1001);
}

#[test]
fn a_drain_gives_up_what_is_not_answered_by_its_deadline() {
    let config =
        Config { drain_deadline_us: 1_000_000, quality_deadline_us: 60_000_000, ..Config::default() };
    let mut world = World::new(config);
    let tab = world.connect("ada");
    let request = ask(&mut world, tab, METRICS);
    world.input(Input::Drain);
    world.wait(1_000_000);
    assert_eq!(world.last(tab)["error_code"], "SHUTTING_DOWN");
    assert_eq!(world.closed[&tab].code(), 1001);
    answer(&mut world, request.ask, "1");
    let stats = world.router.stats().quality;
    assert_eq!((stats.abandoned, stats.stale_answers, stats.open), (1, 1, 0));
}

#[test]
fn subscriptions_are_the_users_and_end_with_the_recovery_window() {
    let mut world = World::new(Config::default());
    let (ada, other, eve) = (world.connect("ada"), world.connect("ada"), world.connect("eve"));
    for _ in 0..2 {
        world.say(ada, SUBSCRIBE);
        for conn in [ada, other] {
            let told = value!({"type": "quality_alerts_subscribed", "payload": {"status": "subscribed"}});
            assert_eq!(world.last(conn), &told);
        }
    }
    world.say(eve, r#"{"type":"subscribe","topic":"quality"}"#);
    assert_eq!(
        (&world.last(eve)["type"], &world.last(eve)["topic"]),
        (&value!("subscribed"), &value!("quality"))
    );
    let names = |world: &World| {
        world.router.subscribers("quality").iter().map(|id| id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&world), ["ada", "eve"]);
    world.say(eve, UNSUBSCRIBE);
    world.say(eve, UNSUBSCRIBE);
    assert_eq!(world.last(eve)["type"], "quality_alerts_unsubscribed");
    assert_eq!(names(&world), ["ada"]);
    for bad in [r#""SUBSCRIBE""#, r#""""#, "null", "5"] {
        world.say(eve, &format!(r#"{{"type":"subscribe_quality_alerts","payload":{{"action":{bad}}}}}"#));
        assert_eq!(world.last(eve)["details"]["path"], "action", "{bad}");
    }
    world.input(Input::Closed { conn: ada });
    world.input(Input::Closed { conn: other });
    world.wait(119_000_000);
    assert_eq!(names(&world), ["ada"], "within the window");
    world.wait(1_000_001);
    assert!(names(&world).is_empty());
}

#[test]
fn news_reaches_a_snapshot_of_the_subscribers() {
    let mut world = World::new(Config::default());
    let (ada, other, bob, eve) =
        (world.connect("ada"), world.connect("ada"), world.connect("bob"), world.connect("eve"));
    for conn in [ada, bob] {
        world.say(conn, SUBSCRIBE);
    }
    // Bob's socket is stuck: the frame waits for him alone, and who comes now does not hear of it.
    world.stalled.push(bob);
    let body = json(r#"{"metric":"m","user_id":"bob"}"#);
    news(&mut world, QualityNews::Alert(&body));
    world.say(eve, SUBSCRIBE);
    let told =
        value!({"type": "quality_alert", "payload": {"metric": "m", "user_id": "bob", "severity": "info"}});
    for conn in [ada, other, bob] {
        assert_eq!(world.last(conn), &told);
    }
    assert_eq!(world.types(eve), ["quality_alerts_subscribed"]);
    assert_eq!(world.router.stats().quality.news, 1);
}

#[test]
fn an_alert_is_an_object_and_keeps_the_severity_it_names() {
    for (body, told) in [
        (r#"{"severity":""}"#, Some(r#"{"severity":""}"#)),
        (r#"{"\u0073everity":null}"#, Some(r#"{"\u0073everity":null}"#)),
        ("null", None),
        ("\"txt\"", None),
        ("[1]", None),
        ("5", None),
    ] {
        let mut world = World::new(Config::default());
        let tab = world.connect("ada");
        world.say(tab, SUBSCRIBE);
        let body = json(body);
        news(&mut world, QualityNews::Alert(&body));
        let told = told.map(|told| serde_json::from_str::<Value>(told).expect("JSON"));
        let last = (world.last(tab)["type"] == "quality_alert").then(|| world.last(tab)["payload"].clone());
        assert_eq!(last, told);
        assert_eq!(world.router.stats().quality.news_refused, u64::from(told.is_none()));
    }
}

#[test]
fn the_monitor_sees_runs_and_its_alerts_reach_the_subscribers_only() {
    let mut world = World::new(Config::default());
    let (ada, eve) = (world.connect("ada"), world.connect("eve"));
    world.say(eve, SUBSCRIBE);
    let run = world.chat(ada, "m1");
    world.play(&run);
    assert_eq!(world.types(eve).len(), 1, "all is well");
    let run = world.chat(ada, "m2");
    world.agent(&run, AgentEvent::Started { agent: "triage", task: "" });
    let none = json("{}");
    for status in [ToolStatus::Error, ToolStatus::Timeout] {
        world.agent(&run, AgentEvent::ToolExecuting { call: "c", tool: "t", parameters: &none });
        world.agent(&run, AgentEvent::ToolCompleted { call: "c", status, results: &none, duration_ms: 1 });
    }
    world.wait(5_000_000);
    world.agent(&run, AgentEvent::Failed { code: "X", message: "secret" });
    let alerts: Vec<_> = world.frames(eve).iter().filter(|frame| frame["type"] == "quality_alert").collect();
    let metrics: Vec<_> = alerts.iter().map(|alert| alert["payload"]["metric"].as_str()).collect();
    assert_eq!(metrics, [Some("response_time"), Some("error_rate")]);
    assert_eq!(alerts[0]["payload"]["value"], 2500);
    assert_eq!(alerts[1]["payload"]["severity"], "error");
    assert!(!alerts.iter().any(|alert| alert.to_string().contains("secret")));
    assert!(!world.types(ada).contains(&"quality_alert"));
    world.say(ada, r#"{"type":"get_quality_metrics","payload":{"agent_name":"triage"}}"#);
    answer_all(&mut world);
    let report = &world.last(ada)["payload"];
    assert_eq!((&report["total_runs"], &report["failed"]), (&value!(2), &value!(1)));
    assert_eq!((&report["tools"], &report["tool_errors"]), (&value!(3), &value!(2)));
    world.say(ada, r#"{"type":"generate_quality_report"}"#);
    answer_all(&mut world);
    let text = world.last(ada)["payload"]["report"].as_str().expect("Markdown");
    assert!(text.contains("\"total_events\":2"), "{text}");
}

#[test]
fn a_gated_run_is_judged_after_its_answer() {
    let mut world = World::new(Config::default());
    let (tab, other) = (world.connect("ada"), world.connect("ada"));
    let start = |gate: &str| {
        format!(
            r#"{{"type":"start_agent","payload":{{"user_request":"x","config":{{"quality_gate":{gate}}}}}}}"#
        )
    };
    for (gate, judged) in [("true", true), ("false", false), ("\"true\"", false), ("null", false)] {
        world.say(tab, &start(gate));
        let run = world.runs.last().cloned().expect("a run");
        world.play(&run);
        answer_all(&mut world);
        let expected = if judged { "quality_update" } else { "agent_completed" };
        for conn in [tab, other] {
            assert_eq!(world.last(conn)["type"], expected, "{gate}");
        }
        if judged {
            let payload = &world.last(tab)["payload"];
            assert_eq!(payload["run_id"], run.run_id().as_str());
            assert_eq!(payload["thread_id"], &*run.thread_id);
            assert_eq!(payload["agent_name"], "triage");
            assert_eq!(payload["verdict"]["issues"][0]["rule"], "length");
        }
    }
    // A gate that fails takes nothing from the run.
    world.say(tab, &start("true"));
    let run = world.runs.last().cloned().expect("a run");
    world.play(&run);
    let request = asked(&mut world).pop().expect("the gate");
    world.input(Input::Quality { ask: request.ask, answer: QualityAnswer::Failed });
    assert_eq!(world.last(tab)["payload"]["error_code"], "HANDLER_ERROR");
    assert_eq!(world.last(tab)["payload"]["verdict"], Value::Null);
}

#[test]
fn turned_off_the_types_are_acknowledged_and_nothing_is_watched() {
    let mut world = World::new(Config { quality_enabled: false, ..Config::default() });
    let tab = world.connect("ada");
    for kind in
        ["get_quality_metrics", "subscribe_quality_alerts", "validate_content", "generate_quality_report"]
    {
        world.say(tab, &format!(r#"{{"type":"{kind}","payload":{{}}}}"#));
        assert_eq!(
            (&world.last(tab)["type"], &world.last(tab)["received_type"]),
            (&value!("ack"), &value!(kind))
        );
    }
    world.say(tab, r#"{"type":"subscribe","topic":"quality"}"#);
    assert_eq!(world.last(tab)["error_code"], "BAD_FIELD");
    let run = world.chat(tab, "m1");
    world.play(&run);
    assert_eq!(world.router.quality_monitor().runs_seen(), 0);
    assert_eq!(world.router.stats().inbound.unhandled, 4);
}

#[test]
fn subscriptions_are_bounded() {
    let mut world = World::new(Config { topics_per_user_max: 0, ..Config::default() });
    let tab = world.connect("ada");
    for frame in [SUBSCRIBE, r#"{"type":"subscribe","topic":"quality"}"#] {
        world.say(tab, frame);
        assert_eq!(world.last(tab)["error_code"], "OVERLOADED");
    }
    assert!(world.router.subscribers("quality").is_empty());
}

#[test]
fn a_thread_of_somebody_else_is_refused() {
    let mut world = World::new(Config::default());
    let (ada, eve) = (world.connect("ada"), world.connect("eve"));
    let thread = world.chat(ada, "m1").thread_id;
    world.say(eve, &format!(r#"{{"type":"get_quality_metrics","thread_id":"{thread}","payload":{{}}}}"#));
    assert_eq!(world.last(eve)["error_code"], "FOREIGN_THREAD");
    world.say(ada, &format!(r#"{{"type":"get_quality_metrics","thread_id":"{thread}","payload":{{}}}}"#));
    assert_eq!(asked(&mut world).len(), 1);
}

proptest::proptest! {
    /// Whatever comes in whatever order: the accounts add up (the harness recounts after every input), nobody is told
    /// what another one asked, and every answer carries the ids of its own message.
    #[test]
    fn no_order_of_questions_answers_and_leaving_crosses_users(
        steps in proptest::collection::vec((0_u8..9, 0_usize..3, 0_usize..5), 1..60),
    ) {
        const USERS: [&str; 3] = ["ada", "bob", "eve"];
        let mut world = World::new(Config { rejects_max: 0, recovery_ttl_us: 3_000_000, ..Config::default() });
        let mut tabs: Vec<(usize, ConnId)> = (0..3).map(|user| (user, world.connect(USERS[user]))).collect();
        let mut open: Vec<QualityRequest> = Vec::new();
        for (n, (op, user, which)) in steps.into_iter().enumerate() {
            let tab = tabs.iter().find(|(owner, _)| *owner == user).map(|(_, conn)| *conn);
            let payload = [
                r#""agent_name":"a""#, r#""report_type":"detailed""#, r#""action":"unsubscribe""#, r#""content":"x""#, "",
            ][which];
            let kind = match op {
                0 => "get_quality_metrics",
                1 => "generate_quality_report",
                2 => "validate_content",
                3 => "subscribe_quality_alerts",
                _ => "",
            };
            match (op, tab) {
                (0..=3, Some(tab)) => {
                    let id = format!("{}-{n}", USERS[user]);
                    world.say(tab, &format!(
                        r#"{{"type":"{kind}","message_id":"{id}","thread_id":"{id}","payload":{{{payload}}}}}"#
                    ));
                }
                (4 | 5, _) if !open.is_empty() => {
                    let request = open.remove(which % open.len());
                    let told = format!(r#"{{"for":"{}","id":{:?}}}"#, request.user, request.thread_id);
                    let told = told.replace("Some(", "").replace(')', "");
                    answer(&mut world, request.ask, &told);
                }
                (6, Some(tab)) => {
                    world.input(Input::Closed { conn: tab });
                    tabs.retain(|(_, conn)| *conn != tab);
                }
                (7, _) => {
                    let own = tabs.iter().filter(|(owner, _)| *owner == user).count();
                    tabs.extend((own < 8).then(|| (user, world.connect(USERS[user]))));
                }
                (8, _) => world.wait(1_000_000 * which as u64),
                _ => {}
            }
            open.extend(asked(&mut world));
        }
        for (conn, frames) in &world.received {
            let owner = frames[0]["data"]["user_id"].as_str().expect("welcome").trim_end_matches('.').to_owned();
            for frame in frames.iter().filter(|frame| !frame["payload"].is_null()) {
                let id = frame["message_id"].as_str().expect("an id");
                proptest::prop_assert!(id.starts_with(&owner), "{conn:?}: {frame}");
                proptest::prop_assert_eq!(&frame["message_id"], &frame["thread_id"]);
                if let Some(asked_as) = frame["payload"]["id"].as_str() {
                    proptest::prop_assert_eq!(asked_as, id);
                    proptest::prop_assert_eq!(&frame["payload"]["for"], owner.as_str());
                }
            }
        }
    }
}
