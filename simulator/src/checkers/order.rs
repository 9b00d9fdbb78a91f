//! `run.R1` to `run.R7`: the stream of a run, as one tab takes it, is a word of the run automaton. Written from
//! the contract, not from the router.

use super::{Ledger, Seen, key_of};
use crate::dialect::{RunEventKind, ServerFrame};

const NAME: &str = "order";

/// The runs of one user.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// The open runs, each once per tab that has seen it; runs are few, so that a walk beats a map.
    views: Vec<View>,
    /// Keys of runs that ended on every tab.
    done: Vec<u64>,
    /// Tabs on which something was announced as missing.
    torn: Vec<u8>,
}

/// A run as one tab sees it.
#[derive(Clone, Debug)]
struct View {
    run: u64,
    tab: u8,
    phase: Phase,
    /// Keys of the open tool calls.
    open: Vec<u64>,
    name: Box<str>,
    /// Whether events of it may be missing on this tab, as announced.
    torn: bool,
    /// The node that it ran on.
    node: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    Running,
    Done,
}

impl Order {
    /// Something of each line of memory that a frame needs, so many pointers away.
    pub(super) fn lines(&self, step: u8) -> u64 {
        let first = self.views.first();
        match step {
            0 => self.views.len() as u64 ^ self.done.len() as u64,
            1 => first.map_or(0, |view| view.run ^ view.open.len() as u64),
            2 => first.and_then(|view| view.open.first()).copied().unwrap_or_default(),
            _ => 0,
        }
    }

    /// Judges an event that the cursor rule let through.
    pub(super) fn received(&mut self, seen: &Seen<'_>, event: RunEventKind, ledger: &mut Ledger) {
        let run = seen.run;
        let known = self.views.iter().position(|view| view.run == run && view.tab == seen.tab);
        let index = match known {
            Some(index) => index,
            None if self.done.contains(&run) => {
                ledger.push(seen.finding("run.R6", NAME, "an event after the end of its run"));
                return;
            }
            None => {
                let name = seen.frame.run_id.into();
                let torn = self.torn.contains(&seen.tab);
                let (tab, node) = (seen.tab, seen.node);
                self.views.push(View { run, tab, phase: Phase::Idle, open: Vec::new(), name, torn, node });
                self.views.len() - 1
            }
        };
        if let Err((rule, detail)) = self.views[index].step(event, seen.frame) {
            ledger.push(seen.finding(rule, NAME, detail));
        }
        if event.is_terminal() {
            self.settle(run, seen.tabs);
        }
    }

    /// Something was announced as missing on a tab: it may be of any run that the tab does not know to have ended.
    pub(super) fn torn(&mut self, tab: u8) {
        self.views.iter_mut().filter(|view| view.tab == tab).for_each(|view| view.torn = true);
        if !self.torn.contains(&tab) {
            self.torn.push(tab);
        }
    }

    /// Names the runs that no tab saw end, but for those whose node was replaced, and those whose end may be in a gap.
    pub(super) fn left(
        &self,
        finding: &dyn Fn(&'static str, &str) -> reports::Finding,
        node: u32,
        ledger: &mut Ledger,
    ) {
        for (index, view) in self.views.iter().enumerate() {
            let first = self.views[..index].iter().all(|other| other.run != view.run);
            let ended = |other: &View| other.run == view.run && other.phase == Phase::Done;
            let lost = |other: &View| other.run == view.run && (other.torn || other.node < node);
            if first && !self.views.iter().any(|other| ended(other) || lost(other)) {
                let mut finding = finding("run.R5", "the run never ended");
                finding.checker = NAME.to_owned();
                finding.run = Some(view.name.to_string());
                finding.event = Some("terminal event".to_owned());
                ledger.push(finding);
            }
        }
    }

    /// Keeps only the key of a run that has ended on all tabs.
    fn settle(&mut self, run: u64, tabs: u8) {
        let ended = self.views.iter().filter(|view| view.run == run && view.phase == Phase::Done).count();
        if ended >= usize::from(tabs) {
            self.views.retain(|view| view.run != run);
            self.done.push(run);
        }
    }
}

impl View {
    fn step(&mut self, event: RunEventKind, frame: &ServerFrame<'_>) -> Result<(), (&'static str, String)> {
        let broken = |rule, detail: &str| Err((rule, detail.to_owned()));
        match (self.phase, event) {
            (Phase::Done, _) => return broken("run.R6", "an event after the end of its run"),
            (Phase::Idle, RunEventKind::Started) => self.phase = Phase::Running,
            (Phase::Running, RunEventKind::Started) => return broken("run.R2", "the run started twice"),
            (Phase::Idle, _) if self.torn => {
                self.phase = Phase::Running;
                return self.step(event, frame);
            }
            (Phase::Idle, _) => {
                // Judged as begun from here on, so that one fault is one finding.
                self.phase = if event.is_terminal() { Phase::Done } else { Phase::Running };
                return broken("run.R1", "an event before agent_started");
            }
            (Phase::Running, RunEventKind::Thinking | RunEventKind::Progress) => {}
            (Phase::Running, RunEventKind::ToolExecuting) => {
                let call = key_of(frame.tool_call_id);
                if self.open.contains(&call) {
                    return Err(("run.R7", format!("tool call {} is open already", frame.tool_call_id)));
                }
                self.open.push(call);
            }
            (Phase::Running, RunEventKind::ToolCompleted) => {
                let call = key_of(frame.tool_call_id);
                match self.open.iter().position(|&open| open == call) {
                    Some(index) => _ = self.open.remove(index),
                    None if self.torn => {}
                    None => return Err(("run.R3", format!("tool call {} is not open", frame.tool_call_id))),
                }
            }
            (Phase::Running, RunEventKind::Completed | RunEventKind::Error) => {
                self.phase = Phase::Done;
                let open = std::mem::take(&mut self.open).len();
                if open > 0 && !self.torn {
                    return Err(("run.R4", format!("the run ended with {open} open tools")));
                }
            }
        }
        Ok(())
    }
}
