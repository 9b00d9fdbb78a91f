//! Smaller scenarios, whole in themselves.

use std::collections::{BTreeMap, BTreeSet};

use crate::scenario::{Act, Deed, Scenario, Tier};

/// The users that come.
pub(super) fn users(scenario: &Scenario) -> Vec<u32> {
    let users: BTreeSet<u32> = scenario.acts.iter().map(|act| act.user).collect();
    users.into_iter().collect()
}

/// The scenario without these users.
pub(super) fn without_users(scenario: &Scenario, gone: &[u32]) -> Scenario {
    without(scenario, &|_, act| gone.contains(&act.user))
}

/// The scenario without some rows, and without what depends on them: with its connect goes all that a tab does, with a
/// message its stop. Tabs close ranks; a user's plan stays what it was.
pub(super) fn without(scenario: &Scenario, gone: &dyn Fn(usize, &Act) -> bool) -> Scenario {
    let tiers: BTreeMap<u32, Tier> =
        scenario.acts.iter().filter_map(|act| Some((act.user, act.tier?))).collect();
    let mut acts: Vec<Act> = Vec::with_capacity(scenario.acts.len());
    for (number, act) in scenario.acts.iter().enumerate() {
        if !gone(number, act) {
            acts.push(act.clone());
        }
    }
    let tabs: BTreeSet<(u32, u8)> =
        acts.iter().filter(|act| act.deed == Deed::Connect).map(|act| (act.user, act.tab)).collect();
    acts.retain(|act| tabs.contains(&(act.user, act.tab)));
    let messages: BTreeSet<(u32, String)> = acts
        .iter()
        .filter(|act| act.deed.starts_run())
        .filter_map(|act| Some((act.user, act.message.clone()?)))
        .collect();
    acts.retain(|act| {
        let stopped = || act.message.clone().map(|message| (act.user, message));
        act.deed != Deed::Stop || stopped().is_none_or(|stopped| messages.contains(&stopped))
    });
    let mut placed = BTreeSet::new();
    for act in &mut acts {
        // As many tabs as its user has before this one.
        act.tab = tabs.range((act.user, 0)..(act.user, act.tab)).count() as u8;
        act.tier = tiers.get(&act.user).copied().filter(|_| placed.insert(act.user));
    }
    Scenario { acts, ..scenario.clone() }
}

/// The scenario with one row changed.
pub(super) fn with_row(scenario: &Scenario, number: usize, change: impl FnOnce(&mut Act)) -> Scenario {
    let mut changed = scenario.clone();
    if let Some(act) = changed.acts.get_mut(number) {
        change(act);
    }
    changed
}
