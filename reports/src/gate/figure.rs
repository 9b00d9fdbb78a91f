//! A contest as two pictures: its epochs around the limit, and its evidence on the way to a decision.

use maud::{Markup, html};

use super::{Contest, percent};
use crate::escape::visible;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;

/// The pictures of a contest; `id` is unique on the page.
pub(crate) fn render(id: &str, contest: &Contest) -> Markup {
    let changes: Vec<f64> = contest.epochs.iter().map(|epoch| epoch.x.exp_m1()).collect();
    html! {
        @if !changes.is_empty() {
            h3 { (visible(&contest.title())) ": " (contest.decision) ", " (visible(&contest.estimated())) }
            (epochs(id, contest, &changes))
            (evidence(id, contest))
        }
    }
}

/// A straight scale.
#[derive(Clone, Copy)]
struct Range {
    low: f64,
    high: f64,
}

impl Range {
    /// All values and a little more.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let room = ((high - low) * 0.08).max(1e-6);
        Range { low: low - room, high: high + room }
    }

    fn y(self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
    }
}

fn x(index: usize, count: usize) -> f64 {
    LEFT + (index as f64 + 0.5) / count.max(1) as f64 * (WIDTH - LEFT - RIGHT)
}

fn rule(range: Range, value: f64, label: &str) -> Markup {
    let y = range.y(value);
    html! {
        path d=(format!("M{LEFT} {y:.1}H{}", WIDTH - RIGHT)) {}
        text x=(LEFT - 8.0) y=(format!("{:.1}", y + 4.5)) text-anchor="end" { (label) }
    }
}

fn frame(id: &str, title: &str, description: &str, count: usize, body: &Markup) -> Markup {
    html! {
        figure.plot {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-labelledby={ (id) "-title " (id) "-desc" } {
                title id={ (id) "-title" } { (visible(title)) }
                desc id={ (id) "-desc" } { (visible(description)) }
                (body)
                text x=(LEFT) y=(HEIGHT - BOTTOM + 20.0) { "epoch 1" }
                text x=(WIDTH - RIGHT) y=(HEIGHT - BOTTOM + 20.0) text-anchor="end" { (count) }
            }
        }
    }
}

fn epochs(id: &str, contest: &Contest, changes: &[f64]) -> Markup {
    let limit = contest.limit - 1.0;
    let ends = contest.interval.into_iter().flatten();
    let range = Range::of(changes.iter().copied().chain([0.0, limit]).chain(ends));
    let above = changes.iter().filter(|change| **change > limit).count();
    let description = format!(
        "{}: median change {}, limit {}; {above} of {} epochs above the limit.",
        contest.title(),
        contest.estimated(),
        percent(limit),
        changes.len()
    );
    let [low, high] = contest.interval;
    let body = html! {
        @if let (Some(low), Some(high)) = (low, high) {
            rect.band x=(LEFT) y=(format!("{:.1}", range.y(high))) width=(WIDTH - LEFT - RIGHT)
                height=(format!("{:.1}", (range.y(low) - range.y(high)).max(1.0))) {}
        }
        g.grid { (rule(range, 0.0, "0 %")) }
        g.limit { (rule(range, limit, &percent(limit))) }
        g.line.s0 {
            @for (index, change) in changes.iter().enumerate() {
                circle.mark cx=(format!("{:.1}", x(index, changes.len()))) cy=(format!("{:.1}", range.y(*change))) r="3" {
                    title { "epoch " (index + 1) ": " (percent(*change)) }
                }
            }
        }
    };
    frame(
        &format!("{id}-epochs"),
        "Change by epoch, with the limit and the interval",
        &description,
        changes.len(),
        &body,
    )
}

fn evidence(id: &str, contest: &Contest) -> Markup {
    let decades = |ln: &f64| ln / std::f64::consts::LN_10;
    let lines: [Vec<f64>; 2] =
        [&contest.ln_e_fail, &contest.ln_e_pass].map(|values| values.iter().map(decades).collect());
    let thresholds = [contest.fail_at.log10(), contest.pass_at.log10()];
    // Evidence against falls without end and says nothing more.
    let all = lines.iter().flatten().copied().map(|value| value.max(-3.0));
    let range = Range::of(all.chain(thresholds).chain([0.0]));
    let last = |index: usize| lines[index].last().copied().unwrap_or_default();
    let description = format!(
        "Evidence that it is slower by more than the limit: 10^{:.1}, needed 10^{:.1}. Evidence that it is not: 10^{:.1}, needed 10^{:.1}.",
        last(0),
        thresholds[0],
        last(1),
        thresholds[1]
    );
    let curve = |values: &[f64]| {
        let points = values
            .iter()
            .enumerate()
            .map(|(index, value)| format!("{:.1} {:.1}", x(index, values.len()), range.y(*value)));
        format!("M{}", points.collect::<Vec<_>>().join("L"))
    };
    let body = html! {
        g.grid { (rule(range, 0.0, "1")) }
        g.limit { (rule(range, thresholds[0], &format!("{:.0}", contest.fail_at))) }
        @if contest.fail_at != contest.pass_at {
            g.limit { (rule(range, thresholds[1], &format!("{:.0}", contest.pass_at))) }
        }
        @for (index, values) in lines.iter().enumerate() {
            g class=(format!("line s{index}")) { path.curve d=(curve(values)) {} }
        }
    };
    html! {
        (frame(&format!("{id}-evidence"), "Evidence by epoch, logarithmic, with what a decision needs", &description, contest.epochs.len(), &body))
        ul.legend {
            @for (index, label) in ["evidence for a fail", "evidence for a pass"].into_iter().enumerate() {
                li {
                    svg.key viewBox="0 0 32 14" aria-hidden="true" {
                        g class=(format!("line s{index}")) { path.curve d="M0 7H32" {} }
                    }
                    (label)
                }
            }
        }
    }
}
