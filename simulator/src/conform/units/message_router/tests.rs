use serde_json::{Value, json};

use crate::conform::{Judged, Outcome, judge, read};

/// Judges a case of one socket.
fn judged(oracle: &Value, steps: &Value) -> Judged {
    let case = json!({
        "id": "made here", "unit": "message_router", "about": "", "oracle": oracle, "steps": steps,
        "setup": {"connections": [{"conn": "c1", "user": "u1", "state": "connected"}]},
    });
    let cases = read(&case.to_string()).expect("a case");
    judge(&cases[0], &mut |_| {}).expect("a known unit")
}

fn route(message: &Value, returns: &Value, sent: &Value, stats: &Value) -> Value {
    json!({
        "op": "route", "args": {"conn": "c1", "user_id": "u1", "message": message},
        "expect": {"returns": returns, "raises": null, "sent": sent, "state": {"stats": stats}},
    })
}

fn stats(routed: u64, unhandled: u64, errors: u64, types: &Value) -> Value {
    json!({"messages_routed": routed, "unhandled_messages": unhandled, "handler_errors": errors, "message_types": types})
}

fn pong() -> Value {
    json!([{"conn": "c1", "user": "u1", "message": {
        "type": "pong", "data": {"timestamp": "<time>", "user_id": "u1"}, "timestamp": "<time>",
        "server_id": null, "correlation_id": null,
    }}])
}

fn differences(judged: &Judged) -> Vec<&str> {
    match &judged.outcome {
        Outcome::Fails { differences, .. } => differences.iter().map(|d| d.at.as_str()).collect(),
        Outcome::Holds | Outcome::Inexpressible(_) | Outcome::NotForUs => Vec::new(),
    }
}

#[test]
fn what_agrees_holds_and_each_thing_that_differs_is_found() {
    let positive = json!({"kind": "positive", "until": 1});
    let ping = json!({"type": "ping", "payload": {}});
    let once = stats(1, 0, 0, &json!({"MessageType.PING": 1}));
    let step = route(&ping, &json!(true), &pong(), &once);
    assert_eq!(judged(&positive, &json!([step])).outcome, Outcome::Holds);
    let mut other = pong();
    other[0]["message"]["data"]["user_id"] = json!("u2");
    for (step, at) in [
        (route(&ping, &json!(false), &pong(), &once), "returns[0]"),
        (route(&ping, &json!(true), &json!([]), &once), "sent.c1"),
        (route(&ping, &json!(true), &other, &once), "sent.c1[0].data.user_id"),
        (
            route(&ping, &json!(true), &pong(), &stats(2, 0, 0, &json!({"MessageType.PING": 1}))),
            "stats.messages_routed",
        ),
        (
            route(&ping, &json!(true), &pong(), &stats(1, 1, 0, &json!({"MessageType.PING": 1}))),
            "stats.unhandled_messages",
        ),
        (
            route(&ping, &json!(true), &pong(), &stats(1, 0, 1, &json!({"MessageType.PING": 1}))),
            "stats.handler_errors",
        ),
        (
            route(&ping, &json!(true), &pong(), &stats(1, 0, 0, &json!({"MessageType.PONG": 1}))),
            "stats.message_types",
        ),
    ] {
        assert_eq!(differences(&judged(&positive, &json!([step]))), [at]);
    }
}

#[test]
fn a_defect_is_seen_to_be_gone_and_its_absence_is_not_enough() {
    let negative = |hazard: &str| json!({"kind": "negative", "until": 0, "hazards": [hazard]});
    let ping = json!({"type": "ping", "payload": {}});
    let hijacked = stats(1, 0, 0, &json!({"MessageType.AGENT_PROGRESS": 1}));
    let silent = route(&ping, &json!(true), &json!([]), &hijacked);
    assert_eq!(judged(&negative("H1"), &json!([silent])).outcome, Outcome::Holds);
    assert!(
        matches!(judged(&negative("H2"), &json!([silent])).outcome, Outcome::Fails { .. }),
        "another defect"
    );
    let right = route(&ping, &json!(true), &pong(), &stats(1, 0, 0, &json!({"MessageType.PING": 1})));
    let agrees = judged(&negative("H1"), &json!([right]));
    assert!(matches!(agrees.outcome, Outcome::Fails { .. }), "no defect was recorded");
}

#[test]
fn a_decision_excuses_only_the_outcome_it_demands() {
    let positive = json!({"kind": "positive", "until": 1});
    let foreign = json!({"type": "system", "user_id": "victim", "payload": {}});
    let once = stats(1, 0, 0, &json!({"MessageType.SYSTEM_MESSAGE": 1}));
    let carried = judged(&positive, &json!([route(&foreign, &json!(true), &json!([]), &once)]));
    assert_eq!(carried.outcome, Outcome::Holds);
    assert_eq!(carried.notes.decisions().keys().map(|d| d.name).collect::<Vec<_>>(), ["foreign-ids"]);
    let own = json!({"type": "system", "user_id": "u1", "payload": {}});
    let refused = route(&own, &json!(false), &json!([]), &stats(0, 0, 1, &json!({})));
    assert!(matches!(judged(&positive, &json!([refused])).outcome, Outcome::Fails { .. }));
}

#[test]
fn the_canned_agent_reports_in_tenths_of_a_second() {
    let positive = json!({"kind": "positive", "until": 1});
    let asked = json!({"type": "agent", "payload": {"message": "m", "turn_id": 7}});
    let data = |event: &str, status: &str| json!({"event": event, "type": event, "status": status, "user_id": "u1", "turn_id": 7, "timestamp": "<time>"});
    let frame = |at: f64, kind: &str, data: Value| {
        json!({"conn": "c1", "user": "u1", "at": at, "message": {
            "type": kind, "data": data, "timestamp": "<time>", "server_id": null, "correlation_id": null,
        }})
    };
    let mut executing = data("tool_executing", "Executing analysis tools");
    executing["payload"] = json!({"tool_name": "analysis_tool", "agent_name": "supervisor-agent",
        "parameters": {"action": "analyze"}, "tool_purpose": "Data analysis", "estimated_duration_ms": 2000});
    let mut completed = data("tool_completed", "Tool execution completed");
    completed["payload"] = json!({"tool_name": "analysis_tool", "agent_name": "supervisor-agent",
        "result": "Analysis complete", "duration_ms": 2000, "success": true});
    let mut done = data("agent_completed", "success");
    for (name, value) in [
        ("content", json!("Agent response for: m")),
        ("message", json!("Agent response for: m")),
        ("agents_involved", json!(["triage"])),
        ("orchestration_time", json!(0.8)),
        ("response_time", json!(0.8)),
        ("real_llm_used", json!(false)),
    ] {
        done[name] = value;
    }
    let sent = json!([
        frame(0.0, "system_message", data("agent_started", "Agent execution started")),
        frame(0.1, "agent_progress", data("agent_thinking", "Agent is analyzing request")),
        frame(0.2, "agent_progress", executing),
        frame(0.3, "agent_progress", completed),
        frame(0.4, "agent_response_complete", done),
    ]);
    let once = stats(1, 0, 0, &json!({"MessageType.AGENT_REQUEST": 1}));
    let step = route(&asked, &json!(true), &sent, &once);
    assert_eq!(judged(&positive, &json!([step])).outcome, Outcome::Holds);
    let mut late = sent;
    late[4]["at"] = json!(0.5);
    let step = route(&asked, &json!(true), &late, &once);
    assert_eq!(differences(&judged(&positive, &json!([step]))), ["sent.c1[4].at"]);
}
