//! Sockets of a recording: what they show, and which sends fail.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::legacy::{
    message_router::{Conn, Frame, Look, SendFault, Sockets, State},
    python::{Raised, Value, json as python_json},
};

/// All sockets of a case, numbered in their order.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    sockets: Vec<Socket>,
    sent: Vec<(u64, Json)>,
}

#[derive(Debug)]
struct Socket {
    conn: String,
    user: Json,
    /// What it shows; nothing if there is no socket at all.
    look: Option<Look>,
    fault: Option<Raised>,
    /// Which sends fail, from 1; all without a list.
    fails: Option<BTreeSet<u64>>,
    sends: u64,
}

impl Recorded {
    pub(super) fn new(setup: Option<&Json>) -> Self {
        let list = setup.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        Self { sockets: list.iter().map(Socket::new).collect(), sent: Vec::new() }
    }

    /// The number of a connection.
    pub(super) fn conn(&self, label: &str) -> Conn {
        let at = self.sockets.iter().position(|socket| socket.conn == label);
        at.unwrap_or(self.sockets.len()) as Conn
    }

    /// What was sent since the last time, in the form of a recording; times count from `began`.
    pub(super) fn take(&mut self, began: u64) -> Vec<Json> {
        let timed = |(at, mut frame): (u64, Json)| {
            if at > began {
                frame["at"] = json!((at - began) as f64 / 1e6);
            }
            frame
        };
        std::mem::take(&mut self.sent).into_iter().map(timed).collect()
    }
}

impl Socket {
    fn new(setup: &Json) -> Self {
        let state = setup["state"].as_str().unwrap_or("connected");
        let shown = |state: &str| match state {
            "connected" => Some(State::Connected),
            "connecting" => Some(State::Connecting),
            "absent" => None,
            _ => Some(State::Disconnected),
        };
        let application = setup["app_state"].as_str().unwrap_or(state);
        let look = Look {
            client: shown(state),
            application: shown(application),
            receives: setup["has_receive"].as_bool().unwrap_or(true),
            double: false,
        };
        let fails = setup["fail_sends"].as_array();
        Self {
            conn: setup["conn"].as_str().unwrap_or_default().to_owned(),
            user: setup["user"].clone(),
            look: (state != "null").then_some(look),
            fault: setup["send_error"].as_str().map(raised),
            fails: fails.map(|list| list.iter().filter_map(Json::as_u64).collect()),
            sends: 0,
        }
    }
}

/// An exception in the short form of recordings, `Type:text`. That of a peer that is gone shows its close code.
pub(super) fn raised(short: &str) -> Raised {
    match short.split_once(':') {
        Some((class, text)) => Raised::new(class, text),
        None if short == "WebSocketDisconnect" => Raised::new(short, "1001"),
        None => Raised::new(short, ""),
    }
}

impl Sockets for Recorded {
    fn look(&self, conn: Conn) -> Option<Look> {
        self.sockets.get(conn as usize)?.look
    }

    fn send(&mut self, conn: Conn, now_us: u64, frame: Frame) -> Result<(), SendFault> {
        let Some(socket) = self.sockets.get_mut(conn as usize) else { return Ok(()) };
        socket.sends += 1;
        let fails = socket.fails.as_ref().is_none_or(|fails| fails.contains(&socket.sends));
        if let Some(fault) = socket.fault.as_ref().filter(|_| fails) {
            return Err(fault.clone().into());
        }
        let (helper, message) = match frame {
            Frame::Json(value) => ("json", value),
            // The recorder's sockets read what they were given, and a text that is no JSON broke them.
            Frame::Text(text) => {
                let read = python_json::loads(&text).map_err(|_| Raised::value("no JSON"))?;
                ("text", read)
            }
        };
        let frame = json!({"conn": socket.conn, "user": socket.user, "frame": helper, "message": message.to_recorded()});
        self.sent.push((now_us, frame));
        Ok(())
    }

    fn of_user(&self, user: &Value) -> Vec<Conn> {
        let owned = |socket: &Socket| user.as_str() == socket.user.as_str();
        (0..).zip(&self.sockets).filter(|(_, socket)| owned(socket)).map(|(conn, _)| conn).collect()
    }
}
