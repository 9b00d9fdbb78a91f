use std::cell::Cell;

use router::{
    BuiltIn, Config, ConnId, Handler, HandlerFault, Incoming, Input, KindSet, Profile, Replies, Router,
    handlers::{Described, Figures, Found, ReadyStatus, RegisterError, ReplyError},
    message::Kind,
};
use serde_json::{Value, json};

use crate::harness::World;

fn described(json: &Value) -> Box<Described> {
    Box::new(Described::from_json(&json.to_string()).expect("a good description"))
}

fn named(name: &str, accepts: &Value) -> Box<Described> {
    described(
        &json!({"name": name, "accepts": accepts, "then": "take", "reply": {"type": "from", "by": name}}),
    )
}

fn names(router: &Router) -> Vec<String> {
    let built_ins = router.config().profile.built_ins.len();
    let all: Vec<String> = router.handler_order().map(|(_, name)| name.to_owned()).collect();
    all[..all.len() - built_ins].to_vec()
}

/// Sends a text; who answered it, or the type of the answer.
fn by(world: &mut World, conn: ConnId, text: &str) -> String {
    let before = world.frames(conn).len();
    world.say(conn, text);
    let last = world.frames(conn)[before..].last().cloned().unwrap_or_default();
    last["by"].as_str().or(last["type"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn the_first_registered_wins_a_catch_all_too_and_all_come_before_the_built_in_ones() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    assert_eq!(by(&mut world, tab, r#"{"type":"ping"}"#), "pong");
    world.router.add_handler(named("b", &json!(["ping"]))).unwrap();
    world.router.add_handler(named("c", &json!("*"))).unwrap();
    world.router.add_handler(named("d", &json!(["heartbeat"]))).unwrap();
    world.router.insert_handler(-9, named("a", &json!(["typing"]))).unwrap();
    world.router.insert_handler(-1, named("x", &json!(["heartbeat", "ping"]))).unwrap();
    assert_eq!(names(&world.router), ["a", "b", "c", "x", "d"]);
    assert_eq!(by(&mut world, tab, r#"{"type":"ping"}"#), "b");
    assert_eq!(by(&mut world, tab, r#"{"type":"heartbeat"}"#), "c");
    assert_eq!(by(&mut world, tab, r#"{"type":"typing"}"#), "a");
    assert_eq!(by(&mut world, tab, r#"{"type":"nobody knows"}"#), "ack", "an unknown type has no handler");
    let ids: Vec<_> = world.router.handler_order().filter_map(|(id, _)| id).collect();
    assert!(world.router.remove_handler(ids[2]));
    assert!(!world.router.remove_handler(ids[2]), "once");
    assert_eq!(by(&mut world, tab, r#"{"type":"heartbeat"}"#), "x");
    assert_eq!(
        world.router.find_handler(Kind::Pong).map(|f| f.name().to_owned()).as_deref(),
        Some("heartbeat")
    );
    world.router.verify().unwrap();
}

#[test]
fn a_failing_handler_is_counted_and_nobody_else_is_asked() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let failing = json!({"name": "bad", "accepts": ["ping"], "then": {"fail": "secret cause"}});
    world.router.add_handler(described(&failing)).unwrap();
    world.router.add_handler(named("good", &json!(["ping"]))).unwrap();
    assert_eq!(by(&mut world, tab, r#"{"type":"ping","message_id":"m1"}"#), "error_message");
    let error = world.last(tab).clone();
    assert_eq!(
        (&error["error_code"], &error["details"]["message_id"]),
        (&json!("HANDLER_ERROR"), &json!("m1"))
    );
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(world.router.stats().inbound.handler_errors, 1);
    let stats = world.router.handler_stats();
    assert_eq!((stats[0].counts.failed, stats[1].counts.total()), (1, 0));
    assert_eq!(stats[0].last_failure.as_deref(), Some("secret cause"));
    assert_eq!(by(&mut world, tab, r#"{"type":"heartbeat"}"#), "heartbeat_ack", "the connection lives");
}

#[test]
fn a_handler_that_cannot_say_whether_it_wants_a_message_is_passed_over() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let unsure = json!({"name": "unsure", "accepts": "*", "then": "take", "wants": "fails"});
    world.router.add_handler(described(&unsure)).unwrap();
    assert_eq!(by(&mut world, tab, r#"{"type":"ping"}"#), "pong");
    world.router.add_handler(named("sure", &json!(["ping"]))).unwrap();
    assert_eq!(by(&mut world, tab, r#"{"type":"ping"}"#), "sure");
    assert_eq!(world.router.handler_stats()[0].counts.skipped, 2);
}

/// Counts how often it is asked anything.
#[derive(Debug, Default)]
struct Bystander(Cell<u32>);

impl Handler for Bystander {
    fn name(&self) -> &str {
        "bystander"
    }

    fn accepts(&self) -> KindSet {
        KindSet::of(&[Kind::ThreadUpdate])
    }

    fn wants(&self, _: &Incoming<'_>) -> Result<bool, HandlerFault> {
        self.0.set(self.0.get() + 1);
        Ok(true)
    }

    fn handle(&mut self, _: &Incoming<'_>, _: &mut Replies<'_>) -> Result<(), HandlerFault> {
        Ok(())
    }

    fn figures(&self) -> Option<String> {
        Some(self.0.get().to_string())
    }
}

#[test]
fn handlers_of_other_types_are_not_asked() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    for _ in 0..1000 {
        world.router.add_handler(Box::new(Bystander::default())).unwrap();
    }
    world.router.add_handler(named("mine", &json!(["typing"]))).unwrap();
    let asked = |world: &World| {
        let own = world.router.handler_stats().into_iter().filter_map(|stats| match stats.figures {
            Figures::Own(count) => count.parse::<u32>().ok(),
            _ => None,
        });
        own.sum::<u32>()
    };
    assert_eq!(by(&mut world, tab, r#"{"type":"ping"}"#), "pong");
    assert_eq!(by(&mut world, tab, r#"{"type":"typing"}"#), "mine");
    assert_eq!(asked(&world), 0);
    world.say(tab, r#"{"type":"thread_update"}"#);
    assert_eq!(asked(&world), 1, "the first of a thousand takes it");
}

#[test]
fn a_refusal_names_the_member_and_counts_as_rejected() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    world.router.add_handler(described(&json!({"name": "no", "accepts": "*", "then": "refuse"}))).unwrap();
    world.say(tab, r#"{"type":"ping"}"#);
    assert_eq!(world.last(tab)["error_code"], "BAD_FIELD");
    assert_eq!(world.router.stats().inbound.rejected, 1);
}

/// Writes down what it is lent and tries what it must not be able to do.
#[derive(Debug, Default)]
struct Curious(Vec<Value>);

impl Handler for Curious {
    fn name(&self) -> &str {
        "curious"
    }

    fn accepts(&self) -> KindSet {
        KindSet::of(&[Kind::ThreadMessage])
    }

    fn handle(&mut self, incoming: &Incoming<'_>, replies: &mut Replies<'_>) -> Result<(), HandlerFault> {
        self.0.push(json!({
            "user": incoming.user(), "thread": incoming.thread_id(), "run": incoming.run_id(),
            "id": incoming.message_id(), "time": incoming.sent_at().as_micros() as f64 / 1e6,
            "n": incoming.member("n").map(|n| n.json().to_owned()), "arrived": incoming.arrived().as_micros(),
        }));
        assert_eq!(replies.send("[1]"), Err(ReplyError::NotAnObject));
        assert_eq!(replies.send("{\"a\":}"), Err(ReplyError::NotAnObject));
        assert_eq!(replies.error(" ", "text", "{}"), Err(ReplyError::Blank));
        assert_eq!(replies.server_message("system_message", r#"{"content":"hi"}"#), Ok(()));
        while replies.send(r#"{"type":"more"}"#).is_ok() {}
        assert_eq!(replies.send("{}"), Err(ReplyError::TooMany));
        Ok(())
    }

    fn figures(&self) -> Option<String> {
        Some(Value::Array(self.0.clone()).to_string())
    }
}

#[test]
fn a_handler_sees_one_message_of_one_user_and_answers_only_its_sender() {
    let mut world = World::new(Config { handler_replies_max: 3, ..Config::default() });
    let (tab, other_tab, eve) = (world.connect("ada"), world.connect("ada"), world.connect("eve"));
    world.router.add_handler(Box::new(Curious::default())).unwrap();
    let seen = |world: &World| match world.router.handler_stats()[0].figures.clone() {
        Figures::Own(json) => serde_json::from_str::<Vec<Value>>(&json).unwrap(),
        other => panic!("{other:?}"),
    };
    world.say(
        tab,
        r#"{"type":"thread_message","thread_id":"outer","message_id":"m1","timestamp":1700000000.5,
            "payload":{"thread_id":"inner","run_id":"r7","n":5}}"#,
    );
    assert_eq!(
        seen(&world)[0],
        json!({"user": "ada", "thread": "outer", "run": "r7", "id": "m1", "time": 1_700_000_000.5, "n": "5",
            "arrived": world.now.as_micros()})
    );
    assert_eq!(world.types(tab), ["system_message", "more", "more"]);
    assert!(world.types(other_tab).is_empty() && world.types(eve).is_empty());
    world.say(eve, r#"{"type":"thread_message","payload":{"user_id":"ada"}}"#);
    assert_eq!(world.last(eve)["error_code"], "FOREIGN_USER_ID", "a handler never meets a foreign id");
    assert_eq!(seen(&world).len(), 1);
}

#[test]
fn an_answer_for_later_waits_for_nobody_and_goes_with_its_connection() {
    let mut world = World::new(Config { later_replies_per_connection_max: 2, ..Config::default() });
    let (tab, gone) = (world.connect("ada"), world.connect("ada"));
    let slow = json!({"name": "slow", "accepts": ["typing"], "then": "take", "reply": {"type": "late"}, "delay_ms": 200});
    world.router.add_handler(described(&slow)).unwrap();
    for conn in [tab, gone] {
        world.say(conn, r#"{"type":"typing"}"#);
    }
    world.say(tab, r#"{"type":"ping"}"#);
    world.wait(199_000);
    assert_eq!(world.types(tab), ["pong"]);
    world.input(Input::Closed { conn: gone });
    world.wait(1_000);
    assert_eq!(world.types(tab), ["pong", "late"]);
    for _ in 0..3 {
        world.say(tab, r#"{"type":"typing"}"#);
    }
    let later = world.router.later_replies();
    assert_eq!((later.offered, later.sent, later.dropped, later.waiting), (5, 1, 2, 2));
}

#[test]
fn a_bound_handler_serves_its_connection_only_and_goes_with_it() {
    let mut world = World::new(Config::default());
    let (ada, eve) = (world.connect("ada"), world.connect("eve"));
    for (conn, name) in [(ada, "ada's"), (eve, "eve's")] {
        world.router.bind_handler(conn, named(name, &json!(["chat"]))).unwrap();
    }
    assert_eq!(by(&mut world, ada, r#"{"type":"chat","payload":{"content":"hi"}}"#), "ada's");
    assert_eq!(by(&mut world, eve, r#"{"type":"chat","payload":{"content":"hi"}}"#), "eve's");
    let bound: Vec<_> = world.router.handler_order().filter_map(|(id, _)| id).collect();
    world.router.insert_handler(0, named("all", &json!("*"))).unwrap();
    assert_eq!(names(&world.router), ["ada's", "eve's", "all"], "bound ones are asked first");
    assert_eq!(by(&mut world, ada, r#"{"type":"ping"}"#), "all", "what it does not accept goes on");
    assert!(world.router.remove_handler(bound[0]));
    assert_eq!(by(&mut world, ada, r#"{"type":"chat","payload":{"content":"hi"}}"#), "all");
    assert_eq!(by(&mut world, eve, r#"{"type":"chat","payload":{"content":"hi"}}"#), "eve's");
    let before = world.router.handler_order().count();
    for _ in 0..50 {
        let conn = world.connect("bob");
        world.router.bind_handler(conn, named("bob's", &json!("*"))).unwrap();
        assert_eq!(by(&mut world, conn, r#"{"type":"ping"}"#), "bob's");
        world.input(Input::Closed { conn });
        assert_eq!(
            world.router.bind_handler(conn, named("late", &json!("*"))),
            Err(RegisterError::NoConnection)
        );
    }
    assert_eq!(world.router.handler_order().count(), before, "nothing is left of connections that are gone");
    world.router.verify().unwrap();
}

#[test]
fn handlers_are_bounded_and_their_names_too() {
    let mut world = World::new(Config { custom_handlers_max: 2, ..Config::default() });
    world.router.add_handler(named("same", &json!(["ping"]))).unwrap();
    world.router.add_handler(named("same", &json!(["ping"]))).unwrap();
    assert_eq!(world.router.add_handler(named("same", &json!([]))), Err(RegisterError::TooMany));
    let mut other = World::new(Config::default());
    assert_eq!(other.router.add_handler(named(&"x".repeat(129), &json!([]))), Err(RegisterError::Name));
    let tab = world.connect("ada");
    world.say(tab, r#"{"type":"ping"}"#);
    let stats = world.router.handler_stats();
    let (first, second) = (&stats[0], &stats[1]);
    assert_eq!((&*first.name, first.counts.handled), ("same", 1));
    assert_eq!((&*second.name, second.counts.handled), ("same", 0));
    assert_ne!(first.id, second.id, "two of one name stay two");
}

#[test]
fn a_built_in_handler_is_taken_from_one_router_only() {
    let (mut one, mut two) = (World::new(Config::default()), World::new(Config::default()));
    let (here, there) = (one.connect("ada"), two.connect("ada"));
    assert!(one.router.set_built_in(BuiltIn::Heartbeat, false));
    assert!(!one.router.set_built_in(BuiltIn::Heartbeat, false));
    assert_eq!(by(&mut one, here, r#"{"type":"ping"}"#), "ack");
    assert_eq!(one.router.stats().inbound.unhandled, 1);
    assert_eq!(by(&mut two, there, r#"{"type":"ping"}"#), "pong");
    assert_eq!(one.router.find_handler(Kind::Ping), None);
    assert_eq!(two.router.find_handler(Kind::Ping), Some(Found::BuiltIn(BuiltIn::Heartbeat)));
}

#[test]
fn the_profile_of_nine_recognises_the_old_types_only() {
    let mut world = World::new(Config { profile: Profile::LEGACY_9, ..Config::default() });
    let tab = world.connect("ada");
    let order: Vec<String> = world.router.handler_order().map(|(_, name)| name.to_owned()).collect();
    let nine = "connection typing heartbeat agent_message agent_request user_message json_rpc error batch";
    assert_eq!(order.join(" "), nine);
    world.say(tab, r#"{"type":"stop_agent"}"#);
    assert_eq!(world.last(tab)["type"], "ack");
    world.say(tab, r#"{"type":"chat","payload":{"content":"hi"}}"#);
    assert_eq!(world.last(tab)["error_code"], "AGENT_UNAVAILABLE");
    world.say(tab, r#"{"type":"agent","payload":{}}"#);
    assert_eq!(world.runs.last().map(|run| run.text().to_owned()).as_deref(), Some(""));
    let inbound = &world.router.stats().inbound;
    assert_eq!((inbound.routed, inbound.unknown, inbound.unhandled, inbound.handled), (3, 1, 2, 1));
}

#[test]
fn ready_means_that_every_critical_type_has_a_handler() {
    let mut world = World::new(Config { ready_grace_us: 3_000_000, ..Config::default() });
    world.input(Input::Tick);
    let status = |world: &World| world.router.readiness(world.now).status;
    assert_eq!(status(&world), ReadyStatus::Initializing);
    world.wait(3_000_000);
    assert_eq!(status(&world), ReadyStatus::Ready);
    world.router.set_built_in(BuiltIn::Chat, false);
    let readiness = world.router.readiness(world.now);
    assert_eq!((readiness.status, &readiness.missing[..]), (ReadyStatus::Error, &[Kind::UserMessage][..]));
    assert_eq!(readiness.to_string(), "No handler for user_message after 3.0s grace period");
    world.router.add_handler(named("mine", &json!(["user_message"]))).unwrap();
    assert_eq!(status(&world), ReadyStatus::Ready);
    let names = [ReadyStatus::Initializing, ReadyStatus::Ready, ReadyStatus::Error].map(ReadyStatus::name);
    assert_eq!(names, ["initializing", "ready", "error"]);
    // A clock that steps back changes nothing.
    assert_eq!(world.router.readiness(router::Instant::from_micros(0)).status, ReadyStatus::Ready);
}

#[test]
fn json_rpc_is_answered_with_and_without_a_type() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    for (text, answer) in [
        (
            r#"{"jsonrpc":"2.0","method":"sum","params":[1],"id":7}"#,
            json!({"jsonrpc":"2.0","result":{"status":"processed","method":"sum"},"id":7}),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"sum","id":"x","type":"nobody knows"}"#,
            json!({"jsonrpc":"2.0","result":{"status":"processed","method":"sum"},"id":"x"}),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"sum","id":1,"type":"ping"}"#,
            json!({"jsonrpc":"2.0","result":{"status":"processed","method":"sum"},"id":1}),
        ),
        (
            r#"{"jsonrpc":"2.0","id":3}"#,
            json!({"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":3}),
        ),
        (
            r#"{"jsonrpc":"2.0"}"#,
            json!({"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":null}),
        ),
    ] {
        world.say(tab, text);
        assert_eq!(world.last(tab), &answer, "{text}");
    }
    let before = world.frames(tab).len();
    for silent in [
        r#"{"jsonrpc":"2.0","method":"note"}"#,
        r#"{"jsonrpc":"2.0","method":"note","id":null}"#,
        r#"{"jsonrpc":"2.0","result":5,"id":1}"#,
        r#"{"jsonrpc":"2.0","error":{"code":1,"message":"x"},"id":1}"#,
        r#"{"type":"jsonrpc_notification","payload":{}}"#,
    ] {
        world.say(tab, silent);
    }
    assert_eq!(world.frames(tab).len(), before);
    let Figures::JsonRpc(rpc) = world.router.figures(BuiltIn::JsonRpc) else { panic!("figures") };
    assert_eq!((rpc.requests, rpc.responses, rpc.notifications, rpc.errors), (5, 2, 1, 2));
    world
        .router
        .add_handler(described(&json!({"name": "bad", "accepts": "*", "then": {"fail": "x"}})))
        .unwrap();
    world.say(tab, r#"{"jsonrpc":"2.0","method":"sum","id":9}"#);
    assert_eq!(world.last(tab)["error"]["code"], -32603);
    assert_eq!(world.last(tab)["id"], 9);
}

#[test]
fn reports_of_clients_are_counted_within_bounds() {
    let mut world = World::new(Config { error_codes_max: 2, rate_burst: 100, ..Config::default() });
    let tab = world.connect("ada");
    for code in ["\"A\"", "\"B\"", "\"C\"", "5", "\"A\""] {
        world.say(tab, &format!(r#"{{"type":"error","payload":{{"error_code":{code}}}}}"#));
    }
    assert_eq!(world.last(tab)["data"]["error_code"], "A");
    world.say(tab, r#"{"type":"error","payload":{"error_code":[]}}"#);
    assert_eq!(world.last(tab)["details"]["path"], "payload.error_code");
    let Figures::Error(errors) = world.router.figures(BuiltIn::Error) else { panic!("figures") };
    assert_eq!((errors.total, errors.by_code.len(), errors.other_codes), (6, 2, 3));
    world.say(tab, r#"{"type":"thread_update","payload":{"content":5}}"#);
    assert_eq!(world.last(tab)["details"]["path"], "payload.content");
    let before = world.frames(tab).len();
    world.say(tab, r#"{"type":"thread_update","payload":{"content":"ok"}}"#);
    assert_eq!(world.frames(tab).len(), before, "taken without an answer");
    let Figures::UserMessage(reports) = world.router.figures(BuiltIn::UserMessage) else { panic!("figures") };
    assert_eq!((reports.processed, reports.errors, reports.last_at), (2, 1, Some(world.now)));
}

#[test]
fn a_broadcast_reaches_the_users_other_connections_and_nobody_elses() {
    let mut world = World::new(Config { rate_burst: 1000, ..Config::default() });
    let (one, two, three) = (world.connect("ada"), world.connect("ada"), world.connect("ada"));
    let eve = world.connect("eve");
    world.say(one, r#"{"type":"broadcast","payload":{"n":1}}"#);
    world.say(two, r#"{"type":"broadcast","payload":{"n":2,"priority":-3}}"#);
    world.wait(99_000);
    assert!(world.types(three).is_empty(), "not yet");
    assert_eq!(world.router.pending_batches().count(), 2);
    world.wait(1_000);
    let numbers = |world: &World, conn: ConnId| -> Vec<Value> {
        let batch = world.last(conn);
        assert_eq!((&batch["type"], &batch["user_id"]), (&json!("batch"), &json!("ada")));
        batch["messages"].as_array().unwrap().iter().map(|m| m["payload"]["n"].clone()).collect()
    };
    assert_eq!(numbers(&world, one), [2]);
    assert_eq!(numbers(&world, two), [1]);
    assert_eq!(numbers(&world, three), [1, 2]);
    assert_eq!(world.last(three)["messages"][1]["priority"], -3);
    assert!(world.types(eve).is_empty());
    let Figures::Batch(batch) = world.router.figures(BuiltIn::Batch) else { panic!("figures") };
    assert_eq!((batch.queued, batch.batches, batch.batched, batch.frames), (2, 1, 2, 3));
    assert_eq!((batch.pending, batch.timers), (0, 0), "nothing is kept of a user without waiting messages");
}

#[test]
fn a_batch_goes_out_when_it_is_full_or_urgent_or_told_to() {
    let mut world = World::new(Config { rate_burst: 1000, ..Config::default() });
    let (one, two) = (world.connect("ada"), world.connect("ada"));
    for _ in 0..10 {
        world.say(one, r#"{"type":"broadcast","payload":{}}"#);
    }
    assert_eq!(world.last(two)["size"], 10);
    world.say(one, r#"{"type":"broadcast","payload":{"priority":99}}"#);
    assert_eq!(world.frames(two).len(), 2);
    world.say(one, r#"{"type":"broadcast","payload":{"priority":"100"}}"#);
    assert_eq!(world.last(two)["size"], 2);
    world.say(one, r#"{"type":"broadcast","payload":{}}"#);
    world.input(Input::Flush);
    assert_eq!(world.last(two)["size"], 1);
    world.say(one, r#"{"type":"broadcast","payload":{"priority":"high"}}"#);
    assert_eq!(world.last(one)["details"]["path"], "payload.priority");
    world.wait(1_000_000);
    assert_eq!(world.frames(two).len(), 4, "the welcome and three batches");
}

#[test]
fn a_room_is_a_thread() {
    let mut world = World::new(Config::default());
    let (one, inside, outside) = (world.connect("ada"), world.connect("ada"), world.connect("ada"));
    world.say(inside, r#"{"type":"subscribe","topic":"thread:t1"}"#);
    world.say(outside, r#"{"type":"subscribe","topic":"thread:t2"}"#);
    world.say(one, r#"{"type":"room_message","thread_id":"t1","payload":{"priority":100}}"#);
    assert_eq!(world.last(inside)["messages"][0]["thread_id"], "t1");
    assert_eq!(world.types(outside), ["subscribed"]);
    world.say(one, r#"{"type":"broadcast","thread_id":"t1","payload":{"priority":100}}"#);
    assert_eq!(world.last(outside)["type"], "batch", "a broadcast is for all of them");
}

#[test]
fn a_batch_fits_into_a_frame() {
    let config = Config { outbound_frame_bytes_max: 16 * 1024, rate_burst: 1000, ..Config::default() };
    let mut world = World::new(config);
    let (one, two) = (world.connect("ada"), world.connect("ada"));
    let text = format!(r#"{{"type":"broadcast","payload":{{"x":"{}"}}}}"#, "y".repeat(7_000));
    for _ in 0..4 {
        world.say(one, &text);
    }
    world.wait(200_000);
    let Figures::Batch(batch) = world.router.figures(BuiltIn::Batch) else { panic!("figures") };
    assert_eq!((batch.batched, batch.batches), (4, 4));
    assert!(world.frames(two).iter().all(|frame| frame.to_string().len() < 16 * 1024));
}

#[test]
fn what_nobody_comes_back_for_is_given_up() {
    let config = Config { recovery_ttl_us: 10_000, dedupe_ttl_us: 1, ..Config::default() };
    let mut world = World::new(config);
    let tab = world.connect("ada");
    world.say(tab, r#"{"type":"broadcast","payload":{}}"#);
    world.input(Input::Closed { conn: tab });
    world.wait(1_000_000);
    let Figures::Batch(batch) = world.router.figures(BuiltIn::Batch) else { panic!("figures") };
    assert_eq!((batch.queued, batch.dropped, batch.pending), (1, 1, 0));
    assert_eq!(world.router.stats().connections.users, 0);
}

#[test]
fn a_drain_delivers_every_broadcast_that_was_taken() {
    let broadcast = r#"{"type":"broadcast","payload":{"content":"x"}}"#;
    // Held while its connection was being set up.
    let mut world = World::new(Config { ready_after_us: 1_000_000, ..Config::default() });
    let tab = world.connect("ada");
    world.wait(2_000_000);
    let (new, newer) = (world.connect("ada"), world.connect("ada"));
    world.say(new, broadcast);
    world.input(Input::Drain);
    assert_eq!((world.types(tab), world.types(newer)), (vec!["batch"], vec!["batch"]));
    assert_eq!(world.closed.len(), 3);
    // Taken while a run kept the drain waiting.
    let mut world = World::new(Config::default());
    let (one, two) = (world.connect("ada"), world.connect("ada"));
    let run = world.chat(one, "m1");
    world.input(Input::Drain);
    world.say(one, broadcast);
    world.play(&run);
    assert_eq!((world.types(two)[0], world.closed.len()), ("batch", 2));
}

#[test]
fn a_drain_waits_for_answers_promised_for_later_but_not_beyond_its_deadline() {
    let mut world = World::new(Config { drain_deadline_us: 1_000_000, ..Config::default() });
    let tab = world.connect("ada");
    let slow = json!({"name": "slow", "accepts": ["typing"], "then": "take", "reply": {"type": "slow"}, "delay_ms": 50});
    world.router.add_handler(described(&slow)).unwrap();
    world.say(tab, r#"{"type":"typing"}"#);
    world.input(Input::Drain);
    assert!(world.closed.is_empty());
    world.wait(50_000);
    assert_eq!((world.types(tab), world.closed.len()), (vec!["slow"], 1));
    let mut world = World::new(Config { drain_deadline_us: 1_000_000, ..Config::default() });
    let tab = world.connect("ada");
    let handler = json!({"name": "never", "accepts": ["typing"], "then": "take", "reply": {"type": "never"}, "delay_ms": 9_000});
    world.router.add_handler(described(&handler)).unwrap();
    world.say(tab, r#"{"type":"typing"}"#);
    world.input(Input::Drain);
    world.wait(1_000_000);
    assert_eq!((world.types(tab).len(), world.closed.len()), (0, 1));
}

#[test]
fn end_to_end_answers_are_there_when_asked_for() {
    let mut profile = Profile::STANDARD;
    let text = r#"{"type":"direct_message","payload":{"target_client":1,"message":"hi","message_id":"m"}}"#;
    let mut world = World::new(Config { profile, ..Config::default() });
    let tab = world.connect("ada");
    assert_eq!(by(&mut world, tab, text), "ack", "off by default");
    profile.built_ins = profile.built_ins.with(BuiltIn::EndToEnd).without(BuiltIn::Chat);
    let mut world = World::new(Config { profile, ..Config::default() });
    let (tab, other) = (world.connect("ada"), world.connect("ada"));
    assert_eq!(by(&mut world, tab, text), "direct_message");
    world.say(tab, r#"{"type":"agent_task","payload":{"task_id":"T"}}"#);
    world.wait(200_000);
    world.say(tab, r#"{"type":"recovery_test"}"#);
    assert_eq!(
        world.types(tab)[1..],
        ["agent_task_ack", "agent_response_chunk", "agent_response_complete", "system_message"]
    );
    world.say(tab, r#"{"type":"broadcast_test","payload":{"priority":100}}"#);
    assert_eq!(world.types(other), ["batch"]);
}
