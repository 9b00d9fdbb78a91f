//! Frames as they leave the router, and builders for those of a host.

mod build;
mod deliver;
mod event;
mod given;
mod handler;
mod members;
mod quality;
mod reply;
pub mod sanitise;

mod shape;
mod writer;

pub use build::{BuildFault, ErrorMessage, RESERVED_KEYS, ServerMessage, StandardMessage, nested_error};
pub(crate) use deliver::{Stamp, begin_delivered, delivered_type, end_delivered};
pub(crate) use event::{EventHead, Own, cut, event, placed, recovered};
pub use given::death_message;
pub(crate) use given::{Context, Read, read};
pub(crate) use handler::{BatchedMessage, batch, direct_message, json_rpc_error, json_rpc_result};
pub(crate) use quality::{quality_news, quality_reply, quality_report, response_judged};
pub(crate) use reply::{
    ServerData, ack, duplicate, error, gap, resumed, server_message, stopped, subscription,
};
pub(crate) use writer::{Writer, push_integer};
