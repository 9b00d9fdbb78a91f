//! Tapes: what a host and its clients did on a [`Stage`](super::stage::Stage), in order, and which frames each socket
//! got of it. Whoever has real sockets can do the same again and compare.

mod recorder;

use std::fmt;

use router::{Config, DeliveryRefusal, OwnedEvent, Receipt, Tier};
use serde_json::{Value, value::RawValue};

pub(super) use self::recorder::Recorder;
use super::{Case, Notes, units};

/// One case, as it was played on the stage.
#[derive(Clone, Debug)]
pub struct Tape {
    /// The router's limits.
    pub config: Config,
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// Every socket that was accepted, in order of acceptance, with every frame it got, in order; the first is the
    /// welcome.
    pub frames: Vec<Vec<Value>>,
}

/// One thing that a host or a client did. Sockets, runs and questions are numbered from 0, in the order in which the
/// router accepted, started and asked them.
#[derive(Clone, Debug)]
pub enum Step {
    /// A client connects.
    Connect {
        /// Whose token it has.
        user: String,
        /// Plan in the token.
        tier: Tier,
        /// `?thread=`.
        thread: Option<String>,
        /// `?resume=`.
        resume: Option<u64>,
        /// Whether it became a socket of the tape; it was turned away otherwise.
        accepted: bool,
    },
    /// A client sends a text frame.
    Text {
        /// On which socket.
        socket: usize,
        /// The frame.
        text: String,
    },
    /// A client leaves.
    Leave {
        /// Which socket.
        socket: usize,
    },
    /// The router closed a socket.
    Closed {
        /// Which.
        socket: usize,
    },
    /// The host delivers an event.
    Deliver {
        /// To whom.
        to: To,
        /// `thread_id` that the event gets.
        thread: Option<String>,
        /// `run_id` that the event gets.
        run: Option<String>,
        /// `request_id` that the event gets.
        request: Option<String>,
        /// The event.
        event: Box<RawValue>,
        /// What became of it, if an account was asked for and given.
        account: Option<Account>,
    },
    /// An agent reports.
    Report {
        /// Of which run.
        run: usize,
        /// What.
        event: OwnedEvent,
        /// Whether the router took it.
        taken: bool,
    },
    /// A quality service answers; `None`: it failed.
    Answer {
        /// Which question.
        ask: usize,
        /// The answer.
        answer: Option<Box<RawValue>>,
    },
    /// The host has news for all who subscribed to quality.
    News {
        /// An alert, and no update.
        alert: bool,
        /// The payload.
        body: Box<RawValue>,
    },
    /// The host closes idle connections.
    Sweep,
}

/// To whom a host's event goes.
#[derive(Clone, Debug)]
pub enum To {
    /// One socket of that user.
    Socket(String, usize),
    /// All of that user's.
    User(String),
    /// Those of that user that want that thread.
    Thread(String, String),
    /// Subscribers of a topic.
    Topic(String),
    /// Everybody but one perhaps.
    All(Option<usize>),
}

/// What a receipt says, in numbers: connections have other handles elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Connections addressed.
    pub attempted: u32,
    /// Connections written.
    pub delivered: u32,
    /// Connections that missed it.
    pub failed: usize,
    /// Users it is kept for.
    pub queued: u32,
    /// Why nothing was sent.
    pub refused: Option<DeliveryRefusal>,
}

impl From<&Receipt> for Account {
    fn from(receipt: &Receipt) -> Self {
        let Receipt { attempted, delivered, ref failed, queued, refused, .. } = *receipt;
        Self { attempted, delivered, failed: failed.len(), queued, refused }
    }
}

/// Why a case cannot be played over sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// A socket fails at a frame of the case's choice, or takes its time.
    Line,
    /// Much time passes, or something falls due meanwhile: the clock was moved by hand.
    Clock,
    /// The host registers handlers, or switches built-in ones on or off.
    Handlers,
    /// A connection is refused, replaced or closed by its name, which only a host can give.
    Names,
    /// The host sends batches before their time.
    Flush,
    /// Tool calls of a dispatcher, the drain, frames that are no text: no operation of the recordings that are played.
    Other,
    /// A connection, run or question that is no more is addressed.
    Stale,
    /// The case has more than one router.
    Routers,
    /// No frame but welcomes reaches any socket.
    Silent,
    /// The unit's recordings are above or beside a router.
    NoStage,
    /// The canonical API has no counterpart at all.
    Inexpressible,
}

impl Obstacle {
    /// All of them.
    pub const ALL: [Obstacle; 11] = [
        Obstacle::Line,
        Obstacle::Clock,
        Obstacle::Handlers,
        Obstacle::Names,
        Obstacle::Flush,
        Obstacle::Other,
        Obstacle::Stale,
        Obstacle::Routers,
        Obstacle::Silent,
        Obstacle::NoStage,
        Obstacle::Inexpressible,
    ];

    /// A few words.
    pub const fn about(self) -> &'static str {
        match self {
            Obstacle::Line => "a socket that fails or is slow at will",
            Obstacle::Clock => "a clock that is moved by hand",
            Obstacle::Handlers => "handlers that the host registers or switches",
            Obstacle::Names => "connections that the host names",
            Obstacle::Flush => "batches sent before their time",
            Obstacle::Other => "tool calls, the drain, or frames that are no text",
            Obstacle::Stale => "a connection, run or question that is no more",
            Obstacle::Routers => "more than one router",
            Obstacle::Silent => "no frame reaches a socket",
            Obstacle::NoStage => "a unit without a stage",
            Obstacle::Inexpressible => "no counterpart in the canonical API",
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.about())
    }
}

/// Plays a case on the stage and gives its tape, if it can be played elsewhere, too.
pub fn tape(case: &Case) -> Result<Tape, Obstacle> {
    let unit = units::open(&case.unit, &case.setup).ok_or(Obstacle::NoStage)?;
    let mut unit = unit.map_err(|_| Obstacle::Inexpressible)?;
    let mut notes = Notes::default();
    for step in &case.steps {
        unit.act(&step.action).map_err(|_| Obstacle::Inexpressible)?;
        // A unit goes on from what it compared; whether it agreed is judged elsewhere.
        unit.compare(&step.action, &step.expect, &mut notes);
    }
    unit.tape()
}
