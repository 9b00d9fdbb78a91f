//! Who comes, what they say, and how they are connected.

use super::{Scale, dice::Dice};
use crate::scenario::{
    Arrival, CountWeights, Counts, Distribution, LogNormalPause, Micros, MicrosRange, Mix, Network, Pause,
    Reconnect, Session, Size as Bytes, SlowReader, TextBytes, TierWeights, Users, Weight,
};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;

pub(super) fn users(scale: Scale, dice: &mut Dice) -> Users {
    let count = match scale.size.of(0, 1, 2, 3) {
        0 => dice.count(1, 3),
        1 => dice.count(2, 4),
        2 => dice.count(3, 8),
        _ => dice.count(8, 24),
    };
    let tabs_max = dice.pick(&[1, 1, 2, 2, 3, 3, 4, 6]);
    let mut tabs: Vec<(Counts, u32)> =
        (1..=tabs_max).map(|tabs| (Counts::new(tabs, tabs), dice.weight(0.6, 4).get())).collect();
    tabs.retain(|(_, weight)| *weight > 0);
    if tabs.is_empty() {
        tabs.push((Counts::new(tabs_max, tabs_max), 1));
    }
    let [free, early, mid, enterprise] = [(); 4].map(|()| dice.weight(0.5, 4));
    let mut tier = TierWeights { free, early, mid, enterprise };
    if [free, early, mid, enterprise].iter().all(|weight| weight.get() == 0) {
        tier.free = Weight::new(1);
    }
    // One in seven worlds has the highest plan alone: only there is no tool out of reach.
    if dice.chance(0.15) {
        let none = Weight::new(0);
        tier = TierWeights { free: none, early: none, mid: none, enterprise: Weight::new(1) };
    }
    let distribution = dice.pick(&[Distribution::Uniform, Distribution::Poisson, Distribution::AtOnce]);
    let over = Micros::new(dice.skewed(10 * MS, 10 * SECOND));
    Users { count, tabs: CountWeights::new(&tabs), tier, arrival: Arrival { over, distribution } }
}

pub(super) fn session(scale: Scale, users: u32, dice: &mut Dice) -> Session {
    let messages = match scale.size.of(0, 1, 2, 3) {
        0 => dice.counts(3, 16),
        1 => dice.counts(6, 36),
        2 => dice.counts(24, 96),
        _ => dice.counts(40, 120),
    };
    let think_time = match dice.weighted(&[2, 4, 3, 1]) {
        0 => Pause::Uniform(MicrosRange::new(0, 50 * MS)),
        1 => Pause::Uniform(dice.times(50 * MS, 2 * SECOND)),
        2 => Pause::Uniform(dice.times(500 * MS, 8 * SECOND)),
        _ => Pause::LogNormal(LogNormalPause {
            median: Micros::new(dice.skewed(SECOND, 8 * SECOND)),
            sigma: 0.8,
            max: Micros::new(60 * SECOND),
        }),
    };
    Session {
        messages,
        mix: mix(users, dice),
        think_time,
        text_bytes: TextBytes {
            max: Bytes::new(dice.pick(&[20, 64, 373, 373, 2_000])),
            ..TextBytes::default()
        },
        threads: Counts::new(1, dice.count(1, 4)),
        stop_share: dice.share(0.5, 0.05, 0.5),
        during_setup: dice.share(0.4, 0.2, 1.0),
        tab_gap: dice.pick(&[
            MicrosRange::new(2 * MS, 8 * MS),
            MicrosRange::new(0, 0),
            MicrosRange::new(100 * MS, SECOND),
        ]),
        linger: Micros::new(dice.pick(&[0, 100 * MS, SECOND, 3 * SECOND])),
    }
}

/// Which kinds of message there are. Runs are what all the rest is about: there is always a message that asks for one.
fn mix(users: u32, dice: &mut Dice) -> Mix {
    let runs = [(); 4].map(|()| dice.weight(0.6, 30));
    let [mut user_message, start_agent, chat, chat_message] = runs;
    let always = Weight::new(dice.count(10, 30));
    if runs.iter().all(|weight| weight.get() == 0) {
        user_message = always;
    }
    let [ping, heartbeat, typing, unknown, malformed, foreign, quality] =
        [(); 7].map(|()| dice.weight(0.5, 8));
    Mix {
        user_message,
        start_agent,
        chat,
        chat_message,
        ping,
        heartbeat,
        typing,
        unknown,
        malformed,
        // There must be somebody else to be named.
        foreign: if users > 1 { foreign } else { Weight::new(0) },
        quality,
    }
}

pub(super) fn network(dice: &mut Dice) -> Network {
    let latency = match dice.weighted(&[2, 5, 2, 1]) {
        0 => MicrosRange::new(0, dice.within(1, MS)),
        1 => MicrosRange::new(MS, dice.within(2 * MS, 30 * MS)),
        2 => dice.times(5 * MS, 200 * MS),
        _ => dice.times(100 * MS, SECOND),
    };
    let base = Micros::new(dice.skewed(50 * MS, 2 * SECOND));
    let reconnect =
        Reconnect { base, factor: dice.count(1, 3), cap: Micros::new(dice.within(2, 10) * SECOND) };
    let long = dice.chance(0.2);
    let outage = if long { dice.times(2 * SECOND, 25 * SECOND) } else { dice.times(50 * MS, 5 * SECOND) };
    Network {
        latency,
        disconnect_share: dice.share(0.5, 0.05, 0.5),
        reconnect,
        reconnect_outage: outage,
        // Who comes back without a cursor misses what was sent meanwhile: no plan can count on it.
        cursor: true,
    }
}

pub(super) fn slow_reader(dice: &mut Dice) -> SlowReader {
    let share = dice.share(0.3, 0.2, 1.0);
    SlowReader { share, stall: dice.times(500 * MS, 6 * SECOND), stalls: dice.counts(1, 3) }
}
