//! Markdown for a job summary.

use crate::escape::visible;
use crate::release::{self, capitalised};
use crate::table::{self, Table};
use crate::{Comparison, Report, Verdict, text};

/// How many findings are listed. Job summaries are cut at 1 MiB.
const FINDINGS_SHOWN_MAX: usize = 50;

/// `report` for a job summary: verdict, facts, latency, checks, findings, the command that repeats the run.
pub fn render(report: &Report) -> String {
    let verdict = report.verdict;
    let mut blocks = vec![
        format!("## {} {}: {}", emoji(verdict), capitalised(report.headline()), escaped(&report.subject())),
        format!("{}.", capitalised(report.meaning())),
    ];
    blocks.extend(bullets(&report.reasons));
    blocks.push(identity(report));
    if !report.facts.is_empty() {
        blocks.push(piped(&table::facts(&report.facts)));
    }
    for (domain, metrics) in table::by_domain(&report.metrics) {
        blocks.push(format!("### Latency and size, {}", domain.label()));
        blocks.push(piped(&table::metrics(&metrics)));
    }
    for section in report.release.iter().flat_map(|release| release::sections(release)) {
        blocks.push(format!("### {}", escaped(&section.heading)));
        blocks.extend((!section.note.is_empty()).then(|| escaped(&section.note)));
        blocks.extend(section.table.as_ref().map(piped));
    }
    for (heading, table) in report.gate.iter().flat_map(|gate| crate::gate::tables(gate)) {
        blocks.push(format!("### {heading}"));
        blocks.push(piped(&table));
    }
    for (heading, table) in report.sweep.iter().flat_map(|sweep| crate::sweep::tables(sweep)) {
        blocks.push(format!("### {heading}"));
        blocks.push(piped(&table));
    }
    blocks.extend(cases(report));
    blocks.extend(findings(report));
    if let Some(replay) = &report.replay {
        blocks.push("### Repeat it".to_owned());
        blocks.push(code(replay));
    }
    blocks.join("\n\n") + "\n"
}

/// `comparison` for a job summary.
pub fn render_comparison(comparison: &Comparison) -> String {
    let title = if comparison.is_comparable() { "Comparison" } else { "❔ Not comparable" };
    let sides = [("a", &comparison.a), ("b", &comparison.b)];
    let mut blocks = vec![format!("## {title}")];
    blocks.push(sides.map(|(name, side)| format!("- **{name}** {}", escaped(&text::side(side)))).join("\n"));
    blocks.extend(bullets(&comparison.not_comparable));
    blocks.extend(bullets(&comparison.notes));
    for (heading, table) in table::comparison(comparison) {
        blocks.push(format!("### {heading}"));
        blocks.push(piped(&table));
    }
    for part in &comparison.parts {
        blocks.push(format!("### {}", escaped(&table::part_heading(part))));
        blocks.extend(bullets(&part.not_comparable));
        blocks.extend(bullets(&part.notes));
        blocks.extend(table::comparison(part).iter().map(|(_, table)| piped(table)));
    }
    blocks.join("\n\n") + "\n"
}

fn identity(report: &Report) -> String {
    let pairs = table::identity(report);
    let words: Vec<String> =
        pairs.iter().map(|(label, value)| format!("{label}: {}", escaped(value))).collect();
    words.join(" · ")
}

fn cases(report: &Report) -> Vec<String> {
    if report.cases.is_empty() {
        return Vec::new();
    }
    let notable = table::cases(report.cases.iter().filter(|case| case.outcome.label() != "passed"));
    let mut blocks = vec!["### Checks".to_owned(), format!("{}.", table::cases_summary(&report.cases))];
    if !notable.rows.is_empty() {
        blocks.push(piped(&notable));
    }
    blocks
}

fn findings(report: &Report) -> Vec<String> {
    if report.findings.is_empty() && report.findings_total == 0 {
        return Vec::new();
    }
    let shown = &report.findings[..report.findings.len().min(FINDINGS_SHOWN_MAX)];
    let mut blocks =
        vec!["### Findings".to_owned(), format!("{}.", table::findings_summary(report, FINDINGS_SHOWN_MAX))];
    blocks.extend(table::rules(report).as_ref().map(piped));
    blocks.push(piped(&table::findings(shown)));
    blocks
}

fn bullets(sentences: &[String]) -> Option<String> {
    let items: Vec<String> = sentences.iter().map(|sentence| format!("- {}", escaped(sentence))).collect();
    (!items.is_empty()).then(|| items.join("\n"))
}

fn piped(table: &Table) -> String {
    let row = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let titles = table.columns.iter().map(|column| column.title.to_owned()).collect();
    let rule =
        table.columns.iter().map(|column| if column.is_number { "--:" } else { ":--" }.to_owned()).collect();
    let body = table.rows.iter().map(|cells| row(cells.iter().map(|cell| escaped(cell)).collect()));
    let lines: Vec<String> = [row(titles), row(rule)].into_iter().chain(body).collect();
    lines.join("\n")
}

/// A fenced block whose fence is longer than any run of backticks inside.
fn code(text: &str) -> String {
    let text = visible(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}sh\n{text}\n{fence}")
}

/// `text` on one line with everything that Markdown or HTML would act on made literal, mentions included.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

fn emoji(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✅",
        Verdict::Findings | Verdict::ReplayDiverged | Verdict::TraceAltered | Verdict::Error => "❌",
        Verdict::IsolationBreach => "🚨",
        Verdict::Regression => "📉",
        Verdict::Inconclusive | Verdict::NotComparable | Verdict::Unreached => "❔",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{compare, sample};

    /// On a mismatch the actual text is printed in full: paste it into the file if the change is meant.
    #[track_caller]
    fn assert_golden(actual: &str, expected: &str, path: &str) {
        assert!(actual == expected, "{path} differs; it is now:\n{actual}");
    }

    #[test]
    fn a_passing_report_reads_as_agreed() {
        assert_golden(&render(&sample::passing()), include_str!("../tests/golden/passing.md"), "passing.md");
    }

    #[test]
    fn a_failing_report_reads_as_agreed() {
        assert_golden(&render(&sample::failing()), include_str!("../tests/golden/failing.md"), "failing.md");
    }

    #[test]
    fn a_comparison_across_scenarios_says_why_not() {
        let mut other = sample::passing();
        other.scenario = None;
        let markdown = render_comparison(&compare(&sample::passing(), &other));
        assert!(markdown.starts_with("## ❔ Not comparable\n"), "{markdown}");
        assert!(markdown.contains("- a ran scenario golden\\_path, b ran none\n"), "{markdown}");
        assert!(!markdown.contains("\n| "), "{markdown}");
    }

    #[test]
    fn hostile_words_stay_in_their_cell() {
        assert_eq!(escaped("<b>|@all `x`\n"), "&lt;b&gt;\\|&#64;all \\`x\\`\\\\n");
        assert_eq!(code("echo ```"), "````sh\necho ```\n````");
    }
}
