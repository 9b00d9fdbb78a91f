//! The mix of ten kinds of messages, and what custom handlers cost.

use std::{hint::black_box, time::Duration};

use reports::Unit;
use router::{Config, Router};

use super::{
    Goal, Row,
    rounds::{ROUNDS, Rounds, Spread, timed},
};
use crate::workloads::{MIX_MESSAGES, Mix, Silent};

/// Custom handlers of other types, in the comparison with none.
const HANDLERS: u32 = 1_000;
/// Mixes of each side in one round of that comparison.
const MIXES: usize = 5;
/// Custom handlers whose registration is timed.
const REGISTERED: usize = 10;

pub(super) fn rows() -> Vec<Row> {
    let [average, p99] = latency();
    vec![average, p99, registration(), handlers()]
}

fn latency() -> [Row; 2] {
    let mut mix = Mix::new(0);
    let (mut averages, mut nanos) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        mix.prepare();
        let took = timed(|| mix.route());
        check(&mut mix);
        mix.prepare();
        // The first round warms up.
        if round == 0 {
            mix.route();
        } else {
            averages.push(took.as_nanos() as f64 / MIX_MESSAGES as f64 / 1e3);
            mix.route_each(&mut nanos);
        }
        check(&mut mix);
    }
    nanos.sort_unstable();
    let percentile =
        |percent: usize| nanos.get(nanos.len() * percent / 100).map_or(f64::NAN, |n| *n as f64 / 1e3);
    let average = Spread::of(averages.into_iter());
    [
        Row {
            key: "mix_average",
            label: "a message of ten kinds in turn, with the report of what was written".to_owned(),
            value: average.median,
            unit: Unit::Microseconds,
            goal: Goal::Fact,
            detail: format!(
                "per message min {:.2}, median {:.2}, max {:.2} us; {ROUNDS} rounds of {MIX_MESSAGES}; of a router that this one replaces, 13 us are on record",
                average.min, average.median, average.max
            ),
        },
        Row {
            key: "mix_p99",
            label: "the same, 99th percentile".to_owned(),
            value: percentile(99),
            unit: Unit::Microseconds,
            goal: Goal::Fact,
            detail: format!(
                "p50 {:.2}, p95 {:.2}, p99 {:.2} us of {} messages, each timed alone, the clock's own time included; on record: 13.4, 15.5, 18.4 us",
                percentile(50),
                percentile(95),
                percentile(99),
                nanos.len()
            ),
        },
    ]
}

fn registration() -> Row {
    let mut micros = Vec::new();
    for round in 0..=ROUNDS {
        let mut router = Router::new(Config::default()).expect("the defaults are valid");
        let took = timed(|| {
            for _ in 0..REGISTERED {
                _ = black_box(router.add_handler(Box::new(Silent::elsewhere())));
            }
        });
        assert_eq!(router.sizes().handlers, REGISTERED, "each was registered");
        if round > 0 {
            micros.push(took.as_nanos() as f64 / 1e3);
        }
    }
    let spread = Spread::of(micros.into_iter());
    Row {
        key: "handlers_registered_10",
        label: format!("registering {REGISTERED} custom handlers"),
        value: spread.median,
        unit: Unit::Microseconds,
        goal: Goal::Fact,
        detail: format!(
            "min {:.2}, median {:.2}, max {:.2} us together; {ROUNDS} rounds; on record: 6.0 us",
            spread.min, spread.median, spread.max
        ),
    }
}

fn handlers() -> Row {
    let (mut many, mut none) = (Mix::new(HANDLERS), Mix::new(0));
    let mut rounds = Rounds::default();
    for round in 0..=ROUNDS {
        let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..MIXES {
            for (mix, time) in [(&mut many, &mut ours), (&mut none, &mut theirs)] {
                mix.prepare();
                *time += timed(|| mix.route());
                check(mix);
            }
        }
        if round > 0 {
            rounds.add(ours, theirs, MIXES * MIX_MESSAGES);
        }
    }
    Row {
        key: "handlers_1000",
        label: format!("the mix with {HANDLERS} custom handlers of other types, against none"),
        value: rounds.ratio().median,
        unit: Unit::Ratio,
        goal: Goal::AtMost(1.25),
        detail: rounds.told("with them", "without"),
    }
}

fn check(mix: &mut Mix) {
    assert_eq!(mix.settle(), MIX_MESSAGES / 5, "two of ten start a run");
}
