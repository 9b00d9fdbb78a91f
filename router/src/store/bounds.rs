//! How much a store keeps, and for how long.

use core::fmt;

/// Bounds of what is kept per user, and the lengths of leases. All nodes of a store have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Events of a user's log; the oldest leave first.
    pub log_events_max: u32,
    /// Bytes of the frames of a user's log; the oldest leave first, and no frame may be longer.
    pub log_bytes_max: u32,
    /// Age of the log's last event at which the whole log is given up.
    pub log_ttl_ms: u64,
    /// Time without any operation of a user after which everything of theirs is given up, cursors included.
    pub user_ttl_ms: u64,
    /// Events that one attach reads.
    pub fetch_events_max: u32,
    /// How long a run is its owner's without a renewal.
    pub lease_ms: u64,
    /// How long a node hears of a user's events without a renewal.
    pub attach_ms: u64,
    /// How long a node counts as alive without a heartbeat.
    pub alive_ms: u64,
    /// Open runs of a user.
    pub runs_max: u32,
    /// Bytes of the notes of a user's open runs, at admission.
    pub notes_bytes_max: u32,
    /// Rows of ended runs of a user, and of frames of no run.
    pub ended_runs_max: u32,
    /// How long such a row is kept.
    pub ended_ttl_ms: u64,
    /// Message ids of a user in the window.
    pub dedupe_ids_max: u32,
    /// How long an id is in the window.
    pub dedupe_ttl_ms: u64,
    /// Entries of one page of hints, and of one list of dead nodes.
    pub page_max: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            log_events_max: 200,
            log_bytes_max: 1 << 20,
            log_ttl_ms: 600_000,
            user_ttl_ms: 86_400_000,
            fetch_events_max: 64,
            lease_ms: 6_000,
            attach_ms: 10_000,
            alive_ms: 6_000,
            runs_max: 16,
            notes_bytes_max: 256 << 10,
            ended_runs_max: 32,
            ended_ttl_ms: 600_000,
            dedupe_ids_max: 1_000,
            dedupe_ttl_ms: 600_000,
            page_max: 100,
        }
    }
}

/// The bounds contradict each other, or one of them makes no sense: which, and what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundsError {
    /// The name of the bound.
    pub bound: &'static str,
    /// What was expected.
    pub expected: &'static str,
}

impl fmt::Display for BoundsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}", self.bound, self.expected)
    }
}

impl core::error::Error for BoundsError {}

/// A hundred years: the sum of two such times is still exact in any store's numbers.
const MS_MAX: u64 = 100 * 366 * 86_400_000;

impl Bounds {
    /// Checks them.
    ///
    /// # Errors
    /// The first that makes no sense.
    // Not where it is called: see what the server's scripts say of that.
    #[inline(never)]
    pub fn check(&self) -> Result<(), BoundsError> {
        let counts = [
            ("log_events_max", self.log_events_max),
            ("log_bytes_max", self.log_bytes_max),
            ("fetch_events_max", self.fetch_events_max),
            ("runs_max", self.runs_max),
            ("notes_bytes_max", self.notes_bytes_max),
            ("ended_runs_max", self.ended_runs_max),
            ("page_max", self.page_max),
        ];
        if let Some((bound, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(BoundsError { bound, expected: "at least 1" });
        }
        let times = [
            ("log_ttl_ms", self.log_ttl_ms),
            ("user_ttl_ms", self.user_ttl_ms),
            ("lease_ms", self.lease_ms),
            ("attach_ms", self.attach_ms),
            ("alive_ms", self.alive_ms),
            ("ended_ttl_ms", self.ended_ttl_ms),
            ("dedupe_ttl_ms", self.dedupe_ttl_ms),
        ];
        for (bound, ms) in times {
            if ms == 0 || ms > MS_MAX {
                return Err(BoundsError { bound, expected: "1 ms to a hundred years" });
            }
            if ms > self.user_ttl_ms {
                return Err(BoundsError { bound, expected: "at most user_ttl_ms" });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense_and_what_does_not_is_named() {
        assert_eq!(Bounds::default().check(), Ok(()));
        let none = Bounds { page_max: 0, ..Bounds::default() };
        assert_eq!(none.check().map_err(|error| error.bound), Err("page_max"));
        let long = Bounds { lease_ms: 86_400_001, ..Bounds::default() };
        assert_eq!(long.check().map_err(|error| error.expected), Err("at most user_ttl_ms"));
    }
}
