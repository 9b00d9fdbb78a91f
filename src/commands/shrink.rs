//! `goldenpath shrink`.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use reports::{Fact, Verdict};
use simulator::{
    Options,
    legacy::Played,
    scenario::{Regression, Scenario},
    shrink::{Progress, RUNS_MAX, Shrunk, Size, Suspicion, shrink},
    swarm,
};

use crate::{arguments::ShrinkOptions, failure::Failure, output, sources};

pub(crate) fn run(options: &ShrinkOptions) -> Result<Verdict, Failure> {
    let played = Played::named(&options.subject, &options.hazards).map_err(Failure::Usage)?;
    let (source, scenario) = match &options.scenario {
        Some(name) => (name.as_str(), sources::scenario(name)?),
        None => (swarm::NAME, swarm::scenario(options.seed.unwrap_or_default())),
    };
    let seed = options.seed.unwrap_or(scenario.seed);
    let suspicion = Suspicion::new(played.clone(), options.rule.clone().unwrap_or_default());
    let until = Instant::now() + Duration::from_micros(options.budget.us());
    let bar = bar();
    let mut told = |progress: &Progress| {
        let Progress { pass, runs, size } = progress;
        bar.set_message(format!("{runs} candidates, now {pass}: {}", words(size)));
        Instant::now() < until
    };
    let shrunk = shrink(&scenario, seed, suspicion, RUNS_MAX, &mut told)
        .map_err(|error| Failure::Usage(format!("{source}, seed {seed}: {error}")))?;
    bar.finish_and_clear();
    let path = options.into.display().to_string();
    let small = kept(&shrunk, &played, &options.into);
    output::write_file(&options.into, &small.to_toml(&comment(&shrunk, &path, (source, seed), &played)))?;
    show(&shrunk, &small, &path, &played, options)
}

/// The scenario as it is kept: with a name, and with what it is kept for.
fn kept(shrunk: &Shrunk, played: &Played, into: &Path) -> Scenario {
    let name = into.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (subject, hazards) = played.name();
    Scenario {
        about: format!("{} with {}", shrunk.rule, named(played)),
        name,
        regression: Some(Regression { rule: shrunk.rule.clone(), subject, hazards }),
        ..shrunk.scenario.clone()
    }
}

fn named(played: &Played) -> String {
    let (subject, hazards) = played.name();
    [subject].into_iter().chain(hazards).collect::<Vec<_>>().join(" ")
}

fn comment(shrunk: &Shrunk, path: &str, (source, seed): (&str, u64), played: &Played) -> String {
    let (before, after) = shrunk.sizes;
    let first = shrunk.report.findings.iter().find(|finding| finding.rule == shrunk.rule);
    let what = first.map(|finding| format!(": {}", finding.detail)).unwrap_or_default();
    let rest = if shrunk.finished { "" } else { "; ended early" };
    format!(
        "{} breaks {}{what}.\nFound in {source}, seed {seed}: {}; left: {}{rest}.\nSee it: {}",
        named(played),
        shrunk.rule,
        words(&before),
        words(&after),
        super::sim::replay(path, shrunk.scenario.seed, played),
    )
}

/// Plays what is left once more, and reports it with the command that does so again.
fn show(
    shrunk: &Shrunk,
    small: &Scenario,
    path: &str,
    played: &Played,
    options: &ShrinkOptions,
) -> Result<Verdict, Failure> {
    let how = Options { sequence: true, ..Options::default() };
    let mut report = simulator::simulate_with(small, small.seed, played, how)
        .map_err(|error| Failure::Internal(error.to_string()))?;
    report.replay = Some(super::sim::replay(path, small.seed, played));
    let facts = [
        Fact::count("shrink_users_before", "users found with", shrunk.sizes.0.users as u64),
        Fact::count("shrink_users", "users left", shrunk.sizes.1.users as u64),
        Fact::count("shrink_rows_before", "rows found with", shrunk.sizes.0.acts as u64),
        Fact::count("shrink_rows", "rows left", shrunk.sizes.1.acts as u64),
        Fact::count("shrink_runs", "candidates played", shrunk.runs),
    ];
    report.facts.splice(0..0, facts);
    if !shrunk.finished {
        output::talk("ended early: the smallest so far is kept; a longer --budget may find a smaller one");
    }
    output::report(&report, &options.report)?;
    Ok(Verdict::Pass)
}

fn words(size: &Size) -> String {
    let Size { users, acts, steps, faults, .. } = size;
    format!("{users} users, {acts} rows, {steps} steps, {faults} faults")
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("   shrinking {spinner} {msg}");
    let bar = output::progress(0, "shrinking");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar
}
