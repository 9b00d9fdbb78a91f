//! The load client: plays a [`Plan`] over real sockets.
//!
//! - **Open model.** Every action has its instant, counted from one common start; no answer moves the next action.
//!   Latency is taken from the instant at which a message was *meant* to be sent, so a server that stalls cannot
//!   hide it. What could not be carried out is counted as unmet.
//! - **The same checkers.** What arrives goes through the simulator's reference client and checkers, so a finding
//!   here and a finding there mean the same.
//! - **The generator audits itself.** How late it sent is a metric of its own; above the limit the run is
//!   inconclusive, whatever the server did.
//!
//! Users are spread over workers, each a thread with its own runtime, checkers and histograms; workers share
//! nothing but counters for the progress bar. Timers have a granularity of one millisecond.
//!
//! | module | what it knows |
//! |---|---|
//! | `target` | URL, TLS, opening one connection |
//! | `pacing` | the common clock, and how late the generator is |
//! | `client` | one tab: its actions, its connection |
//! | `ledger` | what a worker counts beside the checkers |
//! | `worker` | one thread |
//! | `summary` | from the workers' ledgers to a report |
//! | [`agents`] | the scripted agent that plays the scenario on the server's side |

pub mod agents;
mod client;
mod error;
mod ledger;
mod pacing;
mod summary;
mod target;
mod worker;

use std::{
    fmt,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use reports::{Host, Report};
use simulator::{
    dialect::{Dialect, Goldenpath},
    plan::{Plan, UserPlan},
    projection::Projection,
    scenario::Scenario,
};

pub use self::error::LoadError;
pub use self::target::Target;
pub(crate) use self::target::{Address, Link};

/// A dialect that several workers may use at once.
pub type SharedDialect = Arc<dyn Dialect + Send + Sync>;

/// Called several times a second from the thread that called [`run`].
pub type ProgressFn = Arc<dyn Fn(Progress) + Send + Sync>;

/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(200);
/// From the moment all workers are ready to the start of the plan.
const LEAD: Duration = Duration::from_millis(50);
/// This many failed attempts without one success end the run early.
const HOPELESS: u64 = 10;

/// Everything a load run needs to know.
#[derive(Clone)]
pub struct LoadOptions {
    /// The server.
    pub target: Target,
    /// What the users do.
    pub scenario: Scenario,
    /// With the scenario, names the plan completely.
    pub seed: u64,
    /// Who the users are to the server.
    pub tokens: TokenSource,
    /// What client and server write on the wire.
    pub dialect: SharedDialect,
    /// Threads that play users.
    pub workers: usize,
    /// The generator's lateness at the 99th percentile above which the run decides nothing, microseconds.
    pub late_limit_us: u64,
    /// How long a user who wants to leave waits for what is still due, microseconds.
    pub grace_us: u64,
    /// Whether to keep what every run looked like, for a comparison with virtual time. There is one worker then.
    pub collect_projection: bool,
    /// Told how far the run is.
    pub progress: Option<ProgressFn>,
}

impl LoadOptions {
    /// The product's dialect, one worker per processor, 5 ms of lateness, 5 s of grace, no projection.
    pub fn new(target: Target, scenario: Scenario, tokens: TokenSource) -> Self {
        Self {
            target,
            seed: scenario.seed,
            scenario,
            tokens,
            dialect: Arc::new(Goldenpath),
            workers: processors(),
            late_limit_us: 5_000,
            grace_us: 5_000_000,
            collect_projection: false,
            progress: None,
        }
    }
}

impl fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadOptions")
            .field("target", &self.target)
            .field("scenario", &self.scenario.name)
            .field("seed", &self.seed)
            .field("workers", &self.workers)
            .field("late_limit_us", &self.late_limit_us)
            .finish_non_exhaustive()
    }
}

/// Where the users' tokens come from. The checkers know users by the ids of the plan, so each token must name
/// its user by that id.
#[derive(Clone)]
pub enum TokenSource {
    /// Signs one HS256 token per user, valid for an hour longer than the plan.
    Hs256(Vec<u8>),
    /// One token per user, in plan order, for example from a file.
    Listed(Vec<String>),
    /// A text in which `{user}` stands for the user's id.
    Template(String),
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenSource::Hs256(_) => "Hs256(…)",
            TokenSource::Listed(_) => "Listed(…)",
            TokenSource::Template(_) => "Template(…)",
        })
    }
}

impl TokenSource {
    fn token(&self, user: &UserPlan, ttl: Duration) -> String {
        match self {
            TokenSource::Hs256(key) => {
                let tier = router::Tier::from_name(user.tier.wire_name()).unwrap_or_default();
                router_server::auth::issue(key, &user.id, tier, ttl)
            }
            TokenSource::Listed(tokens) => tokens.get(user.index as usize).cloned().unwrap_or_default(),
            TokenSource::Template(text) => text.replace("{user}", &user.id),
        }
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Time since the start, microseconds.
    pub at_us: u64,
    /// When the plan ends, microseconds.
    pub ends_at_us: u64,
    /// Connections open now.
    pub connections: u64,
    /// Runs the plan asks for.
    pub runs_planned: u64,
    /// Runs asked for so far.
    pub runs_started: u64,
    /// Runs ended on every tab.
    pub runs_ended: u64,
    /// Run events received, on all tabs.
    pub events: u64,
    /// Violations so far.
    pub findings: u64,
}

/// What a run gives.
#[derive(Clone, Debug)]
pub struct LoadResult {
    /// Everything there is to say about it.
    pub report: Report,
    /// What every run looked like, if that was asked for.
    pub projection: Option<Projection>,
}

/// Plays the scenario and blocks until the last user has left. Not to be called from within an async runtime:
/// it starts its own threads and waits for them.
///
/// # Errors
/// The target cannot be used at all, or there are too few tokens. Anything that went wrong while some users
/// were served is in the report instead.
pub fn run(options: LoadOptions) -> Result<LoadResult, LoadError> {
    let plan = Plan::new(options.scenario.clone(), options.seed);
    if let TokenSource::Listed(tokens) = &options.tokens
        && tokens.len() < plan.count() as usize
    {
        return Err(LoadError::FewTokens { tokens: tokens.len(), users: plan.count() });
    }
    let host = host();
    let address = target::Address::resolve(&options.target, options.dialect.path())?;
    address.probe()?;
    let planned = plan.summary();
    let options = Arc::new(options);
    let counters = Arc::new(worker::Counters::default());
    let most = if options.collect_projection { 1 } else { plan.count().max(1) as usize };
    let workers = options.workers.clamp(1, most);
    let (told, reports) = mpsc::channel();
    let crew: Vec<_> = (0..workers)
        .map(|index| {
            let part = worker::Part { index: index as u32, of: workers as u32 };
            let (options, plan, address) = (Arc::clone(&options), plan.clone(), address.clone());
            let (counters, told) = (Arc::clone(&counters), told.clone());
            let (start, started) = mpsc::channel();
            let thread = thread::Builder::new()
                .name(format!("load-{index}"))
                .spawn(move || worker::work(part, &options, &plan, address, &counters, &told, &started));
            thread.map(|thread| (thread, start)).map_err(LoadError::Thread)
        })
        .collect::<Result<_, _>>()?;
    drop(told);
    // All users are generated and all tokens signed before the first second begins.
    for _ in &crew {
        reports.recv().map_err(|_| LoadError::Worker)?;
    }
    let begin = Instant::now() + LEAD;
    let epoch_us =
        (SystemTime::now() + LEAD).duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
    for (_, start) in &crew {
        _ = start.send((begin, epoch_us));
    }
    let mut left = crew.len();
    while left > 0 {
        match reports.recv_timeout(PROGRESS) {
            Ok(()) => left -= 1,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
        if counters.is_hopeless() {
            counters.abort();
        }
        if let Some(progress) = &options.progress {
            let at_us = Instant::now().saturating_duration_since(begin).as_micros() as u64;
            let (ends_at_us, runs_planned) = (planned.ends_at_us, planned.runs);
            progress(Progress { at_us, ends_at_us, runs_planned, ..counters.progress() });
        }
    }
    let ended: Result<Vec<_>, _> =
        crew.into_iter().map(|(thread, _)| thread.join().map_err(|_| LoadError::Worker)?).collect();
    let outcomes = ended?;
    if let Some(error) = summary::nobody_connected(&outcomes, &address) {
        return Err(error);
    }
    Ok(summary::result(&options, &plan, &planned, host, outcomes))
}

/// Processors this process may use.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The machine, with the load it had before the run.
pub fn host() -> Host {
    let load = std::fs::read_to_string("/proc/loadavg").ok();
    Host {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        cpus: processors() as u32,
        load_1m: load.and_then(|text| text.split_whitespace().next()?.parse().ok()),
        note: String::new(),
    }
}

#[cfg(test)]
mod tests;
