//! `deliver.I2` loss, `deliver.I3` duplicate after the cursor rule, `deliver.I4` gap or reorder: every tab takes
//! every frame that may not be lost, once and in cursor order; within a run in order of `seq`.

use super::tolerance::Tolerance;
use super::{Ledger, Seen, per_tab::PerTab};
use crate::client::Verdict;
use crate::dialect::FrameKind;

const NAME: &str = "delivery";

/// The lanes of one user's tabs.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivery {
    lanes: PerTab<Lane>,
    /// The newest cursor that any tab took, and the run it was of.
    newest: (u64, Box<str>),
    /// The node whose cursors those are.
    node: u32,
}

/// What one tab took, over all its connections.
#[derive(Clone, Debug, Default)]
struct Lane {
    /// Up to here nothing is missing; `None` before the first welcome.
    last: Option<u64>,
    /// Whether a frame was taken, so that `last` is more than the welcome's word.
    taken: bool,
    /// The newest cursor that this connection was written or began with: nothing up to it is written again.
    written: u64,
    /// Whether the next frame may have any cursor: the tab came back without its own.
    open: bool,
    /// The cursor that the tab came back with.
    resumes: Option<u64>,
    /// Announced missing, inclusive.
    announced: Option<(u64, u64)>,
    /// The same, as far as it may have overtaken this connection's welcome.
    overtook: Option<(u64, u64)>,
    /// The node of its connection, and whether its welcome said that the server has forgotten.
    node: u32,
    forgotten: bool,
    /// Whether a gap was ever announced.
    gapped: bool,
    /// Runs that have not ended.
    runs: Vec<Run>,
}

/// A run as one tab sees it.
#[derive(Clone, Copy, Debug)]
struct Run {
    key: u64,
    seq: u64,
    /// Whether a gap was announced since its last event: the next one may have any higher `seq`.
    torn: bool,
}

impl Delivery {
    pub(super) fn connecting(&mut self, tab: u8, again: bool, resume: Option<u64>) {
        let lane = self.lanes.at(tab);
        lane.open = again && resume.is_none();
        lane.written = resume.unwrap_or_default();
        lane.resumes = resume;
        lane.overtook = None;
    }

    /// Something of each line of memory that a frame needs, so many pointers away.
    pub(super) fn lines(&self, step: u8) -> u64 {
        let lane = self.lanes.get(0);
        match step {
            0 => self.newest.0 ^ lane.map_or(0, |lane| u64::from(lane.taken) ^ lane.runs.len() as u64),
            1 => {
                let run = lane.and_then(|lane| lane.runs.first()).map_or(0, |run| run.key);
                run ^ u64::from(self.newest.1.as_bytes().first().copied().unwrap_or_default())
            }
            _ => 0,
        }
    }

    pub(super) fn received(&mut self, seen: &Seen<'_>, ledger: &mut Ledger) {
        if seen.node > self.node {
            // Another node: what came before it, nobody is owed any more.
            self.node = seen.node;
            self.newest.0 = 0;
        }
        if seen.frame.cursor > self.newest.0 && seen.node == self.node && seen.verdict != Verdict::Hole {
            self.newest.0 = seen.frame.cursor;
            if *self.newest.1 != *seen.frame.run_id {
                self.newest.1 = seen.frame.run_id.into();
            }
        }
        let lane = self.lanes.at(seen.tab);
        match seen.frame.kind {
            FrameKind::Welcome { cursor } => {
                if let Some(cursor) = cursor {
                    lane.welcomed(seen, cursor, ledger);
                }
            }
            FrameKind::Gap { from, to } => {
                ledger.counts.gaps += 1;
                let start = lane.announced.map_or(from, |(start, _)| start.min(from));
                lane.announced = Some((start, to));
                lane.overtook = seen.disturbed.then_some((from, to));
                if std::mem::take(&mut lane.forgotten) {
                    // Where it goes on is said now.
                    (lane.last, lane.open) = (Some(to), false);
                }
                lane.gapped = true;
                lane.runs.iter_mut().for_each(|run| run.torn = true);
            }
            FrameKind::Event(_)
            | FrameKind::Pong
            | FrameKind::HeartbeatAck
            | FrameKind::Heartbeat
            | FrameKind::Ack { .. }
            | FrameKind::Error { .. }
            | FrameKind::Stopped
            | FrameKind::System
            | FrameKind::Quality
            | FrameKind::Notice { .. }
            | FrameKind::Letters
            | FrameKind::Other => {}
        }
        if !seen.disturbed && (1..=lane.written).contains(&seen.frame.cursor) {
            let detail = format!("cursor {} is written again to a client that has it", seen.frame.cursor);
            ledger.push(seen.finding("deliver.I3", NAME, detail));
        }
        lane.written = lane.written.max(seen.frame.cursor);
        match seen.verdict {
            Verdict::Repeat => ledger.counts.repeats += 1,
            Verdict::Uncounted => {}
            Verdict::Fresh => lane.fresh(seen, ledger),
            Verdict::Hole if seen.disturbed => {}
            Verdict::Hole => {
                let last = lane.last.unwrap_or_default();
                let detail = format!(
                    "cursor {} follows {last}, without a gap announced, on a connection that lost nothing",
                    seen.frame.cursor
                );
                ledger.push(seen.finding("deliver.I4", NAME, detail));
            }
        }
    }

    /// Whether the frame says that something is missing for good on its tab.
    pub(super) fn is_torn_by(&self, seen: &Seen<'_>) -> bool {
        match seen.frame.kind {
            FrameKind::Gap { .. } => true,
            FrameKind::Welcome { .. } => {
                let lane = self.lanes.get(seen.tab);
                // What came before a tab was there was never its own, whatever runs it is of.
                lane.is_some_and(|lane| lane.forgotten || (seen.touched && !lane.taken))
            }
            FrameKind::Event(_)
            | FrameKind::Pong
            | FrameKind::HeartbeatAck
            | FrameKind::Heartbeat
            | FrameKind::Ack { .. }
            | FrameKind::Error { .. }
            | FrameKind::Stopped
            | FrameKind::System
            | FrameKind::Quality
            | FrameKind::Notice { .. }
            | FrameKind::Letters
            | FrameKind::Other => false,
        }
    }

    /// Compares the tabs: what one took, all must have taken.
    pub(super) fn left(
        &self,
        finding: &dyn Fn(&'static str, &str) -> reports::Finding,
        connection: &dyn Fn(u8) -> String,
        tolerance: &Tolerance,
        ledger: &mut Ledger,
    ) {
        let here = |tab: &usize| tolerance.node_of(*tab as u8) == self.node;
        let lanes = || self.lanes.iter().enumerate().filter(|(tab, _)| here(tab));
        let welcomed = lanes().filter_map(|(_, lane)| lane.last).max().unwrap_or_default();
        // A node that took the place of another counts on from what its clients say: that is no event of its own.
        let newest = if self.node == 0 { welcomed } else { self.newest.0 };
        for (tab, lane) in lanes() {
            let last = lane.last.unwrap_or_default();
            let announced = lane.announced.is_some_and(|(_, to)| to >= newest);
            if last < newest && !announced {
                let detail =
                    format!("never received cursors {} to {newest}, which another tab has", last + 1);
                let mut finding = finding("deliver.I2", &detail);
                finding.checker = NAME.to_owned();
                finding.connection = Some(connection(tab as u8));
                finding.run = Some(self.newest.1.to_string());
                finding.event = Some(format!("cursor {}", last + 1));
                ledger.push(finding);
            }
        }
    }
}

impl Lane {
    fn welcomed(&mut self, seen: &Seen<'_>, cursor: u64, ledger: &mut Ledger) {
        let replaced = std::mem::replace(&mut self.node, seen.node) < seen.node;
        let below = self.resumes.is_some_and(|last| cursor < last);
        // Another node counts anew, whatever its numbers.
        self.forgotten = (replaced && self.resumes.is_some()) || (below && seen.away);
        if self.forgotten {
            // It counts from anywhere now; what this tab had open is gone.
            (self.last, self.taken, self.announced, self.gapped) = (Some(cursor), false, self.overtook, true);
            (self.resumes, self.written) = (None, 0);
            self.runs.clear();
        } else if below {
            let last = self.resumes.unwrap_or_default();
            let detail = format!("the welcome speaks of cursor {cursor}, the tab has {last}");
            ledger.push(seen.finding("deliver.I4", NAME, detail));
        }
        self.gapped |= seen.touched && !self.taken;
        self.last = self.last.or(Some(cursor));
    }

    fn fresh(&mut self, seen: &Seen<'_>, ledger: &mut Ledger) {
        let cursor = seen.frame.cursor;
        let excused = std::mem::take(&mut self.open);
        let expected = self.last.map(|last| last + 1);
        // A first frame at or below the welcome's cursor is a replay of what nobody received: any start is right.
        let early = !self.taken && expected.is_some_and(|expected| cursor < expected);
        let missing = expected.filter(|&expected| cursor != expected && !early && !excused);
        (self.taken, self.forgotten) = (true, false);
        self.last = Some(cursor);
        let mut known_gap = excused;
        if let Some(expected) = missing {
            known_gap = true;
            let announced =
                self.announced.is_some_and(|(from, to)| from <= expected && to >= cursor.saturating_sub(1));
            if !announced {
                let detail = format!("cursor {cursor} follows {}, without a gap announced", expected - 1);
                ledger.push(seen.finding("deliver.I4", NAME, detail));
            }
        }
        if let FrameKind::Event(event) = seen.frame.kind {
            self.in_run(seen, known_gap, event.is_terminal(), ledger);
        }
    }

    fn in_run(&mut self, seen: &Seen<'_>, known_gap: bool, ends: bool, ledger: &mut Ledger) {
        let (key, seq) = (seen.run, seen.frame.seq);
        let index = self.runs.iter().position(|known| known.key == key).unwrap_or_else(|| {
            self.runs.push(Run { key, seq: 0, torn: self.gapped });
            self.runs.len() - 1
        });
        let before = std::mem::replace(&mut self.runs[index].seq, seq);
        let known_gap = std::mem::take(&mut self.runs[index].torn) || known_gap;
        if seq <= before {
            let detail = format!("seq {seq} came after seq {before} and was not dropped as a repeat");
            ledger.push(seen.finding("deliver.I3", NAME, detail));
        } else if seq != before + 1 && !known_gap {
            let detail = format!("seq {seq} follows seq {before} although no cursor is missing");
            ledger.push(seen.finding("deliver.I4", NAME, detail));
        }
        if ends {
            self.runs.swap_remove(index);
        }
    }
}
