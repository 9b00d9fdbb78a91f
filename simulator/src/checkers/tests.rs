//! Each checker, on hand-made observations: silent without the defect, and naming it with it.

use reports::{Domain, Finding};

use super::*;
use crate::client::Client;
use crate::dialect::{Dialect, Goldenpath};
use crate::plan::{ExpectedRun, Malformed, MessageKind, Question, Say};
use crate::scenario::Scenario;
use crate::script::Terminal;

/// Two users, of whom the first has two tabs; time advances by a millisecond per observation.
struct Stage {
    plan: Plan,
    checkers: Checkers,
    clients: [Client; 2],
    now_us: u64,
}

impl Stage {
    fn new() -> Self {
        Self::of(Scenario::default())
    }

    fn of(scenario: Scenario) -> Self {
        let plan = Plan::new(scenario, 1);
        let watch =
            Watch { domain: Domain::Virtual, epoch_us: 0, findings_max: 10, timelines: 1, projection: true };
        let mut stage = Self {
            checkers: Checkers::new(&plan, watch),
            plan,
            clients: [Client::new(), Client::new()],
            now_us: 0,
        };
        for tab in 0..2 {
            stage.checkers.connecting(0, 0, tab, None);
            stage.frame(tab, r#"{"type":"connection_established","data":{"cursor":0}}"#);
        }
        stage
    }

    fn say(&mut self, terminal: Terminal) {
        let expected = ExpectedRun {
            terminal,
            thinking: 1,
            tools: 1,
            tool_errors: 0,
            full_golden: terminal == Terminal::Completed,
            ends_at_us: 0,
        };
        let say = Say {
            kind: MessageKind::UserMessage,
            message_id: "m0000".to_owned(),
            thread: "t".to_owned(),
            text: self.plan.canary(0),
            expected,
        };
        self.now_us += 1_000;
        self.checkers.sent(self.now_us, 0, 0, 2, &ActionKind::Say(Box::new(say)));
    }

    fn frame(&mut self, tab: u8, text: &str) {
        self.now_us += 1_000;
        match Goldenpath.decode(text) {
            Ok(frame) => {
                let verdict = self.clients[usize::from(tab)].receive(&frame);
                self.checkers.received(self.now_us, 0, tab, 2, text, &frame, verdict);
            }
            Err(error) => self.checkers.invalid(self.now_us, 0, tab, text, error),
        }
    }

    fn event(&self, kind: &str, seq: u64, extra: &str) -> String {
        let (user, canary) = (self.plan.user_id(0), self.plan.canary(0));
        format!(
            r#"{{"type":"{kind}","user_id":"{user}","thread_id":"t","run_id":"r1","request_id":"m0000","seq":{seq},"cursor":{seq},"note":"{canary}"{extra}}}"#
        )
    }

    /// A whole run, one text per event.
    fn run(&self) -> Vec<String> {
        let call = r#","tool_call_id":"c0","tool_name":"search""#;
        let said = |member: &str| format!(r#","{member}":"{}""#, self.plan.canary(0));
        let ended = r#","tool_call_id":"c0","tool_name":"search","status":"completed","success":true"#;
        vec![
            self.event("agent_started", 1, ""),
            self.event("agent_thinking", 2, &said("reasoning")),
            self.event("tool_executing", 3, call),
            self.event("tool_completed", 4, &format!("{ended}{}", said("results"))),
            self.event("agent_completed", 5, &said("final_response")),
        ]
    }

    fn play(&mut self, tab: u8, texts: &[String]) {
        texts.iter().for_each(|text| self.frame(tab, text));
    }

    fn end(mut self) -> Vec<Finding> {
        self.checkers.left(self.now_us + 1_000, 0);
        self.checkers.finish(self.now_us + 1_000);
        assert_eq!(self.checkers.ledger().counts.users, 1);
        self.checkers.ledger().findings().to_vec()
    }
}

/// Plays the run with `change` on tab 1; what the checkers say, those of tab 0 excluded by construction.
fn changed(change: impl Fn(&mut Vec<String>)) -> Vec<Finding> {
    let mut stage = Stage::new();
    stage.say(Terminal::Completed);
    let good = stage.run();
    let mut bad = good.clone();
    change(&mut bad);
    stage.play(0, &good);
    stage.play(1, &bad);
    stage.end()
}

fn rules(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.rule.as_str()).collect()
}

/// The cursor and seq of a text, replaced.
fn renumbered(text: &str, from: u64, to: u64) -> String {
    text.replace(&format!(r#""seq":{from},"cursor":{from}"#), &format!(r#""seq":{to},"cursor":{to}"#))
}

#[test]
fn a_run_as_planned_is_silent_and_counted() {
    let mut stage = Stage::new();
    stage.say(Terminal::Completed);
    let run = stage.run();
    stage.play(0, &run);
    stage.play(1, &run);
    // Who comes back without a cursor may be given again what it has.
    stage.checkers.connecting(stage.now_us, 0, 1, None);
    stage.play(1, &run[2..4]);
    let counts = stage.checkers.ledger().counts;
    assert_eq!((counts.golden, counts.full_golden, counts.runs, counts.repeats), (1, 1, 1, 2));
    assert_eq!((counts.events, counts.messages_in, counts.messages_out), (10, 1, 14));
    let projection = stage.checkers.projection().unwrap();
    let key = (stage.plan.user_id(0), "m0000".to_owned());
    assert_eq!(
        projection.per_run()[&key],
        [
            "1 agent_started",
            "2 agent_thinking",
            "3 tool_executing c0 search",
            "4 tool_completed c0 completed",
            "5 agent_completed"
        ]
    );
    assert_eq!(stage.end(), []);
}

#[test]
fn every_finding_names_rule_user_connection_run_event_and_time() {
    let other = Plan::new(Scenario::default(), 1).canary(1);
    let findings = changed(|texts| {
        let own = Plan::new(Scenario::default(), 1).canary(0);
        texts[1] = texts[1].replace(&own, &other);
    });
    assert_eq!(rules(&findings), ["iso.I1"]);
    let finding = &findings[0];
    let plan = Plan::new(Scenario::default(), 1);
    assert_eq!(finding.user, Some(plan.user_id(0)));
    assert_eq!((finding.connection.as_deref(), finding.run.as_deref()), (Some("tab-1"), Some("r1")));
    assert_eq!(finding.event.as_deref(), Some("agent_thinking seq 2 cursor 2"));
    // Two welcomes, the message, five frames of tab 0, two of tab 1.
    assert_eq!((finding.at_us, finding.checker.as_str()), (10_000, "isolation"));
    assert!(finding.detail.contains(&other), "{}", finding.detail);
}

#[test]
fn isolation_sees_foreign_users_and_threads() {
    let other = Plan::new(Scenario::default(), 1).user_id(1);
    let own = Plan::new(Scenario::default(), 1).user_id(0);
    assert_eq!(rules(&changed(|texts| texts[0] = texts[0].replace(&own, &other))), ["iso.I1"]);
    let foreign_thread = |texts: &mut Vec<String>| texts[0] = texts[0].replace(r#"d":"t""#, r#"d":"u""#);
    assert_eq!(rules(&changed(foreign_thread)), ["iso.I1"]);
}

#[test]
fn order_names_each_rule() {
    let swap = |one: usize, two: usize| {
        changed(move |texts| {
            let (first, second) = (one as u64 + 1, two as u64 + 1);
            let (a, b) = (renumbered(&texts[two], second, first), renumbered(&texts[one], first, second));
            (texts[one], texts[two]) = (a, b);
        })
    };
    assert_eq!(rules(&swap(0, 1)), ["run.R1", "run.R2"]);
    assert_eq!(rules(&swap(2, 3)), ["run.R3", "run.R4"]);
    assert!(rules(&swap(3, 4)).starts_with(&["run.R4"]));
    let twice =
        changed(|texts| texts[1] = texts[0].replace(r#""seq":1,"cursor":1"#, r#""seq":2,"cursor":2"#));
    assert_eq!(rules(&twice), ["run.R2", "golden.incomplete"]);
    let open_twice =
        changed(|texts| texts[3] = texts[2].replace(r#""seq":3,"cursor":3"#, r#""seq":4,"cursor":4"#));
    assert_eq!(rules(&open_twice), ["run.R7", "run.R4", "golden.incomplete"]);
    let after_end = changed(|texts| texts.push(renumbered(&texts[1], 2, 6)));
    assert!(rules(&after_end).contains(&"run.R6"), "{after_end:?}");
}

#[test]
fn a_run_without_an_end_is_named() {
    let mut stage = Stage::new();
    stage.say(Terminal::Completed);
    let run = stage.run();
    stage.play(0, &run[..4]);
    stage.play(1, &run[..4]);
    let findings = stage.end();
    assert_eq!(rules(&findings), ["run.R5", "golden.incomplete", "golden.incomplete"]);
    assert_eq!(findings[0].run.as_deref(), Some("r1"));
}

#[test]
fn delivery_names_loss_gap_and_duplicate() {
    let lost_tail = changed(|texts| texts.truncate(4));
    assert_eq!(rules(&lost_tail), ["deliver.I2", "golden.incomplete"]);
    assert_eq!(lost_tail[0].connection.as_deref(), Some("tab-1"));
    assert_eq!(lost_tail[0].event.as_deref(), Some("cursor 5"));
    let hole = changed(|texts| _ = texts.remove(1));
    assert_eq!(rules(&hole), ["deliver.I4", "golden.incomplete"]);
    let announced = changed(|texts| texts[1] = r#"{"type":"recovery_gap","from":2,"to":2}"#.to_owned());
    assert_eq!(rules(&announced), ["golden.incomplete"]);
    let again = changed(|texts| {
        texts[2] = texts[1].replace(r#""seq":2,"cursor":2"#, r#""seq":2,"cursor":3"#);
    });
    assert!(rules(&again).contains(&"deliver.I3"), "{again:?}");
    let jump = changed(|texts| texts[1] = texts[1].replace(r#""seq":2"#, r#""seq":3"#));
    assert!(rules(&jump).contains(&"deliver.I4"), "{jump:?}");
}

#[test]
fn another_end_than_planned_is_named_and_not_golden() {
    let mut stage = Stage::new();
    stage.say(Terminal::Cancelled);
    let run = stage.run();
    stage.play(0, &run);
    stage.play(1, &run);
    assert_eq!(stage.checkers.ledger().counts.golden, 0);
    let findings = stage.end();
    assert_eq!(rules(&findings), ["golden.terminal", "golden.terminal"]);
    assert!(findings[0].detail.contains("completed") && findings[0].detail.contains("cancelled"));
}

#[test]
fn answers_are_awaited_in_order() {
    let mut stage = Stage::new();
    stage.checkers.sent(1_000, 0, 0, 2, &ActionKind::Ping);
    stage.checkers.sent(1_000, 0, 0, 2, &ActionKind::Unknown { type_name: "x" });
    stage.checkers.sent(1_000, 0, 0, 2, &ActionKind::Heartbeat);
    stage.frame(0, r#"{"type":"pong"}"#);
    assert_eq!(stage.checkers.ledger().times.pong.count(), 1);
    stage.frame(0, r#"{"type":"error_message","error_code":"RATE_LIMITED"}"#);
    stage.frame(1, r#"{"type":"pong"}"#);
    let findings = stage.end();
    assert_eq!(rules(&findings), ["golden.answer", "golden.answer", "golden.answer"]);
    assert!(findings[0].detail.contains("RATE_LIMITED"), "{}", findings[0].detail);
    assert_eq!(findings[1].connection.as_deref(), Some("tab-1"));
    assert!(findings[2].detail.contains("HeartbeatAck"), "{}", findings[2].detail);
}

#[test]
fn a_run_keeps_its_request_thread_and_agent() {
    let named = |name: &str| format!(r#","agent_name":"{name}""#);
    let findings = changed(|texts| {
        let plan = Plan::new(Scenario::default(), 1);
        let note = format!(r#""note":"{}""#, plan.canary(0));
        texts[0] = texts[0].replace(&note, &format!("{note}{}", named("triage")));
        texts[1] = texts[1].replace(&note, &format!("{note}{}", named("data")));
    });
    assert!(rules(&findings).iter().all(|rule| *rule == "iso.I2"), "{findings:?}");
    assert!(findings[0].detail.contains("triage"), "{}", findings[0].detail);
}

#[test]
fn what_the_agent_said_must_stand_in_the_event() {
    let plan = Plan::new(Scenario::default(), 1);
    let said = format!(r#""final_response":"{}""#, plan.canary(0));
    let findings =
        changed(|texts| texts[4] = texts[4].replace(&said, r#""final_response":"Task completed""#));
    assert_eq!(rules(&findings), ["golden.value"]);
    assert!(findings[0].detail.contains("Task completed"), "{}", findings[0].detail);
}

#[test]
fn a_message_that_names_another_user_must_be_refused() {
    let foreign = || {
        ActionKind::Malformed(Box::new(Malformed { frame: String::new(), expected_code: "FOREIGN_USER_ID" }))
    };
    let mut stage = Stage::new();
    stage.checkers.sent(1_000, 0, 0, 2, &foreign());
    stage.checkers.sent(1_000, 0, 0, 2, &foreign());
    stage.checkers.sent(1_000, 0, 1, 2, &foreign());
    stage.frame(0, r#"{"type":"error_message","error_code":"FOREIGN_USER_ID"}"#);
    stage.frame(0, r#"{"type":"pong"}"#);
    assert_eq!(rules(&stage.end()), ["iso.I4", "golden.answer"]);
}

#[test]
fn a_message_without_an_answer_does_not_blame_the_next_one() {
    let mut stage = Stage::new();
    for action in [ActionKind::Ping, ActionKind::Unknown { type_name: "x" }, ActionKind::Heartbeat] {
        stage.checkers.sent(1_000, 0, 0, 2, &action);
    }
    stage.frame(0, r#"{"type":"ack","status":"acknowledged"}"#);
    stage.frame(0, r#"{"type":"heartbeat_ack"}"#);
    let findings = stage.end();
    assert_eq!(rules(&findings), ["golden.answer"]);
    assert!(findings[0].detail.contains("Pong"), "{}", findings[0].detail);
}

#[test]
fn answers_come_in_time_without_internals_and_of_known_types() {
    let mut stage = Stage::new();
    let long = "x".repeat(65);
    for text in [
        r#"{"type":"pong"}"#,
        &format!(r#"{{"type":"ack","status":"acknowledged","received_type":"{long}"}}"#),
        r#"{"type":"pong","data":"MessageType.PING"}"#,
    ] {
        let action =
            if text.contains("ack") { ActionKind::Unknown { type_name: "x" } } else { ActionKind::Ping };
        stage.checkers.sent(stage.now_us, 0, 0, 2, &action);
        if text == r#"{"type":"pong"}"# {
            stage.now_us += 6_000_000;
        }
        stage.frame(0, text);
    }
    stage.frame(0, r#"{"type":"reasoning"}"#);
    assert_eq!(rules(&stage.end()), ["golden.late", "wire.echo", "wire.internals", "wire.type"]);
}

#[test]
fn nothing_is_answered_before_the_connection_is_set_up() {
    let mut scenario = Scenario::default();
    scenario.limits.ready_after = Some(crate::scenario::Micros::new(500_000));
    let mut stage = Stage::of(scenario);
    for at_us in [100_000, 499_000] {
        stage.checkers.sent(at_us, 0, 0, 2, &ActionKind::Ping);
        stage.now_us = at_us;
        stage.frame(0, r#"{"type":"pong"}"#);
    }
    let findings = stage.end();
    assert_eq!(rules(&findings), ["golden.setup"]);
    assert_eq!(findings[0].at_us, 101_000);
}

#[test]
fn a_question_about_quality_is_answered_with_its_own_ids() {
    let mut stage = Stage::new();
    for number in 1..=3 {
        let action = ActionKind::Quality(Box::new(Question {
            type_name: "get_quality_metrics",
            message_id: format!("q{number}"),
            thread: format!("t{number}"),
        }));
        stage.checkers.sent(1_000, 0, 0, 2, &action);
    }
    // The answers come in any order, to all tabs.
    stage.frame(0, r#"{"type":"quality_metrics","payload":{},"message_id":"q2","thread_id":"t1"}"#);
    stage.frame(1, r#"{"type":"quality_metrics","payload":{},"message_id":"q2","thread_id":"t2"}"#);
    stage.frame(0, r#"{"type":"quality_metrics","payload":{},"message_id":"q1","thread_id":"t1"}"#);
    stage.frame(0, r#"{"type":"quality_metrics","payload":{},"message_id":"q9","thread_id":"t9"}"#);
    let findings = stage.end();
    assert_eq!(rules(&findings), ["iso.I2", "iso.I1", "golden.answer"]);
    assert_eq!(findings[2].event.as_deref(), Some("q3"));
}

#[test]
fn frames_that_are_no_json_and_events_that_nobody_asked_for_are_named() {
    let mut stage = Stage::new();
    stage.frame(0, r#"{"type":"pong""#);
    stage.checkers.ledger_mut();
    let stray =
        stage.event("agent_started", 1, "").replace("m0000", "m9999").replace(r#""thread_id":"t","#, "");
    stage.frame(0, &stray);
    stage.frame(1, &stray);
    let findings = stage.end();
    assert_eq!(rules(&findings), ["wire.invalid", "golden.unasked", "golden.unasked", "run.R5"]);
}

#[test]
fn bounds_are_judged_once_where_they_break() {
    let mut ledger = Ledger::new(Domain::Virtual, 10);
    let mut bounds = bounds::Bounds::new(32);
    let who = || ("u".to_owned(), "tab-0".to_owned());
    (31..40).for_each(|frames| bounds.window(5, frames, &who, &mut ledger));
    bounds.accounts(6, Ok(()), &mut ledger);
    bounds.accounts(
        7,
        Err(bounds::Breach::of_accounts("frames: 1 came in, 2 accounted for".to_owned())),
        &mut ledger,
    );
    bounds.accounts(8, Err(bounds::Breach::of_accounts("again".to_owned())), &mut ledger);
    bounds.finish(9, bounds::Held { runs: 1, ..bounds::Held::default() }, &mut ledger);
    assert_eq!(rules(ledger.findings()), ["bounds.queue", "account.D10", "bounds.memory"]);
    assert_eq!(ledger.findings().iter().map(|finding| finding.at_us).collect::<Vec<_>>(), [5, 7, 9]);
}

#[test]
fn a_full_ledger_counts_on_and_keeps_breaches() {
    let mut ledger = Ledger::new(Domain::Wall, 2);
    for at_us in 0..5 {
        ledger.push(Finding::new("run.R1", "order", at_us, ""));
    }
    ledger.push(Finding::new("iso.I1", "isolation", 9, ""));
    assert_eq!(rules(ledger.findings()), ["run.R1", "iso.I1"]);
    assert_eq!((ledger.total(), ledger.count_of("run."), ledger.count_of("iso.")), (6, 5, 1));
    let mut report = reports::Report::new(reports::Tool::new("t", "0"), reports::Kind::Load);
    ledger.report(&mut report);
    assert_eq!((report.findings_total, report.findings_by_rule["run.R1"]), (6, 5));
    assert!(report.findings.iter().all(|finding| finding.domain == Domain::Wall));
}

/// For each checker a defect, the rule it breaks, and the exit code of a report with that finding.
#[test]
fn every_checker_can_fail_and_the_exit_code_follows() {
    let plan = Plan::new(Scenario::default(), 1);
    let (own, other) = (plan.canary(0), plan.canary(1));
    type Change<'a> = Box<dyn Fn(&mut Vec<String>) + 'a>;
    let table: Vec<(&str, u8, Change<'_>)> = vec![
        ("iso.I1", 7, Box::new(|texts| texts[4] = texts[4].replace(&own, &other))),
        ("run.R1", 6, Box::new(|texts| drop(texts.remove(0)))),
        ("run.R5", 6, Box::new(|texts| texts.truncate(4))),
        ("deliver.I2", 6, Box::new(|texts| texts.truncate(3))),
        ("deliver.I4", 6, Box::new(|texts| drop(texts.remove(1)))),
        ("golden.incomplete", 6, Box::new(|texts| texts.truncate(4))),
    ];
    for (rule, code, change) in table {
        let mut stage = Stage::new();
        stage.say(Terminal::Completed);
        let mut texts = stage.run();
        let whole = texts.clone();
        change(&mut texts);
        // A run that never ends must end on no tab; every other defect is one tab's.
        stage.play(0, if rule == "run.R5" { &texts } else { &whole });
        stage.play(1, &texts);
        let findings = stage.end();
        let found = findings.iter().find(|finding| finding.rule == rule);
        let finding = found.unwrap_or_else(|| panic!("{rule}: {findings:?}"));
        assert_eq!(finding.user, Some(plan.user_id(0)), "{rule}");
        assert!(finding.run.is_some() && finding.event.is_some() && finding.at_us > 0, "{rule}: {finding:?}");
        let mut report = reports::Report::new(reports::Tool::new("t", "0"), reports::Kind::Simulation);
        report.push_finding(finding.clone());
        assert_eq!(report.verdict.exit_code(), code, "{rule}");
    }
}
