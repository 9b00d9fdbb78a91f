//! What needs no clock: the same numbers wherever and whenever the same code runs.

mod scenarios;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::scenarios::{Latency, PlayedScenario};
use crate::{
    bodies::{Benchmark, Body, Tally},
    protocol::PROTOCOL,
};

/// Units ahead of those that are counted: what a first message allocates is there by then.
const WARM_UP_UNITS: usize = 2_048;

/// Units that are counted.
const UNITS: usize = 1_024;

/// Everything exact about one side, in canonical order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exact {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The benchmarks, by name.
    pub benchmarks: BTreeMap<String, Counted>,
    /// The scenarios, by name.
    pub scenarios: BTreeMap<String, PlayedScenario>,
}

/// What a fixed number of units of a benchmark took. Sums, not averages: integers compare exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Hash of what the router was fed with.
    pub corpus: String,
    /// How many units.
    pub units: u64,
    /// Inputs of the router: from outside, and the deadlines that it asked for.
    pub hops: u64,
    /// Effects it asked for.
    pub effects: u64,
    /// Frames among them, one for every recipient.
    pub sends: u64,
    /// Bytes of the frames it encoded and of the texts it handed on.
    pub copied_bytes: u64,
    /// Allocations and reallocations.
    pub allocations: u64,
    /// Bytes that were asked for by them.
    pub allocated_bytes: u64,
    /// Hash of every effect.
    pub digest: String,
}

/// Counts allocations around a piece of work: `(allocations, bytes)`. Whoever has the allocator gives it.
pub type CountAllocations<'a> = &'a dyn Fn(&mut dyn FnMut()) -> (u64, u64);

/// Counts and plays everything. Scenarios with more than `users_max` users are left out.
pub fn measure(count: CountAllocations<'_>, users_max: u32) -> Exact {
    let counted = |benchmark: &Benchmark| (benchmark.name.to_owned(), counted(benchmark, count));
    Exact {
        protocol: PROTOCOL,
        benchmarks: Benchmark::ALL.iter().map(counted).collect(),
        scenarios: scenarios::play(users_max),
    }
}

fn counted(benchmark: &Benchmark, count: CountAllocations<'_>) -> Counted {
    let mut body = benchmark.make();
    let mut allocated = (0, 0);
    run(&mut *body, WARM_UP_UNITS, &mut Tally::default(), |body, batch| steps(body, batch));
    let mut tally = Tally::default();
    tally.is_deep = true;
    run(&mut *body, UNITS, &mut tally, |body, batch| {
        let (allocations, bytes) = count(&mut || steps(body, batch));
        allocated = (allocated.0 + allocations, allocated.1 + bytes);
    });
    Counted {
        corpus: benchmark.corpus(),
        units: tally.units,
        hops: tally.hops,
        effects: tally.effects,
        sends: tally.sends,
        copied_bytes: tally.copied_bytes,
        allocations: allocated.0,
        allocated_bytes: allocated.1,
        digest: tally.digest(),
    }
}

fn steps(body: &mut dyn Body, batch: usize) {
    (0..batch).for_each(|unit| body.step(unit));
}

fn run(body: &mut dyn Body, units: usize, tally: &mut Tally, mut work: impl FnMut(&mut dyn Body, usize)) {
    let mut left = units;
    while left > 0 {
        let batch = left.min(body.batch());
        left -= batch;
        body.prepare(batch);
        work(body, batch);
        body.settle(batch, tally);
    }
}
