//! Clients on several tabs send messages of all kinds and malformed ones; handlers come, go and fail; sockets die.

use proptest::{option, prelude::*, sample::select, strategy::BoxedStrategy};
use serde_json::{Value, json};

use super::{no_object, one_of, ops, with};
use crate::sequence::{Op, Sequence};

/// Sockets and their users: one has two tabs.
const TABS: [(&str, &str); 5] = [("c1", "u1"), ("c2", "u1"), ("c3", "u2"), ("c4", "u3"), ("c5", "u4")];

pub(crate) fn strategy() -> BoxedStrategy<Sequence> {
    (setup(), ops(op()))
        .prop_map(|(setup, ops)| Sequence { unit: "message_router", setup, ops: numbered(ops), fixed: 0 })
        .boxed()
}

/// Each handler and each message gets a name of its own; one that is removed is one that was added before.
fn numbered(mut ops: Vec<Op>) -> Vec<Op> {
    let unsure = ops.iter().any(|op| op.args["handler"]["can_handle_raises"].is_string());
    let mut added = 0;
    for (n, op) in ops.iter_mut().enumerate() {
        if op.args["message"]["message_id"].is_string() {
            // One that comes twice is a duplicate, which the old one did not know.
            op.args["message"]["message_id"] = json!(format!("m-{n}"));
        }
        if op.op == "find_handler" && unsure {
            // Who would take a message is no question where that depends on the message.
            *op = Op::of_nobody("handler_order", json!({}));
        }
        if let Some(handler) = op.args.get_mut("handler").filter(|handler| handler.is_object()) {
            added += 1;
            let fails = handler["raises"].is_string() || handler["returns"] == false;
            if fails && handler["accepts"] == "*" {
                // A JSON-RPC call that fails is answered as one.
                handler["accepts"] = json!(["user_message", "ping"]);
            }
            handler["id"] = json!(format!("h{added}"));
            handler["name"] = json!(format!("Handler{added}"));
            if handler["reply"].is_object() {
                handler["reply"]["from"] = handler["id"].clone();
            }
        } else if let Some(nth) = op.args["handler"].as_u64() {
            op.args["handler"] = json!(format!("h{}", 1 + nth % added.max(1)));
        }
    }
    ops
}

/// The last tab may be dead.
fn setup() -> impl Strategy<Value = Value> {
    let last =
        prop_oneof![2 => Just(json!({"state": "connected"})), 1 => Just(json!({"state": "disconnected"}))];
    last.prop_map(|last| {
        let sockets = TABS.iter().enumerate().map(|(n, (conn, user))| {
            let mut socket = if n + 1 < TABS.len() { json!({"state": "connected"}) } else { last.clone() };
            socket["conn"] = json!(conn);
            socket["user"] = json!(user);
            socket
        });
        json!({"connections": sockets.collect::<Vec<_>>()})
    })
}

fn op() -> BoxedStrategy<Op> {
    let from = |((conn, user), message): ((&str, &str), Value)| Op {
        by: user.to_owned(),
        op: "route",
        args: json!({"conn": conn, "user_id": user, "message": message}),
    };
    // Why a message was refused is told on its socket, and cannot be seen on a dead one.
    let (sound, last) = TABS.split_at(TABS.len() - 1);
    let route = (select(sound), message()).prop_map(from);
    let blind = (select(last), kind().prop_map(|kind| json!({"type": kind, "payload": {"message": "m"}})))
        .prop_map(from);
    let question = prop_oneof![
        Just(Op::of_nobody("get_stats", json!({}))),
        Just(Op::of_nobody("handler_order", json!({}))),
        select(&["ping", "connect", "user_message", "heartbeat_ack", "agent_request", "user_typing"][..])
            .prop_map(|kind| Op::of_nobody("find_handler", json!({ "type": kind }))),
        select(&["UserMessageHandler", "JsonRpcHandler", "ErrorHandler"][..])
            .prop_map(|name| Op::of_nobody("handler_stats", json!({ "handler": name }))),
    ];
    let pass = one_of(&[json!(0.05), json!(1), json!(12)])
        .prop_map(|seconds| Op::of_nobody("advance", json!({ "seconds": seconds })));
    prop_oneof![13 => route, 3 => blind, 2 => add_handler(), 1 => remove_handler(), 2 => question, 1 => pass]
        .boxed()
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
    let parts = (accepts, fails, refuses, figures, place, replies, unsure);
    parts.prop_map(|(accepts, fails, refuses, figures, place, replies, unsure)| {
        let handler = json!({ "accepts": accepts });
        // Who does not take a message has not answered it.
        let takes = fails.is_none() && refuses.is_none();
        let reply = replies.filter(|()| takes).map(|()| json!({"type": "custom"}));
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
    // No client removes what is built in.
    (0..64_u32).prop_map(|nth| Op::of_nobody("remove_handler", json!({ "handler": nth })))
}

/// A type by its name, one of its aliases, or one that nobody knows. Not `broadcast` and `room_message`: what reaches the
/// other tabs has a form of its own on each side.
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
        json!({"jsonrpc": "2.0", "result": 5, "id": 2}),
        json!({"jsonrpc": "2.0", "error": {"code": 1, "message": "x"}, "id": 3}),
    ]);
    prop_oneof![16 => message, 1 => rpc].boxed()
}
