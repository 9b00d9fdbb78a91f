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
//!
//! A scenario may also write its plan out, row by row ([`Act`]): then nothing of it is drawn, and the same promises
//! are asked of the rows.

mod action;
mod frames;
mod headroom;
mod identity;
mod outcome;
mod session;
mod summary;
pub(crate) mod written;

use std::sync::Arc;

use self::written::Written;
use crate::prng::{Domain, Prng};
use crate::scenario::{Act, Scenario, Share, Tier};
use crate::script::{AgentProfile, Script, script};

pub(crate) use self::written::default_message_ids;
pub use action::{Action, ActionKind, ExpectedRun, Malformed, MessageKind, Question, Say};
pub(crate) use outcome::settle_us;
pub use summary::Summary;

/// A scenario under a seed.
#[derive(Clone, Debug)]
pub struct Plan {
    scenario: Scenario,
    profile: AgentProfile,
    seed: u64,
    /// The rows, if the scenario has some.
    written: Option<Arc<Written>>,
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

/// What an agent does beside its script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// It also reports what it must not.
    pub unruly: bool,
    /// It does not hear that its run was ended.
    pub deaf: bool,
    /// The router runs its tools.
    pub dispatched: bool,
}

impl Plan {
    /// The plan of a scenario under a seed.
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        let written = (!scenario.acts.is_empty()).then(|| Arc::new(Written::new(&scenario.acts)));
        Self { profile: AgentProfile::from(&scenario), scenario, seed, written }
    }

    /// The scenario.
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The seed.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// What the agents do; with the seed, the input of [`script`].
    pub const fn profile(&self) -> &AgentProfile {
        &self.profile
    }

    /// How many numbers of users there are: all of them come, unless the plan is written out.
    pub const fn count(&self) -> u32 {
        self.scenario.users.count
    }

    /// The numbers of the users that come, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        let drawn = if self.written.is_some() { 0 } else { self.count() };
        self.written.iter().flat_map(|written| written.numbers()).chain(0..drawn)
    }

    /// What user `index` does. Any index is valid; the scenario has those of [`numbers`](Self::numbers).
    pub fn user(&self, index: u32) -> UserPlan {
        self.user_with_scripts(index).0
    }

    /// The same with the scripts of the user's runs, in the order of their messages, as far as drawing the plan made them.
    pub(crate) fn user_with_scripts(&self, index: u32) -> (UserPlan, Vec<Script>) {
        match &self.written {
            Some(written) => (written.user(self, index), Vec::new()),
            None => session::user(self, index),
        }
    }

    /// Position in the plan that a user id claims, and position among its user's messages that a message id claims;
    /// `None` if they are none of a plan's.
    pub(crate) fn place_of(user_id: &str, message_id: &str) -> Option<(u32, usize)> {
        Some((identity::claimed_index(user_id)?, identity::message_number(message_id)?))
    }

    /// All users that come, generated one by one.
    pub fn users(&self) -> impl Iterator<Item = UserPlan> + '_ {
        self.numbers().map(|index| self.user(index))
    }

    /// What the agent does in the run that a message asks for.
    pub fn script(&self, user_id: &str, message_id: &str) -> Script {
        if let Some(run) = self.row_of(user_id, message_id).and_then(|row| row.run.as_deref()) {
            return written::script_of(self, run, user_id, message_id);
        }
        script(&self.profile, self.seed, user_id, message_id)
    }

    /// What the agent of that run does beside its script.
    pub fn ways(&self, user_id: &str, message_id: &str) -> Ways {
        if let Some(row) = self.row_of(user_id, message_id).filter(|row| row.run.is_some()) {
            let Act { unruly, deaf, dispatched, .. } = *row;
            return Ways { unruly, deaf, dispatched };
        }
        let agent = &self.profile.agent;
        let falls = |share: Share, names: &[&str]| {
            !share.is_zero() && Prng::keyed(self.seed, Domain::Fault, names).chance(share.get())
        };
        Ways {
            unruly: falls(agent.unruly_share, &[user_id, message_id]),
            deaf: falls(agent.deaf_share, &[user_id, message_id, "deaf"]),
            dispatched: falls(agent.dispatched_share, &[user_id, message_id, "dispatched"]),
        }
    }

    /// The plan as rows of a scenario that give the same plan under the same seed.
    pub fn acts(&self) -> Vec<Act> {
        written::acts(self)
    }

    /// Whether all clients read whatever comes at once.
    pub fn all_read(&self) -> bool {
        match &self.written {
            Some(written) => !written.has_stalls(),
            None => self.scenario.slow_reader.share.is_zero(),
        }
    }

    /// When each user arrives, if that is written out.
    pub(crate) fn written_arrivals(&self) -> Option<Vec<(u64, u32)>> {
        self.written.as_ref().map(|written| written.arrivals())
    }

    /// The row of a message that starts a run, if it is written out.
    fn row_of(&self, user_id: &str, message_id: &str) -> Option<&Act> {
        let written = self.written.as_ref()?;
        written.message(self.index_of(user_id)?, message_id)
    }

    /// Id of user `index`, without generating the user.
    pub fn user_id(&self, index: u32) -> String {
        identity::user_id(self.seed, index)
    }

    /// The first thread of user `index`, without generating the user.
    pub fn thread_id(&self, index: u32) -> String {
        identity::thread(self.seed, index, 0)
    }

    /// Tier of user `index`, without generating the user: the first draw of the user's own stream.
    pub fn tier(&self, index: u32) -> Tier {
        self.scenario.users.tier.draw(&mut Prng::stream(self.seed, Domain::User, u64::from(index)))
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
