//! A sequence diagram in characters.

use super::{Exchange, ExchangeKind, Sequence};
use crate::escape::visible;

/// Columns for the time.
const TIME: usize = 11;
/// Least columns of a lane.
const LANE_MIN: usize = 11;
/// Most columns of a lane.
const LANE_MAX: usize = 26;

pub(super) fn render(sequence: &Sequence, width: usize, rows: usize) -> String {
    if sequence.lanes.is_empty() {
        return String::new();
    }
    let lanes = sequence.lanes.len();
    let lane = (width.saturating_sub(TIME) / lanes).clamp(LANE_MIN, LANE_MAX);
    let page =
        Page { sequence, lane, at: (0..lanes).map(|number| TIME + number * lane + lane / 2).collect() };
    let mut out = page.head();
    for exchange in sequence.exchanges.iter().take(rows) {
        out.push_str(&page.line(exchange));
    }
    let left = sequence.exchanges.len().saturating_sub(rows) as u64 + sequence.left_out;
    if left > 0 {
        out.push_str(&format!("{:>TIME$}{left} more are not shown\n", ""));
    }
    out
}

struct Page<'a> {
    sequence: &'a Sequence,
    lane: usize,
    /// The column of each lane.
    at: Vec<usize>,
}

impl Page<'_> {
    fn head(&self) -> String {
        let mut line = vec![' '; TIME];
        for (number, name) in self.sequence.lanes.iter().enumerate() {
            let name = shortened(&visible(name), self.lane - 1);
            line.resize(TIME + number * self.lane, ' ');
            let before = (self.lane - name.chars().count()) / 2;
            line.extend(std::iter::repeat_n(' ', before));
            line.extend(name.chars());
        }
        finished(line)
    }

    fn line(&self, exchange: &Exchange) -> String {
        let mut line: Vec<char> = format!("{:>10} ", seconds(exchange.at_us)).chars().collect();
        let width = TIME + self.at.len() * self.lane;
        line.resize(width, ' ');
        for &column in &self.at {
            line[column] = '│';
        }
        let (Some(&from), Some(&to)) = (self.at.get(exchange.from), self.at.get(exchange.to)) else {
            return finished(line);
        };
        let label = visible(&exchange.label).into_owned();
        if exchange.kind == ExchangeKind::Message && from != to {
            arrow(&mut line, from, to, &label);
        } else {
            let sign = if exchange.kind == ExchangeKind::Finding { '✗' } else { '•' };
            beside(&mut line, from, sign, &label);
        }
        finished(line)
    }
}

/// `├─ label ──►`, or the other way round.
fn arrow(line: &mut [char], from: usize, to: usize, label: &str) {
    let (left, right) = (from.min(to), from.max(to));
    line[left + 1..right].fill('─');
    let (tail, head) = if from < to { ('├', '►') } else { ('┤', '◄') };
    line[from] = tail;
    line[if from < to { to - 1 } else { to + 1 }] = head;
    // Between the lanes, less the head and a space on either side.
    let (start, end) = if from < to { (left + 1, right - 1) } else { (left + 2, right) };
    let label = shortened(label, (end - start).saturating_sub(2));
    let place = start + (end - start).saturating_sub(label.chars().count() + 2) / 2;
    for (cell, sign) in line[place..end].iter_mut().zip(format!(" {label} ").chars()) {
        *cell = sign;
    }
}

/// A mark on the lane, and the words to the right of it, or to the left if there is more room.
fn beside(line: &mut Vec<char>, at: usize, sign: char, label: &str) {
    line[at] = sign;
    let (before, after) = (at.saturating_sub(TIME + 1), line.len() - at - 2);
    if after >= label.chars().count() || after >= before {
        let text = shortened(label, after);
        line.splice(at + 1..at + 2 + text.chars().count(), format!(" {text}").chars());
    } else {
        let text = shortened(label, before);
        let start = at - 1 - text.chars().count();
        line.splice(start..at, format!("{text} ").chars());
    }
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

fn finished(line: Vec<char>) -> String {
    let text: String = line.into_iter().collect();
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_diagram_reads_as_agreed() {
        let text = sample().to_text(100, 40);
        let expected = "
                   user 0                user 5                router                agents
  0.001000            ├──────────────── connect ─────────────────►│                     │
  0.001000            │◄──────────────── welcome ─────────────────┤                     │
  0.002500            │                     ├ user_message m0000 ►│                     │
  0.002500            │                     │                     ├ start m0000, user… ►│
  1.002500            │                     │                     │◄── m0000 started ───┤
  1.002500            │◄──────── agent_started of user 5 ─────────┤                     │
  1.010000            ✗ iso.I1 user_id is user-000005-2bda        │                     │
  2.000000            │                     • loses its connection│                     │
           3 more are not shown
";
        assert!(text == expected[1..], "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100));
    }

    #[test]
    fn many_lanes_keep_their_least_width_and_many_rows_are_counted() {
        let mut sequence = sample();
        sequence.lanes.extend((0..20).map(|number| format!("a lane of a long name {number}")));
        let text = sequence.to_text(100, 2);
        assert_eq!(text.lines().count(), 4);
        assert!(text.ends_with("9 more are not shown\n"), "{text}");
        assert_eq!(Sequence::default().to_text(100, 9), "");
    }

    #[test]
    fn words_that_would_move_the_cursor_are_shown() {
        let mut sequence = sample();
        sequence.exchanges[0].label = "\u{1b}[2J".to_owned();
        sequence.lanes[0] = "a\nb".to_owned();
        let text = sequence.to_text(100, 40);
        assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
    }
}
