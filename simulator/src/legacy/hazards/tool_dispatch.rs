//! The tool dispatchers and the engine behind them.

use super::{Hazard, Row};

pub(super) const ROWS: &[Row] = &[
    Row::within(Hazard::T1, "dispatcher", "the registry lacks the methods that the dispatcher calls"),
    Row::within(Hazard::T2, "dispatcher", "a call without a context ends in an error about the error"),
    Row::within(Hazard::T3, "dispatcher", "a call with a context never succeeds"),
    Row::within(Hazard::T4, "factory", "a dispatcher made by the factory emits no events"),
    Row::within(Hazard::T5, "dispatcher", "a dispatcher made with an emitter emits no events"),
    Row::within(Hazard::T6, "engine", "the deadline is read and never applied"),
    Row::within(Hazard::T7, "engine", "a tool's error is replaced by an error about the error"),
    Row::within(Hazard::T8, "engine", "a failed tool counts as a success"),
    Row::within(Hazard::T9, "engine", "calls on one path are not counted"),
    Row::within(Hazard::T10, "engine", "two calls in one millisecond share an execution id"),
    Row::within(Hazard::T11, "engine", "a call that fails early stays in the table of active ones"),
    Row::within(Hazard::T12, "engine", "the forced clean-up of a user cleans nothing"),
    Row::crossing(Hazard::T13, "factory", "the first user's event sink serves the users after it"),
    Row::within(Hazard::T14, "factory", "the count of active dispatchers never falls"),
    Row::within(Hazard::T15, "permission", "the highest plan is refused what the plan below it may use"),
    Row::within(
        Hazard::T16,
        "permission",
        "slots are counted over all tools and compared with each tool's limit",
    ),
    Row::within(Hazard::T17, "permission", "no call is checked for permission at all"),
    Row::within(Hazard::T18, "facade", "a wrapper takes fewer arguments than its callers pass"),
    Row::within(Hazard::T19, "facade", "an instance is relabelled to a class without methods"),
    Row::within(Hazard::T20, "factory", "an administrator's dispatcher can never be built"),
    Row::within(Hazard::T21, "factory", "the list of tools is lost on the way to the dispatcher"),
    Row::within(Hazard::T22, "factory", "three layers of redirects log every request"),
    Row::within(
        Hazard::T23,
        "dispatcher",
        "clean-up calls a method that the emitter lacks: its timer lives on",
    ),
    Row::within(Hazard::T24, "engine", "an empty or zero result goes out as null"),
    Row::within(Hazard::T25, "engine", "the tool's name goes out as the run id"),
    Row::within(Hazard::T26, "engine", "a branch of the engine names what is not defined"),
    Row::within(Hazard::T27, "mock", "a test double succeeds for any tool, after clean-up too"),
];
