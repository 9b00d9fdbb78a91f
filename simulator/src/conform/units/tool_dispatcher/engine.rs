//! Recorded operations of the execution engine: each call has a run of its own, whose owner is connected while the
//! old bridge works.

use router::{
    Input, ToolStep,
    tools::{self, Context},
};
use serde_json::{Value, json};

use super::{
    Dispatchers, NO_CONTEXT,
    encode::typed,
    host::{Place, ScriptedTool},
};
use crate::conform::{Action, Inexpressible};

impl Dispatchers {
    pub(super) fn engine(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let number = |name: &str| action.arg(name).as_f64().unwrap_or_default();
        let tool = action.text("tool_name").unwrap_or_default();
        match action.op.as_str() {
            "engine_new" => {
                self.bridge = *action.arg("bridge") != false;
                let config = self.host.stage().router().config();
                self.seen.state = json!({
                    "default_timeout": config.tool_deadline_us as f64 / 1e6,
                    "max_concurrent_per_user": config.tool_calls_in_flight_per_user_max,
                    "rate_limit_per_minute": config.tool_calls_per_user_per_min,
                });
            }
            "script" => self.bridge = action.text("bridge") == Some("ok"),
            "engine_with_state" => {
                let run = json!({"user_id": "usr_alpha_0001", "thread_id": "thread_alpha_0001", "run_id": "run_alpha_0001"});
                let given = action.arg("parameters");
                let parameters = if given.is_null() { "{}".to_owned() } else { given.to_string() };
                self.engine_call(action, &run, &parameters)?;
            }
            "engine_with_input" => {
                let run = action.arg("context");
                if run.is_null() {
                    return Err(NO_CONTEXT);
                }
                // The parameters of that form are its whole input, in this order.
                let kwargs = action.arg("kwargs");
                let kwargs = if kwargs.is_null() { json!({}) } else { kwargs.clone() };
                let name = &action.arg("tool")["name"];
                let input = format!(r#"{{"tool_name":{name},"args":[],"kwargs":{kwargs}}}"#);
                self.engine_call(action, run, &input)?;
                self.seen.returns = typed(&self.seen.returns);
            }
            "engine_metrics" => self.seen.returns = engine_metrics(self.host.stage().router()),
            "engine_params_summary" => {
                self.seen.returns = tools::summary(&action.arg("value").to_string()).into();
            }
            "engine_estimate" => self.seen.returns = json!([null, tools::estimate_ms(tool)]),
            "engine_remaining" => {
                let left = tools::remaining_ms(tools::estimate_ms(tool), 0, number("progress"));
                self.seen.returns = left.into();
            }
            "engine_progress" => {
                let place = self.engine_run(&json!({}), "")?;
                let (percentage, message) = (number("progress"), action.text("message").unwrap_or_default());
                let step = ToolStep::Progress { call: None, tool, percentage, message };
                self.host.input(Input::Tool { run: place.run, step });
            }
            "engine_emergency_shutdown" => {
                let before = self.host.stage().router().stats().tools.cancelled;
                self.host.input(Input::Drain);
                self.host.advance(self.host.stage().router().config().drain_deadline_us);
                let cancelled = self.host.stage().router().stats().tools.cancelled - before;
                self.seen.returns = json!({"shutdown_executions": cancelled});
            }
            _ => return Err(Inexpressible("no such operation")),
        }
        Ok(())
    }

    /// A run for one call of an engine.
    fn engine_run(&mut self, ids: &Value, agent: &str) -> Result<Place, Inexpressible> {
        let id = |key: &str, default: &str| ids[key].as_str().unwrap_or(default).to_owned();
        let (user, thread) = (id("user_id", "usr_alpha_0001"), id("thread_id", "thread_alpha_0001"));
        let (run, request) = (id("run_id", "run_alpha_0001"), id("request_id", "req_alpha_0001"));
        let context = Context::new(&user, &thread, &run, &request).map_err(|_| NO_CONTEXT)?;
        let online = self.bridge;
        self.host.begin_run(&context, agent, online).ok_or(Inexpressible("no run was begun"))
    }

    fn engine_call(&mut self, action: &Action, ids: &Value, parameters: &str) -> Result<(), Inexpressible> {
        let script = ScriptedTool::of(action.arg("tool"));
        let place = self.engine_run(ids, ids["agent_name"].as_str().unwrap_or_default())?;
        self.host.register(place.run, &script);
        let named = if action.args.contains_key("tool_name") {
            action.text("tool_name").unwrap_or_default().to_owned()
        } else {
            script.name.clone()
        };
        let call = self.host.call(place.run, None, &named, parameters);
        self.collect(&[(call, String::new(), Some(script))]);
        self.seen.returns = self.seen.returns[0].take();
        Ok(())
    }
}

fn engine_metrics(router: &router::Router) -> Value {
    let stats = &router.stats().tools;
    json!({
        "total_executions": stats.executed,
        "successful_executions": stats.completed,
        "failed_executions": stats.failed + stats.timed_out + stats.cancelled,
        "security_violations": stats.refused,
        "total_duration_ms": stats.total_us as f64 / 1e3,
        "active_executions": stats.in_flight,
        "active_tools": stats.in_flight,
    })
}
