//! Sweeps from outside: threads and parts do not matter, what does not belong together is refused, findings name the
//! command that plays them.

use std::{fs, path::PathBuf};

use assert_cmd::Command;
use reports::{Report, Verdict, sweep::Failing};

fn goldenpath() -> Command {
    Command::cargo_bin("goldenpath").expect("built")
}

/// A path of this test's own.
fn scratch(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sweep");
    fs::create_dir_all(&dir).expect("a directory");
    dir.join(name)
}

fn sim(arguments: &[&str]) -> Command {
    let mut command = goldenpath();
    command.arg("sim").args(arguments);
    command
}

/// Runs to the end, whatever the verdict, and reads the report.
fn report(arguments: &[&str]) -> Report {
    let output = sim(arguments).arg("--json").output().expect("runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let report =
        reports::json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{text}"));
    assert_eq!(output.status.code(), Some(report.verdict.exit_code().into()));
    report
}

/// The bytes that two sweeps are compared by.
fn compared(mut report: Report) -> String {
    let sweep = report.sweep.as_mut().expect("a sweep");
    assert!(sweep.measured.take().is_some(), "what the machine spent is said");
    reports::json::to_string(&report)
}

#[test]
fn threads_do_not_matter() {
    let with = |jobs: &str| {
        let hashes = scratch(&format!("jobs-{jobs}.txt"));
        let report =
            report(&["--seeds", "100..160", "--jobs", jobs, "--hashes", hashes.to_str().expect("UTF-8")]);
        (compared(report), fs::read_to_string(hashes).expect("written"))
    };
    let (one, four) = (with("1"), with("4"));
    assert_eq!(one, four);
    assert_eq!(one.1.lines().count(), 60);
    let alone = report(&["--swarm", "--seed", "159"]).hash.expect("a hash");
    assert_eq!(one.1.lines().last(), Some(format!("159 {alone}").as_str()));
}

#[test]
fn several_nodes_are_swept_told_and_the_same_in_any_number_of_threads() {
    let seeds = |jobs: &str| {
        report(&["--nodes", "2", "--seeds", "40..64", "--jobs", jobs, "--demand", "never", "--keep", "5"])
    };
    let (one, four) = (seeds("1"), seeds("4"));
    assert_eq!(one.verdict, Verdict::Pass, "{:?}", one.findings);
    assert!(one.sweep.as_ref().is_some_and(|sweep| sweep.totals.delivered > 24 * 500));
    assert_eq!(compared(one), compared(four));
    let told = sim(&["--nodes", "2", "--seed", "40", "--tell"]).output().expect("runs");
    let told = String::from_utf8(told.stdout).expect("UTF-8");
    assert!(told.contains("node 1 begins") && told.contains("--nodes 2"), "{told}");
}

#[test]
fn parts_make_the_whole() {
    let whole = compared(report(&["--seeds", "0..50"]));
    let parts: Vec<PathBuf> = (1..=3).rev().map(|part| scratch(&format!("part-{part}.json"))).collect();
    for (part, file) in (1..=3).rev().zip(&parts) {
        let shard = format!("{part}/3");
        let output = sim(&["--seeds", "0..50", "--shard", &shard, "--out"]).arg(file).output().expect("runs");
        assert!(output.status.code().is_some_and(|code| code != 1 && code != 2), "{output:?}");
    }
    let merged = scratch("merged.json");
    goldenpath().args(["report", "merge"]).args(&parts).arg("--out").arg(&merged).output().expect("runs");
    let merged = reports::json::from_str(&fs::read_to_string(merged).expect("written")).expect("a report");
    assert_eq!(compared(merged), whole);
}

#[test]
fn what_is_no_part_is_refused_with_its_name() {
    let (whole, other, cut, tiny) =
        (scratch("whole.json"), scratch("other.json"), scratch("cut.json"), scratch("tiny.json"));
    sim(&["--seeds", "0..6", "--demand", "never", "--out"]).arg(&whole).output().expect("runs");
    sim(&["--seeds", "4..8", "--demand", "never", "--out"]).arg(&other).output().expect("runs");
    sim(&["--scenario", "tiny", "--seeds", "6..8", "--demand", "never", "--out"])
        .arg(&tiny)
        .output()
        .expect("runs");
    let text = fs::read_to_string(&whole).expect("written");
    fs::write(&cut, &text[..text.len() / 2]).expect("written");
    let refused = |files: [&PathBuf; 2], code: i32| {
        let output =
            goldenpath().args(["report", "merge"]).args(files).assert().code(code).get_output().clone();
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    let said = refused([&whole, &other], 2);
    assert!(said.contains("other.json") && said.contains("seeds 4..6"), "{said}");
    let said = refused([&whole, &tiny], 5);
    assert!(said.contains("tiny.json") && said.contains("profile"), "{said}");
    let said = refused([&whole, &cut], 2);
    assert!(said.contains("cut.json") && said.contains("line"), "{said}");
}

#[test]
fn a_condition_that_was_never_met_is_an_exit_code_of_its_own() {
    let few = report(&["--seeds", "1..3", "--demand", "1"]);
    assert_eq!(few.verdict, Verdict::Unreached);
    assert!(few.cases.iter().any(|case| case.group == "sometimes" && case.outcome.is_bad()));
    let undemanded = report(&["--seeds", "1..3"]);
    assert_eq!((undemanded.verdict, undemanded.hash), (Verdict::Pass, few.hash));
}

#[test]
fn a_sweep_without_crashes_fails_for_want_of_them() {
    let swept = report(&["--seeds", "0..120", "--without", "crash", "--demand", "100"]);
    let failed = |name: &str| swept.cases.iter().any(|case| case.name == name && case.outcome.is_bad());
    assert!(failed("fault_crash") && failed("crash_with_runs"), "{:?}", swept.reasons);
    assert!(!failed("fault_cut") && !failed("reconnect"), "{:?}", swept.reasons);
    assert!(swept.verdict == Verdict::Unreached || swept.findings_total > 0);
    assert_eq!(swept.replay.as_deref(), Some("goldenpath sim --swarm --seeds 0..120 --without crash"));
}

/// These seeds meet every condition, so that what fails them is what was left out.
#[test]
fn a_sweep_that_demands_what_was_left_out_has_an_exit_code() {
    let swept = |without: &[&str]| {
        let swept = report(&[&["--seeds", "0..150", "--demand", "150"][..], without].concat());
        let unmet = swept.cases.into_iter().filter(|case| case.group == "sometimes" && case.outcome.is_bad());
        (swept.verdict.exit_code(), unmet.map(|case| case.name).collect::<Vec<_>>())
    };
    assert_eq!(swept(&[]), (0, Vec::new()));
    let unmet = ["setup_held", "stop_mid_run", "stop_mid_tool"].map(str::to_owned).to_vec();
    assert_eq!(swept(&["--without", "stops,set_up"]), (10, unmet));
}

#[test]
fn a_plateau_ends_a_sweep_where_threads_do_not_matter() {
    let with = |jobs: &str| {
        compared(report(&[
            "--scenario",
            "agent-error",
            "--seeds",
            "0..400",
            "--plateau",
            "4",
            "--jobs",
            jobs,
        ]))
    };
    let one = with("1");
    assert_eq!(one, with("3"));
    let sweep = reports::json::from_str(&one).expect("a report").sweep.expect("a sweep");
    assert!(sweep.totals.seeds < 400 && sweep.totals.seeds.is_multiple_of(4), "{:?}", sweep.played);
    assert!(sweep.stopped[0].contains("plateau"), "{:?}", sweep.stopped);
}

#[test]
fn a_budget_ends_a_sweep_and_says_where() {
    let swept = report(&["--seeds", "0..100000000", "--budget", "1s", "--demand", "never"]);
    let sweep = swept.sweep.expect("a sweep");
    assert!(sweep.totals.seeds < 100_000_000);
    assert!(sweep.stopped[0].contains("budget"), "{:?}", sweep.stopped);
    assert_eq!(sweep.played.iter().map(|range| range.len()).sum::<u64>(), sweep.totals.seeds);
}

#[test]
fn findings_name_the_command_that_plays_them() {
    let swept = report(&["--seeds", "0..30", "--subject", "legacy", "--hazard", "G9", "--keep", "2"]);
    assert_eq!(swept.verdict, Verdict::Findings);
    let sweep = swept.sweep.as_ref().expect("a sweep");
    let fastest: &[Failing] = &sweep.rules["golden.value"].fastest;
    assert_eq!(fastest.len(), 2);
    assert!(fastest[0].inputs <= fastest[1].inputs);
    let finding = swept.findings.iter().find(|finding| finding.rule == "golden.value").expect("listed");
    let (_, command) = finding.detail.split_once("again: goldenpath ").expect("a command");
    let words: Vec<&str> = command.split(' ').collect();
    let output = goldenpath().args(&words).arg("--json").output().expect("runs");
    let again = reports::json::from_str(&String::from_utf8(output.stdout).expect("UTF-8")).expect("a report");
    assert!(again.findings_by_rule.contains_key("golden.value"), "{command}");
}

#[test]
fn wrong_ranges_and_parts_say_what_would_be_right() {
    for (arguments, hint) in [
        (&["--seeds", "5..5"][..], "no seed is in 5..5"),
        (&["--seeds", "9"], "A..B"),
        (&["--seeds", "a..3"], "`a` is not the number of a seed"),
        (&["--seeds", "0..9", "--shard", "4/3"], "from 1 to N"),
        (&["--seeds", "0..9", "--without", "rain"], "swizzle_clog"),
        (&["--seeds", "0..9", "--budget", "10"], "no unit"),
        (&["--shard", "1/3"], "--seeds"),
        (&["--seeds", "0..9", "--trace", "t"], "--trace"),
    ] {
        let output = sim(arguments).assert().code(2).get_output().stderr.clone();
        let text = String::from_utf8(output).expect("UTF-8");
        assert!(text.contains(hint), "{arguments:?}: {text}");
    }
}

#[test]
fn a_drawn_scenario_is_a_file_that_plays_the_same() {
    let file = scratch("drawn.toml");
    let text = goldenpath().args(["scenario", "swarm", "12"]).assert().success().get_output().stdout.clone();
    fs::write(&file, text).expect("written");
    let path = file.to_str().expect("UTF-8");
    assert_eq!(report(&["--scenario", path]).hash, report(&["--swarm", "--seed", "12"]).hash);
}
