//! `[agent]`: what a run looks like.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::count::{CountWeights, Counts};
use super::share::{Share, Weight};
use super::size::SizeRange;
use super::time::{Micros, MicrosRange};

/// `[agent]`: the scripted agent's runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// Weights of the number of tools per run. Default { 0 = 15, 1 = 45, 2 = 20, 3 = 12, "4..6" = 8 }
    /// (assumption; tests use 1 to 4). At most 64.
    pub tools_per_run: CountWeights,
    /// Share of runs with several tools that run them in parallel. Default 0.25 (assumption).
    pub parallel_share: Share,
    /// Thinking events per run. Default "1..3" (legacy tests). At most 64.
    pub thinking: Counts,
    /// Pause before each thinking event, before a tool and before the answer. Default "100ms..2s" (legacy
    /// tests).
    pub thinking_gap: MicrosRange,
    /// From the start of the run to its first event. Default "5ms..50ms" (expectation: first event within 100
    /// ms).
    pub start_delay: MicrosRange,
    /// Shortest time between two events of one run; closer ones move apart. Default "0s".
    pub event_gap: Micros,
    /// The tools, with duration estimates and weights. Default: twelve tools, one for each estimate of the
    /// dispatcher.
    pub tools: Vec<Tool>,
    /// Multiplier of every tool's estimate. Default 1.
    #[serde(deserialize_with = "super::share::scale")]
    #[schemars(range(min = 0.001, max = 100))]
    pub tool_scale: f64,
    /// Tool durations are estimate x log-normal(1, this). Default 0.5 (workload model).
    #[serde(deserialize_with = "super::share::sigma")]
    #[schemars(range(min = 0, max = 5))]
    pub tool_sigma: f64,
    /// Longer tool durations are cut to this. Default "25s", at most "30s", the dispatcher's own deadline.
    pub tool_max: Micros,
    /// Size of the task description in the first event. Default "20B..120B".
    pub task_bytes: SizeRange,
    /// Size of the reasoning in a thinking event. Default "20B..500B" (workload model 10 to 500; the canary
    /// takes 20).
    pub thinking_bytes: SizeRange,
    /// Size of a tool's result. Default "20B..500B" (the sanitiser cuts at 500 characters).
    pub result_bytes: SizeRange,
    /// Size of the answer. Default "20B..4000B" (workload model).
    pub answer_bytes: SizeRange,
    /// Share of runs in which one tool fails; the run goes on. Default 0.03 (assumption). Runs without tools
    /// cannot.
    pub tool_error_share: Share,
    /// Share of runs that end with an agent error. Default 0.01 (assumption).
    pub agent_error_share: Share,
    /// Share of runs whose agent falls silent until the deadline ends the run. Default 0.005 (assumption).
    pub timeout_share: Share,
    /// Share of runs whose agent also reports what it must not: an event that names another user, a second start, an
    /// event after its end. All of it is refused. Default 0. In virtual time only.
    #[serde(skip_serializing_if = "Share::is_zero")]
    pub unruly_share: Share,
    /// Share of runs whose agent does not hear that its run was ended and goes on reporting. All of it is refused.
    /// Default 0. In virtual time only.
    #[serde(skip_serializing_if = "Share::is_zero")]
    pub deaf_share: Share,
    /// Share of runs whose agent has its tools run by the router instead of reporting their events itself. Default 0.
    /// In virtual time only.
    #[serde(skip_serializing_if = "Share::is_zero")]
    pub dispatched_share: Share,
}

impl Default for Agent {
    fn default() -> Self {
        let only = |count| Counts::new(count, count);
        Self {
            tools_per_run: CountWeights::new(&[
                (only(0), 15),
                (only(1), 45),
                (only(2), 20),
                (only(3), 12),
                (Counts::new(4, 6), 8),
            ]),
            parallel_share: Share::new(0.25),
            thinking: Counts::new(1, 3),
            thinking_gap: MicrosRange::new(100_000, 2_000_000),
            start_delay: MicrosRange::new(5_000, 50_000),
            event_gap: Micros::new(0),
            tools: default_tools(),
            tool_scale: 1.0,
            tool_sigma: 0.5,
            tool_max: Micros::from_ms(25_000),
            task_bytes: SizeRange::new(20, 120),
            thinking_bytes: SizeRange::new(20, 500),
            result_bytes: SizeRange::new(20, 500),
            answer_bytes: SizeRange::new(20, 4_000),
            tool_error_share: Share::new(0.03),
            agent_error_share: Share::new(0.01),
            timeout_share: Share::new(0.005),
            unruly_share: Share::new(0.0),
            deaf_share: Share::new(0.0),
            dispatched_share: Share::new(0.0),
        }
    }
}

/// One tool of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Its name, as in `tool_name` of the tool events; 1 to 100 characters.
    pub name: String,
    /// Median duration before `tool_scale`. Default: the dispatcher's estimate for the name.
    #[serde(default)]
    pub estimate: Option<Micros>,
    /// How often it is chosen. Default 1.
    #[serde(default = "Tool::default_weight")]
    pub weight: Weight,
}

impl Tool {
    const fn default_weight() -> Weight {
        Weight::new(1)
    }

    /// The given estimate, or the dispatcher's for the name, in microseconds.
    pub fn estimate_us(&self) -> u64 {
        self.estimate.map_or_else(|| estimate_for(&self.name).us(), Micros::us)
    }
}

/// The dispatcher's duration estimate: the first of these words that the name contains decides.
pub fn estimate_for(tool: &str) -> Micros {
    Micros::from_ms(router::tools::estimate_ms(tool))
}

/// One tool for each estimate; the weights (assumption) make the common ones short, so that runs typically
/// end within 30 s.
fn default_tools() -> Vec<Tool> {
    let rows = [
        ("search_corpus", 25),
        ("query_metrics", 20),
        ("validate_synthetic_data", 10),
        ("cost_calculation", 10),
        ("data_transformation", 8),
        ("fetch_profile", 7),
        ("export_corpus", 5),
        ("generate_report", 5),
        ("llm_summary", 4),
        ("import_dataset", 3),
        ("analyze_corpus", 2),
        ("optimize_workload", 1),
    ];
    rows.map(|(name, weight)| Tool { name: name.to_owned(), estimate: None, weight: Weight::new(weight) })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_take_the_first_word_that_matches() {
        assert_eq!(estimate_for("search_query"), Micros::from_ms(3_000));
        assert_eq!(estimate_for("optimize_workload"), Micros::from_ms(30_000));
        assert_eq!(estimate_for("fetch_profile"), Micros::from_ms(5_000));
    }

    #[test]
    fn the_default_tools_cover_every_estimate() {
        let estimates: std::collections::BTreeSet<u64> =
            default_tools().iter().map(Tool::estimate_us).collect();
        let ms = [2_000, 3_000, 5_000, 8_000, 10_000, 12_000, 15_000, 30_000];
        assert_eq!(estimates, ms.map(|ms| ms * 1_000).into());
    }
}
