//! The embedded monitor: counts and durations per agent, and alerts when a figure crosses its threshold.
//!
//! All figures of an agent are over its newest [`Config::quality_samples_max`] runs that say something about it:
//! a run that the user stopped, or that the drain ended, is counted and not judged.
//!
//! | figure | formula | alert above or below | severity |
//! |---|---|---|---|
//! | `response_time` | mean duration of a run, milliseconds | above 2000 | `warning` |
//! | `error_rate` | failed and timed out / judged | above 0.01 | `error` |
//! | `availability` | 100 × (judged − timed out) / judged | below 99.9 | `critical` |
//!
//! An alert is raised when its figure crosses the threshold, and not again before the figure was back on the good side.
//! The quality of a run is 0 if it failed or timed out; else 1 less half the share of its tool calls that went wrong.
//!
//! [`Config::quality_samples_max`]: crate::Config::quality_samples_max

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    string::String,
    vec::Vec,
};

use smallvec::SmallVec;

use super::{
    QualityMonitor, thousandths,
    verdict::{LEVELS, level},
};
use crate::{config::Config, contract::Instant, fingerprint::Walk, wire::Writer};

/// Alerts that a dashboard shows, newest last.
const RECENT_ALERTS_MAX: usize = 32;
/// Where the runs of agents beyond the limit are counted.
const OTHERS: &str = "(others)";
/// Where the runs of agents that never said their name are counted.
const UNKNOWN: &str = "unknown_agent";
/// One hour in microseconds.
const HOUR_US: u64 = 3_600_000_000;

/// How a run ended, as the monitor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// With its answer.
    Completed,
    /// With an error of its own.
    Failed,
    /// By its user.
    Cancelled,
    /// By its deadline.
    TimedOut,
    /// By the drain.
    ShutDown,
}

/// One run that ended.
#[derive(Clone, Copy, Debug)]
pub struct RunSeen<'a> {
    /// Who worked on it; empty if it never said so.
    pub agent: &'a str,
    /// How it ended.
    pub end: RunEnd,
    /// When.
    pub at: Instant,
    /// From its request to its end, microseconds.
    pub duration_us: u64,
    /// Tool calls that ended.
    pub tools: u32,
    /// Tool calls that ended otherwise than completed.
    pub tool_errors: u32,
}

/// A figure with a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Mean duration of a run, milliseconds.
    ResponseTime,
    /// Share of runs that failed or timed out.
    ErrorRate,
    /// Percentage of runs that did not time out.
    Availability,
}

impl Metric {
    /// All of them.
    pub const ALL: [Metric; 3] = [Metric::ResponseTime, Metric::ErrorRate, Metric::Availability];

    /// The name in alerts.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::ResponseTime => "response_time",
            Metric::ErrorRate => "error_rate",
            Metric::Availability => "availability",
        }
    }

    /// Severity of its alerts.
    pub const fn severity(self) -> &'static str {
        match self {
            Metric::ResponseTime => "warning",
            Metric::ErrorRate => "error",
            Metric::Availability => "critical",
        }
    }

    /// The threshold, in thousandths.
    const fn threshold(self) -> u64 {
        match self {
            Metric::ResponseTime => 2_000_000,
            Metric::ErrorRate => 10,
            Metric::Availability => 99_900,
        }
    }

    const fn is_bad(self, value: u64) -> bool {
        match self {
            Metric::ResponseTime | Metric::ErrorRate => value > self.threshold(),
            Metric::Availability => value < self.threshold(),
        }
    }
}

/// A figure that crossed its threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Whose figure.
    pub agent: Box<str>,
    /// Which figure.
    pub metric: Metric,
    /// What it is now, in thousandths of the figure's unit.
    pub value: u64,
    /// When it crossed.
    pub at: Instant,
}

impl Alert {
    /// The alert as a JSON object: the payload of a `quality_alert`.
    pub fn json(&self) -> String {
        let mut w = Writer::default();
        self.write(&mut w, "{\"agent\":");
        w.finish().into()
    }

    fn write(&self, w: &mut Writer, open: &str) {
        w.text(open, &self.agent);
        w.text(",\"metric\":", self.metric.name());
        thousandths(w, ",\"value\":", self.value);
        thousandths(w, ",\"threshold\":", self.metric.threshold());
        w.text(",\"severity\":", self.metric.severity());
        w.iso(",\"timestamp\":", self.at);
        w.raw("}");
    }
}

/// One judged run of the window.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    duration_ms: u32,
    quality: u16,
    end: RunEnd,
    tools: u32,
    tool_errors: u32,
}

/// Sums over samples.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    runs: u64,
    failed: u64,
    timed_out: u64,
    duration_ms: u64,
    quality: u64,
    levels: [u64; LEVELS.len()],
    tools: u64,
    tool_errors: u64,
}

impl Sums {
    fn add(&mut self, sample: &Sample) {
        self.apply(sample, |sum, part| *sum += part);
    }

    fn subtract(&mut self, sample: &Sample) {
        self.apply(sample, |sum, part| *sum -= part);
    }

    fn apply(&mut self, sample: &Sample, change: impl Fn(&mut u64, u64)) {
        change(&mut self.runs, 1);
        change(&mut self.failed, u64::from(sample.end == RunEnd::Failed));
        change(&mut self.timed_out, u64::from(sample.end == RunEnd::TimedOut));
        change(&mut self.duration_ms, u64::from(sample.duration_ms));
        change(&mut self.quality, u64::from(sample.quality));
        let name = level(u64::from(sample.quality));
        for (slot, (known, _)) in self.levels.iter_mut().zip(LEVELS) {
            change(slot, u64::from(known == name));
        }
        change(&mut self.tools, u64::from(sample.tools));
        change(&mut self.tool_errors, u64::from(sample.tool_errors));
    }

    /// A figure in thousandths; without runs, the best there is.
    fn figure(&self, metric: Metric) -> u64 {
        let runs = self.runs.max(1);
        match metric {
            Metric::ResponseTime => self.duration_ms * 1000 / runs,
            Metric::ErrorRate => (self.failed + self.timed_out) * 1000 / runs,
            // Rounded in the agent's favour.
            Metric::Availability => 100_000 - self.timed_out * 100_000 / runs,
        }
    }

    fn average_quality(&self) -> u64 {
        self.quality.checked_div(self.runs).unwrap_or(0)
    }
}

/// What is known of one agent.
#[derive(Clone, Debug, Default)]
struct Profile {
    /// Runs that ended, judged or not, since the beginning.
    ended: u64,
    cancelled: u64,
    newest: VecDeque<Sample>,
    sums: Sums,
    /// Which figures are on the bad side.
    alarmed: [bool; Metric::ALL.len()],
}

/// The embedded monitor. Memory is bounded by [`Config::quality_agents_max`] × [`Config::quality_samples_max`].
///
/// [`Config::quality_agents_max`]: crate::Config::quality_agents_max
/// [`Config::quality_samples_max`]: crate::Config::quality_samples_max
#[derive(Clone, Debug)]
pub struct Monitor {
    agents_max: usize,
    samples_max: usize,
    /// Where each agent's profile stands.
    agents: BTreeMap<Box<str>, u32>,
    profiles: Vec<Profile>,
    recent: VecDeque<Alert>,
    ended: u64,
}

impl Monitor {
    /// A monitor that has seen nothing.
    pub fn new(config: &Config) -> Self {
        Self {
            agents_max: config.quality_agents_max as usize,
            samples_max: config.quality_samples_max as usize,
            agents: BTreeMap::new(),
            profiles: Vec::new(),
            recent: VecDeque::new(),
            ended: 0,
        }
    }

    /// Takes in a run that ended; answers the alerts that it raised, in the order of [`Metric::ALL`]. Costs one
    /// look-up among the agents' names.
    pub fn observe(&mut self, run: &RunSeen<'_>) -> SmallVec<[Alert; 3]> {
        self.ended += 1;
        let samples_max = self.samples_max;
        let (agent, profile) = self.profile(run.agent);
        profile.ended += 1;
        if matches!(run.end, RunEnd::Cancelled | RunEnd::ShutDown) {
            profile.cancelled += 1;
            return SmallVec::new();
        }
        if profile.newest.len() >= samples_max
            && let Some(oldest) = profile.newest.pop_front()
        {
            profile.sums.subtract(&oldest);
        }
        let sample = Sample {
            at: run.at,
            duration_ms: u32::try_from(run.duration_us / 1000).unwrap_or(u32::MAX),
            quality: quality(run),
            end: run.end,
            tools: run.tools,
            tool_errors: run.tool_errors,
        };
        profile.newest.push_back(sample);
        profile.sums.add(&sample);
        let mut raised: SmallVec<[Alert; 3]> = SmallVec::new();
        for (metric, alarmed) in Metric::ALL.into_iter().zip(&mut profile.alarmed) {
            let value = profile.sums.figure(metric);
            let bad = metric.is_bad(value);
            if bad && !*alarmed {
                raised.push(Alert { agent: agent.into(), metric, value, at: run.at });
            }
            *alarmed = bad;
        }
        for alert in &raised {
            if self.recent.len() >= RECENT_ALERTS_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(alert.clone());
        }
        raised
    }

    /// What decides which alerts are raised.
    pub(crate) fn digest(&self, walk: &mut Walk<'_>) {
        walk.len(self.agents.len());
        for (name, profile) in self.known() {
            walk.text(name);
            profile.alarmed.iter().for_each(|on| walk.flag(*on));
            walk.len(profile.newest.len());
            for sample in &profile.newest {
                let Sample { at, duration_ms, quality, end, tools, tool_errors } = *sample;
                walk.time(at);
                for number in [duration_ms, u32::from(quality), end as u32, tools, tool_errors] {
                    walk.number(u64::from(number));
                }
            }
        }
    }

    /// How many agents are told apart.
    pub(crate) fn agents_len(&self) -> usize {
        self.agents.len()
    }

    /// Runs that ended, over all agents.
    pub const fn runs_seen(&self) -> u64 {
        self.ended
    }

    /// Alerts whose figure is still on the bad side, of all metrics or of one.
    pub fn alarmed(&self, metric: Option<Metric>) -> u64 {
        let figures = self.profiles.iter().flat_map(|profile| Metric::ALL.into_iter().zip(profile.alarmed));
        figures.filter(|(known, on)| *on && metric.is_none_or(|metric| metric == *known)).count() as u64
    }

    /// The agent's profile, or that of all others when there are too many.
    fn profile<'n>(&mut self, agent: &'n str) -> (&'n str, &mut Profile) {
        let named = if agent.is_empty() { UNKNOWN } else { agent };
        let full = self.agents.len() + 1 >= self.agents_max;
        let (named, at) = match self.agents.get(named) {
            Some(at) => (named, *at),
            None if full => (OTHERS, self.agents.get(OTHERS).copied().unwrap_or(u32::MAX)),
            None => (named, u32::MAX),
        };
        let at = if at == u32::MAX {
            self.profiles.push(Profile::default());
            let last = self.profiles.len() as u32 - 1;
            self.agents.insert(named.into(), last);
            last
        } else {
            at
        };
        (named, &mut self.profiles[at as usize])
    }

    fn known(&self) -> impl Iterator<Item = (&str, &Profile)> {
        self.agents.iter().map(|(name, at)| (&**name, &self.profiles[*at as usize]))
    }
}

/// The quality of a run, 0 to 1000.
fn quality(run: &RunSeen<'_>) -> u16 {
    if run.end != RunEnd::Completed {
        return 0;
    }
    let lost = 500 * u64::from(run.tool_errors.min(run.tools)) / u64::from(run.tools.max(1));
    (1000 - lost) as u16
}

impl QualityMonitor for Monitor {
    fn dashboard(&self, now: Instant) -> String {
        let mut all = Sums::default();
        for profile in &self.profiles {
            all.runs += profile.sums.runs;
            all.quality += profile.sums.quality;
            for (sum, part) in all.levels.iter_mut().zip(profile.sums.levels) {
                *sum += part;
            }
        }
        let mut w = Writer::default();
        thousandths(&mut w, "{\"overall_stats\":{\"average_quality\":", all.average_quality());
        w.number(",\"total_events\":", self.ended);
        w.number(",\"active_alerts\":", self.alarmed(None));
        w.number(",\"critical_alerts\":", self.alarmed(Some(Metric::Availability)));
        w.raw("},\"agent_profiles\":{");
        for (n, (name, profile)) in self.known().enumerate() {
            w.text(if n == 0 { "" } else { "," }, name);
            w.number(":{\"total_runs\":", profile.ended);
            write_figures(&mut w, &profile.sums);
            w.raw("}");
        }
        w.raw("},\"quality_distribution\":{");
        for (n, ((name, _), count)) in LEVELS.into_iter().zip(all.levels).enumerate() {
            w.text(if n == 0 { "" } else { "," }, name);
            w.number(":", count);
        }
        w.raw("},\"recent_alerts\":[");
        for (n, alert) in self.recent.iter().enumerate() {
            alert.write(&mut w, if n == 0 { "{\"agent\":" } else { ",{\"agent\":" });
        }
        w.iso("],\"timestamp\":", now);
        w.raw("}");
        w.finish().into()
    }

    fn agent_report(&self, agent: &str, hours: u32, now: Instant) -> String {
        let mut w = Writer::default();
        let Some((_, profile)) = self.known().find(|(name, _)| *name == agent) else {
            w.text("{\"error\":", &alloc::format!("No data for agent {agent}"));
            w.raw("}");
            return w.finish().into();
        };
        let period_us = u64::from(hours).saturating_mul(HOUR_US);
        let mut sums = Sums::default();
        for sample in profile.newest.iter().filter(|sample| now.since(sample.at) <= period_us) {
            sums.add(sample);
        }
        w.text("{\"agent\":", agent);
        w.number(",\"period_hours\":", u64::from(hours));
        w.number(",\"total_runs\":", sums.runs);
        w.number(",\"completed\":", sums.runs - sums.failed - sums.timed_out);
        w.number(",\"failed\":", sums.failed);
        w.number(",\"timed_out\":", sums.timed_out);
        w.number(",\"tools\":", sums.tools);
        w.number(",\"tool_errors\":", sums.tool_errors);
        write_figures(&mut w, &sums);
        w.raw(",\"active_alerts\":[");
        let alarmed = Metric::ALL.into_iter().zip(profile.alarmed).filter(|(_, on)| *on);
        for (n, (metric, _)) in alarmed.enumerate() {
            w.text(if n == 0 { "" } else { "," }, metric.name());
        }
        w.iso("],\"timestamp\":", now);
        w.raw("}");
        w.finish().into()
    }
}

fn write_figures(w: &mut Writer, sums: &Sums) {
    thousandths(w, ",\"average_quality\":", sums.average_quality());
    thousandths(w, ",\"response_time\":", sums.figure(Metric::ResponseTime));
    thousandths(w, ",\"error_rate\":", sums.figure(Metric::ErrorRate));
    thousandths(w, ",\"availability\":", sums.figure(Metric::Availability));
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const SECOND: u64 = 1_000_000;

    fn seen(agent: &str, end: RunEnd, second: u64) -> RunSeen<'_> {
        let at = Instant::from_micros(second * SECOND);
        RunSeen { agent, end, at, duration_us: 100_000, tools: 2, tool_errors: 0 }
    }

    fn monitor(agents: u32, samples: u32) -> Monitor {
        Monitor::new(&Config {
            quality_agents_max: agents,
            quality_samples_max: samples,
            ..Config::default()
        })
    }

    fn raised(monitor: &mut Monitor, run: &RunSeen<'_>) -> Vec<&'static str> {
        monitor.observe(run).iter().map(|alert| alert.metric.severity()).collect()
    }

    fn parsed(json: &str) -> Value {
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn each_threshold_raises_once_until_the_figure_is_good_again() {
        let mut monitor = monitor(8, 2);
        assert!(raised(&mut monitor, &seen("a", RunEnd::Completed, 1)).is_empty());
        assert_eq!(raised(&mut monitor, &seen("a", RunEnd::Failed, 2)), ["error"]);
        assert!(raised(&mut monitor, &seen("a", RunEnd::Failed, 3)).is_empty());
        assert_eq!(raised(&mut monitor, &seen("a", RunEnd::TimedOut, 4)), ["critical"]);
        for second in 5..7 {
            assert!(raised(&mut monitor, &seen("a", RunEnd::Completed, second)).is_empty());
        }
        assert_eq!(monitor.alarmed(None), 0);
        assert_eq!(raised(&mut monitor, &seen("a", RunEnd::TimedOut, 8)), ["error", "critical"]);
        let slow = RunSeen { duration_us: 60 * SECOND, ..seen("b", RunEnd::Completed, 9) };
        assert_eq!(raised(&mut monitor, &slow), ["warning"]);
        let even = RunSeen { duration_us: 2 * SECOND, ..seen("c", RunEnd::Completed, 9) };
        assert!(raised(&mut monitor, &even).is_empty(), "2000 ms is not above 2000 ms");
    }

    #[test]
    fn stopped_runs_are_counted_and_not_judged() {
        let mut monitor = monitor(8, 8);
        assert!(raised(&mut monitor, &seen("a", RunEnd::Cancelled, 1)).is_empty());
        assert!(raised(&mut monitor, &seen("a", RunEnd::ShutDown, 1)).is_empty());
        let report = parsed(&monitor.agent_report("a", 24, Instant::from_micros(SECOND)));
        assert_eq!((report["total_runs"].clone(), report["error_rate"].clone()), (0.into(), 0.into()));
        assert_eq!(monitor.runs_seen(), 2);
    }

    #[test]
    fn dashboard_and_reports_say_what_was_seen() {
        let mut monitor = monitor(8, 100);
        for second in 0..9 {
            monitor.observe(&seen("triage", RunEnd::Completed, second));
        }
        monitor.observe(&RunSeen { tool_errors: 1, ..seen("triage", RunEnd::Completed, 9) });
        monitor.observe(&seen("data", RunEnd::Failed, 7200));
        let now = Instant::from_micros(7200 * SECOND);
        let dashboard = parsed(&monitor.dashboard(now));
        assert_eq!(dashboard["overall_stats"]["total_events"], 11);
        assert_eq!(dashboard["overall_stats"]["active_alerts"], 1);
        assert_eq!(dashboard["quality_distribution"]["excellent"], 9);
        assert_eq!(dashboard["quality_distribution"]["good"], 1);
        assert_eq!(dashboard["quality_distribution"]["poor"], 1);
        assert_eq!(dashboard["agent_profiles"]["data"]["error_rate"], 1);
        assert_eq!(dashboard["recent_alerts"][0]["metric"], "error_rate");
        assert_eq!(dashboard["recent_alerts"][0]["threshold"], 0.01);
        let report = parsed(&monitor.agent_report("triage", 24, now));
        assert_eq!((report["total_runs"].clone(), report["tool_errors"].clone()), (10.into(), 1.into()));
        assert_eq!(report["average_quality"], 0.975);
        let report = parsed(&monitor.agent_report("triage", 1, now));
        assert_eq!(report["total_runs"], 0, "two hours ago is outside of one hour");
        let unknown = parsed(&monitor.agent_report("nobody", 24, now));
        assert_eq!(unknown, serde_json::json!({"error": "No data for agent nobody"}));
    }

    #[test]
    fn memory_is_bounded_and_the_sums_are_those_of_the_window() {
        let mut monitor = monitor(3, 4);
        for n in 0..1000 {
            let name = std::format!("agent-{}", n % 7);
            let end = if n % 3 == 0 { RunEnd::Failed } else { RunEnd::Completed };
            monitor.observe(&seen(&name, end, n));
        }
        assert_eq!(monitor.agents.len(), 3);
        assert!(monitor.agents.contains_key(OTHERS));
        for profile in &monitor.profiles {
            assert!(profile.newest.len() <= 4);
            let mut sums = Sums::default();
            profile.newest.iter().for_each(|sample| sums.add(sample));
            assert_eq!(std::format!("{sums:?}"), std::format!("{:?}", profile.sums));
        }
        assert!(monitor.recent.len() <= RECENT_ALERTS_MAX);
    }
}
