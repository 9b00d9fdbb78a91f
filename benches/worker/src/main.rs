//! The side of the gate that is timed. See `gate_worker::protocol`.

use std::io::{self, Write};
use std::process::ExitCode;

use gate_worker::{
    bodies::Benchmark,
    protocol::{listing, serve},
    slot::Bench,
};
use rustix::thread::{CpuSet, sched_setaffinity};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match act(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // If nobody listens, the exit code still says it.
            _ = writeln!(io::stderr(), "gate-worker: {why}");
            ExitCode::from(2)
        }
    }
}

fn act(words: &[&str]) -> Result<(), String> {
    match words {
        ["list"] => {
            let text = serde_json::to_string_pretty(&listing()).map_err(|error| error.to_string())?;
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

fn find(name: &str) -> Result<&'static Benchmark, String> {
    Benchmark::find(name).ok_or_else(|| format!("no benchmark is called `{name}`"))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|error| format!("`{text}`: {error}"))
}

fn pin(cpu: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).map_err(|error| format!("processor {cpu}: {error}"))
}
