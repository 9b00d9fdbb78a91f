//! The node's clock: what it shows at a time of the world, and when it shows a time.

/// A clock that never runs backwards, as straight pieces.
#[derive(Clone, Debug)]
pub(crate) struct NodeClock {
    /// In order; the first begins at 0.
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    world_us: u64,
    node_us: u64,
    /// Microseconds gained per second.
    gain: u64,
}

impl Default for NodeClock {
    fn default() -> Self {
        Self { pieces: vec![Piece { world_us: 0, node_us: 0, gain: 0 }] }
    }
}

const SECOND_US: u64 = 1_000_000;

impl NodeClock {
    /// What the clock shows at a time of the world, no earlier than the last change.
    pub(crate) fn shows(&self, world_us: u64) -> u64 {
        self.last().shows(world_us)
    }

    /// The earliest time of the world at which the clock shows `node_us` or more.
    pub(crate) fn when(&self, node_us: u64) -> u64 {
        let at = self.pieces.partition_point(|piece| piece.node_us <= node_us).saturating_sub(1);
        let when = self.pieces[at].when(node_us);
        // What the clock skipped, it showed as soon as it had jumped.
        self.pieces.get(at + 1).map_or(when, |next| when.min(next.world_us))
    }

    /// The clock jumps ahead.
    pub(crate) fn jump(&mut self, now_us: u64, by_us: u64) {
        let node_us = self.shows(now_us) + by_us;
        self.pieces.push(Piece { world_us: now_us, node_us, ..self.last() });
    }

    /// From now on the clock gains that many microseconds per second.
    pub(crate) fn drift(&mut self, now_us: u64, gain: u64) {
        self.pieces.push(Piece { world_us: now_us, node_us: self.shows(now_us), gain });
    }

    fn last(&self) -> Piece {
        *self.pieces.last().expect("there is always a piece")
    }
}

impl Piece {
    fn shows(self, world_us: u64) -> u64 {
        let passed = world_us.saturating_sub(self.world_us);
        self.node_us + passed + scaled(passed, self.gain, SECOND_US)
    }

    fn when(self, node_us: u64) -> u64 {
        let wanted = node_us.saturating_sub(self.node_us);
        let guess = self.world_us + scaled(wanted, SECOND_US, SECOND_US + self.gain);
        // Both ways round down: the guess is right or one short.
        guess + u64::from(self.shows(guess) < node_us)
    }
}

/// `value` x `by` / `of`, rounded down.
fn scaled(value: u64, by: u64, of: u64) -> u64 {
    (u128::from(value) * u128::from(by) / u128::from(of)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_true_clock_shows_the_time() {
        let clock = NodeClock::default();
        for at in [0, 1, 999_999_999] {
            assert_eq!((clock.shows(at), clock.when(at)), (at, at));
        }
    }

    #[test]
    fn a_clock_that_jumps_and_drifts_can_be_read_both_ways() {
        let mut clock = NodeClock::default();
        clock.jump(1_000, 500);
        clock.drift(2_000, 250_000);
        assert_eq!((clock.shows(2_000), clock.shows(6_000)), (2_500, 7_500));
        assert_eq!(
            [900, 1_000, 1_200, 1_499, 1_500, 1_600].map(|node| clock.when(node)),
            [900, 1_000, 1_000, 1_000, 1_000, 1_100]
        );
        clock.drift(6_000, 0);
        clock.jump(7_000, 1);
        let mut last = 0;
        for node_us in 2_500..12_000 {
            let when = clock.when(node_us);
            assert!(when >= last, "{node_us}");
            last = when;
        }
        for world_us in 7_000..9_000 {
            assert_eq!(clock.when(clock.shows(world_us)), world_us);
        }
    }

    #[test]
    fn a_deadline_is_reached_when_the_clock_says_so() {
        let mut clock = NodeClock::default();
        clock.drift(0, 50_000);
        for node_us in (0..5_000_000).step_by(997) {
            let when = clock.when(node_us);
            assert!(
                clock.shows(when) >= node_us && (when == 0 || clock.shows(when - 1) < node_us),
                "{node_us}"
            );
        }
    }
}
