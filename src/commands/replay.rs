//! `goldenpath replay`.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
};

use reports::Verdict;

use crate::{arguments::ReplayOptions, failure::Failure, output};

pub(crate) fn run(options: &ReplayOptions) -> Result<Verdict, Failure> {
    let path = &options.trace;
    let file = File::open(path).map_err(|error| Failure::unreadable(path, &error))?;
    let mut broken = None;
    let lines =
        BufReader::new(file).lines().map_while(|line| line.map_err(|error| broken = Some(error)).ok());
    let outcome = simulator::replay(lines);
    if let Some(error) = broken {
        return Err(Failure::unreadable(path, &error));
    }
    let replay = outcome.map_err(|error| Failure::unreadable(path, &error))?;
    output::report(&replay.report, &options.report)
}
