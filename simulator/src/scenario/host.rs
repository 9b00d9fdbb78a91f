//! `[host]`: what the program that the server runs in does by itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::count::Counts;

/// `[host]`: events that come from no agent. In virtual time only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Host {
    /// What the host does for each user while the user is there: an event for the user, for one of the user's connections,
    /// for a topic or for everybody, a subscription or its end. One in ten aims at a connection of somebody else and is
    /// refused. Default 0.
    pub notices: Counts,
}

impl Host {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Host {
    fn default() -> Self {
        Self { notices: Counts::new(0, 0) }
    }
}
