//! The permission layer: a policy engine that no dispatcher ever asked.

use std::collections::{BTreeMap, BTreeSet};

use router::{
    Instant,
    tools::{Level, ParameterRule, Permission, PermissionResult, Person, Policy},
};
use serde_json::Value;

use crate::legacy::{Hazard, Hazards};

/// Sliding windows, in microseconds: a minute, an hour, a day.
const WINDOWS_US: [u64; 3] = [60_000_000, 3_600_000_000, 86_400_000_000];

/// A question to the permission layer.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The user's id.
    pub user: &'a str,
    /// Plan, roles, features, admin flag.
    pub person: &'a Person,
    /// The tool.
    pub tool: &'a str,
    /// Its parameters.
    pub parameters: &'a Value,
    /// The id under which a slot is held.
    pub execution: Option<&'a str>,
}

/// Counts of verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub checked: u64,
    /// Allowed.
    pub granted: u64,
    /// Plan, clearance, feature.
    pub denied: u64,
    /// Windows.
    pub rate_limited: u64,
    /// Slots.
    pub over_quota: u64,
    /// Roles, parameter rules.
    pub violations: u64,
    /// When the last one was said.
    pub last_at: Option<Instant>,
}

/// The permission layer.
#[derive(Debug)]
pub struct Permissions {
    hazards: Hazards,
    policies: BTreeMap<String, Policy>,
    any_tool: Policy,
    /// Times of granted calls, by user and tool.
    calls: BTreeMap<(String, String), Vec<Instant>>,
    /// Slots held: user, tool, execution id.
    running: BTreeSet<(String, String, String)>,
    serial: u64,
    counts: Counts,
}

impl Permissions {
    /// A layer with the policies that every deployment began with.
    pub fn new(hazards: Hazards) -> Self {
        let policies = Policy::defaults().into_iter().map(|(tool, policy)| (tool.to_owned(), policy));
        Self {
            hazards,
            policies: policies.collect(),
            any_tool: Policy::of_any_tool(),
            calls: BTreeMap::new(),
            running: BTreeSet::new(),
            serial: 0,
            counts: Counts::default(),
        }
    }

    /// Sets the policy of a tool.
    pub fn set_policy(&mut self, tool: &str, policy: Policy) {
        self.policies.insert(tool.to_owned(), policy);
    }

    /// Sets the policy of any tool without one of its own.
    pub fn set_any_tool(&mut self, policy: Policy) {
        self.any_tool = policy;
    }

    /// Tools with a policy of their own, in alphabetical order.
    pub fn tools(&self) -> impl Iterator<Item = &str> {
        self.policies.keys().map(String::as_str)
    }

    /// Its counts.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Slots held.
    pub fn slots(&self) -> usize {
        self.running.len()
    }

    /// Checks a call; a grant is recorded and takes its slot.
    pub fn check(&mut self, now: Instant, asked: &Asked<'_>) -> Permission {
        let mut verdict = self.decide(now, asked);
        self.counts.checked += 1;
        self.counts.last_at = Some(now);
        let count = match verdict.result {
            PermissionResult::Allowed => &mut self.counts.granted,
            PermissionResult::InsufficientPlan | PermissionResult::MissingFeature => &mut self.counts.denied,
            PermissionResult::RateLimited => &mut self.counts.rate_limited,
            PermissionResult::QuotaExceeded => &mut self.counts.over_quota,
            PermissionResult::PolicyViolation => &mut self.counts.violations,
        };
        *count += 1;
        if verdict.is_allowed() {
            let key = (asked.user.to_owned(), asked.tool.to_owned());
            self.calls.entry(key).or_default().push(now);
            verdict.holds_slot = self.take_slot(asked);
        }
        verdict
    }

    /// Gives a slot back.
    pub fn end(&mut self, user: &str, execution: &str) {
        self.running.retain(|(owner, _, id)| owner != user || id != execution);
    }

    fn policy(&self, tool: &str) -> &Policy {
        self.policies.get(tool).unwrap_or(&self.any_tool)
    }

    /// A slot is held under the execution's id; where that goes wrong, a call without an id holds none.
    fn take_slot(&mut self, asked: &Asked<'_>) -> bool {
        if self.policy(asked.tool).concurrent_max.is_none() {
            return false;
        }
        let id = match asked.execution {
            Some(id) => id.to_owned(),
            None if self.hazards.has(Hazard::T16) => return false,
            None => {
                self.serial += 1;
                format!("#{}", self.serial)
            }
        };
        self.running.insert((asked.user.to_owned(), asked.tool.to_owned(), id));
        true
    }

    fn decide(&self, now: Instant, asked: &Asked<'_>) -> Permission {
        let policy = self.policy(asked.tool);
        if let Some(refused) = self.standing(policy, asked) {
            return refused;
        }
        let calls_remaining = match self.remaining(policy, now, asked) {
            Ok(remaining) => remaining,
            Err(reset_at) => {
                let reason = "Rate limit exceeded for tool".to_owned();
                return Permission {
                    calls_remaining: Some(0),
                    reset_at: Some(reset_at),
                    ..verdict(PermissionResult::RateLimited, reason)
                };
            }
        };
        if let Some(max) = policy.concurrent_max
            && self.running_of(asked) >= max as usize
        {
            let reason = format!("Concurrent execution limit exceeded ({max})");
            return verdict(PermissionResult::QuotaExceeded, reason);
        }
        if let Err(reason) = follows(&policy.rules, asked.parameters) {
            return verdict(PermissionResult::PolicyViolation, reason);
        }
        let reason = "All permission checks passed".to_owned();
        Permission { calls_remaining, ..verdict(PermissionResult::Allowed, reason) }
    }

    /// Checks 1 to 4: what the user is.
    fn standing(&self, policy: &Policy, asked: &Asked<'_>) -> Option<Permission> {
        let Asked { person, tool, .. } = asked;
        let clearance = self.clearance(person);
        if clearance < policy.level {
            let reason =
                format!("Security level {} required, user has {}", policy.level.name(), clearance.name());
            let refused = verdict(PermissionResult::InsufficientPlan, reason);
            return Some(Permission { level_required: Some(policy.level), ..refused });
        }
        let plan = person.plan.name();
        if !policy.plans.iter().any(|allowed| **allowed == *plan) {
            let reason =
                format!("Plan {plan} not allowed for {tool}. Required: [{}]", policy.plans.join(", "));
            return Some(verdict(PermissionResult::InsufficientPlan, reason));
        }
        let roles = &person.grants.roles;
        if !policy.roles.is_empty() && policy.roles.is_disjoint(roles) {
            let listed = |roles: &BTreeSet<String>| roles.iter().cloned().collect::<Vec<_>>().join(", ");
            let reason = format!(
                "Required roles [{}] not satisfied. User roles: [{}]",
                listed(&policy.roles),
                listed(roles)
            );
            return Some(verdict(PermissionResult::PolicyViolation, reason));
        }
        let missing = policy.features.iter().find(|feature| !person.grants.features.contains(*feature))?;
        let reason = format!("Required feature '{missing}' not enabled for user");
        Some(verdict(PermissionResult::MissingFeature, reason))
    }

    /// The plan's rank; where that goes wrong, two words are looked for in its name.
    fn clearance(&self, person: &Person) -> Level {
        if !self.hazards.has(Hazard::T15) {
            return person.clearance();
        }
        let plan = person.plan.name().to_lowercase();
        if person.grants.admin {
            Level::Admin
        } else if plan.contains("premium") {
            Level::Premium
        } else if plan.contains("basic") {
            Level::Standard
        } else {
            Level::Basic
        }
    }

    /// Calls left in the tightest window, or when the first full one has room again.
    fn remaining(&self, policy: &Policy, now: Instant, asked: &Asked<'_>) -> Result<Option<u32>, Instant> {
        let key = (asked.user.to_owned(), asked.tool.to_owned());
        let calls = self.calls.get(&key).map_or(&[][..], Vec::as_slice);
        let mut tightest: Option<u32> = None;
        for (window, limit) in WINDOWS_US.into_iter().zip([policy.per_min, policy.per_hour, policy.per_day]) {
            let Some(limit) = limit else { continue };
            // A call exactly as old as the window is out of it.
            let within: Vec<Instant> = calls.iter().copied().filter(|at| now.since(*at) < window).collect();
            let left = limit.saturating_sub(u32::try_from(within.len()).unwrap_or(u32::MAX));
            if left == 0 {
                return Err(within.first().copied().unwrap_or(now).after(window));
            }
            tightest = Some(tightest.map_or(left, |least| least.min(left)));
        }
        Ok(tightest)
    }

    /// Calls that count against a tool's limit: its own, or, where that goes wrong, all of the user's.
    fn running_of(&self, asked: &Asked<'_>) -> usize {
        let all_tools = self.hazards.has(Hazard::T16);
        let counts = |(user, tool, _): &&(String, String, String)| {
            user == asked.user && (all_tools || tool == asked.tool)
        };
        self.running.iter().filter(counts).count()
    }
}

fn verdict(result: PermissionResult, reason: String) -> Permission {
    Permission {
        result,
        reason,
        calls_remaining: None,
        reset_at: None,
        level_required: None,
        holds_slot: false,
    }
}

/// Check 7: rules for parameters, when there are any.
fn follows(rules: &[ParameterRule], parameters: &Value) -> Result<(), String> {
    let Some(members) = parameters.as_object().filter(|members| !members.is_empty()) else { return Ok(()) };
    let holds = |rule: &ParameterRule| match rule {
        ParameterRule::Required(key) => members.contains_key(key),
        ParameterRule::Forbidden(key) => !members.contains_key(key),
        ParameterRule::BytesMax(max) => parameters.to_string().len() <= *max as usize,
    };
    if rules.iter().all(holds) { Ok(()) } else { Err("Parameters failed validation rule".to_owned()) }
}
