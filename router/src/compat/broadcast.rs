//! `WebSocketBroadcastService`: events to all connections of a user, and an account of them.

use alloc::{format, string::String, vec::Vec};

use serde_json::{Map, Value, json};

use super::{
    Over, Pending, Uses,
    lent::{facade, used},
    pending::Sent,
};
use crate::contract::{Context, DeliveryRefusal, Instant, Receipt, Target};

const METHODS: &[&str] = &["broadcast_to_user", "get_stats", "update_feature_flag"];

/// The old flags. They are kept and shown, and decide about nothing: there is no stage left that could be switched off.
const FLAGS: [&str; 3] =
    ["enable_contamination_detection", "enable_performance_monitoring", "enable_comprehensive_logging"];

/// What became of a broadcast, under the old names. The counts are of frames handed to the operating system.
#[deprecated(since = "0.1.0", note = "use `router::Receipt`")]
#[derive(Clone, Debug, PartialEq)]
pub struct BroadcastResult {
    /// To whom it went.
    pub user_id: String,
    /// Connections that were there.
    pub connections_attempted: u32,
    /// Those of them that have it.
    pub successful_sends: u32,
    /// 1 when the user is away and it is kept; the old service took that for a success.
    pub queued: u32,
    /// The event's `type` as it was given; `unknown` when it had none.
    pub event_type: Value,
    /// When it was sent.
    pub timestamp: Instant,
    /// What went wrong, a text for each connection that missed it and for a refusal.
    pub errors: Vec<String>,
}

impl BroadcastResult {
    /// Share of the connections that have it, percent; 0 when there was none.
    #[deprecated(since = "0.1.0", note = "use `router::Receipt::success_percent`")]
    pub fn success_rate(&self) -> f64 {
        if self.connections_attempted == 0 {
            return 0.0;
        }
        f64::from(self.successful_sends) * 100.0 / f64::from(self.connections_attempted)
    }

    /// Whether somebody has it.
    #[deprecated(since = "0.1.0", note = "use `router::Receipt::delivered`")]
    pub const fn is_successful(&self) -> bool {
        self.successful_sends > 0
    }
}

/// The service that sends events to users. Its own state are three flags without meaning, and the count of its uses.
#[deprecated(since = "0.1.0", note = "hand `router::Input::Deliver` to `router::Router::handle`")]
#[derive(Clone, Debug)]
pub struct WebSocketBroadcastService {
    uses: Uses,
    flags: [bool; FLAGS.len()],
}

facade!(WebSocketBroadcastService);

impl WebSocketBroadcastService {
    /// A facade; it may be made as often as one likes.
    #[deprecated(since = "0.1.0", note = "use `router::Router::new`, once per server")]
    pub fn new() -> Self {
        Self { uses: Uses::new("WebSocketBroadcastService", METHODS), flags: [true; FLAGS.len()] }
    }

    /// Sets a flag; `false` when there is none of that name.
    #[deprecated(since = "0.1.0", note = "leave it out: the flags decide about nothing")]
    pub fn update_feature_flag(&mut self, flag: &str, on: bool) -> bool {
        self.uses.note("update_feature_flag");
        let at = FLAGS.iter().position(|name| *name == flag);
        if let Some(slot) = at.and_then(|at| self.flags.get_mut(at)) {
            *slot = on;
        }
        at.is_some()
    }
}

impl Default for WebSocketBroadcastService {
    fn default() -> Self {
        Self::new()
    }
}

impl Over<'_, '_, WebSocketBroadcastService> {
    /// Sends an event to all connections of a user; it is kept for one who is away.
    #[deprecated(
        since = "0.1.0",
        note = "hand `router::Input::Deliver` with `router::Target::User` to `router::Router::handle`"
    )]
    pub fn broadcast_to_user(&mut self, user: &str, event: &Value) -> Pending<BroadcastResult> {
        let (_, lent) = used(self, "broadcast_to_user");
        let receipt = lent.deliver(Target::User(user), Context::default(), event);
        Pending::new(receipt, user, lent.now, result)
    }

    /// The router's deliveries, those of all facades and of the host itself, under the old keys.
    #[deprecated(since = "0.1.0", note = "use `router::Stats::deliveries`")]
    pub fn get_stats(&mut self) -> Value {
        let (facade, lent) = used(self, "get_stats");
        let stats = lent.router.stats();
        let all = &stats.deliveries;
        let foreign = DeliveryRefusal::ForeignUser.name();
        let prevented = stats.by_refusal().find(|(name, _)| *name == foreign).map_or(0, |(_, count)| count);
        let flags: Map<String, Value> =
            FLAGS.iter().zip(facade.flags).map(|(name, on)| ((*name).into(), on.into())).collect();
        let per = |sum: u64, count: u64| if count == 0 { 0.0 } else { sum as f64 / count as f64 };
        json!({
            "service_info": {
                "name": "WebSocketBroadcastService",
                "version": "1.0.0",
                "purpose": "a facade over router::Router",
                "replaces": [
                    "WebSocketEventRouter.broadcast_to_user",
                    "UserScopedWebSocketEventRouter.broadcast_to_user",
                    "broadcast_user_event",
                ],
            },
            "broadcast_stats": {
                "total_broadcasts": all.requested,
                "successful_broadcasts": all.receipts_reached,
                "failed_broadcasts": all.receipts_given - all.receipts_reached + all.refused,
                "total_connections_attempted": all.attempted,
                "total_successful_sends": all.delivered,
                "cross_user_contamination_prevented": prevented,
            },
            "performance_metrics": {
                "success_rate_percentage": all.success_percent(),
                "average_connections_per_broadcast": per(all.attempted, all.admitted),
                "average_successful_sends_per_broadcast": per(all.delivered, all.receipts_reached),
            },
            "security_metrics": { "cross_user_contamination_prevented": prevented },
            "feature_flags": flags,
            "compat_uses": facade.uses.json(),
        })
    }
}

fn result(sent: &Sent, receipt: &Receipt) -> BroadcastResult {
    let mut errors: Vec<String> =
        receipt.failed.iter().map(|(conn, why)| format!("connection {}: {why:?}", conn.index())).collect();
    errors.extend(receipt.refused.map(|why| format!("refused: {}", why.name())));
    if receipt.uncounted {
        errors.push("sent, and not counted: too many receipts are open".into());
    }
    BroadcastResult {
        user_id: sent.user.clone(),
        connections_attempted: receipt.attempted,
        successful_sends: receipt.delivered,
        queued: receipt.queued,
        event_type: serde_json::from_str(&receipt.event_type).unwrap_or_default(),
        timestamp: sent.at,
        errors,
    }
}
