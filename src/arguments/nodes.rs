//! Arguments of what runs nodes, and of what asks them.

use std::{net::SocketAddr, path::PathBuf};

use benches::drill::Fault;
use clap::{Args, Subcommand};
use simulator::cluster::FaultKind;

use super::ReportOptions;

#[derive(Args, Debug)]
pub(crate) struct DrillOptions {
    /// Rounds of each fault
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: u32,
    /// What breaks: kill-node, kill-redis, cut-redis or drain-node; all of them by default
    #[arg(long, value_name = "FAULT")]
    pub(crate) fault: Vec<Fault>,
    /// Seed of users and agents; the scenario's own by default
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// The `redis-server` to start, 7.0 or later
    #[arg(long, value_name = "PATH", env = "REDIS_SERVER", default_value = "redis-server")]
    pub(crate) redis_server: PathBuf,
    /// How long a node that gives no sign of life keeps its runs, in milliseconds
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(500..=600_000))]
    pub(crate) lease_ms: Option<u64>,
    #[command(flatten)]
    pub(crate) report: ReportOptions,
}

#[derive(Args, Debug)]
pub(crate) struct ServeOptions {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8000")]
    pub(crate) listen: SocketAddr,
    /// File with the HS256 key of at least 32 bytes that signs tokens
    #[arg(long, value_name = "FILE", env = "GOLDENPATH_JWT_KEY_FILE", conflicts_with = "development_key")]
    pub(crate) jwt_key_file: Option<PathBuf>,
    /// PEM file with the public key (RS256 or EdDSA) that checks tokens
    #[arg(long, value_name = "FILE", conflicts_with_all = ["jwt_key_file", "development_key"])]
    pub(crate) jwt_public_key_file: Option<PathBuf>,
    /// Accept tokens signed with the well-known development key; every welcome says so
    #[arg(long)]
    pub(crate) development_key: bool,
    /// Expected `aud` of tokens
    #[arg(long)]
    pub(crate) jwt_audience: Option<String>,
    /// Expected `iss` of tokens
    #[arg(long)]
    pub(crate) jwt_issuer: Option<String>,
    /// TLS certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// TLS private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Redis that several nodes share their users by: redis://HOST:PORT/DATABASE
    #[arg(long, value_name = "URL", env = "GOLDENPATH_REDIS")]
    pub(crate) redis: Option<String>,
    /// File with the token, at least 16 bytes, that operators ask /admin with; without it there is no /admin
    #[arg(long, value_name = "FILE", env = "GOLDENPATH_ADMIN_TOKEN_FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Agents at work at once; further runs wait for their turn. The scenario's limit by default
    #[arg(long, value_name = "N")]
    pub(crate) agents: Option<u32>,
    /// How long a node that gives no sign of life keeps its runs, in milliseconds; all nodes must say the same
    #[arg(long, value_name = "MS", requires = "redis", value_parser = clap::value_parser!(u64).range(500..=600_000))]
    pub(crate) lease_ms: Option<u64>,
    /// Scenario whose limits and scripted agent the server uses
    #[arg(long, default_value = crate::sources::DEFAULT_SCENARIO, value_name = "NAME|FILE")]
    pub(crate) scenario: String,
    /// Seed of the scripted agent; the scenario's own by default
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How long accepted work may take after SIGTERM, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) drain_deadline: Option<u64>,
    /// Drain when stdin ends: for parents that must not leave a server behind
    #[arg(long, hide = true)]
    pub(crate) until_stdin_ends: bool,
}

#[derive(Args, Debug)]
pub(crate) struct QueueOptions {
    /// Where the node is asked over HTTP
    #[arg(long, default_value = "http://127.0.0.1:8000", global = true)]
    pub(crate) url: String,
    /// File with the token that the node was started with
    #[arg(
        long,
        value_name = "FILE",
        env = "GOLDENPATH_ADMIN_TOKEN_FILE",
        global = true,
        default_value = "admin-token"
    )]
    pub(crate) admin_token_file: PathBuf,
    /// Print what the node answers as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: QueueCommand,
}

/// What to do with the queue.
#[derive(Subcommand, Debug)]
pub(crate) enum QueueCommand {
    /// What waits, and what became of what waited
    Stats,
    /// Messages that ended without being worked on, the oldest first
    DeadLetters {
        /// Only this user's
        #[arg(long)]
        user: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Have dead letters worked on again
    Redrive {
        /// Whose letters
        #[arg(long)]
        user: String,
        /// The letter's number
        #[arg(value_name = "LETTER", conflicts_with = "all")]
        letter: Option<u64>,
        /// All of the user's that can be
        #[arg(long)]
        all: bool,
    },
}

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
