//! How users behave who reckon with faults, and the end of their business.
//!
//! Such a user does not leave at the planned time, but when everything it had in mind is done, as far as its tabs can
//! know; before that it looks once more whether anything is missing, if frames may have been taken from it on the way.
//! What is not done within the budget is named.

use reports::Finding;

use super::{Subject, World};
use crate::client::Verdict;
use crate::dialect::{Dialect as _, FrameKind, Goldenpath, ServerFrame};
use crate::faults::{Care, Step};
use crate::network::{Event, LinkRef, Up};
use crate::plan::ActionKind;
use crate::scenario::FaultKind;

impl<S: Subject> World<'_, S> {
    /// Whether the tab reckons with faults.
    pub(super) fn cares(&self, user: u32, tab: u8) -> bool {
        self.user_ref(user)
            .and_then(|current| current.tabs.get(usize::from(tab)))
            .is_some_and(|tab| tab.care.is_some())
    }

    pub(super) fn care(&mut self, user: u32, tab: u8) -> Option<&mut Care> {
        self.users[user as usize].as_deref_mut()?.tabs.get_mut(usize::from(tab))?.care.as_deref_mut()
    }

    /// The client's end of a connection is given up, with a closing handshake or without.
    pub(super) fn hang_up(&mut self, link: LinkRef, goodbye: bool) {
        let now_us = self.now_us;
        let Some(current) = self.links.get(link) else { return };
        current.let_go();
        if current.orphaned || !current.known {
            return self.links.free(link);
        }
        if goodbye {
            return self.links.send_up(now_us, link, Up::Close, &mut self.queue);
        }
        current.up.clear();
        if let Some(at_us) = self.links.news_at(now_us, link) {
            self.queue.set(at_us, Event::Gone { link });
        }
    }

    /// A connection was lost.
    pub(super) fn lost(&mut self, user: u32, tab: u8) {
        if self.options.checkers {
            self.checkers.disconnected(self.now_us, user, tab);
        }
    }

    /// Sets the time of the next attempt to connect, later after each failure.
    pub(super) fn try_again(&mut self, user: u32, tab: u8) {
        let reconnect = self.plan.scenario().network.reconnect;
        let Some(failed) = self.care(user, tab).map(Care::failed) else { return };
        self.queue.set(self.now_us + reconnect.wait_us(failed), Event::Retry { user, tab });
    }

    /// Drops the connection for another one; at once, unless the last ones failed too.
    fn reconnect(&mut self, user: u32, tab: u8) {
        let Some(link) = self.unlink(user, tab) else { return };
        self.hang_up(link, true);
        self.lost(user, tab);
        let reconnect = self.plan.scenario().network.reconnect;
        let Some(failed) = self.care(user, tab).map(Care::failed) else { return };
        match failed.checked_sub(1) {
            None => self.connect(user, tab),
            Some(before) => {
                self.queue.set(self.now_us + reconnect.wait_us(before), Event::Retry { user, tab });
            }
        }
    }

    /// Whether a tab that connects does so to see if anything is missing.
    pub(super) fn looks(&self, user: u32, tab: u8) -> bool {
        let current = self.user_ref(user).filter(|current| current.leaving);
        current.and_then(|current| current.tabs.get(usize::from(tab))).is_some_and(|tab| !tab.looked)
    }

    /// What a careful tab makes of a frame.
    pub(super) fn minded(&mut self, user: u32, tab: u8, frame: &ServerFrame<'_>, verdict: Verdict) {
        let now_us = self.now_us;
        let Some(current) = self.users[user as usize].as_deref_mut() else { return };
        let Some(state) = current.tabs.get_mut(usize::from(tab)) else { return };
        let Some(care) = state.care.as_deref_mut() else { return };
        care.heard(now_us);
        let mut again = Vec::new();
        let mut missed = verdict == Verdict::Hole;
        match frame.kind {
            FrameKind::Welcome { cursor: Some(cursor) } => {
                let forgot = state.client.was_forgotten();
                care.welcomed(now_us, cursor, forgot);
                again = care.unknown(now_us);
                state.forgotten = if forgot { state.forgotten + 1 } else { 0 };
            }
            FrameKind::Event(event) if verdict == Verdict::Fresh => {
                care.event(now_us, frame.request_id, event.is_terminal());
            }
            FrameKind::Ack { status: "duplicate" } if !frame.run_id.is_empty() => {
                care.known(now_us, frame.message_id);
            }
            // The run is over, and its end never came: it is fetched, or was announced as missing.
            FrameKind::Ack { status: "duplicate" } => missed |= !care.settled_by_gap(frame.message_id),
            FrameKind::Error { code: "HANDLER_ERROR" | "SERVICE_NOT_READY" } => {
                care.failed_to_answer(now_us, frame.message_id);
            }
            FrameKind::Error { .. } => care.refused(now_us, frame.message_id),
            FrameKind::Quality => care.answered(frame.message_id),
            FrameKind::Gap { .. } => care.gap(now_us),
            FrameKind::Welcome { cursor: None }
            | FrameKind::Ack { .. }
            | FrameKind::Event(_)
            | FrameKind::Pong
            | FrameKind::HeartbeatAck
            | FrameKind::Heartbeat
            | FrameKind::Stopped
            | FrameKind::System
            | FrameKind::Notice { .. }
            | FrameKind::Letters
            | FrameKind::Other => {}
        }
        if missed {
            return self.reconnect(user, tab);
        }
        if !state.is_behind()
            && let Some(care) = state.care.as_deref_mut().filter(|care| care.is_welcomed())
        {
            care.caught_up();
            // A server that has just forgotten cannot say what there is; one that says so again has nothing more.
            state.looked |= care.is_looking() && state.forgotten != 1;
        }
        for place in again {
            self.say_again(user, tab, place);
        }
        self.arrange(user, tab);
        self.settle(user);
    }

    /// A frame that the network garbled: the client cannot know what it was.
    pub(super) fn unreadable(&mut self, user: u32, tab: u8) {
        self.reconnect(user, tab);
    }

    /// A careful tab looks whether there is something to do.
    pub(super) fn take_care(&mut self, user: u32, tab: u8) {
        let now_us = self.now_us;
        let stalled = self
            .link_of_tab(user, tab)
            .and_then(|link| self.links.get(link))
            .is_some_and(|current| current.stalled);
        let Some(current) = self.users[user as usize].as_deref_mut() else { return };
        let Some(state) = current.tabs.get_mut(usize::from(tab)) else { return };
        let (behind, follows) = (state.is_behind(), state.follows_others());
        let Some(care) = state.care.as_deref_mut() else { return };
        care.rings();
        if stalled {
            // It minds nothing while it does not read; when it reads on, the alarm is set again.
            return;
        }
        match care.step(now_us, behind, follows) {
            Step::Wait => {}
            Step::Ping => self.say(user, tab, &ActionKind::Ping),
            Step::Repeat(place) => self.say_again(user, tab, place),
            Step::Reconnect => self.reconnect(user, tab),
        }
        self.arrange(user, tab);
    }

    /// Sets a careful tab's alarm.
    pub(super) fn arrange(&mut self, user: u32, tab: u8) {
        let Some(current) = self.users[user as usize].as_deref_mut() else { return };
        let Some(state) = current.tabs.get_mut(usize::from(tab)) else { return };
        let (behind, follows) = (state.is_behind(), state.follows_others());
        let alarm = state.care.as_deref_mut().and_then(|care| care.alarm(behind, follows));
        if let Some(at_us) = alarm {
            self.queue.set(at_us.max(self.now_us + 1), Event::Care { user, tab });
        }
    }

    /// Sends a message again that was not dealt with.
    fn say_again(&mut self, user: u32, tab: u8, place: usize) {
        let now_us = self.now_us;
        let Some(current) = self.users[user as usize].as_deref_mut() else { return };
        let Some(state) = current.tabs.get_mut(usize::from(tab)) else { return };
        let (Some(link), Some(care)) = (state.link, state.care.as_deref_mut()) else { return };
        let Some(asked) = care.repeats(now_us, place) else { return };
        let mut text = String::with_capacity(128);
        let message = state.client.outgoing(asked.action());
        if message.is_some_and(|message| Goldenpath.encode(&message, &mut text)) {
            if self.options.checkers {
                self.checkers.repeated(user, tab, asked.action());
            }
            self.links.send_up(now_us, link, Up::Text(text), &mut self.queue);
        }
    }

    /// The planned time to leave has come.
    pub(super) fn wants_to_leave(&mut self, user: u32) {
        let now_us = self.now_us;
        let Some(rest_us) =
            self.trouble.as_ref().map(|trouble| trouble.healed_us.max(now_us) + trouble.budget_us)
        else {
            return;
        };
        let Some(current) = self.user(user).filter(|current| !current.leaving) else { return };
        current.leaving = true;
        self.queue.set(rest_us, Event::Rest { user });
        let taken = self.may_lack(user);
        if let Some(current) = self.user(user) {
            current.tabs.iter_mut().for_each(|tab| tab.looked = !taken);
        }
        self.settle(user);
    }

    /// Whether frames may have been taken from the user without its knowing.
    fn may_lack(&self, user: u32) -> bool {
        self.plan.scenario().faults.iter().any(|fault| {
            let takes = fault.kind.takes_frames() || fault.kind == FaultKind::Stall;
            takes && fault.concerns(user) && fault.during.low.us() <= self.now_us
        })
    }

    /// Lets a user go that has nothing more to do, or has it look whether it has. A tab that does not have what another
    /// one has is waited for, or looks again if that may have been taken from it.
    fn settle(&mut self, user: u32) {
        let Some(current) = self.user_ref(user).filter(|current| current.leaving) else { return };
        if !current.tabs.iter().all(|tab| tab.is_settled()) {
            return;
        }
        if current.tabs.iter().filter_map(|tab| tab.link).any(|link| self.links.is_unread(link)) {
            return; // what has come to it, it does not know
        }
        let unlooked = current.tabs.iter().position(|tab| !tab.looked);
        match (unlooked, current.tab_behind()) {
            (Some(tab), _) => self.reconnect(user, tab as u8),
            (None, Some(tab)) if self.may_lack(user) => {
                self.user(user).into_iter().for_each(|current| current.tabs[tab].looked = false);
                self.reconnect(user, tab as u8);
            }
            (None, Some(_)) => {}
            (None, None) => self.depart(user),
        }
    }

    /// A tab reads again, and minds what it did not; perhaps what it read was the last that its user waited for.
    pub(super) fn reads_on(&mut self, link: LinkRef) {
        let now_us = self.now_us;
        let Some(current) = self.links.get(link).filter(|link| link.held) else { return };
        let (user, tab) = (current.user, current.tab);
        if let Some(care) = self.care(user, tab) {
            care.heard(now_us);
            self.arrange(user, tab);
            self.settle(user);
        }
    }

    /// The budget is spent: what is not done is named, and the user goes.
    pub(super) fn rest(&mut self, user: u32) {
        let Some(current) = self.user_ref(user) else { return };
        let mut pending = Vec::new();
        for (tab, state) in current.tabs.iter().enumerate() {
            let Some(care) = state.care.as_deref() else { continue };
            let mut push = |rule, detail: String| pending.push((rule, tab as u8, detail));
            for asked in care.asked() {
                push("live.pending", asked.waits_for());
            }
            if !care.is_welcomed() {
                push("live.connection", "the tab has no connection".to_owned());
            } else if state.is_behind() {
                let (owed, seen) = (care.owed().unwrap_or_default(), state.client.seen());
                push("live.delivery", format!("the welcome spoke of cursor {owed}, the tab has {seen}"));
            } else if state.follows_others() {
                push("live.pending", "a run of another tab is open, and silent".to_owned());
            } else if !state.looked {
                push("live.connection", "the tab never got to see whether anything is missing".to_owned());
            } else if current.tab_behind() == Some(tab) {
                push(
                    "live.delivery",
                    format!("another tab has more, this one up to {}", state.client.seen()),
                );
            }
        }
        for (rule, tab, detail) in pending {
            let finding = self.checkers.finding(rule, "liveness", self.now_us, user, &detail);
            let connection = Some(self.checkers.connection_name(user, tab));
            self.checkers.ledger_mut().push(Finding { connection, ..finding });
        }
        self.checkers.overdue(user);
        self.depart(user);
    }

    /// All tabs leave for good.
    fn depart(&mut self, user: u32) {
        let tabs = self.user_ref(user).map_or(0, |current| current.tabs.len());
        for tab in 0..tabs as u8 {
            if let Some(link) = self.unlink(user, tab) {
                self.hang_up(link, true);
            }
        }
        self.users[user as usize] = None;
        self.users_left += 1;
        self.left_at_us = self.now_us;
        if self.options.checkers {
            self.checkers.left(self.now_us, user);
        }
    }
}
