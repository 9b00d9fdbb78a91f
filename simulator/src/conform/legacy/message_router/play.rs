//! Operations of the recording as calls of the model.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{
    Replay,
    watched::{Watched, type_name},
};
use crate::{
    conform::{
        Action,
        legacy::{Played, PythonOnly, message_types::played},
    },
    legacy::{
        message_router::{
            BuiltIn, Ended, Finished, Found, Frame, HandlerId, Message, MessageRouter, Progress, TaskId,
            registry::no_handler, socket::live,
        },
        message_types::MessageType,
        python::{Raised, Value},
    },
};

impl Replay {
    pub(super) fn perform(&mut self, action: &Action) -> Result<Played, PythonOnly> {
        let seconds = || action.arg("seconds").as_f64().unwrap_or_default();
        Ok(match action.op.as_str() {
            "route" => {
                let message = Json::Object(action.args.clone());
                let mut returned = self.route(&[message]);
                Played::returned(returned.pop().unwrap_or_default())
            }
            "route_concurrent" => {
                let messages = action.arg("messages").as_array().cloned().unwrap_or_default();
                Played::returned(self.route(&messages))
            }
            "handle" => self.handle(action)?,
            "safe_send" => self.safe_send(action),
            "send_error" => {
                let conn = self.sockets.conn(action.text("conn").unwrap_or_default());
                let [code, text, details] =
                    ["error_code", "error_message", "details"].map(|name| argument(action, name));
                let given = [&code, &text, &details];
                Played::returned(self.router.send_error(self.now_us, &mut self.sockets, conn, given))
            }
            "send_system_message" => {
                let conn = self.sockets.conn(action.text("conn").unwrap_or_default());
                let [content, more] = ["content", "additional_data"].map(|name| argument(action, name));
                let given = [&content, &more];
                Played::returned(self.router.send_system(self.now_us, &mut self.sockets, conn, given))
            }
            "is_connected" => {
                use crate::legacy::message_router::Sockets as _;
                let conn = self.sockets.conn(action.text("conn").unwrap_or_default());
                Played::returned(live(self.sockets.look(conn), self.hazards))
            }
            "advance" => {
                self.advance(self.now_us + (seconds() * 1e6).round() as u64);
                Played::default()
            }
            "set_grace" => {
                self.router.set_grace(argument(action, "seconds"));
                Played::default()
            }
            "flush_batches" => {
                self.router.flush(self.now_us, &mut self.sockets);
                Played::default()
            }
            _ => return self.ask(action),
        })
    }

    /// Registering, and questions to the router.
    fn ask(&mut self, action: &Action) -> Result<Played, PythonOnly> {
        let built_in = action.text("handler").and_then(BuiltIn::from_name);
        let kind = action.text("type").and_then(MessageType::from_wire);
        Ok(match action.op.as_str() {
            "add_handler" | "insert_handler" => self.register(action),
            "remove_handler" => {
                self.remove(action);
                Played::default()
            }
            "handler_order" | "router_list" => Played::returned(self.names()),
            "router_count" => Played::returned(self.names().len()),
            "reset_singleton" => {
                self.routes = false;
                Played::default()
            }
            "get_router" => {
                self.routes = true;
                self.router = MessageRouter::new(self.hazards, self.now_us);
                Played::returned("<router>")
            }
            "find_handler" => {
                let found = kind.and_then(|kind| self.router.find_handler(kind));
                Played::returned(found.map_or(Json::Null, |found| self.name(found)))
            }
            "can_handle" => {
                let accepts = built_in.zip(kind).is_some_and(|(which, kind)| which.accepts(kind));
                Played::returned(accepts)
            }
            "handler_stats" => {
                let figures = built_in.and_then(|which| self.router.figures(which));
                Played::returned(figures.map_or(Json::Null, |figures| figures.to_recorded()))
            }
            "pending" => Played::returned(self.router.pending().to_recorded()),
            "handler_status" => Played::returned(self.router.readiness(self.now_us).to_recorded()),
            "get_stats" => {
                let now = self.now_us;
                Played::returned(self.router.statistics(now).to_recorded())
            }
            _ => return Err(PythonOnly("an operation that nobody recorded")),
        })
    }

    /// Messages at once; then time passes until all have ended.
    fn route(&mut self, messages: &[Json]) -> Vec<Json> {
        let mut returned: Vec<Json> = vec![Json::Null; messages.len()];
        let mut waits: BTreeMap<TaskId, usize> = BTreeMap::new();
        for (n, message) in messages.iter().enumerate() {
            let conn = self.sockets.conn(message["conn"].as_str().unwrap_or_default());
            let user = Value::from_recorded(&message["user_id"]);
            let mut raw = Value::from_recorded(&message["message"]);
            let routed = self.router.route(self.now_us, &mut self.sockets, conn, &user, &mut raw);
            match routed.progress {
                Progress::Ended(ended) => returned[n] = of(&ended),
                Progress::Waits(task) => _ = waits.insert(task, n),
            }
        }
        while let Some(at) = self.router.next_wake().filter(|_| !waits.is_empty()) {
            for (task, ended_at, finished) in self.router.wake(at, &mut self.sockets) {
                if let (Some(n), Finished::Message(ended)) = (waits.remove(&task), finished) {
                    returned[n] = of(&ended);
                    self.now_us = ended_at;
                }
            }
        }
        returned
    }

    /// A built-in handler is called directly.
    fn handle(&mut self, action: &Action) -> Result<Played, PythonOnly> {
        let which = action.text("handler").and_then(BuiltIn::from_name);
        let kind = action.text("type").and_then(MessageType::from_wire);
        let (which, kind) = which.zip(kind).ok_or(PythonOnly("no such handler or type"))?;
        let id = |name: &str| action.text(name).map(str::to_owned);
        let message = Message {
            message_id: id("message_id"),
            thread_id: id("thread_id"),
            ..Message::new(kind, argument(action, "payload"), self.now_us as f64 / 1e6)
        };
        let from = (self.sockets.conn(action.text("conn").unwrap_or_default()), &argument(action, "user_id"));
        let progress = self.router.call(self.now_us, &mut self.sockets, from, which, &message);
        Ok(self.awaited(progress))
    }

    fn safe_send(&mut self, action: &Action) -> Played {
        let conn = self.sockets.conn(action.text("conn").unwrap_or_default());
        let data = argument(action, "data");
        let frame =
            data.as_str().map_or_else(|| Frame::Json(data.clone()), |text| Frame::Text(text.to_owned()));
        let retries = action.arg("retry_count").as_u64().map(|retries| retries as u32);
        let progress = self.router.send(self.now_us, &mut self.sockets, conn, frame, retries);
        self.awaited(progress)
    }

    /// The end of a call, however long it takes.
    fn awaited(&mut self, progress: Progress<Result<Value, Raised>>) -> Played {
        let result = match progress {
            Progress::Ended(result) => Some(result),
            Progress::Waits(task) => self.finish(task),
        };
        match result {
            Some(Ok(value)) => Played::returned(value.to_recorded()),
            Some(Err(raised)) => played(&raised),
            None => Played::default(),
        }
    }

    fn finish(&mut self, awaited: TaskId) -> Option<Result<Value, Raised>> {
        while let Some(at) = self.router.next_wake() {
            for (task, ended_at, finished) in self.router.wake(at, &mut self.sockets) {
                if let (true, Finished::Call(result)) = (task == awaited, finished) {
                    self.now_us = ended_at;
                    return Some(result);
                }
            }
        }
        None
    }

    fn advance(&mut self, to_us: u64) {
        self.router.wake(to_us, &mut self.sockets);
        self.now_us = to_us;
    }

    fn register(&mut self, action: &Action) -> Played {
        let given = action.arg("handler");
        if given["kind"] == "invalid" {
            return played(&no_handler(type_name(given)));
        }
        let label = given.as_str().or_else(|| given["id"].as_str()).unwrap_or_default().to_owned();
        if given.is_object() {
            self.definitions.insert(label.clone(), given.clone());
        }
        let adds = action.op == "add_handler";
        let index = if adds { None } else { Some(action.arg("index").as_i64().unwrap_or(0)) };
        let registered = self.registered(&label).filter(|_| given.is_string());
        if registered.is_some_and(|id| self.router.add_again(index, id)) {
            return Played::default();
        }
        let definition = self.definitions.get(&label).cloned().unwrap_or_default();
        let handler = Box::new(Watched::new(&definition, &self.log));
        let id = match index {
            None => self.router.add_handler(handler),
            Some(index) => self.router.insert_handler(index, handler),
        };
        self.labels.insert(id, label);
        Played::default()
    }

    fn registered(&self, label: &str) -> Option<HandlerId> {
        let here = |found: Found| match found {
            Found::Custom(id) => self.labels.get(&id).filter(|known| *known == label).map(|_| id),
            Found::BuiltIn(_) => None,
        };
        self.router.handlers().find_map(|(found, _)| here(found))
    }

    fn remove(&mut self, action: &Action) {
        let given = action.arg("handler");
        let label = given.as_str().or_else(|| given["id"].as_str()).unwrap_or_default();
        if let Some(id) = self.registered(label) {
            self.router.remove_handler(id);
        } else if let Some(which) = BuiltIn::from_name(label) {
            // Where that is refused, the list stays as it is, and shows it.
            let _refused = self.router.remove_built_in(which);
        }
    }

    fn name(&self, found: Found) -> Json {
        match found {
            Found::Custom(id) => json!(self.labels.get(&id)),
            Found::BuiltIn(which) => json!(which.name()),
        }
    }

    /// Labels of the host's handlers, names of built-in ones.
    pub(super) fn order(&self) -> Json {
        self.router.handlers().map(|(found, _)| self.name(found)).collect()
    }

    /// Names of all handlers; none without a router.
    fn names(&self) -> Vec<Json> {
        let names = self.router.handlers().filter(|_| self.routes);
        names.map(|(_, name)| json!(name)).collect()
    }
}

fn argument(action: &Action, name: &str) -> Value {
    Value::from_recorded(action.arg(name))
}

fn of(ended: &Ended) -> Json {
    ended.returned.to_recorded()
}
