//! Delivery: the registry of connections, the way of a frame to each of them, and the recovery queue.
//!
//! A user's events have one order, that of `cursor`. They are kept until nobody can come back for them. A connection
//! has a window at its socket and a queue behind that; what is written is what the socket reports.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use router::{ConnId, Effects, Instant, UserId};
use serde_json::{Map, Value, json};

use super::common::{Alarm, Common, send};
use super::emit::Event;
use super::wire;

/// All users' connections, and what is kept for them.
#[derive(Debug, Default)]
pub(super) struct Deliver {
    lanes: BTreeMap<UserId, Lane>,
    outlets: BTreeMap<ConnId, Outlet>,
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
}

impl Deliver {
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
        let outlet =
            Outlet { user: user.clone(), in_flight: VecDeque::new(), queue: VecDeque::new(), served: false };
        self.outlets.insert(conn, outlet);
        self.reply(common, conn, &welcome, out);
        if let Some(lane) = self.lanes.get_mut(user) {
            lane.conns.push(conn);
            let from = resume.unwrap_or(lane.written);
            self.replay(common, conn, from, out);
        }
    }

    /// Takes a connection out of the registry.
    pub(super) fn disconnect(&mut self, common: &mut Common, conn: ConnId) {
        let Some(outlet) = self.outlets.remove(&conn) else { return };
        if let Some(lane) = self.lanes.get_mut(&outlet.user) {
            lane.conns.retain(|known| *known != conn);
        }
        self.idle(common, &outlet.user);
    }

    /// A frame for one connection that is not kept.
    pub(super) fn reply(&mut self, common: &Common, conn: ConnId, text: &str, out: &mut Effects) {
        self.hand(common, conn, 0, &text.into(), out);
    }

    /// An event for all connections of a user. How many it was handed to.
    pub(super) fn publish(&mut self, common: &mut Common, event: Event, out: &mut Effects) -> u64 {
        let Event { to, mut members } = event;
        let lane = self.lanes.entry(to).or_default();
        lane.cursor += 1;
        let cursor = lane.cursor;
        members.insert("cursor".to_owned(), json!(cursor));
        let text: Rc<str> = text_of(&members).into();
        lane.kept.push_back(Kept { cursor, members });
        if lane.kept.len() > common.limits.recovery_frames_max as usize {
            lane.kept.pop_front();
        }
        let conns = lane.conns.clone();
        for conn in &conns {
            self.hand(common, *conn, cursor, &text, out);
        }
        let handed = conns.len() as u64;
        common.accounts.handed += handed;
        handed
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
    }

    /// A client has everything up to a cursor.
    pub(super) fn confirm(&mut self, common: &mut Common, user: &UserId, cursor: u64) {
        common.accounts.confirmations += 1;
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

    /// Forgets a user whom nobody came back for.
    pub(super) fn forget(&mut self, common: &Common, user: &UserId) {
        let gone = |lane: &Lane| {
            lane.conns.is_empty() && common.now.since(lane.idle_at) >= common.limits.recovery_ttl_us
        };
        if self.lanes.get(user).is_some_and(gone) {
            self.lanes.remove(user);
        }
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

    /// Connections, and those of them that ever got an event.
    pub(super) fn pool(&self) -> (u64, u64) {
        let served = self.outlets.values().filter(|outlet| outlet.served).count();
        (self.outlets.len() as u64, served as u64)
    }

    /// Sends what came after a cursor, in order, ahead of anything newer.
    fn replay(&mut self, common: &Common, conn: ConnId, from: u64, out: &mut Effects) {
        let Some(lane) = self.outlets.get(&conn).and_then(|outlet| self.lanes.get(&outlet.user)) else { return };
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
    }
}

fn text_of(members: &Map<String, Value>) -> String {
    Value::Object(members.clone()).to_string()
}
