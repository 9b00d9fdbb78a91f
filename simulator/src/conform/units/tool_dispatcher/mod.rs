//! The recorded unit `tool_dispatcher` in terms of the canonical router.
//!
//! A dispatcher is a run of the router with a run event stream of its own; a call of a tool is
//! [`Input::Tool`](router::Input::Tool), its events are the frames that reach the owner's socket. An old dispatcher without
//! emitter, or an engine whose bridge fails, is a run whose owner is not connected. Questions to the permission layer
//! and the validator go to [`router::tools`] directly.

mod decisions;
mod encode;
mod engine;
mod host;
mod judge;
mod perm;

use std::collections::BTreeMap;

use router::{
    ToolAnswer,
    tools::{self, Context, Figures, Level, OpenError, Policy, Toolbox},
};
use serde_json::{Map, Value, json};

pub(in crate::conform) use self::{
    encode::without_lists,
    host::ScriptedTool,
    perm::{person, policy},
};

use self::{
    encode::{bridge_call, typed},
    host::{Happened, Host, Place},
    perm::Desk,
};
use super::Unit;
use crate::conform::{Action, Difference, Expect, Inexpressible, Notes, stage::START};

/// What is said of every operation that names no context.
const NO_CONTEXT: Inexpressible = Inexpressible("a dispatcher without an execution context does not compile");

/// Opens the unit with the set-up of a case. Which registry was installed in the old code makes no difference here.
pub(super) fn open(_setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    Ok(Box::new(Dispatchers {
        host: Host::new(),
        desk: Desk::default(),
        places: BTreeMap::new(),
        current: String::new(),
        bridge: true,
        wired: false,
        tally: Tally::default(),
        seen: Seen::default(),
    }))
}

/// Calls as their answers tell of them; figures must agree.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    successful: u64,
    failed: u64,
}

/// What the last operation brought about.
#[derive(Debug, Default)]
struct Seen {
    returns: Value,
    refused: Option<String>,
    state: Value,
    happened: Vec<Happened>,
    /// Answers, each with the tool that was asked.
    answers: Vec<(ToolAnswer, Option<ScriptedTool>)>,
}

/// A run under the recording's name of its dispatcher.
struct Bound {
    place: Place,
    tools: BTreeMap<String, ScriptedTool>,
    tally: Tally,
}

struct Dispatchers {
    host: Host,
    desk: Desk,
    places: BTreeMap<String, Bound>,
    current: String,
    /// The owner of an engine's runs is connected.
    bridge: bool,
    /// The current dispatcher came from a factory that wires events.
    wired: bool,
    tally: Tally,
    seen: Seen,
}

impl Unit for Dispatchers {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        self.host.begin_step();
        self.seen = Seen::default();
        match action.op.as_str() {
            "new" | "factory" => self.create(action)?,
            "use" => self.current = action.text("as").unwrap_or_default().to_owned(),
            "register_tool" => self.register(action)?,
            "is_active" | "cleanup" | "tools" | "has_tool" | "metrics" => self.ask(action)?,
            "dispatch_tool" | "dispatch" => self.dispatch(action)?,
            "parallel_dispatch_tool" => self.parallel(action)?,
            "factory_metrics" => {
                self.seen.returns =
                    json!({"active_instances": self.host.stage().router().toolbox().stats().active});
            }
            "admin_factory" => self.admin(action)?,
            "construct_direct" => self.construct()?,
            op if op.starts_with("engine_") || op == "script" => self.engine(action)?,
            op if op.starts_with("perm_") => {
                self.seen.returns = self.desk.act(action)?;
                if op == "perm_new" {
                    self.seen.state = json!({"policies": self.desk.policies()});
                }
            }
            "advance" => {
                let seconds = action.arg("seconds").as_f64().unwrap_or_default();
                self.desk.advance(seconds);
                self.host.advance((seconds * 1e6) as u64);
            }
            "validate" => self.seen.returns = perm::validated(action)?,
            "sanitize" => self.seen.returns = tools::validate::sanitize(action.arg("value")),
            _ => return Err(Inexpressible("test-only code: nothing answers for a tool that is not there")),
        }
        self.seen.happened = self.host.happened().to_vec();
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        judge::compare(self, action, expect, notes)
    }

    fn show(&self) -> Value {
        let Seen { returns, refused, state, .. } = &self.seen;
        json!({"returns": returns, "refused": refused, "state": state, "sent": self.sent(), "order": self.order()})
    }
}

impl Dispatchers {
    /// Events that reached the owner's socket, as calls on the old bridge.
    fn sent(&self) -> Vec<Value> {
        self.seen.happened.iter().filter_map(|what| self.event(what)).collect()
    }

    /// Tool starts and events, in their order.
    fn order(&self) -> Vec<Value> {
        let one = |what: &Happened| match what {
            Happened::ToolRun(tool) => Some(json!({"tool_run": tool})),
            Happened::Frame(_) => {
                let event = self.event(what)?;
                Some(json!({"event": event["event"], "tool": event.get("tool_name")}))
            }
        };
        self.seen.happened.iter().filter_map(one).collect()
    }

    fn event(&self, what: &Happened) -> Option<Value> {
        match what {
            Happened::Frame(frame) => bridge_call(frame, |id| self.host.label(id).map(str::to_owned)),
            Happened::ToolRun(_) => None,
        }
    }

    fn create(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let factory = action.op == "factory";
        let specs: Vec<ScriptedTool> =
            action.arg("tools").as_array().into_iter().flatten().map(ScriptedTool::of).collect();
        if factory {
            expressible(action, &specs)?;
        }
        let context = match context(action.arg("context")) {
            Ok(context) => context,
            Err(why) => {
                self.seen.refused = Some(why);
                return Ok(());
            }
        };
        // A factory wires its dispatchers to the stream of events; `new` does when it is given an emitter.
        let online = factory || !action.arg("emitter").is_null();
        self.wired = factory;
        let Some(place) = self.host.begin_run(&context, "", online) else {
            self.seen.refused = Some("the router did not begin a run".to_owned());
            return Ok(());
        };
        for tool in &specs {
            self.host.register(place.run, tool);
        }
        self.seen.state = self.identity(&place);
        let name = action.text("as").unwrap_or_default().to_owned();
        let tools = specs.into_iter().map(|tool| (tool.name.clone(), tool)).collect();
        self.places.insert(name.clone(), Bound { place, tools, tally: Tally::default() });
        self.current = name;
        Ok(())
    }

    /// What the run's dispatcher is bound to, under the recording's names.
    fn identity(&self, place: &Place) -> Value {
        let Some(context) = self.host.stage().router().context_of(place.run) else { return Value::Null };
        json!({
            "user_id": &**context.user(),
            "run_id": self.host.label(context.run()),
            "has_websocket_support": self.host.is_online(&place.user),
        })
    }

    fn current(&self) -> Result<&Bound, Inexpressible> {
        self.places.get(&self.current).ok_or(Inexpressible("no dispatcher was made"))
    }

    fn register(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let run = self.current()?.place.run;
        let name = action.text("tool_name").unwrap_or_default();
        let tool = ScriptedTool::of(&json!({"name": name, "behaviour": action.arg("behaviour")}));
        if self.host.stage().router().tools_of(run).is_none() {
            self.seen.refused = Some("disposed".to_owned());
        }
        self.host.register(run, &tool);
        if let Some(bound) = self.places.get_mut(&self.current) {
            bound.tools.insert(name.to_owned(), tool);
        }
        Ok(())
    }

    fn ask(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let Bound { place, .. } = self.current()?;
        let place = place.clone();
        if action.op == "cleanup" {
            self.host.end_run(place.run);
            self.seen.state = json!({"is_active": self.is_active(&place)});
            return Ok(());
        }
        let router = self.host.stage().router();
        let names = router.tools_of(place.run);
        match (action.op.as_str(), names) {
            ("is_active", _) => self.seen.returns = self.is_active(&place).into(),
            (_, None) => self.seen.refused = Some("disposed".to_owned()),
            ("tools", Some(names)) => self.seen.returns = json!(names),
            ("has_tool", Some(names)) => {
                let name = action.text("tool_name").or(action.text("name")).unwrap_or_default();
                self.seen.returns = names.contains(&name).into();
            }
            (_, Some(names)) => {
                let figures =
                    router.dispatcher_of(place.run).map(tools::Dispatcher::figures).unwrap_or_default();
                let context = router.context_of(place.run).map(|context| context.correlation());
                let mut shown = metrics(&figures, names.len(), context, &self.identity(&place));
                shown["is_active"] = self.is_active(&place).into();
                self.seen.returns = shown;
            }
        }
        Ok(())
    }

    /// A dispatcher lives as long as its run; a run that called no tool has none yet, and may.
    fn is_active(&self, place: &Place) -> bool {
        let router = self.host.stage().router();
        router
            .dispatcher_of(place.run)
            .map_or(router.tools_of(place.run).is_some(), tools::Dispatcher::is_active)
    }

    fn dispatch(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let keyword = action.op == "dispatch";
        let parameters = action.arg(if keyword { "kwargs" } else { "parameters" });
        let run_id = if keyword { None } else { action.text("run_id") };
        let call = self.begin(&self.current.clone(), action.text("tool_name"), parameters, run_id)?;
        self.collect(&[call]);
        let answer = self.seen.returns[0].take();
        self.seen.returns = if keyword { typed(&answer) } else { answer };
        Ok(())
    }

    fn parallel(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let mut begun = Vec::new();
        for call in action.arg("calls").as_array().into_iter().flatten() {
            let name = call["as"].as_str().unwrap_or(&self.current).to_owned();
            begun.push(self.begin(
                &name,
                call["tool_name"].as_str(),
                &call["parameters"],
                call["run_id"].as_str(),
            )?);
        }
        self.collect(&begun);
        Ok(())
    }

    /// Begins a call of a dispatcher's tool. The recording's name of the run becomes the router's.
    fn begin(
        &mut self,
        name: &str,
        tool: Option<&str>,
        parameters: &Value,
        run_id: Option<&str>,
    ) -> Result<(String, String, Option<ScriptedTool>), Inexpressible> {
        let bound = self.places.get(name).ok_or(Inexpressible("no dispatcher was made"))?;
        let tool = tool.unwrap_or_default();
        let script = bound.tools.get(tool).cloned();
        let (run, own, id) = (bound.place.run, bound.place.label.clone(), bound.place.id.clone());
        let of_other = |label: &str| {
            let other = self.places.values().find(|other| other.place.label == label);
            other.map_or_else(|| label.to_owned(), |other| other.place.id.clone())
        };
        let run_id = run_id.map(|label| if label == own { id } else { of_other(label) });
        let parameters = if parameters.is_null() { "{}".to_owned() } else { parameters.to_string() };
        Ok((self.host.call(run, run_id.as_deref(), tool, &parameters), name.to_owned(), script))
    }

    /// Waits for answers, and counts them.
    fn collect(&mut self, begun: &[(String, String, Option<ScriptedTool>)]) {
        let ids: Vec<String> = begun.iter().map(|(id, ..)| id.clone()).collect();
        let answers = self.host.answers(&ids);
        let mut returns = Vec::new();
        for (answer, (_, name, script)) in answers.into_iter().zip(begun) {
            let mut json: Value = serde_json::from_str(&answer.to_json()).unwrap_or_default();
            if let Some(id) = json["metadata"]["run_id"].as_str() {
                json["metadata"]["run_id"] = self.host.label(id).into();
            }
            for tally in
                self.places.get_mut(name).map(|bound| &mut bound.tally).into_iter().chain([&mut self.tally])
            {
                tally.count(&answer);
            }
            returns.push(json);
            self.seen.answers.push((answer, script.clone()));
        }
        self.seen.returns = returns.into();
    }

    /// The admin capability, and a call of a tool that needs it.
    fn admin(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let Ok(context) = context(action.arg("context")) else { return Err(NO_CONTEXT) };
        let limits = *self.host.stage().router().toolbox().limits();
        let mut toolbox = Toolbox::new(limits);
        toolbox.add_tool("admin_tool", "");
        toolbox.permissions_mut().set_policy("admin_tool", Policy::open(Level::Admin));
        let admin = action.arg("user")["is_admin"] == true;
        let grants = tools::Grants { admin, ..tools::Grants::default() };
        toolbox.set_grants(context.user(), Some(grants.clone()));
        let mut dispatcher = match toolbox.open_admin(START, context) {
            Ok(dispatcher) => dispatcher,
            Err(OpenError::AdminRequired) if !admin => {
                return Err(Inexpressible(
                    "a user without the admin flag is refused, as the contract demands",
                ));
            }
            Err(error) => {
                self.seen.refused = Some(error.to_string());
                return Ok(());
            }
        };
        let person = tools::Person { plan: tools::Plan::named("free"), grants };
        let call = tools::Call { call: "c", run_id: None, tool: "admin_tool", parameters: "{}" };
        let begun = toolbox.begin(START, &mut dispatcher, &person, &call);
        self.seen.refused = begun.err().map(|refusal| refusal.text);
        _ = toolbox.close(START, &mut dispatcher);
        Ok(())
    }

    /// The one thing left to whoever has no dispatcher from the factory: a handle that this router never gave out,
    /// here of another router's run.
    fn construct(&mut self) -> Result<(), Inexpressible> {
        let mut other = Host::new();
        let ids =
            Context::new("usr_other", "thread_other", "run_other", "req_other").map_err(|_| NO_CONTEXT)?;
        let foreign = other.begin_run(&ids, "", false).ok_or(Inexpressible("no run was begun"))?;
        let call = self.host.call(foreign.run, None, "search", "{}");
        let answers = self.host.answers(&[call]);
        self.seen.refused =
            answers.first().filter(|answer| answer.is_error()).map(|answer| answer.error().to_owned());
        Ok(())
    }
}

impl Tally {
    fn count(&mut self, answer: &ToolAnswer) {
        match answer.outcome {
            router::ToolOutcome::Success(_) => self.successful += 1,
            router::ToolOutcome::Failed { .. } => self.failed += 1,
            router::ToolOutcome::Refused(_) => {}
        }
    }
}

/// The ids of a recorded context, if they are there and no placeholders.
fn context(ids: &Value) -> Result<Context, String> {
    let id = |key: &str| ids[key].as_str().unwrap_or_default();
    Context::new(id("user_id"), id("thread_id"), id("run_id"), id("request_id"))
        .map_err(|error| error.to_string())
}

/// Whether a way of creation that the old code had says something about ours.
fn expressible(action: &Action, tools: &[ScriptedTool]) -> Result<(), Inexpressible> {
    let method = action.text("method").unwrap_or_default();
    if !action.arg("context").is_object() {
        return Err(NO_CONTEXT);
    }
    if method.starts_with("core.") {
        return Err(Inexpressible(
            "a dispatcher of the oldest kind has no execution context: there is none here",
        ));
    }
    if method == "facade.legacy_global" {
        return Err(Inexpressible(
            "a dispatcher of the whole process, for a user that nobody is: there is none here",
        ));
    }
    if tools.is_empty() {
        return Err(Inexpressible("no tool is registered, so that no tool event can be missing"));
    }
    Ok(())
}

fn metrics(figures: &Figures, tools: usize, context: Option<String>, identity: &Value) -> Value {
    json!({
        "tools_executed": figures.executed,
        "successful_executions": figures.successful,
        "failed_executions": figures.failed,
        "total_execution_time_ms": figures.total_us as f64 / 1e3,
        "success_rate": figures.success_rate(),
        "avg_execution_time_ms": figures.average_ms(),
        "total_tools_registered": tools,
        "context_id": context,
        "user_id": identity["user_id"],
        "run_id": identity["run_id"],
        "has_websocket_support": identity["has_websocket_support"],
    })
}
