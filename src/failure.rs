//! Why a command could not do its work.

use std::fmt;

use benches::gate::GateError;

/// An error and the exit code that goes with it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong arguments or an unreadable file: exit 2.
    Usage(String),
    /// The environment or the program itself: exit 1.
    Internal(String),
    /// The two sides do not measure the same thing: exit 5.
    NotComparable(String),
    /// The reader of stdout went away.
    BrokenPipe,
}

impl From<GateError> for Failure {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Usage(text) => Failure::Usage(text),
            GateError::NotComparable(text) => Failure::NotComparable(text),
            GateError::Infrastructure(text) => Failure::Internal(text),
        }
    }
}

impl Failure {
    /// A file that could not be read.
    pub(crate) fn unreadable(path: &std::path::Path, error: &dyn fmt::Display) -> Self {
        Failure::Usage(format!("{}: {error}", path.display()))
    }

    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Internal(_) => 1,
            Failure::NotComparable(_) => 5,
            Failure::BrokenPipe => 0,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) | Failure::Internal(text) | Failure::NotComparable(text) => {
                f.write_str(text)
            }
            Failure::BrokenPipe => f.write_str("stdout was closed"),
        }
    }
}
