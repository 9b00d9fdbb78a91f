//! Plainer values: times, texts, names.

use super::Shrinker;
use super::candidate::with_row;
use crate::plan::default_message_ids;
use crate::scenario::{Act, AgentStep, Micros, MicrosRange, Scenario};

/// All passes that make values plainer.
pub(super) fn all(shrinker: &mut Shrinker<'_>) {
    shrinker.pass = "values";
    plain_all(shrinker);
    for number in 0..shrinker.best.acts.len() {
        plain_row(shrinker, number);
    }
    shrinker.pass = "times";
    even(shrinker);
    closer(shrinker);
    rounder(shrinker);
    rounder_steps(shrinker);
    rounder_faults(shrinker);
    shrinker.pass = "names";
    names(shrinker);
}

/// Every row as plain as can be, all at once.
fn plain_all(shrinker: &mut Shrinker<'_>) {
    let mut candidate = shrinker.best.clone();
    for act in &mut candidate.acts {
        act.text = None;
        for step in act.run.iter_mut().flatten() {
            step.bytes = None;
        }
    }
    shrinker.attempt(candidate);
}

fn plain_row(shrinker: &mut Shrinker<'_>, number: usize) {
    let changes: [&dyn Fn(&mut Act); 5] = [
        &|act| act.text = None,
        &|act| act.thread = None,
        &|act| act.tier = None,
        &|act| act.run.iter_mut().flatten().for_each(|step| step.bytes = None),
        &|act| {
            // A text that is only as long as it must be, if it must be long.
            let shorter = act.text.as_ref().map(|text| text.chars().take(text.chars().count() / 2).collect());
            act.text = shorter;
        },
    ];
    for change in changes {
        shrinker.attempt(with_row(&shrinker.best, number, change));
    }
}

/// Even steps of time: the first, the second, the third thing at whole steps.
fn even(shrinker: &mut Shrinker<'_>) {
    for act_us in [1_000_000, 100_000, 10_000_000] {
        for step_us in [1_000_000, 100_000, 0] {
            let mut candidate = evenly(&shrinker.best, act_us);
            if step_us > 0 {
                candidate
                    .acts
                    .iter_mut()
                    .filter_map(|act| act.run.as_mut())
                    .for_each(|run| even_steps(run, step_us));
            }
            if shrinker.attempt(candidate) {
                return;
            }
        }
    }
    for step_us in [1_000_000, 100_000] {
        let mut candidate = shrinker.best.clone();
        candidate.acts.iter_mut().filter_map(|act| act.run.as_mut()).for_each(|run| even_steps(run, step_us));
        if shrinker.attempt(candidate) {
            return;
        }
    }
}

/// Rows in their order, each time a whole number of steps.
fn evenly(scenario: &Scenario, step_us: u64) -> Scenario {
    let mut times: Vec<u64> = scenario.acts.iter().map(Act::at_us).collect();
    times.sort_unstable();
    times.dedup();
    let mut even = scenario.clone();
    for act in &mut even.acts {
        let place = times.partition_point(|time| *time < act.at_us()) as u64;
        act.at = Micros::new(place * step_us);
        act.lasts = act.lasts.map(|lasts| Micros::new(rounded(lasts.us(), step_us).max(step_us)));
    }
    even
}

/// Steps in their order: each event of the run one step of time after the one before.
fn even_steps(run: &mut [AgentStep], step_us: u64) {
    let mut times: Vec<u64> = run.iter().flat_map(|step| [step.at.us(), step.end_us()]).collect();
    times.sort_unstable();
    times.dedup();
    let place = |time: u64| times.partition_point(|other| *other < time) as u64 * step_us;
    for step in run {
        let (from_us, to_us) = (place(step.at.us()), place(step.end_us()));
        step.at = Micros::new(from_us);
        step.lasts = step.lasts.map(|_| Micros::new(to_us - from_us));
    }
}

/// Less waiting between two rows; what comes later moves along.
fn closer(shrinker: &mut Shrinker<'_>) {
    const GAPS_US: [u64; 4] = [1_000_000, 2_000_000, 5_000_000, 10_000_000];
    for number in 0..shrinker.best.acts.len() {
        for gap_us in GAPS_US.into_iter().map(|gap_us| if number == 0 { gap_us - 1_000_000 } else { gap_us })
        {
            let acts = &shrinker.best.acts;
            let before_us = number.checked_sub(1).map_or(0, |before| acts[before].at_us());
            let now_us = acts[number].at_us();
            let Some(less_us) = now_us.checked_sub(before_us + gap_us).filter(|less_us| *less_us > 0) else {
                break;
            };
            let mut candidate = shrinker.best.clone();
            for act in candidate.acts.iter_mut().filter(|act| act.at_us() >= now_us) {
                act.at = Micros::new(act.at_us() - less_us);
            }
            if shrinker.attempt(candidate) {
                break;
            }
        }
    }
}

const UNITS_US: [u64; 5] = [10_000_000, 1_000_000, 100_000, 10_000, 1_000];

/// Rounder times of rows, one by one.
fn rounder(shrinker: &mut Shrinker<'_>) {
    for number in 0..shrinker.best.acts.len() {
        round(shrinker, &|scenario| Some(&mut scenario.acts.get_mut(number)?.at));
        round(shrinker, &|scenario| scenario.acts.get_mut(number)?.lasts.as_mut());
    }
}

/// Rounder times of steps, one by one.
fn rounder_steps(shrinker: &mut Shrinker<'_>) {
    for number in 0..shrinker.best.acts.len() {
        let steps = shrinker.best.acts[number].run.as_ref().map_or(0, Vec::len);
        for step in 0..steps {
            round(shrinker, &|scenario| Some(&mut step_of(scenario, number, step)?.at));
            round(shrinker, &|scenario| step_of(scenario, number, step)?.lasts.as_mut());
        }
    }
}

fn step_of(scenario: &mut Scenario, number: usize, step: usize) -> Option<&mut AgentStep> {
    scenario.acts.get_mut(number)?.run.as_mut()?.get_mut(step)
}

/// Shorter and rounder times of faults.
fn rounder_faults(shrinker: &mut Shrinker<'_>) {
    for number in 0..shrinker.best.faults.len() {
        for _ in 0..20 {
            let MicrosRange { low, high } = shrinker.best.faults[number].during;
            let middle = Micros::new(low.us().midpoint(high.us()));
            let halves = [MicrosRange { low, high: middle }, MicrosRange { low: middle, high }];
            let taken = halves.into_iter().any(|during| {
                let mut candidate = shrinker.best.clone();
                candidate.faults[number].during = during;
                shrinker.attempt(candidate)
            });
            if !taken {
                break;
            }
        }
        round(shrinker, &|scenario| Some(&mut scenario.faults.get_mut(number)?.during.low));
        round(shrinker, &|scenario| Some(&mut scenario.faults.get_mut(number)?.during.high));
    }
}

/// Tries round values for one time, down and then up; the coarsest first.
fn round(shrinker: &mut Shrinker<'_>, time: &dyn Fn(&mut Scenario) -> Option<&mut Micros>) {
    let mut candidate = shrinker.best.clone();
    let Some(now_us) = time(&mut candidate).map(|time| time.us()) else { return };
    for unit_us in UNITS_US {
        for to_us in [rounded(now_us, unit_us), rounded(now_us, unit_us) + unit_us] {
            let mut candidate = shrinker.best.clone();
            if let Some(time) = time(&mut candidate) {
                *time = Micros::new(to_us);
            }
            // A rule that ends before it begins is no rule that a file may have.
            let lasts = candidate.faults.iter().all(|fault| fault.during.low <= fault.during.high);
            // At the same time as the start is no rounder than shortly after it.
            if lasts && to_us > 0 && to_us != now_us && shrinker.attempt(candidate) {
                return;
            }
        }
    }
}

const fn rounded(us: u64, unit_us: u64) -> u64 {
    us / unit_us * unit_us
}

/// Messages go by the names of their places, where those are theirs already or nothing depends on it.
fn names(shrinker: &mut Shrinker<'_>) {
    let mut own = shrinker.best.clone();
    for (act, name) in own.acts.iter_mut().zip(default_message_ids(&shrinker.best.acts)) {
        if act.message == name && act.deed != crate::scenario::Deed::Stop {
            act.message = None;
        }
    }
    shrinker.attempt(own);
    renamed(shrinker);
}

/// All messages, and the stops that name them, by the names of their places.
fn renamed(shrinker: &mut Shrinker<'_>) {
    let before = &shrinker.best.acts;
    let names = default_message_ids(before);
    let mut candidate = shrinker.best.clone();
    for (number, act) in candidate.acts.iter_mut().enumerate() {
        if act.deed != crate::scenario::Deed::Stop {
            act.message = None;
            continue;
        }
        let stopped = before.iter().position(|other| {
            other.deed.starts_run() && (other.user, &other.message) == (act.user, &before[number].message)
        });
        if let Some(name) = stopped.and_then(|stopped| names[stopped].clone()) {
            act.message = Some(name);
        }
    }
    shrinker.attempt(candidate);
}
