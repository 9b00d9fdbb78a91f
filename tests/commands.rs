//! The commands from outside: exit codes, what goes to stdout, errors that name the place.

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

fn stdout(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).expect("UTF-8")
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let run = |seed: &str| stdout(goldenpath().args(["sim", "--scenario", "tiny", "--json", "--seed", seed]));
    assert_eq!(run("7"), run("7"));
    let hash = |json: &str| {
        let report = reports::json::from_str(json).expect("a report");
        report.hash.expect("a hash")
    };
    assert_ne!(hash(&run("7")), hash(&run("8")));
    goldenpath().args(["sim", "--scenario", "tiny", "--check-determinism"]).assert().success();
}

#[test]
fn a_trace_replays_and_a_flipped_byte_is_named() {
    for name in ["flip.trace", "flip.trace.gz"] {
        let trace = scratch(name);
        goldenpath().args(["sim", "--scenario", "tiny", "--trace"]).arg(&trace).assert().success();
        goldenpath().arg("replay").arg(&trace).assert().code(0);
        let mut bytes = fs::read(&trace).expect("written");
        let at = bytes.len() / 2;
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        fs::write(&trace, &bytes).expect("written");
        let output = goldenpath().arg("replay").arg(&trace).assert().code(9).get_output().stdout.clone();
        let text = String::from_utf8(output).expect("UTF-8");
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let named = if name.ends_with(".gz") { "line ".to_owned() } else { format!("line {line}") };
        assert!(text.contains(&named) && text.contains("altered"), "{text}");
        fs::write(&trace, &bytes[..at]).expect("written");
        let output = goldenpath().arg("replay").arg(&trace).assert().code(8).get_output().stdout.clone();
        assert!(String::from_utf8_lossy(&output).contains("cut off"));
    }
}

#[test]
fn a_trace_is_looked_around_in_by_time_user_and_run() {
    let trace = scratch("look.trace.gz");
    goldenpath().args(["sim", "--scenario", "tiny", "--trace"]).arg(&trace).assert().success();
    let look = |arguments: &[&str]| stdout(goldenpath().arg("replay").arg(&trace).args(arguments));
    let early = look(&["--until", "3s"]);
    assert!(early.contains("connects as") && !early.contains("Facts"), "{early}");
    let of_one = look(&["--user", "2"]);
    assert!(of_one.contains("user-000002-") && !of_one.contains("user-000001-"), "{of_one}");
    let run = of_one.split_whitespace().find(|word| word.starts_with("run-")).expect("a run");
    let full = look(&["--run", run, "--show", "full"]);
    assert!(full.contains("\"type\":\"agent_completed\"") && full.contains(run), "{full}");
    goldenpath().arg("replay").arg(&trace).args(["--until", "soon"]).assert().code(2);
}

#[test]
fn findings_set_the_exit_code() {
    // No agent can answer within a microsecond: every run ends otherwise than planned, and an objective is missed.
    let scenario = scratch("impossible.toml");
    let text = "schema = 1\nname = \"impossible\"\nabout = \"an objective that nobody can meet\"\n\
                [users]\ncount = 3\n[expect]\nfirst_event_p99 = \"1us\"\n";
    fs::write(&scenario, text).expect("written");
    let junit = scratch("impossible.xml");
    let assert =
        goldenpath().arg("sim").arg("--scenario").arg(&scenario).arg("--junit").arg(&junit).assert().code(6);
    let shown = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert!(shown.contains("objective.first_event_p99"), "{shown}");
    assert!(fs::read_to_string(&junit).expect("written").contains("<failure"));
    // A reader that has seen enough does not turn findings into success.
    let piped = format!(
        "{} sim --scenario {} | head -c1; exit ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_goldenpath"),
        scenario.display()
    );
    let status =
        std::process::Command::new("bash").args(["-c", &piped]).stdout(std::process::Stdio::null()).status();
    assert_eq!(status.expect("bash").code(), Some(6));
}

#[test]
fn a_junit_of_a_simulation_lists_every_checker() {
    let junit = scratch("tiny.xml");
    goldenpath().args(["sim", "--scenario", "tiny", "--junit"]).arg(&junit).assert().success();
    let text = fs::read_to_string(&junit).expect("written");
    for checker in ["isolation", "order", "delivery", "golden_path", "bounds"] {
        assert!(text.contains(&format!("name=\"{checker}\"")), "{text}");
    }
}

#[test]
fn a_server_does_not_outlive_its_parent() {
    let mut server = std::process::Command::new(env!("CARGO_BIN_EXE_goldenpath"))
        .args(["serve", "--listen", "127.0.0.1:0", "--development-key", "--until-stdin-ends"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    drop(server.stdin.take());
    assert!(server.wait().expect("ends").success());
}

#[test]
fn a_bad_scenario_is_named_with_line_column_and_key() {
    let scenario = scratch("bad.toml");
    fs::write(&scenario, "schema = 1\nname = \"bad\"\nabout = \"x\"\n[users]\ncuont = 3\n").expect("written");
    for command in [vec!["sim", "--scenario"], vec!["scenario", "check"]] {
        let output = goldenpath().args(command).arg(&scenario).assert().code(2).get_output().stderr.clone();
        let text = String::from_utf8(output).expect("UTF-8");
        assert!(text.contains("bad.toml:5:1") && text.contains("cuont") && text.contains("count"), "{text}");
    }
}

#[test]
fn bad_usage_is_exit_2_and_says_what_would_be_right() {
    for (arguments, hint) in [
        (vec!["sim", "--scenario", "no-such"], "golden-path"),
        (vec!["sim", "--seed", "x"], "invalid value"),
        (vec!["serve"], "--development-key"),
        (vec!["serve", "--development-key", "--redis", "http://example.org"], "expected redis://"),
        (vec!["replay", "no-such-file"], "no-such-file"),
        (vec!["report", "show", "no-such-file"], "no-such-file"),
    ] {
        let output = goldenpath().args(&arguments).assert().code(2).get_output().stderr.clone();
        let text = String::from_utf8(output).expect("UTF-8");
        assert!(text.contains(hint), "{arguments:?}: {text}");
    }
}

#[test]
fn the_legacy_server_is_silent_without_hazards_and_breaks_rules_with_them() {
    let sim = |arguments: &[&str]| {
        let mut command = goldenpath();
        command.args(["sim", "--scenario", "hazards", "--subject"]).args(arguments);
        command
    };
    let silent = stdout(&mut sim(&["legacy", "--json"]));
    let report = reports::json::from_str(&silent).expect("a report");
    assert!(report.facts.iter().any(|fact| fact.key == "subject" && fact.shown() == "legacy"));
    for (arguments, code, named) in [
        (&["legacy", "--hazard", "G9"][..], 6, "golden.value"),
        (&["legacy", "--hazard", "endpoint.G2"], 7, "iso.I1"),
        (&["legacy-endpoint"], 7, "endpoint.G2"),
        (&["legacy", "--hazard", "all"], 7, "iso."),
        (&["legacy-nowhere"], 2, "endpoint"),
        (&["legacy", "--hazard", "G77"], 2, "near it are bridge.G7"),
        (&["legacy", "--hazard", "G30"], 2, "gate"),
        (&["router", "--hazard", "G0"], 2, "--subject legacy"),
    ] {
        let assert = sim(arguments).assert().code(code);
        let output = assert.get_output();
        let text = [&output.stdout[..], &output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(named), "{arguments:?}: {text}");
    }
    assert_eq!(stdout(&mut sim(&["legacy", "--hazard", "list"])), stdout(goldenpath().arg("hazards")));
}

#[test]
fn a_trace_of_the_legacy_server_replays_with_its_hazards() {
    let trace = scratch("legacy.trace");
    goldenpath()
        .args(["sim", "--scenario", "hazards", "--subject", "legacy", "--hazard", "G13", "--trace"])
        .arg(&trace)
        .assert()
        .code(7);
    let output = goldenpath().arg("replay").arg(&trace).assert().code(7).get_output().stdout.clone();
    assert!(String::from_utf8_lossy(&output).contains("iso.I2"));
}

#[test]
fn a_load_without_a_server_is_an_error_of_the_environment() {
    let output = goldenpath()
        .args(["load", "--scenario", "tiny", "--target", "ws://127.0.0.1:9/ws"])
        .assert()
        .code(1)
        .get_output()
        .stderr
        .clone();
    assert!(String::from_utf8_lossy(&output).contains("127.0.0.1:9"));
}

#[test]
fn reports_are_kept_rendered_and_compared() {
    let paths: Vec<PathBuf> = ["1", "2"].map(|seed| scratch(&format!("report-{seed}.json"))).to_vec();
    for (seed, path) in ["1", "2"].into_iter().zip(&paths) {
        goldenpath()
            .args(["sim", "--scenario", "tiny", "--seed", seed, "--out"])
            .arg(path)
            .assert()
            .success();
    }
    let html = scratch("report.html");
    goldenpath().args(["report", "show"]).arg(&paths[0]).arg("--html").arg(&html).assert().success();
    assert!(fs::read_to_string(&html).expect("written").contains("<svg"));
    goldenpath().args(["report", "compare"]).args(&paths).assert().success();

    let cut = scratch("cut.json");
    let text = fs::read_to_string(&paths[0]).expect("written");
    fs::write(&cut, &text[..text.len() / 2]).expect("written");
    let output = goldenpath().args(["report", "show"]).arg(&cut).assert().code(2).get_output().stderr.clone();
    assert!(String::from_utf8_lossy(&output).contains("line"));
}

#[test]
fn a_full_disk_is_said() {
    goldenpath().args(["sim", "--scenario", "tiny", "--out", "/dev/full"]).assert().code(1);
}

#[test]
fn the_schema_is_the_committed_one() {
    let committed = fs::read_to_string("scenarios/scenario.schema.json").expect("committed");
    assert_eq!(stdout(goldenpath().args(["scenario", "schema"])), committed);
}
