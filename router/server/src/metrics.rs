//! The router's counters as OpenMetrics text, built anew for each scrape: nothing is counted twice.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::ConstGauge},
    registry::Registry,
};
use router::{BuiltIn, Pool, QueueStats, Stats, handlers::HandlerStats};

/// What only the shell can count.
#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    /// Sockets accepted from the operating system.
    pub(crate) sockets: Tally,
    /// Upgraded, with a valid token.
    pub(crate) upgraded: Tally,
    /// Upgraded, without one.
    pub(crate) denied: Tally,
    /// Answered in plain HTTP.
    pub(crate) answered: Tally,
    /// Gone or too slow before anything could be answered; failed TLS too.
    pub(crate) lost: Tally,
}

/// A counter that tasks share.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The text of one scrape.
pub(crate) fn render(
    stats: &Stats,
    handlers: &[HandlerStats],
    pool: &Pool,
    queue: &QueueStats,
    door: &Doorbell,
    connections: usize,
    facade_calls: &BTreeMap<&'static str, u64>,
) -> String {
    let mut page = Page(Registry::with_prefix("goldenpath"));
    page.inbound(stats);
    page.outbound(stats);
    page.levels(stats, connections);
    page.dispatches(stats);
    page.quality(stats);
    page.deliveries(stats, pool);
    page.cluster(stats);
    page.queue(queue);
    page.by("kind", "messages", "Inbound messages by type", stats.by_kind());
    let by_handler = handlers.iter().map(|handler| {
        // Names of custom handlers are the host's own: they would make labels without bound.
        let name = handler.id.map_or(BuiltIn::from_name(&handler.name), |_| None);
        (name.map_or("custom", BuiltIn::name), handler.counts.total())
    });
    page.by("handler", "handler_messages", "Messages by the handler they came to", by_handler);
    page.by("code", "refusals", "Refusals by error code", stats.by_code());
    page.by("rule", "agent_refusals", "Agent reports refused, by rule", stats.by_rule());
    let calls = facade_calls.iter().map(|(facade, calls)| (*facade, *calls));
    page.by("facade", "compat_calls", "Calls of facades with the old names", calls);
    let handshakes = [
        ("upgraded", door.upgraded.read()),
        ("denied", door.denied.read()),
        ("answered", door.answered.read()),
        ("lost", door.lost.read()),
    ];
    page.by("outcome", "handshakes", "Sockets by how their first request ended", handshakes);
    page.by("state", "sockets", "Sockets", [("accepted", door.sockets.read())]);
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = encode(&mut text, &page.0);
    text
}

struct Page(Registry);

impl Page {
    fn inbound(&mut self, stats: &Stats) {
        let inbound = &stats.inbound;
        let outcomes = [
            ("received", inbound.received),
            ("handled", inbound.handled),
            ("unhandled", inbound.unhandled),
            ("handler_error", inbound.handler_errors),
            ("rejected", inbound.rejected),
            ("duplicate", inbound.duplicates),
        ];
        self.by("outcome", "inbound_frames", "Inbound frames by outcome", outcomes);
        let runs = &stats.runs;
        let ends = [
            ("started", runs.started),
            ("completed", runs.completed),
            ("failed", runs.failed),
            ("cancelled", runs.cancelled),
            ("timed_out", runs.timed_out),
            ("shut_down", runs.shut_down),
            ("lost", runs.lost),
        ];
        self.by("outcome", "runs", "Agent runs by outcome", ends);
        let tools = &stats.tools;
        let ends = [
            ("executed", tools.executed),
            ("completed", tools.completed),
            ("failed", tools.failed),
            ("timed_out", tools.timed_out),
            ("cancelled", tools.cancelled),
            ("refused", tools.refused),
        ];
        self.by("outcome", "tool_calls", "Tool calls by outcome", ends);
        let connections = &stats.connections;
        let fates = [
            ("accepted", connections.accepted),
            ("refused", connections.refused),
            ("closed", connections.closed),
            ("slow", connections.slow),
        ];
        self.by("outcome", "connections", "Connections by outcome", fates);
        let oddities = [
            ("heartbeat", connections.heartbeats),
            ("stale_input", connections.stale_inputs),
            ("recovery_gap", connections.gaps),
            ("timestamp_replaced", inbound.timestamps_replaced),
            ("confirmation", stats.events.confirmations),
            ("confirmation_failed", stats.events.confirmations_failed),
            ("event_refused_foreign", stats.events.refused_foreign),
            ("event_refused_malformed", stats.events.refused_malformed),
        ];
        self.by("event", "router_events", "Other things that happened", oddities);
    }

    fn dispatches(&mut self, stats: &Stats) {
        let dispatches = &stats.dispatches;
        let outcomes = [
            ("offered", dispatches.offered),
            ("refused", dispatches.refused),
            ("dropped", dispatches.dropped),
            ("unrouted", dispatches.unrouted),
            ("routed", dispatches.routed),
        ];
        self.by("outcome", "dispatches", "Messages between services by outcome", outcomes);
    }

    fn quality(&mut self, stats: &Stats) {
        let quality = &stats.quality;
        let fates = [
            ("asked", quality.asked),
            ("answered", quality.answered),
            ("failed", quality.failed),
            ("timed_out", quality.timed_out),
            ("abandoned", quality.abandoned),
            ("stale_answer", quality.stale_answers),
        ];
        self.by("outcome", "quality_questions", "Questions to quality services by outcome", fates);
        let news = [
            ("sent", quality.news),
            ("refused", quality.news_refused),
            ("alert_raised", quality.alerts_raised),
        ];
        self.by("event", "quality_news", "Updates and alerts for the subscribers of quality", news);
    }

    fn outbound(&mut self, stats: &Stats) {
        let events = &stats.events;
        let fates = [
            ("offered", events.offered),
            ("delivered", events.delivered),
            ("expired", events.expired),
            ("gapped", events.gapped),
            ("kept", events.kept),
            ("refused", events.refused),
        ];
        self.by("outcome", "run_events", "Run events by outcome", fates);
        let frames = &stats.frames;
        let fates = [
            ("offered", frames.offered),
            ("written", frames.written),
            ("dropped", frames.dropped),
            ("encoded", frames.encoded),
            ("replayed", frames.replayed),
        ];
        self.by("outcome", "outbound_frames", "Outbound frames by outcome", fates);
        self.by("state", "outbound_bytes", "Bytes of outbound frames", [("offered", frames.bytes)]);
    }

    fn cluster(&mut self, stats: &Stats) {
        let cluster = &stats.cluster;
        let fates = [
            ("offered", cluster.offered),
            ("admitted", cluster.admitted),
            ("duplicate", cluster.duplicates),
            ("refused", cluster.refused),
            ("unknown_told", cluster.unknown_told),
        ];
        self.by("outcome", "store_messages", "Messages to the shared store by outcome", fates);
        let fates =
            [("emitted", cluster.emitted), ("logged", cluster.logged), ("given_up", cluster.given_up)];
        self.by("outcome", "store_events", "Events to the shared store by outcome", fates);
        let fates = [
            ("made", cluster.requests),
            ("made_again", cluster.repeated),
            ("troubled", cluster.troubled),
            ("stale_answer", cluster.stale_answers),
        ];
        self.by("outcome", "store_requests", "Requests to the shared store by outcome", fates);
        let oddities = [
            ("wake", cluster.wakes),
            ("repeat", cluster.repeats),
            ("fetch", cluster.fetches),
            ("unreadable", cluster.unreadable),
            ("store_regressed", cluster.store_regressed),
            ("taken_over", cluster.taken_over),
            ("run_lost", cluster.run_lost),
            ("fenced", cluster.fenced),
        ];
        self.by("event", "store_happenings", "Other things that happened with the shared store", oddities);
    }

    fn queue(&mut self, queue: &QueueStats) {
        let account = &queue.account;
        let fates = [
            ("offered", account.offered),
            ("duplicate", account.duplicates),
            ("refused", account.refused),
            ("delivered", account.delivered),
            ("dead", account.dead),
        ];
        self.by("outcome", "queue_messages", "Messages that waited, by outcome", fates);
        self.by("what", "queue_notices", "Notices of dead letters", [("dead_letters", queue.notices)]);
        self.level("queue_runs_waiting", "Runs that wait for an agent", queue.runs_waiting);
        self.level("queue_agents_working", "Agents at work under a lease", u64::from(queue.agents_working));
        self.level("queue_held_bytes", "Bytes held for connections in set-up", queue.held_bytes);
        self.level("queue_dead_letters", "Dead letters kept", queue.letters);
        self.level("queue_users", "Users of whom anything waits or is kept", queue.users);
    }

    fn deliveries(&mut self, stats: &Stats, pool: &Pool) {
        let deliveries = &stats.deliveries;
        let fates = [
            ("requested", deliveries.requested),
            ("admitted", deliveries.admitted),
            ("refused", deliveries.refused),
        ];
        self.by("outcome", "deliveries", "Deliveries of the host by outcome", fates);
        let fates = [
            ("attempted", deliveries.attempted),
            ("delivered", deliveries.delivered),
            ("failed", deliveries.failed),
        ];
        self.by("outcome", "delivered_frames", "Connections addressed by deliveries with a receipt", fates);
        self.by("reason", "deliveries_refused", "Deliveries refused, by reason", stats.by_refusal());
        self.level("receipts_open", "Receipts that wait for a connection", deliveries.receipts_open);
        self.level("connections_active", "Live connections that are not idle", pool.active);
        self.level("connections_served", "Live connections that got a frame in the idle time", pool.served);
        // Without a connection none is idle either.
        let efficiency = pool.efficiency_percent().unwrap_or(100.0) / 100.0;
        let help = "Share of the live connections that got a frame in the idle time";
        self.0.register("connection_pool_efficiency_ratio", help, ConstGauge::new(efficiency));
    }

    fn levels(&mut self, stats: &Stats, connections: usize) {
        self.level("connections_open", "Open or closing connections", stats.connections.open);
        self.level("sockets_open", "Sockets in the shell's table", connections as u64);
        self.level("users", "Users that anything is kept of", stats.connections.users);
        self.level("runs_open", "Runs that have not ended", stats.runs.open);
        self.level("tool_dispatchers", "Runs with a tool dispatcher", stats.tools.active);
        self.level("tool_calls_in_flight", "Tools at work", stats.tools.in_flight);
        self.level("inbound_held", "Frames held during set-up", stats.inbound.held);
        self.level("events_waiting", "Run events in the recovery window", stats.events.waiting);
        self.level("frames_in_flight", "Frames handed to a socket, not yet written", stats.frames.in_flight);
        self.level("store_events_waiting", "Events on their way into the shared log", stats.cluster.pending);
        self.level(
            "store_messages_in_doubt",
            "Messages that the store has not answered",
            stats.cluster.in_doubt,
        );
        self.level("frames_queued", "Frames behind a slow socket", stats.frames.queued);
    }

    fn by(
        &mut self,
        label: &'static str,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (&'static str, u64)>,
    ) {
        let family = Family::<[(&'static str, &'static str); 1], Counter>::default();
        for (value, count) in values {
            family.get_or_create(&[(label, value)]).inc_by(count);
        }
        self.0.register(name, help, family);
    }

    fn level(&mut self, name: &str, help: &str, value: u64) {
        self.0.register(name, help, ConstGauge::new(value as i64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_names_counters_and_levels() {
        let mut stats = Stats::default();
        stats.inbound.received = 3;
        stats.runs.open = 2;
        let pool = Pool { connections: 4, served: 3, ..Pool::default() };
        let calls = BTreeMap::from([("MessageRouter", 2)]);
        let text = render(
            &stats,
            &[],
            &pool,
            &QueueStats { letters: 5, ..QueueStats::default() },
            &Doorbell::default(),
            1,
            &calls,
        );
        assert!(text.contains("goldenpath_compat_calls_total{facade=\"MessageRouter\"} 2"), "{text}");
        assert!(text.contains("goldenpath_inbound_frames_total{outcome=\"received\"} 3"));
        assert!(text.contains("goldenpath_connection_pool_efficiency_ratio 0.75"), "{text}");
        assert!(text.contains("goldenpath_queue_dead_letters 5"), "{text}");
        assert!(text.contains("goldenpath_runs_open 2") && text.ends_with("# EOF\n"));
    }
}
