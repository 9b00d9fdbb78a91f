//! Connections of several users come and go under a few names; events for one of them, or for all of a user's; sockets
//! fail; time passes.

use proptest::{option, prelude::*, sample::select, strategy::BoxedStrategy};
use serde_json::{Value, json};

use super::{CONNS, event, event_that_may_be_bad, ops, some_of};
use crate::sequence::{Op, Sequence};

/// Three users, so that they meet under the same names.
pub(super) const FEW: [&str; 3] = ["user_1", "user_2", "user_3"];

pub(crate) fn strategy() -> BoxedStrategy<Sequence> {
    (manager(), ops(op()))
        .prop_map(|(manager, ops)| Sequence {
            unit: "event_router",
            setup: json!({ "manager": manager }),
            ops,
        })
        .boxed()
}

/// Who writes to the connections, and for which of them that fails.
pub(super) fn manager() -> impl Strategy<Value = Value> {
    let results = some_of(&CONNS[..2].iter().map(|conn| json!(conn)).collect::<Vec<_>>());
    prop_oneof![
        3 => Just(json!({"methods": ["send_to_connection"]})),
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

pub(super) fn conn() -> impl Strategy<Value = Value> {
    select(&CONNS[..]).prop_map(Value::from)
}

pub(super) fn thread() -> impl Strategy<Value = Option<Value>> {
    option::weighted(0.4, select(&["t1", "t2"][..]).prop_map(Value::from))
}

pub(super) fn pass() -> impl Strategy<Value = Op> {
    select(&[1_u32, 10, 100, 119, 150, 299, 300, 400, 86_400][..])
        .prop_map(|seconds| Op::of_nobody("advance", json!({ "seconds": seconds })))
}

fn op() -> BoxedStrategy<Op> {
    let register = (few(), conn(), thread()).prop_map(|(user, conn, thread)| Op {
        args: super::with(json!({"user": user, "connection_id": conn}), "thread_id", thread),
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
    let route = (few(), conn(), event()).prop_map(|(user, conn, event)| Op {
        args: json!({"user": user, "connection_id": conn, "event": event}),
        by: user,
        op: "route_event",
    });
    let ways = select(&["legacy_broadcast_to_user", "broadcast_to_user"][..]);
    let broadcast = (few(), event_that_may_be_bad(), ways).prop_map(|(user, event, op)| Op {
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
        2 => pass(),
    ]
    .boxed()
}
