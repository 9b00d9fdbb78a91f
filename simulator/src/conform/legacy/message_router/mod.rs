//! Recorded cases of `message_router` and `message_router_intended` on the model of the router.

mod play;
mod sockets;
mod watched;

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use self::{sockets::Recorded, watched::Log};
use super::{Played, Player, PythonOnly};
use crate::{
    conform::Action,
    legacy::{
        Hazards,
        message_router::{HandlerId, MessageRouter},
    },
};

/// When all recordings begin, in microseconds.
const START_US: u64 = 1_700_000_000_000_000;

pub(super) fn open(setup: &Map<String, Json>, hazards: Hazards) -> Result<Box<dyn Player>, PythonOnly> {
    let flag = |name: &str| setup.get(name).and_then(Json::as_bool);
    let mut replay = Replay {
        hazards,
        now_us: START_US,
        router: MessageRouter::new(hazards, START_US),
        routes: flag("router").unwrap_or(true),
        sockets: Recorded::new(setup.get("connections")),
        log: Log::default(),
        definitions: BTreeMap::new(),
        labels: BTreeMap::new(),
    };
    if flag("clear_builtins").unwrap_or(false) {
        replay.router.clear_built_ins();
    }
    Ok(Box::new(replay))
}

/// A router at work.
struct Replay {
    hazards: Hazards,
    now_us: u64,
    router: MessageRouter,
    /// Whether there is a router, and not only handlers that are called directly.
    routes: bool,
    sockets: Recorded,
    log: Log,
    /// What each handler of the recording is, by its label.
    definitions: BTreeMap<String, Json>,
    labels: BTreeMap<HandlerId, String>,
}

impl Player for Replay {
    fn play(&mut self, action: &Action) -> Result<Played, PythonOnly> {
        let began = self.now_us;
        let mut played = self.perform(action)?;
        played.sent = self.sockets.take(began);
        played.state = self.state(action, began);
        Ok(played)
    }
}

impl Replay {
    fn state(&self, action: &Action, began: u64) -> Option<Json> {
        let mut state = Map::new();
        match action.op.as_str() {
            "route" | "find_handler" => {
                let counters = self.router.counters().value();
                state.insert("stats".to_owned(), crate::legacy::python::Value::from(counters).to_recorded());
            }
            "add_handler" | "insert_handler" | "remove_handler" => {
                state.insert("handler_order".to_owned(), self.order());
            }
            _ => {}
        }
        let calls = self.log.take();
        if !calls.is_empty() {
            state.insert("calls".to_owned(), Json::Array(calls));
        }
        if self.now_us > began && action.op != "advance" {
            state.insert("elapsed".to_owned(), Json::from((self.now_us - began) as f64 / 1e6));
        }
        (!state.is_empty()).then_some(Json::Object(state))
    }
}
