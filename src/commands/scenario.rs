//! `goldenpath scenario`.

use std::fmt::Write as _;

use reports::Verdict;
use simulator::{
    plan::Plan,
    scenario::{self, Scenario},
    swarm,
};

use crate::{
    arguments::{ScenarioCommand, ScenarioOptions},
    failure::Failure,
    output, sources,
};

pub(crate) fn run(options: &ScenarioOptions) -> Result<Verdict, Failure> {
    match &options.command {
        ScenarioCommand::Check { scenarios } => check(scenarios),
        ScenarioCommand::List => list(),
        ScenarioCommand::WriteOut { scenario, seed } => write_out(scenario, *seed),
        ScenarioCommand::Swarm { seed } => {
            output::data(&swarm::text(*seed))?;
            Ok(Verdict::Pass)
        }
        ScenarioCommand::Schema => {
            let schema = serde_json::to_string_pretty(&scenario::schema())
                .map_err(|error| Failure::Internal(format!("schema: {error}")))?;
            output::data(&format!("{schema}\n"))?;
            Ok(Verdict::Pass)
        }
    }
}

/// Checks them all before it answers, so that one run names every mistake.
fn check(scenarios: &[String]) -> Result<Verdict, Failure> {
    let mut bad = Vec::new();
    for name in scenarios {
        match sources::scenario(name) {
            Ok(scenario) => output::data(&format!("{name}: ok, {}\n", scenario.name))?,
            Err(failure) => bad.push(failure.to_string()),
        }
    }
    if bad.is_empty() { Ok(Verdict::Pass) } else { Err(Failure::Usage(bad.join("\n"))) }
}

fn write_out(name: &str, seed: Option<u64>) -> Result<Verdict, Failure> {
    let scenario = sources::scenario(name)?;
    let seed = seed.unwrap_or(scenario.seed);
    let acts = Plan::new(scenario.clone(), seed).acts();
    let comment = format!("{}, its plan under seed {seed} written out.", scenario.name);
    output::data(&Scenario { acts, seed, ..scenario }.to_toml(&comment))?;
    Ok(Verdict::Pass)
}

fn list() -> Result<Verdict, Failure> {
    let mut table = String::new();
    for (name, _) in scenario::embedded() {
        let scenario = sources::scenario(name)?;
        let users = Plan::new(scenario.clone(), scenario.seed).count();
        // Writing into a String cannot fail.
        _ = writeln!(table, "{name:<18} {users:>7} users  {}", scenario.about);
    }
    output::data(&table)?;
    Ok(Verdict::Pass)
}
