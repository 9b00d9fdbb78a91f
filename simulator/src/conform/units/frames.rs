//! Frames of deliveries, recorded and written: what three recorded units share.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::desk::{Desk, Told, names_another, of_the_contract};
use crate::conform::{Decision, Difference, Notes, Sent, Translation, compare};

/// Members that name somebody, and that the old code overwrote.
pub(super) const PLAIN_DATA: Decision = of_the_contract(
    "plain-data",
    "an event that is delivered has each member as it was given: sender_id and the like, and null in *_user_id",
);
/// The user of a delivered event.
pub(super) const CONTEXT_IDS: Decision = of_the_contract(
    "context-ids",
    "the user_id of a delivered event is that of the user to whom it goes, also where it named nobody",
);

/// Members that the canonical form adds to a delivered event.
const ADDED: &[&str] = &["user_id", "thread_id", "run_id", "request_id", "timestamp", "cursor", "recovered"];
/// Members that the old broadcast overwrote, beside those whose name ends like `_user_id`.
const REWRITTEN: &[&str] =
    &["user_id", "userId", "recipient_id", "sender_id", "owner_id", "creator_id", "target_user_id"];

/// How the frames of a step differ: in how many there are, and in what they say.
#[derive(Debug, Default)]
pub(super) struct Framed {
    pub(super) counts: Vec<Difference>,
    pub(super) content: Vec<Difference>,
}

impl Framed {
    pub(super) const fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.content.is_empty()
    }
}

impl IntoIterator for Framed {
    type Item = Difference;
    type IntoIter = std::iter::Chain<std::vec::IntoIter<Difference>, std::vec::IntoIter<Difference>>;

    fn into_iter(self) -> Self::IntoIter {
        self.counts.into_iter().chain(self.content)
    }
}

/// Whether the frame is the event as the rules have it: user and request set, everything else passed on, and nothing
/// added but what the canonical form adds.
fn is_ruled_frame(frame: &Value, told: &Told) -> bool {
    let (Value::Object(event), Value::Object(frame)) = (&told.event, frame) else { return false };
    if names_another(&told.event, &told.user) {
        return false;
    }
    let own = |key: &str| !matches!(key, "user_id" | "cursor" | "recovered" | "timestamp");
    let asked =
        told.request.as_ref().is_none_or(|request| frame.get("request_id") == Some(&request.as_str().into()));
    asked
        && (told.user.is_empty() || frame.get("user_id") == Some(&told.user.as_str().into()))
        && frame.keys().all(|key| event.contains_key(key) || ADDED.contains(&key.as_str()))
        && event
            .iter()
            .filter(|(key, _)| own(key) && (told.request.is_none() || *key != "request_id"))
            .all(|(key, value)| frame.get(key) == Some(value))
}

/// Whether every frame of this step went to a socket of the user that it names, and none twice.
pub(super) fn are_own(desk: &Desk) -> bool {
    let sent = desk.stage.sent();
    let own = |sent: &Sent| sent.message["user_id"].as_str().is_none_or(|user| user == sent.user);
    let once = |n: usize| sent[..n].iter().all(|other| *other != sent[n]);
    sent.iter().all(own) && (0..sent.len()).all(once)
}

/// Whether what this step wrote is what the rules demand: each delivery once to each connection that is due it, as the
/// rules render it; nothing else but what had been kept; and no frame on a socket of another user than it names.
pub(super) fn are_exact(desk: &Desk, told: &[Told]) -> bool {
    let sent = desk.stage.sent();
    let live: Vec<&Sent> = sent.iter().filter(|sent| sent.message["recovered"].is_null()).collect();
    let due: usize = told.iter().map(|told| told.written.len()).sum();
    let fits =
        |told: &Told, conn: &String, sent: &Sent| sent.conn == *conn && is_ruled_frame(&sent.message, told);
    // Deliveries that say the same are due as often as they were asked for.
    let each = |one: &Told, conn: &String| {
        let same = |other: &&Told| {
            other.event == one.event
                && other.user == one.user
                && other.request == one.request
                && other.written.contains(conn)
        };
        let wanted = told.iter().filter(same).count();
        live.iter().filter(|sent| fits(one, conn, sent)).count() == wanted
    };
    are_own(desk)
        && live.len() == due
        && told.iter().all(|told| told.written.iter().all(|conn| each(told, conn)))
}

/// Whether recorded errors are of members that were overwritten, one for each.
pub(super) fn rewrites(errors: &Value, told: &Told) -> bool {
    let (Value::Array(errors), Value::Object(event)) = (errors, &told.event) else { return false };
    let named = |error: &Value| {
        let field =
            error.as_str()?.strip_prefix("Cross-user contamination in field '")?.split('\'').next()?;
        (REWRITTEN.contains(&field) && event.contains_key(field)).then(|| field.to_owned())
    };
    let fields: Option<BTreeSet<String>> = errors.iter().map(named).collect();
    fields.is_some_and(|fields| fields.len() == errors.len())
}

/// Compares the frames of a step, and whose socket got each; a member that differs because the rules have it otherwise
/// is a decision.
pub(super) fn frames(recorded: &[Value], desk: &Desk, told: &[Told], notes: &mut Notes) -> Framed {
    let mut out = Framed::default();
    if !recorded.iter().any(|sent| sent["conn"].is_string()) {
        above(recorded, desk, told, notes, &mut out);
        return out;
    }
    let mut wanted: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for sent in recorded {
        wanted.entry(sent["conn"].as_str().unwrap_or_default()).or_default().push(sent);
    }
    let seen = by_connection(desk);
    for conn in wanted.keys().chain(seen.keys()).copied().collect::<BTreeSet<_>>() {
        let left = wanted.get(conn).map_or(&[][..], |l| l);
        let right = seen.get(conn).map_or(&[][..], |r| r);
        sequence(&format!("sent to {conn}"), left, right, told, notes, &mut out);
    }
    out
}

fn by_connection(desk: &Desk) -> BTreeMap<&str, Vec<&Sent>> {
    let mut seen: BTreeMap<&str, Vec<&Sent>> = BTreeMap::new();
    for sent in desk.stage.sent() {
        seen.entry(&sent.conn).or_default().push(sent);
    }
    seen
}

/// Recorded above the connections: one call for all of a user's, each of which gets what was recorded.
fn above(recorded: &[Value], desk: &Desk, told: &[Told], notes: &mut Notes, out: &mut Framed) {
    let mut wanted: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for sent in recorded {
        notes.translated(Translation::N4);
        wanted.entry(sent["user"].as_str().unwrap_or_default()).or_default().push(sent);
    }
    for (conn, right) in by_connection(desk) {
        let user = right.first().map_or("", |sent| &sent.user);
        let left = wanted.get(user).map_or(&[][..], |l| l);
        sequence(&format!("sent to {conn}"), left, &right, told, notes, out);
    }
    for (user, left) in wanted {
        let asked = told.iter().filter(|told| told.user == user).count();
        if left.len() > asked {
            out.counts.push(Difference::new(format!("sent to {user}"), left.len(), asked));
        }
        let written = desk.stage.sent().iter().any(|sent| sent.user == user);
        if !written {
            // Nobody is there: what was recorded must be what was asked for.
            let asked = told.iter().filter(|told| told.user == user);
            for (left, told) in left.iter().zip(asked) {
                kept(&format!("sent to {user}"), &left["message"], told, notes, out);
            }
        }
    }
}

/// A recorded frame of an event that waits here: compared with the event itself.
fn kept(at: &str, message: &Value, told: &Told, notes: &mut Notes, out: &mut Framed) {
    let mut event = told.event.clone();
    if let (Value::Object(event), false) = (&mut event, told.user.is_empty()) {
        event.insert("user_id".to_owned(), told.user.as_str().into());
        if let Some(request) = &told.request {
            event.insert("request_id".to_owned(), request.as_str().into());
        }
    }
    message_of(at, message, &event, std::slice::from_ref(told), notes, out);
}

fn sequence(at: &str, left: &[&Value], right: &[&Sent], told: &[Told], notes: &mut Notes, out: &mut Framed) {
    if left.len() != right.len() {
        out.counts.push(Difference::new(at, left.len(), right.len()));
        return;
    }
    for (left, right) in left.iter().zip(right) {
        if let Some(user) = left["user"].as_str().filter(|user| *user != right.user) {
            // Whose socket got it: another one is the leak itself.
            out.content.push(Difference::new(format!("{at}.user"), user, right.user.as_str()));
        }
        message_of(at, &left["message"], &right.message, told, notes, out);
    }
}

fn message_of(at: &str, recorded: &Value, seen: &Value, told: &[Told], notes: &mut Notes, out: &mut Framed) {
    let (Value::Object(left), Value::Object(right)) = (recorded, seen) else {
        compare::values(at, recorded, seen, ADDED, notes, &mut out.content);
        return;
    };
    let told = told.iter().find(|told| is_ruled_frame(seen, told));
    let (mut plain_left, mut plain_right) = (left.clone(), right.clone());
    for key in left.keys() {
        let Some(decision) = told.and_then(|told| ruled_member(key, left, right, told)) else { continue };
        notes.decided(decision);
        plain_left.remove(key);
        plain_right.remove(key);
    }
    let (left, right) = (Value::Object(plain_left), Value::Object(plain_right));
    compare::values(at, &left, &right, ADDED, notes, &mut out.content);
}

/// The decision by which a member is another than the recorded one, if that is what it is.
fn ruled_member(
    key: &str,
    recorded: &Map<String, Value>,
    seen: &Map<String, Value>,
    told: &Told,
) -> Option<Decision> {
    let (recorded, seen, given) = (recorded.get(key)?, seen.get(key)?, told.event.get(key));
    if recorded == seen {
        return None;
    }
    let user = Value::from(told.user.as_str());
    if key == "user_id" {
        // It named nobody, and stayed so in the recording.
        return (*seen == user && Some(recorded) == given).then_some(CONTEXT_IDS);
    }
    let rewritten = REWRITTEN.contains(&key) || key.ends_with("_user_id");
    (rewritten && *recorded == user && Some(seen) == given).then_some(PLAIN_DATA)
}
