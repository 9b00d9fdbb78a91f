//! The recorded unit `scoped_router` on its model: routers by the names that hold them, and the factory.

use std::{cell::RefCell, rc::Rc};

use serde_json::{Map, Value, json};

use super::{
    Played, Player, PythonOnly,
    event_router::{manage, pool_state, stats},
    floor::{Floor, micros, seconds},
};
use crate::conform::Action;
use crate::legacy::{
    Hazards,
    event_router::Process,
    plain::Raised,
    scoped_router::{Factory, RequestContext, ScopedRouter},
};

/// Routers by name, in the order in which they were first held.
type Held = Rc<RefCell<Vec<(String, ScopedRouter)>>>;

/// Opens the model with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>, hazards: Hazards) -> Result<Box<dyn Player>, PythonOnly> {
    let held = Held::default();
    let asked = Rc::clone(&held);
    let owner = move |connection: &Value| {
        let held = asked.borrow();
        let mut owners =
            held.iter().filter_map(|(_, router)| router.router().pool().owner(connection).cloned());
        owners.next().unwrap_or_default()
    };
    let floor = Floor::open(setup, hazards, Rc::new(owner));
    let factory = Rc::new(Factory::new(hazards, &floor.event_loop));
    let process = Rc::new(Process::new(hazards, &floor.event_loop));
    let contexts = setup.get("contexts").cloned().unwrap_or_default();
    Ok(Box::new(Scoped { floor, factory, process, contexts, held }))
}

#[derive(Clone)]
struct Scoped {
    floor: Floor,
    factory: Rc<Factory>,
    process: Rc<Process>,
    contexts: Value,
    held: Held,
}

impl Player for Scoped {
    fn play(&mut self, action: &Action) -> Result<Played, PythonOnly> {
        let args = Value::Object(action.args.clone());
        let (call, op) = (self.clone(), action.op.clone());
        let mut played = self.floor.play(async move { call.call(&op, &args).await });
        played.state = Some(self.state());
        Ok(played)
    }
}

impl Scoped {
    fn context(&self, name: &Value) -> Result<RequestContext, Raised> {
        let wrong = || {
            Raised::new("ValueError", "UserScopedWebSocketEventRouter requires valid UserExecutionContext")
        };
        let context = name.as_str().and_then(|name| self.contexts.get(name)).ok_or_else(wrong)?;
        let text = |key: &str| context[key].as_str().unwrap_or_default().to_owned();
        Ok(RequestContext { user: text("user_id"), request: text("request_id"), thread: text("thread_id") })
    }

    fn hold(&self, name: &Value, router: ScopedRouter) {
        let Some(name) = name.as_str() else { return };
        let mut held = self.held.borrow_mut();
        match held.iter_mut().find(|(other, _)| other == name) {
            Some((_, other)) => *other = router,
            None => held.push((name.to_owned(), router)),
        }
    }

    /// Under which name a router is held.
    fn name_of(&self, router: &ScopedRouter) -> Value {
        let held = self.held.borrow();
        held.iter().find(|(_, other)| other == router).map(|(name, _)| name.as_str()).into()
    }

    async fn call(&self, op: &str, args: &Value) -> Result<Value, Raised> {
        let (context, event) = (&args["context"], &args["event"]);
        Ok(match op {
            "new_router" => {
                let router = self.factory.untracked(self.context(context)?, self.floor.sink());
                self.hold(&args["router"], router);
                Value::Null
            }
            "factory_create" => {
                let router = self.factory.create_for_user(&self.context(context)?);
                let reused = self.name_of(&router);
                self.hold(&args["keep_as"], router);
                json!({"reused": reused})
            }
            "get_websocket_router_with_context" if context.is_null() => {
                let has_manager = self.process.router(self.floor.sink()).has_manager();
                json!({"kind": "WebSocketEventRouter", "has_manager": has_manager})
            }
            "get_websocket_router_with_context" => {
                let router = self.factory.create_for_user(&self.context(context)?);
                let has_manager = router.router().has_manager();
                self.hold(&args["keep_as"], router);
                json!({"kind": "UserScopedWebSocketEventRouter", "has_manager": has_manager})
            }
            "drop_reference" => {
                self.held.borrow_mut().retain(|(name, _)| args["router"] != name.as_str());
                Value::Null
            }
            "set_factory_manager" => {
                if let Some(sink) = self.floor.sink() {
                    self.factory.set_manager(sink);
                }
                Value::Null
            }
            "factory_stats" | "get_factory_stats" => self.factory_stats(),
            "cleanup_expired_routers" => self.factory.cleanup_expired_routers(age_max(args)).await?.into(),
            "get_user_router_if_exists" => {
                let router = self.factory.get_user_router_if_exists(&self.context(context)?);
                json!({"router": router.map_or(Value::Null, |router| self.name_of(&router))})
            }
            "route_user_event" => {
                let context = self.context(context)?;
                self.factory.route_user_event(event, &context, &args["connection_id"]).await?
            }
            "broadcast_user_event" => {
                self.factory.broadcast_user_event(event, &self.context(context)?).await?.into()
            }
            "module_broadcast_to_user" => {
                self.process.broadcast_to_user(&args["user"], event, false).await.into()
            }
            _ => {
                let held =
                    self.held.borrow().iter().find(|(name, _)| args["router"] == name.as_str()).cloned();
                match held {
                    Some((_, router)) => self.ask(&router, op, args).await?,
                    None => manage(&self.floor, op, args).await?,
                }
            }
        })
    }

    async fn ask(&self, router: &ScopedRouter, op: &str, args: &Value) -> Result<Value, Raised> {
        let (connection, event) = (&args["connection_id"], &args["event"]);
        Ok(match op {
            "register_connection" => router.register_connection(connection, &args["thread_id"]).await?.into(),
            "unregister_connection" => router.unregister_connection(connection).await.into(),
            "route_event" => router.route_event(connection, event).await?,
            "broadcast_to_user" => router.broadcast_to_user(event).await?.into(),
            "get_user_connections" => router.get_user_connections().await?.into(),
            "cleanup_stale_connections" => router.cleanup_stale_connections().await.into(),
            "validate_user_access" => router.validate_user_access(connection).await.into(),
            "isolation_key" => router.context().isolation_key().into(),
            "is_expired" => router.is_expired(age_max(args)).into(),
            "get_router_stats" => router_stats(router).await,
            "concurrent_route_events" => {
                let calls = args["calls"].as_array().cloned().unwrap_or_default();
                let one = |args: Value| {
                    let router = router.clone();
                    async move {
                        router.route_event(&args["connection_id"], &args["event"]).await.unwrap_or_default()
                    }
                };
                self.floor.together(&calls, one).await.into()
            }
            _ => Value::Null,
        })
    }

    fn factory_stats(&self) -> Value {
        let stats = self.factory.stats();
        json!({
            "active_routers": stats.active_routers,
            "total_tracked": stats.total_tracked,
            "total_routings": stats.total_routings,
            "has_websocket_manager": stats.has_manager,
            "dead_references": stats.total_tracked - stats.active_routers,
        })
    }

    fn state(&self) -> Value {
        let held = self.held.borrow();
        let routers = held.iter().map(|(name, router)| {
            let mut state = pool_state(&router.router().pool(), &self.floor.event_loop);
            state["routing_count"] = router.routings().into();
            state["last_access_age"] = seconds(router.unused_us());
            state["has_manager"] = router.router().has_manager().into();
            (name.clone(), state)
        });
        let mut state = json!({
            "routers": routers.collect::<Map<_, _>>(),
            "factory_tracked": self.factory.tracked(),
        });
        if let Some(manager) = self.floor.manager_state() {
            state["manager"] = manager;
        }
        state
    }
}

fn age_max(args: &Value) -> u64 {
    args.get("max_age_seconds").map_or(3_600_000_000, micros)
}

async fn router_stats(router: &ScopedRouter) -> Value {
    let figures = router.get_router_stats().await;
    let prefix: String = router.context().user.chars().take(8).collect();
    let mut out = stats(&figures.pool);
    out["user_id_prefix"] = format!("{prefix}...").into();
    out["isolation_key"] = router.context().isolation_key().into();
    out["registry_routing_count"] = figures.routings.into();
    out["registry_created_at"] = "<time>".into();
    out["registry_last_access"] = "<time>".into();
    out["registry_age_seconds"] = seconds(figures.age_us);
    out
}
