//! What is looked at when everything has healed and come to rest.

use std::collections::BTreeMap;

use super::person::{Person, Seen, Tab};
use crate::dialect::RunEventKind;

/// A rule that does not hold, and how.
pub(super) type Verdict = (&'static str, String);

/// What does not hold of a user. A store that lost its tail forgets what was shown and how far runs had come, and may be
/// gone on with by whoever reaches it first: of that, nothing but isolation and coming to rest is demanded.
pub(super) fn judge(person: &Person, lost_excused: bool, verdicts: &mut Vec<Verdict>) {
    if lost_excused {
        return;
    }
    let mut log: BTreeMap<u64, &Seen> = BTreeMap::new();
    for (number, tab) in person.tabs.iter().enumerate() {
        for (cursor, seen) in &tab.seen {
            match log.get(cursor) {
                Some(known) if *known != seen => verdicts.push((
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
    for message in person.messages.iter().filter(|message| message.sent) {
        if !message.is_over {
            let word = if message.is_accepted { "accepted" } else { "sent" };
            verdicts.push((
                "golden.incomplete",
                format!("{} {}: {word}, and its end never came", person.id, message.id),
            ));
        }
    }
}

/// Every tab has everything that another has, from its first event on, but for what it was told is missing.
fn complete(
    person: &Person,
    number: usize,
    tab: &Tab,
    log: &BTreeMap<u64, &Seen>,
    verdicts: &mut Vec<Verdict>,
) {
    let Some(first) = tab.seen.keys().next().copied() else { return };
    let missing = log.range(first..).map(|(cursor, _)| *cursor).find(|cursor| {
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
    let mut runs: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for seen in tab.seen.values() {
        runs.entry(&seen.run).or_default().push(seen);
    }
    for (run, events) in runs {
        let mut push = |rule, detail: String| {
            verdicts.push((rule, format!("{} tab {number} {run}: {detail}", person.id)));
        };
        let begins = events.first().is_some_and(|seen| seen.event == RunEventKind::Started);
        // A tab that came later, or missed something, may begin in the middle.
        let whole = begins && tab.gaps.is_empty();
        for pair in events.windows(2) {
            if whole && pair[1].seq != pair[0].seq + 1 {
                push("deliver.I4", format!("seq {} follows {}", pair[1].seq, pair[0].seq));
            }
            if pair[1].seq <= pair[0].seq {
                push("run.R6", format!("seq {} follows {}", pair[1].seq, pair[0].seq));
            }
        }
        let ends = events.iter().filter(|seen| seen.event.is_terminal()).count();
        if ends > 1 {
            push("golden.once", format!("{ends} ends"));
        }
        if ends == 1 && !events.last().is_some_and(|seen| seen.event.is_terminal()) {
            push("run.R6", "events after its end".to_owned());
        }
    }
}
