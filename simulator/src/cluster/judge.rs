//! What is looked at when everything has healed and come to rest.
//!
//! A store that lost its tail has forgotten what it had learned of some users. Of those, what was shown and is lost may
//! stand for two events, a message that was not over may be done twice, and an owner who has to make its run known again
//! may say something twice. Everything else is demanded of them as of anybody: see `docs/nodes.md`.

use std::collections::BTreeMap;

use super::person::{Person, Seen, Tab};
use crate::dialect::RunEventKind;

/// A rule that does not hold, and how.
pub(super) type Verdict = (&'static str, String);

/// What does not hold of a user.
pub(super) fn judge(person: &Person, verdicts: &mut Vec<Verdict>) {
    let mut log: BTreeMap<u64, &Seen> = BTreeMap::new();
    for (number, tab) in person.tabs.iter().enumerate() {
        for (cursor, seen) in &tab.seen {
            match log.get(cursor) {
                Some(known) if *known != seen && !person.is_ambiguous(*cursor) => verdicts.push((
                    "deliver.I3",
                    format!("{} tab {number}: cursor {cursor} is {seen:?}, elsewhere {known:?}", person.id),
                )),
                Some(_) => {}
                None => {
                    log.insert(*cursor, seen);
                }
            }
        }
    }
    for (number, tab) in person.tabs.iter().enumerate() {
        complete(person, number, tab, &log, verdicts);
        in_order(person, number, tab, verdicts);
    }
    for message in person.messages.iter().filter(|message| message.sent && !message.is_over()) {
        let word = if message.is_accepted { "accepted" } else { "sent" };
        verdicts.push((
            "golden.incomplete",
            format!("{} {}: {word}, and its end never came", person.id, message.id),
        ));
    }
}

/// Every tab has everything that another has, from its first welcome on, but for what it was told is missing.
fn complete(
    person: &Person,
    number: usize,
    tab: &Tab,
    log: &BTreeMap<u64, &Seen>,
    verdicts: &mut Vec<Verdict>,
) {
    let Some(base) = tab.base else { return };
    let missing = log.range(base + 1..).map(|(cursor, _)| *cursor).find(|cursor| {
        !tab.seen.contains_key(cursor) && !tab.gaps.iter().any(|(from, to)| (from..=to).contains(&cursor))
    });
    if let Some(cursor) = missing {
        let detail =
            format!("{} tab {number}: never received cursor {cursor}, which another tab has", person.id);
        verdicts.push(("deliver.I2", detail));
    }
}

/// The events of each run are a word of the automaton, as far as no gap took some.
fn in_order(person: &Person, number: usize, tab: &Tab, verdicts: &mut Vec<Verdict>) {
    let mut runs: BTreeMap<&str, Vec<(u64, &Seen)>> = BTreeMap::new();
    for (cursor, seen) in &tab.seen {
        runs.entry(&seen.run).or_default().push((*cursor, seen));
    }
    for (run, events) in runs {
        let is_excused = person.messages[events[0].1.message].is_excused;
        let wrong = if is_excused { retold(person, &events) } else { told(tab, &events) };
        let wrong = wrong.into_iter();
        verdicts.extend(wrong.map(|(rule, why)| (rule, format!("{} tab {number} {run}: {why}", person.id))));
    }
}

/// A run as it is promised: number by number, by one node, tool by tool, with one end.
fn told(tab: &Tab, events: &[(u64, &Seen)]) -> Vec<Verdict> {
    let mut wrong = Vec::new();
    for pair in events.windows(2) {
        let ((at, one), (next_at, next)) = (pair[0], pair[1]);
        if next.seq <= one.seq {
            wrong.push(("run.R6", format!("seq {} follows {}", next.seq, one.seq)));
        } else if next.seq > one.seq + 1 && !tab.has_gap(at, next_at) {
            wrong.push(("deliver.I4", format!("seq {} follows {}", next.seq, one.seq)));
        }
    }
    let nodes = nodes_of(events);
    if nodes.len() > 1 {
        wrong.push(("golden.once", format!("done by {}", nodes.join(", then by "))));
    }
    let (first, last) = (events[0], events[events.len() - 1]);
    if first.1.seq == 1 && !tab.has_gap(first.0, last.0) {
        wrong.extend(misspoken(events).map(|why| ("run.R3", why)));
    }
    let ends = events.iter().filter(|(_, seen)| seen.event.is_terminal()).count();
    if ends > 1 {
        wrong.push(("golden.once", format!("{ends} ends")));
    } else if ends == 1 && !last.1.event.is_terminal() {
        wrong.push(("run.R6", "events after its end".to_owned()));
    }
    wrong
}

/// Whose agents spoke, one after another.
fn nodes_of<'a>(events: &[(u64, &'a Seen)]) -> Vec<&'a str> {
    let mut nodes: Vec<&str> = events.iter().map(|(_, seen)| &*seen.by).filter(|by| !by.is_empty()).collect();
    nodes.dedup();
    nodes
}

/// A run of which a store that lost its tail forgot something: its numbers ascend, before and thereafter. Unless two nodes
/// do it: a takeover that was forgotten and the one after it have the same epoch.
fn retold(person: &Person, events: &[(u64, &Seen)]) -> Vec<Verdict> {
    if nodes_of(events).len() > 1 {
        return Vec::new();
    }
    // Who ends the run of a node that is gone counts on from what the store knows of it, and closes its tools first.
    let is_lost = events.last().is_some_and(|(_, seen)| seen.code == "NODE_LOST");
    let is_said_for_it = |seen: &Seen| seen.event == RunEventKind::ToolCompleted || seen.code == "NODE_LOST";
    let pairs = events.windows(2).map(|pair| (pair[0], pair[1]));
    let wrong = pairs.filter(|((at, one), (next_at, next))| {
        next.seq <= one.seq
            && !person.lost.iter().any(|lost| lost.divides(*at, *next_at))
            && !(is_lost && is_said_for_it(next))
    });
    wrong.map(|((_, one), (_, next))| ("run.R6", format!("seq {} follows {}", next.seq, one.seq))).collect()
}

/// It begins once, and no tool ends that did not begin, nor the run before its tools.
fn misspoken(events: &[(u64, &Seen)]) -> Option<String> {
    let mut open = 0_u32;
    for (_, seen) in events {
        let is_sound = match seen.event {
            RunEventKind::Started => seen.seq == 1,
            RunEventKind::Thinking | RunEventKind::Progress | RunEventKind::ToolExecuting => seen.seq > 1,
            RunEventKind::ToolCompleted => open > 0,
            RunEventKind::Completed | RunEventKind::Error => open == 0,
        };
        if !is_sound {
            return Some(format!("{:?} as number {}, with {open} tools open", seen.event, seen.seq));
        }
        open += u32::from(seen.event == RunEventKind::ToolExecuting);
        open -= u32::from(seen.event == RunEventKind::ToolCompleted);
    }
    None
}
