//! `goldenpath load`.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use benches::load::{LoadOptions as Run, Progress, Target, TokenSource};
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
    let own = if options.target.is_none() { Some(OwnServer::start(&options.scenario, seed)?) } else { None };
    let url = options.target.clone().or_else(|| own.as_ref().map(|server| server.url.clone()));
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
    Ok(Played { report, stopped: own.map_or(Ok(()), OwnServer::stop) })
}

/// Our own server in a child process: its memory and its CPU are not the generator's.
struct OwnServer {
    child: Child,
    url: String,
}

impl OwnServer {
    fn start(scenario: &str, seed: u64) -> Result<Self, Failure> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Failure::Internal(format!("the server did not start: {what}: {error}"))
        };
        let program = std::env::current_exe().map_err(|error| failed("own path", &error))?;
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--development-key"])
            .args(["--scenario", scenario, "--seed", &seed.to_string()])
            // Bad frames are part of the plan: its audit records would only hide what matters.
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "error".to_owned()))
            .env_remove("GOLDENPATH_JWT_KEY_FILE")
            // The child ends when our end of this pipe does, however we come to ours.
            .arg("--until-stdin-ends")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed("spawn", &error))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(|error| failed("stdout", &error))?;
        }
        match line.trim().strip_prefix("listening on ") {
            Some(url) => Ok(Self { child, url: url.to_owned() }),
            None => {
                _ = child.kill();
                _ = child.wait();
                Err(failed("first line", &format!("`{}`", line.trim())))
            }
        }
    }

    /// A line of what the system says about the process, in bytes; `None` where it says nothing.
    fn memory(&self, line: &str) -> Option<i64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let kib = status.lines().find_map(|text| text.strip_prefix(line))?.trim().strip_suffix(" kB")?;
        kib.parse().ok().map(|kib: i64| kib * 1_024)
    }

    /// Ends it the way an operator would, and says when that did not work.
    fn stop(mut self) -> Result<(), Failure> {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().is_ok_and(|status| status.success());
        if !asked {
            _ = self.child.kill();
        }
        let status = self.child.wait().map_err(|error| Failure::Internal(format!("the server: {error}")))?;
        if asked && !status.success() {
            return Err(Failure::Internal(format!("the server ended with {status}")));
        }
        Ok(())
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // After `stop` the child is gone, and killing it again does nothing.
        _ = self.child.kill();
    }
}
