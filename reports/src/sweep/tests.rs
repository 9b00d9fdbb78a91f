use super::*;
use crate::json;

const HOW_MANY: u64 = 40;

/// Some seed: every fifth breaks a rule, every eleventh crosses users.
fn outcome(seed: u64) -> SeedOutcome {
    let rule = match seed {
        seed if seed % 11 == 3 => Some("iso.I1"),
        seed if seed % 5 == 2 => Some("run.R3"),
        _ => None,
    };
    let findings: Vec<Finding> =
        rule.iter().map(|rule| Finding::new(*rule, "checker", seed * 7, format!("of seed {seed}"))).collect();
    SeedOutcome {
        seed,
        hash: u128::from(seed) * 0x1234_5678_9abc_def1,
        virtual_us: 1_000 * (seed % 7),
        active_us: 10 * seed,
        inputs: 100 + seed * 13 % 17,
        received: 3,
        delivered: 20 + seed,
        users: 2,
        runs: 1,
        by_rule: rule.iter().map(|rule| ((*rule).to_owned(), 2)).collect(),
        findings,
    }
}

fn conditions(range: SeedRange) -> Vec<Condition> {
    let condition = |name: &str, every: u64| {
        let met: Vec<u64> = (range.from..range.to).filter(|seed| seed % every == every / 2).collect();
        Condition {
            name: name.to_owned(),
            about: "about".to_owned(),
            seeds: met.len() as u64,
            first_seed: met.first().copied(),
        }
    };
    vec![condition("often", 2), condition("rarely", 31), condition("never", 1_000_000)]
}

fn triples(range: SeedRange) -> Triples {
    let triple = |seed: u64| Triple {
        place: u32::try_from(seed % 9).expect("small"),
        state: "working".to_owned(),
        event: "ping".to_owned(),
        fault: format!("fault {}", seed % 9),
        times: 1,
        first_seed: seed,
    };
    let mut triples = Triples { possible: 20, met: Vec::new() };
    for seed in range.from..range.to {
        triples.join(&Triples { possible: 20, met: vec![triple(seed)] });
    }
    triples
}

fn swept(range: SeedRange) -> Report {
    let mut sweep = Sweep::new("--swarm", "", range, 2);
    sweep.demand_from = Some(HOW_MANY);
    // Another order than that of the seeds: it must not matter.
    (range.from..range.to).rev().for_each(|seed| sweep.add(&outcome(seed)));
    sweep.played = vec![range];
    sweep.conditions = conditions(range);
    sweep.triples = triples(range);
    sweep.measured = Some(Measured { cpu_us: 10, wall_us: 5, jobs: 2 });
    let scenario = ScenarioRef { name: "swarm".into(), about: String::new(), hash: "abc".into() };
    report(Tool::new("goldenpath", "0.1.0"), scenario, sweep)
}

fn parts(of: u32) -> Vec<(String, Report)> {
    let whole = SeedRange { from: 0, to: HOW_MANY };
    (1..=of).map(|part| (format!("{part}.json"), swept(whole.part(part, of)))).collect()
}

fn unmeasured(mut report: Report) -> Report {
    if let Some(sweep) = report.sweep.as_mut() {
        sweep.measured = None;
    }
    report
}

#[test]
fn merged_parts_are_the_sweep_that_was_never_divided() {
    let whole = unmeasured(swept(SeedRange { from: 0, to: HOW_MANY }));
    for of in [1, 2, 3, 7, 40] {
        let mut parts = parts(of);
        parts.reverse();
        let merged = merge(&parts).expect("parts of one sweep");
        let measured = merged.sweep.as_ref().and_then(|sweep| sweep.measured).expect("measured");
        assert_eq!((measured.cpu_us, measured.wall_us, measured.jobs), (10 * u64::from(of), 5, 2 * of));
        assert_eq!(json::to_string(&unmeasured(merged)), json::to_string(&whole), "{of} parts");
    }
}

#[test]
fn the_fastest_seeds_of_a_rule_are_kept_with_the_command_that_plays_them() {
    let report = swept(SeedRange { from: 0, to: HOW_MANY });
    let sweep = report.sweep.as_ref().expect("a sweep");
    let fastest = &sweep.rules["run.R3"].fastest;
    let mut ranks: Vec<_> = (0..HOW_MANY)
        .map(outcome)
        .filter(|outcome| outcome.by_rule.contains_key("run.R3"))
        .map(|outcome| (outcome.inputs, outcome.virtual_us, outcome.seed))
        .collect();
    ranks.sort_unstable();
    assert_eq!(fastest.iter().map(Failing::rank).collect::<Vec<_>>(), ranks[..2]);
    let again = format!("goldenpath sim --swarm --seed {}", fastest[0].seed);
    assert!(report.findings.iter().any(|finding| finding.detail.ends_with(&again)), "{again}");
    assert_eq!(report.findings[0].rule, "iso.I1");
    assert_eq!(report.verdict, Verdict::IsolationBreach);
}

#[test]
fn a_condition_that_was_never_met_fails_a_sweep_that_demands_it() {
    let range = SeedRange { from: 0, to: 20 };
    let quiet = |demand_from| {
        let mut sweep = Sweep::new("--swarm", "", range, 2);
        sweep.demand_from = demand_from;
        (0..20).for_each(|seed| sweep.add(&SeedOutcome { by_rule: BTreeMap::new(), ..outcome(seed) }));
        sweep.conditions = conditions(range);
        let scenario = ScenarioRef { name: "swarm".into(), about: String::new(), hash: "abc".into() };
        report(Tool::new("goldenpath", "0.1.0"), scenario, sweep)
    };
    assert_eq!(quiet(None).verdict, Verdict::Pass);
    assert_eq!(quiet(Some(21)).verdict, Verdict::Pass);
    let demanded = quiet(Some(20));
    assert_eq!(demanded.verdict, Verdict::Unreached);
    assert!(demanded.reasons[0].contains("never met in 20 seeds: never"), "{:?}", demanded.reasons);
    let failed: Vec<&str> =
        demanded.cases.iter().filter(|case| case.outcome.is_bad()).map(|case| case.name.as_str()).collect();
    assert_eq!(failed, ["never"]);
}

#[test]
fn what_is_no_part_of_the_sweep_is_refused_by_name() {
    let refusal = |change: &dyn Fn(&mut Report)| {
        let mut parts = parts(2);
        change(&mut parts[1].1);
        merge(&parts).expect_err("refused").to_string()
    };
    let sweep = |change: fn(&mut Sweep)| refusal(&|report| change(report.sweep.as_mut().expect("a sweep")));
    for (text, words) in [
        (refusal(&|report| report.sweep = None), "the report of a sweep"),
        (refusal(&|report| report.tool.version = "9".into()), "another version than in 1.json"),
        (
            refusal(&|report| report.scenario.as_mut().expect("named").hash = "x".into()),
            "another profile than in 1.json: `swarm x`",
        ),
        (sweep(|sweep| sweep.arguments = " --subject legacy".into()), "another subject"),
        (sweep(|sweep| sweep.played[0].to += 1), "ranges hold 21"),
        (sweep(|sweep| sweep.totals.hash = SeedHash(1)), "its hash"),
        (
            sweep(|sweep| {
                sweep.played[0].from -= 1;
                sweep.totals.seeds += 1;
            }),
            "seeds 19..20 are in 1.json",
        ),
    ] {
        assert!(text.starts_with("2.json: ") && text.contains(words), "{text}");
    }
    assert_eq!(merge(&[]), Err(MergeRefusal::Empty));
}

#[test]
fn a_sweep_survives_its_own_format_and_shows_in_every_other() {
    let report = swept(SeedRange { from: 0, to: HOW_MANY });
    assert_eq!(json::from_str(&json::to_string(&report)).as_ref(), Ok(&report));
    for text in [
        crate::text::render(&report),
        crate::markdown::render(&report),
        crate::html::render(&report),
        crate::junit::render(&report),
    ] {
        assert!(text.contains("rarely") && text.contains("of seed "), "{text}");
    }
}
