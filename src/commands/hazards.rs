//! `goldenpath hazards`.

use std::fmt::Write as _;

use reports::Verdict;
use simulator::legacy::{Hazard, shown};

use crate::{arguments::HazardsOptions, failure::Failure, output};

pub(crate) fn run(options: &HazardsOptions) -> Result<Verdict, Failure> {
    let text = if options.page { shown::page() } else { table() };
    output::data(&text)?;
    Ok(Verdict::Pass)
}

/// One line per hazard: its name, its catalogue, the rule that names it, and what goes wrong.
pub(crate) fn table() -> String {
    let mut table = String::new();
    for (catalogue, row) in Hazard::rows() {
        let rule = shown::rows().find(|shown| shown.hazard == row.hazard).map_or("-", |shown| shown.rule);
        let (name, catalogue, about) = (row.hazard.to_string(), catalogue.name(), row.about);
        // Writing into a String cannot fail.
        _ = writeln!(table, "{name:<20} {catalogue:<15} {rule:<18} {about}");
    }
    table
}
