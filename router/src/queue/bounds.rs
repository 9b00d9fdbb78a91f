//! What a queue can come to hold at most.

use alloc::sync::Arc;

use super::{
    DeadLetter, Due, Limits, Priority, Queue,
    lane::{Entry, Lane},
    user::{User, Way},
};
use crate::{contract::Instant, dedupe};

/// Longest user id: 128 characters of four bytes.
const NAME_BYTES: u64 = 128 * 4;
/// A list that grows by doubling and gives room back once three quarters of it are free holds room for so many times
/// what is in it.
const SLACK: u64 = 4;
/// Control bytes and free places of a hash table, as a multiple of what is in it.
const TABLE_SLACK: u64 = 3;

impl Limits {
    /// Messages that wait or are leased at most, over all users: every user's floor, and the pool.
    pub const fn messages_max(&self) -> u64 {
        self.users_max as u64 * self.floor_messages as u64 + self.pool_messages_max
    }

    /// Their bytes at most, as they were offered.
    pub const fn bytes_max(&self) -> u64 {
        self.users_max as u64 * self.floor_bytes + self.pool_bytes_max
    }
}

impl<B> Queue<B> {
    /// Bytes of memory that a queue of these limits takes at most, whatever is offered, with so many outlets per user. What
    /// bodies own elsewhere and the texts of errors come on top: bodies are [`Limits::bytes_max`] at most, as far as those
    /// who offer say their true sizes.
    ///
    /// `users · (user + outlets · outlet) + messages · message + ids · id + letters · letter`. In it, each message has a lane
    /// and a deadline of its own, and each list is as roomy as it may be; messages without an order key take a quarter.
    pub const fn memory_bytes_max(limits: &Limits, outlets: u32) -> u64 {
        let timer = SLACK * (size_of::<(Instant, u64, Due)>() as u64) * 2;
        let in_ring = SLACK * 8;
        let name = TABLE_SLACK * (size_of::<(Arc<str>, u32)>() as u64 + 1) + NAME_BYTES;
        let user = size_of::<User<B>>() as u64 + SLACK * size_of::<usize>() as u64 * 2 + name + timer;
        let lane = size_of::<Option<Lane<B>>>() as u64 + SLACK * size_of::<Entry<B>>() as u64 + timer;
        let outlet = 2 * size_of::<Way<B>>() as u64 + Priority::COUNT as u64 * (lane + in_ring);
        let message = lane + size_of::<Option<Lane<B>>>() as u64;
        let id = SLACK * dedupe::ID_BYTES;
        let letter = SLACK * (size_of::<DeadLetter<B>>() as u64 + 2 * size_of::<(u32, u32, u64)>() as u64);
        limits.users_max as u64 * (user + outlets as u64 * outlet)
            + limits.messages_max() * message
            + limits.dedupe_total_max * id
            + limits.dead_letters_total_max as u64 * letter
    }
}
