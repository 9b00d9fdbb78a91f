//! `goldenpath report`.

use std::{fs, path::Path};

use reports::{Report, Verdict};

use crate::{
    arguments::{ReportCommand, ReportCommandOptions},
    failure::Failure,
    output,
};

pub(crate) fn run(options: &ReportCommandOptions) -> Result<Verdict, Failure> {
    match &options.command {
        ReportCommand::Show { file, report } => output::report(&read(file)?, report),
        ReportCommand::Compare { a, b, markdown } => {
            let comparison = reports::compare(&read(a)?, &read(b)?);
            let text = if *markdown {
                reports::markdown::render_comparison(&comparison)
            } else {
                reports::text::render_comparison(&comparison)
            };
            output::data(&text)?;
            Ok(comparison.verdict())
        }
    }
}

/// A saved report; what is wrong with it is said with line and column.
fn read(path: &Path) -> Result<Report, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
    reports::json::from_str(&text).map_err(|error| Failure::unreadable(path, &error))
}
