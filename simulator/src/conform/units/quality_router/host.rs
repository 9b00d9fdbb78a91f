//! The host: answers the router's questions as the set-up says, each after its delay.

use router::{
    Instant, QualityQuestion, QualityRequest, Router,
    quality::{self, Gate},
};
use serde_json::{Map, Value, json, value::RawValue};

use super::later;

/// What the set-up says of the services.
#[derive(Debug)]
pub(super) struct Host {
    monitoring: Option<Map<String, Value>>,
    gate: Option<Map<String, Value>>,
    /// Questions that wait, each with the time at which its answer is ready.
    waiting: Vec<(Instant, Box<QualityRequest>)>,
}

impl Host {
    pub(super) fn new(setup: &Map<String, Value>) -> Self {
        let service = |name: &str| setup.get(name).and_then(Value::as_object).cloned();
        Self { monitoring: service("monitoring"), gate: service("gate"), waiting: Vec::new() }
    }

    /// Whether nobody can be subscribed.
    pub(super) fn refuses_subscribers(&self) -> bool {
        self.failure("subscribe_raises").is_some()
    }

    /// Whether the set-up has a monitor of its own; without one, the recording notes no call of it.
    pub(super) const fn has_monitor(&self) -> bool {
        self.monitoring.is_some()
    }

    /// Whether the set-up has a gate of its own.
    pub(super) const fn has_gate(&self) -> bool {
        self.gate.is_some()
    }

    /// Whether a failure text is one that the set-up gave to a service.
    pub(super) fn says(&self, text: &str) -> bool {
        let keys = ["dashboard_raises", "agent_report_raises", "subscribe_raises"];
        keys.into_iter().filter_map(|key| self.failure(key)).any(|known| known == text)
            || self.gate.as_ref().and_then(|gate| gate.get("raises")).is_some_and(|known| known == text)
    }

    fn failure(&self, key: &str) -> Option<&Value> {
        self.monitoring.as_ref()?.get(key).filter(|text| !text.is_null())
    }

    /// Takes a question in.
    pub(super) fn ask(&mut self, now: Instant, request: QualityRequest) {
        let delay = match &request.question {
            QualityQuestion::AgentReport { agent, .. } => {
                let delays = self.monitoring.as_ref().and_then(|monitoring| monitoring.get("delays"));
                delays.and_then(|delays| delays[&*agent.text()].as_f64()).unwrap_or_default()
            }
            QualityQuestion::Dashboard | QualityQuestion::Validate { .. } => 0.0,
        };
        self.waiting.push((later(now, delay), Box::new(request)));
    }

    /// The question whose answer is ready first; of equal ones that which was asked first.
    pub(super) fn next(&mut self) -> Option<(Instant, Box<QualityRequest>)> {
        let (first, _) = self.waiting.iter().enumerate().min_by_key(|(_, (at, _))| *at)?;
        Some(self.waiting.remove(first))
    }

    /// The answer, or `None` for a failure.
    pub(super) fn answer(
        &self,
        request: &QualityRequest,
        router: &Router,
        now: Instant,
    ) -> Option<Box<RawValue>> {
        let given = |value: &Value| serde_json::value::to_raw_value(value).ok();
        match (&request.question, &self.monitoring, &self.gate) {
            (QualityQuestion::Dashboard, Some(monitoring), _) => {
                let dashboard = monitoring.get("dashboard").unwrap_or(&Value::Null);
                self.failure("dashboard_raises").is_none().then(|| given(dashboard))?
            }
            (QualityQuestion::AgentReport { agent, hours }, Some(monitoring), _) => {
                let mut report = monitoring.get("agent_report").cloned().unwrap_or_default();
                if let Some(report) = report.as_object_mut() {
                    report.insert("agent".into(), parsed(agent.json()));
                    report.insert("hours".into(), parsed(hours.json()));
                }
                self.failure("agent_report_raises").is_none().then(|| given(&report))?
            }
            (QualityQuestion::Validate { .. }, _, Some(gate)) => {
                gate.get("raises").is_none_or(Value::is_null).then(|| given(gate.get("result")?))?
            }
            (
                QualityQuestion::Dashboard
                | QualityQuestion::AgentReport { .. }
                | QualityQuestion::Validate { .. },
                ..,
            ) => quality::answer(request, router.quality_monitor(), &Gate, now),
        }
    }
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

/// A question in the words of the recordings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) service: &'static str,
    pub(super) method: &'static str,
    pub(super) args: Vec<Value>,
    /// Whether the gate was told to be strict.
    pub(super) strict: bool,
}

impl Call {
    pub(super) fn of(request: &QualityRequest) -> Self {
        let monitoring = |method, args| Self { service: "monitoring", method, args, strict: false };
        match &request.question {
            QualityQuestion::Dashboard => monitoring("get_dashboard_data", Vec::new()),
            QualityQuestion::AgentReport { agent, hours } => {
                monitoring("get_agent_report", vec![parsed(agent.json()), parsed(hours.json())])
            }
            QualityQuestion::Validate { content, kind, strict } => Self {
                service: "gate",
                method: "validate_content",
                args: vec![parsed(content.json()), kind.name().into()],
                strict: *strict,
            },
        }
    }

    pub(super) fn json(&self) -> Value {
        let Self { service, method, args, strict } = self;
        json!({"service": service, "method": method, "args": args, "strict": strict})
    }
}
