//! Fewer things: users, rows, steps, faults, settings.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::Shrinker;
use super::candidate::{users, with_row, without, without_users};
use super::ddmin::ddmin;
use crate::scenario::{AgentStep, Deed, Fault, Scenario, Share, StepKind, Way};

/// Tabs of a user that are looked at one by one; plans have fewer.
const TABS_MAX: u8 = 16;

/// All passes that take things away, the largest things first.
pub(super) fn all(shrinker: &mut Shrinker<'_>) {
    shrinker.pass = "users";
    later(shrinker);
    named_alone(shrinker);
    fewer_users(shrinker);
    shrinker.pass = "messages";
    fewer_runs_in_detail(shrinker);
    fewer_rows(shrinker);
    one_tab(shrinker);
    shrinker.pass = "steps";
    fewer_steps(shrinker);
    shrinker.pass = "faults";
    fewer_faults(shrinker);
    shrinker.pass = "settings";
    fewer_settings(shrinker);
}

/// What comes after the finding has not caused it.
fn later(shrinker: &mut Shrinker<'_>) {
    let rule = shrinker.suspicion.rule();
    let first = shrinker.report.findings.iter().find(|finding| finding.rule == rule);
    let Some(at_us) = first.map(|finding| finding.at_us) else { return };
    let best = &shrinker.best;
    shrinker.attempt(without(best, &|_, act| act.at_us() > at_us));
}

/// Often only those that the finding names are needed.
fn named_alone(shrinker: &mut Shrinker<'_>) {
    let rule = shrinker.suspicion.rule();
    let named: Vec<u32> = shrinker
        .report
        .findings
        .iter()
        .filter(|finding| finding.rule == rule)
        .filter_map(|finding| finding.user.as_deref()?.split('-').nth(1)?.parse().ok())
        .take(4)
        .collect();
    let all = users(&shrinker.best);
    for user in named {
        let others: Vec<u32> = all.iter().copied().filter(|other| *other != user).collect();
        if shrinker.attempt(without_users(&shrinker.best, &others)) {
            return;
        }
    }
}

fn fewer_users(shrinker: &mut Shrinker<'_>) {
    ddmin(users(&shrinker.best), &mut |gone| shrinker.attempt(without_users(&shrinker.best, gone)));
}

/// Runs as short as can be, all at once: a first look that often saves the long way.
fn fewer_runs_in_detail(shrinker: &mut Shrinker<'_>) {
    let mut plain = shrinker.best.clone();
    for act in &mut plain.acts {
        (act.unruly, act.deaf, act.dispatched) = (false, false, false);
        if let Some(run) = &mut act.run {
            *run = shortest(run);
        }
    }
    shrinker.attempt(plain);
}

fn fewer_rows(shrinker: &mut Shrinker<'_>) {
    // Rows are told apart by their numbers in what there was: those change when others go.
    let base = shrinker.best.clone();
    let mut all = BTreeSet::new();
    ddmin((0..base.acts.len()).collect(), &mut |gone: &[usize]| {
        let more: BTreeSet<usize> = all.iter().chain(gone).copied().collect();
        let taken = shrinker.attempt(without(&base, &|number, _| more.contains(&number)));
        if taken {
            all = more;
        }
        taken
    });
}

/// What a tab does, the first tab of its user can do.
fn one_tab(shrinker: &mut Shrinker<'_>) {
    for user in users(&shrinker.best) {
        for tab in 1..TABS_MAX {
            let mut moved = shrinker.best.clone();
            moved.acts.retain(|act| (act.user, act.tab, act.deed) != (user, tab, Deed::Connect));
            for act in moved.acts.iter_mut().filter(|act| (act.user, act.tab) == (user, tab)) {
                act.tab = 0;
            }
            shrinker.attempt(without(&moved, &|_, _| false));
        }
    }
}

fn fewer_steps(shrinker: &mut Shrinker<'_>) {
    for number in 0..shrinker.best.acts.len() {
        let Some(run) = shrinker.best.acts.get(number).and_then(|act| act.run.clone()) else { continue };
        let set = |shrinker: &mut Shrinker<'_>, run: Vec<AgentStep>| {
            shrinker.attempt(with_row(&shrinker.best, number, |act| act.run = Some(run)))
        };
        shrinker.attempt(with_row(&shrinker.best, number, |act| act.unruly = false));
        shrinker.attempt(with_row(&shrinker.best, number, |act| act.deaf = false));
        shrinker.attempt(with_row(&shrinker.best, number, |act| act.dispatched = false));
        if set(shrinker, shortest(&run)) {
            continue;
        }
        let middle: Vec<AgentStep> =
            run.iter().skip(1).filter(|step| !step.kind.is_last()).cloned().collect();
        let ends = (run.first().cloned(), run.last().cloned());
        let mut kept = middle.clone();
        ddmin(middle, &mut |gone| {
            let left: Vec<AgentStep> = kept.iter().filter(|step| !gone.contains(step)).cloned().collect();
            let steps = ends.0.iter().chain(&left).chain(&ends.1).cloned().collect();
            let taken = set(shrinker, steps);
            if taken {
                kept = left;
            }
            taken
        });
        let mut answered = shrinker.best.acts[number].run.clone().unwrap_or_default();
        if let Some(last) = answered.last_mut() {
            *last = AgentStep::new(last.at.us(), StepKind::Answer);
        }
        set(shrinker, answered);
        let calm: Vec<AgentStep> = shrinker.best.acts[number].run.clone().unwrap_or_default();
        for step in 0..calm.len() {
            let mut run = calm.clone();
            run[step].fails = false;
            set(shrinker, run);
        }
    }
}

/// The shortest run with the times of this one: it starts and it answers.
fn shortest(run: &[AgentStep]) -> Vec<AgentStep> {
    let at_us = |step: Option<&AgentStep>| step.map_or(0, |step| step.at.us());
    vec![
        AgentStep::new(at_us(run.first()), StepKind::Started),
        AgentStep::new(at_us(run.last()), StepKind::Answer),
    ]
}

fn fewer_faults(shrinker: &mut Shrinker<'_>) {
    let faults = shrinker.best.faults.clone();
    ddmin(faults, &mut |gone| {
        let mut candidate = shrinker.best.clone();
        candidate.faults.retain(|fault| !gone.contains(fault));
        shrinker.attempt(candidate)
    });
    for number in 0..shrinker.best.faults.len() {
        for change in [
            |fault: &mut Fault| fault.share = Share::new(1.0),
            |fault: &mut Fault| fault.by = None,
            |fault: &mut Fault| fault.users = None,
            |fault: &mut Fault| fault.way = Way::Both,
        ] {
            let mut candidate = shrinker.best.clone();
            change(&mut candidate.faults[number]);
            shrinker.attempt(candidate);
        }
    }
}

/// Sections, then keys, back to their defaults.
fn fewer_settings(shrinker: &mut Shrinker<'_>) {
    let Ok(table) = Table::try_from(&shrinker.best) else { return };
    let sections: Vec<String> =
        table.iter().filter(|(_, value)| value.is_table()).map(|(name, _)| name.clone()).collect();
    for name in sections {
        let plain = changed(&shrinker.best, &|table| _ = table.remove(&name));
        if plain.is_some_and(|plain| shrinker.attempt(plain)) {
            continue;
        }
        let keys: Vec<String> = match table.get(&name) {
            Some(Value::Table(section)) => section.keys().cloned().collect(),
            Some(_) | None => continue,
        };
        for key in keys {
            let plain = changed(&shrinker.best, &|table| {
                let section = table.get_mut(&name).and_then(Value::as_table_mut);
                section.map(|section| section.remove(&key));
            });
            plain.map(|plain| shrinker.attempt(plain));
        }
    }
}

/// The scenario with its text changed.
fn changed(scenario: &Scenario, change: &dyn Fn(&mut Table)) -> Option<Scenario> {
    let mut table = Table::try_from(scenario).ok()?;
    change(&mut table);
    table.try_into().ok()
}
