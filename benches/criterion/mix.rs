//! The mix of ten kinds of messages, with and without custom handlers of other types, and their registration.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use benches::workloads::{MIX_MESSAGES, Mix, Silent};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use router::{Config, Router};

fn mix(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mix");
    group.throughput(Throughput::Elements(MIX_MESSAGES as u64));
    for (name, handlers) in [("no handlers", 0), ("10 handlers", 10), ("1000 handlers", 1_000)] {
        let mut mix = Mix::new(handlers);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                (0..iterations).fold(Duration::ZERO, |spent, _| {
                    mix.prepare();
                    let begin = Instant::now();
                    mix.route();
                    let took = begin.elapsed();
                    assert_eq!(mix.settle(), MIX_MESSAGES / 5, "two of ten start a run");
                    spent + took
                })
            });
        });
    }
    group.finish();
}

fn registering(criterion: &mut Criterion) {
    criterion.bench_function("register 10 handlers", |bencher| {
        bencher.iter_batched(
            || Router::new(Config::default()).expect("the defaults are valid"),
            |mut router| {
                for _ in 0..10 {
                    _ = black_box(router.add_handler(Box::new(Silent::elsewhere())));
                }
                router
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, mix, registering);
criterion_main!(benches);
