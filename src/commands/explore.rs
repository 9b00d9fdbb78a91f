//! `goldenpath sim --explore`.

use std::time::{Duration, Instant};

use reports::Verdict;
use simulator::explore::{Options, Progress, Scope, explore, report};

use crate::{arguments::SimOptions, failure::Failure, output};

/// Between two lines of talk where there is no terminal.
const TALK_EVERY: Duration = Duration::from_secs(30);

pub(crate) fn run(scope: &str, options: &SimOptions) -> Result<Verdict, Failure> {
    let scope = Scope::parse(scope).map_err(|error| Failure::Usage(error.to_string()))?;
    let bar = output::counter("exploring");
    let mut talked = Instant::now();
    let mut show = |progress: &Progress| {
        let Progress { states, expanded, depth, bytes, .. } = *progress;
        let line = format!("{states} states, {expanded} expanded, depth {depth}, {} MiB", bytes >> 20);
        if bar.is_hidden() && talked.elapsed() >= TALK_EVERY {
            talked = Instant::now();
            output::talk(&line);
        }
        bar.set_message(line);
        true
    };
    let outcome = explore(Options {
        symmetry: !options.no_symmetry,
        memory_bytes: options.memory,
        progress: Some(&mut show),
        ..Options::new(scope)
    });
    bar.finish_and_clear();
    let outcome = outcome.map_err(|error| Failure::Internal(error.to_string()))?;
    output::report(&report(&outcome), &options.report)
}
