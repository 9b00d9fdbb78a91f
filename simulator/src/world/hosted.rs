//! What the server's host does by itself, and the tools that the router has it run. Only for a subject that is a router.

use router::{AgentEvent, Context, Deliver, Effect, Input, ReceiptId, Router, Target};
use serde_json::json;
use serde_json::value::to_raw_value;

use super::carry::was_cancelled;
use super::{Subject, World};
use crate::actors::agent::Report;
use crate::actors::host::{Deed, TOPIC};
use crate::actors::user::User;
use crate::network::Event;
use crate::plan::{UserPlan, settle_us};

impl<S: Subject> World<'_, S> {
    /// A step of an agent: its own word, or a tool that the router is to run.
    pub(super) fn say_for_agent(&mut self, report: &Report, event: AgentEvent<'_>) {
        let run = report.run;
        let dispatched = report.dispatched && self.subject.hosted().is_some();
        let step = if dispatched { self.tools.step(run, &event) } else { None };
        self.misbehaving = report.late;
        match step {
            Some(step) => {
                self.input(Input::Tool { run, step });
                // Whose deadline came with the very call is not there any more.
                if self.tools.take_refused() && !was_cancelled(run, &self.effects) {
                    self.input(Input::Agent { run, event });
                }
            }
            None => self.input(Input::Agent { run, event }),
        }
        self.misbehaving = false;
    }

    /// Lets every run call the scenario's tools.
    pub(super) fn offer_tools(&mut self) {
        let agent = &self.plan.profile().agent;
        if let Some(router) = self.subject.hosted().filter(|_| !agent.dispatched_share.is_zero()) {
            for tool in &agent.tools {
                router.add_tool(&tool.name, "");
            }
        }
    }

    /// Plans what the host does for a user who arrives.
    pub(super) fn host_user(&mut self, user: &UserPlan) {
        if self.plan.scenario().host.notices.high == 0 || self.subject.hosted().is_none() {
            return;
        }
        if let Some(at_us) = self.host.plan(self.plan.scenario(), self.plan.seed(), user) {
            self.queue.set(at_us, Event::Host { user: user.index });
        }
    }

    /// Everything that the host does for a user now.
    pub(super) fn host_acts(&mut self, user: u32) {
        // Without a node there is nothing to do it with.
        if let Some(back_us) = self.trouble.as_ref().and_then(|trouble| trouble.back_us(self.now_us)) {
            return self.queue.set(back_us, Event::Host { user });
        }
        while let Some(deed) = self.host.due(self.now_us, user) {
            self.do_for(user, deed);
        }
        if let Some(at_us) = self.host.next_at(user) {
            self.queue.set(at_us, Event::Host { user });
        }
    }

    fn do_for(&mut self, user: u32, deed: Deed) {
        let Some(router) = self.subject.hosted() else { return };
        let id = self.plan.user_id(user);
        match deed {
            Deed::Subscribe => {
                if router.subscribe_user(&id, TOPIC) {
                    self.host.subscribers.insert(user);
                }
            }
            Deed::Unsubscribe => {
                router.unsubscribe_user(&id, TOPIC);
                self.host.subscribers.remove(&user);
            }
            Deed::User => {
                let number = self.announce(&[user], true);
                self.deliver(number, Target::User(&id), &self.plan.canary(user));
            }
            Deed::Tab(tab) => {
                if let Some(conn) = self.conn_of(user, Some(tab)) {
                    let number = self.announce(&[user], false);
                    self.deliver(number, Target::Connection(&id, conn), &self.plan.canary(user));
                }
            }
            Deed::Stranger(from) => {
                let count = self.plan.count();
                let others = (0..count).map(|step| (from + step) % count).filter(|other| *other != user);
                if let Some(conn) = others.into_iter().find_map(|other| self.conn_of(other, None)) {
                    let number = self.announce(&[], false);
                    self.deliver(number, Target::Connection(&id, conn), &self.plan.canary(user));
                }
            }
            // Other users' deeds keep to their own quiet, not to that of a subscriber about to leave.
            Deed::Topic if self.host.subscribers.iter().any(|user| self.is_about_to_leave(*user)) => {}
            Deed::Topic | Deed::All => {
                let of_topic = deed == Deed::Topic;
                let to: Vec<u32> = if of_topic {
                    self.host.subscribers.iter().copied().collect()
                } else {
                    (0..self.plan.count()).collect()
                };
                self.host.authority =
                    self.host.authority.take().or_else(|| Router::take_authority(self.subject.hosted()?));
                let Some(authority) = self.host.authority.take() else { return };
                let number = self.announce(&to, of_topic);
                let target =
                    if of_topic { Target::Topic(&authority, TOPIC) } else { Target::All(&authority, None) };
                self.deliver(number, target, "for many");
                self.host.authority = Some(authority);
            }
        }
    }

    /// Whether what is sent to a user now may not reach all of its tabs before its planned time to leave.
    fn is_about_to_leave(&self, user: u32) -> bool {
        let leaves_us = self.user_ref(user).and_then(User::leaves_at);
        leaves_us.is_some_and(|at_us| at_us < self.now_us + settle_us(self.plan.scenario()))
    }

    /// Tells the checkers who may get an event, and whether it is kept for those who are away.
    fn announce(&mut self, to: &[u32], kept: bool) -> u64 {
        let number = self.host.number();
        for &user in to {
            let Some(current) = self.users[user as usize].as_deref() else { continue };
            if self.options.checkers {
                self.checkers.notice(user, current.tabs.len() as u8, number, kept);
            }
        }
        number
    }

    fn deliver(&mut self, number: u64, target: Target<'_>, text: &str) {
        let event = json!({ "type": "notice", "number": number, "text": text });
        let Ok(event) = to_raw_value(&event) else { return };
        let receipt = Some(ReceiptId(number));
        self.input(Input::Deliver(Deliver { receipt, target, context: Context::default(), event: &event }));
    }

    /// The connection of one tab, or of the first that has one.
    fn conn_of(&mut self, user: u32, tab: Option<u8>) -> Option<router::ConnId> {
        let tabs = self.users[user as usize].as_deref()?.tabs.len() as u8;
        let tabs = tab.map_or(0..tabs, |tab| tab..tab + 1);
        tabs.into_iter().find_map(|tab| {
            let link = self.link_of_tab(user, tab)?;
            self.links.get(link)?.conn
        })
    }

    /// What the router tells its host.
    pub(super) fn tell_host(&mut self, effect: &Effect) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "what a host is told")]
        match effect {
            Effect::RunTool(request) => self.tools.run(request),
            Effect::ToolAnswered(answer) => {
                if let Err((rule, detail)) = self.tools.answered(self.node_now().as_micros(), answer) {
                    self.note_fault(rule, &detail);
                }
            }
            Effect::Receipt(receipt) if !self.host.receipt(receipt.receipt.0) => {
                let detail = format!("a receipt of event {} that nobody waits for", receipt.receipt.0);
                self.note_fault("deliver.receipt", &detail);
            }
            _ => {}
        }
    }

    /// Nothing more will happen: everything that was asked for has been answered.
    pub(super) fn settle_host(&mut self) {
        if self.host.open() > 0 {
            let detail = format!("{} receipts never came", self.host.open());
            self.note_fault("deliver.receipt", &detail);
        }
        if self.tools.at_work() > 0 {
            let detail = format!("{} calls of tools were never answered", self.tools.at_work());
            self.note_fault("tools.answer", &detail);
        }
    }
}
