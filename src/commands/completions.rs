//! `goldenpath completions`.

use clap::CommandFactory as _;
use reports::Verdict;

use crate::{
    arguments::{Arguments, CompletionsOptions},
    failure::Failure,
    output,
};

pub(crate) fn run(options: &CompletionsOptions) -> Result<Verdict, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "goldenpath", &mut script);
    output::data(&String::from_utf8_lossy(&script))?;
    Ok(Verdict::Pass)
}
