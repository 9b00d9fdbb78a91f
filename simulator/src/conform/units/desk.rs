//! What three recorded units share: sockets under the names of the recordings, deliveries with their receipts, and a
//! book that says what the registry's rules demand, kept beside the router and never shown to it.

use std::collections::{BTreeMap, BTreeSet};

use router::{
    Config, Connect, Context, Deliver, DeliveryRefusal, Effect, Input, Instant, Receipt, ReceiptId, Target,
};
use serde_json::{Map, Value, value::RawValue};

pub(super) use crate::conform::decisions::FOREIGN_IDS;
use crate::conform::{
    Decision, Sent,
    stage::{self, Line, Stage},
};

pub(super) const fn of_the_contract(name: &'static str, demands: &'static str) -> Decision {
    Decision { name, demands, added: false }
}

/// One registry, and counts that are frames.
pub(super) const ONE_REGISTRY: Decision = of_the_contract(
    "one-registry",
    "what is connected is written, once each, and counted when it is; a socket that fails is no longer listed",
);
/// A user who is away.
pub(super) const HONEST_COUNTS: Decision = of_the_contract(
    "honest-counts",
    "nobody there is no success: 0 attempted, 0 delivered, queued for the user's return",
);
/// Names of connections.
pub(super) const NAMES: Decision = of_the_contract(
    "connection-names",
    "a name that is empty or no text is refused, and nothing is kept of it",
);
/// Ids of users.
pub(super) const USER_IDS: Decision =
    of_the_contract("user-ids", "1 to 128 printable characters without white space, and no other grammar");
/// Views of a user.
pub(super) const HANDLES: Decision = of_the_contract(
    "handles",
    "a handle sees all live connections of its user, whatever request it was made for, for as long as they live",
);
/// The clock of idleness.
pub(super) const IDLE: Decision =
    of_the_contract("idle", "idle is the full time since the last frame read or successfully written");
/// A connection as the rules have it.
#[derive(Clone, Debug)]
pub(super) struct Booked {
    pub(super) label: String,
    pub(super) user: String,
    pub(super) thread: Option<String>,
    line: Line,
    last_ok: Instant,
}

/// A delivery that is not accounted for yet, and what the rules demand of it.
#[derive(Clone, Debug)]
struct Asked {
    user: String,
    event: Value,
    request: Option<String>,
    written: Vec<String>,
    failed: usize,
}

/// A delivery: what the router says of it, and what the rules demand.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) receipt: Receipt,
    pub(super) user: String,
    pub(super) event: Value,
    pub(super) request: Option<String>,
    pub(super) written: Vec<String>,
    pub(super) failed: usize,
}

impl Told {
    /// Whether the receipt is what the rules demand.
    pub(super) fn is_ruled(&self) -> bool {
        let Receipt { attempted, delivered, ref failed, refused, .. } = self.receipt;
        if refused.is_some() {
            return attempted == 0 && self.written.is_empty();
        }
        delivered as usize == self.written.len()
            && failed.len() == self.failed
            && attempted as usize == self.written.len() + self.failed
    }
}

#[derive(Debug)]
pub(super) struct Desk {
    pub(super) stage: Stage,
    pub(super) book: Vec<Booked>,
    receipts: u64,
    /// Names of sockets that failed, and were not connected again.
    broken: BTreeSet<String>,
    /// Accounts that came while others were waited for.
    done: BTreeMap<u64, Told>,
    /// By the rules: what waits for a user's return, and since when the last of it.
    kept: BTreeMap<String, (Vec<Value>, Instant)>,
    /// What the last connection was written at once: whether that is what had been kept.
    pub(super) replayed: bool,
    open: BTreeMap<u64, Asked>,
    /// Why the recorded registry may be another than ours from here on.
    pub(super) cause: Option<Decision>,
    pub(super) swept: u32,
}

impl Desk {
    pub(super) fn open(setup: &Map<String, Value>) -> Self {
        // No heartbeats, as in the recordings: nothing is written that nobody asked for.
        let config = Config {
            heartbeat_us: u64::MAX / 4,
            connections_per_user_max: 64,
            slow_reader_grace_us: u64::MAX / 4,
            ..stage::defaults(setup)
        };
        let stage = Stage::new(config).unwrap_or_else(|_| unreachable!("the limits above are valid"));
        let (book, open) = (Vec::new(), BTreeMap::new());
        let (done, kept, broken) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { stage, book, receipts: 0, broken, done, kept, replayed: true, open, cause: None, swept: 0 }
    }

    pub(super) fn begin(&mut self) {
        self.stage.begin();
        self.swept = 0;
    }

    /// Connects a socket under a name; the router's answer.
    pub(super) fn register(&mut self, user: &str, label: &str, thread: Option<&str>, line: Line) -> bool {
        let ticket = self.stage.ticket();
        let connect = Connect { thread, name: Some(label), ..Connect::new(ticket, user) };
        let accepted = self.stage.connect_as(label, &connect, line);
        let ruled = self.may_register(user, label);
        if ruled {
            let from = (label.to_owned(), user.to_owned());
            self.book.retain(|booked| booked.label != label);
            let (label, user, thread) = (label.to_owned(), user.to_owned(), thread.map(str::to_owned));
            self.broken.remove(&label);
            self.book.push(Booked { label, user, thread, line, last_ok: self.stage.now() });
            self.book_replay();
            self.replayed = self.is_replay(&from);
        } else if !is_id(label) || !is_id(user) {
            self.cause.get_or_insert(NAMES);
        }
        accepted
    }

    /// Whether the connection got what had been kept for its user, flagged and in order, and nothing else.
    fn is_replay(&mut self, (label, user): &(String, String)) -> bool {
        let alive = self.owner(label).is_some();
        let kept = self.kept.get(user).filter(|(_, since)| self.stage.now().since(*since) < KEPT_US);
        let kept = kept.map(|(kept, _)| kept.clone()).unwrap_or_default();
        let sent: Vec<&Sent> = self.stage.sent().iter().filter(|sent| sent.conn == *label).collect();
        let same = |(event, sent): (&Value, &&Sent)| {
            let Value::Object(event) = event else { return false };
            let own = |key: &str| !matches!(key, "user_id" | "cursor" | "recovered" | "timestamp");
            sent.message["recovered"] == true
                && event
                    .iter()
                    .filter(|(key, _)| own(key))
                    .all(|(key, value)| sent.message.get(key) == Some(value))
        };
        let ordered = self.is_in_order() && kept.iter().zip(&sent).all(same);
        // A slow socket is written later, a broken one only in part.
        let whole = sent.len() == kept.len() || !alive || self.is_slow(label);
        if alive {
            self.kept.remove(user);
        }
        ordered && whole && sent.len() <= kept.len()
    }

    fn is_slow(&self, label: &str) -> bool {
        self.book.iter().any(|booked| booked.label == label && matches!(booked.line, Line::Slow(_)))
    }

    /// What was kept for a user is written, or breaks the socket, before anything else.
    fn book_replay(&mut self) {
        let gone: Vec<String> = self
            .book
            .iter()
            .filter(|booked| booked.line != Line::Up && self.stage.conn(&booked.label).is_none())
            .map(|booked| booked.label.clone())
            .collect();
        if !gone.is_empty() {
            self.cause.get_or_insert(ONE_REGISTRY);
            self.book.retain(|booked| !gone.contains(&booked.label));
            self.broken.extend(gone);
        }
        for booked in &mut self.book {
            let written = self.stage.sent().iter().filter(|sent| sent.conn == booked.label).count() as u32;
            if let Line::FailsAfter(left) = booked.line {
                booked.line = Line::FailsAfter(left - left.min(written));
            }
        }
    }

    /// Whether the recorded list has, beyond ours, only connections whose socket failed: the old code kept some of them.
    pub(super) fn lists_broken(&self, recorded: &[&str], seen: &[String]) -> bool {
        let known = |label: &str| seen.iter().any(|seen| seen == label);
        seen.iter().all(|label| recorded.contains(&label.as_str()))
            && recorded.iter().all(|label| known(label) || self.broken.contains(*label))
    }

    /// Whether the socket of that name failed, and was not connected again.
    pub(super) fn is_broken(&self, label: &str) -> bool {
        self.broken.contains(label)
    }

    /// Whether a socket failed, and was not connected again.
    pub(super) fn has_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    pub(super) fn may_register(&self, user: &str, label: &str) -> bool {
        is_id(label) && is_id(user) && self.owner(label).is_none_or(|owner| owner == user)
    }

    pub(super) fn owner(&self, label: &str) -> Option<&str> {
        self.book.iter().find(|booked| booked.label == label).map(|booked| booked.user.as_str())
    }

    /// Takes a connection out by its exact name; whether there was one (of that user).
    pub(super) fn unregister(&mut self, user: Option<&str>, label: &str) -> bool {
        let before = self.stage.router().connection_named(label).is_some();
        self.stage.input(Input::Unregister { user, name: label });
        let gone = before && self.stage.router().connection_named(label).is_none();
        self.book.retain(|booked| booked.label != label || user.is_some_and(|user| booked.user != user));
        gone
    }

    pub(super) fn set_line(&mut self, label: &str, line: Line) {
        self.stage.set_line(label, line);
        for booked in self.book.iter_mut().filter(|booked| booked.label == label) {
            booked.line = line;
        }
    }

    /// An event for one connection, by its name. `None`: no live connection has that name.
    pub(super) fn tell_connection(
        &mut self,
        user: &str,
        label: &str,
        context: Context<'_>,
        event: &Value,
    ) -> Option<u64> {
        let conn = self.stage.router().connection_named(label)?;
        let theirs = self.owner(label) == Some(user);
        let addressed = if theirs { vec![label.to_owned()] } else { Vec::new() };
        Some(self.deliver(Target::Connection(user, conn), user, context, event, &addressed))
    }

    /// An event for a user.
    pub(super) fn tell_user(&mut self, user: &str, context: Context<'_>, event: &Value) -> u64 {
        let addressed = self.labels_of(user);
        self.deliver(Target::User(user), user, context, event, &addressed)
    }

    /// An event for those connections of a user that want a thread.
    pub(super) fn tell_thread(&mut self, user: &str, thread: &str, event: &Value) -> u64 {
        let wants =
            |booked: &&Booked| booked.user == user && booked.thread.as_deref().is_none_or(|t| t == thread);
        let addressed: Vec<String> =
            self.book.iter().filter(wants).map(|booked| booked.label.clone()).collect();
        self.deliver(Target::Thread(user, thread), user, Context::default(), event, &addressed)
    }

    /// An event for everybody.
    pub(super) fn tell_all(&mut self, event: &Value) -> u64 {
        let addressed: Vec<String> = self.book.iter().map(|booked| booked.label.clone()).collect();
        let (number, (written, failed)) = (self.number(), self.rule(&addressed));
        let raw = raw(event);
        if let Some(authority) = self.stage.authority() {
            let deliver = Deliver::new(Target::All(&authority, None), &raw);
            self.stage.input(Input::Deliver(Deliver { receipt: Some(ReceiptId(number)), ..deliver }));
        }
        let (user, event) = (String::new(), event.clone());
        self.open.insert(number, Asked { user, event, request: None, written, failed });
        number
    }

    fn deliver(
        &mut self,
        target: Target<'_>,
        user: &str,
        context: Context<'_>,
        event: &Value,
        addressed: &[String],
    ) -> u64 {
        let refused = !event.is_object() || names_another(event, user) || !is_id(user);
        let (written, failed) = if refused { (Vec::new(), 0) } else { self.rule(addressed) };
        if !refused && written.is_empty() && !matches!(target, Target::Connection(..)) {
            let now = self.stage.now();
            let (kept, since) = self.kept.entry(user.to_owned()).or_insert_with(|| (Vec::new(), now));
            if now.since(*since) >= KEPT_US {
                kept.clear();
            }
            kept.push(event.clone());
            *since = now;
        }
        let (number, raw) = (self.number(), raw(event));
        let receipt = Some(ReceiptId(number));
        self.stage.input(Input::Deliver(Deliver { receipt, target, context, event: &raw }));
        let request = context.request.map(str::to_owned);
        let (user, event) = (user.to_owned(), event.clone());
        self.open.insert(number, Asked { user, event, request, written, failed });
        number
    }

    const fn number(&mut self) -> u64 {
        self.receipts += 1;
        self.receipts
    }

    /// By the rules: who of these is written, and how many fail and are gone.
    fn rule(&mut self, addressed: &[String]) -> (Vec<String>, usize) {
        let (mut written, mut gone) = (Vec::new(), Vec::new());
        for booked in self.book.iter_mut().filter(|booked| addressed.contains(&booked.label)) {
            let delay = match &mut booked.line {
                Line::Up => Some(0),
                Line::Slow(micros) => Some(*micros),
                Line::Down | Line::FailsAfter(0) => None,
                Line::FailsAfter(left) => {
                    *left -= 1;
                    Some(0)
                }
            };
            match delay {
                Some(delay) => {
                    // One after the other, as a slow socket does.
                    booked.last_ok = booked.last_ok.max(self.stage.now()).after(delay);
                    written.push(booked.label.clone());
                }
                None => gone.push(booked.label.clone()),
            }
        }
        if !gone.is_empty() {
            self.cause.get_or_insert(ONE_REGISTRY);
            self.book.retain(|booked| !gone.contains(&booked.label));
            self.broken.extend(gone.iter().cloned());
        }
        (written, gone.len())
    }

    /// Waits until these deliveries are accounted for, or for a minute.
    pub(super) fn wait_for(&mut self, numbers: &[u64]) -> Vec<Told> {
        for _ in 0..6000 {
            for receipt in self.stage.take_receipts() {
                let number = receipt.receipt.0;
                if let Some(Asked { user, event, request, written, failed }) = self.open.remove(&number) {
                    self.done.insert(number, Told { receipt, user, event, request, written, failed });
                }
            }
            if numbers.iter().all(|number| self.done.contains_key(number)) {
                break;
            }
            self.stage.advance(10_000);
        }
        numbers.iter().filter_map(|number| self.done.remove(number)).collect()
    }

    pub(super) fn sweep(&mut self) {
        self.stage.input(Input::SweepIdle);
        for effect in self.stage.take_asked() {
            if let Effect::Swept { connections } = effect {
                self.swept = connections;
            }
        }
        let now = self.stage.now();
        self.book.retain(|booked| now.since(booked.last_ok) < 300_000_000);
    }

    pub(super) fn labels_of(&self, user: &str) -> Vec<String> {
        self.book.iter().filter(|booked| booked.user == user).map(|booked| booked.label.clone()).collect()
    }

    /// The router's list of a user's connections, and the list that the rules demand.
    pub(super) fn lists(&self, user: &str, active_only: bool) -> (Vec<String>, Vec<String>) {
        let now = self.stage.now();
        let seen = self.stage.router().connections(now, user, active_only);
        let seen = seen.into_iter().filter_map(|connection| connection.name.map(|name| name.to_string()));
        let active = |booked: &&Booked| !active_only || now.since(booked.last_ok) < 300_000_000;
        let ruled = self.book.iter().filter(|booked| booked.user == user).filter(active);
        (seen.collect(), ruled.map(|booked| booked.label.clone()).collect())
    }

    /// Each connection with its user, thread and idle seconds: the router's list, and the one that the rules demand.
    pub(super) fn pools(&self) -> (Vec<Pooled>, Vec<Pooled>) {
        let (now, router) = (self.stage.now(), self.stage.router());
        let mut seen = Vec::new();
        for (user, _) in router.users_connected() {
            for connection in router.connections(now, user, false) {
                let (label, thread) = (connection.name.unwrap_or_default(), connection.thread);
                seen.push(Pooled {
                    label: label.to_string(),
                    user: user.to_string(),
                    thread: thread.map(|thread| thread.to_string()),
                    idle_us: connection.idle_us,
                });
            }
        }
        let ruled = self.book.iter().map(|booked| Pooled {
            label: booked.label.clone(),
            user: booked.user.clone(),
            thread: booked.thread.clone(),
            idle_us: now.since(booked.last_ok),
        });
        let mut ruled: Vec<Pooled> = ruled.collect();
        seen.sort();
        ruled.sort();
        (seen, ruled)
    }

    /// Whether each connection got recovered frames first, and everything in the order of its cursors.
    pub(super) fn is_in_order(&self) -> bool {
        let mut last: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
        self.stage.sent().iter().all(|sent| {
            let cursor = sent.message["cursor"].as_u64().unwrap_or(u64::MAX);
            let live = sent.message["recovered"].is_null();
            let before = last.insert(&sent.conn, (cursor, live));
            before.is_none_or(|(at, was_live)| at < cursor && (live || !was_live))
        })
    }
}

/// How long the router keeps what waits for a user who is away.
const KEPT_US: u64 = 120_000_000;

/// One connection in a registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pooled {
    pub(super) label: String,
    pub(super) user: String,
    pub(super) thread: Option<String>,
    pub(super) idle_us: u64,
}

/// The rule for ids of users and names of connections.
pub(super) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= 128 && id.chars().all(|c| !c.is_control() && !c.is_whitespace())
}

/// The rule for outbound events.
pub(super) fn names_another(event: &Value, user: &str) -> bool {
    let Value::Object(event) = event else { return false };
    event
        .iter()
        .filter(|(key, _)| *key == "user_id" || key.ends_with("_user_id"))
        .any(|(_, id)| id.as_str().is_some_and(|id| !id.is_empty() && id != user))
}

fn raw(event: &Value) -> Box<RawValue> {
    RawValue::from_string(event.to_string()).unwrap_or_else(|_| unreachable!("a value renders as JSON"))
}

/// A line from a recorded answer of the manager: a falsy one, or an exception, is a socket that fails.
pub(super) fn line_of(result: Option<&Value>) -> Line {
    let fails = match result {
        None => false,
        Some(Value::String(text)) => text.is_empty() || text.starts_with("raise:"),
        Some(Value::Null) => true,
        Some(Value::Bool(up)) => !up,
        Some(Value::Number(number)) => number.as_f64() == Some(0.0),
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
    };
    if fails { Line::Down } else { Line::Up }
}

/// Whether the refusal is of an event that is no object.
pub(super) fn is_shapeless(told: &Told) -> bool {
    told.receipt.refused == Some(DeliveryRefusal::NotAnObject)
}
