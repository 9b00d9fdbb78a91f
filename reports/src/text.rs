//! Plain text for a terminal: no colour codes, and nothing in it can move the cursor.

use std::fmt::Write;

use crate::escape::{visible, visible_lines};
use crate::table::{self, Table};
use crate::{Comparison, Report, Side, release};

/// How many findings are listed; the JSON report holds the rest.
const FINDINGS_SHOWN_MAX: usize = 20;

/// Columns of a sequence diagram, and how many of its exchanges are shown.
const SEQUENCE_WIDTH: usize = 100;
const SEQUENCE_SHOWN_MAX: usize = 60;

/// `report` for a terminal: verdict first, the command that repeats the run last. Ends with a line feed.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    head(&mut out, report);
    if !report.facts.is_empty() {
        section(&mut out, "Facts", &aligned(&table::facts(&report.facts), false));
    }
    for (domain, metrics) in table::by_domain(&report.metrics) {
        section(
            &mut out,
            &format!("Latency and size, {}", domain.label()),
            &aligned(&table::metrics(&metrics), true),
        );
    }
    releases(&mut out, report);
    for (heading, table) in report.gate.iter().flat_map(|gate| crate::gate::tables(gate)) {
        section(&mut out, heading, &aligned(&table, true));
    }
    for (heading, table) in report.sweep.iter().flat_map(|sweep| crate::sweep::tables(sweep)) {
        section(&mut out, heading, &aligned(&table, true));
    }
    cases(&mut out, report);
    findings(&mut out, report);
    if let Some(sequence) = &report.sequence {
        section(&mut out, "Sequence", &sequence.to_text(SEQUENCE_WIDTH, SEQUENCE_SHOWN_MAX));
    }
    if let Some(replay) = &report.replay {
        section(&mut out, "Repeat it with", &format!("  {}\n", visible(replay)));
    }
    out
}

/// `comparison` for a terminal. Ends with a line feed.
pub fn render_comparison(comparison: &Comparison) -> String {
    let mut out = String::new();
    let title = if comparison.is_comparable() { "comparison" } else { "? NOT COMPARABLE" };
    line(&mut out, title);
    line(&mut out, &format!("  a  {}", side(&comparison.a)));
    line(&mut out, &format!("  b  {}", side(&comparison.b)));
    for sentence in comparison.not_comparable.iter().chain(&comparison.notes) {
        line(&mut out, &format!("  {}", visible(sentence)));
    }
    for (heading, table) in table::comparison(comparison) {
        section(&mut out, heading, &aligned(&table, true));
    }
    for part in &comparison.parts {
        section(&mut out, &table::part_heading(part), &differences(part));
    }
    out
}

/// What a release shows of two of its parts.
fn differences(part: &Comparison) -> String {
    let mut body = String::new();
    for sentence in part.not_comparable.iter().chain(&part.notes) {
        line(&mut body, &format!("  {}", visible(sentence)));
    }
    for (_, table) in table::comparison(part) {
        body.push_str(&aligned(&table, true));
    }
    body
}

/// One line about one side of a comparison; not escaped for any format.
pub(crate) fn side(side: &Side) -> String {
    let mut words = vec![side.kind.to_string()];
    words.extend(side.scenario.clone());
    words.extend(side.seed.map(|seed| format!("seed {seed}")));
    words.extend(side.hash.as_ref().map(|hash| format!("hash {hash}")));
    words.push(side.tool.clone());
    words.push(side.verdict.to_string());
    visible(&words.join(", ")).into_owned()
}

fn head(out: &mut String, report: &Report) {
    let (sign, word) = (report.verdict.sign(), report.headline().to_uppercase());
    line(out, &format!("{sign} {word}: {} ({})", visible(&report.subject()), report.meaning()));
    for reason in &report.reasons {
        line(out, &format!("  {}", visible_lines(reason).replace('\n', "\n  ")));
    }
    out.push('\n');
    for (label, value) in table::identity(report) {
        line(out, &format!("  {label:<14} {}", visible(&value)));
    }
}

fn releases(out: &mut String, report: &Report) {
    for part in report.release.iter().flat_map(|release| release::sections(release)) {
        let note = if part.note.is_empty() { String::new() } else { format!("  {}\n", visible(&part.note)) };
        section(out, &visible(&part.heading), &note);
        part.table.iter().for_each(|table| out.push_str(&aligned(table, true)));
    }
}

fn cases(out: &mut String, report: &Report) {
    if report.cases.is_empty() {
        return;
    }
    let notable = table::cases(report.cases.iter().filter(|case| case.outcome.label() != "passed"));
    let body = if notable.rows.is_empty() { String::new() } else { aligned(&notable, true) };
    section(out, &table::cases_summary(&report.cases), &body);
}

fn findings(out: &mut String, report: &Report) {
    if report.findings.is_empty() && report.findings_total == 0 {
        return;
    }
    let mut body = String::new();
    for finding in report.findings.iter().take(FINDINGS_SHOWN_MAX) {
        line(&mut body, &format!("  {finding}"));
    }
    section(out, &table::findings_summary(report, FINDINGS_SHOWN_MAX), &body);
    if let Some(rules) = table::rules(report) {
        section(out, "By rule", &aligned(&rules, false));
    }
}

fn section(out: &mut String, heading: &str, body: &str) {
    out.push('\n');
    line(out, heading);
    out.push_str(body);
}

/// Columns two spaces apart, indented by two, numbers to the right.
fn aligned(table: &Table, with_head: bool) -> String {
    let titles = table.columns.iter().map(|column| column.title.to_owned()).collect();
    let body = table.rows.iter().map(|row| row.iter().map(|cell| visible(cell).into_owned()).collect());
    let rows: Vec<Vec<String>> = with_head.then_some(titles).into_iter().chain(body).collect();
    let width = |index: usize| rows.iter().map(|row| row[index].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();

    let mut out = String::new();
    for row in &rows {
        let mut text = String::new();
        for ((cell, column), &width) in row.iter().zip(&table.columns).zip(&widths) {
            // Writing to a String cannot fail.
            let _ = if column.is_number {
                write!(text, "  {cell:>width$}")
            } else {
                write!(text, "  {cell:<width$}")
            };
        }
        line(&mut out, &text);
    }
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Finding, compare, sample};

    /// On a mismatch the actual text is printed in full: paste it into the file if the change is meant.
    #[track_caller]
    fn assert_golden(actual: &str, expected: &str, path: &str) {
        assert!(actual == expected, "{path} differs; it is now:\n{actual}");
    }

    #[test]
    fn a_passing_report_reads_as_agreed() {
        assert_golden(
            &render(&sample::passing()),
            include_str!("../tests/golden/passing.txt"),
            "passing.txt",
        );
    }

    #[test]
    fn a_failing_report_reads_as_agreed() {
        assert_golden(
            &render(&sample::failing()),
            include_str!("../tests/golden/failing.txt"),
            "failing.txt",
        );
    }

    #[test]
    fn a_comparison_reads_as_agreed() {
        let comparison = compare(&sample::passing(), &sample::failing());
        let expected = include_str!("../tests/golden/comparison.txt");
        assert_golden(&render_comparison(&comparison), expected, "comparison.txt");
    }

    #[test]
    fn no_word_of_a_report_reaches_the_terminal_as_a_control_character() {
        let mut report = sample::failing();
        report.replay = Some("goldenpath \u{1b}]0;title\u{7}".to_owned());
        report.reasons.push("first\nsecond\u{1b}[31m".to_owned());
        let text = render(&report);
        assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
    }

    #[test]
    fn many_findings_are_cut_and_counted() {
        let mut report = sample::passing();
        (0..30).for_each(|at_us| report.push_finding(Finding::new("run.R1", "golden_path", at_us, "early")));
        let text = render(&report);
        assert!(text.contains("\n30 findings, 20 shown\n"), "{text}");
        assert_eq!(text.matches("(golden_path): early").count(), 20);
        assert!(text.contains("\n  run.R1  30\n"), "{text}");
    }
}
