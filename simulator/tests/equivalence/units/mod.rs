//! The sequences of each unit.

mod broadcast;
mod core_router;
mod event_router;
mod message_router;
mod quality_router;
mod scoped_router;
mod tool_dispatcher;

use proptest::{collection::vec, prelude::*, sample::select, strategy::BoxedStrategy};
use serde_json::{Value, json};

use crate::sequence::{Op, Sequence};

/// A unit's name and its strategy.
type Unit = (&'static str, fn() -> BoxedStrategy<Sequence>);

/// Every unit.
pub(crate) const ALL: &[Unit] = &[
    ("message_router", message_router::strategy),
    ("core_router", core_router::strategy),
    ("quality_router", quality_router::strategy),
    ("event_router", event_router::strategy),
    ("scoped_router", scoped_router::strategy),
    ("broadcast", broadcast::strategy),
    ("tool_dispatcher", tool_dispatcher::strategy),
];

/// Four users take part, at most.
const USERS: [&str; 4] = ["user_1", "user_2", "user_3", "user_4"];

fn user() -> impl Strategy<Value = String> {
    select(&USERS[..]).prop_map(str::to_owned)
}

fn one_of(values: &[Value]) -> impl Strategy<Value = Value> + use<> {
    select(values.to_vec())
}

/// Some of these, in their order.
fn some_of(values: &[Value]) -> impl Strategy<Value = Vec<Value>> + use<> {
    proptest::sample::subsequence(values.to_vec(), 0..=values.len())
}

/// Operations that first set something up.
fn after(
    first: impl Strategy<Value = Vec<Op>>,
    then: impl Strategy<Value = Vec<Op>>,
) -> impl Strategy<Value = Vec<Op>> {
    (first, then).prop_map(|(mut ops, then)| {
        ops.extend(then);
        ops
    })
}

/// As many operations as a sequence has.
fn ops(op: impl Strategy<Value = Op>) -> impl Strategy<Value = Vec<Op>> {
    vec(op, 12..=48)
}

/// Names that connections are known by; few, so that users meet under the same one.
const CONNS: [&str; 5] = ["c1", "c2", "c3", "c4", "c5"];

/// An event. `naming`: some say whom they are for, and not always truly.
fn event(naming: bool) -> BoxedStrategy<Value> {
    let kinds = ["agent_started", "agent_thinking", "tool_executing", "agent_completed"];
    let naming_nobody = [("sender_id", json!("user_3")), ("n2", json!(null))];
    let names = [
        ("user_id", json!(null)),
        ("user_id", json!("user_1")),
        ("user_id", json!("user_2")),
        ("target_user_id", json!("user_3")),
    ];
    let ids: Vec<_> = naming_nobody.into_iter().chain(names.into_iter().filter(|_| naming)).collect();
    let id = proptest::option::weighted(0.25, select(ids));
    (select(kinds.to_vec()), 0..1000, id)
        .prop_map(|(kind, n, id)| match id {
            Some((key, value)) => with(json!({"type": kind, "n": n}), key, Some(value)),
            None => json!({"type": kind, "n": n}),
        })
        .boxed()
}

/// An event, or something that is none.
fn event_that_may_be_bad() -> impl Strategy<Value = Value> {
    prop_oneof![20 => event(true), 1 => no_object(), 1 => Just(json!({}))]
}

/// An object with a member only if there is a value.
fn with(mut object: Value, key: &str, value: Option<Value>) -> Value {
    if let (Some(value), Some(members)) = (value, object.as_object_mut()) {
        members.insert(key.to_owned(), value);
    }
    object
}

/// A small object.
fn body() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (0..9).prop_map(|n| json!({ "n": n })),
        1 => Just(json!({})),
        1 => Just(json!({"n": 1, "deep": {"list": [1, 2.5, "ü✓", null, true]}})),
    ]
}

/// Something where an object is expected.
fn no_object() -> impl Strategy<Value = Value> {
    one_of(&[json!(null), json!(5), json!("text"), json!(""), json!([]), json!([1]), json!(true)])
}
