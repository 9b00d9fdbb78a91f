//! A sequence diagram as a figure with its text equivalent.

use maud::{Markup, html};

use super::{Exchange, ExchangeKind, Sequence};
use crate::shape::Shape;
use crate::{escape::visible, quantity};

const LEFT: f64 = 84.0;
const LANE: f64 = 190.0;
const HEAD: f64 = 34.0;
const ROW: f64 = 30.0;
const BASE: f64 = 12.0;
/// Characters that fit a lane's width.
const LANE_CHARS: usize = 28;
/// Beyond this a picture is too long to be looked at.
const DRAWN_MAX: usize = 200;
/// How many exchanges the text equivalent lists.
const LISTED_MAX: usize = 400;

/// `sequence` as a figure with its text equivalent; `id` must be unique on the page.
pub(crate) fn render(id: &str, sequence: &Sequence) -> Markup {
    let drawn = &sequence.exchanges[..sequence.exchanges.len().min(DRAWN_MAX)];
    let (width, height) = (LEFT + LANE * sequence.lanes.len() as f64, HEAD + ROW * drawn.len() as f64 + BASE);
    html! {
        figure.sequence {
            div.scroll tabindex="0" role="group" aria-label="Sequence of exchanges" {
                svg viewBox=(format!("0 0 {width} {height}")) style=(format!("min-width: {:.0}px", width * 0.7))
                    role="img" aria-labelledby={ (id) "-title " (id) "-desc" } {
                    title id={ (id) "-title" } { "Who sent what to whom" }
                    desc id={ (id) "-desc" } { (description(sequence)) }
                    @for (number, name) in sequence.lanes.iter().enumerate() {
                        path.base d=(format!("M{:.1} {HEAD}V{height:.1}", x(number))) {}
                        text.label x=(format!("{:.1}", x(number))) y="20" text-anchor="middle" { (visible(name)) }
                    }
                    @for (row, exchange) in drawn.iter().enumerate() {
                        (draw(sequence, exchange, HEAD + ROW * (row as f64 + 0.75)))
                    }
                }
            }
            (cut(sequence, drawn.len(), "drawn"))
            (listing(sequence))
        }
    }
}

/// What the marks mean; once per page.
pub(crate) fn legend() -> Markup {
    html! {
        ul.legend {
            li {
                svg.key viewBox="0 0 32 16" aria-hidden="true" {
                    path.sent d="M2 8H24" {} path.head d=(Shape::TriangleRight.path(26.0, 8.0, 4.0)) {}
                }
                "sent, at the time the router takes it in or hands it out"
            }
            li {
                svg.key.narrow viewBox="0 0 18 16" aria-hidden="true" { path.note d=(Shape::Disc.path(9.0, 8.0, 4.0)) {} }
                "happens to one party"
            }
            li {
                svg.key.narrow viewBox="0 0 18 16" aria-hidden="true" { path.broken d=(Shape::Cross.path(9.0, 8.0, 6.0)) {} }
                "a rule is broken"
            }
        }
    }
}

fn x(lane: usize) -> f64 {
    LEFT + LANE * (lane as f64 + 0.5)
}

fn draw(sequence: &Sequence, exchange: &Exchange, y: f64) -> Markup {
    let lanes = sequence.lanes.len();
    let time = html! {
        text.time x=(format!("{:.1}", LEFT - 12.0)) y=(format!("{:.1}", y + 4.0)) text-anchor="end" {
            (quantity::exact_seconds(exchange.at_us))
        }
    };
    if exchange.from >= lanes || exchange.to >= lanes {
        return time;
    }
    let (from, to) = (x(exchange.from), x(exchange.to));
    if exchange.kind == ExchangeKind::Message && exchange.from != exchange.to {
        let span = exchange.from.abs_diff(exchange.to);
        let ahead = if from < to { -7.0 } else { 7.0 };
        return html! {
            (time)
            path.sent d=(format!("M{from:.1} {y:.1}H{:.1}", to + ahead)) {}
            path.head d=(head(to, y, ahead)) {}
            text x=(format!("{:.1}", (from + to) / 2.0)) y=(format!("{:.1}", y - 5.0)) text-anchor="middle" {
                (shortened(&exchange.label, LANE_CHARS * span))
            }
        };
    }
    let broken = exchange.kind == ExchangeKind::Finding;
    let mark = if broken { Shape::Cross.path(from, y, 6.0) } else { Shape::Disc.path(from, y, 4.0) };
    // Words stand on the side that has more room.
    let (left, right) = (exchange.from + 1, lanes - exchange.from);
    let (at, anchor) = if right >= left { (from + 12.0, "start") } else { (from - 12.0, "end") };
    let room = LANE_CHARS * left.max(right) - LANE_CHARS / 2;
    html! {
        (time)
        path class=(if broken { "broken" } else { "note" }) d=(mark) {}
        text class=[broken.then_some("broken")] x=(format!("{at:.1}")) y=(format!("{:.1}", y + 4.0)) text-anchor=(anchor) {
            (shortened(&exchange.label, room))
        }
    }
}

/// The head of an arrow that comes from the side of `ahead`.
fn head(to: f64, y: f64, ahead: f64) -> String {
    format!("M{to:.1} {y:.1}L{:.1} {:.1}V{:.1}z", to + ahead, y - 4.0, y + 4.0)
}

fn description(sequence: &Sequence) -> String {
    let lanes: Vec<_> = sequence.lanes.iter().map(|lane| visible(lane)).collect();
    let findings =
        sequence.exchanges.iter().filter(|exchange| exchange.kind == ExchangeKind::Finding).count();
    format!(
        "{} exchanges between {}, {findings} of them findings. The same in words stands below.",
        quantity::grouped(sequence.exchanges.len() as u64),
        lanes.join(", ")
    )
}

fn cut(sequence: &Sequence, shown: usize, how: &str) -> Markup {
    let left = (sequence.exchanges.len() - shown) as u64 + sequence.left_out;
    html! { @if left > 0 { p.soft.note { (quantity::grouped(left)) " more are not " (how) "." } } }
}

fn listing(sequence: &Sequence) -> Markup {
    let shown = &sequence.exchanges[..sequence.exchanges.len().min(LISTED_MAX)];
    html! {
        details {
            summary { "The same in words, " (quantity::grouped(sequence.exchanges.len() as u64)) " exchanges" }
            div.scroll tabindex="0" role="group" aria-label="Exchanges" {
                table {
                    thead { tr {
                        th.num scope="col" { "At" } th scope="col" { "From" } th scope="col" { "To" }
                        th scope="col" { "What" } th scope="col" { "Kind" }
                    } }
                    tbody {
                        @for exchange in shown {
                            tr {
                                td.num { (quantity::exact_seconds(exchange.at_us)) }
                                td { (visible(sequence.lane(exchange.from))) }
                                td { @if exchange.from != exchange.to { (visible(sequence.lane(exchange.to))) } }
                                td { (visible(&exchange.label)) }
                                td { (exchange.kind.name()) }
                            }
                        }
                    }
                }
            }
            (cut(sequence, shown.len(), "listed"))
        }
    }
}

fn shortened(text: &str, most: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= most {
        return text.into_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_picture_shows_every_exchange_and_says_the_same_in_words() {
        let page = render("s", &sample()).into_string();
        assert_eq!((page.matches("class=\"sent\"").count(), page.matches("class=\"note\"").count()), (6, 1));
        assert_eq!(page.matches("<path class=\"broken\"").count(), 1);
        assert_eq!(page.matches("<tr><td").count(), sample().exchanges.len());
        assert!(page.contains("3 more are not drawn"));
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    }

    #[test]
    fn hostile_words_stay_words_and_lanes_that_are_not_there_draw_nothing() {
        let mut sequence = sample();
        sequence.lanes[0] = "<script>".to_owned();
        sequence.exchanges[0].label = "\"><script>alert(1)</script>".to_owned();
        sequence.exchanges[1].to = 99;
        let page = render("s", &sequence).into_string();
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn a_long_run_is_cut_and_counted() {
        let mut sequence = sample();
        let one = sequence.exchanges[0].clone();
        sequence.exchanges = vec![one; 500];
        let page = render("s", &sequence).into_string();
        assert_eq!(page.matches("class=\"sent\"").count(), DRAWN_MAX);
        assert!(page.contains("303 more are not drawn") && page.contains("103 more are not listed"));
    }
}
