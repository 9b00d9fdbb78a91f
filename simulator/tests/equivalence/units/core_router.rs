//! Services send each other messages; handlers and middleware of every kind stand in their way.

use proptest::{prelude::*, strategy::BoxedStrategy};
use serde_json::{Value, json};

use super::{after, body, no_object, one_of, ops, user, with};
use crate::sequence::{Op, Sequence};

pub(crate) fn strategy() -> BoxedStrategy<Sequence> {
    let calm = after(proptest::collection::vec(add_route(), 1..=3), ops(op(false)));
    let rough = after(proptest::collection::vec(add_route(), 1..=3), ops(op(true)));
    prop_oneof![3 => calm, 1 => rough]
        .prop_map(|ops| Sequence { unit: "core_router", setup: setup(), ops, fixed: 0 })
        .boxed()
}

fn setup() -> Value {
    json!({
        "handlers": {
            "const": {"kind": "const", "value": "A"},
            "const_async": {"kind": "const", "value": ["B"], "async": true},
            "object": {"kind": "const", "value": "C", "callable_object": true},
            "none": {"kind": "none"},
            "echo": {"kind": "echo_payload"},
            "id": {"kind": "echo_id"},
            "fails": {"kind": "raise", "text": "boom"},
            "sets": {"kind": "set_payload", "key": "k", "value": 1},
            "sets_n": {"kind": "set_payload", "key": "n", "value": "N"},
        },
        "middleware": {
            "same": {"kind": "identity"},
            "nameless": {"kind": "identity", "nameless": true},
            "sets": {"kind": "set_payload", "key": "mw", "value": true},
            "rewrites": {"kind": "rewrite"},
            "redirects": {"kind": "redirect", "to": "d2"},
            "drops": {"kind": "drop"},
            "fails": {"kind": "raise"},
            "nonsense": {"kind": "return_string"},
            "zero": {"kind": "falsy"},
        },
    })
}

/// `rough`: with middleware that lets nothing pass.
fn op(rough: bool) -> BoxedStrategy<Op> {
    prop_oneof![
        12 => route_message(),
        2 => add_route(),
        1 => add_middleware(rough),
        1 => Just(Op::of_nobody("start", json!({}))),
        1 => Just(Op::of_nobody("stop", json!({}))),
        1 => Just(Op::of_nobody("get_statistics", json!({}))),
    ]
    .boxed()
}

fn add_route() -> impl Strategy<Value = Op> {
    let key = one_of(&[json!("d1"), json!("d2"), json!("d3"), json!(""), json!("ünï✓")]);
    let handlers = vec!["const", "const_async", "object", "none", "echo", "id", "fails", "sets", "sets_n"];
    let handler = proptest::sample::select(handlers);
    (key, handler)
        .prop_map(|(key, handler)| Op::of_nobody("add_route", json!({"pattern": key, "handler": handler})))
}

fn add_middleware(rough: bool) -> impl Strategy<Value = Op> {
    let all: &[&str] =
        &["same", "nameless", "sets", "rewrites", "redirects", "drops", "fails", "nonsense", "zero"];
    let names = if rough { all } else { &all[..5] };
    proptest::sample::select(names.to_vec())
        .prop_map(|name| Op::of_nobody("add_middleware", json!({ "middleware": name })))
}

fn route_message() -> impl Strategy<Value = Op> {
    let destination = prop_oneof![
        8 => one_of(&[json!("d1"), json!("d2"), json!("d3")]),
        2 => one_of(&[json!(""), json!("ünï✓"), json!("nowhere"), json!("D1"), json!(" d1")]),
        1 => one_of(&[json!(null), json!(5), json!(true), json!([]), json!(["d1"]), json!({})]),
    ];
    let kind = prop_oneof![
        6 => one_of(&[json!("request"), json!("response"), json!("event"), json!("command")]),
        1 => one_of(&[json!(null), json!(""), json!("REQUEST"), json!(5), json!([])]),
    ];
    let payload = prop_oneof![6 => body(), 1 => no_object()];
    let headers = proptest::option::weighted(0.2, one_of(&[json!(null), json!({"h": "1"}), json!({})]));
    let message = (user(), 0..1000, kind, destination, payload, headers).prop_map(
        |(source, id, kind, destination, payload, headers)| {
            let message = json!({
                "id": format!("m{id}"), "type": kind, "source": source, "destination": destination,
                "payload": payload, "timestamp": 0.0,
            });
            Op {
                by: source,
                op: "route_message",
                args: json!({"message": with(message, "headers", headers)}),
            }
        },
    );
    let garbage = prop_oneof![no_object(), Just(json!({"$raw": true, "value": {"destination": "d1"}}))]
        .prop_map(|value| Op::of_nobody("route_message", json!({ "message": value })));
    prop_oneof![15 => message, 1 => garbage]
}
