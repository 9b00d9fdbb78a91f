//! Frames as they leave the router.

mod deliver;
mod event;
mod given;
mod handler;
mod members;
mod quality;
mod reply;
pub mod sanitise;
mod writer;

pub(crate) use deliver::{Stamp, begin_delivered, delivered_type, end_delivered};
pub(crate) use event::{EventHead, Own, cut, event, recovered};
pub use given::death_message;
pub(crate) use given::{Context, Read, read};
pub(crate) use handler::{BatchedMessage, batch, direct_message, json_rpc_error, json_rpc_result};
pub(crate) use quality::{quality_news, quality_reply, quality_report, response_judged};
pub(crate) use reply::{
    ServerData, ack, duplicate, error, gap, resumed, server_message, stopped, subscription,
};
pub(crate) use writer::{Writer, push_integer};
