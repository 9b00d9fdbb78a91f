//! The text of a report.

use serde_json::{Value, json};

use crate::legacy::{
    Hazard, Hazards,
    plain::{self, Raised},
};

/// The agents of a detailed report, in their order.
pub(super) const AGENTS: [&str; 5] = [
    "TriageSubAgent",
    "DataSubAgent",
    "OptimizationsCoreSubAgent",
    "ActionsToMeetGoalsSubAgent",
    "ReportingSubAgent",
];

/// Stands for the reading of a clock, which a model has not.
pub(super) const TIME: &str = "<time>";

/// What a report of an unknown type is about.
pub(super) fn unknown_type() -> Value {
    json!({"error": "Unknown report type"})
}

/// A section: its heading, the words before its value, the member that it looked for, what stands for a missing one, and
/// the member that the service has.
type Section = (&'static str, &'static str, &'static str, &'static str, &'static str);

const SECTIONS: [Section; 4] = [
    ("Overall Statistics", "Total responses", "total_responses", "0", "overall_stats"),
    ("Quality Distribution", "Quality scores", "quality_scores", "{}", "quality_distribution"),
    ("Agent Performance", "Agent metrics", "agent_metrics", "{}", "agent_profiles"),
    ("Recent Alerts", "Recent alerts", "recent_alerts", "[]", "recent_alerts"),
];

/// The report on some data. Q6: it looks for members that no service has.
pub(super) fn markdown(report_type: &Value, data: &Value, hazards: Hazards) -> Result<String, Raised> {
    let Some(report_type) = report_type.as_str() else {
        return Err(Raised::no_attribute(report_type, "title"));
    };
    let Value::Object(members) = data else { return Err(Raised::no_attribute(data, "get")) };
    let title = plain::title(report_type);
    let mut text = format!("# AI Quality Report\n\n**Generated:** {TIME}\n**Type:** {title}\n\n");
    for (heading, words, sought, missing, real) in SECTIONS {
        let name = if hazards.has(Hazard::Q6) { sought } else { real };
        let value = members.get(name).map_or_else(|| missing.to_owned(), plain::str);
        text.push_str(&format!("## {heading}\n\n{words}: {value}\n\n"));
    }
    Ok(text)
}
