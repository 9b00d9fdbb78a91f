//! Tools: one dispatcher per execution context, and what all of them share.
//!
//! | piece | what it knows |
//! |---|---|
//! | [`Toolbox`] | the catalogue, the limits per user, the permission layer; the only maker of dispatchers |
//! | [`Dispatcher`] | one context, its own tools, its calls in flight, its figures |
//! | [`Permissions`] | the row of checks, sliding windows, slots, the audit log |
//! | [`validate`] | what a call must look like, the sanitiser |
//! | [`summary`], [`estimate_ms`], [`remaining_ms`] | what a user is shown |
//!
//! The router keeps the dispatcher of a run in the run itself, made at its first tool step, and publishes the events of
//! its calls on that run's stream. A dispatcher has no sink of its own that somebody could set, so there is nothing by
//! which one user's events could be wired to another; and there is no shared dispatcher to leave anything behind in.
//!
//! The order of one call: disposed? the bound run? a known tool? valid? permitted? then `tool_executing`, the tool under
//! its deadline, `tool_completed` once, whatever happened, the figures, the answer. A refused call has no events.

mod context;
mod digest;
mod dispatcher;
mod figures;
mod permission;
mod policy;
mod steps;
mod text;
mod toolbox;
pub mod validate;

pub use self::{
    context::{Context, ContextError, ContextFault},
    dispatcher::{Begun, Dispatcher, Ended, Ending, Figures},
    figures::{Health, OpenError, ToolLimits, ToolStats},
    permission::{Permission, PermissionCounts, PermissionRecord, PermissionResult, Permissions},
    policy::{Grants, Level, ParameterRule, Person, Plan, PlanRank, Policy},
    text::{estimate_ms, remaining_ms, summary},
    toolbox::{Call, Toolbox},
};
