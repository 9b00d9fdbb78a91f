use std::collections::BTreeMap;

use super::*;
use crate::coverage::Coverage;
use crate::legacy::Played;
use crate::plan::Plan;
use crate::prng::mix;
use crate::scenario::FaultKind;
use crate::world::{Options, World};

const PLAYS: Plays = Plays::Swarm { without: Vec::new() };

/// Seeds far apart, as a sweep that begins anywhere has them.
fn seeds(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(|number| if number % 2 == 0 { number } else { mix(number) >> 12 })
}

#[test]
fn every_scenario_keeps_the_rules_and_survives_its_text() {
    for seed in seeds(4_000) {
        let drawn = scenario(seed);
        let text = text(seed);
        let read = Scenario::parse("swarm", &text).unwrap_or_else(|error| panic!("{seed}: {error}\n{text}"));
        assert_eq!(read, drawn, "{seed}\n{text}");
        assert_eq!(read.hash(), drawn.hash());
    }
}

#[test]
fn what_an_ingredient_leaves_is_a_scenario() {
    let names: std::collections::BTreeSet<_> = Ingredient::all().map(Ingredient::name).collect();
    assert_eq!(names.len(), Ingredient::all().count());
    for ingredient in Ingredient::all() {
        assert_eq!(Ingredient::named(ingredient.name()), Some(ingredient));
        let mut changed = 0;
        for seed in 0..100 {
            let left = scenario_without(seed, &[ingredient]);
            let text = toml::to_string(&left).unwrap();
            let read = Scenario::parse("swarm", &text)
                .unwrap_or_else(|error| panic!("{ingredient}: {error}\n{text}"));
            assert_eq!(read, left);
            changed += u32::from(left != scenario(seed));
        }
        assert!(changed > 0, "{ingredient} is in none of the seeds");
    }
}

#[test]
fn a_seed_draws_the_same_whatever_was_drawn_before() {
    let alone = scenario(77);
    _ = scenario(76);
    assert_eq!(scenario(77), alone);
    assert_ne!(scenario(78).hash(), alone.hash());
}

#[test]
fn each_operation_and_each_fault_exists_in_some_seeds_and_is_absent_from_others() {
    let drawn: Vec<Scenario> = (0..1_000).map(scenario).collect();
    let mut share: BTreeMap<String, u32> = BTreeMap::new();
    for scenario in &drawn {
        for (kind, weight) in scenario.session.mix.weights().into_iter().enumerate() {
            *share.entry(format!("mix {kind}")).or_default() += u32::from(weight > 0);
        }
        for kind in FaultKind::ALL {
            let exists = scenario.faults.iter().any(|fault| fault.kind == kind);
            *share.entry(format!("fault {}", kind.name())).or_default() += u32::from(exists);
        }
        let (session, agent, network) = (&scenario.session, &scenario.agent, &scenario.network);
        for (name, exists) in [
            ("stops", session.stop_share.get() > 0.0),
            ("set-up", session.during_setup.get() > 0.0 && scenario.limits.ready_after.is_some()),
            ("tools", agent.tools_per_run.max() > 0),
            ("parallel", agent.tools_per_run.max() > 1 && agent.parallel_share.get() > 0.0),
            ("unruly", agent.unruly_share.get() > 0.0),
            ("deaf", agent.deaf_share.get() > 0.0),
            ("dispatched tools", agent.dispatched_share.get() > 0.0),
            ("notices", scenario.host.notices.high > 0),
            ("silence", agent.timeout_share.get() > 0.0),
            ("lost connections", network.disconnect_share.get() > 0.0),
            ("slow readers", scenario.slow_reader.share.get() > 0.0),
            ("tabs", scenario.users.tabs.max() > 1),
            ("one user", scenario.users.count == 1),
            ("no fault", scenario.faults.is_empty()),
            ("small queue", scenario.limits.outbound_frames_max.is_some_and(|frames| frames < 100)),
            ("small window", scenario.limits.recovery_frames_max.is_some_and(|frames| frames < 100)),
            ("small rate", scenario.limits.rate_per_s.is_some_and(|rate| rate < 30)),
        ] {
            *share.entry(name.to_owned()).or_default() += u32::from(exists);
        }
    }
    for (name, times) in &share {
        assert!((20..=980).contains(times), "{name} exists in {times} of 1000 seeds");
    }
    assert!((250..=350).contains(&share["no fault"]), "{share:?}");
}

/// What a million seeds must amount to, by the plans alone: run events are but a part of what is delivered.
#[test]
fn seeds_are_large_enough_on_the_average_and_small_ones_are_many() {
    let mut frames: Vec<u64> =
        (0..400).map(|seed| Plan::new(scenario(seed), seed).summary().run_frames_out).collect();
    frames.sort_unstable();
    let mean = frames.iter().sum::<u64>() / frames.len() as u64;
    assert!((1_800..4_500).contains(&mean), "mean {mean}, median {}", frames[200]);
    assert!(frames[200] < mean / 2, "median {}", frames[200]);
}

#[test]
fn a_seed_alone_is_the_seed_in_a_sweep() {
    let mut shared = Coverage::new();
    let swept: Vec<_> =
        (0..40).map(|seed| play(&PLAYS, seed, &Played::Router, &mut shared).unwrap()).collect();
    for seed in [0, 17, 39] {
        let mut own = Coverage::new();
        let alone = play(&PLAYS, seed, &Played::Router, &mut own).unwrap();
        assert_eq!(alone, swept[seed as usize]);
        let world = World::new(scenario(seed), seed, Options::default()).unwrap().run();
        assert_eq!(format!("{:032x}", alone.hash), world.hash, "watching changes nothing");
    }
}

#[test]
fn seeds_without_faults_go_as_planned() {
    let mut coverage = Coverage::new();
    for seed in (0..400).filter(|&seed| scenario(seed).faults.is_empty()) {
        let played = play(&PLAYS, seed, &Played::Router, &mut coverage).unwrap();
        assert_eq!(played.findings, [], "seed {seed}");
    }
}
