//! Who may call which tool, and how often: plans, clearances, policies. All of it is data.

use alloc::{boxed::Box, collections::BTreeSet, string::String, vec, vec::Vec};

use crate::contract::Tier;

/// How sensitive a tool is, and how much a user may do; ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Anybody.
    Public,
    /// Every authenticated user.
    Basic,
    /// Users of a paid plan.
    Standard,
    /// Users of the plans premium and enterprise.
    Premium,
    /// Administrators.
    Admin,
    /// Nobody but the system itself.
    System,
}

impl Level {
    const ALL: [Level; 6] =
        [Level::Public, Level::Basic, Level::Standard, Level::Premium, Level::Admin, Level::System];

    /// The name in texts and files.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Public => "PUBLIC",
            Level::Basic => "BASIC",
            Level::Standard => "STANDARD",
            Level::Premium => "PREMIUM",
            Level::Admin => "ADMIN",
            Level::System => "SYSTEM",
        }
    }

    /// The level of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// What a plan is worth; ordered, so that no name has to be searched for words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlanRank {
    /// `free`.
    #[default]
    Free,
    /// `basic`.
    Basic,
    /// `premium`.
    Premium,
    /// `enterprise`.
    Enterprise,
}

impl PlanRank {
    const ALL: [PlanRank; 4] = [PlanRank::Free, PlanRank::Basic, PlanRank::Premium, PlanRank::Enterprise];

    /// The plan's name.
    pub const fn name(self) -> &'static str {
        match self {
            PlanRank::Free => "free",
            PlanRank::Basic => "basic",
            PlanRank::Premium => "premium",
            PlanRank::Enterprise => "enterprise",
        }
    }

    const fn clearance(self) -> Level {
        match self {
            PlanRank::Free => Level::Basic,
            PlanRank::Basic => Level::Standard,
            PlanRank::Premium | PlanRank::Enterprise => Level::Premium,
        }
    }
}

/// A user's plan: its name, as policies list it, and its rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    name: Box<str>,
    rank: PlanRank,
}

impl Plan {
    /// One of the four plans, or a plan of the deployment's own (`Premium-Plus`): no policy lists that by itself, and
    /// its rank is that of `premium` or `basic` if its name says so, else the lowest.
    pub fn named(name: &str) -> Self {
        let lower = name.to_lowercase();
        let says = |word: PlanRank| lower.contains(word.name()).then_some(word);
        let rank = PlanRank::ALL
            .into_iter()
            .find(|rank| rank.name() == name)
            .or_else(|| says(PlanRank::Premium))
            .or_else(|| says(PlanRank::Basic))
            .unwrap_or_default();
        Self { name: name.into(), rank }
    }

    /// The plan's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plan's rank.
    pub const fn rank(&self) -> PlanRank {
        self.rank
    }
}

impl From<Tier> for Plan {
    /// The tiers of connections and the plans of tools are the same four steps under two names.
    fn from(tier: Tier) -> Self {
        let rank = match tier {
            Tier::Free => PlanRank::Free,
            Tier::Early => PlanRank::Basic,
            Tier::Mid => PlanRank::Premium,
            Tier::Enterprise => PlanRank::Enterprise,
        };
        Self { name: rank.name().into(), rank }
    }
}

/// What a host knows of a user beyond the plan. No client's frame can change it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Roles held.
    pub roles: BTreeSet<String>,
    /// Features that are on.
    pub features: BTreeSet<String>,
    /// The admin flag.
    pub admin: bool,
}

/// The user of a call, as the permission layer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The plan.
    pub plan: Plan,
    /// Roles, features, the admin flag.
    pub grants: Grants,
}

impl Person {
    /// What the user is cleared for: the admin flag, else the plan's rank.
    pub const fn clearance(&self) -> Level {
        if self.grants.admin { Level::Admin } else { self.plan.rank.clearance() }
    }
}

/// A rule for parameters, looked at when there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterRule {
    /// The member must be there.
    Required(String),
    /// The member must not be there.
    Forbidden(String),
    /// The JSON text may have at most that many bytes.
    BytesMax(u32),
}

/// Who may call a tool, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Clearance needed.
    pub level: Level,
    /// Plans that may call it, by exact name.
    pub plans: Vec<Box<str>>,
    /// One of these roles is needed; none when empty.
    pub roles: BTreeSet<String>,
    /// All of these features must be on.
    pub features: BTreeSet<String>,
    /// Calls per user within 60 s.
    pub per_min: Option<u32>,
    /// Calls per user within 3,600 s.
    pub per_hour: Option<u32>,
    /// Calls per user within 86,400 s.
    pub per_day: Option<u32>,
    /// Calls of this tool that a user may have in flight.
    pub concurrent_max: Option<u32>,
    /// Rules for parameters.
    pub rules: Vec<ParameterRule>,
}

impl Policy {
    /// A policy of that level for all plans, without any limit.
    pub fn open(level: Level) -> Self {
        Self {
            level,
            plans: PlanRank::ALL.iter().map(|rank| rank.name().into()).collect(),
            roles: BTreeSet::new(),
            features: BTreeSet::new(),
            per_min: None,
            per_hour: None,
            per_day: None,
            concurrent_max: None,
            rules: Vec::new(),
        }
    }

    /// The policy of a tool that has none of its own.
    pub fn of_any_tool() -> Self {
        Self { per_min: Some(60), per_hour: Some(1_000), per_day: Some(10_000), ..Self::open(Level::Basic) }
    }

    /// The policies that every router begins with.
    pub fn defaults() -> Vec<(&'static str, Policy)> {
        let public = Self { per_min: Some(100), ..Self::open(Level::Public) };
        let basic = Self { per_min: Some(30), per_hour: Some(500), ..Self::open(Level::Basic) };
        let premium = Self {
            plans: vec![PlanRank::Premium.name().into(), PlanRank::Enterprise.name().into()],
            per_min: Some(10),
            per_hour: Some(100),
            concurrent_max: Some(3),
            ..Self::open(Level::Premium)
        };
        let admin = Self {
            plans: vec![PlanRank::Enterprise.name().into()],
            per_min: Some(5),
            concurrent_max: Some(1),
            roles: BTreeSet::from(["admin".into()]),
            ..Self::open(Level::Admin)
        };
        let groups: [(&[&'static str], Policy); 4] = [
            (&["health_check", "system_status", "version_info"], public),
            (&["search_corpus", "validate_synthetic_data", "analyze_corpus"], basic),
            (&["generate_synthetic_data_batch", "create_corpus", "export_corpus"], premium),
            (&["delete_corpus", "system_maintenance", "user_management"], admin),
        ];
        groups
            .into_iter()
            .flat_map(|(tools, policy)| tools.iter().map(move |tool| (*tool, policy.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clearance_follows_the_rank_not_the_name() {
        let clearance = |plan: &str, admin| {
            Person { plan: Plan::named(plan), grants: Grants { admin, ..Grants::default() } }.clearance()
        };
        let table = [
            ("free", Level::Basic),
            ("basic", Level::Standard),
            ("premium", Level::Premium),
            ("enterprise", Level::Premium),
            ("Premium-Plus", Level::Premium),
            ("gold", Level::Basic),
        ];
        for (plan, level) in table {
            assert_eq!(clearance(plan, false), level, "{plan}");
            assert_eq!(clearance(plan, true), Level::Admin, "{plan}");
        }
        assert!(Plan::from(Tier::Enterprise).rank() > Plan::from(Tier::Mid).rank());
    }
}
