//! What happens by itself: users act, things arrive, agents report.

use router::{AgentEvent, Connect, Input, RunRef};
use serde_json::json;

use super::carry::ticket_of;
use super::{Subject, World};
use crate::actors::user::User;
use crate::client::{Client, Verdict};
use crate::dialect::{Dialect, Goldenpath, Outgoing};
use crate::faults::begins_us;
use crate::network::{Down, Event, Late, LinkRef, Up};
use crate::plan::{Action, ActionKind};

impl<S: Subject> World<'_, S> {
    pub(super) fn happen(&mut self, event: Event) {
        if let Some(trouble) = &mut self.trouble
            && trouble.holds_back(self.now_us, event)
        {
            return;
        }
        match event {
            Event::Arrive => self.arrive(),
            Event::Act { user } => self.act(user),
            Event::Up { link } => self.arrive_up(link),
            Event::Down { link } => {
                let Some(current) = self.links.get(link).filter(|current| current.held) else { return };
                current.arrived += 1;
                self.read(link);
            }
            Event::ReadOn { link } => {
                if let Some(current) = self.links.get(link) {
                    current.stalled = false;
                }
                self.read(link);
                self.reads_on(link);
            }
            Event::Gone { link } => self.gone(link),
            Event::Retry { user, tab } => self.connect(user, tab),
            Event::Beat { run, generation, node } => {
                if node == self.node() {
                    self.beat(run, generation);
                }
            }
            Event::Host { user } => self.host_acts(user),
            Event::Written { link } => self.written.push_back(link),
            Event::Late { link, number } => self.arrive_late(link, number),
            Event::Strike => self.strike(),
            Event::Resume => self.resume_node(),
            Event::Drain => self.drain(),
            Event::Evict { node } => self.evict(node),
            Event::Care { user, tab } => self.take_care(user, tab),
            Event::Rest { user } => self.rest(user),
        }
    }

    /// The next user comes into being.
    fn arrive(&mut self) {
        if let Some((_, index)) = self.arrivals.next() {
            let faults = &self.plan.scenario().faults;
            let careful = !faults.is_empty() && begins_us(faults, index).is_some();
            let (plan, scripts) = self.plan.user_with_scripts(index);
            self.host_user(&plan);
            self.users[index as usize] = Some(Box::new(User::new(plan, scripts, careful)));
            self.act(index);
        }
        self.await_arrival();
    }

    /// Everything that a user does now.
    fn act(&mut self, user: u32) {
        let now_us = self.now_us;
        while let Some(action) = self.user(user).and_then(|current| current.due(now_us)) {
            self.perform(user, &action);
        }
        if let Some(at_us) = self.user_ref(user).and_then(User::next_at) {
            self.queue.set(at_us, Event::Act { user });
        }
    }

    fn perform(&mut self, user: u32, action: &Action) {
        let Action { tab, kind, .. } = action;
        match kind {
            ActionKind::Connect | ActionKind::Reconnect => self.connect(user, *tab),
            ActionKind::Disconnect => self.disconnect(user, *tab),
            ActionKind::StallReading { for_us } => self.stall(user, *tab, *for_us),
            ActionKind::Leave if self.cares(user, *tab) => self.wants_to_leave(user),
            ActionKind::Leave => self.leave(user, *tab),
            ActionKind::Say(_)
            | ActionKind::Ping
            | ActionKind::Heartbeat
            | ActionKind::Typing { .. }
            | ActionKind::Unknown { .. }
            | ActionKind::Malformed(_)
            | ActionKind::Quality(_)
            | ActionKind::Stop { .. } => self.say(user, *tab, kind),
        }
    }

    pub(super) fn connect(&mut self, user: u32, tab: u8) {
        let with_cursor = self.plan.scenario().network.cursor;
        let (now_us, looks) = (self.now_us, self.looks(user, tab));
        let Some(current) = self.users[user as usize].as_deref_mut() else { return };
        let Some(tab_state) = current.tabs.get_mut(usize::from(tab)).filter(|tab| tab.link.is_none()) else {
            return;
        };
        let again = tab_state.connections > 0;
        // A careful tab that never saw a welcome may have missed anything.
        let first = || tab_state.care.is_some().then_some(0);
        let resume = || tab_state.client.resume_cursor().or_else(first);
        let resume = if again && with_cursor { resume() } else { None };
        resume.into_iter().for_each(|cursor| tab_state.client.resumes_with(cursor));
        let rules = self.trouble.as_ref();
        let rules = rules.and_then(|trouble| trouble.chain.on_link(user, tab, tab_state.connections));
        let link = self.links.open(now_us, (user, tab), tab_state.connections, rules);
        tab_state.connections += 1;
        tab_state.link = Some(link);
        let careful = tab_state.care.as_deref_mut().map(|care| care.connecting(now_us, looks)).is_some();
        if self.options.checkers {
            self.checkers.connecting(now_us, user, tab, resume);
        }
        self.links.send_up(now_us, link, Up::Connect { resume }, &mut self.queue);
        if careful {
            self.arrange(user, tab);
        }
    }

    fn disconnect(&mut self, user: u32, tab: u8) {
        let Some(link) = self.unlink(user, tab) else { return };
        if self.options.checkers {
            self.checkers.disconnected(self.now_us, user, tab);
        }
        if self.cares(user, tab) {
            return self.hang_up(link, false);
        }
        self.lose(link);
    }

    /// The client side is gone at once; the server finds out a delay later.
    fn lose(&mut self, link: LinkRef) {
        let delay_us = self.links.delay_us(link);
        let Some(current) = self.links.get(link) else { return };
        current.let_go();
        current.up.clear();
        self.queue.set(self.now_us + delay_us, Event::Gone { link });
    }

    pub(super) fn stall(&mut self, user: u32, tab: u8, for_us: u64) {
        let Some(link) = self.link_of_tab(user, tab) else { return };
        if let Some(current) = self.links.get(link) {
            current.stalled = true;
            self.queue.set(self.now_us + for_us, Event::ReadOn { link });
        }
    }

    fn leave(&mut self, user: u32, tab: u8) {
        if let Some(link) = self.unlink(user, tab) {
            if let Some(current) = self.links.get(link) {
                current.let_go();
            }
            self.links.send_up(self.now_us, link, Up::Close, &mut self.queue);
        }
        let Some(current) = self.user(user) else { return };
        current.tabs_left += 1;
        if current.tabs_left == current.tabs.len() {
            self.users[user as usize] = None;
            self.users_left += 1;
            self.left_at_us = self.now_us;
            if self.options.checkers {
                self.checkers.left(self.now_us, user);
            }
        }
    }

    pub(super) fn say(&mut self, user: u32, tab: u8, kind: &ActionKind) {
        let now_us = self.now_us;
        let Some(current) = self.users[user as usize].as_deref_mut() else { return };
        let tabs = current.tabs.len() as u8;
        let Some(tab_state) = current.tabs.get_mut(usize::from(tab)) else { return };
        if let Some(care) = tab_state.care.as_deref_mut() {
            match kind {
                ActionKind::Say(say) => care.asks(now_us, &say.message_id, kind),
                ActionKind::Quality(question) => care.asks(now_us, &question.message_id, kind),
                // What no answer can be told from another's is not said into the void.
                ActionKind::Ping
                | ActionKind::Heartbeat
                | ActionKind::Typing { .. }
                | ActionKind::Unknown { .. }
                | ActionKind::Malformed(_)
                | ActionKind::Stop { .. }
                | ActionKind::Connect
                | ActionKind::Disconnect
                | ActionKind::Reconnect
                | ActionKind::StallReading { .. }
                | ActionKind::Leave => {
                    if tab_state.link.is_none() {
                        return;
                    }
                }
            }
        }
        let mut text = self.texts.take();
        let message = &tab_state.client.outgoing(kind);
        let encoded = message.as_ref().is_some_and(|message| Goldenpath.encode(message, &mut text));
        let link = tab_state.link;
        // A stop of a run that the tab does not know is not sent; the run's planned end will be missed.
        if !encoded {
            return;
        }
        if self.options.checkers {
            self.checkers.sent(self.now_us, user, tab, tabs, kind);
        }
        if let Some(link) = link {
            self.links.send_up(self.now_us, link, Up::Text(text), &mut self.queue);
        }
        if self.trouble.is_some() {
            self.arrange(user, tab);
        }
    }

    /// The oldest thing on its way to the server arrives.
    fn arrive_up(&mut self, link: LinkRef) {
        let Some(current) = self.links.get(link) else { return };
        let (conn, user) = (current.conn, current.user);
        let Some(thing) = current.up.pop_front() else { return };
        if current.orphaned {
            // Nobody is there: the transport says so, again if need be.
            return self.orphan(link);
        }
        match (thing, conn) {
            (Up::Connect { .. }, _)
                if self.trouble.as_ref().is_some_and(|node| node.is_down(self.now_us)) =>
            {
                self.orphan(link);
            }
            (Up::Connect { resume }, _) => {
                current.known = true;
                let Some(current) = self.users[user as usize].as_deref() else { return };
                let id = current.id.clone();
                let tier = current.tier;
                let ticket = ticket_of(link);
                self.input(Input::Connect(Connect { tier, resume, ..Connect::new(ticket, &id) }));
            }
            (Up::Text(text), Some(conn)) => {
                self.delivered += 1;
                self.input(Input::Text { conn, text: &text });
                self.texts.put(text);
            }
            (Up::Pong, Some(conn)) => {
                self.delivered += 1;
                self.input(Input::Pong { conn });
            }
            (Up::Close, _) => self.gone(link),
            // The server turned the connection away.
            (Up::Text(_) | Up::Pong, None) => {}
        }
    }

    /// The client takes in what has arrived, unless it does not read for now.
    fn read(&mut self, link: LinkRef) {
        while let Some(current) =
            self.links.get(link).filter(|current| !current.stalled && current.arrived > 0)
        {
            current.arrived -= 1;
            let (user, tab) = (current.user, current.tab);
            let Some((thing, wrote)) = self.links.read(self.now_us, link, &mut self.queue) else { return };
            if wrote {
                self.wrote(self.now_us, link);
            }
            self.delivered += u64::from(matches!(thing, Down::Frame(_) | Down::Ping));
            match thing {
                Down::Frame(frame) => self.receive(link, user, tab, frame.as_str()),
                Down::Ping => self.links.send_up(self.now_us, link, Up::Pong, &mut self.queue),
                Down::Close(close) => self.closed(link, user, tab, close.reason()),
                Down::Reset => self.closed(link, user, tab, "its other end is gone"),
            }
        }
    }

    /// Something that others were allowed to overtake arrives.
    fn arrive_late(&mut self, link: LinkRef, number: u32) {
        let late = self.links.take_late(link, number);
        let Some(current) = self.links.get(link) else { return };
        match late {
            Some(Late::Up(thing)) => {
                current.up.push_front(thing);
                self.happen(Event::Up { link });
            }
            Some(Late::Down(thing)) if current.held => {
                current.arrive_late(thing);
                self.read(link);
            }
            Some(Late::Down(_)) | None => {}
        }
    }

    fn receive(&mut self, link: LinkRef, user: u32, tab: u8, text: &str) {
        let Some(current) = self.users[user as usize].as_deref_mut() else { return };
        let tabs = current.tabs.len() as u8;
        let Some(client) = current.tabs.get_mut(usize::from(tab)).map(|tab| &mut tab.client) else { return };
        let frame = match Goldenpath.decode(text) {
            Ok(frame) => frame,
            // No server writes a control character: the network did.
            Err(_) if self.trouble.is_some() && text.contains('\u{1}') => return self.unreadable(user, tab),
            Err(error) => return self.checkers.invalid(self.now_us, user, tab, text, error),
        };
        let verdict: Verdict = client.receive(&frame);
        let answer = client.answer();
        if self.options.checkers {
            self.checkers.received(self.now_us, user, tab, tabs, text, &frame, verdict);
        }
        if let Some(answer) = answer {
            self.answer(link, &answer);
        }
        if self.trouble.is_some() {
            self.minded(user, tab, &frame, verdict);
        }
    }

    fn answer(&mut self, link: LinkRef, answer: &Outgoing<'_>) {
        let mut text = self.texts.take();
        if Goldenpath.encode(answer, &mut text) {
            if self.options.checkers && matches!(answer, Outgoing::Confirm { .. }) {
                self.checkers.confirmed();
            }
            self.links.send_up(self.now_us, link, Up::Text(text), &mut self.queue);
        }
    }

    /// The server closed the connection, which no plan asks for: the tab says goodbye and tries again.
    fn closed(&mut self, link: LinkRef, user: u32, tab: u8, why: &str) {
        let careful = self.cares(user, tab);
        if careful {
            self.hang_up(link, true);
        } else {
            if let Some(current) = self.links.get(link) {
                current.let_go();
            }
            self.links.send_up(self.now_us, link, Up::Close, &mut self.queue);
        }
        self.unlink(user, tab);
        self.checkers.closed(self.now_us, user, tab, &format!("the server closed the connection: {why}"));
        if careful {
            return self.try_again(user, tab);
        }
        let wait_us = self.plan.scenario().network.reconnect.first_success_us(0);
        self.queue.set(self.now_us + wait_us, Event::Retry { user, tab });
    }

    /// The server notices that the connection is no more.
    fn gone(&mut self, link: LinkRef) {
        let Some(current) = self.links.get(link) else { return };
        let (conn, user, tab, held) = (current.conn, current.user, current.tab, current.held);
        if held && current.orphaned {
            return;
        }
        if held && self.cares(user, tab) {
            self.orphan(link);
        } else {
            if held {
                self.closed(link, user, tab, "it gave up waiting for the client's close");
            }
            self.links.free(link);
        }
        if let Some(conn) = conn {
            self.input(Input::Closed { conn });
        }
    }

    fn beat(&mut self, run: u32, generation: u32) {
        let mut lines = std::mem::take(&mut self.lines);
        if let Some((report, next_at)) = self.agents.beat(self.now_us, run, generation, &mut lines) {
            if let Some(at_us) = next_at {
                self.beat_at(at_us, report.run);
            }
            if let Some(event) = report.event(&lines) {
                self.say_for_agent(&report, event);
                if let Some(owner) = &report.unruly {
                    self.misbehave(report.run, owner, event);
                }
            }
        }
        self.lines = lines;
    }

    /// An unruly agent goes on after its first and its last word with what must be refused.
    fn misbehave(&mut self, run: RunRef, owner: &str, said: AgentEvent<'_>) {
        self.misbehaving = true;
        #[expect(clippy::wildcard_enum_match_arm, reason = "only the first and the last word matter")]
        match said {
            AgentEvent::Started { .. } => {
                let other = self.plan.index_of(owner);
                let other = (other.unwrap_or_default() + 1) % self.plan.count().max(2);
                let foreign = json!({
                    "user_id": self.plan.user_id(other),
                    "thread_id": self.plan.thread_id(other),
                    "reasoning": format!("{} of somebody else", self.plan.canary(other)),
                });
                // Texts can always be written.
                let foreign = serde_json::value::to_raw_value(&foreign).unwrap_or_default();
                self.input(Input::Agent {
                    run,
                    event: AgentEvent::Data { kind: "agent_thinking", data: &foreign },
                });
                self.input(Input::Agent { run, event: said });
            }
            AgentEvent::Completed { .. } | AgentEvent::Failed { .. } => {
                self.input(Input::Agent {
                    run,
                    event: AgentEvent::Thinking { reasoning: "afterthought", step: None },
                });
            }
            _ => {}
        }
        self.misbehaving = false;
    }

    /// Takes the link from a tab.
    pub(super) fn unlink(&mut self, user: u32, tab: u8) -> Option<LinkRef> {
        let tab = self.users[user as usize].as_deref_mut()?.tabs.get_mut(usize::from(tab))?;
        Client::disconnected(&mut tab.client);
        if let Some(care) = tab.care.as_deref_mut() {
            care.disconnected();
        }
        tab.link.take()
    }

    pub(super) fn link_of_tab(&self, user: u32, tab: u8) -> Option<LinkRef> {
        self.user_ref(user)?.tabs.get(usize::from(tab))?.link
    }

    pub(super) fn user(&mut self, user: u32) -> Option<&mut User> {
        self.users[user as usize].as_deref_mut()
    }

    pub(super) fn user_ref(&self, user: u32) -> Option<&User> {
        self.users[user as usize].as_deref()
    }
}
