//! Who can be written to.

use serde_json::Value;

use super::{Host, QualityRouter};
use crate::legacy::{Hazard, plain};

/// How the router was connected to the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// With a sender made for one user, as was intended.
    Bound,
    /// As in production. Q4: with one argument where two are wanted, at a manager that knows no connection.
    Production,
}

const MISSING_ARGUMENT: &str = "_UnifiedWebSocketManagerImplementation.send_to_user() missing 1 required \
                                positional argument: 'message'";

impl QualityRouter {
    /// One message to one user: a context is made for it, then a manager, then it is sent.
    pub(super) fn send(&mut self, user: &Value, message: &Value, host: &mut dyn Host) -> Result<(), String> {
        context_of(user)?;
        if self.wiring == Wiring::Production && self.hazards.has(Hazard::Q4) {
            return Err(MISSING_ARGUMENT.to_owned());
        }
        host.send(user, message)
    }

    pub(super) fn log(&mut self, line: String) {
        self.log.push(line);
    }
}

/// Ids that no context takes, in any case.
const PLACEHOLDERS: [&str; 18] = [
    "registry",
    "placeholder",
    "default",
    "temp",
    "none",
    "null",
    "undefined",
    "0",
    "1",
    "xxx",
    "yyy",
    "example",
    "test",
    "demo",
    "sample",
    "template",
    "mock",
    "dummy",
];
/// Ids of fewer characters than this may not begin like a placeholder.
const PATTERN_CHARS_MAX: usize = 20;
const PATTERNS: [&str; 9] =
    ["placeholder_", "registry_", "temp_", "example_", "demo_", "sample_", "template_", "mock_", "fake_"];
const DEFAULTS: [&str; 7] = [
    "default_user",
    "default_admin",
    "default_system",
    "default_account",
    "default_service",
    "default_client",
    "default_guest",
];

/// Whether a context can be made for a user.
fn context_of(user: &Value) -> Result<(), String> {
    const WHY: &str = "This prevents proper request isolation.";
    let blank = || format!("Required field 'user_id' must be a non-empty string, got: {}", plain::repr(user));
    let id = match user {
        Value::String(id) => id,
        Value::Array(_) | Value::Object(_) => return Err(blank()),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            return Err(format!("object of type '{}' has no len()", plain::type_name(user)));
        }
    };
    if id.trim().is_empty() {
        return Err(blank());
    }
    let small = id.to_lowercase();
    if PLACEHOLDERS.contains(&&*small) || small == "fake" {
        return Err(format!("Field 'user_id' contains forbidden placeholder value: '{id}'. {WHY}"));
    }
    if id.chars().count() < PATTERN_CHARS_MAX {
        if small.starts_with("default_") && !DEFAULTS.contains(&&*small) {
            return Err(format!(
                "Field 'user_id' contains forbidden default placeholder pattern: '{id}'. {WHY}"
            ));
        }
        if PATTERNS.iter().any(|pattern| small.starts_with(pattern)) {
            return Err(format!("Field 'user_id' contains forbidden placeholder pattern: '{id}'. {WHY}"));
        }
    }
    Ok(())
}
