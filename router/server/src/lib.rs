//! The tokio shell around the canonical router: real sockets, tokens, clocks and metrics.
//!
//! Nothing here decides about a message. A socket's bytes become an [`Input`](router::Input), the core's
//! [`Effect`](router::Effect)s become bytes; whoever looks for a rule finds it in the `router` package.
//!
//! # Map
//! | module | what it knows |
//! |---|---|
//! | `server` | listening, accepting, the orderly stop |
//! | `handshake` | from the first byte of a socket to a connection: HTTP head, token, upgrade |
//! | `http` | the plain answers beside the WebSocket: `/healthz`, `/readyz`, `/metrics` |
//! | `admin` | what operators ask for |
//! | `connection` | one small task per socket |
//! | `driver` | owns the router: time in, effects out, in order |
//! | `guard` | a panic in the host's code ends there |
//! | `clock` | time, and a fresh name for each start |
//! | [`auth`] | tokens |
//! | [`agents`] | who works on a run; the scripted agent |
//! | [`tools`] | what agents may call |
//! | [`quality`] | who answers questions about quality |
//! | [`store`] | the store that several nodes share, on Redis |
//! | `metrics` | the router's counters as Prometheus text |
//! | `tls` | certificates |
#![forbid(unsafe_code)]

mod admin;
pub mod agents;
pub mod auth;
mod clock;
mod connection;
mod deliver;
mod driver;
mod guard;
mod handshake;
mod http;
mod metrics;
pub mod quality;
mod server;
pub mod store;
mod tls;
pub mod tools;

pub use crate::admin::AdminToken;
pub use crate::deliver::Recipients;
pub use crate::server::{HandlerMaker, Server, ServerConfig, ServerError, ServerHandle, Stopped};
pub use crate::tls::{TlsError, TlsFiles};

/// The examples of the migration guide, compiled and run with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/migration.md")]
struct MigrationGuide;
