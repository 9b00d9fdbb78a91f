//! `[users]`: how many, with how many tabs, of which tier, arriving when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::count::{CountWeights, Counts};
use super::share::Weight;
use super::time::Micros;
use crate::prng::Prng;

/// `[users]`: how many users, and who they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Users {
    /// Number of users, 1 to 1,000,000. Default 2000. User 7 is the same user whatever the count.
    #[serde(deserialize_with = "super::share::users")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub count: u32,
    /// Weights of the number of tabs (connections) per user. Default { 1 = 80, 2 = 15, 3 = 5 } (assumption;
    /// legacy cap 3).
    pub tabs: CountWeights,
    /// Weights of the users' tiers. Default free 70, early 15, mid 10, enterprise 5 (assumption).
    pub tier: TierWeights,
    /// When users arrive.
    pub arrival: Arrival,
}

impl Default for Users {
    fn default() -> Self {
        let only = |count| Counts::new(count, count);
        Self {
            count: 2_000,
            tabs: CountWeights::new(&[(only(1), 80), (only(2), 15), (only(3), 5)]),
            tier: TierWeights::default(),
            arrival: Arrival::default(),
        }
    }
}

/// The plan a user pays for, as it appears in `metadata.user_tier` of the run events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// `free`
    Free,
    /// `early`
    Early,
    /// `mid`
    Mid,
    /// `enterprise`, which alone has the priority queue.
    Enterprise,
}

impl Tier {
    /// All of them, in the order of the enum.
    pub const ALL: [Tier; 4] = [Self::Free, Self::Early, Self::Mid, Self::Enterprise];

    /// The name on the wire.
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Early => "early",
            Self::Mid => "mid",
            Self::Enterprise => "enterprise",
        }
    }
}

/// Weights of the tiers; a tier that is not named does not occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierWeights {
    /// Weight of `free`.
    #[serde(default)]
    pub free: Weight,
    /// Weight of `early`.
    #[serde(default)]
    pub early: Weight,
    /// Weight of `mid`.
    #[serde(default)]
    pub mid: Weight,
    /// Weight of `enterprise`.
    #[serde(default)]
    pub enterprise: Weight,
}

impl Default for TierWeights {
    fn default() -> Self {
        let [free, early, mid, enterprise] = [70, 15, 10, 5].map(Weight::new);
        Self { free, early, mid, enterprise }
    }
}

impl TierWeights {
    /// Draws one.
    pub fn draw(self, prng: &mut Prng) -> Tier {
        Tier::ALL[prng.weighted(&self.weights())]
    }

    pub(super) fn weights(self) -> [u32; 4] {
        [self.free, self.early, self.mid, self.enterprise].map(Weight::get)
    }
}

/// When users arrive: over a window, in one of three ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Arrival {
    /// Length of the window in which all users connect. Default "60s".
    pub over: Micros,
    /// How arrivals lie in the window. Default "uniform".
    pub distribution: Distribution,
}

impl Default for Arrival {
    fn default() -> Self {
        Self { over: Micros::from_ms(60_000), distribution: Distribution::Uniform }
    }
}

impl Arrival {
    /// Arrival time of a user in microseconds from the start; independent of the number of users.
    pub fn at_us(self, user: u32, prng: &mut Prng) -> u64 {
        let drawn = prng.next_u64();
        let fraction = match self.distribution {
            // Multiples of the golden ratio modulo 1: evenly spread for any number of users.
            Distribution::Uniform => u64::from(user).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            Distribution::Poisson => drawn,
            Distribution::AtOnce => 0,
        };
        ((u128::from(fraction) * u128::from(self.over.us())) >> 64) as u64
    }
}

/// How arrivals lie in their window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Evenly spread.
    Uniform,
    /// Independent uniform times: a Poisson process, given its number of arrivals.
    Poisson,
    /// Everybody at time 0.
    AtOnce,
}
