//! Delivery: the registry of connections, the way of a frame to each of them, and the recovery queue.
//!
//! A user's events have one order, that of `cursor`. They are kept until nobody can come back for them. A connection
//! has a window at its socket and a queue behind that; what is written is what the socket reports.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use router::{ConnId, Effects, Instant, UserId};
use serde_json::{Map, Value, json};

use super::agents::Context;
use super::common::{Alarm, Common, send};
use super::emit::Event;
use super::reach::{Reach, Written};
use super::wire;
use crate::checkers::bounds::Breach;
use crate::legacy::{Hazard, Hazards};

/// Pause of the old manager before it replayed, microseconds.
const REPLAY_PAUSE_US: u64 = 100_000;

/// Longest time that an event may wait for another socket than its own, microseconds.
const PATIENCE_US: u64 = 1_000_000;

/// All users' connections, and what is kept for them.
#[derive(Debug)]
pub(super) struct Deliver {
    lanes: BTreeMap<UserId, Lane>,
    outlets: BTreeMap<ConnId, Outlet>,
    /// Which of the sockets an event reaches.
    reach: Reach,
}

/// One user.
#[derive(Debug, Default)]
struct Lane {
    cursor: u64,
    /// In the order in which they registered.
    conns: Vec<ConnId>,
    /// The recovery queue, oldest first.
    kept: VecDeque<Kept>,
    /// The newest cursor that any connection was written.
    written: u64,
    confirmed: u64,
    /// Failed events that come back after a newer one.
    late: Vec<Kept>,
    /// When the newest events were published, by cursor; for delays that only the server can tell.
    published: BTreeMap<u64, Instant>,
    idle_at: Instant,
}

/// An event that may have to be replayed.
#[derive(Debug)]
struct Kept {
    cursor: u64,
    members: Map<String, Value>,
}

/// The way to one socket.
#[derive(Debug)]
struct Outlet {
    user: UserId,
    /// Cursors of the frames handed to the socket and not reported written; 0 for a frame without one.
    in_flight: VecDeque<u64>,
    queue: VecDeque<(u64, Rc<str>)>,
    served: bool,
    /// The newest cursor that it was handed.
    newest: u64,
}

impl Deliver {
    pub(super) fn new(hazards: Hazards) -> Self {
        Self::over(Reach::new(hazards))
    }

    /// Delivery by these models.
    pub(super) fn over(reach: Reach) -> Self {
        Self { lanes: BTreeMap::new(), outlets: BTreeMap::new(), reach }
    }

    /// Registers a connection: the welcome, then what its user missed.
    pub(super) fn connect(
        &mut self,
        common: &mut Common,
        conn: ConnId,
        user: &UserId,
        resume: Option<u64>,
        out: &mut Effects,
    ) {
        let lane = self.lanes.entry(user.clone()).or_default();
        let welcome = wire::welcome(conn, user, lane.cursor, common.now);
        let outlet = Outlet {
            user: user.clone(),
            in_flight: VecDeque::new(),
            queue: VecDeque::new(),
            served: false,
            newest: 0,
        };
        self.outlets.insert(conn, outlet);
        self.reply(common, conn, &welcome, out);
        // G1: the endpoint never registers the socket.
        if common.has(Hazard::G1) {
            return;
        }
        if let Some(lane) = self.lanes.get_mut(user) {
            lane.conns.push(conn);
        }
        // G31: the replay begins after a pause, and what is new does not wait for it.
        if common.has(Hazard::G31) {
            common.alarm(REPLAY_PAUSE_US, Alarm::Replay(conn, resume));
        } else {
            self.replay(common, conn, resume, out);
        }
        self.reach.connect(common, conn, user);
        self.drain(common, out);
    }

    /// Takes a connection out of the registry.
    pub(super) fn disconnect(&mut self, common: &mut Common, conn: ConnId) {
        let Some(outlet) = self.outlets.remove(&conn) else { return };
        self.reach.disconnect(common, conn);
        if let Some(lane) = self.lanes.get_mut(&outlet.user) {
            lane.conns.retain(|known| *known != conn);
            let failed = || outlet.in_flight.iter().chain(outlet.queue.iter().map(|(cursor, _)| cursor));
            // G10: the failed send counts as delivered, and the event comes back late. G24: what failed is marked for a
            // retry, and nothing is sent again.
            if common.has(Hazard::G10) || common.has(Hazard::G24) {
                let (late, kept) =
                    lane.kept.drain(..).partition(|kept| failed().any(|cursor| *cursor == kept.cursor));
                lane.kept = kept;
                lane.late.append(&mut Vec::from(if common.has(Hazard::G10) {
                    late
                } else {
                    VecDeque::new()
                }));
            }
        }
        self.idle(common, &outlet.user);
    }

    /// A frame for one connection that is not kept.
    pub(super) fn reply(&mut self, common: &Common, conn: ConnId, text: &str, out: &mut Effects) {
        self.hand(common, conn, 0, &text.into(), out);
    }

    /// An event for all connections of a user.
    pub(super) fn publish(&mut self, common: &mut Common, mut event: Event, out: &mut Effects) {
        let Event { owner, to, members, .. } = &mut event;
        if owner != to {
            common.accounts.breach(|| misaddressed(owner, to, members));
        }
        let lane = self.lanes.entry(to.clone()).or_default();
        // G12: with nobody there, the event is dropped.
        if lane.conns.is_empty() && common.has(Hazard::G12) {
            return;
        }
        lane.cursor += 1;
        let cursor = lane.cursor;
        members.insert("cursor".to_owned(), json!(cursor));
        lane.published.insert(cursor, common.now);
        if lane.published.len() > common.limits.recovery_frames_max as usize {
            lane.published.pop_first();
        }
        // M3, M4, M5: what nobody takes waits with the old manager, and is kept here when somebody does. G11: an event is
        // kept when all tabs failed, and is lost to one tab that failed alone.
        if !self.reach.recovers() && (lane.conns.is_empty() || !common.has(Hazard::G11)) {
            lane.keep(common, cursor, members.clone());
        }
        let conns = lane.conns.clone();
        self.reach.publish(common, &event);
        self.drain(common, out);
        self.come_late(common, &conns, out);
    }

    /// Sends that take time go on.
    pub(super) fn advance(&mut self, common: &mut Common, out: &mut Effects) {
        self.reach.advance(common.now);
        self.drain(common, out);
    }

    /// When a send that takes time goes on.
    pub(super) fn next(&self) -> Option<Instant> {
        self.reach.next()
    }

    /// A run begins.
    pub(super) fn begin(&mut self, context: &Context) {
        self.reach.begin(context);
    }

    /// Hands on what the models' sockets took, and accounts for it.
    fn drain(&mut self, common: &mut Common, out: &mut Effects) {
        for Written { conn, message, waited_us } in self.reach.written() {
            self.hand_event(common, conn, message, waited_us, out);
        }
        common.accounts.claimed += self.reach.claimed();
    }

    fn hand_event(
        &mut self,
        common: &mut Common,
        conn: ConnId,
        mut message: Map<String, Value>,
        waited_us: u64,
        out: &mut Effects,
    ) {
        let cursor = message.get("cursor").and_then(Value::as_u64).unwrap_or_default();
        let Some(outlet) = self.outlets.get_mut(&conn) else { return };
        if cursor == 0 {
            return self.reply(common, conn, &text_of(&message), out);
        }
        // Whose event it is, which need not be whose socket it is.
        let owner = message.get("user_id").and_then(Value::as_str).unwrap_or_default();
        let Some(lane) = self.lanes.get_mut(owner) else { return };
        let mut others = Vec::new();
        if self.reach.recovers() {
            lane.keep(common, cursor, message.clone());
            others.clone_from(&lane.conns);
        }
        if !message.contains_key("recovered") {
            common.accounts.handed += 1;
            let published = lane.published.get(&cursor).copied().unwrap_or(common.now);
            if common.now.since(published) > waited_us + PATIENCE_US {
                common.accounts.breach(|| behind(&outlet.user, &message, common.now.since(published)));
            }
            // The old parts had no cursor: what they sent twice was two frames.
            if cursor == outlet.newest {
                lane.cursor += 1;
                message.insert("cursor".to_owned(), json!(lane.cursor));
            }
        }
        outlet.newest = outlet.newest.max(cursor);
        let cursor = message.get("cursor").and_then(Value::as_u64).unwrap_or_default();
        let text: Rc<str> = text_of(&message).into();
        self.hand(common, conn, cursor, &text, out);
        // Whoever came meanwhile found it neither here nor in the manager's queue.
        for other in others.into_iter().filter(|_| message.contains_key("recovered")) {
            let missed = |outlet: &&mut Outlet| outlet.newest < cursor;
            if let Some(outlet) = self.outlets.get_mut(&other).filter(missed) {
                outlet.newest = cursor;
                self.hand(common, other, cursor, &text, out);
            }
        }
    }

    /// G10: what had failed is sent after a newer event, nested and without its cursor.
    fn come_late(&mut self, common: &Common, conns: &[ConnId], out: &mut Effects) {
        for conn in conns {
            let lane = self.outlets.get(conn).and_then(|outlet| self.lanes.get_mut(&outlet.user));
            for Kept { members, .. } in lane.map(|lane| std::mem::take(&mut lane.late)).unwrap_or_default() {
                let text = json!({
                    "type": members.get("type"),
                    "data": members,
                    "critical": true,
                    "recovered": true,
                    "timestamp": wire::unix(common.now),
                });
                self.reply(common, *conn, &text.to_string(), out);
            }
        }
    }

    /// A socket wrote its oldest frames.
    pub(super) fn written(&mut self, common: &Common, conn: ConnId, frames: u32, out: &mut Effects) {
        let Some(outlet) = self.outlets.get_mut(&conn) else { return };
        for _ in 0..frames {
            let cursor = outlet.in_flight.pop_front().unwrap_or_default();
            if let Some(lane) = self.lanes.get_mut(&outlet.user) {
                lane.written = lane.written.max(cursor);
            }
        }
        while outlet.in_flight.len() < common.limits.socket_window_frames as usize
            && let Some((cursor, text)) = outlet.queue.pop_front()
        {
            outlet.in_flight.push_back(cursor);
            send(out, conn, &text);
        }
        self.reach.load(conn, outlet.in_flight.len() + outlet.queue.len());
    }

    /// A client has everything up to a cursor.
    pub(super) fn confirm(&mut self, common: &mut Common, user: &UserId, cursor: u64) {
        common.accounts.confirmations += 1;
        // G23: there are two trackers, and the other one is told.
        if common.has(Hazard::G23) {
            return;
        }
        if let Some(lane) = self.lanes.get_mut(user) {
            lane.confirmed = lane.confirmed.max(cursor);
            common.accounts.confirmed += 1;
        }
    }

    /// Whether the user has a connection.
    pub(super) fn is_connected(&self, user: &UserId) -> bool {
        self.lanes.get(user).is_some_and(|lane| !lane.conns.is_empty())
    }

    /// Nothing goes on for the user any more, as far as the caller knows; if it stays so, the user is forgotten.
    pub(super) fn idle(&mut self, common: &mut Common, user: &UserId) {
        let Some(lane) = self.lanes.get_mut(user).filter(|lane| lane.conns.is_empty()) else { return };
        lane.idle_at = common.now;
        common.alarm(common.limits.recovery_ttl_us, Alarm::Forget(user.clone()));
    }

    /// A frame for all connections of a user that is not kept.
    pub(super) fn tell(&mut self, common: &Common, user: &UserId, text: &str, out: &mut Effects) {
        let conns = self.lanes.get(user).map(|lane| lane.conns.clone()).unwrap_or_default();
        for conn in conns {
            self.reply(common, conn, text, out);
        }
    }

    /// Forgets a user whom nobody came back for; true if it did.
    pub(super) fn forget(&mut self, common: &Common, user: &UserId) -> bool {
        let gone = |lane: &Lane| {
            lane.conns.is_empty() && common.now.since(lane.idle_at) >= common.limits.recovery_ttl_us
        };
        if !self.lanes.get(user).is_some_and(gone) {
            return false;
        }
        self.reach.forget(user);
        self.lanes.remove(user).is_some()
    }

    /// Users, frames on their way to sockets, events kept.
    pub(super) fn held(&self) -> [u64; 3] {
        let frames = |outlet: &Outlet| (outlet.in_flight.len() + outlet.queue.len()) as u64;
        [
            self.lanes.len() as u64,
            self.outlets.values().map(frames).sum(),
            self.lanes.values().map(|lane| lane.kept.len() as u64).sum(),
        ]
    }

    /// Entries of tables that serve no client.
    pub(super) fn tables(&self) -> u64 {
        self.reach.tables()
    }

    /// Connections, and those of them that ever got an event.
    pub(super) fn pool(&self) -> (u64, u64) {
        let served = self.outlets.values().filter(|outlet| outlet.served).count();
        (self.outlets.len() as u64, served as u64)
    }

    /// Sends what came after the client's cursor, in order; without one, what no connection was written.
    pub(super) fn replay(&mut self, common: &Common, conn: ConnId, resume: Option<u64>, out: &mut Effects) {
        let Some(lane) = self.outlets.get(&conn).and_then(|outlet| self.lanes.get(&outlet.user)) else {
            return;
        };
        let from = resume.unwrap_or(lane.written);
        let first = lane.kept.front().map_or(lane.cursor + 1, |kept| kept.cursor);
        let mut texts = Vec::new();
        if from + 1 < first {
            texts.push((0, wire::gap(from + 1, first - 1, common.now)));
        }
        for kept in lane.kept.iter().filter(|kept| kept.cursor > from) {
            let mut members = kept.members.clone();
            members.insert("recovered".to_owned(), Value::Bool(true));
            texts.push((kept.cursor, text_of(&members)));
        }
        for (cursor, text) in texts {
            self.hand(common, conn, cursor, &text.into(), out);
        }
    }

    /// Hands a frame to a socket, or queues it behind the socket's window.
    fn hand(&mut self, common: &Common, conn: ConnId, cursor: u64, text: &Rc<str>, out: &mut Effects) {
        let Some(outlet) = self.outlets.get_mut(&conn) else { return };
        outlet.served |= cursor > 0;
        let has_room = outlet.in_flight.len() < common.limits.socket_window_frames as usize;
        if has_room && outlet.queue.is_empty() {
            outlet.in_flight.push_back(cursor);
            send(out, conn, text);
        } else {
            outlet.queue.push_back((cursor, text.clone()));
        }
        self.reach.load(conn, outlet.in_flight.len() + outlet.queue.len());
    }
}

impl Lane {
    /// Keeps an event for those who come back, once, in the order of cursors.
    fn keep(&mut self, common: &Common, cursor: u64, members: Map<String, Value>) {
        let Err(at) = self.kept.binary_search_by_key(&cursor, |kept| kept.cursor) else { return };
        self.kept.insert(at, Kept { cursor, members });
        if self.kept.len() > common.limits.recovery_frames_max as usize {
            self.kept.pop_front();
        }
    }
}

/// An event waited for another socket than the one that it was written to.
fn behind(user: &UserId, members: &Map<String, Value>, micros: u64) -> Breach {
    let text = |key: &str| members.get(key).and_then(Value::as_str).map(str::to_owned);
    Breach {
        rule: "deliver.I6",
        user: Some(user.to_string()),
        run: text("run_id"),
        event: text("type"),
        detail: format!("it waited {:.3} s for another socket", micros as f64 / 1e6),
    }
}

/// An event goes to the user of its run and to nobody else.
fn misaddressed(owner: &UserId, to: &UserId, members: &Map<String, Value>) -> Breach {
    let text = |key: &str| members.get(key).and_then(Value::as_str).map(str::to_owned);
    Breach {
        rule: "iso.I2",
        user: Some(owner.to_string()),
        run: text("run_id"),
        event: text("type"),
        detail: format!("an event of {owner} is addressed to {to}"),
    }
}

fn text_of(members: &Map<String, Value>) -> String {
    Value::Object(members.clone()).to_string()
}
