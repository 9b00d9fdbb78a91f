//! `goldenpath report`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use reports::{Report, Verdict, sweep::MergeRefusal};

use crate::{
    arguments::{ReportCommand, ReportCommandOptions},
    commands::release,
    failure::Failure,
    output,
};

pub(crate) fn run(options: &ReportCommandOptions) -> Result<Verdict, Failure> {
    match &options.command {
        ReportCommand::Show { file, report } => output::report(&read(file)?, report),
        ReportCommand::Compare { a, b, markdown, json, out, html, junit } => {
            let comparison = reports::compare(&read(a)?, &read(b)?);
            let shown = match (markdown, json) {
                (true, _) => reports::markdown::render_comparison(&comparison),
                (false, true) => reports::json::comparison_to_string(&comparison),
                (false, false) => reports::text::render_comparison(&comparison),
            };
            let printed = output::data(&shown);
            let mut failures = Vec::new();
            output::file(out.as_deref(), || reports::json::comparison_to_string(&comparison), &mut failures);
            output::file(html.as_deref(), || reports::html::render_comparison(&comparison), &mut failures);
            output::file(junit.as_deref(), || reports::junit::render_comparison(&comparison), &mut failures);
            output::settled(printed, failures, comparison.verdict())
        }
        ReportCommand::Merge { files, report } => {
            let named = |path: &PathBuf| Ok((path.display().to_string(), read(path)?));
            let parts = files.iter().map(named).collect::<Result<Vec<_>, Failure>>()?;
            let merged = reports::sweep::merge(&parts).map_err(refused)?;
            output::report(&merged, report)
        }
        ReportCommand::Release(options) => release::run(options),
    }
}

/// Parts of different sweeps do not compare; anything else is a file that is not what it should be.
fn refused(refusal: MergeRefusal) -> Failure {
    match refusal {
        MergeRefusal::Different { .. } => Failure::NotComparable(refusal.to_string()),
        MergeRefusal::Empty
        | MergeRefusal::NoSweep { .. }
        | MergeRefusal::Inconsistent { .. }
        | MergeRefusal::Overlap { .. } => Failure::Usage(refusal.to_string()),
    }
}

/// A saved report; what is wrong with it is said with line and column.
pub(super) fn read(path: &Path) -> Result<Report, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
    reports::json::from_str(&text).map_err(|error| Failure::unreadable(path, &error))
}
