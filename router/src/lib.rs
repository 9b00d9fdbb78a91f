//! The canonical router: a sans-IO, deterministic core.
//!
//! Nothing in this crate reads a clock, opens a socket, draws a random number or starts a thread; `no_std`
//! lets the compiler keep that promise. Time is an argument, every input and every effect stands on one
//! page ([`contract`]), and the same inputs give the same effects in any process.
//!
//! # Map
//! | module | what it knows |
//! |---|---|
//! | [`contract`] | every input, every effect, the loop that joins them |
//! | [`config`] | every limit, with its unit last in its name |
//! | [`router`] | the order of steps: timers, session, envelope, handler, effects |
//! | [`routes`] | messages between services: exact routes, middleware, a history per user |
//! | [`message`] | message types and aliases, the one checking pass over a frame, the envelope |
//! | [`handlers`] | custom handlers of the host, the built-in ones, profiles |
//! | [`audience`] | the isolation boundary: who may be written to, and the value that proves it |
//! | [`run`] | the automaton of the five events |
//! | [`queue`] | what waits: lanes, leases, retries, dead letters, fair to its users |
//! | [`quality`] | what quality messages ask for, and the embedded services that answer |
//! | [`wire`] | frames as they leave: run events, replies, errors; what is taken out of agents' values |
//! | [`error`] | the codes a client can meet |
//! | [`store`] | what is asked of a store that several nodes share, and what its answers mean |
//! | [`waiting`] | what of the router waits in that queue, and what keeps it |
//! | [`tools`] | tool calls: one dispatcher per run, permissions, validation |
//! | [`fingerprint`] | what of a router's state can change what it does next |
//! | [`stats`] | outcome accounting that adds up at every step |
//! | [`compat`] | the names of the routers before this one, as thin adapters; on its way out |
//!
//! # Example
//! ```
//! use router::{Config, Connect, Effect, Effects, Input, Instant, Router, Ticket};
//!
//! let mut router = Router::new(Config::default()).expect("the defaults are valid");
//! let mut out = Effects::new();
//! let now = Instant::from_micros(1_700_000_000_000_000);
//! router.handle(now, Input::Connect(Connect::new(Ticket(7), "ada")), &mut out);
//! let conn = out.iter().find_map(|e| match e {
//!     Effect::Accepted { conn, .. } => Some(*conn),
//!     _ => None,
//! }).expect("accepted");
//!
//! out.clear();
//! router.handle(now, Input::Text { conn, text: r#"{"type":"ping"}"# }, &mut out);
//! let reply = out.frames_to(conn).next().expect("a pong");
//! assert!(reply.as_str().starts_with(r#"{"type":"pong""#));
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

/// Whether a defect is planted; `false`, and nothing else, without the feature `mutants`.
macro_rules! mutant {
    ($config:expr, $name:ident) => {{
        #[cfg(feature = "mutants")]
        {
            $config.mutant == Some($crate::Mutant::$name)
        }
        #[cfg(not(feature = "mutants"))]
        {
            let _ = &$config;
            false
        }
    }};
}

pub mod audience;
mod cluster;
pub mod compat;
pub mod config;
pub mod contract;
mod dedupe;
pub mod error;
pub mod fingerprint;
pub mod handlers;
pub mod message;
#[cfg(feature = "mutants")]
pub mod mutant;
pub mod quality;
pub mod queue;
pub mod router;
pub mod routes;
pub mod run;
pub mod stats;
pub mod store;
mod timers;
pub mod tools;
pub mod waiting;
pub mod wire;

pub use crate::audience::{Connection, Pool};
pub use crate::cluster::ClusterConfig;
pub use crate::config::{Config, ConfigError};
pub use crate::contract::{
    AgentEvent, AskRef, Audit, Authority, CancelReason, CancelledTool, Close, ConnId, Connect, Context,
    Deliver, Delivery, DeliveryRefusal, DeliveryState, Effect, Effects, EventRef, Frame, FrameIx, Input,
    Instant, Missed, OwnedEvent, QualityAnswer, QualityNews, QualityQuestion, QualityRequest, Receipt,
    ReceiptId, Refusal, RefusedEvent, RunRef, RunRequest, Target, Ticket, Tier, ToolAnswer, ToolFailure,
    ToolOutcome, ToolRefusal, ToolRefusalReason, ToolRequest, ToolStatus, ToolStep, UserId, Violation, Wake,
};
pub use crate::error::ErrorCode;
pub use crate::handlers::{BuiltIn, Handler, HandlerFault, HandlerId, Incoming, KindSet, Profile, Replies};
pub use crate::message::Kind;
#[cfg(feature = "mutants")]
pub use crate::mutant::Mutant;

pub use crate::router::{Router, Sizes, UserHandle};
pub use crate::run::Rule;
pub use crate::stats::{Outcome, Stats};
pub use crate::waiting::{Letter, QueueStats, RedriveRefusal, Redriven};
