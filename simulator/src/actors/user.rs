//! A user: the plan it plays and the reference client of each of its tabs. It exists from its first connect to
//! its last leave.

use crate::client::Client;
use crate::faults::Care;
use crate::network::LinkRef;
use crate::plan::{Action, ActionKind, Plan, UserPlan};
use crate::prng::{Domain, Prng};
use crate::script::Script;

/// A user in session.
#[derive(Debug)]
pub(crate) struct User {
    actions: std::vec::IntoIter<Action>,
    pub(crate) id: String,
    pub(crate) tier: router::Tier,
    pub(crate) tabs: Vec<Tab>,
    pub(crate) tabs_left: usize,
    /// The script of each of its runs, until the run begins.
    scripts: Box<[Option<Script>]>,
    /// Since when the user would be gone but for what is not done yet; only of users who reckon with faults.
    pub(crate) leaving: bool,
}

/// One of a user's tabs.
#[derive(Debug, Default)]
pub(crate) struct Tab {
    pub(crate) client: Client,
    pub(crate) link: Option<LinkRef>,
    /// How often it has connected.
    pub(crate) connections: u32,
    /// What it minds, if its user reckons with faults.
    pub(crate) care: Option<Box<Care>>,
    /// Whether it has looked, at the very end, if anything is missing.
    pub(crate) looked: bool,
    /// Welcomes in a row that said that the server has forgotten.
    pub(crate) forgotten: u32,
}

impl Tab {
    fn new(careful: bool) -> Self {
        if !careful {
            return Self::default();
        }
        Self { client: Client::careful(), care: Some(Box::new(Care::new())), ..Self::default() }
    }

    /// Whether what the welcome spoke of has not all come.
    pub(crate) fn is_behind(&self) -> bool {
        let owed = self.care.as_ref().and_then(|care| care.owed());
        owed.is_some_and(|owed| !self.client.is_up_to(owed))
    }

    /// Whether runs that another tab asked for are open, as far as this one knows.
    pub(crate) fn follows_others(&self) -> bool {
        let own = |request: &str| self.care.as_ref().is_some_and(|care| care.awaits(request));
        self.client.follows_others(&own)
    }

    /// Whether nothing is left to do, as far as the tab knows.
    pub(crate) fn is_settled(&self) -> bool {
        let settled = |care: &Care| care.asked().is_empty() && care.is_welcomed();
        self.link.is_some()
            && self.care.as_deref().is_none_or(settled)
            && !self.is_behind()
            && !self.follows_others()
    }
}

impl User {
    /// A user of a plan, with the scripts of its runs; `careful`: one who reckons with faults.
    pub(crate) fn new(plan: UserPlan, scripts: Vec<Script>, careful: bool) -> Self {
        Self {
            scripts: scripts.into_iter().map(Some).collect(),
            id: plan.id,
            tier: tier_of(plan.tier),
            tabs: (0..plan.tabs).map(|_| Tab::new(careful)).collect(),
            tabs_left: 0,
            leaving: false,
            actions: plan.actions.into_iter(),
        }
    }

    /// The next action, if it is due.
    pub(crate) fn due(&mut self, now_us: u64) -> Option<Action> {
        if self.next_at()? > now_us { None } else { self.actions.next() }
    }

    /// The first tab that does not have what another one has.
    pub(crate) fn tab_behind(&self) -> Option<usize> {
        self.tabs.iter().position(|tab| self.tabs.iter().any(|other| tab.client.lacks_what(&other.client)))
    }

    /// The script of the run of its message of that number, which it has once.
    pub(crate) fn take_script(&mut self, number: usize) -> Option<Script> {
        self.scripts.get_mut(number)?.take()
    }

    /// Something of each line of memory that a frame for it needs, so many pointers away.
    pub(crate) fn lines(&self, step: u8) -> u64 {
        let Some(further) = step.checked_sub(1) else {
            return self.tabs.len() as u64
                ^ self.tabs_left as u64
                ^ self.id.len() as u64
                ^ self.actions.len() as u64;
        };
        self.tabs.iter().fold(0, |lines, tab| lines ^ tab.client.lines(further) ^ u64::from(tab.connections))
    }

    /// The same for what it does next.
    pub(crate) fn action_lines(&self, step: u8) -> u64 {
        let actions = self.actions.as_slice();
        match (step, actions.first().map(|action| &action.kind)) {
            (1, _) => actions.iter().take(2).fold(0, |lines, action| lines ^ action.at_us),
            (2, Some(ActionKind::Say(say))) => say.message_id.len() as u64 ^ say.expected.ends_at_us,
            (3, Some(ActionKind::Say(say))) => [&say.message_id, &say.thread, &say.text]
                .into_iter()
                .filter_map(|text| text.as_bytes().first())
                .fold(0, |lines, byte| lines ^ u64::from(*byte)),
            _ => 0,
        }
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.actions.as_slice().first().map(|action| action.at_us)
    }

    /// When it leaves, as planned; nothing once it has begun to.
    pub(crate) fn leaves_at(&self) -> Option<u64> {
        self.actions.as_slice().last().map(|action| action.at_us)
    }
}

/// When every user arrives, earliest first, without generating the users.
pub(crate) fn arrivals(plan: &Plan) -> Vec<(u64, u32)> {
    let drawn = || (0..plan.count()).map(|index| (arrival_us(plan, index), index)).collect();
    let mut arrivals: Vec<(u64, u32)> = plan.written_arrivals().unwrap_or_else(drawn);
    arrivals.sort_unstable();
    arrivals
}

/// The first draws of the user's own stream, in the order in which the plan makes them.
fn arrival_us(plan: &Plan, index: u32) -> u64 {
    let users = &plan.scenario().users;
    let mut prng = Prng::stream(plan.seed(), Domain::User, u64::from(index));
    users.tier.draw(&mut prng);
    users.tabs.draw(&mut prng);
    users.arrival.at_us(index, &mut prng)
}

fn tier_of(tier: crate::scenario::Tier) -> router::Tier {
    use crate::scenario::Tier;
    match tier {
        Tier::Free => router::Tier::Free,
        Tier::Early => router::Tier::Early,
        Tier::Mid => router::Tier::Mid,
        Tier::Enterprise => router::Tier::Enterprise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Scenario, embedded};

    #[test]
    fn arrivals_are_those_of_the_plan() {
        for (name, text) in embedded() {
            let mut scenario = Scenario::parse(name, text).unwrap();
            scenario.users.count = scenario.users.count.min(50);
            let plan = Plan::new(scenario, 3);
            let mut planned: Vec<_> = plan.users().map(|user| (user.connect_at_us, user.index)).collect();
            planned.sort_unstable();
            assert_eq!(arrivals(&plan), planned, "{name}");
        }
    }
}
