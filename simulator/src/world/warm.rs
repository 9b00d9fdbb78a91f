//! Fetching early what the next events will need. A world of many users is larger than the processor's caches, and an event
//! touches a few dozen places of it: one after the other they would cost more than the work itself. So the places of all
//! events that come soon are read together, and arrive together. Nothing depends on what is read.

use std::hint::black_box;

use router::RunRef;

use super::{Subject, World};
use crate::actors::user::User;
use crate::network::Event;

/// With fewer links everything stays near by itself, and reading ahead would only cost.
const LINKS_MIN: usize = 5_000;

/// How far the ways to what an event needs are followed: each step needs what the one before has read.
#[derive(Clone, Copy)]
enum Step {
    /// Tables.
    Tables,
    /// What the tables point to.
    Owners,
    /// What that points to.
    Rest,
}

impl<S: Subject> World<'_, S> {
    /// Reads the places of the events that come next, once for each batch of them.
    pub(super) fn warm(&mut self) {
        let Self { queue, users, links, checkers, agents, subject, .. } = self;
        if links.len() < LINKS_MIN {
            return;
        }
        let Some(events) = queue.upcoming() else { return };
        for step in [Step::Tables, Step::Owners, Step::Rest] {
            for event in events.clone() {
                let user = match event {
                    Event::Arrive | Event::Strike | Event::Resume | Event::Drain | Event::Evict { .. } => {
                        continue;
                    }
                    Event::Act { user }
                    | Event::Retry { user, .. }
                    | Event::Care { user, .. }
                    | Event::Host { user }
                    | Event::Rest { user } => Some(user),
                    Event::Beat { run, generation, .. } => {
                        black_box(agents.lines(run));
                        match step {
                            Step::Tables => {}
                            Step::Owners | Step::Rest => {
                                subject.warm_run(RunRef::from_parts(run, generation));
                            }
                        }
                        agents.user_of(run)
                    }
                    Event::Up { link }
                    | Event::Down { link }
                    | Event::ReadOn { link }
                    | Event::Gone { link }
                    | Event::Written { link }
                    | Event::Late { link, .. } => links.owner(link.index),
                };
                let Some(user) = user else { continue };
                let here = users.get(user as usize).and_then(Option::as_deref);
                match (step, here) {
                    (Step::Tables, here) => {
                        black_box((here.is_some(), checkers.holds(user)));
                    }
                    (Step::Owners, here) => {
                        black_box(here.map_or(0, User::lines) ^ checkers.lines(user));
                    }
                    (Step::Rest, here) => {
                        black_box(checkers.more_lines(user));
                        for link in here.into_iter().flat_map(|user| &user.tabs).filter_map(|tab| tab.link) {
                            if let Some(conn) = black_box(links.lines(link)) {
                                subject.warm_conn(conn);
                            }
                        }
                    }
                }
            }
        }
    }
}
