//! Tool engine: between an agent's tool calls and the events that its user sees of them.
//!
//! An agent's `tool_executing` is its call, its `tool_completed` the end of the tool's body. The engine keeps the calls
//! that are active and passes on what is to be emitted.

use std::collections::BTreeMap;

use router::{OwnedEvent, RunRef};

use super::agents::Context;
use super::common::Common;

/// The tool engine, with the dispatchers of the runs at work.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// Active calls and their tools' names, by run and call.
    active: BTreeMap<(RunRef, String), String>,
}

impl Tools {
    /// Takes in an event of a run: what is to be emitted for it.
    pub(super) fn pass(
        &mut self,
        _common: &mut Common,
        context: &Context,
        event: OwnedEvent,
    ) -> Vec<Emitted> {
        let mut tool_name = None;
        if let OwnedEvent::ToolExecuting { call, tool, .. } = &event {
            self.active.insert((context.run, call.clone()), tool.clone());
        } else if let OwnedEvent::ToolCompleted { call, .. } = &event {
            tool_name = self.active.remove(&(context.run, call.clone()));
        }
        vec![Emitted { event, tool_name }]
    }

    /// The run is over: its dispatcher is cleaned up.
    pub(super) fn clean_up(&mut self, run: RunRef) {
        self.active.retain(|(of, _), _| *of != run);
    }

    /// Calls that are active.
    pub(super) fn active(&self) -> u64 {
        self.active.len() as u64
    }
}

/// An event on its way to the emitter.
#[derive(Clone, Debug)]
pub(super) struct Emitted {
    pub(super) event: OwnedEvent,
    /// The tool of a call that ended.
    pub(super) tool_name: Option<String>,
}
