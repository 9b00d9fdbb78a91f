//! The primary message router and its endpoint.

use super::{Hazard, Row};

pub(super) const ROWS: &[Row] = &[
    Row::within(
        Hazard::H1,
        "message_router",
        "a type that is also an outbound name is taken for progress: pings and messages are swallowed",
    ),
    Row::within(
        Hazard::H2,
        "message_router",
        "agent requests end in an error that quotes an internal variable",
    ),
    Row::crossing(
        Hazard::H3,
        "message_router",
        "each connection adds a handler that serves everybody: a message reaches another user's bridge",
    ),
    Row::within(Hazard::H4, "message_router", "those handlers are never removed"),
    Row::within(
        Hazard::H5,
        "message_router",
        "the handler of agent messages calls a method that its bridge lacks: no answer",
    ),
    Row::within(Hazard::H6, "message_router", "the agent handler calls its service with wrong arguments"),
    Row::within(
        Hazard::H7,
        "endpoint",
        "a frame that is no object, nests deep or holds a huge number ends the connection without an error",
    ),
    Row::within(
        Hazard::H8,
        "message_router",
        "a bad payload, thread id, type or an absent text is dropped in silence",
    ),
    Row::within(Hazard::H9, "message_router", "a message that nobody handled counts as a success"),
    Row::within(Hazard::H10, "message_router", "batches are counted as sent and never transmitted"),
    Row::within(Hazard::H11, "message_router", "tables by user and by error text grow for ever"),
    Row::within(
        Hazard::H12,
        "message_types",
        "nonsense numbers pass as times; what is no number goes out as bare NaN",
    ),
    Row::within(
        Hazard::H13,
        "message_router",
        "the acknowledgement of an unknown type echoes it at any length",
    ),
    Row::within(
        Hazard::H14,
        "message_router",
        "names of an internal enumeration stand in frames and statistics",
    ),
    Row::within(Hazard::H15, "message_router", "the caller's message is changed while it is routed"),
    Row::within(
        Hazard::H16,
        "message_router",
        "a lost reply counts as a success in some handlers and as a failure in others",
    ),
    Row::within(Hazard::H17, "message_router", "liveness is checked before the send and from one side only"),
    Row::within(
        Hazard::H18,
        "endpoint",
        "the receive loop waits for the handler: nothing else of the connection is read meanwhile",
    ),
    Row::within(
        Hazard::H19,
        "message_router",
        "a send that failed half way is repeated: the reply comes twice",
    ),
    Row::within(Hazard::H20, "endpoint", "a frame that arrives with the idle timeout is lost"),
    Row::crossing(Hazard::H21, "endpoint", "people of the demonstration level share one user id"),
    Row::crossing(Hazard::H22, "message_router", "the user id in an envelope is believed"),
    Row::within(
        Hazard::H23,
        "message_types",
        "a standard JSON-RPC request without a type is taken for an unknown type",
    ),
    Row::within(
        Hazard::H24,
        "message_router",
        "statistics by handler name merge two handlers; a snapshot changes under its reader",
    ),
    Row::crossing(
        Hazard::H25,
        "message_router",
        "figures and readiness are one for the whole process and read the wall clock",
    ),
    Row::within(Hazard::H26, "message_router", "a router without an agent handler reports itself ready"),
    Row::within(Hazard::H27, "message_router", "any caller removes a built-in handler for everybody"),
    Row::within(
        Hazard::H28,
        "endpoint",
        "some modes build messages of types that their constructor refuses: the loop ends",
    ),
    Row::within(Hazard::H29, "message_types", "an outbound name that comes back in means something else"),
    Row::within(
        Hazard::H30,
        "message_router",
        "a socket that carries the mark of a test double counts as live",
    ),
];
