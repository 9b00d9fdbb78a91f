//! Limits: mostly the router's own, now and then tight ones.

use super::{Scale, dice::Dice};
use crate::scenario::{Limits, Micros, Scenario, Size as Bytes};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;

pub(super) fn limits(scale: Scale, scenario: &Scenario, dice: &mut Dice) -> Limits {
    let mut limits = Limits {
        agent_deadline: dice.maybe(0.6, |dice| Micros::new(dice.skewed(SECOND, 45 * SECOND))),
        ready_after: dice.maybe(0.4, |dice| Micros::new(dice.skewed(MS, SECOND))),
        heartbeat_after: dice.maybe(0.4, |dice| Micros::new(dice.within(4 * SECOND, 20 * SECOND))),
        runs_per_user_max: dice.maybe(0.3, |dice| dice.count(1, 6)),
        frame_bytes_max: dice.maybe(0.2, |dice| Bytes::new(dice.pick(&[3_072, 4_096, 16_384]))),
        ..Limits::default()
    };
    let tight = Tight::draw(scenario, dice);
    if scale.tight {
        tight.into(scenario.users.tabs.max(), &mut limits);
    }
    limits
}

/// What an outage, a stall or a busy moment loses for good if there is no room for it: only for worlds that no plan is
/// held to.
struct Tight {
    outbound_frames_max: Option<u32>,
    outbound_bytes_max: Option<Bytes>,
    connections_per_user_max: Option<u32>,
    rate: Option<(u32, u32)>,
    recovery_frames_max: Option<u32>,
    recovery_bytes_max: Option<Bytes>,
    recovery_ttl: Option<Micros>,
    slow_reader_grace: Option<Micros>,
    drain_deadline: Option<Micros>,
    heartbeat_after: Option<Micros>,
}

impl Tight {
    fn draw(scenario: &Scenario, dice: &mut Dice) -> Self {
        let tabs_max = scenario.users.tabs.max();
        // No outage of the plan is longer than the recovery window.
        let network = &scenario.network;
        let away = Micros::new(network.reconnect.first_success_us(network.reconnect_outage.high.us()));
        // A server that waits less than the way there and back takes, keeps no connection.
        let round_trip = Micros::new(2 * network.latency.high.us());
        Self {
            outbound_frames_max: dice.maybe(0.3, |dice| dice.skewed(1, 64) as u32),
            outbound_bytes_max: dice.maybe(0.1, |dice| Bytes::new(dice.skewed(2_000, 64_000) as u32)),
            connections_per_user_max: dice.maybe(0.2, |_| tabs_max),
            rate: dice.maybe(0.25, |dice| (dice.count(2, 20), dice.count(4, 40))),
            recovery_frames_max: dice.maybe(0.3, |dice| dice.skewed(1, 100) as u32),
            recovery_bytes_max: dice.maybe(0.1, |dice| Bytes::new(dice.skewed(2_000, 64_000) as u32)),
            recovery_ttl: dice.maybe(0.4, |dice| Micros::new(dice.skewed(500 * MS, 60 * SECOND)).max(away)),
            slow_reader_grace: dice.maybe(0.3, |dice| Micros::new(dice.skewed(200 * MS, 3 * SECOND))),
            drain_deadline: dice.maybe(0.5, |dice| Micros::new(dice.skewed(100 * MS, 5 * SECOND))),
            heartbeat_after: dice
                .maybe(0.2, |dice| Micros::new(dice.within(500 * MS, 4 * SECOND)).max(round_trip)),
        }
    }

    fn into(self, tabs_max: u32, limits: &mut Limits) {
        limits.outbound_frames_max = self.outbound_frames_max;
        limits.outbound_bytes_max = self.outbound_bytes_max;
        limits.connections_per_user_max = self.connections_per_user_max;
        limits.rate_per_s = self.rate.map(|(per_s, _)| per_s);
        limits.rate_burst = self.rate.map(|(_, burst)| burst);
        limits.recovery_frames_max = self.recovery_frames_max;
        limits.recovery_bytes_max = self.recovery_bytes_max;
        limits.recovery_ttl = self.recovery_ttl;
        limits.slow_reader_grace = self.slow_reader_grace;
        limits.drain_deadline = self.drain_deadline;
        limits.heartbeat_after = self.heartbeat_after.or(limits.heartbeat_after);
        // Answers to heartbeats count, too. Where they alone exceed the rate, nothing else ever gets through.
        if let (Some(rate), Some(every)) = (&mut limits.rate_per_s, limits.heartbeat_after) {
            let answers = u64::from(tabs_max) * SECOND / every.us().max(1);
            *rate = (*rate).max(answers as u32 + 2);
        }
    }
}
