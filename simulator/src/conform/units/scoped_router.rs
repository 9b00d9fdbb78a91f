//! The recorded unit `scoped_router` in terms of the canonical router: handles of a user, each made for a request.

use std::collections::{BTreeMap, BTreeSet};

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
    Ok(Box::new(ScopedRouter {
        pool: Pool::open(setup),
        contexts,
        handles: BTreeMap::new(),
        mute: true,
        side: false,
    }))
}

/// For whom, and in which request, a handle was made.
#[derive(Clone, Debug, Default)]
struct Made {
    user: String,
    request: String,
    /// Names of the connections that the old handle's own pool had.
    pool: BTreeSet<String>,
    /// The factory had no manager yet: the old handle could write to nobody.
    mute: bool,
}

struct ScopedRouter {
    pool: Pool,
    contexts: Value,
    handles: BTreeMap<String, Made>,
    /// The old factory has been given no manager yet.
    mute: bool,
    /// The last operation was about the old objects themselves.
    side: bool,
}

impl ScopedRouter {
    fn made(&self, context: &Value) -> Option<Made> {
        let context = self.contexts.get(context.as_str()?)?;
        let text = |key: &str| context[key].as_str().map(str::to_owned);
        Some(Made { user: text("user_id")?, request: text("request_id")?, ..Made::default() })
    }

    /// A connection enters or leaves the old handle's own pool.
    fn enter(&mut self, action: &Action, enters: bool) {
        let (Some(name), Some(label)) = (action.text("router"), action.text("connection_id")) else { return };
        let Some(made) = self.handles.get_mut(name) else { return };
        if enters {
            made.pool.insert(label.to_owned());
        } else {
            made.pool.remove(label);
        }
    }

    /// Whether the handle's old pool and the registry are of two minds about a connection of its user.
    fn is_apart(&self, made: &Made, label: &Value) -> bool {
        let label = label.as_str().unwrap_or_default();
        let ours = self.pool.desk.owner(label) == Some(made.user.as_str());
        made.mute || ours != made.pool.contains(label)
    }

    fn hold(&mut self, name: Option<&str>, mut made: Made) {
        // A handle that lives goes on as it is, whoever asks for another one of the same request.
        let alike = |other: &&Made| other.user == made.user && other.request == made.request;
        if let Some(other) = self.handles.values().find(alike) {
            (made.pool, made.mute) = (other.pool.clone(), other.mute || made.mute);
        }
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
                    Some(made) => {
                        let mute = action.op == "factory_create" && self.mute;
                        self.hold(name, Made { mute, ..made });
                    }
                    None if action.arg("context").is_null() => {}
                    None => self.pool.step.cures.push("no context"),
                }
                self.only_old();
            }
            "register_connection" => {
                self.pool.register(user, label, action.text("thread_id"));
                self.enter(action, true);
            }
            "unregister_connection" => {
                self.pool.unregister(user, label);
                self.enter(action, false);
            }
            "route_event" => {
                let apart = self.is_apart(&made, label);
                self.pool.route(user, label, context, event);
                if apart {
                    self.pool.step.explain = Some(HANDLES);
                }
            }
            "broadcast_to_user" => {
                let other = self.pool.explain_broadcast(&made.user);
                self.pool.broadcast(user, context, event);
                self.pool.step.explain = if made.mute { Some(HANDLES) } else { other };
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
                    .or_else(|| Some(Made { user: action.text("user")?.to_owned(), ..Made::default() }));
                let made = made.unwrap_or_default();
                let context =
                    Context { request: Some(&*made.request).filter(|id| !id.is_empty()), ..context };
                self.pool.broadcast(Some(&made.user), context, event);
                self.pool.report();
            }
            "drop_reference" => {
                // What is connected stays so, whoever forgets the handle.
                self.handles.remove(action.text("router").unwrap_or_default());
                self.pool.desk.cause = Some(HANDLES);
                self.only_old();
            }
            "set_factory_manager" => {
                self.mute = false;
                self.only_old();
            }
            "factory_stats"
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
