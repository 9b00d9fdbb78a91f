//! A message's way through the queue of what waits, in which nothing else waits.

use super::{
    Body, Tally,
    core::{KEPT_MAX, fill},
};
use crate::workloads::{Passing, QUEUED_BYTES};

const USERS: u32 = 1_000;

pub(super) fn corpus() -> String {
    format!("{USERS} users in steps of 617, {QUEUED_BYTES} bytes, {KEPT_MAX} ids kept per user")
}

/// Messages through a queue in which nothing else waits.
#[derive(Debug)]
pub(super) struct Passages(Passing);

impl Passages {
    pub(super) fn new() -> Self {
        let mut passages = Self(Passing::new(USERS, KEPT_MAX));
        fill(&mut passages, USERS as usize * KEPT_MAX as usize);
        passages
    }
}

impl Body for Passages {
    fn batch(&self) -> usize {
        256
    }

    fn prepare(&mut self, units: usize) {
        self.0.prepare(units);
    }

    fn step(&mut self, unit: usize) {
        self.0.offer(unit);
        self.0.lease_and_ack();
    }

    fn settle(&mut self, units: usize, tally: &mut Tally) {
        let passed = self.0.take();
        assert_eq!(
            (passed.admissions.len(), passed.acked),
            (units, units),
            "each was leased and acknowledged"
        );
        tally.units += units as u64;
        // What is counted as an effect: an admission, a lease and a settlement each, and what happened unasked.
        tally.effects += (passed.admissions.len() + 2 * passed.acked + passed.events.len()) as u64;
    }
}
