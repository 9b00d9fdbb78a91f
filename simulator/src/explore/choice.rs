//! What may happen next, in two bytes.

use std::fmt;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) kind: Kind,
    pub(super) user: u8,
    pub(super) tab: u8,
    /// A message of the user, or another user.
    pub(super) what: u8,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A tab connects, for the first time or again.
    Connect,
    /// A tab says the user's next message.
    Say,
    /// A tab says message `what` again.
    Retry,
    /// A tab confirms what it has.
    Confirm,
    /// A tab is gone; what the server writes to it goes nowhere.
    Cut,
    /// A tab is gone, and its socket takes nothing any more.
    CutFull,
    /// The server finds out that a connection is gone.
    Notice,
    /// A tab stops reading.
    Stall,
    /// A tab reads on.
    ReadOn,
    /// The agent of message `what` does what comes next.
    Work,
    /// The agent of message `what` calls a tool.
    CallTool,
    /// A tab stops the run of message `what`.
    Stop,
    /// Nothing happens until a deadline has come.
    Tick,
    /// A tab stops a run of user `what`.
    StopForeign,
    /// A tab speaks in the name of user `what`.
    SpeakAs,
    /// The host delivers something of the user's to a connection of user `what`.
    DeliverTo,
}

const KINDS: [Kind; 16] = [
    Kind::Connect,
    Kind::Say,
    Kind::Retry,
    Kind::Confirm,
    Kind::Cut,
    Kind::CutFull,
    Kind::Notice,
    Kind::Stall,
    Kind::ReadOn,
    Kind::Work,
    Kind::CallTool,
    Kind::Stop,
    Kind::Tick,
    Kind::StopForeign,
    Kind::SpeakAs,
    Kind::DeliverTo,
];

impl Choice {
    pub(super) const fn new(kind: Kind, user: usize, tab: usize, what: usize) -> Self {
        Self { kind, user: user as u8, tab: tab as u8, what: what as u8 }
    }

    /// Whether it is about one user alone.
    pub(super) const fn is_of_one(self) -> bool {
        !matches!(self.kind, Kind::Tick | Kind::StopForeign | Kind::SpeakAs | Kind::DeliverTo)
    }

    pub(super) const fn pack(self) -> u16 {
        (self.kind as u16) << 12 | (self.user as u16) << 8 | (self.tab as u16) << 4 | self.what as u16
    }

    pub(super) fn unpack(packed: u16) -> Self {
        let part = |shift: u16| (packed >> shift & 15) as u8;
        Self { kind: KINDS[part(12) as usize], user: part(8), tab: part(4), what: part(0) }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, user, tab, what } = self;
        let who = format_args!("user {user}, tab {tab}");
        match kind {
            Kind::Connect => write!(f, "{who}: connects"),
            Kind::Say => write!(f, "{who}: says its next message"),
            Kind::Retry => write!(f, "{who}: says message m{what} again"),
            Kind::Confirm => write!(f, "{who}: confirms what it has"),
            Kind::Cut => write!(f, "{who}: is gone; what is written to it goes nowhere"),
            Kind::CutFull => write!(f, "{who}: is gone; its socket takes nothing any more"),
            Kind::Notice => write!(f, "{who}: the server finds out that an old connection is gone"),
            Kind::Stall => write!(f, "{who}: stops reading"),
            Kind::ReadOn => write!(f, "{who}: reads on"),
            Kind::Work => write!(f, "user {user}: the agent of m{what} does what comes next"),
            Kind::CallTool => write!(f, "user {user}: the agent of m{what} calls a tool"),
            Kind::Stop => write!(f, "{who}: stops the run of m{what}"),
            Kind::Tick => write!(f, "nothing happens until a deadline has come"),
            Kind::StopForeign => write!(f, "{who}: stops a run of user {what}"),
            Kind::SpeakAs => write!(f, "{who}: speaks in the name of user {what}"),
            Kind::DeliverTo => {
                write!(f, "the host: delivers something of user {user} to a connection of user {what}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_bytes_are_enough() {
        for kind in KINDS {
            let choice = Choice::new(kind, 3, 2, 7);
            assert_eq!(Choice::unpack(choice.pack()), choice);
        }
    }
}
