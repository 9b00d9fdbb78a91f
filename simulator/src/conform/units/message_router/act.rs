//! Operations of the recording as inputs of the router.

use router::{
    BuiltIn, Effect, Input, Kind,
    handlers::{Figures, HandlerStats},
};
use serde_json::{Map, Value, json};

use super::{
    Counters, Ended, OLD_NAMES, Outcome, Player, Seen,
    frames::frame_text,
    handlers::{Said, Speaker, Watched},
};
use crate::conform::{Action, Inexpressible, stage::Stage};

/// The built-in handler behind a recorded name.
pub(super) fn built_in(name: &str) -> Option<BuiltIn> {
    OLD_NAMES.iter().find(|(old, _)| *old == name).map(|(_, built_in)| *built_in)
}

/// The recorded name of a built-in handler.
pub(super) fn old_name(built_in: BuiltIn) -> &'static str {
    OLD_NAMES.iter().find(|(_, known)| *known == built_in).map_or(built_in.name(), |(old, _)| old)
}

impl Player {
    /// The stage, made if need be.
    pub(super) fn stage(&mut self) -> Result<&mut Stage, Inexpressible> {
        if self.stage.is_none() {
            let mut stage =
                Stage::new(self.config.clone()).map_err(|_| Inexpressible("limits out of range"))?;
            if self.clear_built_ins {
                for built_in in BuiltIn::ALL {
                    stage.set_built_in(*built_in, false);
                }
            }
            // Begins the router's clock.
            stage.input(Input::Tick);
            self.stage = Some(stage);
            self.routers += 1;
        }
        self.stage.as_mut().ok_or(Inexpressible("no router"))
    }

    pub(super) fn perform(&mut self, action: &Action) -> Result<(), Inexpressible> {
        self.seen = Seen::default();
        if let Some(stage) = &mut self.stage {
            stage.begin();
        }
        match action.op.as_str() {
            "route" => self.route(&[Value::Object(action.args.clone())])?,
            "route_concurrent" => {
                let messages = action.arg("messages").as_array().cloned().unwrap_or_default();
                self.route(&messages)?;
            }
            "handle" => self.call_built_in(action)?,
            "send_error" | "send_system_message" | "safe_send" => self.say(action)?,
            "is_connected" => self.is_connected(action)?,
            "advance" => {
                let seconds = action.arg("seconds").as_f64().unwrap_or_default();
                self.stage()?.advance((seconds * 1e6).round() as u64);
            }
            "set_grace" => self.set_grace(action)?,
            "flush_batches" => self.stage()?.input(Input::Flush),
            "reset_singleton" => self.stage = None,
            "get_router" => {
                self.stage()?;
                self.seen.answer = json!("<router>");
            }
            _ => return self.ask(action),
        }
        if let Some(stage) = &self.stage {
            self.seen.sent = stage.sent().to_vec();
        }
        self.seen.calls = self.log.take();
        Ok(())
    }

    /// Registering, and questions to the registry.
    fn ask(&mut self, action: &Action) -> Result<(), Inexpressible> {
        match action.op.as_str() {
            "add_handler" | "insert_handler" => self.register(action)?,
            "remove_handler" => self.remove(action)?,
            "handler_order" => {
                let order = self.stage()?.router().handler_order();
                let names = order.map(|(id, name)| if id.is_some() { json!(name) } else { old(name) });
                self.seen.answer = names.collect();
            }
            "find_handler" => {
                let kind = action.text("type").and_then(Kind::from_name);
                let found = kind.and_then(|kind| self.stage.as_ref()?.router().find_handler(kind));
                self.seen.answer = found.map_or(Value::Null, |found| match found {
                    router::handlers::Found::Custom(id, name) => {
                        json!(self.registered.get(&id).map_or(name, String::as_str))
                    }
                    router::handlers::Found::BuiltIn(built_in) => json!(old_name(built_in)),
                });
            }
            "can_handle" => {
                let built_in = action.text("handler").and_then(built_in);
                let kind = action.text("type").and_then(Kind::from_name);
                let accepts = built_in.zip(kind).is_some_and(|(built_in, kind)| built_in.accepts(kind));
                self.seen.answer = json!(accepts);
            }
            "handler_stats" => {
                let built_in =
                    action.text("handler").and_then(built_in).ok_or(Inexpressible("no such handler"))?;
                self.seen.answer = figures(&self.stage()?.router().figures(built_in));
            }
            "pending" => self.seen.answer = self.pending()?,
            "handler_status" => self.seen.answer = self.readiness()?,
            "get_stats" => self.seen.answer = self.statistics()?,
            "router_count" => {
                let count = self.stage.as_ref().map_or(0, |stage| stage.router().handler_order().count());
                self.seen.answer = json!(count);
            }
            "router_list" => {
                let order = self.stage.iter().flat_map(|stage| stage.router().handler_order());
                self.seen.answer = order.map(|(_, name)| old(name)).collect();
            }
            _ => return Err(Inexpressible("an operation that no router has")),
        }
        Ok(())
    }

    /// The router's counters, as far as recordings have them.
    pub(super) fn counters(&self) -> Counters {
        let Some(stage) = &self.stage else { return Counters::default() };
        let (stats, types) = (stage.router().stats(), stage.router().stats().by_kind());
        Counters {
            routed: stats.inbound.routed,
            unhandled: stats.inbound.unhandled,
            handler_errors: stats.inbound.handler_errors,
            rejected: stats.inbound.rejected,
            types: types.map(|(name, count)| (name.to_owned(), count)).collect(),
        }
    }

    /// Messages, one after the other; then everything they set going, until it has ended.
    fn route(&mut self, messages: &[Value]) -> Result<(), Inexpressible> {
        let (runs, events, replaced) = self.progress()?;
        for message in messages {
            let conn = message["conn"].as_str().unwrap_or_default();
            self.deliver(conn, &message["user_id"], &message["message"])?;
        }
        self.settle()?;
        for n in 0..self.seen.messages.len() {
            let ended = &self.seen.messages[n];
            let lost = self.seen.broke.contains(&ended.conn) || !self.sockets.is_connected(&ended.conn);
            if lost && ended.kind.is_some_and(Kind::starts_run) {
                self.seen.messages[n].delivered = false;
            }
        }
        let (runs_after, events_after, replaced_after) = self.progress()?;
        self.seen.runs_completed = runs_after - runs;
        self.seen.run_events = events_after - events;
        self.seen.timestamps_replaced = replaced_after - replaced;
        // Whoever is not connected leaves nothing behind.
        for message in messages {
            let conn = message["conn"].as_str().unwrap_or_default();
            if !self.sockets.is_connected(conn) {
                let label = self.sockets.label(conn, message["user_id"].as_str().unwrap_or_default());
                self.stage()?.disconnect(&label);
            }
        }
        Ok(())
    }

    fn progress(&mut self) -> Result<(u64, u64, u64), Inexpressible> {
        let stats = self.stage()?.router().stats();
        Ok((stats.runs.completed, stats.events.offered, stats.inbound.timestamps_replaced))
    }

    /// A built-in handler called directly: a message of that type, if the type is that handler's.
    fn call_built_in(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let (name, kind) = (action.text("handler"), action.text("type").and_then(Kind::from_name));
        let (built_in, kind) =
            name.and_then(built_in).zip(kind).ok_or(Inexpressible("no such handler or type"))?;
        let mut message = Map::new();
        message.insert("type".to_owned(), action.arg("type").clone());
        for (key, value) in &action.args {
            if !["handler", "type", "conn", "user_id"].contains(&key.as_str()) {
                message.insert(key.clone(), value.clone());
            }
        }
        let (conn, message) = (action.text("conn").unwrap_or_default(), Value::Object(message));
        if !built_in.accepts(kind) {
            self.seen.messages.push(Ended {
                conn: conn.to_owned(),
                message,
                kind: Some(kind),
                outcome: Outcome::NotItsType,
                delivered: false,
            });
            return Ok(());
        }
        self.stage()?.set_built_in(built_in, true);
        self.route(&[json!({"conn": conn, "user_id": action.arg("user_id"), "message": message})])
    }

    /// One message as a text frame of its user's socket.
    fn deliver(&mut self, conn: &str, user: &Value, message: &Value) -> Result<(), Inexpressible> {
        let text = frame_text(message);
        let written: Value = serde_json::from_str(&text).unwrap_or_default();
        let kind = written["type"].as_str().and_then(Kind::from_name);
        let mut ended = Ended {
            conn: conn.to_owned(),
            message: message.clone(),
            kind,
            outcome: Outcome::NotAdmitted,
            delivered: false,
        };
        let user = user.as_str().map(str::to_owned);
        if let Some(user) = user
            && self.connect(conn, &user)?
        {
            let label = self.sockets.label(conn, &user);
            let before = self.counters();
            let frames = self.stage()?.router().stats().frames;
            self.stage()?.text(&label, &text);
            self.start_runs()?;
            self.report_due()?;
            let after = self.counters();
            ended.outcome = if after.handler_errors > before.handler_errors {
                Outcome::HandlerError
            } else if after.rejected > before.rejected {
                Outcome::Rejected
            } else if after.unhandled > before.unhandled {
                Outcome::Unhandled
            } else {
                Outcome::Handled
            };
            let frames_after = self.stage()?.router().stats().frames;
            ended.delivered = frames_after.written - frames.written == frames_after.offered - frames.offered;
            self.sent_kinds.extend(kind);
            self.come_back()?;
        }
        self.seen.messages.push(ended);
        Ok(())
    }

    /// Connects a user's socket, if it is not; `false` when the router does not admit the user.
    fn connect(&mut self, conn: &str, user: &str) -> Result<bool, Inexpressible> {
        let (label, line) = (self.sockets.label(conn, user), self.sockets.line(conn));
        let stage = self.stage()?;
        let there = stage.conn(&label).is_some() || stage.connect(&label, user, line);
        if there && label == conn {
            self.sockets.opened(conn);
        }
        Ok(there)
    }

    /// A client whose socket broke and would have taken a later write is there again.
    fn come_back(&mut self) -> Result<(), Inexpressible> {
        let stage = self.stage.as_mut().ok_or(Inexpressible("no router"))?;
        for conn in self.sockets.faulty() {
            if stage.conn(&conn).is_some() {
                continue;
            }
            self.seen.broke.push(conn.clone());
            if self.sockets.broke(&conn) {
                let (user, line) = (self.sockets.user(&conn).to_owned(), self.sockets.line(&conn));
                stage.connect(&conn, &user, line);
            }
        }
        Ok(())
    }

    fn start_runs(&mut self) -> Result<(), Inexpressible> {
        let stage = self.stage.as_mut().ok_or(Inexpressible("no router"))?;
        for effect in stage.take_asked() {
            if let Effect::StartRun(request) = effect {
                self.agents.start(stage.now(), request.as_ref().clone());
            }
        }
        Ok(())
    }

    /// What agents have to say by now.
    fn report_due(&mut self) -> Result<(), Inexpressible> {
        let stage = self.stage.as_mut().ok_or(Inexpressible("no router"))?;
        while self.agents.next().is_some_and(|next| next <= stage.now()) {
            self.agents.report(stage);
        }
        Ok(())
    }

    /// Lets time pass until no run is open and no answer waits for its time.
    fn settle(&mut self) -> Result<(), Inexpressible> {
        loop {
            self.come_back()?;
            let stage = self.stage.as_mut().ok_or(Inexpressible("no router"))?;
            let router = stage.router();
            let later = (router.later_replies().waiting > 0).then(|| router.next_deadline()).flatten();
            let agent = self.agents.next();
            let Some(at) = [later.map(|(at, _)| at), agent].into_iter().flatten().min() else { break };
            let now = stage.now();
            stage.advance(at.since(now));
            self.report_due()?;
        }
        Ok(())
    }

    /// The helpers that sent something to one socket: the same through a handler's answer.
    fn say(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let text = |name: &str| action.text(name).unwrap_or_default().to_owned();
        self.speech.set(match action.op.as_str() {
            "send_error" => {
                let details = action.arg("details");
                let details = if details.is_null() { "{}".to_owned() } else { details.to_string() };
                Said::Error(text("error_code"), text("error_message"), details)
            }
            "send_system_message" => {
                let (content, more) = (action.arg("content"), action.arg("additional_data"));
                let mut data = json!({"content": content});
                match more.as_object() {
                    Some(members) => {
                        for (name, value) in members {
                            data[name] = value.clone();
                        }
                    }
                    // Data that is no object stays so, for the router to refuse.
                    None if !more.is_null() && *more != json!([]) => data = more.clone(),
                    None => {}
                }
                Said::ServerMessage(data.to_string())
            }
            _ => Said::Frame(action.arg("data").to_string()),
        });
        let speech = self.speech.clone();
        let router = self.stage()?.router_mut();
        if router.find_handler(Kind::DirectMessage).is_none() {
            router.add_handler(Box::new(Speaker(speech))).map_err(|_| Inexpressible("too many handlers"))?;
        }
        let conn = text("conn");
        let user = self.sockets.user(&conn).to_owned();
        self.route(&[json!({"conn": conn, "user_id": user, "message": {"type": "direct_message"}})])?;
        let said = self.seen.messages.iter().all(|m| m.outcome == Outcome::Handled && m.delivered);
        self.seen.answer = json!(said);
        Ok(())
    }

    fn is_connected(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let conn = action.text("conn").unwrap_or_default().to_owned();
        let user = self.sockets.user(&conn).to_owned();
        self.connect(&conn, &user)?;
        let connected = self.sockets.is_connected(&conn);
        let stage = self.stage()?;
        if !connected {
            stage.disconnect(&conn);
        }
        let open = stage.conn(&conn).is_some_and(|id| stage.router().is_open(id));
        self.seen.answer = json!(open);
        Ok(())
    }

    /// A grace period is a limit: a router that has done nothing yet is made anew with it.
    fn set_grace(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let seconds = action.arg("seconds").as_f64().unwrap_or_default();
        self.config.ready_grace_us = (seconds * 1e6).round() as u64;
        if self.stage()?.router().stats().inbound.received > 0 || !self.registered.is_empty() {
            return Err(Inexpressible("a limit changed while messages were routed"));
        }
        self.stage = None;
        self.routers -= 1;
        self.stage().map(|_| ())
    }

    fn register(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let given = action.arg("handler");
        let definition = match given.as_str() {
            Some(label) => self.definitions.get(label).cloned().ok_or(Inexpressible("an unknown handler"))?,
            None => given.clone(),
        };
        let label = definition["id"].as_str().unwrap_or_default().to_owned();
        let handler = match Watched::new(&definition, &self.log) {
            Ok(handler) => Box::new(handler),
            Err(error) => {
                self.seen.refused = Some(error.to_string());
                return Ok(());
            }
        };
        self.definitions.insert(label.clone(), definition);
        let index = action.arg("index").as_i64().unwrap_or(0);
        let router = self.stage()?.router_mut();
        let registered = if action.op == "add_handler" {
            router.add_handler(handler)
        } else {
            router.insert_handler(index, handler)
        };
        match registered {
            Ok(id) => _ = self.registered.insert(id, label),
            Err(error) => self.seen.refused = Some(error.to_string()),
        }
        Ok(())
    }

    fn remove(&mut self, action: &Action) -> Result<(), Inexpressible> {
        let given = action.arg("handler");
        let label = given.as_str().or_else(|| given["id"].as_str()).unwrap_or_default().to_owned();
        self.stage()?;
        let Some(stage) = &mut self.stage else { return Ok(()) };
        let mut order = stage.router().handler_order().filter_map(|(id, _)| id);
        if let Some(id) = order.find(|id| self.registered.get(id) == Some(&label)) {
            drop(order);
            stage.router_mut().remove_handler(id);
        } else if let Some(built_in) = built_in(&label) {
            drop(order);
            stage.set_built_in(built_in, false);
        }
        Ok(())
    }

    /// Labels of custom handlers, recorded names of built-in ones.
    pub(super) fn order(&self) -> Vec<Value> {
        let order = self.stage.iter().flat_map(|stage| stage.router().handler_order());
        order
            .map(|(id, name)| match id.and_then(|id| self.registered.get(&id)) {
                Some(label) => json!(label),
                None => old(name),
            })
            .collect()
    }

    fn pending(&mut self) -> Result<Value, Inexpressible> {
        let mut users = Map::new();
        for message in self.stage()?.router().pending_batches() {
            let entry = json!({
                "content": serde_json::from_str::<Value>(message.payload).unwrap_or_default(),
                "user_id": message.user, "thread_id": message.thread, "priority": message.priority,
            });
            let list = users.entry(message.user).or_insert_with(|| json!([]));
            if let Value::Array(list) = list {
                list.push(entry);
            }
        }
        Ok(Value::Object(users))
    }

    fn readiness(&mut self) -> Result<Value, Inexpressible> {
        let stage = self.stage()?;
        let readiness = stage.router().readiness(stage.now());
        let mut status = json!({
            "status": readiness.status.name(), "message": readiness.to_string(),
            "handler_count": readiness.handlers, "elapsed_seconds": readiness.elapsed_us as f64 / 1e6,
            "grace_period_active": readiness.elapsed_us < readiness.grace_us,
        });
        if readiness.handlers > 0 {
            let order = stage.router().handler_order();
            let names = order.map(|(id, name)| if id.is_some() { json!(name) } else { old(name) });
            status["handlers"] = names.collect();
        }
        Ok(status)
    }

    /// All statistics. The recording knows handlers by name only, so of two with one name it has the last.
    fn statistics(&mut self) -> Result<Value, Inexpressible> {
        let status = self.readiness()?;
        let counters = self.counters();
        let all: Vec<HandlerStats> = self.stage()?.router().handler_stats();
        let name =
            |stats: &HandlerStats| if stats.id.is_some() { json!(stats.name) } else { old(&stats.name) };
        let mut by_name = Map::new();
        for stats in &all {
            by_name.insert(name(stats).as_str().unwrap_or_default().to_owned(), figures(&stats.figures));
        }
        let order = all.iter().enumerate();
        let order: Vec<String> =
            order.map(|(n, s)| format!("[{n}] {}", name(s).as_str().unwrap_or_default())).collect();
        Ok(json!({
            "messages_routed": counters.routed, "unhandled_messages": counters.unhandled,
            "handler_errors": counters.handler_errors, "message_types": counters.types,
            "handler_stats": by_name, "handler_order": order, "handler_count": all.len(),
            "handler_status": status,
        }))
    }
}

fn old(name: &str) -> Value {
    BuiltIn::from_name(name).map_or_else(|| json!(name), |known| json!(old_name(known)))
}

/// A handler's own figures in the recording's names.
fn figures(figures: &Figures) -> Value {
    let time = |at: &Option<router::Instant>| at.map(|at| at.as_micros() as f64 / 1e6);
    match figures {
        Figures::None => json!({"status": "active"}),
        Figures::Own(json) => serde_json::from_str(json).unwrap_or_default(),
        Figures::UserMessage(f) => {
            json!({"processed": f.processed, "errors": f.errors, "last_message_time": time(&f.last_at)})
        }
        Figures::JsonRpc(f) => json!({
            "requests": f.requests, "responses": f.responses, "notifications": f.notifications, "errors": f.errors,
        }),
        Figures::Error(f) => json!({
            "total_errors": f.total, "error_types": f.by_code, "last_error_time": time(&f.last_at),
        }),
        Figures::Batch(f) => json!({
            "batches_created": f.batches, "messages_batched": f.batched, "batch_send_successes": f.batches,
            "batch_send_failures": 0, "pending_message_count": f.pending, "active_timers": f.timers,
        }),
    }
}
