//! Quality services: the traits that a host may implement, and an embedded answer to each.
//!
//! The services are pure: no clock, no store, no network; the same runs and the same texts give the same figures. The
//! [`Monitor`] is fed by the router itself, as runs end ([`Config::quality_monitor`]), and holds counts and durations
//! only, never content. The [`Gate`] scores a text by the rules on its page.
//!
//! [`Config::quality_monitor`]: crate::Config::quality_monitor

mod desk;
mod gate;
mod monitor;
mod report;
mod verdict;

use alloc::{boxed::Box, string::String};

use serde_json::value::RawValue;

pub(crate) use self::desk::{Desk, Ids, Pending, ReportWork, Work};
pub(crate) use self::report::{REPORT_AGENTS, markdown, period_hours};
pub use self::{
    gate::Gate,
    monitor::{Alert, Metric, Monitor, RunEnd, RunSeen},
    verdict::{ContentKind, Issue, Verdict},
};
use crate::{
    contract::{Instant, QualityQuestion, QualityRequest},
    wire::{Writer, push_integer},
};

/// The topic of quality updates and alerts.
pub(crate) const TOPIC: &str = "quality";
/// Period of an agent's report when the client names none that is a number, in hours.
const HOURS_DEFAULT: u32 = 24;

/// Figures about agents.
pub trait QualityMonitor {
    /// Figures over all agents, a JSON object. The report renders its members `overall_stats`,
    /// `quality_distribution`, `agent_profiles` and `recent_alerts`.
    fn dashboard(&self, now: Instant) -> String;

    /// Figures of one agent over the last `hours` hours, a JSON object.
    fn agent_report(&self, agent: &str, hours: u32, now: Instant) -> String;
}

/// A verdict on a text.
pub trait QualityGate {
    /// Whether the text is good enough for its kind.
    fn validate(&self, content: &str, kind: ContentKind, strict: bool) -> Verdict;
}

/// Answers a question with the given services. `None` if what a service wrote is not JSON.
pub fn answer(
    request: &QualityRequest,
    monitor: &dyn QualityMonitor,
    gate: &dyn QualityGate,
    now: Instant,
) -> Option<Box<RawValue>> {
    let json = match &request.question {
        QualityQuestion::Dashboard => monitor.dashboard(now),
        QualityQuestion::AgentReport { agent, hours } => {
            monitor.agent_report(&agent.text(), hours.integer().unwrap_or(HOURS_DEFAULT), now)
        }
        QualityQuestion::Validate { content, kind, strict } => {
            gate.validate(&content.text(), *kind, *strict).json()
        }
    };
    RawValue::from_string(json).ok()
}

/// Writes `key` and a number of thousandths as a decimal, e.g. 875 as 0.875.
fn thousandths(w: &mut Writer, key: &str, value: u64) {
    let mut text = String::new();
    push_integer(&mut text, value / 1000);
    text.push('.');
    for place in [100, 10, 1] {
        text.push((b'0' + (value / place % 10) as u8) as char);
    }
    w.raw(key);
    w.raw(text.trim_end_matches('0').trim_end_matches('.'));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_are_written_short() {
        for (value, text) in
            [(0, "0"), (1000, "1"), (875, "0.875"), (900, "0.9"), (10, "0.01"), (99_900, "99.9")]
        {
            let mut w = Writer::default();
            thousandths(&mut w, "", value);
            assert_eq!(w.finish(), text);
        }
    }
}
