//! Messages between services: routes, middleware, history; and the whole against a model of plain lists.

use std::sync::Arc;

use proptest::prelude::*;
use router::{
    Config, ErrorCode, Input, Instant, Router,
    routes::{
        Dispatched, Draft, DropReason, Envelope, Failure, Full, Middleware, NotAMessage, Place, Refused,
        RouteHandler, Verdict,
    },
};
use serde_json::{Value, json};

use crate::harness::World;

const NOW: Instant = Instant::from_micros(1_700_000_000_000_000);

fn message(id: &str, destination: &str, user: Option<&str>) -> Envelope {
    Envelope {
        id: id.into(),
        source: "here".into(),
        destination: Some(destination.into()),
        payload: json!({ "n": 1 }),
        user: user.map(Arc::from),
        ..Envelope::default()
    }
}

fn router() -> Router {
    Router::new(Config::default()).expect("valid")
}

fn results(outcome: Result<Dispatched, Refused>) -> Vec<Result<Value, String>> {
    match outcome {
        Ok(Dispatched::Results(results)) => {
            results.into_iter().map(|result| result.map_err(|failed| failed.to_string())).collect()
        }
        other => panic!("no results: {other:?}"),
    }
}

fn ids<'a>(router: &'a Router, user: Option<&str>) -> Vec<&'a str> {
    router.history(user).map(|record| record.received().id.as_str()).collect()
}

/// A handler with a name, for answers that name it.
struct Named(&'static str, Result<i32, &'static str>);

impl RouteHandler for Named {
    fn name(&self) -> Option<&str> {
        Some(self.0)
    }

    fn handle(&self, _: &mut Draft) -> Result<Value, Failure> {
        self.1.map(Value::from).map_err(Failure::new)
    }
}

#[test]
fn what_a_bare_value_would_hide_stays_apart() {
    let mut router = router();
    let list = |_: &mut Draft| Ok(json!([1, 2]));
    router.add_route("list", Arc::new(list)).expect("room");
    router.add_route("one of two", Arc::new(Named("bad", Err("boom")))).expect("room");
    router.add_route("one of two", Arc::new(Named("good", Ok(1)))).expect("room");
    router.add_route("none of two", Arc::new(Named("bad", Err("boom")))).expect("room");
    router.add_route("none of two", Arc::new(|_: &mut Draft| Err(Failure::new("bang")))).expect("room");
    let mut go = |to: &str| router.dispatch(NOW, message("m", to, None));
    assert_eq!(results(go("list")), [Ok(json!([1, 2]))]);
    assert_eq!(results(go("one of two")), [Err("handler 0 (bad): boom".into()), Ok(json!(1))]);
    assert_eq!(
        results(go("none of two")),
        [Err("handler 0 (bad): boom".into()), Err("handler 1: bang".into())]
    );
    assert_eq!(go("nobody"), Ok(Dispatched::Unrouted { destination: Some("nobody".into()) }));
    let counts = router.stats().dispatches;
    assert_eq!((counts.offered, counts.routed, counts.unrouted), (4, 3, 1));
    assert_eq!((counts.calls, counts.calls_failed), (5, 3));
}

#[test]
fn keys_are_exact() {
    let mut router = router();
    for key in ["agent.*", "", "ünïcode"] {
        router.add_route(key, Arc::new(Named("h", Ok(1)))).expect("room");
    }
    for (destination, found) in [
        (Some("agent.*"), true),
        (Some("agent.x"), false),
        (Some("Agent.*"), false),
        (Some(" agent.*"), false),
        (Some("agent.*\n"), false),
        (Some(""), true),
        (Some("ünïcode"), true),
        (None, false),
    ] {
        let message = Envelope { destination: destination.map(Arc::from), ..message("m", "", None) };
        let outcome = router.dispatch(NOW, message).expect("dispatched");
        assert_eq!(matches!(outcome, Dispatched::Results(_)), found, "{destination:?}");
    }
}

#[test]
fn a_removed_route_is_gone_and_a_handler_installed_twice_runs_twice() {
    let mut router = router();
    let twice: Arc<dyn RouteHandler> = Arc::new(Named("h", Ok(1)));
    router.add_route("d", Arc::clone(&twice)).expect("room");
    router.add_route("d", twice).expect("room");
    assert_eq!(results(router.dispatch(NOW, message("m1", "d", None))).len(), 2);
    assert_eq!((router.remove_route("d"), router.remove_route("d")), (2, 0));
    let outcome = router.dispatch(NOW, message("m2", "d", None));
    assert!(matches!(outcome, Ok(Dispatched::Unrouted { .. })));
    assert_eq!(router.dispatch_figures().active_routes, 0);
}

struct Guard(Result<Verdict, &'static str>);

impl Middleware for Guard {
    fn name(&self) -> Option<&str> {
        Some("guard")
    }

    fn pass(&self, _: &mut Draft) -> Result<Verdict, Failure> {
        self.0.clone().map_err(Failure::new)
    }
}

#[test]
fn middleware_drops_fails_redirects_and_replaces() {
    let eve = Envelope { id: "forged".into(), ..message("", "d", Some("eve")) };
    let other = Envelope { id: "other".into(), ..message("", "d", Some("ada")) };
    let dropped = |why| Ok(Dispatched::Dropped { by: Place { index: 1, name: Some("guard".into()) }, why });
    let table = [
        (Ok(Verdict::Pass), Ok(Dispatched::Results(vec![Ok(json!("m"))]))),
        (Ok(Verdict::Drop), dropped(DropReason::Decided)),
        (Err("boom"), dropped(DropReason::Failed(Failure::new("boom")))),
        (Ok(Verdict::Redirect("e".into())), Ok(Dispatched::Results(vec![Ok(json!(1)), Ok(json!("e"))]))),
        (Ok(Verdict::Replace(other)), Ok(Dispatched::Results(vec![Ok(json!("other"))]))),
        (Ok(Verdict::Replace(eve)), dropped(DropReason::ForeignUser)),
    ];
    for (verdict, expected) in table {
        let mut router = router();
        // One without a name is as good as any.
        router.add_middleware(Arc::new(|_: &mut Draft| Ok(Verdict::Pass))).expect("room");
        router.add_middleware(Arc::new(Guard(verdict))).expect("room");
        router.add_route("d", Arc::new(|message: &mut Draft| Ok(message.id().into()))).expect("room");
        router.add_route("e", Arc::new(Named("h", Ok(1)))).expect("room");
        router
            .add_route("e", Arc::new(|message: &mut Draft| Ok(message.destination().into())))
            .expect("room");
        assert_eq!(router.dispatch(NOW, message("m", "d", Some("ada"))), expected);
        assert_eq!(router.pipeline().middleware().collect::<Vec<_>>(), [None, Some("guard")]);
        router.verify().expect("accounts");
    }
}

#[test]
fn what_came_in_stays_as_it_was_and_what_a_failing_one_amended_is_undone() {
    let mut router = router();
    let amend = |key: &'static str, fails: bool| {
        move |message: &mut Draft| {
            message.payload_mut()[key] = json!(true);
            if fails { Err(Failure::new("boom")) } else { Ok(message.payload().clone()) }
        }
    };
    router
        .add_middleware(Arc::new(|message: &mut Draft| {
            message.headers_mut().insert("seen".into(), json!(1));
            Ok(Verdict::Redirect("d".into()))
        }))
        .expect("room");
    router.add_route("d", Arc::new(amend("a", false))).expect("room");
    router.add_route("d", Arc::new(amend("b", true))).expect("room");
    router.add_route("d", Arc::new(amend("c", false))).expect("room");
    let sent = message("m", "elsewhere", None);
    let answers = results(router.dispatch(NOW, sent.clone()));
    assert_eq!(answers[0], Ok(json!({"n": 1, "a": true})));
    assert_eq!(answers[2], Ok(json!({"n": 1, "a": true, "c": true})));
    let record = router.history(None).next().expect("kept");
    assert_eq!(record.received(), &sent);
    assert_eq!(record.at(), NOW);
    let left = record.left();
    assert_eq!((&left.payload, &left.headers["seen"]), (&json!({"n": 1, "a": true, "c": true}), &json!(1)));
    assert_eq!(left.destination, sent.destination);
}

#[test]
fn a_message_put_in_place_is_not_the_one_that_came() {
    let mut router = router();
    router
        .add_middleware(Arc::new(|message: &mut Draft| {
            message.payload_mut()["first"] = json!(1);
            let mut other = message.to_envelope();
            other.id += "-2";
            Ok(Verdict::Replace(other))
        }))
        .expect("room");
    router
        .add_route(
            "d",
            Arc::new(|message: &mut Draft| {
                message.payload_mut()["second"] = json!(2);
                Ok(message.id().into())
            }),
        )
        .expect("room");
    assert_eq!(results(router.dispatch(NOW, message("m", "d", None))), [Ok(json!("m-2"))]);
    let record = router.history(None).next().expect("kept");
    assert_eq!((&*record.left().id, &record.left().payload), ("m", &json!({"n": 1, "first": 1})));
}

#[test]
fn what_is_no_message_is_refused_and_counted() {
    let mut router = router();
    let outcome = router.dispatch_value(NOW, json!({"destination": "d"}));
    let error = NotAMessage::Field { field: "id", expected: "a text" };
    assert_eq!(outcome, Err(Refused::NotAMessage(error)));
    assert_eq!(outcome.map_err(Refused::code), Err(ErrorCode::BadField));
    assert_eq!(router.dispatch_value(NOW, json!(5)).map_err(Refused::code), Err(ErrorCode::NotAnObject));
    let whole = json!({"id": "m", "source": "s", "destination": "d"});
    assert!(router.dispatch_value(NOW, whole).is_ok());
    assert_eq!((router.dispatch_figures().total_messages, router.stats().dispatches.refused), (3, 2));
    assert_eq!(ids(&router, None), ["m"]);
    router.verify().expect("accounts");
}

#[test]
fn the_figure_active_decides_nothing_and_a_drain_does() {
    let mut world = World::new(Config::default());
    world.router.add_route("d", Arc::new(Named("h", Ok(1)))).expect("room");
    let go = |world: &mut World| world.router.dispatch(NOW, message("m", "d", None)).is_ok();
    assert!(!world.router.dispatch_figures().active && go(&mut world));
    world.router.start();
    world.router.start();
    assert!(world.router.dispatch_figures().active && go(&mut world));
    world.router.stop();
    assert!(!world.router.dispatch_figures().active && go(&mut world));
    let started = world.router.begin_dispatch(message("under way", "d", None)).expect("accepted");
    world.input(Input::Drain);
    assert_eq!(world.router.dispatch(NOW, message("late", "d", None)), Err(Refused::ShuttingDown));
    // What was accepted before still ends.
    assert!(matches!(world.router.end_dispatch(NOW, started.run()), Dispatched::Results(_)));
    assert_eq!(ids(&world.router, None), ["m", "m", "m", "under way"]);
    world.router.verify().expect("accounts");
}

#[test]
fn a_message_under_way_keeps_the_routes_it_started_with() {
    let mut router = router();
    router.add_route("d", Arc::new(Named("h", Ok(1)))).expect("room");
    let started = router.begin_dispatch(message("m", "d", None)).expect("accepted");
    router.remove_route("d");
    router.add_middleware(Arc::new(Guard(Ok(Verdict::Drop)))).expect("room");
    let finished = started.run();
    assert_eq!(router.end_dispatch(NOW, finished), Dispatched::Results(vec![Ok(json!(1))]));
    assert!(matches!(router.dispatch(NOW, message("m", "d", None)), Ok(Dispatched::Dropped { .. })));
}

#[test]
fn a_full_table_refuses_and_stays_as_it_is() {
    let config = Config { routes_max: 1, route_handlers_max: 2, middleware_max: 1, ..Config::default() };
    let mut router = Router::new(config).expect("valid");
    let mut add = |key: &str| router.add_route(key, Arc::new(Named("h", Ok(1))));
    assert_eq!((add("d"), add("d")), (Ok(()), Ok(())));
    assert_eq!(add("d"), Err(Full { limit: "route_handlers_max" }));
    assert_eq!(add("e"), Err(Full { limit: "routes_max" }));
    assert_eq!(router.add_middleware(Arc::new(Guard(Ok(Verdict::Pass)))), Ok(()));
    let full = router.add_middleware(Arc::new(Guard(Ok(Verdict::Drop))));
    assert_eq!(full, Err(Full { limit: "middleware_max" }));
    let figures = router.dispatch_figures();
    assert_eq!((figures.active_routes, figures.middleware_count), (1, 1));
    assert_eq!(results(router.dispatch(NOW, message("m", "d", None))).len(), 2);
}

#[test]
fn histories_are_bounded_apart_and_go_with_their_user() {
    let config = Config {
        route_history_messages_max: 3,
        route_history_bytes_max: 200,
        dedupe_ttl_us: 0,
        ..Config::default()
    };
    let ttl = config.recovery_ttl_us;
    let mut world = World::new(config);
    let tab = world.connect("ada");
    world.connect("eve");
    for n in 0..5 {
        let now = world.now;
        for user in [Some("ada"), Some("eve"), Some("stranger"), None] {
            let id = format!("{}{n}", user.unwrap_or("service"));
            world.router.dispatch(now, message(&id, "d", user)).expect("dispatched");
            world.router.verify().expect("accounts");
        }
    }
    assert_eq!(ids(&world.router, Some("ada")), ["ada2", "ada3", "ada4"]);
    assert_eq!(ids(&world.router, Some("eve")), ["eve2", "eve3", "eve4"]);
    assert_eq!(ids(&world.router, None), ["service2", "service3", "service4"]);
    assert!(ids(&world.router, Some("stranger")).is_empty(), "kept for somebody who is not here");
    // Bytes count, too: a large one drives several out, one that is too large none.
    let large = |id: &str, len| Envelope { payload: "x".repeat(len).into(), ..message(id, "d", Some("ada")) };
    world.router.dispatch(NOW, large("large", 160)).expect("dispatched");
    assert_eq!(ids(&world.router, Some("ada")), ["ada4", "large"]);
    world.router.dispatch(NOW, large("too large", 200)).expect("dispatched");
    assert_eq!(ids(&world.router, Some("ada")), ["ada4", "large"]);
    world.router.verify().expect("accounts");
    world.input(Input::Closed { conn: tab });
    assert_eq!(ids(&world.router, Some("ada")).len(), 2);
    world.wait(ttl + 1);
    world.connect("ada");
    assert!(ids(&world.router, Some("ada")).is_empty(), "a history outlived its user");
    assert_eq!(ids(&world.router, Some("eve")), ["eve2", "eve3", "eve4"]);
}

#[test]
fn a_panic_in_a_handler_leaves_no_trace() {
    let mut router = router();
    router
        .add_route(
            "d",
            Arc::new(|message: &mut Draft| {
                message.payload_mut()["n"] = json!(2);
                panic!("a fault of the handler")
            }),
        )
        .expect("room");
    let before = router.stats().clone();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        router.dispatch(NOW, message("m", "d", None))
    }));
    assert!(outcome.is_err());
    assert_eq!(router.stats(), &before);
    assert!(ids(&router, None).is_empty());
    router.verify().expect("accounts");
}

// The model: plain lists, and a message that is copied at every step.

#[derive(Clone, Debug)]
enum Does {
    Pass,
    Amend(u8),
    AmendAndFail(u8),
    Drop,
    Redirect(u8),
    Replace(u8),
    Forge,
}

#[derive(Clone, Debug)]
enum Op {
    AddRoute(u8, Does),
    RemoveRoute(u8),
    AddMiddleware(Does),
    Dispatch { to: u8, user: u8, bytes: u8 },
}

impl Middleware for Does {
    fn pass(&self, message: &mut Draft) -> Result<Verdict, Failure> {
        match self {
            Does::Pass => Ok(Verdict::Pass),
            Does::Amend(n) => {
                message.payload_mut()["by"] = json!(n);
                Ok(Verdict::Pass)
            }
            Does::AmendAndFail(n) => {
                message.payload_mut()["by"] = json!(n);
                Err(Failure::new("boom"))
            }
            Does::Drop => Ok(Verdict::Drop),
            Does::Redirect(to) => Ok(Verdict::Redirect(format!("d{to}").into())),
            Does::Replace(n) => {
                Ok(Verdict::Replace(Envelope { id: format!("r{n}"), ..message.to_envelope() }))
            }
            Does::Forge => {
                Ok(Verdict::Replace(Envelope { user: Some("somebody".into()), ..message.to_envelope() }))
            }
        }
    }
}

impl RouteHandler for Does {
    fn handle(&self, message: &mut Draft) -> Result<Value, Failure> {
        match self {
            Does::Amend(_) | Does::AmendAndFail(_) => {
                Middleware::pass(self, message)?;
                Ok(message.payload().clone())
            }
            Does::Drop => Err(Failure::new("boom")),
            Does::Pass | Does::Redirect(_) | Does::Replace(_) | Does::Forge => {
                Ok(json!([message.id(), message.destination()]))
            }
        }
    }
}

#[derive(Default)]
struct Model {
    routes: Vec<(u8, Vec<Does>)>,
    middleware: Vec<Does>,
    history: Vec<(u8, Envelope, Value)>,
}

#[derive(Debug, PartialEq)]
enum Seen {
    Dropped(usize),
    Unrouted,
    Results(Vec<Option<Value>>),
}

impl Model {
    fn dispatch(&mut self, sent: &Envelope, user: u8) -> Seen {
        let (mut now, mut left) = (sent.clone(), None);
        let mut seen = None;
        for (n, does) in self.middleware.iter().enumerate() {
            match does {
                Does::Pass => {}
                Does::Amend(by) => now.payload["by"] = json!(by),
                Does::AmendAndFail(_) | Does::Drop | Does::Forge => {
                    seen = Some(Seen::Dropped(n));
                    break;
                }
                Does::Redirect(to) => now.destination = Some(format!("d{to}").into()),
                Does::Replace(by) => {
                    left.get_or_insert_with(|| now.payload.clone());
                    now.id = format!("r{by}");
                }
            }
        }
        let seen = seen.unwrap_or_else(|| {
            let to = now.destination.as_deref().unwrap_or_default().to_owned();
            let Some((_, handlers)) = self.routes.iter().find(|(key, _)| format!("d{key}") == to) else {
                return Seen::Unrouted;
            };
            let answer = |does: &Does| match does {
                Does::Amend(by) => {
                    now.payload["by"] = json!(by);
                    Some(now.payload.clone())
                }
                Does::AmendAndFail(_) | Does::Drop => None,
                Does::Pass | Does::Redirect(_) | Does::Replace(_) | Does::Forge => {
                    Some(json!([now.id, now.destination.as_deref()]))
                }
            };
            Seen::Results(handlers.iter().map(answer).collect())
        });
        self.history.push((user, sent.clone(), left.unwrap_or(now.payload)));
        seen
    }

    /// The newest messages of a user that fit.
    fn kept(&self, user: u8, max: usize) -> Vec<(&Envelope, &Value)> {
        let mut kept: Vec<_> = self.history.iter().filter(|(whose, ..)| *whose == user).collect();
        kept.drain(..kept.len().saturating_sub(max));
        kept.into_iter().map(|(_, sent, left)| (sent, left)).collect()
    }
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        4 => Just(Does::Pass),
        3 => any::<u8>().prop_map(Does::Amend),
        1 => any::<u8>().prop_map(Does::AmendAndFail),
        1 => Just(Does::Drop),
        2 => (0u8..4).prop_map(Does::Redirect),
        2 => any::<u8>().prop_map(Does::Replace),
        1 => Just(Does::Forge),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0u8..4, does()).prop_map(|(key, does)| Op::AddRoute(key, does)),
        1 => (0u8..4).prop_map(Op::RemoveRoute),
        1 => does().prop_map(Op::AddMiddleware),
        8 => (0u8..5, 0u8..3, any::<u8>()).prop_map(|(to, user, bytes)| Op::Dispatch { to, user, bytes }),
    ]
}

const HISTORY_MAX: u32 = 4;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_router_does_as_plain_lists_do(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new(Config { route_history_messages_max: HISTORY_MAX, ..Config::default() });
        world.connect("user-1");
        world.connect("user-2");
        let mut model = Model::default();
        let name = |user: u8| (user > 0).then(|| format!("user-{user}"));
        for (n, op) in ops.iter().enumerate() {
            match op {
                Op::AddRoute(key, does) => {
                    world.router.add_route(&format!("d{key}"), Arc::new(does.clone())).expect("room");
                    match model.routes.iter_mut().find(|(there, _)| there == key) {
                        Some((_, handlers)) => handlers.push(does.clone()),
                        None => model.routes.push((*key, vec![does.clone()])),
                    }
                }
                Op::RemoveRoute(key) => {
                    world.router.remove_route(&format!("d{key}"));
                    model.routes.retain(|(there, _)| there != key);
                }
                Op::AddMiddleware(does) => {
                    world.router.add_middleware(Arc::new(does.clone())).expect("room");
                    model.middleware.push(does.clone());
                }
                Op::Dispatch { to, user, bytes } => {
                    let mut sent = message(&format!("m{n}"), &format!("d{to}"), name(*user).as_deref());
                    sent.payload["text"] = "x".repeat(usize::from(*bytes)).into();
                    let expected = model.dispatch(&sent, *user);
                    let seen = match world.router.dispatch(NOW, sent) {
                        Ok(Dispatched::Dropped { by, .. }) => Seen::Dropped(by.index),
                        Ok(Dispatched::Unrouted { .. }) => Seen::Unrouted,
                        Ok(Dispatched::Results(all)) => Seen::Results(all.into_iter().map(Result::ok).collect()),
                        Err(refused) => return Err(TestCaseError::fail(refused.to_string())),
                    };
                    prop_assert_eq!(seen, expected);
                }
            }
            world.router.verify().map_err(TestCaseError::fail)?;
            for user in 0..3 {
                let history: Vec<_> = world
                    .router
                    .history(name(user).as_deref())
                    .map(|record| (record.received(), &record.left().payload))
                    .collect();
                prop_assert_eq!(history, model.kept(user, HISTORY_MAX as usize));
            }
            prop_assert_eq!(world.router.dispatch_figures().total_messages, model.history.len() as u64);
            prop_assert_eq!(world.router.dispatch_figures().active_routes, model.routes.len());
        }
    }
}
