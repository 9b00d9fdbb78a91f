//! `goldenpath scenario`.

use std::fmt::Write as _;

use reports::Verdict;
use simulator::{plan::Plan, scenario, swarm};

use crate::{
    arguments::{ScenarioCommand, ScenarioOptions},
    failure::Failure,
    output, sources,
};

pub(crate) fn run(options: &ScenarioOptions) -> Result<Verdict, Failure> {
    match &options.command {
        ScenarioCommand::Check { scenarios } => check(scenarios),
        ScenarioCommand::List => list(),
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
