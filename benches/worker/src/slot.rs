//! Runs units and times them.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::bodies::{Body, Tally};

/// What a slot took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Wall clock, nanoseconds, of the timed parts.
    pub wall_ns: u64,
    /// This thread's time on a processor, nanoseconds, of the same parts.
    pub cpu_ns: u64,
    /// Effects of the units, so that a side that does nothing is noticed.
    pub effects: u64,
}

/// A benchmark that is set up, and how much more it is made to do.
pub struct Bench {
    body: Box<dyn Body>,
    /// Further units per million, evenly spread: the same work, more of it.
    inject_ppm: u64,
    carried: u64,
    /// What all slots did.
    pub tally: Tally,
}

impl Bench {
    /// Runs `body`, and `inject_ppm` units per million more than it is asked for.
    pub fn new(body: Box<dyn Body>, inject_ppm: u64) -> Self {
        Self { body, inject_ppm, carried: 0, tally: Tally::default() }
    }

    /// Runs `units` and times them together.
    pub fn run(&mut self, units: u64) -> Slot {
        self.batches(units, |body, batch| {
            for unit in 0..batch {
                body.step(unit);
            }
        })
    }

    /// Runs `units` and times each; the clock's own time is in it. One number per unit, nanoseconds.
    pub fn run_each(&mut self, units: u64, times: &mut Vec<u64>) -> Slot {
        self.batches(units, |body, batch| {
            for unit in 0..batch {
                let begin = Instant::now();
                body.step(unit);
                times.push(nanos(begin.elapsed()));
            }
        })
    }

    /// Runs `units`, giving each batch to `timed` with the clocks running.
    fn batches(&mut self, units: u64, mut timed: impl FnMut(&mut dyn Body, usize)) -> Slot {
        let mut slot = Slot::default();
        let effects = self.tally.effects;
        // Further units make further batches: within a batch they would meet warm caches and cost less than others.
        self.carried += units * self.inject_ppm;
        let mut left = units + self.carried / 1_000_000;
        self.carried %= 1_000_000;
        while left > 0 {
            let batch = left.min(self.body.batch() as u64) as usize;
            left -= batch as u64;
            self.body.prepare(batch);
            let (cpu, begin) = (thread_time(), Instant::now());
            timed(&mut *self.body, batch);
            slot.wall_ns += nanos(begin.elapsed());
            slot.cpu_ns += nanos(thread_time().saturating_sub(cpu));
            self.body.settle(batch, &mut self.tally);
        }
        slot.effects = self.tally.effects - effects;
        slot
    }
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench").field("inject_ppm", &self.inject_ppm).finish_non_exhaustive()
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bodies::Benchmark;

    #[test]
    fn every_benchmark_does_what_it_says_and_the_same_each_time() {
        for benchmark in Benchmark::ALL {
            let run = || {
                let mut bench = Bench::new(benchmark.make(), 0);
                bench.tally.is_deep = true;
                let slot = bench.run(100);
                assert_eq!(bench.tally.units, 100, "{}", benchmark.name);
                assert!(slot.wall_ns > 0);
                (slot.effects, bench.tally.digest())
            };
            assert_eq!(run(), run(), "{}", benchmark.name);
        }
    }

    #[test]
    fn more_work_is_spread_evenly_and_exactly() {
        let mut bench = Bench::new(Benchmark::ALL[0].make(), 70_000);
        let mut times = Vec::new();
        for _ in 0..10 {
            bench.run_each(100, &mut times);
        }
        assert_eq!(bench.tally.units, 1_070);
        assert_eq!(times.len(), 1_070);
    }
}
