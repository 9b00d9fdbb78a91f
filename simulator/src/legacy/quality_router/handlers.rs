//! The requests, and what becomes of their failures.

use serde_json::{Map, Value, json};

use super::{
    Host, Next, QualityRouter, Question, Request, member,
    report::{self, markdown},
};
use crate::legacy::{
    Hazard,
    plain::{self, Raised},
};

/// What a client is told of a failure where nothing internal may be told.
pub const REASON: &str = "the request could not be processed";

/// A request whose service has not answered yet.
#[derive(Debug)]
pub struct Pending {
    user: Value,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Metrics,
    Validation,
    Report { report_type: Value, detailed: Option<Detailed> },
}

#[derive(Debug)]
struct Detailed {
    hours: u32,
    agents: Map<String, Value>,
}

/// The words of one kind of request.
struct Words {
    /// What a client is told, up to the reason.
    failed: &'static str,
    /// What is logged, up to the reason.
    log: &'static str,
    /// What the log calls the error that could not be sent.
    error: &'static str,
}

const METRICS: Words = Words {
    failed: "Failed to get quality metrics",
    log: "Error getting quality metrics",
    error: "metrics error",
};
const SUBSCRIPTION: Words = Words {
    failed: "Failed to handle subscription",
    log: "Error handling quality alert subscription",
    error: "subscription error",
};
const VALIDATION: Words = Words {
    failed: "Failed to validate content",
    log: "Error validating content",
    error: "validation error",
};
const REPORT: Words = Words {
    failed: "Failed to generate report",
    log: "Error generating quality report",
    error: "report error",
};

impl Work {
    const fn words(&self) -> &'static Words {
        match self {
            Work::Metrics => &METRICS,
            Work::Validation => &VALIDATION,
            Work::Report { .. } => &REPORT,
        }
    }
}

impl QualityRouter {
    pub(super) fn handle(
        &mut self,
        request: Request,
        user: &Value,
        payload: Value,
        host: &mut dyn Host,
    ) -> Result<Next, Raised> {
        let words = match request {
            Request::Metrics => &METRICS,
            Request::Subscription => &SUBSCRIPTION,
            Request::Validation => &VALIDATION,
            Request::Report => &REPORT,
            Request::StartAgent if self.hazards.has(Hazard::Q5) => {
                // What is registered for the type has no such method.
                return Err(Raised::missing_attribute("QualityEnhancedStartAgentHandler", "handle"));
            }
            Request::StartAgent => return Ok(Next::StartAgent { user: user.clone(), payload }),
        };
        let Value::Object(members) = &payload else {
            self.fail(user, words, &Raised::no_attribute(&payload, "get").text, host);
            return Ok(Next::Done);
        };
        let asked = match request {
            Request::Metrics => Ok(Some(metrics(members))),
            Request::Validation => self.validation(members).map(Some),
            Request::Report => self.report(members),
            Request::Subscription => self.subscription(user, members, host).map(|()| None),
            Request::StartAgent => Ok(None),
        };
        Ok(match asked {
            Ok(Some((question, work))) => Next::Ask(question, Pending { user: user.clone(), work }),
            Ok(None) if request == Request::Report => {
                let (report_type, data) = (member(members, "report_type", "summary"), report::unknown_type());
                self.send_report(user, &report_type, data, host);
                Next::Done
            }
            Ok(None) => Next::Done,
            Err(raised) => {
                self.fail(user, words, &raised.text, host);
                Next::Done
            }
        })
    }

    /// Goes on with a request when its service has answered.
    pub fn answered(&mut self, pending: Pending, answer: Result<Value, String>, host: &mut dyn Host) -> Next {
        let Pending { user, work } = pending;
        let answer = match answer {
            Ok(answer) => answer,
            Err(text) => {
                self.fail(&user, work.words(), &text, host);
                return Next::Done;
            }
        };
        match work {
            Work::Metrics => {
                self.reply(&user, &METRICS, &json!({"type": "quality_metrics", "payload": answer}), host);
            }
            Work::Validation => {
                let result = json!({"type": "content_validation_result", "payload": answer});
                self.reply(&user, &VALIDATION, &result, host);
            }
            Work::Report { report_type, detailed: None } => {
                self.send_report(&user, &report_type, answer, host);
            }
            Work::Report { report_type, detailed: Some(mut detailed) } => {
                if let Some(name) = report::AGENTS.get(detailed.agents.len()) {
                    detailed.agents.insert((*name).to_owned(), answer);
                    let question = detailed.question();
                    return Next::Ask(
                        question,
                        Pending { user, work: Work::Report { report_type, detailed: Some(detailed) } },
                    );
                }
                let data = json!({"summary": answer, "agents": detailed.agents});
                self.send_report(&user, &report_type, data, host);
            }
        }
        Next::Done
    }

    fn subscription(
        &mut self,
        user: &Value,
        payload: &Map<String, Value>,
        host: &mut dyn Host,
    ) -> Result<(), Raised> {
        let action = member(payload, "action", "subscribe");
        let (kind, status) = match action.as_str() {
            Some("subscribe") => {
                host.admit(user).map_err(|text| Raised::new("Exception", text))?;
                if !plain::is_hashable(user) {
                    return Err(Raised::unhashable(user));
                }
                self.subscribe(user);
                ("quality_alerts_subscribed", "subscribed")
            }
            Some("unsubscribe") => {
                self.unsubscribe(user);
                ("quality_alerts_unsubscribed", "unsubscribed")
            }
            _ => {
                let action = plain::str(&action);
                let text = format!("Invalid action: {action}. Use 'subscribe' or 'unsubscribe'");
                self.tell_error(user, &text, "action error", host);
                return Ok(());
            }
        };
        self.reply(user, &SUBSCRIPTION, &json!({"type": kind, "payload": {"status": status}}), host);
        Ok(())
    }

    fn validation(&self, payload: &Map<String, Value>) -> Result<(Question, Work), Raised> {
        let content_type = member(payload, "content_type", "general");
        if !plain::is_hashable(&content_type) && self.hazards.has(Hazard::Q9) {
            return Err(Raised::unhashable(&content_type));
        }
        let kind = match content_type.as_str() {
            Some("optimization") => "optimization",
            Some("data_analysis") => "data_analysis",
            Some("action_plan") => "action_plan",
            Some("report") => "report",
            Some("triage") => "triage",
            Some("error") => "error_message",
            _ => "general",
        };
        let question = Question::Validate {
            content: member(payload, "content", ""),
            kind,
            strict: member(payload, "strict_mode", false),
            strict_as_context: self.hazards.has(Hazard::Q7),
        };
        Ok((question, Work::Validation))
    }

    /// `None` for a report of a type that nobody knows; its text is made all the same.
    fn report(&self, payload: &Map<String, Value>) -> Result<Option<(Question, Work)>, Raised> {
        let report_type = member(payload, "report_type", "summary");
        let detailed = match report_type.as_str() {
            Some("summary") => None,
            Some("detailed") => {
                let hours =
                    if payload.get("period").is_some_and(|period| period == "week") { 168 } else { 24 };
                Some(Detailed { hours, agents: Map::new() })
            }
            _ => return Ok(None),
        };
        let question = detailed.as_ref().map_or(Question::Dashboard, Detailed::question);
        Ok(Some((question, Work::Report { report_type, detailed })))
    }

    fn send_report(&mut self, user: &Value, report_type: &Value, data: Value, host: &mut dyn Host) {
        match markdown(report_type, &data, self.hazards) {
            Ok(text) => {
                let payload = json!({"report": text, "raw_data": data, "timestamp": report::TIME});
                let reply = json!({"type": "quality_report_generated", "payload": payload});
                self.reply(user, &REPORT, &reply, host);
            }
            Err(raised) => self.fail(user, &REPORT, &raised.text, host),
        }
    }

    /// A good answer. When it cannot be sent, the request has failed: an error is tried in its place.
    fn reply(&mut self, user: &Value, words: &Words, message: &Value, host: &mut dyn Host) {
        if let Err(text) = self.send(user, message, host) {
            self.fail(user, words, &text, host);
        }
    }

    /// Q9: the client is told whatever text there is.
    fn fail(&mut self, user: &Value, words: &Words, text: &str, host: &mut dyn Host) {
        self.log(format!("{}: {text}", words.log));
        let reason = if self.hazards.has(Hazard::Q9) { text } else { REASON };
        self.tell_error(user, &format!("{}: {reason}", words.failed), words.error, host);
    }

    /// An error, to the sender only; one that cannot be sent is logged and forgotten.
    pub(super) fn tell_error(&mut self, user: &Value, text: &str, what: &str, host: &mut dyn Host) {
        if let Err(error) = self.send(user, &json!({"type": "error", "message": text}), host) {
            self.log(format!("Failed to send {what} to user {}: {error}", plain::str(user)));
        }
    }
}

fn metrics(payload: &Map<String, Value>) -> (Question, Work) {
    let agent = member(payload, "agent_name", Value::Null);
    let question = if plain::is_truthy(&agent) {
        Question::AgentReport { agent, hours: member(payload, "period_hours", 24) }
    } else {
        Question::Dashboard
    };
    (question, Work::Metrics)
}

impl Detailed {
    /// The next one: each agent in turn, then all together.
    fn question(&self) -> Question {
        report::AGENTS.get(self.agents.len()).map_or(Question::Dashboard, |agent| Question::AgentReport {
            agent: (*agent).into(),
            hours: self.hours.into(),
        })
    }
}
