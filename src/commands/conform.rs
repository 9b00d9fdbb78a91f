//! `goldenpath conform`.

use std::collections::BTreeMap;

use reports::{Report, Tool, Verdict};
use simulator::conform::{self, Case, Shown, Tally, Translation, legacy};

use crate::{
    arguments::{ConformOptions, ConformSubject},
    failure::Failure,
    output, sources,
};

/// Stack for reading and comparing values of [`conform::case::NESTING_LEVELS_MAX`] levels, in bytes; taken as it is used.
const STACK_BYTES: usize = 512 << 20;

pub(crate) fn run(options: &ConformOptions) -> Result<Verdict, Failure> {
    if options.explain {
        let lines = Translation::ALL.map(|by| format!("{}  {}\n", by.name(), by.about()));
        output::data(&lines.concat())?;
        return Ok(Verdict::Pass);
    }
    // Cases may nest deeper than the usual stack holds.
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || judge_files(options))
            .map_err(|error| Failure::Internal(format!("no thread to judge on: {error}")))?
            .join()
            .map_err(|_| Failure::Internal("judging ended in a panic".to_owned()))?
    })
}

fn judge_files(options: &ConformOptions) -> Result<Verdict, Failure> {
    let files = sources::vectors(&options.paths)?;
    if let Some(id) = &options.show {
        return show(&files, id, options.subject);
    }
    let unit = options.unit.as_deref();
    let report = match options.subject {
        ConformSubject::Router => judged(&files, unit)?,
        ConformSubject::Legacy => repeated(&files, unit)?,
    };
    output::report(&report, &options.report)
}

/// The report over all cases, or those of one unit.
pub(super) fn judged(files: &[(String, Vec<Case>)], unit: Option<&str>) -> Result<Report, Failure> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for (name, cases) in files {
        for case in cases {
            if unit.is_some_and(|unit| unit != case.unit) {
                continue;
            }
            let judged = judge(name, case, &mut |_| {})?;
            tallies.entry(case.unit.clone()).or_default().add(case, &judged);
        }
    }
    if let Some(unit) = unit.filter(|_| tallies.is_empty()) {
        return Err(Failure::Usage(format!(
            "no case of unit `{unit}`: the units are {}",
            conform::NAMES.join(", ")
        )));
    }
    Ok(conform::report(&tallies, Tool::new("goldenpath", env!("CARGO_PKG_VERSION"))))
}

/// The report of the models over all cases that have one, or those of one unit.
fn repeated(files: &[(String, Vec<Case>)], unit: Option<&str>) -> Result<Report, Failure> {
    let mut tallies: BTreeMap<String, legacy::Tally> = BTreeMap::new();
    for case in files.iter().flat_map(|(_, cases)| cases) {
        if unit.is_some_and(|unit| unit != case.unit) {
            continue;
        }
        let hazards = legacy::recorded_hazards(&case.unit);
        if let Some(outcome) = legacy::judge(case, hazards, &mut |_| {}) {
            tallies.entry(case.unit.clone()).or_default().add(case, &outcome);
        }
    }
    if tallies.is_empty() {
        let known = legacy::NAMES.join(", ");
        return Err(Failure::Usage(format!("no case of a unit that has a model: those are {known}")));
    }
    Ok(legacy::report(&tallies, Tool::new("goldenpath", env!("CARGO_PKG_VERSION"))))
}

fn judge(name: &str, case: &Case, show: &mut dyn FnMut(Shown)) -> Result<conform::Judged, Failure> {
    conform::judge(case, show).map_err(|unit| {
        let line = case.line;
        let known = conform::NAMES.join(", ");
        Failure::Usage(format!("{name}, line {line}, field unit: `{unit}` is none of {known}"))
    })
}

/// Prints one case side by side.
fn show(files: &[(String, Vec<Case>)], id: &str, subject: ConformSubject) -> Result<Verdict, Failure> {
    let found = files
        .iter()
        .find_map(|(name, cases)| cases.iter().find(|case| case.id == id).map(|case| (name, case)));
    let Some((name, case)) = found else {
        return Err(Failure::Usage(format!("no case is called `{id}`")));
    };
    let mut text = format!(
        "{id} ({name}, line {})\n{}\noracle: {}, until {}, hazards {:?}\n",
        case.line,
        case.about,
        case.oracle.kind.name(),
        case.oracle.until,
        case.oracle.hazards
    );
    let mut step = 0;
    let mut side_by_side = |shown: Shown| {
        text.push_str(&format!(
            "\nstep {step}: {} {}\n  recorded {}\n  observed {}\n",
            shown.op, shown.args, shown.recorded, shown.observed
        ));
        for difference in &shown.differences {
            text.push_str(&format!(
                "  differs at {}: recorded {}, observed {}\n",
                difference.at, difference.recorded, difference.observed
            ));
        }
        step += 1;
    };
    let (outcome, holds) = match subject {
        ConformSubject::Router => {
            let judged = judge(name, case, &mut side_by_side)?;
            let holds = !matches!(judged.outcome, conform::Outcome::Fails { .. });
            (format!("{:?}\nnoted: {:?}", judged.outcome, judged.notes), holds)
        }
        ConformSubject::Legacy => {
            let hazards = legacy::recorded_hazards(&case.unit);
            let outcome = legacy::judge(case, hazards, &mut side_by_side)
                .ok_or_else(|| Failure::Usage(format!("unit `{}` has no model", case.unit)))?;
            (format!("{outcome:?}"), !matches!(outcome, legacy::Outcome::Differs { .. }))
        }
    };
    text.push_str(&format!("\noutcome: {outcome}\n"));
    output::data(&text)?;
    Ok(if holds { Verdict::Pass } else { Verdict::Findings })
}
