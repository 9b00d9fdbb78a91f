//! News for the subscribers: the host's, and the monitor's alerts. Verdicts on final responses.

use alloc::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;

use super::Message;
use crate::{
    audience::UserRef,
    contract::{Authority, Effects, Given, QualityNews, QualityQuestion, RunRef},
    error::ErrorCode,
    message::Kind,
    quality::{ContentKind, Ids, Pending, RunEnd, RunSeen, TOPIC, Work},
    router::Router,
    wire,
};

impl Router {
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
            tools: slot.tools_ended,
            tool_errors: slot.tool_errors,
        };
        for alert in self.desk.monitor.observe(&seen) {
            self.stats.quality.alerts_raised += 1;
            if let Ok(alert) = RawValue::from_string(alert.json()) {
                self.tell_subscribers("quality_alert", &alert, false, out);
            }
        }
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

    /// Whether a request wants its final response judged: `config.quality_gate` of the payload is true.
    pub(in crate::handlers) fn wants_gate(message: Message<'_, '_>) -> bool {
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
}
