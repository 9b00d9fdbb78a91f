//! Handles, each for one request of a user, over connections of several users.

use proptest::{prelude::*, sample::select, strategy::BoxedStrategy};
use serde_json::{Value, json};

use super::{
    event,
    event_router::{PASSES, conn, manager, pass, thread},
    ops, with,
};
use crate::sequence::{Op, Sequence};

/// Handles and the contexts they are made for: one user has two requests.
const HANDLES: [(&str, &str, &str); 4] =
    [("r1", "A", "user_1"), ("r2", "A2", "user_1"), ("r3", "B", "user_2"), ("r4", "C", "user_3")];

pub(crate) fn strategy() -> BoxedStrategy<Sequence> {
    (manager(), ops(op()))
        .prop_map(|(manager, then)| {
            let mut ops: Vec<Op> = HANDLES
                .iter()
                .map(|(router, context, user)| Op {
                    by: (*user).to_owned(),
                    op: "new_router",
                    args: json!({"router": router, "context": context}),
                })
                .collect();
            ops.extend(then);
            Sequence {
                unit: "scoped_router",
                setup: json!({"manager": manager, "contexts": contexts()}),
                ops,
                fixed: HANDLES.len(),
            }
        })
        .boxed()
}

fn contexts() -> Value {
    let context = |n: u32, user: &str| {
        json!({
            "user_id": user, "request_id": format!("req_{n}_aaaaaaaa"), "thread_id": format!("thread_{n}"),
            "run_id": format!("run_{n}"),
        })
    };
    json!({
        "A": context(1, "user_1"), "A2": context(2, "user_1"), "B": context(3, "user_2"), "C": context(4, "user_3"),
    })
}

fn op() -> BoxedStrategy<Op> {
    let handle = || select(&HANDLES[..]);
    let by = |op: &'static str, (router, _, user): (&str, &str, &str), more: Value| {
        let mut args = more;
        args["router"] = json!(router);
        Op { by: user.to_owned(), op, args }
    };
    // Each user has names of its own: the old pools never met, and one registry refuses a name that is another's.
    let register = (handle(), select(&[0, 1][..]), thread()).prop_map(move |(handle, tab, thread)| {
        let conn = match handle.2 {
            "user_1" => ["c1", "c2"][tab],
            "user_2" => ["c3", "c4"][tab],
            _ => "c5",
        };
        by("register_connection", handle, with(json!({ "connection_id": conn }), "thread_id", thread))
    });
    let leave = (handle(), conn()).prop_map(move |(handle, conn)| {
        by("unregister_connection", handle, json!({ "connection_id": conn }))
    });
    let route = (handle(), conn(), event(false)).prop_map(move |(handle, conn, event)| {
        by("route_event", handle, json!({"connection_id": conn, "event": event}))
    });
    let broadcast = (handle(), event(false))
        .prop_map(move |(handle, event)| by("broadcast_to_user", handle, json!({ "event": event })));
    // A sweep is the registry's and not a handle's: it takes other users' idle connections with it.
    let asks = ["get_user_connections", "get_router_stats"];
    let ask = (handle(), select(asks.to_vec())).prop_map(move |(handle, op)| by(op, handle, json!({})));
    prop_oneof![6 => register, 2 => leave, 6 => route, 5 => broadcast, 3 => ask, 2 => pass(&PASSES[..PASSES.len() - 1])].boxed()
}
