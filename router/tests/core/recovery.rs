use router::{AgentEvent, Config, ConnId, Connect, Deliver, Input, Target, Ticket};

use crate::harness::{FIVE, World, json};

fn resume(world: &mut World, cursor: u64) -> ConnId {
    world.connect_with(Connect { resume: Some(cursor), ..Connect::new(Ticket(0), "ada") }).expect("accepted")
}

#[test]
fn what_was_missed_comes_first_flagged_and_in_order() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    world.input(Input::Closed { conn: tab });
    world.play(&run);
    assert_eq!(world.router.stats().events.waiting, 5);
    let back = world.connect("ada");
    assert_eq!(world.types(back), FIVE);
    assert!(world.frames(back)[1..].iter().all(|frame| frame["recovered"] == true));
    let next = world.chat(back, "m2");
    world.play(&next);
    let cursors: Vec<u64> =
        world.frames(back)[1..].iter().filter_map(|frame| frame["cursor"].as_u64()).collect();
    assert_eq!(cursors, (1..=10).collect::<Vec<_>>());
    assert_eq!(world.router.stats().events.delivered, 10);
}

#[test]
fn a_cursor_resumes_exactly_behind_it() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    world.play(&run);
    world.input(Input::Closed { conn: tab });
    let back = resume(&mut world, 3);
    assert_eq!(world.types(back), FIVE[3..]);
    world.say(back, r#"{"type":"resume","cursor":1}"#);
    assert_eq!(world.types(back)[2..], [&["resumed"], &FIVE[1..]].concat());
}

#[test]
fn one_tabs_confirmation_keeps_what_another_expected_tab_needs() {
    let mut world = World::new(Config::default());
    let (tab1, tab2) = (world.connect("ada"), world.connect("ada"));
    world.input(Input::Closed { conn: tab2 });
    let run = world.chat(tab1, "m1");
    world.play(&run);
    world.say(tab1, r#"{"type":"confirmation","payload":{"cursor":5}}"#);
    let back = resume(&mut world, 0);
    assert_eq!(world.types(back), FIVE);
}

#[test]
fn a_confirmation_by_run_and_seq_frees_the_window() {
    let mut world = World::new(Config { recovery_ttl_us: 1, ..Config::default() });
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    world.play(&run);
    world.say(
        tab,
        &format!(
            r#"{{"type":"confirmation","run_id":"{}","payload":{{"run_id":"{}","seq":5}}}}"#,
            run.run_id(),
            run.run_id()
        ),
    );
    let back = resume(&mut world, 0);
    assert_eq!(world.types(back), ["recovery_gap"]);
}

#[test]
fn overflow_is_announced_as_a_gap() {
    let mut world = World::new(Config { recovery_frames_max: 3, ..Config::default() });
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    world.input(Input::Closed { conn: tab });
    world.play(&run);
    let back = world.connect("ada");
    assert_eq!(world.types(back), ["recovery_gap", "tool_executing", "tool_completed", "agent_completed"]);
    assert_eq!((&world.frames(back)[1]["from"], &world.frames(back)[1]["to"]), (&1.into(), &2.into()));
    assert_eq!(world.router.stats().events.gapped, 2);
}

#[test]
fn nothing_is_left_of_a_user_who_does_not_come_back() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    world.input(Input::Closed { conn: tab });
    world.play(&run);
    world.wait(120_000_000);
    assert_eq!(world.router.stats().events.expired, 5);
    world.wait(600_000_000);
    assert_eq!(world.router.stats().connections.users, 0);
    assert_eq!(world.router.timers_len(), 0);
}

#[test]
fn a_cursor_from_before_a_restart_raises_ours() {
    let mut world = World::new(Config::default());
    let tab = resume(&mut world, 500);
    let run = world.chat(tab, "m1");
    world.play(&run);
    let (gap, first) = (&world.frames(tab)[1], &world.frames(tab)[2]);
    assert_eq!((&gap["type"], &gap["from"], &gap["to"]), (&"recovery_gap".into(), &501.into(), &700.into()));
    assert_eq!((&first["type"], &first["cursor"]), (&"agent_started".into(), &701.into()));
}

/// Each tab of a user comes back to a router without a memory, with a cursor of its own.
#[test]
fn after_a_restart_every_tab_is_told_that_something_is_missing_and_gets_all_that_is_new() {
    for cursors in [[10, 12], [12, 10]] {
        let mut world = World::new(Config::default());
        let first = resume(&mut world, cursors[0]);
        let run = world.chat(first, "m1");
        world.play(&run);
        let second = resume(&mut world, cursors[1]);
        for (tab, cursor) in [(first, cursors[0]), (second, cursors[1])] {
            let frames = world.frames(tab);
            let (gap, events) = (&frames[1], &frames[2..]);
            assert_eq!((&gap["type"], &gap["from"]), (&"recovery_gap".into(), &(cursor + 1).into()));
            let newest: Vec<u64> = events.iter().filter_map(|frame| frame["cursor"].as_u64()).collect();
            let next = gap["to"].as_u64().expect("a cursor") + 1;
            assert_eq!(newest, (next..next + 5).collect::<Vec<_>>(), "{cursors:?}");
        }
    }
}

#[test]
fn a_raised_cursor_is_announced_to_the_tabs_that_are_there() {
    let mut world = World::new(Config::default());
    let (here, run) = {
        let here = world.connect("ada");
        (here, world.chat(here, "m1"))
    };
    let back = resume(&mut world, 500);
    world.play(&run);
    let gap = &world.frames(here)[1];
    assert_eq!((&gap["from"], &gap["to"]), (&1.into(), &700.into()));
    assert_eq!(world.types(here), world.types(back));
    assert_eq!(world.frames(here)[2]["cursor"], 701);
    assert_eq!(world.router.stats().connections.gaps, 2);
}

/// Both tabs come back before the set-up of either is over: each was welcomed below its own cursor, and must be told.
#[test]
fn tabs_that_come_back_together_after_a_restart_are_all_told() {
    for window in [1, 200] {
        let config = Config { ready_after_us: 1_000, recovery_frames_max: window, ..Config::default() };
        let mut world = World::new(config);
        let tabs = [resume(&mut world, 500), resume(&mut world, 501)];
        world.wait(1_000);
        let run = world.chat(tabs[1], "m1");
        world.play(&run);
        for (tab, cursor) in tabs.into_iter().zip([500, 501]) {
            let frames = world.frames(tab);
            let known = frames[0]["data"]["cursor"].as_u64().expect("a cursor");
            let gap = frames.iter().find(|frame| frame["type"] == "recovery_gap");
            assert!(known >= cursor || gap.is_some(), "{window}: welcomed at {known}, and told of no gap");
            let next = gap.map_or(cursor, |gap| gap["to"].as_u64().expect("a cursor")) + 1;
            let events: Vec<u64> = frames.iter().filter_map(|frame| frame["cursor"].as_u64()).collect();
            assert_eq!(events, (next..next + 5).collect::<Vec<_>>(), "{window}");
        }
    }
}

#[test]
fn a_tab_that_resumes_keeps_the_place_of_one_that_is_away() {
    let mut world = World::new(Config::default());
    let (here, away) = (world.connect("ada"), world.connect("ada"));
    world.input(Input::Closed { conn: away });
    let run = world.chat(here, "m1");
    world.play(&run);
    world.say(here, r#"{"type":"resume","cursor":5}"#);
    let back = resume(&mut world, 2);
    assert_eq!(world.types(back), FIVE[2..]);
}

#[test]
fn what_only_a_filtered_tab_skipped_waits_for_somebody_who_wants_it() {
    let mut world = World::new(Config::default());
    let connect = Connect { thread: Some("t1"), ..Connect::new(Ticket(0), "ada") };
    let tab = world.connect_with(connect).expect("accepted");
    for thread in ["t2", "t1"] {
        world.say(tab, &format!(r#"{{"type":"chat","thread_id":"{thread}","payload":{{"content":"x"}}}}"#));
        let run = world.runs.last().cloned().expect("run");
        world.play(&run);
    }
    assert_eq!((world.types(tab).len(), world.router.stats().events.delivered), (5, 0));
    world.input(Input::Closed { conn: tab });
    let back = world.connect("ada");
    assert_eq!(world.types(back), [FIVE, FIVE].concat());
    assert_eq!(world.router.stats().events.delivered, 10);
}

#[test]
fn what_came_during_set_up_is_replayed() {
    let mut world = World::new(Config { ready_after_us: 1000, ..Config::default() });
    let first = world.connect("ada");
    world.wait(1000);
    let run = world.chat(first, "m1");
    let second = world.connect("ada");
    world.play(&run);
    world.wait(1000);
    assert_eq!(world.types(second), FIVE);
}

#[test]
fn a_huge_cursor_leaves_room_to_go_on() {
    let mut world = World::new(Config::default());
    let tab = resume(&mut world, 1 << 53);
    let run = world.chat(tab, "m1");
    world.play(&run);
    let cursor = world.last(tab)["cursor"].as_u64().expect("a cursor");
    world.say(tab, &format!(r#"{{"type":"resume","cursor":{cursor}}}"#));
    assert_eq!(world.last(tab)["type"], "resumed");
}

fn restricted(world: &mut World, thread: &str) -> ConnId {
    world.connect_with(Connect { thread: Some(thread), ..Connect::new(Ticket(0), "ada") }).expect("accepted")
}

fn note(world: &mut World, thread: &str) {
    let event = json(r#"{"type":"note"}"#);
    world.input(Input::Deliver(Deliver::new(Target::Thread("ada", thread), &event)));
}

/// The cursors of the notes that a connection was given.
fn notes(world: &World, conn: ConnId) -> Vec<u64> {
    let notes = world.frames(conn).iter().filter(|frame| frame["type"] == "note");
    notes.filter_map(|frame| frame["cursor"].as_u64()).collect()
}

#[test]
fn a_restricted_tab_does_not_vouch_for_what_it_never_wanted() {
    let mut world = World::new(Config::default());
    let (tab, narrow) = (world.connect("ada"), restricted(&mut world, "t1"));
    world.stalled = vec![tab];
    note(&mut world, "t2"); // only for the tab that does not read
    note(&mut world, "t1");
    assert_eq!(notes(&world, narrow), [2]);
    world.say(narrow, r#"{"type":"confirmation","payload":{"cursor":2}}"#);
    world.input(Input::Closed { conn: tab });
    assert_eq!(world.router.stats().events.delivered, 0);
    let back = world.connect("ada");
    assert_eq!(notes(&world, back), [1, 2]);
    assert_eq!(world.router.stats().events.delivered, 2);
}

#[test]
fn a_confirmation_of_a_restricted_tab_does_not_free_what_a_lost_tab_never_got() {
    let mut world = World::new(Config { recovery_ttl_us: 1_000_000, ..Config::default() });
    let (tab, narrow) = (world.connect("ada"), restricted(&mut world, "t1"));
    world.stalled = vec![tab];
    note(&mut world, "t2");
    note(&mut world, "t1");
    world.input(Input::Closed { conn: tab });
    world.wait(2_000_000); // the lost tab is expected no more
    world.say(narrow, r#"{"type":"confirmation","payload":{"cursor":2}}"#);
    let back = world.connect("ada");
    assert_eq!(notes(&world, back), [1, 2]);
}

#[test]
fn a_run_of_another_thread_reaches_the_next_tab_when_the_first_is_gone() {
    let mut world = World::new(Config::default());
    let (tab, narrow) = (world.connect("ada"), restricted(&mut world, "t1"));
    let runs = ["t2", "t1"].map(|thread| {
        world
            .say(narrow, &format!(r#"{{"type":"chat","thread_id":"{thread}","payload":{{"content":"x"}}}}"#));
        world.runs.last().cloned().expect("a run")
    });
    world.stalled = vec![tab];
    world.play(&runs[0]);
    world.agent(&runs[1], AgentEvent::Started { agent: "a", task: "" });
    world.input(Input::Closed { conn: tab });
    let back = world.connect("ada");
    assert_eq!(world.types(back), [&FIVE[..], &FIVE[..1]].concat());
}

#[test]
fn tabs_of_two_threads_vouch_together() {
    let mut world = World::new(Config::default());
    let (first, second) = (restricted(&mut world, "t1"), restricted(&mut world, "t2"));
    world.stalled = vec![first, second];
    for thread in ["t1", "t2", "t1", "t2"] {
        note(&mut world, thread);
    }
    world.input(Input::Written { conn: second, frames: 2 });
    assert_eq!(world.router.stats().events.delivered, 0);
    world.input(Input::Written { conn: first, frames: 1 });
    assert_eq!(world.router.stats().events.waiting, 3, "the first tab is behind");
    world.input(Input::Written { conn: first, frames: 1 });
    assert_eq!((world.router.stats().events.delivered, world.router.stats().events.waiting), (4, 0));
}

#[test]
fn who_changes_threads_does_not_vouch_for_what_came_before() {
    let changes = [("unsubscribe", "t1", "t3"), ("subscribe", "t2", "t2")];
    for (change, thread, next) in changes {
        let mut world = World::new(Config::default());
        let tab = restricted(&mut world, "t1");
        note(&mut world, "t2");
        world.say(tab, &format!(r#"{{"type":"{change}","payload":{{"topic":"thread:{thread}"}}}}"#));
        note(&mut world, next);
        assert_eq!((notes(&world, tab), world.router.stats().events.delivered), (vec![2], 0), "{change}");
        let back = world.connect("ada");
        assert_eq!(notes(&world, back), [1, 2], "{change}");
        note(&mut world, next);
        assert_eq!(world.router.stats().events.delivered, 3, "{change}: nothing is left behind");
    }
}

#[test]
fn what_nobody_wanted_holds_back_the_rest_only_while_it_is_kept() {
    let mut world = World::new(Config { recovery_frames_max: 2, ..Config::default() });
    let tab = restricted(&mut world, "t1");
    note(&mut world, "t2");
    for _ in 0..4 {
        note(&mut world, "t1");
    }
    assert_eq!(notes(&world, tab), [2, 3, 4, 5]);
    let events = world.router.stats().events;
    assert_eq!((events.gapped, events.delivered, events.waiting), (1, 4, 0));
}

#[test]
fn a_gap_is_announced_once_however_narrow_the_queue() {
    let narrow = Config { recovery_frames_max: 1, socket_window_frames: 1, ..Config::default() };
    let configs = [
        Config { outbound_frames_max: 1, ..narrow.clone() },
        Config { outbound_bytes_max: 2048, socket_window_frames: 2, ..narrow },
    ];
    for config in configs {
        let mut world = World::new(config);
        world.by_hand = true;
        let event = json(&format!(r#"{{"type":"note","x":"{}"}}"#, "y".repeat(4000)));
        for _ in 0..2 {
            world.input(Input::Deliver(Deliver::new(Target::User("ada"), &event)));
        }
        let tab = world.connect("ada");
        for _ in 0..20 {
            world.input(Input::Written { conn: tab, frames: 1 });
        }
        assert_eq!(world.types(tab), ["recovery_gap", "note"]);
        let events = world.router.stats().events;
        assert_eq!((events.gapped, events.delivered, events.waiting), (1, 1, 0));
    }
}
