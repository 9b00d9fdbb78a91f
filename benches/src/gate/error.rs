//! Why a gate came to no verdict.

use std::{fmt, io, path::Path};

/// What went wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateError {
    /// The question makes no sense: a revision that does not exist, an unknown benchmark.
    Usage(String),
    /// The two sides cannot be compared.
    NotComparable(String),
    /// The environment failed: a build, a worker, a control.
    Infrastructure(String),
}

impl GateError {
    pub(super) fn file(path: &Path, error: &io::Error) -> Self {
        Self::Infrastructure(format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for GateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::NotComparable(text) | Self::Infrastructure(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for GateError {}
