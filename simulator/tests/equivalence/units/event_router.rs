//! Connections of several users come and go under a few names; events for one of them, or for all of a user's; sockets
//! fail; time passes.

use proptest::{option, prelude::*, sample::select, strategy::BoxedStrategy};
use serde_json::{Value, json};

use super::{CONNS, event, ops, some_of};
use crate::sequence::{Op, Sequence};

/// Three users, so that they meet under the same names.
pub(super) const FEW: [&str; 3] = ["user_1", "user_2", "user_3"];

pub(crate) fn strategy() -> BoxedStrategy<Sequence> {
    // An event that names another user is refused, and its connection stays as idle as it was: where time passes, the two
    // would never agree again.
    let steady = (Just(healthy()), ops(op(Flavour::Steady, pass(&PASSES))));
    let failing = (manager(), ops(op(Flavour::Failing, pass(&PASSES[..PASSES.len() - 1]))));
    let naming = (Just(healthy()), ops(op(Flavour::Naming, Just(Op::of_nobody("get_stats", json!({}))))));
    prop_oneof![1 => steady, 1 => failing, 1 => naming]
        .prop_map(|(manager, ops)| Sequence {
            unit: "event_router",
            setup: json!({ "manager": manager }),
            ops,
            fixed: 0,
        })
        .boxed()
}

/// Seconds that pass at once. The last one is a day: where sockets fail, the old list of connections and ours are apart for
/// a reason by then, and what a day does to a clock is no reason of its own.
pub(super) const PASSES: [u32; 9] = [1, 10, 100, 119, 150, 299, 300, 400, 86_400];

/// What a sequence may have.
#[derive(Clone, Copy, PartialEq)]
enum Flavour {
    /// Sockets that work, and names that users take from each other.
    Steady,
    /// Sockets that fail: ours is gone then and its name is free, the old one's is not. So nobody takes another's name.
    Failing,
    /// Events that name another user; no time passes.
    Naming,
}

fn healthy() -> Value {
    json!({"methods": ["send_to_connection"]})
}

/// Who writes to the connections, and for which of them that fails.
pub(super) fn manager() -> impl Strategy<Value = Value> {
    let results = some_of(&CONNS[..2].iter().map(|conn| json!(conn)).collect::<Vec<_>>());
    prop_oneof![
        3 => Just(healthy()),
        1 => results.prop_map(|failing| {
            let results: serde_json::Map<String, Value> =
                failing.iter().filter_map(|conn| Some((conn.as_str()?.to_owned(), json!(false)))).collect();
            json!({"methods": ["send_to_connection"], "results": results})
        }),
    ]
}

pub(super) fn few() -> impl Strategy<Value = String> {
    select(&FEW[..]).prop_map(str::to_owned)
}

/// A name that only that user has.
fn own_name(user: &str, conn: &Value) -> Value {
    let second = ["c2", "c4"].iter().any(|name| conn == name);
    match (user, second) {
        ("user_1", false) => "c1",
        ("user_1", true) => "c2",
        ("user_2", false) => "c3",
        ("user_2", true) => "c4",
        _ => "c5",
    }
    .into()
}

pub(super) fn conn() -> impl Strategy<Value = Value> {
    select(&CONNS[..]).prop_map(Value::from)
}

pub(super) fn thread() -> impl Strategy<Value = Option<Value>> {
    option::weighted(0.4, select(&["t1", "t2"][..]).prop_map(Value::from))
}

pub(super) fn pass(seconds: &[u32]) -> impl Strategy<Value = Op> + use<> {
    select(seconds.to_vec()).prop_map(|seconds| Op::of_nobody("advance", json!({ "seconds": seconds })))
}

fn op(flavour: Flavour, pass: impl Strategy<Value = Op> + 'static) -> BoxedStrategy<Op> {
    let naming = flavour == Flavour::Naming;
    let named =
        move |user: &str, conn: Value| if flavour == Flavour::Failing { own_name(user, &conn) } else { conn };
    let register = (few(), conn(), thread()).prop_map(move |(user, conn, thread)| Op {
        args: super::with(json!({"connection_id": named(&user, conn), "user": user}), "thread_id", thread),
        by: user,
        op: "register_connection",
    });
    let nameless = few().prop_map(|user| Op {
        args: json!({"user": user, "connection_id": ""}),
        by: user,
        op: "register_connection",
    });
    let leave =
        conn().prop_map(|conn| Op::of_nobody("unregister_connection", json!({ "connection_id": conn })));
    let route = (few(), conn(), event(naming)).prop_map(|(user, conn, event)| Op {
        args: json!({"user": user, "connection_id": conn, "event": event}),
        by: user,
        op: "route_event",
    });
    // The second asks the manager's own registry, in which nobody is: what the one registry delivers keeps its
    // connections from being idle.
    let ways = select(&["legacy_broadcast_to_user", "broadcast_to_user"][..if naming { 2 } else { 1 }]);
    let broadcast = (few(), event(naming), ways).prop_map(|(user, event, op)| Op {
        args: json!({"user": user, "event": event}),
        by: user,
        op,
    });
    let list =
        few().prop_map(|user| Op { args: json!({ "user": user }), by: user, op: "get_user_connections" });
    prop_oneof![
        6 => register,
        1 => nameless,
        2 => leave,
        6 => route,
        5 => broadcast,
        2 => list,
        1 => Just(Op::of_nobody("cleanup_stale_connections", json!({}))),
        1 => Just(Op::of_nobody("get_stats", json!({}))),
        2 => pass,
    ]
    .boxed()
}
