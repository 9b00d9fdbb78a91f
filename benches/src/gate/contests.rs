//! All contests of a run, one epoch of each undecided one per round, so that a noisy minute does not hit one alone.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use gate_worker::protocol::Listed;
use reports::{Contest, Decision, Quantity, Role, Rules};

use super::{
    build::Program,
    epoch::{self, Dice, Setting, Side},
    error::GateError,
    evidence::{Evidence, Threshold, interval, median},
};

/// How much longer slots over sockets last: a system call in a bad moment must not decide one.
const LOOPBACK_SLOTS: f64 = 5.0;

/// Seconds that a benchmark over sockets may take.
const LOOPBACK_SECONDS: f64 = 25.0;

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The benchmark.
    pub name: String,
    /// What one unit is.
    pub unit: String,
    /// What is compared.
    pub quantity: Quantity,
    /// What for.
    pub role: Role,
    /// Largest ratio that is no regression.
    pub limit: f64,
    /// How long a slot should last, milliseconds.
    pub slot_ms: f64,
    /// Seconds after which it is given up as undecided.
    pub seconds_max: f64,
    /// Base and head.
    pub sides: [Side<'a>; 2],
}

impl<'a> Entry<'a> {
    /// A benchmark's time on two sides, under the rules; over sockets with longer slots and less patience.
    pub fn time(listed: &Listed, role: Role, rules: &Rules, sides: [Side<'a>; 2]) -> Self {
        let (slot_ms, seconds_max) = match sides[0].timed.program {
            Program::Exact | Program::Worker => (rules.slot_ms, rules.seconds_max),
            Program::Loopback => (rules.slot_ms * LOOPBACK_SLOTS, rules.seconds_max.min(LOOPBACK_SECONDS)),
        };
        Self {
            name: listed.name.clone(),
            unit: listed.unit.clone(),
            quantity: Quantity::Time,
            role,
            limit: rules.limit,
            slot_ms,
            seconds_max,
            sides,
        }
    }

    /// Its name in a list.
    pub fn title(&self) -> String {
        self.quantity.of(&self.name)
    }
}

/// How far the contests are.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Contests that are decided or given up.
    pub done: usize,
    /// All of them.
    pub total: usize,
    /// The one that is measured now.
    pub now: &'a str,
    /// Its epochs so far.
    pub epochs: usize,
}

struct Running<'a> {
    entry: Entry<'a>,
    contest: Contest,
    evidence: Evidence,
    spent: Duration,
}

/// Runs them all. Finished contests come in the order of the entries.
///
/// # Errors
/// A worker died, or copies could not be made.
pub fn run(
    entries: Vec<Entry<'_>>,
    rules: &Rules,
    folder: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Contest>, GateError> {
    let mut dice = Dice::new(rules.seed);
    let mut running = entries.into_iter().map(|entry| begin(entry, rules)).collect::<Result<Vec<_>, _>>()?;
    let total = running.len();
    loop {
        let mut is_idle = true;
        for index in 0..total {
            let done = running.iter().filter(|one| one.is_done(rules)).count();
            let one = &mut running[index];
            if one.is_done(rules) {
                continue;
            }
            is_idle = false;
            progress(Progress { done, total, now: &one.contest.name, epochs: one.contest.epochs.len() });
            one.measure(rules, folder, &mut dice)?;
        }
        if is_idle {
            return Ok(running.into_iter().map(|one| judged(one.contest)).collect());
        }
    }
}

fn begin<'a>(entry: Entry<'a>, rules: &Rules) -> Result<Running<'a>, GateError> {
    let base = entry.sides[0].timed;
    let units = epoch::slot_units(base, &entry.name, entry.quantity, entry.slot_ms, rules.quads)?;
    let (fail_at, pass_at) = (f64::from(rules.family.max(1)) / rules.alpha, 1.0 / rules.alpha);
    let contest = Contest {
        name: entry.name.clone(),
        unit: entry.unit.clone(),
        quantity: entry.quantity,
        role: entry.role,
        limit: entry.limit,
        fail_at,
        pass_at,
        slot_units: units,
        decision: Decision::Inconclusive,
        cpu_decision: Decision::Inconclusive,
        estimate: f64::NAN,
        interval: [None, None],
        epochs: Vec::new(),
        ln_e_fail: Vec::new(),
        ln_e_pass: Vec::new(),
        seconds: 0.0,
    };
    let evidence = evidence(&contest, rules.epochs_max as usize);
    Ok(Running { entry, contest, evidence, spent: Duration::ZERO })
}

impl Running<'_> {
    fn is_done(&self, rules: &Rules) -> bool {
        self.evidence.decision() != Decision::Inconclusive
            || self.contest.epochs.len() >= rules.epochs_max as usize
            || self.spent.as_secs_f64() >= self.entry.seconds_max
    }

    fn measure(&mut self, rules: &Rules, folder: &Path, dice: &mut Dice) -> Result<(), GateError> {
        let begin = Instant::now();
        let setting = Setting {
            name: &self.entry.name,
            quantity: self.entry.quantity,
            units: self.contest.slot_units,
            quads: rules.quads,
            folder,
        };
        let epoch = epoch::measure(&setting, self.entry.sides, dice)?;
        self.evidence.add(epoch.x);
        self.contest.epochs.push(epoch);
        self.spent += begin.elapsed();
        self.contest.seconds = self.spent.as_secs_f64();
        Ok(())
    }
}

fn evidence(contest: &Contest, epochs_max: usize) -> Evidence {
    let threshold = |at| Threshold::new(at, epochs_max);
    Evidence::new(contest.limit, threshold(contest.fail_at), threshold(contest.pass_at))
}

/// A contest with everything that follows from its epochs, whatever it said before.
pub fn judged(mut contest: Contest) -> Contest {
    let n = contest.epochs.len();
    for epoch in &mut contest.epochs {
        epoch.x = epoch::x(&epoch.quads, epoch.p99_ns);
    }
    let xs: Vec<f64> = contest.epochs.iter().map(|epoch| epoch.x).collect();
    let mut wall = evidence(&contest, n);
    let mut cpu = wall.clone();
    let mut decisions = [Decision::Inconclusive; 2];
    (contest.ln_e_fail, contest.ln_e_pass) = (Vec::new(), Vec::new());
    for epoch in &contest.epochs {
        wall.add(epoch.x);
        cpu.add(epoch::cpu_x(&epoch.quads));
        let [fail, pass] = wall.ln();
        contest.ln_e_fail.push(fail);
        contest.ln_e_pass.push(pass);
        // What was decided once stays decided, whatever comes after.
        for (decision, evidence) in decisions.iter_mut().zip([&wall, &cpu]) {
            if *decision == Decision::Inconclusive {
                *decision = evidence.decision();
            }
        }
    }
    [contest.decision, contest.cpu_decision] = decisions;
    contest.estimate = median(&xs).exp_m1();
    contest.interval = interval(&xs, &Threshold::new(contest.pass_at, n));
    contest
}
