//! How a worker is asked and how it answers: lines of text, so that a person can play the gate.
//!
//! ```text
//! gate-worker list                                      what there is, as JSON
//! gate-worker run NAME [--inject-ppm P] [--cpu N]       then on stdin, a line each:
//!     t UNITS   ->  WALL_NS CPU_NS EFFECTS              times the units together
//!     e UNITS   ->  WALL_NS CPU_NS EFFECTS NS:COUNT…    times each; the times as a histogram
//! gate-worker count NAME UNITS                          runs the units and ends, for instruction counts
//! gate-exact                                            the exact tier, as JSON
//! ```
//!
//! Between two lines a worker sleeps in `read`: the side that is not asked takes no processor time.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::{bodies::Benchmark, slot::Bench};

/// Version of this protocol. Two sides that differ cannot be compared.
pub const PROTOCOL: u32 = 1;

/// What `list` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The benchmarks, in the order of the table.
    pub benchmarks: Vec<Listed>,
}

/// One benchmark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What one unit is.
    pub unit: String,
    /// Whether its 99th percentile is judged, too.
    pub has_p99: bool,
    /// Hash of what it feeds the router with.
    pub corpus: String,
}

/// What a program with these benchmarks can measure.
pub fn listing(benchmarks: &[Benchmark]) -> Listing {
    let listed = |benchmark: &Benchmark| Listed {
        name: benchmark.name.to_owned(),
        unit: benchmark.unit.to_owned(),
        has_p99: benchmark.has_p99,
        corpus: benchmark.corpus(),
    };
    Listing { protocol: PROTOCOL, benchmarks: benchmarks.iter().map(listed).collect() }
}

/// Answers requests until there are no more.
///
/// # Errors
/// A line that is no request, or a pipe that broke.
pub fn serve(bench: &mut Bench, requests: impl BufRead, mut answers: impl Write) -> io::Result<()> {
    let mut times = Vec::new();
    for line in requests.lines() {
        let line = line?;
        let request = line.split_once(' ').and_then(|(how, units)| Some((how, units.parse().ok()?)));
        let slot = match request {
            Some(("t", units)) => bench.run(units),
            Some(("e", units)) => bench.run_each(units, &mut times),
            Some(_) | None => return Err(io::Error::other(format!("no request: `{line}`"))),
        };
        write!(answers, "{} {} {}", slot.wall_ns, slot.cpu_ns, slot.effects)?;
        for (time, count) in histogram(&mut times) {
            write!(answers, " {time}:{count}")?;
        }
        answers.write_all(b"\n")?;
        answers.flush()?;
    }
    Ok(())
}

/// Times by value, each to three significant digits or better; empties the list.
fn histogram(times: &mut Vec<u64>) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    for time in times.drain(..) {
        let unit = 1 << u64::BITS.saturating_sub(time.leading_zeros() + 10);
        *counts.entry(time / unit * unit).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_answered_line_by_line() {
        let mut bench = Bench::new(Benchmark::ALL[1].make(), 0);
        let mut out = Vec::new();
        serve(&mut bench, &b"t 100\ne 50\n"[..], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].split(' ').count(), 3);
        let counted: u64 = lines[1]
            .split(' ')
            .skip(3)
            .map(|bucket| bucket.split_once(':').unwrap().1.parse::<u64>().unwrap())
            .sum();
        assert_eq!(counted, 50);
        assert!(serve(&mut bench, &b"what\n"[..], &mut Vec::new()).is_err());
    }

    #[test]
    fn a_histogram_keeps_three_digits() {
        let of = |time: u64| histogram(&mut vec![time]).into_keys().next().unwrap();
        assert_eq!(of(0), 0);
        assert_eq!(of(1_023), 1_023);
        for time in [1_025_u64, 99_999, 123_456_789] {
            assert!(time - of(time) <= time / 512, "{time} became {}", of(time));
        }
    }

    #[test]
    fn names_and_corpora_are_distinct() {
        let listing = listing(Benchmark::ALL);
        for (index, one) in listing.benchmarks.iter().enumerate() {
            for other in &listing.benchmarks[index + 1..] {
                assert_ne!(one.name, other.name);
                assert_ne!(one.corpus, other.corpus);
            }
        }
    }
}
