//! Recorded questions to the permission layer and to the validator.

use router::{Instant, tools::Level};
use serde_json::{Value, json};

use super::{Done, recorded::seconds};
use crate::{
    conform::{
        Action,
        legacy::{Played, PythonOnly},
        units::tool_dispatcher::{person, policy, without_lists},
    },
    legacy::{
        Hazards,
        tool_dispatcher::{Asked, Permissions, validate},
    },
};

/// The permission layer of a case.
pub(super) struct Desk {
    hazards: Hazards,
    layer: Permissions,
}

impl Desk {
    pub(super) fn new(hazards: Hazards) -> Self {
        Self { hazards, layer: Permissions::new(hazards) }
    }

    pub(super) fn act(&mut self, now: Instant, action: &Action) -> Result<Played, PythonOnly> {
        let tool = action.text("tool_name").unwrap_or_default();
        Ok(match action.op.as_str() {
            "perm_new" => {
                self.layer = Permissions::new(self.hazards);
                let state = json!({"policies": self.layer.tools().collect::<Vec<_>>()});
                Played { state: Some(state), ..Played::default() }
            }
            "perm_add" => {
                self.layer.set_policy(tool, policy(&action.args).map_err(|reason| PythonOnly(reason.0))?);
                Played::default()
            }
            "perm_check" => Played::returned(self.check(now, action)),
            "perm_end" => {
                let user = action.text("user_id").or(action.arg("user")["user_id"].as_str());
                self.layer.end(user.unwrap_or_default(), action.text("execution_id").unwrap_or_default());
                Played::default()
            }
            "perm_metrics" => Played::returned(self.counts()),
            _ => return Err(PythonOnly("an operation that is described nowhere")),
        })
    }

    fn check(&mut self, now: Instant, action: &Action) -> Value {
        let (user, tool) = (action.arg("user"), action.text("tool_name").unwrap_or_default());
        let verdict = self.layer.check(
            now,
            &Asked {
                user: user["user_id"].as_str().unwrap_or_default(),
                person: &person(user),
                tool,
                parameters: action.arg("parameters"),
                execution: action.text("execution_id"),
            },
        );
        let mut seen = json!({
            "allowed": verdict.is_allowed(),
            "result": verdict.result.name(),
            // What was listed there were sets: their order meant nothing, and recordings leave it out.
            "reason": without_lists(&verdict.reason),
            "metadata": {},
            "calls_remaining": verdict.calls_remaining,
            "reset_time": verdict.reset_at.map(seconds),
            "policy_applied": tool,
            "security_level_required": verdict.level_required.map(Level::name),
        });
        if let Some(at) = verdict.reset_at {
            seen["reset_time_rel_s"] = (at.since(now) as f64 / 1e6).into();
        }
        seen
    }

    fn counts(&self) -> Value {
        let counts = self.layer.counts();
        json!({
            "permissions_checked": counts.checked,
            "permissions_granted": counts.granted,
            "permissions_denied": counts.denied,
            "rate_limit_violations": counts.rate_limited,
            "quota_violations": counts.over_quota,
            "policy_violations": counts.violations,
            "last_check_time": counts.last_at.map(seconds),
        })
    }
}

/// What the validator says of a value, or makes of it.
pub(super) fn validate(action: &Action) -> Result<Done, PythonOnly> {
    let value = action.arg("value");
    if action.op == "sanitize" {
        return Ok(Ok(Played::returned(validate::sanitize(value))));
    }
    let found = match action.text("what").unwrap_or_default() {
        "tool_name" => validate::tool_name(value),
        "run_id" => validate::run_id(value),
        "parameters" if has_number_as_key(value) => {
            return Err(PythonOnly("a dictionary with a number as its key has no form in JSON"));
        }
        "parameters" => Ok(validate::parameters(value)),
        _ => Ok(validate::result(value)),
    };
    Ok(found.map(|found| {
        Played::returned(
            json!({"is_valid": found.is_valid(), "errors": found.errors, "warnings": found.warnings}),
        )
    }))
}

fn has_number_as_key(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.keys().any(|key| key.parse::<i64>().is_ok()))
}
