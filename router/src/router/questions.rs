//! What a host may ask between two inputs. Asking changes nothing.

use super::Router;
use crate::{
    cluster::run_key,
    contract::{Delivery, EventRef, RunRef},
    run::{self, Phase},
};

impl Router {
    /// What became of an event of `user`; `None` when the router knows no such event, or nothing of the user any more.
    pub fn delivery(&self, user: &str, event: EventRef<'_>) -> Option<Delivery> {
        let user = self.audience.find(user)?;
        let cursor = match event {
            EventRef::Cursor(cursor) => cursor,
            EventRef::InRun { run_id, seq } => {
                self.audience.cursor_in_run(user, self.event_key(run_id)?, seq)?
            }
        };
        self.audience.delivery(user, cursor)
    }

    /// Cursor of the newest run event of `user`; 0 before the first.
    pub fn last_cursor(&self, user: &str) -> Option<u64> {
        self.audience.find(user).map(|user| self.audience.user(user).cursor)
    }

    /// Where an open run stands: its phase, how many tool calls are open, how many events it has.
    pub fn run_state(&self, run: RunRef) -> Option<(Phase, usize, u64)> {
        self.run(run).map(|run| (run.automaton.phase(), run.automaton.open_tools().len(), run.seq))
    }

    /// The open run of `user` with that id.
    pub fn find_run(&self, user: &str, run_id: &str) -> Option<RunRef> {
        let (node, number) = run::parts(run_id)?;
        let user = self.audience.find(user)?;
        self.audience
            .user(user)
            .runs
            .iter()
            .copied()
            .find(|open| self.run(*open).is_some_and(|run| run.number == number && *run.node == *node))
    }

    /// The number in a run's id, if the id is one of this router's.
    pub(crate) fn run_number(&self, run_id: &str) -> Option<u64> {
        let number = run_id.strip_prefix("run-")?.strip_prefix(&*self.config.node)?.strip_prefix('-')?;
        // Events of no run are noted with 0.
        number.parse().ok().filter(|number| *number > 0)
    }

    /// What stands for a run in the recovery window: its number, or of several nodes' runs a hash of the id.
    pub(crate) fn event_key(&self, run_id: &str) -> Option<u64> {
        if self.cluster.is_some() { Some(run_key(run_id)) } else { self.run_number(run_id) }
    }

    /// The event that a text `RUN_ID:SEQ` names.
    pub(crate) fn event_named(&self, event_id: &str) -> Option<(u64, u64)> {
        let (run, seq) = event_id.rsplit_once(':')?;
        Some((self.event_key(run)?, seq.parse().ok()?))
    }
}
