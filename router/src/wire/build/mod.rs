//! Messages that a host builds, checked while they are built: nothing malformed gets as far as a socket.
//!
//! | builder | shape | for |
//! |---|---|---|
//! | [`ServerMessage`] | `{type, data, timestamp, server_id, correlation_id}` | what a server tells a client |
//! | [`ErrorMessage`] | `{type:"error_message", error_code, error_message, details, timestamp, recovery_suggestions}` | errors of a host's own |
//! | [`StandardMessage`] | `{type, payload, timestamp, message_id, user_id, thread_id}` | what a client sends: bridges, tools, tests |
//!
//! The router's own replies and these share one writer of the shapes.

mod error;
mod server;
mod standard;

use alloc::{borrow::Cow, collections::BTreeMap};
use core::fmt;

use serde_json::value::RawValue;

pub use self::{
    error::{ErrorMessage, nested_error},
    server::ServerMessage,
    standard::{RESERVED_KEYS, StandardMessage},
};
use crate::message::{Fault, Kind, TypeFault};

/// Why a message cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildFault {
    /// The object has no `type`.
    TypeMissing,
    /// The type names no kind.
    Type(TypeFault),
    /// This member must be a JSON object.
    NotAnObject(&'static str),
    /// This member must be a text with more than white space in it.
    Blank(&'static str),
    /// The payload has a member of this name, which is reserved: [`RESERVED_KEYS`].
    Reserved(&'static str),
    /// A message of this kind needs a payload that is not empty.
    PayloadEmpty(Kind),
    /// The payload's `request` must be an object or a text.
    BadRequest,
    /// The router would refuse the message, for this fault.
    Refused(Fault),
}

impl fmt::Display for BuildFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildFault::TypeMissing => f.write_str("the object has no type"),
            BuildFault::Type(fault) => fault.fmt(f),
            BuildFault::NotAnObject(member) => write!(f, "{member} must be an object"),
            BuildFault::Blank(member) => write!(f, "{member} must be a text that is not blank"),
            BuildFault::Reserved(key) => write!(f, "the payload's member {key} is reserved"),
            BuildFault::PayloadEmpty(kind) => write!(f, "{} needs a payload", kind.name()),
            BuildFault::BadRequest => f.write_str("the payload's request must be an object or a text"),
            BuildFault::Refused(fault) => write!(f, "refused with {} at {}", fault.code, fault.path),
        }
    }
}

impl core::error::Error for BuildFault {}

impl From<TypeFault> for BuildFault {
    fn from(fault: TypeFault) -> Self {
        BuildFault::Type(fault)
    }
}

/// The members of an object, sorted by key; of repeated keys the last.
type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

fn members<'a>(object: &'a RawValue, what: &'static str) -> Result<Members<'a>, BuildFault> {
    serde_json::from_str(object.get()).map_err(|_| BuildFault::NotAnObject(what))
}

/// The value if it is an object, nothing if it is null.
fn object_or_null<'a>(value: &'a RawValue, what: &'static str) -> Result<Option<&'a RawValue>, BuildFault> {
    match value.get().as_bytes().first() {
        Some(b'{') => Ok(Some(value)),
        Some(b'n') => Ok(None),
        _ => Err(BuildFault::NotAnObject(what)),
    }
}
