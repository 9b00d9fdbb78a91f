//! Which faults there are, when, for whom and how much.

use super::dice::Dice;
use crate::scenario::{Fault, FaultKind, Micros, MicrosRange, Pause, Scenario, Share, UserRange, Way};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;
const LONGEST_US: u64 = 40 * SECOND;

/// One rule at least: each kind exists or does not, and some come twice. Where the limits are tight, the first that does
/// anything concerns everybody from the beginning.
pub(super) fn faults(scenario: &Scenario, tight: bool, dice: &mut Dice) -> Vec<Fault> {
    let span_us = span_us(scenario);
    // Some worlds have one kind of fault, some have many.
    let exists = dice.pick(&[0.02, 0.08, 0.15, 0.3]);
    let mut faults = Vec::new();
    for kind in FaultKind::ALL {
        // Drawn whether it exists or not: a kind that is absent shifts none behind it.
        let (exists, twice) = (dice.chance(exists), dice.chance(0.25));
        let [first, second] = [(); 2].map(|()| rule(kind, span_us, scenario.users.count, dice));
        if exists {
            faults.push(first);
            faults.extend(twice.then_some(second));
        }
    }
    let otherwise = dice.pick(&FaultKind::ALL[1..]);
    if faults.iter().all(|fault| fault.kind == FaultKind::Pass) {
        faults.push(rule(otherwise, span_us, scenario.users.count, dice));
    }
    if tight && let Some(first) = faults.iter_mut().find(|fault| fault.kind != FaultKind::Pass) {
        first.users = None;
        let (low, high) = (first.during.low.us(), first.during.high.us());
        // What lets nothing pass must not last for the whole session.
        let lasts = lasts_us(first.kind) < LONGEST_US;
        first.during = MicrosRange::new(0, if lasts { high - low } else { high });
    }
    faults
}

fn rule(kind: FaultKind, span_us: u64, users: u32, dice: &mut Dice) -> Fault {
    let from_us = dice.within(0, span_us);
    let for_us = dice.skewed(100 * MS, lasts_us(kind));
    let mut fault = Fault::new(kind, MicrosRange::new(from_us, from_us + for_us));
    let everybody = dice.chance(0.5) || kind.is_of_node();
    let (one, other) = (dice.count(0, users - 1), dice.count(0, users - 1));
    fault.users = (!everybody).then(|| UserRange { low: one.min(other), high: one.max(other) });
    fault.share = share(kind, dice);
    let way = dice.pick(&[Way::Both, Way::Both, Way::Up, Way::Down]);
    fault.way = if kind.is_verdict() { way } else { Way::Both };
    fault
}

/// The longest that a rule is in force.
const fn lasts_us(kind: FaultKind) -> u64 {
    match kind {
        FaultKind::Cut | FaultKind::Clog | FaultKind::SwizzleClog => 30 * SECOND,
        FaultKind::Pass
        | FaultKind::Delay
        | FaultKind::Lose
        | FaultKind::Duplicate
        | FaultKind::Reorder
        | FaultKind::Corrupt
        | FaultKind::HalfOpen
        | FaultKind::Stall
        | FaultKind::Avalanche
        | FaultKind::Pause
        | FaultKind::Crash
        | FaultKind::Deploy
        | FaultKind::Jump
        | FaultKind::Skew
        | FaultKind::ServicesAway => LONGEST_US,
    }
}

/// Few frames are lost or garbled, many are late; what concerns clients or the node mostly happens.
fn share(kind: FaultKind, dice: &mut Dice) -> Share {
    let (low, high) = match kind {
        FaultKind::Lose | FaultKind::Corrupt => (0.01, 0.3),
        FaultKind::Duplicate | FaultKind::Reorder | FaultKind::Delay | FaultKind::Pass => (0.05, 1.0),
        FaultKind::Cut
        | FaultKind::Clog
        | FaultKind::SwizzleClog
        | FaultKind::HalfOpen
        | FaultKind::Stall
        | FaultKind::Avalanche
        | FaultKind::Pause
        | FaultKind::Crash
        | FaultKind::Deploy
        | FaultKind::Jump
        | FaultKind::Skew
        | FaultKind::ServicesAway => (0.5, 1.0),
    };
    let whole = !matches!(kind, FaultKind::Lose | FaultKind::Corrupt) && dice.chance(0.5);
    let part = dice.share(1.0, low, high);
    if whole { Share::new(1.0) } else { part }
}

/// About how long the sessions last: faults fall into them, and into some quiet before the end.
fn span_us(scenario: &Scenario) -> u64 {
    let think_us = match scenario.session.think_time {
        Pause::Uniform(range) => range.low.us().midpoint(range.high.us()),
        Pause::LogNormal(pause) => pause.median.us(),
    };
    let messages = u64::from(scenario.session.messages.low.midpoint(scenario.session.messages.high));
    let run = Micros::new(4 * SECOND);
    scenario.users.arrival.over.us() + messages * think_us + run.us()
}
