//! The picture of a timeline: a lane per connection or run, a mark per event, a bar per tool call.

use maud::{Markup, html};
use std::collections::BTreeMap;

use crate::axis;
use crate::shape::Shape;
use crate::timeline::{Event, Row, Span};
use crate::{Lane, Mark, Timeline, escape::visible, quantity};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 14.0;
const RIGHT: f64 = 44.0;
const LABEL_HEIGHT: f64 = 24.0;
const ROW_HEIGHT: f64 = 34.0;
const LANE_GAP: f64 = 8.0;
const AXIS_HEIGHT: f64 = 28.0;
const MARK_RADIUS: f64 = 6.0;

/// Events of the same instant are set side by side, this far apart …
const MARK_SPACING: f64 = 11.0;
/// … unless that would put one this far from its time.
const DRIFT_MAX: f64 = 45.0;

/// Beyond this a picture is a smear and a page is slow.
const MARKS_DRAWN_MAX: usize = 1_500;
/// How many events the text equivalent lists.
const MARKS_LISTED_MAX: usize = 400;
/// How much of a run's name is written above its first event.
const RUN_NAME_CHARS_MAX: usize = 14;

/// `timeline` as a figure with its text equivalent; `id` must be unique on the page.
pub(crate) fn render(id: &str, timeline: &Timeline) -> Markup {
    html! {
        figure.timeline {
            @match timeline.extent() {
                None => p.soft { "No events." },
                Some(_) if timeline.marks_total() > MARKS_DRAWN_MAX => p.soft {
                    (quantity::grouped(timeline.marks_total() as u64)) " events are too many to draw."
                },
                Some((first_us, last_us)) => (picture(id, timeline, Time { first_us, last_us })),
            }
            (listing(timeline))
        }
    }
}

/// What the marks mean; once per page.
pub(crate) fn legend() -> Markup {
    html! {
        ul.legend {
            @for event in Event::ALL {
                li {
                    svg.key.narrow viewBox="0 0 18 16" aria-hidden="true" {
                        path class=(class(event)) d=(shape(event).path(9.0, 8.0, MARK_RADIUS)) {}
                    }
                    (event.label())
                }
            }
            li {
                svg.key viewBox="0 0 32 16" aria-hidden="true" { rect.span x="0" y="3" width="32" height="10" rx="3" {} }
                "tool running"
            }
            li {
                svg.key viewBox="0 0 32 16" aria-hidden="true" {
                    rect.span.open x="1" y="3" width="30" height="10" rx="3" {}
                }
                "tool never completed"
            }
        }
    }
}

/// The stretch of time that a picture shows.
#[derive(Clone, Copy)]
struct Time {
    first_us: u64,
    last_us: u64,
}

impl Time {
    fn span_us(self) -> f64 {
        (self.last_us - self.first_us).max(1) as f64
    }

    fn x(self, at_us: u64) -> f64 {
        self.offset((at_us - self.first_us) as f64)
    }

    fn offset(self, offset_us: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * offset_us / self.span_us()
    }
}

fn picture(id: &str, timeline: &Timeline, time: Time) -> Markup {
    let lanes: Vec<(&Lane, Vec<Row<'_>>)> = timeline.lanes.iter().map(|lane| (lane, lane.rows())).collect();
    let mut top = 0.0;
    let mut placed = Vec::new();
    for (lane, rows) in &lanes {
        placed.push((top, *lane, rows));
        top += LABEL_HEIGHT + ROW_HEIGHT * rows.len() as f64 + LANE_GAP;
    }
    let height = top + AXIS_HEIGHT;
    html! {
        div.scroll tabindex="0" role="group" aria-label={ "Timeline of " (visible(&timeline.user)) } {
            svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-labelledby={ (id) "-title " (id) "-desc" } {
                title id={ (id) "-title" } { "What " (visible(&timeline.user)) " saw" }
                desc id={ (id) "-desc" } { (description(timeline, time)) }
                (ticks(time, top))
                @for (top, lane, rows) in placed { (draw_lane(top, lane, rows, time)) }
            }
        }
        p.soft.note { "Time 0 is " (quantity::exact_seconds(time.first_us)) " into the run." }
    }
}

fn description(timeline: &Timeline, time: Time) -> String {
    let lanes: Vec<String> = timeline
        .lanes
        .iter()
        .map(|lane| format!("{}: {} events.", visible(&lane.label), lane.marks.len()))
        .collect();
    let (from, to) = (quantity::exact_seconds(time.first_us), quantity::exact_seconds(time.last_us));
    format!("From {from} to {to}. {} The list beneath says the same in words.", lanes.join(" "))
}

fn ticks(time: Time, bottom: f64) -> Markup {
    let span_us = time.span_us();
    html! {
        g.grid {
            @for offset_us in axis::multiples(axis::step(span_us, 8.0), span_us) {
                @let x = time.offset(offset_us);
                path d=(format!("M{x:.1} 0V{bottom:.1}")) {}
                text x=(format!("{x:.1}")) y=(format!("{:.1}", bottom + 18.0))
                    text-anchor=(if offset_us == 0.0 { "start" } else { "middle" }) {
                    (quantity::tick(offset_us))
                }
            }
        }
    }
}

fn draw_lane(top: f64, lane: &Lane, rows: &[Row<'_>], time: Time) -> Markup {
    html! {
        g.lane {
            text.label x=(LEFT) y=(format!("{:.1}", top + 16.0)) { (visible(&lane.label)) }
            @for (index, row) in rows.iter().enumerate() {
                @let y = top + LABEL_HEIGHT + ROW_HEIGHT * (index as f64 + 0.5);
                (draw_row(y, row, time))
            }
        }
    }
}

fn draw_row(y: f64, row: &Row<'_>, time: Time) -> Markup {
    let places = places(row, time);
    html! {
        path.base d=(format!("M{LEFT} {y:.1}H{}", WIDTH - RIGHT)) {}
        @for span in &row.spans { (draw_span(y, span, row, &places, time)) }
        @for (run, index) in run_starts(row) {
            text.run x=(format!("{:.1}", places[index])) y=(format!("{:.1}", y - 11.0)) { (shortened(run)) }
        }
        @for (mark, x) in row.marks.iter().zip(&places) {
            path class=(class(mark.event())) d=(shape(mark.event()).path(*x, y, MARK_RADIUS)) {
                title { (words(mark)) }
            }
        }
    }
}

/// The runs of the row, each with the index of its first event.
fn run_starts<'a>(row: &Row<'a>) -> BTreeMap<&'a str, usize> {
    let mut starts = BTreeMap::new();
    for (index, mark) in row.marks.iter().enumerate() {
        if let Some(run) = mark.run.as_deref() {
            starts.entry(run).or_insert(index);
        }
    }
    starts
}

/// Where each mark of the row is drawn: at its time, or a little later where several fall together.
fn places(row: &Row<'_>, time: Time) -> Vec<f64> {
    let mut free = f64::NEG_INFINITY;
    let place = |mark: &&Mark| {
        let exact = time.x(mark.at_us);
        let x = if free - exact > DRIFT_MAX { exact } else { exact.max(free) };
        free = x + MARK_SPACING;
        x
    };
    row.marks.iter().map(place).collect()
}

fn draw_span(y: f64, span: &Span<'_>, row: &Row<'_>, places: &[f64], time: Time) -> Markup {
    let place = |mark: &Mark| {
        let index = row.marks.iter().position(|other| std::ptr::eq(*other, mark));
        index.map_or_else(|| time.x(mark.at_us), |index| places[index])
    };
    let end_of_run = || row.marks.iter().rfind(|mark| mark.run == span.executing.run);
    let from = place(span.executing);
    let to = span.completed.or_else(|| end_of_run().copied()).map_or(from, place).max(from + 2.0);
    html! {
        rect class=(if span.completed.is_some() { "span" } else { "span open" })
            x=(format!("{from:.1}")) y=(format!("{:.1}", y - 5.0))
            width=(format!("{:.1}", to - from)) height="10" rx="3" {
            title { (words(span.executing)) @if span.completed.is_none() { ", never completed" } }
        }
    }
}

fn listing(timeline: &Timeline) -> Markup {
    let marks = || timeline.lanes.iter().flat_map(|lane| lane.marks.iter().map(move |mark| (lane, mark)));
    let total = timeline.marks_total();
    html! {
        details {
            summary { "The same in words, " (quantity::grouped(total as u64)) " events" }
            div.scroll tabindex="0" role="group" aria-label="Events" {
                table {
                    thead { tr {
                        th.num scope="col" { "At" } th scope="col" { "Lane" } th scope="col" { "Event" }
                        th scope="col" { "Run" } th.num scope="col" { "Seq" } th scope="col" { "Note" }
                    } }
                    tbody {
                        @for (lane, mark) in marks().take(MARKS_LISTED_MAX) { (listed(lane, mark)) }
                    }
                }
            }
            @if total > MARKS_LISTED_MAX {
                p.soft { "The first " (MARKS_LISTED_MAX) " events are listed; the JSON report holds them all." }
            }
        }
    }
}

fn listed(lane: &Lane, mark: &Mark) -> Markup {
    html! {
        tr {
            td.num { (quantity::exact_seconds(mark.at_us)) }
            td { (visible(&lane.label)) }
            td { (visible(&mark.kind)) }
            td { (mark.run.as_deref().map(visible).unwrap_or_default()) }
            td.num { (mark.seq.map(|seq| seq.to_string()).unwrap_or_default()) }
            td { (visible(&mark.note)) }
        }
    }
}

/// One line about a mark, for a tooltip.
fn words(mark: &Mark) -> String {
    let mut words = vec![quantity::exact_seconds(mark.at_us), visible(&mark.kind).into_owned()];
    words.extend(mark.run.as_ref().map(|run| format!("run {}", visible(run))));
    words.extend(mark.seq.map(|seq| format!("seq {seq}")));
    words.extend((!mark.note.is_empty()).then(|| visible(&mark.note).into_owned()));
    words.join(", ")
}

fn shortened(name: &str) -> String {
    let name = visible(name);
    if name.chars().count() <= RUN_NAME_CHARS_MAX {
        return name.into_owned();
    }
    name.chars().take(RUN_NAME_CHARS_MAX - 1).chain(['…']).collect()
}

fn shape(event: Event) -> Shape {
    match event {
        Event::Started => Shape::TriangleRight,
        Event::Thinking => Shape::Disc,
        Event::ToolExecuting | Event::ToolCompleted => Shape::Square,
        Event::Completed => Shape::Diamond,
        Event::Error => Shape::Cross,
        Event::Other => Shape::Bar,
    }
}

fn class(event: Event) -> &'static str {
    match event {
        Event::Started => "event started",
        Event::Thinking => "event thinking",
        Event::ToolExecuting => "event executing",
        Event::ToolCompleted => "event executed",
        Event::Completed => "event completed",
        Event::Error => "event error",
        Event::Other => "event other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(marks: &[Mark]) -> Row<'_> {
        Row { marks: marks.iter().collect(), spans: Vec::new() }
    }

    #[test]
    fn events_of_one_instant_stand_side_by_side_but_never_far_from_their_time() {
        let time = Time { first_us: 0, last_us: 1_000 };
        let marks: Vec<Mark> = (0..8).map(|_| Mark::new(500, "agent_thinking")).collect();
        let places = places(&row(&marks), time);
        assert!(places.windows(2).take(4).all(|pair| pair[1] - pair[0] == MARK_SPACING), "{places:?}");
        assert!(places.iter().all(|x| (0.0..=DRIFT_MAX).contains(&(x - time.x(500)))), "{places:?}");
    }

    #[test]
    fn a_tool_that_never_completed_is_drawn_open() {
        let executing = Mark { run: Some("r".to_owned()), ..Mark::new(5, "tool_executing") };
        let failed = Mark { run: Some("r".to_owned()), ..Mark::new(9, "agent_error") };
        let lanes = vec![Lane { label: "c".to_owned(), marks: vec![executing, failed] }];
        let svg = render("t", &Timeline { user: "u".to_owned(), lanes }).into_string();
        assert_eq!(svg.matches("span open").count(), 1, "{svg}");
        assert!(svg.contains("never completed"));
    }

    #[test]
    fn a_single_event_and_none_at_all_draw_without_nonsense() {
        for marks in [vec![], vec![Mark::new(7, "x")]] {
            let lanes = vec![Lane { label: "c".to_owned(), marks }];
            let svg = render("t", &Timeline { user: "u".to_owned(), lanes }).into_string();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
