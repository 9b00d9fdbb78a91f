//! The command line of a worker, the same for every program that speaks the [`protocol`](crate::protocol).

use std::{
    io::{self, Write},
    process::ExitCode,
};

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::{
    bodies::Benchmark,
    protocol::{listing, serve},
    slot::Bench,
};

/// Does what the process's arguments say with these benchmarks.
pub fn run(benchmarks: &[Benchmark]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match act(benchmarks, &words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // If nobody listens, the exit code still says it.
            _ = writeln!(io::stderr(), "worker: {why}");
            ExitCode::from(2)
        }
    }
}

fn act(benchmarks: &[Benchmark], words: &[&str]) -> Result<(), String> {
    let find = |name: &str| {
        let found = benchmarks.iter().find(|benchmark| benchmark.name == name);
        found.ok_or_else(|| format!("no benchmark is called `{name}`"))
    };
    match words {
        ["list"] => {
            let text =
                serde_json::to_string_pretty(&listing(benchmarks)).map_err(|error| error.to_string())?;
            writeln!(io::stdout(), "{text}").map_err(|error| error.to_string())
        }
        ["run", name, options @ ..] => {
            let mut inject_ppm = 0;
            for option in options.chunks(2) {
                match option {
                    ["--inject-ppm", ppm] => inject_ppm = number(ppm)?,
                    ["--cpu", cpu] => pin(number(cpu)? as usize)?,
                    other => return Err(format!("unknown option {other:?}")),
                }
            }
            let mut bench = Bench::new(find(name)?.make(), inject_ppm);
            serve(&mut bench, io::stdin().lock(), io::stdout().lock()).map_err(|error| error.to_string())
        }
        ["count", name, units] => {
            let mut bench = Bench::new(find(name)?.make(), 0);
            bench.run(number(units)?);
            Ok(())
        }
        other => Err(format!("expected list, run NAME or count NAME UNITS, not {other:?}")),
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|error| format!("`{text}`: {error}"))
}

fn pin(cpu: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).map_err(|error| format!("processor {cpu}: {error}"))
}
