//! Scenarios by name or by file; recorded cases from files.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use simulator::{
    conform::{self, Case},
    scenario::{self, Scenario},
};

use crate::failure::Failure;

/// This program, for those who start it again as a server.
pub(crate) fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::Internal(format!("own path: {error}")))
}

/// The scenario that plain `sim` and `serve` use.
pub(crate) const DEFAULT_SCENARIO: &str = "golden-path";

/// The text of a scenario, and the name errors call it by.
pub(crate) fn scenario_text(name_or_path: &str) -> Result<(String, String), Failure> {
    let embedded = scenario::embedded().iter().find(|(name, _)| *name == name_or_path);
    if let Some((name, text)) = embedded {
        return Ok((format!("scenarios/{name}.toml"), (*text).to_owned()));
    }
    let path = Path::new(name_or_path);
    let looks_like_path = path.extension().is_some() || name_or_path.contains(std::path::MAIN_SEPARATOR);
    if !looks_like_path {
        let names: Vec<&str> = scenario::embedded().iter().map(|(name, _)| *name).collect();
        return Err(Failure::Usage(format!(
            "no scenario is called `{name_or_path}`: give a file, or one of {}",
            names.join(", ")
        )));
    }
    let text = fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
    Ok((name_or_path.to_owned(), text))
}

/// A scenario, parsed.
pub(crate) fn scenario(name_or_path: &str) -> Result<Scenario, Failure> {
    let (name, text) = scenario_text(name_or_path)?;
    Scenario::parse(&name, &text).map_err(|error| Failure::Usage(error.to_string()))
}

macro_rules! vectors {
    ($($unit:literal)*) => {
        &[$((
            concat!("scenarios/vectors/", $unit, ".jsonl.gz"),
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/vectors/", $unit, ".jsonl.gz")),
        ),)*]
    };
}

/// The project's own copy of the recorded cases.
const VECTORS: &[(&str, &[u8])] = vectors! {
    "message_router" "message_router_intended" "message_types" "core_router" "quality_router" "event_router"
    "scoped_router" "broadcast" "emitter" "event_validator" "tool_dispatcher" "queue_redis" "queue_connstate"
    "queue_buffer" "queue_generic" "queue_fifo" "queue_utils" "breaker_ws" "breaker_unified"
};

/// The recorded cases of files and directories, or the project's own; each file with its name.
pub(crate) fn vectors(paths: &[PathBuf]) -> Result<Vec<(String, Vec<Case>)>, Failure> {
    if paths.is_empty() {
        return VECTORS.iter().map(|(name, bytes)| cases(name, bytes)).collect();
    }
    let mut read = Vec::new();
    for path in paths {
        let mut files = Vec::new();
        if path.is_dir() {
            let entries = fs::read_dir(path).map_err(|error| Failure::unreadable(path, &error))?;
            let mut inside: Vec<PathBuf> = entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<_, _>>()
                .map_err(|error| Failure::unreadable(path, &error))?;
            inside.retain(|file| is_vectors(file));
            inside.sort();
            if inside.is_empty() {
                return Err(Failure::Usage(format!("{}: no .jsonl or .jsonl.gz in it", path.display())));
            }
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
        let before = read.len();
        for file in files {
            let bytes = fs::read(&file).map_err(|error| Failure::unreadable(&file, &error))?;
            read.push(cases(&file.display().to_string(), &bytes)?);
        }
        if read[before..].iter().all(|(_, cases)| cases.is_empty()) {
            return Err(Failure::Usage(format!("{}: no case in it", path.display())));
        }
    }
    Ok(read)
}

fn is_vectors(file: &Path) -> bool {
    let name = file.to_string_lossy();
    name.ends_with(".jsonl") || name.ends_with(".jsonl.gz")
}

fn cases(name: &str, bytes: &[u8]) -> Result<(String, Vec<Case>), Failure> {
    let unreadable = |error: &dyn std::fmt::Display| Failure::Usage(format!("{name}: {error}"));
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(bytes).read_to_string(&mut text).map_err(|error| unreadable(&error))?;
    } else {
        text = String::from_utf8(bytes.to_vec()).map_err(|error| unreadable(&error))?;
    }
    let cases = conform::read(&text).map_err(|error| Failure::Usage(format!("{name}, {error}")))?;
    Ok((name.to_owned(), cases))
}
