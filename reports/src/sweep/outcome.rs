//! What one seed was, and sums over seeds.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{collections::BTreeMap, fmt};

use crate::Finding;

/// What one seed was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeedOutcome {
    /// Which.
    pub seed: u64,
    /// The rolling hash of its run.
    pub hash: u128,
    /// Virtual time until its last input, microseconds.
    pub virtual_us: u64,
    /// Of that, until its last user left.
    pub active_us: u64,
    /// Inputs of the router.
    pub inputs: u64,
    /// Messages that clients sent.
    pub received: u64,
    /// Frames that clients received.
    pub delivered: u64,
    /// Users.
    pub users: u64,
    /// Messages that asked for a run.
    pub runs: u64,
    /// Findings of each rule.
    pub by_rule: BTreeMap<String, u64>,
    /// The first finding of each rule.
    pub findings: Vec<Finding>,
}

impl SeedOutcome {
    /// A seed that ended in a panic: a finding, and nothing else is known of it.
    pub fn panicked(seed: u64, what: &str) -> Self {
        let finding = Finding::new("panic", "world", 0, what);
        Self {
            seed,
            by_rule: BTreeMap::from([(finding.rule.clone(), 1)]),
            findings: vec![finding],
            ..Self::default()
        }
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            seeds: 1,
            failing: u64::from(!self.by_rule.is_empty()),
            virtual_us: self.virtual_us,
            active_us: self.active_us,
            inputs: self.inputs,
            received: self.received,
            delivered: self.delivered,
            users: self.users,
            runs: self.runs,
            hash: SeedHash(scatter(u128::from(self.seed), self.hash)),
        }
    }

    pub(super) fn failing(&self, finding: &Finding) -> Failing {
        Failing {
            seed: self.seed,
            inputs: self.inputs,
            virtual_us: self.virtual_us,
            finding: finding.clone(),
        }
    }
}

/// Sums over seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Seeds.
    pub seeds: u64,
    /// Seeds with a finding.
    pub failing: u64,
    /// Virtual time, microseconds.
    pub virtual_us: u64,
    /// Of that, until the last user of each seed left: what comes after is windows that pass.
    pub active_us: u64,
    /// Inputs of the router.
    pub inputs: u64,
    /// Messages that clients sent.
    pub received: u64,
    /// Frames that clients received.
    pub delivered: u64,
    /// Users.
    pub users: u64,
    /// Messages that asked for a run.
    pub runs: u64,
    /// Over the hashes of all seeds, whatever their order. Equal hashes mean equal sweeps.
    pub hash: SeedHash,
}

impl Totals {
    /// Named one by one without a rest, so that a new sum cannot be left out.
    pub(super) fn add(&mut self, other: &Self) {
        let Self { seeds, failing, virtual_us, active_us, inputs, received, delivered, users, runs, hash } =
            *other;
        self.seeds += seeds;
        self.failing += failing;
        self.virtual_us += virtual_us;
        self.active_us += active_us;
        self.inputs += inputs;
        self.received += received;
        self.delivered += delivered;
        self.users += users;
        self.runs += runs;
        self.hash = SeedHash(self.hash.0.wrapping_add(hash.0));
    }
}

/// A sum of scattered hashes modulo 2^128: a sum has no order. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeedHash(pub u128);

impl fmt::Display for SeedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for SeedHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SeedHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = (text.len() == 32).then(|| u128::from_str_radix(&text, 16).ok()).flatten();
        number.map(Self).ok_or_else(|| serde::de::Error::custom("expected a hash of 32 hexadecimal digits"))
    }
}

/// A seed that broke a rule, and how it did so first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Which.
    pub seed: u64,
    /// Inputs of its run.
    pub inputs: u64,
    /// Virtual time of its run, microseconds.
    pub virtual_us: u64,
    /// The first finding of the rule.
    pub finding: Finding,
}

impl Failing {
    /// The order in which failing seeds are worth a look: by measures of the run, never by the clock on the wall.
    pub(super) fn rank(&self) -> (u64, u64, u64) {
        (self.inputs, self.virtual_us, self.seed)
    }
}

/// Spreads seed and hash over 128 bits, so that a sum of such words tells one set of pairs from another.
fn scatter(seed: u128, hash: u128) -> u128 {
    const K: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let mut word = hash ^ seed.wrapping_mul(K);
    for _ in 0..2 {
        word = (word ^ (word >> 67)).wrapping_mul(K);
    }
    word ^ (word >> 64)
}
