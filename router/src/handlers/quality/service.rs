//! Questions to quality services, their answers, and what becomes of those that never come.

use alloc::{boxed::Box, string::String};

use crate::{
    audience::UserRef,
    contract::{
        AskRef, Effect, Effects, Frame, Given, Instant, QualityAnswer, QualityQuestion, QualityRequest,
    },
    error::ErrorCode,
    quality::{Ids, Pending, REPORT_AGENTS, Work, markdown},
    router::Router,
    timers::Timer,
    wire,
};

impl Router {
    /// A service's answer: the next question of its message, or what the client is told.
    pub(crate) fn quality_answered(&mut self, ask: AskRef, answer: QualityAnswer<'_>, out: &mut Effects) {
        let Some(pending) = self.desk.take(ask) else {
            self.stats.quality.stale_answers += 1;
            return;
        };
        let answers_max = self.config.quality_answer_bytes_max.min(self.config.outbound_frame_bytes_max / 4);
        match answer {
            QualityAnswer::Ready(value) if value.get().len() <= answers_max as usize => {
                self.stats.quality.answered += 1;
                self.serve(ask.user, pending, value.get(), answers_max as usize, out);
            }
            QualityAnswer::Ready(_) | QualityAnswer::Failed => {
                self.stats.quality.failed += 1;
                self.fail(ask.user, pending, ErrorCode::HandlerError, out);
            }
        }
    }

    /// The deadline of the message whose first question that was.
    pub(crate) fn ask_due(&mut self, first: AskRef, out: &mut Effects) {
        if let Some(pending) = self.desk.take_late(first) {
            self.stats.quality.timed_out += 1;
            self.fail(first.user, pending, ErrorCode::ServiceNotReady, out);
        }
    }

    /// Gives up all open questions: the drain has no time left for them.
    pub(crate) fn give_up_asks(&mut self, out: &mut Effects) {
        while let Some((ask, pending)) = self.desk.any().and_then(|ask| Some((ask, self.desk.take(ask)?))) {
            self.stats.quality.abandoned += 1;
            self.fail(ask.user, pending, ErrorCode::ShuttingDown, out);
        }
    }

    /// Forgets a user's open questions: nobody is left to be told.
    pub(crate) fn forget_asks(&mut self, user: UserRef) {
        while let Some(ask) = self.desk.first_of(user) {
            self.desk.take(ask);
            self.stats.quality.abandoned += 1;
        }
    }

    pub(super) fn ask(
        &mut self,
        user: UserRef,
        ids: Ids,
        work: Work,
        question: QualityQuestion,
        out: &mut Effects,
    ) {
        let (thread_id, run_id) = (ids.thread.clone(), ids.run.clone());
        let deadline = self.now.after(self.config.quality_deadline_us);
        let ask = self.desk.open(user, |first| Pending { ids, work, first, deadline });
        self.timers.set(deadline, Timer::Ask(ask));
        self.push_ask(ask, (thread_id, run_id), question, deadline, out);
    }

    fn push_ask(
        &mut self,
        ask: AskRef,
        (thread_id, run_id): (Option<Box<str>>, Option<Box<str>>),
        question: QualityQuestion,
        deadline: Instant,
        out: &mut Effects,
    ) {
        self.stats.quality.asked += 1;
        let user = self.audience.user(ask.user).copied_id();
        let request = QualityRequest { ask, user, thread_id, run_id, question, deadline };
        out.push(Effect::AskQuality(Box::new(request)));
    }

    /// What an answer brings about.
    fn serve(
        &mut self,
        user: UserRef,
        mut pending: Pending,
        answer: &str,
        answers_max: usize,
        out: &mut Effects,
    ) {
        let kind = match &mut pending.work {
            Work::Metrics => "quality_metrics",
            Work::Validate => "content_validation_result",
            Work::Response { run, thread, request, agent } => {
                let ids = (&**thread, &**request, &**agent);
                let node = &self.config.node;
                let frame = wire::response_judged(&mut self.writer, node, *run, ids, Ok(answer));
                self.tell_user(user, frame, out);
                return;
            }
            Work::Report(report) => {
                report.bytes += answer.len();
                if report.bytes > answers_max {
                    self.fail(user, pending, ErrorCode::HandlerError, out);
                    return;
                }
                if let Some(hours) = report.detailed.filter(|_| report.agents.len() < REPORT_AGENTS.len()) {
                    report.agents.push(answer.into());
                    let question = if report.agents.len() < REPORT_AGENTS.len() {
                        agent_of_report(report.agents.len(), hours)
                    } else {
                        QualityQuestion::Dashboard
                    };
                    let ids = (pending.ids.thread.clone(), pending.ids.run.clone());
                    let deadline = pending.deadline;
                    let ask = self.desk.open(user, |_| pending);
                    self.push_ask(ask, ids, question, deadline, out);
                    return;
                }
                let agents = report.detailed.map(|_| agents_json(&report.agents));
                let data = agents.as_ref().map(|agents| {
                    let parts = ["{\"summary\":", answer, ",\"agents\":", agents, "}"];
                    parts.concat()
                });
                let data = data.as_deref().unwrap_or(answer);
                let parts = (data, answer, agents.as_deref());
                self.send_report(user, &pending.ids, &report.report_type, parts, out);
                return;
            }
        };
        let frame = wire::quality_reply(&mut self.writer, kind, answer, &pending.ids);
        self.tell_user(user, frame, out);
    }

    /// `parts`: the data, the dashboard in it, and the agents' reports if there are any.
    pub(super) fn send_report(
        &mut self,
        user: UserRef,
        ids: &Ids,
        report_type: &str,
        (data, dashboard, agents): (&str, &str, Option<&str>),
        out: &mut Effects,
    ) {
        let text = markdown(self.now, report_type, dashboard, agents);
        let payload = wire::quality_report(&mut self.writer, self.now, &text, data);
        let frame = wire::quality_reply(&mut self.writer, "quality_report_generated", &payload, ids);
        self.tell_user(user, frame, out);
    }

    /// Tells a user that a service did not answer.
    pub(super) fn fail(&mut self, user: UserRef, pending: Pending, code: ErrorCode, out: &mut Effects) {
        let frame = match &pending.work {
            Work::Response { run, thread, request, agent } => {
                let ids = (&**thread, &**request, &**agent);
                wire::response_judged(&mut self.writer, &self.config.node, *run, ids, Err(code))
            }
            Work::Metrics | Work::Validate | Work::Report(_) => {
                self.stats.count_code(code);
                let id = pending.ids.message.as_deref();
                wire::error(&mut self.writer, self.now, code, None, None, id)
            }
        };
        self.tell_user(user, frame, out);
    }

    /// A frame for every connection that the user has now.
    pub(super) fn tell_user(&mut self, user: UserRef, frame: Frame, out: &mut Effects) {
        self.stats.frames.encoded += 1;
        if !self.audience.knows(user) {
            return;
        }
        let (audience, mut flow) = self.flow(out);
        audience.with_owner(user, |audience, owner| audience.tell(&owner, &owner.seal(frame), &mut flow));
    }
}

/// The question for one agent of a detailed report.
pub(super) fn agent_of_report(at: usize, hours: u32) -> QualityQuestion {
    let name = REPORT_AGENTS.get(at).copied().unwrap_or_default();
    QualityQuestion::AgentReport {
        agent: Given::of_text(name),
        hours: Given::new(&alloc::format!("{hours}")),
    }
}

/// `{name: report}` of a detailed report.
fn agents_json(reports: &[Box<str>]) -> String {
    let mut json = String::from("{");
    for (n, (name, report)) in REPORT_AGENTS.iter().zip(reports).enumerate() {
        for part in [if n == 0 { "\"" } else { ",\"" }, name, "\":", report] {
            json.push_str(part);
        }
    }
    json.push('}');
    json
}
