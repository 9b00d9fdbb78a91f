//! `goldenpath report`.

use std::{fs, path::Path};

use reports::{Report, Verdict};

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
        ReportCommand::Release(options) => release::run(options),
    }
}

/// A saved report; what is wrong with it is said with line and column.
pub(super) fn read(path: &Path) -> Result<Report, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
    reports::json::from_str(&text).map_err(|error| Failure::unreadable(path, &error))
}
