//! Messages of clients, of services, about quality.

use std::sync::Arc;

use router::{
    Deliver, Effect, Input, Kind, KindSet, QualityNews, Router, Target,
    compat::{CoreRouter, MessageRouter, QualityMessageRouter},
    handlers::Described,
    routes::{Draft, Failure, Verdict},
};
use serde_json::{Value, json as value};

use super::{Pair, every_method_was_called};
use crate::harness::json;

fn handler(name: &str) -> Box<Described> {
    let text = value!({"name": name, "accepts": "*", "then": "take", "reply": {"type": "from", "by": name}});
    Box::new(Described::from_json(&text.to_string()).expect("a good description"))
}

#[test]
fn message_router_registers_and_routes_as_the_router_does() {
    let mut pair = Pair::new();
    let (ada, eve) = (pair.connect("ada"), pair.connect("eve"));
    let mut facade = MessageRouter::new();
    let routed = |pair: &mut Pair, facade: &mut MessageRouter, text: &str| {
        pair.same(
            |lent| facade.over(lent).route_message("ada", ada, text),
            |router, now, out| {
                let failed =
                    |router: &Router| router.stats().inbound.rejected + router.stats().inbound.handler_errors;
                let before = failed(router);
                router.handle(now, Input::Text { conn: ada, text }, out);
                failed(router) == before
            },
        )
    };
    assert!(routed(&mut pair, &mut facade, r#"{"type":"ping"}"#));
    assert!(routed(&mut pair, &mut facade, r#"{"type":"nobody knows"}"#), "acknowledged");
    assert!(!routed(&mut pair, &mut facade, "[]"), "refused");
    let parsed = value!({"type": "heartbeat", "payload": {}});
    let compat = pair.same(
        |lent| facade.over(lent).route_message_compat("ada", ada, &parsed),
        |router, now, out| {
            router.handle(now, Input::Text { conn: ada, text: &parsed.to_string() }, out);
            true
        },
    );
    assert!(compat);
    // Somebody else's connection: nothing happens at all.
    let ping = r#"{"type":"ping"}"#;
    assert!(!pair.same(|lent| facade.over(lent).route_message("ada", eve, ping), |_, _, _| false));

    let first = pair
        .same(
            |lent| facade.over(lent).add_handler(handler("a")),
            |router, _, _| router.add_handler(handler("a")),
        )
        .expect("room");
    pair.same(
        |lent| facade.over(lent).register_handler(handler("b")),
        |router, _, _| router.add_handler(handler("b")),
    )
    .expect("room");
    pair.same(
        |lent| facade.over(lent).insert_handler(handler("c"), -1),
        |router, _, _| router.insert_handler(-1, handler("c")),
    )
    .expect("room");
    let names = |router: &Router| router.handler_order().map(|(_, name)| name.to_owned()).collect::<Vec<_>>();
    let order = pair.same(|lent| facade.over(lent).handlers(), |router, _, _| names(router));
    assert_eq!(order[..4], ["a", "c", "b", "connection"]);
    assert!(routed(&mut pair, &mut facade, r#"{"type":"ping"}"#));
    pair.same(
        |lent| facade.over(lent).remove_handler(first),
        |router, _, _| {
            router.remove_handler(first);
        },
    );
    let places = pair.same(
        |lent| facade.over(lent).get_handler_order(),
        |router, _, _| names(router).iter().enumerate().map(|(at, name)| format!("[{at}] {name}")).collect(),
    );
    assert_eq!(places[0], "[0] c");

    let status = pair.same(
        |lent| facade.over(lent).handler_status()["status"].clone(),
        |router, now, _| router.readiness(now).status.name().into(),
    );
    assert_eq!(status, "initializing");
    let stats = pair.same(
        |lent| {
            let all = facade.over(lent).get_stats();
            let keys =
                ["messages_routed", "unhandled_messages", "handler_errors", "rejected", "message_types"];
            keys.map(|key| all[key].clone())
        },
        |router, _, _| {
            let inbound = router.stats().inbound;
            let types =
                router.stats().by_kind().map(|(name, count)| (name.to_owned(), count.into())).collect();
            let counts = [inbound.routed, inbound.unhandled, inbound.handler_errors, inbound.rejected];
            let [routed, unhandled, errors, rejected] = counts.map(Value::from);
            [routed, unhandled, errors, rejected, Value::Object(types)]
        },
    );
    assert_eq!(stats, [value!(4), value!(1), value!(0), value!(1), value!({"heartbeat": 1, "ping": 2})]);
    every_method_was_called(facade.compat_uses());
    assert_eq!(facade.compat_uses().of("route_message"), 5, "also the one that came to nothing");
}

#[test]
fn core_router_dispatches_as_the_router_does() {
    let mut pair = Pair::new();
    let mut facade = CoreRouter::new();
    let double = |message: &mut Draft| Ok(value!(message.payload()["n"].as_i64().unwrap_or_default() * 2));
    let fails = |_: &mut Draft| Err(Failure::new("no"));
    for (key, n) in [("one", 1), ("two", 2), ("two", 0)] {
        pair.same(
            |lent| facade.over(lent).add_route(key, if n == 0 { Arc::new(fails) } else { Arc::new(double) }),
            |router, _, _| router.add_route(key, if n == 0 { Arc::new(fails) } else { Arc::new(double) }),
        )
        .expect("room");
    }
    pair.same(
        |lent| facade.over(lent).add_route("two", Arc::new(double)),
        |router, _, _| router.add_route("two", Arc::new(double)),
    )
    .expect("room");
    let drops = |message: &mut Draft| Ok(if message.id() == "drop" { Verdict::Drop } else { Verdict::Pass });
    pair.same(
        |lent| facade.over(lent).add_middleware(Arc::new(drops)),
        |router, _, _| router.add_middleware(Arc::new(drops)),
    )
    .expect("room");
    pair.same(|lent| facade.over(lent).start(), |router, _, _| router.start());
    let message = |id: &str, to: &str| value!({"id": id, "type": "command", "source": "s", "destination": to, "payload": {"n": 4}});
    // What the old router answered; the canonical answers behind it are compared by the counters.
    for (message, answer) in [
        (message("m1", "one"), value!(8)),
        (message("m2", "two"), value!([8, 8])),
        (message("m3", "nowhere"), Value::Null),
        (message("drop", "one"), Value::Null),
        (value!("no message"), Value::Null),
    ] {
        pair.same(
            |lent| facade.over(lent).route_message(message.clone()),
            |router, now, _| {
                let _ = router.dispatch_value(now, message.clone());
                answer.clone()
            },
        );
    }
    let figures = pair.same(
        |lent| {
            let figures = facade.over(lent).get_statistics();
            ["total_messages", "active_routes", "middleware_count", "active"].map(|key| figures[key].clone())
        },
        |router, _, _| {
            let figures = router.dispatch_figures();
            [
                figures.total_messages.into(),
                figures.active_routes.into(),
                figures.middleware_count.into(),
                figures.active.into(),
            ]
        },
    );
    assert_eq!(figures, [value!(5), value!(2), value!(1), value!(true)]);
    pair.same(|lent| facade.over(lent).stop(), |router, _, _| router.stop());
    let history = pair.same(
        |lent| facade.over(lent).message_history(),
        |router, _, _| router.history(None).map(|record| record.left().clone()).collect(),
    );
    assert_eq!(history.len(), 4, "what is no message is in no history");
    every_method_was_called(facade.compat_uses());
}

#[test]
fn quality_router_asks_and_tells_as_the_router_does() {
    let mut pair = Pair::new();
    let (ada, _) = (pair.connect("ada"), pair.connect("eve"));
    let mut facade = QualityMessageRouter::new();
    let message = |facade: &mut QualityMessageRouter, pair: &mut Pair, message: &Value| {
        pair.same(
            |lent| facade.over(lent).handle_message("ada", message),
            |router, now, out| router.handle(now, Input::Text { conn: ada, text: &message.to_string() }, out),
        );
    };
    message(&mut facade, &mut pair, &value!({"type": "subscribe_quality_alerts", "thread_id": "th"}));
    message(
        &mut facade,
        &mut pair,
        &value!({"type": "get_quality_metrics", "payload": {"agent_name": "triage"}}),
    );
    assert!(pair.out.iter().any(|effect| matches!(effect, Effect::AskQuality(_))));
    message(&mut facade, &mut pair, &value!({"type": "start_agent", "payload": {"message": "hello"}}));
    assert!(pair.out.iter().any(|effect| matches!(effect, Effect::StartRun(_))), "the agent handler's own");
    for unfit in [value!({"type": ["x"]}), value!([]), value!(null), value!({"type": {}})] {
        message(&mut facade, &mut pair, &unfit);
    }

    // A type that the old router did not know: its own error, to the user.
    for (kind, shown) in [
        (value!({"type": "ping"}), "ping"),
        (value!({"type": "execute_agent"}), "execute_agent"),
        (value!({"type": "Get_Quality_Metrics"}), "Get_Quality_Metrics"),
        (value!({"type": ""}), ""),
        (value!({"type": null}), "None"),
        (value!({}), "None"),
        (value!({"type": true}), "True"),
        (value!({"type": 5}), "5"),
    ] {
        let error = value!({"type": "error", "message": format!("Unknown message type: {shown}")});
        let error = json(&error.to_string());
        pair.same(
            |lent| facade.over(lent).handle_message("ada", &kind),
            |router, now, out| {
                router.handle(now, Input::Deliver(Deliver::new(Target::User("ada"), &error)), out)
            },
        );
        pair.write();
    }
    let nobody = value!({"type": "get_quality_metrics"});
    pair.same(|lent| facade.over(lent).handle_message("zoe", &nobody), |_, _, _| ());

    let news = value!({"error_rate": 0.2});
    let body = json(&news.to_string());
    for (trusted, update) in [(false, true), (false, false), (true, true), (true, false)] {
        pair.trusted = trusted;
        let told = pair.same_with(
            |lent| {
                let mut over = facade.over(lent);
                if update {
                    over.broadcast_quality_update(&news)
                } else {
                    over.broadcast_quality_alert(&news)
                }
            },
            |router, now, authority, out| {
                let news = if update { QualityNews::Update(&body) } else { QualityNews::Alert(&body) };
                if trusted {
                    router.handle(now, Input::QualityNews { authority, news }, out);
                }
                trusted
            },
        );
        assert_eq!(told, trusted, "the right to cross users must be lent");
        assert_eq!(pair.out.frames_to(ada).any(|frame| frame.as_str().contains("error_rate")), trusted);
        pair.write();
    }

    // A handler of one type, whatever else it would take.
    pair.same(
        |lent| facade.over(lent).register_handler(Kind::Ping, handler("own")),
        |router, _, _| {
            let only = Described { accepts: KindSet::of(&[Kind::Ping]), ..*handler("own") };
            router.add_handler(Box::new(only))
        },
    )
    .expect("room");
    assert!(facade.handlers().contains(&"ping"));
    message(&mut facade, &mut pair, &value!({"type": "ping"}));
    assert!(pair.out.frames_to(ada).any(|frame| frame.as_str().contains("own")));
    message(&mut facade, &mut pair, &value!({"type": "validate_content", "payload": {"content": "x"}}));
    assert!(pair.out.iter().any(|effect| matches!(effect, Effect::AskQuality(_))), "not the new handler's");
    every_method_was_called(facade.compat_uses());
}
