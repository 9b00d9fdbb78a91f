//! Quality: what clients ask for.
//!
//! Nothing is kept between messages but open questions, each with the ids of its own message. An answer goes to all
//! connections that its user has at that time; who is away gets none later.

mod news;
mod service;

use alloc::{borrow::Cow, boxed::Box};

use super::{Message, control::THREAD_BYTES_MAX};
use crate::{
    contract::{Effects, Given, QualityQuestion},
    error::ErrorCode,
    message::{Kind, Raw},
    quality::{ContentKind, Ids, ReportWork, TOPIC, Work, period_hours},
    router::Router,
    stats::Outcome,
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
            "detailed" => self.ask_for(message, work(Some(hours)), service::agent_of_report(0, hours), out),
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
