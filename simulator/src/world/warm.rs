//! Fetching early what the next events will need. A world of many users is larger than the processor's caches, and an event
//! touches a few dozen places of it: one after the other they would cost more than the work itself. So the places of all
//! events that come soon are read together, and arrive together. Nothing depends on what is read.
//!
//! What stands behind a pointer is read one step after the pointer, for all events at once: the processor looks a few hundred
//! instructions ahead, and the more places those name, the more of them it waits for at once.

use std::hint::black_box;

use router::RunRef;

use super::{Subject, World};
use crate::actors::{agent, user::User};
use crate::checkers::Session;
use crate::network::{Event, Link, LinkRef, SOON_MAX};

/// With fewer links everything stays near by itself, and reading ahead would only cost.
const LINKS_MIN: usize = 5_000;

/// Pointers that are followed from what the world's tables point to, and one.
const STEPS: u8 = 4;

/// Where stands what one event will need.
#[derive(Clone, Copy, Default)]
struct Places<'a> {
    user: Option<&'a User>,
    session: Option<&'a Session>,
    link: Option<&'a Link>,
    agent: Option<&'a agent::Run>,
    run: Option<RunRef>,
    /// Whether its client may confirm what it has got.
    hears: bool,
    /// Whether its user acts.
    acts: bool,
}

impl<S: Subject> World<'_, S> {
    /// Reads the places of the events that come next, once for each batch of them.
    pub(super) fn warm(&mut self) {
        let Self { queue, users, links, link_of_conn, checkers, agents, subject, .. } = self;
        if links.len() < LINKS_MIN {
            return;
        }
        let Some(events) = queue.upcoming() else { return };
        let (mut all, mut count) = ([Places::default(); SOON_MAX], 0);
        for event in events {
            let (user, link, run) = match event {
                Event::Arrive | Event::Strike | Event::Resume | Event::Drain | Event::Evict { .. } => {
                    continue;
                }
                Event::Act { user }
                | Event::Retry { user, .. }
                | Event::Care { user, .. }
                | Event::Host { user }
                | Event::Rest { user } => (Some(user), links.newest(user), None),
                Event::Beat { run, generation, .. } => {
                    let user = agents.user_of(run);
                    (
                        user,
                        user.and_then(|user| links.newest(user)),
                        Some(RunRef::from_parts(run, generation)),
                    )
                }
                Event::Up { link: LinkRef { index, .. } }
                | Event::Down { link: LinkRef { index, .. } }
                | Event::ReadOn { link: LinkRef { index, .. } }
                | Event::Gone { link: LinkRef { index, .. } }
                | Event::Written { link: LinkRef { index, .. } }
                | Event::Late { link: LinkRef { index, .. }, .. } => (links.owner(index), Some(index), None),
            };
            all[count] = Places {
                user: user.and_then(|user| users.get(user as usize)?.as_deref()),
                session: user.and_then(|user| checkers.session_of(user)),
                link: link.and_then(|link| links.at(link)),
                agent: run.and_then(|run| agents.at(run.index())),
                run,
                hears: matches!(event, Event::Up { .. }),
                acts: matches!(event, Event::Act { .. }),
            };
            count += 1;
        }
        for step in 0..STEPS {
            subject.warm_deadlines(step);
            for places in &all[..count] {
                let user = places.user.map_or(0, |user| user.lines(step));
                let session = places.session.map_or(0, |session| session.lines(step));
                let link = places.link.map_or(0, |link| link.lines(step));
                let agent = places.agent.map_or(0, |agent| agent.lines(step));
                let action = places.user.filter(|_| places.acts).map_or(0, |user| user.action_lines(step));
                black_box(user ^ session ^ link ^ agent ^ action);
                if let Some(run) = places.run {
                    subject.warm_run(run, step);
                }
                // Which connection it is, the step before has read.
                if let Some((conn, step)) = places.link.and_then(|link| link.conn).zip(step.checked_sub(1))
                    && (step < 2 || places.hears)
                {
                    black_box(link_of_conn.get(conn.index()));
                    subject.warm_conn(conn, step);
                }
            }
        }
    }
}
