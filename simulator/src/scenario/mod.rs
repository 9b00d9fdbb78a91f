//! Scenario files: strict TOML whose defaults are the workload model.
//!
//! A file begins with `schema = 1`, `name` and `about`; every section and every key in it is optional.
//! Durations and sizes are text with a unit and are stored as integer microseconds and bytes. An unknown key,
//! a wrong unit or a value out of range is a [`ScenarioError`] with file, line, column, key and what is
//! allowed.
//!
//! Sources named in the defaults: *measured* on the fixtures of the legacy tests, stated by *legacy tests*,
//! or an *assumption*.

mod act;
mod agent;
mod count;
mod embedded;
mod error;
mod fault;
mod host;
mod journey;
mod limits;
mod network;
mod regression;
mod render;
pub(crate) mod rules;
mod service;
mod session;
mod share;
mod size;
mod text_value;
mod time;
mod users;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use act::{Act, AgentStep, BadFrame, Deed, StepKind};
pub use agent::{Agent, Tool, estimate_for};
pub use count::{CountWeights, Counts};
pub use embedded::embedded;
pub use error::ScenarioError;
pub use fault::{Fault, FaultKind, UserRange, Way, healed_at};
pub use host::Host;
pub use journey::{Journey, JourneyStep, Milestone};
pub use limits::{Expect, Limits, router_defaults};
pub use network::{Network, Reconnect, SlowReader};
pub use regression::Regression;
pub use service::{Nanos, Service};
pub use session::{Mix, Session};
pub use share::{Share, Weight};
pub use size::{Size, SizeRange, TextBytes};
pub use time::{LogNormalPause, Micros, MicrosRange, Pause};
pub use users::{Arrival, Distribution, Tier, TierWeights, Users};

/// A scenario: who the users are, what they do, what the agents do, what the network does, and what must
/// hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Version of this format: 1.
    #[serde(deserialize_with = "share::schema_version")]
    #[schemars(range(min = 1, max = 1))]
    pub schema: u32,
    /// Short name, that of the file without its ending.
    pub name: String,
    /// What the scenario is for, in a sentence or two.
    pub about: String,
    /// Seed of every random stream, unless the command line gives another. Default 1.
    #[serde(default = "Scenario::default_seed")]
    pub seed: u64,
    /// The users.
    #[serde(default)]
    pub users: Users,
    /// What each of them does.
    #[serde(default)]
    pub session: Session,
    /// What a run looks like.
    #[serde(default)]
    pub agent: Agent,
    /// What the server's host does by itself.
    #[serde(default, skip_serializing_if = "Host::is_default")]
    pub host: Host,
    /// The way between client and router.
    #[serde(default)]
    pub network: Network,
    /// Clients that stop reading for a time.
    #[serde(default)]
    pub slow_reader: SlowReader,
    /// What goes wrong, as ordered rules.
    #[serde(default, rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// What every user does, written out. Without any, a plan is drawn from the sections and the seed; with some, the
    /// sections that a plan is drawn from say nothing.
    #[serde(default, rename = "act", skip_serializing_if = "Vec::is_empty")]
    pub acts: Vec<Act>,
    /// How long the node takes for what it does; absent, it takes no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// Overrides of the router's limits.
    #[serde(default)]
    pub limits: Limits,
    /// What must hold.
    #[serde(default)]
    pub expect: Expect,
    /// Why the scenario is kept, if it once broke a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regression: Option<Regression>,
}

impl Scenario {
    /// Reads a scenario from its text. `name` is what errors call the text, usually its path.
    ///
    /// # Errors
    /// The first mistake in the text.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self =
            toml::from_str(text).map_err(|error| ScenarioError::from_toml(name, text, &error))?;
        match rules::first_broken(&scenario) {
            Some(rules::Broken { key, message, help }) => {
                Err(ScenarioError::about(name, text, &key, message, help))
            }
            None => Ok(scenario),
        }
    }

    /// 128 bits, as 32 hexadecimal digits, over everything that shapes a run: not name, about, seed, regression,
    /// comments, order of keys, or whether a default is written out.
    pub fn hash(&self) -> String {
        let shape =
            Self { name: String::new(), about: String::new(), seed: 0, regression: None, ..self.clone() };
        let canonical = serde_json::to_vec(&shape).unwrap_or_default();
        hash_of(&canonical)
    }

    const fn default_seed() -> u64 {
        1
    }
}

impl Default for Scenario {
    /// The workload model.
    fn default() -> Self {
        Self {
            schema: 1,
            name: "default".to_owned(),
            about: "the workload model".to_owned(),
            seed: Self::default_seed(),
            users: Users::default(),
            session: Session::default(),
            agent: Agent::default(),
            host: Host::default(),
            network: Network::default(),
            slow_reader: SlowReader::default(),
            faults: Vec::new(),
            acts: Vec::new(),
            service: None,
            limits: Limits::default(),
            expect: Expect::default(),
            regression: None,
        }
    }
}

/// The JSON schema of scenario files, for editors.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Scenario).to_value()
}

/// 128 bits over bytes, as 32 hexadecimal digits.
pub(crate) fn hash_of(bytes: &[u8]) -> String {
    format!("{:032x}", fnv_1a_128(bytes))
}

fn fnv_1a_128(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, &byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests;
