//! Quality: what clients ask for, what services answer, and what subscribers are told.
//!
//! Nothing is kept between messages but open questions, each with the ids of its own message. An answer goes to all
//! connections that its user has at that time; who is away gets none later.

use alloc::{borrow::Cow, boxed::Box, collections::BTreeMap, string::String};

use serde_json::value::RawValue;

use super::{Message, control::THREAD_BYTES_MAX};
use crate::{
    audience::UserRef,
    contract::{
        AskRef, Authority, Effect, Effects, Frame, Given, Instant, QualityAnswer, QualityNews,
        QualityQuestion, QualityRequest, RunRef,
    },
    error::ErrorCode,
    message::{Kind, Raw},
    quality::{
        ContentKind, Ids, Pending, REPORT_AGENTS, ReportWork, RunEnd, RunSeen, TOPIC, Work, markdown,
        period_hours,
    },
    router::Router,
    stats::Outcome,
    timers::Timer,
    wire,
};

/// Longest id of a message or a run that an answer repeats, in bytes.
const ID_BYTES_MAX: usize = 128;
/// Longest `report_type`, in bytes.
const REPORT_TYPE_BYTES_MAX: usize = 64;

impl Router {
    /// A quality message. Turned off, they are types that nobody owns.
    pub(super) fn quality(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        if !self.config.quality_enabled {
            self.unowned(message, out)
        } else if message.kind == Kind::SubscribeQualityAlerts {
            self.quality_subscription(message, out)
        } else if message.kind == Kind::ValidateContent {
            self.quality_validation(message, out)
        } else if message.kind == Kind::GenerateQualityReport {
            self.quality_report(message, out)
        } else {
            self.quality_metrics(message, out)
        }
    }

    /// `get_quality_metrics`: one agent's figures if one is named, else those of all.
    fn quality_metrics(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let payload = message.payload();
        let question = match payload.find("agent_name").filter(|name| is_truthy(*name)) {
            Some(agent) => QualityQuestion::AgentReport {
                agent: Given::new(agent.json()),
                hours: Given::new(payload.find("period_hours").map_or("24", Raw::json)),
            },
            None => QualityQuestion::Dashboard,
        };
        self.ask_for(message, Work::Metrics, question, out)
    }

    /// `validate_content`: a verdict on a text.
    fn quality_validation(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let payload = message.payload();
        let kind = payload.find("content_type").and_then(Raw::text);
        let question = QualityQuestion::Validate {
            content: Given::new(payload.find("content").map_or("\"\"", Raw::json)),
            kind: kind.map_or(ContentKind::General, |kind| ContentKind::requested(&kind)),
            strict: payload.find("strict_mode").is_some_and(is_truthy),
        };
        self.ask_for(message, Work::Validate, question, out)
    }

    /// `generate_quality_report`: a summary, or one with a report of each agent ahead of it.
    fn quality_report(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let payload = message.payload();
        let report_type = match payload.find("report_type") {
            None => Some(Cow::Borrowed("summary")),
            Some(raw) => raw.text().filter(|text| text.len() <= REPORT_TYPE_BYTES_MAX),
        };
        let Some(report_type) = report_type else {
            return self.bad_field(message, "report_type", "a text of at most 64 bytes", out);
        };
        let period = payload.find("period").and_then(Raw::text);
        let hours = period_hours(period.as_deref());
        let work = |detailed| {
            let report_type = Box::from(&*report_type);
            Work::Report(Box::new(ReportWork { report_type, detailed, agents: Default::default(), bytes: 0 }))
        };
        match &*report_type {
            "summary" => self.ask_for(message, work(None), QualityQuestion::Dashboard, out),
            "detailed" => self.ask_for(message, work(Some(hours)), agent_of_report(0, hours), out),
            other => match self.ids_of(message, out) {
                Ok(ids) => {
                    let data = "{\"error\":\"Unknown report type\"}";
                    self.send_report(message.user, &ids, other, (data, data, None), out);
                    Outcome::Handled
                }
                Err(outcome) => outcome,
            },
        }
    }

    /// `subscribe_quality_alerts`: the same table as `subscribe` with the topic `quality`.
    fn quality_subscription(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let action = message.payload().find("action");
        let on = match action.map_or(Some(Cow::Borrowed("subscribe")), Raw::text).as_deref() {
            Some("subscribe") => true,
            Some("unsubscribe") => false,
            _ => return self.bad_field(message, "action", "subscribe or unsubscribe", out),
        };
        let ids = match self.ids_of(message, out) {
            Ok(ids) => ids,
            Err(outcome) => return outcome,
        };
        if let Err(outcome) = self.set_subscription(message, on, out) {
            return outcome;
        }
        let (kind, payload) = if on {
            ("quality_alerts_subscribed", "{\"status\":\"subscribed\"}")
        } else {
            ("quality_alerts_unsubscribed", "{\"status\":\"unsubscribed\"}")
        };
        let frame = wire::quality_reply(&mut self.writer, kind, payload, &ids);
        self.tell_user(message.user, frame, out);
        Outcome::Handled
    }

    /// Changes whether the user hears of quality. `Err`: refused, and said so.
    pub(super) fn set_subscription(
        &mut self,
        message: Message<'_, '_>,
        on: bool,
        out: &mut Effects,
    ) -> Result<(), Outcome> {
        if on {
            if !self.audience.subscribe_topic(message.user, TOPIC) {
                let limit = Some(u64::from(self.config.topics_per_user_max));
                return Err(self.reject(message.conn, ErrorCode::Overloaded, None, limit, None, out));
            }
        } else {
            self.audience.unsubscribe_topic(message.user, TOPIC);
        }
        Ok(())
    }

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

    /// Tells all who are subscribed now. Who subscribes later does not hear of it.
    pub(crate) fn quality_news(&mut self, _: &Authority, news: QualityNews<'_>, out: &mut Effects) {
        match news {
            QualityNews::Update(update) => self.tell_subscribers("quality_update", update, false, out),
            QualityNews::Alert(alert) => {
                type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;
                let Ok(members) = serde_json::from_str::<Members<'_>>(alert.get()) else {
                    self.stats.quality.news_refused += 1;
                    return;
                };
                self.tell_subscribers("quality_alert", alert, !members.contains_key("severity"), out);
            }
        }
    }

    /// A run is about to end: the monitor sees it, and a gated response goes to the gate.
    pub(crate) fn observe_end(&mut self, run: RunRef, end: RunEnd, response: &str, out: &mut Effects) {
        if !self.config.quality_enabled {
            return;
        }
        let Some(slot) = self.run(run) else { return };
        let Some(user) = slot.owner else { return };
        if slot.gated && end == RunEnd::Completed {
            let work = Work::Response {
                run: slot.number,
                thread: slot.thread.clone(),
                request: slot.request.clone(),
                agent: slot.agent.clone(),
            };
            self.judge_response(user, work, response, out);
        }
        if !self.config.quality_monitor {
            return;
        }
        let Some(slot) = self.runs.get(run.index()) else { return };
        let seen = RunSeen {
            agent: &slot.agent,
            end,
            at: self.now,
            duration_us: self.now.since(slot.began),
            tools: slot.tools,
            tool_errors: slot.tool_errors,
        };
        for alert in self.desk.monitor.observe(&seen) {
            self.stats.quality.alerts_raised += 1;
            if let Ok(alert) = RawValue::from_string(alert.json()) {
                self.tell_subscribers("quality_alert", &alert, false, out);
            }
        }
    }

    /// Whether a request wants its final response judged: `config.quality_gate` of the payload is true.
    pub(super) fn wants_gate(message: Message<'_, '_>) -> bool {
        #[derive(serde::Deserialize)]
        struct RunConfig {
            #[serde(default)]
            quality_gate: bool,
        }
        message.kind == Kind::StartAgent
            && message.payload().find("config").is_some_and(|config| {
                serde_json::from_str(config.json()).is_ok_and(|config: RunConfig| config.quality_gate)
            })
    }

    fn judge_response(&mut self, user: UserRef, work: Work, response: &str, out: &mut Effects) {
        let response = wire::cut(response, self.config.inbound_bytes_max as usize);
        let question = QualityQuestion::Validate {
            content: Given::of_text(response),
            kind: ContentKind::General,
            strict: false,
        };
        if self.desk.len_of(user) >= self.config.quality_asks_per_user_max as usize {
            let pending = Pending { ids: Ids::default(), work, first: 0, deadline: self.now };
            self.fail(user, pending, ErrorCode::Overloaded, out);
            return;
        }
        self.ask(user, Ids::default(), work, question, out);
    }

    /// Asks the first question of a message, if it may ask one.
    fn ask_for(
        &mut self,
        message: Message<'_, '_>,
        work: Work,
        question: QualityQuestion,
        out: &mut Effects,
    ) -> Outcome {
        let ids = match self.ids_of(message, out) {
            Ok(ids) => ids,
            Err(outcome) => return outcome,
        };
        let limit = self.config.quality_asks_per_user_max;
        let refusal = if self.is_draining() {
            Some((ErrorCode::ShuttingDown, None))
        } else if self.desk.len_of(message.user) >= limit as usize {
            Some((ErrorCode::Overloaded, Some(u64::from(limit))))
        } else {
            None
        };
        if let Some((code, limit)) = refusal {
            return self.reject(message.conn, code, None, limit, ids.message.as_deref(), out);
        }
        self.ask(message.user, ids, work, question, out);
        Outcome::Handled
    }

    fn ask(&mut self, user: UserRef, ids: Ids, work: Work, question: QualityQuestion, out: &mut Effects) {
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
    fn send_report(
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
    fn fail(&mut self, user: UserRef, pending: Pending, code: ErrorCode, out: &mut Effects) {
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
    fn tell_user(&mut self, user: UserRef, frame: Frame, out: &mut Effects) {
        self.stats.frames.encoded += 1;
        if !self.audience.knows(user) {
            return;
        }
        let (audience, mut flow) = self.flow(out);
        audience.with_owner(user, |audience, owner| audience.tell(&owner, &owner.seal(frame), &mut flow));
    }

    fn tell_subscribers(&mut self, kind: &str, body: &RawValue, default_severity: bool, out: &mut Effects) {
        if body.get().len() > self.config.outbound_frame_bytes_max as usize / 2 {
            self.stats.quality.news_refused += 1;
            return;
        }
        let frame = wire::quality_news(&mut self.writer, kind, body.get(), default_severity);
        self.stats.frames.encoded += 1;
        self.stats.quality.news += 1;
        let (audience, mut flow) = self.flow(out);
        audience.tell_topic(TOPIC, &frame, &mut flow);
    }

    /// The ids of a message, envelope before payload. `Err`: one of them is refused, and said so.
    fn ids_of(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Result<Ids, Outcome> {
        let (envelope, payload) = (message.envelope, message.payload());
        let pick = |outer: Option<Raw<'_>>, key: &str| -> Option<Box<str>> {
            let outer = outer.and_then(Raw::text).filter(|id| !id.is_empty());
            outer.or_else(|| payload.text(key)).map(|id| Box::from(&*id))
        };
        let ids = Ids {
            message: envelope.message_id.and_then(Raw::text).map(|id| Box::from(&*id)),
            thread: pick(envelope.thread_id, "thread_id"),
            run: pick(envelope.run_id, "run_id"),
        };
        let too_long = |id: &Option<Box<str>>, max: usize| id.as_ref().is_some_and(|id| id.len() > max);
        let field = [
            ("message_id", too_long(&ids.message, ID_BYTES_MAX), "at most 128 bytes"),
            ("thread_id", too_long(&ids.thread, THREAD_BYTES_MAX), "at most 256 bytes"),
            ("run_id", too_long(&ids.run, ID_BYTES_MAX), "at most 128 bytes"),
        ];
        if let Some((field, _, expected)) = field.into_iter().find(|(_, long, _)| *long) {
            return Err(self.bad_field(message, field, expected, out));
        }
        let foreign =
            ids.thread.as_ref().is_some_and(|id| !self.audience.user(message.user).may_use_thread(id));
        if foreign {
            return Err(self.reject(message.conn, ErrorCode::ForeignThread, None, None, None, out));
        }
        Ok(ids)
    }
}

/// The question for one agent of a detailed report.
fn agent_of_report(at: usize, hours: u32) -> QualityQuestion {
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

/// Whether a value counts as given: neither null nor false nor zero nor empty.
fn is_truthy(raw: Raw<'_>) -> bool {
    let json = raw.json();
    match json.as_bytes() {
        [b'[' | b'{', inner @ .., _] => !inner.trim_ascii().is_empty(),
        [b'"', ..] => json.len() > 2,
        b"null" | b"false" => false,
        b"true" => true,
        _ => json.parse::<f64>().is_ok_and(|number| number != 0.0),
    }
}
