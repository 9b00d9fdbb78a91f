use serde_json::{Value, json};

use crate::conform::{Outcome, judge, read};

/// The outcome of a case with that set-up and those steps: `(op, args, expect)`.
fn outcome(oracle: &Value, setup: &Value, steps: &[(&str, Value, Value)]) -> Outcome {
    let steps: Vec<Value> =
        steps.iter().map(|(op, args, expect)| json!({"op": op, "args": args, "expect": expect})).collect();
    let case = json!({"id": "t", "unit": "quality_router", "oracle": oracle, "setup": setup, "steps": steps});
    let cases = read(&case.to_string()).expect("well formed");
    judge(&cases[0], &mut |_| {}).expect("a unit that is known").outcome
}

fn positive(setup: &Value, steps: &[(&str, Value, Value)]) -> Outcome {
    outcome(&json!({"kind": "positive"}), setup, steps)
}

fn negative(hazard: &str, setup: &Value, steps: &[(&str, Value, Value)]) -> Outcome {
    outcome(&json!({"kind": "negative", "until": 0, "hazards": [hazard]}), setup, steps)
}

/// A host that answers everything.
fn host() -> Value {
    json!({
        "manager": {"kind": "recording"},
        "monitoring": {"dashboard": {"overall_stats": {"n": 3}}, "agent_report": {"score": 0.8}},
        "gate": {"result": {"passed": true}},
    })
}

fn message(user: &str, message: Value) -> Value {
    json!({"user": user, "message": message})
}

fn sent(user: &str, message: Value) -> Value {
    json!([{"conn": null, "user": user, "message": message}])
}

fn expect(sent: Value, subscribers: Value, calls: Value, log: Value) -> Value {
    json!({
        "returns": null, "raises": null, "sent": sent,
        "state": {"subscribers": subscribers, "service_calls": calls, "logged_errors": log},
    })
}

fn gate_call(content: &Value, kind: &str, strict: &Value) -> Value {
    let args = json!([content, kind, {"third_positional": strict}]);
    json!([{"service": "gate", "method": "validate_content", "args": args}])
}

const HANDLE: &str = "handle_message";

#[test]
fn values_of_any_type_reach_the_service() {
    let table = [
        (json!({"content": null}), json!(null), "general", json!(false)),
        (json!({"content": [], "content_type": "error"}), json!([]), "error_message", json!(false)),
        (json!({"content": "x", "content_type": 5}), json!("x"), "general", json!(false)),
        (json!({"content": "x", "strict_mode": true}), json!("x"), "general", json!(true)),
        (json!({"content": "x", "strict_mode": "yes"}), json!("x"), "general", json!("yes")),
        (json!({"content": "x", "strict_mode": 0}), json!("x"), "general", json!(0)),
    ];
    for (payload, content, kind, strict) in table {
        let frame = json!({"type": "validate_content", "payload": payload});
        let reply = sent("u", json!({"type": "content_validation_result", "payload": {"passed": true}}));
        let good = expect(reply.clone(), json!([]), gate_call(&content, kind, &strict), json!([]));
        let step = |expect| [(HANDLE, message("u", frame.clone()), expect)];
        assert_eq!(positive(&host(), &step(good)), Outcome::Holds, "{payload}");
        let other = expect(reply, json!([]), gate_call(&content, "triage", &strict), json!([]));
        assert!(matches!(positive(&host(), &step(other)), Outcome::Fails { .. }), "{payload}");
    }
}

#[test]
fn old_errors_compare_by_their_beginning_and_only_the_hosts_own_words_may_go() {
    let dashboard = json!([{"service": "monitoring", "method": "get_dashboard_data", "args": []}]);
    let mut setup = host();
    setup["monitoring"]["dashboard_raises"] = json!("db down");
    setup["gate"] = json!({"raises": "no gate", "result": {"passed": true}});
    let error = |text: &str| sent("u", json!({"type": "error", "message": text}));
    let table = [
        (
            "get_quality_metrics",
            json!({}),
            "Failed to get quality metrics: db down",
            dashboard.clone(),
            "Error getting quality metrics: db down",
            true,
        ),
        (
            "get_quality_metrics",
            json!({}),
            "Failed to get quality metrics: another",
            dashboard.clone(),
            "Error getting quality metrics: another",
            false,
        ),
        (
            "get_quality_metrics",
            json!({}),
            "Failed to validate content: db down",
            dashboard,
            "Error getting quality metrics: db down",
            false,
        ),
        (
            "validate_content",
            json!({}),
            "Failed to validate content: no gate",
            gate_call(&json!(""), "general", &json!(false)),
            "Error validating content: no gate",
            true,
        ),
    ];
    for (kind, payload, text, calls, log, holds) in table {
        let frame = json!({"type": kind, "payload": payload});
        let step = [(HANDLE, message("u", frame), expect(error(text), json!([]), calls, json!([log])))];
        assert_eq!(positive(&setup, &step) == Outcome::Holds, holds, "{text}");
    }
    for (action, shown) in [(json!(null), "None"), (json!(["a"]), "['a']"), (json!(true), "True")] {
        let frame = json!({"type": "subscribe_quality_alerts", "payload": {"action": action}});
        let text = format!("Invalid action: {shown}. Use 'subscribe' or 'unsubscribe'");
        let step = [(HANDLE, message("u", frame), expect(error(&text), json!([]), json!([]), json!([])))];
        assert_eq!(positive(&host(), &step), Outcome::Holds);
    }
}

#[test]
fn unknown_types_are_answered_as_the_facade_does() {
    let long = "x".repeat(90);
    for (kind, shown, holds) in [
        (json!("GET_QUALITY_METRICS"), "GET_QUALITY_METRICS", true),
        (json!(null), "None", true),
        (json!(false), "False", true),
        (json!(-7), "-7", true),
        (json!(long), &*long, true),
        (json!("nope"), "nopf", false),
    ] {
        let told = sent("u", json!({"type": "error", "message": format!("Unknown message type: {shown}")}));
        let step = [(
            HANDLE,
            message("u", json!({"type": kind, "payload": {}})),
            expect(told, json!([]), json!([]), json!([])),
        )];
        assert_eq!(positive(&host(), &step) == Outcome::Holds, holds, "{shown}");
    }
}

#[test]
fn a_socket_that_fails_loses_its_frames_and_keeps_its_subscription() {
    let mut setup = host();
    setup["manager"]["create_fails_for"] = json!(["b"]);
    setup["subscribers"] = json!(["a"]);
    let log = |lines: &[&str]| json!(lines);
    let subscribe = message("b", json!({"type": "subscribe_quality_alerts"}));
    let lost = log(&[
        "Error handling quality alert subscription: manager creation failed",
        "Failed to send subscription error to user b: manager creation failed",
    ]);
    let steps = |last: Value| {
        [
            (HANDLE, subscribe.clone(), expect(json!([]), json!(["a", "b"]), json!([]), lost.clone())),
            (
                "broadcast_quality_alert",
                json!({"alert": {"severity": null}}),
                expect(
                    sent("a", json!({"type": "quality_alert", "payload": {"severity": null}})),
                    json!(["a", "b"]),
                    json!([]),
                    log(&["Error broadcasting alert to b: manager creation failed"]),
                ),
            ),
            ("broadcast_quality_alert", json!({"alert": [1]}), last),
        ]
    };
    let refused = |lines: &[&str]| expect(json!([]), json!(["a", "b"]), json!([]), log(lines));
    let (a, b) = ("Error broadcasting alert to a: x", "Error broadcasting alert to b: x");
    assert_eq!(positive(&setup, &steps(refused(&[a, b]))), Outcome::Holds);
    assert!(matches!(positive(&setup, &steps(refused(&[a]))), Outcome::Fails { step: 2, .. }));
}

#[test]
fn ids_that_only_one_grammar_lets_in_are_decided() {
    let reply =
        |user: &str| sent(user, json!({"type": "quality_metrics", "payload": {"overall_stats": {"n": 3}}}));
    let calls = json!([{"service": "monitoring", "method": "get_dashboard_data", "args": []}]);
    let frame = json!({"type": "get_quality_metrics", "payload": {}});
    let log = json!(["Error getting quality metrics: x", "Failed to send metrics error to user x: y"]);
    // Refused then, served now; refused now, whatever was then; and what neither grammar explains.
    let table = [
        ("default_temp", json!([]), log.clone(), true),
        ("", json!([]), log, true),
        ("a b", reply("a b"), json!([]), true),
        ("ada", reply("eve"), json!([]), false),
    ];
    for (user, told, log, holds) in table {
        let step = [(HANDLE, message(user, frame.clone()), expect(told, json!([]), calls.clone(), log))];
        assert_eq!(positive(&host(), &step) == Outcome::Holds, holds, "{user}");
    }
}

#[test]
fn defects_are_gone_in_the_way_of_their_row() {
    let raised = |class: &str| json!({"raises": class, "sent": []});
    let old = |text: &str| {
        let told = sent("u", json!({"type": "error", "message": text}));
        expect(told, json!([]), json!([]), json!(["Error generating quality report: x"]))
    };
    let runtime = "Failed to generate report: 'list' object has no attribute 'get'";
    let report = json!({"type": "generate_quality_report", "payload": {}});
    let mut broken = host();
    broken["monitoring"]["dashboard"] = json!([1]);
    let dead = {
        let mut setup = host();
        setup["manager"] = json!({"kind": "real"});
        setup["subscribers"] = json!(["u"]);
        setup
    };
    let during = {
        let mut setup = host();
        setup["manager"]["during_send"] = json!({"on_user": "b", "subscribe": ["z"], "unsubscribe": ["c"]});
        setup["subscribers"] = json!(["a", "b", "c"]);
        setup
    };
    let nothing = expect(json!([]), json!(["u"]), json!([]), json!(["Error broadcasting to u: x"]));
    let table = [
        ("Q9", broken, HANDLE, message("u", report.clone()), old(runtime)),
        (
            "Q9",
            host(),
            HANDLE,
            message("u", json!({"type": "generate_quality_report", "payload": 5})),
            old(runtime),
        ),
        ("Q9-escape", host(), HANDLE, message("u", json!({"type": {}})), raised("TypeError")),
        ("Q9-escape", host(), HANDLE, json!({"user": "u", "message": 5}), raised("AttributeError")),
        ("Q5", host(), HANDLE, message("u", json!({"type": "start_agent"})), raised("AttributeError")),
        (
            "Q5",
            host(),
            HANDLE,
            message("u", json!({"type": "start_agent", "payload": {"user_request": "x"}})),
            raised("AttributeError"),
        ),
        ("Q4", dead, "broadcast_quality_update", json!({"update": 1}), nothing),
        ("Q3", during, "broadcast_quality_update", json!({"update": 1}), raised("RuntimeError")),
    ];
    for (hazard, setup, op, args, recorded) in table {
        let step = [(op, args.clone(), recorded)];
        assert_eq!(negative(hazard, &setup, &step), Outcome::Holds, "{hazard}: {args}");
        assert!(matches!(negative("Q1", &setup, &step), Outcome::Fails { .. }), "{hazard} is not Q1");
    }
    // A recording without any defect is no proof that one is gone.
    let sections = "Total responses: 0";
    let text = format!(
        "# AI Quality Report\n\n**Generated:** <time>\n**Type:** Summary\n\n## Overall Statistics\n\n{sections}\n\n\
         ## Quality Distribution\n\nQuality scores: {{}}\n\n## Agent Performance\n\nAgent metrics: {{}}\n\n\
         ## Recent Alerts\n\nRecent alerts: []\n\n"
    );
    let payload = json!({"report": text, "raw_data": {"overall_stats": {"n": 3}}, "timestamp": "<time>"});
    let told = sent("u", json!({"type": "quality_report_generated", "payload": payload}));
    let calls = json!([{"service": "monitoring", "method": "get_dashboard_data", "args": []}]);
    let step = [(HANDLE, message("u", report), expect(told, json!([]), calls, json!([])))];
    assert_eq!(positive(&host(), &step), Outcome::Holds);
    assert!(matches!(negative("Q9", &host(), &step), Outcome::Fails { .. }));
}

#[test]
fn answers_come_in_the_order_in_which_services_are_ready() {
    let mut setup = host();
    setup["monitoring"]["delays"] = json!({"A": 0.2, "B": 0.1});
    let call = |user: &str, agent: &str| {
        message(
            user,
            json!({"type": "get_quality_metrics", "thread_id": user, "payload": {"agent_name": agent}}),
        )
    };
    let reply = |user: &str, agent: &str| {
        let payload = json!({"score": 0.8, "agent": agent, "hours": 24});
        json!({"conn": null, "user": user, "message": {"type": "quality_metrics", "payload": payload}})
    };
    let calls: Vec<Value> = ["A", "B"]
        .map(|agent| json!({"service": "monitoring", "method": "get_agent_report", "args": [agent, 24]}))
        .into();
    for (order, holds) in [([("b", "B"), ("a", "A")], true), ([("a", "A"), ("b", "B")], false)] {
        let told: Vec<Value> = order.map(|(user, agent)| reply(user, agent)).into();
        let mut recorded = expect(told.into(), json!([]), calls.clone().into(), json!([]));
        recorded["returns"] = json!([null, null]);
        let args = json!({"calls": [call("a", "A"), call("b", "B")]});
        let step = [("concurrent_handle_message", args, recorded)];
        assert_eq!(positive(&setup, &step) == Outcome::Holds, holds);
    }
}
