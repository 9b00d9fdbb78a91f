//! The emitter, the bridge, and the way of a run's events.

use super::{Hazard, Row};

pub(super) const ROWS: &[Row] = &[
    Row::within(
        Hazard::G0,
        "endpoint",
        "the five client types and ping are taken for progress: no agent, no pong",
    ),
    Row::within(Hazard::G1, "endpoint", "the socket is never registered: every event finds no connection"),
    Row::crossing(
        Hazard::G2,
        "endpoint",
        "each connection adds a handler for everybody: the first user's serves all",
    ),
    Row::within(Hazard::G3, "bridge", "an alias of a message calls a method that does not exist"),
    Row::within(
        Hazard::G4,
        "bridge",
        "the fallback handler passes an id where a context is wanted: the error is swallowed",
    ),
    Row::crossing(
        Hazard::G5,
        "bridge",
        "the thread id is taken for a user id: events wait in the wrong queue and count as sent",
    ),
    Row::within(Hazard::G6, "bridge", "`agent_thinking` is never sent"),
    Row::within(Hazard::G7, "bridge", "`agent_completed` is refused for want of a request id"),
    Row::within(Hazard::G8, "emitter", "a `type` in the caller's data replaces the event's type"),
    Row::within(Hazard::G9, "emitter", "results and answer are left in metadata: the wire has defaults"),
    Row::within(
        Hazard::G10,
        "emitter",
        "a failed send counts as delivered, and is replayed late in another form",
    ),
    Row::within(Hazard::G11, "emitter", "the tab whose send failed loses the event for ever"),
    Row::within(Hazard::G12, "emitter", "an event while nobody is connected is dropped without a trace"),
    Row::crossing(
        Hazard::G13,
        "emitter",
        "a pooled emitter changes its context: the first run's events carry the second run's ids",
    ),
    Row::within(
        Hazard::G14,
        "emitter",
        "without a context the five are refused and all others pass unchecked",
    ),
    Row::within(Hazard::G15, "emitter", "each emitter leaves an endless task behind"),
    Row::within(
        Hazard::G16,
        "endpoint",
        "the receive loop waits for the run: no ping, stop or second message is read",
    ),
    Row::within(Hazard::G17, "endpoint", "valid JSON that is no object ends the connection"),
    Row::within(Hazard::G18, "bridge", "`stop_agent` is answered, and the run goes on"),
    Row::within(Hazard::G19, "endpoint", "some modes end at the first message or heartbeat"),
    Row::crossing(
        Hazard::G20,
        "supervisor",
        "user and thread stand in a shared supervisor: concurrent runs overwrite each other",
    ),
    Row::within(
        Hazard::G21,
        "supervisor",
        "a cache by object identity returns another user's handler, or waits for itself",
    ),
    Row::within(Hazard::G22, "bridge", "two parts report the end: it comes twice, once without a run id"),
    Row::within(Hazard::G23, "bridge", "what clients confirm closes nothing; event ids collide"),
    Row::within(Hazard::G24, "bridge", "a retry changes a status and sends nothing"),
    Row::crossing(Hazard::G25, "emitter", "a foreign id in an event is rewritten and delivered"),
    Row::crossing(Hazard::G26, "bridge", "without a context the thread id stands in for the user"),
    Row::within(Hazard::G27, "bridge", "a lost socket fails the run"),
    Row::within(Hazard::G28, "validator", "order is checked on first occurrences only"),
    Row::within(Hazard::G29, "validator", "a missing user ends the validator with a type error"),
    Row::within(Hazard::G30, "emitter", "debug output on the hot path; every run id is suspicious"),
    Row::within(Hazard::G31, "emitter", "new events are sent while older ones are replayed"),
    Row::within(Hazard::G32, "endpoint", "messages are processed before the connection is set up"),
];
