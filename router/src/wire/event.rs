//! Run events in canonical flat form.

use serde_json::value::RawValue;

use super::{
    Writer,
    given::Given,
    sanitise::{Part, Sanitise, Scope, sanitise},
};
use crate::contract::{Frame, Instant, Tier, ToolStatus};

/// What every event of a run carries; only the router sets it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventHead<'a> {
    pub(crate) user: &'a str,
    pub(crate) thread: &'a str,
    pub(crate) node: &'a str,
    pub(crate) run: u64,
    pub(crate) request: &'a str,
    pub(crate) agent: &'a str,
    pub(crate) now: Instant,
    pub(crate) seq: u64,
    /// `None`: the shared store will say.
    pub(crate) cursor: Option<u64>,
    pub(crate) tier: Tier,
}

/// An event's own members.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Own<'a> {
    Given(&'a Given<'a>),
    Started { task: &'a str },
    Thinking { reasoning: &'a str, step: Option<u32> },
    Progress { data: &'a RawValue },
    ToolExecuting { call: &'a str, tool: &'a str, parameters: &'a RawValue },
    ToolCompleted { call: &'a str, tool: &'a str, status: ToolStatus, results: &'a str, duration_ms: u64 },
    Completed { response: &'a str, execution_time_ms: Option<u64> },
    Error { code: &'a str, message: &'a str, is_retryable: bool },
}

impl<'a> Own<'a> {
    const fn kind(&self) -> &'a str {
        match self {
            Own::Given(given) => given.kind,
            Own::Started { .. } => "agent_started",
            Own::Thinking { .. } => "agent_thinking",
            Own::Progress { .. } => "progress_update",
            Own::ToolExecuting { .. } => "tool_executing",
            Own::ToolCompleted { .. } => "tool_completed",
            Own::Completed { .. } => "agent_completed",
            Own::Error { .. } => "agent_error",
        }
    }

    /// Whose event it is, if not the run's own agent's.
    pub(crate) fn agent(&self) -> Option<&str> {
        match self {
            Own::Given(given) => given.agent.as_deref(),
            Own::Started { .. }
            | Own::Thinking { .. }
            | Own::Progress { .. }
            | Own::ToolExecuting { .. }
            | Own::ToolCompleted { .. }
            | Own::Completed { .. }
            | Own::Error { .. } => None,
        }
    }

    /// The five events are marked critical.
    const fn critical(&self) -> bool {
        match self {
            Own::Given(given) => given.critical,
            Own::Progress { .. } | Own::Error { .. } => false,
            Own::Started { .. }
            | Own::Thinking { .. }
            | Own::ToolExecuting { .. }
            | Own::ToolCompleted { .. }
            | Own::Completed { .. } => true,
        }
    }
}

/// Longest error code of an agent, in bytes.
const CODE_BYTES_MAX: usize = 64;

/// Longest text or JSON value of an event, given the longest frame: the rest is for the other members.
const fn body_max(frame_max: usize) -> usize {
    // A byte of text may need six in JSON, and the ids of an event fit well below 8 KiB.
    (frame_max - 8 * 1024) / 6
}

/// Encodes one event; `frame_max` bounds the frame: longer values are cut, and `"truncated":true` says so.
pub(crate) fn event(
    w: &mut Writer,
    head: &EventHead<'_>,
    own: &Own<'_>,
    frame_max: usize,
    rules: &Sanitise,
) -> Frame {
    let rules = (rules.scope == Scope::Everything).then_some(rules);
    let mut body = Body { w, max: body_max(frame_max), cut: false, redacted: false, rules };
    body.head(head, own);
    body.own(own);
    let Body { cut, redacted, .. } = body;
    if cut {
        w.raw(r#","truncated":true"#);
    }
    if redacted {
        w.raw(r#","redacted":true"#);
    }
    w.raw(r#","metadata":{"#);
    if let Own::Given(given) = own
        && given.metadata_bytes <= body_max(frame_max) / 2
    {
        for (key, json) in &given.metadata {
            w.string(key);
            w.raw(":");
            w.raw(json);
            w.raw(",");
        }
    }
    w.text(r#""user_tier":"#, head.tier.name());
    w.raw(if head.tier == Tier::Enterprise {
        r#","is_priority_queue":true}}"#
    } else {
        r#","is_priority_queue":false}}"#
    });
    Frame::copy_of(w.finish())
}

/// The frame of an event that was encoded without its cursor.
pub(crate) fn placed(w: &mut Writer, text: &str, cursor: u64) -> Frame {
    w.begin();
    w.raw(text.strip_suffix('}').unwrap_or(text));
    w.number(r#","cursor":"#, cursor);
    w.raw("}");
    Frame::copy_of(w.finish())
}

/// The same event, flagged as replayed.
pub(crate) fn recovered(w: &mut Writer, frame: &Frame) -> Frame {
    let text = frame.as_str();
    w.begin();
    w.raw(text.strip_suffix('}').unwrap_or(text));
    w.raw(r#","recovered":true}"#);
    Frame::copy_of(w.finish())
}

struct Body<'w> {
    w: &'w mut Writer,
    max: usize,
    cut: bool,
    redacted: bool,
    /// Set when events that were not given as JSON are sanitised, too.
    rules: Option<&'w Sanitise>,
}

impl Body<'_> {
    fn head(&mut self, head: &EventHead<'_>, own: &Own<'_>) {
        let w = &mut *self.w;
        w.begin();
        w.raw("{\"type\":");
        match own {
            // A producer's own word.
            Own::Given(given) => w.string(given.kind),
            Own::Started { .. }
            | Own::Thinking { .. }
            | Own::Progress { .. }
            | Own::ToolExecuting { .. }
            | Own::ToolCompleted { .. }
            | Own::Completed { .. }
            | Own::Error { .. } => {
                w.raw("\"");
                w.raw(own.kind());
                w.raw("\"");
            }
        }
        w.text(r#","user_id":"#, head.user);
        w.text(r#","thread_id":"#, head.thread);
        w.id(r#","run_id":"#, "run", head.node, head.run);
        w.text(r#","request_id":"#, head.request);
        w.iso(r#","timestamp":"#, head.now);
        w.text(r#","agent_name":"#, head.agent);
        if own.critical() {
            w.raw(r#","critical":true"#);
        }
        w.number(r#","seq":"#, head.seq);
        if let Some(cursor) = head.cursor {
            w.number(r#","cursor":"#, cursor);
        }
    }

    fn own(&mut self, own: &Own<'_>) {
        match *own {
            Own::Given(given) => self.given(given),
            Own::Started { task } => {
                self.w.raw(r#","status":"started""#);
                self.text(r#","task_description":"#, task, "Processing request");
            }
            Own::Thinking { reasoning, step } => {
                self.text(r#","reasoning":"#, reasoning, "Agent is processing...");
                if let Some(step) = step {
                    self.w.number(r#","step_number":"#, u64::from(step));
                }
            }
            Own::Progress { data } => {
                self.w.raw(r#","status":"progress""#);
                self.part(r#","progress_data":"#, data.get(), Part::Progress);
            }
            Own::ToolExecuting { call, tool, parameters } => {
                self.text(r#","tool_call_id":"#, call, "");
                self.text(r#","tool_name":"#, tool, "unknown_tool");
                self.part(r#","parameters":"#, parameters.get(), Part::Parameters);
                self.w.raw(r#","status":"executing""#);
            }
            Own::ToolCompleted { call, tool, status, results, duration_ms } => {
                self.text(r#","tool_call_id":"#, call, "");
                self.text(r#","tool_name":"#, tool, "unknown_tool");
                self.part(r#","results":"#, results, Part::Results);
                self.w.number(r#","duration":"#, duration_ms);
                self.w.raw(match status {
                    ToolStatus::Completed => r#","success":true,"status":""#,
                    ToolStatus::Error | ToolStatus::Timeout | ToolStatus::Cancelled => {
                        r#","success":false,"status":""#
                    }
                });
                self.w.raw(status.name());
                self.w.raw("\"");
            }
            Own::Completed { response, execution_time_ms } => {
                self.w.raw(r#","status":"completed""#);
                self.text(r#","final_response":"#, response, "Task completed");
                if let Some(time) = execution_time_ms {
                    self.w.number(r#","execution_time_ms":"#, time);
                }
            }
            Own::Error { code, message, is_retryable } => {
                self.w.raw(r#","status":"error""#);
                if is_retryable {
                    self.w.raw(r#","retryable":true"#);
                }
                self.text(r#","error_code":"#, cut(code, CODE_BYTES_MAX), "AGENT_ERROR");
                self.error(r#","error_message":"#, message);
            }
        }
    }

    fn text(&mut self, key: &str, text: &str, default: &str) {
        let text = if text.is_empty() { default } else { text };
        self.w.raw(key);
        if text.len() <= self.max {
            self.w.string(text);
            return;
        }
        self.cut = true;
        self.w.string(cut(text, self.max));
    }

    /// Members given as JSON share what one value of another event may take.
    fn given(&mut self, given: &Given<'_>) {
        (self.cut, self.redacted) = (given.cut || !self.takes_metadata(given), given.redacted);
        let whole = self.max;
        if self.takes_metadata(given) {
            self.max -= given.metadata_bytes;
        }
        for (key, json) in &given.members {
            let left = self.max.saturating_sub(key.len() + json.len() + 4);
            if left == 0 {
                self.cut = true;
                if self.max <= key.len() + 4 {
                    continue;
                }
                self.max -= key.len() + 4;
            }
            self.w.raw(",");
            self.w.string(key);
            self.value(":", json);
            self.max = left;
        }
        self.max = whole;
    }

    /// Metadata is kept whole or not at all.
    const fn takes_metadata(&self, given: &Given<'_>) -> bool {
        given.metadata_bytes <= self.max / 2
    }

    /// A JSON value that may be sanitised. None that is shorter than this can hold anything to cut or redact.
    fn part(&mut self, key: &str, json: &str, part: Part) {
        let cleaned = self.rules.filter(|_| json.len() > 2).and_then(|rules| {
            let raw: &RawValue = serde_json::from_str(json).ok()?;
            Some(sanitise(part, raw, rules))
        });
        match cleaned {
            Some(clean) => {
                self.cut |= clean.cut;
                self.redacted |= clean.redacted;
                self.value(key, &clean.json);
            }
            None => self.value(key, json),
        }
    }

    fn error(&mut self, key: &str, message: &str) {
        if self.rules.is_none() || message.is_empty() {
            self.text(key, message, "An error occurred");
            return;
        }
        let mut quoted = Writer::default();
        quoted.string(message);
        self.part(key, quoted.finish(), Part::ErrorText);
    }

    /// A JSON value; one that is too long becomes the text of its beginning.
    fn value(&mut self, key: &str, json: &str) {
        self.w.raw(key);
        if json.len() <= self.max {
            self.w.raw(json);
            return;
        }
        self.cut = true;
        self.w.string(cut(json, self.max));
    }
}

/// The longest beginning of at most `max` bytes that ends between characters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}
