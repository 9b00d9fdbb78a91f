use serde_json::{Value, json};

use super::*;

/// Sockets that all work.
#[derive(Default)]
struct Sockets(Vec<(Value, Value)>);

impl Host for Sockets {
    fn send(&mut self, user: &Value, message: &Value) -> Result<(), String> {
        self.0.push((user.clone(), message.clone()));
        Ok(())
    }
}

/// The router with one switch on, and with none.
fn both(hazard: Hazard, wiring: Wiring, subscribers: &[&str]) -> [QualityRouter; 2] {
    [Hazards::NONE.with(hazard), Hazards::NONE]
        .map(|hazards| QualityRouter::new(hazards, wiring, subscribers.iter().map(|user| Value::from(*user))))
}

fn ask(router: &mut QualityRouter, message: Value) -> (Result<Next, Raised>, Sockets, Value) {
    let (mut sockets, mut message) = (Sockets::default(), message);
    let next = router.handle_message(&json!("user_1"), &mut message, &mut sockets);
    (next, sockets, message)
}

#[test]
fn q1_lends_one_users_run_to_another() {
    let runs = both(Hazard::Q1, Wiring::Bound, &[]).map(|mut router| {
        let message = |run: &str| json!({"type": "start_agent", "payload": {}, "run_id": run});
        let (mut ada, mut eve) = (message("a"), message("e"));
        // Both are taken in before the first one is routed.
        let first = router.receive(&ada).expect("a map");
        let second = router.receive(&eve).expect("a map");
        let mut sockets = Sockets::default();
        let mut run = |user: &str, message: &mut Value, envelope| match router.route(
            &json!(user),
            message,
            envelope,
            &mut sockets,
        ) {
            Ok(Next::StartAgent { payload, .. }) => payload["run_id"].clone(),
            other => panic!("no run: {other:?}"),
        };
        [run("ada", &mut ada, first), run("eve", &mut eve, second)]
    });
    assert_eq!(runs, [[json!("e"), json!("e")], [json!("a"), json!("e")]]);
}

#[test]
fn q2_writes_into_the_callers_message() {
    let message = json!({"type": "get_quality_metrics", "payload": {}, "thread_id": "t"});
    let after = both(Hazard::Q2, Wiring::Bound, &[]).map(|mut router| ask(&mut router, message.clone()).2);
    assert_eq!(after.map(|message| message["payload"].clone()), [json!({"thread_id": "t"}), json!({})]);
}

#[test]
fn q3_ends_a_broadcast_when_somebody_comes() {
    let outcomes = both(Hazard::Q3, Wiring::Bound, &["user_1", "user_2"]).map(|mut router| {
        let mut sockets = Sockets::default();
        let mut broadcast = router.begin_broadcast(News::Update(json!(1)), Subscribers::OfRouter);
        let mut tell = |router: &mut QualityRouter| router.tell_next(&mut broadcast, &mut sockets);
        assert_eq!(tell(&mut router), Ok(Some(json!("user_1"))));
        router.subscribe(&json!("user_0"));
        [tell(&mut router), tell(&mut router)].map(|told| told.map_err(|raised| raised.class))
    });
    let [old, new] = outcomes;
    assert_eq!(old, [Err("RuntimeError"), Err("RuntimeError")]);
    assert_eq!(new, [Ok(Some(json!("user_2"))), Ok(None)]);
}

#[test]
fn q4_delivers_nothing_in_production() {
    let sent = both(Hazard::Q4, Wiring::Production, &[]).map(|mut router| {
        let (next, sockets, _) = ask(&mut router, json!({"type": "subscribe_quality_alerts"}));
        assert!(matches!(next, Ok(Next::Done)));
        (sockets.0.len(), router.take_log().len())
    });
    assert_eq!(sent, [(0, 2), (1, 0)]);
}

#[test]
fn q5_raises_where_an_agent_is_to_be_started() {
    let [mut old, mut new] = both(Hazard::Q5, Wiring::Bound, &[]);
    let message = json!({"type": "start_agent", "payload": {"user_request": "x"}});
    assert_eq!(ask(&mut old, message.clone()).0.expect_err("nobody handles it").class, "AttributeError");
    assert!(matches!(ask(&mut new, message).0, Ok(Next::StartAgent { .. })));
}

#[test]
fn q6_reports_nothing_of_what_the_service_said() {
    let lines = both(Hazard::Q6, Wiring::Bound, &[]).map(|mut router| {
        let (next, mut sockets, _) = ask(&mut router, json!({"type": "generate_quality_report"}));
        let Ok(Next::Ask(Question::Dashboard, pending)) = next else {
            panic!("a summary asks for the dashboard")
        };
        let data = json!({"overall_stats": {"n": 3}});
        assert!(matches!(router.answered(pending, Ok(data), &mut sockets), Next::Done));
        let report = sockets.0[0].1["payload"]["report"].as_str().expect("a text").to_owned();
        report.lines().find(|line| line.starts_with("Total")).expect("a section").to_owned()
    });
    assert_eq!(lines, ["Total responses: 0", "Total responses: {'n': 3}"]);
}

#[test]
fn q7_hands_strictness_to_the_gate_as_something_else() {
    let strict = both(Hazard::Q7, Wiring::Bound, &[]).map(|mut router| {
        let message = json!({"type": "validate_content", "payload": {"strict_mode": true}});
        match ask(&mut router, message).0 {
            Ok(Next::Ask(Question::Validate { strict, strict_as_context, .. }, _)) => {
                plain::is_truthy(&strict) && !strict_as_context
            }
            other => panic!("the gate is asked: {other:?}"),
        }
    });
    assert_eq!(strict, [false, true]);
}

#[test]
fn q8_keeps_whoever_has_left() {
    let left = both(Hazard::Q8, Wiring::Bound, &["user_1"]).map(|mut router| {
        router.user_left(&json!("user_1"));
        router.subscribers().len()
    });
    assert_eq!(left, [1, 0]);
}

#[test]
fn q9_shows_internal_texts_or_lets_them_escape() {
    let [mut old, mut new] = both(Hazard::Q9, Wiring::Bound, &[]);
    let text = |sockets: &Sockets| sockets.0[0].1["message"].as_str().expect("a text").to_owned();
    let bad = json!({"type": "get_quality_metrics", "payload": null});
    assert!(text(&ask(&mut old, bad.clone()).1).ends_with("'NoneType' object has no attribute 'get'"));
    assert_eq!(text(&ask(&mut new, bad).1), format!("Failed to get quality metrics: {REASON}"));
    for bad in
        [json!(5), json!({"type": []}), json!({"type": "validate_content", "payload": [], "run_id": "r"})]
    {
        assert!(ask(&mut old, bad.clone()).0.is_err(), "{bad}");
        let (next, sockets, _) = ask(&mut new, bad);
        assert!(next.is_ok() && text(&sockets).ends_with(REASON));
    }
}

#[test]
fn q10_asks_a_service_that_has_no_subscribers() {
    let told = both(Hazard::Q10, Wiring::Bound, &["user_1"]).map(|mut router| {
        let mut broadcast = router.begin_broadcast(News::Update(json!(1)), Subscribers::OfNewService);
        router.tell_next(&mut broadcast, &mut Sockets::default())
    });
    assert_eq!(told, [Ok(None), Ok(Some(json!("user_1")))]);
}
