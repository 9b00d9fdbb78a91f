//! What every user does, as a pure function of scenario and seed: the same plan is played in virtual time
//! against the core and in real time over sockets.
//!
//! Users are generated on demand and nothing is kept per user, so a plan of a million users costs nothing.
//! User 7 is the same user whatever the number of users. The model is open: no time depends on an answer; the
//! plan knows from the run's script when each run ends and how.
//!
//! The plan keeps clear of the router's limits (open runs, connections, rate, rejected frames), so that
//! everything that happens was planned; and it puts stops and disconnects into the quiet middle between two
//! events of a run, so that both worlds agree on what came before.

mod action;
mod frames;
mod headroom;
mod identity;
mod session;
mod summary;

use crate::scenario::{Scenario, Tier};
use crate::script::{AgentProfile, Script};

pub use action::{Action, ActionKind, ExpectedRun, MessageKind, Say};
pub use summary::Summary;

/// A scenario under a seed.
#[derive(Clone, Debug)]
pub struct Plan {
    scenario: Scenario,
    profile: AgentProfile,
    seed: u64,
}

/// Everything one user does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPlan {
    /// Position in the plan, from 0.
    pub index: u32,
    /// Opaque id of the form `user-000123-9f3c`, unique within the plan.
    pub id: String,
    /// `cny-` and 16 lower-case hexadecimal digits, unique within the plan; in every text of this user and of
    /// the agent's answers to it.
    pub canary: String,
    /// The plan the user pays for.
    pub tier: Tier,
    /// Number of tabs; they are numbered from 0.
    pub tabs: u8,
    /// When the first tab connects, microseconds from the start.
    pub connect_at_us: u64,
    /// When all tabs leave, microseconds from the start.
    pub leave_at_us: u64,
    /// What the tabs do, ordered by time; simultaneous actions in the order given.
    pub actions: Vec<Action>,
}

impl Plan {
    /// The plan of a scenario under a seed.
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        Self { profile: AgentProfile::from(&scenario), scenario, seed }
    }

    /// The scenario.
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The seed.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// What the agents do; with the seed, the input of [`script`](crate::script::script).
    pub const fn profile(&self) -> &AgentProfile {
        &self.profile
    }

    /// Number of users.
    pub const fn count(&self) -> u32 {
        self.scenario.users.count
    }

    /// What user `index` does. Any index is valid; the scenario has those below [`count`](Self::count).
    pub fn user(&self, index: u32) -> UserPlan {
        session::user(self, index).0
    }

    /// The same with the scripts of the user's runs, in the order of their messages: the plan reads them anyway.
    pub(crate) fn user_with_scripts(&self, index: u32) -> (UserPlan, Vec<Script>) {
        session::user(self, index)
    }

    /// Position in the plan that a user id claims, and position among its user's messages that a message id claims;
    /// `None` if they are none of a plan's.
    pub(crate) fn place_of(user_id: &str, message_id: &str) -> Option<(u32, usize)> {
        Some((identity::claimed_index(user_id)?, identity::message_number(message_id)?))
    }

    /// All users, generated one by one.
    pub fn users(&self) -> impl Iterator<Item = UserPlan> + '_ {
        (0..self.count()).map(|index| self.user(index))
    }

    /// Id of user `index`, without generating the user.
    pub fn user_id(&self, index: u32) -> String {
        identity::user_id(self.seed, index)
    }

    /// The first thread of user `index`, without generating the user.
    pub fn thread_id(&self, index: u32) -> String {
        identity::thread(self.seed, index, 0)
    }

    /// Canary of user `index`, without generating the user.
    pub fn canary(&self, index: u32) -> String {
        identity::canary(self.seed, index)
    }

    /// The user of an id, if it is one of this plan's.
    pub fn index_of(&self, user_id: &str) -> Option<u32> {
        let index = identity::claimed_index(user_id)?;
        (index < self.count() && self.user_id(index) == user_id).then_some(index)
    }

    /// Counts over all users; generates every user once.
    pub fn summary(&self) -> Summary {
        Summary::of(self.users())
    }
}

#[cfg(test)]
mod tests;
