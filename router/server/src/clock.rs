//! What the core must not have: the time, and a name that was never used before.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use router::Instant;

/// The wall clock at start plus a monotonic clock since: never runs backwards.
pub(crate) struct Clock {
    epoch_us: u64,
    start: std::time::Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { epoch_us: since.as_micros() as u64, start: std::time::Instant::now() }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_micros(self.epoch_us + self.start.elapsed().as_micros() as u64)
    }

    pub(crate) fn at(&self, instant: Instant) -> tokio::time::Instant {
        let since = Duration::from_micros(instant.since(Instant::from_micros(self.epoch_us)));
        (self.start + since).into()
    }
}

/// A name that no other start of a router has: drawn from the operating system, used in ids only.
pub(crate) fn fresh_node() -> String {
    let mut rest = RandomState::new().build_hasher().finish();
    let digits = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut name = String::from("n");
    while rest > 0 {
        name.push(char::from(digits[(rest % 36) as usize]));
        rest /= 36;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_name_is_fit_for_ids_and_never_the_same() {
        let (one, two) = (fresh_node(), fresh_node());
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_ne!(one, two);
    }

    #[test]
    fn the_clock_maps_back_onto_itself() {
        let clock = Clock::start();
        let now = clock.now();
        assert!(clock.at(now) <= tokio::time::Instant::now());
        assert!(clock.at(now.after(3_600_000_000)) > tokio::time::Instant::now());
    }
}
