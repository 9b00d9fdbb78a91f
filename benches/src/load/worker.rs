//! One worker: a thread, a runtime, and a part of the users. Nothing of it is shared while it works but the
//! counters of the progress bar, written fifty times a second.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use reports::{Domain, FINDINGS_MAX};
use simulator::{
    checkers::{Checkers, Watch},
    plan::{Plan, UserPlan},
};
use tokio::{runtime, task::LocalSet, time::sleep_until};

use super::{
    HOPELESS, LoadError, LoadOptions, Progress, client,
    ledger::{Ledger, Waiting},
    pacing::Clock,
    target::Address,
};

/// How often a worker looks whether it is on time, and tells its progress.
const WATCH_US: u64 = 20_000;
/// Users, from the first, whose timelines are kept.
const TIMELINES: u32 = 3;
/// Tokens outlive the plan by this much.
const TOKEN_SLACK: Duration = Duration::from_secs(3_600);

/// Which users a worker plays: those whose index leaves this remainder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) index: u32,
    pub(super) of: u32,
}

/// What all workers of a run share.
#[derive(Debug, Default)]
pub(super) struct Counters {
    connections: AtomicU64,
    runs_started: AtomicU64,
    runs_ended: AtomicU64,
    events: AtomicU64,
    findings: AtomicU64,
    connected: AtomicU64,
    failed: AtomicU64,
    aborted: AtomicBool,
}

impl Counters {
    /// Many attempts to connect, and no success.
    pub(super) fn is_hopeless(&self) -> bool {
        self.connected.load(Ordering::Relaxed) == 0 && self.failed.load(Ordering::Relaxed) >= HOPELESS
    }

    pub(super) fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            connections: self.connections.load(Ordering::Relaxed),
            runs_started: self.runs_started.load(Ordering::Relaxed),
            runs_ended: self.runs_ended.load(Ordering::Relaxed),
            events: self.events.load(Ordering::Relaxed),
            findings: self.findings.load(Ordering::Relaxed),
            ..Progress::default()
        }
    }
}

/// What a worker brings home.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) checkers: Checkers,
    pub(super) ledger: Ledger,
    pub(super) ended_us: u64,
}

/// A worker at work; its tabs share it.
pub(super) struct Worker {
    pub(super) options: Arc<LoadOptions>,
    pub(super) address: Address,
    pub(super) clock: Clock,
    pub(super) checkers: RefCell<Checkers>,
    pub(super) ledger: RefCell<Ledger>,
    /// Connections open now.
    pub(super) open: std::cell::Cell<u64>,
}

/// A user in session; its tabs share it.
pub(super) struct User {
    pub(super) index: u32,
    pub(super) tabs: u8,
    pub(super) token: String,
    pub(super) tabs_left: std::cell::Cell<u8>,
    pub(super) waiting: RefCell<Waiting>,
}

/// Generates the part's users, says so, waits for the common start, plays, and brings the ledger home.
pub(super) fn work(
    part: Part,
    options: &Arc<LoadOptions>,
    plan: &Plan,
    address: Address,
    counters: &Counters,
    told: &mpsc::Sender<()>,
    started: &mpsc::Receiver<(Instant, u64)>,
) -> Result<Outcome, LoadError> {
    let users: Vec<(UserPlan, String)> = plan
        .numbers()
        .filter(|index| index % part.of == part.index)
        .map(|index| {
            let user = plan.user(index);
            let ttl = Duration::from_micros(user.leave_at_us) + TOKEN_SLACK;
            let token = options.tokens.token(&user, ttl);
            (user, token)
        })
        .collect();
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    _ = told.send(());
    let runtime = runtime.map_err(LoadError::Runtime)?;
    let (begin, epoch_us) = started.recv().map_err(|_| LoadError::Worker)?;
    let watch = Watch {
        domain: Domain::Wall,
        // The times of events are comparable with ours on the same machine only; beyond any of them means none.
        epoch_us: if address.is_local() { epoch_us } else { u64::MAX },
        findings_max: FINDINGS_MAX,
        timelines: TIMELINES,
        projection: options.collect_projection,
    };
    let worker = Rc::new(Worker {
        options: Arc::clone(options),
        address,
        clock: Clock::new(begin),
        checkers: RefCell::new(Checkers::new(plan, watch)),
        ledger: RefCell::default(),
        open: std::cell::Cell::new(0),
    });
    LocalSet::new().block_on(&runtime, worker.play(users, counters));
    drop(runtime);
    _ = told.send(());
    let ended_us = worker.clock.now_us();
    let worker = Rc::into_inner(worker).ok_or(LoadError::Worker)?;
    let mut checkers = worker.checkers.into_inner();
    checkers.finish(ended_us);
    Ok(Outcome { checkers, ledger: worker.ledger.into_inner(), ended_us })
}

impl Worker {
    async fn play(self: &Rc<Self>, users: Vec<(UserPlan, String)>, counters: &Counters) {
        let mut tabs = tokio::task::JoinSet::new();
        for (plan, token) in users {
            let user = Rc::new(User {
                index: plan.index,
                tabs: plan.tabs,
                token,
                tabs_left: std::cell::Cell::new(plan.tabs),
                waiting: RefCell::new(Waiting::new(plan.tabs)),
            });
            for tab in 0..plan.tabs {
                let actions = plan.actions.iter().filter(|action| action.tab == tab).cloned().collect();
                tabs.spawn_local(client::play(Rc::clone(self), Rc::clone(&user), tab, actions));
            }
        }
        let mut told = Progress::default();
        let mut failed = (0, 0);
        let mut at_us = 0;
        loop {
            tokio::select! {
                biased;
                () = sleep_until(self.clock.at(at_us)) => {}
                ended = tabs.join_next() => {
                    if ended.is_none() {
                        break;
                    }
                    continue;
                }
            }
            let now_us = self.clock.now_us();
            self.ledger.borrow_mut().lateness.watched(at_us, now_us);
            self.tell(counters, &mut told, &mut failed);
            if counters.aborted.load(Ordering::Relaxed) {
                tabs.abort_all();
            }
            at_us = now_us + WATCH_US;
        }
        self.tell(counters, &mut told, &mut failed);
    }

    /// Adds to the shared counters what is new since the last time.
    fn tell(&self, counters: &Counters, told: &mut Progress, failed: &mut (u64, u64)) {
        let (checkers, ledger) = (self.checkers.borrow(), self.ledger.borrow());
        let counts = &checkers.ledger().counts;
        let now = Progress {
            connections: self.open.get(),
            runs_started: counts.runs,
            runs_ended: ledger.runs_ended,
            events: counts.events,
            findings: checkers.ledger().total(),
            ..Progress::default()
        };
        let add = |counter: &AtomicU64, before: u64, now: u64| {
            // Wrapping on purpose: a level that falls is added as the two's complement of its fall.
            counter.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
        };
        add(&counters.connections, told.connections, now.connections);
        add(&counters.runs_started, told.runs_started, now.runs_started);
        add(&counters.runs_ended, told.runs_ended, now.runs_ended);
        add(&counters.events, told.events, now.events);
        add(&counters.findings, told.findings, now.findings);
        add(&counters.connected, failed.0, counts.connections);
        add(&counters.failed, failed.1, ledger.connects_failed);
        (*told, *failed) = (now, (counts.connections, ledger.connects_failed));
    }
}
