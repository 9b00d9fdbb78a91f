//! `golden.*`: every planned run ends complete, on every tab of its user, with the terminal its plan says
//!; every other message gets its answer, in order, in time and not before the connection is set up; and what the
//! agent said stands in the events that say it.
//!
//! `iso.I4`: a message that names another user is refused. `wire.echo`, `wire.internals`: an answer repeats at most 64
//! characters of a type, and no name of the server's insides.

use super::{Ledger, Seen, key_of, per_tab::PerTab};
use crate::dialect::{FrameKind, RunEventKind, ServerFrame};
use crate::few::Few;
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
    /// Requests whose runs ended on every tab.
    done: Vec<Done>,
    /// Requests that were sent again, and by which tab; once for each time.
    repeated: Vec<(u64, u8)>,
    answers: PerTab<Few<Awaited>>,
    /// Tabs one of whose messages was refused without having been planned: which one, nobody can tell.
    unsure: Vec<u8>,
    /// When each tab's connection is set up, at the earliest.
    ready_at_us: PerTab<u64>,
    /// Tabs whose connection answered something that waits for its set-up.
    set_up: Vec<u8>,
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
    /// Keys of its runs, each with its node; more than one only if a node was replaced.
    runs: Vec<(u64, u32)>,
    /// Whether it ended otherwise than planned, and a fault explains that.
    forgiven: bool,
}

/// A request whose run ended on every tab.
#[derive(Clone, Copy, Debug)]
struct Done {
    key: u64,
    /// The run that ended last, and its node.
    run: u64,
    node: u32,
    /// When it was sent.
    at_us: u64,
}

/// A run as one tab sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct View {
    thinking: u32,
    tools: u32,
    tool_errors: u32,
    /// Tools that the router closed for their time was over.
    timed_out: u32,
    ended: Option<Terminal>,
    /// The run, and its node.
    run: u64,
    node: u32,
    /// Whether something was announced as missing since the run was asked for.
    torn: bool,
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
        self.set_up.retain(|set_up| *set_up != tab);
    }

    /// Something of each line of memory that a frame needs, so many pointers away.
    pub(super) fn lines(&self, step: u8) -> u64 {
        let tools = |asked: &Asked| asked.tabs.get(0).map_or(0, |view| view.tools);
        match step {
            0 => {
                let lengths = self.open.len() ^ self.done.len() ^ self.questions.len() ^ self.unsure.len();
                lengths as u64 ^ self.ready_at_us.get(0).copied().unwrap_or_default()
            }
            1 => self.open.first().map_or(0, |asked| asked.key ^ u64::from(tools(asked)) ^ asked.at_us),
            _ => 0,
        }
    }

    pub(super) fn sent(&mut self, at_us: u64, tab: u8, tabs: u8, action: &ActionKind) {
        let what = match action {
            ActionKind::Say(say) => return self.said(at_us, tab, tabs, say),
            ActionKind::Ping => Answer::Pong,
            ActionKind::Heartbeat => Answer::HeartbeatAck,
            ActionKind::Typing { .. } => Answer::System,
            ActionKind::Unknown { .. } => Answer::Acknowledged,
            ActionKind::Malformed(bad) => Answer::Error(bad.expected_code),
            ActionKind::Stop { .. } => Answer::Stopped,
            ActionKind::Quality(asked) => {
                let message = asked.message_id.as_str().into();
                let question = Question { at_us, tab, message, thread: key_of(&asked.thread) };
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
        self.unsure.retain(|unsure| *unsure != tab);
        self.repeated.retain(|(_, by)| *by != tab);
        self.questions.retain(|question| question.tab != tab);
    }

    /// A tab sent a message again, word for word.
    pub(super) fn repeated(&mut self, tab: u8, say: &Say) {
        self.repeated.push((key_of(&say.message_id), tab));
    }

    /// Something was announced as missing on a tab.
    pub(super) fn torn(&mut self, tab: u8) {
        for asked in &mut self.open {
            if let Some(view) = asked.tabs.get_mut(tab) {
                view.torn = true;
            }
        }
    }

    pub(super) fn answered(&mut self, seen: &Seen<'_>, in_time: bool, ledger: &mut Ledger) {
        if seen.frame.kind == FrameKind::Quality {
            return self.told_of_quality(seen, ledger);
        }
        if !is_answer(&seen.frame.kind) {
            return;
        }
        if seen.touched && seen.frame.kind == (FrameKind::Error { code: "CONNECTION_LIMIT" }) {
            return; // said of the connection, which never was one: it answers no message
        }
        self.inspect(seen, ledger);
        if self.is_known_again(seen) || self.is_forgiven(seen) {
            return;
        }
        // What is too large is refused at once; what was asked before may be held.
        let at_once = seen.frame.kind == FrameKind::Error { code: "TOO_LARGE" };
        let overtakes = at_once && seen.touched && !self.set_up.contains(&seen.tab);
        if !at_once && !self.set_up.contains(&seen.tab) {
            self.set_up.push(seen.tab);
        }
        let unsure = seen.disturbed || seen.crowded || self.unsure.contains(&seen.tab);
        let awaited = self.answers.at(seen.tab);
        let fits = awaited.iter().position(|awaited| awaited.what.fits(&seen.frame.kind));
        if overtakes && let Some(fits) = fits {
            awaited.remove(fits);
            return;
        }
        if unsure {
            // What was asked before may have been lost; what fits nothing may have come twice.
            for _ in 0..fits.map_or(0, |fits| fits + 1) {
                awaited.pop_front();
            }
            return;
        }
        // Answers come in order: what was asked before has got none.
        for _ in 0..fits.unwrap_or_default() {
            let Some(Awaited { at_us, what }) = awaited.pop_front() else { break };
            let detail = format!("no answer {what:?} to a message of {:.6} s", at_us as f64 / 1e6);
            ledger.push(seen.finding(what.rule(), NAME, detail));
        }
        match awaited.pop_front() {
            Some(Awaited { at_us, what }) if what.fits(&seen.frame.kind) => {
                let took_us = seen.at_us.saturating_sub(at_us);
                if what == Answer::Pong {
                    ledger.times.pong.record(took_us);
                }
                if in_time && !seen.touched && took_us > ANSWER_MAX_US {
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

    /// Whether it says that a message was known already, and that message was sent again.
    fn is_known_again(&mut self, seen: &Seen<'_>) -> bool {
        if seen.frame.kind != (FrameKind::Ack { status: "duplicate" }) {
            return false;
        }
        let again = (key_of(seen.frame.message_id), seen.tab);
        let known = self.repeated.iter().position(|repeated| *repeated == again);
        known.map(|at| self.repeated.swap_remove(at)).is_some()
    }

    /// Whether it is a refusal that a fault explains. Which message it is about is said of those with a name only.
    fn is_forgiven(&mut self, seen: &Seen<'_>) -> bool {
        if !seen.forgiven {
            return false;
        }
        let message = seen.frame.message_id;
        self.questions.retain(|question| message.is_empty() || *question.message != *message);
        if message.is_empty() {
            self.unsure.push(seen.tab);
        }
        true
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
        let unread = seen.touched && matches!(seen.frame.kind, FrameKind::Error { code: "TOO_LARGE" });
        if seen.at_us < ready_at_us && !unread && !seen.forgiven && !seen.ahead && !seen.drains {
            ledger.push(seen.finding("golden.setup", NAME, "answered before the connection was set up"));
        }
        let echo = seen.frame.received_type.chars().count();
        if echo > ECHO_MAX {
            let detail = format!("repeats {echo} characters of the type, at most {ECHO_MAX} agreed");
            ledger.push(seen.finding("wire.echo", NAME, detail));
        }
        if may_say_internals(seen.text)
            && let Some(internal) = INTERNALS.into_iter().find(|internal| seen.text.contains(internal))
        {
            ledger.push(seen.finding("wire.internals", NAME, format!("says `{internal}`")));
        }
    }

    /// Takes in an event that the cursor rule let through.
    pub(super) fn received(
        &mut self,
        seen: &Seen<'_>,
        event: RunEventKind,
        dedupes: bool,
        ledger: &mut Ledger,
    ) {
        let request = seen.frame.request_id;
        let key = seen.request;
        let Some(index) = self.open.iter().position(|asked| asked.key == key) else {
            match self.done.iter().find(|done| done.key == key) {
                None => {
                    let detail = format!("nobody sent request {request}");
                    ledger.push(seen.finding("golden.unasked", NAME, detail));
                }
                Some(done)
                    if done.run != seen.run
                        && done.node == seen.node
                        && dedupes
                        && !(seen.touched && done.at_us < seen.forgets_us) =>
                {
                    let detail = format!("request {request} is run again after it ended");
                    ledger.push(seen.finding("golden.twice", NAME, detail));
                }
                Some(_) => {}
            }
            return;
        };
        let asked = &mut self.open[index];
        asked.runs_as(seen, dedupes, ledger);
        if seen.at_us < asked.ready_at_us && !seen.ahead {
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
            let asked = self.open.swap_remove(index);
            self.done.push(Done { key, run: seen.run, node: seen.node, at_us: asked.at_us });
        }
    }

    /// Names what is missing.
    pub(super) fn left(
        &self,
        finding: &dyn Fn(&'static str, &str) -> reports::Finding,
        connection: &dyn Fn(u8) -> String,
        (node, touched, careful): (u32, bool, bool),
        ledger: &mut Ledger,
    ) {
        let incomplete = if touched { "live.pending" } else { "golden.incomplete" };
        let mut forgiven = 0;
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
            if asked.tabs.iter().all(|view| view.is_blank() && !view.torn) {
                push(incomplete, &format!("{what} got no event at all"), None, &asked.request_id);
                continue;
            }
            // What one tab has to its end, another may have lost with the node or in a gap.
            let ended = touched && asked.tabs.iter().any(|view| view.ended.is_some());
            let lost = |view: &View| touched && (view.torn || (ended && view.node < node));
            let open = asked.tabs.iter().enumerate().filter(|(_, view)| view.ended.is_none());
            let mut named = false;
            for (tab, _) in open.filter(|(_, view)| !lost(view)) {
                named = true;
                let detail = format!("{what} has no end on this tab");
                push(incomplete, &detail, Some(tab as u8), &asked.request_id);
            }
            forgiven += u64::from(!named);
        }
        for Question { at_us, tab, message, .. } in &self.questions {
            let detail = format!("no answer to the question of {:.6} s", *at_us as f64 / 1e6);
            push("golden.answer", &detail, Some(*tab), message);
        }
        for (tab, awaited) in self.answers.iter().enumerate() {
            // A careful user leaves when all that has a name is answered; other answers are lost with the connection.
            for Awaited { at_us, what } in awaited.iter().filter(|_| !careful) {
                let detail = format!("no answer {what:?} to a message of {:.6} s", *at_us as f64 / 1e6);
                push("golden.answer", &detail, Some(tab as u8), "");
            }
        }
        ledger.counts.forgiven += forgiven;
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
            runs: Vec::new(),
            forgiven: false,
        });
    }
}

impl Asked {
    /// Notes which run the event is of. A request has one run, and another only if the node of the first was
    /// replaced, or need not know it again.
    fn runs_as(&mut self, seen: &Seen<'_>, dedupes: bool, ledger: &mut Ledger) {
        let forgotten = seen.touched && self.at_us < seen.forgets_us;
        let view = self.tabs.at(seen.tab);
        if view.run == seen.run {
            return;
        }
        if view.run == 0 {
            (view.run, view.node) = (seen.run, seen.node);
        } else if seen.node > view.node || forgotten {
            *view = View { run: seen.run, node: seen.node, torn: view.torn, ..View::default() };
        }
        if self.runs.iter().any(|(run, _)| *run == seen.run) {
            return;
        }
        if !dedupes {
            // Two runs in one: what either lacks cannot be told.
            let again = !self.runs.is_empty();
            self.tabs.iter_mut().for_each(|view| view.torn |= again);
        } else if !forgotten && self.runs.iter().any(|(_, node)| *node == seen.node) {
            let detail = format!("request {} has a second run", seen.frame.request_id);
            ledger.push(seen.finding("golden.twice", NAME, detail));
        }
        self.runs.push((seen.run, seen.node));
    }

    /// Compares one tab's view of a run that has just ended with the plan.
    fn judge(&mut self, seen: &Seen<'_>, ledger: &mut Ledger) {
        let view = self.tabs.get(seen.tab).copied().unwrap_or_default();
        let expected = &self.expected;
        let cut = match expected.terminal {
            Terminal::Cancelled | Terminal::TimedOut => true,
            Terminal::AgentError => seen.unstarted || seen.drains && seen.frame.error_code == "SHUTDOWN",
            Terminal::Completed => false,
        };
        let other_end = view.ended != Some(expected.terminal);
        // By a clock that jumped, the time of a tool that was to fail may have been over first.
        let too_soon = seen.ahead && view.timed_out > 0;
        if seen.touched && (other_end || cut || view.torn || too_soon) {
            self.forgiven = true;
        } else if other_end {
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
        let golden = self.tabs.iter().all(as_planned);
        ledger.counts.golden += u64::from(golden);
        ledger.counts.forgiven += u64::from(!golden && self.forgiven);
        ledger.counts.full_golden += u64::from(self.tabs.iter().all(full));
    }
}

impl View {
    /// Whether nothing of a run was seen, but its start perhaps.
    fn is_blank(&self) -> bool {
        self.counts() == [0; 3] && self.ended.is_none()
    }

    fn step(&mut self, event: RunEventKind, frame: &ServerFrame<'_>) {
        match event {
            RunEventKind::Started | RunEventKind::Progress => {}
            RunEventKind::Thinking => self.thinking += 1,
            RunEventKind::ToolExecuting => self.tools += 1,
            // A tool that the router closed did not fail by itself.
            RunEventKind::ToolCompleted => {
                self.tool_errors += u32::from(frame.status == "error");
                self.timed_out += u32::from(frame.status == "timeout");
            }
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

/// Whether a text has one of the bytes of which each of [`INTERNALS`] has at least one; most answers have none.
fn may_say_internals(text: &str) -> bool {
    let mut any = 0;
    for byte in text.bytes() {
        any |= u8::from(byte == b'M') | u8::from(byte == b' ') | u8::from(byte == b'T');
    }
    any != 0
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
        | FrameKind::Notice { .. }
        | FrameKind::Letters
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
