//! Keeps a user's plan below the router's limits, with room for what the network's delays press together.

use std::collections::VecDeque;

use crate::scenario::{Limits, router_defaults};

/// What a user has used up of its limits. Times are asked for in ascending order.
pub(super) struct Headroom {
    interval_us: u64,
    tolerance_us: u64,
    /// When the token bucket will be full again.
    full_at_us: u64,
    runs_max: usize,
    /// Ends of open runs.
    runs: Vec<u64>,
    rejected: VecDeque<u64>,
}

impl Headroom {
    pub(super) fn new(limits: &Limits) -> Self {
        let (per_s, burst) = limits.rate();
        let interval_us = 1_500_000 / u64::from(per_s);
        Self {
            interval_us,
            tolerance_us: interval_us * (u64::from(burst) * 3 / 5),
            full_at_us: 0,
            runs_max: limits.runs_max() as usize,
            runs: Vec::new(),
            rejected: VecDeque::new(),
        }
    }

    /// The earliest time from `at_us` on at which one more frame stays within two thirds of the rate and
    /// three fifths of the burst.
    pub(super) fn frame_at(&self, at_us: u64) -> u64 {
        at_us.max(self.full_at_us.saturating_sub(self.tolerance_us))
    }

    pub(super) fn take_frame(&mut self, at_us: u64) {
        self.full_at_us = self.full_at_us.max(at_us) + self.interval_us;
    }

    /// The earliest time from `at_us` on at which one more run may be open.
    pub(super) fn run_at(&self, at_us: u64) -> u64 {
        let mut open: Vec<u64> = self.runs.iter().copied().filter(|&end_us| end_us > at_us).collect();
        open.sort_unstable();
        match open.len().checked_sub(self.runs_max) {
            Some(surplus) => open[surplus],
            None => at_us,
        }
    }

    pub(super) fn take_run(&mut self, at_us: u64, end_us: u64) {
        self.runs.retain(|&end_us| end_us > at_us);
        self.runs.push(end_us);
    }

    /// The earliest time from `at_us` on at which one more bad frame keeps to half of what closes a
    /// connection, in one and a half times its window.
    pub(super) fn bad_frame_at(&self, at_us: u64) -> u64 {
        let half = router_defaults::ABUSE_FRAMES as usize / 2;
        match self.rejected.len().checked_sub(half) {
            Some(oldest) => at_us.max(self.rejected[oldest] + router_defaults::ABUSE_WINDOW_US / 2 * 3),
            None => at_us,
        }
    }

    pub(super) fn take_bad_frame(&mut self, at_us: u64) {
        self.rejected.push_back(at_us);
        if self.rejected.len() > router_defaults::ABUSE_FRAMES as usize {
            self.rejected.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn one_run_more_waits_for_the_first_to_end() {
        let mut headroom =
            Headroom::new(&Limits { runs_per_user_max: Some(2), ..Scenario::default().limits });
        headroom.take_run(0, 500);
        headroom.take_run(10, 300);
        assert_eq!((headroom.run_at(20), headroom.run_at(300), headroom.run_at(400)), (300, 300, 400));
    }

    #[test]
    fn a_burst_is_let_through_then_paced() {
        let mut headroom = Headroom::new(&Limits::default());
        let mut times = Vec::new();
        for _ in 0..80 {
            let at_us = headroom.frame_at(0);
            headroom.take_frame(at_us);
            times.push(at_us);
        }
        assert_eq!(times[60], 0);
        assert_eq!((times[61], times[79]), (50_000, 950_000));
    }

    #[test]
    fn bad_frames_keep_below_half_of_the_abuse_limit() {
        let mut headroom = Headroom::new(&Limits::default());
        for at_us in 0..10 {
            assert_eq!(headroom.bad_frame_at(at_us), at_us);
            headroom.take_bad_frame(at_us);
        }
        assert_eq!(headroom.bad_frame_at(10), 15_000_000);
    }
}
