//! What a world with faults keeps beside what every world has.

use std::collections::VecDeque;

use router::RunRef;

use crate::faults::{Chain, Due, FaultCounts, NodeClock, budget_us, timetable};
use crate::network::Event;
use crate::scenario::{Scenario, healed_at};

/// Only worlds whose scenario has faults have one.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) chain: Chain,
    /// What befalls clients and the node, earliest first.
    pub(super) due: std::vec::IntoIter<Due>,
    pub(super) clock: NodeClock,
    /// Nodes so far that were replaced.
    pub(super) node: u32,
    /// Until when the node takes in nothing, and what waits.
    pub(super) paused_until_us: u64,
    pub(super) waiting: VecDeque<Event>,
    /// What waited is being taken in.
    pub(super) resuming: bool,
    /// Until when there is no node.
    pub(super) down_until_us: u64,
    pub(super) draining: bool,
    /// The node has been told, so that it takes no new work.
    pub(super) told: bool,
    /// The node has drained: the next one takes its place.
    pub(super) drained: bool,
    pub(super) services_away: bool,
    /// Runs whose agents could not be started.
    pub(super) unstarted: VecDeque<RunRef>,
    pub(super) counts: FaultCounts,
    /// Runs that were open when their node died.
    pub(super) runs_lost: u64,
    /// The end of the last rule.
    pub(super) healed_us: u64,
    /// How long after that, or after what the user had in mind, it may take to come to rest.
    pub(super) budget_us: u64,
}

impl Trouble {
    /// Nothing for a scenario without faults.
    pub(super) fn of(scenario: &Scenario, seed: u64) -> Option<Box<Self>> {
        if scenario.faults.is_empty() {
            return None;
        }
        Some(Box::new(Self {
            chain: Chain::new(scenario, seed),
            due: timetable(scenario, seed).into_iter(),
            clock: NodeClock::default(),
            node: 0,
            paused_until_us: 0,
            waiting: VecDeque::new(),
            resuming: false,
            down_until_us: 0,
            draining: false,
            told: false,
            drained: false,
            services_away: false,
            unstarted: VecDeque::new(),
            counts: FaultCounts::default(),
            runs_lost: 0,
            healed_us: healed_at(&scenario.faults).us(),
            budget_us: budget_us(scenario, &super::router_config(scenario)),
        }))
    }

    pub(super) const fn is_paused(&self, now_us: u64) -> bool {
        now_us < self.paused_until_us
    }

    /// When there is a node again, if there is none.
    pub(super) fn back_us(&self, now_us: u64) -> Option<u64> {
        self.is_down(now_us).then_some(self.down_until_us)
    }

    /// Whether there is no node.
    pub(super) const fn is_down(&self, now_us: u64) -> bool {
        now_us < self.down_until_us
    }

    /// Keeps what would be an input of a node that takes in nothing; true if it did.
    pub(super) fn holds_back(&mut self, now_us: u64, event: Event) -> bool {
        // What came first goes first, also while the rest is being taken in.
        let waits =
            event.is_for_node() && (self.is_paused(now_us) || !(self.resuming || self.waiting.is_empty()));
        if waits {
            self.waiting.push_back(event);
        }
        waits
    }
}
