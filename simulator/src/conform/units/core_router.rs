//! The recorded unit `core_router` in terms of the canonical router: routes with exact keys, middleware, history.

use std::{collections::BTreeMap, sync::Arc};

use router::routes::{
    Dispatched, Draft, Envelope, Failure, Middleware, NotAMessage, Record, Refused, RouteHandler, Verdict,
};
use serde_json::{Map, Value, json};

use super::Unit;
use crate::conform::{
    Action, Decision, Difference, Expect, Inexpressible, Notes, Translation, compare,
    stage::{self, Stage},
};

/// What an old coroutine that nobody awaited left in a recording.
const COROUTINE: &str = "<coroutine>";

/// The old handlers shared the payload itself, so a later one changed what an earlier one had answered.
const ANSWERS_STAY: Decision = Decision {
    name: "answers-stay",
    demands: "an answer is what it was when its handler ended; a later handler cannot change it",
    added: true,
};

/// The old router looked at the destination only, and at that only when all middleware had passed.
const FIELDS_HAVE_TYPES: Decision = Decision {
    name: "fields-have-types",
    demands: "a message whose id, source, type or headers are of another type is refused with BAD_FIELD, and one whose \
              destination is, whatever middleware might have made of it",
    added: true,
};

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    let stage =
        Stage::new(stage::defaults(setup)).map_err(|_| Inexpressible("the default limits are invalid"))?;
    let (mut handlers, mut middleware) = (BTreeMap::new(), BTreeMap::new());
    for (name, spec) in members(setup, "handlers") {
        let does = Work::read(spec).ok_or(Inexpressible("a handler of an unknown kind"))?;
        handlers.insert(name.clone(), Arc::new(Handler { name: name.clone(), does }));
    }
    for (name, spec) in members(setup, "middleware") {
        let does = Step::read(spec).ok_or(Inexpressible("a middleware of an unknown kind"))?;
        let nameless = spec["nameless"].as_bool().unwrap_or_default();
        let step = Passing { name: (!nameless).then(|| name.clone()), does };
        middleware.insert(name.clone(), Arc::new(step));
    }
    Ok(Box::new(CoreRouter {
        stage,
        handlers,
        middleware,
        installed: Vec::new(),
        answer: Answer::Nothing,
        refused: 0,
    }))
}

fn members<'a>(setup: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    setup.get(key).and_then(Value::as_object).into_iter().flatten()
}

struct CoreRouter {
    stage: Stage,
    handlers: BTreeMap<String, Arc<Handler>>,
    middleware: BTreeMap<String, Arc<Passing>>,
    /// Labels of the middleware that was installed: one without a name has no other.
    installed: Vec<String>,
    answer: Answer,
    /// Values that were no message, so far.
    refused: usize,
}

/// What the last operation answered.
enum Answer {
    Nothing,
    Dispatched(Result<Dispatched, Refused>),
    Figures(Value),
}

impl Unit for CoreRouter {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        self.stage.begin();
        let now = self.stage.now();
        let router = self.stage.router_mut();
        self.answer = Answer::Nothing;
        match action.op.as_str() {
            "add_route" => {
                let key = action.text("pattern").ok_or(Inexpressible("a key that is no text"))?;
                let handler = action.text("handler").and_then(|name| self.handlers.get(name));
                let handler = handler.ok_or(Inexpressible("a handler that was not set up"))?;
                let handler: Arc<dyn RouteHandler> = Arc::<Handler>::clone(handler);
                router.add_route(key, handler).map_err(|_| Inexpressible("more routes than there may be"))?;
            }
            "add_middleware" => {
                let name = action.text("middleware").unwrap_or_default();
                let step =
                    self.middleware.get(name).ok_or(Inexpressible("a middleware that was not set up"))?;
                let step: Arc<dyn Middleware> = Arc::<Passing>::clone(step);
                let full = Inexpressible("more middleware than there may be");
                router.add_middleware(step).map_err(|_| full)?;
                self.installed.push(name.to_owned());
            }
            "route_message" => {
                let message = action.arg("message");
                let raw = message.get("$raw").is_some();
                let message = if raw { message["value"].clone() } else { message.clone() };
                let answer = router.dispatch_value(now, message);
                self.refused += usize::from(answer.is_err());
                self.answer = Answer::Dispatched(answer);
            }
            "start" => router.start(),
            "stop" => router.stop(),
            "get_statistics" => {
                let figures = router.dispatch_figures();
                self.answer = Answer::Figures(json!({
                    "total_messages": figures.total_messages,
                    "active_routes": figures.active_routes,
                    "middleware_count": figures.middleware_count,
                    "active": figures.active,
                }));
            }
            _ => return Err(Inexpressible("an operation that nobody knows")),
        }
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let mut out = Vec::new();
        if let Some(class) = &expect.raises {
            out.push(Difference::new("raises", class.as_str(), Value::Null));
            // The old one installed it and then failed to read its name.
            let there = self.stage.router().pipeline().middleware().len();
            if action.op == "add_middleware" && there == self.installed.len() {
                notes.cured("C1");
            }
        } else {
            self.compare_answer(&expect.returns, notes, &mut out);
        }
        if !self.stage.sent().is_empty() || !expect.sent.is_empty() {
            out.push(Difference::new("sent", expect.sent.clone(), self.stage.sent().len()));
        }
        if let Some(state) = &expect.state {
            self.compare_state(state, notes, &mut out);
        }
        out
    }

    fn show(&self) -> Value {
        json!({ "answer": self.shown(), "state": self.state() })
    }
}

impl CoreRouter {
    fn compare_answer(&self, recorded: &Value, notes: &mut Notes, out: &mut Vec<Difference>) {
        let (observed, results) = match &self.answer {
            Answer::Nothing => (Value::Null, None),
            Answer::Figures(figures) => (figures.clone(), None),
            Answer::Dispatched(Ok(Dispatched::Results(results))) => {
                notes.translated(Translation::N4);
                let answers: Vec<Value> = results.iter().filter_map(|result| result.clone().ok()).collect();
                (one_or_list(answers.clone()), Some(answers))
            }
            Answer::Dispatched(Ok(Dispatched::Dropped { .. } | Dispatched::Unrouted { .. })) => {
                notes.translated(Translation::N2);
                (Value::Null, None)
            }
            Answer::Dispatched(Err(Refused::NotAMessage(NotAMessage::Field { field, .. })))
                if !recorded.is_null() && (*field != "destination" || !self.installed.is_empty()) =>
            {
                notes.decided(FIELDS_HAVE_TYPES);
                return;
            }
            Answer::Dispatched(Err(_)) => {
                notes.translated(Translation::N8);
                (Value::Null, None)
            }
        };
        let mut differences = Vec::new();
        compare::values("returns", recorded, &observed, &[], notes, &mut differences);
        if differences.is_empty() {
            return;
        }
        if awaited(recorded, &observed) {
            notes.cured("C2");
        }
        let last = self.stage.router().history(None).next_back();
        if results.is_some_and(|answers| changed_later(recorded, &answers, last)) {
            notes.decided(ANSWERS_STAY);
        } else {
            out.append(&mut differences);
        }
    }

    fn compare_state(&self, recorded: &Value, notes: &mut Notes, out: &mut Vec<Difference>) {
        let observed = self.state();
        for key in ["routes", "middleware", "active"] {
            compare::values(key, &recorded[key], &observed[key], &[], notes, out);
        }
        // What is no message was refused, and is in no history; the old one kept it.
        let all = recorded["history"].as_array().map_or(&[][..], Vec::as_slice);
        let (messages, others): (Vec<Value>, Vec<Value>) =
            all.iter().cloned().partition(|value| Envelope::from_value(value.clone()).is_ok());
        if others.len() == self.refused {
            others.iter().for_each(|_| notes.translated(Translation::N8));
        } else {
            out.push(Difference::new("history (refused)", others.len(), self.refused));
        }
        compare::values("history", &Value::Array(messages), &observed["history"], &[], notes, out);
    }

    fn state(&self) -> Value {
        let router = self.stage.router();
        let routes: Map<String, Value> =
            router.pipeline().routes().map(|(key, handlers)| (key.to_owned(), json!(handlers))).collect();
        let middleware: Vec<&str> = router
            .pipeline()
            .middleware()
            .zip(&self.installed)
            .map(|(name, installed)| name.unwrap_or(installed))
            .collect();
        let history: Vec<Value> = router.history(None).map(recorded_form).collect();
        json!({
            "routes": routes, "middleware": middleware, "active": router.dispatch_figures().active, "history": history,
        })
    }

    fn shown(&self) -> Value {
        match &self.answer {
            Answer::Nothing => Value::Null,
            Answer::Figures(figures) => figures.clone(),
            Answer::Dispatched(Err(refused)) => {
                json!({ "refused": refused.to_string(), "code": refused.code().name() })
            }
            Answer::Dispatched(Ok(Dispatched::Unrouted { destination })) => {
                json!({ "unrouted": destination.as_deref() })
            }
            Answer::Dispatched(Ok(Dispatched::Dropped { by, why })) => {
                json!({ "dropped": format!("{why:?}"), "by": by.name, "index": by.index })
            }
            Answer::Dispatched(Ok(Dispatched::Results(results))) => {
                let slot = |result: &Result<Value, _>| match result {
                    Ok(answer) => json!({ "ok": answer }),
                    Err(failed) => json!({ "failed": ToString::to_string(failed) }),
                };
                json!({ "results": results.iter().map(slot).collect::<Vec<_>>() })
            }
        }
    }
}

/// The bare value of the old router: one success is that value, any other number a list.
fn one_or_list(mut answers: Vec<Value>) -> Value {
    if answers.len() == 1 { answers.remove(0) } else { Value::Array(answers) }
}

/// A message of the history in the recorded form. The old one kept the object that came in, so payload and headers
/// are as they were left.
fn recorded_form(record: &Record) -> Value {
    let (received, left) = (record.received(), record.left());
    json!({
        "id": received.id,
        "type": received.purpose.name(),
        "source": received.source,
        "destination": received.destination.as_deref(),
        "payload": left.payload,
        "headers": left.headers,
    })
}

/// Whether they differ only where the old router answered a coroutine, and there a handler's answer stands now.
fn awaited(recorded: &Value, observed: &Value) -> bool {
    match (recorded, observed) {
        (Value::Array(recorded), Value::Array(observed)) if recorded.len() == observed.len() => {
            let rest = recorded.iter().zip(observed).filter(|(recorded, observed)| recorded != observed);
            rest.into_iter().all(|(recorded, _)| recorded == COROUTINE)
        }
        (recorded, observed) => recorded == COROUTINE && observed != COROUTINE && !observed.is_null(),
    }
}

/// Whether each recorded answer that differs is what a later handler made of the payload that was answered.
fn changed_later(recorded: &Value, answers: &[Value], last: Option<&Record>) -> bool {
    let Some(recorded) = recorded.as_array().filter(|recorded| recorded.len() == answers.len()) else {
        return false;
    };
    recorded.iter().zip(answers).enumerate().all(|(n, (recorded, answer))| {
        let later = answers[n + 1..].iter().chain(last.map(|record| &record.left().payload));
        let earlier_form = || {
            let (Some(whole), Some(part)) = (recorded.as_object(), answer.as_object()) else { return false };
            part.keys().all(|key| whole.contains_key(key)) && later.into_iter().any(|later| later == recorded)
        };
        recorded == answer || earlier_form()
    })
}

struct Handler {
    name: String,
    does: Work,
}

/// What a recorded handler does. Whether it was a coroutine or a callable object is of no importance here.
enum Work {
    Const(Value),
    EchoPayload,
    EchoId,
    Fail(String),
    SetPayload(String, Value),
}

impl Work {
    fn read(spec: &Value) -> Option<Self> {
        let text = |key: &str| spec[key].as_str().unwrap_or_default().to_owned();
        Some(match spec["kind"].as_str()? {
            "const" => Work::Const(spec["value"].clone()),
            "none" => Work::Const(Value::Null),
            "echo_payload" => Work::EchoPayload,
            "echo_id" => Work::EchoId,
            "raise" => Work::Fail(text("text")),
            "set_payload" => Work::SetPayload(text("key"), spec["value"].clone()),
            _ => return None,
        })
    }
}

impl RouteHandler for Handler {
    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn handle(&self, message: &mut Draft) -> Result<Value, Failure> {
        match &self.does {
            Work::Const(value) => Ok(value.clone()),
            Work::EchoPayload => Ok(message.payload().clone()),
            Work::EchoId => Ok(message.id().into()),
            Work::Fail(text) => Err(Failure::new(text)),
            Work::SetPayload(key, value) => {
                set_payload(message, key, value)?;
                Ok(message.payload().clone())
            }
        }
    }
}

struct Passing {
    name: Option<String>,
    does: Step,
}

/// What a recorded middleware does.
enum Step {
    Identity,
    Drop,
    Fail,
    SetPayload(String, Value),
    Redirect(Arc<str>),
    Rewrite,
    /// Goes on with something that is no message.
    Nonsense(Value),
}

impl Step {
    fn read(spec: &Value) -> Option<Self> {
        let text = |key: &str| spec[key].as_str().unwrap_or_default().to_owned();
        Some(match spec["kind"].as_str()? {
            "identity" => Step::Identity,
            "drop" => Step::Drop,
            "raise" => Step::Fail,
            "set_payload" => Step::SetPayload(text("key"), spec["value"].clone()),
            "redirect" => Step::Redirect(text("to").into()),
            "rewrite" => Step::Rewrite,
            "return_string" => Step::Nonsense("a text".into()),
            "falsy" => Step::Nonsense(0.into()),
            _ => return None,
        })
    }
}

impl Middleware for Passing {
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn pass(&self, message: &mut Draft) -> Result<Verdict, Failure> {
        match &self.does {
            Step::Identity => Ok(Verdict::Pass),
            Step::Drop => Ok(Verdict::Drop),
            Step::Fail => Err(Failure::new("it fails")),
            Step::SetPayload(key, value) => set_payload(message, key, value).map(|()| Verdict::Pass),
            Step::Redirect(to) => Ok(Verdict::Redirect(Arc::clone(to))),
            Step::Rewrite => {
                let mut other = message.to_envelope();
                let payload = other.payload.as_object_mut().ok_or_else(no_object)?;
                payload.entry("rewritten").or_insert(Value::Bool(true));
                other.id += "-rw";
                Ok(Verdict::Replace(other))
            }
            Step::Nonsense(value) => {
                let other = Envelope::from_value(value.clone());
                other.map(Verdict::Replace).map_err(|error| Failure::new(error.to_string()))
            }
        }
    }
}

fn set_payload(message: &mut Draft, key: &str, value: &Value) -> Result<(), Failure> {
    let payload = message.payload_mut().as_object_mut().ok_or_else(no_object)?;
    payload.insert(key.to_owned(), value.clone());
    Ok(())
}

fn no_object() -> Failure {
    Failure::new("the payload is no object")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(op: &str, args: Value) -> Action {
        let Value::Object(args) = args else { panic!("an object") };
        Action { op: op.to_owned(), args }
    }

    fn expect(returns: Value) -> Expect {
        Expect { returns, raises: None, sent: Vec::new(), state: None, all: Map::new() }
    }

    /// Plays one message through handlers `e` (answers the payload) and `s` (writes k = 1 to it), in that order.
    fn echo_then_set(returns: Value) -> (Vec<Difference>, Notes) {
        let setup = json!({"handlers": {
            "e": {"kind": "echo_payload"}, "s": {"kind": "set_payload", "key": "k", "value": 1}
        }});
        let mut unit = open(setup.as_object().expect("an object")).expect("known kinds");
        for handler in ["e", "s"] {
            unit.act(&action("add_route", json!({"pattern": "d", "handler": handler}))).expect("room");
        }
        let message = json!({"id": "m", "source": "s", "destination": "d", "payload": {"n": 1}});
        let route = action("route_message", json!({ "message": message }));
        unit.act(&route).expect("expressed");
        let mut notes = Notes::default();
        (unit.compare(&route, &expect(returns), &mut notes), notes)
    }

    #[test]
    fn an_answer_that_a_later_handler_changed_is_the_decision_and_nothing_else_is() {
        let (differences, notes) = echo_then_set(json!([{"n": 1, "k": 1}, {"n": 1, "k": 1}]));
        assert!(differences.is_empty() && notes.decisions().contains_key(&ANSWERS_STAY));
        for wrong in [
            json!([{"n": 1, "x": 1}, {"n": 1, "k": 1}]),
            json!([{"k": 1}, {"n": 1, "k": 1}]),
            json!([{"n": 1, "k": 1}]),
            json!([{"n": 1}, {"n": 1}]),
        ] {
            let (differences, notes) = echo_then_set(wrong);
            assert!(!differences.is_empty() && notes.decisions().is_empty());
        }
    }

    #[test]
    fn a_field_of_another_type_is_refused_though_it_was_routed() {
        for (message, decided) in [
            (json!({"id": "m", "source": "s", "destination": "d", "type": 5}), true),
            (json!({"id": 7, "source": "s", "destination": "d"}), true),
            (json!({"id": "m", "source": "s", "destination": 5}), false),
            (json!("m"), false),
        ] {
            let mut unit = open(&Map::new()).expect("known kinds");
            let route = action("route_message", json!({ "message": message }));
            unit.act(&route).expect("expressed");
            let mut notes = Notes::default();
            let differences = unit.compare(&route, &expect(json!("A")), &mut notes);
            assert_eq!((differences.is_empty(), notes.decisions().len()), (decided, usize::from(decided)));
            assert!(unit.compare(&route, &expect(Value::Null), &mut notes).is_empty());
        }
    }

    #[test]
    fn only_an_answer_in_place_of_a_coroutine_counts_as_awaited() {
        assert!(awaited(&json!(COROUTINE), &json!("C")));
        assert!(awaited(&json!([COROUTINE, "A"]), &json!(["C", "A"])));
        assert!(!awaited(&json!(COROUTINE), &Value::Null));
        assert!(!awaited(&json!([COROUTINE, "A"]), &json!(["C", "B"])));
        assert!(!awaited(&json!([COROUTINE, "A"]), &json!(["C"])));
    }
}
