//! Checkers: what must hold, judged from what clients send and receive and from nothing else, so that the world
//! and the load test share them. Each rule is written from the contract, never from the router's code.
//!
//! | module | rules |
//! |---|---|
//! | `isolation` | `iso.I1`, `iso.I2` |
//! | `notices` | `iso.I5`, `deliver.I2` |
//! | `order` | `run.R1` to `run.R7` |
//! | `delivery` | `deliver.I2`, `deliver.I3`, `deliver.I4` |
//! | `golden_path` | `golden.incomplete`, `golden.terminal`, `golden.answer`, `golden.late`, `golden.setup`, `golden.unasked`, `golden.twice`, `golden.value`, `live.pending`, `iso.I4`, `wire.echo`, `wire.internals` |
//! | [`bounds`] | `bounds.queue`, `bounds.memory`, `account.D10`, `iso.figures`, and what else a subject says of itself |
//! | `journeys` | `objective.journey.*`, as far as a scenario declares journeys |
//! | here | `wire.invalid`, `wire.type`, `golden.closed` |
//! | the world, at the end of a scenario with faults | `live.pending`, `live.delivery`, `live.connection` |
//! | the world, for host and agents | `deliver.receipt`, `tools.answer`, `tools.late`, `drain.accepts`, `drain.late` |
//!
//! Where a scenario has faults, some of them forgive what a fault explains: `tolerance` has the table.

pub mod bounds;
mod cases;
mod delivery;
mod golden_path;
mod isolation;
mod journey;
mod journeys;
mod ledger;
mod notices;
mod order;
mod per_tab;
#[cfg(test)]
mod tests;
mod tolerance;

use reports::{Domain, Finding, Timeline};

use crate::client::Verdict;
use crate::dialect::{DecodeError, FrameKind, ServerFrame};
use crate::faults::NodeClock;
use crate::plan::{ActionKind, Plan};
use crate::projection::Projection;
use crate::scenario::Tier;

pub use cases::cases;
pub use journeys::JourneyTimes;
pub use ledger::{Breakdown, Counts, Ledger, Times};

/// What to watch, and how to read times.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The clock of all times handed in.
    pub domain: Domain,
    /// Start of the run on the server's clock, microseconds since the Unix epoch.
    pub epoch_us: u64,
    /// Findings to keep; the rest is counted.
    pub findings_max: usize,
    /// Users, from the first, whose timelines are kept.
    pub timelines: u32,
    /// Whether to keep what every run looked like, for comparing two worlds.
    pub projection: bool,
}

/// All checkers that need nothing but what clients see. Times are microseconds since the run began.
#[derive(Debug)]
pub struct Checkers {
    plan: Plan,
    watch: Watch,
    sessions: Vec<Option<Box<Session>>>,
    ledger: Ledger,
    timelines: timeline::Timelines,
    projection: Option<Projection>,
    /// Whether every client reads what comes at once.
    all_read: bool,
    /// Nodes so far that were replaced.
    node: u32,
    /// Whether the server promises that a message sent again starts no second run.
    dedupes: bool,
    /// What the server's clock shows, if it goes wrong.
    clock: Option<NodeClock>,
    /// How long the server remembers a message's id, microseconds of its clock.
    remembers_us: u64,
}

mod timeline;

/// One user, from the first connect to the last leave.
#[derive(Debug)]
pub(crate) struct Session {
    id: String,
    canary: String,
    /// How often each tab has connected.
    connections: per_tab::PerTab<u32>,
    isolation: isolation::Isolation,
    order: order::Order,
    delivery: delivery::Delivery,
    golden_path: golden_path::GoldenPath,
    journey: journey::Journey,
    notices: notices::Notices,
    tolerance: tolerance::Tolerance,
    /// The budget of liveness is spent: what is missing has been named.
    overdue: bool,
}

/// A frame that a tab received.
pub(crate) struct Seen<'a> {
    at_us: u64,
    id: &'a str,
    canary: &'a str,
    tab: u8,
    /// Tabs of the user.
    tabs: u8,
    connection: u32,
    text: &'a str,
    frame: &'a ServerFrame<'a>,
    verdict: Verdict,
    /// Keys of the frame's run, request and thread: most checkers look for one of them.
    run: u64,
    request: u64,
    thread: u64,
    /// What faults may have done to it: `tolerance` says what follows.
    touched: bool,
    disturbed: bool,
    /// Whether an answer may have found no room.
    crowded: bool,
    /// Whether the refusal, if it is one, needs no message that asked for it.
    forgiven: bool,
    /// Whether a run may end before it began because agents do not start.
    unstarted: bool,
    /// Whether the node may have been told to drain: it settles at once what it holds, and cuts runs short.
    drains: bool,
    /// Whether the server's clock may be ahead of ours.
    ahead: bool,
    /// What was sent before this, a server need not know again.
    forgets_us: u64,
    /// Whether nothing came to any of the user's tabs for as long as a server remembers who went away, and to this one since.
    away: bool,
    /// The node that it is from, as often as nodes were replaced before.
    node: u32,
}

impl Checkers {
    /// Checkers of a plan's users.
    pub fn new(plan: &Plan, watch: Watch) -> Self {
        Self {
            sessions: (0..plan.count()).map(|_| None).collect(),
            ledger: Ledger::new(watch.domain, watch.findings_max).of(plan.scenario()),
            timelines: timeline::Timelines::new(watch.timelines),
            projection: watch.projection.then(Projection::default),
            all_read: plan.all_read(),
            plan: plan.clone(),
            watch,
            node: 0,
            dedupes: true,
            clock: None,
            remembers_us: crate::world::router_config(plan.scenario()).dedupe_ttl_us,
        }
    }

    /// The same for a server that does, or does not, promise that a message sent again starts no second run.
    #[must_use]
    pub fn with_dedupe(self, dedupes: bool) -> Self {
        Self { dedupes, ..self }
    }

    /// The server's clock goes like this.
    pub(crate) fn clock_is(&mut self, clock: &NodeClock) {
        self.clock = Some(clock.clone());
    }

    /// The node was replaced by one that remembers nothing.
    pub(crate) fn node_died(&mut self) {
        self.node += 1;
    }

    /// The node of now took a tab's connection.
    pub(crate) fn accepted(&mut self, user: u32, tab: u8) {
        let node = self.node;
        self.session(user).tolerance.accepted(tab, node);
    }

    /// On the way of a tab's connection something did not arrive as it was sent.
    pub(crate) fn disturbed(&mut self, user: u32, tab: u8) {
        self.session(user).tolerance.disturbed(tab);
    }

    /// The socket of a tab's connection holds as many unwritten frames as it may.
    pub(crate) fn crowded(&mut self, user: u32, tab: u8) {
        self.session(user).tolerance.crowded(tab);
    }

    /// A tab sent a message again.
    pub(crate) fn repeated(&mut self, user: u32, tab: u8, action: &ActionKind) {
        if let ActionKind::Say(say) = action {
            self.session(user).golden_path.repeated(tab, say);
        }
        self.ledger.counts.messages_in += 1;
    }

    /// What a user waits for has been named: its absence is not named again.
    pub(crate) fn overdue(&mut self, user: u32) {
        self.session(user).overdue = true;
    }

    /// A tab connects, for the first time or again, with a cursor or without.
    pub fn connecting(&mut self, at_us: u64, user: u32, tab: u8, resume: Option<u64>) {
        let ready_after_us = self.plan.scenario().limits.ready_after_us();
        let session = self.session(user);
        let connections = session.connections.at(tab);
        *connections += 1;
        let again = *connections > 1;
        session.golden_path.connecting(tab, at_us + ready_after_us);
        session.delivery.connecting(tab, again, resume);
        session.journey.connecting(at_us, tab, again);
        session.tolerance.connecting(tab);
        self.ledger.counts.connections += 1;
        self.ledger.counts.reconnects += u64::from(again);
        self.timelines.mark(user, tab, at_us, if again { "reconnect" } else { "connect" });
    }

    /// A tab sent the message of an action. `tabs` is how many the user has in all.
    pub fn sent(&mut self, at_us: u64, user: u32, tab: u8, tabs: u8, action: &ActionKind) {
        let has_milestones = !self.ledger.journeys.is_empty();
        let session = self.session(user);
        session.golden_path.sent(at_us, tab, tabs, action);
        match action {
            ActionKind::Say(say) => {
                session.isolation.said(say);
                session.journey.said(at_us, tab, say, has_milestones);
                self.ledger.counts.runs += 1;
                self.timelines.mark(user, tab, at_us, say.kind.wire_type());
            }
            ActionKind::Stop { .. } => self.timelines.mark(user, tab, at_us, "stop_agent"),
            ActionKind::Typing { thread } => session.isolation.owns(thread),
            ActionKind::Quality(question) => {
                session.isolation.owns(&question.thread);
                if question.type_name == "subscribe_quality_alerts" {
                    session.notices.subscribed();
                }
            }
            ActionKind::Heartbeat => return,
            ActionKind::Ping
            | ActionKind::Unknown { .. }
            | ActionKind::Malformed(_)
            | ActionKind::Connect
            | ActionKind::Disconnect
            | ActionKind::Reconnect
            | ActionKind::StallReading { .. }
            | ActionKind::Leave => {}
        }
        self.ledger.counts.messages_in += 1;
    }

    /// The host sends an event to a user of so many tabs; `kept`: every tab gets it, be it away or not.
    pub fn notice(&mut self, user: u32, tabs: u8, number: u64, kept: bool) {
        let scenario = self.plan.scenario();
        let owed = kept && scenario.network.cursor && scenario.faults.is_empty();
        self.session(user).notices.sent(number, tabs, owed);
    }

    /// A tab confirmed what it received.
    pub fn confirmed(&mut self) {
        self.ledger.counts.messages_in += 1;
    }

    /// A tab received a frame; `verdict` is what its cursor rule said. `tabs` is how many the user has in all.
    #[expect(clippy::too_many_arguments, reason = "an observation is all of this")]
    pub fn received(
        &mut self,
        at_us: u64,
        user: u32,
        tab: u8,
        tabs: u8,
        text: &str,
        frame: &ServerFrame<'_>,
        verdict: Verdict,
    ) {
        let recovery_us = self.plan.scenario().limits.recovery_ttl_us();
        self.session(user);
        let Some(Some(session)) = self.sessions.get_mut(user as usize) else { return };
        let Session {
            id,
            canary,
            connections,
            isolation,
            order,
            delivery,
            golden_path,
            journey,
            notices,
            tolerance,
            overdue: _,
        } = &mut **session;
        let connection = connections.get(tab).copied().unwrap_or_default();
        let [run, request, thread] = [frame.run_id, frame.request_id, frame.thread_id].map(key_of);
        let is_welcome = matches!(frame.kind, FrameKind::Welcome { .. });
        let epoch_us = self.watch.epoch_us;
        let stamp = if tolerance.touched(at_us) { frame.emitted_at_us() } else { None };
        let now_us = || self.clock.as_ref().map_or(at_us, |clock| clock.shows(at_us));
        let made_us = stamp.and_then(|us| us.checked_sub(epoch_us)).unwrap_or_else(now_us);
        let seen = Seen {
            at_us,
            id,
            canary,
            tab,
            tabs,
            connection,
            text,
            frame,
            verdict,
            run,
            request,
            thread,
            touched: tolerance.touched(at_us),
            disturbed: tolerance.is_disturbed(tab),
            crowded: tolerance.crowds(at_us, tab),
            forgiven: tolerance.forgives(at_us, frame.error_code),
            unstarted: tolerance.services_away && tolerance.touched(at_us),
            drains: tolerance.deploys && tolerance.touched(at_us),
            ahead: self.clock.is_some(),
            forgets_us: match &self.clock {
                None => at_us.saturating_sub(self.remembers_us),
                Some(clock) => clock.when(clock.shows(at_us).saturating_sub(self.remembers_us)),
            },
            away: tolerance.silent(made_us, tab, recovery_us, is_welcome) && tolerance.touched(at_us),
            node: tolerance.node_of(tab),
        };
        let ledger = &mut self.ledger;
        ledger.count(frame, text.len());
        isolation.received(&seen, ledger);
        notices.received(&seen, ledger);
        delivery.received(&seen, ledger);
        golden_path.answered(&seen, self.all_read, ledger);
        if frame.kind == FrameKind::Other {
            let detail = format!("`{}` is no type that the contract names", frame.type_name);
            ledger.push(seen.finding("wire.type", "wire", detail));
        }
        if matches!(verdict, Verdict::Repeat | Verdict::Hole) {
            return;
        }
        if delivery.is_torn_by(&seen) {
            order.torn(tab);
            golden_path.torn(tab);
        }
        journey.received(&seen, epoch_us, self.clock.as_ref(), ledger);
        if let FrameKind::Event(event) = frame.kind {
            ledger.counts.events += 1;
            order.received(&seen, event, ledger);
            golden_path.received(&seen, event, self.dedupes, ledger);
            self.timelines.event(user, tab, at_us, event, frame);
            if let Some(projection) = self.projection.as_mut().filter(|_| tab == 0) {
                projection.event(id, event, frame);
            }
        }
    }

    /// A tab received something that is no frame of the dialect.
    pub fn invalid(&mut self, at_us: u64, user: u32, tab: u8, text: &str, error: DecodeError) {
        let head: String = text.chars().take(80).collect();
        let detail = format!("{error}: {head}");
        let mut finding = self.finding("wire.invalid", "wire", at_us, user, &detail);
        finding.connection = Some(self.connection_name(user, tab));
        self.ledger.push(finding);
    }

    /// The server closed a connection or turned it away, which no plan asks for.
    pub fn closed(&mut self, at_us: u64, user: u32, tab: u8, why: &str) {
        if !self.session(user).tolerance.touched(at_us) {
            let mut finding = self.finding("golden.closed", "golden_path", at_us, user, why);
            finding.connection = Some(self.connection_name(user, tab));
            self.ledger.push(finding);
        }
        self.disconnected(at_us, user, tab);
    }

    /// A tab lost its connection.
    pub fn disconnected(&mut self, at_us: u64, user: u32, tab: u8) {
        let session = self.session(user);
        session.golden_path.disconnected(tab);
        self.timelines.mark(user, tab, at_us, "disconnect");
    }

    /// All tabs of a user left for good: everything must have arrived.
    pub fn left(&mut self, at_us: u64, user: u32) {
        let Some(mut session) = self.sessions.get_mut(user as usize).and_then(Option::take) else { return };
        let id = session.id.clone();
        let finding = |rule: &'static str, detail: &str| {
            let mut finding = Finding::new(rule, "", at_us, detail);
            finding.user = Some(id.clone());
            finding
        };
        let connections = std::mem::take(&mut session.connections);
        let connection = |tab: u8| name_of(tab, connections.get(tab).copied().unwrap_or_default());
        let ledger = &mut self.ledger;
        let (node, touched) = (self.node, session.tolerance.touched(at_us));
        if !session.overdue {
            session.order.left(&finding, node, ledger);
            session.delivery.left(&finding, &connection, &session.tolerance, ledger);
            let careful = session.tolerance.from_us < u64::MAX;
            session.golden_path.left(&finding, &connection, (node, touched, careful), ledger);
            session.notices.left(&finding, &connection, ledger);
        }
        session.journey.left(ledger);
        for tab in (0..).take(connections.iter().count()) {
            session.journey.resumed(tab, ledger);
            self.timelines.mark(user, tab, at_us, "leave");
        }
        ledger.counts.users += 1;
    }

    /// The run is over; users that did not leave are judged as if they left now.
    pub fn finish(&mut self, at_us: u64) {
        for user in 0..self.sessions.len() {
            self.left(at_us, user as u32);
        }
    }

    /// What was written down.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// For findings of those who see more than clients do.
    pub fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// What the first users saw.
    pub fn timelines(&mut self) -> Vec<Timeline> {
        self.timelines.take(&self.plan)
    }

    /// What every run looked like, if that was asked for.
    pub fn projection(&mut self) -> Option<Projection> {
        self.projection.take()
    }

    /// A finding about a user.
    pub fn finding(&self, rule: &str, checker: &str, at_us: u64, user: u32, detail: &str) -> Finding {
        let mut finding = Finding::new(rule, checker, at_us, detail);
        finding.user = Some(self.plan.user_id(user));
        finding
    }

    /// Name of a tab's current connection in findings: `tab-0`, and `tab-0.2` once it has reconnected.
    pub fn connection_name(&self, user: u32, tab: u8) -> String {
        let session = self.sessions.get(user as usize).and_then(Option::as_ref);
        let count = session.and_then(|session| session.connections.get(tab));
        name_of(tab, count.copied().unwrap_or_default())
    }

    /// What is kept of a user, to fetch it early.
    pub(crate) fn session_of(&self, user: u32) -> Option<&Session> {
        self.sessions.get(user as usize)?.as_deref()
    }

    fn session(&mut self, user: u32) -> &mut Session {
        if self.sessions.len() <= user as usize {
            self.sessions.resize_with(user as usize + 1, || None);
        }
        let plan = &self.plan;
        // Of no use without a breakdown, and not for free.
        let has_tiers = self.ledger.breakdown.is_some();
        self.sessions[user as usize].get_or_insert_with(|| {
            let tier = if has_tiers { plan.tier(user) } else { Tier::Free };
            Box::new(Session::new(plan, user, tier))
        })
    }
}

impl Session {
    /// Something of each line of memory that a frame needs, so many pointers away.
    pub(crate) fn lines(&self, step: u8) -> u64 {
        let Session {
            id,
            canary,
            connections,
            isolation,
            order,
            delivery,
            golden_path,
            journey,
            tolerance,
            ..
        } = self;
        let texts = match step {
            0 => id.len() ^ canary.len() ^ connections.iter().count() ^ usize::from(tolerance.deploys),
            1 => [id, canary]
                .into_iter()
                .filter_map(|text| text.as_bytes().first())
                .fold(0, |sum, byte| sum ^ usize::from(*byte)),
            _ => 0,
        };
        texts as u64
            ^ isolation.lines(step)
            ^ order.lines(step)
            ^ delivery.lines(step)
            ^ golden_path.lines(step)
            ^ journey.lines(step)
    }

    fn new(plan: &Plan, user: u32, tier: Tier) -> Self {
        Self {
            id: plan.user_id(user),
            canary: plan.canary(user),
            connections: per_tab::PerTab::default(),
            isolation: isolation::Isolation::default(),
            order: order::Order::default(),
            delivery: delivery::Delivery::default(),
            golden_path: golden_path::GoldenPath::default(),
            journey: journey::Journey::of(tier),
            notices: notices::Notices::default(),
            tolerance: tolerance::Tolerance::of(plan, user),
            overdue: false,
        }
    }
}

impl Seen<'_> {
    fn finding(&self, rule: &str, checker: &str, detail: impl Into<String>) -> Finding {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let mut finding = Finding::new(rule, checker, self.at_us, detail);
        finding.user = some(self.id);
        finding.connection = Some(name_of(self.tab, self.connection));
        finding.run = some(self.frame.run_id);
        finding.event = Some(match self.frame.seq {
            0 => self.frame.type_name.to_owned(),
            seq => format!("{} seq {seq} cursor {}", self.frame.type_name, self.frame.cursor),
        });
        finding
    }
}

impl Ledger {
    fn count(&mut self, frame: &ServerFrame<'_>, bytes: usize) {
        let beat = matches!(frame.kind, FrameKind::Heartbeat | FrameKind::HeartbeatAck);
        self.counts.messages_out += u64::from(!beat);
        self.counts.recovered += u64::from(frame.recovered);
        self.counts.bytes_out += bytes as u64;
    }
}

fn name_of(tab: u8, connections: u32) -> String {
    if connections > 1 { format!("tab-{tab}.{connections}") } else { format!("tab-{tab}") }
}

/// A short stand-in for an id: two of one user collide with probability 2^-64. That of no id is 0.
fn key_of(id: &str) -> u64 {
    if id.is_empty() {
        return 0;
    }
    const K: [u64; 2] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];
    let fold = |x: u64, y: u64| {
        let product = u128::from(x) * u128::from(y);
        product as u64 ^ (product >> 64) as u64
    };
    let bytes = id.as_bytes();
    let mut hash = bytes.len() as u64 ^ K[0];
    let (blocks, _) = bytes.as_chunks::<16>();
    for block in blocks {
        let whole = u128::from_le_bytes(*block);
        hash = fold(hash ^ whole as u64, (whole >> 64) as u64 ^ K[1]);
    }
    // The rest is taken from both of its ends, which may overlap.
    let rest = &bytes[blocks.len() * 16..];
    let (x, y) = match (rest.first_chunk::<8>(), rest.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
            }
            _ => (rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
        },
    };
    fold(hash ^ x, y ^ K[1])
}
