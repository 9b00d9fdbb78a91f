//! How long it may take until everything is quiet again, once all faults are over.

use router::Config;

use super::care;
use crate::scenario::Scenario;

/// Times the longest timeout in force.
const TIMES: u64 = 10;

/// The budget: ten times the longest timeout in force, microseconds. In force are the router's deadlines of runs, tools,
/// quality services, the drain and slow readers, its patience with silent clients (one heartbeat more than may be missed),
/// the recovery window, and what the clients wait for. How long message ids are remembered is no timeout: nobody waits for
/// it.
pub fn budget_us(scenario: &Scenario, config: &Config) -> u64 {
    let timeouts = [
        config.agent_deadline_us,
        config.tool_deadline_us,
        config.quality_deadline_us,
        config.drain_deadline_us,
        config.slow_reader_grace_us,
        config.heartbeat_us * (u64::from(config.heartbeats_missed_max) + 1),
        config.recovery_ttl_us,
        config.ready_after_us,
        scenario.network.reconnect.cap.us(),
        care::LONGEST_US,
    ];
    TIMES * timeouts.into_iter().max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::router_config;

    #[test]
    fn by_default_it_is_ten_times_the_recovery_window() {
        let scenario = Scenario::default();
        let config = router_config(&scenario);
        assert_eq!(budget_us(&scenario, &config), 10 * config.recovery_ttl_us);
        let patient = Config { agent_deadline_us: 600_000_000, ..config };
        assert_eq!(budget_us(&scenario, &patient), 6_000_000_000);
    }
}
