//! `goldenpath`: the canonical router of an AI chat product, its simulator, its load test.
//!
//! This binary turns arguments into typed options, opens files, prints results and maps verdicts to exit codes.
//! It decides nothing.
//!
//! # Exit codes
//! | code | meaning |
//! |---|---|
//! | 0 | all well |
//! | 1 | infrastructure or internal error |
//! | 2 | usage, or a file that cannot be read |
//! | 3 | performance regression proven |
//! | 4 | inconclusive: the measurement itself was not good enough |
//! | 5 | not comparable |
//! | 6 | findings: a checker failed |
//! | 7 | isolation breach |
//! | 8 | replay diverged |
//! | 9 | trace altered |
//! | 10 | unreached: a sweep never met a condition that it must |
//!
//! stdout is data, stderr is talk.

mod arguments;
mod commands;
mod failure;
mod migrate;
mod output;
mod repository;
mod sources;
mod trace;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    arguments::{Arguments, Command},
    failure::Failure,
};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    output::init_log(arguments.verbose);
    let outcome = match arguments.command {
        Command::Sim(options) => commands::sim::run(options),
        Command::Shrink(options) => commands::shrink::run(&options),
        Command::Replay(options) => commands::replay::run(options),
        Command::Load(options) => commands::load::run(options),
        Command::Drill(options) => commands::drill::run(&options),
        Command::Serve(options) => commands::serve::run(options),
        Command::Scenario(options) => commands::scenario::run(&options),
        Command::Conform(options) => commands::conform::run(&options),
        Command::Queue(options) => commands::queue::run(&options),
        Command::Hazards(options) => commands::hazards::run(&options),
        Command::Migrate(options) => commands::migrate::run(&options),
        Command::Gate(options) => commands::gate::run(&options),
        Command::Report(options) => commands::report::run(&options),
        Command::Figures(options) => commands::figures::run(&options),
        Command::Completions(options) => commands::completions::run(&options),
    };
    match outcome {
        Ok(verdict) => ExitCode::from(verdict.exit_code()),
        // A reader that has seen enough is no failure.
        Err(Failure::BrokenPipe) => ExitCode::SUCCESS,
        Err(failure) => {
            output::talk(&format!("error: {failure}"));
            ExitCode::from(failure.exit_code())
        }
    }
}
