//! Each kind of fault happens, does what it says, and is borne; what it does not explain is still found.

use router::{Effect, Effects, Input, Instant, QualityRequest};
use serde_json::value::RawValue;

use super::super::*;
use crate::checkers::bounds::{Breach, Held};
use crate::scenario::{Fault, FaultKind, MicrosRange, Share, UserRange, Way};

/// A few users who do a little of everything while rules last.
fn scenario(faults: Vec<Fault>) -> Scenario {
    let text = "schema = 1\nname = \"faulty\"\nabout = \"\"\n[users]\ncount = 8\ntabs = { 1 = 1, 2 = 1 }\n\
        arrival = { over = \"5s\" }\n[session]\nmessages = \"3..8\"\nstop_share = 0.1\n\
        mix = { user_message = 4, ping = 2, quality = 2, malformed = 1, unknown = 1 }\n";
    Scenario { faults, ..Scenario::parse("faulty", text).unwrap() }
}

fn rule(kind: FaultKind) -> Fault {
    let frames = matches!(
        kind,
        FaultKind::Lose | FaultKind::Duplicate | FaultKind::Reorder | FaultKind::Corrupt | FaultKind::Pass
    );
    let share = Share::new(if frames { 0.1 } else { 1.0 });
    let by = (kind == FaultKind::Pause).then(|| MicrosRange::new(20_000_000, 20_000_000));
    Fault { share, by, ..Fault::new(kind, MicrosRange::new(10_000_000, 40_000_000)) }
}

fn play(scenario: &Scenario, seed: u64) -> RunResult {
    World::new(scenario.clone(), seed, Options::default()).unwrap().run()
}

/// Whether the fault did what its kind says, against the same seed without it.
fn did(kind: FaultKind, with: &RunResult, without: &RunResult) -> bool {
    let [counts, calm] = [with, without].map(|result| result.checkers.ledger().counts);
    let [slowest, slow] =
        [with, without].map(|result| result.checkers.ledger().times.event_latency.quantile(1.0));
    match kind {
        FaultKind::Pass => with.hash == without.hash,
        FaultKind::Delay => slowest > slow + 50_000,
        // Late for those who wait for it, lost for those who give the connection up before.
        FaultKind::Clog | FaultKind::SwizzleClog => slowest > slow || counts.reconnects > calm.reconnects,
        FaultKind::Stall => slowest > slow,
        // What waited is stamped when it is taken in.
        FaultKind::Pause => longest_wait(with) > longest_wait(without),
        FaultKind::Duplicate => counts.repeats > 0,
        FaultKind::Lose
        | FaultKind::Reorder
        | FaultKind::Corrupt
        | FaultKind::Cut
        | FaultKind::HalfOpen
        | FaultKind::Avalanche => counts.reconnects > calm.reconnects,
        FaultKind::Crash | FaultKind::Deploy => counts.gaps > 0 && counts.reconnects > calm.reconnects,
        // Timestamps are ahead by up to ten seconds, and read right all the same.
        FaultKind::Jump | FaultKind::Skew => slowest < 100_000 && with.hash != without.hash,
        FaultKind::ServicesAway => counts.forgiven > 0,
    }
}

/// The longest that a tab waited for a pong or for the next event of a run.
fn longest_wait(result: &RunResult) -> u64 {
    let times = &result.checkers.ledger().times;
    [&times.pong, &times.first_event, &times.event_gap]
        .map(|times| times.quantile(1.0))
        .into_iter()
        .max()
        .unwrap_or(0)
}

#[test]
fn every_kind_happens_does_what_it_says_and_is_borne() {
    for kind in FaultKind::ALL {
        let mut seen = false;
        for seed in 1..=4 {
            let (with, without) =
                (play(&scenario(vec![rule(kind)]), seed), play(&scenario(Vec::new()), seed));
            assert!(
                with.faults.of(kind) > 0 && with.faults.total() == with.faults.of(kind),
                "{kind:?} {seed}"
            );
            assert_eq!(with.checkers.ledger().findings(), [], "{kind:?} {seed}");
            let counts = with.checkers.ledger().counts;
            assert_eq!((with.users_left, counts.users), (8, 8), "{kind:?} {seed}");
            seen |= did(kind, &with, &without);
        }
        assert!(seen, "{kind:?} showed no effect in any seed");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_with_everything_at_once() {
    let faults = FaultKind::ALL.into_iter().filter(|kind| *kind != FaultKind::Pass).map(rule).collect();
    let scenario = scenario(faults);
    for seed in 1..=5 {
        let once = |timelines| {
            let options = Options { timelines, ..Options::default() };
            reports::json::to_string(&crate::simulate(&scenario, seed, options).unwrap())
        };
        assert_eq!(once(3), once(3), "{seed}");
        assert_eq!(play(&scenario, seed).checkers.ledger().findings(), [], "{seed}");
    }
}

#[test]
fn a_rule_about_one_user_changes_nothing_for_another() {
    let only = Some(UserRange { low: 0, high: 0 });
    let lose = Fault { users: only, share: Share::new(0.5), ..rule(FaultKind::Lose) };
    let seen = |faults| {
        let mut lines = Vec::new();
        let mut take = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            lines.push((line["t"].clone(), line["in"]["text"].clone()));
            true
        };
        let options = Options { trace: Some(&mut take), ..Options::default() };
        let mine = World::new(scenario(faults), 3, options).unwrap();
        let canary = mine.plan.canary(5);
        mine.run();
        let said =
            |(_, text): &(_, serde_json::Value)| text.as_str().is_some_and(|text| text.contains(&canary));
        lines.into_iter().filter(said).collect::<Vec<_>>()
    };
    let (with, without) = (seen(vec![lose]), seen(Vec::new()));
    assert!(!with.is_empty());
    assert_eq!(with, without);
}

#[test]
fn what_a_fault_does_not_explain_is_found() {
    let scenario = scenario(vec![rule(FaultKind::Delay)]);
    let bounds = Bounds::new(router_config(&scenario).socket_window_frames);
    let router = Router::new(router_config(&scenario)).unwrap();
    let subject = Keeping { router, ends: true };
    let options = Options { findings_max: usize::MAX, ..Options::default() };
    let result = World::with_subject(scenario, 1, subject, bounds, options).run();
    let rules: Vec<&String> = result.checkers.ledger().by_rule().keys().collect();
    assert!(rules.iter().any(|rule| *rule == "live.pending"), "{rules:?}");
    let pending = result.checkers.ledger().findings().iter().find(|finding| finding.rule == "live.pending");
    let pending = pending.expect("kept");
    assert!(pending.user.is_some() && pending.detail.contains("waits for its end"), "{pending:?}");
}

#[test]
fn a_cut_both_ways_that_lasts_is_given_up_and_healed() {
    let cut = Fault { way: Way::Both, ..rule(FaultKind::Cut) };
    let result = play(&scenario(vec![cut]), 2);
    assert_eq!(result.checkers.ledger().findings(), []);
    let counts = result.checkers.ledger().counts;
    assert_eq!(counts.golden + counts.forgiven, counts.runs);
    assert!(result.ended_at_us > 40_000_000);
}

#[test]
fn the_legacy_server_bears_faults_too() {
    use crate::legacy::{Hazards, LegacyServer};
    for kind in [FaultKind::Delay, FaultKind::Lose, FaultKind::HalfOpen, FaultKind::Pause, FaultKind::Crash] {
        let scenario = scenario(vec![rule(kind)]);
        let limits = router_config(&scenario);
        let bounds = Bounds::new(limits.socket_window_frames);
        let server = LegacyServer::new(limits, Hazards::NONE);
        let result = World::with_subject(scenario, 1, server, bounds, Options::default()).run();
        assert_eq!(result.checkers.ledger().findings(), [], "{kind:?}");
    }
}

#[cfg(feature = "mutants")]
#[test]
fn a_planted_defect_is_found_under_faults() {
    use router::Mutant;
    for (mutant, rule_name) in [(Mutant::ReverseReplay, "deliver.I4"), (Mutant::ForgetAccount, "account.D10")]
    {
        let found = (1..=5).any(|seed| {
            let scenario = scenario(vec![rule(FaultKind::Avalanche), rule(FaultKind::Cut)]);
            let config = Config { mutant: Some(mutant), ..router_config(&scenario) };
            let world = World::with_config(scenario, seed, config, Options::default()).unwrap();
            world.run().checkers.ledger().by_rule().contains_key(rule_name)
        });
        assert!(found, "{mutant:?}");
    }
}

/// A router between whose effects and the world the ends of runs are kept back.
struct Keeping {
    router: Router,
    ends: bool,
}

impl Subject for Keeping {
    fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Effects) {
        let mut all = Effects::new();
        Router::handle(&mut self.router, now, input, &mut all);
        for effect in all.iter() {
            match effect {
                Effect::Send { conn, frame } => {
                    let text = all.frame(*frame).as_str();
                    if !(self.ends && text.contains("\"type\":\"agent_completed\"")) {
                        let frame = out.text(text);
                        out.push(Effect::Send { conn: *conn, frame });
                    }
                }
                Effect::Refused { ticket, frame, close } => {
                    let frame = out.text(all.frame(*frame).as_str());
                    out.push(Effect::Refused { ticket: *ticket, frame, close: *close });
                }
                Effect::Accepted { .. }
                | Effect::Ping { .. }
                | Effect::Close { .. }
                | Effect::StartRun(_)
                | Effect::CancelRun { .. }
                | Effect::RunTool(_)
                | Effect::CancelTool(_)
                | Effect::ToolAnswered(_)
                | Effect::AgentRefused(_)
                | Effect::AskQuality(_)
                | Effect::Audit(_)
                | Effect::Receipt(_)
                | Effect::Store(_)
                | Effect::PauseRun { .. }
                | Effect::ResumeRun { .. }
                | Effect::Redriven(_)
                | Effect::Swept { .. }
                | Effect::Drained => out.push(effect.clone()),
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        Subject::next_deadline(&self.router)
    }

    fn check(&self) -> Result<(), Breach> {
        Subject::check(&self.router)
    }

    fn verify(&self) -> Result<(), Breach> {
        Ok(())
    }

    fn held(&self) -> Held {
        Held::default()
    }

    fn pool(&self, now: Instant) -> (u64, u64) {
        Subject::pool(&self.router, now)
    }

    fn answer(&self, request: &QualityRequest, now: Instant) -> Option<Box<RawValue>> {
        Subject::answer(&self.router, request, now)
    }

    fn fresh(&self, number: u32) -> Self {
        Self { router: Subject::fresh(&self.router, number), ends: self.ends }
    }
}
