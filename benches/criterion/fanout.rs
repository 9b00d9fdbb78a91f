//! One frame to many connections, and one handle into as many rings.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use std::time::{Duration, Instant};

use benches::workloads::{Audience, FanOut, Rings};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn fanout(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fanout");
    for (name, audience, recipients) in [
        ("broadcast to 1000", Audience::Users, 1_000),
        ("event to 3 tabs", Audience::Tabs, 3),
        ("event to 1000 tabs", Audience::Tabs, 1_000),
    ] {
        group.throughput(Throughput::Elements(u64::from(recipients)));
        let mut fan_out = FanOut::new(audience, recipients);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                (0..iterations).fold(Duration::ZERO, |spent, _| {
                    let begin = Instant::now();
                    fan_out.send();
                    let took = begin.elapsed();
                    assert_eq!(fan_out.clear(), recipients as usize, "everybody is sent to");
                    fan_out.written();
                    spent + took
                })
            });
        });
    }
    let mut rings = Rings::new(1_000);
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("rings, 1000", |bencher| {
        bencher.iter_custom(|iterations| {
            (0..iterations).fold(Duration::ZERO, |spent, handle| {
                let begin = Instant::now();
                rings.send(handle);
                let took = begin.elapsed();
                rings.clear();
                spent + took
            })
        });
    });
    group.finish();
}

criterion_group!(benches, fanout);
criterion_main!(benches);
