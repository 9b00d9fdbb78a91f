//! Frames as they leave the router.

mod event;
mod handler;
mod reply;
mod writer;

pub(crate) use event::{EventHead, Own, cut, event, recovered};
pub(crate) use handler::{BatchedMessage, batch, direct_message, json_rpc_error, json_rpc_result};
pub(crate) use reply::{
    ServerData, ack, duplicate, error, gap, resumed, server_message, stopped, subscription,
};
pub(crate) use writer::{Writer, push_integer};
