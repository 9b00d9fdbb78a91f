//! What is asked of a store.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use bytes::Bytes;

use crate::contract::UserId;

/// A place in a user's log: 1 for the first event, greater for each later one.
pub type Cursor = u64;
/// The id of a run: never used twice, by no node.
pub type RunId = Arc<str>;

/// The epoch of frames that belong to no run.
pub const PSEUDO_EPOCH: u64 = 0;

/// One life of a node: a name that no other start of a process has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(Arc<str>);

impl Node {
    /// A node of that name: 1 to 64 printable ASCII characters without white space.
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a request, up to 2^53; each request of a node has another, and later ones have greater ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// An operation under its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Comes back with the answer. An operation that is asked again keeps its number.
    pub id: OpId,
    /// What is asked.
    pub op: Op,
}

/// What a node can ask of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Takes a message in and opens its run.
    Admit(Admit),
    /// Writes the next events of a run into the user's log.
    Append(Append),
    /// Registers the node for a user's events, and reads those that are there.
    Attach {
        /// Whose events.
        user: UserId,
        /// Who will hear of new ones.
        node: Node,
        /// Reads what comes after this; `None`: after what was acknowledged.
        from: Option<Cursor>,
    },
    /// The node hears no more of a user.
    Detach {
        /// Whose events.
        user: UserId,
        /// Who heard of them.
        node: Node,
    },
    /// Leases and attachment last longer.
    Renew(Renew),
    /// Takes the user's runs whose leases have run out.
    TakeOver {
        /// Whose runs.
        user: UserId,
        /// The new owner.
        node: Node,
    },
    /// A client has seen the events up to here.
    Acknowledge {
        /// Whose.
        user: UserId,
        /// Up to here.
        cursor: Cursor,
    },
    /// The store lost its tail: cursors go on above what was shown.
    Raise {
        /// Whose.
        user: UserId,
        /// The greatest cursor that was shown.
        seen: Cursor,
    },
    /// The node is alive.
    Heartbeat {
        /// Which.
        node: Node,
    },
    /// From here on the node may own runs of a user. Ahead of their first admission and of a takeover.
    Hold {
        /// Who.
        node: Node,
        /// Of whom.
        user: UserId,
    },
    /// The node owns no run of a user any more.
    Release {
        /// Who.
        node: Node,
        /// Of whom.
        user: UserId,
        /// The number of the `Hold` that is undone; a later one stays.
        hold: OpId,
    },
    /// Whose runs a node may own.
    Held {
        /// Which node.
        node: Node,
        /// Holds with a greater number than this only; 0 begins.
        after: OpId,
    },
    /// A node that died is listed no more. After the last of its hints.
    Forget {
        /// Which.
        node: Node,
    },
}

impl Op {
    /// Stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Op::Admit(_) => "admit",
            Op::Append(_) => "append",
            Op::Attach { .. } => "attach",
            Op::Detach { .. } => "detach",
            Op::Renew(_) => "renew",
            Op::TakeOver { .. } => "take_over",
            Op::Acknowledge { .. } => "acknowledge",
            Op::Raise { .. } => "raise",
            Op::Heartbeat { .. } => "heartbeat",
            Op::Hold { .. } => "hold",
            Op::Release { .. } => "release",
            Op::Held { .. } => "held",
            Op::Forget { .. } => "forget",
        }
    }
}

/// A message that is to be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admit {
    /// Whose.
    pub user: UserId,
    /// Who will own the run.
    pub node: Node,
    /// The run that it opens.
    pub run: RunId,
    /// The client's id of the message; `None`: nothing can be known to be the same message.
    pub message_id: Option<Arc<str>>,
    /// What another node must know to carry the message out, if this one dies before the first event.
    pub note: Bytes,
}

/// Events of a run that follow each other, 1 to [`EVENTS_MAX`](super::EVENTS_MAX).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Whose.
    pub user: UserId,
    /// Who owns the run.
    pub node: Node,
    /// The run.
    pub run: RunId,
    /// Under which epoch it is owned; [`PSEUDO_EPOCH`] for frames of no run.
    pub epoch: u64,
    /// The number of the first event within its run, from 1.
    pub first_seq: u64,
    /// The events' frames. The store never looks at them.
    pub frames: Vec<Bytes>,
    /// Replaces what another node must know to end the run, if this one dies; `None`: as before.
    pub note: Option<Bytes>,
    /// Whether the last of the events ends the run.
    pub ends: bool,
}

/// What is to last longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renew {
    /// Whose.
    pub user: UserId,
    /// Who owns the runs.
    pub node: Node,
    /// Whether the node has connections of the user, and is to hear of events.
    pub attached: bool,
    /// Runs that the node owns, and under which epoch.
    pub runs: Vec<(RunId, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nodes_are_short_and_printable() {
        assert_eq!(Node::new("n1#5f").map(|node| node.as_str().len()), Some(5));
        for bad in ["", "a b", "a\n", "ä", &"n".repeat(65)] {
            assert_eq!(Node::new(bad), None, "{bad:?}");
        }
    }
}
