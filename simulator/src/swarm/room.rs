//! Room for what the plan promises, where it is to be held to its word: nothing may run into a limit, and no tab may be so
//! far behind that it does not know what its user is about to stop.

use super::agents;
use crate::scenario::{Counts, Micros, MicrosRange, Pause, Scenario, Share, Size, Weight};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;
/// More frames than any outage or stall of the profile leaves behind.
pub(super) const FRAMES: u32 = 50_000;
pub(super) const BYTES: Size = Size::new(64 << 20);
/// A socket takes a few frames per delay: with longer delays, busy users would be seconds behind.
const LATENCY_MAX: Micros = Micros::new(30 * MS);
/// A run with more thoughts than this is a flood of frames.
const THOUGHTS: u32 = 8;
/// Runs of one user at once that flood.
const FLOODS: u32 = 3;

/// Makes the sections agree with each other.
pub(super) fn leave(scenario: &mut Scenario) {
    let latency = &mut scenario.network.latency;
    (latency.low, latency.high) = (latency.low.min(LATENCY_MAX), latency.high.min(LATENCY_MAX));
    let latency_us = latency.high.us();
    // The server must know that a connection is gone before the next one comes.
    let base = &mut scenario.network.reconnect.base;
    *base = (*base).max(Micros::new(2 * latency_us));
    limits(scenario);
    session(scenario, latency_us);
    if agents::has_premium_tools(&scenario.agent) {
        // The highest plan's tools have quotas, which are somebody else's to enforce: few runs, far apart.
        scenario.session.messages = Counts::new(2, 3);
        scenario.session.think_time = Pause::Uniform(MicrosRange::new(5 * SECOND, 20 * SECOND));
    }
}

/// What is missed during outages and stalls fits into the recovery window, and confirmations do not use up the rate.
fn limits(scenario: &mut Scenario) {
    let floods = scenario.agent.thinking.high > THOUGHTS;
    let limits = &mut scenario.limits;
    (limits.recovery_frames_max, limits.recovery_bytes_max) = (Some(FRAMES), Some(BYTES));
    (limits.outbound_frames_max, limits.outbound_bytes_max) = (Some(FRAMES), Some(BYTES));
    (limits.rate_per_s, limits.rate_burst) = (Some(200), Some(1_000));
    if floods {
        limits.runs_per_user_max = Some(limits.runs_max().min(FLOODS));
    }
    if scenario.slow_reader.share.get() > 0.0 {
        // A client that does not read gives no sign of life.
        let stall = scenario.slow_reader.stall.high;
        limits.heartbeat_after = limits.heartbeat_after.map(|after| after.max(stall));
    }
}

fn session(scenario: &mut Scenario, latency_us: u64) {
    let session = &mut scenario.session;
    if session.during_setup.get() > 0.0 && scenario.users.tabs.max() > 1 {
        // A run that begins before another tab is known has begun without it.
        let gap = Micros::new(4 * latency_us);
        session.tab_gap =
            MicrosRange { low: session.tab_gap.low.max(gap), high: session.tab_gap.high.max(gap) };
    }
    if session.during_setup.get() > 0.0 {
        // A frame that is too large is refused at once, unread, however new its connection is.
        session.mix.malformed = Weight::new(0);
    }
    // Nobody leaves before the last frames of a busy moment are there.
    session.linger = session.linger.max(Micros::new(SECOND / 2 + 40 * latency_us));
    let behind = scenario.slow_reader.share.get() > 0.0
        || scenario.network.disconnect_share.get() > 0.0
            && scenario.network.reconnect_outage.high.us() > 5 * SECOND;
    if behind {
        // A tab that has much to catch up with cannot stop a run that it has not heard of.
        session.stop_share = Share::new(0.0);
    }
}
