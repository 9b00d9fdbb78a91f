//! The side of the gate that is timed. See `gate_worker::protocol`.

use std::process::ExitCode;

use gate_worker::{bodies::Benchmark, program};

fn main() -> ExitCode {
    program::run(Benchmark::ALL)
}
