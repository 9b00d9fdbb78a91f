//! Sockets of a recording: which state is connected, and which writes fail.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::conform::stage::Line;

/// Longer than any recording: what is given to a socket that is not connected reaches nobody.
const NEVER_US: u64 = 86_400_000_000;

/// One socket of the set-up.
#[derive(Clone, Debug)]
struct Socket {
    conn: String,
    user: String,
    connected: bool,
    /// Which writes fail, from 1; `None` for all.
    fails: Option<BTreeSet<u64>>,
    /// Writes tried.
    tried: u64,
    sending_fails: bool,
    opened: bool,
}

/// All sockets of a case.
#[derive(Debug, Default)]
pub(super) struct Sockets(Vec<Socket>);

impl Sockets {
    pub(super) fn new(setup: Option<&Value>) -> Self {
        let text = |socket: &Value, name: &str| socket[name].as_str().unwrap_or_default().to_owned();
        let list = setup.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Self(
            list.iter()
                .map(|socket| Socket {
                    conn: text(socket, "conn"),
                    user: text(socket, "user"),
                    connected: connected(socket),
                    fails: socket["fail_sends"]
                        .as_array()
                        .map(|list| list.iter().filter_map(Value::as_u64).collect()),
                    tried: 0,
                    sending_fails: socket["send_error"].is_string(),
                    opened: false,
                })
                .collect(),
        )
    }

    fn find(&self, conn: &str) -> Option<&Socket> {
        self.0.iter().find(|socket| socket.conn == conn)
    }

    /// Whose socket it was set up to be.
    pub(super) fn user(&self, conn: &str) -> &str {
        self.find(conn).map_or("", |socket| &socket.user)
    }

    pub(super) fn is_connected(&self, conn: &str) -> bool {
        self.find(conn).is_some_and(|socket| socket.connected)
    }

    /// The label on the stage: a socket that several users are said to speak through is one socket each.
    pub(super) fn label(&self, conn: &str, user: &str) -> String {
        if self.user(conn) == user { conn.to_owned() } else { format!("{conn} of {user}") }
    }

    /// The conn of the case behind a label on the stage.
    pub(super) fn conn<'a>(&self, label: &'a str) -> &'a str {
        label.split_once(" of ").map_or(label, |(conn, _)| conn)
    }

    /// What the socket does with its next writes.
    pub(super) fn line(&self, conn: &str) -> Line {
        let Some(socket) = self.find(conn) else { return Line::Up };
        if !socket.connected {
            return Line::Slow(NEVER_US);
        }
        match &socket.fails {
            _ if !socket.sending_fails => Line::Up,
            None => Line::Down,
            Some(fails) => match fails.iter().find(|n| **n > socket.tried) {
                Some(n) => Line::FailsAfter((*n - socket.tried - 1) as u32),
                None => Line::Up,
            },
        }
    }

    /// Notes that the next failing write was tried: the socket broke. Answers whether the client is there again at
    /// once, which it is when the write after that would have passed.
    pub(super) fn broke(&mut self, conn: &str) -> bool {
        let Some(socket) = self.0.iter_mut().find(|socket| socket.conn == conn) else { return false };
        let failed =
            socket.fails.as_ref().and_then(|fails| fails.iter().find(|n| **n > socket.tried)).copied();
        socket.tried = failed.unwrap_or(socket.tried);
        let passes = socket.fails.as_ref().is_some_and(|fails| !fails.contains(&(socket.tried + 1)));
        socket.opened = passes;
        passes
    }

    /// Notes that a socket is on the stage.
    pub(super) fn opened(&mut self, conn: &str) {
        if let Some(socket) = self.0.iter_mut().find(|socket| socket.conn == conn) {
            socket.opened = true;
        }
    }

    /// Sockets that were on the stage and whose writes fail, now or later.
    pub(super) fn faulty(&self) -> Vec<String> {
        let faulty = self.0.iter().filter(|socket| socket.opened && socket.connected && socket.sending_fails);
        faulty.map(|socket| socket.conn.clone()).collect()
    }
}

/// Whether a recorded state is connected: the client's state decides, then the application's, and a socket that
/// shows neither is taken for one if it can receive.
fn connected(socket: &Value) -> bool {
    let state = socket["state"].as_str().unwrap_or("connected");
    let app = socket["app_state"].as_str().unwrap_or(state);
    match (state, app) {
        ("absent", "absent") => socket["has_receive"] != Value::Bool(false),
        ("absent", app) => app == "connected",
        (state, _) => state == "connected",
    }
}
