//! A small world with and without checkers, and the router alone on the same inputs.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use benches::figures::Recording;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use simulator::{
    scenario::Scenario,
    world::{Options, World},
};

const SEED: u64 = 1;

fn simulation(criterion: &mut Criterion) {
    let mut scenario = Scenario::default();
    scenario.users.count = 50;
    let recording = Recording::of(&scenario, SEED).expect("the defaults are valid");
    let mut group = criterion.benchmark_group("simulation");
    group.sample_size(20).throughput(Throughput::Elements(recording.inputs() as u64));
    for (name, checkers) in [("all checkers", true), ("no checkers", false)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let options = Options { checkers, ..Options::default() };
                World::new(scenario.clone(), SEED, options).expect("the defaults are valid").run().inputs
            });
        });
    }
    group.bench_function("router alone", |bencher| bencher.iter(|| recording.play()));
    group.finish();
}

criterion_group!(benches, simulation);
criterion_main!(benches);
