//! Frames as they leave the router.

mod deliver;
mod event;
mod reply;
mod writer;

pub(crate) use deliver::{Stamp, begin_delivered, delivered_type, end_delivered};
pub(crate) use event::{EventHead, Own, cut, event, recovered};
pub(crate) use reply::{
    ServerData, ack, duplicate, error, gap, resumed, server_message, stopped, subscription,
};
pub(crate) use writer::{Writer, push_integer};
