//! The old names over the canonical router, for call sites that have not moved yet.
//!
//! A facade has the name and the methods of a class that this router replaces. It is an adapter and nothing else: it
//! translates arguments into a canonical call and the answer back into the old form. Who gets what is decided by
//! [`Router`](crate::Router) alone; a facade cannot make an effect or a frame.
//!
//! # Shape
//! Facades of one process share one router, as their originals should have. So a facade does not own it. It is a small
//! value that lives where the old object lived; the router is [`Lent`] to it for a call, with the time and the effects
//! that the canonical call takes. Behind [`over`](MessageRouter::over) the old calls have the old arguments:
//!
//! ```
//! # #![allow(deprecated)]
//! # use router::{Config, Connect, Effect, Effects, Input, Instant, Router, Ticket, compat::{Lent, WebSocketBroadcastService}};
//! # use serde_json::json;
//! # let (mut router, mut out, mut receipts) = (Router::new(Config::default()).expect("valid"), Effects::new(), 0);
//! # let now = Instant::from_micros(1_700_000_000_000_000);
//! let mut service = WebSocketBroadcastService::new();
//! let mut lent = Lent::new(&mut router, now, &mut out, &mut receipts);
//! let pending = service.over(&mut lent).broadcast_to_user("ada", &json!({"type": "note"}));
//! // Where the old call was awaited: the account comes as an effect, when the sockets have written.
//! # let receipt = out.iter().find_map(|effect| match effect {
//! #     Effect::Receipt(receipt) => Some((**receipt).clone()),
//! #     _ => None,
//! # }).expect("nobody is connected, so the account is there at once");
//! let result = pending.settle(&receipt).expect("the receipt of this call");
//! assert_eq!((result.successful_sends, result.queued), (0, 1));
//! assert_eq!(service.compat_uses().of("broadcast_to_user"), 1);
//! ```
//!
//! # Leaving
//! Every facade and each of its methods is deprecated, and its note names the canonical call. Each facade counts the
//! calls of each method in its own value ([`Uses`]); one whose counts stay at zero is free to delete.
//! `docs/migration.md` says in which order to go, and what is different on purpose.

#![expect(deprecated, reason = "facades are written in terms of each other; they leave together")]

mod broadcast;
mod core_router;
mod event_router;
mod lent;
mod message_router;
mod pending;
mod quality;
mod scoped_router;
mod tools;
mod uses;

pub use self::{
    broadcast::{BroadcastResult, WebSocketBroadcastService},
    core_router::CoreRouter,
    event_router::WebSocketEventRouter,
    lent::{Lent, Over},
    message_router::MessageRouter,
    pending::{Awaited, Pending},
    quality::QualityMessageRouter,
    scoped_router::UserScopedWebSocketEventRouter,
    tools::UnifiedToolDispatcher,
    uses::Uses,
};
