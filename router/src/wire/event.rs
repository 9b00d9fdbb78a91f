//! Run events in canonical flat form.

use serde_json::value::RawValue;

use super::Writer;
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
    pub(crate) cursor: u64,
    pub(crate) tier: Tier,
}

/// An event's own members.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Own<'a> {
    Started { task: &'a str },
    Thinking { reasoning: &'a str, step: Option<u32> },
    Progress { data: &'a RawValue },
    ToolExecuting { call: &'a str, tool: &'a str, parameters: &'a RawValue },
    ToolCompleted { call: &'a str, tool: &'a str, status: ToolStatus, results: &'a str, duration_ms: u64 },
    Completed { response: &'a str, execution_time_ms: Option<u64> },
    Error { code: &'a str, message: &'a str },
}

impl Own<'_> {
    const fn kind(&self) -> &'static str {
        match self {
            Own::Started { .. } => "agent_started",
            Own::Thinking { .. } => "agent_thinking",
            Own::Progress { .. } => "progress_update",
            Own::ToolExecuting { .. } => "tool_executing",
            Own::ToolCompleted { .. } => "tool_completed",
            Own::Completed { .. } => "agent_completed",
            Own::Error { .. } => "agent_error",
        }
    }

    /// The five events are marked critical.
    const fn critical(&self) -> bool {
        !matches!(self, Own::Progress { .. } | Own::Error { .. })
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
pub(crate) fn event(w: &mut Writer, head: &EventHead<'_>, own: &Own<'_>, frame_max: usize) -> Frame {
    let mut body = Body { w, max: body_max(frame_max), cut: false };
    body.head(head, own);
    body.own(own);
    if body.cut {
        w.raw(r#","truncated":true"#);
    }
    w.text(r#","metadata":{"user_tier":"#, head.tier.name());
    w.raw(if head.tier == Tier::Enterprise {
        r#","is_priority_queue":true}}"#
    } else {
        r#","is_priority_queue":false}}"#
    });
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
}

impl Body<'_> {
    fn head(&mut self, head: &EventHead<'_>, own: &Own<'_>) {
        let w = &mut *self.w;
        w.begin();
        w.raw("{\"type\":\"");
        w.raw(own.kind());
        w.text(r#"","user_id":"#, head.user);
        w.text(r#","thread_id":"#, head.thread);
        w.id(r#","run_id":"#, "run", head.node, head.run);
        w.text(r#","request_id":"#, head.request);
        w.iso(r#","timestamp":"#, head.now);
        w.text(r#","agent_name":"#, head.agent);
        if own.critical() {
            w.raw(r#","critical":true"#);
        }
        w.number(r#","seq":"#, head.seq);
        w.number(r#","cursor":"#, head.cursor);
    }

    fn own(&mut self, own: &Own<'_>) {
        match *own {
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
                self.value(r#","progress_data":"#, data.get());
            }
            Own::ToolExecuting { call, tool, parameters } => {
                self.text(r#","tool_call_id":"#, call, "");
                self.text(r#","tool_name":"#, tool, "unknown_tool");
                self.value(r#","parameters":"#, parameters.get());
                self.w.raw(r#","status":"executing""#);
            }
            Own::ToolCompleted { call, tool, status, results, duration_ms } => {
                self.text(r#","tool_call_id":"#, call, "");
                self.text(r#","tool_name":"#, tool, "unknown_tool");
                self.value(r#","results":"#, results);
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
            Own::Error { code, message } => {
                self.w.raw(r#","status":"error""#);
                self.text(r#","error_code":"#, cut(code, CODE_BYTES_MAX), "AGENT_ERROR");
                self.text(r#","error_message":"#, message, "An error occurred");
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
