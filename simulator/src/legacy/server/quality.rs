//! Quality: answers questions about quality and keeps who wants to hear of it.
//!
//! An answer names the message, thread and run of its own question and goes to all connections of the user.

use std::collections::BTreeSet;

use router::{Kind, UserId, message};
use serde_json::{Map, Value, json};

use super::common::{Common, Outcome};
use super::routing::{Act, Routed};

/// The quality router.
#[derive(Debug, Default)]
pub(super) struct Quality {
    subscribers: BTreeSet<UserId>,
}

impl Quality {
    /// Answers one of the four types.
    pub(super) fn route(
        &mut self,
        _common: &mut Common,
        user: &UserId,
        kind: Kind,
        envelope: &message::Envelope<'_>,
    ) -> Routed {
        let (answer, payload) = self.answer(user, kind);
        let mut members = Map::new();
        members.insert("type".to_owned(), json!(answer));
        members.insert("payload".to_owned(), payload);
        for (key, id) in [
            ("message_id", envelope.message_id),
            ("thread_id", envelope.thread_id),
            ("run_id", envelope.run_id),
        ] {
            if let Some(id) = id.and_then(message::Raw::text) {
                members.insert(key.to_owned(), json!(id));
            }
        }
        let tell = Act::Tell { user: user.clone(), text: Value::Object(members).to_string() };
        Routed::new(Outcome::Handled, vec![tell])
    }

    /// A user is gone for good.
    pub(super) fn forget(&mut self, _common: &Common, user: &UserId) {
        self.subscribers.remove(user);
    }

    /// Subscriptions kept.
    pub(super) fn kept(&self) -> u64 {
        self.subscribers.len() as u64
    }

    /// Type and payload of an answer. No run is measured here, so the figures are those of an idle service.
    fn answer(&mut self, user: &UserId, kind: Kind) -> (&'static str, Value) {
        let figures = json!({ "overall_stats": {}, "agent_profiles": {}, "recent_alerts": [] });
        if kind == Kind::SubscribeQualityAlerts {
            self.subscribers.insert(user.clone());
            ("quality_alerts_subscribed", json!({ "status": "subscribed" }))
        } else if kind == Kind::ValidateContent {
            ("content_validation_result", json!({ "passed": false, "score": 0.0, "issues": ["empty"] }))
        } else if kind == Kind::GenerateQualityReport {
            ("quality_report_generated", json!({ "report": "# Quality Report", "raw_data": figures }))
        } else {
            ("quality_metrics", figures)
        }
    }
}
