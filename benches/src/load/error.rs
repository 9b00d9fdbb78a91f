//! Why a load run could not be carried out.

use std::{fmt, io};

/// Why there is no report.
#[derive(Debug)]
pub enum LoadError {
    /// The URL cannot be used.
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No TCP connection to the target.
    Unreachable {
        /// The target.
        url: String,
        /// What the operating system says.
        error: io::Error,
    },
    /// TCP works, but not one connection was accepted.
    Refused {
        /// The target.
        url: String,
        /// The first failure.
        error: String,
        /// Failed attempts.
        attempts: u64,
    },
    /// The certificates that servers are checked against cannot be used.
    Certificates {
        /// What is wrong.
        reason: String,
    },
    /// Fewer tokens than users.
    FewTokens {
        /// Tokens given.
        tokens: usize,
        /// Users of the scenario.
        users: u32,
    },
    /// A thread could not be started.
    Thread(io::Error),
    /// A worker's runtime could not be started.
    Runtime(io::Error),
    /// A worker panicked: a fault of this program.
    Worker,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Url { url, reason } => {
                write!(f, "target `{url}`: {reason}; expected ws://host:port/ws or wss://host:port/ws")
            }
            LoadError::Unreachable { url, error } => {
                write!(f, "cannot reach {url}: {error}; start the server, or check host and port")
            }
            LoadError::Refused { url, error, attempts } => write!(
                f,
                "{url} answers, but accepted none of {attempts} connections: {error}; \
                 check path, token key and connection limits of the server"
            ),
            LoadError::Certificates { reason } => {
                write!(f, "{reason}; name the certificate of the server's authority with --authorities")
            }
            LoadError::FewTokens { tokens, users } => {
                write!(f, "{tokens} tokens for {users} users; give one token per user")
            }
            LoadError::Thread(error) => write!(f, "cannot start a thread: {error}"),
            LoadError::Runtime(error) => write!(f, "cannot start a worker's runtime: {error}"),
            LoadError::Worker => f.write_str("a load worker panicked; this is a fault of goldenpath"),
        }
    }
}

impl std::error::Error for LoadError {}
