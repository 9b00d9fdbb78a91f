//! Events given as JSON: who may say what, aliases, defaults, further members, the sanitiser.
//!
//! Read once into a [`Given`]: the members as they will stand in the frame. What only the router sets is left
//! out of it, so that no producer can say it.

use alloc::{borrow::Cow, string::String, vec::Vec};

use serde_json::value::RawValue;

use super::{
    Writer,
    members::{Members, is_deeper, is_unreadable, text},
    sanitise::{Part, Sanitise, Scope, sanitise},
};
use crate::{contract::Refusal, run::EventKind};

/// Longest type of an event, in bytes.
const KIND_BYTES_MAX: usize = 64;
/// Deepest nesting of containers in an event's data.
const NESTING_MAX: u32 = 64;
/// Members of an event, and of its metadata; further ones are left out, and the frame says so.
const MEMBERS_MAX: usize = 256;
/// What only the router says of an event; a producer's value of these is passed over.
const RESERVED: [&str; 13] = [
    "type",
    "user_id",
    "thread_id",
    "run_id",
    "request_id",
    "timestamp",
    "agent_name",
    "critical",
    "seq",
    "cursor",
    "recovered",
    "truncated",
    "redacted",
];
/// Members of `metadata` that only the router sets.
const RESERVED_METADATA: [&str; 2] = ["user_tier", "is_priority_queue"];

/// Ids that an event may name, as its run has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) user: &'a str,
    pub(crate) thread: &'a str,
    pub(crate) run: &'a str,
    pub(crate) request: &'a str,
}

/// An event's own and further members, in the order of the frame.
#[derive(Debug, Default)]
pub(crate) struct Given<'a> {
    /// The type as it goes out.
    pub(crate) kind: &'a str,
    pub(crate) critical: bool,
    /// The agent's name, if the event says one.
    pub(crate) agent: Option<Cow<'a, str>>,
    /// Keys, and values as JSON.
    pub(crate) members: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(crate) metadata: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// How many bytes the metadata takes in the frame.
    pub(crate) metadata_bytes: usize,
    pub(crate) cut: bool,
    pub(crate) redacted: bool,
}

/// What an event says of itself beside its members: what the automaton asks for.
#[derive(Debug)]
pub(crate) struct Read<'a> {
    members: Members<'a>,
    kind: &'a str,
    /// Its kind in the automaton; `None` when it is outside of it.
    pub(crate) step: Option<EventKind>,
    pub(crate) call: Option<Cow<'a, str>>,
    pub(crate) tool: Option<Cow<'a, str>>,
    pub(crate) agent: Option<Cow<'a, str>>,
}

/// Reads an event. `Err` when it is refused whatever the state of its run.
pub(crate) fn read<'a>(
    kind: &'a str,
    data: &'a RawValue,
    context: &Context<'_>,
) -> Result<Read<'a>, Refusal> {
    if kind.len() > KIND_BYTES_MAX {
        return Err(Refusal::BadType);
    }
    if is_deeper(data.get(), NESTING_MAX) {
        return Err(Refusal::TooDeep);
    }
    let members = Members::read(data.get()).ok_or(Refusal::NotAnObject)?;
    if members.iter().any(|(key, value)| is_foreign(key, value, context)) {
        return Err(Refusal::ForeignId);
    }
    if is_unreadable(data.get()) {
        return Err(Refusal::NotAnObject);
    }
    if members.iter().any(|(key, value)| *key == "metadata" && !value.get().starts_with('{')) {
        return Err(Refusal::BadMetadata);
    }
    let step = EventKind::of(kind);
    let text_of = |keys: &[&str]| members.first(keys).and_then(text);
    let (call, tool) = match step {
        Some(EventKind::ToolExecuting | EventKind::ToolCompleted) => {
            (text_of(&["tool_call_id", "call_id"]), text_of(&["tool_name", "name"]))
        }
        _ => (None, None),
    };
    let agent = match step {
        Some(EventKind::Started) => text_of(&["agent_name", "name"]),
        _ => text_of(&["agent_name"]),
    };
    let agent = agent.filter(|name| !name.is_empty());
    Ok(Read { kind, step, call, tool, agent, members })
}

/// Whether a member names somebody or something else than the run's own.
fn is_foreign(key: &str, value: &RawValue, context: &Context<'_>) -> bool {
    let own = match key {
        "user_id" => context.user,
        "thread_id" => context.thread,
        "run_id" => context.run,
        "request_id" => context.request,
        _ if key.ends_with("_user_id") => context.user,
        _ => return false,
    };
    // A text that cannot be read is not ours.
    value.get().starts_with('"') && text(value).is_none_or(|id| id != own)
}

impl Read<'_> {
    /// The final response, when it is a text.
    pub(crate) fn response(&self) -> Cow<'_, str> {
        self.members.first(&["final_response", "response", "result"]).and_then(text).unwrap_or_default()
    }

    /// Whether a tool's end says that it did not succeed.
    pub(crate) fn tool_failed(&self) -> bool {
        self.members.find("success").is_some_and(|value| value.get() == "false")
    }

    /// The event as it goes out. `call` and `tool` are those of the automaton: of a tool event, the call's id and,
    /// when the event says none, the tool's name.
    pub(crate) fn encode<'g>(&'g self, call: &str, tool: &str, agent: &str, rules: &Sanitise) -> Given<'g> {
        let mut given = Given {
            kind: self.step.map_or(self.kind, |step| step.name()),
            critical: self.step.is_some_and(EventKind::is_critical),
            agent: self.agent.clone(),
            ..Given::default()
        };
        let mut build = Build { given: &mut given, from: &self.members, rules };
        if let Some(step) = self.step {
            build.own(step, call, tool, agent);
        }
        build.further(self.step);
        build.metadata();
        given
    }
}

struct Build<'b, 'a> {
    given: &'b mut Given<'a>,
    from: &'a Members<'a>,
    rules: &'b Sanitise,
}

impl<'a> Build<'_, 'a> {
    fn own(&mut self, step: EventKind, call: &str, tool: &str, agent: &str) {
        match step {
            EventKind::Started => {
                self.word("status", &["status"], "started");
                self.word("task_description", &["task_description", "task"], "Processing request");
            }
            EventKind::Thinking => {
                self.word("reasoning", &["reasoning", "thought", "thinking"], "Agent is processing...");
                self.optional("step_number");
            }
            EventKind::Progress => {
                self.word("status", &["status"], "progress");
                self.part("progress_data", &["progress_data", "progress"], "{}", Part::Progress);
            }
            EventKind::ToolExecuting => {
                self.literal("tool_call_id", call);
                self.word("tool_name", &["tool_name", "name"], "unknown_tool");
                self.part("parameters", &["parameters", "params"], "{}", Part::Parameters);
                self.word("status", &["status"], "executing");
            }
            EventKind::ToolCompleted => {
                self.literal("tool_call_id", call);
                let known = if tool.is_empty() { "unknown_tool" } else { tool };
                self.word("tool_name", &["tool_name", "name"], known);
                self.part("results", &["results", "result", "output"], "{}", Part::Results);
                self.value("duration", &["duration", "duration_ms", "elapsed_time"], "0");
                let failed = self.from.find("success").is_some_and(|value| value.get() == "false");
                self.value("success", &["success"], "true");
                self.word("status", &["status"], if failed { "error" } else { "completed" });
            }
            EventKind::Completed => {
                self.word("status", &["status"], "completed");
                self.word("final_response", &["final_response", "response", "result"], "Task completed");
                self.optional("execution_time_ms");
            }
            EventKind::Error => {
                self.word("status", &["status"], "error");
                self.word("error_code", &["error_code", "code"], "AGENT_ERROR");
                self.part("error_message", &["error_message", "error"], "\"\"", Part::ErrorText);
            }
            EventKind::Death => self.death(agent),
        }
    }

    fn death(&mut self, agent: &str) {
        self.word("status", &["status"], "dead");
        self.word("death_cause", &["death_cause", "cause"], "unknown");
        self.part("death_context", &["death_context"], "{}", Part::Custom);
        let cause = self.from.first(&["death_cause", "cause"]).and_then(text).unwrap_or_default();
        self.word("message", &["message"], &death_message(&cause, agent));
        self.word("recovery_action", &["recovery_action"], "refresh_required");
    }

    /// What the producer says beyond the event's own members, aliases included.
    fn further(&mut self, step: Option<EventKind>) {
        self.given.cut |= self.from.len() > MEMBERS_MAX;
        for (key, _) in self.from.iter().take(MEMBERS_MAX) {
            let Some(value) = self.from.find(key) else { continue };
            let passed = *key == "metadata"
                || RESERVED.contains(&&**key)
                || self.given.members.iter().any(|(known, _)| known == key);
            if !passed {
                let said = value.get() != "\"\"";
                let json = self.clean(value, part_of(step, key).filter(|_| said));
                self.given.members.push((key.clone(), json));
            }
        }
    }

    fn metadata(&mut self) {
        let Some(metadata) = self.from.find("metadata").and_then(|value| Members::read(value.get())) else {
            return;
        };
        self.given.cut |= metadata.len() > MEMBERS_MAX;
        for (key, value) in metadata.iter().take(MEMBERS_MAX) {
            let known = self.given.metadata.iter().any(|(known, _)| known == key);
            if known || RESERVED_METADATA.contains(&&**key) {
                continue;
            }
            let value = metadata.find(key).unwrap_or(value);
            let json = self.clean(value, Some(Part::Custom));
            self.given.metadata_bytes += key.len() * 6 + json.len() + 4;
            self.given.metadata.push((key.clone(), json));
        }
    }

    /// A member that is a text unless the producer says otherwise.
    fn word(&mut self, key: &'static str, aliases: &[&str], default: &str) {
        match self.from.first(aliases) {
            Some(value) => {
                let json = self.clean(value, None);
                self.push(key, json);
            }
            None => self.literal(key, default),
        }
    }

    fn value(&mut self, key: &'static str, aliases: &[&str], default: &'static str) {
        let json = self.from.first(aliases).map_or(default, RawValue::get);
        self.push(key, Cow::Borrowed(json));
    }

    /// A member that is sanitised.
    fn part(&mut self, key: &'static str, aliases: &[&str], default: &'static str, part: Part) {
        let json = match self.from.first(aliases) {
            Some(value) => self.clean(value, Some(part)),
            None if part == Part::ErrorText => Cow::Borrowed("\"An error occurred\""),
            None => Cow::Borrowed(default),
        };
        self.push(key, json);
    }

    fn optional(&mut self, key: &'static str) {
        if let Some(value) = self.from.find(key) {
            self.push(key, Cow::Borrowed(value.get()));
        }
    }

    fn literal(&mut self, key: &'static str, text: &str) {
        let mut w = Writer::default();
        w.string(text);
        self.push(key, Cow::Owned(String::from(w.finish())));
    }

    fn push(&mut self, key: &'static str, json: Cow<'a, str>) {
        self.given.members.push((Cow::Borrowed(key), json));
    }

    /// `part: None`: a text made for the user; it is left as it is.
    fn clean(&mut self, value: &'a RawValue, part: Option<Part>) -> Cow<'a, str> {
        let Some(part) = part.filter(|_| self.rules.scope != Scope::Nothing) else {
            return Cow::Borrowed(value.get());
        };
        let clean = sanitise(part, value, self.rules);
        self.given.cut |= clean.cut;
        self.given.redacted |= clean.redacted;
        clean.json
    }
}

/// By which rules a further member is sanitised: an alias as the member that it stands for.
fn part_of(step: Option<EventKind>, key: &str) -> Option<Part> {
    let part = match (step, key) {
        (_, "parameters" | "params") => Part::Parameters,
        (Some(EventKind::ToolCompleted), "results" | "result" | "output") => Part::Results,
        (Some(EventKind::Error), "error" | "message") => Part::ErrorText,
        (Some(EventKind::Error | EventKind::Death), "error_context") => Part::ErrorContext,
        (Some(EventKind::Progress), "progress") => Part::Progress,
        // What the user asked or is answered, under its other names.
        (Some(EventKind::Completed), "response" | "result")
        | (Some(EventKind::Thinking), "thought" | "thinking")
        | (Some(EventKind::Started), "task") => return None,
        _ => Part::Custom,
    };
    Some(part)
}

/// What the user is told when an agent died of `cause`.
pub fn death_message(cause: &str, agent: &str) -> String {
    let tail = match cause {
        "timeout" => "took too long to respond and has been stopped. Please try again.",
        "silent_failure" => "stopped unexpectedly. Please refresh the page.",
        "memory_limit" => "ran out of resources. Please try with a simpler request.",
        "cancelled" => "was cancelled. You can start a new request.",
        _ => "encountered a critical error. Please refresh and try again.",
    };
    alloc::format!("The {agent} agent {tail}")
}
