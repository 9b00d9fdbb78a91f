//! Events for users on several tabs whose sockets fail, fail later, or are not there at all.

use proptest::{prelude::*, sample::select, strategy::BoxedStrategy};
use serde_json::{Value, json};

use super::{
    CONNS, after, event,
    event_router::{FEW, conn, few, pass},
    event_that_may_be_bad, ops,
};
use crate::sequence::{Op, Sequence};

pub(crate) fn strategy() -> BoxedStrategy<Sequence> {
    let of = |ops: Vec<Op>, fixed| Sequence {
        unit: "broadcast",
        setup: json!({"manager": {"kind": "real"}}),
        ops,
        fixed,
    };
    let plain = ops(op()).prop_map(move |ops| of(ops, 0));
    // An event that names another user is refused; the old one was put right, sent or kept. Where it was kept, or used up
    // what a socket could still write, the two would never agree again: so everybody is there, on sockets that work.
    let naming = after(everybody(), ops(op_naming())).prop_map(move |ops| of(ops, FEW.len()));
    prop_oneof![2 => plain, 1 => naming].boxed()
}

/// Everybody on one tab.
fn everybody() -> impl Strategy<Value = Vec<Op>> {
    Just(FEW.iter().zip(CONNS).map(|(user, conn)| connect(user, conn, json!("ok"))).collect())
}

fn connect(user: &str, conn: &str, socket: Value) -> Op {
    Op {
        args: json!({"user": user, "connection_id": conn, "socket": socket}),
        by: user.to_owned(),
        op: "connect",
    }
}

fn op_naming() -> BoxedStrategy<Op> {
    let tell = (few(), event_that_may_be_bad()).prop_map(|(user, event)| tell(user, event));
    let second =
        few().prop_map(|user| connect(&user, if user == "user_1" { "c4" } else { "c5" }, json!("ok")));
    prop_oneof![9 => tell, 1 => second, 2 => question()].boxed()
}

fn tell(user: String, event: Value) -> Op {
    Op { args: json!({"user": user, "event": event}), by: user, op: "broadcast_to_user" }
}

fn question() -> BoxedStrategy<Op> {
    let list =
        few().prop_map(|user| Op { args: json!({ "user": user }), by: user, op: "get_user_connections" });
    prop_oneof![list, Just(Op::of_nobody("get_stats", json!({})))].boxed()
}

fn socket() -> impl Strategy<Value = Value> {
    prop_oneof![8 => Just(json!("ok")), 1 => Just(json!("fail"))]
}

fn op() -> BoxedStrategy<Op> {
    let connect = (few(), conn(), socket())
        .prop_map(|(user, conn, socket)| connect(&user, conn.as_str().unwrap_or_default(), socket));
    let change = (conn(), select(&["ok", "fail"][..])).prop_map(|(conn, socket)| {
        Op::of_nobody("set_socket", json!({"connection_id": conn, "socket": socket}))
    });
    let leave = conn().prop_map(|conn| Op::of_nobody("disconnect", json!({ "connection_id": conn })));
    let tell = (few(), event(false)).prop_map(|(user, event)| tell(user, event));
    // All of it within the time for which the router keeps what nobody was there to get.
    prop_oneof![5 => connect, 1 => change, 2 => leave, 9 => tell, 2 => question(), 2 => pass(&[1, 2])].boxed()
}
