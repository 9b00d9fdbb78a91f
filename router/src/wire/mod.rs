//! Frames as they leave the router, and builders for those of a host.

mod build;
mod event;
mod reply;
mod shape;
mod writer;

pub use build::{BuildFault, ErrorMessage, RESERVED_KEYS, ServerMessage, StandardMessage, nested_error};
pub(crate) use event::{EventHead, Own, cut, event, recovered};
pub(crate) use reply::{
    ServerData, ack, duplicate, error, gap, resumed, server_message, stopped, subscription,
};
pub(crate) use writer::{Writer, push_integer};
