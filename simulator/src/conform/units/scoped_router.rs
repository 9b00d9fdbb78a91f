//! The recorded unit `scoped_router` in terms of the canonical router: handles of a user, each made for a request.

use std::collections::BTreeMap;

use router::Context;
use serde_json::{Map, Value, json};

use super::{
    Unit,
    desk::HANDLES,
    event_router::{Pool, micros},
};
use crate::conform::{Action, Difference, Expect, Inexpressible, Notes, Translation};

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    let contexts = setup.get("contexts").cloned().unwrap_or_default();
    Ok(Box::new(ScopedRouter { pool: Pool::open(setup), contexts, handles: BTreeMap::new(), side: false }))
}

/// For whom, and in which request, a handle was made.
#[derive(Clone, Debug, Default)]
struct Made {
    user: String,
    request: String,
}

struct ScopedRouter {
    pool: Pool,
    contexts: Value,
    handles: BTreeMap<String, Made>,
    /// The last operation was about the old objects themselves.
    side: bool,
}

impl ScopedRouter {
    fn made(&self, context: &Value) -> Option<Made> {
        let context = self.contexts.get(context.as_str()?)?;
        let text = |key: &str| context[key].as_str().map(str::to_owned);
        Some(Made { user: text("user_id")?, request: text("request_id")? })
    }

    fn hold(&mut self, name: Option<&str>, made: Made) {
        // A second handle of a user sees the connections of the first: pools were recorded apart.
        if self.handles.values().any(|other| other.user == made.user) {
            self.pool.desk.cause = Some(HANDLES);
        }
        if let Some(name) = name {
            self.handles.insert(name.to_owned(), made);
        } else {
            self.pool.desk.cause = Some(HANDLES);
        }
    }

    fn handle(&self, action: &Action) -> Made {
        action.text("router").and_then(|name| self.handles.get(name)).cloned().unwrap_or_default()
    }

    /// What is true of the old objects only; the registry must not be moved by it.
    fn only_old(&mut self) {
        self.side = true;
        self.pool.step.explain = Some(HANDLES);
    }
}

impl Unit for ScopedRouter {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        self.pool.begin();
        self.side = false;
        let made = self.handle(action);
        let (label, event) = (action.arg("connection_id"), action.arg("event"));
        let user = Some(made.user.as_str());
        let context = Context { request: Some(&made.request), ..Context::default() };
        match action.op.as_str() {
            "new_router" | "factory_create" | "get_websocket_router_with_context" => {
                let name = action.text("router").or(action.text("keep_as"));
                match self.made(action.arg("context")) {
                    Some(made) => self.hold(name, made),
                    None if action.arg("context").is_null() => {}
                    None => self.pool.step.cures.push("no context"),
                }
                self.only_old();
            }
            "register_connection" => self.pool.register(user, label, action.text("thread_id")),
            "unregister_connection" => {
                self.pool.unregister(user, label);
            }
            "route_event" => {
                self.pool.route(user, label, context, event);
                self.pool.step.explain = Some(HANDLES);
            }
            "broadcast_to_user" => {
                self.pool.broadcast(user, context, event);
                self.pool.step.explain = Some(HANDLES);
            }
            "get_user_connections" => self.pool.list(&made.user),
            "cleanup_stale_connections" => self.pool.sweep(),
            "get_router_stats" => self.pool.stats(Some(&made.user)),
            "advance" => self.pool.desk.stage.advance(micros(action.arg("seconds"))),
            "manager_connect" => self.pool.manager_connect(action),
            "validate_user_access" => {
                let conn =
                    label.as_str().and_then(|label| self.pool.desk.stage.router().connection_named(label));
                let handle = self.pool.desk.stage.router().for_user(&made.user, context);
                let owned = conn.is_some_and(|conn| handle.owns(conn));
                let ruled = label.as_str().and_then(|label| self.pool.desk.owner(label)) == user;
                (self.pool.step.seen, self.pool.step.ruled) = (owned.into(), ruled.into());
                if owned == ruled {
                    self.pool.step.cures.push("S1");
                }
            }
            "concurrent_route_events" => {
                let calls = action.arg("calls").as_array().cloned().unwrap_or_default();
                self.pool.concurrent(&calls, |pool, call| {
                    pool.begin_route(user, &call["connection_id"], context, &call["event"])
                });
            }
            "route_user_event" => {
                let made = self.made(action.arg("context")).unwrap_or_default();
                let context = Context { request: Some(&made.request), ..context };
                self.pool.route(Some(&made.user), label, context, event);
                self.pool.step.explain = Some(HANDLES);
            }
            "broadcast_user_event" | "module_broadcast_to_user" => {
                let made = self
                    .made(action.arg("context"))
                    .or_else(|| Some(Made { user: action.text("user")?.to_owned(), request: String::new() }));
                let made = made.unwrap_or_default();
                let context =
                    Context { request: Some(&*made.request).filter(|id| !id.is_empty()), ..context };
                self.pool.broadcast(Some(&made.user), context, event);
                let queued = self.pool.step.told.first().map_or(0, |told| told.receipt.queued);
                let delivered = std::mem::take(&mut self.pool.step.seen);
                self.pool.step.seen = json!({"delivered": delivered, "queued": queued});
                self.pool.step.ruled = self.pool.step.seen.clone();
                self.pool.step.cures.push("B6");
            }
            "drop_reference" => {
                // What is connected stays so, whoever forgets the handle.
                self.handles.remove(action.text("router").unwrap_or_default());
                self.pool.desk.cause = Some(HANDLES);
                self.only_old();
            }
            "set_factory_manager"
            | "factory_stats"
            | "get_factory_stats"
            | "isolation_key"
            | "is_expired"
            | "get_user_router_if_exists"
            | "cleanup_expired_routers" => self.only_old(),
            _ => return Err(Inexpressible("an operation that the canonical router has no word for")),
        }
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let mut out = Vec::new();
        if self.side {
            // Which object was reused, is tracked, has expired: state of the old process.
            notes.translated(Translation::N9);
            if expect.raises.is_some() != self.pool.step.cures.contains(&"no context") {
                out.push(Difference::new("raises", json!(expect.raises), "a handle is made"));
            }
        } else {
            out = self.pool.compare_call(action, expect, notes);
        }
        if out.is_empty()
            && let Some(routers) = expect.state.as_ref().and_then(|state| state["routers"].as_object())
        {
            // Two names may stand for one object; its pool is taken once.
            let mut pools: Vec<&Value> = Vec::new();
            for router in routers.values() {
                if !pools.contains(&&router["pool"]) {
                    pools.push(&router["pool"]);
                }
            }
            self.pool.compare_pool(&pools, notes, &mut out);
        }
        out
    }

    fn show(&self) -> Value {
        self.pool.show()
    }
}
