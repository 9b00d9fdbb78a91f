//! `objective.journey.*`: the whole ways that a scenario declares, from a message to its answer, milestone by milestone.

use reports::{Distribution, Domain, Fact, Metric, Unit};

use crate::dialect::RunEventKind;
use crate::plan::ExpectedRun;
use crate::scenario::{self, Micros, Milestone, Tier};
use crate::script::Terminal;

/// How one declared journey went, over all runs that were to make it.
#[derive(Clone, Debug)]
pub struct JourneyTimes {
    journey: scenario::Journey,
    /// Runs whose plan comes by all milestones.
    planned: u64,
    /// Of them, those that did, in order.
    complete: u64,
    /// From the first milestone to the last, microseconds.
    whole: Distribution,
    /// The same for each step and for the rest of the way, if there are steps.
    steps: Vec<Distribution>,
    /// The first run that did not, and what it lacks.
    first_missed: Option<String>,
}

/// When a run's milestones were seen for the first time on the tab that asked, microseconds; `u64::MAX`: not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Milestones([u64; Milestone::COUNT]);

impl Milestones {
    pub(super) fn sent(at_us: u64) -> Self {
        let mut seen = [u64::MAX; Milestone::COUNT];
        seen[Milestone::Sent as usize] = at_us;
        Self(seen)
    }

    pub(super) fn event(&mut self, at_us: u64, event: RunEventKind) {
        let milestone = match event {
            RunEventKind::Started => Milestone::AgentStarted,
            RunEventKind::Thinking => Milestone::AgentThinking,
            RunEventKind::ToolExecuting => Milestone::ToolExecuting,
            RunEventKind::ToolCompleted => Milestone::ToolCompleted,
            RunEventKind::Completed => Milestone::AgentCompleted,
            RunEventKind::Error => Milestone::AgentError,
            RunEventKind::Progress => return,
        };
        let seen = &mut self.0[milestone as usize];
        *seen = (*seen).min(at_us);
    }

    fn at(&self, milestone: Milestone) -> Option<u64> {
        Some(self.0[milestone as usize]).filter(|at_us| *at_us < u64::MAX)
    }
}

impl JourneyTimes {
    /// A declared journey that nobody has made yet.
    pub fn new(journey: &scenario::Journey) -> Self {
        let parts = if journey.steps.is_empty() { 0 } else { journey.steps.len() + 1 };
        Self {
            journey: journey.clone(),
            planned: 0,
            complete: 0,
            whole: Distribution::new(),
            steps: vec![Distribution::new(); parts],
            first_missed: None,
        }
    }

    /// Takes in a run that is over, or whose user has left.
    pub(super) fn run(&mut self, request: &str, seen: &Milestones, expected: &ExpectedRun, tier: Tier) {
        let journey = &self.journey;
        let comes_by = |milestone| comes_by(expected, milestone);
        if journey.tier.is_some_and(|only| only != tier)
            || !comes_by(journey.from)
            || !journey.milestones().all(comes_by)
        {
            return;
        }
        let walked = walk(journey, seen);
        self.planned += 1;
        match walked {
            Ok(took_us) => {
                self.complete += 1;
                self.whole.record(took_us.iter().sum());
                for (times, took_us) in self.steps.iter_mut().zip(took_us) {
                    times.record(took_us);
                }
            }
            Err(what) => _ = self.first_missed.get_or_insert_with(|| format!("request {request} {what}")),
        }
    }

    /// Adds what another part of the users did.
    pub fn merge(&mut self, other: &Self) {
        self.planned += other.planned;
        self.complete += other.complete;
        self.whole.merge(&other.whole);
        for (times, others) in self.steps.iter_mut().zip(&other.steps) {
            times.merge(others);
        }
        self.first_missed = self.first_missed.take().or_else(|| other.first_missed.clone());
    }

    /// The objectives that were missed: rule, and what was, against what bound.
    pub fn missed_objectives(&self) -> Vec<(String, String)> {
        let Self { journey, planned, complete, .. } = self;
        let name = journey.name();
        let rule = format!("objective.journey.{name}");
        let mut missed = Vec::new();
        if (*complete as f64) < journey.complete.get() * *planned as f64 {
            let first = self.first_missed.as_deref().unwrap_or_default();
            let share = 100.0 * journey.complete.get();
            let detail = format!(
                "journey {name}: {complete} of {planned} came to their end in order, expected at least {share} %; {first}"
            );
            missed.push((rule.clone(), detail));
        }
        let whole = [(0.5, journey.p50), (0.99, journey.p99), (1.0, journey.max)];
        let steps = self.steps.iter().zip(&journey.steps).enumerate().map(|(number, (times, step))| {
            let way = format!("{}, from {} to {}", name, self.before(number).name(), step.to.name());
            (way, times, [(0.5, step.p50), (0.99, step.p99), (1.0, step.max)])
        });
        for (way, times, bounds) in [(name.clone(), &self.whole, whole)].into_iter().chain(steps) {
            for (quantile, bound) in bounds {
                let took_us = times.quantile(quantile);
                if let Some(bound) = bound.filter(|bound| !times.is_empty() && took_us > bound.us()) {
                    let which = if quantile < 1.0 {
                        format!("at the {}th percentile", (quantile * 100.0).round())
                    } else {
                        "at most".to_owned()
                    };
                    let took = Micros::new(took_us);
                    missed.push((
                        rule.clone(),
                        format!("journey {way}: {took} {which}, expected at most {bound}"),
                    ));
                }
            }
        }
        missed
    }

    /// The times as metrics.
    pub fn metrics(&self, domain: Domain) -> Vec<Metric> {
        let name = self.journey.name();
        let metric = |key: String, label: String, times: &Distribution| {
            (!times.is_empty()).then(|| times.to_metric(key, label, Unit::Microseconds, domain))
        };
        let whole = metric(format!("journey.{name}"), format!("journey {name}"), &self.whole);
        let steps = self.steps.iter().zip(self.journey.milestones()).enumerate();
        let steps = steps.filter_map(|(number, (times, to))| {
            let (from, to) = (self.before(number).name(), to.name());
            metric(format!("journey.{name}.{}", number + 1), format!("journey {name}: {from} to {to}"), times)
        });
        whole.into_iter().chain(steps).collect()
    }

    /// How many came to their end.
    pub fn fact(&self) -> Fact {
        let name = self.journey.name();
        let key = format!("journey_{}", name.replace('-', "_"));
        Fact::share(key, format!("journeys {name} complete and in order"), self.complete, self.planned)
    }

    /// The milestone from which a step leads.
    fn before(&self, step: usize) -> Milestone {
        match step.checked_sub(1).and_then(|before| self.journey.steps.get(before)) {
            Some(before) => before.to,
            None => self.journey.from,
        }
    }
}

/// How long each part of the way took, microseconds; or what is missing from it.
fn walk(journey: &scenario::Journey, seen: &Milestones) -> Result<Vec<u64>, String> {
    let at = |milestone: Milestone| seen.at(milestone).ok_or_else(|| format!("has no {}", milestone.name()));
    let mut before_us = at(journey.from)?;
    let mut took_us = Vec::new();
    for milestone in journey.milestones() {
        let at_us = at(milestone)?;
        let too_early = || format!("has {} too early", milestone.name());
        took_us.push(at_us.checked_sub(before_us).ok_or_else(too_early)?);
        before_us = at_us;
    }
    Ok(took_us)
}

/// Whether the plan of a run comes by a milestone.
fn comes_by(expected: &ExpectedRun, milestone: Milestone) -> bool {
    match milestone {
        Milestone::Sent | Milestone::AgentStarted => true,
        Milestone::AgentThinking => expected.thinking > 0,
        Milestone::ToolExecuting => expected.tools > 0,
        // A tool that was started is closed at the latest when its run ends.
        Milestone::ToolCompleted => expected.tools > 0,
        Milestone::AgentCompleted => expected.terminal == Terminal::Completed,
        Milestone::AgentError => expected.terminal != Terminal::Completed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::JourneyStep;

    fn expected(tools: u32, terminal: Terminal) -> ExpectedRun {
        ExpectedRun { terminal, thinking: 1, tools, tool_errors: 0, full_golden: tools > 0, ends_at_us: 0 }
    }

    fn seen(events: &[(u64, RunEventKind)]) -> Milestones {
        let mut seen = Milestones::sent(100);
        events.iter().for_each(|(at_us, event)| seen.event(*at_us, *event));
        seen
    }

    fn by_a_tool() -> scenario::Journey {
        let step = |to, max| JourneyStep { to, p50: None, p99: None, max };
        scenario::Journey {
            name: Some("tool".to_owned()),
            max: Some(Micros::new(500)),
            steps: vec![
                step(Milestone::ToolExecuting, None),
                step(Milestone::ToolCompleted, Some(Micros::new(100))),
            ],
            ..scenario::Journey::default()
        }
    }

    #[test]
    fn a_journey_is_timed_from_milestone_to_milestone() {
        let mut times = JourneyTimes::new(&by_a_tool());
        use RunEventKind::{Completed, Started, Thinking, ToolCompleted, ToolExecuting};
        let run = [
            (120, Started),
            (150, Thinking),
            (200, ToolExecuting),
            (250, ToolExecuting),
            (300, ToolCompleted),
            (600, Completed),
        ];
        times.run("m1", &seen(&run), &expected(2, Terminal::Completed), Tier::Free);
        assert_eq!(times.missed_objectives(), []);
        let metrics = times.metrics(Domain::Virtual);
        let told: Vec<_> = metrics.iter().map(|metric| (metric.key.as_str(), metric.max)).collect();
        assert_eq!(
            told,
            [
                ("journey.tool", 500),
                ("journey.tool.1", 100),
                ("journey.tool.2", 100),
                ("journey.tool.3", 300)
            ]
        );
        assert_eq!(metrics[2].label, "journey tool: tool_executing to tool_completed");
        assert_eq!(times.fact().shown(), "100 %");
    }

    #[test]
    fn a_run_that_is_to_go_another_way_makes_no_journey() {
        let mut times = JourneyTimes::new(&scenario::Journey { tier: Some(Tier::Mid), ..by_a_tool() });
        times.run("m1", &seen(&[]), &expected(0, Terminal::Completed), Tier::Mid);
        times.run("m2", &seen(&[]), &expected(1, Terminal::Cancelled), Tier::Mid);
        times.run("m3", &seen(&[]), &expected(1, Terminal::Completed), Tier::Free);
        assert_eq!((times.planned, times.missed_objectives()), (0, Vec::new()));
    }

    #[test]
    fn what_is_missed_names_journey_figure_and_bound() {
        use RunEventKind::{Completed, ToolCompleted, ToolExecuting};
        let plan = expected(1, Terminal::Completed);
        let mut times = JourneyTimes::new(&by_a_tool());
        times.run(
            "m1",
            &seen(&[(200, ToolExecuting), (400, ToolCompleted), (900, Completed)]),
            &plan,
            Tier::Free,
        );
        let mut others = JourneyTimes::new(&by_a_tool());
        others.run("m2", &seen(&[(200, ToolExecuting), (900, Completed)]), &plan, Tier::Free);
        others.run(
            "m3",
            &seen(&[(300, ToolExecuting), (200, ToolCompleted), (900, Completed)]),
            &plan,
            Tier::Free,
        );
        times.merge(&others);
        let missed = times.missed_objectives();
        assert!(missed.iter().all(|(rule, _)| rule == "objective.journey.tool"));
        let told: Vec<_> = missed.into_iter().map(|(_, detail)| detail).collect();
        assert_eq!(
            told,
            [
                "journey tool: 1 of 3 came to their end in order, expected at least 100 %; request m2 has no tool_completed",
                "journey tool: 800us at most, expected at most 500us",
                "journey tool, from tool_executing to tool_completed: 200us at most, expected at most 100us",
            ]
        );
    }
}
