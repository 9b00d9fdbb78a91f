//! The codes a client can meet. They are API: a code never changes its meaning.

use core::fmt;

/// Why a frame, a connection or a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// Not JSON (RFC 8259): syntax, a lone surrogate, `NaN`, a byte-order mark, nothing at all.
    JsonParseError,
    /// JSON, but not an object.
    NotAnObject,
    /// A member of the envelope has the wrong type or stands there twice; or an id of a user is not a text.
    BadField,
    /// `payload` is there but not an object.
    BadPayload,
    /// A number that is not finite as a 64-bit float, or has more than 64 digits.
    BadNumber,
    /// More bytes than a message may have; the connection lives.
    TooLarge,
    /// Containers nested deeper than allowed.
    TooDeep,
    /// Binary frames are not spoken here.
    BinaryRefused,
    /// The frame names another user.
    ForeignUserId,
    /// The thread belongs to another user.
    ForeignThread,
    /// A chat message without text.
    EmptyMessage,
    /// A handler failed; the connection lives.
    HandlerError,
    /// No agent can take the message.
    AgentUnavailable,
    /// The user has as many open runs as allowed.
    RunLimit,
    /// The user has as many connections as allowed.
    ConnectionLimit,
    /// The name of the connection is another user's.
    ConnectionNameTaken,
    /// The user sends faster than allowed.
    RateLimited,
    /// A bounded buffer is full.
    Overloaded,
    /// The router drains.
    ShuttingDown,
    /// No valid token.
    AuthFailed,
    /// A service behind the router is not ready.
    ServiceNotReady,
    /// The shared store cannot be reached; nothing was taken in.
    BackendUnavailable,
    /// Whether the message was taken in is not known; the same message id may be sent again.
    UnknownOutcome,
}

impl ErrorCode {
    /// All codes, in the order of their declaration.
    pub const ALL: [ErrorCode; 23] = [
        ErrorCode::JsonParseError,
        ErrorCode::NotAnObject,
        ErrorCode::BadField,
        ErrorCode::BadPayload,
        ErrorCode::BadNumber,
        ErrorCode::TooLarge,
        ErrorCode::TooDeep,
        ErrorCode::BinaryRefused,
        ErrorCode::ForeignUserId,
        ErrorCode::ForeignThread,
        ErrorCode::EmptyMessage,
        ErrorCode::HandlerError,
        ErrorCode::AgentUnavailable,
        ErrorCode::RunLimit,
        ErrorCode::ConnectionLimit,
        ErrorCode::ConnectionNameTaken,
        ErrorCode::RateLimited,
        ErrorCode::Overloaded,
        ErrorCode::ShuttingDown,
        ErrorCode::AuthFailed,
        ErrorCode::ServiceNotReady,
        ErrorCode::BackendUnavailable,
        ErrorCode::UnknownOutcome,
    ];

    /// The `error_code` on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorCode::JsonParseError => "JSON_PARSE_ERROR",
            ErrorCode::NotAnObject => "NOT_AN_OBJECT",
            ErrorCode::BadField => "BAD_FIELD",
            ErrorCode::BadPayload => "BAD_PAYLOAD",
            ErrorCode::BadNumber => "BAD_NUMBER",
            ErrorCode::TooLarge => "TOO_LARGE",
            ErrorCode::TooDeep => "TOO_DEEP",
            ErrorCode::BinaryRefused => "BINARY_REFUSED",
            ErrorCode::ForeignUserId => "FOREIGN_USER_ID",
            ErrorCode::ForeignThread => "FOREIGN_THREAD",
            ErrorCode::EmptyMessage => "EMPTY_MESSAGE",
            ErrorCode::HandlerError => "HANDLER_ERROR",
            ErrorCode::AgentUnavailable => "AGENT_UNAVAILABLE",
            ErrorCode::RunLimit => "RUN_LIMIT",
            ErrorCode::ConnectionLimit => "CONNECTION_LIMIT",
            ErrorCode::ConnectionNameTaken => "CONNECTION_NAME_TAKEN",
            ErrorCode::RateLimited => "RATE_LIMITED",
            ErrorCode::Overloaded => "OVERLOADED",
            ErrorCode::ShuttingDown => "SHUTTING_DOWN",
            ErrorCode::AuthFailed => "AUTH_FAILED",
            ErrorCode::ServiceNotReady => "SERVICE_NOT_READY",
            ErrorCode::BackendUnavailable => "BACKEND_UNAVAILABLE",
            ErrorCode::UnknownOutcome => "UNKNOWN_OUTCOME",
        }
    }

    /// The `error_message` on the wire: for a person, without internals.
    pub const fn text(self) -> &'static str {
        match self {
            ErrorCode::JsonParseError => "Invalid JSON format",
            ErrorCode::NotAnObject => "The message must be a JSON object",
            ErrorCode::BadField => "A field of the message has a wrong type or stands there twice",
            ErrorCode::BadPayload => "The payload must be a JSON object",
            ErrorCode::BadNumber => "A number of the message is out of range",
            ErrorCode::TooLarge => "The message is too large",
            ErrorCode::TooDeep => "The message is nested too deeply",
            ErrorCode::BinaryRefused => "Binary frames are not accepted",
            ErrorCode::ForeignUserId => "The message names another user",
            ErrorCode::ForeignThread => "The thread belongs to another user",
            ErrorCode::EmptyMessage => "Please enter a message",
            ErrorCode::HandlerError => "The message could not be handled",
            ErrorCode::AgentUnavailable => "No agent is available",
            ErrorCode::RunLimit => "Too many runs are open",
            ErrorCode::ConnectionLimit => "Too many connections are open",
            ErrorCode::ConnectionNameTaken => "The name of the connection is in use",
            ErrorCode::RateLimited => "Too many messages in a short time",
            ErrorCode::Overloaded => "The server is overloaded",
            ErrorCode::ShuttingDown => "The server is shutting down",
            ErrorCode::AuthFailed => "Authentication failed",
            ErrorCode::ServiceNotReady => "The service is not ready",
            ErrorCode::BackendUnavailable => "The message could not be taken in",
            ErrorCode::UnknownOutcome => "Whether the message was taken in is not known",
        }
    }

    /// What the client can do about it (`recovery_suggestions`); empty when nothing helps.
    pub const fn suggestion(self) -> &'static str {
        match self {
            ErrorCode::JsonParseError | ErrorCode::NotAnObject => "Send one JSON object per text frame",
            ErrorCode::BadField | ErrorCode::BadPayload | ErrorCode::BadNumber => {
                "Correct the field that details.path names"
            }
            ErrorCode::TooLarge | ErrorCode::TooDeep => "Send less; details.limit is the bound",
            ErrorCode::BinaryRefused => "Send text frames",
            ErrorCode::ForeignUserId => "Leave user ids out; the token says who you are",
            ErrorCode::ForeignThread => "Use a thread of your own, or none to continue the current one",
            ErrorCode::EmptyMessage => "Put the text into payload.content",
            ErrorCode::RunLimit => "Wait for a run to end, or stop one with stop_agent",
            ErrorCode::ConnectionLimit => "Close a connection first",
            ErrorCode::ConnectionNameTaken => "Connect under another name",
            ErrorCode::RateLimited | ErrorCode::Overloaded => "Wait a moment and send again",
            ErrorCode::AgentUnavailable | ErrorCode::ShuttingDown | ErrorCode::ServiceNotReady => {
                "Reconnect and send again"
            }
            ErrorCode::AuthFailed => {
                "Connect with a valid token: subprotocol jwt.TOKEN or Authorization: Bearer"
            }
            ErrorCode::HandlerError => "Send again later",
            ErrorCode::BackendUnavailable => "Send again after details.retry_after_ms",
            ErrorCode::UnknownOutcome => "Send again with the same message_id",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
