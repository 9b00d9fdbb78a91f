//! Decisions that recorded tool calls contradict. See `docs/conformance.md`.

use crate::conform::Decision;

/// Plans are ordered.
pub(super) const PLANS: Decision = Decision {
    name: "ordered-plans",
    demands: "plan enterprise is cleared for PREMIUM, whatever its name contains",
    added: false,
};
/// Deadlines apply.
pub(super) const DEADLINE: Decision = Decision {
    name: "tool-deadline",
    demands: "a tool is given up after 30 s: `Timeout after 30000ms`, status timeout, recoverable",
    added: false,
};
/// Figures add up.
pub(super) const METRICS: Decision = Decision {
    name: "tool-metrics",
    demands: "executed = successful + failed + in flight, counted from the answers given",
    added: false,
};
/// Keys are texts.
pub(super) const JSON_KEYS: Decision = Decision {
    name: "json-keys",
    demands: "a key of a JSON object is a text: nothing to be found",
    added: true,
};
