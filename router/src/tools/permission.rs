//! The permission layer: a fixed row of checks, sliding windows, slots, an audit log.
//!
//! Checks come in this order, and the first that fails decides: clearance, plan, roles, features, rate, slots,
//! parameters. Nothing is recorded for a refused call but its line in the audit log.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet, VecDeque},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};

use super::{
    policy::{Level, ParameterRule, Person, Policy},
    text::Members,
};
use crate::{
    contract::{Instant, UserId},
    fingerprint::Walk,
};

/// One second in microseconds.
const SECOND: u64 = 1_000_000;
/// The three windows, in microseconds.
const WINDOWS_US: [u64; 3] = [60 * SECOND, 3_600 * SECOND, 86_400 * SECOND];
/// Lines of the audit log; one more, and it is cut to [`AUDIT_KEPT`].
const AUDIT_MAX: usize = 10_000;
/// Newest lines that a cut keeps.
const AUDIT_KEPT: usize = 5_000;
/// Pairs of user and tool whose calls are remembered. When they are so many, those with the oldest calls are forgotten;
/// a new pair is refused only while all of them have calls in flight.
const PAIRS_MAX: usize = 100_000;
/// Pairs forgotten at once when there is no room left: one walk makes room for many.
const PAIRS_DROPPED: usize = PAIRS_MAX / 8;
/// Pairs below which nobody looks for expired ones.
const SWEEP_MIN: usize = 1_024;

/// What the checks said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PermissionResult {
    /// Go ahead.
    Allowed,
    /// The clearance or the plan is not enough.
    InsufficientPlan,
    /// A role is missing, or a parameter rule is broken.
    PolicyViolation,
    /// A feature is off.
    MissingFeature,
    /// Too many calls within a window.
    RateLimited,
    /// Too many calls in flight.
    QuotaExceeded,
}

impl PermissionResult {
    /// The name in texts and reports.
    pub const fn name(self) -> &'static str {
        match self {
            PermissionResult::Allowed => "allowed",
            PermissionResult::InsufficientPlan => "insufficient_plan",
            PermissionResult::PolicyViolation => "policy_violation",
            PermissionResult::MissingFeature => "missing_feature",
            PermissionResult::RateLimited => "rate_limited",
            PermissionResult::QuotaExceeded => "quota_exceeded",
        }
    }
}

/// The verdict on one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Allowed, or the check that failed.
    pub result: PermissionResult,
    /// Why, for the agent.
    pub reason: String,
    /// Calls left in the tightest window before this one; `None` without a window.
    pub calls_remaining: Option<u32>,
    /// When a call that came too soon would be let through.
    pub reset_at: Option<Instant>,
    /// The level that was missing.
    pub level_required: Option<Level>,
    /// The grant holds a slot, to be given back by [`Permissions::release`].
    pub holds_slot: bool,
}

impl Permission {
    fn refused(result: PermissionResult, reason: String) -> Self {
        Self {
            result,
            reason,
            calls_remaining: None,
            reset_at: None,
            level_required: None,
            holds_slot: false,
        }
    }

    /// Whether the call may go ahead.
    pub fn is_allowed(&self) -> bool {
        self.result == PermissionResult::Allowed
    }
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionRecord {
    /// When.
    pub at: Instant,
    /// Whose call.
    pub user: UserId,
    /// Which tool.
    pub tool: Box<str>,
    /// What was said.
    pub result: PermissionResult,
}

/// Counts of verdicts. `checked = granted + denied + rate_limited + over_quota + violations`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PermissionCounts {
    /// All verdicts.
    pub checked: u64,
    /// Allowed.
    pub granted: u64,
    /// Plan, clearance or feature.
    pub denied: u64,
    /// Rate windows.
    pub rate_limited: u64,
    /// Slots.
    pub over_quota: u64,
    /// Roles and parameter rules.
    pub violations: u64,
}

/// What one user did with one tool.
#[derive(Clone, Debug, Default)]
struct Usage {
    /// Calls within the policy's widest window, oldest first.
    calls: VecDeque<Instant>,
    running: u32,
}

impl Usage {
    fn is_over(&self, now: Instant) -> bool {
        let last = self.calls.back().is_none_or(|at| now.since(*at) >= WINDOWS_US[2]);
        self.running == 0 && last
    }
}

/// The permission layer of a toolbox.
#[derive(Debug)]
pub struct Permissions {
    /// Shared with forks of the router, hence replaced rather than changed while there are any.
    policies: Arc<BTreeMap<Box<str>, Policy>>,
    any_tool: Policy,
    usage: BTreeMap<UserId, BTreeMap<Box<str>, Usage>>,
    pairs: usize,
    sweep_at: usize,
    /// When there was last no room to be made.
    stuck: Instant,
    /// When it was last looked through.
    swept: Instant,
    audit: VecDeque<PermissionRecord>,
    counts: PermissionCounts,
}

impl Default for Permissions {
    fn default() -> Self {
        Self {
            policies: Arc::new(
                Policy::defaults().into_iter().map(|(tool, policy)| (tool.into(), policy)).collect(),
            ),
            any_tool: Policy::of_any_tool(),
            usage: BTreeMap::new(),
            pairs: 0,
            sweep_at: SWEEP_MIN,
            stuck: Instant::default(),
            swept: Instant::default(),
            audit: VecDeque::new(),
            counts: PermissionCounts::default(),
        }
    }
}

impl Permissions {
    /// Sets the policy of a tool.
    pub fn set_policy(&mut self, tool: &str, policy: Policy) {
        Arc::make_mut(&mut self.policies).insert(tool.into(), policy);
    }

    /// The policy of a tool: its own, or that of any tool.
    pub fn policy(&self, tool: &str) -> &Policy {
        self.policies.get(tool).unwrap_or(&self.any_tool)
    }

    /// The tools that have a policy of their own, in alphabetical order.
    pub fn tools(&self) -> impl Iterator<Item = &str> {
        self.policies.keys().map(|tool| &**tool)
    }

    /// The counts of verdicts.
    pub const fn counts(&self) -> PermissionCounts {
        self.counts
    }

    /// The newest verdicts, oldest first; at most 10,000.
    pub fn audit(&self) -> impl ExactSizeIterator<Item = &PermissionRecord> {
        self.audit.iter()
    }

    /// Checks a call and, if it is allowed, records it and takes its slot: one step, so that nothing can come
    /// between. `parameters` is a JSON object.
    pub fn check(
        &mut self,
        now: Instant,
        user: &UserId,
        person: &Person,
        tool: &str,
        parameters: &str,
    ) -> Permission {
        let mut verdict = self.decide(now, user, person, tool, parameters);
        self.settle(now, user, tool, &mut verdict);
        verdict
    }

    /// Gives back the slot of a call that was granted one.
    pub fn release(&mut self, user: &str, tool: &str) {
        if let Some(usage) = self.usage.get_mut(user).and_then(|tools| tools.get_mut(tool)) {
            usage.running = usage.running.saturating_sub(1);
        }
    }

    /// Calls of a tool that a user has in flight, as far as slots are counted.
    pub fn running(&self, user: &str, tool: &str) -> u32 {
        self.used(user, tool).map_or(0, |usage| usage.running)
    }

    /// The verdict, nothing recorded.
    pub(super) fn decide(
        &self,
        now: Instant,
        user: &str,
        person: &Person,
        tool: &str,
        parameters: &str,
    ) -> Permission {
        let policy = self.policy(tool);
        if let Some(refused) = standing(policy, person, tool) {
            return refused;
        }
        let usage = self.used(user, tool);
        let calls_remaining = match remaining(policy, usage, now) {
            Ok(remaining) => remaining,
            Err(reset_at) => {
                let reason = String::from("Rate limit exceeded for tool");
                return Permission {
                    calls_remaining: Some(0),
                    reset_at: Some(reset_at),
                    ..Permission::refused(PermissionResult::RateLimited, reason)
                };
            }
        };
        if let Some(max) = policy.concurrent_max
            && usage.map_or(0, |usage| usage.running) >= max
        {
            let reason = format!("Concurrent execution limit exceeded ({max})");
            return Permission::refused(PermissionResult::QuotaExceeded, reason);
        }
        if usage.is_none() && self.pairs >= PAIRS_MAX {
            let reason = String::from("Rate limit exceeded for tool");
            return Permission::refused(PermissionResult::RateLimited, reason);
        }
        if let Err(reason) = follows(&policy.rules, parameters) {
            return Permission::refused(PermissionResult::PolicyViolation, reason);
        }
        Permission {
            result: PermissionResult::Allowed,
            reason: String::from("All permission checks passed"),
            calls_remaining,
            reset_at: None,
            level_required: None,
            holds_slot: false,
        }
    }

    /// Writes a verdict down; a grant is recorded and takes its slot.
    pub(super) fn settle(&mut self, now: Instant, user: &UserId, tool: &str, verdict: &mut Permission) {
        self.counts.checked += 1;
        let count = match verdict.result {
            PermissionResult::Allowed => &mut self.counts.granted,
            PermissionResult::InsufficientPlan | PermissionResult::MissingFeature => &mut self.counts.denied,
            PermissionResult::RateLimited => &mut self.counts.rate_limited,
            PermissionResult::QuotaExceeded => &mut self.counts.over_quota,
            PermissionResult::PolicyViolation => &mut self.counts.violations,
        };
        *count += 1;
        if self.audit.len() == AUDIT_MAX {
            self.audit.drain(..=AUDIT_MAX - AUDIT_KEPT);
        }
        let result = verdict.result;
        self.audit.push_back(PermissionRecord { at: now, user: user.clone(), tool: tool.into(), result });
        if verdict.is_allowed() {
            verdict.holds_slot = self.record(now, user, tool);
        }
        self.sweep(now);
    }

    /// Remembers a call; answers whether it holds a slot.
    fn record(&mut self, now: Instant, user: &UserId, tool: &str) -> bool {
        let policy = self.policy(tool);
        let widest = limits(policy).filter(|(_, limit)| limit.is_some()).map(|(window, _)| window).max();
        let holds_slot = policy.concurrent_max.is_some();
        if widest.is_none() && !holds_slot {
            return false;
        }
        let tools = self.usage.entry(user.clone()).or_default();
        if !tools.contains_key(tool) {
            self.pairs += 1;
        }
        let usage = tools.entry(tool.into()).or_default();
        if let Some(widest) = widest {
            while usage.calls.front().is_some_and(|at| now.since(*at) >= widest) {
                usage.calls.pop_front();
            }
            usage.calls.push_back(now);
        }
        usage.running += u32::from(holds_slot);
        holds_slot
    }

    /// The same a second time.
    pub(super) fn fork(&self) -> Self {
        Self {
            policies: self.policies.clone(),
            any_tool: self.any_tool.clone(),
            usage: self.usage.clone(),
            audit: self.audit.clone(),
            ..*self
        }
    }

    /// A user's calls that a window still sees, and those that hold a slot, by tool.
    pub(super) fn digest_user(&self, user: &str, walk: &mut Walk<'_>) {
        let used = self.usage.get(user).into_iter().flatten();
        let now = walk.now;
        for (tool, usage) in used.filter(|(_, usage)| !usage.is_over(now)) {
            walk.text(tool);
            walk.number(u64::from(usage.running));
            walk.len(usage.calls.len());
            usage.calls.iter().for_each(|at| walk.time(*at));
        }
        walk.flag(false);
    }

    /// Pairs of user and tool that are remembered.
    pub(super) const fn pairs(&self) -> usize {
        self.pairs
    }

    /// Forgets pairs that no window sees any more, whenever their number has doubled and once a day; the oldest ones when
    /// that leaves no room for another; once a minute when nothing can be forgotten.
    fn sweep(&mut self, now: Instant) {
        let [minute, _, day] = WINDOWS_US;
        let full = self.pairs >= PAIRS_MAX;
        let grown = self.pairs >= self.sweep_at && !(full && now.since(self.stuck) < minute);
        if !grown && now.since(self.swept) < day {
            return;
        }
        self.swept = now;
        self.keep(|usage| !usage.is_over(now));
        if self.pairs >= PAIRS_MAX {
            let idle = self.usage.values().flat_map(BTreeMap::values).filter(|usage| usage.running == 0);
            let mut last: Vec<Instant> = idle.filter_map(|usage| usage.calls.back().copied()).collect();
            let mut left = PAIRS_DROPPED.min(last.len());
            if left > 0 {
                let (_, newest, _) = last.select_nth_unstable(left - 1);
                self.keep(|usage| {
                    let old = usage.running == 0 && usage.calls.back().is_none_or(|at| at <= newest);
                    let dropped = old && left > 0;
                    left -= usize::from(dropped);
                    !dropped
                });
            } else {
                self.stuck = now;
            }
        }
        self.sweep_at = SWEEP_MIN.max(2 * self.pairs).min(PAIRS_MAX);
    }

    fn keep(&mut self, mut keeps: impl FnMut(&Usage) -> bool) {
        self.usage.retain(|_, tools| {
            tools.retain(|_, usage| keeps(usage));
            !tools.is_empty()
        });
        self.pairs = self.usage.values().map(BTreeMap::len).sum();
    }

    fn used(&self, user: &str, tool: &str) -> Option<&Usage> {
        self.usage.get(user)?.get(tool)
    }
}

/// Checks 1 to 4: what the user is.
fn standing(policy: &Policy, person: &Person, tool: &str) -> Option<Permission> {
    let clearance = person.clearance();
    if clearance < policy.level {
        let (needed, has) = (policy.level.name(), clearance.name());
        let reason = format!("Security level {needed} required, user has {has}");
        let refused = Permission::refused(PermissionResult::InsufficientPlan, reason);
        return Some(Permission { level_required: Some(policy.level), ..refused });
    }
    let plan = person.plan.name();
    if !policy.plans.iter().any(|allowed| **allowed == *plan) {
        let plans = policy.plans.join(", ");
        let reason = format!("Plan {plan} not allowed for {tool}. Required: [{plans}]");
        return Some(Permission::refused(PermissionResult::InsufficientPlan, reason));
    }
    let roles = &person.grants.roles;
    if !policy.roles.is_empty() && policy.roles.is_disjoint(roles) {
        let (needed, has) = (listed(&policy.roles), listed(roles));
        let reason = format!("Required roles [{needed}] not satisfied. User roles: [{has}]");
        return Some(Permission::refused(PermissionResult::PolicyViolation, reason));
    }
    let missing = policy.features.iter().find(|feature| !person.grants.features.contains(*feature))?;
    let reason = format!("Required feature '{missing}' not enabled for user");
    Some(Permission::refused(PermissionResult::MissingFeature, reason))
}

fn listed(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn limits(policy: &Policy) -> impl Iterator<Item = (u64, Option<u32>)> {
    WINDOWS_US.into_iter().zip([policy.per_min, policy.per_hour, policy.per_day])
}

/// Check 5: calls left in the tightest window, or when the first full one has room again. A window sees calls
/// strictly newer than its length.
fn remaining(policy: &Policy, usage: Option<&Usage>, now: Instant) -> Result<Option<u32>, Instant> {
    let mut tightest = None;
    for (window, limit) in limits(policy) {
        let Some(limit) = limit else { continue };
        let calls = usage.map(|usage| &usage.calls);
        // Oldest first, so that those within the window are at the end.
        let first = calls.map_or(0, |calls| calls.partition_point(|at| now.since(*at) >= window));
        let oldest = calls.and_then(|calls| calls.get(first));
        let count = calls.map_or(0, VecDeque::len) - first;
        let left = limit.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        if left == 0 {
            return Err(oldest.copied().unwrap_or(now).after(window));
        }
        tightest = Some(tightest.map_or(left, |least: u32| least.min(left)));
    }
    Ok(tightest)
}

/// Check 7: rules for parameters, when there are any.
fn follows(rules: &[ParameterRule], parameters: &str) -> Result<(), String> {
    if rules.is_empty() {
        return Ok(());
    }
    let members = Members::of(parameters).map_err(|error| format!("Parameter validation error: {error}"))?;
    if members.is_empty() {
        return Ok(());
    }
    let holds = |rule: &ParameterRule| match rule {
        ParameterRule::Required(key) => members.get(key).is_some(),
        ParameterRule::Forbidden(key) => members.get(key).is_none(),
        ParameterRule::BytesMax(max) => parameters.len() <= *max as usize,
    };
    if rules.iter().all(holds) { Ok(()) } else { Err(String::from("Parameters failed validation rule")) }
}
