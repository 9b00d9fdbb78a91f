//! Sockets as the old router saw them: what they show of their state, and sends that may fail.

use crate::legacy::{
    Hazard, Hazards,
    python::{Raised, Value, json},
};

/// A connection, as the host numbers them.
pub type Conn = u64;

/// A state that a socket shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not open yet.
    Connecting,
    /// Open.
    Connected,
    /// Closed.
    Disconnected,
}

/// What a socket shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its client's state, if it shows one.
    pub client: Option<State>,
    /// The application's state, if it shows one.
    pub application: Option<State>,
    /// Whether it can receive.
    pub receives: bool,
    /// Whether the application's state carries the mark of a test double.
    pub double: bool,
}

impl Look {
    /// A socket whose two states are the same.
    pub const fn of(state: State) -> Self {
        Self { client: Some(state), application: Some(state), receives: true, double: false }
    }
}

/// A frame on its way.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// Given as a value; the socket writes it.
    Json(Value),
    /// Given as text.
    Text(String),
}

impl Frame {
    /// What goes over the wire.
    pub fn text(&self) -> String {
        match self {
            Self::Json(value) => json::dumps(value),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A send that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFault {
    /// What it raised.
    pub raised: Raised,
    /// The frame had been handed on before.
    pub handed_on: bool,
}

impl From<Raised> for SendFault {
    fn from(raised: Raised) -> Self {
        Self { raised, handed_on: false }
    }
}

/// The host's sockets.
pub trait Sockets {
    /// What the socket of a connection shows; `None` if there is no socket.
    fn look(&self, conn: Conn) -> Option<Look>;

    /// Sends a frame at a time in microseconds.
    ///
    /// # Errors
    /// What the send raised.
    fn send(&mut self, conn: Conn, now_us: u64, frame: Frame) -> Result<(), SendFault>;

    /// Connections of a user, for what is to reach the others of them.
    fn of_user(&self, user: &Value) -> Vec<Conn>;
}

/// Whether a socket is taken for open.
///
/// H17: its client's state alone decides where it shows one.
pub fn live(look: Option<Look>, hazards: Hazards) -> bool {
    let Some(look) = look else { return false };
    let connected = |state: State| state == State::Connected;
    match (look.client, look.application) {
        (Some(client), Some(application)) if !hazards.has(Hazard::H17) => {
            connected(client) && connected(application)
        }
        (Some(client), _) => connected(client),
        (None, Some(application)) => connected(application),
        (None, None) => look.receives,
    }
}

/// As [`live`], or the socket is marked as a test double (H30).
///
/// # Errors
/// The mark is looked for in a state that is not there.
pub fn live_or_double(look: Option<Look>, hazards: Hazards) -> Result<bool, Raised> {
    if live(look, hazards) || !hazards.has(Hazard::H30) {
        return Ok(live(look, hazards));
    }
    match look {
        None => Err(Raised::no_attribute("NoneType", "application_state")),
        Some(look) if look.application.is_none() => {
            Err(Raised::no_attribute("WebSocket", "application_state"))
        }
        Some(look) => Ok(look.double),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_that_is_shown_decides() {
        let of = |client, application, receives| Some(Look { client, application, receives, double: false });
        let (open, closed) = (Some(State::Connected), Some(State::Disconnected));
        for (look, on) in [
            (of(open, closed, true), true),
            (of(closed, open, true), false),
            (of(None, open, true), true),
            (of(None, closed, true), false),
            (of(None, None, true), true),
            (of(None, None, false), false),
            (None, false),
        ] {
            assert_eq!(live(look, Hazards::ALL), on, "{look:?}");
        }
        assert!(!live(of(open, closed, true), Hazards::ALL.without(Hazard::H17)));
    }

    #[test]
    fn h30_takes_a_test_double_for_open() {
        let double = Some(Look { double: true, ..Look::of(State::Disconnected) });
        assert_eq!(live_or_double(double, Hazards::ALL), Ok(true));
        assert_eq!(live_or_double(double, Hazards::ALL.without(Hazard::H30)), Ok(false));
        assert!(live_or_double(None, Hazards::ALL).is_err());
    }
}
