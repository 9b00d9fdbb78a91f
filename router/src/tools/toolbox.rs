//! The toolbox: what every dispatcher shares, and the only maker of dispatchers.

use alloc::{
    borrow::Cow,
    boxed::Box,
    collections::{BTreeMap, BTreeSet, VecDeque},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};

use serde_json::value::RawValue;

use super::{
    context::Context,
    dispatcher::{Begun, Dispatcher, Ended, Ending, Figures, InFlight, raw},
    figures::{Health, OpenError, ToolLimits, ToolStats},
    permission::Permissions,
    policy::{Grants, Person},
    text, validate,
};
use crate::{
    contract::{Instant, ToolRefusal, ToolRefusalReason, UserId},
    fingerprint::Walk,
    wire::sanitise::{Part, Sanitise, sanitise},
};

/// The window of [`ToolLimits::calls_per_user_per_min`], in microseconds.
const MINUTE_US: u64 = 60_000_000;
/// Users below which nobody looks for those that are gone.
const SWEEP_MIN: usize = 1_024;
/// A probe that takes longer than this is degraded, in microseconds.
const PROBE_SLOW_US: u64 = 1_000_000;

/// A call, as an agent asks for it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Names the call within its dispatcher.
    pub call: &'a str,
    /// The run the caller believes to be in, if it says so.
    pub run_id: Option<&'a str>,
    /// Which tool.
    pub tool: &'a str,
    /// A JSON object.
    pub parameters: &'a str,
}

#[derive(Clone, Debug, Default)]
struct User {
    dispatchers: u32,
    in_flight: u32,
    /// Calls within the last minute, oldest first.
    calls: VecDeque<Instant>,
    grants: Option<Box<Grants>>,
}

impl User {
    fn is_gone(&self, now: Instant) -> bool {
        let recent = self.calls.back().is_some_and(|at| now.since(*at) < MINUTE_US);
        self.dispatchers == 0 && self.grants.is_none() && !recent
    }
}

/// Tools, policies, limits, users: everything that dispatchers share. Nothing of it knows a connection, so no
/// dispatcher can be wired to somebody else's.
#[derive(Debug)]
pub struct Toolbox {
    limits: ToolLimits,
    /// Tools that every dispatcher has: name and description.
    catalogue: BTreeMap<Box<str>, Box<str>>,
    permissions: Permissions,
    users: BTreeMap<UserId, User>,
    sweep_at: usize,
    serial: u64,
    stats: ToolStats,
}

impl Toolbox {
    /// A toolbox without tools, with the default policies.
    pub fn new(limits: ToolLimits) -> Self {
        Self {
            limits,
            catalogue: BTreeMap::new(),
            permissions: Permissions::default(),
            users: BTreeMap::new(),
            sweep_at: SWEEP_MIN,
            serial: 0,
            stats: ToolStats::default(),
        }
    }

    /// The same a second time, for a fork of the router.
    pub(crate) fn fork(&self) -> Self {
        Self {
            catalogue: self.catalogue.clone(),
            permissions: self.permissions.fork(),
            users: self.users.clone(),
            ..*self
        }
    }

    /// What a user has under way, and has called within the last minute.
    pub(crate) fn digest_user(&self, user: &str, walk: &mut Walk<'_>) {
        let known = self.users.get(user);
        let (dispatchers, in_flight) = known.map_or((0, 0), |known| (known.dispatchers, known.in_flight));
        walk.number(u64::from(dispatchers));
        walk.number(u64::from(in_flight));
        let calls = known.map(|known| &known.calls).into_iter().flatten();
        let now = walk.now;
        let recent = calls.filter(|at| now.since(**at) < MINUTE_US);
        walk.len(recent.clone().count());
        recent.for_each(|at| walk.time(*at));
        self.permissions.digest_user(user, walk);
    }

    /// Adds a tool for every dispatcher; the last description of a name holds. An empty one becomes
    /// `Dynamic tool: NAME`.
    pub fn add_tool(&mut self, name: &str, description: &str) {
        self.catalogue.insert(name.into(), described(name, description));
    }

    /// The permission layer.
    pub const fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// The permission layer, to set policies.
    pub const fn permissions_mut(&mut self) -> &mut Permissions {
        &mut self.permissions
    }

    /// Roles, features and the admin flag of a user; kept until they are set anew. `None` takes them away.
    pub fn set_grants(&mut self, user: &str, grants: Option<Grants>) {
        let known = self.users.entry(user.into()).or_default();
        known.grants = grants.map(Box::new);
    }

    /// What [`set_grants`](Self::set_grants) said.
    pub fn grants(&self, user: &str) -> Option<&Grants> {
        self.users.get(user)?.grants.as_deref()
    }

    /// Counts over all dispatchers.
    pub const fn stats(&self) -> &ToolStats {
        &self.stats
    }

    /// The limits in force.
    pub const fn limits(&self) -> &ToolLimits {
        &self.limits
    }

    /// A dispatcher for one context. Close it: until then it counts against its user's limit.
    ///
    /// # Errors
    /// [`OpenError::Limit`] when the user has too many.
    pub fn open(&mut self, now: Instant, context: Context) -> Result<Dispatcher, OpenError> {
        self.make(now, context, false)
    }

    /// A dispatcher with the admin capability, for which the user must have the admin flag.
    ///
    /// # Errors
    /// [`OpenError::AdminRequired`] without the flag; [`OpenError::Limit`] when the user has too many.
    pub fn open_admin(&mut self, now: Instant, context: Context) -> Result<Dispatcher, OpenError> {
        if !self.grants(context.user()).is_some_and(|grants| grants.admin) {
            self.stats.failed_creations += 1;
            return Err(OpenError::AdminRequired);
        }
        self.make(now, context, true)
    }

    /// Works with a dispatcher and closes it, whatever `work` answers; hands back the calls that were cancelled.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn scoped<R>(
        &mut self,
        now: Instant,
        context: Context,
        work: impl FnOnce(&mut Self, &mut Dispatcher) -> R,
    ) -> Result<(R, Vec<Ended>), OpenError> {
        let mut dispatcher = self.open(now, context)?;
        let answer = work(self, &mut dispatcher);
        let cancelled = self.close(now, &mut dispatcher);
        Ok((answer, cancelled))
    }

    fn make(&mut self, now: Instant, context: Context, admin: bool) -> Result<Dispatcher, OpenError> {
        self.sweep(now);
        let max = self.limits.dispatchers_per_user_max;
        let user = self.users.entry(context.user().clone()).or_default();
        if user.dispatchers >= max {
            self.stats.failed_creations += 1;
            return Err(OpenError::Limit(max));
        }
        user.dispatchers += 1;
        self.serial += 1;
        self.stats.created += 1;
        self.stats.active += 1;
        Ok(Dispatcher {
            context,
            number: self.serial,
            admin,
            active: true,
            born: now,
            own: BTreeMap::new(),
            calls: Vec::new(),
            overdue: BTreeSet::new(),
            figures: Figures::default(),
        })
    }

    /// Gives a dispatcher a tool of its own; the last description of a name holds.
    ///
    /// # Errors
    /// [`ToolRefusalReason::Disposed`] after the close; [`ToolRefusalReason::Invalid`] for a name that is none, or one too many.
    pub fn register(
        &mut self,
        dispatcher: &mut Dispatcher,
        name: &str,
        description: &str,
    ) -> Result<(), ToolRefusal> {
        if !dispatcher.active {
            return Err(dispatcher.disposed());
        }
        if let Some(error) = validate::tool_name(&name.into()).errors.first() {
            return Err(dispatcher.refuse(ToolRefusalReason::Invalid, *error));
        }
        let max = self.limits.own_tools_max;
        if dispatcher.own.len() >= max as usize && !dispatcher.own.contains_key(name) {
            let text = format!("Too many tools registered (max {max})");
            return Err(dispatcher.refuse(ToolRefusalReason::Invalid, text));
        }
        dispatcher.own.insert(name.into(), described(name, description));
        Ok(())
    }

    /// Whether the dispatcher has a tool of exactly that name.
    ///
    /// # Errors
    /// [`ToolRefusalReason::Disposed`] after the close.
    pub fn has_tool(&self, dispatcher: &Dispatcher, name: &str) -> Result<bool, ToolRefusal> {
        self.description(dispatcher, name).map(|description| description.is_some())
    }

    /// What a tool of the dispatcher does.
    ///
    /// # Errors
    /// [`ToolRefusalReason::Disposed`] after the close.
    pub fn description<'a>(
        &'a self,
        dispatcher: &'a Dispatcher,
        name: &str,
    ) -> Result<Option<&'a str>, ToolRefusal> {
        if !dispatcher.active {
            return Err(dispatcher.disposed());
        }
        let found = dispatcher.own.get(name).or_else(|| self.catalogue.get(name));
        Ok(found.map(|description| &**description))
    }

    /// The names of the dispatcher's tools, in alphabetical order.
    ///
    /// # Errors
    /// [`ToolRefusalReason::Disposed`] after the close.
    pub fn tools<'a>(&'a self, dispatcher: &'a Dispatcher) -> Result<Vec<&'a str>, ToolRefusal> {
        if !dispatcher.active {
            return Err(dispatcher.disposed());
        }
        let mut names: Vec<&str> =
            self.catalogue.keys().chain(dispatcher.own.keys()).map(|name| &**name).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Names of the catalogue, for a run that has no dispatcher yet.
    pub fn catalogue(&self) -> impl Iterator<Item = &str> {
        self.catalogue.keys().map(|name| &**name)
    }

    /// Takes a call up, or says why not. The order of checks is fixed: disposed, run, tool, validation, permission,
    /// the user's own limits. Nothing but the refusal is counted for a call that is refused.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn begin(
        &mut self,
        now: Instant,
        dispatcher: &mut Dispatcher,
        person: &Person,
        call: &Call<'_>,
    ) -> Result<Begun, ToolRefusal> {
        let begun = self.admit(now, dispatcher, person, call);
        if begun.is_err() {
            self.stats.refused += 1;
        }
        begun
    }

    fn admit(
        &mut self,
        now: Instant,
        dispatcher: &mut Dispatcher,
        person: &Person,
        asked: &Call<'_>,
    ) -> Result<Begun, ToolRefusal> {
        let Call { call, run_id, tool, parameters } = *asked;
        if !dispatcher.active {
            return Err(dispatcher.disposed());
        }
        // That the run differs is nobody's business: it reads as if there were no such tool.
        let own_run = run_id.is_none_or(|run| run == dispatcher.context.run());
        if !own_run || !self.has_tool(dispatcher, tool)? {
            return Err(dispatcher.refuse(ToolRefusalReason::NotFound, format!("Tool {tool} not found")));
        }
        if dispatcher.overdue.contains(call) {
            let text = String::from("The call's id is that of a call whose tool has yet to report");
            return Err(dispatcher.refuse(ToolRefusalReason::Order, text));
        }
        let parameters = self.validated(dispatcher, tool, parameters)?;
        let user = dispatcher.context.user().clone();
        // The admin flag counts on a dispatcher that was made with the admin capability only.
        let plain = (person.grants.admin && !dispatcher.admin)
            .then(|| Person { grants: Grants { admin: false, ..person.grants.clone() }, ..person.clone() });
        let person = plain.as_ref().unwrap_or(person);
        let mut verdict = self.permissions.decide(now, &user, person, tool, &parameters);
        if verdict.is_allowed() {
            self.within_limits(now, dispatcher)?;
        }
        self.permissions.settle(now, &user, tool, &mut verdict);
        if !verdict.is_allowed() {
            return Err(dispatcher.refuse(ToolRefusalReason::Permission(verdict.result), verdict.reason));
        }
        self.serial += 1;
        let (call, serial): (Arc<str>, u64) = (call.into(), self.serial);
        let holds_slot = verdict.holds_slot;
        let deadline = now.after(self.limits.deadline_us);
        let (tool_name, call_id) = (tool.into(), call.clone());
        let open = InFlight { call: call_id, tool: tool_name, serial, started: now, deadline, holds_slot };
        dispatcher.calls.push(open);
        dispatcher.figures.executed += 1;
        self.stats.executed += 1;
        self.stats.in_flight += 1;
        let load = self.users.entry(user).or_default();
        load.in_flight += 1;
        load.calls.push_back(now);
        let shown = serde_json::Value::from(text::summary(&redacted(asked.parameters)));
        Ok(Begun {
            call,
            serial,
            parameters: parameters.into(),
            shown: raw(format!(r#"{{"summary":{shown}}}"#)),
            deadline,
        })
    }

    /// The parameters, sanitised, if name and parameters are what they must be.
    fn validated(&self, dispatcher: &mut Dispatcher, tool: &str, json: &str) -> Result<String, ToolRefusal> {
        let name = validate::tool_name(&tool.into());
        let found = validate::parameters(json);
        let max = self.limits.value_bytes_max as usize;
        let error = name.errors.first().or(found.errors.first()).copied();
        let error = error.or((json.len() > max).then_some("Parameters too large"));
        if let Some(error) = error {
            return Err(dispatcher.refuse(ToolRefusalReason::Invalid, error));
        }
        dispatcher.figures.warnings += found.warnings.len() as u64;
        validate::sanitized(json)
            .ok_or_else(|| dispatcher.refuse(ToolRefusalReason::Invalid, "Parameters nested too deeply"))
    }

    /// The user's limits over all tools.
    fn within_limits(&mut self, now: Instant, dispatcher: &mut Dispatcher) -> Result<(), ToolRefusal> {
        let (in_flight_max, rate) =
            (self.limits.calls_in_flight_per_user_max, self.limits.calls_per_user_per_min);
        let Some(load) = self.users.get_mut(&**dispatcher.context.user()) else { return Ok(()) };
        if load.in_flight >= in_flight_max {
            let text = format!("Concurrent execution limit exceeded ({in_flight_max})");
            return Err(dispatcher.refuse(ToolRefusalReason::InFlightLimit, text));
        }
        while load.calls.front().is_some_and(|at| now.since(*at) >= MINUTE_US) {
            load.calls.pop_front();
        }
        if load.calls.len() >= rate as usize {
            return Err(dispatcher.refuse(ToolRefusalReason::CallRate, "Rate limit exceeded for user"));
        }
        Ok(())
    }

    /// Ends a call; `None` when it is not in flight (any more), which is counted.
    pub fn finish(
        &mut self,
        now: Instant,
        dispatcher: &mut Dispatcher,
        call: &str,
        ending: Ending<'_>,
    ) -> Option<Ended> {
        let max = self.limits.value_bytes_max as usize;
        let ending = match ending {
            Ending::Answered(Ok(result)) if result.len() > max => {
                let failure =
                    crate::contract::ToolFailure { message: "Tool result too large", kind: "ValueError" };
                Ending::Answered(Err(failure))
            }
            other @ (Ending::Answered(_) | Ending::TimedOut | Ending::Cancelled) => other,
        };
        let total_before = dispatcher.figures.total_us;
        let Some((ended, held_slot)) = dispatcher.end(now, call, ending) else {
            self.stats.late += 1;
            dispatcher.overdue.remove(call);
            return None;
        };
        if matches!(ending, Ending::TimedOut) {
            dispatcher.overdue.insert(ended.call.clone());
        }
        let count = match ending {
            Ending::Answered(Ok(_)) => &mut self.stats.completed,
            Ending::Answered(Err(_)) => &mut self.stats.failed,
            Ending::TimedOut => &mut self.stats.timed_out,
            Ending::Cancelled => &mut self.stats.cancelled,
        };
        *count += 1;
        self.stats.in_flight = self.stats.in_flight.saturating_sub(1);
        self.stats.total_us += dispatcher.figures.total_us - total_before;
        let user = dispatcher.context.user();
        if held_slot {
            self.permissions.release(user, &ended.tool);
        }
        if let Some(load) = self.users.get_mut(&**user) {
            load.in_flight = load.in_flight.saturating_sub(1);
        }
        Some(ended)
    }

    /// Closes a dispatcher: cancels what is in flight, forgets its tools, leaves it inactive. A second close changes
    /// nothing.
    pub fn close(&mut self, now: Instant, dispatcher: &mut Dispatcher) -> Vec<Ended> {
        if !dispatcher.active {
            return Vec::new();
        }
        let mut cancelled = Vec::new();
        while let Some(call) = dispatcher.oldest() {
            cancelled.extend(self.finish(now, dispatcher, &call, Ending::Cancelled));
        }
        dispatcher.active = false;
        dispatcher.own = BTreeMap::new();
        self.stats.closed += 1;
        self.stats.active = self.stats.active.saturating_sub(1);
        if let Some(user) = self.users.get_mut(&**dispatcher.context.user()) {
            user.dispatchers = user.dispatchers.saturating_sub(1);
        }
        cancelled
    }

    /// Counts a call that was refused before it got here.
    pub(crate) fn count_refused(&mut self) {
        self.stats.refused += 1;
    }

    /// Counts a report about a call that is no more.
    pub(crate) fn count_late(&mut self) {
        self.stats.late += 1;
    }

    /// Milliseconds that a call, or a tool that is no call, may still take.
    pub fn remaining_ms(
        &self,
        now: Instant,
        dispatcher: &Dispatcher,
        call: Option<&str>,
        tool: &str,
        percentage: f64,
    ) -> Option<u64> {
        let open = call.map(|call| dispatcher.find(call));
        let (tool, elapsed_ms) = match open {
            Some(open) => open.map(|open| (&*open.tool, now.since(open.started) / 1_000))?,
            None => (tool, 0),
        };
        Some(text::remaining_ms(text::estimate_ms(tool), elapsed_ms, percentage))
    }

    /// Makes and closes a dispatcher to see whether that works; `took_us` is how long the host saw the last creation
    /// take.
    pub fn health(&mut self, now: Instant, took_us: u64) -> Health {
        let (before, serial) = (self.stats, self.serial);
        // No session can have a user id with white space.
        let id: Arc<str> = "health probe".into();
        let probe = Context::of_run(id.clone(), id.clone(), id.clone(), id);
        let made = self.open(now, probe).map(|mut probe| self.close(now, &mut probe));
        self.stats = before;
        self.serial = serial;
        if made.is_err() {
            Health::Unhealthy
        } else if took_us > PROBE_SLOW_US || before.active > u64::from(self.limits.healthy_dispatchers_max) {
            Health::Degraded
        } else {
            Health::Healthy
        }
    }

    /// Users known, and pairs of user and tool whose calls are remembered.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.users.len(), self.permissions.pairs())
    }

    /// The router knows the user no more: nothing is kept but what the host set or a policy's window still sees.
    pub(crate) fn forget(&mut self, now: Instant, user: &str) {
        if self.users.get(user).is_some_and(|known| known.is_gone(now)) {
            self.users.remove(user);
        }
    }

    /// Forgets users of whom nothing is left, whenever their number has doubled.
    fn sweep(&mut self, now: Instant) {
        if self.users.len() >= self.sweep_at {
            self.users.retain(|_, user| !user.is_gone(now));
            self.sweep_at = SWEEP_MIN.max(2 * self.users.len());
        }
    }
}

/// The parameters without their secrets, whatever events are sanitised: a summary is made for the client.
fn redacted(parameters: &str) -> Cow<'_, str> {
    let rules = Sanitise { parameter_text_chars_max: u32::MAX, ..Sanitise::default() };
    match serde_json::from_str::<&RawValue>(parameters) {
        Ok(json) => sanitise(Part::Parameters, json, &rules).json,
        Err(_) => Cow::Borrowed(parameters),
    }
}

fn described(name: &str, description: &str) -> Box<str> {
    if description.is_empty() { format!("Dynamic tool: {name}").into() } else { description.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_whom_nothing_is_left_are_forgotten_when_there_are_many() {
        let mut toolbox = Toolbox::new(ToolLimits {
            dispatchers_per_user_max: 1,
            calls_in_flight_per_user_max: 1,
            calls_per_user_per_min: 1,
            own_tools_max: 1,
            value_bytes_max: 1,
            deadline_us: 1,
            healthy_dispatchers_max: 1,
        });
        let visit = |toolbox: &mut Toolbox, n: usize| {
            let context = Context::new(&format!("user-{n}"), "thread", "run-7", "m-7").expect("good ids");
            let mut dispatcher = toolbox.open(Instant::default(), context).expect("room");
            toolbox.close(Instant::default(), &mut dispatcher);
        };
        for n in 0..SWEEP_MIN {
            visit(&mut toolbox, n);
        }
        assert_eq!(toolbox.sizes().0, SWEEP_MIN, "not one by one");
        visit(&mut toolbox, SWEEP_MIN);
        assert_eq!(toolbox.sizes().0, 1, "but all at once");
    }
}
