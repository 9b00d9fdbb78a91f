//! What a seed of several nodes is to a sweep.

use std::collections::BTreeMap;

use reports::{Finding, sweep::SeedOutcome};

use super::{FaultKind, Played, Settings};

/// What it is, in a sentence.
pub const ABOUT: &str = "nodes on one store, users that wander between them, and what goes wrong in between";

impl Settings {
    /// So many nodes, and the rest as usual.
    pub fn of(nodes: u32) -> Self {
        Self { nodes, ..Self::default() }
    }

    /// The name in reports: `nodes-2`.
    pub fn name(&self) -> String {
        format!("nodes-{}", self.nodes)
    }

    /// Names the profile: another one plays something else under the same seeds. 32 hexadecimal digits.
    pub fn hash(&self) -> String {
        let kinds = FaultKind::ALL.map(FaultKind::name).join(" ");
        crate::scenario::hash_of(format!("{} {kinds}", self.arguments()).as_bytes())
    }

    /// What the command line says to play them: `--nodes 2 --users 3`.
    pub fn arguments(&self) -> String {
        let usual = Self::default();
        let mut arguments = format!("--nodes {}", self.nodes);
        for (name, count, usual) in
            [("users", self.users, usual.users), ("messages", self.messages, usual.messages)]
        {
            if count != usual {
                arguments += &format!(" --{name} {count}");
            }
        }
        for kind in &self.without {
            arguments += &format!(" --spare {}", kind.name());
        }
        arguments
    }
}

/// What a seed came to, as sweeps add it up.
pub fn outcome(seed: u64, settings: &Settings, played: &Played) -> SeedOutcome {
    let mut by_rule: BTreeMap<String, u64> = BTreeMap::new();
    let mut findings: Vec<Finding> = Vec::new();
    for breach in &played.breaches {
        let times = by_rule.entry(breach.rule.to_owned()).or_default();
        *times += 1;
        if *times == 1 {
            findings.push(Finding::new(breach.rule, "nodes", breach.at_us, &*breach.detail));
        }
    }
    SeedOutcome {
        seed,
        hash: played.hash.into(),
        virtual_us: played.virtual_us,
        active_us: played.virtual_us,
        inputs: played.inputs,
        received: played.sent,
        delivered: played.frames,
        users: settings.users.into(),
        runs: played.accepted,
        by_rule,
        findings,
    }
}
