//! The old shapes: what the facade says on a client's wire and in its log (translations N4 and N5).

use serde_json::{Value, json};

/// The old words of one type of message.
pub(super) struct Words {
    /// What an error text begins with.
    pub(super) failed: &'static str,
    /// What the log says of an error.
    pub(super) log: &'static str,
    /// What the log calls the error that could not be sent.
    pub(super) error: &'static str,
    /// The types of a good answer.
    pub(super) answers: &'static [&'static str],
}

/// The words of a type; `None` for a type that the old router did not know.
pub(super) fn words(kind: &Value) -> Option<Words> {
    let words = match kind.as_str()? {
        "get_quality_metrics" => Words {
            failed: "Failed to get quality metrics: ",
            log: "Error getting quality metrics: ",
            error: "metrics",
            answers: &["quality_metrics"],
        },
        "subscribe_quality_alerts" => Words {
            failed: "Failed to handle subscription: ",
            log: "Error handling quality alert subscription: ",
            error: "subscription",
            answers: &["quality_alerts_subscribed", "quality_alerts_unsubscribed"],
        },
        "validate_content" => Words {
            failed: "Failed to validate content: ",
            log: "Error validating content: ",
            error: "validation",
            answers: &["content_validation_result"],
        },
        "generate_quality_report" => Words {
            failed: "Failed to generate report: ",
            log: "Error generating quality report: ",
            error: "report",
            answers: &["quality_report_generated"],
        },
        _ => return None,
    };
    Some(words)
}

/// What an error text about an unknown type begins with.
pub(super) const UNKNOWN: &str = "Unknown message type: ";
/// What an error text about a subscription's action begins with.
pub(super) const ACTION: &str = "Invalid action: ";

/// A canonical frame in its old shape: errors and acknowledgements become `{type: "error", message}`, all else
/// stays.
pub(super) fn encode(frame: &Value, message: &Value) -> Value {
    let text = match frame["type"].as_str() {
        Some("ack") => {
            let kind = match &message["type"] {
                Value::Null => "None".to_owned(),
                Value::Bool(true) => "True".to_owned(),
                Value::Bool(false) => "False".to_owned(),
                Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                    frame["received_type"].as_str().unwrap_or_default().to_owned()
                }
            };
            format!("{UNKNOWN}{kind}")
        }
        Some("error_message") => {
            let said = frame["error_message"].as_str().unwrap_or_default();
            if is_bad_action(frame) {
                format!("{ACTION}{said}")
            } else {
                format!("{}{said}", words(&message["type"]).map_or("", |words| words.failed))
            }
        }
        _ => return frame.clone(),
    };
    json!({"type": "error", "message": text})
}

/// Whether the router refused the action of a subscription.
pub(super) fn is_bad_action(frame: &Value) -> bool {
    frame["error_code"] == "BAD_FIELD" && frame["details"]["path"] == "action"
}

/// The documented beginning of an old error text; the rest of it is the old runtime's.
pub(super) fn prefix(text: &str, message: &Value) -> Option<&'static str> {
    let own = words(&message["type"]).map(|words| words.failed);
    [Some(UNKNOWN), Some(ACTION), own].into_iter().flatten().find(|prefix| text.starts_with(prefix))
}
