//! The interfaces of the old queues over the one queue: nine ways of waiting, and one [`Queue`] in which everything
//! waits.
//!
//! An adapter translates calls and results and holds nothing that waits. Where an old promise contradicts a guarantee
//! of the one queue, the guarantee wins; `docs/conformance.md` names every such place.

mod breakers;
mod connection;
mod missed;
mod plain;
mod topics;
mod work;

pub use breakers::{CallOutcome, RetrySettings, RetryingBreaker, UnifiedBreaker, UnifiedSettings};
pub use connection::{ConnectionQueue, InFlight, Message, Metrics, Settings, State};
pub use missed::{Missed, MissedMessages, MissedSettings, MissedStats, Strategy};
pub use plain::{BoundedQueue, BoundedStats, FifoQueue, Letter};
pub use topics::Topics;
pub use work::{
    ATTEMPTS_MAX, InHand, Letter as WorkLetter, Misread, Noted, Status, Untaken, Work, WorkQueue, pause_s,
    read,
};

use router::queue::{Limits, Policies, Policy, Queue};

/// The user of messages that have none. No session can have this name: the names of sessions come from tokens, and
/// those of adapters meet no session.
pub const SYSTEM: &str = "system";

/// A queue for one old queue object: its own policy for every outlet, and limits that never bind before the policy.
fn queue_of<B>(policy: Policy, dead_letters_max: u32) -> Queue<B> {
    let limits = Limits {
        user_messages_max: u32::MAX,
        user_bytes_max: u64::MAX / 4,
        pool_messages_max: u64::MAX / 4,
        pool_bytes_max: u64::MAX / 4,
        dead_letters_max,
        dead_letters_total_max: dead_letters_max.saturating_mul(64).max(1),
        notice_every_us: 0,
        ..Limits::default()
    };
    let policies = Policies {
        worker: policy.clone(),
        connection: policy.clone(),
        user: policy.clone(),
        log: policy,
        breaker: router::queue::BreakerSettings::HANDLER,
    };
    Queue::new(limits, policies)
}

/// Length of a body, bytes.
fn size_of(body: &serde_json::Value) -> u32 {
    u32::try_from(body.to_string().len()).unwrap_or(u32::MAX)
}
