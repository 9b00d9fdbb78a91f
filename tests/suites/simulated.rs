//! Whole scenarios in virtual time, held to the one standard of all suites: everything, for everybody, once and in order.

use router::Stats;
use simulator::{
    Options, World,
    checkers::{Counts, Times},
    plan::{Plan, Summary},
    scenario::Scenario,
};

/// What came of a scenario.
pub(crate) struct Played {
    pub(crate) planned: Summary,
    pub(crate) counts: Counts,
    pub(crate) times: Times,
    pub(crate) stats: Stats,
}

/// Plays a scenario, given by its sections, and demands that nothing went wrong for anybody: no finding of any checker
/// (isolation, order, delivery, bounds, accounts), every planned run ended as planned on every tab, every tab took every
/// event of its user exactly once, and nobody and nothing is left.
pub(crate) fn flawless(sections: &str, seed: u64) -> Played {
    let text = format!("schema = 1\nname = \"suite\"\nabout = \"written by a test\"\n{sections}");
    let scenario = Scenario::parse("suite", &text).unwrap_or_else(|error| panic!("{error}"));
    let planned = Plan::new(scenario.clone(), seed).summary();
    let result = World::new(scenario, seed, Options::default()).expect("valid limits").run();
    let ledger = result.checkers.ledger();
    assert_eq!((ledger.findings(), ledger.total()), (&[][..], 0), "seed {seed}");
    let counts = ledger.counts;
    assert!(planned.runs > 0, "a scenario without runs proves nothing");
    assert_eq!(
        (counts.users, counts.runs),
        (planned.users, planned.runs),
        "seed {seed}: all of it took place"
    );
    assert_eq!((counts.golden, counts.full_golden), (planned.runs, planned.full_golden), "seed {seed}");
    assert_eq!(counts.events, planned.run_frames_out, "seed {seed}: every tab took every event once");
    let (connections, runs) = (result.stats.connections, result.stats.runs);
    assert_eq!((connections.open, connections.users, runs.open), (0, 0, 0), "seed {seed}: left in the end");
    Played { planned, counts, times: ledger.times.clone(), stats: result.stats }
}

/// The longest of some times, microseconds. A time is kept to three digits, so this may lie a thousandth above.
pub(crate) fn longest(times: &reports::Distribution) -> u64 {
    assert!(!times.is_empty(), "nothing was timed");
    times.quantile(1.0)
}
