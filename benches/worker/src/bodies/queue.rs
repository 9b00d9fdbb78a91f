//! A message's way through the queue of what waits: offered, leased, acknowledged, with its account kept and its id
//! remembered. One user's message at a time, users in a scattered order.

use router::{
    Instant,
    queue::{Admission, Event, Lease, Limits, Offer, Outlet, Policies, Queue},
};

use super::{
    Body, Tally,
    core::{KEPT_MAX, fill},
};

const USERS: u64 = 1_000;
/// Coprime to [`USERS`], so that neighbours in time are no neighbours in memory.
const STRIDE: u64 = 617;
const MESSAGE_BYTES: u32 = 150;
/// Time that passes between two batches, microseconds.
const STEP_US: u64 = 1_000;

pub(super) fn corpus() -> String {
    format!("{USERS} users in steps of {STRIDE}, {MESSAGE_BYTES} bytes, {KEPT_MAX} ids kept per user")
}

/// Messages through a queue in which nothing else waits.
#[derive(Debug)]
pub(super) struct Passages {
    queue: Queue<u64>,
    now: Instant,
    users: Vec<String>,
    sent: u64,
    /// The user and the id of each unit.
    offers: Vec<(usize, String)>,
    admissions: Vec<Admission>,
    leases: Vec<Lease>,
    events: Vec<Event>,
    acked: usize,
}

impl Passages {
    pub(super) fn new() -> Self {
        let limits = Limits { dedupe_ids_max: KEPT_MAX, ..Limits::default() };
        let mut passages = Self {
            queue: Queue::new(limits, Policies::default()),
            now: Instant::from_micros(1_700_000_000_000_000),
            users: (0..USERS).map(|user| format!("user-{user:07}")).collect(),
            sent: 0,
            offers: Vec::new(),
            admissions: Vec::new(),
            leases: Vec::new(),
            events: Vec::new(),
            acked: 0,
        };
        fill(&mut passages, USERS as usize * KEPT_MAX as usize);
        passages
    }
}

impl Body for Passages {
    fn batch(&self) -> usize {
        256
    }

    fn prepare(&mut self, units: usize) {
        self.offers.clear();
        for _ in 0..units {
            self.sent += 1;
            let user = (self.sent * STRIDE % USERS) as usize;
            self.offers.push((user, format!("m-{:010}", self.sent)));
        }
        self.admissions.reserve(units);
        self.now = self.now.after(STEP_US);
    }

    fn step(&mut self, unit: usize) {
        let (user, id) = &self.offers[unit];
        let offer = Offer { id: Some(id), ..Offer::new(Outlet::Worker(0), MESSAGE_BYTES, unit as u64) };
        self.admissions.push(self.queue.offer(self.now, &self.users[*user], offer, &mut self.events));
        self.leases.clear();
        self.queue.lease_work(self.now, 0, 1, &mut self.leases);
        for lease in &self.leases {
            self.acked += usize::from(self.queue.ack(self.now, *lease));
        }
    }

    fn settle(&mut self, units: usize, tally: &mut Tally) {
        assert!(self.admissions.iter().all(|one| matches!(one, Admission::Accepted { .. })), "each is new");
        assert_eq!((self.admissions.len(), self.acked), (units, units), "each was leased and acknowledged");
        tally.units += units as u64;
        // What is counted as an effect: an admission, a lease and a settlement each, and what happened unasked.
        tally.effects += (self.admissions.len() + 2 * self.acked + self.events.len()) as u64;
        self.admissions.clear();
        self.events.clear();
        self.acked = 0;
    }
}
