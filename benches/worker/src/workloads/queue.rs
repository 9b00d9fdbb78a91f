//! Messages through the queue of what waits: offered, leased and acknowledged, with its accounts kept and ids remembered.
//! One user's message at a time, users in a scattered order.

use router::{
    Instant,
    queue::{Admission, Event, Lease, Limits, Offer, Outlet, Policies, Queue},
};

/// Length of each message, bytes.
pub const QUEUED_BYTES: u32 = 150;
/// Time that passes between two batches, microseconds.
const STEP_US: u64 = 1_000;

/// Messages of many users, one after the other.
#[derive(Debug)]
pub struct Passing {
    queue: Queue<u64>,
    now: Instant,
    users: Vec<String>,
    /// From one message's user to that of the next.
    stride: u64,
    sent: u64,
    /// The user and the id of each unit.
    offers: Vec<(usize, String)>,
    leases: Vec<Lease>,
    passed: Passed,
}

/// What became of the units since the last look.
#[derive(Debug, Default)]
pub struct Passed {
    /// What the queue said to each offer.
    pub admissions: Vec<Admission>,
    /// What happened unasked.
    pub events: Vec<Event>,
    /// Messages that were leased and acknowledged.
    pub acked: usize,
}

impl Passing {
    /// A queue in which nothing waits, for so many users, of each of whom so many ids are remembered.
    pub fn new(users: u32, ids_max: u32) -> Self {
        let limits = Limits { dedupe_ids_max: ids_max, ..Limits::default() };
        Self {
            queue: Queue::new(limits, Policies::default()),
            now: Instant::from_micros(1_700_000_000_000_000),
            users: (0..users).map(|user| format!("user-{user:07}")).collect(),
            stride: stride(u64::from(users)),
            sent: 0,
            offers: Vec::new(),
            leases: Vec::new(),
            passed: Passed::default(),
        }
    }

    /// Lets so many messages wait.
    pub fn fill(&mut self, messages: usize) {
        const BATCH: usize = 1_000;
        for at in (0..messages).step_by(BATCH) {
            let units = BATCH.min(messages - at);
            self.prepare(units);
            (0..units).for_each(|unit| self.offer(unit));
            assert_eq!(self.take().admissions.len(), units);
        }
        self.offers = Vec::new();
    }

    /// Writes down the next messages.
    pub fn prepare(&mut self, units: usize) {
        self.offers.clear();
        let users = self.users.len() as u64;
        for _ in 0..units {
            self.sent += 1;
            let user = (self.sent * self.stride % users) as usize;
            self.offers.push((user, format!("m-{:010}", self.sent)));
        }
        self.passed.admissions.reserve(units);
        self.now = self.now.after(STEP_US);
    }

    /// Offers one of them.
    pub fn offer(&mut self, unit: usize) {
        let (user, id) = &self.offers[unit];
        let offer = Offer { id: Some(id), ..Offer::new(Outlet::Worker(0), QUEUED_BYTES, unit as u64) };
        let admission = self.queue.offer(self.now, &self.users[*user], offer, &mut self.passed.events);
        self.passed.admissions.push(admission);
    }

    /// Leases and acknowledges the message whose turn it is.
    pub fn lease_and_ack(&mut self) {
        self.leases.clear();
        self.queue.lease_work(self.now, 0, 1, &mut self.leases);
        for lease in &self.leases {
            self.passed.acked += usize::from(self.queue.ack(self.now, *lease));
        }
    }

    /// What became of the units since the last look: each was new.
    pub fn take(&mut self) -> Passed {
        let passed = std::mem::take(&mut self.passed);
        let is_new = |admission: &Admission| matches!(admission, Admission::Accepted { .. });
        assert!(passed.admissions.iter().all(is_new), "each is new");
        passed
    }

    /// Messages that wait.
    pub const fn waiting(&self) -> u64 {
        self.queue.account().waiting
    }
}

/// Coprime to the number of users, so that each has its turn, and neighbours in time are no neighbours in memory.
fn stride(users: u64) -> u64 {
    let gcd = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let first = users * 617 / 1_000;
    (first..).find(|stride| gcd(*stride, users) == 1).unwrap_or(1)
}
