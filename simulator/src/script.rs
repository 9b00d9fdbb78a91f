//! What the scripted agent does in one run: a pure function of the scenario's agent, the seed, the user and
//! the message.
//!
//! The simulator's agent actor and the real server's scripted agent play the same script, and the plan reads
//! it ahead of time to know how each run ends and how long it takes.
//!
//! A script is a legal word of the run automaton: started first; a tool ends after it started; parallel tools
//! start in order and end as they finish; the answer comes when no tool is open. An agent error may come
//! while tools are open: the router closes them.

mod beats;
mod filler;
mod lines;
mod written;

use crate::prng::{Domain, LogUniform, Prng};
use crate::scenario::{Agent, Micros, Scenario};

pub use filler::{CANARY_BYTES, canary_in, filler, render};
pub use lines::Lines;
pub use written::{steps, written};

/// What a scenario says about agents, with the deadline that ends their runs.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentProfile {
    /// The scenario's `[agent]`.
    pub agent: Agent,
    /// The agent deadline in force, microseconds from the start of the run.
    pub deadline_us: u64,
    sizes: Sizes,
}

/// The sizes of an agent's texts, ready to be drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sizes {
    task: LogUniform,
    thinking: LogUniform,
    result: LogUniform,
    answer: LogUniform,
}

impl From<&Agent> for Sizes {
    fn from(agent: &Agent) -> Self {
        Self {
            task: agent.task_bytes.sampler(),
            thinking: agent.thinking_bytes.sampler(),
            result: agent.result_bytes.sampler(),
            answer: agent.answer_bytes.sampler(),
        }
    }
}

impl From<&Scenario> for AgentProfile {
    fn from(scenario: &Scenario) -> Self {
        let mut agent = scenario.agent.clone();
        for tool in &mut agent.tools {
            // Looked up by name once, and not in every run.
            tool.estimate = Some(Micros::new(tool.estimate_us()));
        }
        Self { sizes: Sizes::from(&agent), agent, deadline_us: scenario.limits.agent_deadline_us() }
    }
}

/// One run of the scripted agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// `agent_name` of the run's events.
    pub agent_name: &'static str,
    /// What happens, ordered by time; simultaneous beats in the order given.
    pub beats: Vec<Beat>,
    /// How the run ends if nobody interferes.
    pub terminal: Terminal,
    /// When it ends, microseconds from its start: the last beat, or the agent deadline if the agent falls
    /// silent.
    pub end_us: u64,
}

impl Script {
    /// Tools that are started.
    pub fn tools(&self) -> u32 {
        self.count(|step| matches!(step, Step::ToolStart { .. }))
    }

    /// Tools that end with an error.
    pub fn tool_errors(&self) -> u32 {
        self.count(|step| matches!(step, Step::ToolEnd { ok: false, .. }))
    }

    /// Thinking events.
    pub fn thinking(&self) -> u32 {
        self.count(|step| matches!(step, Step::Thinking { .. }))
    }

    fn count(&self, of: impl Fn(&Step) -> bool) -> u32 {
        self.beats.iter().filter(|beat| of(&beat.step)).count() as u32
    }
}

/// One thing the agent does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// When, microseconds from the start of the run.
    pub at_us: u64,
    /// What.
    pub step: Step,
}

/// What an agent can do. Sizes are those of the rendered text, bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `agent_started`.
    Started {
        /// Size of the task description.
        task_bytes: u32,
    },
    /// `agent_thinking`.
    Thinking {
        /// Size of the reasoning.
        bytes: u32,
        /// `step_number`, from 1.
        step: u32,
    },
    /// `tool_executing`.
    ToolStart {
        /// Number of the call within the run, from 0, in start order.
        call: u8,
        /// `tool_name`.
        tool: String,
    },
    /// `tool_completed`.
    ToolEnd {
        /// The call that ends.
        call: u8,
        /// Whether the tool succeeded.
        ok: bool,
        /// Time since its start, microseconds.
        duration_us: u64,
        /// Size of the result or of the error text.
        result_bytes: u32,
    },
    /// `agent_completed`.
    Answer {
        /// Size of the final response.
        bytes: u32,
    },
    /// `agent_error`.
    Fail {
        /// Stable code.
        code: &'static str,
        /// Text for the user.
        message: &'static str,
    },
    /// Nothing more until the deadline ends the run.
    Silence,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Terminal {
    /// `agent_completed`.
    Completed,
    /// `agent_error` by the agent itself.
    AgentError,
    /// The user stopped it.
    Cancelled,
    /// `agent_error` by the deadline.
    TimedOut,
}

impl Terminal {
    /// A word for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::AgentError => "agent_error",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }
}

/// The script of one run. `request_id` is the `message_id` of the message that asked for it.
///
/// A run that would outlast four fifths of the agent deadline is compressed to that, so that only planned
/// time-outs happen.
pub fn script(profile: &AgentProfile, seed: u64, user_id: &str, request_id: &str) -> Script {
    let mut prng = Prng::keyed(seed, Domain::Agent, &[user_id, request_id]);
    let agent_name = draw_name(&mut prng);
    let mut beats = beats::full_run(&profile.agent, &profile.sizes, &mut prng);
    beats::spread(&mut beats, profile.agent.event_gap.us());
    beats::compress(&mut beats, profile.deadline_us / 5 * 4);
    let fate = prng.unit_f64();
    let (error, silent) = (profile.agent.agent_error_share.get(), profile.agent.timeout_share.get());
    let terminal = if fate < error {
        beats::cut(&mut beats, AGENT_FAILED, &mut prng);
        Terminal::AgentError
    } else if fate < error + silent {
        beats::cut(&mut beats, Step::Silence, &mut prng);
        Terminal::TimedOut
    } else {
        Terminal::Completed
    };
    let last_us = beats.last().map_or(0, |beat| beat.at_us);
    let end_us = if terminal == Terminal::TimedOut { profile.deadline_us } else { last_us };
    Script { agent_name, beats, terminal, end_us }
}

/// How an agent fails by itself.
const AGENT_FAILED: Step =
    Step::Fail { code: "AGENT_FAILED", message: "The agent could not finish this request" };

/// The first draw of a script.
fn draw_name(prng: &mut Prng) -> &'static str {
    const NAMES: [&str; 5] = ["supervisor", "triage", "data", "optimization", "reporting"];
    NAMES[prng.below(NAMES.len() as u64) as usize]
}

/// Name of the agent of a run, whatever it does.
fn agent_name(seed: u64, user_id: &str, request_id: &str) -> &'static str {
    draw_name(&mut Prng::keyed(seed, Domain::Agent, &[user_id, request_id]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn profile(extra: &str) -> AgentProfile {
        let text = format!("schema = 1\nname = \"x\"\nabout = \"\"\n{extra}");
        AgentProfile::from(&Scenario::parse("x", &text).unwrap())
    }

    /// An automaton of its own, written from the ordering contract; says what is wrong.
    fn judge(script: &Script, profile: &AgentProfile) -> Result<(), String> {
        let (mut started, mut done, mut now, mut next_call) = (false, false, 0, 0);
        let mut open: BTreeMap<u8, u64> = BTreeMap::new();
        for Beat { at_us, step } in &script.beats {
            let first = matches!(step, Step::Started { .. });
            if done || *at_us < now || first == started {
                return Err(format!("{step:?} at {at_us} after {now}, started {started}, done {done}"));
            }
            now = *at_us;
            match step {
                Step::Started { .. } => started = true,
                Step::Thinking { .. } => {}
                Step::ToolStart { call, .. } => {
                    if *call != next_call || open.insert(*call, now).is_some() {
                        return Err(format!("call {call} out of order"));
                    }
                    next_call += 1;
                }
                Step::ToolEnd { call, duration_us, .. } => match open.remove(call) {
                    Some(since) if since + duration_us == now => {}
                    other => return Err(format!("call {call} ended at {now}, opened {other:?}")),
                },
                Step::Answer { .. } if !open.is_empty() => return Err(format!("answer with open {open:?}")),
                Step::Answer { .. } => done = script.terminal == Terminal::Completed,
                Step::Fail { .. } => done = script.terminal == Terminal::AgentError,
                Step::Silence => done = script.terminal == Terminal::TimedOut,
            }
        }
        let ends = if script.terminal == Terminal::TimedOut { profile.deadline_us } else { now };
        if done && script.end_us == ends && ends <= profile.deadline_us {
            Ok(())
        } else {
            Err(format!("ends {script:?}"))
        }
    }

    #[test]
    fn ten_thousand_scripts_are_legal() {
        let failing = "[agent]\nagent_error_share = 0.3\ntimeout_share = 0.3\ntool_error_share = 0.5";
        let parallel =
            "[agent]\ntools_per_run = { 3 = 1, \"4..6\" = 1 }\nparallel_share = 1\nevent_gap = \"60ms\"";
        let short = "[limits]\nagent_deadline = \"2s\"";
        for extra in ["", failing, parallel, short] {
            let profile = profile(extra);
            for run in 0..2_500 {
                let script = script(&profile, run, "user", "m0001");
                judge(&script, &profile).unwrap_or_else(|wrong| panic!("{wrong}\n{script:#?}"));
            }
        }
    }

    #[test]
    fn the_judge_refuses_what_is_illegal() {
        let profile = profile("[agent]\ntools_per_run = { 2 = 1 }\nagent_error_share = 0\ntimeout_share = 0");
        let good = script(&profile, 1, "user", "m0001");
        assert_eq!(judge(&good, &profile), Ok(()));
        for position in 0..good.beats.len() {
            let mut without = good.clone();
            let gone = without.beats.remove(position);
            let harmless = matches!(gone.step, Step::Thinking { .. });
            assert_eq!(judge(&without, &profile).is_ok(), harmless, "{gone:?}");
            let mut twice = good.clone();
            twice.beats.insert(position, gone);
            assert_eq!(judge(&twice, &profile).is_ok(), harmless, "{position}");
        }
    }

    #[test]
    fn scripts_depend_on_seed_user_and_message_only() {
        let profile = profile("");
        let one = script(&profile, 1, "a", "m1");
        assert_eq!(one, script(&profile, 1, "a", "m1"));
        for other in
            [script(&profile, 2, "a", "m1"), script(&profile, 1, "b", "m1"), script(&profile, 1, "a", "m2")]
        {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn gaps_between_events_are_kept() {
        let profile = profile("[agent]\ntools_per_run = { 3 = 1 }\nparallel_share = 1\nevent_gap = \"60ms\"");
        for run in 0..500 {
            let beats = script(&profile, run, "user", "m0001").beats;
            assert!(beats.windows(2).all(|pair| pair[1].at_us - pair[0].at_us >= 60_000), "{beats:#?}");
        }
    }

    #[test]
    fn parallel_tools_overlap_and_finish_in_their_own_order() {
        let profile = profile("[agent]\ntools_per_run = { 3 = 1 }\nparallel_share = 1");
        let (mut overlapping, mut overtaking) = (0, 0);
        for run in 0..1_000 {
            let beats = script(&profile, run, "user", "m0001").beats;
            let calls = |end: bool| {
                let of = move |beat: &Beat| match beat.step {
                    Step::ToolStart { call, .. } if !end => Some((call, beat.at_us)),
                    Step::ToolEnd { call, .. } if end => Some((call, beat.at_us)),
                    Step::Started { .. }
                    | Step::Thinking { .. }
                    | Step::ToolStart { .. }
                    | Step::ToolEnd { .. }
                    | Step::Answer { .. }
                    | Step::Fail { .. }
                    | Step::Silence => None,
                };
                beats.iter().filter_map(of).collect::<Vec<_>>()
            };
            let (starts, ends) = (calls(false), calls(true));
            overlapping += u32::from(
                matches!((starts.last(), ends.first()), (Some(last), Some(first)) if last.1 < first.1),
            );
            overtaking += u32::from(!ends.is_sorted_by_key(|(call, _)| *call));
        }
        assert!(overlapping > 950 && overtaking > 500, "{overlapping} overlap, {overtaking} overtake");
    }

    /// The shares of the workload model, within three standard deviations of 20,000 runs.
    #[test]
    fn default_runs_follow_the_workload_model() {
        let profile = profile("");
        let runs: Vec<Script> = (0..20_000).map(|run| script(&profile, run, "user", "m0001")).collect();
        let share = |of: &dyn Fn(&Script) -> bool| {
            runs.iter().filter(|run| of(run)).count() as f64 / runs.len() as f64
        };
        let near =
            |got: f64, want: f64, tolerance: f64| assert!((got - want).abs() < tolerance, "{got} {want}");
        near(share(&|run| run.terminal == Terminal::AgentError), 0.01, 0.0022);
        near(share(&|run| run.terminal == Terminal::TimedOut), 0.005, 0.0016);
        near(share(&|run| run.terminal == Terminal::Completed && run.tools() == 0), 0.15 * 0.985, 0.008);
        near(share(&|run| run.terminal == Terminal::Completed && run.tools() == 1), 0.45 * 0.985, 0.011);
        near(share(&|run| run.terminal == Terminal::Completed && run.tools() > 3), 0.08 * 0.985, 0.006);
        near(share(&|run| run.tool_errors() > 0), 0.03 * 0.85, 0.004);
        near(share(&|run| run.end_us <= 30_000_000), 0.939, 0.005);
    }
}
