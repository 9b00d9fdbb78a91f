//! What befalls the node and the clients at times of the timetable.

use router::{AgentEvent, Input};

use super::{Subject, World};
use crate::faults::{Deed, strikes};
use crate::network::{Down, Event, LinkRef};
use crate::scenario::FaultKind;

/// How long after its drain deadline a node may take to end, before it is ended.
const EVICT_AFTER_US: u64 = 5_000_000;

impl<S: Subject> World<'_, S> {
    /// Sets the alarm for what the timetable has next.
    pub(super) fn await_strike(&mut self) {
        let next = self.trouble.as_ref().and_then(|trouble| trouble.due.as_slice().first());
        if let Some(due) = next {
            self.queue.set(due.at_us, Event::Strike);
        }
    }

    /// The next deed of the timetable.
    pub(super) fn strike(&mut self) {
        let next = self.trouble.as_mut().and_then(|trouble| trouble.due.next());
        let Some(due) = next else { return };
        self.await_strike();
        match due.deed {
            Deed::HalfOpen { user, tab } => self.die_silently(user, tab),
            Deed::Stall { user, tab, for_us } => self.stall_one(user, tab, for_us),
            Deed::Avalanche { rule } => self.avalanche(rule),
            Deed::Pause { for_us } => self.pause(for_us),
            Deed::Crash { for_us } => {
                self.counted(FaultKind::Crash);
                self.replace_node(for_us);
            }
            Deed::Deploy => self.deploy(),
            Deed::Jump { by_us } => {
                self.counted(FaultKind::Jump);
                self.turn_clock(|clock, now_us| clock.jump(now_us, by_us));
            }
            Deed::Drift { gain } => {
                if gain > 0 {
                    self.counted(FaultKind::Skew);
                }
                self.turn_clock(|clock, now_us| clock.drift(now_us, gain));
            }
            Deed::Services { away } => {
                if let Some(trouble) = &mut self.trouble {
                    trouble.services_away = away;
                }
            }
        }
    }

    /// Notes that a fault of that kind happened.
    pub(super) fn counted(&mut self, kind: FaultKind) {
        if let Some(trouble) = &mut self.trouble {
            trouble.counts.add(kind);
        }
    }

    fn turn_clock(&mut self, turn: impl FnOnce(&mut crate::faults::NodeClock, u64)) {
        let now_us = self.now_us;
        if let Some(trouble) = &mut self.trouble {
            turn(&mut trouble.clock, now_us);
            self.checkers.clock_is(&trouble.clock);
        }
    }

    /// A tab of the user that has a connection; `number` says which.
    fn connected_tab(&self, user: u32, number: u64) -> Option<(u8, LinkRef)> {
        let tabs = &self.users.get(user as usize)?.as_deref()?.tabs;
        let tab = (number % tabs.len().max(1) as u64) as usize;
        Some((tab as u8, tabs.get(tab)?.link?))
    }

    fn die_silently(&mut self, user: u32, number: u64) {
        let Some((tab, link)) = self.connected_tab(user, number) else { return };
        self.counted(FaultKind::HalfOpen);
        self.unlink(user, tab);
        let served = |current: &&mut crate::network::Link| current.known && !current.orphaned;
        match self.links.get(link).filter(served) {
            Some(current) => current.die(),
            None => self.hang_up(link, false),
        }
        self.lost(user, tab);
        self.try_again(user, tab);
    }

    fn stall_one(&mut self, user: u32, number: u64, for_us: u64) {
        let Some((tab, _)) = self.connected_tab(user, number) else { return };
        self.counted(FaultKind::Stall);
        self.stall(user, tab, for_us);
    }

    fn avalanche(&mut self, rule: usize) {
        let (scenario, seed) = (self.plan.scenario().clone(), self.plan.seed());
        for user in 0..self.users.len() as u32 {
            let tabs = self.users[user as usize].as_deref().map_or(0, |current| current.tabs.len());
            if tabs == 0 || !strikes(&scenario, seed, rule, user) {
                continue;
            }
            for tab in 0..tabs as u8 {
                let Some(link) = self.unlink(user, tab) else { continue };
                self.counted(FaultKind::Avalanche);
                self.hang_up(link, false);
                self.lost(user, tab);
                self.connect(user, tab);
            }
        }
    }

    fn pause(&mut self, for_us: u64) {
        let now_us = self.now_us;
        let Some(trouble) = self.trouble.as_mut().filter(|trouble| !trouble.is_down(now_us)) else { return };
        trouble.paused_until_us = trouble.paused_until_us.max(now_us + for_us);
        self.queue.set(trouble.paused_until_us, Event::Resume);
        self.counted(FaultKind::Pause);
    }

    /// A node that took in nothing takes in what came meanwhile, in the order in which it came.
    pub(super) fn resume_node(&mut self) {
        let now_us = self.now_us;
        while let Some(trouble) = self.trouble.as_mut().filter(|trouble| !trouble.is_paused(now_us))
            && let Some(event) = trouble.waiting.pop_front()
        {
            trouble.resuming = true;
            self.happen(event);
            self.settle_accounts();
            if let Some(trouble) = &mut self.trouble {
                trouble.resuming = false;
            }
        }
    }

    /// Tells the checkers which connections were disturbed.
    pub(super) fn tell_disturbed(&mut self) {
        for link in std::mem::take(&mut self.links.struck) {
            let Some(current) = self.links.get(link) else { continue };
            let (user, tab) = (current.user, current.tab);
            if self.options.checkers && self.link_of_tab(user, tab) == Some(link) {
                self.checkers.disturbed(user, tab);
            }
        }
    }

    fn deploy(&mut self) {
        let Some(trouble) = self.trouble.as_mut().filter(|trouble| !trouble.draining) else { return };
        trouble.draining = true;
        let node = trouble.node;
        self.counted(FaultKind::Deploy);
        let deadline_us = super::router_config(self.plan.scenario()).drain_deadline_us;
        self.queue.set(self.now_us + deadline_us + EVICT_AFTER_US, Event::Evict { node });
        self.happen(Event::Drain);
    }

    /// The node is told to drain. What it had to do before, such as runs whose messages waited for a set-up, it does first:
    /// that is late only where the node stood still.
    pub(super) fn drain(&mut self) {
        if self.subject.next_deadline().is_some_and(|at| at <= self.node_now()) {
            self.input(Input::Tick);
        }
        if let Some(trouble) = &mut self.trouble {
            trouble.told = true;
        }
        self.input(Input::Drain);
    }

    /// A node that was told to drain and has not, has had its time.
    pub(super) fn evict(&mut self, node: u32) {
        if self.trouble.as_ref().is_some_and(|trouble| trouble.draining && trouble.node == node) {
            // A node that stands still for a moment is late without being at fault.
            let pauses = self.plan.scenario().faults.iter().any(|fault| fault.kind == FaultKind::Pause);
            if !pauses && self.subject.hosted().is_some() {
                self.note_fault(
                    "drain.late",
                    "the drain's deadline is over, and the node does not say that it has drained",
                );
            }
            self.renew();
        }
    }

    /// If the node has drained, the next one takes its place, and everybody comes back at once.
    pub(super) fn renew_drained(&mut self) {
        if self.trouble.as_mut().is_some_and(|trouble| std::mem::take(&mut trouble.drained)) {
            self.renew();
        }
    }

    fn renew(&mut self) {
        self.replace_node(0);
        for user in 0..self.users.len() as u32 {
            let tabs = self.users[user as usize].as_deref().map_or(0, |current| current.tabs.len());
            (0..tabs as u8).for_each(|tab| self.connect(user, tab));
        }
    }

    /// The node is gone with all it had; another takes its place, which takes connections after `after_us`.
    fn replace_node(&mut self, after_us: u64) {
        let (now_us, held) = (self.now_us, self.subject.held());
        let Some(trouble) = &mut self.trouble else { return };
        trouble.node += 1;
        trouble.runs_lost += held.runs;
        trouble.down_until_us = trouble.down_until_us.max(now_us + after_us);
        (trouble.draining, trouble.told, trouble.drained) = (false, false, false);
        trouble.paused_until_us = 0;
        trouble.waiting.clear();
        trouble.unstarted.clear();
        let node = trouble.node;
        self.server.is_another(now_us);
        self.bounds.accounts(now_us, self.subject.verify(), self.checkers.ledger_mut());
        if let Some(coverage) = &mut self.options.coverage {
            coverage.node_lost(self.subject.accounts());
        }
        self.subject = self.subject.fresh(node);
        self.agents.die();
        self.tools.forget();
        self.host.forget();
        self.offer_tools();
        self.questions.clear();
        self.written.clear();
        self.link_of_conn.clear();
        self.checkers.node_died();
        for link in self.links.all() {
            self.sever(link);
        }
    }

    /// The server's end of a connection dies with its node.
    fn sever(&mut self, link: LinkRef) {
        let Some(current) = self.links.get(link) else { return };
        // An upgrade that is on its way will meet whoever is there then.
        if !current.known && current.held {
            return;
        }
        current.conn = None;
        current.unwritten.clear();
        if current.held {
            self.orphan(link);
        } else {
            self.links.free(link);
        }
    }

    /// The server's end is gone and the client holds the other: the transport tells it, if it can.
    pub(super) fn orphan(&mut self, link: LinkRef) {
        let Some(current) = self.links.get(link) else { return };
        (current.conn, current.orphaned) = (None, true);
        self.send(link, Down::Reset);
    }

    /// What the host says of agents that it could not start.
    pub(super) fn report_unstarted(&mut self) {
        while let Some(run) = self.trouble.as_mut().and_then(|trouble| trouble.unstarted.pop_front()) {
            self.counted(FaultKind::ServicesAway);
            self.input(Input::Agent { run, event: AgentEvent::Started { agent: "", task: "" } });
            let event = AgentEvent::Failed { code: "AGENT_ERROR", message: "The agent could not be started" };
            self.input(Input::Agent { run, event });
        }
    }
}
