//! The side of the gate that is counted: every allocation goes through a counter, so nothing here is timed.

use std::alloc::System;
use std::io::{self, Write};
use std::process::ExitCode;

use gate_worker::exact;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Scenarios with more users take minutes and gigabytes.
const USERS_MAX: u32 = 20_000;

fn main() -> ExitCode {
    let count = |work: &mut dyn FnMut()| {
        let region = Region::new(ALLOCATOR);
        work();
        let change = region.change();
        let bytes = change.bytes_allocated as u64;
        ((change.allocations + change.reallocations) as u64, bytes)
    };
    let exact = exact::measure(&count, USERS_MAX);
    let text = serde_json::to_string_pretty(&exact).unwrap_or_default();
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
