//! Plays a scenario with every checker on, as `goldenpath sim` does, and prints what the peers print: the round trips, here
//! pings that were answered. A second line says what else went over the simulated network, and the run's hash.
//!
//! `peer-goldenpath SCENARIO.toml [USERS]`: with so many users in place of the scenario's. The processor time is that of the
//! whole process; whoever starts it measures it.

use std::{error::Error, process::ExitCode};

use simulator::{
    scenario::Scenario,
    world::{Options, World},
};

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}\nusage: peer-goldenpath SCENARIO.toml [USERS]");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<String, Box<dyn Error>> {
    let (path, users) = match args {
        [path] => (path, None),
        [path, users] => (path, Some(users.parse()?)),
        _ => return Err("expected one or two arguments".into()),
    };
    let mut scenario = Scenario::parse(path, &std::fs::read_to_string(path)?)?;
    scenario.users.count = users.unwrap_or(scenario.users.count);
    let seed = scenario.seed;
    let result = World::new(scenario, seed, Options::default())?.run();
    let ledger = result.checkers.ledger();
    if let Some(finding) = ledger.findings().first() {
        return Err(format!("{} findings, the first: {}: {}", ledger.total(), finding.rule, finding.detail).into());
    }
    let (pongs, delivered) = (ledger.times.pong.count(), result.delivered);
    Ok(format!("{pongs}\n{delivered} frames delivered, {} inputs, hash {}", result.inputs, result.hash))
}
