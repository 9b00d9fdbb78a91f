//! Dispatchers of several runs, each with tools of its own; and permissions of users on several plans, whose calls are
//! counted while time passes.

use proptest::{collection::vec, option, prelude::*, sample::select, strategy::BoxedStrategy};
use serde_json::{Value, json};

use super::{after, ops, with};
use crate::sequence::{Op, Sequence};

/// Dispatchers, their users and runs: one user has two runs.
const DISPATCHERS: [(&str, &str, &str); 3] = [
    ("a", "usr_alpha_0001", "run_alpha_0001"),
    ("b", "usr_alpha_0001", "run_alpha_0002"),
    ("c", "usr_beta_0002", "run_beta_0001"),
];
/// Users and their plans.
const USERS: [(&str, &str); 4] =
    [("usr_a", "free"), ("usr_b", "basic"), ("usr_p", "premium"), ("usr_e", "enterprise")];

pub(crate) fn strategy() -> BoxedStrategy<Sequence> {
    let of = |ops: Vec<Op>, fixed| Sequence {
        unit: "tool_dispatcher",
        setup: json!({"registry": "contract_shim"}),
        ops,
        fixed,
    };
    let calls = after(Just(dispatchers()), ops(call())).prop_map(move |ops| of(ops, DISPATCHERS.len()));
    let rules = vec(rule(), 1..=3).prop_map(|mut rules| {
        rules.insert(0, Op::of_nobody("perm_new", json!({})));
        rules
    });
    let checks = after(rules, ops(check())).prop_map(move |ops| of(ops, 1));
    prop_oneof![calls, checks].boxed()
}

fn dispatchers() -> Vec<Op> {
    let made = DISPATCHERS.iter().enumerate().map(|(n, (name, user, run))| Op {
        by: (*user).to_owned(),
        op: "new",
        args: json!({
            "as": name,
            "context": {
                "user_id": user, "thread_id": format!("thread_{n}_0001"), "run_id": run,
                "request_id": format!("req_{n}_0001"),
            },
            "tools": [
                {"name": "search"}, {"name": "lag", "takes": 2.5, "result": {"n": 1}}, {"name": "nul", "result": null},
                {"name": format!("only_{name}")},
            ],
        }),
    });
    made.collect()
}

/// Calls name the dispatcher they are for; some name another's tool, or another's run.
fn call() -> BoxedStrategy<Op> {
    let tool = || select(&["search", "lag", "nul", "only_a", "only_b", "only_c", "nothing"][..]);
    let one = move || {
        (select(&DISPATCHERS[..]), tool(), option::weighted(0.1, select(&DISPATCHERS[..]))).prop_map(
            |((name, user, run), tool, other)| {
                let run = other.map_or(run, |(_, _, run)| run);
                (user, json!({"as": name, "tool_name": tool, "run_id": run}))
            },
        )
    };
    let several = vec(one(), 1..=4).prop_map(|calls| Op {
        by: calls[0].0.to_owned(),
        op: "parallel_dispatch_tool",
        args: json!({"calls": calls.into_iter().map(|(_, call)| call).collect::<Vec<_>>()}),
    });
    let looks = select(&DISPATCHERS[..]).prop_map(|(name, user, _)| Op {
        by: user.to_owned(),
        op: "use",
        args: json!({ "as": name }),
    });
    let asks = select(&["tools", "metrics"][..]).prop_map(|op| Op::of_nobody(op, json!({})));
    prop_oneof![4 => several, 1 => looks, 1 => asks].boxed()
}

fn rule() -> impl Strategy<Value = Op> {
    let tool = select(&["t", "u", "v"][..]);
    let level = option::of(select(&["PUBLIC", "BASIC", "STANDARD", "PREMIUM", "ADMIN"][..]));
    let calls = option::weighted(0.4, 1..4_u32);
    (tool, level, calls).prop_map(|(tool, level, calls)| {
        let rule = with(json!({ "tool_name": tool }), "security_level", level.map(Value::from));
        Op::of_nobody("perm_add", with(rule, "max_calls_per_hour", calls.map(Value::from)))
    })
}

fn check() -> BoxedStrategy<Op> {
    let tool = select(&["t", "u", "v", "health_check", "search_corpus", "delete_corpus"][..]);
    let check = (select(&USERS[..]), tool).prop_map(|((user, plan), tool)| Op {
        by: user.to_owned(),
        op: "perm_check",
        args: json!({"user": {"user_id": user, "plan": plan}, "tool_name": tool}),
    });
    let pass = select(&[1_u32, 60, 1800][..]).prop_map(|s| Op::of_nobody("advance", json!({ "seconds": s })));
    prop_oneof![9 => check, 1 => pass, 1 => Just(Op::of_nobody("perm_metrics", json!({})))].boxed()
}
