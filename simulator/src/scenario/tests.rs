use super::*;

const HEAD: &str = "schema = 1\nname = \"x\"\nabout = \"y\"\n";

fn parse(rest: &str) -> Result<Scenario, ScenarioError> {
    Scenario::parse("scenarios/x.toml", &format!("{HEAD}{rest}"))
}

/// The plan promises what the router allows, so both must mean the same limits.
#[test]
fn the_defaults_are_those_of_the_router() {
    use router_defaults as ours;
    let router = router::Config::default();
    assert_eq!(router.agent_deadline_us, ours::AGENT_DEADLINE_US);
    assert_eq!(router.connections_per_user_max, ours::CONNECTIONS_PER_USER_MAX);
    assert_eq!(router.runs_per_user_max, ours::RUNS_PER_USER_MAX);
    assert_eq!((router.rate_per_s, router.rate_burst), (ours::RATE_PER_S, ours::RATE_BURST));
    assert_eq!(router.inbound_bytes_max, ours::FRAME_BYTES_MAX);
    assert_eq!(router.recovery_ttl_us, ours::RECOVERY_TTL_US);
    assert_eq!((router.rejects_max, router.reject_window_us), (ours::ABUSE_FRAMES, ours::ABUSE_WINDOW_US));
}

#[test]
fn an_empty_scenario_is_the_workload_model() {
    let scenario = parse("").unwrap();
    assert_eq!(
        Scenario { name: "default".into(), about: "the workload model".into(), ..scenario },
        Scenario::default()
    );
}

#[test]
fn every_embedded_scenario_parses_under_its_own_name() {
    for (name, text) in embedded() {
        let scenario = Scenario::parse(&format!("scenarios/{name}.toml"), text)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(scenario.name, *name);
        assert!(text.starts_with('#'), "{name} begins with a comment that says what it is for");
    }
}

/// Text after the head, then the line, column and key of the error, a part of its message and of its help.
const MISTAKES: &[(&str, usize, usize, &str, &str, &str)] = &[
    (
        "[users]\ncont = 5",
        5,
        1,
        "users.cont",
        "unknown key `cont`",
        "did you mean `count`? allowed: count, tabs",
    ),
    ("[user]\ncount = 5", 4, 2, "user", "unknown key `user`", "did you mean `users`?"),
    ("[[faults]]\nat = 1", 4, 3, "faults", "unknown key `faults`", "did you mean `fault`?"),
    ("[users]\ncount = 0", 5, 9, "users.count", "0 is out of range", "1 to 1000000"),
    ("[users]\ncount = \"5\"", 5, 9, "users.count", "invalid type: string", "a number of users"),
    ("[users]\narrival = { over = \"60\" }", 5, 20, "users.arrival.over", "no unit", "us, ms, s, m, h"),
    (
        "[users]\narrival = { over = 60 }",
        5,
        20,
        "users.arrival.over",
        "the number 60 has no unit",
        "\"250ms\"",
    ),
    (
        "[users]\narrival = { distribution = \"unifrom\" }",
        5,
        28,
        "users.arrival.distribution",
        "unknown value",
        "did you mean `uniform`?",
    ),
    ("[users]\ntabs = { 0 = 1 }", 5, 8, "users.tabs", "0 to 0 tabs", "1 to 8"),
    ("[users]\ntabs = { one = 1 }", 5, 10, "users.tabs.one", "`one` is not a whole number", "5..8"),
    ("[users]\ntabs = { 1 = 0 }", 5, 8, "users.tabs", "all weights are 0", "above 0"),
    ("[users]\ntier = { gold = 1 }", 5, 10, "users.tier.gold", "unknown key", "allowed: free, early"),
    ("[session]\nmessages = \"8..5\"", 5, 12, "session.messages", "empty", "smaller count first"),
    ("[session]\nmix = { chat = -1 }", 5, 16, "session.mix.chat", "-1 is out of range", "a weight"),
    (
        "[session]\nthink_time = { median = \"8kg\" }",
        5,
        25,
        "session.think_time.median",
        "`kg` is not a unit",
        "ms",
    ),
    ("[session]\nthink_time = { mean = \"8s\" }", 5, 16, "session.think_time.mean", "unknown key", "median"),
    ("[session]\nthink_time = 8", 5, 14, "session.think_time", "invalid type", "a range such as"),
    ("[session]\ntext_bytes = { max = \"9KiB\" }", 5, 22, "session.text_bytes.max", "9216 bytes", "7680B"),
    ("[session]\nstop_share = 2", 5, 14, "session.stop_share", "2 is out of range", "from 0 to 1"),
    (
        "[agent]\ntools = [{ name = \"a\", weigth = 1 }]",
        5,
        24,
        "agent.tools.weigth",
        "unknown key",
        "did you mean `weight`?",
    ),
    ("[agent]\ntools = []", 5, 9, "agent.tools", "no tool", "at least one"),
    ("[agent]\nresult_bytes = \"8kb\"", 5, 16, "agent.result_bytes", "`kb` is not a unit", "KiB"),
    ("[agent]\ntool_max = \"31s\"", 5, 12, "agent.tool_max", "31s", "at most 30s"),
    ("[agent]\ntool_scale = 0", 5, 14, "agent.tool_scale", "0 is out of range", "0.001"),
    ("[network]\nreconnect_outage = \"10m\"", 5, 20, "network.reconnect_outage", "away", "recovery window"),
    ("[network]\nlatency = \"20ms..1ms\"", 5, 11, "network.latency", "empty", "shorter duration first"),
    ("[limits]\nrate_per_s = 0", 5, 14, "limits.rate_per_s", "0 is out of range", "from 1"),
    ("[expect]\ngolden_path = true", 5, 15, "expect.golden_path", "invalid type: boolean", "a share"),
    ("[service]\nhop = \"2\"", 5, 7, "service.hop", "no unit", "ns, us, ms"),
    ("[service]\nhopp = \"2us\"", 5, 1, "service.hopp", "unknown key", "did you mean `hop`?"),
    ("seed = -1", 4, 8, "seed", "-1", "u64"),
    (
        "[[fault]]\nkind = \"los\"\nduring = \"1s\"",
        5,
        8,
        "fault.kind",
        "unknown value",
        "did you mean `lose`?",
    ),
    ("[[fault]]\nkind = \"lose\"", 4, 1, "fault.during", "missing key", "no default"),
    (
        "[[fault]]\nkind = \"cut\"\nduring = \"1s\"",
        6,
        10,
        "fault.during",
        "cut: `1s` is a moment",
        "a beginning and an end",
    ),
    (
        "[[fault]]\nkind = \"crash\"\nduring = \"1s\"\n[[fault]]\nkind = \"lose\"\nduring = \"1s..2s\"\nby = \"1s\"",
        10,
        6,
        "fault.by",
        "lose: takes no `by`",
        "only with delay",
    ),
    (
        "[[fault]]\nkind = \"pause\"\nduring = \"1s\"\nby = \"1s..3m\"",
        7,
        6,
        "fault.by",
        "pause: up to 3m",
        "at most 2m",
    ),
    (
        "[[fault]]\nkind = \"stall\"\nduring = \"1s\"\nway = \"up\"",
        7,
        7,
        "fault.way",
        "stall: has no direction",
        "only with pass, delay",
    ),
    (
        "[[fault]]\nkind = \"crash\"\nduring = \"1s\"\nusers = \"0\"",
        7,
        9,
        "fault.users",
        "crash: concerns no users",
        "befalls everybody",
    ),
    (
        "[users]\ncount = 3\n[[fault]]\nkind = \"cut\"\nduring = \"1s..2s\"\nusers = \"3..9\"",
        9,
        9,
        "fault.users",
        "cut: there is no user 3",
        "from 0 to 2",
    ),
    (
        "[network]\ncursor = false\n[[fault]]\nkind = \"crash\"\nduring = \"1s\"",
        5,
        10,
        "network.cursor",
        "without a cursor",
        "cannot get back",
    ),
];

/// Every kind of mistake names its line, column and key, and helps.
#[test]
fn mistakes_are_placed() {
    for &(text, line, column, key, message, help) in MISTAKES {
        let error = parse(text).expect_err(text);
        assert_eq!((error.line, error.column, error.key.as_str()), (line, column, key), "{text}\n{error}");
        assert!(error.message.contains(message), "{text}\n{error}");
        assert!(error.help.contains(help), "{text}\n{error}");
        assert!(
            error.to_string().starts_with(&format!("scenarios/x.toml:{line}:{column}: `{key}`: ")),
            "{error}"
        );
    }
}

#[test]
fn a_journey_leads_from_one_milestone_to_another() {
    let journey = |text: &str| parse(&format!("[[expect.journey]]\n{text}"));
    let known = journey("p99 = \"45s\"").unwrap().expect.journeys.remove(0);
    assert_eq!((known.name(), known.complete.get()), ("sent-agent_completed".to_owned(), 1.0));
    for (text, message, help) in [
        ("from = \"agent_completed\"", "from agent_completed", "nothing comes after"),
        ("to = \"sent\"", "from sent to sent", "another than"),
        ("[[expect.journey.step]]\nto = \"agent_error\"", "from agent_error to agent_completed", "the last"),
        ("name = \"A b\"", "called `A b`", "lower-case"),
        ("[[expect.journey]]", "two journeys", "a name of its own"),
        ("to = \"agent_complete\"", "unknown value", "did you mean `agent_completed`?"),
    ] {
        let error = journey(text).expect_err(text);
        assert!(error.message.contains(message) && error.help.contains(help), "{text}: {error}");
        assert!(error.line >= 4 && error.key.starts_with("expect.journey"), "{text}: {error}");
    }
}

#[test]
fn a_file_without_its_head_or_without_toml_is_refused() {
    let missing = Scenario::parse("x", "schema = 1\nname = \"x\"").unwrap_err();
    assert_eq!((missing.key.as_str(), missing.message.as_str()), ("about", "missing key `about`"));
    let median = parse("[session]\nthink_time = { sigma = 1.0 }").unwrap_err();
    assert_eq!((median.line, median.column, median.key.as_str()), (5, 14, "session.think_time.median"));
    let version = Scenario::parse("x", "schema = 2\nname = \"x\"\nabout = \"\"").unwrap_err();
    assert_eq!((version.line, version.column, version.key.as_str()), (1, 10, "schema"));
    let broken = Scenario::parse("x", "schema = 1\nname = ").unwrap_err();
    assert_eq!((broken.line, broken.column), (2, 8));
}

#[test]
fn the_hash_sees_content_only() {
    let hash = |rest| parse(rest).unwrap().hash();
    let plain = hash("[users]\ncount = 7\n[network]\ncursor = true");
    assert_eq!(plain, hash("# note\n[network]\n[users]\ncount = 7 # seven"));
    assert_eq!(plain, hash("seed = 9\nusers = { arrival = { over = \"60000ms\" }, count = 7 }"));
    assert_ne!(plain, hash("[users]\ncount = 8"));
    assert_eq!(plain.len(), 32);
    assert_eq!(Scenario::default().hash(), "e0aec28611bfadfed62adc38c6d0ac55");
}

#[test]
fn the_committed_schema_is_current() {
    let committed: serde_json::Value =
        serde_json::from_str(include_str!("../../../scenarios/scenario.schema.json")).unwrap();
    let hint = "write the output of `goldenpath scenario schema` to scenarios/scenario.schema.json";
    assert!(committed == schema(), "{hint}\n{}", serde_json::to_string_pretty(&schema()).unwrap());
}
