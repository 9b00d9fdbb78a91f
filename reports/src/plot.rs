//! The latency plot: value over quantile, on an axis that gives each further nine the same room.

use maud::{Markup, html};

use crate::axis::Scale;
use crate::shape::Shape;
use crate::{Metric, Unit, escape::visible, quantity};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 40.0;

/// How many lines a reader can tell apart; further metrics are in the table only.
const LINES_MAX: usize = 6;

/// The nines at the right edge: 4 is p99.99.
const NINES_MAX: f64 = 4.0;

const X_TICKS: [(f64, &str); 6] =
    [(0.0, "min"), (0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99")];

/// One shape per line, so that the lines differ without colour.
const SHAPES: [Shape; LINES_MAX] =
    [Shape::Disc, Shape::Square, Shape::TriangleUp, Shape::Diamond, Shape::Cross, Shape::TriangleRight];

/// One line of the plot.
struct Line<'a> {
    metric: &'a Metric,
    /// `(quantile, microseconds)`, only as far as the samples go.
    points: Vec<(f64, f64)>,
}

/// The times among `metrics` as an SVG figure with legend; `id` must be unique on the page. `None` if there is
/// nothing to draw. The figures are also in the table that stands beneath.
pub(crate) fn render(id: &str, metrics: &[&Metric]) -> Option<Markup> {
    let lines: Vec<Line<'_>> = metrics.iter().filter_map(|metric| line(metric)).take(LINES_MAX).collect();
    let scale = Scale::of(lines.iter().flat_map(|line| line.points.iter().map(|point| point.1)))?;
    Some(html! {
        figure.plot {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-labelledby={ (id) "-title " (id) "-desc" } {
                title id={ (id) "-title" } { "Latency by quantile, " (scale.label()) " scale" }
                desc id={ (id) "-desc" } { (description(&lines)) }
                (grid(scale))
                @for (index, line) in lines.iter().enumerate() { (curve(index, line, scale)) }
            }
            figcaption { (legend(&lines)) }
        }
    })
}

fn line(metric: &Metric) -> Option<Line<'_>> {
    let micros = metric.unit.micros()? as f64;
    let points: Vec<(f64, f64)> = metric
        .quantiles
        .iter()
        .filter(|(quantile, _)| *quantile < 1.0 && metric.supports(*quantile))
        .map(|&(quantile, value)| (quantile, value as f64 * micros))
        .collect();
    (points.len() > 1).then_some(Line { metric, points })
}

/// What the picture says, for those who do not see it.
fn description(lines: &[Line<'_>]) -> String {
    let sentence = |line: &Line<'_>| {
        let Metric { unit, p50, p99, max, .. } = line.metric;
        let label = visible(&line.metric.label);
        format!(
            "{label}: median {}, p99 {}, maximum {}.",
            unit.sample(*p50),
            unit.sample(*p99),
            unit.sample(*max)
        )
    };
    lines.iter().map(sentence).collect::<Vec<_>>().join(" ")
}

fn grid(scale: Scale) -> Markup {
    html! {
        g.grid {
            @for tick in scale.ticks() {
                @let y = y(scale, tick);
                path d=(format!("M{LEFT} {y:.1}H{}", WIDTH - RIGHT)) {}
                text x=(LEFT - 8.0) y=(format!("{:.1}", y + 4.5)) text-anchor="end" { (quantity::tick(tick)) }
            }
            @for (quantile, label) in X_TICKS {
                @let x = x(quantile);
                path d=(format!("M{x:.1} {TOP}V{}", HEIGHT - BOTTOM)) {}
                // `min` and `p50` are close neighbours: the first one steps aside.
                @let anchor = if quantile == 0.0 { "end" } else { "middle" };
                text x=(format!("{x:.1}")) y=(HEIGHT - BOTTOM + 20.0) text-anchor=(anchor) { (label) }
            }
        }
    }
}

fn curve(index: usize, line: &Line<'_>, scale: Scale) -> Markup {
    let at = |&(quantile, value): &(f64, f64)| (x(quantile), y(scale, value));
    let corners: Vec<String> = line.points.iter().map(at).map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    let is_marked = |point: &&(f64, f64)| X_TICKS.iter().any(|(quantile, _)| *quantile == point.0);
    html! {
        g class=(format!("line s{index}")) {
            path.curve d=(format!("M{}", corners.join("L"))) {}
            @for point in line.points.iter().filter(is_marked) {
                @let (x, y) = at(point);
                path.mark d=(SHAPES[index].path(x, y, 4.5)) {
                    title { (visible(&line.metric.label)) ", " (percent(point.0)) ": " (Unit::Microseconds.amount(point.1)) }
                }
            }
        }
    }
}

fn legend(lines: &[Line<'_>]) -> Markup {
    html! {
        ul.legend {
            @for (index, line) in lines.iter().enumerate() {
                li {
                    svg.key viewBox="0 0 32 14" aria-hidden="true" {
                        g class=(format!("line s{index}")) {
                            path.curve d="M0 7H32" {}
                            path.mark d=(SHAPES[index].path(16.0, 7.0, 4.5)) {}
                        }
                    }
                    (visible(&line.metric.label))
                    span.soft { " " (quantity::grouped(line.metric.count)) " samples" }
                }
            }
        }
    }
}

fn percent(quantile: f64) -> String {
    X_TICKS.iter().find(|tick| tick.0 == quantile).map_or_else(String::new, |tick| tick.1.to_owned())
}

fn x(quantile: f64) -> f64 {
    let nines = -(1.0 - quantile).log10();
    LEFT + (WIDTH - LEFT - RIGHT) * (nines / NINES_MAX).clamp(0.0, 1.0)
}

fn y(scale: Scale, value: f64) -> f64 {
    let height = HEIGHT - TOP - BOTTOM;
    TOP + height * (1.0 - scale.position(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Distribution, Domain};

    fn metric(count: u64, unit: Unit) -> Metric {
        let mut distribution = Distribution::new();
        (1..=count).for_each(|value| distribution.record(value));
        distribution.to_metric("k", "l", unit, Domain::Virtual)
    }

    #[test]
    fn each_nine_takes_the_same_room() {
        let widths: Vec<f64> =
            [0.9, 0.99, 0.999, 0.9999].map(x).windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(widths.iter().all(|width| (width - widths[0]).abs() < 1e-6), "{widths:?}");
        assert!((x(0.9999) - (WIDTH - RIGHT)).abs() < 1e-6);
    }

    #[test]
    fn a_line_ends_where_its_samples_end() {
        let metric = metric(100, Unit::Milliseconds);
        let line = line(&metric).expect("a line");
        assert_eq!(line.points.last(), Some(&(0.99, 99_000.0)));
    }

    #[test]
    fn what_is_no_time_is_not_drawn() {
        assert!(render("p", &[&metric(100, Unit::Bytes)]).is_none());
        assert!(render("p", &[]).is_none());
    }

    #[test]
    fn equal_latencies_of_zero_still_draw() {
        let mut distribution = Distribution::new();
        distribution.record_n(0, 50);
        let metric = distribution.to_metric("k", "l", Unit::Microseconds, Domain::Virtual);
        let svg = render("p", &[&metric]).expect("a plot").into_string();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
