//! Chat: messages that start a run, and the one that stops it.

use alloc::{borrow::Cow, sync::Arc, vec::Vec};

use super::{Message, control::THREAD_BYTES_MAX};
use crate::{
    audience::fingerprint,
    cluster::Sender,
    contract::{CancelReason, Effects, RequestText, RunRef, RunRequest},
    error::ErrorCode,
    message::{Kind, Raw},
    router::Router,
    run::{self, Ending},
    stats::Outcome,
    waiting::Opening,
    wire,
};

/// Longest message id of a client, in bytes.
const MESSAGE_ID_BYTES_MAX: usize = 128;

/// Where the text of a run's request may stand; the first non-empty one counts.
const fn text_members(kind: Kind) -> [&'static str; 3] {
    if matches!(kind, Kind::StartAgent | Kind::AgentRequest | Kind::AgentTask) {
        ["user_request", "message", "content"]
    } else {
        ["message", "content", "text"]
    }
}

/// Where a text stands in the payload it was found in; a copy, if it had to be unescaped.
fn within(payload: &str, text: Cow<'_, str>) -> RequestText {
    match text {
        Cow::Borrowed("") => RequestText::Within(0, 0),
        Cow::Borrowed(text) => {
            let start = (text.as_ptr() as usize).wrapping_sub(payload.as_ptr() as usize);
            RequestText::Within(start as u32, (start + text.len()) as u32)
        }
        Cow::Owned(text) => RequestText::Unescaped(text.into()),
    }
}

impl Router {
    pub(super) fn start_run(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let Message { conn, user, kind, envelope } = message;
        let message_id = envelope.message_id.and_then(Raw::text).filter(|id| !id.is_empty());
        let id = message_id.as_deref();
        if id.is_some_and(|id| id.len() > MESSAGE_ID_BYTES_MAX) {
            return self.bad_field(message, "message_id", "at most 128 bytes", out);
        }
        if self.is_draining() && !mutant!(self.config, AcceptInDrain) {
            self.answer_error(conn, ErrorCode::ShuttingDown, None, None, id, out);
            return Outcome::Rejected;
        }
        let text = text_members(kind).into_iter().find_map(|key| envelope.payload().text(key));
        let textless =
            self.config.profile.textless_requests && matches!(kind, Kind::AgentRequest | Kind::StartAgent);
        let Some(text) = text.or(textless.then_some(Cow::Borrowed(""))) else {
            return self.reject(conn, ErrorCode::EmptyMessage, None, None, id, out);
        };
        let mark = id.map(|id| fingerprint(id.as_bytes()));
        // Of several nodes, the store remembers what came.
        if self.cluster.is_none()
            && let (Some(id), Some(mark)) = (id, mark)
            && self.answer_duplicate(message, id, mark, out)
        {
            return Outcome::Handled;
        }
        if !self.config.agents_available {
            self.answer_error(conn, ErrorCode::AgentUnavailable, None, None, id, out);
            return Outcome::Unhandled;
        }
        if self.refuse_without_store(conn, id, out) {
            return Outcome::Rejected;
        }
        let limit = self.config.runs_per_user_max;
        let one = usize::from(mutant!(self.config, RunLimitOneLess));
        if self.audience.user(user).runs.len() + one >= limit as usize {
            return self.reject(conn, ErrorCode::RunLimit, None, Some(u64::from(limit)), id, out);
        }
        let thread = match self.thread_of(message) {
            Ok(thread) => thread,
            Err(ErrorCode::BadField) => {
                return self.bad_field(message, "thread_id", "at most 256 bytes", out);
            }
            Err(code) => return self.reject(conn, code, None, None, id, out),
        };
        if self.is_crowded() {
            let limit = Some(u64::from(self.config.runs_waiting_max));
            return self.reject(conn, ErrorCode::Overloaded, None, limit, id, out);
        }
        self.begin_run(message, id.zip(mark), thread, text, out);
        Outcome::Handled
    }

    pub(super) fn stop_runs(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let named =
            message.envelope.run_id.or(message.payload().find("run_id")).is_some_and(|run| !run.is_null());
        let run_id = message.envelope.run_id.or(message.payload().find("run_id")).and_then(Raw::text);
        let run = run_id.as_deref().and_then(run::parts);
        let thread = message.envelope.thread_id.or(message.payload().find("thread_id")).and_then(Raw::text);
        let user = self.audience.user(message.user);
        let thread: Option<Arc<str>> = thread.map(Into::into).or_else(|| user.thread().cloned());
        let stops: Vec<RunRef> = user
            .runs
            .iter()
            .filter_map(|open| self.run(*open).map(|run| (*open, run)))
            .filter(|(_, open)| {
                let is_it = || run == Some((&*open.node, open.number));
                if named { is_it() } else { thread.as_ref() == Some(&open.thread) }
            })
            .map(|(open, _)| open)
            .collect();
        let stops = if mutant!(self.config, StopBySlot) {
            let number = run.map(|(_, number)| number);
            self.open_runs().filter(|open| number == Some(u64::from(open.index) + 1)).collect()
        } else {
            stops
        };
        let shown = if named { None } else { thread.as_deref() };
        let runs = stops.iter().filter_map(|open| self.runs.get(open.index()));
        let runs = runs.map(|run| (&*run.node, run.number));
        let frame = wire::stopped(&mut self.writer, self.now, runs, shown, &user.id);
        self.stats.frames.encoded += 1;
        self.reply(message.conn, frame, out);
        for run in stops {
            self.end_run(run, Ending::Cancelled, CancelReason::Stopped, out);
        }
        Outcome::Handled
    }

    /// A message id that was seen before: tells the run, if it is still open.
    fn answer_duplicate(&mut self, message: Message<'_, '_>, id: &str, mark: u64, out: &mut Effects) -> bool {
        let Some(seen) = self.audience.user_mut(message.user).seen(mark, self.now, &self.config) else {
            return false;
        };
        let user = self.audience.user(message.user);
        let open = user.runs.iter().any(|run| self.run(*run).is_some_and(|run| run.number == seen));
        let run = open.then(|| run::id("run", &self.config.node, seen));
        let frame = wire::duplicate(&mut self.writer, self.now, message.kind, &user.id, id, run.as_deref());
        self.stats.frames.encoded += 1;
        self.stats.inbound.duplicates += 1;
        self.reply(message.conn, frame, out);
        true
    }

    /// Envelope before payload before the current one before a new one.
    fn thread_of(&mut self, message: Message<'_, '_>) -> Result<Arc<str>, ErrorCode> {
        let named = message.envelope.thread_id.and_then(Raw::text).filter(|id| !id.is_empty());
        let named = named.or_else(|| message.payload().text("thread_id"));
        let user = self.audience.user_mut(message.user);
        let Some(named) = named else {
            let current = user.thread().cloned();
            return Ok(current.unwrap_or_else(|| {
                let new = user.new_thread();
                user.enter_thread(&new)
            }));
        };
        if named.len() > THREAD_BYTES_MAX {
            return Err(ErrorCode::BadField);
        }
        if !user.may_use_thread(&named) {
            return Err(ErrorCode::ForeignThread);
        }
        Ok(user.enter_thread(&named))
    }

    fn begin_run(
        &mut self,
        message: Message<'_, '_>,
        message_id: Option<(&str, u64)>,
        thread: Arc<str>,
        text: Cow<'_, str>,
        out: &mut Effects,
    ) {
        let (node, number) = (self.node.clone(), self.next_run_number());
        let request_id: Arc<str> = match message_id {
            Some((id, _)) => id.into(),
            None => run::id("req", &self.config.node, number).into(),
        };
        let (run, deadline) = self.open_run(Opening {
            owner: message.user,
            node: node.clone(),
            number,
            thread: thread.clone(),
            request: request_id.clone(),
            gated: Self::wants_gate(message),
            outbox: 0,
        });
        let user = self.audience.user_mut(message.user);
        if let Some((_, mark)) = message_id
            && self.cluster.is_none()
            && !mutant!(self.config, ForgetDedupe)
        {
            user.remember(mark, number, self.now, &self.config);
        }
        let request = Arc::new(RunRequest {
            run,
            user: user.copied_id(),
            tier: user.tier,
            thread_id: thread,
            request_id,
            kind: message.kind,
            text: within(message.payload().json(), text),
            payload: message.payload().json().into(),
            deadline,
            node,
            number,
        });
        if self.cluster.is_none() {
            return self.start_agent(request, out);
        }
        let sender = Sender {
            conn: message.conn,
            kind: message.kind,
            message_id: message_id.map(|(id, _)| id.into()),
        };
        self.admit_message(request, Self::wants_gate(message), Some(sender), out);
    }
}
