//! Recorded operations of an engine with a recording bridge.

use router::{Instant, tools};
use serde_json::{Value, json};

use super::{Done, Noted, RUN, USER, recorded::seconds, work};
use crate::{
    conform::{
        Action,
        legacy::{Played, PythonOnly},
        units::tool_dispatcher::ScriptedTool,
    },
    legacy::{
        Hazards,
        tool_dispatcher::{Bridge, DEADLINE_US, Engine, EngineContext, StateCall, Wire, text},
    },
};

/// The engine of a case.
pub(super) struct Engines {
    hazards: Hazards,
    engine: Engine,
}

impl Engines {
    pub(super) fn new(hazards: Hazards) -> Self {
        Self { hazards, engine: Engine::new(hazards, Wire::to_recorder(Bridge::Works)) }
    }

    pub(super) fn act(
        &mut self,
        now: &mut Instant,
        action: &Action,
        stage: &mut Noted,
    ) -> Result<Done, PythonOnly> {
        let number = |name: &str| action.arg(name).as_f64().unwrap_or_default();
        let tool = action.text("tool_name").unwrap_or_default();
        let mut events = Vec::new();
        let returned = match action.op.as_str() {
            "engine_new" => {
                let bridge = if *action.arg("bridge") == false { Bridge::Absent } else { Bridge::Works };
                self.engine = Engine::new(self.hazards, Wire::to_recorder(bridge));
                let state = json!({
                    "default_timeout": DEADLINE_US as f64 / 1e6, "max_memory_mb": 512,
                    "max_concurrent_per_user": 10, "rate_limit_per_minute": 100,
                });
                return Ok(Ok(Played { state: Some(state), ..Played::default() }));
            }
            "script" => {
                let bridge = match action.text("bridge") {
                    Some("ok") => Bridge::Works,
                    Some("false") => Bridge::Refuses,
                    _ => Bridge::Raises,
                };
                self.engine.set_bridge(bridge);
                Value::Null
            }
            "engine_with_state" => return Ok(self.with_state(now, action, stage)),
            "engine_with_input" => return Ok(self.with_input(now, action, stage)),
            "engine_metrics" => self.figures(),
            "engine_params_summary" => text::summary(action.arg("value")).into(),
            "engine_estimate" => {
                let purpose = text::purpose(tool).map_or_else(|| json!({"$text": null}), Value::from);
                json!([purpose, tools::estimate_ms(tool)])
            }
            "engine_remaining" => text::remaining_ms(tool, number("progress")).into(),
            "engine_progress" => {
                let message = action.text("message").unwrap_or_default();
                self.engine.progress(RUN, tool, number("progress"), message, &mut events);
                stage.events(&mut events);
                Value::Null
            }
            "engine_emergency_shutdown" => {
                let shut = self.engine.shut_down();
                json!({
                    "shutdown_executions": shut.executions, "affected_users": shut.by_user.len(),
                    "user_counts": shut.by_user, "timestamp": seconds(*now), "reason": "emergency_shutdown",
                })
            }
            _ => return Err(PythonOnly("an operation that is described nowhere")),
        };
        Ok(Ok(Played::returned(returned)))
    }

    fn with_state(&mut self, now: &mut Instant, action: &Action, stage: &mut Noted) -> Done {
        let script = ScriptedTool::of(action.arg("tool"));
        let given = |name: &str, default: &str| match action.args.get(name) {
            None => default.to_owned(),
            Some(value) => value.as_str().unwrap_or_default().to_owned(),
        };
        let (tool, run) = (given("tool_name", &script.name), given("run_id", RUN));
        let parameters = action.arg("parameters");
        let call = StateCall { tool: &tool, parameters, user: USER, run: &run, socket_in_state: false };
        let mut events = Vec::new();
        let started = self.engine.begin_with_state(*now, &call, &mut events)?;
        stage.events(&mut events);
        let ending = work(&script, action.arg("parameters"), started.deadline, now, stage);
        let answer = self.engine.end(*now, started, ending, &mut events)?;
        stage.events(&mut events);
        Ok(Played::returned(answer.mapping(&tool, &run)))
    }

    fn with_input(&mut self, now: &mut Instant, action: &Action, stage: &mut Noted) -> Done {
        let script = ScriptedTool::of(action.arg("tool"));
        let ids = action.arg("context");
        let id = |key: &str| ids[key].as_str().unwrap_or_default();
        let context = if ids.is_null() {
            EngineContext::Absent
        } else {
            let agent = ids["agent_name"].as_str().filter(|name| !name.is_empty());
            EngineContext::Ids { user: id("user_id"), thread: id("thread_id"), run: id("run_id"), agent }
        };
        let mut events = Vec::new();
        let shown = text::input_summary(&script.name, action.arg("kwargs"));
        let started = self.engine.begin_with_input(*now, &script.name, shown, context, &mut events)?;
        stage.events(&mut events);
        let ending = work(&script, action.arg("parameters"), started.deadline, now, stage);
        let answer = self.engine.end(*now, started, ending, &mut events)?;
        stage.events(&mut events);
        Ok(Played::returned(answer.typed()))
    }

    fn figures(&self) -> Value {
        let (figures, (active, tools)) = (self.engine.figures(), self.engine.active());
        json!({
            "total_executions": figures.total,
            "successful_executions": figures.successful,
            "failed_executions": figures.failed,
            "timeout_executions": 0,
            "security_violations": 0,
            "total_duration_ms": figures.total_us as f64 / 1e3,
            "active_executions": active,
            "active_tools": tools,
        })
    }
}
