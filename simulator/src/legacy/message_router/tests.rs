//! Each switch on and off, on the router alone.

use super::*;
use crate::legacy::python::{Dict, json};

/// One open socket per connection; sends may fail.
#[derive(Debug, Default)]
struct Desk {
    /// Connections and their users.
    conns: Vec<(Conn, &'static str)>,
    closed: bool,
    /// What a socket shows in place of being open or closed.
    look: Option<Look>,
    /// How the next sends end.
    faults: Vec<SendFault>,
    sent: Vec<(Conn, Value)>,
}

impl Desk {
    fn new() -> Self {
        Self { conns: vec![(1, "ann"), (2, "ann"), (3, "bob")], ..Self::default() }
    }

    fn texts(&self) -> Vec<String> {
        self.sent.iter().map(|(_, frame)| json::dumps(frame)).collect()
    }
}

impl Sockets for Desk {
    fn look(&self, _conn: Conn) -> Option<Look> {
        let state = if self.closed { State::Disconnected } else { State::Connected };
        Some(self.look.unwrap_or(Look::of(state)))
    }

    fn send(&mut self, conn: Conn, _now_us: u64, frame: Frame) -> Result<(), SendFault> {
        let fault = self.faults.pop();
        if fault.as_ref().is_none_or(|fault| fault.handed_on) {
            self.sent.push((conn, json::loads(&frame.text()).unwrap_or_default()));
        }
        fault.map_or(Ok(()), Err)
    }

    fn of_user(&self, user: &Value) -> Vec<Conn> {
        let mine = self.conns.iter().filter(|(_, name)| user.as_str() == Some(name));
        mine.map(|(conn, _)| *conn).collect()
    }
}

fn repaired(hazard: Hazard) -> Hazards {
    Hazards::ALL.without(hazard)
}

/// Routes a frame of ann's first connection to its end.
fn say(router: &mut MessageRouter, desk: &mut Desk, text: &str) -> (Ended, Routed) {
    say_as(router, desk, (1, "ann"), text)
}

fn say_as(
    router: &mut MessageRouter,
    desk: &mut Desk,
    (conn, user): (Conn, &str),
    text: &str,
) -> (Ended, Routed) {
    let mut raw = json::loads(text).unwrap_or_default();
    let routed = router.route(0, desk, conn, &user.into(), &mut raw);
    let ended = match &routed.progress {
        Progress::Ended(ended) => ended.clone(),
        Progress::Waits(task) => {
            let mut ended = None;
            while let Some(at) = router.next_wake().filter(|_| ended.is_none()) {
                for (id, _, finished) in router.wake(at, desk) {
                    if let (true, Finished::Message(message)) = (id == *task, finished) {
                        ended = Some(message);
                    }
                }
            }
            ended.expect("a task ends")
        }
    };
    (ended, routed)
}

/// What the one frame of ann's first connection led to.
fn after(hazards: Hazards, text: &str) -> (Ended, Desk, MessageRouter) {
    let (mut router, mut desk) = (MessageRouter::new(hazards, 0), Desk::new());
    let (ended, _) = say(&mut router, &mut desk, text);
    (ended, desk, router)
}

/// Whether a frame was sent that holds a text.
fn heard(hazards: Hazards, text: &str, answer: &str) -> bool {
    after(hazards, text).1.texts().iter().any(|frame| frame.contains(answer))
}

/// For each switch a frame, and a text that only stands in an answer once the switch is off, or only while it is on.
#[test]
fn a_client_sees_what_each_switch_repairs() {
    use Hazard::{H1, H2, H8, H9, H12, H13, H14, H22, H23};
    let long = format!("{{\"type\":\"{}\"}}", "x".repeat(65));
    let tail = "x".repeat(65);
    let shown_when_off: [(Hazard, &str, &str); 9] = [
        (H1, r#"{"type":"ping"}"#, "\"pong\""),
        (H2, r#"{"type":"agent","payload":{"message":"m"}}"#, "Agent response for: m"),
        (H8, r#"{"type":"user","payload":null}"#, "BAD_PAYLOAD"),
        (H8, r#"{"type":"user","thread_id":5,"payload":{}}"#, "BAD_FIELD"),
        (H9, r#"{"type":"user","payload":{}}"#, "AGENT_UNAVAILABLE"),
        (H12, r#"{"type":NaN}"#, r#""received_type":"NaN""#),
        (H13, r#"{"type":null}"#, r#""received_type":"unknown""#),
        (H14, r#"{"type":"typing"}"#, r#""type":"user_typing""#),
        (H23, r#"{"jsonrpc":"2.0","method":"m","id":1}"#, r#""result""#),
    ];
    for (hazard, text, answer) in shown_when_off {
        assert!(!heard(Hazards::ALL, text, answer), "{hazard} on: {text}");
        assert!(heard(repaired(hazard), text, answer), "{hazard} off: {text}");
    }
    let shown_when_on: [(Hazard, &str, &str); 4] = [
        (H2, r#"{"type":"agent","payload":{"message":"m"}}"#, "user_request"),
        (H12, r#"{"type":NaN}"#, r#""received_type":NaN"#),
        (H13, &long, &tail),
        (H14, r#"{"type":"typing"}"#, "MessageType."),
    ];
    for (hazard, text, answer) in shown_when_on {
        assert!(heard(Hazards::ALL, text, answer), "{hazard} on: {text}");
        assert!(!heard(repaired(hazard), text, answer), "{hazard} off: {text}");
    }
    for foreign in [
        r#"{"type":"user","user_id":"bob","payload":{}}"#,
        r#"{"type":"user","payload":{"list":[{"target_user_id":"bob"}]}}"#,
    ] {
        assert_eq!(after(Hazards::ALL, foreign).0.outcome, Outcome::Unhandled, "H22 on: {foreign}");
        let off = repaired(H22).without(H8);
        assert_eq!(after(off, foreign).0.outcome, Outcome::Rejected, "H22 off: {foreign}");
        assert!(heard(off, foreign, "FOREIGN_USER_ID"), "{foreign}");
    }
}

#[test]
fn h3_gives_a_message_to_another_users_bridge() {
    let owner = |hazards| {
        let (mut router, mut desk) = (MessageRouter::new(hazards, 0), Desk::new());
        router.register_bridge(1, "ann");
        router.register_bridge(3, "bob");
        let text = r#"{"type":"message","payload":{"content":"secret of bob"}}"#;
        let (_, routed) = say_as(&mut router, &mut desk, (3, "bob"), text);
        (routed.owner.expect("a bridge took it").user, routed.ask)
    };
    assert_eq!(owner(Hazards::ALL).0, "ann");
    // With the bridge at work the other user's agent is asked.
    let (_, ask) = owner(repaired(Hazard::H5));
    assert_eq!(ask.map(|ask| (ask.user, ask.text)), Some(("ann".to_owned(), "secret of bob".to_owned())));
    assert_eq!(owner(repaired(Hazard::H3)).0, "bob");
}

#[test]
fn h4_keeps_the_handlers_of_connections_that_are_gone() {
    let left = |hazards| {
        let mut router = MessageRouter::new(hazards, 0);
        for conn in 0..20 {
            router.register_bridge(conn, "ann");
            router.connection_closed(conn);
        }
        router.handlers().count()
    };
    assert_eq!(left(Hazards::ALL), 29);
    assert_eq!(left(repaired(Hazard::H4)), 9);
}

#[test]
fn h5_and_h6_leave_an_agent_unasked() {
    let asks = |hazard: Hazard, hazards| {
        let (mut router, mut desk) = (MessageRouter::new(hazards, 0), Desk::new());
        if hazard == Hazard::H5 {
            router.register_bridge(1, "ann");
        } else {
            router.add_handler(Box::new(AgentMessage::new(hazards)));
        }
        say(&mut router, &mut desk, r#"{"type":"message","payload":{"text":"hi"}}"#).1.ask.is_some()
    };
    for hazard in [Hazard::H5, Hazard::H6] {
        assert!(!asks(hazard, Hazards::ALL), "{hazard} on");
        assert!(asks(hazard, repaired(hazard)), "{hazard} off");
    }
}

#[test]
fn h9_calls_a_lost_message_a_success() {
    let text = r#"{"type":"user","payload":{}}"#;
    assert_eq!(after(Hazards::ALL, text).0.returned, true.into());
    assert_eq!(after(repaired(Hazard::H9), text).0.returned, false.into());
}

#[test]
fn h10_counts_a_batch_that_nobody_gets() {
    let sent = |hazards| {
        let hazards = Hazards::without(hazards, Hazard::H1);
        let (_, mut desk, mut router) = after(hazards, r#"{"type":"broadcast","payload":{"n":1}}"#);
        router.flush(0, &mut desk);
        let figures = router.figures(BuiltIn::Batch).unwrap_or_default();
        let batched = figures.get("messages_batched").cloned();
        (batched, desk.sent.iter().map(|(conn, _)| *conn).collect::<Vec<_>>())
    };
    assert_eq!(sent(Hazards::ALL), (Some(Value::Int(1)), vec![]));
    assert_eq!(sent(repaired(Hazard::H10)), (Some(Value::Int(1)), vec![2]), "the same user's other one");
}

#[test]
fn h11_keeps_a_queue_and_an_error_kind_for_ever() {
    let entries = |hazards: Hazards| {
        let (mut router, mut desk) = (MessageRouter::new(hazards.without(Hazard::H1), 0), Desk::new());
        for n in 0..200 {
            let text = format!(r#"{{"type":"error_message","payload":{{"error_code":"E{n}"}}}}"#);
            say(&mut router, &mut desk, &text);
        }
        say(&mut router, &mut desk, r#"{"type":"broadcast","payload":{"priority":100}}"#);
        router.entries()
    };
    assert_eq!(entries(Hazards::ALL), 201);
    assert_eq!(entries(repaired(Hazard::H11)), 65);
}

#[test]
fn h15_marks_the_callers_own_message() {
    let marked = |hazards| {
        let (mut router, mut desk) = (MessageRouter::new(hazards, 0), Desk::new());
        let mut raw = json::loads(r#"{"type":"ping"}"#).unwrap_or_default();
        let before = raw.clone();
        router.route(0, &mut desk, 1, &"ann".into(), &mut raw);
        raw != before
    };
    assert!(marked(Hazards::ALL));
    assert!(!marked(repaired(Hazard::H15)));
}

#[test]
fn h16_calls_a_reply_that_nobody_gets_a_success() {
    for text in [r#"{"type":"typing"}"#, r#"{"type":"agent_status"}"#, r#"{"type":"error_message"}"#] {
        let returned = |hazards| {
            let (mut router, mut desk) = (MessageRouter::new(hazards, 0), Desk::new());
            desk.closed = true;
            say(&mut router, &mut desk, text).0.returned
        };
        assert_eq!(returned(Hazards::ALL), true.into(), "{text}");
        assert_eq!(returned(repaired(Hazard::H16)), false.into(), "{text}");
    }
}

#[test]
fn h17_sends_to_a_socket_that_one_side_has_closed() {
    let sent = |hazards| {
        let (mut router, mut desk) = (MessageRouter::new(hazards, 0), Desk::new());
        desk.look = Some(Look { application: Some(State::Disconnected), ..Look::of(State::Connected) });
        say(&mut router, &mut desk, r#"{"type":"typing"}"#);
        desk.sent.len()
    };
    assert_eq!(sent(Hazards::ALL), 1);
    assert_eq!(sent(repaired(Hazard::H17)), 0);
}

#[test]
fn h19_sends_a_reply_twice() {
    let sent = |hazards| {
        let (mut router, mut desk) = (MessageRouter::new(hazards, 0), Desk::new());
        desk.faults.push(SendFault { handed_on: true, ..Raised::new("ConnectionError", "reset").into() });
        let (ended, _) = say(&mut router, &mut desk, r#"{"type":"connected"}"#);
        (ended.returned, desk.sent.len())
    };
    assert_eq!(sent(Hazards::ALL), (true.into(), 2));
    assert_eq!(sent(repaired(Hazard::H19)), (true.into(), 1));
}

/// A handler of a name, which does nothing.
struct Named(&'static str, i64);

impl Handler for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn can_handle(&mut self, _kind: MessageType) -> Result<Value, Raised> {
        Err(Raised::value("cannot say"))
    }

    fn handle(&mut self, _user: &Value, _message: &Message) -> Reaction {
        Reaction::returned(true)
    }

    fn figures(&self) -> Option<Value> {
        Some(self.1.into())
    }
}

#[test]
fn h24_merges_handlers_by_name_and_changes_a_snapshot() {
    let seen = |hazards| {
        let (mut router, mut desk) = (MessageRouter::new(hazards, 0), Desk::new());
        router.add_handler(Box::new(Named("Same", 1)));
        router.add_handler(Box::new(Named("Same", 2)));
        let snapshot = router.snapshot();
        say(&mut router, &mut desk, r#"{"type":"user","payload":{}}"#);
        let statistics = router.statistics(0);
        let handlers = statistics.get("handler_stats").and_then(Value::as_dict).map(Dict::len);
        (handlers, snapshot.types(router.counters()).len())
    };
    assert_eq!(seen(Hazards::ALL), (Some(10), 1));
    assert_eq!(seen(repaired(Hazard::H24)), (Some(11), 0));
}

#[test]
fn h25_shows_one_user_the_figures_of_another() {
    let routed = |hazards| {
        let (_, _, router) = after(hazards, r#"{"type":"user","payload":{}}"#);
        router.counters_of("bob").routed
    };
    assert_eq!(routed(Hazards::ALL), 1);
    assert_eq!(routed(repaired(Hazard::H25)), 0);
}

#[test]
fn h25_and_h26_say_ready_for_no_good_reason() {
    let status = |hazards, now_us, step_us| {
        let mut router = MessageRouter::new(hazards, 0);
        router.clock_stepped(step_us);
        if step_us == 0 {
            assert!(router.remove_built_in(BuiltIn::Heartbeat).is_ok());
        }
        router.readiness(now_us).get("status").map(crate::legacy::python::text::str)
    };
    let (early, late, hour) = (1_000_000, 11_000_000, 3_600_000_000);
    assert_eq!(status(Hazards::ALL, early, hour).as_deref(), Some("ready"));
    assert_eq!(status(repaired(Hazard::H25), early, hour).as_deref(), Some("initializing"));
    assert_eq!(status(Hazards::ALL, late, 0).as_deref(), Some("ready"), "nobody answers pings");
    assert_eq!(status(repaired(Hazard::H26), late, 0).as_deref(), Some("error"));
}

#[test]
fn h27_lets_anybody_remove_a_built_in_handler() {
    let left = |hazards| {
        let mut router = MessageRouter::new(hazards, 0);
        let refused = router.remove_built_in(BuiltIn::Heartbeat).is_err();
        (refused, router.find_handler(MessageType::Ping))
    };
    assert_eq!(left(Hazards::ALL), (false, None));
    assert_eq!(left(repaired(Hazard::H27)), (true, Some(Found::BuiltIn(BuiltIn::Heartbeat))));
}

#[test]
fn h30_sends_to_a_test_double() {
    let sent = |hazards: Hazards| {
        let (mut router, mut desk) = (MessageRouter::new(hazards.without(Hazard::H1), 0), Desk::new());
        desk.look = Some(Look { double: true, ..Look::of(State::Disconnected) });
        say(&mut router, &mut desk, r#"{"type":"ping"}"#);
        desk.sent.len()
    };
    assert_eq!(sent(Hazards::ALL), 1);
    assert_eq!(sent(repaired(Hazard::H30)), 0);
}

#[test]
fn once_repaired_every_message_has_one_outcome_and_its_sender_hears_of_it() {
    let frames = [
        r#"{"type":"ping"}"#,
        r#"{"type":"nope"}"#,
        r#"{"type":"user","payload":[]}"#,
        r#"{"type":"user","payload":{}}"#,
        r#"{"type":["ping"]}"#,
        r#"{"type":"agent","payload":{"message":"m"}}"#,
        r#"{"type":"typing"}"#,
        "[]",
    ];
    for frame in frames {
        let (ended, desk, router) = after(Hazards::NONE, frame);
        let counters = router.counters();
        assert_eq!(counters.routed + counters.rejected, 1, "{frame}");
        assert!(!desk.sent.is_empty(), "{frame}: {:?}", ended.outcome);
        assert!(desk.texts().iter().all(|text| !text.contains("MessageType.")), "{frame}");
    }
}
