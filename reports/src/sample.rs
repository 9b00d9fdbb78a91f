//! Two made-up reports that the tests render: one as one would wish it, one with hostile words in it.

use crate::{
    Accepted, Case, Conditions, Contest, Decision, Distribution, Domain, Epoch, Exact, Fact, Finding, Gate,
    Host, Kind, Lane, Mark, Metric, Quantity, Report, Revision, Role, Rules, ScenarioRef, Timeline, Tool,
    Unit,
};

/// A user id as nobody should choose it.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>|`\u{202e}\u{1b}[2J";

pub(crate) fn passing() -> Report {
    let mut report = Report::new(Tool::new("goldenpath", "0.1.0"), Kind::Simulation);
    report.scenario = Some(ScenarioRef {
        name: "golden_path".to_owned(),
        about: "Two hundred users chat, lose their network and come back.".to_owned(),
        hash: "5f1d0c77".to_owned(),
    });
    report.seed = Some(42);
    report.hash = Some("9c3a41d20be7f655".to_owned());
    report.reasons = vec!["All 1,000 runs reached a terminal event.".to_owned()];
    report.facts = vec![
        Fact::count("users", "users", 200),
        Fact::count("runs", "runs", 1_000),
        Fact::count("events", "events", 7_412),
        Fact::count("leaks", "leaks", 0),
        Fact::share("golden_share", "golden path share", 998, 1_000),
        Fact::int("virtual_time", "virtual time", 60_000_000, Unit::Microseconds),
    ];
    report.metrics = metrics(Domain::Virtual);
    report.cases = vec![
        Case::passed("checkers", "isolation"),
        Case::passed("checkers", "order"),
        Case::skipped("checkers", "persistence", "the scenario has no store"),
    ];
    report.timelines = vec![Timeline { user: "u-0001".to_owned(), lanes: lanes() }];
    report.replay = Some("goldenpath sim scenarios/golden_path.toml --seed 42".to_owned());
    report
}

pub(crate) fn failing() -> Report {
    let mut report = Report { reasons: Vec::new(), hash: Some("00ff".to_owned()), ..passing() };
    report.facts[3] = Fact::count("leaks", "leaks", 1);
    report.cases[0] = Case::failed("checkers", "isolation", "1 event reached a stranger");
    let mut breach = Finding::new("iso.I1", "isolation", 1_204_500, "an event of user u-0001 arrived");
    breach.user = Some(HOSTILE.to_owned());
    breach.connection = Some("c-7".to_owned());
    breach.run = Some("r-3".to_owned());
    breach.event = Some("tool_completed".to_owned());
    report.push_finding(breach);
    for at_us in [2_000_000, 2_000_001] {
        report.push_finding(Finding::new(
            "run.R3",
            "golden_path",
            at_us,
            "completed without executing | twice",
        ));
    }
    report.reasons.push("One event reached a stranger.".to_owned());
    report.timelines.push(Timeline { user: HOSTILE.to_owned(), lanes: lanes() });
    report.host = Some(Host {
        os: "linux".to_owned(),
        arch: "x86_64".to_owned(),
        cpus: 2,
        load_1m: Some(0.314),
        note: String::new(),
    });
    report
}

/// A gate with one benchmark that passes, one that fails, and its two controls.
pub(crate) fn gate() -> Gate {
    let revision = |commit: &str| Revision { commit: commit.to_owned(), ..Revision::default() };
    Gate {
        base: revision("1f00ba5"),
        head: revision("2ea4ca7"),
        rules: Rules {
            seed: 1,
            limit: 1.05,
            alpha: 0.01,
            family: 20,
            epochs_max: 400,
            seconds_max: 60.0,
            quads: 6,
            slot_ms: 2.0,
            layouts: 4,
        },
        contests: vec![
            contest("route.user_message", Role::Gated, 0.004),
            contest("fan_out.1000", Role::Gated, 0.11),
        ],
        controls: vec![
            contest("route.user_message", Role::MustPass, 0.001),
            contest("route.user_message", Role::MustFail, 0.1),
        ],
        exact: Exact::default(),
        instructions: Vec::new(),
        not_comparable: Vec::new(),
        accepted: vec![Accepted {
            what: "route.jsonrpc".to_owned(),
            value: "1.12".to_owned(),
            reason: "checks more".to_owned(),
        }],
        notes: Vec::new(),
        conditions: Conditions::default(),
    }
}

/// A benchmark whose change is about `shift`: decided after 15 epochs, as it would be.
fn contest(name: &str, role: Role, shift: f64) -> Contest {
    let fails = shift > 0.05;
    let epochs: Vec<Epoch> = (0..15)
        .map(|index| Epoch {
            x: (1.0 + shift + f64::from(index % 5 - 2) * 0.006).ln(),
            layouts: [0, 0],
            cpu: 0,
            quads: Vec::new(),
            p99_ns: Some([1_000, (1_000.0 * (1.0 + shift)) as u64]),
        })
        .collect();
    // All epochs on one side: the evidence is 2^(n+1) / (n+1), that for the other side a little over 1 / (n+1).
    let strong: Vec<f64> =
        (1..=15).map(|n: i32| (2f64.powi(n + 1) - 1.0).ln() - f64::from(n + 1).ln()).collect();
    let weak: Vec<f64> = (1..=15).map(|n: i32| -f64::from(n + 1).ln()).collect();
    let (ln_e_fail, ln_e_pass) = if fails { (strong, weak) } else { (weak, strong) };
    let decision = if fails { Decision::Fail } else { Decision::Pass };
    Contest {
        name: name.to_owned(),
        unit: "message".to_owned(),
        quantity: Quantity::Time,
        role,
        limit: 1.05,
        fail_at: 2_000.0,
        pass_at: 100.0,
        slot_units: 2_000,
        decision,
        cpu_decision: decision,
        estimate: shift,
        interval: [Some(shift - 0.012), Some(shift + 0.012)],
        epochs,
        ln_e_fail,
        ln_e_pass,
        seconds: 1.2,
    }
}

pub(crate) fn metrics(domain: Domain) -> Vec<Metric> {
    let (mut first, mut whole) = (Distribution::new(), Distribution::new());
    let mut depth = Distribution::new();
    for i in 1..=20_000u64 {
        // A heavy tail: the last thousandth is many times slower than the middle.
        let tail = 1_000_000 / (20_001 - i);
        first.record(400 + i % 1_000 + tail.min(60_000));
        whole.record(18_000 + i + i % 7_000 + tail.min(400_000));
        depth.record(i % 17);
    }
    vec![
        first.to_metric("first_event", "send to first event", Unit::Microseconds, domain),
        whole.to_metric("whole_run", "send to agent_completed", Unit::Microseconds, domain),
        depth.to_metric("queue_depth", "queue depth", Unit::Count, domain),
    ]
}

fn lanes() -> Vec<Lane> {
    let laptop = [run("r-1", 12_000, false), run("r-2", 60_000, true)].concat();
    let mut phone = vec![Mark { note: "resumed".to_owned(), ..Mark::new(40_000, "session_resumed") }];
    phone.extend(run("r-2", 60_400, true));
    vec![
        Lane { label: "connection c-1 (laptop)".to_owned(), marks: laptop },
        Lane { label: "connection c-2 (phone)".to_owned(), marks: phone },
    ]
}

/// A run with two parallel tools; if `fails`, the second one never completes.
fn run(name: &str, start_us: u64, fails: bool) -> Vec<Mark> {
    let ending = if fails { ("agent_error", "tool timed out") } else { ("agent_completed", "") };
    let steps = [
        (0, "agent_started", "", ""),
        (3_000, "agent_thinking", "", "reading the bill"),
        (9_000, "tool_executing", "a", "cost_lookup"),
        (12_000, "tool_executing", "b", "forecast"),
        (27_000, "tool_completed", "a", "cost_lookup"),
        (41_000, "tool_completed", "b", "forecast"),
        (44_000, ending.0, "", ending.1),
    ];
    let dropped = |call: &str, kind: &str| fails && call == "b" && kind == "tool_completed";
    let kept = steps.iter().filter(|(_, kind, call, _)| !dropped(call, kind));
    let mark = |(seq, &(offset_us, kind, call, note)): (usize, &(u64, &str, &str, &str))| Mark {
        run: Some(name.to_owned()),
        call: (!call.is_empty()).then(|| call.to_owned()),
        seq: Some(seq as u64 + 1),
        note: note.to_owned(),
        ..Mark::new(start_us + offset_us, kind)
    };
    kept.enumerate().map(mark).collect()
}
