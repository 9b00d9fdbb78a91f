//! What goes into a queue and what comes out of it.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

/// Class of a message; work of a higher class is leased first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// What can wait.
    Low,
    /// Most of it.
    #[default]
    Normal,
    /// What somebody waits for.
    High,
    /// What must not wait.
    Critical,
}

impl Priority {
    /// How many there are.
    pub const COUNT: usize = 4;
    /// All of them, the lowest first.
    pub const ALL: [Priority; Self::COUNT] =
        [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// Where a message of a user goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outlet {
    /// Work of a kind, for whoever does that kind; all users' work of a kind is shared out fairly.
    Worker(u16),
    /// One connection of the user.
    Connection(u64),
    /// The user, whichever connection comes.
    User,
    /// A log that keeps it for the user: one way per run, so that no run waits for another.
    Log(u64),
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a, B> {
    /// Where to.
    pub outlet: Outlet,
    /// The sender's id of it; the same id again within the window is a duplicate. `None`: each one is new.
    pub id: Option<&'a str>,
    /// How urgent it is.
    pub priority: Priority,
    /// Messages of one outlet with the same key stay in order, in a lane of the class that the first of them had.
    pub order: Option<u64>,
    /// It is never dropped for another message, and may use the headroom.
    pub protected: bool,
    /// Its size, bytes.
    pub bytes: u32,
    /// What it carries.
    pub body: B,
}

impl<B> Offer<'_, B> {
    /// A plain message: normal, unprotected, without id or order.
    pub const fn new(outlet: Outlet, bytes: u32, body: B) -> Self {
        Self { outlet, id: None, priority: Priority::Normal, order: None, protected: false, bytes, body }
    }
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It waits under this number: higher than that of every message admitted before.
    Accepted {
        /// The number.
        seq: u64,
    },
    /// The same id came before.
    Duplicate {
        /// The number it was admitted under then.
        first: u64,
    },
    /// It does not wait, and the sender must be told.
    Refused(Refusal),
}

/// Why a message was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It is longer than that many bytes.
    TooLarge {
        /// The limit.
        limit: u32,
    },
    /// The user's own load leaves no room.
    UserQuota,
    /// All users' load leaves no room above this user's floor.
    GlobalQuota,
    /// The outlet is closed.
    Closed,
    /// That is no user id.
    InvalidUser,
    /// The queue takes nothing more.
    ShuttingDown,
}

impl Refusal {
    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::TooLarge { .. } => "too_large",
            Refusal::UserQuota => "user_quota",
            Refusal::GlobalQuota => "global_quota",
            Refusal::Closed => "closed",
            Refusal::InvalidUser => "invalid_user",
            Refusal::ShuttingDown => "shutting_down",
        }
    }
}

/// Why a message ended without being delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Every attempt failed.
    AttemptsExhausted,
    /// It waited too long.
    Expired,
    /// It gave way to a later one of the same user.
    Evicted {
        /// The number of that one.
        by: u64,
    },
    /// Nobody does work of that kind.
    NoHandler,
    /// It can never succeed.
    Poison,
    /// The connection it was for is gone.
    ConnectionGone,
    /// An operator cleared it.
    Cleared,
    /// The queue ended.
    Shutdown,
    /// Somebody else does it by now.
    Fenced,
}

impl Reason {
    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::AttemptsExhausted => "attempts_exhausted",
            Reason::Expired => "expired",
            Reason::Evicted { .. } => "evicted",
            Reason::NoHandler => "no_handler",
            Reason::Poison => "poison",
            Reason::ConnectionGone => "connection_gone",
            Reason::Cleared => "cleared",
            Reason::Shutdown => "shutdown",
            Reason::Fenced => "fenced",
        }
    }
}

/// Names a lease. One that was settled, timed out or taken back names nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease {
    pub(super) user: u32,
    pub(super) generation: u32,
    pub(super) way: u16,
    pub(super) lane: u32,
    pub(super) serial: u32,
    pub(super) seq: u64,
    pub(super) fence: u64,
}

impl Lease {
    /// The number of the leased message.
    pub const fn seq(self) -> u64 {
        self.seq
    }
}

/// A leased message.
#[derive(Debug)]
pub struct Leased<'a, B> {
    /// Whose it is.
    pub user: &'a Arc<str>,
    /// Where it goes to.
    pub outlet: Outlet,
    /// Its number.
    pub seq: u64,
    /// Attempts that failed before this one.
    pub failures: u32,
    /// What it carries.
    pub body: &'a B,
}

/// A message that has not ended.
#[derive(Debug)]
pub struct Waiting<'a, B> {
    /// Its number.
    pub seq: u64,
    /// Its class.
    pub priority: Priority,
    /// Its order key.
    pub order: Option<u64>,
    /// Whether somebody has it in hand.
    pub leased: bool,
    /// Attempts that failed.
    pub failures: u32,
    /// When it was offered, on the queue's clock.
    pub offered_at: crate::contract::Instant,
    /// What it carries.
    pub body: &'a B,
}

/// What is to become of a message whose attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Again after its policy's pause, as long as attempts are left. `chance` is uniform over all of `u32`.
    Later {
        /// The random part of the pause.
        chance: u32,
    },
    /// Again at once, as long as attempts are left.
    Now,
    /// Never: it is a dead letter for this reason.
    Never(Reason),
}

/// Something that happened to a message without being asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message ended without being delivered.
    DeadLettered {
        /// Whose.
        user: Arc<str>,
        /// Where it was to go to.
        outlet: Outlet,
        /// Its number.
        seq: u64,
        /// Why.
        reason: Reason,
    },
    /// A lease was not settled in time: the attempt failed.
    LeaseExpired {
        /// Whose message.
        user: Arc<str>,
        /// Its number.
        seq: u64,
    },
    /// A dead letter left before its time, because there were too many.
    LetterDropped {
        /// Whose.
        user: Arc<str>,
        /// Its number.
        seq: u64,
    },
    /// A user should be told of messages that ended undelivered.
    Notice {
        /// Whom to tell.
        user: Arc<str>,
        /// How many since the last notice.
        letters: u32,
    },
}

/// A message that ended without being delivered, kept for those who ask.
#[derive(Clone, Debug)]
pub struct DeadLetter<B> {
    /// Its number.
    pub seq: u64,
    /// Where it was to go to.
    pub outlet: Outlet,
    /// Its class.
    pub priority: Priority,
    /// Its order key.
    pub order: Option<u64>,
    /// Whether it was protected.
    pub protected: bool,
    /// Its size, bytes.
    pub bytes: u32,
    /// When it was offered, on the queue's clock.
    pub offered_at: crate::contract::Instant,
    /// When it ended.
    pub dead_at: crate::contract::Instant,
    /// Why it ended.
    pub reason: Reason,
    /// What went wrong, the oldest attempt first.
    pub failures: Vec<Box<str>>,
    /// What it carries.
    pub body: B,
}

/// The books of one user, or of all:
/// `offered = duplicates + refused + delivered + dead + waiting + leased`, at every step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Messages that were offered.
    pub offered: u64,
    /// Those that had come before.
    pub duplicates: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Those that were delivered.
    pub delivered: u64,
    /// Those that ended undelivered.
    pub dead: u64,
    /// Those that wait.
    pub waiting: u64,
    /// Those that are leased.
    pub leased: u64,
}

impl Account {
    /// Whether the books balance.
    ///
    /// # Errors
    /// Both sides, when they differ.
    pub fn check(&self) -> Result<(), (u64, u64)> {
        let Account { offered, duplicates, refused, delivered, dead, waiting, leased } = *self;
        let sum = duplicates + refused + delivered + dead + waiting + leased;
        if sum == offered { Ok(()) } else { Err((offered, sum)) }
    }
}
