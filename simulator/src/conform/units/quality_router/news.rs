//! Comparing news: who of the subscribers heard it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    QualityRouter,
    compare::{USER_IDS, compare_log, sent_json},
};
use crate::conform::{Action, Difference, Expect, Notes, Sent, compare};

/// Compares one broadcast.
pub(super) fn step(
    unit: &QualityRouter,
    action: &Action,
    expect: &Expect,
    notes: &mut Notes,
) -> Vec<Difference> {
    let seen = &unit.seen;
    let alert = action.op == "broadcast_quality_alert";
    let kind = if alert { "quality_alert" } else { "quality_update" };
    let mut news: Vec<&Sent> = seen.sent.iter().filter(|sent| sent.message["type"] == kind).collect();
    news.sort_by(|left, right| left.user.cmp(&right.user));
    let heard: Vec<&str> = news.iter().map(|sent| sent.user.as_str()).collect();
    let refused = seen.news_refused > 0;
    // Everybody in the snapshot whose socket works, each once; nobody at all if it is no news.
    let due: Vec<&str> = seen.before.iter().map(String::as_str).collect();
    let due: Vec<&str> = due.into_iter().filter(|user| !refused && !unit.failing.contains(*user)).collect();
    let whole = heard == due;
    let mut out = Vec::new();
    if let Some(raised) = &expect.raises {
        out.push(Difference::new("raises", raised.clone(), Value::Null));
        if whole && unit.during.is_some() {
            notes.cured("Q3");
        }
        return out;
    }
    let by_user = |sent: &&Value| sent["user"].as_str().unwrap_or_default().to_owned();
    let mut recorded: Vec<&Value> = expect.sent.iter().collect();
    recorded.sort_by_key(by_user);
    let told: Vec<String> = recorded.iter().map(by_user).collect();
    if unit.dead_wiring && told.is_empty() && !heard.is_empty() {
        out.push(Difference::new("sent", Value::Array(Vec::new()), sent_json(&seen.sent)));
        if whole {
            notes.cured("Q4");
        }
        return out;
    }
    // Users that only one of the two grammars of ids lets in.
    let listed = subscribers(expect);
    let unheard: BTreeSet<&str> =
        heard.iter().copied().filter(|user| !told.iter().any(|t| t == user)).collect();
    let nobody: BTreeSet<&str> =
        listed.iter().map(String::as_str).filter(|user| !seen.subscribers.contains(*user)).collect();
    let logged = |user: &str| log(expect).iter().any(|line| line.starts_with(&line_of(alert, user)));
    let by_ids =
        unheard.iter().all(|user| logged(user)) && nobody.iter().all(|user| !can_exist(user)) && whole;
    let twice = told.windows(2).any(|pair| pair[0] == pair[1]);
    if !by_ids || twice {
        out.push(Difference::new("sent", told, sent_json(&seen.sent)));
        return out;
    }
    if !unheard.is_empty() || !nobody.is_empty() {
        notes.decided(USER_IDS);
    }
    for recorded in recorded {
        let user = recorded["user"].as_str().unwrap_or_default();
        let at = format!("sent to {user}");
        match news.iter().find(|sent| sent.user == user) {
            Some(sent) => compare::values(&at, &recorded["message"], &sent.message, &[], notes, &mut out),
            None => out.push(Difference::new(at, recorded["message"].clone(), Value::Null)),
        }
    }
    let known: BTreeSet<String> =
        listed.iter().filter(|user| !nobody.contains(user.as_str())).cloned().collect();
    if known != seen.subscribers {
        let (known, seen): (Vec<String>, Vec<String>) =
            (known.into_iter().collect(), seen.subscribers.iter().cloned().collect());
        out.push(Difference::new("state.subscribers", known, seen));
    }
    let missed = seen.before.iter().filter(|user| !heard.contains(&user.as_str()));
    let lines = missed.map(|user| line_of(alert, user));
    // What the log says of ids that the two grammars disagree on is covered by the decision.
    let disputed = unheard.iter().chain(&nobody).map(|user| line_of(alert, user));
    compare_log(expect, lines.chain(disputed).collect(), notes, &mut out);
    out
}

fn line_of(alert: bool, user: &str) -> String {
    format!("Error broadcasting {}to {user}: ", if alert { "alert " } else { "" })
}

fn subscribers(expect: &Expect) -> BTreeSet<String> {
    let list = expect.state.as_ref().and_then(|state| state["subscribers"].as_array());
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn log(expect: &Expect) -> Vec<&str> {
    let list = expect.state.as_ref().and_then(|state| state["logged_errors"].as_array());
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether a text is fit to be a user id.
fn can_exist(user: &str) -> bool {
    let printable = |c: char| !c.is_control() && !c.is_whitespace();
    (1..=128).contains(&user.chars().count()) && user.chars().all(printable)
}
