//! Outcome accounting: every inbound frame and every outbound event ends in exactly one place, and the sums
//! hold after every input ([`Stats::check`]).

use alloc::{format, string::String};

use crate::{contract::DeliveryRefusal, error::ErrorCode, message::Kind, run::Rule, tools::ToolStats};

/// How an inbound frame ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// A handler took it.
    Handled,
    /// Nobody took it; it was acknowledged, or answered `AGENT_UNAVAILABLE`.
    Unhandled,
    /// Its handler failed.
    HandlerError,
    /// It was refused with a code.
    Rejected,
}

/// Inbound frames. `received = handled + unhandled + handler_errors + rejected + held`, and
/// `routed = unknown + the counts per type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inbound {
    /// Text and binary frames from clients.
    pub received: u64,
    /// Taken by a handler.
    pub handled: u64,
    /// Acknowledged, taken by nobody.
    pub unhandled: u64,
    /// Failed in a handler.
    pub handler_errors: u64,
    /// Refused with a code.
    pub rejected: u64,
    /// Passed the checks and came to a handler, or were of an unknown type.
    pub routed: u64,
    /// Of an unknown type.
    pub unknown: u64,
    /// Waiting for the end of their connection's set-up (a level, not a count).
    pub held: u64,
    /// Timestamps that the router's clock replaced.
    pub timestamps_replaced: u64,
    /// Repeats of a message id, answered without a second run.
    pub duplicates: u64,
}

/// Events of runs and deliveries that pass through a user's log, and what was refused. `offered = delivered + expired + gapped + kept + refused + waiting`.
///
/// Of a node of several, an event is offered here when it arrives from the shared log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Reported by agents, made by the router for a run, or delivered by the host; once for each user.
    pub offered: u64,
    /// Written to every connection that was there, or to the first that came back.
    pub delivered: u64,
    /// Given up: nobody came back within the recovery window.
    pub expired: u64,
    /// Given up: newer events needed the room; announced by `recovery_gap`.
    pub gapped: u64,
    /// Let go when the user's last connection here went: the shared store keeps them.
    pub kept: u64,
    /// Refused: the run's automaton forbade them, a delivery was not admitted, or one of the next two.
    pub refused: u64,
    /// Of `refused`: named another user, thread, run or request.
    pub refused_foreign: u64,
    /// Of `refused`: given as JSON, and not what an event can be.
    pub refused_malformed: u64,
    /// Of `refused`: its run's events wait for the shared store, and there are too many.
    pub refused_overrun: u64,
    /// In the recovery window, not yet settled (a level, not a count).
    pub waiting: u64,
    /// Confirmations from clients; each may cover many events.
    pub confirmations: u64,
    /// Confirmations that said `failed`: nothing was acknowledged.
    pub confirmations_failed: u64,
}

/// Frames per connection. `offered = written + dropped + in_flight + queued`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Addressed to a connection.
    pub offered: u64,
    /// Handed to the operating system.
    pub written: u64,
    /// Lost with their connection, or left out for a reader too slow.
    pub dropped: u64,
    /// Handed to a socket, not yet written (a level).
    pub in_flight: u64,
    /// Waiting behind a socket (a level).
    pub queued: u64,
    /// Times a frame was encoded; a fan-out encodes once.
    pub encoded: u64,
    /// Bytes of `offered`.
    pub bytes: u64,
    /// Frames flagged `recovered`.
    pub replayed: u64,
}

/// Runs. `started = completed + failed + cancelled + timed_out + shut_down + lost + open`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Handed to an agent.
    pub started: u64,
    /// Ended with `agent_completed`.
    pub completed: u64,
    /// Ended with the agent's own `agent_error`.
    pub failed: u64,
    /// Stopped by the user.
    pub cancelled: u64,
    /// Ended by their deadline.
    pub timed_out: u64,
    /// Ended by the drain.
    pub shut_down: u64,
    /// Given up by this node of several: not taken in, in doubt for too long, or another node's by now.
    pub lost: u64,
    /// Not ended (a level).
    pub open: u64,
}

/// Connections and users. `accepted = closed + open`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Became connections.
    pub accepted: u64,
    /// Turned away: no valid token, too many, drain.
    pub refused: u64,
    /// Gone.
    pub closed: u64,
    /// Open or closing (a level).
    pub open: u64,
    /// Users that the router keeps anything of (a level).
    pub users: u64,
    /// Closed by the router as too slow.
    pub slow: u64,
    /// Heartbeats sent.
    pub heartbeats: u64,
    /// Inputs that named a connection or run that is no more; normal in races, never acted upon.
    pub stale_inputs: u64,
    /// Gaps announced to clients.
    pub gaps: u64,
    /// Closed by a sweep as idle.
    pub idle: u64,
}

/// Deliveries of the host. `requested = admitted + refused`; for those whose receipt was asked for,
/// `receipts_opened = receipts_given + receipts_open`, and over their connections
/// `attempted = delivered + failed + awaited`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// Asked for.
    pub requested: u64,
    /// Addressed to whoever was there, or put by.
    pub admitted: u64,
    /// Refused as a whole.
    pub refused: u64,
    /// Receipts promised.
    pub receipts_opened: u64,
    /// Receipts handed out.
    pub receipts_given: u64,
    /// Of these, deliveries that at least one connection has.
    pub receipts_reached: u64,
    /// Of those handed out, the ones without an account because too many were open.
    pub receipts_uncounted: u64,
    /// Receipts that wait for a connection (a level).
    pub receipts_open: u64,
    /// Connections addressed.
    pub attempted: u64,
    /// Connections whose frame was handed to the operating system.
    pub delivered: u64,
    /// Connections that did not get it.
    pub failed: u64,
    /// Connections not yet known to have it (a level).
    pub awaited: u64,
}

impl Deliveries {
    /// Share of the addressed connections that got their frame, of those that are settled, in percent; 0 when there are
    /// none.
    pub fn success_percent(&self) -> f64 {
        let settled = self.delivered + self.failed;
        if settled == 0 { 0.0 } else { self.delivered as f64 * 100.0 / settled as f64 }
    }
}

/// Messages between services. `offered = refused + dropped + unrouted + routed`, and of those not refused, each is
/// either `kept` or `forgotten`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dispatches {
    /// Handed in, and done with.
    pub offered: u64,
    /// Not dispatched: no message, or the router drains.
    pub refused: u64,
    /// Ended by a middleware.
    pub dropped: u64,
    /// Nobody listened at the destination.
    pub unrouted: u64,
    /// Given to the handlers of a route.
    pub routed: u64,
    /// Calls of handlers.
    pub calls: u64,
    /// Those of them that failed.
    pub calls_failed: u64,
    /// In a history (a level).
    pub kept: u64,
    /// In no history any more: for newer ones, with their user, or because they were never kept.
    pub forgotten: u64,
}

/// Questions to quality services, and news. `asked = answered + failed + timed_out + abandoned + open`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Questions asked.
    pub asked: u64,
    /// Answered in time, and short enough.
    pub answered: u64,
    /// The service failed, or its answer was too long.
    pub failed: u64,
    /// The service did not answer in time.
    pub timed_out: u64,
    /// Given up with their user, or by the drain.
    pub abandoned: u64,
    /// Not answered yet (a level).
    pub open: u64,
    /// Answers to a question that was not open any more; never acted upon.
    pub stale_answers: u64,
    /// Updates and alerts for the subscribers.
    pub news: u64,
    /// Alerts of a host that were no object, and news too long for a frame.
    pub news_refused: u64,
    /// Alerts that the embedded monitor raised.
    pub alerts_raised: u64,
}

/// What a node of several has to do with the shared store. `emitted = logged + given_up + pending` and
/// `offered = admitted + duplicates + refused + in_doubt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Messages that were to be taken in.
    pub offered: u64,
    /// Taken in: their run is open, and outlives this node.
    pub admitted: u64,
    /// Taken in before, here or elsewhere.
    pub duplicates: u64,
    /// Not taken in.
    pub refused: u64,
    /// Not yet answered by the store (a level).
    pub in_doubt: u64,
    /// Senders that were told that the outcome is not known.
    pub unknown_told: u64,
    /// Events on their way into the log.
    pub emitted: u64,
    /// Events that are in the log.
    pub logged: u64,
    /// Events whose run another node owns by now, or that the store does not take.
    pub given_up: u64,
    /// Events not yet in the log (a level).
    pub pending: u64,
    /// Requests made, those made again included.
    pub requests: u64,
    /// Requests made again.
    pub repeated: u64,
    /// Requests without an answer: not carried out, or nobody knows.
    pub troubled: u64,
    /// Answers to no open request, or of another kind than was asked for; never acted upon.
    pub stale_answers: u64,
    /// Wakes received.
    pub wakes: u64,
    /// Events that had arrived before.
    pub repeats: u64,
    /// Times that missing events were read from the log.
    pub fetches: u64,
    /// Events of the log that cannot be read: another version's, or damaged.
    pub unreadable: u64,
    /// Times that the store was found to have lost the tail of a user's log, by the node that had its cursors raised.
    pub store_regressed: u64,
    /// Runs taken over from a dead node: ended there, or executed again here.
    pub taken_over: u64,
    /// Of these, ended as lost: `agent_error` with the code `NODE_LOST`.
    pub run_lost: u64,
    /// Runs of this node that another node took over.
    pub fenced: u64,
}

/// All counters of a router. Plain values: reading them changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Inbound frames.
    pub inbound: Inbound,
    /// Run events.
    pub events: Events,
    /// Frames per connection.
    pub frames: Frames,
    /// Runs.
    pub runs: Runs,
    /// Connections and users.
    pub connections: Connections,
    /// Messages between services.
    pub dispatches: Dispatches,
    /// Tool calls and their dispatchers.
    pub tools: ToolStats,
    /// Quality services.
    pub quality: Quality,
    /// Deliveries of the host.
    pub deliveries: Deliveries,
    /// Of a node of several: what goes to the shared store and comes from it.
    pub cluster: Cluster,
    by_refusal: [u64; DeliveryRefusal::ALL.len()],
    by_kind: [u64; Kind::ALL.len()],
    by_code: [u64; ErrorCode::ALL.len()],
    by_rule: [u64; Rule::ALL.len()],
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            inbound: Inbound::default(),
            events: Events::default(),
            frames: Frames::default(),
            runs: Runs::default(),
            connections: Connections::default(),
            dispatches: Dispatches::default(),
            tools: ToolStats::default(),
            quality: Quality::default(),
            deliveries: Deliveries::default(),
            cluster: Cluster::default(),
            by_refusal: [0; DeliveryRefusal::ALL.len()],
            by_kind: [0; Kind::ALL.len()],
            by_code: [0; ErrorCode::ALL.len()],
            by_rule: [0; Rule::ALL.len()],
        }
    }
}

impl Stats {
    /// Inbound messages per recognised type, by canonical wire name; types never seen are left out.
    pub fn by_kind(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Kind::ALL
            .iter()
            .map(|kind| (kind.name(), self.by_kind[*kind as usize]))
            .filter(|(_, count)| *count > 0)
    }

    /// Refusals per code; codes never used are left out.
    pub fn by_code(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ErrorCode::ALL
            .iter()
            .map(|code| (code.name(), self.by_code[*code as usize]))
            .filter(|(_, count)| *count > 0)
    }

    /// Refused agent reports per rule; rules never broken are left out.
    pub fn by_rule(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Rule::ALL
            .iter()
            .map(|rule| (rule.name(), self.by_rule[*rule as usize]))
            .filter(|(_, count)| *count > 0)
    }

    /// Refused deliveries per reason; reasons never met are left out.
    pub fn by_refusal(&self) -> impl Iterator<Item = (&'static str, u64)> {
        DeliveryRefusal::ALL
            .iter()
            .map(|refusal| (refusal.name(), self.by_refusal[*refusal as usize]))
            .filter(|(_, count)| *count > 0)
    }

    /// Whether all sums hold; if not, the equation that broke, with its numbers. Costs a few additions: it is asked after
    /// every step of a simulation, so all equations are looked at together, and one by one only if any is broken.
    pub fn check(&self) -> Result<(), String> {
        let mut difference = 0;
        self.equations(|_, whole, parts| difference |= whole ^ parts);
        if difference == 0 { Ok(()) } else { Err(self.first_imbalance()) }
    }

    #[cold]
    fn first_imbalance(&self) -> String {
        let mut told = String::new();
        self.equations(|name, whole, parts| {
            if told.is_empty() && whole != parts {
                told = format!("{name}: {whole} came in, {parts} accounted for");
            }
        });
        told
    }

    /// What is counted twice, as a whole and in parts: name, whole, sum of the parts.
    #[inline]
    fn equations(&self, mut balance: impl FnMut(&'static str, u64, u64)) {
        let Self {
            cluster: s,
            inbound: i,
            events: e,
            frames: f,
            runs: r,
            connections: c,
            deliveries,
            dispatches: d,
            tools: t,
            quality: q,
            ..
        } = self;
        balance("messages to the store", s.offered, s.admitted + s.duplicates + s.refused + s.in_doubt);
        balance("events to the store", s.emitted, s.logged + s.given_up + s.pending);
        balance("inbound", i.received, i.handled + i.unhandled + i.handler_errors + i.rejected + i.held);
        balance("routed", i.routed, i.unknown + self.by_kind.iter().sum::<u64>());
        balance("events", e.offered, e.delivered + e.expired + e.gapped + e.kept + e.refused + e.waiting);
        balance(
            "refused events",
            e.refused,
            e.refused_foreign
                + e.refused_malformed
                + e.refused_overrun
                + deliveries.refused
                + self.by_rule.iter().sum::<u64>(),
        );
        balance("frames", f.offered, f.written + f.dropped + f.in_flight + f.queued);
        balance(
            "runs",
            r.started,
            r.completed + r.failed + r.cancelled + r.timed_out + r.shut_down + r.lost + r.open,
        );
        balance("connections", c.accepted, c.closed + c.open);
        balance("dispatches", d.offered, d.refused + d.dropped + d.unrouted + d.routed);
        balance("histories", d.offered, d.refused + d.kept + d.forgotten);
        balance("tool calls", t.executed, t.completed + t.failed + t.timed_out + t.cancelled + t.in_flight);
        balance("dispatchers", t.created, t.closed + t.active);
        balance("quality", q.asked, q.answered + q.failed + q.timed_out + q.abandoned + q.open);
        balance("deliveries", deliveries.requested, deliveries.admitted + deliveries.refused);
        balance("receipts", deliveries.receipts_opened, deliveries.receipts_given + deliveries.receipts_open);
        balance(
            "addressed connections",
            deliveries.attempted,
            deliveries.delivered + deliveries.failed + deliveries.awaited,
        );
    }

    /// A delivery that was refused: one event, and nobody's.
    pub(crate) fn count_refusal(&mut self, refusal: DeliveryRefusal) {
        self.by_refusal[refusal as usize] += 1;
        self.deliveries.refused += 1;
        self.events.offered += 1;
        self.events.refused += 1;
    }

    pub(crate) fn count_kind(&mut self, kind: Kind) {
        self.by_kind[kind as usize] += 1;
    }

    pub(crate) fn count_code(&mut self, code: ErrorCode) {
        self.by_code[code as usize] += 1;
    }

    pub(crate) fn count_rule(&mut self, rule: Rule) {
        self.by_rule[rule as usize] += 1;
    }

    pub(crate) fn count_outcome(&mut self, outcome: Outcome) {
        let slot = match outcome {
            Outcome::Handled => &mut self.inbound.handled,
            Outcome::Unhandled => &mut self.inbound.unhandled,
            Outcome::HandlerError => &mut self.inbound.handler_errors,
            Outcome::Rejected => &mut self.inbound.rejected,
        };
        *slot += 1;
    }
}
