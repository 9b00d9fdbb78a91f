//! `goldenpath figures`.

use benches::figures::{self, StorePrograms};
use reports::{Report, Verdict};

use crate::{arguments::FiguresOptions, failure::Failure, output, sources};

/// What a node on a Redis is measured with.
const STREAM: &str = "stream";

pub(crate) fn run(options: &FiguresOptions) -> Result<Verdict, Failure> {
    let report = if options.redis { store(options)? } else { figures::run() };
    output::report(&report, &options.report)
}

fn store(options: &FiguresOptions) -> Result<Report, Failure> {
    let programs = StorePrograms {
        program: sources::program()?,
        redis_server: options.redis_server.clone(),
        redis_benchmark: options.redis_benchmark.clone(),
    };
    let rows = figures::store(&programs, &sources::scenario(STREAM)?);
    rows.map(|rows| figures::report(&rows)).map_err(|error| Failure::Internal(error.to_string()))
}
