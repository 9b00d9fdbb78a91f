//! How long things take at most, and what becomes of a run.

use super::ExpectedRun;
use crate::scenario::Scenario;
use crate::script::{Script, Step, Terminal};

/// Time that a frame and its answer take at most, with room for a busy machine; nothing a tab does comes
/// closer to a disconnect.
pub(crate) fn settle_us(scenario: &Scenario) -> u64 {
    4 * scenario.network.latency.high.us() + 50_000
}

/// From a connect to the time when the tab's messages are handled at once.
pub(super) fn set_up_us(scenario: &Scenario) -> u64 {
    settle_us(scenario) + scenario.limits.ready_after_us()
}

/// The longest from sending a message to the start of its run. `ready_at_us`: when all tabs are set up. Before that it may be
/// behind the upgrade request, which comes after the transport's own handshake.
pub(super) fn delay_us(scenario: &Scenario, at_us: u64, ready_at_us: u64) -> u64 {
    let latency_us = scenario.network.latency.high.us();
    let during_setup =
        if at_us < ready_at_us { 2 * latency_us + scenario.limits.ready_after_us() } else { 0 };
    latency_us + during_setup
}

/// How far from every event of a run a moment must be for both worlds to agree what came before it.
pub(super) fn quiet_margin_us(scenario: &Scenario) -> u64 {
    2 * scenario.network.latency.high.us() + 20_000
}

/// When a run starts and what cuts it short, absolute microseconds.
pub(super) struct Run {
    /// When its message is sent.
    pub(super) at_us: u64,
    /// When it has started at the latest.
    pub(super) latest_us: u64,
    pub(super) stopped_us: Option<u64>,
}

impl Run {
    pub(super) fn expected(&self, script: &Script) -> ExpectedRun {
        let until_us = self.stopped_us.map_or(u64::MAX, |stop_us| stop_us.saturating_sub(self.at_us));
        let count = |of: &dyn Fn(&Step) -> bool| {
            script.beats.iter().filter(|beat| beat.at_us <= until_us && of(&beat.step)).count() as u32
        };
        let terminal = if self.stopped_us.is_some() { Terminal::Cancelled } else { script.terminal };
        let thinking = count(&|step| matches!(step, Step::Thinking { .. }));
        let tools = count(&|step| matches!(step, Step::ToolStart { .. }));
        let delay_us = self.latest_us - self.at_us;
        ExpectedRun {
            terminal,
            thinking,
            tools,
            tool_errors: count(&|step| matches!(step, Step::ToolEnd { ok: false, .. })),
            full_golden: terminal == Terminal::Completed && thinking > 0 && tools > 0,
            ends_at_us: self.stopped_us.unwrap_or(self.at_us + script.end_us) + delay_us,
        }
    }
}
