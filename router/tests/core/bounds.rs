use router::{Config, Connect, Input, Ticket, Violation};

use crate::harness::{FIVE, World};

#[test]
fn a_slow_reader_waits_alone_and_is_closed_at_last() {
    let config = Config { socket_window_frames: 2, outbound_frames_max: 3, ..Config::default() };
    let mut world = World::new(config);
    let (slow, quick) = (world.connect("ada"), world.connect("ada"));
    world.stalled.push(slow);
    for id in ["m1", "m2"] {
        let run = world.chat(quick, id);
        world.play(&run);
    }
    assert_eq!(world.types(quick).len(), 10);
    assert_eq!(world.types(slow).len(), 2, "the socket window");
    world.wait(10_000_000);
    assert_eq!(world.closed[&slow].code(), 1013);
    assert!(!world.closed.contains_key(&quick));
    assert_eq!(world.router.stats().connections.slow, 1);
}

#[test]
fn a_slow_reader_that_wakes_up_catches_up_without_a_hole() {
    let config = Config { socket_window_frames: 2, outbound_frames_max: 3, ..Config::default() };
    let mut world = World::new(config);
    let slow = world.connect("ada");
    world.stalled.push(slow);
    for id in ["m1", "m2"] {
        let run = world.chat(slow, id);
        world.play(&run);
    }
    world.stalled.clear();
    world.input(Input::Written { conn: slow, frames: 2 });
    assert_eq!(world.types(slow), [FIVE, FIVE].concat());
    assert_eq!(world.router.stats().events.delivered, 10);
}

#[test]
fn connections_and_runs_per_user_are_limited() {
    let mut world =
        World::new(Config { connections_per_user_max: 2, runs_per_user_max: 1, ..Config::default() });
    let tab = world.connect("ada");
    world.connect("ada");
    assert!(world.connect_with(Connect::new(Ticket(0), "ada")).is_none());
    assert_eq!(world.refused[0]["error_code"], "CONNECTION_LIMIT");
    world.chat(tab, "m1");
    world.chat(tab, "m2");
    assert_eq!(world.last(tab)["error_code"], "RUN_LIMIT");
    assert_eq!(world.last(tab)["details"]["message_id"], "m2");
}

#[test]
fn too_many_rejects_close_and_slow_ones_do_not() {
    let mut world = World::new(Config::default());
    let (patient, hasty) = (world.connect("ada"), world.connect("eve"));
    for _ in 0..40 {
        world.say(patient, "no");
        world.wait(600_000);
    }
    assert!(world.closed.is_empty());
    for _ in 0..20 {
        world.say(hasty, "no");
    }
    assert_eq!(world.closed[&hasty].code(), 1008);
}

#[test]
fn the_rate_limit_is_per_user() {
    let mut world = World::new(Config { rate_burst: 2, ..Config::default() });
    let (ada, eve) = (world.connect("ada"), world.connect("eve"));
    for _ in 0..3 {
        world.say(ada, r#"{"type":"ping"}"#);
    }
    assert_eq!(world.types(ada), ["pong", "pong", "error_message"]);
    assert_eq!(world.last(ada)["error_code"], "RATE_LIMITED");
    world.say(eve, r#"{"type":"ping"}"#);
    assert_eq!(world.types(eve), ["pong"]);
}

#[test]
fn silence_brings_two_heartbeats_and_then_the_end() {
    let mut world = World::new(Config::default());
    let (silent, alive) = (world.connect("ada"), world.connect("eve"));
    for _ in 0..3 {
        world.wait(25_000_000);
        world.input(Input::Pong { conn: alive });
    }
    assert_eq!(world.types(silent), ["heartbeat", "heartbeat"]);
    assert_eq!(world.closed[&silent].code(), 1001);
    assert!(!world.closed.contains_key(&alive));
    let beats = (world.types(silent).len() + world.types(alive).len()) as u64;
    let stats = world.router.stats();
    assert_eq!((stats.connections.heartbeats, stats.frames.encoded), (beats, beats + 2), "and two welcomes");
}

#[test]
fn an_expired_token_ends_the_connection_after_its_grace() {
    let mut world = World::new(Config::default());
    let expires_at = Some(world.now.after(5_000_000));
    let tab = world.connect_with(Connect { expires_at, ..Connect::new(Ticket(0), "ada") }).expect("accepted");
    world.wait(10_000_000);
    world.input(Input::Pong { conn: tab });
    world.wait(20_000_000);
    world.input(Input::Pong { conn: tab });
    world.wait(20_000_000);
    world.input(Input::Pong { conn: tab });
    assert!(world.closed.is_empty());
    world.wait(15_000_000);
    assert_eq!(world.closed[&tab].code(), 1008);
}

#[test]
fn transport_violations_close_with_their_code() {
    let mut world = World::new(Config::default());
    for (kind, code) in
        [(Violation::TooBig, 1009), (Violation::InvalidUtf8, 1007), (Violation::Protocol, 1002)]
    {
        let tab = world.connect("ada");
        world.input(Input::Violation { conn: tab, kind });
        assert_eq!(world.closed[&tab].code(), code);
        world.input(Input::Closed { conn: tab });
    }
}

#[test]
fn two_thousand_visits_leave_nothing_behind() {
    let mut world = World::new(Config { recovery_ttl_us: 10, dedupe_ids_max: 0, ..Config::default() });
    for n in 0..2_000 {
        let tab = world.connect(&format!("user-{}", n % 50));
        world.say(tab, r#"{"type":"ping"}"#);
        world.input(Input::Closed { conn: tab });
    }
    world.wait(60_000_000);
    assert_eq!(world.router.stats().connections.users, 0);
    assert_eq!(world.router.timers_len(), 0);
}

#[test]
fn a_reader_that_falls_behind_again_and_again_sets_no_more_than_its_timers() {
    let config = Config { socket_window_frames: 1, outbound_frames_max: 1, ..Config::default() };
    let mut world = World::new(config);
    let tab = world.connect("ada");
    world.stalled.push(tab);
    for n in 0..50 {
        let run = world.chat(tab, &format!("m{n}"));
        world.play(&run);
        for _ in 0..10 {
            world.input(Input::Written { conn: tab, frames: 1 });
        }
        world.wait(1_000_000);
    }
    assert!(world.router.timers_len() < 120, "{} timers", world.router.timers_len());
}

#[test]
fn a_cursor_beyond_all_bounds_is_no_cursor() {
    let mut world = World::new(Config::default());
    let connect = Connect { resume: Some(u64::MAX), ..Connect::new(Ticket(0), "ada") };
    let tab = world.connect_with(connect).expect("accepted");
    let run = world.chat(tab, "m1");
    world.play(&run);
    assert_eq!(world.types(tab), FIVE);
}
