//! The recorded unit `quality_router` in terms of the canonical router.
//!
//! | recorded | here |
//! |---|---|
//! | `handle_message(user, message)` | a text frame on the user's connection; the unit answers what the router asks |
//! | `broadcast_quality_update`, `broadcast_quality_alert` | the host input [`QualityNews`], with the authority |
//! | `manager.fail_for`, `create_fails_for` | that user's socket fails; there is a new one for each message |
//! | `manager.during_send` | the message arrives after the first recipient's write and before the others' |
//! | `monitoring`, `gate` | the host's answers, failures and delays; without them, the embedded services |
//! | `monitoring.subscribe_raises` | the user may have no subscription at all |
//! | `subscribers` | users who connected and subscribed before the first step |

mod compare;
mod facade;
mod host;
mod news;
mod report;

use std::collections::{BTreeMap, BTreeSet};

use router::{Config, Effect, ErrorCode, Input, Instant, QualityAnswer, QualityNews};
use serde_json::{Map, Value, json, value::RawValue};

use self::host::{Call, Host};
use super::Unit;
use crate::conform::{
    Action, Difference, Expect, Inexpressible, Notes, Obstacle, Sent, Tape,
    stage::{self, Line, Stage},
};

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    let host = Host::new(setup);
    let config = Config {
        inbound_bytes_max: 65_535,
        transport_bytes_max: 128 * 1024,
        // The old one knew no rate and no abuse.
        rate_burst: 1_000_000,
        rejects_max: 0,
        topics_per_user_max: if host.refuses_subscribers() { 0 } else { 16 },
        ..stage::defaults(setup)
    };
    let stage = Stage::new(config).map_err(|_| Inexpressible("limits that the router refuses"))?;
    let manager = setup.get("manager").and_then(Value::as_object);
    let names = |list: Option<&Value>| -> BTreeSet<String> {
        let list = list.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let of_manager = |key: &str| names(manager.and_then(|manager| manager.get(key)));
    let during = manager.and_then(|manager| manager.get("during_send")).and_then(Value::as_object);
    let mut unit = QualityRouter {
        stage,
        host,
        failing: &of_manager("fail_for") | &of_manager("create_fails_for"),
        during: during.map(|during| During {
            on_user: during.get("on_user").and_then(Value::as_str).unwrap_or_default().to_owned(),
            subscribe: names(during.get("subscribe")),
            unsubscribe: names(during.get("unsubscribe")),
        }),
        dead_wiring: manager.and_then(|manager| manager.get("kind")).is_some_and(|kind| kind == "real"),
        seen: Seen::default(),
    };
    for user in names(setup.get("subscribers")) {
        unit.say(&user, r#"{"type":"subscribe_quality_alerts"}"#, Line::Up);
        if unit.failing.contains(&user) {
            unit.stage.set_line(&user, Line::Down);
        }
    }
    Ok(Box::new(unit))
}

/// The router between a host and users with one connection each.
struct QualityRouter {
    stage: Stage,
    host: Host,
    /// Users whose socket fails.
    failing: BTreeSet<String>,
    during: Option<During>,
    /// The recording was made with the wiring that delivered nothing.
    dead_wiring: bool,
    seen: Seen,
}

/// Messages that come between two recipients of one piece of news.
struct During {
    on_user: String,
    subscribe: BTreeSet<String>,
    unsubscribe: BTreeSet<String>,
}

/// What the last step brought about.
#[derive(Debug, Default)]
struct Seen {
    /// Users that handed in a message, as recorded, and whether they exist for the router.
    asked_by: Vec<(Value, bool)>,
    sent: Vec<Sent>,
    calls: Vec<Call>,
    runs: u64,
    codes: BTreeMap<&'static str, u64>,
    /// Frames that were lost with their socket.
    lost: u64,
    news_refused: u64,
    before: BTreeSet<String>,
    subscribers: BTreeSet<String>,
}

impl QualityRouter {
    /// A frame of a user, on the connection they have or on a new one. `false` if they can have none.
    fn say(&mut self, user: &str, text: &str, line: Line) -> bool {
        if self.stage.conn(user).is_none() && !self.stage.connect(user, user, Line::Up) {
            return false;
        }
        self.stage.set_line(user, line);
        self.stage.text(user, text);
        true
    }

    /// A recorded message: handed in as a frame. What the router asks is noted, to be answered later.
    fn hand_in(&mut self, user: &Value, message: &Value) {
        let text = message.to_string();
        let exists = user.as_str().is_some_and(|user| {
            let line = if self.failing.contains(user) { Line::Down } else { Line::Up };
            self.say(user, &text, line)
        });
        self.seen.asked_by.push((user.clone(), exists));
        self.take_asked();
    }

    fn take_asked(&mut self) {
        for effect in self.stage.take_asked() {
            if let Effect::AskQuality(request) = effect {
                self.seen.calls.push(Call::of(&request));
                self.host.ask(self.stage.now(), *request);
            } else if let Effect::StartRun(_) = effect {
                self.seen.runs += 1;
            }
        }
    }

    /// Answers everything, each when its service is ready.
    fn answer_all(&mut self) {
        while let Some((at, request)) = self.host.next() {
            self.stage.advance(at.since(self.stage.now()));
            let answer = self.host.answer(&request, self.stage.router(), self.stage.now());
            let answer = answer.as_deref().map_or(QualityAnswer::Failed, QualityAnswer::Ready);
            self.stage.input(Input::Quality { ask: request.ask, answer });
            self.take_asked();
        }
    }

    fn publish(&mut self, body: &Value, alert: bool) {
        let body: Box<RawValue> = match serde_json::value::to_raw_value(body) {
            Ok(body) => body,
            Err(_) => return,
        };
        let between = self.during.as_ref().map(|during| {
            let others: Vec<String> =
                self.seen.before.iter().filter(|user| **user != during.on_user).cloned().collect();
            let message = |action: &str| {
                json!({"type": "subscribe_quality_alerts", "payload": {"action": action}}).to_string()
            };
            let of = |users: &BTreeSet<String>, action| -> Vec<(String, String)> {
                users.iter().map(|user| (user.clone(), message(action))).collect()
            };
            let messages =
                [of(&during.subscribe, "subscribe"), of(&during.unsubscribe, "unsubscribe")].concat();
            (others, messages)
        });
        for user in between.iter().flat_map(|(others, _)| others) {
            self.stage.set_line(user, Line::Slow(1000));
        }
        let news = if alert { QualityNews::Alert(&body) } else { QualityNews::Update(&body) };
        self.stage.as_authority(|stage, authority| stage.input(Input::QualityNews { authority, news }));
        let Some((others, messages)) = between else { return };
        for (user, text) in messages {
            if self.stage.conn(&user).is_none() {
                self.stage.connect(&user, &user, Line::Up);
            }
            self.stage.text(&user, &text);
        }
        self.stage.advance(1000 * (others.len() as u64 + 2));
        for user in others {
            self.stage.set_line(&user, Line::Up);
        }
    }

    fn subscribers(&self) -> BTreeSet<String> {
        self.stage.router().subscribers("quality").iter().map(|user| user.to_string()).collect()
    }

    fn codes(&self) -> BTreeMap<&'static str, u64> {
        self.stage.router().stats().by_code().collect()
    }
}

impl Unit for QualityRouter {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        self.stage.begin();
        let (codes, stats) = (self.codes(), self.stage.router().stats().clone());
        self.seen = Seen { before: self.subscribers(), ..Seen::default() };
        match action.op.as_str() {
            "handle_message" => self.hand_in(action.arg("user"), action.arg("message")),
            "concurrent_handle_message" => {
                for call in action.arg("calls").as_array().into_iter().flatten() {
                    self.hand_in(&call["user"], &call["message"]);
                }
            }
            "broadcast_quality_update" => self.publish(action.arg("update"), false),
            "broadcast_quality_alert" => self.publish(action.arg("alert"), true),
            _ => return Err(Inexpressible("an operation that nobody knows")),
        }
        self.answer_all();
        self.seen.sent = self.stage.sent().to_vec();
        self.seen.codes = self.codes();
        for (code, count) in &mut self.seen.codes {
            *count -= codes.get(code).copied().unwrap_or_default();
        }
        self.seen.codes.retain(|_, count| *count > 0);
        let now = self.stage.router().stats();
        self.seen.lost = now.frames.dropped - stats.frames.dropped;
        self.seen.news_refused = now.quality.news_refused - stats.quality.news_refused;
        self.seen.subscribers = self.subscribers();
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        compare::step(self, action, expect, notes)
    }

    fn tape(&self) -> Result<Tape, Obstacle> {
        self.stage.tape()
    }

    fn show(&self) -> Value {
        let seen = &self.seen;
        let sent: Vec<Value> =
            seen.sent.iter().map(|sent| json!({"user": sent.user, "message": sent.message})).collect();
        let calls: Vec<Value> = seen.calls.iter().map(Call::json).collect();
        json!({
            "sent": sent, "calls": calls, "runs": seen.runs, "codes": seen.codes, "lost": seen.lost,
            "news_refused": seen.news_refused, "subscribers": seen.subscribers,
        })
    }
}

/// The text of a stable code, as it stands on the wire.
fn text_of(code: &Value) -> Option<&'static str> {
    let known = ErrorCode::ALL.into_iter().find(|known| code == known.name())?;
    Some(known.text())
}

/// Now, plus a number of seconds.
fn later(now: Instant, seconds: f64) -> Instant {
    now.after((seconds * 1e6) as u64)
}

#[cfg(test)]
mod tests;
