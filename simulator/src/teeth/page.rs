//! The table, in Markdown.

use std::fmt::Write as _;

use super::{Bite, Defect};

/// What is left of a world that shows the defect, after shrinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// Users.
    pub users: usize,
    /// Things that users do.
    pub acts: usize,
    /// Candidates that were played for it.
    pub runs: u64,
}

/// One defect's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which.
    pub defect: Defect,
    /// How it was found; `None` if it was not.
    pub bite: Option<Bite>,
    /// What shrinking left of it, if that was asked for.
    pub shrunk: Option<Shrunk>,
}

/// The tables: planted defects, then hazards, each with its figures ahead.
pub fn page(rows: &[Row]) -> String {
    let mut page = String::new();
    let parts = [("Planted in the canonical router", true), ("Hazards of what it replaces", false)];
    for (title, planted) in parts {
        let part: Vec<&Row> = rows.iter().filter(|row| row.defect.is_planted() == planted).collect();
        if part.is_empty() {
            continue;
        }
        // Writing into a String cannot fail.
        _ = write!(page, "## {title}\n\n{}\n", figures(&part));
        page.push_str(
            "| defect | class | what goes wrong | named by | also | seeds | first seen at | users, acts left |\n\
             |---|---|---|---|---|---|---|---|\n",
        );
        for row in part {
            page.push_str(&line(row));
        }
        page.push('\n');
    }
    page
}

/// How many were caught, and how soon.
fn figures(rows: &[&Row]) -> String {
    let seeds: Vec<u64> = sorted(rows.iter().filter_map(|row| Some(row.bite.as_ref()?.seed)));
    let mut text = format!("{} of {} caught", seeds.len(), rows.len());
    if let (Some(median), Some(worst)) = (seeds.get(seeds.len() / 2), seeds.last()) {
        let first = seeds.iter().filter(|seed| **seed == 1).count();
        // Writing into a String cannot fail.
        _ = write!(text, "; seeds needed: median {median}, worst {worst}; {first} by the first seed");
    }
    let shrunk: Vec<Shrunk> = rows.iter().filter_map(|row| row.shrunk).collect();
    let middle = |of: &dyn Fn(&Shrunk) -> u64| {
        let values = sorted(shrunk.iter().map(of));
        (
            values.get(values.len() / 2).copied().unwrap_or_default(),
            values.last().copied().unwrap_or_default(),
        )
    };
    if !shrunk.is_empty() {
        let (users, acts, runs) = (
            middle(&|shrunk| shrunk.users as u64),
            middle(&|shrunk| shrunk.acts as u64),
            middle(&|shrunk| shrunk.runs),
        );
        _ = write!(
            text,
            ". Made small {}: median {} users and {} acts, most {} and {}, by {} candidates, at most {}",
            shrunk.len(),
            users.0,
            acts.0,
            users.1,
            acts.1,
            runs.0,
            runs.1
        );
    }
    text.push_str(".\n");
    text
}

fn sorted(values: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values
}

fn line(row: &Row) -> String {
    let (name, class, about) = (row.defect.name(), row.defect.class(), row.defect.about());
    let Some(Bite { seed, findings }) = &row.bite else {
        return format!("| {name} | {class} | {about} | nobody | | | | |\n");
    };
    let Some((first, others)) = findings.split_first() else { return String::new() };
    let others: Vec<String> = others.iter().take(3).map(|finding| format!("`{}`", finding.rule)).collect();
    let seconds = first.at_us as f64 / 1e6;
    let left = row.shrunk.map_or_else(String::new, |shrunk| format!("{}, {}", shrunk.users, shrunk.acts));
    format!(
        "| {name} | {class} | {about} | `{}` | {} | {seed} | {seconds:.3} s | {left} |\n",
        first.rule,
        others.join(" ")
    )
}
