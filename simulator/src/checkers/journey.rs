//! Times as a user meets them. Judges nothing.

use super::journeys::Milestones;
use super::{Ledger, Seen, key_of, per_tab::PerTab};
use crate::dialect::{FrameKind, RunEventKind};
use crate::faults::NodeClock;
use crate::plan::{ExpectedRun, Say};
use crate::scenario::Tier;

/// Events of which not every tab has told are forgotten beyond this many.
const FAN_OUT_MAX: usize = 32;

/// What one user waits for.
#[derive(Clone, Debug)]
pub(super) struct Journey {
    tier: Tier,
    tabs: PerTab<Tab>,
    asked: Vec<Asked>,
    fan_out: Vec<FanOut>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tab {
    connecting_at_us: Option<u64>,
    /// Start of a reconnect, and when its last frame so far came.
    resume: Option<(u64, u64)>,
}

#[derive(Clone, Debug)]
struct Asked {
    request: u64,
    tab: u8,
    at_us: u64,
    last_event_at_us: Option<u64>,
    /// If the scenario declares journeys.
    milestones: Option<Box<Way>>,
}

/// A run on its way along the journeys that the scenario declares.
#[derive(Clone, Debug)]
struct Way {
    request: Box<str>,
    expected: ExpectedRun,
    seen: Milestones,
}

/// An event on its way to several tabs.
#[derive(Clone, Copy, Debug)]
struct FanOut {
    cursor: u64,
    made_at_us: u64,
    tabs: u8,
}

impl Journey {
    pub(super) fn of(tier: Tier) -> Self {
        Self { tier, tabs: PerTab::default(), asked: Vec::new(), fan_out: Vec::new() }
    }

    pub(super) fn connecting(&mut self, at_us: u64, tab: u8, again: bool) {
        let tab = self.tabs.at(tab);
        tab.connecting_at_us = Some(at_us);
        tab.resume = again.then_some((at_us, at_us));
    }

    /// Something of each line of memory that a frame needs, so many pointers away.
    pub(super) fn lines(&self, step: u8) -> u64 {
        match step {
            0 => {
                let tabs = self.tabs.get(0).map_or(0, |tab| u64::from(tab.resume.is_some()));
                tabs ^ self.asked.len() as u64 ^ self.fan_out.len() as u64
            }
            1 => self.asked.first().map_or(0, |asked| asked.request),
            _ => 0,
        }
    }

    pub(super) fn said(&mut self, at_us: u64, tab: u8, say: &Say, has_milestones: bool) {
        let request = key_of(&say.message_id);
        let way = || {
            let request = say.message_id.as_str().into();
            Box::new(Way { request, expected: say.expected, seen: Milestones::sent(at_us) })
        };
        let milestones = has_milestones.then(way);
        self.asked.push(Asked { request, tab, at_us, last_event_at_us: None, milestones });
    }

    /// What has not come until now does not come any more.
    pub(super) fn left(&mut self, ledger: &mut Ledger) {
        let open: Vec<_> = self.asked.drain(..).filter_map(|asked| asked.milestones).collect();
        open.iter().for_each(|way| self.end(way, ledger));
    }

    fn end(&self, way: &Way, ledger: &mut Ledger) {
        for journey in &mut ledger.journeys {
            journey.run(&way.request, &way.seen, &way.expected, self.tier);
        }
    }

    pub(super) fn received(
        &mut self,
        seen: &Seen<'_>,
        epoch_us: u64,
        clock: Option<&NodeClock>,
        ledger: &mut Ledger,
    ) {
        let tab = self.tabs.at(seen.tab);
        match seen.frame.kind {
            FrameKind::Welcome { .. } => {
                let since = tab.connecting_at_us.take();
                if let Some((_, last_us)) = &mut tab.resume {
                    *last_us = seen.at_us;
                }
                if let Some(since) = since {
                    ledger.times.connect.record(seen.at_us.saturating_sub(since));
                }
            }
            FrameKind::Event(event) if seen.frame.recovered => {
                if let Some((_, last_us)) = &mut tab.resume {
                    *last_us = seen.at_us;
                }
                self.progress(seen, event, ledger);
            }
            FrameKind::Event(event) => {
                self.resumed(seen.tab, ledger);
                self.progress(seen, event, ledger);
                let made_at_us = seen.frame.emitted_at_us().and_then(|us| us.checked_sub(epoch_us));
                // A clock that goes wrong is read back: what it showed then is not what it shows now.
                let made_at_us = made_at_us.map(|us| clock.map_or(us, |clock| clock.when(us)));
                self.latency(seen, event, made_at_us, ledger);
            }
            FrameKind::Pong
            | FrameKind::HeartbeatAck
            | FrameKind::Heartbeat
            | FrameKind::Ack { .. }
            | FrameKind::Error { .. }
            | FrameKind::Stopped
            | FrameKind::Gap { .. }
            | FrameKind::System
            | FrameKind::Quality
            | FrameKind::Notice { .. }
            | FrameKind::Letters
            | FrameKind::Other => {}
        }
    }

    /// The first live event, or the end of the connection, tells that the replay is over.
    pub(super) fn resumed(&mut self, tab: u8, ledger: &mut Ledger) {
        if let Some((since_us, last_us)) = self.tabs.at(tab).resume.take() {
            ledger.times.resume.record(last_us - since_us);
        }
    }

    /// A run's events on the tab that asked for it.
    fn progress(&mut self, seen: &Seen<'_>, event: RunEventKind, ledger: &mut Ledger) {
        let request = seen.request;
        let mine = |asked: &Asked| asked.tab == seen.tab && asked.request == request;
        let Some(index) = self.asked.iter().position(mine) else { return };
        let asked = &mut self.asked[index];
        match asked.last_event_at_us.replace(seen.at_us) {
            Some(before) => ledger.times.event_gap.record(seen.at_us.saturating_sub(before)),
            None => ledger.times.first_event.record(seen.at_us.saturating_sub(asked.at_us)),
        }
        if let Some(way) = &mut asked.milestones {
            way.seen.event(seen.at_us, event);
        }
        if event.is_terminal() {
            ledger.times.answer.record(seen.at_us.saturating_sub(asked.at_us));
            if let Some(way) = self.asked.swap_remove(index).milestones {
                self.end(&way, ledger);
            }
        }
    }

    fn latency(
        &mut self,
        seen: &Seen<'_>,
        event: RunEventKind,
        made_at_us: Option<u64>,
        ledger: &mut Ledger,
    ) {
        let Some(made_at_us) = made_at_us else { return };
        let latency_us = seen.at_us.saturating_sub(made_at_us);
        ledger.times.event_latency.record(latency_us);
        if let Some(breakdown) = &mut ledger.breakdown {
            breakdown.record(event, self.tier, latency_us);
        }
        if event == RunEventKind::Completed {
            ledger.times.answer_latency.record(latency_us);
        }
        if seen.tabs > 1 && seen.frame.cursor > 0 {
            self.fan_out(seen, made_at_us, ledger);
        }
    }

    fn fan_out(&mut self, seen: &Seen<'_>, made_at_us: u64, ledger: &mut Ledger) {
        let cursor = seen.frame.cursor;
        let Some(index) = self.fan_out.iter().rposition(|fan_out| fan_out.cursor == cursor) else {
            ledger.times.fan_out_first.record(seen.at_us.saturating_sub(made_at_us));
            if self.fan_out.len() == FAN_OUT_MAX {
                self.fan_out.remove(0);
            }
            self.fan_out.push(FanOut { cursor, made_at_us, tabs: 1 });
            return;
        };
        let fan_out = &mut self.fan_out[index];
        fan_out.tabs += 1;
        if fan_out.tabs == seen.tabs {
            ledger.times.fan_out_last.record(seen.at_us.saturating_sub(fan_out.made_at_us));
            self.fan_out.swap_remove(index);
        }
    }
}
