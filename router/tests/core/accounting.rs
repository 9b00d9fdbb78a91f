use router::{Config, Deliver, Input, Target};

use crate::harness::{World, json};

#[test]
fn timestamps_that_make_no_sense_are_counted_not_refused() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    for (stamp, replaced) in
        [("1700000000", 0), ("\"2025-09-08T12:00:00Z\"", 0), ("\"2025\"", 1), ("true", 2)]
    {
        world.say(tab, &format!(r#"{{"type":"ping","timestamp":{stamp}}}"#));
        assert_eq!(world.last(tab)["type"], "pong");
        assert_eq!(world.router.stats().inbound.timestamps_replaced, replaced, "{stamp}");
    }
}

#[test]
fn a_broadcast_is_encoded_once_and_needs_the_one_authority() {
    let mut world = World::new(Config::default());
    let tabs: Vec<_> = (0..20).map(|n| world.connect(&format!("user-{n}"))).collect();
    let authority = world.router.take_authority().expect("the first time");
    assert!(world.router.take_authority().is_none());
    let before = world.router.stats().frames.encoded;
    let event = json(r#"{"type":"system_message","data":{"x":1}}"#);
    world.input(Input::Deliver(Deliver::new(Target::All(&authority, None), &event)));
    assert_eq!(world.router.stats().frames.encoded, before + 1);
    assert!(tabs.iter().all(|tab| world.last(*tab)["data"]["x"] == 1));
}

#[test]
fn inputs_for_what_is_gone_change_nothing() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    world.input(Input::Closed { conn: tab });
    let before = world.router.stats().clone();
    for _ in 0..2 {
        world.input(Input::Closed { conn: tab });
        world.say(tab, "{}");
        world.input(Input::Written { conn: tab, frames: 1 });
    }
    let after = world.router.stats();
    assert_eq!(after.connections.stale_inputs - before.connections.stale_inputs, 6);
    assert_eq!(after.inbound, before.inbound);
}

#[test]
fn what_a_client_has_seen_elsewhere_is_delivered_though_its_socket_stalls() {
    let mut world =
        World::new(Config { socket_window_frames: 3, recovery_frames_max: 6, ..Config::default() });
    let tab = world.connect("ada");
    let request = world.chat(tab, "m1");
    world.stalled.push(tab);
    world.play(&request);
    world.say(tab, r#"{"type":"resume","payload":{"cursor":2}}"#);
    let events = world.router.stats().events;
    assert_eq!((events.offered, events.delivered, events.waiting), (5, 2, 3));
    // Newer events push the oldest of the rest out: given up, and not what was seen.
    let request = world.chat(tab, "m2");
    world.play(&request);
    let events = world.router.stats().events;
    assert_eq!((events.offered, events.delivered, events.gapped, events.waiting), (10, 2, 2, 6));
}

#[test]
fn every_frame_that_is_made_is_counted_once() {
    let mut world = World::new(Config { runs_per_user_max: 2, rate_burst: 1_000, ..Config::default() });
    let tab = world.connect("ada");
    assert_eq!(world.router.stats().frames.encoded, 1, "the welcome");
    let chat = r#"{"type":"chat","message_id":"m1","thread_id":"t","payload":{"content":"x"}}"#;
    let too_long = format!(r#"{{"type":"ping","payload":{{"p":"{}"}}}}"#, "x".repeat(8192));
    let said = [
        r#"{"type":"ping"}"#,
        r#"{"type":"heartbeat"}"#,
        r#"{"type":"connect"}"#,
        r#"{"type":"typing"}"#,
        r#"{"type":"agent_status"}"#,
        r#"{"type":"error","payload":{"error_code":"X"}}"#,
        r#"{"type":"what is this"}"#,
        "not JSON",
        &too_long,
        r#"{"type":"ping","user_id":"eve"}"#,
        r#"{"type":"chat","payload":{}}"#,
        chat,
        chat,
        r#"{"type":"chat","message_id":"m2","payload":{"content":"x"}}"#,
        r#"{"type":"chat","message_id":"m3","payload":{"content":"one too many"}}"#,
        r#"{"type":"subscribe","topic":"thread:t"}"#,
        r#"{"type":"unsubscribe","topic":"thread:t"}"#,
        r#"{"type":"subscribe","topic":"quality"}"#,
        r#"{"type":"stop_agent"}"#,
        r#"{"type":"resume","cursor":0}"#,
        r#"{"jsonrpc":"2.0","method":"x","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"type":"subscribe_quality_alerts","payload":{"action":"dance"}}"#,
    ];
    for text in said {
        let before = (world.router.stats().frames.encoded, world.frames(tab).len() as u64);
        world.say(tab, text);
        let after = (world.router.stats().frames.encoded, world.frames(tab).len() as u64);
        assert_eq!(after.0 - before.0, after.1 - before.1, "{text:.60}");
        let silent = text == chat && after.1 == before.1 || text.contains("m2");
        assert!(silent || after.1 > before.1, "{text:.60} is answered");
    }
    let before = world.router.stats().frames.encoded;
    world.input(Input::Binary { conn: tab });
    assert_eq!(world.router.stats().frames.encoded, before + 1);
    let frames = world.router.stats().frames;
    assert_eq!((frames.offered, frames.written), (world.frames(tab).len() as u64, frames.offered));
    let bytes: usize = world.frames(tab).iter().map(|frame| frame["type"].as_str().map_or(0, str::len)).sum();
    assert!(frames.bytes > bytes as u64);
}
