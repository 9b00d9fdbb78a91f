//! What the server promises of what it accepted.

use redis::{Client, RedisResult, Value, aio::MultiplexedConnection, from_redis_value};

/// Whether what was accepted is safe from the server's own death.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Accepted is written to disk, and nothing is ever evicted. A fail-over to a replica may still lose its tail.
    Strict,
    /// Accepted may be lost, for these reasons.
    Relaxed(Vec<Lapse>),
}

/// Why what was accepted may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lapse {
    /// `appendonly` is not `yes`: a restart loses what came since the last snapshot.
    NoLog,
    /// `appendfsync` is not `always`: a power failure loses what was not yet on disk.
    LateSync,
    /// `no-appendfsync-on-rewrite` is `yes`: the same, while the log is rewritten.
    NoSyncOnRewrite,
    /// `maxmemory-policy` is not `noeviction`: full memory loses keys.
    Eviction,
    /// It is a replica.
    Replica,
    /// The server does not tell its settings.
    Unknown,
}

impl Durability {
    /// Stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Durability::Strict => "strict",
            Durability::Relaxed(_) => "relaxed",
        }
    }
}

impl Lapse {
    /// The setting that cures it, for people.
    pub const fn cure(self) -> &'static str {
        match self {
            Lapse::NoLog => "appendonly yes",
            Lapse::LateSync => "appendfsync always",
            Lapse::NoSyncOnRewrite => "no-appendfsync-on-rewrite no",
            Lapse::Eviction => "maxmemory-policy noeviction",
            Lapse::Replica => "connect to the primary",
            Lapse::Unknown => "allow CONFIG GET and ROLE",
        }
    }
}

/// The settings that promise it, and what is lost without them.
const SETTINGS: [(&str, &str, Lapse); 4] = [
    ("appendonly", "yes", Lapse::NoLog),
    ("appendfsync", "always", Lapse::LateSync),
    ("no-appendfsync-on-rewrite", "no", Lapse::NoSyncOnRewrite),
    ("maxmemory-policy", "noeviction", Lapse::Eviction),
];

pub(super) async fn ask(client: &Client) -> RedisResult<Durability> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut lapses = Vec::new();
    for (name, wanted, lapse) in SETTINGS {
        match setting(&mut connection, name).await {
            Some(value) if value == wanted => {}
            Some(_) => lapses.push(lapse),
            None => lapses.push(Lapse::Unknown),
        }
    }
    match role(&mut connection).await.as_deref() {
        Some("master") => {}
        Some(_) => lapses.push(Lapse::Replica),
        None => lapses.push(Lapse::Unknown),
    }
    lapses.sort();
    lapses.dedup();
    Ok(if lapses.is_empty() { Durability::Strict } else { Durability::Relaxed(lapses) })
}

async fn setting(connection: &mut MultiplexedConnection, name: &str) -> Option<String> {
    let pair: Vec<String> = redis::cmd("CONFIG").arg("GET").arg(name).query_async(connection).await.ok()?;
    pair.into_iter().nth(1)
}

async fn role(connection: &mut MultiplexedConnection) -> Option<String> {
    let role: Vec<Value> = redis::cmd("ROLE").query_async(connection).await.ok()?;
    from_redis_value(role.into_iter().next()?).ok()
}
