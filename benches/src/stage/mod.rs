//! What a trial with real processes needs around it: servers of ours, a Redis of its own, a wire that can be cut.
//!
//! Each is ended when it goes out of scope.

mod node;
mod redis;
mod wire;

use std::fmt;

pub use self::{
    node::Node,
    redis::Redis,
    wire::{Flow, Wire},
};

/// Why the stage could not be set.
#[derive(Debug)]
pub struct StageError(String);

impl StageError {
    pub(crate) fn new(what: &str, why: impl fmt::Display) -> Self {
        Self(format!("{what}: {why}"))
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StageError {}
