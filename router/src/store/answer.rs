//! What comes back from a store.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Cursor, Node, OpId, RunId};
use crate::contract::UserId;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Which request.
    pub id: OpId,
    /// The store's answer, or why there is none.
    pub answer: Result<Answer, Trouble>,
}

/// What the store says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Op::Admit`](super::Op::Admit).
    Admitted(Admitted),
    /// To [`Op::Append`](super::Op::Append).
    Appended(Appended),
    /// To [`Op::Attach`](super::Op::Attach).
    Attached(Attached),
    /// To [`Op::Detach`](super::Op::Detach).
    Detached,
    /// To [`Op::Renew`](super::Op::Renew).
    Renewed(Renewed),
    /// To [`Op::TakeOver`](super::Op::TakeOver), by the runs' ids.
    TakenOver(Vec<TakenRun>),
    /// To [`Op::Acknowledge`](super::Op::Acknowledge).
    Acknowledged {
        /// The greatest cursor that was acknowledged, and is still known.
        acked: Cursor,
    },
    /// To [`Op::Raise`](super::Op::Raise).
    Raised {
        /// The user's last cursor now.
        cur: Cursor,
        /// Whether it had to be raised.
        raised: bool,
    },
    /// To [`Op::Heartbeat`](super::Op::Heartbeat).
    Nodes(Nodes),
    /// To [`Op::Hold`](super::Op::Hold).
    Holding,
    /// To [`Op::Release`](super::Op::Release).
    Released,
    /// To [`Op::Held`](super::Op::Held): at most [`Bounds::page_max`](super::Bounds::page_max), in the order of their
    /// numbers; fewer than that are the last.
    Hints(Vec<Hint>),
    /// To [`Op::Forget`](super::Op::Forget).
    Forgotten,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It is taken in; its run is open, under epoch 1.
    New,
    /// It was taken in before.
    Known {
        /// Under which run.
        run: RunId,
        /// The epoch of that run; 0 when its row is gone.
        epoch: u64,
        /// Whether that run is open.
        open: bool,
        /// Whether the asking node owns that run, and it is open.
        mine: bool,
    },
    /// It is not taken in, and nothing is remembered of it.
    Refused(NotAdmitted),
}

/// Why a message was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotAdmitted {
    /// The user has as many open runs as allowed.
    Runs,
    /// The notes of the user's open runs leave no room.
    Quota,
    /// Another node opened a run of that id.
    RunTaken,
}

/// What became of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// They are in the log.
    Logged {
        /// Cursor of the first; the others follow it without gap.
        first: Cursor,
    },
    /// The first of them, at least, was in the log before. Nothing was written.
    Known {
        /// The last event of the run that the log has had.
        have: u64,
        /// The cursor that the first of them got, if the very same append was one of the run's last few.
        first: Option<Cursor>,
    },
    /// An event before the first of them is missing. Nothing was written.
    Gap {
        /// The last event of the run that the log has had.
        have: u64,
    },
    /// The run has another epoch by now: somebody else owns it. Nothing was written.
    Fenced,
    /// There is no such run.
    NoRun,
    /// Nothing was written, and asking again will not help.
    Refused(NotAppended),
}

/// Why events were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotAppended {
    /// One of them is longer than the whole log may be.
    TooLarge,
    /// None at all, or more than one append may have; or their number is 0.
    Malformed,
    /// The run has ended.
    Ended,
    /// The user's cursors are used up.
    CursorsUsedUp,
}

/// One event of a user's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place.
    pub cursor: Cursor,
    /// Its run.
    pub run: RunId,
    /// Its number within the run, from 1.
    pub seq: u64,
    /// Its frame, as it was appended.
    pub frame: Bytes,
}

/// What a node reads when it attaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The oldest cursor that the log still has; one above `cur` when it has none.
    pub first: Cursor,
    /// The last cursor.
    pub cur: Cursor,
    /// The greatest cursor that was acknowledged.
    pub acked: Cursor,
    /// What was read comes after this.
    pub from: Cursor,
    /// What was read goes up to here.
    pub upto: Cursor,
    /// What there is in between, at most [`Bounds::fetch_events_max`](super::Bounds::fetch_events_max).
    pub events: Vec<Event>,
    /// Open runs whose lease has run out: a takeover would get so many.
    pub expired_runs: u32,
}

/// What lasts longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The user's last cursor: whoever is behind fetches.
    pub cur: Cursor,
    /// Open runs whose lease has run out: a takeover would get so many.
    pub expired_runs: u32,
    /// How each run stands, in the order in which they were asked for.
    pub runs: Vec<Standing>,
}

/// How a run stands with the node that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It is the node's; its lease is new.
    Held,
    /// It has another epoch by now.
    Fenced,
    /// It has ended.
    Ended,
    /// There is no such run.
    NoRun,
}

/// A run that was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenRun {
    /// Which.
    pub run: RunId,
    /// Its new epoch.
    pub epoch: u64,
    /// Events of it that were ever in the log. 0: its message may be carried out again, from `note`.
    pub seq: u64,
    /// What its owner left to know.
    pub note: Bytes,
}

/// The nodes that are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// Those that are alive, the asking one included.
    pub alive: u32,
    /// The place of the asking one among them by name, from 0: spreads out what all would do at once.
    pub rank: u32,
    /// Those that are not, in the order in which they died; at most
    /// [`Bounds::page_max`](super::Bounds::page_max).
    pub dead: Vec<Node>,
}

/// A node may own runs of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The user.
    pub user: UserId,
    /// The number of the node's last `Hold` of that user.
    pub hold: OpId,
}

/// New events of a user, as a node that attached hears of them. A hint, and no more than that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    /// Whose.
    pub user: UserId,
    /// What is new, in the order of cursors and without gap.
    pub events: Vec<Event>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The operation was not carried out, and will not be.
    Unavailable(Away),
    /// The operation may have been carried out, or may be yet.
    InDoubt,
}

/// Why the store carries nothing out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Away {
    /// There is no connection.
    Down,
    /// It is reading its data.
    Loading,
    /// It is busy with something that takes too long.
    Busy,
    /// Its memory is full.
    Full,
    /// It is a replica, it cannot write to its disk, or too few replicas follow it.
    ReadOnly,
    /// The keys are, or are about to be, somewhere else.
    Moved,
    /// More requests are on their way than the node may have.
    Crowded,
    /// It did not understand; a defect, or another version.
    Refused,
}

impl Away {
    /// All of them.
    pub const ALL: [Away; 8] = [
        Away::Down,
        Away::Loading,
        Away::Busy,
        Away::Full,
        Away::ReadOnly,
        Away::Moved,
        Away::Crowded,
        Away::Refused,
    ];

    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Away::Down => "down",
            Away::Loading => "loading",
            Away::Busy => "busy",
            Away::Full => "full",
            Away::ReadOnly => "read_only",
            Away::Moved => "moved",
            Away::Crowded => "crowded",
            Away::Refused => "refused",
        }
    }
}
