//! Quality: answers questions about quality and keeps who wants to hear of it.
//!
//! An answer names the message, thread and run of its own question and goes to all connections of the user. Between the
//! arrival of a question and its routing lies the time in which the session is looked up; others come in meanwhile.

use std::collections::BTreeMap;

use router::{Kind, UserId, message};
use serde_json::{Map, Value, json};

use super::common::{Alarm, Common, Outcome};
use super::routing::{Act, Routed};
use crate::checkers::bounds::Breach;
use crate::legacy::quality_router::{
    Broadcast, Envelope, Host, News, Next, QualityRouter, Question, Subscribers, Wiring,
};
use crate::legacy::{Hazard, Hazards};

/// How long the look-up of a session takes, microseconds.
const LOOK_UP_US: u64 = 50_000;
/// Time between two recipients of a broadcast, microseconds.
const BETWEEN_US: u64 = 20_000;

/// The quality router's model, and what waits for it.
#[derive(Debug)]
pub(super) struct Quality {
    router: QualityRouter,
    waiting: BTreeMap<u64, Waiting>,
    number: u64,
}

/// What goes on when its time has come.
#[derive(Debug)]
enum Waiting {
    /// A question was taken in.
    Asked { user: UserId, message: Value, envelope: Envelope },
    /// News is told to one subscriber after the other.
    Telling { broadcast: Broadcast, expected: Vec<Value> },
}

/// What the router sent: to whom and what.
#[derive(Debug, Default)]
struct Sent(Vec<(Value, Value)>);

impl Host for Sent {
    fn send(&mut self, user: &Value, message: &Value) -> Result<(), String> {
        self.0.push((user.clone(), message.clone()));
        Ok(())
    }
}

impl Quality {
    pub(super) fn new(hazards: Hazards) -> Self {
        let wiring = if hazards.has(Hazard::Q4) { Wiring::Production } else { Wiring::Bound };
        Self { router: QualityRouter::new(hazards, wiring, []), waiting: BTreeMap::new(), number: 0 }
    }

    /// Takes in one of the four types.
    pub(super) fn route(
        &mut self,
        common: &mut Common,
        user: &UserId,
        kind: Kind,
        envelope: &message::Envelope<'_>,
    ) -> Routed {
        let mut members = Map::new();
        members.insert("type".to_owned(), json!(kind.name()));
        members.insert("payload".to_owned(), parsed(envelope.payload().json()));
        for (key, id) in [
            ("message_id", envelope.message_id),
            ("thread_id", envelope.thread_id),
            ("run_id", envelope.run_id),
        ] {
            if let Some(id) = id.and_then(message::Raw::text) {
                members.insert(key.to_owned(), json!(id));
            }
        }
        let message = Value::Object(members);
        match self.router.receive(&message) {
            Ok(envelope) => {
                let asked = Waiting::Asked { user: user.clone(), message, envelope };
                self.wait(common, LOOK_UP_US, asked);
                Routed::new(Outcome::Handled, Vec::new())
            }
            Err(_) => Routed::new(Outcome::HandlerError, Vec::new()),
        }
    }

    /// `start_agent` stands in the quality router's table, too: whether it leaves it to the agents' handler. Q5: it raises
    /// to the transport.
    pub(super) fn leaves_start(&mut self, user: &UserId) -> bool {
        let mut message = json!({ "type": "start_agent", "payload": {} });
        let next = self.router.handle_message(&json!(&**user), &mut message, &mut Sent::default());
        matches!(next, Ok(Next::StartAgent { .. }))
    }

    /// A run failed: who subscribed to quality hears of it.
    pub(super) fn alert(&mut self, common: &mut Common) {
        let news = News::Alert(json!({ "metric": "error_rate", "severity": "error" }));
        let broadcast = self.router.begin_broadcast(news, Subscribers::OfNewService);
        let expected = self.router.subscribers().to_vec();
        if !expected.is_empty() {
            self.wait(common, BETWEEN_US, Waiting::Telling { broadcast, expected });
        }
    }

    /// The time of something that waited has come: the acts that follow.
    pub(super) fn due(&mut self, common: &mut Common, number: u64) -> Vec<Act> {
        let mut sent = Sent::default();
        let mut ids = Map::new();
        match self.waiting.remove(&number) {
            None => {}
            Some(Waiting::Asked { user, mut message, envelope }) => {
                ids = self.ids(common, &message);
                let next = self.router.route(&json!(&*user), &mut message, envelope, &mut sent);
                self.go_on(next.unwrap_or(Next::Done), &mut sent);
            }
            Some(Waiting::Telling { mut broadcast, mut expected }) => {
                match self.router.tell_next(&mut broadcast, &mut sent) {
                    Ok(Some(told)) => {
                        expected.retain(|user| *user != told);
                        self.wait(common, BETWEEN_US, Waiting::Telling { broadcast, expected });
                    }
                    Ok(None) | Err(_) => self.told(common, &expected),
                }
            }
        }
        sent.0.into_iter().filter_map(|(user, message)| tell(&user, message, &ids)).collect()
    }

    /// A user is gone for good.
    pub(super) fn forget(&mut self, user: &UserId) {
        self.router.user_left(&json!(&**user));
    }

    /// Subscriptions, and what waits.
    pub(super) fn kept(&self) -> u64 {
        (self.router.subscribers().len() + self.waiting.len()) as u64
    }

    fn wait(&mut self, common: &mut Common, for_us: u64, waiting: Waiting) {
        self.number += 1;
        self.waiting.insert(self.number, waiting);
        common.alarm(for_us, Alarm::Quality(self.number));
    }

    /// The ids that an answer repeats: those of its question. Q1: thread and run are the router's, as the latest message
    /// left them.
    fn ids(&self, common: &Common, message: &Value) -> Map<String, Value> {
        let own = |key: &str| message.get(key).cloned().unwrap_or_default();
        let (mut thread, mut run) = (own("thread_id"), own("run_id"));
        if common.has(Hazard::Q1) {
            let current = self.router.current();
            (thread, run) = (current.thread.clone(), current.run.clone());
        }
        let ids = [("message_id", own("message_id")), ("thread_id", thread), ("run_id", run)];
        ids.into_iter().filter(|(_, id)| !id.is_null()).map(|(key, id)| (key.to_owned(), id)).collect()
    }

    /// The services answer at once: no run is measured here, so the figures are those of idle ones.
    fn go_on(&mut self, mut next: Next, sent: &mut Sent) {
        while let Next::Ask(question, pending) = next {
            let answer = match question {
                Question::Dashboard => {
                    json!({ "overall_stats": {}, "quality_distribution": {}, "agent_profiles": {}, "recent_alerts": [] })
                }
                Question::AgentReport { agent, .. } => json!({ "agent": agent, "runs": 0 }),
                Question::Validate { .. } => json!({ "passed": false, "score": 0.0, "issues": ["empty"] }),
            };
            next = self.router.answered(pending, Ok(answer), sent);
        }
    }

    /// A broadcast is over: who subscribed before it, and is subscribed still, was told.
    fn told(&self, common: &mut Common, expected: &[Value]) {
        let missed = expected.iter().find(|user| self.router.subscribers().contains(user));
        if let Some(user) = missed {
            let detail = format!("a broadcast ended without {} of its subscribers", expected.len());
            common.accounts.breach(|| Breach {
                rule: "account.news",
                user: user.as_str().map(str::to_owned),
                event: Some("quality_alert".to_owned()),
                ..Breach::of_accounts(detail)
            });
        }
    }
}

/// A message for a user, with the ids of what it answers.
fn tell(user: &Value, message: Value, ids: &Map<String, Value>) -> Option<Act> {
    let (Some(user), Value::Object(mut members)) = (user.as_str(), message) else { return None };
    members.extend(ids.clone());
    Some(Act::Tell { user: user.into(), text: Value::Object(members).to_string() })
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}
