//! `report release` from outside: what is given is taken, what is missing is named, the exit code is the worst verdict's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use assert_cmd::Command;
use reports::{Kind, Report, Verdict};

fn goldenpath() -> Command {
    Command::cargo_bin("goldenpath").expect("built")
}

/// A folder of this test's own, empty.
fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("release").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

/// Saved reports: a simulation, a sweep, one unit of the recorded cases, and the load test of the committed example.
fn saved(folder: &Path) -> [PathBuf; 4] {
    let [sim, sweep, conform, load] =
        ["sim", "sweep", "conform", "load"].map(|name| folder.join(format!("{name}.json")));
    goldenpath().args(["sim", "--seeds", "0..2", "--out"]).arg(&sweep).assert().success();
    goldenpath().args(["sim", "--scenario", "tiny", "--out"]).arg(&sim).assert().success();
    goldenpath().args(["conform", "--unit", "core_router", "--out"]).arg(&conform).assert().success();
    let example =
        fs::read_to_string("reports/example/release.json").expect("the example is in the repository");
    let example = reports::json::from_str(&example).expect("the example can be read");
    let parts = example.release.expect("a release").parts;
    let played = parts.into_iter().find(|part| part.kind == Kind::Load).expect("a load test");
    fs::write(&load, reports::json::to_string(&played)).expect("written");
    [sim, sweep, conform, load]
}

fn release(since: &str, [sim, sweep, conform, load]: &[PathBuf; 4]) -> Command {
    let mut command = goldenpath();
    command.args(["report", "release", "--since", since, "--sim"]).arg(sim);
    command.arg("--sweep").arg(sweep).arg("--conform").arg(conform).arg("--load").arg(load);
    command
}

fn read(path: &Path) -> Report {
    reports::json::from_str(&fs::read_to_string(path).expect("written")).expect("a report")
}

#[test]
fn a_tag_that_is_not_there_leaves_a_named_gap() {
    let folder = scratch("gap");
    let given = saved(&folder);
    let mut command = release("no-such-tag", &given);
    command.arg("--history").arg(&folder).arg("--into").arg(folder.join("out")).assert().code(4);
    let report = read(&folder.join("out/release.json"));
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert!(
        report.reasons.iter().any(|reason| reason.starts_with("Not measured: speed")),
        "{:?}",
        report.reasons
    );
    let release = report.release.expect("a release");
    assert!(release.changes.unknown.is_some());
    let seeds = release.parts.iter().find_map(|part| part.sweep.as_ref()).map(|sweep| sweep.totals.seeds);
    assert_eq!(seeds, Some(2));
    assert!(release.left_out.iter().any(|gap| gap.what == "golden-path"), "{:?}", release.left_out);
    for (file, what) in [("html", "<!DOCTYPE html>"), ("md", "## "), ("xml", "<?xml")] {
        let text = fs::read_to_string(folder.join(format!("out/release.{file}"))).expect("written");
        assert!(text.starts_with(what), "{file}");
    }
}

#[test]
fn earlier_reports_and_a_gate_are_taken_from_files() {
    let folder = scratch("history");
    let given = saved(&folder);
    fs::copy(&given[0], folder.join("v0.9-sim.json")).expect("copied");
    fs::copy(&given[0], folder.join("v0.91-sim.json")).expect("copied");
    let mut gate = Report::new(read(&given[0]).tool, Kind::Gate);
    gate.judge(Verdict::Regression, "route.user_message is slower by more than 5 %");
    let file = folder.join("gate.json");
    fs::write(&file, reports::json::to_string(&gate)).expect("written");
    let out = folder.join("release.json");
    let mut command = release("v0.9", &given);
    command.arg("--gate").arg(&file).arg("--history").arg(&folder).arg("--out").arg(&out).assert().code(3);
    let report = read(&out);
    assert!(report.reasons[0].contains("slower by more than 5 %"), "{:?}", report.reasons);
    // The simulation has a twin of that release, the others have none, and v0.91 is another release.
    assert_eq!(report.release.expect("a release").against.len(), 1);

    let compared = folder.join("compared.json");
    let mut compare = goldenpath();
    compare
        .args(["report", "compare", "--json"])
        .arg(&out)
        .arg(&out)
        .arg("--junit")
        .arg(folder.join("compared.xml"));
    let shown = compare.arg("--out").arg(&compared).assert().success().get_output().stdout.clone();
    assert_eq!(fs::read(&compared).expect("written"), shown);
    assert!(String::from_utf8_lossy(&shown).starts_with("{\n  \"schema\": \"goldenpath.comparison/1\""));
}

#[test]
fn a_file_of_another_kind_is_refused_before_anything_is_run() {
    let folder = scratch("kind");
    let given = saved(&folder);
    let mut command = goldenpath();
    command.args(["report", "release", "--since", "HEAD", "--gate"]).arg(&given[0]);
    let talk = command.assert().code(2).get_output().stderr.clone();
    let talk = String::from_utf8_lossy(&talk).into_owned();
    assert!(talk.contains("sim.json: expected the report of a gate, found that of a simulation"), "{talk}");
    assert!(!talk.contains("playing"), "{talk}");
}
