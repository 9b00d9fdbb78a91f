//! What goes wrong at a time of its own, and how it heals.

use router::store::{OpId, Trouble, Way};

use super::{Event, World, clients::PATIENCE_US};
use crate::{
    cluster::{
        Condition,
        fault::{FaultKind, Strike},
        person::Lost,
    },
    store::{LostTail, Model},
};

impl World<'_> {
    pub(super) fn begin(&mut self, node: usize) {
        let settings = self.settings.clone();
        self.nodes[node].begin(node, &self.limits, &settings);
        self.tell(|| format!("node {node} begins"));
        if self.away == 0 {
            self.mend(node);
        }
    }

    /// A node reaches the store again.
    pub(super) fn mend(&mut self, node: usize) {
        let at = self.now_us + self.net.from(1_000, 100_000);
        let state = &mut self.nodes[node];
        state.is_cut = false;
        let life = state.life;
        self.set(at, Event::Way { node, life, way: Way::Up });
        let at = at + self.net.from(0, 100_000);
        self.set(at, Event::Way { node, life, way: Way::Listening });
    }

    /// A node loses its way to the store: what is on its way is in doubt.
    pub(super) fn cut(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        if state.is_cut {
            return;
        }
        state.is_cut = true;
        state.line += 1;
        let (life, line) = (state.life, state.line);
        let owed: Vec<OpId> = state.owed.iter().copied().collect();
        for id in owed {
            self.answer(node, life, line, id, Err(Trouble::InDoubt), 10);
        }
        self.set(self.now_us + 20, Event::Way { node, life, way: Way::Down });
        self.set(self.now_us + 20, Event::Way { node, life, way: Way::Deaf });
    }

    pub(super) fn strike(&mut self, strike: Strike) {
        let Strike { kind, for_us, node, .. } = strike;
        let node = if kind == FaultKind::NodeKilled { self.living(node) } else { node };
        let strike = Strike { node, ..strike };
        self.tell(|| format!("FAULT {} node {node} for {} ms", kind.name(), for_us / 1_000));
        let heals_at = (self.now_us + for_us).min(self.faults.until_us.max(self.now_us + 1));
        if kind != FaultKind::ConnectionLost {
            self.disturb(heals_at - self.now_us);
        }
        match kind {
            FaultKind::StoreAway => {
                self.away += 1;
                (0..self.nodes.len()).for_each(|node| self.cut(node));
            }
            FaultKind::StoreRegressed => {
                self.earlier.push((self.now_us, self.store.clone()));
            }
            FaultKind::NodeCut => self.cut(node),
            FaultKind::NodePaused => {
                let state = &mut self.nodes[node];
                state.paused_until_us = state.paused_until_us.max(heals_at);
                let at = state.paused_until_us;
                if heals_at - self.now_us > self.limits.bounds.lease_ms * 1_000 {
                    self.meet(Condition::PausedLong);
                }
                self.set(at, Event::GoesOn { node });
            }
            FaultKind::NodeKilled => {
                if self.nodes[node].router.is_none() {
                    // All of them are dead: it waits for one that is not.
                    return self.set(self.now_us + 500_000, Event::Strike(strike));
                }
                self.kill(node);
            }
            FaultKind::ConnectionLost => {
                let conns: Vec<_> = self.conns.values().copied().collect();
                if !conns.is_empty() {
                    let at = self.chance.from(0, conns.len() as u64 - 1) as usize;
                    let (user, tab, generation) = conns[at];
                    self.set(self.now_us, Event::Broken { user, tab, generation });
                }
            }
            // It counts where an operation meets it.
            FaultKind::NoScript => return self.forget_scripts(),
            FaultKind::OpLost
            | FaultKind::AnswerLost
            | FaultKind::AnswerLate
            | FaultKind::WakeLost
            | FaultKind::WakeDoubled
            | FaultKind::WakeLate
            | FaultKind::WakeEarly
            | FaultKind::TwoTakers => return,
        }
        self.played.faults[kind as usize] += 1;
        self.set(heals_at, Event::Heals(strike));
    }

    /// That node if it lives, else the next one that does.
    fn living(&self, node: usize) -> usize {
        let mut order = (0..self.nodes.len()).map(|n| (node + n) % self.nodes.len());
        order.find(|node| self.nodes[*node].router.is_some()).unwrap_or(node)
    }

    pub(super) fn kill(&mut self, node: usize) {
        self.bury(node);
        let life = self.nodes[node].life;
        self.nodes[node].router = None;
        self.nodes[node].line += 1;
        let gone: Vec<_> = self.conns.iter().filter(|((n, l, _), _)| (*n, *l) == (node, life)).collect();
        let gone: Vec<_> = gone.into_iter().map(|(key, value)| (*key, *value)).collect();
        for (key, (user, tab, generation)) in gone {
            self.conns.remove(&key);
            let at = self.now_us + self.net.from(1_000, 200_000);
            self.set(at, Event::Broken { user, tab, generation });
        }
    }

    pub(super) fn heal(&mut self, strike: Strike) {
        let Strike { at_us, kind, node, .. } = strike;
        self.tell(|| format!("HEALS {} node {node}", kind.name()));
        match kind {
            FaultKind::StoreAway => {
                self.away -= 1;
                if self.away == 0 {
                    self.forget_scripts();
                    (0..self.nodes.len()).for_each(|node| self.mend(node));
                }
            }
            FaultKind::StoreRegressed => {
                let place = self.earlier.iter().position(|(at, _)| *at == at_us);
                if let Some(place) = place {
                    let (since_us, earlier) = self.earlier.remove(place);
                    self.lose_tail(since_us, &earlier);
                    // A store that lost its tail has been away.
                    for node in 0..self.nodes.len() {
                        if self.nodes[node].router.is_some() && !self.nodes[node].is_cut {
                            self.cut(node);
                            self.mend(node);
                        }
                    }
                }
            }
            FaultKind::NodeCut => {
                if self.away == 0 && self.nodes[node].is_cut {
                    self.mend(node);
                }
            }
            FaultKind::NodeKilled => {
                if self.nodes[node].router.is_none() {
                    self.begin(node);
                }
            }
            FaultKind::NodePaused
            | FaultKind::ConnectionLost
            | FaultKind::NoScript
            | FaultKind::TwoTakers
            | FaultKind::WakeEarly
            | FaultKind::OpLost
            | FaultKind::AnswerLost
            | FaultKind::AnswerLate
            | FaultKind::WakeLost
            | FaultKind::WakeDoubled
            | FaultKind::WakeLate => {}
        }
    }

    /// The store is again as it was, and its users with it.
    fn lose_tail(&mut self, since_us: u64, earlier: &Model) {
        (0..self.people.len()).for_each(|user| self.mark_first(user));
        for LostTail { user, from, to } in self.store.lose_tail(earlier) {
            let Some(number) = self.people.iter().position(|person| *person.id == *user) else { continue };
            let person = &mut self.people[number];
            person.forgotten(Lost { from, to }, since_us);
            let waits: Vec<usize> = (0..person.messages.len())
                .filter(|at| person.messages[*at].is_accepted && !person.messages[*at].is_over())
                .collect();
            for message in waits {
                self.send_later(number, message, PATIENCE_US);
            }
        }
        self.forget_scripts();
        self.forget_leases();
    }
}
