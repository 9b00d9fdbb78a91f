//! The contract of the core on one page: every input, every effect, and the loop that joins them.
//!
//! A shell (real sockets) and a simulator (virtual time) drive the same three calls:
//!
//! ```
//! # use router::{Config, Effect, Effects, Input, Instant, Router};
//! # fn next_input() -> Option<(Instant, Input<'static>)> { None }
//! # fn carry_out(_: &Effect, _: &Effects) {}
//! let mut router = Router::new(Config::default()).expect("valid");
//! let mut out = Effects::new();
//! // 1. wait for a socket, an agent, or the deadline the core asked for
//! while let Some((now, input)) = next_input() {
//!     // 2. one input in; effects are appended in the order in which they must happen
//!     out.clear();
//!     router.handle(now, input, &mut out);
//!     // 3. carry the effects out, in order
//!     for effect in out.iter() {
//!         carry_out(effect, &out);
//!     }
//!     // 4. sleep no longer than this; then hand in `Input::Tick`
//!     let _deadline = router.next_deadline();
//! }
//! ```
//!
//! Rules of the contract:
//! - `now` never runs backwards; an earlier value is read as the latest one seen.
//! - Effects are in order; a fan-out is one run of [`Effect::Send`] that shares one [`Frame`].
//! - For each accepted connection the shell hands in exactly one [`Input::Closed`], last.
//! - The shell writes what [`Effect::Send`] names, at most [`Config::socket_window_frames`] of them unreported,
//!   and reports each by [`Input::Written`]. That report is how a slow reader becomes visible.
//! - Bad input from a client is an effect (an error frame), never a panic and never an `Err`.
//!
//! [`Config::socket_window_frames`]: crate::Config::socket_window_frames

mod close;
mod deliver;
mod delivery;
mod effects;
mod owned;
mod quality;
mod refusal;
mod request;
mod tools;

use alloc::{boxed::Box, string::String, sync::Arc};

use serde_json::value::RawValue;

pub(crate) use self::request::RequestText;
pub use self::{
    close::Close,
    deliver::{Context, Deliver, DeliveryRefusal, Missed, Receipt, ReceiptId, Target},
    delivery::{Delivery, DeliveryState, EventRef},
    effects::{Effects, Frame, FrameIx},
    owned::OwnedEvent,
    quality::{AskRef, Given, QualityAnswer, QualityNews, QualityQuestion, QualityRequest},
    refusal::{Refusal, RefusedEvent},
    request::RunRequest,
    tools::{
        CancelledTool, ToolAnswer, ToolFailure, ToolOutcome, ToolRefusal, ToolRefusalReason, ToolRequest,
        ToolStep,
    },
};
use crate::{error::ErrorCode, store, waiting::Redriven};

/// A point in time on the router's clock: microseconds since the Unix epoch, never running backwards.
///
/// A shell derives it from the wall clock at start plus a monotonic clock since; a simulator counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The instant `micros` microseconds after the Unix epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This instant, `micros` microseconds later.
    pub const fn after(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to this instant; 0 if `earlier` is later.
    pub const fn since(self, earlier: Instant) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Number the shell gives to a socket that asks to be connected; comes back in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// An accepted connection: a dense index, and a generation so that an old handle never names a new socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
    /// Where the owner stood when the handle was made. A hint for fetching memory early, never for deciding.
    pub(crate) user_hint: u32,
}

impl ConnId {
    /// The name of a connection that somebody else than a router made: for models that stand in for one. To a router
    /// it is only a name, which it looks up like any other and checks the generation of.
    pub const fn from_parts(index: u32, generation: u32) -> Self {
        Self { index, generation, user_hint: 0 }
    }

    /// Dense index, below the largest number of connections ever open at once.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// How often this index had been used before.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

/// An open agent run: index and generation, as in [`ConnId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunRef {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl RunRef {
    /// The name of a run that somebody else than a router made, as [`ConnId::from_parts`].
    pub const fn from_parts(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    /// Dense index, below the largest number of runs ever open at once.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// How often this index had been used before.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

/// An authenticated user's id: opaque text of 1 to 128 printable characters without white space.
pub type UserId = Arc<str>;

/// Plan of a user; decides `metadata.user_tier` and `metadata.is_priority_queue` of run events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// `free`, the default.
    #[default]
    Free,
    /// `early`.
    Early,
    /// `mid`.
    Mid,
    /// `enterprise`; its events carry `is_priority_queue: true`.
    Enterprise,
}

impl Tier {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Tier::Free => "free",
            Tier::Early => "early",
            Tier::Mid => "mid",
            Tier::Enterprise => "enterprise",
        }
    }

    /// The tier of that wire name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Tier::Free, Tier::Early, Tier::Mid, Tier::Enterprise].into_iter().find(|tier| tier.name() == name)
    }
}

/// What the shell knows of a socket whose token was valid.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    /// Names the socket in the answer.
    pub ticket: Ticket,
    /// The authenticated user.
    pub user: &'a str,
    /// Plan of the user.
    pub tier: Tier,
    /// Last cursor this client has seen (`?resume=` at upgrade).
    pub resume: Option<u64>,
    /// Restricts the run events of this connection to one thread (`?thread=` at upgrade).
    pub thread: Option<&'a str>,
    /// The caller's own name of the connection: 1 to 128 printable characters without white space, unique among all
    /// live connections. Another user's is refused; the same user's older connection is closed in its favour.
    pub name: Option<&'a str>,
    /// When the token expires; the connection is closed with 1008 after a grace period.
    pub expires_at: Option<Instant>,
}

impl<'a> Connect<'a> {
    /// A plain connection of `user`: free tier, no resume, no filter, no name, no expiry.
    pub const fn new(ticket: Ticket, user: &'a str) -> Self {
        Self { ticket, user, tier: Tier::Free, resume: None, thread: None, name: None, expires_at: None }
    }
}

/// Everything that can happen to the router.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A socket with a valid token asks to be connected.
    Connect(Connect<'a>),
    /// A socket whose token was missing or not valid.
    AuthFailed {
        /// Names the socket in the answer.
        ticket: Ticket,
    },
    /// A text frame.
    Text {
        /// Where it arrived.
        conn: ConnId,
        /// The whole frame.
        text: &'a str,
    },
    /// A binary frame; its content is of no interest.
    Binary {
        /// Where it arrived.
        conn: ConnId,
    },
    /// A WebSocket pong: the client lives.
    Pong {
        /// Where it arrived.
        conn: ConnId,
    },
    /// The client broke the WebSocket protocol itself.
    Violation {
        /// Where.
        conn: ConnId,
        /// How.
        kind: Violation,
    },
    /// Frames were handed to the operating system.
    Written {
        /// To which connection.
        conn: ConnId,
        /// How many, in the order of their [`Effect::Send`].
        frames: u32,
    },
    /// The socket is gone; the last input of its connection.
    Closed {
        /// Which.
        conn: ConnId,
    },
    /// An agent reports progress of its run.
    Agent {
        /// Which run.
        run: RunRef,
        /// What happened.
        event: AgentEvent<'a>,
    },
    /// A step in the life of a run's tool calls.
    Tool {
        /// Which run.
        run: RunRef,
        /// What happened.
        step: ToolStep<'a>,
    },
    /// A quality service's answer to [`Effect::AskQuality`].
    Quality {
        /// The question.
        ask: AskRef,
        /// What came of it.
        answer: QualityAnswer<'a>,
    },
    /// Tells everybody who subscribed to quality; needs the capability.
    QualityNews {
        /// Proof of the right to cross users.
        authority: &'a Authority,
        /// What there is to tell.
        news: QualityNews<'a>,
    },
    /// Sends every batch that waits, now.
    Flush,
    /// Delivers an event of the host's to whom it is for.
    Deliver(Deliver<'a>),
    /// Closes the connection of exactly that name, if it is that user's; nothing happens otherwise.
    Unregister {
        /// Whose it must be; `None`: whosever.
        user: Option<&'a str>,
        /// The name it was connected under.
        name: &'a str,
    },
    /// An operator has a dead letter worked on again; the answer is [`Effect::Redriven`].
    Redrive {
        /// Proof of the right to act for any user.
        authority: &'a Authority,
        /// Whose letter.
        user: &'a str,
        /// Its number.
        letter: u64,
    },
    /// Closes every connection that has been idle for [`Config::idle_us`](crate::Config::idle_us).
    SweepIdle,
    /// What became of a request to the shared store.
    Stored(&'a store::Stored),
    /// New events of a user are in the shared store.
    Woken(&'a store::Wake),
    /// The way to the shared store changed.
    Store(store::Way),
    /// Begins an orderly stop: new work is refused, accepted work finishes within the drain deadline.
    Drain,
    /// The deadline of [`next_deadline`](crate::Router::next_deadline) has come.
    Tick,
}

/// A breach of the WebSocket protocol, as the shell's library reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A message above the transport cap: close 1009.
    TooBig,
    /// A text frame that is not UTF-8: close 1007.
    InvalidUtf8,
    /// Anything else: close 1002.
    Protocol,
}

/// The right to send one message to every user. There is one per router, and no client frame can obtain it.
#[derive(Debug)]
pub struct Authority(pub(crate) ());

/// What an agent reports. Ids, `type`, `seq`, `cursor` and `timestamp` are the router's: no agent can set them.
#[derive(Clone, Copy, Debug)]
pub enum AgentEvent<'a> {
    /// An event as JSON, from a producer that has nothing better: aliases, defaults, further members and the
    /// sanitiser apply (`docs/wire.md`, "Events given as JSON"). Of the types of a run, the automaton lets the
    /// same through as of the other variants; any other type is outside of it.
    Data {
        /// The event's type. `agent_failed` goes out as `agent_error`.
        kind: &'a str,
        /// The event's members, a JSON object.
        data: &'a RawValue,
    },
    /// `agent_started`.
    Started {
        /// Who works; empty means `unknown_agent`. Later events of the run carry it too.
        agent: &'a str,
        /// `task_description`; empty means `Processing request`.
        task: &'a str,
    },
    /// `agent_thinking`.
    Thinking {
        /// `reasoning`; empty means `Agent is processing...`.
        reasoning: &'a str,
        /// `step_number`, if counted.
        step: Option<u32>,
    },
    /// `progress_update`, between started and the terminal event.
    Progress {
        /// `progress_data`, a JSON value.
        data: &'a RawValue,
    },
    /// `tool_executing`.
    ToolExecuting {
        /// Names the call within its run; must not be open.
        call: &'a str,
        /// `tool_name`; empty means `unknown_tool`.
        tool: &'a str,
        /// `parameters`, a JSON value.
        parameters: &'a RawValue,
    },
    /// `tool_completed`.
    ToolCompleted {
        /// The call that ended; must be open.
        call: &'a str,
        /// How it ended.
        status: ToolStatus,
        /// `results`, a JSON value.
        results: &'a RawValue,
        /// `duration`, milliseconds.
        duration_ms: u64,
    },
    /// `agent_completed`, terminal.
    Completed {
        /// `final_response`; empty means `Task completed`.
        response: &'a str,
        /// `execution_time_ms`, if measured.
        execution_time_ms: Option<u64>,
    },
    /// `agent_error`, terminal; open tools are closed first.
    Failed {
        /// A stable code of the agent's own.
        code: &'a str,
        /// Text for the user; it must not quote internals.
        message: &'a str,
    },
}

/// How a tool call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolStatus {
    /// `completed`, `success: true`.
    Completed,
    /// `error`, `success: false`.
    Error,
    /// `timeout`, `success: false`.
    Timeout,
    /// `cancelled`, `success: false`.
    Cancelled,
}

impl ToolStatus {
    /// The `status` on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            ToolStatus::Completed => "completed",
            ToolStatus::Error => "error",
            ToolStatus::Timeout => "timeout",
            ToolStatus::Cancelled => "cancelled",
        }
    }
}

/// Everything the router can ask of the world.
#[derive(Clone, Debug)]
pub enum Effect {
    /// The socket is a connection now.
    Accepted {
        /// The socket.
        ticket: Ticket,
        /// Its connection.
        conn: ConnId,
    },
    /// The socket is turned away: write the frame, then close.
    Refused {
        /// The socket.
        ticket: Ticket,
        /// Why, for the client.
        frame: FrameIx,
        /// How to close.
        close: Close,
    },
    /// Write a frame.
    Send {
        /// To whom.
        conn: ConnId,
        /// What; look it up with [`Effects::frame`].
        frame: FrameIx,
    },
    /// Send a WebSocket ping.
    Ping {
        /// To whom.
        conn: ConnId,
    },
    /// Write what was sent before, then close.
    Close {
        /// Which connection.
        conn: ConnId,
        /// How.
        close: Close,
    },
    /// Start an agent.
    StartRun(Arc<RunRequest>),
    /// Stop an agent; the router has already ended its run, and refuses what the agent still reports.
    CancelRun {
        /// Which run.
        run: RunRef,
        /// Why.
        reason: CancelReason,
    },
    /// Run a tool, and report its end by [`ToolStep::Done`].
    RunTool(Box<ToolRequest>),
    /// Stop a tool; its call has ended already, and its report would come late.
    CancelTool(Box<CancelledTool>),
    /// Hand an agent what became of its tool call.
    ToolAnswered(Box<ToolAnswer>),
    /// An agent's report broke the run's contract and was dropped.
    AgentRefused(RefusedEvent),
    /// Ask a quality service; the answer comes back as [`Input::Quality`].
    AskQuality(Box<QualityRequest>),
    /// A frame named another user: one structured record for the audit log, without content, rate-limited.
    Audit(Box<Audit>),
    /// What became of a delivery whose account was asked for.
    Receipt(Box<Receipt>),
    /// Ask the shared store; the answer comes back as [`Input::Stored`].
    Store(Box<store::Request>),
    /// The run's events wait for the store: its agent should say nothing more until [`Effect::ResumeRun`].
    PauseRun {
        /// Which run.
        run: RunRef,
    },
    /// The run's agent may go on.
    ResumeRun {
        /// Which run.
        run: RunRef,
    },
    /// What became of [`Input::Redrive`].
    Redriven(Box<Redriven>),
    /// [`Input::SweepIdle`] closed that many connections.
    Swept {
        /// How many.
        connections: u32,
    },
    /// The drain is complete: no run and no connection is left.
    Drained,
}

// A fan-out writes one effect per recipient: what is rare and large is boxed.
const _: () = assert!(size_of::<Effect>() <= 24);

/// One record for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The connection the frame came from.
    pub conn: ConnId,
    /// Its authenticated user.
    pub user: UserId,
    /// The code of the refusal.
    pub code: ErrorCode,
    /// Where in the frame, e.g. `payload.items[2].user_id`.
    pub path: String,
    /// How many such records were left out since the last one.
    pub suppressed: u64,
}

/// Why an agent must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// The user asked for it.
    Stopped,
    /// The run's deadline passed.
    TimedOut,
    /// The drain deadline passed.
    Shutdown,
    /// Another node owns the run by now, or the store does not take its events: nobody waits for this agent.
    Fenced,
}

/// Why the router wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A connection's set-up, heartbeat, slow-reader grace or token expiry.
    Connection,
    /// A run's deadline.
    Run,
    /// A tool call's deadline.
    Tool,
    /// A user's recovery window.
    User,
    /// A quality service that does not answer.
    Ask,
    /// The drain deadline.
    Drain,
    /// A batch, or a handler's answer for later.
    Handler,
    /// The shared store: leases, liveness, requests to be made again.
    Store,
    /// The queue: dead letters that were kept long enough, users to be told of some.
    Queue,
}
