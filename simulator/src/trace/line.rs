//! Lines of a trace.

use std::fmt::Write as _;

use router::{Connect, Effect, Effects, Input};
use serde::{Deserialize, Serialize};

use super::RunHash;
use crate::dialect::quoted;
use crate::legacy::Played;
use crate::scenario::Scenario;

/// Version of the trace format.
pub const FORMAT: u32 = 1;

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

impl std::fmt::Display for HeaderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotATrace(why) => write!(f, "the first line is no trace header: {why}"),
            Self::Format(format) => write!(f, "trace format {format}, this program reads {FORMAT}"),
            Self::Version(version) => {
                write!(f, "written by version {version}, this is {}", env!("CARGO_PKG_VERSION"))
            }
            Self::Scenario(why) => write!(f, "the header's scenario: {why}"),
            Self::Hazard(why) => write!(f, "the header's hazards: {why}"),
        }
    }
}

impl std::error::Error for HeaderError {}

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

    /// The line, without its end.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a header line, and the scenario in it.
    ///
    /// # Errors
    /// [`HeaderError`] if this program cannot repeat the run.
    pub fn parse(line: &str) -> Result<(Self, Scenario), HeaderError> {
        let header: Self =
            serde_json::from_str(line).map_err(|error| HeaderError::NotATrace(error.to_string()))?;
        if header.format != FORMAT {
            return Err(HeaderError::Format(header.format));
        }
        if header.version != env!("CARGO_PKG_VERSION") {
            return Err(HeaderError::Version(header.version));
        }
        let scenario = Scenario::parse(&header.scenario, &header.text)
            .map_err(|error| HeaderError::Scenario(error.to_string()))?;
        if scenario.hash() != header.hash {
            return Err(HeaderError::Scenario("its hash is not the header's".to_owned()));
        }
        Ok((header, scenario))
    }
}

/// Appends the line of one input, without its end.
pub(crate) fn line(at_us: u64, input: &Input<'_>, effects: &Effects, hash: &RunHash, out: &mut String) {
    _ = write!(out, r#"{{"t":{at_us},"in":"#);
    write_input(input, out);
    out.push_str(r#","out":["#);
    for (index, effect) in effects.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_effect(effect, effects, out);
    }
    _ = write!(out, r#"],"h":"{}"}}"#, hash.hex());
}

fn write_input(input: &Input<'_>, out: &mut String) {
    match input {
        Input::Connect(Connect { ticket, user, tier, resume, .. }) => {
            _ = write!(out, r#"{{"connect":{{"ticket":{},"tier":"{}","user":"#, ticket.0, tier.name());
            quoted(user, out);
            if let Some(cursor) = resume {
                _ = write!(out, r#","resume":{cursor}"#);
            }
            out.push_str("}}");
        }
        Input::Text { conn, text } => {
            _ = write!(out, r#"{{"conn":[{},{}],"text":"#, conn.index(), conn.generation());
            quoted(text, out);
            out.push('}');
        }
        Input::Pong { conn } => _ = write!(out, r#"{{"pong":[{},{}]}}"#, conn.index(), conn.generation()),
        Input::Written { conn, frames } => {
            _ = write!(out, r#"{{"conn":[{},{}],"written":{frames}}}"#, conn.index(), conn.generation());
        }
        Input::Closed { conn } => _ = write!(out, r#"{{"closed":[{},{}]}}"#, conn.index(), conn.generation()),
        Input::Agent { run, event } => {
            _ = write!(out, r#"{{"run":[{},{}],"agent":"#, run.index(), run.generation());
            quoted(&format!("{event:?}"), out);
            out.push('}');
        }
        Input::Tool { run, step } => {
            _ = write!(out, r#"{{"run":[{},{}],"tool":"#, run.index(), run.generation());
            quoted(&format!("{step:?}"), out);
            out.push('}');
        }
        Input::Tick => out.push_str(r#""tick""#),
        Input::Flush => out.push_str(r#""flush""#),
        Input::Drain => out.push_str(r#""drain""#),
        Input::AuthFailed { .. }
        | Input::Binary { .. }
        | Input::Violation { .. }
        | Input::Quality { .. }
        | Input::QualityNews { .. }
        | Input::Deliver(_)
        | Input::Unregister { .. }
        | Input::SweepIdle => {
            quoted(&format!("{input:?}"), out);
        }
    }
}

fn write_effect(effect: &Effect, effects: &Effects, out: &mut String) {
    match effect {
        Effect::Accepted { ticket, conn } => {
            let (index, generation) = (conn.index(), conn.generation());
            _ = write!(out, r#"{{"accepted":[{index},{generation}],"ticket":{}}}"#, ticket.0);
        }
        Effect::Refused { ticket, frame, close } => {
            let frame = effects.frame(*frame).as_str();
            _ = write!(out, r#"{{"refused":{},"close":{},"frame":{frame}}}"#, ticket.0, close.code());
        }
        Effect::Send { conn, frame } => {
            let frame = effects.frame(*frame).as_str();
            _ = write!(out, r#"{{"send":[{},{}],"frame":{frame}}}"#, conn.index(), conn.generation());
        }
        Effect::Ping { conn } => _ = write!(out, r#"{{"ping":[{},{}]}}"#, conn.index(), conn.generation()),
        Effect::Close { conn, close } => {
            let (index, generation) = (conn.index(), conn.generation());
            let (code, reason) = (close.code(), close.reason());
            _ = write!(out, r#"{{"close":[{index},{generation}],"code":{code},"reason":"{reason}"}}"#);
        }
        Effect::StartRun(request) => {
            let (index, generation) = (request.run.index(), request.run.generation());
            _ = write!(out, r#"{{"start":[{index},{generation}],"run_id":"#);
            quoted(&request.run_id(), out);
            out.push_str(r#","user":"#);
            quoted(&request.user, out);
            out.push_str(r#","request":"#);
            quoted(&request.request_id, out);
            out.push('}');
        }
        Effect::CancelRun { run, reason } => {
            let (index, generation) = (run.index(), run.generation());
            _ = write!(out, r#"{{"cancel":[{index},{generation}],"reason":"{reason:?}"}}"#);
        }
        Effect::ToolAnswered(answer) => {
            let (index, generation) = (answer.run.index(), answer.run.generation());
            _ = write!(out, r#"{{"tool":[{index},{generation}],"call":"#);
            quoted(&answer.call, out);
            _ = write!(out, r#","answer":{}}}"#, answer.to_json());
        }
        Effect::RunTool(_)
        | Effect::CancelTool(_)
        | Effect::AgentRefused(_)
        | Effect::Audit(_)
        | Effect::AskQuality(_)
        | Effect::Receipt(_)
        | Effect::Swept { .. } => quoted(&format!("{effect:?}"), out),
        Effect::Drained => out.push_str(r#""drained""#),
    }
}
