//! The evidence of one benchmark, epoch by epoch: what was measured, and how strong a case it makes.

use maud::{Markup, html};

use crate::{Contest, axis, escape::visible, gate::percent, shape::Shape};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 34.0;

/// One axis from `low` to `high`.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: f64,
    high: f64,
}

/// Both figures of `contest` with the table of their numbers; `id` must be unique on the page. `None` without epochs.
pub(crate) fn render(id: &str, contest: &Contest) -> Option<Markup> {
    if contest.epochs.is_empty() {
        return None;
    }
    let title = contest.title();
    Some(html! {
        div.pair {
            (figure(&format!("{id}-x"), &format!("{title}: change in each epoch"), &change_words(contest), change(contest)))
            (figure(&format!("{id}-e"), &format!("{title}: evidence after each epoch"), &evidence_words(contest), trajectories(contest)))
        }
        details {
            summary { "The numbers of " (visible(&title)) }
            (table(contest))
        }
    })
}

/// What the marks of all these figures mean.
pub(crate) fn legend() -> Markup {
    html! {
        ul.legend {
            li { (key("s0", Shape::Disc)) "change of head against base, one per epoch" }
            li { (key("s1", Shape::Square)) "evidence that it is slower than the limit" }
            li { (key("s2", Shape::TriangleUp)) "evidence that it is not" }
            li { (threshold_key()) "the limit, or the evidence that decides" }
            li { svg.key viewBox="0 0 32 14" aria-hidden="true" { rect.interval x="0" y="1" width="32" height="12" {} } "interval of the change" }
        }
    }
}

fn figure(id: &str, title: &str, words: &str, drawing: Markup) -> Markup {
    html! {
        figure.plot {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-labelledby={ (id) "-title " (id) "-desc" } {
                title id={ (id) "-title" } { (visible(title)) }
                desc id={ (id) "-desc" } { (visible(words)) }
                (drawing)
            }
            figcaption.soft { (visible(words)) }
        }
    }
}

fn change_words(contest: &Contest) -> String {
    format!(
        "Median {} over {} epochs, limit {}.",
        contest.estimated(),
        contest.epochs.len(),
        percent(contest.limit - 1.0)
    )
}

fn evidence_words(contest: &Contest) -> String {
    let last = |values: &[f64]| amount(values.last().copied().unwrap_or(0.0));
    format!(
        "Slower than the limit: {}, decides at {}. Not slower: {}, decides at {}. Verdict: {}.",
        last(&contest.ln_e_fail),
        amount(contest.fail_at.ln()),
        last(&contest.ln_e_pass),
        amount(contest.pass_at.ln()),
        contest.decision
    )
}

/// `x` of each epoch as a point, with the limit, zero, and the interval.
fn change(contest: &Contest) -> Markup {
    let values: Vec<f64> = contest.epochs.iter().map(|epoch| epoch.x.exp() - 1.0).collect();
    let limit = contest.limit - 1.0;
    let ends = contest.interval.iter().flatten().copied();
    let y = Range::around(values.iter().copied().chain(ends).chain([0.0, limit]));
    let last = values.len();
    html! {
        (grid(y, &y.hundredths(), last, percent))
        @if let [Some(low), Some(high)] = contest.interval {
            rect.interval x=(LEFT) width=(WIDTH - LEFT - RIGHT) y=(number(y.at(high))) height=(number(y.at(low) - y.at(high))) {
                title { "interval " (percent(low)) " to " (percent(high)) }
            }
        }
        (threshold(y.at(limit), &format!("limit {}", percent(limit)), true))
        g.line.s0 {
            @for (index, value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
                path.mark d=(Shape::Disc.path(x(index + 1, last), y.at(*value), 3.5)) {
                    title { "epoch " (index + 1) ": " (percent(*value)) }
                }
            }
        }
    }
}

/// Both e-processes on a logarithmic axis, with the evidence that decides.
fn trajectories(contest: &Contest) -> Markup {
    let (fail_at, pass_at) = (contest.fail_at.ln(), contest.pass_at.ln());
    // Evidence against can be as small as it likes; below a thousandth there is nothing to see.
    let floor = (-3.0) * std::f64::consts::LN_10;
    let all = contest.ln_e_fail.iter().chain(&contest.ln_e_pass).copied().filter(|value| value.is_finite());
    let y = Range::around(all.map(|value| value.max(floor)).chain([0.0, fail_at, pass_at]));
    let last = contest.epochs.len();
    html! {
        (grid(y, &y.decades(), last, amount))
        (threshold(y.at(fail_at), &format!("fails at {}", amount(fail_at)), true))
        @if (fail_at - pass_at).abs() > 1e-9 {
            (threshold(y.at(pass_at), &format!("passes at {}", amount(pass_at)), false))
        }
        @for (class, shape, values) in [("line s1", Shape::Square, &contest.ln_e_fail), ("line s2", Shape::TriangleUp, &contest.ln_e_pass)] {
            @let points: Vec<(f64, f64)> = values.iter().enumerate().map(|(index, value)| (x(index + 1, last), y.at(value.max(floor)))).collect();
            @let corners: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
            g class=(class) {
                @if !corners.is_empty() { path.curve d=(format!("M{}", corners.join("L"))) {} }
                @if let Some((x, y)) = points.last() { path.mark d=(shape.path(*x, *y, 4.5)) {} }
            }
        }
    }
}

/// A line with its name at one of its ends: two of them may lie close together.
fn threshold(y: f64, label: &str, is_left: bool) -> Markup {
    let (x, anchor) = if is_left { (LEFT + 6.0, "start") } else { (WIDTH - RIGHT - 6.0, "end") };
    html! {
        g.threshold {
            path d=(format!("M{LEFT} {y:.1}H{}", WIDTH - RIGHT)) {}
            text x=(x) y=(number(y - 5.0)) text-anchor=(anchor) { (label) }
        }
    }
}

fn grid(y: Range, ticks: &[f64], last: usize, label: impl Fn(f64) -> String) -> Markup {
    let mut marked = vec![1, last.div_ceil(2), last];
    marked.dedup();
    html! {
        g.grid {
            @for &tick in ticks {
                path d=(format!("M{LEFT} {:.1}H{}", y.at(tick), WIDTH - RIGHT)) {}
                text x=(LEFT - 8.0) y=(number(y.at(tick) + 4.5)) text-anchor="end" { (label(tick)) }
            }
            @for epoch in marked {
                text x=(number(x(epoch, last))) y=(HEIGHT - BOTTOM + 20.0) text-anchor="middle" { (epoch) }
            }
        }
    }
}

fn key(class: &str, shape: Shape) -> Markup {
    html! {
        svg.key viewBox="0 0 32 14" aria-hidden="true" {
            g class={ "line " (class) } {
                path.curve d="M0 7H32" {}
                path.mark d=(shape.path(16.0, 7.0, 4.5)) {}
            }
        }
    }
}

fn threshold_key() -> Markup {
    html! { svg.key viewBox="0 0 32 14" aria-hidden="true" { g.threshold { path d="M0 7H32" {} } } }
}

fn table(contest: &Contest) -> Markup {
    let shown =
        |values: &[f64], index: usize| values.get(index).map_or("–".to_owned(), |value| amount(*value));
    html! {
        div.scroll tabindex="0" role="group" aria-label="Table" {
            table {
                thead { tr {
                    @for title in ["Epoch", "Change", "Evidence slower", "Evidence not"] { th.num scope="col" { (title) } }
                } }
                tbody {
                    @for (index, epoch) in contest.epochs.iter().enumerate() {
                        tr {
                            td.num { (index + 1) }
                            td.num { (percent(epoch.x.exp() - 1.0)) }
                            td.num { (shown(&contest.ln_e_fail, index)) }
                            td.num { (shown(&contest.ln_e_pass, index)) }
                        }
                    }
                }
            }
        }
    }
}

/// Evidence, given as its logarithm, as a person reads it.
fn amount(ln_e: f64) -> String {
    let log10 = ln_e / std::f64::consts::LN_10;
    match log10 {
        _ if !log10.is_finite() => "0".to_owned(),
        low if low < -3.001 => "< 0.001".to_owned(),
        low if low < -1.001 => format!("{:.3}", ln_e.exp()),
        low if low < -0.001 => format!("{:.1}", ln_e.exp()),
        middle if middle < 5.0 => format!("{:.0}", ln_e.exp()),
        high => format!("10^{high:.0}"),
    }
}

fn number(value: f64) -> String {
    format!("{value:.1}")
}

fn x(epoch: usize, last: usize) -> f64 {
    let width = WIDTH - LEFT - RIGHT;
    LEFT + width * (epoch as f64 - 0.5) / last.max(1) as f64
}

impl Range {
    /// A range that holds all of `values`, with a little room.
    fn around(values: impl Iterator<Item = f64>) -> Range {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return Range { low: 0.0, high: 1.0 };
        }
        let room = ((high - low) * 0.06).max(1e-3);
        Range { low: low - room, high: high + room }
    }

    fn at(self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - share)
    }

    /// Round shares, about five.
    fn hundredths(self) -> Vec<f64> {
        // The step of an axis is at least 1, so it is taken among tenths of a percent.
        let step = axis::step((self.high - self.low) * 1_000.0, 5.0) / 1_000.0;
        self.multiples(step)
    }

    /// Powers of ten, at most six, as natural logarithms.
    fn decades(self) -> Vec<f64> {
        let decade = std::f64::consts::LN_10;
        let every = ((self.high - self.low) / decade / 5.0).ceil().max(1.0);
        self.multiples(every * decade)
    }

    fn multiples(self, step: f64) -> Vec<f64> {
        let (first, last) = ((self.low / step).ceil() as i64, (self.high / step).floor() as i64);
        (first..=last).map(|index| index as f64 * step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_threshold_lies_between_what_passes_and_what_fails() {
        let contest = &sample::gate().contests[0];
        let markup = render("c", contest).expect("epochs").into_string();
        assert_eq!(markup.matches("role=\"img\"").count(), 2);
        assert_eq!(markup.matches("<desc ").count(), 2);
        assert!(markup.contains("limit +5.0 %") && markup.contains("passes at 100"), "{markup}");
        assert_eq!(markup.matches("<tr>").count(), contest.epochs.len() + 1);
        assert!(!markup.contains("NaN") && !markup.contains("inf"), "{markup}");
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let change = Range { low: -0.034, high: 0.061 };
        let shown: Vec<String> = change.hundredths().into_iter().map(percent).collect();
        assert_eq!(shown, ["-2.0 %", "+0.0 %", "+2.0 %", "+4.0 %", "+6.0 %"]);
        let evidence = Range { low: -7.0, high: 12.0 };
        let shown: Vec<String> = evidence.decades().into_iter().map(amount).collect();
        assert_eq!(shown, ["0.010", "1", "100", "10000"]);
    }

    #[test]
    fn numbers_that_are_none_do_not_draw() {
        let mut contest = sample::gate().contests[0].clone();
        contest.interval = [None, Some(0.01)];
        contest.epochs[0].x = f64::NAN;
        contest.ln_e_fail[0] = f64::NEG_INFINITY;
        let markup = render("c", &contest).expect("epochs").into_string();
        assert!(!markup.contains("NaN") && !markup.contains("inf "), "{markup}");
        contest.epochs.clear();
        assert!(render("c", &contest).is_none());
    }

    #[test]
    fn evidence_reads_from_a_thousandth_to_powers_of_ten() {
        let shown = [1e-9_f64, 0.25, 1.0, 2_184.47, 1e9].map(|e| amount(e.ln()));
        assert_eq!(shown, ["< 0.001", "0.2", "1", "2184", "10^9"]);
        assert_eq!(amount(f64::NEG_INFINITY), "0");
    }
}
