//! Routing one message of 300 bytes to its `StartRun`, and parsing the same bytes with serde.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use std::{hint::black_box, time::Duration};

use benches::workloads::{Chat, MESSAGE_BYTES, PlainEnvelope};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const BATCH: usize = 16;

fn routing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("routing");
    group.throughput(Throughput::Bytes(MESSAGE_BYTES as u64));
    for (name, users, step_us) in [("1000 users", 1_000, 10_000), ("100000 users", 100_000, 1)] {
        let mut chat = Chat::new(users, step_us);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let mut spent = Duration::ZERO;
                let mut left = iterations as usize;
                while left > 0 {
                    let batch = left.min(BATCH);
                    chat.prepare(batch);
                    let begin = std::time::Instant::now();
                    chat.route();
                    spent += begin.elapsed();
                    assert_eq!(chat.settle(), batch, "every message starts a run");
                    left -= batch;
                }
                spent
            });
        });
    }
    let mut chat = Chat::new(1, 0);
    chat.prepare(1);
    let text = chat.texts().next().unwrap_or_default().to_owned();
    group.bench_function("serde", |bencher| {
        bencher.iter(|| black_box(serde_json::from_str::<PlainEnvelope<'_>>(black_box(&text))).is_ok());
    });
    group.finish();
}

criterion_group!(benches, routing);
criterion_main!(benches);
