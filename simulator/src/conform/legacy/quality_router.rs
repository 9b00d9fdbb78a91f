//! Recorded operations of `quality_router` on its model.

use serde_json::{Map, Value, json};

use super::{Played, Player, PythonOnly};
use crate::{
    conform::Action,
    legacy::{
        Hazards,
        plain::{self, Raised},
        quality_router::{Host, News, Next, Pending, QualityRouter, Question, Subscribers, Wiring},
    },
};

/// Opens the model with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>, hazards: Hazards) -> Result<Box<dyn Player>, PythonOnly> {
    let nothing = Map::new();
    let manager = setup.get("manager").and_then(Value::as_object).unwrap_or(&nothing);
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let real = manager.get("kind").is_some_and(|kind| kind == "real");
    let during = manager.get("during_send").filter(|during| !during.is_null());
    Ok(Box::new(Stage {
        router: QualityRouter::new(
            hazards,
            if real { Wiring::Production } else { Wiring::Bound },
            list(setup.get("subscribers")),
        ),
        services: Services {
            monitoring: setup.get("monitoring").and_then(Value::as_object).cloned(),
            gate: setup.get("gate").and_then(Value::as_object).cloned(),
            calls: Vec::new(),
        },
        sockets: Sockets {
            create_fails: list(manager.get("create_fails_for")),
            send_fails: list(manager.get("fail_for")),
            refusal: setup
                .get("monitoring")
                .map(|of| &of["subscribe_raises"])
                .and_then(Value::as_str)
                .map(str::to_owned),
            sent: Vec::new(),
        },
        during: during.map(|during| During {
            on_user: during["on_user"].clone(),
            subscribe: list(during.get("subscribe")),
            unsubscribe: list(during.get("unsubscribe")),
        }),
    }))
}

struct Stage {
    router: QualityRouter,
    services: Services,
    sockets: Sockets,
    during: Option<During>,
}

/// Who comes and goes while one user is written to.
struct During {
    on_user: Value,
    subscribe: Vec<Value>,
    unsubscribe: Vec<Value>,
}

/// A call whose service has not answered yet: when it will have, and which call of the operation it is.
struct Waiting {
    ready_seconds: f64,
    call: usize,
    question: Question,
    pending: Pending,
}

impl Player for Stage {
    fn play(&mut self, action: &Action) -> Result<Played, PythonOnly> {
        self.sockets.sent.clear();
        self.services.calls.clear();
        let played = match action.op.as_str() {
            "handle_message" => {
                let mut calls = [(action.arg("user").clone(), action.arg("message").clone())];
                let mut raised = self.messages(&mut calls)?;
                let [(_, message_after)] = calls;
                let played = raised.pop().flatten().map_or_else(Played::default, played_raise);
                return Ok(self.finish(played, Some(message_after)));
            }
            "concurrent_handle_message" => {
                let calls = action.arg("calls").as_array().into_iter().flatten();
                let mut calls: Vec<_> =
                    calls.map(|call| (call["user"].clone(), call["message"].clone())).collect();
                let raised = self.messages(&mut calls)?;
                let classes: Vec<_> =
                    raised.into_iter().map(|raised| raised.map(|raised| raised.class)).collect();
                Played::returned(json!(classes))
            }
            "broadcast_quality_update" => self.broadcast(News::Update(action.arg("update").clone()))?,
            "broadcast_quality_alert" => self.broadcast(News::Alert(action.arg("alert").clone()))?,
            _ => return Err(PythonOnly("an operation that nobody knows")),
        };
        Ok(self.finish(played, None))
    }
}

impl Stage {
    /// Messages handed in together, each taken as far as it comes without waiting; then in the order in which the services
    /// answer.
    fn messages(&mut self, calls: &mut [(Value, Value)]) -> Result<Vec<Option<Raised>>, PythonOnly> {
        let mut raised = Vec::new();
        let mut waiting: Vec<Waiting> = Vec::new();
        for (call, (user, message)) in calls.iter_mut().enumerate() {
            match self.router.handle_message(user, message, &mut self.sockets) {
                Ok(next) => {
                    self.go_on(next, 0.0, call, &mut waiting)?;
                    raised.push(None);
                }
                Err(error) => raised.push(Some(error)),
            }
        }
        while let Some(Waiting { ready_seconds, call, question, pending }) = first(&mut waiting) {
            let answer = self.services.answer(&question)?;
            let next = self.router.answered(pending, answer, &mut self.sockets);
            self.go_on(next, ready_seconds, call, &mut waiting)?;
        }
        Ok(raised)
    }

    /// Asks what there is to ask; a service without delay answers before anything else happens.
    fn go_on(
        &mut self,
        mut next: Next,
        now_seconds: f64,
        call: usize,
        waiting: &mut Vec<Waiting>,
    ) -> Result<(), PythonOnly> {
        while let Next::Ask(question, pending) = next {
            self.services.note(&question);
            let delay = self.services.delay_seconds(&question);
            if delay > 0.0 {
                waiting.push(Waiting { ready_seconds: now_seconds + delay, call, question, pending });
                return Ok(());
            }
            let answer = self.services.answer(&question)?;
            next = self.router.answered(pending, answer, &mut self.sockets);
        }
        Ok(())
    }

    fn broadcast(&mut self, news: News) -> Result<Played, PythonOnly> {
        let mut broadcast = self.router.begin_broadcast(news, Subscribers::OfRouter);
        loop {
            let told = match self.router.tell_next(&mut broadcast, &mut self.sockets) {
                Ok(told) => told,
                Err(raised) => return Ok(played_raise(raised)),
            };
            let Some(told) = told else { return Ok(Played::default()) };
            let Some(during) = self.during.as_ref().filter(|during| during.on_user == told) else { continue };
            let before = self.router.subscribers().to_vec();
            for user in &during.subscribe {
                self.router.subscribe(user);
            }
            for user in &during.unsubscribe {
                self.router.unsubscribe(user);
            }
            if before.len() > 1 && before != self.router.subscribers() {
                return Err(PythonOnly(
                    "a set changes while it is gone through: whom it had come to by then was up to its hashes",
                ));
            }
        }
    }

    fn finish(&mut self, mut played: Played, message_after: Option<Value>) -> Played {
        played.sent.append(&mut self.sockets.sent);
        let ids = self.router.current();
        let mut state = json!({
            "subscribers": self.router.subscribers(),
            "current_thread_id": ids.thread,
            "current_run_id": ids.run,
            "service_calls": self.services.calls,
            "logged_errors": self.router.take_log(),
        });
        if let Some(message) = message_after {
            state["message_after"] = message;
        }
        played.state = Some(state);
        played
    }
}

fn played_raise(raised: Raised) -> Played {
    Played::raised(raised.class).member("error_text", raised.text)
}

/// The one whose answer is ready first; of equal ones that which was asked first.
fn first(waiting: &mut Vec<Waiting>) -> Option<Waiting> {
    let ready = |waiting: &Waiting| waiting.ready_seconds;
    let (at, _) =
        waiting.iter().enumerate().min_by(|(_, left), (_, right)| ready(left).total_cmp(&ready(right)))?;
    Some(waiting.remove(at))
}

/// Sockets as the set-up has them.
struct Sockets {
    create_fails: Vec<Value>,
    send_fails: Vec<Value>,
    refusal: Option<String>,
    sent: Vec<Value>,
}

impl Host for Sockets {
    fn send(&mut self, user: &Value, message: &Value) -> Result<(), String> {
        if self.create_fails.contains(user) {
            return Err("manager creation failed".to_owned());
        }
        if self.send_fails.contains(user) {
            return Err("socket closed".to_owned());
        }
        self.sent.push(json!({"conn": null, "user": user, "message": message}));
        Ok(())
    }

    fn admit(&mut self, _: &Value) -> Result<(), String> {
        self.refusal.clone().map_or(Ok(()), Err)
    }
}

/// The services as the set-up has them; without one, the old monitor, which fails inside and has no data.
struct Services {
    monitoring: Option<Map<String, Value>>,
    gate: Option<Map<String, Value>>,
    calls: Vec<Value>,
}

impl Services {
    fn note(&mut self, question: &Question) {
        let (service, method, args) = match question {
            Question::Dashboard => ("monitoring", "get_dashboard_data", json!([])),
            Question::AgentReport { agent, hours } => {
                ("monitoring", "get_agent_report", json!([agent, hours]))
            }
            Question::Validate { content, kind, strict, .. } => {
                ("gate", "validate_content", json!([content, kind, {"third_positional": strict}]))
            }
        };
        let recorded = if service == "gate" { &self.gate } else { &self.monitoring };
        if recorded.is_some() {
            self.calls.push(json!({"service": service, "method": method, "args": args}));
        }
    }

    fn delay_seconds(&self, question: &Question) -> f64 {
        let Question::AgentReport { agent, .. } = question else { return 0.0 };
        let delays = self.monitoring.as_ref().and_then(|monitoring| monitoring.get("delays"));
        delays.and_then(|delays| delays.get(agent.as_str()?)?.as_f64()).unwrap_or_default()
    }

    fn answer(&self, question: &Question) -> Result<Result<Value, String>, PythonOnly> {
        let member =
            |of: &Map<String, Value>, key: &str| of.get(key).filter(|value| !value.is_null()).cloned();
        let answer = |of: &Map<String, Value>, raises: &str, key: &str| match member(of, raises) {
            Some(text) => Err(plain::str(&text)),
            None => Ok(member(of, key).unwrap_or_default()),
        };
        Ok(match (question, &self.monitoring, &self.gate) {
            (Question::Dashboard, Some(monitoring), _) => answer(monitoring, "dashboard_raises", "dashboard"),
            (Question::Dashboard, None, _) => Ok(json!({})),
            (Question::AgentReport { agent, hours }, Some(monitoring), _) => {
                answer(monitoring, "agent_report_raises", "agent_report").map(|mut report| {
                    if let Some(report) = report.as_object_mut() {
                        report.insert("agent".to_owned(), agent.clone());
                        report.insert("hours".to_owned(), hours.clone());
                    }
                    report
                })
            }
            (Question::AgentReport { agent, .. }, None, _) => {
                Ok(json!({"error": format!("No data for agent {}", plain::str(agent))}))
            }
            (Question::Validate { .. }, _, Some(gate)) => answer(gate, "raises", "result"),
            (Question::Validate { .. }, _, None) => {
                return Err(PythonOnly("the verdict of the old gate, which has no model"));
            }
        })
    }
}
