//! Names of users, threads and messages.

use crate::prng::mix;

/// `user-000123-9f3c`: the index, and digits that no one can guess from it.
pub(super) fn user_id(seed: u64, index: u32) -> String {
    format!("user-{index:06}-{:04x}", mix(mix(seed ^ 0x1d) ^ u64::from(index)) & 0xffff)
}

/// `cny-` and 16 hexadecimal digits. A bijection of the index, so no two users of a seed share one.
pub(super) fn canary(seed: u64, index: u32) -> String {
    format!("cny-{:016x}", mix(mix(seed ^ 0xca) ^ u64::from(index)))
}

/// `thread-000123-1-9f3c`. Threads are told apart over all users: a thread belongs to the user who opened it.
pub(super) fn thread(seed: u64, index: u32, number: u32) -> String {
    let opaque = mix(mix(seed ^ 0x7d) ^ (u64::from(index) << 8 | u64::from(number)));
    format!("thread-{index:06}-{number}-{:04x}", opaque & 0xffff)
}

/// `q0007`.
pub(super) fn question_id(number: u32) -> String {
    format!("q{number:04}")
}

/// `m0007`.
pub(super) fn message_id(number: u32) -> String {
    format!("m{number:04}")
}
