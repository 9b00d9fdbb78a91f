//! Timelines of the first users, for reports.

use reports::{Lane, Mark, Timeline};

use crate::dialect::{RunEventKind, ServerFrame};
use crate::plan::Plan;

/// Marks per user; later ones are dropped.
const MARKS_MAX: usize = 2_000;

/// What the first users saw, tab by tab.
#[derive(Debug)]
pub(super) struct Timelines {
    users: Vec<Vec<Vec<Mark>>>,
}

impl Timelines {
    pub(super) fn new(users: u32) -> Self {
        Self { users: vec![Vec::new(); users as usize] }
    }

    pub(super) fn mark(&mut self, user: u32, tab: u8, at_us: u64, kind: &str) {
        if let Some(lane) = self.lane(user, tab) {
            lane.push(Mark::new(at_us, kind));
        }
    }

    pub(super) fn event(
        &mut self,
        user: u32,
        tab: u8,
        at_us: u64,
        event: RunEventKind,
        frame: &ServerFrame<'_>,
    ) {
        let Some(lane) = self.lane(user, tab) else { return };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let word = if event == RunEventKind::Error { frame.error_code } else { frame.tool_name };
        lane.push(Mark {
            run: some(frame.run_id),
            call: some(frame.tool_call_id),
            seq: Some(frame.seq),
            note: if frame.recovered {
                format!("{word} recovered").trim().to_owned()
            } else {
                word.to_owned()
            },
            ..Mark::new(at_us, event.name())
        });
    }

    pub(super) fn take(&mut self, plan: &Plan) -> Vec<Timeline> {
        let lane = |(tab, marks)| Lane { label: format!("tab {tab}"), marks };
        let timeline = |(user, lanes): (usize, Vec<Vec<Mark>>)| Timeline {
            user: plan.user_id(user as u32),
            lanes: lanes.into_iter().enumerate().map(lane).collect(),
        };
        let users = std::mem::take(&mut self.users).into_iter().enumerate();
        users.filter(|(_, lanes)| !lanes.is_empty()).map(timeline).collect()
    }

    fn lane(&mut self, user: u32, tab: u8) -> Option<&mut Vec<Mark>> {
        let lanes = self.users.get_mut(user as usize)?;
        let tab = usize::from(tab);
        if lanes.len() <= tab {
            lanes.resize_with(tab + 1, Vec::new);
        }
        lanes.get_mut(tab).filter(|marks| marks.len() < MARKS_MAX)
    }
}
