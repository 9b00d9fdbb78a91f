//! Comparing reports: headings in order, and sections that say what the service said.

use serde_json::Value;

use super::compare::{REAL_MONITOR, is_dashboard};
use crate::conform::{Decision, Difference, Notes, compare};

/// Sections render the members that the service has.
const SECTIONS: Decision = Decision {
    name: "report-sections",
    demands: "each section renders the service's own member as JSON; the old ones looked for members that no service has",
    added: false,
};
/// Each section's heading, the member it renders, and what stands for a missing one.
const MEMBERS: [(&str, &str, &str); 4] = [
    ("## Overall Statistics", "overall_stats", "{}"),
    ("## Quality Distribution", "quality_distribution", "{}"),
    ("## Agent Performance", "agent_profiles", "{}"),
    ("## Recent Alerts", "recent_alerts", "[]"),
];
const GENERATED: &str = "**Generated:** ";

/// Compares two payloads of `quality_report_generated`.
pub(super) fn compare(
    at: &str,
    recorded: &Value,
    seen: &Value,
    real_monitor: bool,
    notes: &mut Notes,
    out: &mut Vec<Difference>,
) {
    let at = format!("{at}.payload");
    compare::values(&format!("{at}.timestamp"), &recorded["timestamp"], &seen["timestamp"], &[], notes, out);
    let dashboard = seen["raw_data"].get("summary").unwrap_or(&seen["raw_data"]);
    let nothing = recorded["raw_data"].as_object().is_some_and(serde_json::Map::is_empty);
    if real_monitor && nothing && is_dashboard(dashboard) {
        notes.decided(REAL_MONITOR);
    } else {
        compare::values(&format!("{at}.raw_data"), &recorded["raw_data"], &seen["raw_data"], &[], notes, out);
    }
    let text = |payload: &Value| payload["report"].as_str().unwrap_or_default().to_owned();
    let (old, new) = (text(recorded), text(seen));
    let at = format!("{at}.report");
    let (old_lines, new_lines): (Vec<&str>, Vec<&str>) =
        (old.split('\n').collect(), new.split('\n').collect());
    if old_lines.len() != new_lines.len() {
        out.push(Difference::new(at, old, new));
        return;
    }
    let mut section = None;
    for (n, (old, new)) in old_lines.into_iter().zip(new_lines).enumerate() {
        let at = format!("{at}[{n}]");
        section = MEMBERS.iter().find(|(heading, ..)| *heading == old).or(section);
        if let (Some(old), Some(new)) = (old.strip_prefix(GENERATED), new.strip_prefix(GENERATED)) {
            compare::values(&at, &old.into(), &new.into(), &[], notes, out);
        } else if let Some((_, member, missing)) =
            section.filter(|_| !old.is_empty() && !old.starts_with('#'))
        {
            if says(new, member, missing, dashboard, &seen["raw_data"]) {
                notes.decided(SECTIONS);
            } else {
                out.push(Difference::new(at, *member, new));
            }
        } else if old != new {
            out.push(Difference::new(at, old, new));
        }
    }
}

/// Whether a section's line is the member as JSON; a detailed report has the agents' own reports.
fn says(line: &str, member: &str, missing: &str, dashboard: &Value, data: &Value) -> bool {
    let Some((_, json)) = line.split_once(": ") else { return false };
    let missing: Value = serde_json::from_str(missing).unwrap_or_default();
    let agents = data.get("agents").filter(|_| member == "agent_profiles");
    let said = agents.or_else(|| dashboard.get(member)).unwrap_or(&missing);
    serde_json::from_str::<Value>(json).is_ok_and(|json| json == *said)
}
