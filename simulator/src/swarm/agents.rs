//! What the runs look like.

use super::{Scale, dice::Dice};
use crate::scenario::{
    Agent, CountWeights, Counts, Host, Micros, MicrosRange, SizeRange, Tool, Users, Weight,
};

const MS: u64 = 1_000;
/// Tools of the highest plan.
const PREMIUM: [&str; 2] = ["create_corpus", "generate_synthetic_data_batch"];

/// What the host does by itself.
pub(super) fn host(dice: &mut Dice) -> Host {
    let notices = dice.counts(1, 12);
    if dice.chance(0.4) { Host { notices } } else { Host::default() }
}

pub(super) fn agent(scale: Scale, users: &Users, dice: &mut Dice) -> Agent {
    let default = Agent::default();
    let tools_max = dice.pick(&[1, 2, 2, 3, 4, 6]);
    let mut per_run: Vec<(Counts, u32)> =
        (0..=tools_max).map(|tools| (Counts::new(tools, tools), dice.weight(0.6, 4).get())).collect();
    per_run.retain(|(_, weight)| *weight > 0);
    if !dice.chance(0.85) || per_run.is_empty() {
        per_run = vec![(Counts::new(0, 0), 1)];
    }
    let thinking = match dice.weighted(&[1, 6, 3, 1]) {
        0 => Counts::new(0, 1),
        1 => dice.counts(1, 4),
        2 => dice.counts(2, 12),
        _ => dice.counts(8, scale.size.of(24, 32, 40, 40)),
    };
    let gap = match dice.weighted(&[2, 4, 4, 1]) {
        0 => MicrosRange::new(0, 2 * MS),
        1 => dice.times(MS, 60 * MS),
        2 => dice.times(50 * MS, 800 * MS),
        _ => dice.times(200 * MS, 3_000 * MS),
    };
    let bytes = |dice: &mut Dice, high: u64| SizeRange::new(20, dice.skewed(21, high) as u32);
    let (thinking_bytes, result_bytes, answer_bytes) =
        (bytes(dice, 300), bytes(dice, 300), bytes(dice, 2_000));
    // Failures of agents and silences together are at most everything.
    let (agent_error_share, timeout_share) = (dice.share(0.4, 0.05, 0.4), dice.share(0.4, 0.02, 0.2));
    let unruly_share = dice.share(0.4, 0.1, 0.6);
    let (deaf_share, dispatched_share) = (dice.share(0.4, 0.1, 0.6), dice.share(0.4, 0.2, 1.0));
    Agent {
        tools_per_run: CountWeights::new(&per_run),
        parallel_share: dice.share(0.6, 0.2, 1.0),
        thinking,
        thinking_gap: gap,
        start_delay: dice.pick(&[default.start_delay, MicrosRange::new(0, 0), MicrosRange::new(0, 500 * MS)]),
        event_gap: Micros::new(dice.pick(&[0, 0, 0, 60 * MS])),
        tools: tools(users, dice).unwrap_or(default.tools),
        tool_scale: dice.pick(&[0.01, 0.05, 0.2, 0.2, 0.5, 1.0]),
        tool_sigma: dice.pick(&[0.1, 0.5, 1.0]),
        tool_max: Micros::new(dice.pick(&[5_000 * MS, 25_000 * MS])),
        task_bytes: bytes(dice, 120),
        thinking_bytes,
        result_bytes,
        answer_bytes,
        tool_error_share: dice.share(0.5, 0.05, 0.5),
        agent_error_share,
        timeout_share,
        // An unruly agent speaks of somebody else: there must be one.
        deaf_share,
        dispatched_share,
        unruly_share: if users.count > 1 { unruly_share } else { crate::scenario::Share::new(0.0) },
    }
}

/// Whether the tools are those of the highest plan.
pub(super) fn has_premium_tools(agent: &Agent) -> bool {
    agent.tools.iter().any(|tool| PREMIUM.contains(&tool.name.as_str()))
}

/// Other tools than the default ones: those of the highest plan, where everybody has it.
fn tools(users: &Users, dice: &mut Dice) -> Option<Vec<Tool>> {
    let estimate = Some(Micros::new(dice.within(100, 3_000) * MS));
    let highest = users.tier.free.get() + users.tier.early.get() + users.tier.mid.get() == 0;
    let wanted = dice.chance(0.6);
    (highest && wanted).then(|| {
        let tool = |name: &str| Tool { name: name.to_owned(), estimate, weight: Weight::new(1) };
        PREMIUM.into_iter().map(tool).collect()
    })
}
