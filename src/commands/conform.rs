//! `goldenpath conform`.

use std::collections::BTreeMap;

use reports::{Report, Tool, Verdict};
use simulator::conform::{self, Case, Shown, Tally, Translation};

use crate::{arguments::ConformOptions, failure::Failure, output, sources};

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
        return show(&files, id);
    }
    let report = judged(&files, options.unit.as_deref())?;
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
    if !tallies.values().any(Tally::is_played) {
        let units: Vec<&str> = tallies.keys().map(String::as_str).collect();
        return Err(Failure::Usage(format!("nothing to judge: {} not played yet", units.join(", "))));
    }
    Ok(conform::report(&tallies, Tool::new("goldenpath", env!("CARGO_PKG_VERSION"))))
}

fn judge(name: &str, case: &Case, show: &mut dyn FnMut(Shown)) -> Result<conform::Judged, Failure> {
    conform::judge(case, show).map_err(|unit| {
        let line = case.line;
        let known = conform::NAMES.join(", ");
        Failure::Usage(format!("{name}, line {line}, field unit: `{unit}` is none of {known}"))
    })
}

/// Prints one case side by side.
fn show(files: &[(String, Vec<Case>)], id: &str) -> Result<Verdict, Failure> {
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
    let judged = judge(name, case, &mut |shown: Shown| {
        text.push_str(&format!(
            "\nstep {step}: {} {}\n  recorded {}\n  router   {}\n",
            shown.op, shown.args, shown.recorded, shown.observed
        ));
        for difference in &shown.differences {
            text.push_str(&format!(
                "  differs at {}: recorded {}, router {}\n",
                difference.at, difference.recorded, difference.observed
            ));
        }
        step += 1;
    })?;
    text.push_str(&format!("\noutcome: {:?}\nnoted: {:?}\n", judged.outcome, judged.notes));
    output::data(&text)?;
    let holds = !matches!(judged.outcome, conform::Outcome::Fails { .. });
    Ok(if holds { Verdict::Pass } else { Verdict::Findings })
}
