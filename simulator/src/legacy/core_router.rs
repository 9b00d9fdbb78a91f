//! The core router: exact destinations, middleware, a history. It was used by tests and by one instance for everybody.
//!
//! Nothing of a message is checked, and its type decides nothing. A payload is one object that everybody shares: what a
//! middleware or a handler writes into it is seen in the history, and in an answer that was given before. What a handler
//! raises omits its answer; what anything else raises makes the answer null.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use serde_json::{Map, Value, json};

use super::{Hazard, Hazards, plain::Raised};

/// A payload, shared by all who hold the message.
pub type Payload = Rc<RefCell<Value>>;

/// A message between services. What should be a text can be anything.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id.
    pub id: Value,
    /// Its type.
    pub kind: Value,
    /// Who sent it.
    pub source: Value,
    /// The key it is routed by.
    pub destination: Value,
    /// What it says.
    pub payload: Payload,
    /// Whatever else belongs to it.
    pub headers: Value,
}

/// What can be handed in, and handed on by a middleware.
#[derive(Clone, Debug)]
pub enum Given {
    /// A message.
    Message(Message),
    /// Anything else: it has no destination.
    Other(Value),
}

impl Given {
    /// The form it has in lists of messages; the payload as it is now.
    pub fn json(&self) -> Value {
        match self {
            Given::Message(Message { id, kind, source, destination, payload, headers }) => json!({
                "id": id, "type": kind, "source": source, "destination": destination,
                "payload": *payload.borrow(), "headers": headers,
            }),
            Given::Other(value) => json!({"$raw": true, "value": value}),
        }
    }

    /// Writes a member into the payload.
    ///
    /// # Errors
    /// As the old language said that this is no message, or its payload no object.
    pub fn set_payload(&self, key: &str, value: &Value) -> Result<(), Raised> {
        let Given::Message(message) = self else { return Err(self.no_message("payload")) };
        let payload = &mut *message.payload.borrow_mut();
        match payload.as_object_mut() {
            Some(members) => {
                members.insert(key.to_owned(), value.clone());
                Ok(())
            }
            None => Err(Raised::item_assignment(payload)),
        }
    }

    fn no_message(&self, attribute: &str) -> Raised {
        match self {
            Given::Message(_) => {
                Raised::new("AttributeError", format!("'Message' object has no attribute '{attribute}'"))
            }
            Given::Other(value) => Raised::no_attribute(value, attribute),
        }
    }
}

/// What one handler answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A value of its own.
    Value(Value),
    /// The payload itself: whoever writes to it later changes this answer, too.
    Payload(Payload),
    /// A call that was begun and that nobody awaits: the handler never ran.
    Unawaited,
}

/// What answers messages.
pub trait Handler {
    /// Its name, for lists.
    fn name(&self) -> &str;

    /// Its work.
    ///
    /// # Errors
    /// Whatever it raises.
    fn handle(&self, message: &Message) -> Result<Answer, Raised>;

    /// Whether it is an object whose call is asynchronous, and so no asynchronous function.
    fn is_async_object(&self) -> bool {
        false
    }
}

/// What stands before the handlers.
pub trait Middleware {
    /// Its name, for lists.
    fn name(&self) -> &str;

    /// Its type, if it is an object that has no name as functions have.
    fn nameless_type(&self) -> Option<&str> {
        None
    }

    /// What goes on in place of the message; `None` drops it.
    ///
    /// # Errors
    /// Whatever it raises.
    fn pass(&self, given: Given) -> Result<Option<Given>, Raised>;
}

/// What became of a message.
#[derive(Clone, Debug)]
pub enum Routed {
    /// Middleware dropped it or raised, or it had no destination.
    Dropped,
    /// Nobody handles its destination.
    Unrouted,
    /// The answers of the handlers that did not raise, in their order.
    Answers(Vec<Answer>),
}

impl Routed {
    /// The one value that callers got: a single answer is the value itself, any other number a list, and null stands for
    /// all else. Who has it cannot tell one answer that is a list from several.
    pub fn value(&self) -> Value {
        let Routed::Answers(answers) = self else { return Value::Null };
        let mut values: Vec<Value> = answers.iter().map(Answer::value).collect();
        if values.len() == 1 { values.remove(0) } else { Value::Array(values) }
    }
}

impl Answer {
    fn value(&self) -> Value {
        match self {
            Answer::Value(value) => value.clone(),
            Answer::Payload(payload) => payload.borrow().clone(),
            Answer::Unawaited => "<coroutine>".into(),
        }
    }
}

/// Four figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Messages in the history.
    pub total_messages: usize,
    /// Destinations that have a handler.
    pub active_routes: usize,
    /// Middleware.
    pub middleware_count: usize,
    /// Between `start` and `stop`; decides about nothing.
    pub active: bool,
}

/// Messages that a user's history holds at most where it is bounded.
pub const HISTORY_MESSAGES_MAX: usize = 100;

/// The router.
pub struct CoreRouter {
    hazards: Hazards,
    routes: BTreeMap<String, Vec<Rc<dyn Handler>>>,
    middleware: Vec<Rc<dyn Middleware>>,
    /// With whom each came in for; of services among themselves, nobody.
    history: Vec<(Option<String>, Given)>,
    offered: usize,
    active: bool,
}

impl CoreRouter {
    /// A router with no routes.
    pub fn new(hazards: Hazards) -> Self {
        Self {
            hazards,
            routes: BTreeMap::new(),
            middleware: Vec::new(),
            history: Vec::new(),
            offered: 0,
            active: false,
        }
    }

    /// Adds a handler behind those of that destination; the same one again runs again.
    pub fn add_route(&mut self, destination: &str, handler: Rc<dyn Handler>) {
        self.routes.entry(destination.to_owned()).or_default().push(handler);
    }

    /// Adds a middleware behind the others.
    ///
    /// # Errors
    /// C1: one without a name is installed, and then the log line reads its name.
    pub fn add_middleware(&mut self, middleware: Rc<dyn Middleware>) -> Result<(), Raised> {
        let nameless = middleware.nameless_type().map(str::to_owned);
        self.middleware.push(middleware);
        match nameless {
            Some(kind) if self.hazards.has(Hazard::C1) => Err(Raised::missing_attribute(&kind, "__name__")),
            _ => Ok(()),
        }
    }

    /// Takes a message through middleware and handlers, on behalf of a user or of nobody.
    pub fn route_message(&mut self, user: Option<&str>, given: Given) -> Routed {
        self.keep(user, given.clone());
        let mut passed = given;
        for middleware in &self.middleware {
            match middleware.pass(passed) {
                Ok(Some(next)) => passed = next,
                Ok(None) | Err(_) => return Routed::Dropped,
            }
        }
        let Given::Message(message) = passed else { return Routed::Dropped };
        let handlers = match &message.destination {
            // Nobody can look for these.
            Value::Array(_) | Value::Object(_) => return Routed::Dropped,
            Value::String(destination) => self.routes.get(destination),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        };
        let Some(handlers) = handlers else { return Routed::Unrouted };
        Routed::Answers(handlers.iter().filter_map(|handler| self.call(&**handler, &message)).collect())
    }

    fn call(&self, handler: &dyn Handler, message: &Message) -> Option<Answer> {
        if handler.is_async_object() && self.hazards.has(Hazard::C2) {
            return Some(Answer::Unawaited);
        }
        handler.handle(message).ok()
    }

    /// C3: one list without an end for everybody.
    fn keep(&mut self, user: Option<&str>, given: Given) {
        self.offered += 1;
        self.history.push((user.map(str::to_owned), given));
        if self.hazards.has(Hazard::C3) {
            return;
        }
        let of_user = |(of, _): &(Option<String>, Given)| of.as_deref() == user;
        if self.history.iter().filter(|kept| of_user(kept)).count() > HISTORY_MESSAGES_MAX
            && let Some(oldest) = self.history.iter().position(of_user)
        {
            self.history.remove(oldest);
        }
    }

    /// What a user sees of the history, oldest first. C3: all of it, whoever asks.
    pub fn history(&self, user: Option<&str>) -> impl Iterator<Item = &Given> {
        let everything = self.hazards.has(Hazard::C3);
        let seen = move |(of, _): &&(Option<String>, Given)| everything || of.as_deref() == user;
        self.history.iter().filter(seen).map(|(_, given)| given)
    }

    /// A user is gone for good. C3: what it sent stays.
    pub fn forget(&mut self, user: &str) {
        if !self.hazards.has(Hazard::C3) {
            self.history.retain(|(of, _)| of.as_deref() != Some(user));
        }
    }

    /// Sets a figure; messages are routed before as after.
    pub const fn start(&mut self) {
        self.active = true;
    }

    /// Takes the figure back; messages are routed as before.
    pub const fn stop(&mut self) {
        self.active = false;
    }

    /// The figures.
    pub fn statistics(&self) -> Figures {
        Figures {
            total_messages: self.offered,
            active_routes: self.routes.len(),
            middleware_count: self.middleware.len(),
            active: self.active,
        }
    }

    /// Names of the handlers of each destination, in order.
    pub fn routes(&self) -> Map<String, Value> {
        let names =
            |handlers: &Vec<Rc<dyn Handler>>| handlers.iter().map(|handler| handler.name().into()).collect();
        self.routes.iter().map(|(key, handlers)| (key.clone(), Value::Array(names(handlers)))).collect()
    }

    /// Names of the middleware, in order.
    pub fn middleware(&self) -> impl Iterator<Item = &str> {
        self.middleware.iter().map(|middleware| middleware.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Object;

    impl Handler for Object {
        fn name(&self) -> &str {
            "object"
        }

        fn handle(&self, _: &Message) -> Result<Answer, Raised> {
            Ok(Answer::Value("ran".into()))
        }

        fn is_async_object(&self) -> bool {
            true
        }
    }

    impl Middleware for Object {
        fn name(&self) -> &str {
            "object"
        }

        fn nameless_type(&self) -> Option<&str> {
            Some("C")
        }

        fn pass(&self, given: Given) -> Result<Option<Given>, Raised> {
            Ok(Some(given))
        }
    }

    fn message(n: u32) -> Given {
        let text = |text: &str| Value::from(text);
        Given::Message(Message {
            id: n.into(),
            kind: text("request"),
            source: text("s"),
            destination: text("d"),
            payload: Rc::new(RefCell::new(json!({"n": n}))),
            headers: json!({}),
        })
    }

    #[test]
    fn c1_raises_after_it_has_installed_what_has_no_name() {
        let mut old = CoreRouter::new(Hazards::NONE.with(Hazard::C1));
        let raised = old.add_middleware(Rc::new(Object)).expect_err("it has no name");
        assert_eq!(
            (raised.class, &*raised.text),
            ("AttributeError", "'C' object has no attribute '__name__'")
        );
        assert_eq!(old.middleware().count(), 1);
        assert!(CoreRouter::new(Hazards::NONE).add_middleware(Rc::new(Object)).is_ok());
    }

    #[test]
    fn c2_begins_the_call_of_an_object_and_never_awaits_it() {
        for (hazards, answer) in
            [(Hazards::NONE.with(Hazard::C2), json!("<coroutine>")), (Hazards::NONE, json!("ran"))]
        {
            let mut router = CoreRouter::new(hazards);
            router.add_route("d", Rc::new(Object));
            assert_eq!(router.route_message(None, message(1)).value(), answer);
        }
    }

    #[test]
    fn c3_shows_everybodys_messages_to_everybody_and_never_forgets() {
        for (hazards, seen, left) in [(Hazards::NONE.with(Hazard::C3), 301, 302), (Hazards::NONE, 1, 1)] {
            let mut router = CoreRouter::new(hazards);
            for n in 0..300 {
                router.route_message(Some("ada"), message(n));
            }
            router.route_message(Some("eve"), message(300));
            assert_eq!(router.history(Some("eve")).count(), seen);
            router.forget("ada");
            router.forget("eve");
            router.route_message(None, message(301));
            assert_eq!(router.history(None).count(), left);
        }
    }

    #[test]
    fn without_c3_the_newest_of_each_user_are_kept() {
        let mut router = CoreRouter::new(Hazards::NONE);
        for n in 0..=HISTORY_MESSAGES_MAX as u32 {
            router.route_message(Some("ada"), message(n));
        }
        let kept: Vec<Value> = router.history(Some("ada")).map(|given| given.json()["id"].clone()).collect();
        assert_eq!((kept.len(), &kept[0]), (HISTORY_MESSAGES_MAX, &json!(1)));
    }
}
