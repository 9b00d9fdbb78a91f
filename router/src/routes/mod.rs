//! Messages from service to service: routes with exact keys, middleware before them, a bounded history per user.
//!
//! A host installs [`RouteHandler`]s under keys and [`Middleware`] before all of them, and hands messages to
//! [`Router::dispatch`](crate::Router::dispatch). This needs no socket, and no client ever sees it.
//!
//! # Order of steps
//! 1. Middleware in the order of installation. Each may amend the message, redirect it, put another in its place or
//!    drop it. One that fails drops the message and is named in the answer.
//! 2. The route: the destination is an exact key. There are no patterns, and no trimming; case matters; the empty
//!    text is a key as any other.
//! 3. Its handlers in the order of installation; one that was installed twice runs twice. One that fails keeps its
//!    place in the answer, and the others run nevertheless.
//! 4. The message goes into the history: as it came, and as it was left.
//!
//! The answer, [`Dispatched`], keeps apart what looks alike in a bare value: that one of two handlers failed, that a
//! handler answered with a list, that all failed, that there was none, that the message was dropped.
//!
//! # Guarantees
//! - **Equal messages take equal ways.** Nothing here reads a clock or depends on the order of a hash map. Handlers
//!   and middleware owe the same; see [`RouteHandler`].
//! - **No re-entrance.** A handler gets the message and nothing else, so it cannot dispatch; and a message runs
//!   through the routes as they were when it started ([`Started`]).
//! - **A panic in a handler** reaches the caller, and leaves the router as if the message had never come.
//! - **Users stay apart.** The user of a message never changes on its way. Each user whom the router knows has a
//!   history of its own, bounded by [`Config::route_history_messages_max`] and [`Config::route_history_bytes_max`];
//!   it goes with the user, at the end of the recovery window. Of a user whom the router does not know, nothing is
//!   kept.
//! - **All is counted** in [`Stats::dispatches`](crate::Stats::dispatches).
//!
//! # Start and stop
//! [`Router::start`](crate::Router::start) and [`Router::stop`](crate::Router::stop) set a figure, `active`, that is
//! false at first and that decides about nothing: messages are dispatched in either state. The real stop is
//! [`Input::Drain`](crate::Input::Drain): from then on a dispatch is refused ([`Refused::ShuttingDown`]).
//!
//! # Example
//! ```
//! use std::sync::Arc;
//!
//! use router::{
//!     Config, Instant, Router,
//!     routes::{Dispatched, Draft, Envelope, Failure, Purpose, Verdict},
//! };
//! use serde_json::json;
//!
//! let mut router = Router::new(Config::default()).expect("valid");
//! router
//!     .add_middleware(Arc::new(|message: &mut Draft| {
//!         message.headers_mut().insert("seen".into(), json!(true));
//!         Ok(Verdict::Pass)
//!     }))
//!     .expect("room");
//! router.add_route("billing", Arc::new(|message: &mut Draft| Ok(message.payload()["cents"].clone()))).expect("room");
//! router.add_route("billing", Arc::new(|_: &mut Draft| Err(Failure::new("the ledger is closed")))).expect("room");
//!
//! let message = Envelope {
//!     id: "m1".into(),
//!     purpose: Purpose::Command,
//!     source: "shop".into(),
//!     destination: Some("billing".into()),
//!     payload: json!({"cents": 1250}),
//!     ..Envelope::default()
//! };
//! let now = Instant::from_micros(1_700_000_000_000_000);
//! let Ok(Dispatched::Results(results)) = router.dispatch(now, message) else { panic!("routed") };
//! assert_eq!(results[0], Ok(json!(1250)));
//! assert_eq!(results[1].as_ref().unwrap_err().failure.0, "the ledger is closed");
//!
//! let record = router.history(None).next().expect("kept");
//! assert!(record.received().headers.is_empty());
//! assert_eq!(record.left().headers["seen"], true);
//! ```
//!
//! [`Config::route_history_messages_max`]: crate::Config::route_history_messages_max
//! [`Config::route_history_bytes_max`]: crate::Config::route_history_bytes_max

mod dispatch;
mod draft;
mod envelope;
mod history;
mod pipeline;

pub(crate) use self::dispatch::Routes;
pub use self::{
    dispatch::{Figures, Finished, Full, Refused, Started},
    draft::Draft,
    envelope::{Envelope, NotAMessage, Purpose},
    history::Record,
    pipeline::{
        Dispatched, DropReason, Failure, HandlerFailed, Middleware, Pipeline, Place, RouteHandler, Verdict,
    },
};
