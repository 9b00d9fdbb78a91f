//! `iso.I1`: nothing of another user arrives. Every text of a user and of its agents carries the user's canary;
//! threads and user ids are told apart over all users too.
//!
//! `iso.I2`: what a run is, is fixed when it starts: its events name one request, one thread and one agent.

use std::collections::VecDeque;

use super::{Ledger, Seen, key_of};
use crate::dialect::FrameKind;
use crate::plan::Say;
use crate::script::CANARY_BYTES;

const NAME: &str = "isolation";

/// What belongs to one user.
#[derive(Clone, Debug, Default)]
pub(super) struct Isolation {
    /// Keys of the threads that this user named.
    threads: Vec<u64>,
    /// The newest runs, as the first event of each described them.
    runs: VecDeque<Identity>,
}

/// What the events of a run have in common, as keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    run: u64,
    request: u64,
    thread: u64,
    agent: u64,
}

/// Runs whose identity is remembered: more than a user has open.
const RUNS_MAX: usize = 64;

impl Isolation {
    /// Something of each line of memory that a frame needs, so many pointers away.
    pub(super) fn lines(&self, step: u8) -> u64 {
        match step {
            0 => self.threads.len() as u64 ^ self.runs.len() as u64,
            1 => {
                self.threads.first().copied().unwrap_or_default() ^ self.runs.back().map_or(0, |run| run.run)
            }
            _ => 0,
        }
    }

    pub(super) fn said(&mut self, say: &Say) {
        self.owns(&say.thread);
    }

    pub(super) fn owns(&mut self, thread: &str) {
        let key = key_of(thread);
        if !self.threads.contains(&key) {
            self.threads.push(key);
        }
    }

    /// Judges every frame, repeats too: what the cursor rule drops has still crossed.
    pub(super) fn received(&mut self, seen: &Seen<'_>, ledger: &mut Ledger) {
        let frame = seen.frame;
        if !frame.user_id.is_empty() && frame.user_id != seen.id {
            ledger.push(seen.finding("iso.I1", NAME, format!("user_id is {}", frame.user_id)));
        }
        let foreign = !frame.thread_id.is_empty() && !self.threads.contains(&seen.thread);
        if matches!(frame.kind, FrameKind::Event(_) | FrameKind::Quality) && foreign {
            let detail = format!("thread_id is {}, which this user never used", frame.thread_id);
            ledger.push(seen.finding("iso.I1", NAME, detail));
        }
        if let Some(canary) = foreign_canary(seen.text, seen.canary) {
            ledger.push(seen.finding("iso.I1", NAME, format!("carries {canary}, not {}", seen.canary)));
        }
        if matches!(frame.kind, FrameKind::Event(_)) && !foreign {
            self.same_run(seen, ledger);
        }
    }

    /// Compares an event with the first one of its run.
    fn same_run(&mut self, seen: &Seen<'_>, ledger: &mut Ledger) {
        let frame = seen.frame;
        let Seen { run, request, thread, .. } = *seen;
        let now = Identity { run, request, thread, agent: key_of(frame.agent_name) };
        let Some(known) = self.runs.iter().rev().find(|known| known.run == now.run) else {
            if self.runs.len() == RUNS_MAX {
                self.runs.pop_front();
            }
            return self.runs.push_back(now);
        };
        let rows = [
            ("request_id", frame.request_id, known.request == now.request),
            ("thread_id", frame.thread_id, known.thread == now.thread),
            ("agent_name", frame.agent_name, known.agent == now.agent),
        ];
        if let Some((member, value, _)) = rows.into_iter().find(|(_, _, same)| !same) {
            let detail = format!("{member} is {value}, and was another when the run began");
            ledger.push(seen.finding("iso.I2", NAME, detail));
        }
    }
}

/// The first canary in a text that is not `own`.
fn foreign_canary<'a>(text: &'a str, own: &str) -> Option<&'a str> {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(dash) = next_mark(bytes, from) {
        from = dash;
        let Some(start) = dash.checked_sub(4) else { continue };
        let found = bytes.get(start..start + CANARY_BYTES).unwrap_or_default();
        let whole = found.starts_with(b"cny-")
            && found[4..].iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if whole && found != own.as_bytes() {
            return text.get(start..start + CANARY_BYTES);
        }
    }
    None
}

/// Position after the next `y-` that ends after `from`.
fn next_mark(bytes: &[u8], mut from: usize) -> Option<usize> {
    const STEP: usize = 64;
    // Whole blocks first, without a branch per byte, so that the compiler compares many bytes at once.
    while let Some(block) = bytes.get(from..).and_then(<[u8]>::first_chunk::<{ STEP + 1 }>) {
        let mut any = 0;
        for at in 0..STEP {
            any |= u8::from(block[at] == b'y') & u8::from(block[at + 1] == b'-');
        }
        if any != 0 {
            break;
        }
        from += STEP;
    }
    while let Some(word) = bytes.get(from..).and_then(<[u8]>::first_chunk::<8>) {
        let mut ys = words_y(u64::from_le_bytes(*word));
        while ys != 0 {
            let at = from + ys.trailing_zeros() as usize / 8;
            if bytes.get(at..at + 2) == Some(b"y-") {
                return Some(at + 2);
            }
            ys &= ys - 1;
        }
        from += 8;
    }
    bytes.get(from..)?.windows(2).position(|pair| pair == b"y-").map(|found| from + found + 2)
}

/// The high bit of each byte of a word that is a `y`, and of some above one.
const fn words_y(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = word ^ (ONES * b'y' as u64);
    word.wrapping_sub(ONES) & !word & ONES << 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_canary_is_found_wherever_it_stands() {
        let (own, other) = ("cny-0123456789abcdef", "cny-fedcba9876543210");
        for before in 0..100 {
            for after in [0, 1, 40] {
                let (head, tail) = ("y-".repeat(before), "ü".repeat(after));
                let text = |canary: &str| format!("{head}{own} cny-short {canary}{tail}");
                assert_eq!(foreign_canary(&text(other), own), Some(other), "{before} {after}");
                assert_eq!(foreign_canary(&text(own), own), None);
            }
        }
        assert_eq!(foreign_canary("cny-0123456789abcdeg y- cny-", own), None);
    }
}
