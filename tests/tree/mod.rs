//! The project's files, as tests look at them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file's text; the test fails if there is none.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The Rust files among them.
pub(crate) fn rust_files() -> Vec<String> {
    files().into_iter().filter(|path| path.ends_with(".rs")).collect()
}

/// All files of the project, sorted, with `/` between folders: what git knows or would add; without git, a walk.
pub(crate) fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let mut files: Vec<String> = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            String::from_utf8_lossy(&output.stdout).split_terminator('\0').map(ToOwned::to_owned).collect()
        }
        _ => walk(&root(), ""),
    };
    files.retain(|path| root().join(path).is_file());
    files.sort();
    files.dedup();
    files
}

fn walk(folder: &Path, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder that can be read") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            if name != "target" && name != ".git" {
                found.extend(walk(&entry.path(), &format!("{prefix}{name}/")));
            }
        } else {
            found.push(format!("{prefix}{name}"));
        }
    }
    found
}

/// The rows of all tables in a Markdown text, as trimmed cells without code marks.
pub(crate) fn table_rows(text: &str) -> impl Iterator<Item = Vec<String>> + '_ {
    text.lines().filter_map(|line| line.strip_prefix('|')).map(|row| {
        row.trim_end_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    })
}
