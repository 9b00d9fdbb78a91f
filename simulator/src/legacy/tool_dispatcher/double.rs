//! The test double: it stood in for a dispatcher, and answered for anything.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Answer, Raised};
use crate::legacy::{Hazard, Hazards};

/// Time that each call of the double takes, in microseconds.
const TAKES_US: u64 = 100_000;

/// The test double of a dispatcher.
#[derive(Debug)]
pub struct Double {
    hazards: Hazards,
    tools: BTreeSet<String>,
    active: bool,
    calls: u64,
}

impl Double {
    /// A double with tools.
    pub fn new(hazards: Hazards, tools: impl IntoIterator<Item = String>) -> Self {
        Self { hazards, tools: tools.into_iter().collect(), active: true, calls: 0 }
    }

    /// Calls a tool: its answer, and the microseconds that this takes.
    ///
    /// # Errors
    /// After the clean-up, unless `T27` is on.
    pub fn dispatch(&mut self, tool: &str, parameters: &Value) -> Result<(Answer, u64), Raised> {
        if !self.hazards.has(Hazard::T27) {
            if !self.active {
                return Err(Raised::new("RuntimeError", "the dispatcher has been disposed"));
            }
            if !self.tools.contains(tool) {
                return Ok((Answer::Refused(format!("Tool {tool} not found")), 0));
            }
        }
        self.calls += 1;
        let result = json!({"mock": true, "tool_name": tool, "parameters": parameters});
        Ok((Answer::Success(result), TAKES_US))
    }

    /// Calls that were answered.
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// Cleans it up.
    pub fn clean_up(&mut self) {
        self.active = false;
    }
}
