//! Looking around in a trace: the lines that concern a user or a run, in a short form and in full.
//!
//! The short form has fixed columns and one state transition per line: a connection that comes or goes, a message, a
//! step of an agent, an event and to whom it went, the end of a run. What changes nothing that a person would look for
//! is left out: written frames, heartbeats, deadlines that did nothing. The full form is every input and every effect,
//! frames and payloads included.

mod short;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// What to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Up to this virtual time, microseconds from the start, itself included.
    pub until_us: Option<u64>,
    /// Only what concerns this user, by id.
    pub user: Option<String>,
    /// Only what concerns this run, by id or as the short form shows it: `r5.0`.
    pub run: Option<String>,
    /// How lines are shown.
    pub form: Form,
}

/// How lines are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// One state transition per line, in fixed columns.
    #[default]
    Short,
    /// Every input and every effect, word for word.
    Full,
}

/// A handle of the router: index and generation.
type Handle = (u64, u64);

/// Follows a trace and shows what is to be looked at.
#[derive(Debug)]
pub struct Lens {
    look: Look,
    tickets: BTreeMap<u64, String>,
    conns: BTreeMap<Handle, String>,
    runs: BTreeMap<Handle, Run>,
}

/// A run, as far as a trace tells.
#[derive(Clone, Debug, Default)]
struct Run {
    id: String,
    user: String,
}

/// What an input or an effect is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct About {
    user: String,
    /// As the short form shows it: `c3.0`, `r5.0`, or several.
    place: String,
    /// Id of the run.
    run: String,
}

/// An input or an effect of a line.
struct Shown<'a> {
    is_input: bool,
    /// As it stands there.
    raw: &'a str,
    thing: &'a Value,
    about: About,
}

#[derive(Deserialize)]
struct Line<'a> {
    t: u64,
    #[serde(borrow, rename = "in")]
    input: &'a RawValue,
    #[serde(borrow)]
    out: Vec<&'a RawValue>,
}

impl Lens {
    /// Follows a trace from its first line after the header on.
    pub const fn new(look: Look) -> Self {
        Self { look, tickets: BTreeMap::new(), conns: BTreeMap::new(), runs: BTreeMap::new() }
    }

    /// The heading of the columns; empty for the full form.
    pub fn heading(&self) -> String {
        match self.look.form {
            Form::Short => short::row("time s", "line", "user", "where", "", "what"),
            Form::Full => String::new(),
        }
    }

    /// Takes in the next line, without its chain value, and appends what there is to show of it, each with its end.
    /// False once it is later than what is looked at.
    pub fn line(&mut self, number: u64, line: &str, out: &mut String) -> bool {
        let Ok(Line { t: at_us, input, out: effects }) = serde_json::from_str(line) else { return true };
        if self.look.until_us.is_some_and(|until_us| at_us > until_us) {
            return false;
        }
        let things: Vec<(&RawValue, Value)> = std::iter::once(input)
            .chain(effects)
            .filter_map(|raw| Some((raw, serde_json::from_str(raw.get()).ok()?)))
            .collect();
        let mut shown = Vec::with_capacity(things.len());
        for (number, (raw, thing)) in things.iter().enumerate() {
            self.meet(thing);
            shown.push(Shown { is_input: number == 0, raw: raw.get(), thing, about: self.about(thing) });
        }
        self.show(at_us, number, &shown, out);
        if let Some((_, input)) = things.first() {
            self.part(input);
        }
        true
    }

    /// Remembers who is behind a handle that appears here.
    fn meet(&mut self, thing: &Value) {
        if let Some(connect) = thing.get("connect") {
            let ticket = connect["ticket"].as_u64().unwrap_or_default();
            self.tickets.insert(ticket, text(&connect["user"]).to_owned());
        }
        if let (Some(conn), Some(ticket)) = (handle(&thing["accepted"]), thing["ticket"].as_u64())
            && let Some(user) = self.tickets.remove(&ticket)
        {
            self.conns.insert(conn, user);
        }
        if let Some(run) = handle(&thing["start"]) {
            let (id, user) = (text(&thing["run_id"]).to_owned(), text(&thing["user"]).to_owned());
            self.runs.insert(run, Run { id, user });
        }
    }

    /// Forgets a connection that is gone.
    fn part(&mut self, input: &Value) {
        if let Some(conn) = handle(&input["closed"]) {
            self.conns.remove(&conn);
        }
    }

    fn about(&self, thing: &Value) -> About {
        let ticket = thing.get("connect").map_or(&thing["refused"], |connect| &connect["ticket"]);
        if let Some(user) = ticket.as_u64().and_then(|ticket| self.tickets.get(&ticket)) {
            return About { user: user.clone(), ..About::default() };
        }
        const OF_RUN: [&str; 7] =
            ["run", "start", "cancel", "tool", "run_tool", "cancel_tool", "agent_refused"];
        if let Some(run) = OF_RUN.iter().find_map(|name| handle(&thing[*name])) {
            let known = self.runs.get(&run).cloned().unwrap_or_default();
            return About { user: known.user, place: format!("r{}.{}", run.0, run.1), run: known.id };
        }
        const OF_CONN: [&str; 6] = ["conn", "accepted", "send", "close", "ping", "pong"];
        let conn = OF_CONN.iter().find_map(|name| handle(&thing[*name])).or_else(|| handle(&thing["closed"]));
        let Some(conn) = conn else { return About::default() };
        About {
            user: self.conns.get(&conn).cloned().unwrap_or_default(),
            place: format!("c{}.{}", conn.0, conn.1),
            run: text(&thing["frame"]["run_id"]).to_owned(),
        }
    }

    fn concerns(&self, about: &About) -> bool {
        let Look { user, run, .. } = &self.look;
        user.as_ref().is_none_or(|user| *user == about.user)
            && run.as_ref().is_none_or(|run| {
                let id = self.handle_of(run).unwrap_or(run);
                *run == about.place || *id == *about.run
            })
    }

    /// The id of the run that the short form shows like this.
    fn handle_of(&self, shown: &str) -> Option<&str> {
        let (index, generation) = shown.strip_prefix('r')?.split_once('.')?;
        let run = self.runs.get(&(index.parse().ok()?, generation.parse().ok()?))?;
        Some(&run.id)
    }

    fn show(&self, at_us: u64, number: u64, shown: &[Shown<'_>], out: &mut String) {
        let concerned = shown.iter().any(|shown| self.concerns(&shown.about));
        match self.look.form {
            Form::Full if concerned => {
                _ = writeln!(out, "line {number} at {}.{:06} s", at_us / 1_000_000, at_us % 1_000_000);
                for Shown { is_input, raw, about, .. } in shown {
                    // The input says why; of the effects only those that concern.
                    if *is_input || self.concerns(about) {
                        let sign = if *is_input { "in " } else { "out" };
                        _ = writeln!(out, "  {sign} {raw}");
                    }
                }
            }
            Form::Full => {}
            Form::Short => {
                let time = format!("{}.{:06}", at_us / 1_000_000, at_us % 1_000_000);
                for told in short::told(shown.iter().filter(|shown| self.concerns(&shown.about))) {
                    let short::Told { is_input, about, what } = told;
                    let sign = if is_input { "→" } else { "←" };
                    let row = short::row(&time, &number.to_string(), &about.user, &about.place, sign, &what);
                    out.push_str(&row);
                }
            }
        }
    }
}

fn handle(value: &Value) -> Option<Handle> {
    let [index, generation] = value.as_array()?.as_slice() else { return None };
    Some((index.as_u64()?, generation.as_u64()?))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
