//! Scripts that a scenario writes out, step by step, and the other way round.

use super::{AGENT_FAILED, Beat, CANARY_BYTES, Script, Step, Terminal, agent_name};
use crate::scenario::{AgentStep, Micros, Size, StepKind};

/// The script of steps that a scenario writes out. Its agent has the name that it would have if it were drawn.
pub fn written(steps: &[AgentStep], deadline_us: u64, seed: u64, user_id: &str, request_id: &str) -> Script {
    let mut beats = Vec::with_capacity(steps.len() + 4);
    let (mut thinking, mut calls) = (0, 0_u8);
    let mut terminal = Terminal::TimedOut;
    for step in steps {
        let at_us = step.at.us();
        let bytes = step.bytes.map_or(CANARY_BYTES as u32, Size::bytes);
        match step.kind {
            StepKind::Started => beats.push(Beat { at_us, step: Step::Started { task_bytes: bytes } }),
            StepKind::Thinking => {
                thinking += 1;
                beats.push(Beat { at_us, step: Step::Thinking { bytes, step: thinking } });
            }
            StepKind::Tool => {
                let tool = step.name.clone().unwrap_or_default();
                beats.push(Beat { at_us, step: Step::ToolStart { call: calls, tool } });
                if let Some(lasts) = step.lasts {
                    let (ok, duration_us) = (!step.fails, lasts.us());
                    let end = Step::ToolEnd { call: calls, ok, duration_us, result_bytes: bytes };
                    beats.push(Beat { at_us: step.end_us(), step: end });
                }
                calls = calls.wrapping_add(1);
            }
            StepKind::Answer => {
                terminal = Terminal::Completed;
                beats.push(Beat { at_us, step: Step::Answer { bytes } });
            }
            StepKind::Fail => {
                terminal = Terminal::AgentError;
                beats.push(Beat { at_us, step: AGENT_FAILED });
            }
            StepKind::Silence => beats.push(Beat { at_us, step: Step::Silence }),
        }
    }
    beats.sort_by_key(|beat| beat.at_us);
    let last_us = beats.last().map_or(0, |beat| beat.at_us);
    let end_us = if terminal == Terminal::TimedOut { deadline_us } else { last_us };
    Script { agent_name: agent_name(seed, user_id, request_id), beats, terminal, end_us }
}

/// The steps that would write a script out.
pub fn steps(script: &Script) -> Vec<AgentStep> {
    let mut steps: Vec<AgentStep> = Vec::new();
    for Beat { at_us, step } in &script.beats {
        let sized = |kind, bytes: u32| AgentStep { bytes: size(bytes), ..AgentStep::new(*at_us, kind) };
        match step {
            Step::Started { task_bytes } => steps.push(sized(StepKind::Started, *task_bytes)),
            Step::Thinking { bytes, .. } => steps.push(sized(StepKind::Thinking, *bytes)),
            Step::ToolStart { tool, .. } => {
                let name = Some(tool.clone());
                steps.push(AgentStep { name, ..AgentStep::new(*at_us, StepKind::Tool) });
            }
            Step::ToolEnd { call, ok, result_bytes, .. } => {
                let tools = steps.iter_mut().filter(|step| step.kind == StepKind::Tool);
                if let Some(tool) = { tools }.nth(usize::from(*call)) {
                    tool.lasts = Some(Micros::new(at_us.saturating_sub(tool.at.us())));
                    tool.fails = !ok;
                    tool.bytes = size(*result_bytes);
                }
            }
            Step::Answer { bytes } => steps.push(sized(StepKind::Answer, *bytes)),
            Step::Fail { .. } => steps.push(AgentStep::new(*at_us, StepKind::Fail)),
            Step::Silence => steps.push(AgentStep::new(*at_us, StepKind::Silence)),
        }
    }
    steps
}

/// A size worth writing down: no text is smaller than its canary.
fn size(bytes: u32) -> Option<Size> {
    (bytes as usize > CANARY_BYTES).then(|| Size::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Scenario, embedded};
    use crate::script::{AgentProfile, render, script};

    /// Sizes below the canary's render to the canary alone, so they count as equal.
    fn seen(script: &Script) -> Vec<(u64, String, String)> {
        let beat = |beat: &Beat| {
            let (mut text, mut kind) = (String::new(), format!("{:?}", beat.step));
            render(&beat.step, "cny-0123456789abcdef", &mut text);
            kind.retain(|c| !c.is_ascii_digit());
            (beat.at_us, kind, text)
        };
        script.beats.iter().map(beat).collect()
    }

    #[test]
    fn a_drawn_script_can_be_written_out_and_is_the_same() {
        for (name, text) in embedded() {
            let profile = AgentProfile::from(&Scenario::parse(name, text).unwrap());
            for seed in 0..300 {
                let drawn = script(&profile, seed, "user", "m0001");
                let again = written(&steps(&drawn), profile.deadline_us, seed, "user", "m0001");
                assert_eq!(seen(&drawn), seen(&again), "{name} {seed}");
                assert_eq!(
                    (drawn.agent_name, drawn.terminal, drawn.end_us),
                    (again.agent_name, again.terminal, again.end_us)
                );
            }
        }
    }
}
