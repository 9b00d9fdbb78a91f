//! Simulation and reality agree: the same scenario and seed give every run the same events, in virtual time
//! and over real sockets.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use benches::load::{LoadOptions, Target, TokenSource};
use reports::Verdict;
use router_server::auth::DEVELOPMENT_KEY;
use simulator::{Options, World, scenario::Scenario};

/// A server in a child process, gone with the test.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(scenario: &str, seed: u64) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_goldenpath"))
            .args(["serve", "--listen", "127.0.0.1:0", "--development-key", "--scenario", scenario])
            .args(["--seed", &seed.to_string(), "--until-stdin-ends"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a first line");
        let url = line.trim().strip_prefix("listening on ").expect("the address").to_owned();
        Self { child, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Plays a scenario in both worlds and compares run by run.
fn agree(name: &str, seed: u64) {
    let (_, text) =
        *simulator::scenario::embedded().iter().find(|(known, _)| *known == name).expect("embedded");
    let scenario = Scenario::parse(name, text).expect("parses");

    let options = Options { projection: true, ..Options::default() };
    let mut simulated = World::new(scenario.clone(), seed, options).expect("valid limits").run();
    let virtual_runs = simulated.checkers.projection().expect("asked for").clone();

    let server = Server::start(name, seed);
    let tokens = TokenSource::Hs256(DEVELOPMENT_KEY.to_owned());
    let mut options = LoadOptions::new(Target::new(server.url.clone()), scenario, tokens);
    options.seed = seed;
    options.collect_projection = true;
    // How late the generator is does not matter here: the planned gaps are far longer.
    options.late_limit_us = u64::MAX;
    let loaded = benches::load::run(options).expect("loads");
    assert_eq!(loaded.report.verdict, Verdict::Pass, "{}", reports::text::render(&loaded.report));
    let real_runs = loaded.projection.expect("asked for");

    let counts = simulated.checkers.ledger().counts;
    let planned_reconnects = name == "agree-reconnect";
    for key in ["reconnects", "recovered"] {
        let real = loaded.report.facts.iter().find(|fact| fact.key == key).expect("a fact");
        let happened = !matches!(real.value, reports::Value::Int(0));
        assert_eq!(happened, planned_reconnects, "{key} over real sockets: {}", real.shown());
    }
    assert_eq!((counts.reconnects > 0, counts.recovered > 0), (planned_reconnects, planned_reconnects));
    assert_eq!(virtual_runs.per_run().len(), 200, "every run took place");
    let differences = virtual_runs.differences(&real_runs);
    assert!(
        differences.is_empty(),
        "{} runs differ, the first: {:#?}",
        differences.len(),
        differences.first()
    );
}

#[test]
fn seed_one_agrees() {
    agree("agree", 1);
}

#[test]
fn seed_two_agrees() {
    agree("agree", 2);
}

#[test]
fn seed_three_agrees() {
    agree("agree", 3);
}

#[test]
fn reconnects_agree() {
    agree("agree-reconnect", 1);
}
