//! Generated sequences of old calls and canonical ones, on two routers that stay alike.

use proptest::prelude::*;
use router::{
    Connect, Context, Deliver, Effect, Input, ReceiptId, Target, Ticket,
    compat::{MessageRouter, UserScopedWebSocketEventRouter, WebSocketEventRouter},
    tools,
};

use super::{NOTE, Pair, note};
use crate::harness::json;

const USERS: [&str; 3] = ["ada", "eve", "zoe"];
const NAMES: [&str; 4] = ["t1", "t2", "t3", "t4"];
const TEXTS: [&str; 5] = [
    r#"{"type":"ping"}"#,
    r#"{"type":"user_message","payload":{"content":"hello"}}"#,
    r#"{"type":"nobody knows"}"#,
    r#"{"type":"ping","user_id":"eve"}"#,
    "{",
];

#[derive(Clone, Copy, Debug)]
enum Step {
    Register { user: usize, name: usize },
    Unregister { name: usize },
    Route { user: usize, name: usize },
    Scoped { user: usize, name: usize },
    Broadcast { user: usize },
    Say { user: usize, name: usize, text: usize },
    Sweep,
    Write,
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let (user, name) = (0..USERS.len(), 0..NAMES.len());
    let pair = || (user.clone(), name.clone());
    prop_oneof![
        4 => pair().prop_map(|(user, name)| Step::Register { user, name }),
        2 => name.clone().prop_map(|name| Step::Unregister { name }),
        4 => pair().prop_map(|(user, name)| Step::Route { user, name }),
        3 => pair().prop_map(|(user, name)| Step::Scoped { user, name }),
        3 => user.clone().prop_map(|user| Step::Broadcast { user }),
        4 => (pair(), 0..TEXTS.len()).prop_map(|((user, name), text)| Step::Say { user, name, text }),
        1 => Just(Step::Sweep),
        4 => Just(Step::Write),
        2 => (1..200_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// The facades of one process.
struct Facades {
    messages: MessageRouter,
    events: WebSocketEventRouter,
    scoped: [UserScopedWebSocketEventRouter; USERS.len()],
}

fn play(pair: &mut Pair, facades: &mut Facades, at: u64, step: Step) {
    let event = json(NOTE);
    let receipt = Some(ReceiptId(pair.receipts + 1));
    match step {
        Step::Register { user, name } => {
            let (user, name, ticket) = (USERS[user], NAMES[name], Ticket(at));
            pair.same(
                |lent| facades.events.over(lent).register_connection(user, name, None, ticket),
                |router, now, out| {
                    let connect = Connect { name: Some(name), ..Connect::new(ticket, user) };
                    router.handle(now, Input::Connect(connect), out);
                    out.iter().any(|effect| matches!(effect, Effect::Accepted { .. }))
                },
            );
        }
        Step::Unregister { name } => {
            let name = NAMES[name];
            pair.same(
                |lent| facades.events.over(lent).unregister_connection(name),
                |router, now, out| {
                    let there = router.connection_named(name).is_some();
                    router.handle(now, Input::Unregister { user: None, name }, out);
                    there
                },
            );
        }
        Step::Route { user, name } | Step::Scoped { user, name } => {
            let scoped = matches!(step, Step::Scoped { .. });
            let request = scoped.then_some("req-7");
            let (at, user, name) = (user, USERS[user], NAMES[name]);
            pair.same(
                |lent| {
                    let pending = if scoped {
                        facades.scoped[at].over(lent).route_event(name, &note())
                    } else {
                        facades.events.over(lent).route_event(user, name, &note())
                    };
                    pending.receipt()
                },
                |router, now, out| {
                    let target = Target::Connection(user, router.connection_named(name)?);
                    let context = Context { request, ..Context::default() };
                    router.handle(
                        now,
                        Input::Deliver(Deliver { receipt, target, context, event: &event }),
                        out,
                    );
                    receipt
                },
            );
        }
        Step::Broadcast { user } => {
            let user = USERS[user];
            pair.same(
                |lent| facades.events.over(lent).broadcast_to_user(user, &note()).receipt(),
                |router, now, out| {
                    let deliver = Deliver { receipt, ..Deliver::new(Target::User(user), &event) };
                    router.handle(now, Input::Deliver(deliver), out);
                    receipt
                },
            );
        }
        Step::Say { user, name, text } => {
            let Some(conn) = pair.new.connection_named(NAMES[name]) else { return };
            let (user, text) = (USERS[user], TEXTS[text]);
            pair.same(
                |lent| facades.messages.over(lent).route_message(user, conn, text),
                |router, now, out| {
                    if !router.for_user(user, Context::default()).owns(conn) {
                        return false;
                    }
                    router.handle(now, Input::Tick, out);
                    let before = router.stats().inbound;
                    router.handle(now, Input::Text { conn, text }, out);
                    let after = router.stats().inbound;
                    after.rejected + after.handler_errors == before.rejected + before.handler_errors
                },
            );
        }
        Step::Sweep => {
            pair.same(
                |lent| facades.events.over(lent).cleanup_stale_connections(),
                |router, now, out| {
                    router.handle(now, Input::SweepIdle, out);
                    let swept = |effect: &Effect| match effect {
                        Effect::Swept { connections } => Some(*connections),
                        _ => None,
                    };
                    out.iter().find_map(swept).expect("the account of the sweep")
                },
            );
        }
        Step::Write => pair.write(),
        Step::Wait { seconds } => pair.now = pair.now.after(seconds * 1_000_000),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn old_calls_in_any_order_do_what_canonical_ones_do(steps in prop::collection::vec(step(), 1..60)) {
        let mut pair = Pair::new();
        let scoped = USERS.map(|user| {
            let context = tools::Context::new(user, "th", "run-7", "req-7").expect("a context");
            UserScopedWebSocketEventRouter::new(context)
        });
        let mut facades =
            Facades { messages: MessageRouter::new(), events: WebSocketEventRouter::new(), scoped };
        for (at, step) in (1..).zip(&steps) {
            play(&mut pair, &mut facades, at, *step);
        }
        pair.write();
        prop_assert_eq!(pair.old.verify(), Ok(()));
        prop_assert_eq!(pair.new.verify(), Ok(()));
    }
}
