//! Each hazard of the old parts is named by a checker: with its switch on the legacy server breaks the rule, with it off
//! the same scenario and seed are silent. The page about them is true.

use std::collections::BTreeMap;

use simulator::legacy::{Hazard, shown};

#[test]
fn with_the_switch_on_the_rule_names_it() {
    let wrong: Vec<String> = shown::rows()
        .filter_map(|row| {
            let findings = row.findings();
            let named = findings.iter().any(|finding| finding.rule == row.rule);
            let rules: Vec<&str> = findings.iter().map(|finding| finding.rule.as_str()).collect();
            (!named).then(|| format!("{}: expected {}, found {rules:?}", row.hazard, row.rule))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn with_the_switch_off_the_same_seed_is_silent() {
    let mut played = BTreeMap::new();
    for row in shown::rows() {
        played.entry((row.scenario, row.seed)).or_insert_with(|| {
            assert_eq!(row.silence(), [], "{} {}", row.scenario, row.seed);
        });
    }
}

#[test]
fn what_crosses_users_is_called_a_breach() {
    for row in shown::rows().filter(|row| row.hazard.row().1.crosses_users) {
        assert!(row.rule.starts_with("iso."), "{}: {}", row.hazard, row.rule);
    }
}

#[test]
fn each_hazard_is_shown_once_or_has_a_reason() {
    for (_, row) in Hazard::rows() {
        let times = shown::rows().filter(|shown| shown.hazard == row.hazard).count();
        let absent = shown::absent().filter(|absent| absent.hazard == row.hazard).count();
        assert!(times + absent <= 1, "{}", row.hazard);
    }
}

#[test]
fn the_page_about_hazards_is_true() {
    let committed = include_str!("../../docs/hazards.md");
    assert!(shown::page() == committed, "write it anew: goldenpath hazards --page > docs/hazards.md");
}
