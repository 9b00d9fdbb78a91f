//! What the checkers write down: findings, counts, and times.

use std::collections::BTreeMap;

use reports::{Distribution, Domain, Finding, Metric, Report, Unit};

use super::JourneyTimes;
use crate::dialect::RunEventKind;
use crate::scenario::{Scenario, Tier};

/// Findings, counts and times of all users.
#[derive(Clone, Debug)]
pub struct Ledger {
    domain: Domain,
    findings_max: usize,
    findings: Vec<Finding>,
    by_rule: BTreeMap<String, u64>,
    /// Plain counts.
    pub counts: Counts,
    /// Measured times, microseconds.
    pub times: Times,
    /// The journeys that the scenario declares.
    pub journeys: Vec<JourneyTimes>,
    /// [`Times::event_latency`] by type and tier, if the scenario asks for such detail: has journeys or a `[service]`.
    pub breakdown: Option<Box<Breakdown>>,
}

/// Plain counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Users that left.
    pub users: u64,
    /// Connections that were opened.
    pub connections: u64,
    /// Connections that were opened again.
    pub reconnects: u64,
    /// Messages sent by clients, without heartbeats and their answers.
    pub messages_in: u64,
    /// Frames received by clients, without heartbeats and their answers.
    pub messages_out: u64,
    /// Bytes of all frames received.
    pub bytes_out: u64,
    /// Run events received and taken, on all tabs.
    pub events: u64,
    /// Frames flagged as replayed.
    pub recovered: u64,
    /// Frames that the cursor rule dropped.
    pub repeats: u64,
    /// Gaps that the server announced.
    pub gaps: u64,
    /// Messages that asked for a run.
    pub runs: u64,
    /// Runs that ended as planned on every tab.
    pub golden: u64,
    /// Runs that showed all five event types on every tab.
    pub full_golden: u64,
    /// Runs that went otherwise than planned, as a fault explains.
    pub forgiven: u64,
}

impl std::ops::AddAssign<&Counts> for Counts {
    /// Named one by one without a rest, so that a new count cannot be left out.
    fn add_assign(&mut self, part: &Counts) {
        let Counts {
            users,
            connections,
            reconnects,
            messages_in,
            messages_out,
            bytes_out,
            events,
            recovered,
            repeats,
            gaps,
            runs,
            golden,
            full_golden,
            forgiven,
        } = *part;
        self.users += users;
        self.connections += connections;
        self.reconnects += reconnects;
        self.messages_in += messages_in;
        self.messages_out += messages_out;
        self.bytes_out += bytes_out;
        self.events += events;
        self.recovered += recovered;
        self.repeats += repeats;
        self.gaps += gaps;
        self.runs += runs;
        self.golden += golden;
        self.full_golden += full_golden;
        self.forgiven += forgiven;
    }
}

/// Measured times, microseconds.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// From connecting to the welcome.
    pub connect: Distribution,
    /// From a message to its run's first event, on the sending tab.
    pub first_event: Distribution,
    /// Between two events of a run, on the sending tab.
    pub event_gap: Distribution,
    /// From a message to its run's end, on the sending tab.
    pub answer: Distribution,
    /// From the making of an event to its arrival on a live tab.
    pub event_latency: Distribution,
    /// The same, for the event that carries the answer.
    pub answer_latency: Distribution,
    /// The same, for the first of several tabs.
    pub fan_out_first: Distribution,
    /// The same, for the last of several tabs.
    pub fan_out_last: Distribution,
    /// From reconnecting to the welcome or the last replayed frame, whichever is later.
    pub resume: Distribution,
    /// From a ping to its pong.
    pub pong: Distribution,
}

/// From the making of an event to its arrival on a live tab, microseconds, by what it is and for whom.
#[derive(Clone, Debug, Default)]
pub struct Breakdown {
    by_event: [Distribution; RunEventKind::ALL.len()],
    by_tier: [Distribution; Tier::ALL.len()],
}

impl Breakdown {
    pub(super) fn record(&mut self, event: RunEventKind, tier: Tier, latency_us: u64) {
        self.by_event[event as usize].record(latency_us);
        self.by_tier[tier as usize].record(latency_us);
    }

    fn metrics(&self, domain: Domain) -> impl Iterator<Item = Metric> {
        let events = RunEventKind::ALL.map(RunEventKind::name).into_iter().zip(&self.by_event);
        let events =
            events.map(|(name, times)| (format!("event.{name}"), format!("{name} made to received"), times));
        let tiers = Tier::ALL.map(Tier::wire_name).into_iter().zip(&self.by_tier);
        let tiers = tiers.map(|(name, times)| {
            (format!("tier.{name}"), format!("event made to received, {name} users"), times)
        });
        let rows = events.chain(tiers).filter(|(.., times)| !times.is_empty());
        rows.map(move |(key, label, times)| times.to_metric(key, label, Unit::Microseconds, domain))
            .collect::<Vec<_>>()
            .into_iter()
    }
}

impl Ledger {
    /// An empty ledger that keeps the first `findings_max` findings and counts the rest.
    pub fn new(domain: Domain, findings_max: usize) -> Self {
        Self {
            domain,
            findings_max,
            findings: Vec::new(),
            by_rule: BTreeMap::new(),
            counts: Counts::default(),
            times: Times::default(),
            journeys: Vec::new(),
            breakdown: None,
        }
    }

    /// The same for users of a scenario, with what it wants measured beyond the usual.
    #[must_use]
    pub fn of(self, scenario: &Scenario) -> Self {
        let journeys: Vec<_> = scenario.expect.journeys.iter().map(JourneyTimes::new).collect();
        let has_detail = scenario.service.is_some() || !journeys.is_empty();
        Self { journeys, breakdown: has_detail.then(Box::default), ..self }
    }

    /// Writes down a finding. An isolation breach always finds room.
    pub fn push(&mut self, mut finding: Finding) {
        finding.domain = self.domain;
        match self.by_rule.get_mut(&finding.rule) {
            Some(count) => *count += 1,
            None => _ = self.by_rule.insert(finding.rule.clone(), 1),
        }
        if self.findings.len() >= self.findings_max && finding.is_isolation() {
            let lesser = self.findings.iter().rposition(|kept| !kept.is_isolation());
            lesser.map(|index| self.findings.remove(index));
        }
        if self.findings.len() < self.findings_max {
            self.findings.push(finding);
        }
    }

    /// The findings that were kept.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many findings there were of each rule.
    pub fn by_rule(&self) -> &BTreeMap<String, u64> {
        &self.by_rule
    }

    /// How many findings there were of the rules with this prefix.
    pub fn count_of(&self, prefix: &str) -> u64 {
        self.by_rule.iter().filter(|(rule, _)| rule.starts_with(prefix)).map(|(_, count)| count).sum()
    }

    /// How many findings there were.
    pub fn total(&self) -> u64 {
        self.by_rule.values().sum()
    }

    /// Adds the findings to a report, those that were only counted too.
    pub fn report(&self, report: &mut Report) {
        for finding in &self.findings {
            report.push_finding(finding.clone());
        }
        for (rule, &count) in &self.by_rule {
            let kept = self.findings.iter().filter(|finding| finding.rule == *rule).count() as u64;
            report.findings_total += count - kept;
            *report.findings_by_rule.entry(rule.clone()).or_default() += count - kept;
        }
    }

    /// The times as metrics, the most important first; those without a sample are left out.
    pub fn metrics(&self) -> Vec<Metric> {
        let times = &self.times;
        let rows = [
            ("first_event", "message to first event", &times.first_event),
            ("answer", "message to end of run", &times.answer),
            ("event_latency", "event made to event received", &times.event_latency),
            ("answer_latency", "answer made to answer received", &times.answer_latency),
            ("event_gap", "between two events of a run", &times.event_gap),
            ("fan_out_first", "event made to first tab", &times.fan_out_first),
            ("fan_out_last", "event made to last tab", &times.fan_out_last),
            ("connect", "connecting to welcome", &times.connect),
            ("resume", "reconnecting to last replayed frame", &times.resume),
            ("pong", "ping to pong", &times.pong),
        ];
        let usual = rows
            .into_iter()
            .filter(|(_, _, times)| !times.is_empty())
            .map(|(key, label, times)| times.to_metric(key, label, Unit::Microseconds, self.domain));
        let journeys = self.journeys.iter().flat_map(|journey| journey.metrics(self.domain));
        let breakdown = self.breakdown.iter().flat_map(|breakdown| breakdown.metrics(self.domain));
        usual.chain(journeys).chain(breakdown).collect()
    }
}
