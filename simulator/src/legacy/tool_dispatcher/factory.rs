//! The process-wide factory, and the redirects that stood around it.

use super::{
    Context, Raised,
    dispatcher::Dispatcher,
    event::{Bridge, Wire},
    made::{Face, Made},
};
use crate::legacy::{Hazard, Hazards};
use router::Instant;

/// What each creation is said to save, in bytes.
const SAVED_BYTES: u64 = 1_536;

/// A way to a dispatcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The factory's own.
    CreateForRequest,
    /// The factory's, by the name of the unified class.
    CreateForUser,
    /// The factory's, by the name of the executor.
    CreateToolExecutor,
    /// The unified class.
    UnifiedForUser,
    /// The unified class, for the time of a scope.
    UnifiedScoped,
    /// The factory of the unified class: for a request, a user or an administrator.
    UnifiedFactory,
    /// The enhanced class.
    EnhancedForUser,
    /// The oldest facade.
    FacadeForRequest,
    /// The oldest facade's dispatcher for nobody.
    FacadeGlobal,
    /// The oldest dispatcher, without a context.
    Core,
}

/// What a caller hands over for events: whose it is, if anybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed<'a> {
    /// Nothing.
    Nothing,
    /// A manager of connections.
    Manager(Option<&'a str>),
    /// A bridge.
    Bridge(Option<&'a str>),
}

/// What a caller gives for a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// A context.
    Context(Context),
    /// Null.
    Nothing,
    /// Something else, by the name of its type.
    Other(&'static str),
}

/// Counters of the factory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Dispatchers made.
    pub created: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Dispatchers in use.
    pub active: u64,
    /// Made by the name of the unified class.
    pub unified_redirects: u64,
    /// Made by the name of the executor.
    pub executor_redirects: u64,
    /// Warnings about old names.
    pub warnings: u64,
    /// Made with a way for events.
    pub with_events: u64,
    /// When the last one was made.
    pub last_at: Option<Instant>,
}

impl Counters {
    /// Redirects of all kinds.
    pub const fn redirects(&self) -> u64 {
        self.unified_redirects + self.executor_redirects
    }

    /// Bytes that are said to be saved.
    pub const fn saved_bytes(&self) -> u64 {
        self.created * SAVED_BYTES
    }
}

/// The one factory of a process.
#[derive(Debug)]
pub struct Factory {
    hazards: Hazards,
    /// What some caller passed, kept for the callers after it.
    shared: Option<Kept>,
    counters: Counters,
}

#[derive(Clone, Debug)]
struct Kept {
    sink: Option<String>,
}

impl Factory {
    /// A factory as a process begins with it.
    pub fn new(hazards: Hazards) -> Self {
        Self { hazards, shared: None, counters: Counters::default() }
    }

    /// Its counters.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether it keeps what some caller passed.
    pub const fn keeps_manager(&self) -> bool {
        self.shared.is_some()
    }

    /// Makes a dispatcher. One of a scope is made, and is cleaned up by [`leave_scope`](Self::leave_scope).
    ///
    /// # Errors
    /// A context that is none, each way with its own exception.
    pub fn create(
        &mut self,
        now: Instant,
        way: Way,
        given: &Given,
        handed: Handed<'_>,
        tools: &[&str],
    ) -> Result<Made, Raised> {
        let context = self.context(way, given)?;
        if !way.counts() {
            return self.aside(way, context, handed, tools);
        }
        let keeps = matches!(way, Way::UnifiedForUser | Way::UnifiedScoped | Way::UnifiedFactory);
        let relabelled = way == Way::EnhancedForUser && self.hazards.has(Hazard::T19);
        let sink = match handed {
            Handed::Manager(sink) | Handed::Bridge(sink) if !relabelled => {
                Some(Kept { sink: sink.map(str::to_owned) })
            }
            Handed::Manager(_) | Handed::Bridge(_) | Handed::Nothing => None,
        };
        let leaks = self.hazards.has(Hazard::T13);
        if let Some(sink) = sink.as_ref().filter(|_| keeps && leaks) {
            self.shared = Some(sink.clone());
        }
        // What an earlier caller left behind serves whoever brings nothing.
        let wrapped = self.hazards.has(Hazard::T18) && matches!(handed, Handed::Bridge(_)) && way.wraps();
        let own = sink.filter(|_| !wrapped || keeps);
        let events = own.or_else(|| self.shared.clone().filter(|_| leaks));
        let lost = relabelled || (way.loses_tools() && self.hazards.has(Hazard::T21));
        let tools = if lost { &[] } else { tools };
        let claims = events.is_some();
        let wire = events.map_or(Wire::ABSENT, |kept| self.wire(way, handed, kept));
        let made = Dispatcher::wired(self.hazards, Some(context), tools, wire, claims);
        let dispatcher = made.inspect_err(|_| self.counters.failed += 1)?;
        self.count(now, way, claims);
        let face = match () {
            () if relabelled => Face::Enhanced,
            () if wrapped => Face::Wrapper,
            () => Face::Dispatcher,
        };
        Ok(Made { dispatcher, face, claims_events: (!relabelled).then_some(claims) })
    }

    /// Makes a dispatcher with the capability of administrators.
    ///
    /// # Errors
    /// Without a context, for a user who is none, and with `T20` always.
    pub fn create_admin(
        &mut self,
        now: Instant,
        given: &Given,
        is_admin: bool,
        tools: &[&str],
    ) -> Result<Made, Raised> {
        if *given == Given::Nothing {
            return Err(Raised::new("ValueError", "user_context required for admin dispatcher"));
        }
        if !is_admin {
            return Err(Raised::new("ValueError", "Admin user required"));
        }
        if self.hazards.has(Hazard::T20) {
            // The factory is asynchronous and was not awaited: what is relabelled is a coroutine.
            let text = "__class__ assignment only supported for mutable types or ModuleType subclasses";
            return Err(Raised::new("TypeError", text));
        }
        self.create(now, Way::CreateForRequest, given, Handed::Nothing, tools)
    }

    /// A scope ends: its dispatcher is cleaned up and counted out.
    ///
    /// # Errors
    /// What the clean-up raises.
    pub fn leave_scope(&mut self, made: &mut Made) -> Result<(), Raised> {
        let was_active = made.dispatcher.is_active();
        let cleaned = made.dispatcher.clean_up();
        self.counters.active = self.counters.active.saturating_sub(u64::from(was_active));
        cleaned
    }

    /// Cleans up a dispatcher that was made without a scope.
    ///
    /// # Errors
    /// What the clean-up raises.
    pub fn clean_up(&mut self, made: &mut Made) -> Result<(), Raised> {
        let was_active = made.dispatcher.is_active();
        made.dispatcher.clean_up()?;
        if !self.hazards.has(Hazard::T14) {
            self.counters.active = self.counters.active.saturating_sub(u64::from(was_active));
        }
        Ok(())
    }

    fn context(&self, way: Way, given: &Given) -> Result<Context, Raised> {
        let kind = match given {
            Given::Context(context) if way != Way::FacadeGlobal => return Ok(context.clone()),
            Given::Context(_) | Given::Nothing | Given::Other(_) if way == Way::FacadeGlobal => {
                let ids = Context { user: "legacy_user".to_owned(), ..made_up("global") };
                return Ok(ids);
            }
            Given::Context(_) => return Ok(made_up("unreachable")),
            Given::Nothing => "NoneType",
            Given::Other(kind) => kind,
        };
        match way {
            Way::CreateForRequest | Way::FacadeForRequest => Err(Context::expected(kind)),
            Way::Core => Ok(made_up("core")),
            // Without a context the factory of the unified class made one up.
            Way::UnifiedFactory if kind == "NoneType" => Ok(made_up("migration")),
            Way::UnifiedFactory => {
                let text = format!(
                    "Migration from deprecated ExecutionEngine failed: '{kind}' object has no attribute 'user_id'"
                );
                Err(Raised::new("ValueError", text))
            }
            Way::CreateForUser
            | Way::CreateToolExecutor
            | Way::UnifiedForUser
            | Way::UnifiedScoped
            | Way::EnhancedForUser
            | Way::FacadeGlobal => {
                let text = format!("'{kind}' object has no attribute 'user_id'");
                Err(Raised::new("AttributeError", text))
            }
        }
    }

    /// The ways that go past the factory.
    fn aside(&self, way: Way, context: Context, handed: Handed<'_>, tools: &[&str]) -> Result<Made, Raised> {
        let handed = if way == Way::FacadeGlobal { Handed::Nothing } else { handed };
        let claims = handed != Handed::Nothing;
        let wire = match handed {
            Handed::Nothing => Wire::ABSENT,
            // The oldest dispatcher hands what it got to its engine as it is; a manager has no such methods.
            Handed::Manager(_) if way == Way::Core => Wire::to_recorder(Bridge::Raises),
            Handed::Manager(sink) | Handed::Bridge(sink) => {
                self.wire(way, handed, Kept { sink: sink.map(str::to_owned) })
            }
        };
        let core = way == Way::Core;
        let context = (!core).then_some(context);
        let dispatcher = Dispatcher::wired(self.hazards, context, tools, wire, claims)?;
        let face = if core { Face::Core } else { Face::Dispatcher };
        Ok(Made { dispatcher, face, claims_events: Some(claims) })
    }

    /// The way for events of a dispatcher that is put together here.
    fn wire(&self, way: Way, handed: Handed<'_>, kept: Kept) -> Wire {
        let bridge = match (way, handed) {
            (Way::Core, _) => Bridge::Works,
            // The emitter is attached after the engine was built, which never hears of it.
            _ if self.hazards.has(Hazard::T4) => Bridge::Absent,
            (_, Handed::Bridge(_)) if way.wraps() && self.hazards.has(Hazard::T25) => Bridge::Shifted,
            _ => Bridge::Works,
        };
        match kept.sink {
            Some(user) => Wire::to_user(bridge, &user),
            None => Wire::to_recorder(bridge),
        }
    }

    fn count(&mut self, now: Instant, way: Way, claims_events: bool) {
        let Counters {
            created,
            active,
            unified_redirects,
            executor_redirects,
            warnings,
            with_events,
            last_at,
            ..
        } = &mut self.counters;
        *created += 1;
        *active += 1;
        *with_events += u64::from(claims_events);
        *last_at = Some(now);
        if !self.hazards.has(Hazard::T22) {
            return;
        }
        let redirects = match way {
            Way::CreateForUser | Way::UnifiedForUser | Way::UnifiedFactory | Way::EnhancedForUser => {
                unified_redirects
            }
            Way::CreateToolExecutor => executor_redirects,
            Way::CreateForRequest
            | Way::UnifiedScoped
            | Way::FacadeForRequest
            | Way::FacadeGlobal
            | Way::Core => return,
        };
        *redirects += 1;
        *warnings += 1;
    }
}

impl Way {
    /// Whether the factory takes part.
    const fn counts(self) -> bool {
        !matches!(self, Way::FacadeForRequest | Way::FacadeGlobal | Way::Core)
    }

    /// Whether a bridge is answered with a wrapper.
    const fn wraps(self) -> bool {
        matches!(self, Way::CreateForUser | Way::UnifiedForUser | Way::UnifiedScoped | Way::UnifiedFactory)
    }

    /// Whether the list of tools is not passed on.
    const fn loses_tools(self) -> bool {
        matches!(self, Way::UnifiedFactory | Way::CreateToolExecutor)
    }
}

/// Ids that nobody issued.
fn made_up(what: &str) -> Context {
    let id = |name: &str| format!("{what}_{name}");
    Context { user: id("user"), thread: id("thread"), run: id("run"), request: id("request") }
}
