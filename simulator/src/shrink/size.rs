//! How large a scenario is to whoever reads it.

use crate::scenario::{Act, Scenario};

/// Sizes are compared from the first field on: fewer users are worth more than anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// Users that come.
    pub users: usize,
    /// Rows of `act`.
    pub acts: usize,
    /// Steps of agents.
    pub steps: usize,
    /// Rules of `fault`.
    pub faults: usize,
    /// Characters of the scenario's text, without name and about.
    pub text: usize,
    /// Waiting, microseconds: what lies between neighbours beyond a second, and how long faults last.
    pub waiting_us: u64,
}

/// Things that lie this close to each other read well.
const BEAT_US: u64 = 1_000_000;

impl Size {
    /// The size of a scenario whose plan is written out.
    pub fn of(scenario: &Scenario) -> Self {
        let acts = &scenario.acts;
        let mut users: Vec<u32> = acts.iter().map(|act| act.user).collect();
        users.sort_unstable();
        users.dedup();
        let steps = || acts.iter().filter_map(|act| act.run.as_ref()).flatten();
        let named = Scenario { name: String::new(), about: String::new(), ..scenario.clone() };
        let mut waiting_us = waiting(acts.iter().map(Act::at_us));
        waiting_us += acts.iter().map(|act| beyond(act.lasts_us())).sum::<u64>();
        for run in acts.iter().filter_map(|act| act.run.as_ref()) {
            waiting_us += waiting(run.iter().flat_map(|step| [step.at.us(), step.end_us()]));
        }
        for fault in &scenario.faults {
            waiting_us += fault.during.low.us() + fault.during.high.us();
        }
        Self {
            users: users.len(),
            acts: acts.len(),
            steps: steps().count(),
            faults: scenario.faults.len(),
            text: named.to_toml("").len(),
            waiting_us,
        }
    }
}

fn waiting(times: impl Iterator<Item = u64>) -> u64 {
    let mut times: Vec<u64> = times.chain([0]).collect();
    times.sort_unstable();
    times.windows(2).map(|pair| beyond(pair[1] - pair[0])).sum()
}

const fn beyond(us: u64) -> u64 {
    us.saturating_sub(BEAT_US)
}
