//! The scenario's agents on a real server: the same scripts that the simulator's agents play.

use std::time::Duration;

use router::{RunRequest, ToolStatus};
use router_server::agents::{Beat, OwnedEvent, Script, ScriptSource};
use serde_json::value::{RawValue, to_raw_value};
use simulator::{
    scenario::Scenario,
    script::{self, AgentProfile, Step, canary_in, render, script},
};

/// Plays a scenario's scripts for a server's scripted agent.
#[derive(Clone, Debug)]
pub struct ScenarioScripts {
    profile: AgentProfile,
    seed: u64,
}

impl ScenarioScripts {
    /// The scripts of a scenario under a seed; the load client must be given the same two.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        Self { profile: AgentProfile::from(scenario), seed }
    }
}

impl ScriptSource for ScenarioScripts {
    fn script(&self, request: &RunRequest) -> Script {
        let canary = canary_in(request.text()).unwrap_or_default();
        let script::Script { agent_name, beats, .. } =
            script(&self.profile, self.seed, &request.user, &request.request_id);
        let beats = beats.into_iter().filter_map(|beat| {
            let at = Duration::from_micros(beat.at_us);
            event(&beat, agent_name, canary).map(|event| Beat { at, event })
        });
        Script { beats: beats.collect() }
    }
}

fn event(beat: &script::Beat, agent_name: &str, canary: &str) -> Option<OwnedEvent> {
    let mut text = String::new();
    render(&beat.step, canary, &mut text);
    Some(match &beat.step {
        Step::Started { .. } => OwnedEvent::Started { agent: agent_name.to_owned(), task: text },
        Step::Thinking { step, .. } => OwnedEvent::Thinking { reasoning: text, step: Some(*step) },
        Step::ToolStart { call, tool } => OwnedEvent::ToolExecuting {
            call: format!("call-{call}"),
            tool: tool.clone(),
            parameters: json(&serde_json::json!({ "query": text })),
        },
        Step::ToolEnd { call, ok, duration_us, .. } => OwnedEvent::ToolCompleted {
            call: format!("call-{call}"),
            status: if *ok { ToolStatus::Completed } else { ToolStatus::Error },
            results: json(&text.into()),
            duration_ms: duration_us / 1_000,
        },
        Step::Answer { .. } => {
            OwnedEvent::Completed { response: text, execution_time_ms: Some(beat.at_us / 1_000) }
        }
        Step::Fail { code, message } => {
            OwnedEvent::Failed { code: (*code).to_owned(), message: (*message).to_owned() }
        }
        Step::Silence => return None,
    })
}

fn json(value: &serde_json::Value) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
