//! What the services behind the endpoint hear of each request: one core router for all of them.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use router::UserId;
use serde_json::{Value, json};

use super::agents::Ask;
use super::common::Common;
use crate::checkers::bounds::Breach;
use crate::legacy::Hazards;
use crate::legacy::core_router::{CoreRouter, Given, Message};

/// The core router's model.
pub(super) struct Services {
    router: CoreRouter,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("figures", &self.router.statistics()).finish()
    }
}

impl Services {
    pub(super) fn new(hazards: Hazards) -> Self {
        Self { router: CoreRouter::new(hazards) }
    }

    /// A request for an agent is announced, and the user's history is read for it.
    pub(super) fn announce(&mut self, common: &mut Common, ask: &Ask) {
        let message = Message {
            id: json!(ask.request_id),
            kind: json!(ask.kind.name()),
            source: json!(&*ask.user),
            destination: json!("history"),
            payload: Rc::new(RefCell::new(json!({ "text": ask.text }))),
            headers: json!({}),
        };
        self.router.route_message(Some(&ask.user), Given::Message(message));
        let foreign = |given: &&Given| sender(given).is_some_and(|sender| sender != json!(&*ask.user));
        if let Some(given) = self.router.history(Some(&ask.user)).find(foreign) {
            common.accounts.breach(|| Breach {
                rule: "iso.I3",
                user: Some(ask.user.to_string()),
                event: Some(format!("request {}", ask.request_id)),
                ..Breach::of_accounts(format!(
                    "the history read for {} holds a message of {}",
                    ask.user,
                    sender(given).unwrap_or_default()
                ))
            });
        }
    }

    /// A user is gone for good.
    pub(super) fn forget(&mut self, user: &UserId) {
        self.router.forget(user);
    }
}

fn sender(given: &Given) -> Option<Value> {
    match given {
        Given::Message(message) => Some(message.source.clone()),
        Given::Other(_) => None,
    }
}
