//! The recorded unit `broadcast` on its model: the service, and the connection manager behind it.

use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::{
    Played, Player, PythonOnly,
    floor::{Floor, micros, seconds},
};
use crate::conform::Action;
use crate::legacy::{
    Hazards,
    broadcast::{Outcome, Service},
    manager::Manager,
    plain::Raised,
    sink::Message,
};

/// Opens the model with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>, hazards: Hazards) -> Result<Box<dyn Player>, PythonOnly> {
    let floor = Floor::open(setup, hazards, Rc::new(|_| Value::Null));
    Ok(Box::new(Broadcast { floor, service: Rc::new(Service::new(hazards)) }))
}

#[derive(Clone)]
struct Broadcast {
    floor: Floor,
    service: Rc<Service>,
}

impl Player for Broadcast {
    fn play(&mut self, action: &Action) -> Result<Played, PythonOnly> {
        let since = self.floor.event_loop.now_us();
        let args = Value::Object(action.args.clone());
        let (call, op) = (self.clone(), action.op.clone());
        let mut played = if op == "concurrent" {
            self.floor.play(async move {
                let calls = args["calls"].as_array().cloned().unwrap_or_default();
                let one = |args: Value| {
                    let call = call.clone();
                    let op = args["op"].as_str().unwrap_or_default().to_owned();
                    async move { call.call(&op, &args["args"]).await.unwrap_or_default() }
                };
                Ok(call.floor.together(&calls, one).await.into())
            })
        } else {
            self.floor.play(async move { call.call(&op, &args).await })
        };
        played.state = Some(self.state(since));
        Ok(played)
    }
}

fn text<'a>(args: &'a Value, name: &str) -> &'a str {
    args[name].as_str().unwrap_or_default()
}

fn message(args: &Value) -> Message {
    args["message"].as_object().cloned().unwrap_or_default()
}

impl Broadcast {
    async fn call(&self, op: &str, args: &Value) -> Result<Value, Raised> {
        match op {
            "broadcast_to_user" => {
                let Some(sink) = self.floor.sink() else { return Ok(Value::Null) };
                let outcome = self.service.broadcast_to_user(&*sink, &args["user"], &args["event"]).await?;
                Ok(result(&outcome))
            }
            "get_stats" => Ok(self.stats()),
            "update_feature_flag" => {
                self.service.update_feature_flag(text(args, "flag"), args["enabled"].clone());
                Ok(Value::Null)
            }
            "advance" => {
                self.floor.advance(&args["seconds"]);
                Ok(Value::Null)
            }
            "set_socket" => {
                self.floor.set_socket(text(args, "connection_id"), &args["socket"]);
                Ok(Value::Null)
            }
            _ => match self.floor.real() {
                Some(manager) => self.manage(&manager, op, args).await,
                None => Ok(Value::Null),
            },
        }
    }

    async fn manage(&self, manager: &Manager, op: &str, args: &Value) -> Result<Value, Raised> {
        let (user, id) = (text(args, "user"), text(args, "connection_id"));
        Ok(match op {
            "connect" => {
                let before = self.floor.known(id);
                let socket = self.floor.socket(user, id, &args["socket"]);
                let added = manager.add_connection(user, id, args["thread_id"].as_str(), Some(socket)).await;
                if added.is_err() {
                    // Who was refused has no name; the socket that has it keeps it.
                    self.floor.restore(id, before);
                }
                added?;
                Value::Null
            }
            "connect_without_socket" => {
                manager.add_connection(user, id, args["thread_id"].as_str(), None).await?;
                Value::Null
            }
            "disconnect" => {
                manager.remove_connection(id).await;
                Value::Null
            }
            "manager_send_to_user" => {
                manager.send_to_user(&args["user"], &message(args)).await?;
                Value::Null
            }
            "manager_broadcast_all" => {
                manager.broadcast(&message(args)).await;
                Value::Null
            }
            "send_message" => manager.send_message(id, &message(args)).await.into(),
            "send_to_thread" => {
                manager.send_to_thread(user, text(args, "thread_id"), &message(args)).await.into()
            }
            "get_user_connections" => json!(manager.registered().get(user).cloned().unwrap_or_default()),
            "is_connection_active" => manager.is_connection_active(user).into(),
            "attempt_message_recovery" => manager.attempt_message_recovery(user).await.into(),
            "wait_for_connection" => {
                let timeout = args.get("timeout").map_or(5_000_000, micros);
                manager.wait_for_connection(user, timeout).await.into()
            }
            _ => Value::Null,
        })
    }

    fn counts(&self) -> Value {
        let counts = self.service.counts();
        json!({
            "total_broadcasts": counts.total,
            "successful_broadcasts": counts.successful,
            "failed_broadcasts": counts.failed,
            "cross_user_contamination_prevented": counts.contaminated,
            "total_connections_attempted": counts.attempted,
            "total_successful_sends": counts.sends,
        })
    }

    fn stats(&self) -> Value {
        let flags: Map<String, Value> =
            self.service.flags().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let [rate, connections, sends] = self.service.performance();
        json!({
            "service_info": {
                "name": "WebSocketBroadcastService",
                "version": "1.0.0",
                "purpose": "SSOT consolidation for Issue #982",
                "replaces": [
                    "WebSocketEventRouter.broadcast_to_user",
                    "UserScopedWebSocketEventRouter.broadcast_to_user",
                    "broadcast_user_event",
                ],
            },
            "broadcast_stats": self.counts(),
            "performance_metrics": {
                "success_rate_percentage": rate,
                "average_connections_per_broadcast": connections,
                "average_successful_sends_per_broadcast": sends,
            },
            "security_metrics": {
                "contamination_prevention_count": self.service.counts().contaminated,
                "contamination_prevention_enabled": flags.get("enable_contamination_detection"),
            },
            "feature_flags": flags,
        })
    }

    fn state(&self, since: u64) -> Value {
        let mut state = json!({
            "service_stats": self.counts(),
            "took_seconds": seconds(self.floor.event_loop.now_us() - since),
        });
        if let Some(manager) = self.floor.manager_state() {
            state["manager"] = manager;
        }
        state
    }
}

fn result(outcome: &Outcome) -> Value {
    json!({
        "user_id": outcome.user,
        "connections_attempted": outcome.attempted,
        "successful_sends": outcome.sends,
        "event_type": outcome.event_type,
        "errors": outcome.errors,
        "success_rate": outcome.success_rate(),
        "is_successful": outcome.is_successful(),
        "timestamp": "<time>",
    })
}
