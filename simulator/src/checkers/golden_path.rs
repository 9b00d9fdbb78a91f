//! `golden.*`: every planned run ends complete, on every tab of its user, with the terminal its plan says
//!; every other message gets its answer, in order, in time and not before the connection is set up; and what the
//! agent said stands in the events that say it.
//!
//! `iso.I4`: a message that names another user is refused. `wire.echo`, `wire.internals`: an answer repeats at most 64
//! characters of a type, and no name of the server's insides.

use std::collections::VecDeque;

use super::{Ledger, Seen, key_of, per_tab::PerTab};
use crate::dialect::{FrameKind, RunEventKind, ServerFrame};
use crate::plan::{ActionKind, ExpectedRun, Say};
use crate::script::Terminal;

const NAME: &str = "golden_path";

/// Longest time to an answer, microseconds, of a client that reads.
const ANSWER_MAX_US: u64 = 5_000_000;
/// Characters of an unknown type that its acknowledgement repeats at most.
const ECHO_MAX: usize = 64;
/// What only somebody inside would write.
const INTERNALS: [&str; 3] = ["MessageType.", "is not defined", "Traceback"];

/// What one user asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct GoldenPath {
    open: Vec<Asked>,
    /// Keys of requests whose runs ended on every tab.
    done: Vec<u64>,
    answers: PerTab<VecDeque<Awaited>>,
    /// When each tab's connection is set up, at the earliest.
    ready_at_us: PerTab<u64>,
    questions: Vec<Question>,
}

/// A question about quality.
#[derive(Clone, Debug)]
struct Question {
    at_us: u64,
    tab: u8,
    message: Box<str>,
    thread: u64,
}

/// A message that started a run.
#[derive(Clone, Debug)]
struct Asked {
    key: u64,
    request_id: Box<str>,
    at_us: u64,
    /// When it may be taken up, at the earliest.
    ready_at_us: u64,
    expected: ExpectedRun,
    tabs: PerTab<View>,
}

/// A run as one tab sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct View {
    thinking: u32,
    tools: u32,
    tool_errors: u32,
    ended: Option<Terminal>,
}

#[derive(Clone, Copy, Debug)]
struct Awaited {
    at_us: u64,
    what: Answer,
}

/// Answers to messages that start no run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Pong,
    HeartbeatAck,
    Acknowledged,
    System,
    Stopped,
    Error(&'static str),
}

impl GoldenPath {
    /// A tab connects; what it says is not taken up before `ready_at_us`.
    pub(super) fn connecting(&mut self, tab: u8, ready_at_us: u64) {
        *self.ready_at_us.at(tab) = ready_at_us;
    }

    pub(super) fn here(&self) -> u64 {
        self.open.len() as u64 ^ self.done.len() as u64 ^ self.questions.len() as u64
    }

    pub(super) fn lines(&self) -> u64 {
        let open = self.open.first().map_or(0, |asked| asked.key ^ u64::from(asked.tabs.get(0).map_or(0, |view| view.tools)));
        open ^ self.ready_at_us.get(0).copied().unwrap_or_default()
    }

    pub(super) fn sent(&mut self, at_us: u64, tab: u8, tabs: u8, action: &ActionKind) {
        let what = match action {
            ActionKind::Say(say) => return self.said(at_us, tab, tabs, say),
            ActionKind::Ping => Answer::Pong,
            ActionKind::Heartbeat => Answer::HeartbeatAck,
            ActionKind::Typing { .. } => Answer::System,
            ActionKind::Unknown { .. } => Answer::Acknowledged,
            ActionKind::Malformed { expected_code, .. } => Answer::Error(expected_code),
            ActionKind::Stop { .. } => Answer::Stopped,
            ActionKind::Quality { message_id, thread, .. } => {
                let question =
                    Question { at_us, tab, message: message_id.as_str().into(), thread: key_of(thread) };
                return self.questions.push(question);
            }
            ActionKind::Connect
            | ActionKind::Disconnect
            | ActionKind::Reconnect
            | ActionKind::StallReading { .. }
            | ActionKind::Leave => return,
        };
        self.answers.at(tab).push_back(Awaited { at_us, what });
    }

    /// Answers that were on their way are lost with their connection; the plan keeps them apart.
    pub(super) fn disconnected(&mut self, tab: u8) {
        self.answers.at(tab).clear();
        self.questions.retain(|question| question.tab != tab);
    }

    pub(super) fn answered(&mut self, seen: &Seen<'_>, in_time: bool, ledger: &mut Ledger) {
        if seen.frame.kind == FrameKind::Quality {
            return self.told_of_quality(seen, ledger);
        }
        if !is_answer(&seen.frame.kind) {
            return;
        }
        self.inspect(seen, ledger);
        let awaited = self.answers.at(seen.tab);
        let fits = awaited.iter().position(|awaited| awaited.what.fits(&seen.frame.kind));
        // Answers come in order: what was asked before has got none.
        for Awaited { at_us, what } in awaited.drain(..fits.unwrap_or_default()) {
            let detail = format!("no answer {what:?} to a message of {:.6} s", at_us as f64 / 1e6);
            ledger.push(seen.finding(what.rule(), NAME, detail));
        }
        match awaited.pop_front() {
            Some(Awaited { at_us, what }) if what.fits(&seen.frame.kind) => {
                let took_us = seen.at_us.saturating_sub(at_us);
                if what == Answer::Pong {
                    ledger.times.pong.record(took_us);
                }
                if in_time && took_us > ANSWER_MAX_US {
                    let detail = format!("the answer {what:?} took {:.6} s", took_us as f64 / 1e6);
                    ledger.push(seen.finding("golden.late", NAME, detail));
                }
            }
            Some(Awaited { what, .. }) => {
                let detail = format!("{} where {what:?} was due", told(seen.frame));
                ledger.push(seen.finding(what.rule(), NAME, detail));
            }
            None => {
                let detail = format!("{} where nothing was asked", told(seen.frame));
                ledger.push(seen.finding("golden.answer", NAME, detail));
            }
        }
    }

    /// An answer about quality goes to all tabs; the one that asked must get it, with the ids of its question.
    fn told_of_quality(&mut self, seen: &Seen<'_>, ledger: &mut Ledger) {
        let mine =
            |question: &Question| question.tab == seen.tab && *question.message == *seen.frame.message_id;
        let Some(at) = self.questions.iter().position(mine) else { return };
        let question = self.questions.swap_remove(at);
        self.inspect(seen, ledger);
        if question.thread != seen.thread {
            let detail = format!("answers {} in thread {}", question.message, seen.frame.thread_id);
            ledger.push(seen.finding("iso.I2", NAME, detail));
        }
    }

    /// What holds for every answer, whatever was asked.
    fn inspect(&self, seen: &Seen<'_>, ledger: &mut Ledger) {
        let ready_at_us = self.ready_at_us.get(seen.tab).copied().unwrap_or_default();
        if seen.at_us < ready_at_us {
            ledger.push(seen.finding("golden.setup", NAME, "answered before the connection was set up"));
        }
        let echo = seen.frame.received_type.chars().count();
        if echo > ECHO_MAX {
            let detail = format!("repeats {echo} characters of the type, at most {ECHO_MAX} agreed");
            ledger.push(seen.finding("wire.echo", NAME, detail));
        }
        if let Some(internal) = INTERNALS.into_iter().find(|internal| seen.text.contains(internal)) {
            ledger.push(seen.finding("wire.internals", NAME, format!("says `{internal}`")));
        }
    }

    /// Takes in an event that the cursor rule let through.
    pub(super) fn received(&mut self, seen: &Seen<'_>, event: RunEventKind, ledger: &mut Ledger) {
        let request = seen.frame.request_id;
        let key = seen.request;
        let Some(index) = self.open.iter().position(|asked| asked.key == key) else {
            if !self.done.contains(&key) {
                ledger.push(seen.finding("golden.unasked", NAME, format!("nobody sent request {request}")));
            }
            return;
        };
        let asked = &mut self.open[index];
        if seen.at_us < asked.ready_at_us {
            ledger.push(seen.finding("golden.setup", NAME, "taken up before the connection was set up"));
        }
        if says_something(event, seen.frame) && !seen.frame.body.starts_with("cny-") {
            let head: String = seen.frame.body.chars().take(40).collect();
            let detail = format!("says `{head}`, which is not what the agent said");
            ledger.push(seen.finding("golden.value", NAME, detail));
        }
        asked.tabs.at(seen.tab).step(event, seen.frame);
        if !event.is_terminal() {
            return;
        }
        asked.judge(seen, ledger);
        if asked.tabs.iter().all(|view| view.ended.is_some()) {
            asked.settle(ledger);
            self.done.push(key);
            self.open.swap_remove(index);
        }
    }

    /// Names what is missing.
    pub(super) fn left(
        &self,
        finding: &dyn Fn(&'static str, &str) -> reports::Finding,
        connection: &dyn Fn(u8) -> String,
        ledger: &mut Ledger,
    ) {
        let mut push = |rule, detail: &str, tab: Option<u8>, event: &str| {
            let mut finding = finding(rule, detail);
            finding.checker = NAME.to_owned();
            finding.connection = tab.map(connection);
            finding.event = Some(event.to_owned());
            if !event.is_empty() {
                finding.run = Some(format!("of request {event}"));
            }
            ledger.push(finding);
        };
        for asked in &self.open {
            let seconds = asked.at_us as f64 / 1e6;
            let what = format!("request {} of {seconds:.6} s", asked.request_id);
            if asked.tabs.iter().all(|view| *view == View::default()) {
                push("golden.incomplete", &format!("{what} got no event at all"), None, &asked.request_id);
                continue;
            }
            for (tab, _) in asked.tabs.iter().enumerate().filter(|(_, view)| view.ended.is_none()) {
                let detail = format!("{what} has no end on this tab");
                push("golden.incomplete", &detail, Some(tab as u8), &asked.request_id);
            }
        }
        for Question { at_us, tab, message, .. } in &self.questions {
            let detail = format!("no answer to the question of {:.6} s", *at_us as f64 / 1e6);
            push("golden.answer", &detail, Some(*tab), message);
        }
        for (tab, awaited) in self.answers.iter().enumerate() {
            for Awaited { at_us, what } in awaited {
                let detail = format!("no answer {what:?} to a message of {:.6} s", *at_us as f64 / 1e6);
                push("golden.answer", &detail, Some(tab as u8), "");
            }
        }
    }

    fn said(&mut self, at_us: u64, tab: u8, tabs: u8, say: &Say) {
        let ready_at_us = self.ready_at_us.get(tab).copied().unwrap_or_default();
        self.open.push(Asked {
            key: key_of(&say.message_id),
            request_id: say.message_id.as_str().into(),
            at_us,
            ready_at_us,
            expected: say.expected,
            tabs: PerTab::of(tabs),
        });
    }
}

impl Asked {
    /// Compares one tab's view of a run that has just ended with the plan.
    fn judge(&self, seen: &Seen<'_>, ledger: &mut Ledger) {
        let view = self.tabs.get(seen.tab).copied().unwrap_or_default();
        let expected = &self.expected;
        if view.ended != Some(expected.terminal) {
            let ended = view.ended.map_or("nothing", Terminal::name);
            let detail = format!("ended with {ended}, planned was {}", expected.terminal.name());
            ledger.push(seen.finding("golden.terminal", NAME, detail));
        } else if view.counts() != [expected.thinking, expected.tools, expected.tool_errors] {
            let detail = format!(
                "thinking, tools, failed tools {:?}, planned were {:?}",
                view.counts(),
                [expected.thinking, expected.tools, expected.tool_errors]
            );
            ledger.push(seen.finding("golden.incomplete", NAME, detail));
        }
    }

    fn settle(&self, ledger: &mut Ledger) {
        let planned = [self.expected.thinking, self.expected.tools, self.expected.tool_errors];
        let as_planned = |view: &View| view.ended == Some(self.expected.terminal) && view.counts() == planned;
        let full =
            |view: &View| view.ended == Some(Terminal::Completed) && view.thinking > 0 && view.tools > 0;
        ledger.counts.golden += u64::from(self.tabs.iter().all(as_planned));
        ledger.counts.full_golden += u64::from(self.tabs.iter().all(full));
    }
}

impl View {
    fn step(&mut self, event: RunEventKind, frame: &ServerFrame<'_>) {
        match event {
            RunEventKind::Started | RunEventKind::Progress => {}
            RunEventKind::Thinking => self.thinking += 1,
            RunEventKind::ToolExecuting => self.tools += 1,
            // A tool that the router closed did not fail by itself.
            RunEventKind::ToolCompleted => self.tool_errors += u32::from(frame.status == "error"),
            RunEventKind::Completed => self.ended = Some(Terminal::Completed),
            RunEventKind::Error => {
                self.ended = Some(match frame.error_code {
                    "CANCELLED" => Terminal::Cancelled,
                    "TIMEOUT" => Terminal::TimedOut,
                    _ => Terminal::AgentError,
                });
            }
        }
    }

    const fn counts(&self) -> [u32; 3] {
        [self.thinking, self.tools, self.tool_errors]
    }
}

const fn is_answer(kind: &FrameKind<'_>) -> bool {
    match kind {
        FrameKind::Pong
        | FrameKind::HeartbeatAck
        | FrameKind::System
        | FrameKind::Stopped
        | FrameKind::Ack { .. }
        | FrameKind::Error { .. } => true,
        FrameKind::Welcome { .. }
        | FrameKind::Event(_)
        | FrameKind::Heartbeat
        | FrameKind::Gap { .. }
        | FrameKind::Quality
        | FrameKind::Other => false,
    }
}

/// Whether the event carries words of the agent, each of which begins with a canary.
fn says_something(event: RunEventKind, frame: &ServerFrame<'_>) -> bool {
    match event {
        RunEventKind::Thinking | RunEventKind::Completed => true,
        // A tool that was closed for its run's end has no result.
        RunEventKind::ToolCompleted => matches!(frame.status, "completed" | "error"),
        RunEventKind::Started
        | RunEventKind::Progress
        | RunEventKind::ToolExecuting
        | RunEventKind::Error => false,
    }
}

impl Answer {
    /// The rule that is broken when a later message is answered, and this one not.
    fn rule(self) -> &'static str {
        if self == Answer::Error("FOREIGN_USER_ID") { "iso.I4" } else { "golden.answer" }
    }

    fn fits(self, kind: &FrameKind<'_>) -> bool {
        match self {
            Answer::Pong => *kind == FrameKind::Pong,
            Answer::HeartbeatAck => *kind == FrameKind::HeartbeatAck,
            Answer::Acknowledged => *kind == FrameKind::Ack { status: "acknowledged" },
            Answer::System => *kind == FrameKind::System,
            Answer::Stopped => *kind == FrameKind::Stopped,
            Answer::Error(code) => *kind == FrameKind::Error { code },
        }
    }
}

fn told(frame: &ServerFrame<'_>) -> String {
    [frame.type_name, frame.status, frame.error_code].join(" ").trim().to_owned()
}
