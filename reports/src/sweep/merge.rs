//! Joins the reports of a sweep's parts.

use std::{error, fmt};

use super::{SeedRange, Sweep, report, seeds};
use crate::{Report, ScenarioRef};

/// Why reports are not parts of one sweep. Each names the report, by the name it was handed in under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeRefusal {
    /// There is nothing to merge.
    Empty,
    /// It is no report of a sweep.
    NoSweep {
        /// Which report.
        name: String,
        /// What it is a report of.
        kind: String,
    },
    /// It contradicts itself.
    Inconsistent {
        /// Which report.
        name: String,
        /// How.
        detail: String,
    },
    /// It is of another sweep than the first one.
    Different {
        /// Which report.
        name: String,
        /// The first one.
        first: String,
        /// What differs.
        what: &'static str,
        /// In the report.
        found: String,
        /// In the first one.
        expected: String,
    },
    /// Both played the same seeds.
    Overlap {
        /// One of them.
        name: String,
        /// The other.
        other: String,
        /// The first seeds they share.
        seeds: SeedRange,
    },
}

/// Joins the reports of parts of a sweep, each with the name that errors call it by. The result is that of the sweep
/// that was never divided, but for what was [measured](Sweep::measured).
///
/// # Errors
/// They are not parts of one sweep.
pub fn merge(parts: &[(String, Report)]) -> Result<Report, MergeRefusal> {
    let (first_name, first) = parts.first().ok_or(MergeRefusal::Empty)?;
    let (scenario, sweep) = part(first_name, first)?;
    let mut whole =
        Sweep::new(sweep.source.clone(), sweep.arguments.clone(), SeedRange { from: 0, to: 0 }, sweep.keep);
    whole.demand_from = sweep.demand_from;
    let mut met: Vec<(&str, &[SeedRange])> = Vec::new();
    for (name, report) in parts {
        let (of, sweep) = part(name, report)?;
        let differs = |what, found: String, expected: String| {
            let (name, first) = (name.clone(), first_name.clone());
            if found == expected {
                Ok(())
            } else {
                Err(MergeRefusal::Different { name, first, what, found, expected })
            }
        };
        differs("version", report.tool.to_string(), first.tool.to_string())?;
        differs("profile", identity(of), identity(scenario))?;
        differs("subject", sweep.arguments.clone(), whole.arguments.clone())?;
        differs("number of seeds kept", sweep.keep.to_string(), whole.keep.to_string())?;
        differs("demand", format!("{:?}", sweep.demand_from), format!("{:?}", whole.demand_from))?;
        for (other, ranges) in &met {
            if let Some(seeds) = seeds::overlap(&sweep.played, ranges) {
                return Err(MergeRefusal::Overlap { name: name.clone(), other: (*other).to_owned(), seeds });
            }
        }
        met.push((name, &sweep.played));
        whole.absorb(sweep);
        whole.asked = seeds::union(&[whole.asked.as_slice(), &sweep.asked].concat());
        whole.played = seeds::union(&[whole.played.as_slice(), &sweep.played].concat());
        whole.stopped.extend(sweep.stopped.iter().cloned());
    }
    whole.stopped.sort();
    whole.stopped.dedup();
    Ok(report(first.tool.clone(), scenario.clone(), whole))
}

fn identity(scenario: &ScenarioRef) -> String {
    format!("{} {}", scenario.name, scenario.hash)
}

/// A report's sweep, if it is one and adds up.
fn part<'a>(name: &str, report: &'a Report) -> Result<(&'a ScenarioRef, &'a Sweep), MergeRefusal> {
    let (Some(scenario), Some(sweep)) = (&report.scenario, &report.sweep) else {
        return Err(MergeRefusal::NoSweep { name: name.to_owned(), kind: report.kind.to_string() });
    };
    let seeds: u64 = sweep.played.iter().map(|range| range.len()).sum();
    let detail = if seeds != sweep.totals.seeds {
        format!("its sums are over {} seeds, and its ranges hold {seeds}", sweep.totals.seeds)
    } else if seeds::union(&sweep.played) != sweep.played {
        "its ranges of seeds are not in order".to_owned()
    } else if report.hash.as_deref() != Some(&sweep.totals.hash.to_string()) {
        "its hash is not that of its sums".to_owned()
    } else {
        return Ok((scenario, sweep));
    };
    Err(MergeRefusal::Inconsistent { name: name.to_owned(), detail })
}

impl fmt::Display for MergeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no report to merge"),
            Self::NoSweep { name, kind } => {
                write!(f, "{name}: the report of a {kind}; expected one of `sim --seeds`")
            }
            Self::Inconsistent { name, detail } => {
                write!(f, "{name}: changed since it was written: {detail}")
            }
            Self::Different { name, first, what, found, expected } => {
                write!(f, "{name}: another {what} than in {first}: `{found}`, expected `{expected}`")
            }
            Self::Overlap { name, other, seeds } => {
                write!(f, "{name}: seeds {seeds} are in {other}, too; each seed counts once")
            }
        }
    }
}

impl error::Error for MergeRefusal {}
