//! `goldenpath sim --seeds A..B`: many seeds over many threads, one report.
//!
//! Seeds are handed out by a counter, each thread adds up what it played, and sums have no order: the report is the same
//! however many threads there were. Whoever asks for a plateau gets rounds of as many seeds as the plateau is long, so
//! that where it ends does not depend on the threads either. A budget of time ends a sweep where the machine has come to,
//! and the report says where that was.

use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    io::IsTerminal as _,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use reports::{
    Report, ScenarioRef, Tool, Verdict,
    sweep::{Condition, Measured, SeedOutcome, SeedRange, Sweep, Triples},
};
use simulator::{
    coverage::Coverage,
    legacy::Played,
    swarm::{self, Ingredient, Plays},
};

use crate::{
    arguments::{Demand, SimOptions, SweepOptions},
    failure::Failure,
    output, sources,
};

/// From so many seeds on, a sweep of the swarm must have met every condition.
pub(super) const DEMAND_FROM: u64 = 2_000;
/// How often progress is shown on a terminal.
const SHOW_EVERY: Duration = Duration::from_millis(100);
/// How often it is told in lines.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Plays the seeds and reports.
pub(super) fn run(seeds: SeedRange, played: &Played, options: &SimOptions) -> Result<Verdict, Failure> {
    let swept = swept(seeds, played, options.scenario.as_deref(), &options.sweep)?;
    output::report(&swept, &options.report)
}

/// Plays the seeds, of the swarm if no scenario is named, and answers their report.
pub(super) fn swept(
    seeds: SeedRange,
    played: &Played,
    scenario: Option<&str>,
    how: &SweepOptions,
) -> Result<Report, Failure> {
    let asked = shard(seeds, how);
    let (plays, profile, source) = plays(scenario, &how.without)?;
    let arguments = played.arguments() + &without(&how.without);
    let is_swarm = matches!(plays, Plays::Swarm { .. }) && *played == Played::Router;
    let ground = Worlds { plays, played };
    play(&ground, Title { profile, source, arguments, demanded: is_swarm }, asked, how)
}

/// How a report names what its seeds were played on.
pub(super) struct Title {
    pub(super) profile: ScenarioRef,
    /// On the command line, ahead of the seed and behind it.
    pub(super) source: String,
    pub(super) arguments: String,
    /// Whether every condition must be met if nobody says from how many seeds on.
    pub(super) demanded: bool,
}

/// Plays the seeds on that ground, and answers their report.
pub(super) fn play<G: Ground>(
    ground: &G,
    title: Title,
    asked: SeedRange,
    how: &SweepOptions,
) -> Result<Report, Failure> {
    let Title { profile, source, arguments, demanded } = title;
    let mut sweep = Sweep::new(source, arguments, asked, how.keep);
    sweep.demand_from = match how.demand {
        Some(Demand::From(seeds)) => Some(seeds),
        Some(Demand::Never) => None,
        None => demanded.then_some(DEMAND_FROM),
    };
    let field = Field { ground, keep: how.keep, jobs: jobs(how) };
    let done = field.sweep(asked, how)?;
    sweep.absorb(&done.sum);
    sweep.played = done.played;
    sweep.stopped = done.stopped;
    (sweep.conditions, sweep.triples) = done.seen.listed();
    if let Some(path) = &how.hashes {
        output::write_file(path, &hashes(done.hashes))?;
    }
    let tool = Tool::new("goldenpath", env!("CARGO_PKG_VERSION"));
    Ok(reports::sweep::report(tool, profile, sweep))
}

/// The part of the seeds that was asked for.
pub(super) fn shard(seeds: SeedRange, how: &SweepOptions) -> SeedRange {
    how.shard.map_or(seeds, |(part, parts)| seeds.part(part, parts))
}

/// What seeds are played on.
pub(super) trait Ground: Sync {
    /// What they come across.
    type Seen: Seen;

    /// Plays one. `Err`: it cannot be played at all.
    fn play(&self, seed: u64, seen: &mut Self::Seen) -> Result<SeedOutcome, String>;
}

/// What seeds came across: a sum that does not depend on their order.
pub(super) trait Seen: Default + Send {
    /// Adds what others came across.
    fn absorb(&mut self, other: &Self);
    /// How much there is by now, of conditions and of triples.
    fn reached(&self) -> (usize, usize);
    /// How many conditions there are.
    fn named() -> usize;
    /// All of it.
    fn listed(&self) -> (Vec<Condition>, Triples);
}

/// One node and its world.
struct Worlds<'a> {
    plays: Plays,
    played: &'a Played,
}

impl Ground for Worlds<'_> {
    type Seen = Coverage;

    fn play(&self, seed: u64, seen: &mut Coverage) -> Result<SeedOutcome, String> {
        swarm::play(&self.plays, seed, self.played, seen).map_err(|error| error.to_string())
    }
}

impl Seen for Coverage {
    fn absorb(&mut self, other: &Self) {
        self.absorb(other);
    }

    fn reached(&self) -> (usize, usize) {
        self.reached()
    }

    fn named() -> usize {
        Self::named()
    }

    fn listed(&self) -> (Vec<Condition>, Triples) {
        (self.conditions(), self.triples())
    }
}

/// What the command line adds to leave something out.
pub(super) fn without(left_out: &[Ingredient]) -> String {
    let names: Vec<&str> = left_out.iter().map(|ingredient| ingredient.name()).collect();
    if names.is_empty() { String::new() } else { format!(" --without {}", names.join(",")) }
}

/// What the seeds play, how reports name it, and how the command line does.
fn plays(scenario: Option<&str>, without: &[Ingredient]) -> Result<(Plays, ScenarioRef, String), Failure> {
    let Some(name) = scenario else {
        let profile =
            ScenarioRef { name: swarm::NAME.to_owned(), about: swarm::ABOUT.to_owned(), hash: swarm::hash() };
        return Ok((Plays::Swarm { without: without.to_vec() }, profile, "--swarm".to_owned()));
    };
    let scenario = sources::scenario(name)?;
    let (about, hash) = (scenario.about.clone(), scenario.hash());
    let profile = ScenarioRef { name: scenario.name.clone(), about, hash };
    Ok((Plays::Scenario(Box::new(scenario)), profile, format!("--scenario {name}")))
}

fn jobs(how: &SweepOptions) -> u32 {
    let here = || thread::available_parallelism().map_or(1, |jobs| jobs.get() as u32);
    how.jobs.unwrap_or_else(here)
}

/// A line per seed, in the order of seeds.
fn hashes(mut hashes: Vec<(u64, u128)>) -> String {
    hashes.sort_unstable();
    hashes.iter().fold(String::new(), |mut text, (seed, hash)| {
        // Writing into a String cannot fail.
        _ = writeln!(text, "{seed} {hash:032x}");
        text
    })
}

/// What is played by whom.
struct Field<'a, G> {
    ground: &'a G,
    keep: u32,
    jobs: u32,
}

/// What came of it.
struct Done<S> {
    sum: Sweep,
    seen: S,
    hashes: Vec<(u64, u128)>,
    played: Vec<SeedRange>,
    stopped: Vec<String>,
}

/// What the threads share.
struct Shared<S> {
    seeds: SeedRange,
    /// Seeds handed out, from the first on.
    next: AtomicU64,
    ends_at: Option<Instant>,
    /// Seeds that are over, and those of them with a finding.
    over: AtomicU64,
    failing: AtomicU64,
    /// What any thread has met; its sums mean nothing.
    shown: Mutex<S>,
    /// The first that could not be played at all.
    failed: Mutex<Option<String>>,
}

/// What one thread adds up.
struct Part<S> {
    sum: Sweep,
    seen: S,
    hashes: Vec<(u64, u128)>,
    cpu: Duration,
}

/// What each thread saw of a range, and the seed after the last one played.
type Round<S> = (Vec<Part<S>>, u64);

impl<G: Ground> Field<'_, G> {
    fn sweep(&self, asked: SeedRange, how: &SweepOptions) -> Result<Done<G::Seen>, Failure> {
        let began = Instant::now();
        let ends_at = how.budget.map(|budget| began + Duration::from_micros(budget.us()));
        let mut done = Done {
            sum: Sweep::new("", "", asked, self.keep),
            seen: G::Seen::default(),
            hashes: Vec::new(),
            played: Vec::new(),
            stopped: Vec::new(),
        };
        let progress = Progress::new(asked, began);
        let mut cpu = Duration::ZERO;
        let mut from = asked.from;
        while from < asked.to {
            let round = how.plateau.map_or(asked.len(), |seeds| seeds.min(asked.to - from));
            let (before, failing) = (done.seen.reached(), done.sum.totals.failing);
            let (parts, to) =
                self.round(SeedRange { from, to: from + round }, ends_at, &progress, failing, how)?;
            for part in parts {
                done.sum.absorb(&part.sum);
                done.seen.absorb(&part.seen);
                done.hashes.extend(part.hashes);
                cpu += part.cpu;
            }
            let whole = to - from == round;
            from = to;
            if !whole {
                done.stopped.push("stopped at its time budget".to_owned());
                break;
            }
            if how.plateau == Some(round) && done.seen.reached() == before && from < asked.to {
                done.stopped.push(format!("stopped at a plateau: nothing new in {round} seeds"));
                break;
            }
        }
        progress.finish();
        done.played.extend((from > asked.from).then_some(SeedRange { from: asked.from, to: from }));
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        done.sum.measured = Some(Measured { cpu_us: us(cpu), wall_us: us(began.elapsed()), jobs: self.jobs });
        Ok(done)
    }

    /// Plays a range.
    fn round(
        &self,
        seeds: SeedRange,
        ends_at: Option<Instant>,
        progress: &Progress,
        failing: u64,
        how: &SweepOptions,
    ) -> Result<Round<G::Seen>, Failure> {
        let shared = Shared {
            seeds,
            next: AtomicU64::new(0),
            ends_at,
            over: AtomicU64::new(0),
            failing: AtomicU64::new(failing),
            shown: Mutex::new(G::Seen::default()),
            failed: Mutex::new(None),
        };
        let quiet = QuietPanics::new();
        let parts = thread::scope(|scope| {
            let (tell, told) = mpsc::channel::<()>();
            let workers: Vec<_> = (0..self.jobs)
                .map(|_| {
                    let (shared, tell) = (&shared, tell.clone());
                    scope.spawn(move || {
                        // Dropped in the end: that is how the last one is noticed.
                        let _tell = tell;
                        self.work(shared, how.hashes.is_some())
                    })
                })
                .collect();
            drop(tell);
            while told.recv_timeout(SHOW_EVERY) == Err(RecvTimeoutError::Timeout) {
                progress.show(&shared);
            }
            workers.into_iter().map(|worker| worker.join().expect("a worker catches its panics")).collect()
        });
        drop(quiet);
        if let Some(failed) = shared.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(Failure::Usage(failed));
        }
        Ok((parts, seeds.from + shared.next.into_inner().min(seeds.len())))
    }

    fn work(&self, shared: &Shared<G::Seen>, keeps_hashes: bool) -> Part<G::Seen> {
        let begun = benches::figures::cpu_time();
        let mut part = Part {
            sum: Sweep::new("", "", shared.seeds, self.keep),
            seen: G::Seen::default(),
            hashes: Vec::new(),
            cpu: Duration::ZERO,
        };
        let mut reached = (0, 0);
        while shared.ends_at.is_none_or(|at| Instant::now() < at) {
            let number = shared.next.fetch_add(1, Ordering::Relaxed);
            if number >= shared.seeds.len() {
                break;
            }
            let seed = shared.seeds.from + number;
            let Some(outcome) = self.seed(seed, &mut part.seen, shared) else { break };
            part.sum.add(&outcome);
            if keeps_hashes {
                part.hashes.push((seed, outcome.hash));
            }
            shared.over.fetch_add(1, Ordering::Relaxed);
            shared.failing.fetch_add(u64::from(!outcome.by_rule.is_empty()), Ordering::Relaxed);
            if part.seen.reached() > reached {
                reached = part.seen.reached();
                locked(&shared.shown).absorb(&part.seen);
            }
        }
        if let (Some(begun), Some(over)) = (begun, benches::figures::cpu_time()) {
            part.cpu = over.saturating_sub(begun);
        }
        part
    }

    /// One seed; a panic is a finding of it. Nothing if it cannot be played at all.
    fn seed(&self, seed: u64, seen: &mut G::Seen, shared: &Shared<G::Seen>) -> Option<SeedOutcome> {
        let play = AssertUnwindSafe(|| self.ground.play(seed, seen));
        PLAYS.set(true);
        let outcome = panic::catch_unwind(play);
        PLAYS.set(false);
        match outcome {
            Ok(Ok(outcome)) => Some(outcome),
            Ok(Err(error)) => {
                let text = format!("seed {seed}: {error}");
                locked(&shared.failed).get_or_insert(text);
                None
            }
            Err(_) => {
                let what = PANIC.take().unwrap_or_else(|| "a panic without words".to_owned());
                Some(SeedOutcome::panicked(seed, &what))
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// Whether this thread plays a seed, whose panic is a finding.
    static PLAYS: Cell<bool> = const { Cell::new(false) };
    /// What its last panic said.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send + 'static>;

/// While it lives, the panic of a seed is kept for its finding and printed nowhere.
struct QuietPanics(Arc<Hook>);

impl QuietPanics {
    fn new() -> Self {
        let before = Arc::new(panic::take_hook());
        let others = Arc::clone(&before);
        panic::set_hook(Box::new(move |info| {
            if !PLAYS.get() {
                return others(info);
            }
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let words = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
            PANIC.set(Some(format!("{}{place}", words.unwrap_or("a panic without words"))));
        }));
        Self(before)
    }
}

impl Drop for QuietPanics {
    fn drop(&mut self) {
        let before = Arc::clone(&self.0);
        panic::set_hook(Box::new(move |info| before(info)));
    }
}

/// Tells how far a sweep is: a bar on a terminal, a line now and then elsewhere.
struct Progress {
    bar: indicatif::ProgressBar,
    asked: SeedRange,
    began: Instant,
    told: Mutex<Instant>,
}

impl Progress {
    fn new(asked: SeedRange, began: Instant) -> Self {
        let bar = output::progress(asked.len(), "sweeping");
        Self { bar, asked, began, told: Mutex::new(began) }
    }

    fn show<S: Seen>(&self, shared: &Shared<S>) {
        let over = shared.seeds.from - self.asked.from + shared.over.load(Ordering::Relaxed);
        let failing = shared.failing.load(Ordering::Relaxed);
        let (conditions, triples) = locked(&shared.shown).reached();
        let rate = over as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let all = S::named();
        let text = format!(
            "{over} of {} seeds, {rate:.0}/s, {failing} failing, {conditions} of {all} conditions, {triples} triples",
            self.asked.len()
        );
        self.bar.set_position(over);
        let mut told = locked(&self.told);
        if !std::io::stderr().is_terminal() && told.elapsed() >= TELL_EVERY {
            *told = Instant::now();
            output::talk(&text);
        }
        self.bar.set_message(text);
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
