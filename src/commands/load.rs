//! `goldenpath load`.

use std::{fs, sync::Arc};

use benches::{
    load::{LoadOptions as Run, Progress, Target, TokenSource},
    stage::Node,
};
use reports::{Fact, Report, Unit, Verdict};
use router_server::auth::DEVELOPMENT_KEY;

use crate::{arguments::LoadOptions, failure::Failure, output, sources};

pub(crate) fn run(options: LoadOptions) -> Result<Verdict, Failure> {
    let Played { report, stopped } = play(&options)?;
    // The result first: a server that ends badly takes none of it away.
    let verdict = output::report(&report, &options.report)?;
    if verdict == Verdict::Pass { stopped.map(|()| verdict) } else { Ok(verdict) }
}

/// A load test that is over.
pub(super) struct Played {
    pub(super) report: Report,
    /// How our own server ended.
    pub(super) stopped: Result<(), Failure>,
}

/// Plays the scenario; the report is kept apart from how our own server ended.
pub(super) fn play(options: &LoadOptions) -> Result<Played, Failure> {
    let scenario = sources::scenario(&options.scenario)?;
    if !scenario.faults.is_empty() {
        let name = &scenario.name;
        return Err(Failure::Usage(format!(
            "{name}: its [[fault]] rules exist in virtual time only, and real sockets have faults of their own\n\
             play it with `goldenpath sim --scenario {}`, or take a scenario without faults",
            options.scenario
        )));
    }
    let seed = options.seed.unwrap_or(scenario.seed);
    let own = if options.target.is_none() { Some(own_server(&options.scenario, seed)?) } else { None };
    let url = options.target.clone().or_else(|| own.as_ref().map(|server| server.url().to_owned()));
    let tokens = match &options.jwt_key_file {
        Some(path) => {
            let key = fs::read(path).map_err(|error| Failure::unreadable(path, &error))?;
            TokenSource::Hs256(key.trim_ascii().to_owned())
        }
        None => TokenSource::Hs256(DEVELOPMENT_KEY.to_owned()),
    };
    let target = Target { url: url.unwrap_or_default(), authorities: options.authorities.clone() };
    let mut run = Run::new(target, scenario, tokens);
    run.seed = seed;
    if let Some(workers) = options.workers {
        run.workers = workers.max(1);
    }
    let at_start = own.as_ref().and_then(|server| server.memory("VmRSS:"));
    let bar = output::progress(100, "loading");
    let shown = bar.clone();
    run.progress = Some(Arc::new(move |at: Progress| {
        shown.set_position(at.at_us * 100 / at.ends_at_us.max(1));
        shown.set_message(format!(
            "{} connections, {} of {} runs ended, {} findings",
            at.connections, at.runs_ended, at.runs_planned, at.findings
        ));
    }));
    let result = benches::load::run(run);
    bar.finish_and_clear();
    let mut report = result.map_err(|error| Failure::Internal(error.to_string()))?.report;
    report.replay = Some(match &options.target {
        Some(url) => format!("goldenpath load --scenario {} --seed {seed} --target {url}", options.scenario),
        None => format!("goldenpath load --scenario {} --seed {seed}", options.scenario),
    });
    let at_most = own.as_ref().and_then(|server| server.memory("VmHWM:"));
    let memory = [
        ("server_memory_start", "memory of the server at start", at_start),
        ("server_memory_peak", "most memory of the server", at_most),
    ];
    for (key, label, bytes) in memory {
        report.facts.extend(bytes.map(|bytes| Fact::int(key, label, bytes, Unit::Bytes)));
    }
    let stopped = own.map_or(Ok(()), Node::stop).map_err(|error| Failure::Internal(error.to_string()));
    Ok(Played { report, stopped })
}

/// Our own server in a child process: its memory and its CPU are not the generator's.
fn own_server(scenario: &str, seed: u64) -> Result<Node, Failure> {
    let args = ["--development-key", "--scenario", scenario, "--seed", &seed.to_string()];
    Node::start(&sources::program()?, &args).map_err(|error| Failure::Internal(error.to_string()))
}
