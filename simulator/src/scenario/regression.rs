//! `[regression]`: why a scenario is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[regression]`: a rule that was broken once. The router is quiet in the scenario today; what broke the rule, if it
/// can still be played, breaks it again. It shapes no run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// The rule, such as "iso.I1".
    pub rule: String,
    /// What broke it, as `sim --subject` names it. Default "router": the router of that time.
    #[serde(default = "Regression::default_subject")]
    pub subject: String,
    /// The hazards that were on, as `sim --hazard` names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hazards: Vec<String>,
}

impl Regression {
    fn default_subject() -> String {
        "router".to_owned()
    }
}
