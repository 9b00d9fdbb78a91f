//! `goldenpath report release`: collects the reports of a release, and runs what is not given.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::CommandFactory as _;
use reports::{Collected, Gap, Kind, Report, Tool, Verdict, sweep::SeedRange};
use simulator::{legacy::Played, scenario};

use super::{conform, load, report::read, sim, sweep};
use crate::{
    arguments::{Arguments, KEPT, LoadOptions, ReleaseOptions, ReportOptions, SweepOptions},
    failure::Failure,
    output,
    repository::Repository,
    sources,
};

/// The scenario that is played over real sockets: half a minute.
const LOAD: &str = "load";

/// Scenarios that take a minute and more, with the reason that the report gives when they are left out.
const LONG: &[(&str, &str)] = &[
    (
        "many-users",
        "a hundred thousand users take a minute and 300 MB: play it with --all, or give its report with --sim",
    ),
    (
        "million-users",
        "a million users take minutes and gigabytes: play it with --all, or give its report with --sim",
    ),
];

pub(crate) fn run(options: &ReleaseOptions) -> Result<Verdict, Failure> {
    let repository = Repository::here();
    let mut collected = Collected {
        since: options.since.clone(),
        head: repository.as_ref().map_or("this program".to_owned(), Repository::head),
        changes: changes(repository.as_ref(), &options.since),
        accepted: repository
            .as_ref()
            .map(|repository| repository.accepted_since(&options.since))
            .unwrap_or_default(),
        before: history(&options.history, &options.since)?,
        ..Collected::default()
    };
    // Files first: one that cannot be read ends the command before minutes are spent.
    let given = Given::read(options)?;
    simulations(given.simulations, options.all, &mut collected)?;
    collected.parts.push(given.sweep.map_or_else(swarm, Ok)?);
    match given.conformance {
        Some(report) => collected.parts.push(report),
        None => {
            output::talk("playing the recorded cases");
            collected.parts.push(conform::judged(&sources::vectors(&[])?, None)?);
        }
    }
    match given.gate {
        Some(report) => collected.parts.push(report),
        None => gate(repository.as_ref(), &options.since, &mut collected),
    }
    if given.loads.is_empty() {
        short_load(&mut collected);
    } else {
        collected.parts.extend(given.loads);
    }
    let mut report = reports::release(Tool::new("goldenpath", env!("CARGO_PKG_VERSION")), collected);
    report.replay = Some(format!("goldenpath report release --since {}", options.since));
    let mut failures = Vec::new();
    if let Some(folder) = &options.into {
        into(folder, &report, &mut failures);
    }
    let verdict = output::report(&report, &options.report)?;
    output::settled(Ok(()), failures, verdict)
}

/// The reports that were saved before.
struct Given {
    simulations: Vec<Report>,
    loads: Vec<Report>,
    sweep: Option<Report>,
    conformance: Option<Report>,
    gate: Option<Report>,
}

impl Given {
    fn read(options: &ReleaseOptions) -> Result<Given, Failure> {
        let all = |paths: &[PathBuf], kind| -> Result<Vec<Report>, Failure> {
            paths.iter().map(|path| of_kind(path, kind)).collect()
        };
        let one = |path: &Option<PathBuf>, kind| path.as_ref().map(|path| of_kind(path, kind)).transpose();
        Ok(Given {
            simulations: all(&options.sim, Kind::Simulation)?,
            loads: all(&options.load, Kind::Load)?,
            sweep: one(&options.sweep, Kind::Sweep)?,
            conformance: one(&options.conform, Kind::Conformance)?,
            gate: one(&options.gate, Kind::Gate)?,
        })
    }
}

/// A saved report, which must be of that kind.
fn of_kind(path: &Path, kind: Kind) -> Result<Report, Failure> {
    let report = read(path)?;
    if report.kind == kind {
        return Ok(report);
    }
    let found = report.kind;
    Err(Failure::Usage(format!(
        "{}: expected the report of a {kind}, found that of a {found}",
        path.display()
    )))
}

fn changes(repository: Option<&Repository>, since: &str) -> reports::Changes {
    let unknown =
        |why: &str| reports::Changes { unknown: Some(why.to_owned()), ..reports::Changes::default() };
    let Some(repository) = repository else {
        return unknown("this is no git repository");
    };
    match repository.changes(since) {
        Ok(changes) => changes,
        Err(why) => {
            output::talk(&format!("warning: {since}: {why}"));
            unknown(&why)
        }
    }
}

/// The reports of an earlier release: `TAG.json`, or one file per report as `TAG-*.json`.
fn history(folder: &Path, since: &str) -> Result<Vec<Report>, Failure> {
    // A tag may have slashes in it, a file name may not.
    let tag = since.replace('/', "-");
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let belongs = |path: &PathBuf| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let rest = stem.strip_prefix(&tag);
        path.extension().is_some_and(|ending| ending == "json")
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(belongs).collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// Given simulations, else every built-in scenario.
fn simulations(given: Vec<Report>, all: bool, collected: &mut Collected) -> Result<(), Failure> {
    let mut names = Vec::new();
    for (name, _) in scenario::embedded() {
        let is_given =
            given.iter().any(|part| part.scenario.as_ref().is_some_and(|scenario| scenario.name == *name));
        let long = LONG.iter().find(|(long, _)| long == name).filter(|_| !all);
        match long {
            _ if is_given => {}
            // Whoever gives reports has chosen what was played; the page says what was not.
            _ if !given.is_empty() => {
                collected.left_out.push(Gap::new(*name, "it is not among the given simulations"))
            }
            _ if *name == LOAD => collected
                .left_out
                .push(Gap::new(*name, "in virtual time; it is made for real sockets and played there")),
            Some((_, why)) => collected.left_out.push(Gap::new(*name, *why)),
            None => names.push(*name),
        }
    }
    collected.parts.extend(given);
    for name in names {
        output::talk(&format!("playing {name}"));
        collected.parts.push(sim::played(name)?);
    }
    Ok(())
}

/// As many seeds of the swarm as must meet every condition.
fn swarm() -> Result<Report, Failure> {
    let seeds = SeedRange { from: 0, to: sweep::DEMAND_FROM };
    output::talk(&format!("playing the seeds {seeds} of the swarm"));
    sweep::swept(seeds, &Played::Router, None, &SweepOptions { keep: KEPT, ..SweepOptions::default() })
}

/// The gate against the last release, if this program has one and can reach it.
fn gate(repository: Option<&Repository>, since: &str, collected: &mut Collected) {
    let mut miss = |why: String| collected.missing.push(Gap::new(reports::needed(Kind::Gate), why));
    if Arguments::command().find_subcommand("gate").is_none() {
        return miss("this version of the program has no gate".to_owned());
    }
    let Some(repository) = repository else {
        return miss("this is no git repository, so there is nothing to compare with".to_owned());
    };
    if let Err(why) = repository.commit(since) {
        return miss(why);
    }
    output::talk(&format!("measuring against {since}"));
    let out = std::env::temp_dir().join(format!("goldenpath-gate-{}.json", std::process::id()));
    let ended = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .args(["gate", "--base", since, "--out"])
            .arg(&out)
            .stdout(std::process::Stdio::null())
            .status()
    });
    let report = read(&out);
    _ = fs::remove_file(&out);
    match (ended, report) {
        (_, Ok(report)) => collected.parts.push(report),
        (Ok(status), Err(_)) => {
            let code = status.code().map_or("a signal".to_owned(), |code| format!("code {code}"));
            miss(format!(
                "`goldenpath gate --base {since}` ended with {code} and left no report; run it alone to see why"
            ));
        }
        (Err(error), Err(_)) => miss(format!("the gate could not be started: {error}")),
    }
}

/// Half a minute over real sockets. That it cannot be played is a gap, not the end of the report.
fn short_load(collected: &mut Collected) {
    output::talk(&format!("playing {LOAD} over real sockets"));
    let options = LoadOptions {
        scenario: LOAD.to_owned(),
        seed: None,
        target: None,
        jwt_key_file: None,
        authorities: None,
        workers: None,
        report: ReportOptions { json: false, out: None, html: None, markdown: None, junit: None },
    };
    match load::play(&options) {
        Ok(mut played) => {
            if let Err(failure) = played.stopped {
                played.report.judge(Verdict::Error, failure.to_string());
            }
            collected.parts.push(played.report);
        }
        Err(failure) => collected.missing.push(Gap::new(reports::needed(Kind::Load), failure.to_string())),
    }
}

/// All four files of a release.
fn into(folder: &Path, report: &Report, failures: &mut Vec<String>) {
    if let Err(error) = fs::create_dir_all(folder) {
        failures.push(format!("{}: {error}", folder.display()));
        return;
    }
    let path = |ending: &str| folder.join(format!("release.{ending}"));
    output::file(Some(&path("html")), || reports::html::render(report), failures);
    output::file(Some(&path("md")), || reports::markdown::render(report), failures);
    output::file(Some(&path("xml")), || reports::junit::render(report), failures);
    output::file(Some(&path("json")), || reports::json::to_string(report), failures);
}
