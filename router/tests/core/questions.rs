//! What a host may ask between two inputs.

use router::{AgentEvent, Config, Connect, Context, DeliveryState, EventRef, Input, Ticket, run::Phase};

use crate::harness::{World, json};

#[test]
fn runs_and_events_are_known_by_their_own_names_and_to_their_owner_only() {
    let mut world = World::new(Config::default());
    let (tab, _) = (world.connect("ada"), world.connect("eve"));
    assert_eq!((world.router.last_cursor("ada"), world.router.last_cursor("bob")), (Some(0), None));
    let (first, second) = (world.chat(tab, "m1"), world.chat(tab, "m2"));
    let value = json("{}");
    world.agent(&second, AgentEvent::Started { agent: "a", task: "" });
    world.agent(&second, AgentEvent::ToolExecuting { call: "c", tool: "t", parameters: &value });
    assert_eq!(world.router.run_state(first.run), Some((Phase::Idle, 0, 0)));
    assert_eq!(world.router.run_state(second.run), Some((Phase::Running, 1, 2)));
    assert_eq!(world.router.last_cursor("ada"), Some(2));
    let found = |user: &str, id: &str| world.router.find_run(user, id);
    assert_eq!(found("ada", &first.run_id()), Some(first.run));
    assert_eq!(found("ada", &second.run_id()), Some(second.run));
    assert_eq!(found("eve", &first.run_id()), None);
    assert_eq!(world.router.for_user("ada", Context::default()).user(), "ada");
    for unknown in ["run-n0-99", "run-n0-0", "run-n1-1", "run-n0-", "registry", ""] {
        assert_eq!(found("ada", unknown), None, "{unknown}");
    }
    let state = |event| world.router.delivery("ada", event).map(|event| (event.state, event.cursor));
    let id = second.run_id();
    let in_run = |seq| EventRef::InRun { run_id: &id, seq };
    assert_eq!(state(in_run(2)), Some((DeliveryState::Delivered, 2)));
    assert_eq!(state(EventRef::Cursor(1)), Some((DeliveryState::Delivered, 1)));
    assert_eq!(
        (state(in_run(3)), state(EventRef::Cursor(0)), state(EventRef::Cursor(3))),
        (None, None, None)
    );
    assert_eq!(world.router.delivery("eve", in_run(2)), None);
    world.agent(&second, AgentEvent::Failed { code: "X", message: "" });
    let (listed, state) = (world.router.find_run("ada", &id), world.router.run_state(second.run));
    assert_eq!((listed, state), (None, None));
}

#[test]
fn who_resumes_with_the_newest_cursor_has_everything_delivered_and_nothing_expired() {
    let mut world = World::new(Config::default());
    world.by_hand = true;
    let tab = world.connect("ada");
    let run = world.chat(tab, "m1");
    world.play(&run);
    assert_eq!(world.router.stats().events.waiting, 5);
    let connect = Connect { resume: Some(5), ..Connect::new(Ticket(0), "ada") };
    world.connect_with(connect).expect("accepted");
    world.input(Input::Closed { conn: tab });
    let events = world.router.stats().events;
    assert_eq!((events.expired, events.gapped), (0, 0));
    assert_eq!(world.router.last_cursor("ada"), Some(5), "and it counts on from there");
}

#[test]
fn a_user_id_has_up_to_128_printable_characters() {
    let mut world = World::new(Config::default());
    for good in ["a", &"ü".repeat(128), "a@b/c:d-e_f.g"] {
        assert!(world.connect_with(Connect::new(Ticket(0), good)).is_some(), "{good}");
    }
    for bad in ["", &"a".repeat(129), "a b", "a\tb", "a\u{0}b", "\u{a0}"] {
        assert!(world.connect_with(Connect::new(Ticket(0), bad)).is_none(), "{bad:?}");
    }
}
