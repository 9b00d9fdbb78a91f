//! Every entry of `scenarios/regressions/` for ever: the router is quiet in it, and what once broke the rule breaks it again.
//!
//! An entry of a planted defect is played on it with `--features mutants`; without, the router alone plays it.

#![expect(clippy::disallowed_methods, reason = "a test that goes through a folder")]

use std::path::PathBuf;

use reports::Report;
use simulator::legacy::Played;
use simulator::scenario::{Regression, Scenario};
use simulator::{Options, run::simulate_with};

/// Name and scenario of every entry.
fn entries() -> Vec<(String, Scenario)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scenarios/regressions");
    let files = std::fs::read_dir(&folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(text.starts_with("# "), "{name} begins with a comment that says what it found");
        let scenario = Scenario::parse(&format!("{name}.toml"), &text);
        (name, scenario.unwrap_or_else(|error| panic!("{error}")))
    };
    paths.into_iter().map(read).collect()
}

fn play(scenario: &Scenario, played: &Played) -> Report {
    simulate_with(scenario, scenario.seed, played, Options::default()).expect("limits that make sense")
}

#[test]
fn the_router_is_quiet_in_every_entry() {
    let entries = entries();
    assert!(entries.len() >= 12, "{} entries", entries.len());
    for (name, scenario) in entries {
        assert_eq!(scenario.name, name);
        assert_eq!(play(&scenario, &Played::Router).findings, [], "{name}");
    }
}

#[test]
fn what_broke_the_rule_breaks_it_again() {
    let mut played = 0;
    for (name, scenario) in entries() {
        let Some(Regression { rule, subject, hazards }) = &scenario.regression else {
            panic!("{name}: no [regression] says what it is kept for");
        };
        if subject == "router" || (subject.starts_with("mutant-") && !cfg!(feature = "mutants")) {
            continue;
        }
        let suspect = Played::named(subject, hazards).unwrap_or_else(|error| panic!("{name}: {error}"));
        let found = play(&scenario, &suspect).findings_by_rule;
        assert!(found.contains_key(rule), "{name}: expected {rule}, found {found:?}");
        played += 1;
    }
    assert!(played > 0);
}

#[test]
fn entries_are_small_enough_to_read() {
    for (name, scenario) in entries() {
        assert!((1..=40).contains(&scenario.acts.len()), "{name}: {} rows", scenario.acts.len());
    }
}
