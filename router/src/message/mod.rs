//! Inbound messages: the type table, the one checking pass, and the envelope it yields.

mod envelope;
mod frontend;
mod jsonrpc;
mod kind;
mod scan;
mod timestamp;

pub use envelope::{Envelope, Fault, Fields, Raw};
pub use frontend::frontend_name;
pub use jsonrpc::JsonRpc;
pub use kind::{Kind, TypeFault};
pub(crate) use scan::skip_plain;
pub use scan::{MAX_NUMBER_DIGITS, NESTING_MAX, scan};
pub(crate) use timestamp::parse_text as parse_timestamp_text;
pub use timestamp::{is_trusted as is_trusted_timestamp, parse as parse_timestamp};
