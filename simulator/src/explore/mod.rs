//! All interleavings of a small world: users with tabs, their agents and a network around the real router core, every state
//! visited once.
//!
//! | module | what it knows |
//! |---|---|
//! | `scope` | how large the world is and what may go wrong in it |
//! | `choice`, `act` | what can happen next, and how it happens |
//! | `world`, `person` | what follows by itself, and what must hold |
//! | `print` | which states are the same, with and without symmetry |
//! | `nodes` | the states that were met |
//! | `search` | breadth first: a counter-example is as short as any |
//! | `report` | what is said of it |
//!
//! # What a scope covers
//! Every order of these steps: a tab connects; says its user's next message; says an earlier one again; confirms what it has
//! after a run's end; loses its connection, whose socket then swallows what is written or takes nothing; comes back with its
//! cursor, before or after the server finds out that the old connection is gone; stops reading and reads on; stops a run.
//! An agent starts, thinks, calls a tool, gets the tool's answer, completes. Time passes to the next deadline that brings
//! about something. Somebody reaches for what is another user's.
//!
//! # What is one step
//! A tab that reads takes each frame as it is sent, and the write is reported within the same step; slowness is what `stalls`
//! and full sockets are for. Between two steps no time passes but by a tick. All users call their messages and threads alike,
//! so that a mix-up would show; each user's words carry the user's name.
//!
//! # What must hold, after every step
//! `iso.I1`, `iso.I4`: nobody's socket gets a frame with a word or a run of another user's, and nobody ends another's run.
//! `deliver.I2`, `deliver.I4`, `golden.unasked`: a tab that reads has everything that was published, in the order in which
//! it was, once, with the `seq` of its run; what nobody was written is replayed to who comes first. `run.R1` to `run.R7`: no
//! step of an agent is refused. `golden.incomplete`, `golden.answer`, `golden.value`, `golden.closed`: one run per message,
//! a repeat is told so, no lawful message is refused and no reader closed. `bounds.queue`, `bounds.stale`: no more frames than
//! the window, none after the end. `account.D10`: the router's counters add up.

mod act;
mod choice;
mod nodes;
mod person;
mod print;
mod report;
mod scope;
mod search;
mod world;

pub use report::report;
pub use scope::{NAMED, Scope, ScopeError};
pub use search::{CounterExample, End, Options, Outcome, Progress, explore};

use std::fmt;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule's name, as in all reports.
    pub rule: String,
    /// What was seen and expected.
    pub detail: String,
    /// Whose world it was in.
    pub user: Option<usize>,
    /// On which tab.
    pub tab: Option<usize>,
}

impl Breach {
    fn new(rule: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { rule: rule.into(), detail: detail.into(), user: None, tab: None }
    }

    fn of(self, user: usize) -> Self {
        Self { user: Some(user), ..self }
    }

    fn at(self, user: usize, tab: usize) -> Self {
        Self { user: Some(user), tab: Some(tab), ..self }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.rule)?;
        match (self.user, self.tab) {
            (Some(user), Some(tab)) => write!(f, "user {user}, tab {tab}: ")?,
            (Some(user), None) => write!(f, "user {user}: ")?,
            (None, _) => {}
        }
        f.write_str(&self.detail)
    }
}
