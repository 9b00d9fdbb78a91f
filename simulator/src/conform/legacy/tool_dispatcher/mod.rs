//! Recorded tool calls on the models of the old dispatchers.

mod desk;
mod engines;
mod recorded;

use std::collections::BTreeMap;

use router::{
    Instant,
    tools::{Grants, Person, Plan},
};
use serde_json::{Map, Value, json};

use self::{
    desk::Desk,
    engines::Engines,
    recorded::{counters, figures, given, identity, raised_as, way},
};
use super::{Played, Player, PythonOnly};
use crate::{
    conform::{Action, stage::START, units::tool_dispatcher::ScriptedTool},
    legacy::{
        Hazard, Hazards,
        tool_dispatcher::{
            Answer, Begun, Bridge, BridgeCall, Context, Dispatcher, Ending, Face, Factory, Given, Handed,
            KeywordContext, Made, Permissions, Raised, ToolCall, ToolEvent, Way, Wire, constructed_directly,
        },
    },
};

/// Ids of the context under which recordings call engines without dispatchers.
const USER: &str = "usr_alpha_0001";
const RUN: &str = "run_alpha_0001";

/// Opens the models. Recordings used either the registry as it was, or one with the methods that dispatchers call: with
/// the latter the registry's defect is out.
pub(super) fn open(setup: &Map<String, Value>, hazards: Hazards) -> Result<Box<dyn Player>, PythonOnly> {
    let whole = setup.get("registry").and_then(Value::as_str) == Some("contract_shim");
    let hazards = if whole { hazards.without(Hazard::T1) } else { hazards };
    Ok(Box::new(Dispatchers {
        hazards,
        now: START,
        factory: Factory::new(hazards),
        permissions: Permissions::new(hazards),
        places: BTreeMap::new(),
        current: String::new(),
        engines: Engines::new(hazards),
        desk: Desk::new(hazards),
        stage: Noted::default(),
    }))
}

/// What happened during a step.
#[derive(Debug, Default)]
struct Noted {
    sent: Vec<Value>,
    order: Vec<Value>,
}

impl Noted {
    fn events(&mut self, calls: &mut Vec<BridgeCall>) {
        for call in calls.drain(..) {
            let message = call.to_value();
            let tool = match &call.event {
                ToolEvent::Executing { tool, .. } | ToolEvent::Completed { tool, .. } => tool.clone(),
                ToolEvent::Progress { .. } => None,
            };
            self.order.push(json!({"event": message["event"], "tool": tool}));
            self.sent.push(json!({"conn": null, "user": null, "message": message}));
        }
    }

    fn tool_runs(&mut self, tool: &str) {
        self.order.push(json!({"tool_run": tool}));
    }
}

/// A dispatcher under the recording's name.
struct Place {
    made: Made,
    tools: BTreeMap<String, ScriptedTool>,
}

struct Dispatchers {
    hazards: Hazards,
    now: Instant,
    factory: Factory,
    permissions: Permissions,
    places: BTreeMap<String, Place>,
    current: String,
    engines: Engines,
    desk: Desk,
    stage: Noted,
}

impl Player for Dispatchers {
    fn play(&mut self, action: &Action) -> Result<Played, PythonOnly> {
        self.stage = Noted::default();
        let done = match action.op.as_str() {
            "new" => self.create(action),
            "factory" => self.manufacture(action)?,
            "admin_factory" => self.admin(action),
            "construct_direct" => Err(constructed_directly(action.text("class").unwrap_or_default())),
            "use" => {
                self.current = action.text("as").unwrap_or_default().to_owned();
                Ok(Played::default())
            }
            "register_tool" | "is_active" | "cleanup" | "tools" | "has_tool" | "metrics" => {
                self.ask(action)?
            }
            "dispatch_tool" | "dispatch" => self.dispatch(action)?,
            "parallel_dispatch_tool" => self.parallel(action)?,
            "factory_metrics" => Ok(Played::returned(counters(&self.factory))),
            "advance" => {
                let seconds = action.arg("seconds").as_f64().unwrap_or_default();
                self.now = self.now.after((seconds * 1e6) as u64);
                Ok(Played::default())
            }
            op if op.starts_with("engine_") || op == "script" => {
                self.engines.act(&mut self.now, action, &mut self.stage)?
            }
            op if op.starts_with("perm_") => Ok(self.desk.act(self.now, action)?),
            "validate" | "sanitize" => desk::validate(action)?,
            _ => return Err(PythonOnly("a test double, whose answers are described nowhere")),
        };
        let mut played = done.unwrap_or_else(|raised| raised_as(&raised));
        played.sent = std::mem::take(&mut self.stage.sent);
        Ok(played.member("order", std::mem::take(&mut self.stage.order)))
    }
}

type Done = Result<Played, Raised>;

impl Dispatchers {
    fn create(&mut self, action: &Action) -> Done {
        let specs = specs(action);
        let names: Vec<&str> = specs.iter().map(|tool| tool.name.as_str()).collect();
        let context = match given(action.arg("context"))? {
            Given::Context(context) => context,
            Given::Nothing => return Err(Context::expected("NoneType")),
            Given::Other(kind) => return Err(Context::expected(kind)),
        };
        let emitter = (!action.arg("emitter").is_null()).then(|| Wire::to_recorder(Bridge::Works));
        let dispatcher = Dispatcher::new(self.hazards, context, &names, emitter)?;
        let claims_events = Some(dispatcher.claims_events());
        let made = Made { dispatcher, face: Face::Dispatcher, claims_events };
        let state = identity(&made, None);
        self.place(action, made, specs);
        Ok(Played { state: Some(state), ..Played::default() })
    }

    fn manufacture(&mut self, action: &Action) -> Result<Done, PythonOnly> {
        let specs = specs(action);
        let names: Vec<&str> = specs.iter().map(|tool| tool.name.as_str()).collect();
        let method = action.text("method").unwrap_or_default();
        let way = way(method).ok_or(PythonOnly("a way of creation that is described nowhere"))?;
        let handed = match action.text("ws") {
            None => Handed::Nothing,
            Some("bridge") => Handed::Bridge(None),
            Some(_) => Handed::Manager(None),
        };
        let made = given(action.arg("context"))
            .and_then(|given| self.factory.create(self.now, way, &given, handed, &names));
        let mut made = match made {
            Ok(made) => made,
            Err(raised) => return Ok(Err(raised)),
        };
        let drawn = way == Way::FacadeGlobal || !action.arg("context").is_object();
        let state = identity(&made, Some((self.factory.keeps_manager(), drawn.then_some(way))));
        if way == Way::UnifiedScoped {
            // The recording leaves the scope before the next step.
            _ = self.factory.leave_scope(&mut made);
        }
        self.place(action, made, specs);
        Ok(Ok(Played { state: Some(state), ..Played::default() }))
    }

    fn admin(&mut self, action: &Action) -> Done {
        let specs = specs(action);
        let names: Vec<&str> = specs.iter().map(|tool| tool.name.as_str()).collect();
        let is_admin = action.arg("user")["is_admin"] == true;
        let given = given(action.arg("context"))?;
        let made = self.factory.create_admin(self.now, &given, is_admin, &names)?;
        let state = identity(&made, Some((self.factory.keeps_manager(), None)));
        self.place(action, made, specs);
        Ok(Played { state: Some(state), ..Played::default() })
    }

    fn place(&mut self, action: &Action, made: Made, specs: Vec<ScriptedTool>) {
        let name = action.text("as").unwrap_or_default().to_owned();
        let tools = specs.into_iter().map(|tool| (tool.name.clone(), tool)).collect();
        self.places.insert(name.clone(), Place { made, tools });
        self.current = name;
    }

    fn ask(&mut self, action: &Action) -> Result<Done, PythonOnly> {
        let Self { places, current, factory, .. } = self;
        let Place { made, tools } = places.get_mut(current).ok_or(NO_DISPATCHER)?;
        let name = action.text("tool_name").or(action.text("name")).unwrap_or_default();
        Ok(match action.op.as_str() {
            "register_tool" => {
                let tool = ScriptedTool::of(&json!({"name": name, "behaviour": action.arg("behaviour")}));
                tools.insert(name.to_owned(), tool);
                made.dispatcher.register(name).map(|()| Played::default())
            }
            "is_active" => Ok(Played::returned(made.is_active())),
            "cleanup" => factory.clean_up(made).map(|()| {
                let state = Some(json!({"is_active": made.is_active()}));
                Played { state, ..Played::default() }
            }),
            "tools" => made.tools().map(|names| Played::returned(json!(names))),
            "has_tool" => made.dispatcher.has_tool(name).map(Played::returned),
            _ => made.tools().map(|tools| Played::returned(figures(made, tools.len()))),
        })
    }

    fn dispatch(&mut self, action: &Action) -> Result<Done, PythonOnly> {
        let keyword = action.op == "dispatch";
        let parameters = action.arg(if keyword { "kwargs" } else { "parameters" });
        let asked = Asked {
            place: &self.current.clone(),
            tool: action.arg("tool_name"),
            parameters,
            run: action.text("run_id").unwrap_or_default(),
            keyword: keyword.then(|| match action.text("context") {
                None => KeywordContext::Absent,
                Some("dict") => KeywordContext::Map,
                Some(_) => KeywordContext::Object,
            }),
        };
        Ok(self.call(&asked)?.map(Played::returned))
    }

    /// Calls that start together. No tool of the recordings waits for anything, so they come one after another.
    fn parallel(&mut self, action: &Action) -> Result<Done, PythonOnly> {
        let (mut returns, current) = (Vec::new(), self.current.clone());
        for call in action.arg("calls").as_array().into_iter().flatten() {
            let asked = Asked {
                place: call["as"].as_str().unwrap_or(&current),
                tool: &call["tool_name"],
                parameters: &call["parameters"],
                run: call["run_id"].as_str().unwrap_or_default(),
                keyword: None,
            };
            match self.call(&asked)? {
                Ok(answer) => returns.push(answer),
                Err(raised) => return Ok(Err(raised)),
            }
        }
        Ok(Ok(Played::returned(returns)))
    }

    /// One call from its beginning to its answer.
    fn call(&mut self, asked: &Asked<'_>) -> Result<Result<Value, Raised>, PythonOnly> {
        let Self { places, permissions, now, stage, .. } = self;
        let Place { made, tools } = places.get_mut(asked.place).ok_or(NO_DISPATCHER)?;
        let mut events = Vec::new();
        let person = Person { plan: Plan::named("free"), grants: Grants::default() };
        let call = ToolCall { tool: asked.tool, parameters: asked.parameters, person: &person };
        let begun = match asked.keyword {
            Some(context) => made.dispatcher.dispatch(*now, &call, context, permissions, &mut events),
            None => made.dispatch_tool(*now, &call, asked.run, false, permissions, &mut events),
        };
        stage.events(&mut events);
        let name = asked.tool.as_str().unwrap_or("None");
        let answer = match begun {
            Err(raised) => return Ok(Err(raised)),
            Ok(Begun::Answered(answer)) => answer,
            Ok(Begun::Running(running)) => {
                let script = tools.get(name).ok_or(PythonOnly("a tool that is described nowhere"))?;
                let ending = work(script, asked.parameters, running.deadline(), now, stage);
                let answer = made.dispatcher.end(*now, running, ending, permissions, &mut events);
                stage.events(&mut events);
                answer
            }
        };
        Ok(Ok(match (&answer, asked.keyword) {
            (answer, Some(_)) => answer.typed(),
            (Answer::Refused(error), None) => made.refusal(error),
            (answer, None) => answer.mapping(name, asked.run),
        }))
    }
}

const NO_DISPATCHER: PythonOnly = PythonOnly("no dispatcher was made");

/// A call as a recording states it.
struct Asked<'a> {
    place: &'a str,
    tool: &'a Value,
    parameters: &'a Value,
    run: &'a str,
    keyword: Option<KeywordContext>,
}

/// Lets a tool run, and the time that it takes pass; a deadline ends it early.
fn work(
    script: &ScriptedTool,
    parameters: &Value,
    deadline: Option<Instant>,
    now: &mut Instant,
    stage: &mut Noted,
) -> Ending {
    stage.tool_runs(&script.name);
    let done = now.after(script.takes_us);
    if let Some(deadline) = deadline.filter(|deadline| *deadline <= done) {
        *now = deadline;
        return Ending::TimedOut;
    }
    *now = done;
    match script.error_kind() {
        Some(kind) => Ending::Failed { kind: kind.to_owned(), message: script.message.clone() },
        None if script.echoes() => Ending::Answered(parameters.clone()),
        None => Ending::Answered(script.result.clone()),
    }
}

fn specs(action: &Action) -> Vec<ScriptedTool> {
    action.arg("tools").as_array().into_iter().flatten().map(ScriptedTool::of).collect()
}
