//! What of a dispatcher can change what happens next, and a second one in the same state.

use super::dispatcher::Dispatcher;
use crate::fingerprint::Walk;

impl Dispatcher {
    pub(crate) fn digest(&self, walk: &mut Walk<'_>) {
        let Self { context: _, number: _, admin, active, born: _, own, calls, overdue, figures: _ } = self;
        walk.flag(*admin);
        walk.flag(*active);
        walk.len(own.len());
        own.keys().for_each(|name| walk.text(name));
        walk.len(overdue.len());
        overdue.iter().for_each(|call| walk.text(call));
        walk.len(calls.len());
        for open in calls {
            walk.text(&open.call);
            walk.text(&open.tool);
            walk.time(open.started);
            walk.time(open.deadline);
            walk.flag(open.holds_slot);
        }
    }

    /// The same a second time, for a fork of the router. Not `Clone`: whoever holds a dispatcher counts against a limit.
    pub(crate) fn fork(&self) -> Self {
        Self {
            context: self.context.clone(),
            own: self.own.clone(),
            calls: self.calls.clone(),
            overdue: self.overdue.clone(),
            ..*self
        }
    }
}
