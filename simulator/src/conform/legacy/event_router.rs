//! The recorded unit `event_router` on its model.

use std::{cell::RefCell, rc::Rc};

use serde_json::{Map, Value, json};

use super::{
    Played, Player, PythonOnly,
    floor::{Floor, seconds},
};
use crate::conform::Action;
use crate::legacy::{
    Hazards,
    event_loop::EventLoop,
    event_router::{EventRouter, Pool, Process, Stats},
    plain::{self, Raised},
    sink::Sink,
};

/// Opens the model with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>, hazards: Hazards) -> Result<Box<dyn Player>, PythonOnly> {
    let router: Rc<RefCell<Option<EventRouter>>> = Rc::default();
    let asked = Rc::clone(&router);
    let owner = move |connection: &Value| {
        let router = asked.borrow();
        router.as_ref().and_then(|router| router.pool().owner(connection).cloned()).unwrap_or_default()
    };
    let floor = Floor::open(setup, hazards, Rc::new(owner));
    let made = EventRouter::new(hazards, &floor.event_loop, floor.sink());
    *router.borrow_mut() = Some(made.clone());
    let process = Rc::new(Process::new(hazards, &floor.event_loop));
    let other = setup_other(setup, hazards);
    Ok(Box::new(Routed { floor, router: made, process, other, setup_sink: RefCell::default().into() }))
}

/// A second manager, of the same kind.
fn setup_other(setup: &Map<String, Value>, hazards: Hazards) -> Option<Rc<dyn Sink>> {
    Floor::open(setup, hazards, Rc::new(|_| Value::Null)).sink()
}

#[derive(Clone)]
struct Routed {
    floor: Floor,
    router: EventRouter,
    process: Rc<Process>,
    other: Option<Rc<dyn Sink>>,
    /// What the process's router was given.
    setup_sink: Rc<RefCell<Option<Rc<dyn Sink>>>>,
}

impl Player for Routed {
    fn play(&mut self, action: &Action) -> Result<Played, PythonOnly> {
        let args = Value::Object(action.args.clone());
        let (call, op) = (self.clone(), action.op.clone());
        let mut played = self.floor.play(async move { call.call(&op, args).await });
        let mut state = pool_state(&self.router.pool(), &self.floor.event_loop);
        if let Some(manager) = self.floor.manager_state() {
            state["manager"] = manager;
        }
        played.state = Some(state);
        Ok(played)
    }
}

impl Routed {
    async fn call(self, op: &str, args: Value) -> Result<Value, Raised> {
        let (user, connection, event) = (&args["user"], &args["connection_id"], &args["event"]);
        let router = &self.router;
        Ok(match op {
            "register_connection" => {
                router.register_connection(user, connection, &args["thread_id"]).await?.into()
            }
            "unregister_connection" => router.unregister_connection(connection).await.into(),
            "route_event" => router.route_event(user, connection, event).await?,
            "broadcast_to_user" => router.broadcast_to_user(user, event).await?.into(),
            "legacy_broadcast_to_user" => router.pool_broadcast(user, event).await?.into(),
            "get_user_connections" => router.get_user_connections(user)?.into(),
            "cleanup_stale_connections" => router.cleanup_stale_connections().await.into(),
            "get_stats" => stats(&router.get_stats()),
            "module_broadcast_to_user" => self.process.broadcast_to_user(user, event, false).await.into(),
            "module_broadcast_to_user_under_a_test_runner" => {
                self.process.broadcast_to_user(user, event, true).await.into()
            }
            "get_singleton" => self.singleton(&args["manager"]),
            "reset_singleton" => {
                self.process.reset();
                Value::Null
            }
            "concurrent" => {
                let calls = args["calls"].as_array().cloned().unwrap_or_default();
                let one = |args: Value| {
                    let op = args["op"].as_str().unwrap_or_default().to_owned();
                    let call = self.clone();
                    async move { Box::pin(call.call(&op, args)).await.unwrap_or_default() }
                };
                self.floor.together(&calls, one).await.into()
            }
            _ => manage(&self.floor, op, &args).await?,
        })
    }

    fn singleton(&self, manager: &Value) -> Value {
        let asked = match manager.as_str() {
            Some("setup") => self.floor.sink(),
            Some("other") => self.other.clone(),
            Some(_) | None => None,
        };
        let router = self.process.router(asked.clone());
        let had = self.setup_sink.borrow().clone();
        let kept = had.or_else(|| asked.clone()).filter(|_| router.has_manager());
        *self.setup_sink.borrow_mut() = kept;
        let is_asked = (manager == "setup").then(|| router.has_manager());
        json!({
            "same_instance_as_first": true,
            "has_manager": router.has_manager(),
            "manager_is_requested_one": is_asked,
        })
    }
}

/// What recordings do to the manager, and to time.
pub(super) async fn manage(floor: &Floor, op: &str, args: &Value) -> Result<Value, Raised> {
    let text = |name: &str| args[name].as_str().unwrap_or_default();
    match (op, floor.real()) {
        ("advance", _) => floor.advance(&args["seconds"]),
        ("manager_connect", Some(manager)) => {
            let socket = floor.socket(text("user"), text("connection_id"), &args["socket"]);
            manager.add_connection(text("user"), text("connection_id"), None, Some(socket)).await?;
        }
        ("manager_disconnect", Some(manager)) => manager.remove_connection(text("connection_id")).await,
        _ => {}
    }
    Ok(Value::Null)
}

/// A pool as recordings have it.
pub(super) fn pool_state(pool: &Pool, event_loop: &EventLoop) -> Value {
    let users = pool.users().map(|(user, entries)| {
        let entries = entries.into_iter().map(|entry| {
            json!({
                "connection_id": entry.connection,
                "thread_id": entry.thread,
                "idle_seconds": seconds(event_loop.now_us() - entry.last_activity_us),
            })
        });
        json!([user, entries.collect::<Vec<_>>()])
    });
    json!({"pool": users.collect::<Vec<_>>(), "owners": pool.owners()})
}

/// Counts as recordings have them.
pub(super) fn stats(stats: &Stats) -> Value {
    let per_user: Map<String, Value> =
        stats.connections_per_user.iter().map(|(user, count)| (plain::str(user), (*count).into())).collect();
    json!({
        "total_users": per_user.len(),
        "total_connections": stats.total_connections,
        "active_connections": stats.active_connections,
        "connections_per_user": per_user,
    })
}
