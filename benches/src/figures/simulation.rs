//! The simulator's speed, what it costs beside the router, and its memory.

use std::{hint::black_box, time::Duration};

use reports::Unit;
use simulator::{
    scenario::{Scenario, embedded},
    world::{Options, World},
};

use super::{Goal, Row, process, replay::Recording, rounds::Spread};

/// Runs of the default workload; each takes about a second.
const RUNS: usize = 5;

pub(super) fn speed() -> Vec<Row> {
    let scenario = scenario("golden-path");
    let seed = scenario.seed;
    let recording = Recording::of(&scenario, seed).expect("the scenario's limits are valid");
    let mut messages = 0;
    let (mut worlds, mut routers) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        worlds.push(on_processor(|| {
            let world = World::new(scenario.clone(), seed, Options::default());
            let result = world.expect("the scenario's limits are valid").run();
            messages = result.delivered;
        }));
        routers.push(on_processor(|| {
            let stats = black_box(recording.play()).expect("the recorded limits are valid");
            assert_eq!(stats, recording.stats, "the replay did what the run did");
        }));
    }
    let seconds = |times: &[Duration]| Spread::of(times.iter().map(Duration::as_secs_f64));
    let rates = Spread::of(worlds.iter().map(|time| messages as f64 / time.as_secs_f64()));
    let ratios =
        worlds.iter().zip(&routers).map(|(world, router)| world.as_secs_f64() / router.as_secs_f64());
    let ratio = Spread::of(ratios);
    let (world, router) = (seconds(&worlds).median, seconds(&routers).median);
    vec![
        Row {
            key: "simulation_rate",
            label: "frames delivered per CPU second of the default scenario, all checkers on".to_owned(),
            value: rates.median,
            unit: Unit::PerSecond,
            goal: Goal::AtLeast(2_000_000.0),
            detail: format!(
                "min {:.0}, max {:.0}; {messages} frames in {world:.3} s, {RUNS} runs",
                rates.min, rates.max
            ),
        },
        Row {
            key: "simulation_cost",
            label: "the simulator's cost, against the router alone".to_owned(),
            value: ratio.median,
            unit: Unit::Ratio,
            goal: Goal::AtMost(4.0),
            detail: format!(
                "min {:.2}, max {:.2}; simulator {world:.3} s, router {router:.3} s for {} inputs",
                ratio.min,
                ratio.max,
                recording.inputs()
            ),
        },
    ]
}

pub(super) fn memory() -> Vec<Row> {
    let scenario = scenario("many-users");
    let users = u64::from(scenario.users.count);
    let was_reset = process::reset_peak();
    let Some((before, _)) = process::memory() else { return Vec::new() };
    let mut left = 0;
    let time = on_processor(|| {
        let world = World::new(scenario.clone(), scenario.seed, Options::default());
        left = world.expect("the scenario's limits are valid").run().users_left;
    });
    let Some((_, peak)) = process::memory() else { return Vec::new() };
    let each = peak.saturating_sub(before) / users;
    vec![Row {
        key: "simulation_memory",
        label: "peak resident memory per user, 100,000 users".to_owned(),
        value: each as f64,
        unit: Unit::Bytes,
        goal: Goal::AtMost(40_000.0),
        detail: format!(
            "peak {} MiB, {} MiB before; {left} of {users} users left after {:.1} CPU seconds{}",
            peak >> 20,
            before >> 20,
            time.as_secs_f64(),
            if was_reset { "" } else { "; the peak could not be reset first" }
        ),
    }]
}

fn scenario(wanted: &str) -> Scenario {
    let found = embedded().iter().find(|(name, _)| *name == wanted);
    let (name, text) = found.expect("the scenario is compiled in");
    Scenario::parse(name, text).expect("the scenario is valid")
}

fn on_processor(work: impl FnOnce()) -> Duration {
    let (wall, begin) = (std::time::Instant::now(), process::cpu_time());
    work();
    match (begin, process::cpu_time()) {
        (Some(begin), Some(end)) => end.saturating_sub(begin),
        _ => wall.elapsed(),
    }
}
