//! Options of several nodes.

use clap::Args;
use simulator::cluster::FaultKind;

/// Several nodes instead of one.
#[derive(Args, Debug, Default)]
pub(crate) struct NodesOptions {
    /// Play so many nodes on one store, users that wander between them, and the faults that the seed draws
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=16),
        conflicts_with_all = ["scenario", "swarm", "subject", "hazards", "trace", "explore", "without"])]
    pub(crate) nodes: Option<u32>,
    /// Users [default: 6]
    #[arg(long, requires = "nodes", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) users: Option<u32>,
    /// Messages of each user [default: 12]
    #[arg(long, requires = "nodes", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) messages: Option<u32>,
    /// Leave a kind of fault out, such as node_killed; repeat for more
    #[arg(long = "spare", requires = "nodes", value_name = "FAULT", value_parser = node_fault)]
    pub(crate) spared: Vec<FaultKind>,
    /// Print every step of the seed, ahead of its report
    #[arg(long, requires = "nodes", conflicts_with_all = ["seeds", "json"])]
    pub(crate) tell: bool,
    /// Make a seed that breaks a rule small, and report that
    #[arg(long, requires = "nodes", conflicts_with = "seeds")]
    pub(crate) small: bool,
}

/// A kind of fault of several nodes by its name.
fn node_fault(text: &str) -> Result<FaultKind, String> {
    let names = FaultKind::ALL.map(FaultKind::name);
    FaultKind::named(text).ok_or_else(|| format!("expected one of {}", names.join(", ")))
}
