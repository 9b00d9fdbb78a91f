//! The recorded unit `event_router` in terms of the canonical router: a pool of connections, events for one of them or
//! for all of a user's.

use std::collections::BTreeSet;

use router::Context;
use serde_json::{Map, Value, json};

use super::{
    Unit,
    desk::{
        Desk, FOREIGN_IDS, HONEST_COUNTS, IDLE, ONE_REGISTRY, Told, is_id, is_shapeless, line_of,
        names_another,
    },
    frames::{are_exact, frames},
};
use crate::conform::{Action, Decision, Difference, Expect, Inexpressible, Notes, Translation, stage::Line};

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    Ok(Box::new(EventRouter { pool: Pool::open(setup) }))
}

/// What one step brought about, and what the rules demand instead of the recording, if they do.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) seen: Value,
    pub(super) ruled: Value,
    pub(super) told: Vec<Told>,
    /// Why a recording may differ from the rules.
    pub(super) explain: Option<Decision>,
    /// Defects that are gone if the recording differs.
    pub(super) cures: Vec<&'static str>,
}

/// The old pool of connections, for the units that have one.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) desk: Desk,
    pub(super) step: Step,
    manager: Value,
}

impl Pool {
    pub(super) fn open(setup: &Map<String, Value>) -> Self {
        let manager = setup.get("manager").cloned().unwrap_or_default();
        let mut desk = Desk::open(setup);
        if manager["kind"] == "real" {
            desk.cause = Some(ONE_REGISTRY);
        }
        Self { desk, step: Step::default(), manager }
    }

    pub(super) fn begin(&mut self) {
        self.desk.begin();
        self.step = Step::default();
    }

    /// What the old manager answers for a connection is what its socket does; without a manager nothing is written.
    fn line(&self, label: &str) -> Line {
        if self.manager.is_null() {
            return Line::Down;
        }
        match self.manager["delay"].as_f64() {
            Some(seconds) => Line::Slow((seconds * 1e6) as u64),
            None => line_of(self.manager["results"].get(label)),
        }
    }

    /// The old pool wrote to connections only if its manager could.
    fn writes_connections(&self) -> bool {
        let methods = self.manager["methods"].as_array();
        methods.is_some_and(|methods| methods.contains(&"send_to_connection".into()))
    }

    pub(super) fn register(&mut self, user: Option<&str>, label: &Value, thread: Option<&str>) {
        let (seen, ruled) = match (user, label.as_str()) {
            (Some(user), Some(label)) => {
                let taken = self.desk.owner(label).is_some_and(|owner| owner != user);
                let ruled = self.desk.may_register(user, label);
                if taken {
                    self.step.cures.extend(["E2", "E5", "M2", "M2-scoped"]);
                }
                (self.desk.register(user, label, thread, self.line(label)), ruled)
            }
            _ => (false, false),
        };
        if !seen && !ruled && self.step.cures.is_empty() {
            self.step.explain = Some(super::desk::NAMES);
            self.desk.cause.get_or_insert(super::desk::NAMES);
            self.step.cures.extend(["E2", "E7"]);
        }
        (self.step.seen, self.step.ruled) = (seen.into(), ruled.into());
    }

    pub(super) fn unregister(&mut self, user: Option<&str>, label: &Value) {
        let label = label.as_str().unwrap_or_default();
        let ruled = self.desk.owner(label).is_some_and(|owner| user.is_none_or(|user| user == owner));
        let seen = self.desk.unregister(user, label);
        (self.step.seen, self.step.ruled) = (seen.into(), ruled.into());
    }

    /// An event for one connection; `None` when there is nobody to ask.
    pub(super) fn begin_route(
        &mut self,
        user: Option<&str>,
        label: &Value,
        context: Context<'_>,
        event: &Value,
    ) -> Option<u64> {
        if !self.writes_connections() {
            self.step.explain = Some(ONE_REGISTRY);
        }
        match (user, label.as_str()) {
            (Some(user), Some(label)) => self.desk.tell_connection(user, label, context, event),
            (None, _) => {
                self.step.cures.push("E7");
                None
            }
            (_, None) => None,
        }
    }

    pub(super) fn route(&mut self, user: Option<&str>, label: &Value, context: Context<'_>, event: &Value) {
        let number = self.begin_route(user, label, context, event);
        self.step.told = self.desk.wait_for(number.as_slice());
        let one = self.step.told.first();
        self.step.seen = one.is_some_and(|told| told.receipt.delivered == 1).into();
        self.step.ruled = one.is_some_and(|told| told.written.len() == 1).into();
    }

    /// An event for all of a user's connections.
    pub(super) fn broadcast(&mut self, user: Option<&str>, context: Context<'_>, event: &Value) {
        let Some(user) = user else {
            self.step.cures.push("E7");
            (self.step.seen, self.step.ruled) = (0.into(), 0.into());
            return;
        };
        let number = self.desk.tell_user(user, context, event);
        self.step.told = self.desk.wait_for(&[number]);
        self.step.seen = self.step.told.first().map_or(0, |told| told.receipt.delivered).into();
        self.step.ruled = self.step.told.first().map_or(0, |told| told.written.len()).into();
    }

    pub(super) fn list(&mut self, user: &str) {
        let (seen, ruled) = self.desk.lists(user, true);
        (self.step.seen, self.step.ruled) = (json!(seen), json!(ruled));
        self.note_age();
    }

    pub(super) fn sweep(&mut self) {
        self.note_age();
        let idle = self.desk.pools().1.iter().filter(|pooled| pooled.idle_us >= 300_000_000).count();
        self.desk.sweep();
        (self.step.seen, self.step.ruled) = (self.desk.swept.into(), idle.into());
    }

    pub(super) fn stats(&mut self, only: Option<&str>) {
        self.note_age();
        let (seen, ruled) = self.desk.pools();
        let figures = |pool: Vec<super::desk::Pooled>| {
            let mut per_user: Map<String, Value> = Map::new();
            let mut active = 0;
            for pooled in pool.iter().filter(|pooled| only.is_none_or(|user| pooled.user == user)) {
                let count = per_user.get(&pooled.user).and_then(Value::as_u64).unwrap_or_default();
                per_user.insert(pooled.user.clone(), (count + 1).into());
                active += u64::from(pooled.idle_us < 300_000_000);
            }
            let total: u64 = per_user.values().filter_map(Value::as_u64).sum();
            json!({"total_users": per_user.len(), "total_connections": total, "active_connections": active,
                "connections_per_user": per_user})
        };
        (self.step.seen, self.step.ruled) = (figures(seen), figures(ruled));
    }

    /// A connection that has been silent for a day and is idle all the same.
    fn note_age(&mut self) {
        if self.desk.pools().1.iter().any(|pooled| pooled.idle_us >= 86_400_000_000) {
            self.step.cures.push("E3");
        }
    }

    pub(super) fn manager_connect(&mut self, action: &Action) {
        let (Some(user), Some(label)) = (action.text("user"), action.text("connection_id")) else { return };
        let line = if action.text("socket") == Some("fail") { Line::Down } else { Line::Up };
        if self.desk.owner(label) == Some(user) {
            self.desk.set_line(label, line);
        } else {
            self.desk.register(user, label, None, line);
        }
    }

    /// Calls that overlap, each at its time; all answers are waited for.
    pub(super) fn concurrent(
        &mut self,
        calls: &[Value],
        mut call: impl FnMut(&mut Self, &Value) -> Option<u64>,
    ) {
        let micros = |call: &Value| (call["after"].as_f64().unwrap_or_default() * 1e6) as u64;
        let mut order: Vec<usize> = (0..calls.len()).collect();
        order.sort_by_key(|n| micros(&calls[*n]));
        let start = self.desk.stage.now();
        let (mut seen, mut ruled) = (vec![Value::Null; calls.len()], vec![Value::Null; calls.len()]);
        let mut asked = Vec::new();
        for n in order {
            let due = start.after(micros(&calls[n]));
            self.desk.stage.advance(due.since(self.desk.stage.now()));
            match call(self, &calls[n]) {
                Some(number) => asked.push((n, number)),
                None => (seen[n], ruled[n]) = (self.step.seen.clone(), self.step.ruled.clone()),
            }
        }
        for (n, number) in asked {
            let told = self.desk.wait_for(&[number]);
            seen[n] = told.iter().any(|told| told.receipt.delivered == 1).into();
            ruled[n] = told.iter().any(|told| told.written.len() == 1).into();
            self.step.told.extend(told);
        }
        (self.step.seen, self.step.ruled) = (seen.into(), ruled.into());
    }

    /// Compares what a call returned and sent.
    pub(super) fn compare_call(
        &mut self,
        action: &Action,
        expect: &Expect,
        notes: &mut Notes,
    ) -> Vec<Difference> {
        let Step { seen, ruled, told, explain, cures } = &self.step;
        if action.op == "register_connection" && expect.sent.is_empty() && !self.desk.stage.sent().is_empty()
        {
            // The old pool kept nothing for anybody.
            if self.desk.replayed && seen == ruled {
                notes.decided(HONEST_COUNTS);
                return Vec::new();
            }
        }
        let ruled_told = told.iter().all(Told::is_ruled) && are_exact(&self.desk, told);
        let mut out = Vec::new();
        if let Some(raised) = &expect.raises {
            out.push(Difference::new("raises", raised.as_str(), seen.clone()));
            if self.desk.stage.sent().is_empty() && ruled_told && seen == ruled {
                // A call that never ended is another defect than one that let an exception out.
                let cures = cures.iter().filter(|cure| (**cure == "S1") == (raised == "Deadlock"));
                cures.for_each(|cure| notes.cured(cure));
                if raised != "Deadlock" && !told.is_empty() && told.iter().all(is_shapeless) {
                    notes.cured("bad-event-escape");
                }
            }
            return out;
        }
        if expect.sent.iter().any(|sent| sent["thread"].is_string()) {
            out.push(Difference::new("sent", "to a whole thread", "to the connections addressed"));
            if ruled_told {
                notes.cured("E6");
            }
            return out;
        }
        let counts = action.op.contains("broadcast") && !told.is_empty();
        let deceived = counts && expect.returns.as_u64().is_some_and(|n| n != expect.sent.len() as u64);
        let same = self.same(&expect.returns, notes);
        let as_ruled = seen == ruled && ruled_told;
        if !same && as_ruled {
            // The recorded answer is not the truth, and ours is.
            cures.iter().filter(|cure| **cure != "S1").for_each(|cure| notes.cured(cure));
            if counts || action.op.contains("route") {
                notes.cured("see-about");
            }
        }
        let framed = frames(&expect.sent, &self.desk, told, notes);
        if same && framed.is_empty() {
            self.note_sound(action, expect, notes);
            return out;
        }
        if deceived && as_ruled {
            // It counted others than were written; ours is the number of frames.
            notes.cured("B1-B3");
        }
        let by = self.explanation(action).filter(|_| as_ruled && framed.content.is_empty());
        match by {
            // A wrong answer that has a hazard of its own is a difference, whatever else explains it.
            Some(decision) if explain.is_some() || (cures.is_empty() && !deceived) => {
                notes.decided(decision);
                self.desk.cause.get_or_insert(decision);
            }
            Some(_) | None => {
                if !same {
                    out.push(Difference::new("returns", expect.returns.clone(), seen.clone()));
                }
                out.extend(framed);
            }
        }
        out
    }

    /// By which decision the recorded outcome of this call may be another than the book's, if by any.
    fn explanation(&self, action: &Action) -> Option<Decision> {
        let told = &self.step.told;
        let foreign = |told: &Told| told.receipt.refused.is_some() && names_another(&told.event, &told.user);
        if told.iter().any(foreign) {
            return Some(FOREIGN_IDS);
        }
        let sticky = || {
            self.desk.cause.filter(|_| match action.op.as_str() {
                // One connection is asked for: only what became of that one explains anything.
                "route_event" => {
                    let label = action.text("connection_id").unwrap_or_default();
                    !is_id(label) || self.desk.is_broken(label)
                }
                "broadcast_to_user" | "legacy_broadcast_to_user" => self.desk.has_broken(),
                _ => true,
            })
        };
        self.step.explain.or_else(sticky)
    }

    /// The old routers asked their manager's registry for a broadcast, not their own: by what that differs, if it does.
    pub(super) fn explain_broadcast(&self, user: &str) -> Option<Decision> {
        let listed = self.manager["connections"][user].as_array().into_iter().flatten();
        let listed: BTreeSet<&str> = listed.filter_map(Value::as_str).collect();
        let ours = self.desk.labels_of(user);
        let others = listed != ours.iter().map(String::as_str).collect();
        if self.manager.is_null() || self.manager["kind"] == "real" || others {
            return Some(ONE_REGISTRY);
        }
        ours.is_empty().then_some(HONEST_COUNTS)
    }

    /// What a broadcast of a module reports, and what it must.
    pub(super) fn report(&mut self) {
        let told = self.step.told.first();
        let seen =
            told.map_or((0, 0), |told| (told.receipt.delivered as usize, told.receipt.queued as usize));
        let ruled = told.map_or((0, 0), |told| {
            let nobody = told.written.is_empty() && told.failed == 0 && told.receipt.refused.is_none();
            (told.written.len(), usize::from(nobody))
        });
        let report = |(delivered, queued): (usize, usize)| json!({"delivered": delivered, "queued": queued});
        (self.step.seen, self.step.ruled) = (report(seen), report(ruled));
        self.step.cures.push("B6");
    }

    /// Some recordings are labelled for the way that led to a right answer.
    fn note_sound(&self, action: &Action, expect: &Expect, notes: &mut Notes) {
        let user = action.text("user").unwrap_or_default();
        let detour = action.op == "broadcast_to_user"
            && self.manager["connections"].get(user).is_some()
            && expect.sent.iter().any(|sent| sent["conn"].is_string());
        if detour {
            notes.sound("the recorded call reached the right connections, if by a detour");
        }
        // The old clock dropped whole days; what was left of this one is more than five minutes.
        if self.step.cures.contains(&"E3") {
            notes.sound("the recorded clock, which drops whole days, says idle here, too");
        }
    }

    /// Whether the recorded answer is ours: anything true is delivered, anything false is not.
    fn same(&self, recorded: &Value, notes: &mut Notes) -> bool {
        let seen = &self.step.seen;
        if recorded == seen {
            return true;
        }
        if let Value::Bool(seen) = seen {
            let truthy = line_of(Some(recorded)) == Line::Up;
            notes.translated(Translation::N2);
            return truthy == *seen;
        }
        match (recorded, seen) {
            (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
            (Value::Object(left), Value::Object(right)) => {
                right.iter().all(|(key, value)| left.get(key) == Some(value))
            }
            _ => false,
        }
    }

    /// Compares a recorded pool with the registry.
    pub(super) fn compare_pool(
        &self,
        recorded: &[&Value],
        notes: &mut Notes,
        out: &mut Vec<Difference>,
    ) -> bool {
        let mut pooled: Vec<(String, String, Option<String>, u64)> = Vec::new();
        let (mut twice, mut ghost) = (false, false);
        for pool in recorded {
            let mut labels = BTreeSet::new();
            for pair in pool.as_array().into_iter().flatten() {
                for entry in pair[1].as_array().into_iter().flatten() {
                    let label = plain(&entry["connection_id"]);
                    twice |= !labels.insert((plain(&pair[0]), label.clone()));
                    ghost |= !entry["connection_id"].is_string();
                    let idle = (entry["idle_seconds"].as_f64().unwrap_or_default() * 1e6).round() as u64;
                    let thread = entry["thread_id"].as_str().map(str::to_owned);
                    pooled.push((label, plain(&pair[0]), thread, idle));
                }
            }
        }
        pooled.sort();
        let (seen, ruled) = self.desk.pools();
        let flat = |pool: &[super::desk::Pooled]| -> Vec<(String, String, Option<String>, u64)> {
            let each =
                |p: &super::desk::Pooled| (p.label.clone(), p.user.clone(), p.thread.clone(), p.idle_us);
            pool.iter().map(each).collect()
        };
        let (seen, ruled) = (flat(&seen), flat(&ruled));
        if pooled == seen {
            return true;
        }
        let who = |pool: &[(String, String, Option<String>, u64)]| -> Vec<(String, String)> {
            pool.iter().map(|(label, user, ..)| (label.clone(), user.clone())).collect()
        };
        let shared = pooled.windows(2).any(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1);
        if twice || shared {
            out.push(Difference::new("state.pool", json!(who(&pooled)), json!(who(&seen))));
            if seen == ruled {
                notes.cured(if twice { "E1" } else { "E2" });
                if shared {
                    notes.cured("M2-scoped");
                }
            }
        } else if seen == ruled && who(&pooled) == who(&seen) {
            notes.decided(IDLE);
        } else if let Some(cause) = self.desk.cause.filter(|_| seen == ruled) {
            notes.decided(cause);
            if ghost {
                // Refused, or with a name that nobody can say, and listed all the same.
                notes.cured("E2");
            }
        } else {
            out.push(Difference::new("state.pool", json!(pooled), json!(seen)));
        }
        false
    }

    /// Compares the recorded owners with the registry, where both list the same connections.
    fn compare_owners(&self, recorded: &Value, out: &mut Vec<Difference>) {
        let pairs = recorded.as_array().into_iter().flatten();
        let mut owners: Vec<(String, String)> =
            pairs.map(|pair| (plain(&pair[0]), plain(&pair[1]))).collect();
        owners.sort();
        let seen: Vec<(String, String)> =
            self.desk.pools().0.into_iter().map(|pooled| (pooled.label, pooled.user)).collect();
        if owners != seen {
            out.push(Difference::new("state.owners", json!(owners), json!(seen)));
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

struct EventRouter {
    pool: Pool,
}

impl Unit for EventRouter {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let pool = &mut self.pool;
        pool.begin();
        let (user, label, event) = (action.text("user"), action.arg("connection_id"), action.arg("event"));
        match action.op.as_str() {
            "register_connection" => pool.register(user, label, action.text("thread_id")),
            "unregister_connection" | "manager_disconnect" => {
                pool.unregister(None, label);
                if action.op == "manager_disconnect" {
                    (pool.step.seen, pool.step.ruled) = (Value::Null, Value::Null);
                }
            }
            "route_event" => pool.route(user, label, Context::default(), event),
            "legacy_broadcast_to_user" => {
                if !pool.writes_connections() {
                    pool.step.explain = Some(ONE_REGISTRY);
                }
                pool.broadcast(user, Context::default(), event);
            }
            "broadcast_to_user" => {
                pool.step.explain = pool.explain_broadcast(user.unwrap_or_default());
                pool.broadcast(user, Context::default(), event);
            }
            "module_broadcast_to_user" | "module_broadcast_to_user_under_a_test_runner" => {
                pool.broadcast(user, Context::default(), event);
                pool.report();
            }
            "get_user_connections" => pool.list(user.unwrap_or_default()),
            "cleanup_stale_connections" => pool.sweep(),
            "get_stats" => pool.stats(None),
            "advance" => pool.desk.stage.advance(micros(action.arg("seconds"))),
            "manager_connect" => pool.manager_connect(action),
            "concurrent" => {
                let calls = action.arg("calls").as_array().cloned().unwrap_or_default();
                pool.concurrent(&calls, |pool, call| {
                    let (user, label) = (call["user"].as_str(), &call["connection_id"]);
                    match call["op"].as_str() {
                        Some("route_event") => {
                            return pool.begin_route(user, label, Context::default(), &call["event"]);
                        }
                        Some("register_connection") => pool.register(user, label, call["thread_id"].as_str()),
                        _ => pool.unregister(None, label),
                    }
                    None
                });
            }
            "get_singleton" | "reset_singleton" => {
                return Err(Inexpressible(
                    "no router is shared by a whole process, so none can be fetched or reset",
                ));
            }
            _ => return Err(Inexpressible("an operation that the canonical router has no word for")),
        }
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let mut out = self.pool.compare_call(action, expect, notes);
        if out.is_empty()
            && let Some(state) = &expect.state
        {
            let same = self.pool.compare_pool(&[&state["pool"]], notes, &mut out);
            if same && state["owners"].is_array() {
                self.pool.compare_owners(&state["owners"], &mut out);
            }
        }
        out
    }

    fn show(&self) -> Value {
        self.pool.show()
    }
}

impl Pool {
    pub(super) fn show(&self) -> Value {
        let sent: Vec<Value> = self
            .desk
            .stage
            .sent()
            .iter()
            .map(|sent| json!({"conn": sent.conn, "user": sent.user, "message": sent.message}))
            .collect();
        let receipts: Vec<String> = self.step.told.iter().map(|told| format!("{:?}", told.receipt)).collect();
        json!({"returns": self.step.seen, "demanded": self.step.ruled, "sent": sent, "receipts": receipts,
            "pool": format!("{:?}", self.desk.pools().0)})
    }
}

/// Microseconds of recorded seconds.
pub(super) fn micros(seconds: &Value) -> u64 {
    (seconds.as_f64().unwrap_or_default() * 1e6).round() as u64
}
