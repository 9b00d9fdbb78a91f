//! How messages of an outlet are treated, and what bounds a whole queue.

use super::retry::Backoff;

/// One second in microseconds.
const SECOND: u64 = 1_000_000;
const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

/// What happens to a message for which its outlet has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// It is refused.
    Refuse,
    /// The oldest message of the lowest class strictly below its own leaves; without one it is refused.
    EvictLower,
    /// The oldest message of a class not above its own leaves.
    DropOldest,
    /// The oldest message of the lowest class leaves, if that is not above its own.
    DropLowest,
}

/// How messages of one sort of outlet are treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Strict order of priorities; without it everything goes out in the order in which it came.
    pub by_priority: bool,
    /// Messages that may wait in one outlet.
    pub messages_max: u32,
    /// Room above `messages_max` that only protected messages may use.
    pub headroom_messages: u32,
    /// Longest message.
    pub message_bytes_max: u32,
    /// Age at which a message that still waits is a dead letter; exactly this age is kept.
    pub ttl_us: Option<u64>,
    /// Times that a message is leased before it is a dead letter, the first included.
    pub attempts_max: u32,
    /// Pause after a failed attempt.
    pub backoff: Backoff,
    /// What gives way when there is no room.
    pub overflow: Overflow,
    /// What gives way to a protected message.
    pub overflow_protected: Overflow,
    /// Leases that may be out at once; work has one per lane, whatever stands here.
    pub window: u32,
    /// A lease that is not settled for this time has failed.
    pub lease_us: Option<u64>,
    /// How long a dead letter is kept.
    pub dead_ttl_us: u64,
    /// Whether the user is to be told of dead letters; not where they are told of each otherwise.
    pub notifies: bool,
}

impl Policy {
    /// Work for agents and handlers: refused when there is no room, five attempts.
    pub const fn work() -> Self {
        Self {
            by_priority: true,
            messages_max: 10_000,
            headroom_messages: 1_000,
            message_bytes_max: MIB,
            ttl_us: None,
            attempts_max: 5,
            backoff: Backoff::DOUBLING,
            overflow: Overflow::Refuse,
            overflow_protected: Overflow::Refuse,
            window: 1,
            lease_us: Some(30 * SECOND),
            dead_ttl_us: 7 * 86_400 * SECOND,
            notifies: true,
        }
    }

    /// What goes to one connection: lower classes give way, three attempts, five minutes.
    pub const fn connection() -> Self {
        Self {
            messages_max: 1_000,
            headroom_messages: 100,
            ttl_us: Some(300 * SECOND),
            attempts_max: 3,
            overflow: Overflow::EvictLower,
            overflow_protected: Overflow::EvictLower,
            window: 64,
            lease_us: None,
            ..Self::work()
        }
    }

    /// What a user missed: in the order of arrival, the lowest class gives way, two minutes.
    pub const fn replay() -> Self {
        Self {
            by_priority: false,
            messages_max: 200,
            headroom_messages: 32,
            message_bytes_max: 32 * KIB,
            ttl_us: Some(120 * SECOND),
            attempts_max: 5,
            backoff: Backoff::Steps([500_000, SECOND, 2 * SECOND, 5 * SECOND]),
            overflow: Overflow::DropLowest,
            overflow_protected: Overflow::DropLowest,
            window: 64,
            lease_us: None,
            ..Self::work()
        }
    }

    /// On its way into a log, which takes everything sooner or later: nothing gives way, expires or is given up.
    pub const fn log() -> Self {
        Self {
            by_priority: false,
            messages_max: 4_096,
            headroom_messages: 0,
            attempts_max: u32::MAX,
            window: u32::MAX,
            lease_us: None,
            ..Self::work()
        }
    }

    /// A named topic: one attempt, refused when there is no room.
    pub const fn topic() -> Self {
        Self {
            by_priority: false,
            messages_max: 1_000,
            headroom_messages: 100,
            attempts_max: 1,
            ..Self::work()
        }
    }

    /// A plain bounded queue: as a topic, its dead letters are kept for a day.
    pub const fn plain() -> Self {
        Self { dead_ttl_us: 86_400 * SECOND, ..Self::topic() }
    }

    pub(super) const fn room(&self, protected: bool) -> u32 {
        if protected { self.messages_max.saturating_add(self.headroom_messages) } else { self.messages_max }
    }
}

/// What bounds a whole queue.
///
/// Users times floor is at most the global bound, so that nobody's load takes another's floor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Users that have anything in the queue or in its windows.
    pub users_max: u32,
    /// Messages of one user that may wait, over all outlets.
    pub user_messages_max: u32,
    /// Their bytes.
    pub user_bytes_max: u64,
    /// Messages that each user can always have waiting, whatever others do.
    pub floor_messages: u32,
    /// Bytes that each user can always have waiting.
    pub floor_bytes: u64,
    /// Messages of all users above their floors.
    pub pool_messages_max: u64,
    /// Bytes of all users above their floors.
    pub pool_bytes_max: u64,
    /// Message ids that are remembered per user, against sending twice.
    pub dedupe_ids_max: u32,
    /// For how long.
    pub dedupe_ttl_us: u64,
    /// Ids that are remembered over all users.
    pub dedupe_total_max: u64,
    /// Dead letters per user; the oldest leaves.
    pub dead_letters_max: u32,
    /// Dead letters of all users; the oldest leaves.
    pub dead_letters_total_max: u32,
    /// Time between two notices to one user that letters of theirs are dead.
    pub notice_every_us: u64,
    /// Bytes of work that a user may have leased before the next user's turn.
    pub quantum_bytes: u32,
    /// Leases of higher classes in a row, while a lower one waits, before one of the lower. Also those of users who had
    /// nothing before, while others wait.
    pub higher_leases_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            users_max: 100_000,
            user_messages_max: 10_000,
            user_bytes_max: 16 << 20,
            floor_messages: 32,
            floor_bytes: 64 << 10,
            pool_messages_max: 1_000_000,
            pool_bytes_max: 1 << 30,
            dedupe_ids_max: 1_000,
            dedupe_ttl_us: 600 * SECOND,
            dedupe_total_max: 1_000_000,
            dead_letters_max: 100,
            dead_letters_total_max: 10_000,
            notice_every_us: 60 * SECOND,
            quantum_bytes: 4 * KIB,
            higher_leases_max: 16,
        }
    }
}
