//! How large a scenario is to whoever reads it.

use crate::scenario::Scenario;

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
    /// All times in it added up, microseconds.
    pub time_us: u64,
}

impl Size {
    /// The size of a scenario whose plan is written out.
    pub fn of(scenario: &Scenario) -> Self {
        let acts = &scenario.acts;
        let mut users: Vec<u32> = acts.iter().map(|act| act.user).collect();
        users.sort_unstable();
        users.dedup();
        let steps = || acts.iter().filter_map(|act| act.run.as_ref()).flatten();
        let named = Scenario { name: String::new(), about: String::new(), ..scenario.clone() };
        let of_acts: u64 = acts.iter().map(|act| act.at_us() + act.lasts_us()).sum();
        let of_steps: u64 = steps().map(|step| step.at.us() + step.end_us()).sum();
        let of_faults: u64 =
            scenario.faults.iter().map(|fault| fault.during.low.us() + fault.during.high.us()).sum();
        Self {
            users: users.len(),
            acts: acts.len(),
            steps: steps().count(),
            faults: scenario.faults.len(),
            text: named.to_toml("").len(),
            time_us: of_acts + of_steps + of_faults,
        }
    }
}
