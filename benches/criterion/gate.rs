//! The benchmarks of the gate, for exploration: criterion compares with what it measured before, which decides nothing.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use gate_worker::{bodies::Benchmark, slot::Bench};

fn gate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gate");
    for benchmark in Benchmark::ALL {
        let mut bench = Bench::new(benchmark.make(), 0);
        group.bench_function(benchmark.name, |bencher| {
            bencher.iter_custom(|iterations| Duration::from_nanos(bench.run(iterations).wall_ns));
        });
    }
    group.finish();
}

criterion_group!(benches, gate);
criterion_main!(benches);
