//! Clients ask for figures, verdicts and reports, come and go as subscribers; services fail, are slow, and have news.

use proptest::{option, prelude::*, sample::select, strategy::BoxedStrategy};
use serde_json::{Value, json};

use super::{USERS, body, no_object, one_of, ops, some_of, user, with};
use crate::sequence::{Op, Sequence};

pub(crate) fn strategy() -> BoxedStrategy<Sequence> {
    (setup(), ops(op()))
        .prop_map(|(setup, ops)| Sequence { unit: "quality_router", setup, ops, fixed: 0 })
        .boxed()
}

fn setup() -> impl Strategy<Value = Value> {
    let users = USERS.map(Value::from);
    let failing = prop_oneof![3 => Just(Vec::new()), 1 => some_of(&users[2..])];
    let (subscribers, unmade) = (some_of(&users), failing.clone());
    let failure = |text: &str| option::weighted(0.1, Just(json!(text)));
    let services = (failure("db down"), failure("no agent"), failure("full"), failure("no gate"));
    (failing, unmade, subscribers, services, any::<bool>()).prop_map(
        |(fail_for, create_fails_for, subscribers, (dashboard, agent, full, gate), slow)| {
            let monitoring = json!({
                "dashboard": {"overall_stats": {"average_quality": 0.9, "total_events": 3}, "recent_alerts": []},
                "agent_report": {"score": 0.8},
                "delays": if slow { json!({"A1": 0.3, "A2": 0.1}) } else { json!({}) },
            });
            let monitoring = with(monitoring, "dashboard_raises", dashboard);
            let monitoring = with(monitoring, "agent_report_raises", agent);
            // Who is subscribed when nobody can be is no question.
            let subscribers = if full.is_some() { Vec::new() } else { subscribers };
            json!({
                "manager": {"kind": "recording", "fail_for": fail_for, "create_fails_for": create_fails_for},
                "monitoring": with(monitoring, "subscribe_raises", full),
                "gate": with(json!({"result": {"passed": true, "score": 0.9}}), "raises", gate),
                "subscribers": subscribers,
            })
        },
    )
}

fn op() -> BoxedStrategy<Op> {
    let message = (user(), message()).prop_map(|(user, message)| Op {
        args: json!({"user": user, "message": message}),
        by: user,
        op: "handle_message",
    });
    let strangers =
        one_of(&[json!(""), json!("  "), json!("a b"), json!("placeholder"), json!(null), json!(5)]);
    let stranger = (strangers, select(&["get_quality_metrics", "nope"][..])).prop_map(|(user, kind)| {
        Op::of_nobody("handle_message", json!({"user": user, "message": {"type": kind, "payload": {}}}))
    });
    let at_once = proptest::sample::subsequence(USERS.to_vec(), 2..=3).prop_flat_map(|users| {
        let asks = users.into_iter().map(|user| {
            (Just(user), metrics_together())
                .prop_map(|(user, message)| json!({"user": user, "message": message}))
        });
        asks.collect::<Vec<_>>()
            .prop_map(|calls| Op::of_nobody("concurrent_handle_message", json!({ "calls": calls })))
    });
    let update =
        prop_oneof![4 => body(), 1 => no_object(), 1 => Just(json!({"user_id": "user_2", "type": "x"}))];
    let update =
        update.prop_map(|update| Op::of_nobody("broadcast_quality_update", json!({ "update": update })));
    let severity = option::of(one_of(&[json!("critical"), json!(null), json!(""), json!(5)]));
    let alert = (body(), severity).prop_map(|(alert, severity)| with(alert, "severity", severity));
    let alert = prop_oneof![6 => alert, 1 => no_object()];
    let alert = alert.prop_map(|alert| Op::of_nobody("broadcast_quality_alert", json!({ "alert": alert })));
    prop_oneof![14 => message, 1 => stranger, 1 => at_once, 2 => update, 2 => alert].boxed()
}

fn message() -> BoxedStrategy<Value> {
    let unknown = one_of(&[
        json!({"type": "nope", "payload": {}}),
        json!({"type": null, "payload": {}}),
        json!({"type": "GET_QUALITY_METRICS", "payload": {}}),
        json!({"type": 123}),
        json!({"type": true}),
        json!({"type": "x".repeat(90)}),
        json!({"type": ["get_quality_metrics"]}),
        json!({"type": {}}),
        json!({"payload": {}}),
        json!(null),
        json!(5),
        json!([]),
    ]);
    prop_oneof![
        4 => metrics(),
        5 => with_texts(request("subscribe_quality_alerts", subscription())),
        4 => with_ids(request("validate_content", validation())),
        3 => with_ids(request("generate_quality_report", report())),
        2 => unknown,
    ]
    .boxed()
}

fn metrics() -> BoxedStrategy<Value> {
    with_ids(request("get_quality_metrics", figures())).boxed()
}

/// What is asked for together: whom the router refuses at once it answers at once, ahead of everybody who waits.
fn metrics_together() -> impl Strategy<Value = Value> {
    let ids = one_of(&[json!("t1"), json!("t2"), json!(null)]);
    (figures(), ids).prop_map(
        |(payload, thread)| json!({"type": "get_quality_metrics", "payload": payload, "thread_id": thread}),
    )
}

fn figures() -> impl Strategy<Value = Value> {
    let agent =
        option::of(one_of(&[json!("A1"), json!("A2"), json!(""), json!(null), json!(0), json!(["a"])]));
    let hours = option::of(one_of(&[json!(2), json!(null), json!("24")]));
    (agent, hours)
        .prop_map(|(agent, hours)| with(with(json!({}), "agent_name", agent), "period_hours", hours))
}

fn subscription() -> impl Strategy<Value = Value> {
    let bad = one_of(&[json!("SUBSCRIBE"), json!(""), json!(null), json!(5), json!({"a": 1}), json!(true)]);
    let action = prop_oneof![3 => Just(json!("subscribe")), 3 => Just(json!("unsubscribe")), 1 => bad];
    option::weighted(0.9, action).prop_map(|action| with(json!({}), "action", action))
}

fn validation() -> impl Strategy<Value = Value> {
    let content = option::of(one_of(&[json!("c"), json!(""), json!(null), json!(5), json!([]), json!("ü✓")]));
    let kinds =
        ["optimization", "data_analysis", "action_plan", "report", "triage", "error", "general", "bad"];
    let kinds: Vec<Value> =
        kinds.into_iter().map(Value::from).chain([json!(5), json!([]), json!({})]).collect();
    let strict = option::of(one_of(&[json!(true), json!(false), json!(null), json!("yes"), json!(0)]));
    (content, option::of(one_of(&kinds)), strict).prop_map(|(content, kind, strict)| {
        let payload = with(with(json!({}), "content", content), "content_type", kind);
        with(payload, "strict_mode", strict)
    })
}

fn report() -> impl Strategy<Value = Value> {
    let kinds = [
        json!("summary"),
        json!("detailed"),
        json!("other"),
        json!(""),
        json!("SUMMARY"),
        json!(null),
        json!(5),
    ];
    let period = option::of(one_of(&[json!("day"), json!("week"), json!("month"), json!(null)]));
    (option::of(one_of(&kinds)), period)
        .prop_map(|(kind, period)| with(with(json!({}), "report_type", kind), "period", period))
}

/// A request with a payload, without one, or with something else in its place.
fn request(
    kind: &'static str,
    payload: impl Strategy<Value = Value> + 'static,
) -> impl Strategy<Value = Value> {
    let payload = prop_oneof![8 => payload.prop_map(Some), 1 => Just(None), 1 => no_object().prop_map(Some)];
    payload.prop_map(move |payload| with(json!({ "type": kind }), "payload", payload))
}

/// Who is refused for an id did not subscribe: where the old one let it pass, the two would never agree again.
fn with_texts(message: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let id = |text: &str| option::weighted(0.4, one_of(&[json!(text), json!(null), json!("")]));
    (message, id("t1"), id("r1"))
        .prop_map(|(message, thread, run)| with(with(message, "thread_id", thread), "run_id", run))
}

fn with_ids(message: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let id = |text: &'static str| {
        let bad = one_of(&[json!(null), json!(""), json!(0), json!(7)]);
        option::weighted(0.4, prop_oneof![5 => Just(json!(text)), 1 => bad])
    };
    (message, id("t1"), id("r1"))
        .prop_map(|(message, thread, run)| with(with(message, "thread_id", thread), "run_id", run))
}
