//! The exact tier as a file in git: its history is the file's own.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    Event, GateError, Listener,
    build::{self, Builder},
    exact,
    repository::Repository,
};

/// Where the file is, from the top of the repository.
pub const PATH: &str = "benches/gate/exact.json";

/// The file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct File {
    /// Allocations are the standard library's, too: another compiler may give other numbers.
    toolchain: String,
    exact: gate_worker::exact::Exact,
}

/// What became of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is what the present files give.
    Same,
    /// It was written, and is another now.
    Written(PathBuf),
    /// It is not what the present files give; where first.
    Differs(String),
}

/// Counts the present files, and writes the result into the repository unless only `check` is wanted.
///
/// # Errors
/// [`GateError`]
pub fn record(
    folder: &std::path::Path,
    cache: &std::path::Path,
    check: bool,
    listener: Listener<'_>,
) -> Result<Outcome, GateError> {
    let repository = Repository::find(folder)?;
    let builder = Builder::new(cache, &repository)?;
    let head = repository.working_tree(builder.sources())?;
    let seeds: Vec<u32> = (1..=build::LAYOUTS).collect();
    let executables = builder.build(&head, &seeds, &mut |text| listener(Event::Stage(text)))?;
    listener(Event::Stage("counting what needs no clock"));
    let printed = exact::count(&executables.exact, "the head")?;
    let file = File { toolchain: builder.toolchain.version.clone(), exact: printed.exact };
    let text = serde_json::to_string_pretty(&file).unwrap_or_default() + "\n";
    let path = repository.root().join(PATH);
    let kept = fs::read_to_string(&path).unwrap_or_default();
    if kept == text {
        return Ok(Outcome::Same);
    }
    if check {
        return Ok(Outcome::Differs(first_difference(&kept, &text)));
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| GateError::file(folder, &error))?;
    }
    fs::write(&path, text).map_err(|error| GateError::file(&path, &error))?;
    Ok(Outcome::Written(path))
}

fn first_difference(kept: &str, text: &str) -> String {
    if kept.is_empty() {
        return format!("{PATH} is not there: write it with goldenpath gate record");
    }
    let line = (1..).zip(kept.lines().zip(text.lines())).find(|(_, (kept, now))| kept != now);
    match line {
        Some((number, (kept, now))) => {
            format!(
                "{PATH}, line {number}: `{}` is now `{}`; update it with goldenpath gate record",
                kept.trim(),
                now.trim()
            )
        }
        None => format!("{PATH} has another length; update it with goldenpath gate record"),
    }
}
