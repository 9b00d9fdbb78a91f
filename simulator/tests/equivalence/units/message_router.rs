//! Clients on several tabs send messages of all kinds and malformed ones; handlers come, go and fail; sockets die.

use proptest::{option, prelude::*, sample::select, strategy::BoxedStrategy};
use serde_json::{Value, json};

use super::{no_object, one_of, ops, with};
use crate::sequence::{Op, Sequence};

/// Sockets and their users: one has two tabs.
const TABS: [(&str, &str); 5] = [("c1", "u1"), ("c2", "u1"), ("c3", "u2"), ("c4", "u3"), ("c5", "u4")];

pub(crate) fn strategy() -> BoxedStrategy<Sequence> {
    (setup(), ops(op())).prop_map(|(setup, ops)| Sequence { unit: "message_router", setup, ops }).boxed()
}

fn setup() -> impl Strategy<Value = Value> {
    let state = prop_oneof![
        8 => Just(json!({"state": "connected"})),
        1 => Just(json!({"state": "disconnected"})),
        1 => Just(json!({"state": "connected", "send_error": "ConnectionError:reset"})),
    ];
    proptest::collection::vec(state, TABS.len()).prop_map(|states| {
        let sockets = TABS.iter().zip(states).map(|((conn, user), mut socket)| {
            socket["conn"] = json!(conn);
            socket["user"] = json!(user);
            socket
        });
        json!({"connections": sockets.collect::<Vec<_>>()})
    })
}

fn op() -> BoxedStrategy<Op> {
    let route = (select(&TABS[..]), message()).prop_map(|((conn, user), message)| Op {
        by: user.to_owned(),
        op: "route",
        args: json!({"conn": conn, "user_id": user, "message": message}),
    });
    let question = prop_oneof![
        Just(Op::of_nobody("get_stats", json!({}))),
        Just(Op::of_nobody("handler_order", json!({}))),
        kind().prop_map(|kind| Op::of_nobody("find_handler", json!({ "type": kind }))),
        select(&["UserMessageHandler", "JsonRpcHandler", "ErrorHandler"][..])
            .prop_map(|name| Op::of_nobody("handler_stats", json!({ "handler": name }))),
    ];
    let pass = one_of(&[json!(0.05), json!(1), json!(12)])
        .prop_map(|seconds| Op::of_nobody("advance", json!({ "seconds": seconds })));
    prop_oneof![16 => route, 2 => add_handler(), 1 => remove_handler(), 2 => question, 1 => pass].boxed()
}

fn add_handler() -> impl Strategy<Value = Op> {
    let accepts = prop_oneof![
        1 => Just(json!("*")),
        3 => proptest::sample::subsequence(
            vec!["user_message", "agent_request", "agent_response", "thread_update", "error_message", "ping", "connect"],
            0..=3,
        )
        .prop_map(|kinds| json!(kinds)),
    ];
    let fails = option::weighted(0.25, one_of(&[json!("ValueError:bad"), json!("KeyError:k")]));
    let refuses = option::weighted(0.15, Just(json!(false)));
    let figures = option::weighted(0.2, Just(json!({"n": 1})));
    let place = option::of(one_of(&[json!(0), json!(1), json!(2), json!(99), json!(-1), json!(-5)]));
    let replies = option::weighted(0.3, Just(()));
    let unsure = option::weighted(0.1, Just(json!("ValueError:v")));
    let parts = (1..=4_u32, accepts, fails, refuses, figures, place, replies, unsure);
    parts.prop_map(|(n, accepts, fails, refuses, figures, place, replies, unsure)| {
        let id = format!("h{n}");
        let name = ["Alpha", "Beta", "Gamma", "Delta"][n as usize - 1];
        let handler = json!({"id": id, "name": name, "accepts": accepts});
        let reply = replies.map(|()| json!({"type": "custom", "from": id}));
        let handler = with(with(handler, "raises", fails), "returns", refuses);
        let handler =
            with(with(with(handler, "stats", figures), "reply", reply), "can_handle_raises", unsure);
        match place {
            Some(index) => Op::of_nobody("insert_handler", json!({"handler": handler, "index": index})),
            None => Op::of_nobody("add_handler", json!({ "handler": handler })),
        }
    })
}

fn remove_handler() -> impl Strategy<Value = Op> {
    let names =
        ["h1", "h2", "h3", "h4", "ConnectionHandler", "TypingHandler", "HeartbeatHandler", "ErrorHandler"];
    select(names.to_vec()).prop_map(|name| Op::of_nobody("remove_handler", json!({ "handler": name })))
}

/// A type by its name, one of its aliases, or one that nobody knows.
fn kind() -> impl Strategy<Value = Value> {
    one_of(
        &[
            "ping",
            "heartbeat",
            "pong",
            "heartbeat_ack",
            "connect",
            "disconnect",
            "user_typing",
            "typing",
            "agent_request",
            "execute_agent",
            "start_agent",
            "user_message",
            "user",
            "message",
            "chat",
            "agent",
            "agent_update",
            "agent_response",
            "agent_thinking",
            "thread_update",
            "thread_message",
            "thread",
            "error_message",
            "error",
            "system",
            "connected",
            "legacy_response",
            "legacy_heartbeat",
            "factory_connection_established",
            "broadcast",
            "room_message",
            "nope",
            "PING",
            "ping ",
            "",
        ]
        .map(Value::from),
    )
}

fn message() -> BoxedStrategy<Value> {
    let text = option::weighted(0.9, one_of(&[json!("m"), json!(""), json!("ü✓"), json!(5), json!(null)]));
    let own = (text, 0..9, option::weighted(0.2, one_of(&[json!("E1"), json!("UNKNOWN")])));
    let own =
        own.prop_map(|(text, n, code)| with(with(json!({ "i": n }), "message", text), "error_code", code));
    let payload = prop_oneof![8 => own.prop_map(Some), 1 => Just(None), 1 => no_object().prop_map(Some)];
    let kind =
        prop_oneof![14 => kind(), 1 => one_of(&[json!(null), json!(5), json!(true), json!([]), json!({})])];
    let thread = option::weighted(0.3, one_of(&[json!("t-1"), json!(null), json!(7)]));
    let user = option::weighted(0.2, one_of(&[json!("u1"), json!("u2"), json!(null), json!("")]));
    let id = option::weighted(0.2, Just(json!("m-1")));
    let time =
        option::weighted(0.2, one_of(&[json!(1_700_000_000.5), json!("soon"), json!(true), json!(null)]));
    let message =
        (kind, payload, thread, user, id, time).prop_map(|(kind, payload, thread, user, id, time)| {
            let message = with(with(json!({ "type": kind }), "payload", payload), "thread_id", thread);
            with(with(with(message, "user_id", user), "message_id", id), "timestamp", time)
        });
    let rpc = one_of(&[
        json!({"jsonrpc": "2.0", "method": "ping", "id": 1}),
        json!({"jsonrpc": "2.0", "method": "tell", "params": {"a": 1}}),
        json!({"jsonrpc": "2.0", "result": 5, "id": 2}),
        json!({"jsonrpc": "2.0", "error": {"code": 1, "message": "x"}, "id": 3}),
    ]);
    prop_oneof![16 => message, 1 => rpc].boxed()
}
