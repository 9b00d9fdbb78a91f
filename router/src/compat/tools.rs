//! `UnifiedToolDispatcher`: the tool calls of one run.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};

use serde_json::{Value, json};

use super::{
    Over, Uses,
    lent::{facade, raw, used},
};
use crate::contract::{Input, RunRef, ToolAnswer, ToolStep};

const METHODS: &[&str] =
    &["register_tool", "has_tool", "tools", "dispatch_tool", "dispatch_result", "get_metrics", "is_active"];

/// The dispatcher of one run's tool calls. The router keeps the real one in the run itself, where it ends with the run;
/// this value has the run's handle, and numbers its calls.
#[deprecated(since = "0.1.0", note = "hand `router::Input::Tool` to `router::Router::handle`")]
#[derive(Clone, Debug)]
pub struct UnifiedToolDispatcher {
    uses: Uses,
    run: RunRef,
    calls: u64,
}

facade!(UnifiedToolDispatcher);

impl UnifiedToolDispatcher {
    /// A facade for an open run. One for each run: two of one run would give their calls the same ids, and the router
    /// refuses the second of them.
    #[deprecated(
        since = "0.1.0",
        note = "hand `router::Input::Tool` with the run to `router::Router::handle`"
    )]
    pub fn new(run: RunRef) -> Self {
        Self { uses: Uses::new("UnifiedToolDispatcher", METHODS), run, calls: 0 }
    }

    /// The old answer of a call: `{"success", "result" or "error", "metadata"}`. `None`: it is the answer of another
    /// run's call.
    #[deprecated(since = "0.1.0", note = "use `router::ToolAnswer::to_json`")]
    pub fn dispatch_result(&mut self, answer: &ToolAnswer) -> Option<Value> {
        self.uses.note("dispatch_result");
        if answer.run != self.run {
            return None;
        }
        serde_json::from_str(&answer.to_json()).ok()
    }
}

impl Over<'_, '_, UnifiedToolDispatcher> {
    /// Offers a tool to this run; the last description of a name holds.
    #[deprecated(since = "0.1.0", note = "hand `router::ToolStep::Register` to `router::Router::handle`")]
    pub fn register_tool(&mut self, name: &str, description: &str) {
        let (facade, lent) = used(self, "register_tool");
        let step = ToolStep::Register { name, description };
        lent.input(Input::Tool { run: facade.run, step });
    }

    /// Whether the run may call a tool of exactly that name.
    #[deprecated(since = "0.1.0", note = "use `router::Router::tools_of`")]
    pub fn has_tool(&mut self, name: &str) -> bool {
        let (facade, lent) = used(self, "has_tool");
        lent.router.tools_of(facade.run).is_some_and(|tools| tools.contains(&name))
    }

    /// Names of the tools that the run may call, in alphabetical order; none after its end.
    #[deprecated(since = "0.1.0", note = "use `router::Router::tools_of`")]
    pub fn tools(&mut self) -> Vec<String> {
        let (facade, lent) = used(self, "tools");
        let tools = lent.router.tools_of(facade.run).unwrap_or_default();
        tools.into_iter().map(|name| name.to_string()).collect()
    }

    /// Calls a tool. What the old call waited for comes as [`Effect::ToolAnswered`](crate::Effect::ToolAnswered) with the
    /// id that this answers; [`dispatch_result`](UnifiedToolDispatcher::dispatch_result) gives it the old form.
    #[deprecated(since = "0.1.0", note = "hand `router::ToolStep::Call` to `router::Router::handle`")]
    pub fn dispatch_tool(&mut self, tool: &str, parameters: &Value) -> String {
        let (facade, lent) = used(self, "dispatch_tool");
        facade.calls += 1;
        let call = format!("call-{}", facade.calls);
        let parameters = raw(parameters);
        let step = ToolStep::Call { call: &call, run_id: None, tool, parameters: &parameters };
        lent.input(Input::Tool { run: facade.run, step });
        call
    }

    /// Figures of the run's dispatcher under the old keys; all 0 before its first call and after its end.
    #[deprecated(since = "0.1.0", note = "use `router::Router::dispatcher_of` and its `figures`")]
    pub fn get_metrics(&mut self) -> Value {
        let (facade, lent) = used(self, "get_metrics");
        let dispatcher = lent.router.dispatcher_of(facade.run);
        let figures = dispatcher.map(|dispatcher| dispatcher.figures()).unwrap_or_default();
        json!({
            "tools_executed": figures.executed,
            "successful_executions": figures.successful,
            "failed_executions": figures.failed,
            "total_execution_time_ms": figures.total_us as f64 / 1e3,
            "success_rate": figures.success_rate(),
            "avg_execution_time_ms": figures.average_ms(),
            "uptime_seconds": dispatcher.map_or(0, |dispatcher| dispatcher.uptime_s(lent.now)),
            "total_tools_registered": lent.router.tools_of(facade.run).map_or(0, |tools| tools.len()),
            "is_active": lent.router.run_state(facade.run).is_some(),
            "compat_uses": facade.uses.json(),
        })
    }

    /// Whether the run is open: its dispatcher lives as long.
    #[deprecated(since = "0.1.0", note = "use `router::Router::run_state`")]
    pub fn is_active(&mut self) -> bool {
        let (facade, lent) = used(self, "is_active");
        lent.router.run_state(facade.run).is_some()
    }
}
