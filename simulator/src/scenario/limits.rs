//! `[limits]` and `[expect]`: overrides of the router's limits, and what a run of the scenario must achieve.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::journey::Journey;
use super::share::Share;
use super::size::Size;
use super::time::Micros;

/// The router's defaults that a plan must respect so that everything that happens was planned.
pub mod router_defaults {
    /// A run that is not over by then ends with a timeout, microseconds.
    pub const AGENT_DEADLINE_US: u64 = 60_000_000;
    /// Connections of one user.
    pub const CONNECTIONS_PER_USER_MAX: u32 = 8;
    /// Open runs of one user.
    pub const RUNS_PER_USER_MAX: u32 = 16;
    /// Inbound frames of one user per second, sustained.
    pub const RATE_PER_S: u32 = 30;
    /// Inbound frames of one user at once.
    pub const RATE_BURST: u32 = 100;
    /// Inbound text frame, bytes.
    pub const FRAME_BYTES_MAX: u32 = 8_192;
    /// How long frames are kept for a user without a connection, microseconds.
    pub const RECOVERY_TTL_US: u64 = 120_000_000;
    /// Rejected frames within [`ABUSE_WINDOW_US`] that close a connection.
    pub const ABUSE_FRAMES: u32 = 20;
    /// Window of [`ABUSE_FRAMES`], microseconds.
    pub const ABUSE_WINDOW_US: u64 = 10_000_000;
}

/// `[limits]`: overrides of the router's limits; what is absent keeps the router's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// A run that is not over by then ends with a timeout. Plan's default "1m" (`router_defaults`): hand it
    /// to the router.
    pub agent_deadline: Option<Micros>,
    /// How long a connection's set-up takes; frames that arrive during it wait.
    pub ready_after: Option<Micros>,
    /// Silence after which the router sends a heartbeat. Router's default "25s".
    pub heartbeat_after: Option<Micros>,
    /// Frames queued for one connection. Router's default 1000.
    #[serde(deserialize_with = "super::share::limit")]
    pub outbound_frames_max: Option<u32>,
    /// Bytes queued for one connection. Router's default "4MiB".
    pub outbound_bytes_max: Option<Size>,
    /// Connections of one user. Router's default 8.
    #[serde(deserialize_with = "super::share::limit")]
    pub connections_per_user_max: Option<u32>,
    /// Open runs of one user. Router's default 16. The plan keeps below it.
    #[serde(deserialize_with = "super::share::limit")]
    pub runs_per_user_max: Option<u32>,
    /// Agents at work at once; further runs wait for their turn. Router's default: no bound.
    #[serde(deserialize_with = "super::share::limit", skip_serializing_if = "Option::is_none")]
    pub agents_max: Option<u32>,
    /// Inbound frames of one user per second. Router's default 30. The plan keeps below it.
    #[serde(deserialize_with = "super::share::limit")]
    pub rate_per_s: Option<u32>,
    /// Inbound frames of one user at once. Router's default 100. The plan keeps below it.
    #[serde(deserialize_with = "super::share::limit")]
    pub rate_burst: Option<u32>,
    /// Frames kept per user for recovery. Router's default 200.
    #[serde(deserialize_with = "super::share::limit")]
    pub recovery_frames_max: Option<u32>,
    /// Bytes kept per user for recovery. Router's default "1MiB".
    pub recovery_bytes_max: Option<Size>,
    /// How long they are kept after the user's last connection or run. Router's default "2m".
    pub recovery_ttl: Option<Micros>,
    /// Inbound text frame. Router's default "8KiB".
    pub frame_bytes_max: Option<Size>,
    /// How long accepted work may go on after a stop. Router's default "30s".
    pub drain_deadline: Option<Micros>,
    /// How long a full connection may make no progress before it is closed. Router's default "10s".
    pub slow_reader_grace: Option<Micros>,
}

impl Limits {
    /// The agent deadline in force, microseconds.
    pub fn agent_deadline_us(&self) -> u64 {
        self.agent_deadline.map_or(router_defaults::AGENT_DEADLINE_US, Micros::us)
    }

    /// The set-up time of a connection in force, microseconds.
    pub fn ready_after_us(&self) -> u64 {
        self.ready_after.map_or(0, Micros::us)
    }

    /// The open runs a user may have.
    pub fn runs_max(&self) -> u32 {
        self.runs_per_user_max.unwrap_or(router_defaults::RUNS_PER_USER_MAX)
    }

    /// The connections a user may have.
    pub fn connections_max(&self) -> u32 {
        self.connections_per_user_max.unwrap_or(router_defaults::CONNECTIONS_PER_USER_MAX)
    }

    /// The inbound frame size in force, bytes.
    pub fn frame_bytes(&self) -> u32 {
        self.frame_bytes_max.map_or(router_defaults::FRAME_BYTES_MAX, Size::bytes)
    }

    /// The recovery window in force, microseconds.
    pub fn recovery_ttl_us(&self) -> u64 {
        self.recovery_ttl.map_or(router_defaults::RECOVERY_TTL_US, Micros::us)
    }

    /// The token bucket in force: frames per second, burst.
    pub fn rate(&self) -> (u32, u32) {
        (
            self.rate_per_s.unwrap_or(router_defaults::RATE_PER_S),
            self.rate_burst.unwrap_or(router_defaults::RATE_BURST),
        )
    }
}

/// `[expect]`: what must hold. Latencies are judged in virtual time, whole journeys as a user sees them;
/// absent ones are not judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// Share of planned runs that end complete, with the terminal their plan says. Default 1.
    pub golden_path: Share,
    /// From sending a message to its first event on the sending tab, 99th percentile.
    pub first_event_p99: Option<Micros>,
    /// From an agent's event to its arrival at a live tab, 99th percentile (legacy expectation: max 200 ms).
    pub event_latency_p99: Option<Micros>,
    /// From the agent's answer to `agent_completed` on a live tab, 99th percentile.
    pub answer_p99: Option<Micros>,
    /// From a ping to its pong, 99th percentile, also while runs are open.
    pub pong_p99: Option<Micros>,
    /// From a reconnect to the last replayed frame, 99th percentile (legacy expectation: 4.5 s at most).
    pub resume_p99: Option<Micros>,
    /// Least share of runs that show all five event types.
    pub min_full_golden_share: Option<Share>,
    /// Whole journeys, judged in both worlds.
    #[serde(rename = "journey", skip_serializing_if = "Vec::is_empty")]
    pub journeys: Vec<Journey>,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            golden_path: Share::new(1.0),
            first_event_p99: None,
            event_latency_p99: None,
            answer_p99: None,
            pong_p99: None,
            resume_p99: None,
            min_full_golden_share: None,
            journeys: Vec::new(),
        }
    }
}
