//! The gate from outside: revisions of a small repository are built, run and judged, and every way to fail has its
//! exit code and its advice.
//!
//! The repository's worker is a stand-in that speaks the worker's protocol and says how long it took without looking
//! at a clock, so every verdict here is certain. What the real worker measures is tested beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command as Plain,
    sync::OnceLock,
};

use assert_cmd::{Command, assert::Assert};

const WORKER: &str = r###"
use std::io::{BufRead, Write};
fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let each = EACH_NS;
    match words[0].as_str() {
        "list" => println!("{}", LIST),
        "run" => {
            let ppm: f64 = words[3].parse().unwrap();
            let mut asked = 0;
            for line in std::io::stdin().lock().lines() {
                asked += 1;
                if asked > DIES_AFTER { std::process::abort(); }
                let line = line.unwrap();
                let (how, units) = line.split_once(' ').unwrap();
                let units: f64 = units.parse().unwrap();
                let ns = (units * each * (1.0 + ppm / 1e6)) as u64;
                let times = if how == "e" { format!(" {}:{}", each as u64, units as u64) } else { String::new() };
                println!("{ns} {ns} 1{times}");
                std::io::stdout().flush().unwrap();
            }
        }
        _ => {}
    }
}
const LIST: &str = r##"{"protocol":1,"benchmarks":[BENCHMARKS]}"##;
"###;

const BENCHMARKS: &str = r#"{"name":"route.user_message","unit":"message","has_p99":true,"corpus":"CORPUS"},
{"name":"encode.event","unit":"event","has_p99":false,"corpus":"e"}"#;

const OVER_SOCKETS: &str = r#"{"name":"loopback.echo","unit":"echo","has_p99":false,"corpus":"l"}"#;

const EXACT: &str = r###"
fn main() {
    let (hops, pid) = (HOPS, std::process::id());
    let odd = if IS_ODD { pid } else { 0 };
    println!(r#"{{"protocol":1,"benchmarks":{{"route.user_message":{{"corpus":"CORPUS","units":100,"hops":{hops},
"effects":100,"sends":0,"copied_bytes":{odd},"allocations":300,"allocated_bytes":9000,"digest":"d"}}}},"scenarios":{{}}}}"#);
}
"###;

/// One revision of the stand-in.
#[derive(Clone, Copy)]
struct Stand {
    each_ns: &'static str,
    dies_after: &'static str,
    corpus: &'static str,
    hops: &'static str,
    is_odd: &'static str,
    /// Time of the benchmark over sockets; a revision without a program for it if `None`.
    loopback_ns: Option<&'static str>,
}

const QUIET: Stand = Stand {
    each_ns: "100.0",
    dies_after: "1_000_000",
    corpus: "c",
    hops: "100",
    is_odd: "false",
    loopback_ns: None,
};

/// Ten commits, each four percent slower than the one before: none of them is a regression.
const CREEP: [&str; 10] =
    ["104.00", "108.16", "112.49", "116.99", "121.67", "126.53", "131.59", "136.86", "142.33", "148.02"];

/// The repository, made once: `main` with quiet, slow and again quiet commits, and a branch for every misfortune.
fn repository() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("gate-repository");
        _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("benches/worker/src/bin")).expect("a folder");
        git(&root, &["init", "--quiet", "--initial-branch", "main"]);
        write(&root, "README.md", "older than the gate\n");
        commit(&root, "before the gate");
        git(&root, &["branch", "ancient"]);
        let exact = "[[bin]]\nname = \"gate-exact\"\npath = \"src/bin/gate-exact.rs\"\n";
        write(&root, "benches/worker/Cargo.toml", &(manifest("gate-worker") + exact));
        let base = |name: &str, subject: &str, stand: Stand| {
            stand_in(&root, stand);
            commit(&root, subject);
            git(&root, &["branch", "--force", name]);
        };
        base("base", "the gate", QUIET);
        for (name, stand) in [
            ("hop", Stand { hops: "200", ..QUIET }),
            ("dies", Stand { dies_after: "3", ..QUIET }),
            ("odd", Stand { is_odd: "true", ..QUIET }),
            ("fed", Stand { corpus: "other", ..QUIET }),
            ("slower", Stand { each_ns: "104.0", ..QUIET }),
            ("sockets", Stand { loopback_ns: Some("1000.0"), ..QUIET }),
            ("slow-sockets", Stand { loopback_ns: Some("1300.0"), ..QUIET }),
        ] {
            git(&root, &["checkout", "--quiet", "--detach", "base"]);
            base(name, name, stand);
        }
        git(&root, &["checkout", "--quiet", "main"]);
        write(&root, "README.md", "quiet\n");
        commit(&root, "a quiet commit");
        git(&root, &["branch", "quiet"]);
        base("slow", "parse everything twice", Stand { each_ns: "120.0", ..QUIET });
        write(&root, "README.md", "quiet again\n");
        commit(&root, "another quiet commit");
        root
    })
}

fn manifest(name: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         [[bin]]\nname = \"{name}\"\npath = \"src/main.rs\"\n"
    )
}

fn stand_in(root: &Path, stand: Stand) {
    let fill = |text: &str| {
        text.replace("EACH_NS", stand.each_ns)
            .replace("BENCHMARKS", BENCHMARKS)
            .replace("DIES_AFTER", stand.dies_after)
            .replace("CORPUS", stand.corpus)
            .replace("HOPS", stand.hops)
            .replace("IS_ODD", stand.is_odd)
    };
    write(root, "benches/worker/src/main.rs", &fill(WORKER));
    write(root, "benches/worker/src/bin/gate-exact.rs", &fill(EXACT));
    let locked = |name: &str| format!("\n[[package]]\nname = \"{name}\"\nversion = \"0.1.0\"\n");
    let mut lock = "version = 4\n".to_owned();
    let mut members = vec!["benches/worker"];
    if let Some(each_ns) = stand.loopback_ns {
        fs::create_dir_all(root.join("benches/loopback/src")).expect("a folder");
        write(root, "benches/loopback/Cargo.toml", &manifest("gate-loopback"));
        let main = WORKER.replace("EACH_NS", each_ns).replace("BENCHMARKS", OVER_SOCKETS);
        write(root, "benches/loopback/src/main.rs", &main.replace("DIES_AFTER", stand.dies_after));
        lock.push_str(&locked("gate-loopback"));
        members.push("benches/loopback");
    } else {
        _ = fs::remove_dir_all(root.join("benches/loopback"));
    }
    write(root, "Cargo.lock", &(lock + &locked("gate-worker")));
    write(root, "Cargo.toml", &format!("[workspace]\nmembers = {members:?}\nresolver = \"3\"\n"));
}

fn write(root: &Path, name: &str, text: &str) {
    fs::write(root.join(name), text).expect("written");
}

fn git(root: &Path, arguments: &[&str]) -> String {
    let mut git = Plain::new("git");
    git.arg("-C").arg(root).args(["-c", "user.name=t", "-c", "user.email=t@t.invalid"]).args(arguments);
    let output = git.env_remove("GIT_DIR").env_remove("GIT_INDEX_FILE").output().expect("git");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn commit(root: &Path, subject: &str) {
    git(root, &["add", "--all"]);
    git(root, &["commit", "--quiet", "--message", subject]);
}

fn gate(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("goldenpath").expect("built");
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("gate-cache");
    command.current_dir(folder).env("GOLDENPATH_GATE_CACHE", cache).env_remove("GITHUB_ACTIONS");
    // Few link orders build sooner, and a stand-in takes the same time in any of them.
    let (words, options) = match arguments.first() {
        Some(word) if !word.starts_with("--") => arguments.split_at(1),
        Some(_) | None => arguments.split_at(0),
    };
    command.arg("gate").args(words);
    if !["accept", "record", "verify"].iter().any(|word| words.contains(word)) {
        command.args(["--link-orders", "2"]);
    }
    command.args(options);
    command
}

fn shown(assert: &Assert) -> String {
    let output = assert.get_output();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn says(assert: &Assert, words: &[&str]) {
    let shown = shown(assert);
    for word in words {
        assert!(shown.contains(word), "`{word}` is not in:\n{shown}");
    }
}

#[test]
fn a_quiet_commit_passes_and_its_report_verifies() {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("quiet.json");
    let passed =
        gate(repository(), &["--base", "base", "--head", "quiet", "--out"]).arg(&out).assert().code(0);
    says(&passed, &["PASS"]);
    gate(repository(), &["verify"]).arg(&out).assert().code(0);
    // A verdict that does not follow from the raw values is found out.
    let text = fs::read_to_string(&out).expect("written");
    let mut report = reports::json::from_str(&text).expect("a report");
    let gate_data = report.gate.as_mut().expect("a gate's");
    for epoch in &mut gate_data.contests[0].epochs {
        for quad in &mut epoch.quads {
            quad.wall_ns[2] *= 2;
        }
    }
    fs::write(&out, reports::json::to_string(&report)).expect("written");
    let refuted = gate(repository(), &["verify"]).arg(&out).assert().code(6);
    says(&refuted, &["x of epoch 0", "said to be pass and follows as inconclusive"]);
}

#[test]
fn a_slow_commit_fails_and_a_slightly_slower_one_passes() {
    let junit = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("slow.xml");
    let failed =
        gate(repository(), &["--base", "base", "--head", "slow", "--junit"]).arg(&junit).assert().code(3);
    let range = git(repository(), &["rev-parse", "--short=12", "slow"]);
    says(&failed, &["route.user_message is slower by more than 5 %: +20.0 %", "evidence", &range]);
    says(&failed, &["goldenpath gate accept --base", "--limit 1.25 'route.user_message' --reason"]);
    assert!(fs::read_to_string(&junit).expect("written").contains("<failure"));
    gate(repository(), &["--base", "base", "--head", "slower"]).assert().code(0);
}

#[test]
fn one_more_hop_fails_until_the_change_accepts_it() {
    let clone = clone_of("accepting", &[]);
    git(&clone, &["checkout", "--quiet", "-B", "change", "origin/hop"]);
    let failed = gate(&clone, &["--base", "origin/base", "--head", "HEAD"]).assert().code(3);
    says(&failed, &["route.user_message hops: 200 instead of 100, exactly 1 more per unit"]);
    says(&failed, &["goldenpath gate accept --base", "'route.user_message hops' --reason"]);
    gate(&clone, &["accept", "--base", "origin/base", "--reason", "a queue", "route.user_message hops"])
        .assert()
        .code(0);
    // The files as they are count, committed or not.
    gate(&clone, &["--base", "origin/base"]).assert().code(0);
    commit(&clone, "accept a hop");
    gate(&clone, &["--base", "origin/base", "--head", "HEAD"]).assert().code(0);
    let wrong = gate(&clone, &["accept", "--base", "HEAD", "--reason", "none", "route.user_message hops"]);
    says(&{ wrong }.assert().code(2), &["no cost of this change"]);
}

#[test]
fn a_worker_that_dies_ends_the_gate() {
    let failed = gate(repository(), &["--base", "base", "--head", "dies", "--only", "wall"]).assert().code(1);
    says(&failed, &["a worker of route.user_message died", "run again"]);
}

#[test]
fn a_side_that_is_not_deterministic_ends_the_gate() {
    let failed = gate(repository(), &["--base", "base", "--head", "odd"]).assert().code(1);
    says(&failed, &["the head is not deterministic", "--check-determinism"]);
}

#[test]
fn without_valgrind_the_gate_passes_and_says_so() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("path-without-valgrind");
    _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let path = std::env::var_os("PATH").expect("a path");
    for place in std::env::split_paths(&path) {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            if !entry.file_name().to_string_lossy().contains("valgrind") {
                // The first of a name wins, as it does in a search.
                _ = std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name()));
            }
        }
    }
    let mut command = gate(repository(), &["--base", "base", "--head", "quiet"]);
    says(&command.env("PATH", &folder).assert().code(0), &["valgrind is not installed", "apt-get install"]);
}

#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    let failed =
        gate(repository(), &["--base", "base", "--head", "quiet", "--out", "/dev/full"]).assert().code(1);
    says(&failed, &["/dev/full", "make room or give another path"]);
}

#[test]
fn another_corpus_is_not_comparable() {
    let failed = gate(repository(), &["--base", "base", "--head", "fed"]).assert().code(5);
    says(&failed, &["route.user_message was fed differently", "merge it on its own"]);
}

#[test]
fn a_history_that_is_cut_off_is_not_comparable() {
    let clone = clone_of("shallow", &["--depth", "1", "--branch", "main"]);
    let failed = gate(&clone, &["--base", "HEAD~1"]).assert().code(5);
    says(&failed, &["git fetch --unshallow"]);
    says(&gate(&clone, &["drift"]).assert().code(5), &["no release tag"]);
    let ancient = gate(repository(), &["--base", "ancient", "--head", "base"]).assert().code(5);
    says(&ancient, &["older than the gate"]);
    says(
        &gate(repository(), &["--base", "nonsense"]).assert().code(2),
        &["no revision is called `nonsense`"],
    );
}

#[test]
fn ten_commits_of_four_percent_pass_one_by_one_and_drift_finds_them() {
    let clone = clone_of("creep", &[]);
    git(&clone, &["checkout", "--quiet", "-B", "creep", "origin/base"]);
    git(&clone, &["tag", "v1.0.0"]);
    for each_ns in CREEP {
        stand_in(&clone, Stand { each_ns, ..QUIET });
        commit(&clone, each_ns);
    }
    for (base, head) in [("v1.0.0", "HEAD~9"), ("HEAD~5", "HEAD~4"), ("HEAD~1", "HEAD")] {
        gate(&clone, &["--base", base, "--head", head, "--only", "wall"]).assert().code(0);
    }
    let drifted = gate(&clone, &["drift", "--only", "wall"]).assert().code(3);
    says(&drifted, &["route.user_message is slower by more than 5 %: +48.0 %"]);
}

#[test]
fn a_benchmark_over_sockets_is_reported_and_not_judged() {
    let new = gate(repository(), &["--base", "base", "--head", "sockets"]).assert().code(0);
    says(&new, &["loopback.echo is new"]);
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sockets.json");
    let arguments = ["--base", "sockets", "--head", "slow-sockets", "--only", "wall", "--out"];
    let slower = gate(repository(), &arguments).arg(&out).assert().code(0);
    says(&slower, &["loopback.echo is slower: +30.0 %", "reported, not judged"]);
    gate(repository(), &["verify"]).arg(&out).assert().code(0);
    let arguments = [&["--benchmark", "loopback.echo"], &arguments[..]].concat();
    gate(repository(), &arguments).arg(&out).assert().code(0);
    gate(repository(), &["verify"]).arg(&out).assert().code(0);
    let gone = gate(repository(), &["--base", "sockets", "--head", "base"]).assert().code(5);
    says(&gone, &["loopback.echo is gone from the head"]);
}

#[test]
fn recorded_numbers_are_those_of_the_files_until_the_files_change() {
    let clone = clone_of("recording", &["--branch", "base"]);
    says(&gate(&clone, &["record", "--check"]).assert().code(6), &["is not there", "gate record"]);
    gate(&clone, &["record"]).assert().code(0);
    gate(&clone, &["record", "--check"]).assert().code(0);
    stand_in(&clone, Stand { hops: "200", ..QUIET });
    let other = gate(&clone, &["record", "--check"]).assert().code(6);
    says(&other, &["\"hops\": 100", "\"hops\": 200", "gate record"]);
}

#[test]
fn bisect_names_the_commit() {
    let arguments = ["bisect", "--good", "base", "--bad", "main", "--benchmark", "route.user_message"];
    let found = gate(repository(), &arguments).assert().code(3);
    says(&found, &[&git(repository(), &["rev-parse", "slow"]), "parse everything twice"]);
    let arguments = ["bisect", "--good", "base", "--bad", "quiet", "--benchmark", "route.user_message"];
    says(&gate(repository(), &arguments).assert().code(2), &["there is no commit to find"]);
}

#[test]
fn every_probe_applies_to_the_router_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let probes: Vec<PathBuf> = fs::read_dir(root.join("benches/gate/probes"))
        .expect("the probes are in the repository")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(probes.len(), 4, "{probes:?}");
    for probe in probes {
        git(root, &["apply", "--check", &probe.display().to_string()]);
    }
}

#[test]
fn a_machine_whose_answers_are_right_is_fit() {
    let arguments = ["calibrate", "--runs", "2", "--head", "base"];
    let fit = gate(repository(), &arguments).assert().code(0);
    says(&fit, &["this machine is fit to gate"]);
}

fn clone_of(name: &str, options: &[&str]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    _ = fs::remove_dir_all(&folder);
    let url = format!("file://{}", repository().display());
    let target = folder.display().to_string();
    let mut arguments = vec!["clone", "--quiet"];
    arguments.extend(options);
    arguments.extend([url.as_str(), target.as_str()]);
    git(repository(), &arguments);
    git(&folder, &["config", "user.name", "t"]);
    git(&folder, &["config", "user.email", "t@t.invalid"]);
    folder
}
