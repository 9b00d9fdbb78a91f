//! Small worlds explored whole: they are quiet, symmetry counts exactly what it leaves out, and planted defects are found.

use reports::Verdict;
use simulator::explore::{End, NAMED, Options, Outcome, Scope, explore, report};

fn explored(scope: &str, symmetry: bool) -> Outcome {
    let scope = Scope::parse(scope).expect("a scope");
    explore(Options { symmetry, ..Options::new(scope) }).expect("a world of it")
}

#[test]
fn small_worlds_are_quiet() {
    for (scope, least) in [
        ("users=1,tabs=1,tools=1,disconnects=1,retries=1", 400),
        ("users=1,tabs=2,runs=1,tools=1,disconnects=1,retries=1", 3_000),
        ("users=1,tabs=1,runs=1,tools=1,stalls=1,ticks=2,stops=1", 500),
        ("users=2,tabs=1,runs=2,disconnects=1", 10_000),
        ("users=2,tabs=1,runs=1,tools=1,intrusions=2", 150),
    ] {
        let outcome = explored(scope, true);
        assert_eq!(outcome.end, End::Complete, "{scope}");
        assert!(
            outcome.states >= least,
            "{scope}: {} states are not what it was meant to be",
            outcome.states
        );
        assert!(outcome.terminal > 0 && outcome.transitions >= outcome.states - 1, "{scope}");
        let report = report(&outcome);
        assert_eq!((report.verdict, report.findings_total), (Verdict::Pass, 0));
        assert!(report.reasons[0].starts_with("no violation in this scope"));
    }
}

/// What symmetry says it leaves out is what a search without it visits: states, one by one.
#[test]
fn symmetry_leaves_out_what_differs_in_names_only() {
    for (scope, saves) in [
        ("users=1,tabs=1,tools=1,disconnects=1,retries=1", 1.0),
        ("users=2,tabs=2,runs=2", 4.5),
        ("users=3,tabs=1,runs=2", 4.0),
        ("users=1,tabs=3,runs=1,tools=1", 4.0),
        ("users=1,tabs=2,runs=1,tools=1,disconnects=1,retries=1", 1.9),
        ("users=2,tabs=1,runs=2,tools=1,retries=1,stalls=1", 1.9),
        ("users=1,tabs=2,runs=1,ticks=1,stops=1,stalls=1", 1.5),
        ("users=2,tabs=1,runs=1,intrusions=1", 1.5),
        ("users=2,tabs=2,runs=1,late=1,disconnects=1", 3.0),
    ] {
        let (with, without) = (explored(scope, true), explored(scope, false));
        assert_eq!((&with.end, &without.end), (&End::Complete, &End::Complete), "{scope}");
        assert_eq!((with.labelled, with.depth), (without.states, without.depth), "{scope}");
        assert_eq!(without.labelled, without.states, "{scope}: without symmetry a state stands for itself");
        let saved = without.states as f64 / with.states as f64;
        assert!(saved >= saves, "{scope}: {} of {} states", with.states, without.states);
    }
}

#[test]
fn an_exploration_repeats_and_does_not_depend_on_what_it_could_keep() {
    let scope = Scope::parse("users=1,tabs=2,runs=1,tools=1,disconnects=1").unwrap();
    let with = |memory_bytes| explore(Options { memory_bytes, ..Options::new(scope) }).unwrap();
    let (roomy, again, tight) = (with(1 << 30), with(1 << 30), with(5 << 20));
    assert_eq!(roomy, again);
    assert_eq!(roomy.end, End::Complete);
    assert_eq!(Outcome { bytes: roomy.bytes, ..tight.clone() }, roomy);
    assert!(tight.bytes < roomy.bytes, "most worlds were played anew");
}

#[test]
fn what_does_not_fit_is_said_to_be_unfinished() {
    let scope = Scope::parse("full").unwrap();
    let outcome = explore(Options { memory_bytes: 2 << 20, ..Options::new(scope) }).unwrap();
    assert!(matches!(outcome.end, End::Stopped { depth: 1.., expanded: 1.. }), "{:?}", outcome.end);
    let report = report(&outcome);
    assert_eq!((report.verdict, report.verdict.exit_code()), (Verdict::Inconclusive, 4));
    let mut calls = 0;
    let mut stop = |_: &simulator::explore::Progress| {
        calls += 1;
        calls < 2
    };
    let outcome = explore(Options { progress: Some(&mut stop), ..Options::new(scope) }).unwrap();
    assert!(matches!(outcome.end, End::Stopped { expanded: 8_192, .. }), "{:?}", outcome.end);
}

#[test]
fn the_chance_of_a_collision_is_bounded() {
    let mut outcome = explored("users=1,tabs=1", true);
    outcome.states = 1 << 20;
    // 2^20 × 2^20 / 2 pairs are just below 2^39.
    assert_eq!(outcome.collision_bits(), 128 - 39);
}

#[test]
fn the_named_scopes_are_worlds() {
    for (name, ..) in NAMED {
        let mut options = Options::new(Scope::parse(name).unwrap());
        let mut stop = |_: &simulator::explore::Progress| false;
        options.progress = Some(&mut stop);
        let outcome = explore(options).unwrap();
        assert!(matches!(outcome.end, End::Stopped { expanded: 4_096, .. }), "{name}: {:?}", outcome.end);
    }
}

#[cfg(feature = "mutants")]
mod mutants {
    use router::Mutant;

    use super::*;

    fn with(mutant: Mutant, scope: &str, symmetry: bool) -> Outcome {
        let mut options = Options::new(Scope::parse(scope).expect("a scope"));
        options.config.mutant = Some(mutant);
        options.symmetry = symmetry;
        explore(options).expect("a world of it")
    }

    /// The rule and the number of steps of a defect's counter-example, which no other search makes shorter.
    fn found(mutant: Mutant, scope: &str) -> (String, usize) {
        let outcome = with(mutant, scope, true);
        let End::Broken(example) = &outcome.end else { panic!("{}: {:?}", mutant.name(), outcome.end) };
        let End::Broken(other) = with(mutant, scope, false).end else {
            panic!("{}: with symmetry only", mutant.name())
        };
        assert_eq!(example.steps.len(), other.steps.len(), "{}", mutant.name());
        // Breadth first: all shorter ways were gone.
        assert_eq!(outcome.depth as usize, example.steps.len(), "{}", mutant.name());
        (example.breach.rule.clone(), example.steps.len())
    }

    #[test]
    fn isolation_defects_are_found_by_a_shortest_counter_example() {
        let two = "users=2,tabs=1,runs=2,disconnects=1,intrusions=1";
        let rows = [
            // Both connect; the host delivers to the other's connection.
            (Mutant::SkipOwnerCheck, "iso.I1", 3),
            // One connects and speaks in the other's name.
            (Mutant::SilentForeignId, "iso.I4", 2),
            // Both connect, one says something, the other stops it.
            (Mutant::StopBySlot, "iso.I4", 4),
            // The later one has a window when the earlier one is replayed something.
            (Mutant::ReplayNeighbour, "iso.I1", 8),
            // Both connect, the later one says something, and the events go to the earlier one: with symmetry alone, it would be
            // five steps, for there is no earlier one.
            (Mutant::RunForConn, "iso.I1", 4),
        ];
        for (mutant, rule, steps) in rows {
            let (broken, taken) = found(mutant, two);
            assert_eq!((broken.as_str(), taken), (rule, steps), "{}", mutant.name());
        }
    }

    #[test]
    fn defects_of_other_kinds_are_found_too() {
        let one = "users=1,tabs=2,runs=2,tools=1,disconnects=1,retries=1,stalls=1";
        for (mutant, family) in [
            (Mutant::ForgetDedupe, "golden."),
            (Mutant::DropReplay, "deliver."),
            (Mutant::ReplayOneShort, "deliver."),
            (Mutant::ReverseReplay, "deliver."),
            (Mutant::FirstTabOnly, "deliver."),
            (Mutant::ForgetInFlight, "account."),
            (Mutant::WindowOneMore, "bounds."),
        ] {
            let outcome = with(mutant, one, true);
            let End::Broken(example) = outcome.end else { panic!("{} was not found", mutant.name()) };
            assert!(example.breach.rule.starts_with(family), "{}: {}", mutant.name(), example.breach);
        }
    }

    #[test]
    fn a_counter_example_says_who_does_what_and_what_came_of_it() {
        let outcome = with(Mutant::SkipOwnerCheck, "users=2,tabs=1,runs=1,intrusions=1", true);
        let report = report(&outcome);
        assert_eq!(report.verdict, Verdict::IsolationBreach);
        assert!(report.reasons[0].contains("broken in 3 steps"), "{:?}", report.reasons);
        assert!(report.reasons[1].starts_with("  1. user 0, tab 0: connects\n"), "{:?}", report.reasons);
        assert!(report.reasons[3].contains("the host: delivers something of user"), "{:?}", report.reasons);
        assert_eq!(report.findings[0].rule, "iso.I1");
    }
}
