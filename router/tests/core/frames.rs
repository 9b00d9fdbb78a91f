use router::{Config, Input};

use crate::harness::World;

#[test]
fn every_bad_frame_is_answered_and_the_next_good_one_served() {
    let nested = |n: usize| format!("{{\"a\":{}1{}}}", "[".repeat(n - 1), "]".repeat(n - 1));
    let sized =
        |n: usize| format!("{{\"type\":\"x\",\"p\":\"{}\"}}", "ä".repeat((n - 19) / 2 + 1))[..].to_owned();
    let table: Vec<(String, &str)> = vec![
        ("nonsense".into(), "JSON_PARSE_ERROR"),
        (String::new(), "JSON_PARSE_ERROR"),
        ("[]".into(), "NOT_AN_OBJECT"),
        (format!("{{\"a\":{}}}", "7".repeat(5000)), "BAD_NUMBER"),
        (nested(65), "TOO_DEEP"),
        (nested(10_000), "TOO_LARGE"),
        (sized(8193), "TOO_LARGE"),
        (r#"{"type":"chat","payload":[]}"#.into(), "BAD_PAYLOAD"),
        (r#"{"type":"chat","payload":{"content":""}}"#.into(), "EMPTY_MESSAGE"),
        (r#"{"type":"chat","thread_id":7,"payload":{}}"#.into(), "BAD_FIELD"),
        (r#"{"type":"resume","cursor":-1}"#.into(), "BAD_FIELD"),
        (r#"{"type":"chat","payload":{"a":{"user_id":"eve"}}}"#.into(), "FOREIGN_USER_ID"),
    ];
    let mut world = World::new(Config { rejects_max: 0, ..Config::default() });
    let (tab, other) = (world.connect("ada"), world.connect("ada"));
    for (text, code) in table {
        world.say(tab, &text);
        assert_eq!(world.last(tab)["error_code"], code, "{}", &text[..text.len().min(60)]);
        world.say(tab, r#"{"type":"ping"}"#);
        assert_eq!(world.last(tab)["type"], "pong");
        world.wait(1_000_000);
    }
    world.input(Input::Binary { conn: tab });
    assert_eq!(world.last(tab)["error_code"], "BINARY_REFUSED");
    assert!(world.types(other).is_empty());
}

#[test]
fn unknown_types_are_acknowledged_with_a_bounded_echo() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    for (text, echo) in [
        (r#"{"type":"nobody"}"#.to_owned(), "nobody".to_owned()),
        ("{}".to_owned(), "unknown".to_owned()),
        (r#"{"type":null}"#.to_owned(), "unknown".to_owned()),
        (r#"{"type":7}"#.to_owned(), "7".to_owned()),
        (r#"{"type":true}"#.to_owned(), "true".to_owned()),
        (format!(r#"{{"type":"{}"}}"#, "x".repeat(500)), "x".repeat(64)),
    ] {
        world.say(tab, &text);
        assert_eq!(world.last(tab)["received_type"], echo.as_str());
        assert_eq!(world.last(tab)["status"], "acknowledged");
    }
    assert_eq!(world.router.stats().inbound.unhandled, 6);
}

#[test]
fn control_messages_have_their_replies() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    for (kind, reply, status) in [
        ("ping", "pong", None),
        ("heartbeat", "heartbeat_ack", Some("healthy")),
        ("legacy_heartbeat", "heartbeat_ack", Some("healthy")),
        ("connect", "system_message", Some("connected")),
        ("disconnect", "system_message", Some("disconnect_acknowledged")),
        ("typing", "system_message", Some("typing_acknowledged")),
        ("agent_status", "system_message", Some("agent_message_acknowledged")),
    ] {
        world.say(tab, &format!(r#"{{"type":"{kind}","payload":{{}}}}"#));
        assert_eq!(world.last(tab)["type"], reply, "{kind}");
        if let Some(status) = status {
            assert_eq!(world.last(tab)["data"]["status"], status, "{kind}");
        }
    }
    assert_eq!(world.frames(tab)[6]["data"]["type"], "user_typing");
}

#[test]
fn a_foreign_thread_of_ours_is_refused() {
    let mut world = World::new(Config::default());
    let (ada, eve) = (world.connect("ada"), world.connect("eve"));
    let thread = world.chat(ada, "m1").thread_id;
    world.say(eve, &format!(r#"{{"type":"chat","thread_id":"{thread}","payload":{{"content":"mine?"}}}}"#));
    assert_eq!(world.last(eve)["error_code"], "FOREIGN_THREAD");
    assert_eq!(world.runs.len(), 1);
}

#[test]
fn a_thread_has_a_name_of_so_many_bytes_and_no_more() {
    let mut world = World::new(Config::default());
    let tab = world.connect("ada");
    let chat = |bytes: usize| {
        let thread = "t".repeat(bytes);
        format!(r#"{{"type":"chat","thread_id":"{thread}","payload":{{"content":"x"}}}}"#)
    };
    for (bytes, runs) in [(256, 1), (257, 1), (500, 1)] {
        world.say(tab, &chat(bytes));
        assert_eq!(world.runs.len(), runs, "{bytes}");
    }
    assert_eq!(world.last(tab)["error_code"], "BAD_FIELD");
}
