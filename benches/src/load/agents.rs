//! The scenario's agents on a real server: the same scripts that the simulator's agents play.

use std::time::Duration;

use router::RunRequest;
use router_server::agents::{Beat, Script, ScriptSource};
use simulator::{
    plan::Plan,
    scenario::Scenario,
    script::{Lines, canary_in},
};

/// Plays a scenario's scripts for a server's scripted agent.
#[derive(Clone, Debug)]
pub struct ScenarioScripts {
    plan: Plan,
}

impl ScenarioScripts {
    /// The scripts of a scenario under a seed; the load client must be given the same two.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        Self { plan: Plan::new(scenario.clone(), seed) }
    }
}

impl ScriptSource for ScenarioScripts {
    fn script(&self, request: &RunRequest) -> Script {
        let canary = canary_in(request.text()).unwrap_or_default();
        let planned = self.plan.script(&request.user, &request.request_id);
        let mut lines = Lines::default();
        let beats = planned.beats.iter().filter_map(|beat| {
            lines.write(&beat.step, canary);
            let event = lines.event(&beat.step, planned.agent_name, beat.at_us)?;
            Some(Beat { at: Duration::from_micros(beat.at_us), event: event.into() })
        });
        Script { beats: beats.collect() }
    }
}
