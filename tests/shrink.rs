//! `goldenpath shrink` from outside: what it writes is a scenario that breaks the same rule, and the router is quiet in it.

use std::{fs, path::PathBuf};

use assert_cmd::Command;

fn goldenpath() -> Command {
    Command::cargo_bin("goldenpath").expect("built")
}

/// A path of this test's own.
fn scratch(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(&dir).expect("a directory");
    dir.join(name)
}

#[test]
fn what_is_left_is_small_plays_by_itself_and_is_quiet_on_the_router() {
    let (file, page) = (scratch("small.toml"), scratch("small.html"));
    let defect = ["--subject", "legacy", "--hazard", "G2"];
    let shown = goldenpath()
        .args(["shrink", "--scenario", "hazards", "--rule", "iso.I1"])
        .args(defect)
        .arg("--into")
        .arg(&file)
        .arg("--html")
        .arg(&page)
        .assert()
        .success();
    let shown = String::from_utf8_lossy(&shown.get_output().stdout).into_owned();
    let replay = format!("goldenpath sim --scenario {} --seed 7", file.display());
    for words in ["users left", "Sequence", "✗ iso.I1", replay.as_str()] {
        assert!(shown.contains(words), "{words}:\n{shown}");
    }
    let text = fs::read_to_string(&file).expect("written");
    assert!(text.starts_with("# legacy endpoint.G2 breaks iso.I1: "), "{text}");
    assert!(text.contains("[regression]") && text.lines().count() < 40, "{text}");
    assert!(fs::read_to_string(&page).expect("written").contains("aria-labelledby=\"sequence-title"));

    goldenpath().args(["scenario", "check"]).arg(&file).assert().success();
    goldenpath().args(["sim", "--scenario"]).arg(&file).assert().success();
    let again = goldenpath().args(["sim", "--scenario"]).arg(&file).args(defect).assert().code(7);
    assert!(String::from_utf8_lossy(&again.get_output().stdout).contains("iso.I1"));
}

#[test]
fn nothing_to_shrink_is_said_so() {
    let file = scratch("never.toml");
    let quiet = goldenpath().args(["shrink", "--scenario", "tiny", "--into"]).arg(&file).assert().code(2);
    assert!(String::from_utf8_lossy(&quiet.get_output().stderr).contains("no rule is broken"));
    assert!(!file.exists());
}

#[test]
fn a_budget_has_a_unit_here_as_in_a_sweep() {
    let file = scratch("no-unit.toml");
    let mut shrink = goldenpath();
    shrink.args(["shrink", "--scenario", "tiny", "--budget", "60", "--into"]).arg(&file);
    let wrong = shrink.assert().code(2).get_output().stderr.clone();
    let talk = String::from_utf8_lossy(&wrong).into_owned();
    assert!(talk.contains("`60` has no unit"), "{talk}");
}

#[test]
fn a_plan_that_is_written_out_plays_the_same_run() {
    let file = scratch("tiny-written.toml");
    let text = goldenpath().args(["scenario", "write-out", "tiny", "--seed", "9"]).assert().success();
    fs::write(&file, &text.get_output().stdout).expect("written");
    let hash = |scenario: &str| {
        let run =
            goldenpath().args(["sim", "--json", "--seed", "9", "--scenario", scenario]).assert().success();
        let report = String::from_utf8(run.get_output().stdout.clone()).expect("UTF-8");
        reports::json::from_str(&report).expect("a report").hash.expect("a hash")
    };
    assert_eq!(hash("tiny"), hash(&file.display().to_string()));
}
