//! What the recorded routers and the service stood on: a manager that answers as the set-up says, or the real one with
//! sockets that do what they are told.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use serde_json::{Map, Value, json};

use super::Played;
use crate::legacy::{
    Hazards,
    event_loop::{Deadlock, EventLoop},
    manager::Manager,
    plain::{self, Raised},
    sink::{Answer, Message, Sink, Socket, Written},
};

/// How long the recorder waited before it called a call a deadlock, in microseconds.
const PATIENCE_US: u64 = 100_000_000_000;

/// Frames as they are sent, in the form of recordings.
pub(super) type Sent = Rc<RefCell<Vec<Value>>>;
/// Whose a connection is at this moment; null for nobody's.
pub(super) type Owner = Rc<dyn Fn(&Value) -> Value>;

/// The manager of a case.
#[derive(Clone)]
pub(super) enum Wiring {
    /// There is none.
    None,
    /// One that answers as the set-up says.
    Stub(Rc<Stub>),
    /// The real one.
    Real(Manager),
}

/// Time, the manager, and what was sent.
#[derive(Clone)]
pub(super) struct Floor {
    pub(super) event_loop: EventLoop,
    pub(super) wiring: Wiring,
    sent: Sent,
    sockets: Rc<RefCell<BTreeMap<String, Rc<RefCell<Line>>>>>,
}

impl Floor {
    pub(super) fn open(setup: &Map<String, Value>, hazards: Hazards, owner: Owner) -> Self {
        let (event_loop, sent) = (EventLoop::new(), Sent::default());
        let setup = setup.get("manager").cloned().unwrap_or_default();
        let wiring = if setup.is_null() {
            Wiring::None
        } else if setup["kind"] == "real" {
            // The recorder made it for this user.
            Wiring::Real(Manager::new(hazards, &event_loop, Some("user_1")))
        } else {
            let (event_loop, sent) = (event_loop.clone(), Rc::clone(&sent));
            Wiring::Stub(Rc::new(Stub { setup, event_loop, sent, owner }))
        };
        Self { event_loop, wiring, sent, sockets: Rc::default() }
    }

    pub(super) fn sink(&self) -> Option<Rc<dyn Sink>> {
        match &self.wiring {
            Wiring::None => None,
            Wiring::Stub(stub) => Some(Rc::clone(stub) as Rc<dyn Sink>),
            Wiring::Real(manager) => Some(Rc::new(manager.clone())),
        }
    }

    pub(super) fn real(&self) -> Option<Manager> {
        match &self.wiring {
            Wiring::Real(manager) => Some(manager.clone()),
            Wiring::None | Wiring::Stub(_) => None,
        }
    }

    /// Runs an operation to its end, and lets what it left behind run, too.
    pub(super) fn play(&self, call: impl Future<Output = Result<Value, Raised>> + 'static) -> Played {
        let result = self.event_loop.block_on(call);
        let mut played = match result {
            Ok(Ok(value)) => Played::returned(value),
            Ok(Err(raised)) => Played::raised(raised.class).member("error_text", raised.text),
            Err(Deadlock) => {
                self.event_loop.advance_to(self.event_loop.now_us() + PATIENCE_US);
                Played::raised("Deadlock").member("error_text", "never completes")
            }
        };
        self.event_loop.run_ready();
        played.sent = self.sent.take();
        if self.real().is_some() {
            // The order over connections was not recorded.
            let conn = |sent: &Value| sent["conn"].as_str().map(str::to_owned);
            played.sent.sort_by_key(conn);
        }
        played
    }

    pub(super) fn advance(&self, seconds: &Value) {
        self.event_loop.advance_to(self.event_loop.now_us() + micros(seconds));
    }

    /// A socket of a user, or none.
    pub(super) fn socket(&self, user: &str, id: &str, line: &Value) -> Rc<dyn Socket> {
        let line = Rc::new(RefCell::new(Line::of(line)));
        self.sockets.borrow_mut().insert(id.to_owned(), Rc::clone(&line));
        let (event_loop, sent) = (self.event_loop.clone(), Rc::clone(&self.sent));
        Rc::new(Wire { event_loop, sent, line, user: user.to_owned(), id: id.to_owned() })
    }

    /// What the socket of a name does.
    pub(super) fn known(&self, id: &str) -> Option<Rc<RefCell<Line>>> {
        self.sockets.borrow().get(id).cloned()
    }

    /// Gives a name back to the socket that had it, or to nobody.
    pub(super) fn restore(&self, id: &str, line: Option<Rc<RefCell<Line>>>) {
        match line {
            Some(line) => self.sockets.borrow_mut().insert(id.to_owned(), line),
            None => self.sockets.borrow_mut().remove(id),
        };
    }

    /// What a socket does from now on.
    pub(super) fn set_socket(&self, id: &str, line: &Value) {
        if let Some(known) = self.sockets.borrow().get(id) {
            *known.borrow_mut() = Line::of(line);
        }
    }

    /// The manager's registry, as recordings have it.
    pub(super) fn manager_state(&self) -> Option<Value> {
        let manager = self.real()?;
        Some(json!({
            "registered": manager.registered(),
            "connections": manager.connections(),
            "recovery_queue": manager.recovery_queues(),
            "error_count": manager.error_counts(),
            "contamination_prevented": manager.contamination_prevented(),
            "total_events_sent": manager.events_sent(),
        }))
    }

    /// Calls that overlap: each a task that first waits for its time; what each returned.
    pub(super) async fn together<F, T>(&self, calls: &[Value], call: impl Fn(Value) -> F) -> Vec<T>
    where
        F: Future<Output = T> + 'static,
        T: 'static,
    {
        let mut tasks = Vec::new();
        for args in calls {
            let (event_loop, after) = (self.event_loop.clone(), args["after"].clone());
            let task = call(args.clone());
            tasks.push(self.event_loop.spawn(async move {
                if plain::is_truthy(&after) {
                    event_loop.sleep(micros(&after)).await;
                }
                task.await
            }));
        }
        let mut results = Vec::new();
        for task in tasks {
            results.push(task.ended().await);
        }
        results
    }
}

/// Seconds of a recording in microseconds.
pub(super) fn micros(seconds: &Value) -> u64 {
    (seconds.as_f64().unwrap_or_default() * 1e6).round() as u64
}

/// Microseconds in seconds of a recording.
pub(super) fn seconds(micros: u64) -> Value {
    (micros as f64 / 1e6).into()
}

/// A manager that answers as the set-up says.
pub(super) struct Stub {
    setup: Value,
    event_loop: EventLoop,
    sent: Sent,
    owner: Owner,
}

impl Stub {
    fn has(&self, method: &str) -> bool {
        // A set-up of the service's cases names no methods: it has what the service needs.
        let methods = self.setup["methods"].as_array();
        methods.map_or(method == "send_to_user", |methods| methods.contains(&method.into()))
    }

    /// The answer for a key; a true one comes with a frame.
    async fn answer(&self, key: String, frame: impl FnOnce() -> Option<Value>) -> Result<Value, Raised> {
        if let Some(delay) = self.setup.get("delay") {
            self.event_loop.sleep(micros(delay)).await;
        }
        let otherwise = self.setup.get("default").cloned().unwrap_or(Value::Bool(true));
        let answer = self.setup["results"].get(key).cloned().unwrap_or(otherwise);
        if let Some(text) = raised(&answer) {
            return Err(text);
        }
        if !plain::is_truthy(&answer) {
            return Ok(answer);
        }
        match frame() {
            Some(frame) => self.sent.borrow_mut().push(frame),
            None => return Ok(false.into()),
        }
        Ok(answer)
    }
}

fn raised(answer: &Value) -> Option<Raised> {
    let text = answer.as_str()?.strip_prefix("raise:")?;
    Some(Raised::new("RuntimeError", text))
}

impl Sink for Stub {
    fn send_to_connection<'a>(
        &'a self,
        connection: &'a Value,
        event: &'a Message,
        still: &'a dyn Fn() -> bool,
    ) -> Option<Answer<'a, Value>> {
        self.has("send_to_connection").then(|| -> Answer<'a, Value> {
            Box::pin(async move {
                let frame =
                    || json!({"conn": connection, "user": (self.owner)(connection), "message": event});
                self.answer(plain::str(connection), || still().then(frame)).await
            })
        })
    }

    fn send_message_to_thread<'a>(
        &'a self,
        thread: &'a Value,
        event: &'a Message,
    ) -> Option<Answer<'a, Value>> {
        self.has("send_message_to_thread").then(|| -> Answer<'a, Value> {
            let frame = move || Some(json!({"conn": null, "user": null, "thread": thread, "message": event}));
            Box::pin(self.answer(plain::str(thread), frame))
        })
    }

    fn connections_of(&self, user: &str) -> Result<usize, Raised> {
        let connections = &self.setup["connections"][user];
        raised(connections).map_or_else(|| Ok(connections.as_array().map_or(0, Vec::len)), Err)
    }

    fn send_to_user<'a>(&'a self, user: &'a str, event: &'a Message) -> Answer<'a, Written> {
        Box::pin(async move {
            if !self.has("send_to_user") {
                return Err(Raised::missing_attribute("Stub", "send_to_user"));
            }
            let frame = || Some(json!({"conn": null, "user": user, "message": event}));
            self.answer(format!("user:{user}"), frame).await?;
            let count = self.connections_of(user).unwrap_or(0);
            Ok(Written { tried: count, written: count })
        })
    }
}

/// What a socket does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Up,
    Down,
    /// It takes this time, in microseconds.
    Slow(u64),
    /// It takes so many frames more.
    Takes(u64),
}

impl Line {
    fn of(line: &Value) -> Self {
        if let Some(left) = line["fail_after"].as_u64() {
            return Line::Takes(left);
        }
        match (line.get("delay"), line.as_str()) {
            (Some(delay), _) => Line::Slow(micros(delay)),
            (None, Some("fail")) => Line::Down,
            (None, _) => Line::Up,
        }
    }
}

/// A socket that does what it is told.
struct Wire {
    event_loop: EventLoop,
    sent: Sent,
    line: Rc<RefCell<Line>>,
    user: String,
    id: String,
}

impl Socket for Wire {
    fn send<'a>(&'a self, message: &'a mut Message) -> Answer<'a, ()> {
        Box::pin(async move {
            let line = *self.line.borrow();
            match line {
                Line::Down | Line::Takes(0) => {
                    return Err(Raised::new("RuntimeError", "the socket is closed"));
                }
                Line::Slow(micros) => self.event_loop.sleep(micros).await,
                Line::Takes(left) => *self.line.borrow_mut() = Line::Takes(left - 1),
                Line::Up => {}
            }
            self.sent.borrow_mut().push(json!({"conn": self.id, "user": self.user, "message": message}));
            Ok(())
        })
    }
}
