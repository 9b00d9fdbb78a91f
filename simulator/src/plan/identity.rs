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

/// The index in a user id, which may be none of ours all the same.
pub(super) fn claimed_index(user_id: &str) -> Option<u32> {
    user_id.strip_prefix("user-")?.split('-').next()?.parse().ok()
}

/// The number in a message id.
pub(super) fn message_number(message_id: &str) -> Option<usize> {
    let digits = message_id.strip_prefix('m')?;
    let plain = digits.len() == 4 || (digits.len() > 4 && !digits.starts_with('0'));
    if plain && digits.bytes().all(|digit| digit.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_back_and_nothing_else_is() {
        for number in [0, 7, 1_234, 9_999, 12_345] {
            assert_eq!(message_number(&message_id(number)), Some(number as usize));
            assert_eq!(claimed_index(&user_id(3, number)), Some(number));
        }
        for other in ["", "m", "m1", "m00012", "m+123", "q0001", "m0001x"] {
            assert_eq!(message_number(other), None, "{other}");
        }
    }
}
