//! A user: the plan it plays and the reference client of each of its tabs. It exists from its first connect to
//! its last leave.

use crate::client::Client;
use crate::network::LinkRef;
use crate::plan::{Action, Plan, UserPlan};
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
    scripts: Vec<Option<Script>>,
}

/// One of a user's tabs.
#[derive(Debug, Default)]
pub(crate) struct Tab {
    pub(crate) client: Client,
    pub(crate) link: Option<LinkRef>,
    /// How often it has connected.
    pub(crate) connections: u32,
}

impl User {
    pub(crate) fn new(plan: UserPlan, scripts: Vec<Script>) -> Self {
        Self {
            scripts: scripts.into_iter().map(Some).collect(),
            id: plan.id,
            tier: tier_of(plan.tier),
            tabs: (0..plan.tabs).map(|_| Tab::default()).collect(),
            tabs_left: 0,
            actions: plan.actions.into_iter(),
        }
    }

    /// The next action, if it is due.
    pub(crate) fn due(&mut self, now_us: u64) -> Option<Action> {
        if self.next_at()? > now_us { None } else { self.actions.next() }
    }

    /// The script of the run of its message of that number, which it has once.
    pub(crate) fn take_script(&mut self, number: usize) -> Option<Script> {
        self.scripts.get_mut(number)?.take()
    }

    /// Something of each line of memory that a frame for it needs.
    pub(crate) fn lines(&self) -> u64 {
        let tabs = self.tabs.iter().fold(0, |lines, tab| lines ^ tab.client.lines() ^ u64::from(tab.connections));
        tabs ^ self.tabs_left as u64
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.actions.as_slice().first().map(|action| action.at_us)
    }
}

/// When every user arrives, earliest first, without generating the users.
pub(crate) fn arrivals(plan: &Plan) -> Vec<(u64, u32)> {
    let mut arrivals: Vec<(u64, u32)> =
        (0..plan.count()).map(|index| (arrival_us(plan, index), index)).collect();
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
