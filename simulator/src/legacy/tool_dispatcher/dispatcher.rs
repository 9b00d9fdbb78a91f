//! The dispatcher of one request: its registry, its figures, and two ways to call a tool.

use std::collections::BTreeMap;

use router::{Instant, tools::Person};
use serde_json::Value;

use super::{
    Answer, Context, Ending, Raised, about_an_error,
    engine::{Engine, EngineContext, Started, StateCall},
    event::{Bridge, BridgeCall, Wire},
    permission::{Asked, Permissions},
    python::text,
    text::summary,
    validate,
};
use crate::legacy::{Hazard, Hazards};

/// A dispatcher.
#[derive(Debug)]
pub struct Dispatcher {
    hazards: Hazards,
    /// Whom it works for; the oldest kind did not know.
    context: Option<Context>,
    /// Names of tools, and whether each was a plain callable.
    registry: BTreeMap<String, bool>,
    engine: Engine,
    /// It says that it has a way for events.
    claims_events: bool,
    /// The timer of its emitter runs.
    timer: bool,
    active: bool,
    figures: Figures,
    serial: u64,
}

/// Counts of a dispatcher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls that got as far as their tool.
    pub executed: u64,
    /// Those that counted as successes.
    pub successful: u64,
    /// Those that counted as failures.
    pub failed: u64,
    /// Refused for their form or for want of permission.
    pub refused: u64,
    /// Microseconds of those that ended.
    pub total_us: u64,
    /// When the last keyword call began.
    pub last_at: Option<Instant>,
}

impl Figures {
    /// Share of successes among the calls that ended; 0 without one.
    pub fn success_rate(&self) -> f64 {
        let ended = self.successful + self.failed;
        if ended == 0 { 0.0 } else { self.successful as f64 / ended as f64 }
    }

    /// Mean duration in milliseconds; 0 without a call that ended.
    pub fn average_ms(&self) -> f64 {
        let ended = self.successful + self.failed;
        if ended == 0 { 0.0 } else { self.total_us as f64 / 1e3 / ended as f64 }
    }
}

/// A call of a tool.
#[derive(Clone, Copy, Debug)]
pub struct ToolCall<'a> {
    /// The tool's name, as it came.
    pub tool: &'a Value,
    /// Its parameters.
    pub parameters: &'a Value,
    /// What the permission layer is told of the user.
    pub person: &'a Person,
}

/// What was passed under the keyword `context`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeywordContext {
    /// Nothing.
    Absent,
    /// An object.
    Object,
    /// A plain map.
    Map,
}

/// How a call went on.
#[derive(Debug, PartialEq)]
pub enum Begun {
    /// Its tool may run; to be given back to [`Dispatcher::end`].
    Running(Running),
    /// It is over.
    Answered(Answer),
}

/// A call whose tool may run.
#[derive(Debug, PartialEq)]
#[must_use = "a call that began must end"]
pub struct Running {
    started: Started,
    path: Path,
    since: Instant,
    /// The slot held at the permission layer: user and execution id.
    slot: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    Keyword,
    Agent,
}

impl Running {
    /// When the tool is given up; never, with `T6`.
    pub const fn deadline(&self) -> Option<Instant> {
        self.started.deadline
    }
}

impl Dispatcher {
    /// A dispatcher of a context with tools, and with an emitter or none.
    ///
    /// # Errors
    /// With `T1`, any tools.
    pub fn new(
        hazards: Hazards,
        context: Context,
        tools: &[&str],
        emitter: Option<Wire>,
    ) -> Result<Self, Raised> {
        let claims_events = emitter.is_some();
        // The adapter between emitter and engine passes more arguments than the emitter's method takes.
        let wire = match emitter {
            Some(wire) if hazards.has(Hazard::T5) => Wire { bridge: Bridge::Raises, ..wire },
            Some(wire) => wire,
            None => Wire::ABSENT,
        };
        Self::wired(hazards, Some(context), tools, wire, claims_events)
    }

    /// A dispatcher as the factory puts it together.
    pub(super) fn wired(
        hazards: Hazards,
        context: Option<Context>,
        tools: &[&str],
        wire: Wire,
        claims_events: bool,
    ) -> Result<Self, Raised> {
        let mut made = Self {
            hazards,
            context,
            registry: BTreeMap::new(),
            engine: Engine::new(hazards, wire),
            claims_events,
            timer: claims_events,
            active: true,
            figures: Figures::default(),
            serial: 0,
        };
        made.register_tools(tools)?;
        Ok(made)
    }

    /// Whom it works for.
    pub const fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    /// Its engine.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its engine, to clean up or to rewire.
    pub const fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Its counts.
    pub const fn figures(&self) -> Figures {
        self.figures
    }

    /// Whether it says that its events reach somebody.
    pub const fn claims_events(&self) -> bool {
        self.claims_events
    }

    /// Whether it was not cleaned up.
    pub const fn is_active(&self) -> bool {
        self.active
    }

    /// Whether the timer of its emitter runs.
    pub const fn has_timer(&self) -> bool {
        self.timer
    }

    /// Registers tools.
    ///
    /// # Errors
    /// After the clean-up; with `T1`, any tools.
    pub fn register_tools(&mut self, tools: &[&str]) -> Result<(), Raised> {
        self.must_live()?;
        if self.hazards.has(Hazard::T1) && !tools.is_empty() {
            return Err(lacks("register_tools"));
        }
        self.registry.extend(tools.iter().map(|tool| ((*tool).to_owned(), false)));
        Ok(())
    }

    /// Registers a plain callable.
    ///
    /// # Errors
    /// After the clean-up; with `T1`, always.
    pub fn register(&mut self, tool: &str) -> Result<(), Raised> {
        self.must_live()?;
        if self.hazards.has(Hazard::T1) {
            let text = "ToolRegistry.register_tool() missing 1 required positional argument: 'tool'";
            return Err(Raised::new("TypeError", text));
        }
        self.registry.insert(tool.to_owned(), true);
        Ok(())
    }

    /// The names of its tools, in alphabetical order; after the clean-up there are none.
    ///
    /// # Errors
    /// With `T1`, always.
    pub fn tools(&self) -> Result<Vec<&str>, Raised> {
        if self.hazards.has(Hazard::T1) {
            return Err(lacks("tools"));
        }
        Ok(self.registry.keys().map(String::as_str).collect())
    }

    /// Whether it has a tool of exactly that name.
    ///
    /// # Errors
    /// After the clean-up; with `T1`, always.
    pub fn has_tool(&self, tool: &str) -> Result<bool, Raised> {
        self.must_live()?;
        if self.hazards.has(Hazard::T1) {
            return Err(lacks("has_tool"));
        }
        Ok(self.registry.contains_key(tool))
    }

    /// The keyword form of a call.
    ///
    /// # Errors
    /// After the clean-up, and for a call that the input model refuses.
    pub fn dispatch(
        &mut self,
        now: Instant,
        call: &ToolCall<'_>,
        keyword: KeywordContext,
        permissions: &mut Permissions,
        out: &mut Vec<BridgeCall>,
    ) -> Result<Begun, Raised> {
        self.must_live()?;
        let Some(tool) = call.tool.as_str() else { return Err(refused_name(call.tool)) };
        if self.hazards.has(Hazard::T3) {
            accepted(call.parameters, keyword)?;
        }
        if !self.has_tool(tool)? {
            return Ok(Begun::Answered(Answer::Refused(format!("Tool {tool} not found"))));
        }
        let slot = match self.admit(now, tool, call, permissions) {
            Ok(slot) => slot,
            Err(reason) => return Ok(Begun::Answered(Answer::Refused(reason))),
        };
        self.figures.executed += 1;
        self.figures.last_at = Some(now);
        // No keyword call ever got as far as its events; they are meant to be those of the other form.
        let (bound, agent) = (self.context.clone(), format!("ToolExecutor[{tool}]"));
        let context = match (keyword, &bound) {
            (KeywordContext::Map, _) if self.hazards.has(Hazard::T3) => EngineContext::Map,
            (KeywordContext::Absent, _) if self.hazards.has(Hazard::T2) => EngineContext::Absent,
            (_, None) => EngineContext::Absent,
            (_, Some(ids)) => {
                let (user, thread, run) = (&*ids.user, &*ids.thread, &*ids.run);
                EngineContext::Ids { user, thread, run, agent: Some(&agent) }
            }
        };
        let shown = summary(call.parameters);
        let started = self.engine.begin_with_input(now, tool, shown, context, out);
        Ok(self.go_on(now, Path::Keyword, started, slot, permissions))
    }

    /// The form of a call that agents used.
    ///
    /// # Errors
    /// After the clean-up; with `T1`, always.
    pub fn dispatch_tool(
        &mut self,
        now: Instant,
        call: &ToolCall<'_>,
        run_id: &str,
        socket_in_state: bool,
        permissions: &mut Permissions,
        out: &mut Vec<BridgeCall>,
    ) -> Result<Begun, Raised> {
        self.must_live()?;
        let tool = text(call.tool);
        // That the run differs is nobody's business: it reads as if there were no such tool.
        let own_run = self.context.as_ref().is_none_or(|ids| ids.run == run_id);
        if !own_run || !self.has_tool(&tool)? {
            return Ok(Begun::Answered(Answer::Refused(format!("Tool {tool} not found"))));
        }
        let slot = match self.admit(now, &tool, call, permissions) {
            Ok(slot) => slot,
            Err(reason) => return Ok(Begun::Answered(Answer::Refused(reason))),
        };
        if !self.hazards.has(Hazard::T9) {
            self.figures.executed += 1;
        }
        let user = self.context.as_ref().map_or_else(String::new, |ids| ids.user.clone());
        let asked =
            StateCall { tool: &tool, parameters: call.parameters, user: &user, run: run_id, socket_in_state };
        let masked = self.registry.get(&tool) == Some(&true)
            && self.hazards.has(Hazard::T7)
            && self.engine.wire().bridge == Bridge::Absent;
        let started =
            if masked { Err(about_an_error()) } else { self.engine.begin_with_state(now, &asked, out) };
        Ok(self.go_on(now, Path::Agent, started, slot, permissions))
    }

    /// Ends a call.
    pub fn end(
        &mut self,
        now: Instant,
        running: Running,
        ending: Ending,
        permissions: &mut Permissions,
        out: &mut Vec<BridgeCall>,
    ) -> Answer {
        let Running { started, path, since, slot } = running;
        if let Some((user, id)) = slot {
            permissions.end(&user, &id);
        }
        let answer = self.engine.end(now, started, ending, out);
        let inner_failed = answer.as_ref().is_ok_and(Answer::is_error);
        let answer = answer.unwrap_or_else(|raised| Answer::Failure(wrapped(path, &raised)));
        // An engine that answers with a failure has answered: on the agents' path that counted as a success.
        let as_success = inner_failed && path == Path::Agent && self.hazards.has(Hazard::T8);
        self.count(!answer.is_error() || as_success, now.since(since));
        answer
    }

    /// Cleans it up: no tools, no calls. Doing it again changes nothing.
    ///
    /// # Errors
    /// With `T1`, always; it stays active.
    pub fn clean_up(&mut self) -> Result<(), Raised> {
        if self.hazards.has(Hazard::T1) {
            return Err(lacks("tools"));
        }
        self.active = false;
        self.registry.clear();
        if !self.hazards.has(Hazard::T23) {
            // Where that goes wrong, the emitter has no such method, and the error is swallowed.
            self.timer = false;
        }
        Ok(())
    }

    fn must_live(&self) -> Result<(), Raised> {
        if self.active {
            return Ok(());
        }
        let correlation = self.context.as_ref().map(Context::correlation).unwrap_or_default();
        let text = format!("RequestScopedToolDispatcher [{correlation}] has been disposed");
        Err(Raised::new("RuntimeError", text))
    }

    /// Validation and permission, which no dispatcher ever asked for: with `T17` everything passes.
    fn admit(
        &mut self,
        now: Instant,
        tool: &str,
        call: &ToolCall<'_>,
        permissions: &mut Permissions,
    ) -> Result<Option<(String, String)>, String> {
        let Some(ids) = self.context.as_ref().filter(|_| !self.hazards.has(Hazard::T17)) else {
            return Ok(None);
        };
        self.serial += 1;
        let id = format!("{}#{}", ids.run, self.serial);
        let parameters =
            if call.parameters.is_null() { &Value::Object(Default::default()) } else { call.parameters };
        let named = validate::tool_name(&tool.into()).map(|found| found.errors).unwrap_or_default();
        let found = validate::parameters(parameters).errors;
        let wrong = named.first().or(found.first()).map(|error| (*error).to_owned());
        let asked = Asked { user: &ids.user, person: call.person, tool, parameters, execution: Some(&id) };
        let refused = match wrong {
            Some(error) => Some(error),
            None => {
                let verdict = permissions.check(now, &asked);
                if verdict.is_allowed() {
                    return Ok(verdict.holds_slot.then(|| (ids.user.clone(), id.clone())));
                }
                Some(verdict.reason)
            }
        };
        self.figures.refused += 1;
        Err(refused.unwrap_or_default())
    }

    /// A call that the engine took runs; one that it did not is over, and gives its slot back.
    fn go_on(
        &mut self,
        now: Instant,
        path: Path,
        started: Result<Started, Raised>,
        slot: Option<(String, String)>,
        permissions: &mut Permissions,
    ) -> Begun {
        match started {
            Ok(started) => Begun::Running(Running { started, path, since: now, slot }),
            Err(raised) => {
                if let Some((user, id)) = slot {
                    permissions.end(&user, &id);
                }
                self.count(false, 0);
                Begun::Answered(Answer::Failure(wrapped(path, &raised)))
            }
        }
    }

    fn count(&mut self, success: bool, took_us: u64) {
        self.figures.successful += u64::from(success);
        self.figures.failed += u64::from(!success);
        self.figures.total_us += took_us;
    }
}

/// What the registry has no method for.
fn lacks(attribute: &str) -> Raised {
    let text = format!("'ToolRegistry' object has no attribute '{attribute}'");
    Raised::new("AttributeError", text)
}

fn wrapped(path: Path, raised: &Raised) -> String {
    match path {
        Path::Keyword => format!("Tool execution failed: {}", raised.text),
        Path::Agent => raised.text.clone(),
    }
}

fn refused_name(name: &Value) -> Raised {
    let (literal, kind) = (super::python::literal(name), super::python::type_name(name));
    let text = format!(
        "1 validation error for ToolInput\ntool_name\n  Input should be a valid string \
         [type=string_type, input_value={literal}, input_type={kind}]"
    );
    Raised::new("ValidationError", text)
}

/// What the input model takes: no null, and no object but JSON's own.
fn accepted(kwargs: &Value, keyword: KeywordContext) -> Result<(), Raised> {
    let null = kwargs.as_object().and_then(|members| members.iter().find(|(_, value)| value.is_null()));
    let of = |key: &str, rest: &str| {
        let text = format!(
            "6 validation errors for ToolInput\nkwargs.{key}.str\n  Input should be a valid string \
             [type=string_type, input_value={rest}"
        );
        Raised::new("ValidationError", text)
    };
    match (null, keyword) {
        (Some((key, _)), _) => Err(of(key, "None, input_type=NoneType]")),
        (None, KeywordContext::Object) => Err(of("context", "")),
        (None, KeywordContext::Absent | KeywordContext::Map) => Ok(()),
    }
}
