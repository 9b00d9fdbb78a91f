//! The queue: how fast a message passes, what many users and a long backlog cost it, and whether its memory has a bound.

use std::time::Duration;

use reports::Unit;
use router::{
    Instant,
    queue::{Limits, Offer, Outlet, Policies, Queue},
};

use super::{
    Goal, Row, process,
    rounds::{ROUNDS, Rounds, timed},
};
use crate::workloads::Passing;

const FEW: u32 = 1_000;
const MANY: u32 = 100_000;
const BACKLOG: usize = 1_000_000;
/// Ids that are remembered of each user.
const IDS_MAX: u32 = 16;
const BATCH: usize = 256;
const BATCHES: usize = 40;
/// Offers of the overload: ten minutes at 10,000 a second.
const OFFERS: u64 = 6_000_000;

pub(super) fn rows() -> Vec<Row> {
    let mut few = Passing::new(FEW, IDS_MAX);
    let mut many = Passing::new(MANY, IDS_MAX);
    many.fill(BACKLOG);
    let mut rounds = Rounds::default();
    for round in 0..=ROUNDS {
        let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..BATCHES {
            for (passing, time) in [(&mut many, &mut ours), (&mut few, &mut theirs)] {
                passing.prepare(BATCH);
                *time += timed(|| {
                    for unit in 0..BATCH {
                        passing.offer(unit);
                        passing.lease_and_ack();
                    }
                });
                assert_eq!(passing.take().acked, BATCH, "for each offered one is done");
            }
        }
        // The first round warms up.
        if round > 0 {
            rounds.add(ours, theirs, BATCH * BATCHES);
        }
    }
    assert_eq!((many.waiting(), few.waiting()), (BACKLOG as u64, 0));
    let (many_ns, few_ns) = (rounds.ours().median, rounds.theirs().median);
    let told = rounds.told("100,000 users", "1,000 users");
    vec![
        Row {
            key: "queue_speed",
            label: "messages offered, leased and acknowledged, 1,000 users".to_owned(),
            value: 1e9 / few_ns,
            unit: Unit::PerSecond,
            goal: Goal::AtLeast(2_000_000.0),
            detail: format!("{few_ns:.1} ns each, 150 bytes, accounts and ids kept"),
        },
        Row {
            key: "queue_scaling",
            label: "what a message costs more with 100,000 users and 1,000,000 messages waiting".to_owned(),
            value: (many_ns - few_ns) / 1_000.0,
            unit: Unit::Microseconds,
            goal: Goal::AtMost(0.7),
            detail: told,
        },
    ]
}

/// What a queue came to that was offered ten times as much as was done.
#[derive(Clone, Copy, Debug)]
pub struct Overload {
    /// Growth of resident memory at its peak, bytes; `None` where the system does not say.
    pub peak: Option<u64>,
    /// What the queue can take at most, bodies included, bytes.
    pub bound: u64,
    /// Messages that waited in the end.
    pub waiting: u64,
    /// Offers that were refused.
    pub refused: u64,
}

impl Overload {
    /// What resident memory may come to: the bound, a quarter for the allocator, and 64 MiB.
    pub const fn allowed(&self) -> u64 {
        self.bound + self.bound / 4 + (64 << 20)
    }
}

/// Offers so many messages of 1 KiB at 10,000 a second of virtual time, of which a tenth is done.
pub fn overload(offers: u64) -> Overload {
    const BYTES: u32 = 1 << 10;
    const USERS: u64 = 2_000;
    let limits = Limits {
        users_max: USERS as u32,
        pool_messages_max: 60_000,
        pool_bytes_max: 96 << 20,
        dedupe_total_max: 100_000,
        ..Limits::default()
    };
    let bound = Queue::<Box<[u8]>>::memory_bytes_max(&limits, 1) + limits.bytes_max();
    process::reset_peak();
    let before = process::memory();
    let mut queue = Queue::new(limits, Policies::default());
    let (mut events, mut leases) = (Vec::new(), Vec::new());
    for sent in 0..offers {
        let now = Instant::from_micros(sent * 100);
        queue.tick(now, &mut events);
        // Half of it comes from ten users.
        let user = if sent % 2 == 0 { sent / 2 % 10 } else { sent / 2 % USERS };
        let (name, id) = (format!("user-{user}"), format!("m-{sent}"));
        let body = vec![sent as u8; BYTES as usize].into_boxed_slice();
        let offer = Offer { id: Some(&id), ..Offer::new(Outlet::Worker(0), BYTES, body) };
        queue.offer(now, &name, offer, &mut events);
        if sent % 10 == 0 {
            queue.lease_work(now, 0, 1, &mut leases);
            for lease in leases.drain(..) {
                queue.ack(now, lease);
            }
        }
        events.clear();
    }
    let peak = before.zip(process::memory()).map(|((before, _), (_, peak))| peak.saturating_sub(before));
    let account = queue.account();
    Overload { peak, bound, waiting: account.waiting, refused: account.refused }
}

pub(super) fn memory() -> Vec<Row> {
    let came = overload(OFFERS);
    let Some(peak) = came.peak else { return Vec::new() };
    vec![Row {
        key: "queue_memory",
        label: "peak memory of a queue offered ten times what is done, against what it may take".to_owned(),
        value: peak as f64 / came.allowed() as f64,
        unit: Unit::Ratio,
        goal: Goal::AtMost(1.0),
        detail: format!(
            "peak {} MiB, bound {} MiB; {} wait, {} of {OFFERS} were refused",
            peak >> 20,
            came.bound >> 20,
            came.waiting,
            came.refused
        ),
    }]
}
