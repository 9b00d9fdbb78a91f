//! `goldenpath drill`.

use benches::drill::{self, DrillOptions as Run, Fault};
use reports::Verdict;

use crate::{arguments::DrillOptions, failure::Failure, output, sources};

/// Limits and agents of the nodes: runs that take long enough to be struck.
const SCENARIO: &str = "drill";

pub(crate) fn run(options: &DrillOptions) -> Result<Verdict, Failure> {
    let scenario = sources::scenario(SCENARIO)?;
    let faults = if options.fault.is_empty() { Fault::ALL.to_vec() } else { options.fault.clone() };
    let run = Run {
        program: sources::program()?,
        redis_server: options.redis_server.clone(),
        faults,
        rounds: options.rounds,
        seed: options.seed.unwrap_or(scenario.seed),
        scenario,
        lease_ms: options.lease_ms,
    };
    let report = drill::run(&run, &output::talk).map_err(|error| Failure::Internal(error.to_string()))?;
    output::report(&report, &options.report)
}
