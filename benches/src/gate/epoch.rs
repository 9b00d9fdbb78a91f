//! One epoch: two fresh copies, two fresh processes on one processor, slots in turns. It is the unit of evidence.
//!
//! Two byte-identical executables can differ by two percent, each for as long as its file lives: its pages lie where
//! they happen to lie. So an epoch copies both executables anew, in random order, with one of several link orders
//! each; what remains of such luck is as likely to help one side as the other, and epochs do not share it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use reports::{Epoch, Quad, Quantity};
use simulator::prng::{Domain, Prng};

use super::{
    build::Timed,
    error::GateError,
    evidence::median,
    worker::{Answer, Start, Worker},
};

/// Warm-up of each worker ahead of its first slot.
const WARM_UP_NS: u64 = 10_000_000;

/// Environment padding, bytes: every stack position within a page.
const PADDING_MAX: u64 = 4_096;

/// Fewest single units of a side whose 99th percentile counts.
const P99_UNITS_MIN: u64 = 2_048;

/// One side of a contest.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Its executables.
    pub timed: &'a Timed,
    /// How much more it is made to do, units per million.
    pub inject_ppm: u64,
}

/// What an epoch measures, and how.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The benchmark.
    pub name: &'a str,
    /// What is compared.
    pub quantity: Quantity,
    /// Units per slot.
    pub units: u64,
    /// Quads of slots.
    pub quads: u32,
    /// Where copies are made; removed with the run.
    pub folder: &'a Path,
}

/// Draws what an epoch leaves to chance. One seed, one sequence.
#[derive(Debug)]
pub struct Dice {
    prng: Prng,
    cpus: Vec<u32>,
    copies: u64,
}

impl Dice {
    /// The sequence of a seed, on the processors that this process may use.
    pub fn new(seed: u64) -> Self {
        Self { prng: Prng::keyed(seed, Domain::Schedule, &["gate"]), cpus: cpus(), copies: 0 }
    }

    fn coin(&mut self) -> bool {
        self.prng.below(2) == 0
    }
}

/// Measures one epoch.
///
/// # Errors
/// A worker died, or a copy could not be made.
pub fn measure(setting: &Setting<'_>, sides: [Side<'_>; 2], dice: &mut Dice) -> Result<Epoch, GateError> {
    let layouts = sides.map(|side| dice.prng.below(side.timed.workers.len() as u64) as u32);
    let cpu = (!dice.cpus.is_empty()).then(|| dice.cpus[dice.prng.below(dice.cpus.len() as u64) as usize]);
    let mut copies = [PathBuf::new(), PathBuf::new()];
    let first = usize::from(dice.coin());
    for side in [first, 1 - first] {
        let executable = &sides[side].timed.workers[layouts[side] as usize];
        dice.copies += 1;
        copies[side] = setting.folder.join(format!("copy-{}", dice.copies));
        fs::copy(executable, &copies[side]).map_err(|error| GateError::file(&copies[side], &error))?;
    }
    let [base, head] = copies;
    let mut begin = |side: usize, copy: PathBuf| {
        let padding = dice.prng.below(PADDING_MAX) as usize;
        let start = Start { name: setting.name, inject_ppm: sides[side].inject_ppm, cpu, padding };
        Worker::start(&copy, &start, Some(copy.clone()))
    };
    let mut workers = [begin(0, base)?, begin(1, head)?];
    for worker in &mut workers {
        let mut warm_ns = 0;
        while warm_ns < WARM_UP_NS {
            warm_ns += worker.time(setting.units)?.wall_ns;
        }
    }
    quads(setting, &mut workers, dice).map(|(quads, x, p99_ns)| Epoch {
        x,
        layouts,
        cpu: cpu.unwrap_or_default(),
        quads,
        p99_ns,
    })
}

type Measured = (Vec<Quad>, f64, Option<[u64; 2]>);

fn quads(setting: &Setting<'_>, workers: &mut [Worker; 2], dice: &mut Dice) -> Result<Measured, GateError> {
    let mut quads = Vec::new();
    let mut times: [Vec<(u64, u64)>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..setting.quads {
        let outer = usize::from(dice.coin());
        let mut quad = Quad { wall_ns: [0; 4], cpu_ns: [0; 4] };
        let mut taken = [0; 2];
        for side in [outer, 1 - outer, 1 - outer, outer] {
            let answer: Answer = match setting.quantity {
                Quantity::Time => workers[side].time(setting.units)?,
                Quantity::P99 => workers[side].time_each(setting.units)?,
            };
            let at = 2 * side + taken[side];
            taken[side] += 1;
            (quad.wall_ns[at], quad.cpu_ns[at]) = (answer.wall_ns, answer.cpu_ns);
            times[side].extend(answer.times);
        }
        quads.push(quad);
    }
    let p99_ns = (setting.quantity == Quantity::P99).then(|| times.map(p99));
    let x = x(&quads, p99_ns);
    Ok((quads, x, p99_ns))
}

/// An epoch's log ratio of head to base, out of what was measured.
pub fn x(quads: &[Quad], p99_ns: Option<[u64; 2]>) -> f64 {
    match p99_ns {
        Some([base, head]) => (head.max(1) as f64 / base.max(1) as f64).ln(),
        None => median(&quads.iter().map(|quad| log_ratio(&quad.wall_ns)).collect::<Vec<_>>()),
    }
}

/// The same in processor time.
pub fn cpu_x(quads: &[Quad]) -> f64 {
    median(&quads.iter().map(|quad| log_ratio(&quad.cpu_ns)).collect::<Vec<_>>())
}

fn log_ratio(ns: &[u64; 4]) -> f64 {
    ((ns[2] + ns[3]).max(1) as f64 / (ns[0] + ns[1]).max(1) as f64).ln()
}

/// The 99th percentile of times and how often each came.
fn p99(mut times: Vec<(u64, u64)>) -> u64 {
    times.sort_unstable();
    let total: u64 = times.iter().map(|(_, count)| count).sum();
    let rank = (total * 99).div_ceil(100);
    let mut seen = 0;
    times
        .iter()
        .find(|(_, count)| {
            seen += count;
            seen >= rank
        })
        .map_or(0, |(time, _)| *time)
}

/// Units whose slot lasts about `slot_ms`, measured once on the base.
///
/// # Errors
/// The worker died.
pub fn slot_units(
    timed: &Timed,
    name: &str,
    quantity: Quantity,
    slot_ms: f64,
    quads: u32,
) -> Result<u64, GateError> {
    let start = Start { name, inject_ppm: 0, cpu: None, padding: 0 };
    let mut worker = Worker::start(&timed.workers[0], &start, None)?;
    let wanted_ns = slot_ms * 1e6;
    let mut units = 16_u64;
    let mut per_unit_ns = f64::INFINITY;
    // Doubling until a slot is long enough to say how long a unit is; the quickest of some is the least disturbed.
    for _ in 0..40 {
        let wall_ns = worker.time(units)?.wall_ns as f64;
        per_unit_ns = per_unit_ns.min(wall_ns / units as f64);
        if wall_ns >= wanted_ns {
            break;
        }
        units *= 2;
    }
    for _ in 0..4 {
        per_unit_ns = per_unit_ns.min(worker.time(units)?.wall_ns as f64 / units as f64);
    }
    let units = ((wanted_ns / per_unit_ns).round() as u64).max(1);
    Ok(match quantity {
        Quantity::Time => units,
        Quantity::P99 => units.max(P99_UNITS_MIN.div_ceil(2 * u64::from(quads.max(1)))),
    })
}

/// The processors that this process may use; none if the system does not say.
fn cpus() -> Vec<u32> {
    let Ok(set) = rustix::thread::sched_getaffinity(None) else { return Vec::new() };
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).map(|cpu| cpu as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_the_median_of_its_quads() {
        let quad = |head| Quad { wall_ns: [100, 100, head, head], cpu_ns: [100, 100, 100, 100] };
        let quads = [quad(110), quad(100), quad(5_000)];
        assert!((x(&quads, None) - 1.1_f64.ln()).abs() < 1e-12);
        assert_eq!(cpu_x(&quads), 0.0);
        assert!((x(&quads, Some([100, 90])) - 0.9_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn the_percentile_is_taken_over_all_slots_of_a_side() {
        let times = (1..=100).map(|time| (time, 1)).collect();
        assert_eq!(p99(times), 99);
        assert_eq!(p99(vec![(7, 98), (900, 1), (8, 1)]), 8);
        assert_eq!(p99(Vec::new()), 0);
    }
}
