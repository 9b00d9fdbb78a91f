//! The exact tier as a file in git: its history is the file's own.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Event, GateError, Listener,
    build::{Builder, Wanted},
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
    let executables = builder.build(&head, &Wanted::exact(), &mut |text| listener(Event::Stage(text)))?;
    listener(Event::Stage("counting what needs no clock"));
    let printed = exact::count(executables.exact()?, "the head")?;
    let file = File { toolchain: builder.toolchain.version.clone(), exact: printed.exact };
    let text = lines(&serde_json::to_value(&file).unwrap_or_default());
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

/// The file's text: objects within objects have lines of their own, one that holds only numbers and words is a line, so
/// that a change of git shows what became of which benchmark and scenario.
fn lines(file: &Value) -> String {
    let mut text = String::new();
    write(file, 0, &mut text);
    text + "\n"
}

fn write(value: &Value, depth: usize, text: &mut String) {
    match value.as_object() {
        Some(members) if members.values().any(Value::is_object) => {
            text.push_str("{\n");
            for (index, (name, member)) in members.iter().enumerate() {
                let comma = if index == 0 { "" } else { ",\n" };
                text.push_str(&format!("{comma}{}{}: ", "  ".repeat(depth + 1), Value::from(name.as_str())));
                write(member, depth + 1, text);
            }
            text.push_str(&format!("\n{}}}", "  ".repeat(depth)));
        }
        Some(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, member)| format!("{}: {member}", Value::from(name.as_str())))
                .collect();
            text.push_str(&format!("{{ {} }}", members.join(", ")));
        }
        None => text.push_str(&value.to_string()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_file_has_a_line_per_set_of_numbers_and_stays_json() {
        let file = json!({
            "toolchain": "rustc \"1\"",
            "exact": { "benchmarks": { "route": { "hops": 1, "corpus": "c" }, "encode": {} }, "scenarios": {} },
        });
        let text = lines(&file);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), file);
        assert!(text.contains("\n      \"route\": { \"corpus\": \"c\", \"hops\": 1 }"), "{text}");
    }

    #[test]
    fn a_difference_is_named_with_its_line() {
        assert!(first_difference("", "x").contains("is not there"));
        let difference = first_difference("a\nb\n", "a\nc\n");
        assert!(difference.contains("line 2: `b` is now `c`"), "{difference}");
        assert!(first_difference("a\n", "a\nb\n").contains("another length"));
    }
}
