//! The host: the program that the server runs in. It sends events of its own and subscribes users to a topic; which
//! and when, is a pure function of scenario, seed and user.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use router::Authority;

use crate::plan::{Action, ActionKind, UserPlan, settle_us};
use crate::prng::{Domain, Prng};
use crate::scenario::Scenario;

/// The topic that the host tells of.
pub(crate) const TOPIC: &str = "notices";

/// One thing the host does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// An event for the user, kept for those tabs that are away.
    User,
    /// An event for one of the user's tabs.
    Tab(u8),
    /// An event in the user's name for a connection of somebody else, searched from that user on: it is refused.
    Stranger(u32),
    /// The user becomes a subscriber of the topic.
    Subscribe,
    /// The user is one no longer.
    Unsubscribe,
    /// An event for the topic.
    Topic,
    /// An event for everybody.
    All,
}

/// What the host is about to do, and what it waits for.
#[derive(Debug, Default)]
pub(crate) struct Host {
    due: BTreeMap<u32, VecDeque<(u64, Deed)>>,
    /// Users that are subscribed.
    pub(crate) subscribers: BTreeSet<u32>,
    /// Number of the newest event.
    number: u64,
    /// Events whose receipts have not come.
    receipts: BTreeSet<u64>,
    pub(crate) authority: Option<Authority>,
}

impl Host {
    /// Plans what is done for a user who has just arrived; when to begin.
    pub(crate) fn plan(&mut self, scenario: &Scenario, seed: u64, user: &UserPlan) -> Option<u64> {
        let mut prng = Prng::keyed(seed, Domain::User, &[&user.id, "host"]);
        let count = scenario.host.notices.draw(&mut prng);
        let settle_us = settle_us(scenario);
        let connects = |action: &&Action| action.kind == ActionKind::Connect;
        let last_us = user.actions.iter().filter(connects).map(|action| action.at_us).max()?;
        let from_us = last_us + settle_us + scenario.limits.ready_after_us();
        let until_us = user.leave_at_us.saturating_sub(scenario.session.linger.us() + settle_us);
        if count == 0 || until_us <= from_us {
            return None;
        }
        // The rest of the session is for whoever reads slowly.
        let until_us = from_us + (until_us - from_us) / 4 * 3;
        let mut deeds: Vec<(u64, Deed)> = (0..count)
            .map(|_| (prng.range(from_us..=until_us), deed(&mut prng, user.tabs, scenario.users.count)))
            .collect();
        deeds.sort_by_key(|(at_us, _)| *at_us);
        let first_us = deeds.first()?.0;
        self.due.insert(user.index, deeds.into());
        Some(first_us)
    }

    /// What is due for a user now.
    pub(crate) fn due(&mut self, now_us: u64, user: u32) -> Option<Deed> {
        let deeds = self.due.get_mut(&user)?;
        if deeds.front()?.0 > now_us { None } else { deeds.pop_front().map(|(_, deed)| deed) }
    }

    /// When something is due for a user next.
    pub(crate) fn next_at(&mut self, user: u32) -> Option<u64> {
        let next_us = self.due.get(&user)?.front().map(|(at_us, _)| *at_us);
        if next_us.is_none() {
            self.due.remove(&user);
        }
        next_us
    }

    /// The number of a new event, whose receipt is waited for.
    pub(crate) fn number(&mut self) -> u64 {
        self.number += 1;
        self.receipts.insert(self.number);
        self.number
    }

    /// A receipt came; false if it was not waited for.
    pub(crate) fn receipt(&mut self, number: u64) -> bool {
        self.receipts.remove(&number)
    }

    /// Receipts that have not come.
    pub(crate) fn open(&self) -> usize {
        self.receipts.len()
    }

    /// The node is gone with all subscriptions and receipts.
    pub(crate) fn forget(&mut self) {
        self.subscribers.clear();
        self.receipts.clear();
        self.authority = None;
    }
}

/// Subscriptions come before their end and before the events of the topic often enough.
fn deed(prng: &mut Prng, tabs: u8, users: u32) -> Deed {
    let tab = prng.below(u64::from(tabs)) as u8;
    let other = prng.below(u64::from(users)) as u32;
    let deeds = [
        (4, Deed::User),
        (1, Deed::Tab(tab)),
        (1, Deed::Stranger(other)),
        (3, Deed::Subscribe),
        (2, Deed::Unsubscribe),
        (3, Deed::Topic),
        (1, Deed::All),
    ];
    deeds[prng.weighted(&deeds.map(|(weight, _)| weight))].1
}
