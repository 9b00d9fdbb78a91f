//! Endpoint: accepts sockets, waits for their set-up, reads them, and notices when they fall silent.
//!
//! It owns a socket from its accept to its close. What a socket says before its set-up is over waits here; the
//! receive loop of a connection hands on one frame at a time.

use std::collections::{BTreeMap, VecDeque};

use router::{Close, ConnId, Connect, Effect, Effects, ErrorCode, Instant, RunRef, Ticket, UserId};
use serde_json::json;

use super::common::{Alarm, Common};
use super::wire;
use crate::legacy::{Hazard, message_router::identity};

/// The open sockets.
#[derive(Debug, Default)]
pub(super) struct Endpoint {
    sockets: BTreeMap<ConnId, Socket>,
    /// How often each index has been used.
    generations: Vec<u32>,
    free: Vec<u32>,
    accepted: usize,
}

/// One accepted socket.
#[derive(Debug)]
struct Socket {
    user: UserId,
    mode: Mode,
    ready: bool,
    /// The run that the receive loop waits for.
    waits_for: Option<RunRef>,
    /// Frames that were read and not handed on.
    held: VecDeque<String>,
    heard_at: Instant,
    beats: u32,
    /// Whether its loop has ended; what comes in is no longer read.
    closing: bool,
}

/// How the endpoint was asked to serve a socket; it makes no difference to what is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Main,
    Factory,
    Isolated,
}

/// A frame that the receive loop hands on.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) user: UserId,
    pub(super) mode: Mode,
    pub(super) text: String,
}

impl Endpoint {
    /// Accepts a socket, or turns it away.
    pub(super) fn accept(
        &mut self,
        common: &mut Common,
        connect: &Connect<'_>,
        out: &mut Effects,
    ) -> Option<(ConnId, UserId, Mode)> {
        // H21: everybody on the level of demonstrations, which is the default, has one name.
        let (level, subject) = (identity::default_level(common.hazards()), Some(connect.user));
        let user = identity::user(level, "", subject, common.now.as_micros(), common.hazards());
        let user: UserId = user.as_deref().unwrap_or(connect.user).into();
        let of_user = self.sockets.values().filter(|socket| socket.user == user).count();
        if of_user >= common.limits.connections_per_user_max as usize {
            let text = wire::error(ErrorCode::ConnectionLimit, "", common.now);
            refuse(connect.ticket, &text, Close::ConnectionLimit, out);
            return None;
        }
        let conn = self.name();
        // G32: readiness is read off the transport, and that is ready at once.
        let ready = common.limits.ready_after_us == 0 || common.has(Hazard::G32);
        if !ready {
            common.alarm(common.limits.ready_after_us, Alarm::Ready(conn));
        }
        common.alarm(common.limits.heartbeat_us, Alarm::Heartbeat(conn));
        let mode = self.mode();
        let socket = Socket {
            user: user.clone(),
            mode,
            ready,
            waits_for: None,
            held: VecDeque::new(),
            heard_at: common.now,
            beats: 0,
            closing: false,
        };
        self.sockets.insert(conn, socket);
        out.push(Effect::Accepted { ticket: connect.ticket, conn });
        Some((conn, user, mode))
    }

    /// A socket without a valid token.
    pub(super) fn unauthenticated(common: &Common, ticket: Ticket, out: &mut Effects) {
        refuse(ticket, &wire::error(ErrorCode::AuthFailed, "", common.now), Close::AuthFailed, out);
    }

    /// Takes in a frame; true if it waits to be read by [`Endpoint::next`].
    pub(super) fn receive(&mut self, common: &mut Common, conn: ConnId, text: &str) -> bool {
        let Some(socket) = self.sockets.get_mut(&conn).filter(|socket| !socket.closing) else { return false };
        common.accounts.received += 1;
        socket.heard_at = common.now;
        socket.beats = 0;
        socket.held.push_back(text.to_owned());
        true
    }

    /// The next frame that the receive loop of a connection hands on, if it is not waiting for something.
    pub(super) fn next(&mut self, conn: ConnId) -> Option<Read> {
        let may_read = |socket: &&mut Socket| !socket.closing && socket.ready && socket.waits_for.is_none();
        let socket = self.sockets.get_mut(&conn).filter(may_read)?;
        let text = socket.held.pop_front()?;
        Some(Read { user: socket.user.clone(), mode: socket.mode, text })
    }

    /// The receive loop of a connection started a run.
    pub(super) fn started(&mut self, common: &Common, conn: ConnId, run: RunRef) {
        // G16, H18: the loop awaits it.
        if (common.has(Hazard::G16) || common.has(Hazard::H18))
            && let Some(socket) = self.sockets.get_mut(&conn)
        {
            socket.waits_for = Some(run);
        }
    }

    /// A run is over: the connection whose loop waited for it.
    pub(super) fn ended(&mut self, run: RunRef) -> Option<ConnId> {
        let waits = |(_, socket): &(&ConnId, &mut Socket)| socket.waits_for == Some(run);
        let (conn, socket) = self.sockets.iter_mut().find(waits)?;
        socket.waits_for = None;
        Some(*conn)
    }

    /// The set-up of a connection is over.
    pub(super) fn set_up(&mut self, conn: ConnId) {
        if let Some(socket) = self.sockets.get_mut(&conn) {
            socket.ready = true;
        }
    }

    /// The client showed that it lives.
    pub(super) fn alive(&mut self, common: &Common, conn: ConnId) {
        if let Some(socket) = self.sockets.get_mut(&conn) {
            socket.heard_at = common.now;
            socket.beats = 0;
        }
    }

    /// Asks a silent client for a sign of life, and closes one that gave none. The frame to send, if one is due.
    pub(super) fn heartbeat(
        &mut self,
        common: &mut Common,
        conn: ConnId,
        out: &mut Effects,
    ) -> Option<String> {
        let (now, every_us) = (common.now, common.limits.heartbeat_us);
        let socket = self.sockets.get_mut(&conn).filter(|socket| !socket.closing)?;
        let silent_us = now.since(socket.heard_at);
        let asked_us = every_us * u64::from(socket.beats);
        if silent_us < every_us + asked_us {
            common.alarm(every_us + asked_us - silent_us, Alarm::Heartbeat(conn));
            return None;
        }
        if socket.beats >= common.limits.heartbeats_missed_max {
            self.close(conn, Close::Unresponsive, out);
            return None;
        }
        socket.beats += 1;
        common.alarm(every_us, Alarm::Heartbeat(conn));
        out.push(Effect::Ping { conn });
        Some(wire::server("heartbeat", &json!({"connection_id": wire::conn_id(conn)}), now))
    }

    /// Ends the loop of a connection.
    pub(super) fn close(&mut self, conn: ConnId, close: Close, out: &mut Effects) {
        if let Some(socket) = self.sockets.get_mut(&conn).filter(|socket| !socket.closing) {
            socket.closing = true;
            out.push(Effect::Close { conn, close });
        }
    }

    /// The socket is gone: how many of its frames nobody will read any more.
    pub(super) fn gone(&mut self, conn: ConnId) -> Option<usize> {
        let socket = self.sockets.remove(&conn)?;
        self.free.push(conn.index() as u32);
        Some(socket.held.len())
    }

    /// Open sockets.
    pub(super) fn len(&self) -> u64 {
        self.sockets.len() as u64
    }

    /// Frames read and not handed on.
    pub(super) fn held(&self) -> u64 {
        self.sockets.values().map(|socket| socket.held.len() as u64).sum()
    }

    /// Clients ask for the modes in turn.
    fn mode(&mut self) -> Mode {
        self.accepted += 1;
        [Mode::Main, Mode::Factory, Mode::Isolated][self.accepted % 3]
    }

    /// A name for a new connection: a free index, and how often it has been used.
    fn name(&mut self) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.generations.push(0);
            self.generations.len() as u32 - 1
        });
        let generation = &mut self.generations[index as usize];
        *generation += 1;
        ConnId::from_parts(index, *generation)
    }
}

fn refuse(ticket: Ticket, text: &str, close: Close, out: &mut Effects) {
    let frame = out.text(text);
    out.push(Effect::Refused { ticket, frame, close });
}
