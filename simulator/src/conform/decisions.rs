//! Decisions that recorded cases contradict, as far as more than one unit meets them. See `docs/conformance.md`.

use super::Decision;

/// A decision of the contract.
const fn of_the_contract(name: &'static str, demands: &'static str) -> Decision {
    Decision { name, demands, added: false }
}

/// An unknown type is acknowledged, cut at 64 characters, and counted unhandled.
pub(super) const UNKNOWN_TYPE: Decision =
    of_the_contract("unknown-type", "acknowledged with the type cut at 64 characters, counted unhandled");
/// A frame that is malformed gets an error frame with a stable code.
pub(super) const MALFORMED: Decision =
    of_the_contract("malformed", "an error frame with a stable code, counted rejected");
/// Ids of other users are refused.
pub(super) const FOREIGN_IDS: Decision =
    of_the_contract("foreign-ids", "refused with FOREIGN_USER_ID or BAD_FIELD; outbound, refused");
/// Timestamps that are no time are replaced by the router's clock.
pub(super) const TIMESTAMPS: Decision =
    of_the_contract("timestamps", "replaced by the router's clock and counted, never a refusal");
/// Numbers, nesting and texts have limits.
pub(super) const LIMITS: Decision = of_the_contract("limits", "refused with the code of the limit");
/// Without an agent, chat is answered.
pub(super) const NO_AGENT: Decision =
    of_the_contract("no-agent", "answered AGENT_UNAVAILABLE, counted unhandled");
