//! Events for users on several tabs whose sockets fail, fail later, or are not there at all.

use proptest::{prelude::*, sample::select, strategy::BoxedStrategy};
use serde_json::{Value, json};

use super::{
    event_router::{conn, few, pass},
    event_that_may_be_bad, ops,
};
use crate::sequence::{Op, Sequence};

pub(crate) fn strategy() -> BoxedStrategy<Sequence> {
    ops(op())
        .prop_map(|ops| Sequence { unit: "broadcast", setup: json!({"manager": {"kind": "real"}}), ops })
        .boxed()
}

fn socket() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => Just(json!("ok")),
        1 => Just(json!("fail")),
        1 => (1..4).prop_map(|n| json!({ "fail_after": n })),
    ]
}

fn op() -> BoxedStrategy<Op> {
    let connect = (few(), conn(), socket()).prop_map(|(user, conn, socket)| Op {
        args: json!({"user": user, "connection_id": conn, "socket": socket}),
        by: user,
        op: "connect",
    });
    let change = (conn(), select(&["ok", "fail"][..])).prop_map(|(conn, socket)| {
        Op::of_nobody("set_socket", json!({"connection_id": conn, "socket": socket}))
    });
    let leave = conn().prop_map(|conn| Op::of_nobody("disconnect", json!({ "connection_id": conn })));
    let tell = (few(), event_that_may_be_bad()).prop_map(|(user, event)| Op {
        args: json!({"user": user, "event": event}),
        by: user,
        op: "broadcast_to_user",
    });
    let list =
        few().prop_map(|user| Op { args: json!({ "user": user }), by: user, op: "get_user_connections" });
    prop_oneof![
        5 => connect,
        1 => change,
        2 => leave,
        9 => tell,
        1 => list,
        1 => Just(Op::of_nobody("get_stats", json!({}))),
        2 => pass(),
    ]
    .boxed()
}
