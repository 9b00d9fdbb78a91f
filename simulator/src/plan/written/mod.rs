//! A plan that the scenario writes out row by row, in place of one that is drawn.
//!
//! The rows say who does what and when; everything else follows as in a drawn plan: ids and canaries from number and
//! seed, what becomes of each run from its steps and its stop, and when a user leaves from the end of all that.

mod out;
mod rules;
mod session;
mod steps;

use std::collections::BTreeMap;

use super::{Plan, UserPlan, identity};
use crate::scenario::{Act, AgentStep, Deed};
use crate::script::{self, Script};

pub(super) use out::acts;
pub(crate) use rules::first_broken;

/// The rows by user.
#[derive(Debug)]
pub(super) struct Written {
    users: BTreeMap<u32, Vec<Act>>,
}

impl Written {
    /// Sorts rows by user and time, and names the messages that have no name.
    pub(super) fn new(acts: &[Act]) -> Self {
        let mut users: BTreeMap<u32, Vec<Act>> = BTreeMap::new();
        for act in acts {
            users.entry(act.user).or_default().push(act.clone());
        }
        for rows in users.values_mut() {
            rows.sort_by_key(Act::at_us);
            let ids = default_message_ids(rows);
            for (row, id) in rows.iter_mut().zip(ids) {
                row.message = row.message.take().or(id);
            }
        }
        Self { users }
    }

    /// The users that come.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.users.keys().copied()
    }

    /// When each of them connects first.
    pub(super) fn arrivals(&self) -> Vec<(u64, u32)> {
        self.users.iter().map(|(&user, rows)| (rows.first().map_or(0, Act::at_us), user)).collect()
    }

    /// Whether a client stops reading for a time.
    pub(super) fn has_stalls(&self) -> bool {
        self.users.values().flatten().any(|act| act.deed == Deed::Stall)
    }

    /// What user `index` does.
    pub(super) fn user(&self, plan: &Plan, index: u32) -> UserPlan {
        session::user(plan, index, self.rows(index))
    }

    /// The row of a message that starts a run.
    pub(super) fn message(&self, user: u32, message_id: &str) -> Option<&Act> {
        let named = |row: &&Act| row.deed.starts_run() && row.message.as_deref() == Some(message_id);
        self.rows(user).iter().find(named)
    }

    fn rows(&self, user: u32) -> &[Act] {
        self.users.get(&user).map(Vec::as_slice).unwrap_or_default()
    }
}

/// What each message of some rows is called if its row does not say; nothing for rows that send none.
pub(crate) fn default_message_ids(acts: &[Act]) -> Vec<Option<String>> {
    let mut order: Vec<usize> = (0..acts.len()).collect();
    order.sort_by_key(|&number| acts[number].at_us());
    let mut counts: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    let mut ids = vec![None; acts.len()];
    for number in order {
        let (messages, questions) = counts.entry(acts[number].user).or_default();
        if acts[number].deed.starts_run() {
            ids[number] = Some(identity::message_id(*messages));
            *messages += 1;
        } else if acts[number].deed == Deed::Quality {
            *questions += 1;
            ids[number] = Some(identity::question_id(*questions));
        }
    }
    ids
}

/// The script of a row's run, if the row writes it out.
pub(super) fn script_of(plan: &Plan, steps: &[AgentStep], user_id: &str, message_id: &str) -> Script {
    script::written(steps, plan.profile().deadline_us, plan.seed(), user_id, message_id)
}

#[cfg(test)]
mod tests;
