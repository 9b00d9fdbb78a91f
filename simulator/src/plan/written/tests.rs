use super::*;
use crate::scenario::rules;
use crate::scenario::{Scenario, embedded};
use crate::world::{Options, World};

/// The scenario with its plan under a seed written out, and nothing else changed.
fn written_out(scenario: &Scenario, seed: u64) -> Scenario {
    let acts = Plan::new(scenario.clone(), seed).acts();
    Scenario { acts, seed, ..scenario.clone() }
}

/// Every embedded scenario, cut to a few users.
fn scenarios(users: u32) -> impl Iterator<Item = (&'static str, Scenario)> {
    embedded().iter().map(move |(name, text)| {
        let mut scenario = Scenario::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
        scenario.users.count = scenario.users.count.min(users);
        (*name, scenario)
    })
}

#[test]
fn a_drawn_plan_that_is_written_out_is_the_same_plan_and_keeps_its_promises() {
    for (name, scenario) in scenarios(20) {
        for seed in 0..30 {
            let drawn = Plan::new(scenario.clone(), seed);
            let again = written_out(&scenario, seed);
            assert_eq!(rules::first_broken(&again).map(|broken| broken.message), None, "{name} {seed}");
            let again = Plan::new(again, seed);
            assert_eq!(drawn.acts(), again.acts(), "{name} {seed}");
            for (one, other) in drawn.users().zip(again.users()) {
                assert_eq!(one, other, "{name} {seed}");
            }
            assert_eq!(drawn.numbers().count(), again.numbers().count());
        }
    }
}

#[test]
fn a_world_of_a_plan_that_is_written_out_is_the_same_world() {
    for (name, scenario) in scenarios(12) {
        for seed in 0..3 {
            let [one, other] = [scenario.clone(), written_out(&scenario, seed)].map(|scenario| {
                World::new(scenario, seed, Options::default()).expect("limits that make sense").run()
            });
            assert_eq!((one.hash, one.inputs), (other.hash, other.inputs), "{name} {seed}");
        }
    }
}

/// What a swarm draws can be written out too, faults and all.
#[test]
fn a_seed_of_the_swarm_that_is_written_out_is_the_same_world() {
    for seed in 0..60 {
        let scenario = crate::swarm::scenario(seed);
        let again = written_out(&scenario, seed);
        let broken = rules::first_broken(&again);
        assert!(broken.is_none(), "{seed}: {broken:?}\n{}", again.to_toml(""));
        let [one, other] = [scenario, again].map(|scenario| {
            World::new(scenario, seed, Options::default()).expect("limits that make sense").run()
        });
        assert_eq!((one.hash, one.inputs), (other.hash, other.inputs), "{seed}");
    }
}

#[test]
fn rows_survive_being_written_as_toml() {
    for (name, scenario) in scenarios(12) {
        let scenario = written_out(&scenario, 5);
        let text = toml::to_string(&scenario).expect("every value has a TOML form");
        assert_eq!(Scenario::parse(name, &text), Ok(scenario));
    }
}

#[test]
fn who_is_not_named_does_not_come_and_the_others_stay_who_they_are() {
    let text = "schema = 1\nname = \"x\"\nabout = \"\"\nseed = 9\nact = [
        { at = \"1s\", user = 7, tab = 1, do = \"connect\" },
        { at = \"0s\", user = 7, do = \"connect\", tier = \"mid\" },
        { at = \"3s\", user = 7, do = \"user_message\", thread = 2, text = \" hello\", run = [
            { at = \"5ms\", do = \"started\" },
            { at = \"50ms\", do = \"tool\", name = \"search\", for = \"2s\", fails = true },
            { at = \"3s\", do = \"answer\", bytes = \"99B\" },
        ] },
        { at = \"4200ms\", user = 7, tab = 1, do = \"disconnect\", for = \"1s\" },
    ]";
    let scenario = Scenario::parse("x", text).unwrap_or_else(|error| panic!("{error}"));
    let (plan, drawn) = (Plan::new(scenario, 9), Plan::new(Scenario::default(), 9));
    assert_eq!(plan.numbers().collect::<Vec<_>>(), [7]);
    let user = plan.user(7);
    assert_eq!((user.id, user.canary), (drawn.user_id(7), drawn.canary(7)));
    assert_eq!((user.tabs, user.tier, user.connect_at_us), (2, crate::scenario::Tier::Mid, 0));
    let expected = user.actions.iter().find_map(|action| {
        let crate::plan::ActionKind::Say(say) = &action.kind else { return None };
        assert_eq!(
            say.thread,
            plan.thread_id(7).replace("-0-", "-2-").split_at(16).0.to_owned() + &say.thread[16..]
        );
        Some((say.expected.terminal, say.expected.tools, say.expected.tool_errors))
    });
    assert_eq!(expected, Some((crate::script::Terminal::Completed, 1, 1)));
    assert!(plan.all_read());
    let result = World::new(plan.scenario().clone(), 9, Options::default()).expect("limits").run();
    assert_eq!(result.checkers.ledger().findings(), []);
    assert_eq!((result.users_left, result.checkers.ledger().counts.golden), (1, 1));
}

/// Rows; the line of the error among them; what the text says there; its key; and a part of its message or help.
const MISTAKES: &[(&str, usize, &str, &str, &str)] = &[
    (r#"{ at = "0s", user = 2000, do = "connect" }"#, 1, "2000", "act.user", "no user 2000"),
    (r#"{ at = "0s", user = 0, do = "conect" }"#, 1, "\"conect", "act.do", "did you mean `connect`?"),
    (r#"{ at = "0s", user = 0, do = "connect", thread = 1 }"#, 1, "1 }", "act.thread", "means nothing"),
    (
        r#"{ at = "0s", user = 0, do = "connect", thred = 1 }"#,
        1,
        "thred",
        "act.thred",
        "did you mean `thread`?",
    ),
    (r#"{ at = "0s", user = 0, do = "stall" }"#, 1, "{ at", "act.for", "`stall` without `for`"),
    (r#"{ at = "0s", user = 0, do = "ping" }"#, 1, "{ at", "act.tab", "tab 0 never connects"),
    ("CONNECT\nCONNECT", 2, "{ at", "act.tab", "tab 0 connects twice"),
    (
        r#"CONNECT
{ at = "1s", user = 0, do = "ping" }
{ at = "2s", user = 0, tab = 1, do = "connect" }"#,
        3,
        "\"connect",
        "act.do",
        "a tab connects late",
    ),
    (r#"{ at = "0s", user = 0, tab = 1, do = "connect" }"#, 1, "1, do", "act.tab", "without a gap"),
    (
        r#"CONNECT
{ at = "1s", user = 0, do = "unknown", type = "ping" }"#,
        2,
        "\"ping",
        "act.type",
        "one of telemetry_sample",
    ),
    (
        r#"CONNECT
{ at = "1s", user = 0, do = "foreign", names = 0 }"#,
        2,
        "0 }",
        "act.names",
        "another user",
    ),
    (
        r#"CONNECT
{ at = "1s", user = 0, do = "chat", message = "a b" }"#,
        2,
        "\"a b",
        "act.message",
        "is no id",
    ),
    (
        r#"CONNECT
{ at = "1s", user = 0, do = "stop", message = "m0000" }"#,
        2,
        "\"m0000",
        "act.message",
        "no such message",
    ),
    (
        r#"CONNECT
{ at = "1s", user = 0, do = "chat", run = [] }"#,
        2,
        "[]",
        "act.run",
        "a run without a step",
    ),
    (
        r#"CONNECT
RUN({ at = "1s", do = "answer" })"#,
        2,
        "\"answer",
        "act.run.do",
        "the first step is `started`",
    ),
    (
        r#"CONNECT
RUN({ at = "1s", do = "started" })"#,
        2,
        "\"started",
        "act.run.do",
        "the last step is",
    ),
    (
        r#"CONNECT
RUN({ at = "1s", do = "started" }, { at = "2s", do = "tool", name = "a" }, { at = "3s", do = "answer" })"#,
        2,
        "{ at = \"2s",
        "act.run.for",
        "never ends",
    ),
    (
        r#"CONNECT
RUN({ at = "2s", do = "started" }, { at = "1s", do = "answer" })"#,
        2,
        "\"1s\", do = \"answer",
        "act.run.at",
        "in order of time",
    ),
    (
        r#"CONNECT
RUN({ at = "0s", do = "started" }, { at = "2s", do = "answer" })
{ at = "3s", user = 0, do = "stop", message = "m0000" }"#,
        3,
        "\"3s",
        "act.at",
        "no quiet moment",
    ),
    (
        r#"CONNECT
LOST
{ at = "2001ms", user = 0, do = "ping" }"#,
        3,
        "\"2001ms",
        "act.at",
        "loses its connection",
    ),
    (
        r#"CONNECT
LOST
{ at = "2001ms", user = 0, do = "stall", for = "1s" }"#,
        3,
        "\"2001ms",
        "act.at",
        "away or does not read",
    ),
    (
        r#"CONNECT
{ at = "1s", user = 0, do = "disconnect", for = "3m" }"#,
        2,
        "\"3m",
        "act.for",
        "recovery window",
    ),
    (
        r#"CONNECT
{ at = "10ms", user = 0, do = "disconnect", for = "1s" }"#,
        2,
        "\"10ms",
        "act.at",
        "not all tabs are set up",
    ),
];

#[test]
fn mistakes_in_rows_are_placed() {
    let connect = r#"{ at = "0s", user = 0, do = "connect" }"#;
    let lost = r#"{ at = "2s", user = 0, do = "disconnect", for = "1s" }"#;
    let mut wrong = Vec::new();
    for &(rows, line, there, key, words) in MISTAKES {
        let rows = rows
            .replace("CONNECT", connect)
            .replace("LOST", lost)
            .replace("RUN(", r#"{ at = "1s", user = 0, do = "chat", run = ["#)
            .replace("})", "}] }");
        let rows: Vec<String> = rows.lines().map(|row| format!("{row},")).collect();
        let text = format!("schema = 1\nname = \"x\"\nabout = \"\"\nact = [\n{}\n]\n", rows.join("\n"));
        let error = Scenario::parse("x", &text).expect_err(&text);
        let place = text.lines().nth(error.line - 1).unwrap_or_default();
        let fits = error.line - 4 == line
            && place[error.column - 1..].starts_with(there)
            && error.key == key
            && format!("{} {}", error.message, error.help).contains(words);
        if !fits {
            wrong.push(format!("{rows:#?}\nexpected line {line}, {there}, {key}, {words}\n{error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn more_than_the_limits_allow_is_refused() {
    let mut scenario = Scenario { acts: vec![Act::new(0, 0, 0, Deed::Connect)], ..Scenario::default() };
    scenario.acts.extend((0..100).map(|number| Act::new(1_000_000 + number, 0, 0, Deed::Ping)));
    let broken = rules::first_broken(&scenario).expect("too many");
    assert_eq!(broken.message, "too many messages at once");
    scenario.acts.truncate(40);
    assert_eq!(rules::first_broken(&scenario).map(|broken| broken.message), None);
    for act in &mut scenario.acts[1..] {
        (act.deed, act.frame) = (Deed::BadFrame, Some(crate::scenario::BadFrame::Array));
    }
    assert_eq!(rules::first_broken(&scenario).expect("too many").message, "too many bad frames at once");
}
