//! What a drawn plan promises, asked of one that is written out: everything that happens was meant, so that whatever a
//! checker finds is the server's doing and not the plan's.

use std::collections::BTreeMap;

use super::session::ready_at_us;
use super::{Written, steps};
use crate::plan::headroom::Headroom;
use crate::plan::outcome::{delay_us, quiet_margin_us, set_up_us, settle_us};
use crate::plan::{ActionKind, Plan, frames};
use crate::scenario::rules::{Broken, ENVELOPE_BYTES};
use crate::scenario::{Act, Deed, Micros, Scenario};
use crate::script::CANARY_BYTES;

/// What a rule says.
pub(super) type Verdict = Result<(), Broken>;

const THREADS_MAX: u32 = 16;

/// The first rule that a row breaks, if any.
pub(crate) fn first_broken(scenario: &Scenario) -> Option<Broken> {
    if scenario.acts.is_empty() {
        return None;
    }
    check(scenario).err()
}

/// A broken rule: the key to point at, what is wrong, what is allowed.
pub(super) fn wrong(key: &str, message: impl Into<String>, help: &str) -> Verdict {
    Err(Broken { key: key.to_owned().into(), message: message.into(), help: help.to_owned() })
}

fn check(scenario: &Scenario) -> Verdict {
    let mut users: BTreeMap<u32, Vec<Row<'_>>> = BTreeMap::new();
    for (number, act) in scenario.acts.iter().enumerate() {
        let row = Row { number, act };
        row.keys()?;
        row.values(scenario)?;
        users.entry(act.user).or_default().push(row);
    }
    let plan = Plan::new(scenario.clone(), scenario.seed);
    let written = Written::new(&scenario.acts);
    for (index, mut rows) in users {
        rows.sort_by_key(|row| row.act.at_us());
        let user = User { plan: &plan, named: written.rows(index), ready_at_us: ready(&plan, &rows), rows };
        user.tabs()?;
        user.names()?;
        user.outages()?;
        user.stops()?;
        user.limits(index)?;
    }
    Ok(())
}

fn ready(plan: &Plan, rows: &[Row<'_>]) -> u64 {
    ready_at_us(plan, rows.iter().map(|row| row.act))
}

/// A row and its number.
#[derive(Clone, Copy)]
struct Row<'a> {
    number: usize,
    act: &'a Act,
}

impl Row<'_> {
    fn wrong(&self, key: &str, message: impl Into<String>, help: &str) -> Verdict {
        wrong(&format!("act.{}.{key}", self.number), message, help)
    }

    fn keys(&self) -> Verdict {
        let deed = self.act.deed;
        let (must, may) = deed.keys();
        if let Some(key) = self.act.given().find(|key| !must.contains(key) && !may.contains(key)) {
            let known = [must, may].concat();
            let help = if known.is_empty() {
                format!("`{deed}` has at, user and tab alone")
            } else {
                format!("beside at, user and tab, `{deed}` has {}", known.join(", "))
            };
            return self.wrong(key, format!("means nothing for `{deed}`"), &help);
        }
        match must.iter().find(|key| !self.act.given().any(|given| given == **key)) {
            Some(key) => self.wrong(key, format!("`{deed}` without `{key}`"), "it has no default"),
            None => Ok(()),
        }
    }

    fn values(&self, scenario: &Scenario) -> Verdict {
        let act = self.act;
        let count = scenario.users.count;
        if act.user >= count {
            let help = format!("users are numbered from 0, and `users.count` is {count}");
            return self.wrong("user", format!("there is no user {}", act.user), &help);
        }
        if let Some(thread) = act.thread.filter(|&thread| thread >= THREADS_MAX) {
            return self.wrong("thread", format!("thread {thread}"), "0 to 15");
        }
        if let Some(id) = &act.message {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if !(1..=64).contains(&id.len()) || !id.bytes().all(plain) {
                return self.wrong("message", format!("`{id}` is no id"), "1 to 64 letters, digits, - and _");
            }
        }
        if act.names == Some(act.user) {
            return self.wrong("names", "a user may name itself", "the number of another user");
        }
        if let Some(text) = &act.text {
            let mut quoted = String::new();
            crate::dialect::quoted(text, &mut quoted);
            let most = scenario.limits.frame_bytes().saturating_sub(ENVELOPE_BYTES) as usize;
            if quoted.len() + CANARY_BYTES > most {
                let help = format!("with the canary at most {most}B, what a frame has room for");
                return self.wrong("text", format!("a text of {} bytes", quoted.len()), &help);
            }
        }
        self.types()?;
        if act.lasts.is_some() && act.lasts_us() == 0 {
            return self.wrong("for", "no time at all", "at least 1us");
        }
        if act.deed == Deed::Disconnect && act.lasts_us() > scenario.limits.recovery_ttl_us() {
            let help = format!("at most {}, the router's recovery window", ttl(scenario));
            return self.wrong("for", format!("away for {}", Micros::new(act.lasts_us())), &help);
        }
        match &act.run {
            Some(run) => {
                steps::check(run, &format!("act.{}.run", self.number), scenario.limits.agent_deadline_us())
            }
            None => Ok(()),
        }
    }

    fn types(&self) -> Verdict {
        let Some(name) = &self.act.type_name else { return Ok(()) };
        let (known, all) = if self.act.deed == Deed::Quality {
            (frames::quality_type_named(name).is_some(), frames::quality_types())
        } else {
            (frames::unknown_type_named(name).is_some(), frames::unknown_types())
        };
        if known { Ok(()) } else { self.wrong("type", format!("`{name}`"), &format!("one of {all}")) }
    }
}

fn ttl(scenario: &Scenario) -> Micros {
    Micros::new(scenario.limits.recovery_ttl_us())
}

/// The rows of one user, in order of time.
struct User<'a> {
    plan: &'a Plan,
    rows: Vec<Row<'a>>,
    /// The same with their messages named.
    named: &'a [Act],
    ready_at_us: u64,
}

impl User<'_> {
    /// Each tab connects once, all of them before anything else; until they are set up, only the last one speaks.
    fn tabs(&self) -> Verdict {
        let scenario = self.plan.scenario();
        let first_deed = self.rows.iter().position(|row| row.act.deed != Deed::Connect);
        let (connects, others) = self.rows.split_at(first_deed.unwrap_or(self.rows.len()));
        if let Some(late) = others.iter().find(|row| row.act.deed == Deed::Connect) {
            return late.wrong("do", "a tab connects late", "all connects of a user before all else it does");
        }
        let mut tabs: Vec<u8> = Vec::new();
        for row in connects {
            if tabs.contains(&row.act.tab) {
                return row.wrong("tab", format!("tab {} connects twice", row.act.tab), "once");
            }
            tabs.push(row.act.tab);
        }
        let most = scenario.limits.connections_max().min(255);
        let Some(first) = self.rows.first() else { return Ok(()) };
        if tabs.iter().any(|&tab| usize::from(tab) >= tabs.len()) || tabs.len() > most as usize {
            let help = format!("0 and on without a gap, at most {most}, the connections a user may have");
            return first.wrong("tab", format!("the tabs of user {} are {tabs:?}", first.act.user), &help);
        }
        let last_connect_us = connects.last().map_or(0, |row| row.act.at_us());
        for row in others {
            if !tabs.contains(&row.act.tab) {
                return row.wrong("tab", format!("tab {} never connects", row.act.tab), "connect it first");
            }
            let early = row.act.at_us() < self.ready_at_us;
            let speaks = !matches!(row.act.deed, Deed::Disconnect | Deed::Stall | Deed::Stop);
            let last_tab = usize::from(row.act.tab) + 1 == tabs.len();
            if early && (row.act.at_us() < last_connect_us || !speaks || !last_tab) {
                let ready = Micros::new(self.ready_at_us);
                let help = format!("from {ready} on; before that only the last tab sends messages");
                return row.wrong("at", format!("at {} not all tabs are set up", row.act.at), &help);
            }
        }
        Ok(())
    }

    /// Messages of a user have names of their own; a stop names one that came before, and whose run is written out.
    fn names(&self) -> Verdict {
        let mut seen: Vec<(&str, bool)> = Vec::new();
        let mut stopped: Vec<&str> = Vec::new();
        for (row, named) in self.rows.iter().zip(self.named) {
            let Some(id) = named.message.as_deref() else { continue };
            if named.deed != Deed::Stop {
                if seen.iter().any(|(other, _)| *other == id) {
                    return row.wrong("message", format!("`{id}` twice"), "another id for each message");
                }
                seen.push((id, named.run.is_some()));
                continue;
            }
            if !seen.contains(&(id, true)) {
                let help = "the id of an earlier message whose `run` is written out";
                return row.wrong("message", format!("no such message as `{id}`"), help);
            }
            if stopped.contains(&id) {
                return row.wrong("message", format!("`{id}` is stopped twice"), "once");
            }
            stopped.push(id);
        }
        Ok(())
    }

    /// While a tab is away, and shortly before, it does nothing; it does not stall meanwhile.
    fn outages(&self) -> Verdict {
        let scenario = self.plan.scenario();
        let mut outages: Vec<(usize, u8, u64, u64)> = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            let (tab, at_us) = (row.act.tab, row.act.at_us());
            let until_us = at_us + row.act.lasts_us();
            let window = if row.act.deed == Deed::Disconnect {
                (at_us.saturating_sub(settle_us(scenario)), until_us + set_up_us(scenario))
            } else if row.act.deed == Deed::Stall {
                (at_us, until_us)
            } else {
                continue;
            };
            let meets =
                |other: &&(usize, u8, u64, u64)| other.1 == tab && other.2 < window.1 && window.0 < other.3;
            if outages.iter().any(|other| meets(&other)) {
                let message = format!("tab {tab} is away or does not read already");
                return row.wrong("at", message, "one after the other");
            }
            outages.push((number, tab, window.0, window.1));
        }
        for (number, row) in self.rows.iter().enumerate() {
            let (tab, at_us) = (row.act.tab, row.act.at_us());
            let covers = |outage: &&(usize, u8, u64, u64)| {
                let lost = self.rows[outage.0].act.deed == Deed::Disconnect;
                lost && outage.0 != number && outage.1 == tab && (outage.2..outage.3).contains(&at_us)
            };
            if let Some(outage) = outages.iter().find(covers) {
                let [from, to] = [outage.2, outage.3].map(Micros::new);
                let help = format!("not from {from} to {to}: what is sent shortly before is lost with it");
                return row.wrong(
                    "at",
                    format!("tab {tab} loses its connection around {}", row.act.at),
                    &help,
                );
            }
        }
        Ok(())
    }

    /// A stop comes in a quiet moment of its run.
    fn stops(&self) -> Verdict {
        let scenario = self.plan.scenario();
        for (row, stop) in self.rows.iter().zip(self.named).filter(|(_, act)| act.deed == Deed::Stop) {
            let run = self.named.iter().find(|act| act.deed.starts_run() && act.message == stop.message);
            let Some((said, steps)) = run.and_then(|act| Some((act, act.run.as_deref()?))) else { continue };
            let script = super::script_of(self.plan, steps, "", "");
            let delay_us = delay_us(scenario, said.at_us(), self.ready_at_us);
            // Half a microsecond is lost in rounding, on either side.
            let margin_us = quiet_margin_us(scenario) - 1;
            let ends = script.beats.iter().map(|beat| beat.at_us).chain([script.end_us]);
            let mut windows = ends.map(|end_us| {
                let from_us = (said.at_us() + end_us).saturating_sub(margin_us);
                (from_us, said.at_us() + end_us + delay_us + margin_us)
            });
            let started_us = windows.next().map_or(0, |(_, to_us)| to_us);
            let near = windows.any(|(from_us, to_us)| (from_us + 1..to_us).contains(&stop.at_us()));
            let over_us = said.at_us() + script.end_us;
            if stop.at_us() < started_us || near || stop.at_us() > over_us {
                let margin = Micros::new(margin_us + 1);
                let help = format!(
                    "at least {margin} away from every event of the run, so that nobody doubts what came first"
                );
                return row.wrong("at", "no quiet moment of the run", &help);
            }
        }
        Ok(())
    }

    /// The router's limits are kept, with room to spare.
    fn limits(&self, index: u32) -> Verdict {
        let scenario = self.plan.scenario();
        let user = self.plan.user(index);
        let mut headroom = Headroom::new(&scenario.limits);
        for (row, named) in self.rows.iter().zip(self.named) {
            let (at_us, deed) = (row.act.at_us(), row.act.deed);
            if matches!(deed, Deed::Connect | Deed::Disconnect | Deed::Stall) {
                continue;
            }
            if deed == Deed::Stop {
                headroom.take_frame(at_us);
                continue;
            }
            if headroom.frame_at(at_us) > at_us {
                let later = Micros::new(headroom.frame_at(at_us));
                return row.wrong("at", "too many messages at once", &format!("from {later} on"));
            }
            headroom.take_frame(at_us);
            if matches!(deed, Deed::BadFrame | Deed::Foreign) {
                if headroom.bad_frame_at(at_us) > at_us {
                    let later = Micros::new(headroom.bad_frame_at(at_us));
                    return row.wrong("at", "too many bad frames at once", &format!("from {later} on"));
                }
                headroom.take_bad_frame(at_us);
            }
            if deed.starts_run() {
                if headroom.run_at(at_us) > at_us {
                    let later = Micros::new(headroom.run_at(at_us));
                    return row.wrong("at", "too many runs at once", &format!("from {later} on"));
                }
                let ends = user.actions.iter().find_map(|action| {
                    let ActionKind::Say(say) = &action.kind else { return None };
                    (Some(&say.message_id) == named.message.as_ref()).then_some(say.expected.ends_at_us)
                });
                headroom.take_run(at_us, ends.unwrap_or(at_us) + settle_us(scenario));
            }
        }
        Ok(())
    }
}
