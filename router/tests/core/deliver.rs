//! Deliveries of the host: who gets them, what they may say, and that receipts, counters and sockets agree.

use std::collections::BTreeMap;

use proptest::prelude::*;
use router::{
    Config, ConnId, Connect, Context, Deliver, DeliveryRefusal, Effect, EventRef, Input, Missed, Receipt,
    ReceiptId, Target, Ticket,
};
use serde_json::value::RawValue;

use crate::harness::{World, json};

impl World {
    fn deliver(&mut self, target: Target<'_>, event: &str) {
        self.deliver_in(target, Context::default(), event);
    }

    fn deliver_in(&mut self, target: Target<'_>, context: Context<'_>, event: &str) {
        self.other.clear();
        let event = json(event);
        let receipt = Some(ReceiptId(7));
        self.input(Input::Deliver(Deliver { receipt, context, ..Deliver::new(target, &event) }));
    }

    /// The receipts that came since the last delivery.
    fn receipts(&self) -> Vec<Receipt> {
        let receipt = |effect: &Effect| match effect {
            Effect::Receipt(receipt) => Some((**receipt).clone()),
            _ => None,
        };
        self.other.iter().filter_map(receipt).collect()
    }

    fn receipt(&self) -> Receipt {
        let receipts = self.receipts();
        assert_eq!(receipts.len(), 1, "{receipts:?}");
        receipts[0].clone()
    }

    fn named(&mut self, user: &str, name: &str) -> Option<ConnId> {
        self.connect_with(Connect { name: Some(name), ..Connect::new(Ticket(0), user) })
    }
}

const EVENT: &str = r#"{"type":"note","data":{"user_id":"eve"},"sender_id":"eve"}"#;

#[test]
fn each_target_reaches_whom_it_names_and_nobody_else() {
    let mut world = World::new(Config::default());
    let authority = world.router.take_authority().expect("the first time");
    let filtered = Connect { thread: Some("t1"), ..Connect::new(Ticket(0), "ada") };
    let (first, second) = (world.connect("ada"), world.connect_with(filtered).expect("accepted"));
    let eve = world.connect("eve");
    let before = |world: &World| [first, second, eve].map(|conn| world.frames(conn).len());
    let table: [(Target<'_>, [usize; 3], u32); 7] = [
        (Target::Connection("ada", first), [1, 0, 0], 1),
        (Target::User("ada"), [1, 1, 0], 2),
        (Target::Thread("ada", "t1"), [1, 1, 0], 2),
        (Target::Thread("ada", "t2"), [1, 0, 0], 1),
        (Target::All(&authority, None), [1, 1, 1], 3),
        (Target::All(&authority, Some(first)), [0, 1, 1], 2),
        (Target::Topic(&authority, "news"), [0, 0, 1], 1),
    ];
    assert!(world.router.subscribe_user("eve", "news"));
    for (target, expected, delivered) in table {
        let frames = before(&world);
        world.deliver(target, EVENT);
        let after = before(&world);
        let got = [0, 1, 2].map(|n| after[n] - frames[n]);
        assert_eq!(got, expected, "{target:?}");
        let receipt = world.receipt();
        assert_eq!((receipt.attempted, receipt.delivered, receipt.queued), (delivered, delivered, 0));
        assert_eq!((receipt.receipt, &*receipt.event_type), (ReceiptId(7), "\"note\""));
    }
    assert_eq!(world.last(second)["data"]["user_id"], "eve", "bodies are nobody's business");
    assert_eq!(world.last(second)["user_id"], serde_json::Value::Null, "an event for all is nobody's");
    world.deliver_in(Target::User("ada"), Context { request: Some("r1"), ..Context::default() }, EVENT);
    let frame = world.last(second);
    assert_eq!((&frame["user_id"], &frame["request_id"]), (&"ada".into(), &"r1".into()));
    assert_eq!(frame["sender_id"], "eve");
}

#[test]
fn what_is_refused_makes_no_frame_and_is_counted() {
    let mut world = World::new(Config { awaited_users_max: 0, ..Config::default() });
    let (ada, eve) = (world.connect("ada"), world.connect("eve"));
    let authority = world.router.take_authority().expect("the first time");
    let issued = world.chat(ada, "m1").thread_id;
    let long = format!(r#"{{"x":"{}"}}"#, "z".repeat(256 * 1024));
    let table: [(Target<'_>, &str, DeliveryRefusal); 12] = [
        (Target::User("ada"), "[1]", DeliveryRefusal::NotAnObject),
        (Target::User("ada"), "null", DeliveryRefusal::NotAnObject),
        (Target::User("ada"), &long, DeliveryRefusal::TooLarge),
        (Target::User("ada"), r#"{"user_id":"eve"}"#, DeliveryRefusal::ForeignUser),
        (Target::All(&authority, None), r#"{"target_user_id":"eve"}"#, DeliveryRefusal::ForeignUser),
        (Target::Topic(&authority, "news"), r#"{"user_id":"eve"}"#, DeliveryRefusal::ForeignUser),
        (Target::User("nobody"), "{}", DeliveryRefusal::UnknownUser),
        (Target::User(" "), "{}", DeliveryRefusal::UnknownUser),
        (Target::Connection("ada", eve), "{}", DeliveryRefusal::UnknownConnection),
        (Target::Connection("nobody", eve), "{}", DeliveryRefusal::UnknownUser),
        (Target::Thread("eve", &issued), "{}", DeliveryRefusal::ForeignThread),
        (Target::Thread("ada", ""), "{}", DeliveryRefusal::ForeignThread),
    ];
    let offered = world.router.stats().frames.offered;
    for (n, (target, event, refusal)) in table.into_iter().enumerate() {
        world.deliver(target, event);
        let receipt = world.receipt();
        assert_eq!((receipt.refused, receipt.attempted), (Some(refusal), 0), "{target:?} {event:.40}");
        let stats = world.router.stats();
        assert_eq!((stats.deliveries.refused, stats.events.refused), (n as u64 + 1, n as u64 + 1));
    }
    assert_eq!(world.router.stats().frames.offered, offered);
    assert_eq!(world.router.stats().by_refusal().map(|(_, count)| count).sum::<u64>(), 12);
}

#[test]
fn a_receipt_waits_for_the_sockets_and_says_which_failed() {
    let mut world = World::new(Config::default());
    let (good, bad, slow) = (world.connect("ada"), world.connect("ada"), world.connect("ada"));
    world.stalled = vec![bad, slow];
    world.deliver(Target::User("ada"), EVENT);
    assert!(world.receipts().is_empty() && world.router.stats().deliveries.awaited == 2);
    world.input(Input::Closed { conn: bad });
    assert!(world.receipts().is_empty());
    world.input(Input::Written { conn: slow, frames: 1 });
    let receipt = world.receipt();
    assert_eq!((receipt.attempted, receipt.delivered, receipt.queued), (3, 2, 0));
    assert_eq!(receipt.failed, [(bad, Missed::Closed)]);
    assert!((receipt.success_percent() - 200.0 / 3.0).abs() < 1e-9);
    assert_eq!(world.frames(good).last().expect("a frame")["type"], "note");
}

#[test]
fn who_is_away_gets_it_later_ahead_of_what_is_newer() {
    let mut world = World::new(Config::default());
    world.deliver(Target::User("ada"), r#"{"type":"early"}"#);
    assert_eq!((world.receipt().attempted, world.receipt().delivered, world.receipt().queued), (0, 0, 1));
    let tab = world.connect("ada");
    world.deliver(Target::User("ada"), r#"{"type":"live"}"#);
    assert_eq!(world.types(tab), ["early", "live"]);
    assert_eq!(world.frames(tab)[1]["recovered"], true);
    assert!(world.frames(tab)[1]["cursor"].as_u64() < world.last(tab)["cursor"].as_u64());
    assert_eq!(world.router.stats().events.delivered, 2);
    // All sockets fail: nobody has it, and it is kept.
    world.stalled = vec![tab];
    world.deliver(Target::User("ada"), r#"{"type":"kept"}"#);
    world.input(Input::Closed { conn: tab });
    let receipt = world.receipt();
    assert_eq!((receipt.delivered, receipt.failed.len(), receipt.queued), (0, 1, 1));
    let back = world.connect("ada");
    assert!(world.types(back).contains(&"kept"));
}

#[test]
fn strangers_are_waited_for_in_bounds_and_not_for_ever() {
    let mut world = World::new(Config { awaited_users_max: 1, ..Config::default() });
    world.deliver(Target::User("ada"), "{}");
    world.deliver(Target::User("eve"), "{}");
    assert_eq!(world.receipt().refused, Some(DeliveryRefusal::UnknownUser));
    world.wait(100_000_000);
    world.deliver(Target::User("ada"), "{}");
    world.wait(100_000_000);
    assert_eq!(world.router.stats().events.expired, 0, "the window begins anew with what is put into it");
    world.wait(21_000_000);
    assert_eq!((world.router.stats().events.expired, world.router.stats().connections.users), (2, 0));
    world.deliver(Target::User("eve"), "{}");
    assert_eq!(world.receipt().queued, 1);
    let tab = world.connect("eve");
    assert_eq!(world.frames(tab).len(), 2);
    world.deliver(Target::User("ada"), "{}");
    assert_eq!(world.receipt().queued, 1, "who came is no stranger any more");
}

#[test]
fn a_stream_of_events_keeps_nobody_for_ever() {
    let mut world = World::new(Config::default());
    let authority = world.router.take_authority().expect("the first time");
    for user in ["ada", "eve"] {
        let tab = world.connect(user);
        assert!(world.router.subscribe_user(user, "news"));
        world.input(Input::Closed { conn: tab });
    }
    for _ in 0..4 {
        world.wait(50_000_000);
        world.deliver(Target::Topic(&authority, "news"), EVENT);
    }
    let stats = world.router.stats();
    assert_eq!(
        (stats.connections.users, stats.events.expired),
        (0, 4),
        "two each, until the window was over"
    );
    assert_eq!(world.receipt().queued, 0);
}

#[test]
fn a_slow_reader_misses_what_left_the_window() {
    let config = Config {
        socket_window_frames: 1,
        outbound_frames_max: 1,
        recovery_frames_max: 2,
        ..Config::default()
    };
    let mut world = World::new(config);
    let tab = world.connect("ada");
    world.stalled = vec![tab];
    for _ in 0..3 {
        world.deliver(Target::User("ada"), EVENT); // in flight, queued, left behind
    }
    assert!(world.receipts().is_empty());
    world.deliver(Target::User("ada"), EVENT);
    world.deliver(Target::User("ada"), EVENT);
    let receipt = world.receipt();
    assert_eq!((receipt.failed, receipt.queued), (vec![(tab, Missed::Gapped)], 0));
    world.deliver(Target::Connection("ada", tab), EVENT);
    assert_eq!(world.receipt().failed, [(tab, Missed::Overflow)]);
}

#[test]
fn a_thread_that_is_somebodys_is_neither_for_many_nor_for_a_stranger() {
    let mut world = World::new(Config::default());
    let authority = world.router.take_authority().expect("the first time");
    let tab = world.connect("ada");
    let issued = world.chat(tab, "m1").thread_id;
    let (of_ada, room) = (
        Context { thread: Some(&issued), ..Context::default() },
        Context { thread: Some("room-1"), ..Context::default() },
    );
    let named = format!(r#"{{"thread_id":"{issued}"}}"#);
    let (none, many) = (Context::default(), Target::All(&authority, None));
    let table = [
        (many, of_ada, EVENT, Some(DeliveryRefusal::ForeignThread)),
        (Target::Topic(&authority, "news"), of_ada, EVENT, Some(DeliveryRefusal::ForeignThread)),
        (many, none, &named, Some(DeliveryRefusal::ForeignUser)),
        (Target::Thread("stranger", &issued), none, EVENT, Some(DeliveryRefusal::ForeignThread)),
        (many, room, EVENT, None),
        (Target::Thread("ada", &issued), none, EVENT, None),
        (Target::User("ada"), of_ada, &named, None),
    ];
    for (target, context, event, refused) in table {
        world.deliver_in(target, context, event);
        assert_eq!(world.receipt().refused, refused, "{target:?} {event}");
    }
}

#[test]
fn an_event_may_be_as_long_as_a_frame_less_room_for_what_the_router_adds() {
    let mut world = World::new(Config { outbound_frame_bytes_max: 16 * 1024, ..Config::default() });
    let tab = world.connect("ada");
    let mut refused = 0;
    for padding in (12_100..12_300).rev() {
        world.deliver(Target::User("ada"), &format!(r#"{{"type":"note","p":"{}"}}"#, "x".repeat(padding)));
        let receipt = world.receipt();
        assert_eq!(&*receipt.event_type, "\"note\"", "a refused one is named, too");
        if receipt.refused.is_none() {
            break;
        }
        assert_eq!(receipt.refused, Some(DeliveryRefusal::TooLarge));
        refused += 1;
    }
    assert!(refused > 0);
    let tail = r#","user_id":"ada","cursor":1}"#.len();
    assert_eq!(world.frames(tab).len(), 2, "the first that fits is sent");
    assert_eq!(world.last(tab).to_string().len() - tail, 16 * 1024 - 4 * 1024);
}

#[test]
fn an_event_too_large_for_the_window_is_for_those_who_can_take_it_now() {
    let config = Config {
        recovery_bytes_max: 10,
        socket_window_frames: 1,
        outbound_frames_max: 1,
        ..Config::default()
    };
    let mut world = World::new(config);
    let (quick, slow, leaving) = (world.connect("ada"), world.connect("ada"), world.connect("ada"));
    world.input(Input::Violation { conn: leaving, kind: router::Violation::Protocol });
    world.stalled.push(slow);
    // The first fills the slow one's socket, the second its queue; from the third on it lags.
    for (delivered, failed) in [(0, vec![]), (0, vec![]), (1, vec![(slow, Missed::Gapped)])] {
        world.deliver(Target::User("ada"), EVENT);
        let done: Vec<_> = world
            .receipts()
            .into_iter()
            .map(|receipt| (receipt.attempted, receipt.delivered, receipt.failed))
            .collect();
        let expected = if failed.is_empty() { vec![] } else { vec![(2, delivered, failed)] };
        assert_eq!(done, expected, "the leaving one is not counted on");
    }
    assert_eq!(world.types(quick), ["note"; 3]);
    assert_eq!(world.types(slow), ["note"]);
}

#[test]
fn what_a_client_acknowledged_ahead_of_its_socket_is_delivered_when_the_window_moves_on() {
    let mut world = World::new(Config { recovery_frames_max: 4, ..Config::default() });
    world.by_hand = true;
    world.deliver(Target::User("ada"), EVENT);
    let tab = world.connect("ada");
    world.say(tab, r#"{"type":"resume","payload":{"cursor":1}}"#);
    for _ in 0..5 {
        world.deliver(Target::User("ada"), EVENT); // `verify` recounts after each
    }
    let events = world.router.stats().events;
    assert_eq!((events.delivered, events.gapped, events.waiting), (1, 1, 4));
}

#[test]
fn open_receipts_are_bounded() {
    let mut world = World::new(Config { receipts_max: 2, ..Config::default() });
    let tab = world.connect("ada");
    world.stalled = vec![tab];
    for _ in 0..2 {
        world.deliver(Target::User("ada"), EVENT);
        assert!(world.receipts().is_empty());
    }
    let eve = world.connect("eve");
    world.deliver(Target::User("eve"), EVENT);
    let receipt = world.receipt();
    assert_eq!((receipt.uncounted, receipt.attempted, receipt.refused), (true, 0, None));
    assert_eq!(world.types(eve), ["note"], "what slow readers owe costs nobody else an event");
    world.deliver(Target::User("eve"), "[]");
    assert_eq!(
        (world.receipt().uncounted, world.receipt().refused),
        (false, Some(DeliveryRefusal::NotAnObject))
    );
    let stats = world.router.stats().deliveries;
    assert_eq!((stats.receipts_open, stats.receipts_given, stats.receipts_uncounted), (2, 1, 1));
    world.other.clear();
    world.input(Input::Written { conn: tab, frames: 9 });
    assert_eq!(world.receipts().len(), 2);
}

#[test]
fn a_receipt_does_not_claim_what_its_connection_no_longer_wants() {
    let mut world =
        World::new(Config { socket_window_frames: 1, outbound_frames_max: 1, ..Config::default() });
    let filtered = Connect { thread: Some("t1"), ..Connect::new(Ticket(0), "ada") };
    let tab = world.connect_with(filtered).expect("accepted");
    world.say(tab, r#"{"type":"subscribe","payload":{"topic":"thread:t2"}}"#);
    world.stalled = vec![tab];
    for _ in 0..3 {
        world.deliver(Target::Thread("ada", "t1"), EVENT); // in flight, queued, left behind
    }
    world.say(tab, r#"{"type":"unsubscribe","payload":{"topic":"thread:t1"}}"#);
    let receipt = world.receipt();
    assert_eq!((receipt.delivered, receipt.queued), (0, 1));
    assert_eq!(receipt.failed, [(tab, Missed::Overflow)]);
    world.deliver(Target::Thread("ada", "t2"), EVENT);
    for _ in 0..9 {
        world.input(Input::Written { conn: tab, frames: 1 });
    }
    let delivered: Vec<u32> = world.receipts().iter().map(|receipt| receipt.delivered).collect();
    assert_eq!(delivered, [1, 1, 1]);
    let cursors: Vec<_> = world.frames(tab).iter().filter_map(|frame| frame["cursor"].as_u64()).collect();
    assert_eq!(cursors, [1, 2, 4]);
}

#[test]
fn a_receipt_counts_as_kept_only_what_is_still_kept() {
    let mut world = World::new(Config { recovery_frames_max: 2, ..Config::default() });
    let authority = world.router.take_authority().expect("the first time");
    let (ada, eve) = (world.connect("ada"), world.connect("eve"));
    assert!(world.router.subscribe_user("ada", "news") && world.router.subscribe_user("eve", "news"));
    world.input(Input::Closed { conn: ada });
    world.stalled = vec![eve];
    for (newer, queued) in [(1, 1), (2, 0)] {
        world.deliver(Target::Topic(&authority, "news"), EVENT);
        let event = json(EVENT);
        for _ in 0..newer {
            world.input(Input::Deliver(Deliver::new(Target::User("ada"), &event)));
        }
        world.input(Input::Written { conn: eve, frames: 1 });
        assert_eq!((world.receipt().delivered, world.receipt().queued), (1, queued));
    }
}

#[test]
fn what_is_of_no_run_is_not_found_by_one() {
    let mut world = World::new(Config::default());
    world.deliver(Target::User("ada"), EVENT);
    let cursor = world.router.delivery("ada", EventRef::Cursor(1)).map(|delivery| delivery.cursor);
    let by_run = world.router.delivery("ada", EventRef::InRun { run_id: "run-n0-0", seq: 0 });
    assert_eq!((cursor, by_run), (Some(1), None));
}

#[test]
fn a_name_is_never_taken_over_by_another_user() {
    let mut world = World::new(Config { connections_per_user_max: 1, ..Config::default() });
    let first = world.named("ada", "c1").expect("accepted");
    assert_eq!(world.named("eve", "c1"), None);
    assert_eq!(world.refused.last().expect("a frame")["error_code"], "CONNECTION_NAME_TAKEN");
    assert_eq!(world.named("eve", ""), None);
    assert_eq!(world.refused.last().expect("a frame")["error_code"], "BAD_FIELD");
    let second = world.named("ada", "c1").expect("takes the place of her own");
    assert_eq!(world.closed[&first].reason(), "replaced by a newer connection");
    assert_eq!(world.router.connection_named("c1"), Some(second));
    world.input(Input::Closed { conn: first });
    assert_eq!(world.router.connection_named("c1"), Some(second), "the name is not the old one's to lose");
    world.deliver(Target::Connection("ada", first), EVENT);
    assert_eq!(
        world.receipt().refused,
        Some(DeliveryRefusal::UnknownConnection),
        "a generation that is gone"
    );
    world.input(Input::Unregister { user: None, name: "c" });
    assert_eq!(world.router.connection_named("c1"), Some(second), "only the exact name");
    world.input(Input::Unregister { user: Some("eve"), name: "c1" });
    assert_eq!(world.router.connection_named("c1"), Some(second), "only her own");
    world.input(Input::Unregister { user: Some("ada"), name: "c1" });
    assert_eq!((world.closed[&second].code(), world.router.connection_named("c1")), (1000, None));
    assert!(world.named("eve", "c1").is_some(), "free again");
}

#[test]
fn idle_is_the_full_time_since_the_last_frame_either_way() {
    // No heartbeats: they would keep every connection busy.
    let mut world = World::new(Config { heartbeat_us: u64::MAX / 4, ..Config::default() });
    let (quiet, talks) = (world.connect("ada"), world.connect("ada"));
    world.wait(299_999_999);
    assert_eq!(world.router.connections(world.now, "ada", true).len(), 2);
    world.say(talks, "{}");
    world.wait(1);
    let active = world.router.connections(world.now, "ada", true);
    assert_eq!(active.iter().map(|connection| connection.conn).collect::<Vec<_>>(), [talks]);
    let pool = world.router.pool(world.now);
    assert_eq!((pool.users, pool.connections, pool.active, pool.served), (1, 2, 1, 1));
    assert_eq!(pool.efficiency_percent(), Some(50.0));
    world.other.clear();
    world.input(Input::SweepIdle);
    assert!(matches!(world.other[..], [Effect::Swept { connections: 1 }]));
    assert_eq!(world.closed[&quiet].reason(), "idle");
    world.wait(86_400_000_000);
    assert!(world.router.connections(world.now, "ada", true).is_empty(), "not active again a day later");
}

#[test]
fn a_handle_is_a_view_of_one_user_whatever_the_request() {
    let mut world = World::new(Config::default());
    let (ada, eve) = (world.connect("ada"), world.connect("eve"));
    let event = json(EVENT);
    let first = world.router.for_user("ada", Context { request: Some("r1"), ..Context::default() });
    let second = world.router.for_user("ada", Context { request: Some("r2"), ..Context::default() });
    assert!(first.owns(ada) && second.owns(ada) && !first.owns(eve));
    assert_eq!(first.connections(world.now, false), second.connections(world.now, false));
    let (mine, theirs) =
        (second.deliver_to(ada, None, &event), first.deliver_to(eve, Some(ReceiptId(1)), &event));
    world.input(Input::Deliver(mine));
    assert_eq!(world.last(ada)["request_id"], "r2");
    world.other.clear();
    let eves = world.frames(eve).len();
    world.input(Input::Deliver(theirs));
    assert_eq!(world.receipt().refused, Some(DeliveryRefusal::UnknownConnection));
    assert_eq!(world.frames(eve).len(), eves);
}

#[derive(Clone, Debug)]
enum Op {
    Connect { user: u8, thread: bool, named: bool },
    Close { conn: usize },
    Deliver { kind: u8, user: u8, conn: usize, bad: bool },
    Write { conn: usize, frames: u32 },
    Resume { conn: usize, cursor: u64 },
    Subscribe { user: u8, thread: bool },
    Wait { micros: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (0u8..3, any::<bool>(), any::<bool>()).prop_map(|(user, thread, named)| Op::Connect { user, thread, named }),
        1 => (0usize..12).prop_map(|conn| Op::Close { conn }),
        6 => (0u8..5, 0u8..3, 0usize..12, prop::bool::weighted(0.1))
            .prop_map(|(kind, user, conn, bad)| Op::Deliver { kind, user, conn, bad }),
        4 => (0usize..12, 1u32..5).prop_map(|(conn, frames)| Op::Write { conn, frames }),
        1 => (0usize..12, 0u64..30).prop_map(|(conn, cursor)| Op::Resume { conn, cursor }),
        1 => (0u8..3, any::<bool>()).prop_map(|(user, thread)| Op::Subscribe { user, thread }),
        1 => (0u64..200_000_000).prop_map(|micros| Op::Wait { micros }),
    ]
}

proptest! {
    /// Whatever happens, each receipt comes once; what it says was delivered is what the sockets were handed and
    /// reported as written; and the counters are the sum of all receipts.
    #[test]
    fn receipts_counters_and_sockets_agree(ops in prop::collection::vec(op(), 1..60)) {
        let config = Config {
            socket_window_frames: 3, outbound_frames_max: 2, recovery_frames_max: 4, receipts_max: 6,
            ..Config::default()
        };
        let mut books = Books::new(config);
        for op in ops {
            books.play(op);
        }
        books.settle_up();
    }
}

/// What the sockets say, counted by hand.
struct Books {
    world: World,
    authority: router::Authority,
    conns: Vec<ConnId>,
    asked: u64,
    seen: Vec<Receipt>,
    /// Frames handed to each socket and not yet written, by the number their event carries.
    handed: BTreeMap<ConnId, Vec<Option<u64>>>,
    read: BTreeMap<ConnId, usize>,
    /// Writes reported, by event number and connection.
    written: BTreeMap<u64, std::collections::BTreeSet<ConnId>>,
}

impl Books {
    fn new(config: Config) -> Self {
        let mut world = World::new(config);
        world.by_hand = true;
        let authority = world.router.take_authority().expect("the first time");
        let (handed, read, written) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { world, authority, conns: Vec::new(), asked: 0, seen: Vec::new(), handed, read, written }
    }

    fn conn(&self, at: usize) -> Option<ConnId> {
        self.conns.get(at % self.conns.len().max(1)).copied()
    }

    fn play(&mut self, op: Op) {
        self.world.other.clear();
        match op {
            Op::Connect { user, thread, named } => {
                let (id, name) = (format!("u{user}"), format!("n{user}"));
                let (thread, name) = (thread.then_some("t"), named.then_some(name.as_str()));
                self.conns.extend(self.world.connect_with(Connect {
                    thread,
                    name,
                    ..Connect::new(Ticket(0), &id)
                }));
            }
            Op::Close { conn } => {
                if let Some(conn) = self.conn(conn) {
                    self.conns.retain(|known| *known != conn);
                    self.handed.remove(&conn);
                    self.world.input(Input::Closed { conn });
                }
            }
            Op::Deliver { kind, user, conn, bad } => self.deliver(kind, user, conn, bad),
            Op::Write { conn, frames } => {
                if let Some(conn) = self.conn(conn) {
                    self.write(conn, frames);
                }
            }
            Op::Resume { conn, cursor } => {
                if let Some(conn) = self.conn(conn) {
                    let text = format!(r#"{{"type":"resume","payload":{{"cursor":{cursor}}}}}"#);
                    self.world.say(conn, &text);
                }
            }
            Op::Subscribe { user, thread } => {
                let (user, topic) = (format!("u{user}"), if thread { "a" } else { "b" });
                self.world.router.subscribe_user(&user, topic);
            }
            Op::Wait { micros } => self.world.wait(micros),
        }
        self.look();
    }

    fn deliver(&mut self, kind: u8, user: u8, conn: usize, bad: bool) {
        self.asked += 1;
        let user = format!("u{user}");
        let event = if bad { "[]".to_owned() } else { format!(r#"{{"type":"e","n":{}}}"#, self.asked) };
        let event: Box<RawValue> = json(&event);
        let target = match (kind, self.conn(conn)) {
            (0, Some(conn)) => Target::Connection(&user, conn),
            (1, _) => Target::Thread(&user, "t"),
            (2, _) => Target::Topic(&self.authority, "a"),
            (3, exclude) => Target::All(&self.authority, exclude),
            _ => Target::User(&user),
        };
        let receipt = Some(ReceiptId(self.asked));
        self.world.input(Input::Deliver(Deliver { receipt, ..Deliver::new(target, &event) }));
    }

    fn write(&mut self, conn: ConnId, frames: u32) {
        let handed = self.handed.entry(conn).or_default();
        let count = handed.len().min(frames as usize);
        if count == 0 {
            return;
        }
        for n in handed.drain(..count).flatten() {
            self.written.entry(n).or_default().insert(conn);
        }
        self.world.input(Input::Written { conn, frames: count as u32 });
    }

    /// Takes note of the frames handed to sockets, and of receipts.
    fn look(&mut self) {
        for (conn, frames) in &self.world.received {
            let read = self.read.entry(*conn).or_default();
            for frame in &frames[*read..] {
                self.handed.entry(*conn).or_default().push(frame["n"].as_u64());
            }
            *read = frames.len();
        }
        let receipts = self.world.receipts();
        self.seen.extend(receipts);
        self.world.other.clear();
    }

    fn settle_up(&mut self) {
        for _ in 0..200 {
            for conn in self.conns.clone() {
                self.write(conn, 9);
            }
            self.look();
        }
        for conn in std::mem::take(&mut self.conns) {
            self.world.input(Input::Closed { conn });
            self.look();
        }
        let stats = self.world.router.stats().deliveries;
        assert_eq!((stats.receipts_open, stats.awaited), (0, 0));
        let mut ids: Vec<u64> = self.seen.iter().map(|receipt| receipt.receipt.0).collect();
        ids.sort_unstable();
        assert_eq!(ids, (1..=self.asked).collect::<Vec<_>>(), "each receipt once");
        for receipt in &self.seen {
            assert_eq!(receipt.attempted, receipt.delivered + receipt.failed.len() as u32);
            let written = self.written.get(&receipt.receipt.0).map_or(0, |conns| conns.len());
            // A later replay to somebody else is no part of the receipt, so the sockets may have more.
            assert!(receipt.delivered as usize <= written, "{receipt:?}: {written} written");
            let had = self.written.get(&receipt.receipt.0).cloned().unwrap_or_default();
            assert!(
                receipt.failed.iter().all(|(conn, _)| !had.contains(conn)),
                "{receipt:?} was written: {had:?}"
            );
            assert!(receipt.refused.is_none() || (receipt.attempted, receipt.queued) == (0, 0));
        }
        let sum = |of: fn(&Receipt) -> u64| self.seen.iter().map(of).sum::<u64>();
        assert_eq!(stats.attempted, sum(|receipt| receipt.attempted.into()));
        assert_eq!(stats.delivered, sum(|receipt| receipt.delivered.into()));
        assert_eq!(stats.failed, sum(|receipt| receipt.failed.len() as u64));
        assert_eq!(stats.refused, sum(|receipt| receipt.refused.is_some().into()));
    }
}
