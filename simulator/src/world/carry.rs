//! What the router asks for, carried out.

use router::{ConnId, Effect, Effects, Frame, Input, QualityAnswer, RunRef, RunRequest};

use super::{Subject, World};
use crate::network::{CLOSE_TIMEOUT_US, Down, Event, LinkRef};
use crate::plan::Plan;
use crate::scenario::FaultKind;
use crate::script::Script;

impl<S: Subject> World<'_, S> {
    /// A frame for an open connection.
    #[inline]
    pub(super) fn send_to(&mut self, conn: ConnId, frame: Frame) {
        if let Some(link) = self.link(conn) {
            self.send(link, Down::Frame(frame));
        }
    }

    /// Carries out an effect and leaves the effects as they are.
    pub(super) fn carry_out(&mut self, effect: &Effect, effects: &Effects) {
        match effect {
            Effect::Accepted { ticket, conn } => self.accepted(link_of(ticket.0), *conn),
            Effect::Refused { ticket, frame, close } => {
                let link = link_of(ticket.0);
                self.send(link, Down::Frame(effects.frame(*frame).clone()));
                self.send(link, Down::Close(*close));
                self.queue.set(self.now_us + CLOSE_TIMEOUT_US, Event::Gone { link });
            }
            Effect::Send { conn, frame } => self.send_to(*conn, effects.frame(*frame).clone()),
            Effect::Ping { conn } => {
                if let Some(link) = self.link(*conn) {
                    self.send(link, Down::Ping);
                }
            }
            Effect::Close { conn, close } => {
                if let Some(link) = self.link(*conn) {
                    self.send(link, Down::Close(*close));
                    self.queue.set(self.now_us + CLOSE_TIMEOUT_US, Event::Gone { link });
                }
            }
            Effect::StartRun(request) if self.services_are_away() => {
                if let Some(trouble) = &mut self.trouble {
                    trouble.unstarted.push_back(request.run);
                }
            }
            Effect::StartRun(request) => {
                // Models of the old parts know no drain.
                let told = self.trouble.as_ref().is_some_and(|trouble| trouble.told);
                if told && self.subject.hosted().is_some() {
                    self.note_fault("drain.accepts", "a run is started by a node that was told to drain");
                }
                let script = self.script_of(request);
                if let Some(at_us) = self.agents.start(self.leaves_us, &self.plan, request, script) {
                    self.beat_at(at_us, request.run);
                }
            }
            Effect::CancelRun { run, .. } => self.agents.cancel(*run),
            Effect::AgentRefused(_) if self.misbehaving => {}
            // Its deadline came with the very input that it spoke by: the agent could not know.
            Effect::AgentRefused(refused) if was_cancelled(refused.run, effects) => {}
            Effect::AgentRefused(refused) => {
                let detail = format!("the router refused a step of run {}", refused.run.index());
                self.note_fault(refused.why.name(), &detail);
            }
            Effect::RunTool(_) | Effect::ToolAnswered(_) | Effect::Receipt(_) => self.tell_host(effect),
            Effect::AskQuality(request) => self.questions.push_back(request.clone()),
            // This world has one node, and no store.
            Effect::Store(_) | Effect::PauseRun { .. } | Effect::ResumeRun { .. } => {}
            Effect::CancelTool(_) | Effect::Audit(_) | Effect::Redriven(_) | Effect::Swept { .. } => {}
            Effect::Drained => {
                if let Some(trouble) = &mut self.trouble {
                    trouble.drained = true;
                }
            }
        }
    }

    fn services_are_away(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.services_away)
    }

    /// Answers the router's questions with its embedded services, as a server without others does.
    pub(super) fn answer_questions(&mut self) {
        while let Some(request) = self.questions.pop_front() {
            let away = self.services_are_away();
            if away {
                self.counted(FaultKind::ServicesAway);
            }
            let answer = if away { None } else { self.subject.answer(&request, self.node_now()) };
            let answer = answer.as_deref().map_or(QualityAnswer::Failed, QualityAnswer::Ready);
            self.input(Input::Quality { ask: request.ask, answer });
        }
    }

    pub(super) fn beat_at(&mut self, at_us: u64, run: RunRef) {
        let node = self.node();
        let event = Event::Beat { run: run.index() as u32, generation: run.generation(), node };
        self.queue.set(at_us, event);
    }

    /// The script of a run that begins: the one that its user's plan was made with, or the same made anew.
    fn script_of(&mut self, request: &RunRequest) -> Script {
        let planned = Plan::place_of(&request.user, &request.request_id).and_then(|(user, number)| {
            let user = self.users.get_mut(user as usize)?.as_deref_mut()?;
            if *user.id == *request.user { user.take_script(number) } else { None }
        });
        planned.unwrap_or_else(|| self.plan.script(&request.user, &request.request_id))
    }

    fn accepted(&mut self, link: LinkRef, conn: ConnId) {
        if let Some(current) = self.links.get(link) {
            current.conn = Some(conn);
            let (user, tab) = (current.user, current.tab);
            if self.trouble.is_some() && self.options.checkers {
                self.checkers.accepted(user, tab);
            }
        }
        if self.link_of_conn.len() <= conn.index() {
            self.link_of_conn.resize(conn.index() + 1, u32::MAX);
        }
        self.link_of_conn[conn.index()] = link.index;
    }

    /// The link of an open connection.
    fn link(&mut self, conn: ConnId) -> Option<LinkRef> {
        let link = self.links.current(*self.link_of_conn.get(conn.index())?)?;
        let current = self.links.get(link)?;
        if current.conn == Some(conn) {
            return Some(link);
        }
        self.note_fault("bounds.stale", "the router wrote to a connection after its end");
        None
    }

    pub(super) fn send(&mut self, link: LinkRef, thing: Down) {
        let frame = matches!(thing, Down::Frame(_));
        let at_us = self.leaves_us.max(self.now_us);
        if self.links.send_down(at_us, link, thing, &mut self.queue) {
            self.wrote(at_us, link);
        }
        let Some(current) = self.links.get(link).filter(|_| frame) else { return };
        let (frames, user, tab) = (current.unreported(), current.user, current.tab);
        let plan = &self.plan;
        let who = || (plan.user_id(user), format!("tab-{tab}"));
        self.bounds.window(self.now_us, frames, &who, self.checkers.ledger_mut());
        if self.trouble.is_some() && self.bounds.is_full(frames) && self.link_of_tab(user, tab) == Some(link)
        {
            self.checkers.crowded(user, tab);
        }
    }

    /// A socket wrote frames: the router is told at once, or when its turn comes if things take time at the node.
    pub(super) fn wrote(&mut self, at_us: u64, link: LinkRef) {
        if self.server.takes_time() {
            self.queue.set(at_us, Event::Written { link });
        } else {
            self.written.push_back(link);
        }
    }
}

/// Whether the run was ended by one of these effects.
pub(super) fn was_cancelled(run: RunRef, effects: &Effects) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::CancelRun { run: ended, .. } if *ended == run))
}

/// Tickets name links.
pub(super) fn ticket_of(link: LinkRef) -> router::Ticket {
    router::Ticket(u64::from(link.generation) << 32 | u64::from(link.index))
}

/// The link that a ticket names.
pub(super) fn link_of_ticket(ticket: router::Ticket) -> LinkRef {
    link_of(ticket.0)
}

fn link_of(ticket: u64) -> LinkRef {
    LinkRef { index: ticket as u32, generation: (ticket >> 32) as u32 }
}
