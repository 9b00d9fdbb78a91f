//! Recorded questions to the permission layer and to the validator.

use std::collections::BTreeMap;

use router::{
    Instant, UserId,
    tools::{Grants, Level, Permission, PermissionResult, Permissions, Person, Plan, Policy, validate},
};
use serde_json::{Map, Value, json};

use super::{decisions, encode::without_lists};
use crate::conform::{Action, Difference, Expect, Inexpressible, Notes, Translation, compare, stage::START};

/// The permission layer under a clock set by hand.
pub(super) struct Desk {
    layer: Permissions,
    now: Instant,
    /// Slots held, by the recording's execution ids.
    held: BTreeMap<String, (UserId, String)>,
    /// What was asked last, and what was said.
    last: Option<(UserId, Person, String, Permission)>,
    /// Verdicts by kind, counted from what was said.
    said: BTreeMap<PermissionResult, u64>,
    /// A verdict was another because plans are ordered.
    plans_ordered: bool,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            layer: Permissions::default(),
            now: START,
            held: BTreeMap::new(),
            last: None,
            said: BTreeMap::new(),
            plans_ordered: false,
        }
    }
}

impl Desk {
    pub(super) fn advance(&mut self, seconds: f64) {
        self.now = self.now.after((seconds * 1e6) as u64);
    }

    /// Does one operation; answers what it returned.
    pub(super) fn act(&mut self, action: &Action) -> Result<Value, Inexpressible> {
        match action.op.as_str() {
            "perm_new" => {
                *self = Self { now: self.now, ..Self::default() };
                Ok(Value::Null)
            }
            "perm_add" => {
                self.layer.set_policy(action.text("tool_name").unwrap_or_default(), policy(&action.args)?);
                Ok(Value::Null)
            }
            "perm_check" => Ok(self.check(action)),
            "perm_end" => {
                let id = action.text("execution_id").unwrap_or_default();
                if let Some((user, tool)) = self.held.remove(id) {
                    self.layer.release(&user, &tool);
                }
                Ok(Value::Null)
            }
            "perm_metrics" => Ok(metrics(&self.layer)),
            _ => Err(Inexpressible("no such operation")),
        }
    }

    pub(super) fn policies(&self) -> Vec<&str> {
        self.layer.tools().collect()
    }

    fn check(&mut self, action: &Action) -> Value {
        let asked = action.arg("user");
        let user: UserId = asked["user_id"].as_str().unwrap_or_default().into();
        let tool = action.text("tool_name").unwrap_or_default();
        let person = person(asked);
        let given = action.arg("parameters");
        let parameters = if given.is_null() { "{}".to_owned() } else { given.to_string() };
        let verdict = self.layer.check(self.now, &user, &person, tool, &parameters);
        *self.said.entry(verdict.result).or_default() += 1;
        if verdict.holds_slot
            && let Some(id) = action.text("execution_id")
        {
            self.held.insert(id.to_owned(), (user.clone(), tool.to_owned()));
        }
        let seen = self.shown(tool, &verdict);
        self.last = Some((user, person, tool.to_owned(), verdict));
        seen
    }

    fn shown(&self, tool: &str, verdict: &Permission) -> Value {
        let mut seen = json!({
            "allowed": verdict.is_allowed(),
            "result": verdict.result.name(),
            "reason": without_lists(&verdict.reason),
            "metadata": {},
            "calls_remaining": verdict.calls_remaining,
            "reset_time": verdict.reset_at.map(|at| at.as_micros() as f64 / 1e6),
            "policy_applied": tool,
            "security_level_required": verdict.level_required.map(Level::name),
        });
        if let Some(at) = verdict.reset_at {
            seen["reset_time_rel_s"] = (at.since(self.now) as f64 / 1e6).into();
        }
        seen
    }

    /// Compares a verdict. Where the recording took `enterprise` for the lowest plan, the verdict must be that of a
    /// plan above `premium`.
    pub(super) fn compare_check(
        &mut self,
        expect: &Expect,
        seen: &Value,
        notes: &mut Notes,
    ) -> Vec<Difference> {
        let mut out = Vec::new();
        compare::values("returns", &expect.returns, seen, &[], notes, &mut out);
        let Some((_, person, tool, verdict)) = &self.last else { return out };
        let recorded = &expect.returns;
        let (was, is) = (recorded["result"].as_str().unwrap_or_default(), verdict.result.name());
        if (was == "quota_exceeded") != (is == "quota_exceeded") {
            notes.cured("T16");
        }
        let enterprise = person.plan.name() == "enterprise" && !person.grants.admin;
        let basic = recorded["reason"].as_str().is_some_and(|reason| reason.ends_with("user has BASIC"));
        if enterprise && basic {
            let needed = self.layer.policy(tool).level;
            let demanded = if needed <= Level::Premium {
                verdict.result != PermissionResult::InsufficientPlan
            } else {
                verdict.reason == format!("Security level {} required, user has PREMIUM", needed.name())
            };
            if demanded {
                notes.decided(decisions::PLANS);
                notes.cured("T15");
                self.plans_ordered = true;
                out.clear();
            } else {
                out.push(Difference::new(
                    "returns.reason",
                    decisions::PLANS.demands,
                    verdict.reason.as_str(),
                ));
            }
        }
        out
    }

    /// Compares the counts. After such a verdict they must be those of the verdicts said.
    pub(super) fn compare_metrics(
        &self,
        expect: &Expect,
        seen: &Value,
        notes: &mut Notes,
    ) -> Vec<Difference> {
        let mut out = Vec::new();
        compare::values("returns", &expect.returns, seen, &[], notes, &mut out);
        let count = |result| self.said.get(&result).copied().unwrap_or_default();
        let own = self.layer.counts();
        let adds_up = own.granted == count(PermissionResult::Allowed)
            && own.denied
                == count(PermissionResult::InsufficientPlan) + count(PermissionResult::MissingFeature)
            && own.violations == count(PermissionResult::PolicyViolation)
            && own.rate_limited == count(PermissionResult::RateLimited)
            && own.over_quota == count(PermissionResult::QuotaExceeded);
        if !out.is_empty() && self.plans_ordered && adds_up {
            notes.decided(decisions::PLANS);
            out.clear();
        }
        out
    }
}

fn metrics(layer: &Permissions) -> Value {
    let counts = layer.counts();
    json!({
        "permissions_checked": counts.checked,
        "permissions_granted": counts.granted,
        "permissions_denied": counts.denied,
        "rate_limit_violations": counts.rate_limited,
        "quota_violations": counts.over_quota,
        "policy_violations": counts.violations,
        "last_check_time": layer.audit().last().map(|line| line.at.as_micros() as f64 / 1e6),
    })
}

pub(in crate::conform) fn person(user: &Value) -> Person {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let features = user["features"].as_object().into_iter().flatten();
    Person {
        plan: Plan::named(user["plan"].as_str().unwrap_or("free")),
        grants: Grants {
            roles: texts(&user["roles"]).into_iter().collect(),
            features: features.filter(|(_, on)| is_on(on)).map(|(name, _)| name.clone()).collect(),
            admin: user["is_admin"] == true,
        },
    }
}

/// Whether a recorded feature counts as on: anything but null, false, zero and the empty text.
fn is_on(value: &Value) -> bool {
    !value.is_null() && *value != false && *value != 0 && *value != ""
}

/// A policy as a recording states it: of level BASIC, for all plans, without limits, unless it says otherwise.
pub(in crate::conform) fn policy(args: &Map<String, Value>) -> Result<Policy, Inexpressible> {
    let mut policy = Policy::open(Level::Basic);
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    for (key, value) in args {
        match key.as_str() {
            "tool_name" => {}
            "security_level" => {
                let level = value.as_str().and_then(Level::from_name);
                policy.level = level.ok_or(Inexpressible("a level that nobody knows"))?;
            }
            "allowed_plans" => policy.plans = texts(value).into_iter().map(String::into_boxed_str).collect(),
            "required_roles" => policy.roles = texts(value).into_iter().collect(),
            "required_features" => policy.features = texts(value).into_iter().collect(),
            "max_calls_per_minute" => policy.per_min = number(value),
            "max_calls_per_hour" => policy.per_hour = number(value),
            "max_calls_per_day" => policy.per_day = number(value),
            "max_concurrent" | "max_concurrent_executions" => policy.concurrent_max = number(value),
            _ => return Err(Inexpressible("a rule that is code of the old runtime")),
        }
    }
    Ok(policy)
}

/// What the validator says of a value.
pub(super) fn validated(action: &Action) -> Result<Value, Inexpressible> {
    let value = action.arg("value");
    let found = match action.text("what").unwrap_or_default() {
        "tool_name" => validate::tool_name(value),
        "run_id" => validate::run_id(value),
        "parameters" => validate::parameters(&value.to_string()),
        "tool_result" => validate::result(&value.to_string()),
        _ => return Err(Inexpressible("no such rule")),
    };
    Ok(json!({"is_valid": found.is_valid(), "errors": found.errors, "warnings": found.warnings}))
}

/// Compares a finding of the validator. Where the old one raised an error of its runtime, ours must refuse the value;
/// a key that is a number cannot come out of JSON, so there ours must find nothing.
pub(super) fn compare_validation(
    action: &Action,
    expect: &Expect,
    seen: &Value,
    notes: &mut Notes,
) -> Vec<Difference> {
    let mut out = Vec::new();
    if let Some(raised) = &expect.raises {
        let number_key = action
            .arg("value")
            .as_object()
            .is_some_and(|members| members.keys().any(|key| key.parse::<i64>().is_ok()));
        if raised == "AttributeError" && number_key {
            compare::values(
                "returns",
                &json!({"is_valid": true, "errors": []}),
                seen,
                &["warnings"],
                notes,
                &mut out,
            );
            if out.is_empty() {
                notes.decided(decisions::JSON_KEYS);
            }
        } else if seen["is_valid"] == false {
            notes.translated(Translation::N5);
        } else {
            out.push(Difference::new("returns", raised.as_str(), seen.clone()));
        }
        return out;
    }
    let mut recorded = expect.returns.clone();
    let codes = |warnings: &Value| -> Vec<&'static str> {
        warnings.as_array().into_iter().flatten().filter_map(Value::as_str).map(warning_code).collect()
    };
    if recorded["warnings"] != seen["warnings"] && codes(&recorded["warnings"]) == codes(&seen["warnings"]) {
        notes.translated(Translation::N5);
        recorded["warnings"] = seen["warnings"].clone();
    }
    compare::values("returns", &recorded, seen, &[], notes, &mut out);
    out
}

/// What a note of the validator is about.
fn warning_code(text: &str) -> &'static str {
    let lower = text.to_lowercase();
    if lower.contains("sensitive") {
        "sensitive"
    } else if lower.contains("none") {
        "null"
    } else if lower.contains("error") {
        "error"
    } else {
        "other"
    }
}
