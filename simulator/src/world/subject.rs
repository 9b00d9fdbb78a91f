//! What stands in the middle of a world: the router, or a model of what it replaces.

use router::{
    ConnId, Effects, Input, Instant, QualityRequest, Router, RunRef, Stats,
    quality::{self, Gate},
};
use serde_json::value::RawValue;

use crate::checkers::bounds::{Breach, Held};

/// What a world drives by inputs and effects, and looks into after each. The clients and their checkers are the same
/// whatever it is.
pub trait Subject {
    /// One input; appends what is to happen, in order. `now` never runs backwards.
    fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Effects);

    /// An agent's report of that run comes soon: what it will need, so many pointers away, can be fetched early. Changes
    /// nothing.
    fn warm_run(&self, run: RunRef, step: u8) {
        _ = (run, step);
    }

    /// The same for an input of that connection, or an effect on it.
    fn warm_conn(&self, conn: ConnId, step: u8) {
        _ = (conn, step);
    }

    /// The same for the deadlines that come next.
    fn warm_deadlines(&self, step: u8) {
        _ = step;
    }

    /// When it wants to be woken by [`Input::Tick`].
    fn next_deadline(&self) -> Option<Instant>;

    /// Whether its running accounts add up; asked after each input, so it must be cheap.
    ///
    /// # Errors
    /// What does not.
    fn check(&self) -> Result<(), Breach>;

    /// The same by recounting everything it holds; asked seldom.
    ///
    /// # Errors
    /// What does not add up.
    fn verify(&self) -> Result<(), Breach>;

    /// What it holds.
    fn held(&self) -> Held;

    /// Users it holds; asked seldom.
    fn users(&self) -> u64 {
        self.held().users
    }

    /// Live connections, and those of them that were written a frame lately.
    fn pool(&self, now: Instant) -> (u64, u64);

    /// What its own services answer to a question of quality that it asked; `None` if they fail.
    fn answer(&self, request: &QualityRequest, now: Instant) -> Option<Box<RawValue>>;

    /// Another of its kind and its limits that remembers nothing: the node died, and this one takes its place. `number`
    /// counts them from 1; the ids that two of them issue differ.
    #[must_use]
    fn fresh(&self, number: u32) -> Self
    where
        Self: Sized;

    /// Whether a message that comes again under its `message_id` starts no second run.
    fn dedupes(&self) -> bool {
        true
    }

    /// The router itself, for a host that sends events of its own and has tools run; `None` if it is none.
    fn hosted(&mut self) -> Option<&mut Router> {
        None
    }

    /// A router's accounts; `None` if it is none.
    fn accounts(&self) -> Option<&Stats> {
        None
    }

    /// The same as a copy; empty if it is none.
    fn stats(&self) -> Stats {
        self.accounts().cloned().unwrap_or_default()
    }
}

impl Subject for Router {
    fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Effects) {
        Router::handle(self, now, input, out);
    }

    fn warm_run(&self, run: RunRef, step: u8) {
        Router::warm_run(self, run, step);
    }

    fn warm_conn(&self, conn: ConnId, step: u8) {
        Router::warm_conn(self, conn, step);
    }

    fn warm_deadlines(&self, step: u8) {
        Router::warm_deadlines(self, step);
    }

    fn next_deadline(&self) -> Option<Instant> {
        Router::next_deadline(self).map(|(at, _)| at)
    }

    fn check(&self) -> Result<(), Breach> {
        Router::stats(self).check().map_err(Breach::of_accounts)
    }

    fn verify(&self) -> Result<(), Breach> {
        Router::verify(self).map_err(Breach::of_accounts)
    }

    fn held(&self) -> Held {
        let stats = Router::stats(self);
        Held {
            users: stats.connections.users,
            connections: stats.connections.open,
            runs: stats.runs.open,
            frames: stats.frames.in_flight + stats.frames.queued,
            inbound: stats.inbound.held,
            events: stats.events.waiting,
            other: 0,
        }
    }

    fn pool(&self, now: Instant) -> (u64, u64) {
        let pool = Router::pool(self, now);
        (pool.connections, pool.served)
    }

    fn answer(&self, request: &QualityRequest, now: Instant) -> Option<Box<RawValue>> {
        quality::answer(request, self.quality_monitor(), &Gate, now)
    }

    fn hosted(&mut self) -> Option<&mut Router> {
        Some(self)
    }

    fn accounts(&self) -> Option<&Stats> {
        Some(Router::stats(self))
    }

    fn fresh(&self, number: u32) -> Self {
        let config = router::Config { node: format!("n{number}"), ..self.config().clone() };
        Router::new(config).expect("the same limits were good before")
    }
}
