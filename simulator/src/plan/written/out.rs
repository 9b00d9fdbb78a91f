//! Writes a plan out, row by row.

use crate::plan::{Action, ActionKind, MessageKind, Plan, Say, UserPlan, Ways, frames};
use crate::scenario::{Act, Deed, Micros, Tier};
use crate::script::steps;

/// Rows that give the same plan. Rows of the same time stand in the order of their users.
pub(in crate::plan) fn acts(plan: &Plan) -> Vec<Act> {
    let mut acts: Vec<Act> = plan.users().flat_map(|user| of_user(plan, &user)).collect();
    acts.sort_by_key(Act::at_us);
    acts
}

fn of_user(plan: &Plan, user: &UserPlan) -> Vec<Act> {
    let mut acts = Vec::with_capacity(user.actions.len());
    for (position, action) in user.actions.iter().enumerate() {
        acts.extend(row(plan, user, position, action));
    }
    if let Some(first) = acts.first_mut().filter(|_| user.tier != Tier::Free) {
        first.tier = Some(user.tier);
    }
    acts
}

/// The row of an action; nothing for what follows from others.
fn row(plan: &Plan, user: &UserPlan, position: usize, action: &Action) -> Option<Act> {
    let row = |deed| Act::new(action.at_us, user.index, action.tab, deed);
    Some(match &action.kind {
        ActionKind::Connect => row(Deed::Connect),
        ActionKind::Disconnect => {
            let back = |other: &&Action| other.tab == action.tab && other.kind == ActionKind::Reconnect;
            let back = user.actions[position..].iter().find(back)?;
            Act { lasts: Some(Micros::new(back.at_us - action.at_us)), ..row(Deed::Disconnect) }
        }
        ActionKind::Reconnect | ActionKind::Leave => return None,
        ActionKind::StallReading { for_us } => Act { lasts: Some(Micros::new(*for_us)), ..row(Deed::Stall) },
        ActionKind::Say(say) => said(plan, user, say, row(deed_of(say.kind))),
        ActionKind::Stop { message_id } => Act { message: Some(message_id.to_string()), ..row(Deed::Stop) },
        ActionKind::Ping => row(Deed::Ping),
        ActionKind::Heartbeat => row(Deed::Heartbeat),
        ActionKind::Typing { thread } => Act { thread: thread_of(thread), ..row(Deed::Typing) },
        ActionKind::Unknown { type_name } => {
            Act { type_name: Some((*type_name).to_owned()), ..row(Deed::Unknown) }
        }
        ActionKind::Malformed(bad) => {
            let frame = &bad.frame;
            let frame_bytes_max = plan.scenario().limits.frame_bytes();
            match frames::malformed_as(frame, frame_bytes_max) {
                Some(bad) => Act { frame: Some(bad), ..row(Deed::BadFrame) },
                None => {
                    let (named, thread) = frames::foreign_as(frame)?;
                    let names = Some(number_of(&named)?);
                    Act { names, thread: thread_of(&thread), ..row(Deed::Foreign) }
                }
            }
        }
        ActionKind::Quality(question) => Act {
            type_name: Some(question.type_name.to_owned()),
            message: Some(question.message_id.clone()),
            thread: thread_of(&question.thread),
            ..row(Deed::Quality)
        },
    })
}

fn said(plan: &Plan, user: &UserPlan, say: &Say, row: Act) -> Act {
    let Ways { unruly, deaf, dispatched } = plan.ways(&user.id, &say.message_id);
    let text = say.text.strip_prefix(&user.canary).unwrap_or_default();
    Act {
        message: Some(say.message_id.clone()),
        thread: thread_of(&say.thread),
        text: (!text.is_empty()).then(|| text.to_owned()),
        run: Some(steps(&plan.script(&user.id, &say.message_id))),
        unruly,
        deaf,
        dispatched,
        ..row
    }
}

const fn deed_of(kind: MessageKind) -> Deed {
    match kind {
        MessageKind::UserMessage => Deed::UserMessage,
        MessageKind::StartAgent => Deed::StartAgent,
        MessageKind::Chat => Deed::Chat,
        MessageKind::ChatMessage => Deed::ChatMessage,
    }
}

/// The number in `thread-000123-1-9f3c`, unless it is 0.
fn thread_of(thread: &str) -> Option<u32> {
    thread.split('-').nth(2)?.parse().ok().filter(|&number| number > 0)
}

/// The number in `user-000123-9f3c`.
fn number_of(user_id: &str) -> Option<u32> {
    user_id.split('-').nth(1)?.parse().ok()
}
