//! Builds the timeline of a run.

use super::{Beat, Sizes, Step};
use crate::prng::Prng;
use crate::scenario::{Agent, Tool};

/// A whole run that ends with an answer.
pub(super) fn full_run(agent: &Agent, sizes: &Sizes, prng: &mut Prng) -> Vec<Beat> {
    let mut run = Timeline {
        agent,
        sizes,
        beats: Vec::new(),
        now_us: agent.start_delay.draw(prng),
        thinking: 0,
        calls: 0,
    };
    let started = Step::Started { task_bytes: sizes.task.draw(prng) as u32 };
    run.push(run.now_us, started);
    let tools = agent.tools_per_run.draw(prng);
    // A thought or two, the answer, and two beats per tool.
    run.beats.reserve_exact(tools as usize * 2 + 4);
    let parallel = tools > 1 && prng.chance(agent.parallel_share.get());
    let failing =
        (tools > 0 && prng.chance(agent.tool_error_share.get())).then(|| prng.below(u64::from(tools)) as u8);
    // Thinking events are shared out over the places before each block of tools; the first always comes
    // first.
    let blocks = if parallel { 1 } else { tools.max(1) };
    let mut places = vec![0_u32; blocks as usize];
    for event in 0..agent.thinking.draw(prng) {
        let place = if event == 0 { 0 } else { prng.below(u64::from(blocks)) };
        places[place as usize] += 1;
    }
    for thoughts in places {
        for _ in 0..thoughts {
            run.think(prng);
        }
        match (tools, parallel) {
            (0, _) => {}
            (_, true) => run.tools_at_once(tools, failing, prng),
            (_, false) => run.tools_at_once(1, failing, prng),
        }
    }
    let answer_us = run.now_us + agent.thinking_gap.draw(prng);
    run.push(answer_us, Step::Answer { bytes: sizes.answer.draw(prng) as u32 });
    run.beats.sort_by_key(|beat| beat.at_us);
    run.beats
}

/// Moves beats apart so that each comes at least `gap_us` after the one before.
pub(super) fn spread(beats: &mut [Beat], gap_us: u64) {
    let mut earliest_us = 0;
    for beat in beats.iter_mut() {
        beat.at_us = beat.at_us.max(earliest_us);
        earliest_us = beat.at_us + gap_us;
    }
    measure_tools(beats);
}

/// Shrinks the whole timeline in proportion so that it ends by `limit_us`.
pub(super) fn compress(beats: &mut [Beat], limit_us: u64) {
    let Some(last_us) = beats.last().map(|beat| beat.at_us).filter(|&last_us| last_us > limit_us) else {
        return;
    };
    for beat in beats.iter_mut() {
        beat.at_us = (u128::from(beat.at_us) * u128::from(limit_us) / u128::from(last_us)) as u64;
    }
    measure_tools(beats);
}

/// Ends the run early: at a drawn beat after the first, `last` happens instead of it and of everything later.
pub(super) fn cut(beats: &mut Vec<Beat>, last: Step, prng: &mut Prng) {
    let position = prng.range(1..=(beats.len() as u64).saturating_sub(1).max(1)) as usize;
    if let Some(at_us) = beats.get(position).map(|beat| beat.at_us) {
        beats.truncate(position);
        beats.push(Beat { at_us, step: last });
    }
}

/// Sets the duration of every tool to the time between its two beats.
fn measure_tools(beats: &mut [Beat]) {
    let mut since = [0_u64; 256];
    for Beat { at_us, step } in beats {
        if let Step::ToolStart { call, .. } = step {
            since[usize::from(*call)] = *at_us;
        } else if let Step::ToolEnd { call, duration_us, .. } = step {
            *duration_us = *at_us - since[usize::from(*call)];
        }
    }
}

struct Timeline<'a> {
    agent: &'a Agent,
    sizes: &'a Sizes,
    beats: Vec<Beat>,
    now_us: u64,
    thinking: u32,
    calls: u8,
}

impl Timeline<'_> {
    fn push(&mut self, at_us: u64, step: Step) {
        self.beats.push(Beat { at_us, step });
    }

    fn think(&mut self, prng: &mut Prng) {
        self.now_us += self.agent.thinking_gap.draw(prng);
        self.thinking += 1;
        let bytes = self.sizes.thinking.draw(prng) as u32;
        self.push(self.now_us, Step::Thinking { bytes, step: self.thinking });
    }

    /// Starts `count` tools a little after one another and goes on when all have ended.
    fn tools_at_once(&mut self, count: u32, failing: Option<u8>, prng: &mut Prng) {
        const BETWEEN_STARTS_US: std::ops::RangeInclusive<u64> = 100..=2_000;
        let mut start_us = self.now_us + self.agent.thinking_gap.draw(prng);
        let mut all_ended_us = start_us;
        for _ in 0..count {
            let (tool, duration_us) = draw_tool(self.agent, prng);
            let (call, end_us) = (self.calls, start_us + duration_us);
            let result_bytes = self.sizes.result.draw(prng) as u32;
            self.push(start_us, Step::ToolStart { call, tool });
            self.push(end_us, Step::ToolEnd { call, ok: failing != Some(call), duration_us, result_bytes });
            all_ended_us = all_ended_us.max(end_us);
            start_us += prng.range(BETWEEN_STARTS_US);
            self.calls += 1;
        }
        self.now_us = all_ended_us;
    }
}

fn draw_tool(agent: &Agent, prng: &mut Prng) -> (String, u64) {
    let weights = agent.tools.iter().map(|tool| tool.weight.get());
    let tool = agent.tools.get(prng.weighted_by(weights));
    let median_us = tool.map_or(0, Tool::estimate_us) as f64 * agent.tool_scale;
    let duration_us = prng.log_normal_whole(median_us, agent.tool_sigma);
    (tool.map(|tool| tool.name.clone()).unwrap_or_default(), duration_us.min(agent.tool_max.us()))
}
