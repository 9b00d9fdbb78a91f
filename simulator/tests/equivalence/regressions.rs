//! Sequences that once differed, as cases that people and the reader of recordings can read.

#![expect(clippy::disallowed_methods, reason = "a test reads and writes files of its own")]

use std::{fs, path::PathBuf};

use simulator::conform::{self, Case};

use crate::{
    play::{self, Difference},
    sequence::{Sequence, line},
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/regressions")
}

/// All of them, each with its file and line.
pub(crate) fn read() -> Vec<(String, Case)> {
    let files = fs::read_dir(folder()).expect("the folder is part of the sources");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a readable folder").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("a readable file");
        let cases = conform::read(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        all.extend(cases.into_iter().map(|case| (format!("{}, line {}", path.display(), case.line), case)));
    }
    all
}

/// Keeps one, with what the model makes of it; once it stands there, it stays.
pub(crate) fn keep(sequence: &Sequence, id: &str, difference: &Difference) {
    let mut case = sequence.case();
    // What the model cannot play has no outcomes to write down.
    let _ = conform::legacy::record(&mut case, play::hazards());
    case.id = id.to_owned();
    case.about = difference.to_string().lines().next().unwrap_or_default().to_owned();
    let path = folder().join(format!("{}.jsonl", sequence.unit));
    let before = fs::read_to_string(&path).unwrap_or_default();
    if !before.contains(&format!("\"{id}\"")) {
        fs::write(&path, before + &line(&case)).expect("a folder that can be written to");
    }
}
