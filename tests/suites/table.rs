//! The table in `docs/suites.md` is the suites as they are.

use std::collections::BTreeSet;

use crate::tree::{read, table_rows};

/// The suites and how many tests the plans ask for; in the fragmentation suite with the one that was only declared.
const SUITES: [(&str, usize); 5] =
    [("strategic", 11), ("fragmentation", 16), ("planned", 20), ("queues", 21), ("mission_critical", 42)];

/// The names of a file's tests.
fn tests(path: &str) -> BTreeSet<String> {
    let text = read(path);
    let mut found = BTreeSet::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if !matches!(line, "#[test]" | "#[tokio::test]") {
            continue;
        }
        let signature = lines.next().unwrap_or_default();
        let name = signature.trim_start_matches("async ").trim_start_matches("fn ").split('(').next();
        found.insert(name.unwrap_or_default().to_owned());
    }
    found
}

#[test]
fn every_row_names_a_test_and_every_test_has_a_row() {
    let page = read("docs/suites.md");
    for (suite, asked_for) in SUITES {
        let path = format!("tests/suites/{suite}.rs");
        let prefix = format!("{path}::");
        let rows: Vec<Vec<String>> = table_rows(&page)
            .filter(|row| row.get(1).is_some_and(|test| test.starts_with(&prefix)))
            .collect();
        assert_eq!(rows.len(), asked_for, "rows of the suite {suite}");
        let named: BTreeSet<String> = rows.iter().map(|row| row[1][prefix.len()..].to_owned()).collect();
        assert_eq!(named, tests(&path), "the rows and the tests of {path}");
        let legacy: BTreeSet<&String> = rows.iter().map(|row| &row[0]).collect();
        assert_eq!(legacy.len(), asked_for, "each legacy test once");
        for row in &rows {
            assert!(row.len() == 3 && row[2].len() > 10, "{row:?} says what it asserts");
        }
    }
}

#[test]
fn every_test_is_found_by_its_legacy_name() {
    let plain = |text: &str| {
        text.to_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), " ")
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for row in
        table_rows(&read("docs/suites.md")).filter(|row| row.get(1).is_some_and(|cell| cell.contains("::")))
    {
        let name = row[1].rsplit("::").next().unwrap_or_default();
        if name.starts_with("planned_") {
            continue; // these never had a name
        }
        let of_rust: BTreeSet<String> = plain(name).into_iter().collect();
        // `D1` and the like number the rows.
        let number = |word: &str| word.len() == 2 && word.ends_with(|c: char| c.is_ascii_digit());
        let mut missing = plain(&row[0]);
        missing.retain(|word| !of_rust.contains(word) && (!number(word) || word == "10"));
        assert!(missing.is_empty(), "{}: {name} lacks {missing:?}", row[0]);
    }
}
