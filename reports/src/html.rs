//! One self-contained page: no request, no script, readable at 400 pixels, in the dark and on paper.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::escape::{visible, visible_lines};
use crate::table::{self, Table};
use crate::{Comparison, Report, Side, Verdict, evidence, gate, plot, release, sequence, sweep, swimlanes};

/// Inlined, so that the page is one file.
const STYLE: &str = include_str!("page.css");

/// The browser itself refuses what the page promises not to do: no script, no request.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// How many findings the page lists; the JSON report holds the rest.
const FINDINGS_SHOWN_MAX: usize = 200;

/// A release lists fewer: each part's own page has its own.
const RELEASE_FINDINGS_SHOWN_MAX: usize = 50;

/// How many users' timelines the page draws.
const TIMELINES_SHOWN_MAX: usize = 24;

/// `report` as one HTML page, ready to be written to a file or attached to a release.
pub fn render(report: &Report) -> String {
    let title = format!("{}: {}", report.headline(), report.subject());
    page(&title, tone(report.verdict), &sections(report))
}

/// `comparison` as one HTML page.
pub fn render_comparison(comparison: &Comparison) -> String {
    let title = if comparison.is_comparable() { "Comparison" } else { "Not comparable" };
    let tone = if comparison.is_comparable() { "" } else { "unsure" };
    let body = html! {
        header {
            p.eyebrow { (visible(&comparison.b.tool)) " · comparison" }
            h1 { span.word { (title) } }
            p.lead { "Two runs side by side. A comparison describes; whether a difference is a regression, the gate decides." }
            ul.reasons {
                @for sentence in comparison.not_comparable.iter().chain(&comparison.notes) { li { (visible_lines(sentence)) } }
            }
        }
        section {
            h2 { "The two runs" }
            (grid(&table::sides(comparison), "stack"))
        }
        @for (heading, table) in table::comparison(comparison) {
            section {
                h2 { (heading) }
                (grid(&table, comparison_class(heading)))
            }
        }
        @for part in &comparison.parts {
            section {
                h2 { (visible(&table::part_heading(part))) }
                @for sentence in part.not_comparable.iter().chain(&part.notes) { p.soft { (visible_lines(sentence)) } }
                @for (heading, table) in table::comparison(part) {
                    details open[heading == "Metrics"] {
                        summary { (heading) }
                        (grid(&table, comparison_class(heading)))
                    }
                }
            }
        }
        footer { dl.origin { div { dt { "exit code" } dd { (comparison.verdict().exit_code()) } } } }
    };
    let sides = |side: &Side| side.scenario.clone().unwrap_or_else(|| side.kind.to_string());
    page(&format!("{title}: {}", sides(&comparison.b)), tone, &body)
}

/// Tables of words become cards on a narrow page, tables of numbers a grid of figures.
fn comparison_class(heading: &str) -> &'static str {
    if heading == "Metrics" { "numbers" } else { "stack" }
}

fn page(title: &str, tone: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Without it browsers ask the server for an icon.
                link rel="icon" href="data:,";
                title { (visible(title)) }
                style { (PreEscaped(STYLE)) }
            }
            body { main class=(tone) { (body) } }
        }
    };
    page.into_string() + "\n"
}

fn sections(report: &Report) -> Markup {
    html! {
        (verdict(report))
        (facts(report))
        (releases(report))
        (findings(report))
        (speed(report))
        (sweeps(report))
        (latency(report))
        (sequences(report))
        (timelines(report))
        (checks(report))
        (origin(report))
    }
}

fn verdict(report: &Report) -> Markup {
    html! {
        header {
            p.eyebrow {
                (visible(&report.tool.name)) " · " (report.kind)
                @if let Some(scenario) = &report.scenario { " · " (visible(&scenario.name)) }
            }
            h1 {
                span.sign aria-hidden="true" { (report.verdict.sign()) } " "
                span.word { (report.headline()) }
            }
            p.lead { (report.meaning()) "." }
            @if let Some(about) = report.scenario.as_ref().map(|scenario| &scenario.about).filter(|about| !about.is_empty()) {
                p.soft { (visible(about)) }
            }
            @if !report.reasons.is_empty() {
                ul.reasons { @for reason in &report.reasons { li { (visible_lines(reason)) } } }
            }
            @if let Some(replay) = &report.replay {
                p.replay {
                    span.soft { "Repeat it: " }
                    code tabindex="0" { (visible(replay)) }
                }
            }
        }
    }
}

fn facts(report: &Report) -> Markup {
    html! {
        @if !report.facts.is_empty() {
            section aria-label="Facts" {
                dl.facts {
                    @for fact in &report.facts {
                        div { dt { (visible(&fact.label)) } dd { (visible(&fact.shown())) } }
                    }
                }
            }
        }
    }
}

fn releases(report: &Report) -> Markup {
    html! { @if let Some(release) = &report.release { (release::page_sections(release)) } }
}

/// The tables and the evidence of a gate's own page.
fn speed(report: &Report) -> Markup {
    html! {
        @if let Some(gate) = &report.gate {
            @for (heading, table) in gate::tables(gate) {
                section { h2 { (heading) } (grid(&table, "stack")) }
            }
            @if !gate.contests.is_empty() {
                section {
                    h2 { "Evidence" }
                    (evidence::legend())
                    @for (index, contest) in gate.contests.iter().chain(&gate.controls).enumerate() {
                        article {
                            h3 { (visible(&contest.title())) " " span.soft { (contest.decision) ", " (contest.estimated()) } }
                            @if let Some(figures) = evidence::render(&format!("contest-{index}"), contest) { (figures) }
                        }
                    }
                }
            }
        }
    }
}

/// What many seeds saw.
fn sweeps(report: &Report) -> Markup {
    html! {
        @for (heading, table) in report.sweep.iter().flat_map(|sweep| sweep::tables(sweep)) {
            section { h2 { (heading) } (grid(&table, "stack")) }
        }
    }
}

fn findings(report: &Report) -> Markup {
    let shown_max = if report.release.is_some() { RELEASE_FINDINGS_SHOWN_MAX } else { FINDINGS_SHOWN_MAX };
    let shown = &report.findings[..report.findings.len().min(shown_max)];
    html! {
        @if !shown.is_empty() || report.findings_total > 0 {
            section {
                h2 { "Findings" }
                p { (table::findings_summary(report, shown_max)) "." }
                @if let Some(rules) = table::rules(report) { (grid(&rules, "compact")) }
                (grid(&table::findings(shown), "stack findings"))
            }
        }
    }
}

fn latency(report: &Report) -> Markup {
    html! {
        @for (domain, metrics) in table::by_domain(&report.metrics) {
            section {
                h2 { "Latency and size" small { (domain.label()) } }
                @if let Some(plot) = plot::render(&format!("plot-{}", domain.label().replace(' ', "-")), &metrics) { (plot) }
                (grid(&table::metrics(&metrics), "numbers"))
                p.soft.note {
                    "A dash stands for a quantile with no sample beyond it; the maximum says the same."
                }
            }
        }
    }
}

fn sequences(report: &Report) -> Markup {
    html! {
        @if let Some(sequence) = &report.sequence {
            section {
                h2 { "Sequence" }
                (sequence::legend())
                (sequence::render("sequence", sequence))
            }
        }
    }
}

fn timelines(report: &Report) -> Markup {
    let total = report.timelines.len();
    html! {
        @if total > 0 {
            section {
                h2 { "Timelines" }
                (swimlanes::legend())
                @for (index, timeline) in report.timelines.iter().take(TIMELINES_SHOWN_MAX).enumerate() {
                    h3 { (visible(&timeline.user)) }
                    (swimlanes::render(&format!("timeline-{index}"), timeline))
                }
                @if total > TIMELINES_SHOWN_MAX {
                    p.soft { "The first " (TIMELINES_SHOWN_MAX) " of " (total) " users are drawn." }
                }
            }
        }
    }
}

fn checks(report: &Report) -> Markup {
    let bad = table::cases(report.cases.iter().filter(|case| case.outcome.is_bad()));
    html! {
        @if !report.cases.is_empty() {
            section {
                h2 { "Checks" }
                p { (table::cases_summary(&report.cases)) "." }
                @if !bad.rows.is_empty() { (grid(&bad, "stack")) }
                details {
                    summary { "All checks" }
                    (grid(&table::cases(&report.cases), "stack"))
                }
            }
        }
    }
}

fn origin(report: &Report) -> Markup {
    html! {
        footer {
            dl.origin {
                @for (label, value) in table::identity(report).iter().filter(|(label, _)| *label != "about") {
                    div { dt { (label) } dd { (visible(value)) } }
                }
                div { dt { "exit code" } dd { (report.verdict.exit_code()) } }
            }
        }
    }
}

pub(crate) fn grid(table: &Table, class: &str) -> Markup {
    let number = |is_number: bool| is_number.then_some("num");
    html! {
        div.scroll tabindex="0" role="group" aria-label="Table" {
            table class=(class) {
                thead { tr {
                    @for column in &table.columns { th scope="col" class=[number(column.is_number)] { (column.title) } }
                } }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (cell, column) in row.iter().zip(&table.columns) {
                                td class=[number(column.is_number)] data-label=(column.title) { (visible_lines(cell)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The colour of the verdict; sign and word say the same.
fn tone(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "good",
        Verdict::IsolationBreach => "breach",
        Verdict::Findings
        | Verdict::Regression
        | Verdict::ReplayDiverged
        | Verdict::TraceAltered
        | Verdict::Error => "bad",
        Verdict::Inconclusive | Verdict::NotComparable | Verdict::Unreached => "unsure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Tool, sample};

    #[test]
    fn hostile_ids_are_text_and_stay_visible() {
        let page = render(&sample::failing());
        assert!(!page.contains("<script"), "an id became an element");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "the id is not shown");
        assert!(page.contains("\\u{202e}"), "the direction mark is not shown");
        assert!(!page.contains(['\u{202e}', '\u{1b}']), "a treacherous character got through");
    }

    #[test]
    fn hostile_words_in_attributes_do_not_break_out() {
        let mut report = sample::passing();
        let word = "\" onload=\"alert(1)";
        report.timelines[0].user = word.to_owned();
        report.timelines[0].lanes[0].label = word.to_owned();
        report.metrics[0].label = word.to_owned();
        assert!(!render(&report).contains(word));
    }

    #[test]
    fn the_page_asks_nobody_for_anything() {
        let page = render(&sample::failing());
        for reference in
            ["http://", "https://", "url(", "@import", "src=", "href=\"/", "<script", "<link rel=\"style"]
        {
            assert!(!page.contains(reference), "found {reference}");
        }
    }

    #[test]
    fn the_verdict_comes_first_and_pictures_have_words() {
        let page = render(&sample::failing());
        let place = |needle: &str| page.find(needle).unwrap_or_else(|| panic!("{needle} is missing"));
        assert!(place("<h1>") < place("class=\"facts\"") && place("class=\"facts\"") < place("<h2>"));
        assert_eq!(page.matches("role=\"img\"").count(), page.matches("<desc ").count());
        assert!(page.matches("role=\"img\"").count() >= 3);
    }

    #[test]
    fn a_report_with_nothing_in_it_is_still_a_page() {
        let page = render(&Report::new(Tool::new("goldenpath", "0.1.0"), Kind::Gate));
        assert!(page.contains("<h1>") && !page.contains("<h2>"));
    }
}
