//! The router's limits as a scenario wants them.

use router::Config;

use crate::scenario::{Limits, Micros, Scenario, Size};

/// The router's defaults with the scenario's overrides.
pub fn router_config(scenario: &Scenario) -> Config {
    let limits: &Limits = &scenario.limits;
    let default = Config::default();
    let time = |value: Option<Micros>, or: u64| value.map_or(or, Micros::us);
    let size = |value: Option<Size>, or: u32| value.map_or(or, |size| size.bytes());
    let inbound_bytes_max = size(limits.frame_bytes_max, default.inbound_bytes_max);
    Config {
        ready_after_us: limits.ready_after_us(),
        agent_deadline_us: limits.agent_deadline_us(),
        heartbeat_us: time(limits.heartbeat_after, default.heartbeat_us),
        outbound_frames_max: limits.outbound_frames_max.unwrap_or(default.outbound_frames_max),
        outbound_bytes_max: size(limits.outbound_bytes_max, default.outbound_bytes_max),
        connections_per_user_max: limits.connections_max(),
        runs_per_user_max: limits.runs_max(),
        agents_max: limits.agents_max.unwrap_or(default.agents_max),
        rate_per_s: limits.rate_per_s.unwrap_or(default.rate_per_s),
        rate_burst: limits.rate_burst.unwrap_or(default.rate_burst),
        recovery_frames_max: limits.recovery_frames_max.unwrap_or(default.recovery_frames_max),
        recovery_bytes_max: size(limits.recovery_bytes_max, default.recovery_bytes_max),
        recovery_ttl_us: time(limits.recovery_ttl, default.recovery_ttl_us),
        inbound_bytes_max,
        // The plan's frames above the text limit must still pass the transport.
        transport_bytes_max: default.transport_bytes_max.max(inbound_bytes_max.saturating_mul(2)),
        drain_deadline_us: time(limits.drain_deadline, default.drain_deadline_us),
        slow_reader_grace_us: time(limits.slow_reader_grace, default.slow_reader_grace_us),
        ..default
    }
}
