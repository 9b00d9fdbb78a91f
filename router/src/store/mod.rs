//! The contract with a shared store: what a node asks of it, what it is answered, and what may be concluded.
//!
//! With several nodes, a store that all of them reach holds three things per user: a **log** of frames in the order in
//! which every connection of the user receives them, a **run table** with one row per run, fenced by epochs, and the
//! **window** of message ids seen lately. Everything else (priorities, fairness, pauses, windows of sockets) stays in
//! the memory of the node that owns a run. A frame is shown to nobody, not even to a local connection, before it is in
//! the log: the order of the log is the only order.
//!
//! This module is the vocabulary and nothing else. It does no IO, and it names no product: the server speaks it to
//! Redis, the simulator to a model, and a property test holds the two to the same answers.
//!
//! # Requests and answers
//! A [`Request`] is an [`Op`] under a number. For each there is one [`Stored`] with the same number: an [`Answer`] of
//! the store, or a [`Trouble`] of the way there. Requests of one node take effect in the order in which they were made,
//! as long as the connection holds; across a reconnect nothing is promised, and nothing below needs it.
//!
//! | trouble | what is known | what the core may do |
//! |---|---|---|
//! | [`Trouble::Unavailable`] | the operation was **not** carried out, and never will be | tell the sender, or ask again |
//! | [`Trouble::InDoubt`] | it was handed to the store; whether it took effect is unknown | ask again, **unchanged** |
//!
//! A node that asks again because its own patience is over treats its request as in doubt. The late answer may still
//! come, under the old number; it is as true as on time.
//!
//! # Operations
//! | operation | takes effect | asked again, unchanged |
//! |---|---|---|
//! | [`Op::Admit`] | a row: epoch 1, no event, a lease; the id in the window | [`Admitted::Known`] with the same run |
//! | [`Op::Append`] | events at the next cursors, all or none; told to every other node attached | [`Appended::Known`] with the same cursor |
//! | [`Op::Attach`] | the node hears of new events from here on; what is there is read in the same step | attaches again, reads again |
//! | [`Op::Detach`] | the node hears no more | nothing; **never** ask again after a later `Attach` |
//! | [`Op::Renew`] | leases and attachment last longer | they last longer still |
//! | [`Op::TakeOver`] | rows whose lease has run out: next epoch, this owner, a new lease | the same rows once more |
//! | [`Op::Acknowledge`] | the greatest cursor counts | nothing |
//! | [`Op::Raise`] | cursors go on above what was ever shown | nothing |
//! | [`Op::Heartbeat`] | the node counts as alive for a while | for a while longer |
//! | [`Op::Hold`], [`Op::Release`] | a hint: this node owns runs of that user | nothing; an old `Release` undoes no later `Hold` |
//! | [`Op::Held`] | reads hints, page by page | reads them again |
//! | [`Op::Forget`] | a dead node is no longer listed | nothing |
//!
//! All but the last four touch keys of one user only, the last four those of one node only: a store that is split by
//! key can serve each in one place. Hints are supersets, written before what they hint at and cleaned after it.
//!
//! # What follows from an answer
//! - **Accepted** is [`Admitted::New`]: only then is a sender told so. [`Admitted::Known`] with the run that was asked
//!   for is an answer that got lost, and means the same while `mine`; with another run the message came before.
//! - **[`Appended::Gap`]**: one before it is missing. Ask again from `have + 1` on.
//! - **[`Appended::Fenced`]**: somebody else owns the run by now and will end it, or has. Drop its events, tell nobody.
//! - **[`Appended::NoRun`]**: the store does not know the run, and nobody owns it. Either it ended longer ago than its
//!   row is kept, or the store lost its tail. Not the same as fenced: nobody else will end it.
//! - **Frames of no run** (notices, errors that must survive) are appended under [`PSEUDO_EPOCH`], by a run name and a
//!   count of events of the node's own. Its row appears with event 1 and is kept like that of an ended run. A gap
//!   below what was acknowledged means that it was given up in between: number what is left from `have + 1` on.
//! - **An [`Attached`] speaks of all cursors from `from + 1` to `upto`.** Those that are not among its events are gone,
//!   and the reader is told of the gap. There is more to fetch while `upto < cur`.
//! - **A cursor of the store below one that this node saw** means that the store lost its tail: [`Op::Raise`] first,
//!   then append. `acked` and the log are what is left of them.
//! - **Delivery** goes by position: an event at or below a connection's position is dropped, the next one is handed
//!   over, one further on waits for an attach from the position. [`Wake`]s are hints: they may be lost, come twice, or
//!   come ahead of the answer to the append that caused them. [`Renewed::cur`] finds what was missed.
//! - **Rows with a lease that has run out** are there for anybody: [`Attached::expired_runs`] tells whoever meets the
//!   user, so that no run stays open because its hint was lost.
//!
//! # Time
//! The only clock is the store's. A node that has to judge its own lease counts from when it **sent** the request that
//! was answered. After the store was away for everybody, all leases have run out at once and their owners are about to
//! renew them: a node takes nothing over before it has had an unbroken view for one whole [`Bounds::lease_ms`].

mod answer;
mod bounds;
mod op;

pub use self::{
    answer::{
        Admitted, Answer, Appended, Attached, Away, Event, Hint, Nodes, NotAdmitted, NotAppended, Renewed,
        Standing, Stored, TakenRun, Trouble, Wake,
    },
    bounds::{Bounds, BoundsError},
    op::{Admit, Append, Cursor, Node, Op, OpId, PSEUDO_EPOCH, Renew, Request, RunId},
};

/// How a node reaches its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Requests are carried out from here on.
    Up,
    /// No request is carried out until it is [`Up`](Self::Up) again.
    Down,
    /// Wakes come from here on; some may have been missed.
    Listening,
    /// No wakes come until [`Listening`](Self::Listening) again.
    Deaf,
}

/// The greatest cursor: every reader of JSON, and every store, keeps whole numbers up to the next one exact.
pub const CURSOR_MAX: Cursor = (1 << 53) - 1;
/// How far above the greatest cursor that was ever shown [`Op::Raise`] goes.
pub const RAISE_BY: Cursor = 1_000_000;
/// Events of one [`Op::Append`], at most.
pub const EVENTS_MAX: usize = 16;
/// Appends of one run on their way at once, at most: the last so many can be told apart when they come again.
pub const IN_FLIGHT_MAX: usize = 4;
