//! Events to connections and users.

use router::{
    Config, Connect, Context, Deliver, Effects, Input, Instant, Receipt, ReceiptId, Router, Target, Ticket,
    compat::{
        BroadcastResult, Lent, UserScopedWebSocketEventRouter, WebSocketBroadcastService,
        WebSocketEventRouter,
    },
    tools,
};
use serde_json::json as value;

use super::{NOTE, Pair, every_method_was_called, note};
use crate::harness::json;

/// Has a user's tabs `t1`, `t2` and eve's `e1` connected, by old calls and by canonical ones.
fn named(pair: &mut Pair, facade: &mut WebSocketEventRouter) {
    for (ticket, (user, name, thread)) in
        (1..).map(Ticket).zip([("ada", "t1", None), ("ada", "t2", Some("th")), ("eve", "e1", None)])
    {
        let taken = pair.same(
            |lent| facade.over(lent).register_connection(user, name, thread, ticket),
            |router, now, out| {
                let connect = Connect { name: Some(name), thread, ..Connect::new(ticket, user) };
                router.handle(now, Input::Connect(connect), out);
                true
            },
        );
        assert!(taken);
        pair.write();
    }
}

#[test]
fn event_router_sends_and_lists_as_the_router_does() {
    let mut pair = Pair::new();
    let mut facade = WebSocketEventRouter::new();
    named(&mut pair, &mut facade);
    let stolen = pair.same(
        |lent| facade.over(lent).register_connection("eve", "t1", None, Ticket(9)),
        |router, now, out| {
            let connect = Connect { name: Some("t1"), ..Connect::new(Ticket(9), "eve") };
            router.handle(now, Input::Connect(connect), out);
            false
        },
    );
    assert!(!stolen, "another user's live connection has that name");

    let event = json(NOTE);
    let t1 = pair.new.connection_named("t1").expect("there");
    let got = pair.same_delivery(
        |lent| facade.over(lent).route_event("ada", "t1", &note()),
        Deliver::new(Target::Connection("ada", t1), &event),
        |receipt| receipt.delivered == 1,
    );
    assert!(got);
    let theft = pair.same_delivery(
        |lent| facade.over(lent).route_event("eve", "t1", &note()),
        Deliver::new(Target::Connection("eve", t1), &event),
        |receipt| receipt.refused.is_none(),
    );
    assert!(!theft);
    let nobody =
        pair.same(|lent| facade.over(lent).route_event("ada", "t9", &note()).receipt(), |_, _, _| None);
    assert_eq!(nobody, None, "settled at once, without an effect");
    let count = pair.same_delivery(
        |lent| facade.over(lent).broadcast_to_user("ada", &note()),
        Deliver::new(Target::User("ada"), &event),
        |receipt| receipt.delivered,
    );
    assert_eq!(count, 2);
    let away = pair.same_delivery(
        |lent| facade.over(lent).broadcast_to_user("zoe", &note()),
        Deliver::new(Target::User("zoe"), &event),
        |receipt| receipt.delivered,
    );
    assert_eq!(away, 0, "kept for later, and not counted");

    let names = pair.same(
        |lent| facade.over(lent).get_user_connections("ada"),
        |router, now, _| {
            let all = router.connections(now, "ada", true).into_iter();
            all.filter_map(|connection| connection.name).map(|name| name.to_string()).collect()
        },
    );
    assert_eq!(names, ["t1", "t2"]);
    let stats = pair.same(
        |lent| {
            let mut stats = facade.over(lent).get_stats();
            stats.as_object_mut().expect("an object").remove("compat_uses");
            stats
        },
        |router, now, _| {
            let pool = router.pool(now);
            let users: Vec<usize> = router.users_connected().map(|(_, count)| count).collect();
            value!({
                "total_users": pool.users,
                "total_connections": pool.connections,
                "active_connections": pool.active,
                "connections_per_user": {"ada": users[0], "eve": users[1]},
            })
        },
    );
    assert_eq!(stats["active_connections"], 3);

    for (name, there) in [("t2", true), ("t2", false), ("nobody", false)] {
        let closed = pair.same(
            |lent| facade.over(lent).unregister_connection(name),
            |router, now, out| {
                router.handle(now, Input::Unregister { user: None, name }, out);
                there
            },
        );
        assert_eq!(closed, there);
    }
    pair.now = pair.now.after(pair.new.config().idle_us);
    let swept = pair.same(
        |lent| facade.over(lent).cleanup_stale_connections(),
        |router, now, out| {
            router.handle(now, Input::SweepIdle, out);
            2
        },
    );
    assert_eq!(swept, 2);
    every_method_was_called(facade.compat_uses());
}

#[test]
fn a_host_that_connects_its_sockets_itself_lets_no_facade_do_it() {
    let (mut router, mut out) = (Router::new(Config::default()).expect("valid"), Effects::new());
    let (now, mut receipts) = (Instant::from_micros(1), 0);
    let mut lent = Lent::new(&mut router, now, &mut out, &mut receipts).without_sockets();
    let mut facade = WebSocketEventRouter::new();
    assert!(!facade.over(&mut lent).register_connection("ada", "t1", None, Ticket(1)));
    assert_eq!(lent.called(), ["WebSocketEventRouter"]);
    assert!(out.is_empty());
}

fn context() -> tools::Context {
    tools::Context::new("ada", "th", "run-7", "req-7").expect("a context")
}

#[test]
fn scoped_router_is_a_handle_of_its_user() {
    let mut pair = Pair::new();
    let mut events = WebSocketEventRouter::new();
    named(&mut pair, &mut events);
    let mut facade = UserScopedWebSocketEventRouter::create_for_user(context());
    let connected = pair.same(
        |lent| facade.over(lent).register_connection("t3", None, Ticket(4)),
        |router, now, out| {
            let connect = Connect { name: Some("t3"), ..Connect::new(Ticket(4), "ada") };
            router.handle(now, Input::Connect(connect), out);
            true
        },
    );
    assert!(connected);
    pair.write();

    let event = json(NOTE);
    let stamp = Context { request: Some("req-7"), ..Context::default() };
    let t1 = pair.new.connection_named("t1").expect("there");
    let deliver = pair.new.for_user("ada", stamp).deliver_to(t1, None, &event);
    assert!(pair.same_delivery(
        |lent| facade.over(lent).route_event("t1", &note()),
        deliver,
        |receipt| receipt.delivered == 1,
    ));
    let e1 = pair.new.connection_named("e1").expect("there");
    let deliver = pair.new.for_user("ada", stamp).deliver_to(e1, None, &event);
    assert!(!pair.same_delivery(
        |lent| facade.over(lent).route_event("e1", &note()),
        deliver,
        |receipt| receipt.refused.is_none(),
    ));
    let deliver = pair.new.for_user("ada", stamp).deliver(None, &event);
    let count = pair.same_delivery(
        |lent| facade.over(lent).broadcast_to_user(&note()),
        deliver,
        |receipt| receipt.delivered,
    );
    assert_eq!(count, 3);
    let deliver = pair.new.for_user("ada", Context { thread: Some("th"), ..stamp }).deliver(None, &event);
    pair.same_delivery(
        |lent| facade.over(lent).broadcast_user_event(&note()),
        deliver,
        |receipt| receipt.delivered,
    );

    let names = pair.same(
        |lent| facade.over(lent).get_user_connections(),
        |router, now, _| {
            let all = router.for_user("ada", stamp).connections(now, true).into_iter();
            all.filter_map(|connection| connection.name).map(|name| name.to_string()).collect()
        },
    );
    assert_eq!(names, ["t1", "t2", "t3"]);
    scoped_answers(&mut pair, &mut facade);
    for (name, there) in [("t3", true), ("e1", false)] {
        let closed = pair.same(
            |lent| facade.over(lent).unregister_connection(name),
            |router, now, out| {
                router.handle(now, Input::Unregister { user: Some("ada"), name }, out);
                there
            },
        );
        assert_eq!(closed, there, "{name}");
    }
    pair.now = pair.now.after(pair.new.config().idle_us);
    pair.same(
        |lent| facade.over(lent).cleanup_stale_connections(),
        |router, now, out| {
            router.handle(now, Input::SweepIdle, out);
            3
        },
    );
    assert_eq!(facade.get_user_context().request(), "req-7");
    let unused: Vec<_> =
        facade.compat_uses().iter().filter(|(_, calls)| *calls == 0).map(|(name, _)| name).collect();
    assert_eq!(unused, ["create_user_event_router", "get_websocket_router_with_context"], "other makers");
}

/// What it says of its user's connections, without an effect.
fn scoped_answers(pair: &mut Pair, facade: &mut UserScopedWebSocketEventRouter) {
    let stamp = Context::default();
    for (name, owned) in [("t1", true), ("e1", false), ("t9", false)] {
        let answer = pair.same(
            |lent| facade.over(lent).validate_user_access(name),
            |router, _, _| {
                let handle = router.for_user("ada", stamp);
                router.connection_named(name).is_some_and(|conn| handle.owns(conn))
            },
        );
        assert_eq!(answer, owned, "{name}");
    }
    let stats = pair.same(
        |lent| {
            let mut stats = facade.over(lent).get_router_stats();
            stats.as_object_mut().expect("an object").remove("compat_uses");
            stats
        },
        |router, now, _| {
            let handle = router.for_user("ada", stamp);
            let (all, active) = (handle.connections(now, false).len(), handle.connections(now, true).len());
            value!({
                "total_users": 1, "total_connections": all, "active_connections": active,
                "connections_per_user": {"ada": all}, "user_id_prefix": "ada...",
                "isolation_key": "event_router:ada:req-7", "registry_routing_count": 4,
            })
        },
    );
    assert_eq!(stats["total_connections"], 3);
}

#[test]
fn the_old_makers_are_counted_each_in_what_it_made() {
    let made = [
        ("create_for_user", UserScopedWebSocketEventRouter::create_for_user(context())),
        ("create_user_event_router", UserScopedWebSocketEventRouter::create_user_event_router(context())),
        (
            "get_websocket_router_with_context",
            UserScopedWebSocketEventRouter::get_websocket_router_with_context(context()),
        ),
    ];
    for (maker, facade) in made {
        assert_eq!((facade.compat_uses().of(maker), facade.compat_uses().total()), (1, 1), "{maker}");
    }
    assert_eq!(UserScopedWebSocketEventRouter::new(context()).compat_uses().total(), 0);
}

#[test]
fn broadcast_service_tells_the_receipt_in_its_own_words() {
    let mut pair = Pair::new();
    let mut facade = WebSocketBroadcastService::new();
    let (_, second) = (pair.connect("ada"), pair.connect("ada"));
    let event = json(NOTE);
    let (result, now) = (
        |lent: &mut Lent<'_>, facade: &mut WebSocketBroadcastService, user: &str| {
            facade.over(lent).broadcast_to_user(user, &note())
        },
        pair.now,
    );
    let told = |user: &'static str| {
        move |receipt: &Receipt| BroadcastResult {
            user_id: user.into(),
            connections_attempted: receipt.attempted,
            successful_sends: receipt.delivered,
            queued: receipt.queued,
            event_type: value!("note"),
            timestamp: now,
            errors: receipt.refused.iter().map(|why| format!("refused: {}", why.name())).collect(),
        }
    };
    let both = pair.same_delivery(
        |lent| result(lent, &mut facade, "ada"),
        Deliver::new(Target::User("ada"), &event),
        told("ada"),
    );
    assert_eq!((both.successful_sends, both.success_rate(), both.is_successful()), (2, 100.0, true));
    let away = pair.same_delivery(
        |lent| result(lent, &mut facade, "zoe"),
        Deliver::new(Target::User("zoe"), &event),
        told("zoe"),
    );
    assert_eq!((away.queued, away.success_rate(), away.is_successful()), (1, 0.0, false));
    let nobody = pair.same_delivery(
        |lent| result(lent, &mut facade, "a b"),
        Deliver::new(Target::User("a b"), &event),
        told("a b"),
    );
    assert_eq!(nobody.errors, ["refused: unknown_user"]);

    // One of two sockets is gone before it has written.
    let mut pending = None;
    pair.same(
        |lent| pending = Some(result(lent, &mut facade, "ada")),
        |router, now, out| {
            let receipt = Some(ReceiptId(4));
            let deliver = Deliver { receipt, ..Deliver::new(Target::User("ada"), &event) };
            router.handle(now, Input::Deliver(deliver), out);
        },
    );
    pair.both(Input::Closed { conn: second });
    let first = pair.new.connections(pair.now, "ada", false)[0].conn;
    pair.both(Input::Written { conn: first, frames: 1 });
    let receipt = pair.receipt().expect("given");
    let half = pending.expect("called").settle(&receipt).expect("its own");
    assert_eq!((half.connections_attempted, half.successful_sends, half.success_rate()), (2, 1, 50.0));
    assert_eq!(half.errors, [format!("connection {}: Closed", second.index())]);

    assert!(facade.update_feature_flag("enable_performance_monitoring", false));
    assert!(!facade.update_feature_flag("enable_nothing", true));
    let stats = pair.same(
        |lent| {
            let all = facade.over(lent).get_stats();
            let keys = ["total_broadcasts", "total_connections_attempted", "total_successful_sends"];
            let flag = all["feature_flags"]["enable_performance_monitoring"].clone();
            (keys.map(|key| all["broadcast_stats"][key].as_u64()), flag)
        },
        |router, _, _| {
            let all = router.stats().deliveries;
            ([all.requested, all.attempted, all.delivered].map(Some), value!(false))
        },
    );
    assert_eq!(stats.0, [Some(4), Some(4), Some(3)]);
    every_method_was_called(facade.compat_uses());
}
