//! Instructions per unit, counted by valgrind where it is installed. They repeat to the last one and are not time: a
//! warning, never a verdict.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use reports::Instructions;

use super::build::Timed;

/// Units of the shorter and the longer run; their difference leaves out what it takes to begin.
const UNITS: [u64; 2] = [256, 768];

/// Increase that is worth a warning.
const WARNING: f64 = 0.02;

/// Whether there is a valgrind.
pub fn is_available() -> bool {
    let run = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

/// Counts a benchmark on both sides; `None` if valgrind did not count.
pub fn count(name: &str, base: &Timed, head: &Timed) -> Option<Instructions> {
    // One side per processor: counting does not mind company.
    let (base, head) = std::thread::scope(|scope| {
        let base = scope.spawn(|| per_unit(base.workers.first()?, name));
        let head = per_unit(head.workers.first()?, name);
        Some((base.join().ok()??, head?))
    })?;
    // A worker that ran nothing counted nothing.
    (base > 0.0 && head > 0.0).then_some(())?;
    Some(Instructions { name: name.to_owned(), base, head, is_warning: head > base * (1.0 + WARNING) })
}

fn per_unit(worker: &Path, name: &str) -> Option<f64> {
    let [short, long] = UNITS.map(|units| total(worker, name, units));
    Some((long? - short?) / (UNITS[1] - UNITS[0]) as f64)
}

fn total(worker: &Path, name: &str, units: u64) -> Option<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(worker)
        .args(["count", name, &units.to_string()])
        .stdout(Stdio::null())
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.contains("I ") && line.contains("refs:"))?;
    line.rsplit_once(':')?.1.trim().replace(',', "").parse().ok()
}
