//! How and why a connection is closed.

/// How and why a connection is closed. Code and reason go into the close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Close {
    /// The drain has come to its end.
    ShuttingDown,
    /// Two heartbeats were not answered.
    Unresponsive,
    /// WebSocket protocol error.
    Protocol,
    /// A text frame that is not UTF-8.
    InvalidUtf8,
    /// No valid token.
    AuthFailed,
    /// The token expired, and the grace period after it.
    TokenExpired,
    /// The user has as many connections as allowed.
    ConnectionLimit,
    /// The name that the connection was to have is another user's, or no name.
    NameRefused,
    /// The same user connected again under the same name.
    Replaced,
    /// The host took the connection out by its name.
    Unregistered,
    /// Nothing was read and nothing was written for the idle time.
    Idle,
    /// Too many rejected frames in a short time.
    Abuse,
    /// A message above the transport cap.
    TooBig,
    /// The outbound queue was full and nothing was read for the grace period.
    SlowReader,
}

impl Close {
    /// The code in the close frame (RFC 6455 §7.4.1 and the IANA registry).
    pub const fn code(self) -> u16 {
        match self {
            Close::Unregistered => 1000,
            Close::ShuttingDown | Close::Unresponsive | Close::Idle => 1001,
            Close::Protocol => 1002,
            Close::InvalidUtf8 => 1007,
            Close::AuthFailed
            | Close::TokenExpired
            | Close::ConnectionLimit
            | Close::NameRefused
            | Close::Replaced
            | Close::Abuse => 1008,
            Close::TooBig => 1009,
            Close::SlowReader => 1013,
        }
    }

    /// The reason in the close frame: stable, at most 123 bytes.
    pub const fn reason(self) -> &'static str {
        match self {
            Close::ShuttingDown => "server is shutting down",
            Close::Unresponsive => "two heartbeats missed",
            Close::Protocol => "WebSocket protocol error",
            Close::InvalidUtf8 => "text is not UTF-8",
            Close::AuthFailed => "Authentication failed",
            Close::TokenExpired => "token expired",
            Close::ConnectionLimit => "too many connections",
            Close::NameRefused => "connection name refused",
            Close::Replaced => "replaced by a newer connection",
            Close::Unregistered => "unregistered",
            Close::Idle => "idle",
            Close::Abuse => "too many rejected frames",
            Close::TooBig => "message too big",
            Close::SlowReader => "reader too slow",
        }
    }
}
