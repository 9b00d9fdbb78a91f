//! `[network]` and `[slow_reader]`: delay, disconnects, and clients that stop reading.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::count::Counts;
use super::share::Share;
use super::time::{Micros, MicrosRange};

/// `[network]`: the way between client and router. In real time the sockets have their own latency; the rest
/// holds there too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// One-way delay, drawn per frame; a connection stays first in, first out. Default "1ms..20ms"
    /// (assumption). At most 5 s.
    pub latency: MicrosRange,
    /// Share of runs in whose middle the sending tab loses its connection. Default 0.02 (assumption).
    pub disconnect_share: Share,
    /// How a client tries again.
    pub reconnect: Reconnect,
    /// How long the network stays away after a disconnect; attempts before its end fail. Default "500ms..5s".
    pub reconnect_outage: MicrosRange,
    /// Whether clients resume with the cursor of the last frame they saw. Default true.
    pub cursor: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            latency: MicrosRange::new(1_000, 20_000),
            disconnect_share: Share::new(0.02),
            reconnect: Reconnect::default(),
            reconnect_outage: MicrosRange::new(500_000, 5_000_000),
            cursor: true,
        }
    }
}

/// Waiting times of a reconnecting client: base x factor^n, capped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reconnect {
    /// Wait before the first attempt. Default "1s".
    pub base: Micros,
    /// Growth per attempt, 1 to 10. Default 2.
    #[serde(deserialize_with = "super::share::factor")]
    #[schemars(range(min = 1, max = 10))]
    pub factor: u32,
    /// Longest wait. Default "30s".
    pub cap: Micros,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self { base: Micros::from_ms(1_000), factor: 2, cap: Micros::from_ms(30_000) }
    }
}

impl Reconnect {
    /// The wait before an attempt after that many failed ones, microseconds.
    pub fn wait_us(self, failed: u32) -> u64 {
        let grown = u64::from(self.factor).saturating_pow(failed).saturating_mul(self.base.us().max(1_000));
        grown.min(self.cap.us().max(1_000))
    }

    /// Time from the disconnect to the first attempt at or after the end of an outage, both in microseconds.
    pub fn first_success_us(self, outage_us: u64) -> u64 {
        let mut wait = self.base.us().clamp(1_000, self.cap.us().max(1_000));
        let mut elapsed = wait;
        while elapsed < outage_us {
            wait = wait.saturating_mul(u64::from(self.factor)).min(self.cap.us().max(1_000));
            elapsed += wait;
        }
        elapsed
    }
}

/// `[slow_reader]`: users one of whose tabs stops reading for a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlowReader {
    /// Share of users. Default 0.
    pub share: Share,
    /// How long the tab does not read. Default "5s", below the router's patience of 10 s.
    pub stall: MicrosRange,
    /// Stalls per such user. Default 1.
    pub stalls: Counts,
}

impl Default for SlowReader {
    fn default() -> Self {
        Self {
            share: Share::new(0.0),
            stall: MicrosRange::new(5_000_000, 5_000_000),
            stalls: Counts::new(1, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_double_until_the_outage_is_over() {
        let reconnect = Reconnect::default();
        let s = 1_000_000;
        assert_eq!(
            [0, s, s + 1, 3 * s, 4 * s].map(|outage| reconnect.first_success_us(outage) / s),
            [1, 1, 3, 3, 7]
        );
        assert_eq!(reconnect.first_success_us(80 * s) / s, 91, "1 + 2 + 4 + 8 + 16 + 30 + 30");
    }

    #[test]
    fn waits_grow_to_the_cap() {
        let reconnect = Reconnect::default();
        assert_eq!([0, 1, 4, 5, 99].map(|failed| reconnect.wait_us(failed) / 1_000_000), [1, 2, 16, 30, 30]);
    }

    #[test]
    fn a_zero_base_still_ends() {
        let reconnect = Reconnect { base: Micros::new(0), factor: 1, cap: Micros::new(0) };
        assert_eq!(reconnect.first_success_us(2_500), 3_000);
    }
}
