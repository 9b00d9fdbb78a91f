//! Recorded operations of `core_router` on its model.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use serde_json::{Map, Value, json};

use super::{Played, Player, PythonOnly};
use crate::{
    conform::Action,
    legacy::{
        Hazards,
        core_router::{Answer, CoreRouter, Given, Handler, Message, Middleware},
        plain::Raised,
    },
};

/// Opens the model with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>, hazards: Hazards) -> Result<Box<dyn Player>, PythonOnly> {
    let specs = |key: &str| setup.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    let handlers =
        specs("handlers").into_iter().map(|(name, spec)| (name.clone(), Rc::new(Double { name, spec })));
    let middleware =
        specs("middleware").into_iter().map(|(name, spec)| (name.clone(), Rc::new(Double { name, spec })));
    Ok(Box::new(Stage {
        router: CoreRouter::new(hazards),
        handlers: handlers.collect(),
        middleware: middleware.collect(),
    }))
}

struct Stage {
    router: CoreRouter,
    handlers: BTreeMap<String, Rc<Double>>,
    middleware: BTreeMap<String, Rc<Double>>,
}

/// Why an operation cannot be played.
const UNKNOWN: PythonOnly = PythonOnly("an operation, or a thing it names, that nobody set up");

impl Player for Stage {
    fn play(&mut self, action: &Action) -> Result<Played, PythonOnly> {
        let mut played = match action.op.as_str() {
            "add_route" => {
                let handler =
                    action.text("handler").and_then(|name| self.handlers.get(name)).ok_or(UNKNOWN)?;
                self.router.add_route(action.text("pattern").ok_or(UNKNOWN)?, Rc::<Double>::clone(handler));
                Played::default()
            }
            "add_middleware" => {
                let name = action.text("middleware").unwrap_or_default();
                let middleware = self.middleware.get(name).ok_or(UNKNOWN)?;
                match self.router.add_middleware(Rc::<Double>::clone(middleware)) {
                    Ok(()) => Played::default(),
                    Err(raised) => Played::raised(raised.class).member("error_text", raised.text),
                }
            }
            "route_message" => {
                Played::returned(self.router.route_message(None, given(action.arg("message"))).value())
            }
            "start" => {
                self.router.start();
                Played::default()
            }
            "stop" => {
                self.router.stop();
                Played::default()
            }
            "get_statistics" => {
                let figures = self.router.statistics();
                Played::returned(json!({
                    "total_messages": figures.total_messages,
                    "active_routes": figures.active_routes,
                    "middleware_count": figures.middleware_count,
                    "active": figures.active,
                }))
            }
            _ => return Err(UNKNOWN),
        };
        played.state = Some(json!({
            "routes": self.router.routes(),
            "middleware": self.router.middleware().collect::<Vec<_>>(),
            "active": self.router.statistics().active,
            "history": self.router.history(None).map(Given::json).collect::<Vec<_>>(),
        }));
        Ok(played)
    }
}

/// What a recording hands in: a map is a message, unless it is marked as anything else.
fn given(value: &Value) -> Given {
    let Value::Object(members) = value else { return Given::Other(value.clone()) };
    if members.contains_key("$raw") {
        return Given::Other(value["value"].clone());
    }
    let member = |key: &str| members.get(key).cloned().unwrap_or_default();
    let headers = member("headers");
    Given::Message(Message {
        id: member("id"),
        kind: member("type"),
        source: member("source"),
        destination: member("destination"),
        payload: Rc::new(RefCell::new(member("payload"))),
        headers: if headers.is_null() { json!({}) } else { headers },
    })
}

/// A handler or a middleware as the set-up describes it.
struct Double {
    name: String,
    spec: Value,
}

impl Double {
    fn is(&self, key: &str) -> bool {
        self.spec[key].as_bool().unwrap_or_default()
    }

    fn text(&self, key: &str) -> &str {
        self.spec[key].as_str().unwrap_or_default()
    }

    fn set_payload(&self, given: &Given) -> Result<(), Raised> {
        given.set_payload(self.text("key"), &self.spec["value"])
    }
}

impl Handler for Double {
    fn name(&self) -> &str {
        &self.name
    }

    fn handle(&self, message: &Message) -> Result<Answer, Raised> {
        let payload = || Answer::Payload(Rc::clone(&message.payload));
        match self.text("kind") {
            "none" => Ok(Answer::Value(Value::Null)),
            "echo_id" => Ok(Answer::Value(message.id.clone())),
            "echo_payload" => Ok(payload()),
            "raise" => Err(Raised::new("RuntimeError", self.text("text"))),
            "set_payload" => self.set_payload(&Given::Message(message.clone())).map(|()| payload()),
            _ => Ok(Answer::Value(self.spec["value"].clone())),
        }
    }

    fn is_async_object(&self) -> bool {
        self.is("callable_object")
    }
}

impl Middleware for Double {
    fn name(&self) -> &str {
        &self.name
    }

    fn nameless_type(&self) -> Option<&str> {
        self.is("nameless").then_some("C")
    }

    fn pass(&self, given: Given) -> Result<Option<Given>, Raised> {
        match self.text("kind") {
            "drop" => Ok(None),
            "raise" => Err(Raised::new("RuntimeError", self.text("text"))),
            "set_payload" => self.set_payload(&given).map(|()| Some(given)),
            "redirect" => {
                let message = message_of(given)?;
                Ok(Some(Given::Message(Message { destination: self.spec["to"].clone(), ..message })))
            }
            "rewrite" => rewrite(&message_of(given)?).map(|message| Some(Given::Message(message))),
            "return_string" => Ok(Some(Given::Other("not a message".into()))),
            "falsy" => Ok(Some(Given::Other(0.into()))),
            _ => Ok(Some(given)),
        }
    }
}

fn message_of(given: Given) -> Result<Message, Raised> {
    match given {
        Given::Message(message) => Ok(message),
        Given::Other(value) => Err(Raised::no_attribute(&value, "id")),
    }
}

/// Another message with another id and a payload of its own.
fn rewrite(message: &Message) -> Result<Message, Raised> {
    let id =
        message.id.as_str().ok_or_else(|| Raised::new("TypeError", "unsupported operand type(s) for +"))?;
    let mut payload = message.payload.borrow().clone();
    let members =
        payload.as_object_mut().ok_or_else(|| Raised::new("TypeError", "object is not a mapping"))?;
    members.entry("rewritten").or_insert(Value::Bool(true));
    Ok(Message { id: format!("{id}-rw").into(), payload: Rc::new(RefCell::new(payload)), ..message.clone() })
}
