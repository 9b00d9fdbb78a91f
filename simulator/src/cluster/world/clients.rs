//! Clients: they connect, send, receive, and come back.

use router::{ConnId, Connect, Input, RunRef, Ticket};

use super::{Event, World, fold};
use crate::cluster::{
    Condition,
    node::Node,
    person::{Link, News},
};

/// How long an event may take from the log to a tab when nothing is wrong.
const LATE_US: u64 = 300_000;
/// After this time a client asks again what became of a message.
pub(super) const PATIENCE_US: u64 = 8_000_000;

impl World<'_> {
    pub(super) fn connect(&mut self, user: usize, tab: usize, generation: u32) {
        if self.people[user].tabs[tab].generation != generation || self.people[user].tabs[tab].link.is_some()
        {
            return;
        }
        let node = self.net.from(0, self.nodes.len() as u64 - 1) as usize;
        if self.nodes[node].router.is_none() {
            let at = self.now_us + self.net.from(50_000, 500_000);
            return self.set(at, Event::Connect { user, tab, generation });
        }
        let life = self.nodes[node].life;
        let state = &mut self.people[user].tabs[tab];
        let resume = state.connects();
        state.link = Some(Link { node, life, conn: None });
        let generation = state.generation;
        let ticket = Ticket((user as u64) << 32 | (tab as u64) << 24 | u64::from(generation));
        self.tickets.insert(ticket.0, (user, tab, generation));
        let id = self.people[user].id.clone();
        self.tell(|| format!("{id} tab {tab} connects to node {node}, resumes {resume:?}"));
        if self.nodes[node].paused_until_us > self.now_us {
            // Nobody answers: another try.
            let at = self.now_us + 2_000_000;
            return self.set(at, Event::Broken { user, tab, generation });
        }
        self.input(node, Input::Connect(Connect { resume, ..Connect::new(ticket, &id) }));
    }

    pub(super) fn accepted(&mut self, node: usize, life: u32, ticket: Ticket, conn: ConnId) {
        let Some((user, tab, generation)) = self.tickets.remove(&ticket.0) else { return };
        self.conns.insert((node, life, conn), (user, tab, generation));
        let state = &mut self.people[user].tabs[tab];
        if state.generation == generation {
            state.link = Some(Link { node, life, conn: Some(conn) });
        }
    }

    pub(super) fn sent(&mut self, node: usize, life: u32, conn: ConnId, text: &str) {
        let Some((user, tab, generation)) = self.conns.get(&(node, life, conn)).copied() else { return };
        let delay = self.net.from(100, 5_000);
        let state = &mut self.people[user].tabs[tab];
        state.down_at_us = state.down_at_us.max(self.now_us + delay);
        let at = state.down_at_us;
        self.set(at, Event::Down { user, tab, generation, text: text.to_owned() });
        self.set(self.now_us + delay / 2, Event::Written { node, life, conn });
    }

    pub(super) fn arrive(&mut self, user: usize, tab: usize, generation: u32, text: &str) {
        let person = &mut self.people[user];
        if person.tabs[tab].generation != generation || person.tabs[tab].link.is_none() {
            return;
        }
        self.played.frames += 1;
        self.played.hash = fold(self.played.hash, text);
        let news = person.receive(tab, text, self.now_us);
        self.tell(|| format!("user-{user} tab {tab} <- {text}"));
        match news {
            News::Nothing => {}
            News::Degraded => self.meet(Condition::Degraded),
            News::Duplicate => self.meet(Condition::Duplicate),
            News::Event(cursor) => self.in_time(user, tab, cursor),
            News::Gap(from, to) => self.gap(user, tab, (from, to)),
            News::Again(message, code) => {
                match code {
                    "UNKNOWN_OUTCOME" => self.meet(Condition::UnknownOutcome),
                    "BACKEND_UNAVAILABLE" => self.meet(Condition::Unavailable),
                    _ => {}
                }
                let pause_us = self.net.from(500_000, 1_500_000);
                self.send_later(user, message, pause_us);
            }
            News::Breach(rule, detail) => self.breach(rule, format!("user-{user} tab {tab}: {detail}")),
        }
        if text.contains("\"error_code\":\"NODE_LOST\"") {
            self.meet(Condition::RunLost);
        }
    }

    /// While nothing is wrong, an event is on every tab as soon as it is in the log.
    fn in_time(&mut self, user: usize, tab: usize, cursor: u64) {
        let welcome_us = self.people[user].tabs[tab].welcome_us;
        let Some((logged_us, age_us)) = self.logged(user, cursor) else { return };
        if logged_us > welcome_us && age_us > LATE_US {
            let detail = format!("user-{user} tab {tab}: cursor {cursor} comes {} ms late", age_us / 1_000);
            self.breach("live.late", detail);
        }
    }

    /// A tab was told that something is missing: it must be so. Whatever of the user's may have ended in there is asked
    /// for again.
    fn gap(&mut self, user: usize, tab: usize, (from, to): (u64, u64)) {
        self.mark_first(user);
        let person = &mut self.people[user];
        let (is_trimmed, is_lost) = (to < person.first, person.lost.iter().any(|lost| to > lost.from));
        let mut again = Vec::new();
        for (number, message) in person.messages.iter_mut().enumerate() {
            if message.sent && !message.is_over() {
                message.is_doubted = true;
                if std::mem::take(&mut message.is_accepted) {
                    again.push(number);
                }
            }
        }
        for message in again {
            let pause_us = self.net.from(500_000, 1_500_000);
            self.send_later(user, message, pause_us);
        }
        if is_lost {
            self.meet(Condition::GapTold);
        } else if is_trimmed {
            self.meet(Condition::Trimmed);
        } else {
            let detail = format!("user-{user} tab {tab}: told of a gap from {from} to {to}, for no reason");
            self.breach("deliver.gap", detail);
        }
    }

    /// Takes note of where the user's log begins.
    pub(super) fn mark_first(&mut self, user: usize) {
        let person = &mut self.people[user];
        let (first, _) = self.store.span(&person.id.as_str().into());
        person.first = person.first.max(first);
    }

    /// The client's connection is no more.
    pub(super) fn broken(&mut self, user: usize, tab: usize, generation: u32) {
        let state = &mut self.people[user].tabs[tab];
        if state.generation != generation {
            return;
        }
        let Some(link) = state.link.take() else { return };
        state.is_welcome = false;
        self.tell(|| format!("user-{user} tab {tab} lost its connection"));
        if let Some(conn) = link.conn {
            let at = self.now_us + self.net.from(100, 50_000);
            self.set(at, Event::Hangs { node: link.node, life: link.life, conn });
        }
        let at = self.now_us + self.net.from(1_000, 3_000_000);
        self.set(at, Event::Connect { user, tab, generation });
    }

    /// A user sends a message, for the first time or again.
    pub(super) fn send(&mut self, user: usize, message: usize) {
        let person = &mut self.people[user];
        let state = &person.messages[message];
        if state.is_over() || state.due_us > self.now_us || (state.is_accepted && !state.is_excused) {
            return;
        }
        // What became of it may stand at a cursor that meant something else before.
        person.messages[message].is_doubted |= person.messages[message].is_accepted;
        let tab = message % person.tabs.len();
        let state = &mut person.tabs[tab];
        // Whatever became of it: if nothing is heard it is sent again, under its id.
        if state.link.is_none_or(|link| link.conn.is_none()) || !state.is_welcome {
            return self.send_later(user, message, 500_000);
        }
        let generation = state.generation;
        let message_id = &person.messages[message].id;
        let text = format!(
            r#"{{"type":"user_message","payload":{{"content":"hello"}},"thread_id":"t{user}","message_id":"{message_id}"}}"#
        );
        person.messages[message].sent = true;
        let delay = self.net.from(100, 5_000);
        state.up_at_us = state.up_at_us.max(self.now_us + delay);
        let at = state.up_at_us;
        self.played.sent += 1;
        self.set(at, Event::Up { user, tab, generation, text });
        self.send_later(user, message, PATIENCE_US);
    }

    pub(super) fn send_later(&mut self, user: usize, message: usize, pause_us: u64) {
        let at = self.now_us + pause_us;
        self.people[user].messages[message].due_us = at;
        self.set(at, Event::Send { user, message });
    }

    pub(super) fn beat(&mut self, node: usize, run: RunRef) {
        let Some(agent) = self.nodes[node].agents.get_mut(&run) else { return };
        if agent.is_paused {
            agent.is_due = true;
            return;
        }
        let Some((_, line)) = agent.script.get(agent.next).copied() else { return };
        agent.next += 1;
        let next = agent.script.get(agent.next).map(|(pause, _)| *pause);
        match next {
            Some(pause) => {
                let life = self.nodes[node].life;
                self.set(self.now_us + pause, Event::Beat { node, life, run });
            }
            None => {
                self.nodes[node].agents.remove(&run);
            }
        }
        let (json, name) = (self.json.clone(), Node::name(node, self.nodes[node].life));
        self.input(node, Input::Agent { run, event: line.event(&json, &name) });
    }
}
