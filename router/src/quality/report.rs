//! The quality report: which questions it takes, and its Markdown.

use alloc::{
    borrow::Cow,
    collections::BTreeMap,
    string::{String, ToString},
};

use serde_json::value::RawValue;

use crate::{contract::Instant, wire::Writer};

/// The agents of a detailed report, in its order.
pub(crate) const REPORT_AGENTS: [&str; 5] = [
    "TriageSubAgent",
    "DataSubAgent",
    "OptimizationsCoreSubAgent",
    "ActionsToMeetGoalsSubAgent",
    "ReportingSubAgent",
];

/// Hours of a named period: a week has 168, a day and everything else 24.
pub(crate) fn period_hours(period: Option<&str>) -> u32 {
    if period == Some("week") { 168 } else { 24 }
}

/// A section: its title, what its line begins with, the service's member, and what stands for a missing one.
const SECTIONS: [(&str, &str, &str, &str); 4] = [
    ("Overall Statistics", "Overall statistics", "overall_stats", "{}"),
    ("Quality Distribution", "Quality scores", "quality_distribution", "{}"),
    ("Agent Performance", "Agent metrics", "agent_profiles", "{}"),
    ("Recent Alerts", "Recent alerts", "recent_alerts", "[]"),
];

/// The report as Markdown. `dashboard` is what the monitor answered, any JSON; `agents`, a JSON object, takes the
/// place of the dashboard's own agents in a detailed report.
pub(crate) fn markdown(now: Instant, report_type: &str, dashboard: &str, agents: Option<&str>) -> String {
    let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(dashboard).unwrap_or_default();
    let mut w = Writer::default();
    w.iso("", now);
    let generated = w.finish().trim_matches('"');
    let mut text = String::from("# AI Quality Report\n\n**Generated:** ");
    text.push_str(generated);
    text.push_str("\n**Type:** ");
    text.push_str(&title_case(report_type));
    text.push_str("\n\n");
    for (title, lead, member, missing) in SECTIONS {
        let own = members.get(member).map_or(missing, |raw| raw.get());
        let json = agents.filter(|_| member == "agent_profiles").unwrap_or(own);
        // A line break in JSON is only ever white space between its tokens.
        let json = json.replace(['\n', '\r'], " ");
        for part in ["## ", title, "\n\n", lead, ": ", &json, "\n\n"] {
            text.push_str(part);
        }
    }
    text
}

/// Each run of letters begins with a capital and goes on in small letters.
fn title_case(text: &str) -> String {
    let mut inside = false;
    let mut title = String::with_capacity(text.len());
    for c in text.chars() {
        if inside {
            title.extend(c.to_lowercase());
        } else {
            title.push_str(&c.to_uppercase().to_string());
        }
        inside = c.is_alphabetic();
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_micros(1_700_000_000_000_000);

    #[test]
    fn sections_stand_in_order_with_the_services_members() {
        let dashboard = "{\"recent_alerts\":[1],\"overall_stats\":{\"n\":\n3},\"agent_profiles\":{\"a\":1}}";
        let text = markdown(NOW, "sUMMARY", dashboard, None);
        let expected = "# AI Quality Report\n\n**Generated:** 2023-11-14T22:13:20.000000Z\n**Type:** Summary\n\n\
            ## Overall Statistics\n\nOverall statistics: {\"n\": 3}\n\n\
            ## Quality Distribution\n\nQuality scores: {}\n\n\
            ## Agent Performance\n\nAgent metrics: {\"a\":1}\n\n\
            ## Recent Alerts\n\nRecent alerts: [1]\n\n";
        assert_eq!(text, expected);
        let detailed = markdown(NOW, "detailed", dashboard, Some("{\"b\":2}"));
        assert!(detailed.contains("Agent metrics: {\"b\":2}\n"));
    }

    #[test]
    fn a_service_that_answers_no_object_leaves_the_sections_empty() {
        for dashboard in ["null", "[]", "7", "\"text\"", "{}"] {
            assert!(markdown(NOW, "x", dashboard, None).contains("Recent alerts: []\n"), "{dashboard}");
        }
    }

    #[test]
    fn titles_are_cased_word_by_word() {
        for (text, title) in
            [("summary", "Summary"), ("my_report TYPE", "My_Report Type"), ("", ""), ("a1b", "A1B")]
        {
            assert_eq!(title_case(text), title);
        }
    }
}
