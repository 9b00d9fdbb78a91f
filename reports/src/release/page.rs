//! The sections of a release's page: the tables, and the pictures that belong to them.

use maud::{Markup, html};

use super::{
    Release, Section,
    figures::name,
    tables::{self, played},
};
use crate::{
    Contest, Decision, Domain, Report, Role, Verdict, escape::visible, evidence, html::grid, plot, table,
};

/// Everything between the facts and the findings.
pub(crate) fn sections(release: &Release) -> Markup {
    html! {
        (contents(&tables::sections(release)))
        @for section in tables::sections(release) {
            section id=(section.id) {
                h2 { (visible(&section.heading)) }
                @if !section.note.is_empty() { p.soft { (visible(&section.note)) } }
                @if let Some(table) = &section.table { (grid(table, class(section.id))) }
                @match section.id {
                    "latency" => { (plots(release)) }
                    "speed" => { (contests(release)) }
                    _ => {}
                }
            }
        }
    }
}

fn contents(sections: &[Section]) -> Markup {
    html! {
        nav aria-label="Contents" {
            ul { @for section in sections { li { a href={ "#" (section.id) } { (visible(&section.heading)) } } } }
        }
    }
}

/// Tables of words become cards on a narrow page, tables of numbers a grid of figures.
fn class(section: &str) -> &'static str {
    match section {
        "against" | "latency" | "safety" | "reliability" | "memory" | "speed" => "numbers",
        _ => "stack",
    }
}

/// A quantile plot per scenario, those of real sockets last.
fn plots(release: &Release) -> Markup {
    html! {
        @for (index, part) in played(release).enumerate() {
            @for (domain, metrics) in table::by_domain(&part.metrics) {
                @let id = format!("latency-{index}-{}", if domain == Domain::Virtual { "virtual" } else { "wall" });
                @if let Some(plot) = plot::render(&id, &metrics) {
                    article {
                        h3 { (heading(part)) " " span.soft { (domain.label()) } }
                        (plot)
                        details {
                            summary { "The numbers of " (visible(&name(part))) ", " (domain.label()) }
                            (grid(&table::metrics(&metrics), "numbers"))
                        }
                    }
                }
            }
        }
    }
}

fn heading(part: &Report) -> Markup {
    html! {
        (visible(&name(part)))
        @if part.verdict != Verdict::Pass { " (" (part.verdict) ")" }
    }
}

/// Epochs and evidence of every benchmark: those that were accused first, controls last.
fn contests(release: &Release) -> Markup {
    let mut contests: Vec<&Contest> = super::contests(&release.parts).collect();
    contests.sort_by_key(|contest| (is_control(contest), contest.decision == Decision::Pass));
    html! {
        @if !contests.is_empty() { (evidence::legend()) }
        @for (index, contest) in contests.iter().enumerate() {
            article {
                h3 {
                    (visible(&contest.title())) " "
                    span.soft {
                        @if is_control(contest) { "control, " }
                        (contest.decision) ", " (contest.estimated())
                    }
                }
                @if let Some(figures) = evidence::render(&format!("contest-{index}"), contest) { (figures) }
            }
        }
    }
}

fn is_control(contest: &Contest) -> bool {
    match contest.role {
        Role::MustPass | Role::MustFail => true,
        Role::Gated | Role::Reported => false,
    }
}
