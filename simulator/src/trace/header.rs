//! The first line of a trace: what it takes to repeat the run, and why a program may refuse to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::legacy::Played;
use crate::scenario::Scenario;

/// Version of the trace format. 2 chains each line to the one before it and has a last line.
pub const FORMAT: u32 = 2;

/// The first line of a trace: everything that repeats the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// What wrote it.
    pub version: String,
    /// Name of the scenario.
    pub scenario: String,
    /// The scenario's hash.
    pub hash: String,
    /// The seed.
    pub seed: u64,
    /// The scenario's text.
    pub text: String,
    /// The hazards that were on in the legacy server; absent if the router ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<Vec<String>>,
}

/// Why a trace cannot be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The first line is no header.
    NotATrace(String),
    /// The trace is of another format.
    Format(u32),
    /// The trace was written by another version, which may behave differently.
    Version(String),
    /// The header's scenario does not parse or does not have the header's hash.
    Scenario(String),
    /// The header names a hazard that this program does not know.
    Hazard(String),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const AGAIN: &str = "record the run again with `goldenpath sim --trace`";
        let version = env!("CARGO_PKG_VERSION");
        match self {
            Self::NotATrace(why) => write!(f, "the first line is no trace header: {why}"),
            Self::Format(format) => {
                write!(f, "trace format {format}, goldenpath {version} reads format {FORMAT}: {AGAIN}")
            }
            Self::Version(theirs) => {
                write!(f, "written by version {theirs}, this is {version}: use that version, or {AGAIN}")
            }
            Self::Scenario(why) => write!(f, "the header's scenario: {why}"),
            Self::Hazard(why) => write!(f, "the header's hazards: {why}"),
        }
    }
}

impl std::error::Error for HeaderError {}

/// What names a run: seed, scenario, format of the trace and program.
impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, version, scenario, hash, seed, .. } = self;
        write!(f, "seed {seed} of {scenario} {hash}, format {format}, goldenpath {version}")
    }
}

impl Header {
    /// The header of a run.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: scenario.name.clone(),
            hash: scenario.hash(),
            seed,
            // Every value of a scenario has a TOML form: it came from one.
            text: toml::to_string(scenario).unwrap_or_default(),
            legacy: None,
        }
    }

    /// The header of a run with this server in the middle.
    #[must_use]
    pub fn with(self, played: &Played) -> Self {
        Self { legacy: played.names(), ..self }
    }

    /// The server that ran.
    ///
    /// # Errors
    /// The header names a hazard that this program does not know.
    pub fn played(&self) -> Result<Played, HeaderError> {
        match &self.legacy {
            None => Ok(Played::Router),
            Some(names) => Played::named("legacy", names).map_err(HeaderError::Hazard),
        }
    }

    /// The line, without its chain value and its end.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a header line, without its chain value, and the scenario in it.
    ///
    /// # Errors
    /// [`HeaderError`] if this program cannot repeat the run.
    pub fn parse(line: &str) -> Result<(Self, Scenario), HeaderError> {
        let not_a_trace = |error: serde_json::Error| HeaderError::NotATrace(error.to_string());
        // The format comes first: other formats may have other members.
        let Format { format } = serde_json::from_str(line).map_err(not_a_trace)?;
        if format != FORMAT {
            return Err(HeaderError::Format(format));
        }
        let header: Self = serde_json::from_str(line).map_err(not_a_trace)?;
        if header.version != env!("CARGO_PKG_VERSION") {
            return Err(HeaderError::Version(header.version));
        }
        let scenario = Scenario::parse(&header.scenario, &header.text)
            .map_err(|error| HeaderError::Scenario(error.to_string()))?;
        let hash = scenario.hash();
        if hash != header.hash {
            let why = format!("its hash is {hash} to this program, the header says {}", header.hash);
            return Err(HeaderError::Scenario(why));
        }
        Ok((header, scenario))
    }
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}
