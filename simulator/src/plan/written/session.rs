//! What one user does, from its rows.

use super::script_of;
use crate::plan::outcome::{Run, delay_us, set_up_us, settle_us};
use crate::plan::{
    Action, ActionKind, Malformed, MessageKind, Plan, Question, Say, UserPlan, frames, identity,
};
use crate::scenario::{Act, Deed, Tier};
use crate::script::script;

/// Everything user `index` does. The rows are in order of time, and their messages are named.
pub(super) fn user(plan: &Plan, index: u32, rows: &[Act]) -> UserPlan {
    let tier = rows.iter().find_map(|row| row.tier).unwrap_or(Tier::Free);
    let tabs = rows.iter().map(|row| row.tab.saturating_add(1)).max().unwrap_or_default();
    let connects = rows.iter().filter(|row| row.deed == Deed::Connect).map(Act::at_us);
    let last_connect_us = connects.max().unwrap_or_default();
    let mut session = Session {
        plan,
        rows,
        index,
        id: plan.user_id(index),
        canary: plan.canary(index),
        ready_at_us: last_connect_us + set_up_us(plan.scenario()),
        over_at_us: 0,
        actions: Vec::with_capacity(rows.len() + usize::from(tabs)),
    };
    for row in rows {
        session.perform(row);
    }
    let leave_at_us = session.leave(tabs);
    let Session { id, canary, mut actions, .. } = session;
    actions.sort_by_key(|action| action.at_us);
    let connect_at_us = rows.first().map_or(0, Act::at_us);
    UserPlan { index, id, canary, tier, tabs, connect_at_us, leave_at_us, actions }
}

/// When all tabs of a user with these rows are set up.
pub(super) fn ready_at_us<'a>(plan: &Plan, rows: impl Iterator<Item = &'a Act>) -> u64 {
    let connects = rows.filter(|row| row.deed == Deed::Connect).map(Act::at_us);
    connects.max().unwrap_or_default() + set_up_us(plan.scenario())
}

struct Session<'a> {
    plan: &'a Plan,
    rows: &'a [Act],
    index: u32,
    id: String,
    canary: String,
    ready_at_us: u64,
    /// When the last of what was taken in so far is over.
    over_at_us: u64,
    actions: Vec<Action>,
}

impl Session<'_> {
    fn perform(&mut self, row: &Act) {
        let scenario = self.plan.scenario();
        let (at_us, until_us) = (row.at_us(), row.at_us() + row.lasts_us());
        let message_id = || row.message.clone().unwrap_or_default();
        let type_name = row.type_name.as_deref().unwrap_or_default();
        let kind = match row.deed {
            Deed::Connect => ActionKind::Connect,
            Deed::Disconnect => {
                self.push(at_us, row.tab, ActionKind::Disconnect);
                self.over_at_us = self.over_at_us.max(until_us + set_up_us(scenario));
                return self.push(until_us, row.tab, ActionKind::Reconnect);
            }
            Deed::Stall => {
                self.over_at_us = self.over_at_us.max(until_us);
                ActionKind::StallReading { for_us: row.lasts_us() }
            }
            Deed::UserMessage => self.say(row, MessageKind::UserMessage),
            Deed::StartAgent => self.say(row, MessageKind::StartAgent),
            Deed::Chat => self.say(row, MessageKind::Chat),
            Deed::ChatMessage => self.say(row, MessageKind::ChatMessage),
            Deed::Stop => ActionKind::Stop { message_id: message_id().into() },
            Deed::Ping => ActionKind::Ping,
            Deed::Heartbeat => ActionKind::Heartbeat,
            Deed::Typing => ActionKind::Typing { thread: self.thread(row).into() },
            Deed::Unknown => {
                ActionKind::Unknown { type_name: frames::unknown_type_named(type_name).unwrap_or_default() }
            }
            Deed::BadFrame => {
                let bad = row.frame.unwrap_or(crate::scenario::BadFrame::NotJson);
                let (frame, expected_code) = frames::bad_frame(bad, scenario.limits.frame_bytes());
                ActionKind::Malformed(Box::new(Malformed { frame: frame.into_owned(), expected_code }))
            }
            Deed::Foreign => {
                let other = self.plan.user_id(row.names.unwrap_or_default());
                let (frame, expected_code) = frames::foreign(&other, &self.thread(row), &self.canary);
                ActionKind::Malformed(Box::new(Malformed { frame, expected_code }))
            }
            Deed::Quality => ActionKind::Quality(Box::new(Question {
                type_name: frames::quality_type_named(type_name).unwrap_or_default(),
                message_id: message_id(),
                thread: self.thread(row),
            })),
        };
        self.push(at_us, row.tab, kind);
    }

    fn say(&mut self, row: &Act, kind: MessageKind) -> ActionKind {
        let at_us = row.at_us();
        let message_id = row.message.clone().unwrap_or_default();
        let script = match &row.run {
            Some(steps) => script_of(self.plan, steps, &self.id, &message_id),
            None => script(self.plan.profile(), self.plan.seed(), &self.id, &message_id),
        };
        let stop = |stop: &&Act| stop.deed == Deed::Stop && stop.message == row.message;
        let run = Run {
            at_us,
            latest_us: at_us + delay_us(self.plan.scenario(), at_us, self.ready_at_us),
            stopped_us: self.rows.iter().find(stop).map(Act::at_us),
        };
        let expected = run.expected(&script);
        self.over_at_us = self.over_at_us.max(expected.ends_at_us);
        let thread = self.thread(row);
        let text = format!("{}{}", self.canary, row.text.as_deref().unwrap_or_default());
        ActionKind::Say(Box::new(Say { kind, message_id, thread, text, expected }))
    }

    fn thread(&self, row: &Act) -> String {
        identity::thread(self.plan.seed(), self.index, row.thread.unwrap_or_default())
    }

    fn push(&mut self, at_us: u64, tab: u8, kind: ActionKind) {
        self.over_at_us = self.over_at_us.max(at_us);
        self.actions.push(Action { at_us, tab, kind });
    }

    fn leave(&mut self, tabs: u8) -> u64 {
        let scenario = self.plan.scenario();
        let at_us =
            self.over_at_us.max(self.ready_at_us) + settle_us(scenario) + scenario.session.linger.us();
        for tab in 0..tabs {
            self.push(at_us, tab, ActionKind::Leave);
        }
        at_us
    }
}
