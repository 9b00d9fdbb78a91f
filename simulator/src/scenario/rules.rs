//! Rules between values, each of which would make the plan promise what the router refuses.

use std::borrow::Cow;

use super::{Fault, FaultKind, Journey, Scenario, Way};
use crate::plan::written;
use crate::script::CANARY_BYTES;

/// A broken rule: the key to point at, what is wrong, what is allowed.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Dotted; rows of a list by their number from 0.
    pub(crate) key: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// The first broken rule, if any.
pub(crate) fn first_broken(scenario: &Scenario) -> Option<Broken> {
    let drawn: [fn(&Scenario) -> Option<Broken>; 4] = [users, session, agent, outage];
    let drawn = if scenario.acts.is_empty() { &drawn[..] } else { &[] };
    latency(scenario)
        .or_else(|| drawn.iter().find_map(|rule| rule(scenario)))
        .or_else(|| journeys(scenario))
        .or_else(|| faults(scenario))
        .or_else(|| written::first_broken(scenario))
}

/// Envelope and escaping around a message's text, bytes.
pub(crate) const ENVELOPE_BYTES: u32 = 512;
const TOOL_DEADLINE_US: u64 = 30_000_000;
const LATENCY_MAX_US: u64 = 5_000_000;
pub(crate) const STEPS_MAX: u32 = 64;
/// Longest `by` of a fault.
const BY_MAX_US: u64 = 120_000_000;
/// Most that a clock may gain per second.
const SKEW_MAX_US: u64 = 500_000;

fn users(scenario: &Scenario) -> Option<Broken> {
    let (users, most) = (&scenario.users, scenario.limits.connections_max().min(255));
    if users.tabs.min() < 1 || users.tabs.max() > most {
        let message = format!("{} to {} tabs per user", users.tabs.min(), users.tabs.max());
        return broken("users.tabs", message, format!("1 to {most}, the connections a user may have"));
    }
    if users.tier.weights().iter().all(|&weight| weight == 0) {
        return broken("users.tier", "all weights are 0", "give at least one tier a weight above 0");
    }
    None
}

fn session(scenario: &Scenario) -> Option<Broken> {
    let session = &scenario.session;
    if session.mix.weights().iter().all(|&weight| weight == 0) {
        return broken(
            "session.mix",
            "all weights are 0",
            "give at least one kind of message a weight above 0",
        );
    }
    if !(1..=16).contains(&session.threads.low) || session.threads.high > 16 {
        return broken("session.threads", format!("{} threads per user", session.threads), "1 to 16");
    }
    let (low, high) = (CANARY_BYTES as u32, scenario.limits.frame_bytes().saturating_sub(ENVELOPE_BYTES));
    let max = session.text_bytes.max.bytes();
    if max < low || max > high {
        let help = format!(
            "{low}B (the canary) to {high}B (the frame limit less {ENVELOPE_BYTES}B for the envelope)"
        );
        return broken("session.text_bytes.max", format!("texts of up to {max} bytes"), help);
    }
    None
}

fn agent(scenario: &Scenario) -> Option<Broken> {
    let agent = &scenario.agent;
    if agent.tools.iter().all(|tool| tool.weight.get() == 0) {
        return broken("agent.tools", "no tool has a weight above 0", "give at least one tool");
    }
    if let Some(tool) = agent.tools.iter().find(|tool| !(1..=100).contains(&tool.name.chars().count())) {
        let message = format!("tool name of {} characters", tool.name.chars().count());
        return broken("agent.tools", message, "1 to 100 characters");
    }
    if agent.tools_per_run.max() > STEPS_MAX {
        let message = format!("up to {} tools per run", agent.tools_per_run.max());
        return broken("agent.tools_per_run", message, format!("at most {STEPS_MAX}"));
    }
    if agent.thinking.high > STEPS_MAX {
        return broken(
            "agent.thinking",
            format!("{} thinking events", agent.thinking),
            format!("at most {STEPS_MAX}"),
        );
    }
    if agent.tool_max.us() > TOOL_DEADLINE_US {
        let message = format!("tools of up to {}", agent.tool_max);
        return broken("agent.tool_max", message, "at most 30s: the tool dispatcher ends a longer tool");
    }
    if agent.agent_error_share.get() + agent.timeout_share.get() > 1.0 {
        let help = "agent_error_share and timeout_share together are at most 1";
        return broken("agent.timeout_share", "the shares of failing runs exceed 1", help);
    }
    None
}

fn latency(scenario: &Scenario) -> Option<Broken> {
    let high = scenario.network.latency.high;
    if high.us() > LATENCY_MAX_US {
        return broken("network.latency", format!("a delay of up to {high}"), "at most 5s");
    }
    None
}

fn outage(scenario: &Scenario) -> Option<Broken> {
    let network = &scenario.network;
    let away_us = network.reconnect.first_success_us(network.reconnect_outage.high.us());
    if away_us > scenario.limits.recovery_ttl_us() {
        let message = format!("clients would be away for up to {}s", away_us / 1_000_000);
        let help = format!(
            "at most {}s with the back-off, the router's recovery window",
            scenario.limits.recovery_ttl_us() / 1_000_000
        );
        return broken("network.reconnect_outage", message, help);
    }
    None
}

fn journeys(scenario: &Scenario) -> Option<Broken> {
    const KEY: &str = "expect.journey";
    let journeys = &scenario.expect.journeys;
    if let Some((message, help)) = journeys.iter().find_map(Journey::mistake) {
        return broken(KEY, message, help);
    }
    let mut names: Vec<String> = journeys.iter().map(Journey::name).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1])?;
    broken(KEY, format!("two journeys are called `{}`", twice[0]), "give each a name of its own")
}

fn faults(scenario: &Scenario) -> Option<Broken> {
    if !scenario.faults.is_empty() && !scenario.network.cursor {
        let help = "true: a client without a cursor cannot get back what a fault takes from it";
        return broken("network.cursor", "clients without a cursor in a scenario with faults", help);
    }
    let rules = scenario.faults.iter().enumerate();
    rules.filter_map(|(place, fault)| fault_of(fault, place, scenario.users.count)).next()
}

fn fault_of(fault: &Fault, place: usize, users: u32) -> Option<Broken> {
    let Fault { kind, during, .. } = fault;
    let name = kind.name();
    let wrong = |key: &str, message: String, help: String| {
        broken(format!("fault.{place}.{key}"), format!("{name}: {message}"), help)
    };
    let lasts = kind.is_verdict() || matches!(kind, FaultKind::Skew | FaultKind::ServicesAway);
    if lasts && during.low == during.high {
        let help =
            "a time with a beginning and an end, such as \"10s..20s\": it lasts as long as that".to_owned();
        return wrong("during", format!("`{during}` is a moment"), help);
    }
    if fault.by.is_some() && !kind.has_by() {
        let with: Vec<&str> = kinds(FaultKind::has_by).collect();
        return wrong("by", "takes no `by`".to_owned(), format!("only with {}", with.join(", ")));
    }
    let by_us = fault.by().high.us();
    let most_us = if *kind == FaultKind::Skew { SKEW_MAX_US } else { BY_MAX_US };
    if by_us > most_us {
        let (by, most) = (super::Micros::new(by_us), super::Micros::new(most_us));
        return wrong("by", format!("up to {by}"), format!("at most {most}"));
    }
    if fault.way != Way::Both && !kind.is_verdict() {
        let with: Vec<&str> = kinds(FaultKind::is_verdict).collect();
        return wrong("way", "has no direction".to_owned(), format!("only with {}", with.join(", ")));
    }
    let only = fault.users?;
    if kind.is_of_node() {
        let help = "leave it out: what befalls the node befalls everybody".to_owned();
        return wrong("users", "concerns no users in particular".to_owned(), help);
    }
    if only.low >= users {
        let help = format!("users are numbered from 0 to {}", users.saturating_sub(1));
        return wrong("users", format!("there is no user {}", only.low), help);
    }
    None
}

fn kinds(of: impl Fn(FaultKind) -> bool) -> impl Iterator<Item = &'static str> {
    FaultKind::ALL.into_iter().filter(move |kind| of(*kind)).map(FaultKind::name)
}

fn broken(
    key: impl Into<Cow<'static, str>>,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Option<Broken> {
    Some(Broken { key: key.into(), message: message.into(), help: help.into() })
}
