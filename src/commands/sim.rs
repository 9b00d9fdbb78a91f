//! `goldenpath sim`.

use std::path::Path;

use reports::{Report, Verdict};
use simulator::{
    Options, legacy::Played, plan::Plan, run::TIMELINES, scenario::Scenario, swarm::Plays, trace::Header,
};

use super::sweep;
use crate::{arguments::SimOptions, failure::Failure, output, sources, trace::Writer};

/// Plays a scenario as `sim --scenario NAME` does.
pub(super) fn played(name: &str) -> Result<Report, Failure> {
    let scenario = sources::scenario(name)?;
    let seed = scenario.seed;
    let mut report = simulate(&scenario, seed, &Played::Router, None)?;
    report.replay = Some(replay(name, seed, &Played::Router));
    Ok(report)
}

pub(super) fn replay(name: &str, seed: u64, played: &Played) -> String {
    format!("goldenpath sim --scenario {name} --seed {seed}{}", played.arguments())
}

/// From so many users on, a world is larger than what the processor has addresses at hand for.
const LARGE: u32 = 50_000;

/// Begins anew as the same process with memory in large pages: the C library asks the environment, and only when it begins.
/// Where that cannot be, nothing happens; what is played is the same.
///
/// Where large pages are to be asked for (`madvise`), glibc 2.36 finds that out in two starts of three only: it compares a text
/// that it has not ended. So the program begins a few times; the value says how often.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn again_with_large_pages() {
    use std::{env, os::unix::process::CommandExt as _, process::Command};

    const TOLD: &str = "GLIBC_TUNABLES";
    const ASKED: &str = "glibc.malloc.hugetlb=1";
    // What was given back last is given out first: it is still near. Else the library puts pieces together again, and on the way
    // touches what lies beside them.
    const BESIDE: &str = "glibc.malloc.tcache_count=1000";
    const STARTS_MAX: usize = 8;
    let told = match env::var(TOLD) {
        Err(env::VarError::NotPresent) => format!("{BESIDE}:{ASKED}"),
        Ok(told) if told.split(':').all(|part| part == ASKED || part == BESIDE) => {
            if told.split(':').count() > STARTS_MAX || !pages_are_asked_for() || has_large_pages() {
                return;
            }
            format!("{told}:{ASKED}")
        }
        // Whoever set it knows why.
        Ok(_) | Err(env::VarError::NotUnicode(_)) => return,
    };
    if let Ok(program) = env::current_exe() {
        // Comes back only if it could not begin.
        _ = Command::new(program).args(env::args_os().skip(1)).env(TOLD, told).exec();
    }
}

/// Whether large pages are for those who ask for them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn pages_are_asked_for() -> bool {
    let enabled = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    enabled.is_ok_and(|enabled| enabled.contains("[madvise]"))
}

/// Whether this process asked for its heap to be in large pages.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn has_large_pages() -> bool {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let heap = maps.split_once("[heap]").and_then(|(_, heap)| heap.split_once("VmFlags:"));
    let flags = heap.and_then(|(_, flags)| flags.lines().next());
    flags.is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hg"))
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn again_with_large_pages() {}

pub(crate) fn run(options: SimOptions) -> Result<Verdict, Failure> {
    if options.hazards.iter().any(|name| name == "list") {
        output::data(&super::hazards::table())?;
        return Ok(Verdict::Pass);
    }
    if let Some(scope) = &options.explore {
        return super::explore::run(scope, &options);
    }
    if let Some(nodes) = options.nodes.nodes {
        return super::nodes::run(nodes, &options);
    }
    let played = Played::named(&options.subject, &options.hazards).map_err(Failure::Usage)?;
    if let Some(seeds) = options.sweep.seeds {
        return sweep::run(seeds, &played, &options);
    }
    let source = options.scenario.as_deref().unwrap_or(sources::DEFAULT_SCENARIO);
    let (scenario, seed) = if options.swarm {
        let seed = options.seed.unwrap_or_default();
        let plays = Plays::Swarm { without: options.sweep.without.clone() };
        (plays.scenario(seed).into_owned(), seed)
    } else {
        let scenario = sources::scenario(source)?;
        if scenario.users.count >= LARGE {
            again_with_large_pages();
        }
        let seed = options.seed.unwrap_or(scenario.seed);
        (scenario, seed)
    };
    let mut report = match &options.trace {
        Some(path) => traced(&scenario, seed, &played, path)?,
        None => simulate(&scenario, seed, &played, None)?,
    };
    report.replay = Some(match options.swarm {
        true => {
            let without = sweep::without(&options.sweep.without);
            format!("goldenpath sim --swarm --seed {seed}{}{without}", played.arguments())
        }
        false => replay(source, seed, &played),
    });
    if options.check_determinism {
        let again = simulate(&scenario, seed, &played, None)?;
        if again.hash != report.hash {
            let [first, second] = [&report, &again].map(|run| run.hash.clone().unwrap_or_default());
            report.judge(
                Verdict::ReplayDiverged,
                format!("the same seed gave two hashes, {first} and {second}: find the first difference with --trace and replay"),
            );
        }
    }
    output::report(&report, &options.report)
}

/// Runs; `trace` takes each line.
fn simulate(
    scenario: &Scenario,
    seed: u64,
    played: &Played,
    trace: Option<&mut dyn FnMut(&str) -> bool>,
) -> Result<Report, Failure> {
    let users = u64::from(Plan::new(scenario.clone(), seed).count());
    let bar = output::progress(users, "simulating");
    let mut show = |at_us: u64, left: u64| {
        bar.set_position(left);
        bar.set_message(format!("{} s of virtual time", at_us / 1_000_000));
    };
    let progress: Option<&mut dyn FnMut(u64, u64)> = Some(&mut show);
    // A plan that somebody wrote down is small enough to be drawn.
    let sequence = !scenario.acts.is_empty();
    let mut options = Options { timelines: TIMELINES, progress, sequence, ..Options::default() };
    if let Some(trace) = trace {
        options.trace = Some(trace);
    }
    let report = simulator::simulate_with(scenario, seed, played, options);
    bar.finish_and_clear();
    report.map_err(|error| Failure::Usage(format!("{}: {error}", scenario.name)))
}

/// Runs and writes every input and effect to a file.
fn traced(scenario: &Scenario, seed: u64, played: &Played, path: &Path) -> Result<Report, Failure> {
    let failed = |error: std::io::Error| Failure::Internal(format!("{}: {error}", path.display()));
    let mut file = Writer::create(path).map_err(failed)?;
    file.header(&Header::new(scenario, seed).with(played)).map_err(failed)?;
    let mut outcome = Ok(());
    let mut write = |line: &str| {
        outcome = file.line(line);
        outcome.is_ok()
    };
    let report = simulate(scenario, seed, played, Some(&mut write))?;
    outcome.map_err(failed)?;
    file.end(report.hash.as_deref().unwrap_or_default()).map_err(failed)?;
    Ok(report)
}
