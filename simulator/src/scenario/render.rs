//! A scenario as text for people: what differs from the defaults, rows one to a line.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::Scenario;

/// Rows that are no longer than this stand on one line.
const WIDTH: usize = 110;

const ACT_KEYS: &[&str] =
    &["at", "user", "tab", "do", "tier", "message", "thread", "type", "frame", "names", "for"];
const STEP_KEYS: &[&str] = &["at", "do", "name", "for", "fails", "bytes"];
const FAULT_KEYS: &[&str] = &["kind", "during", "users", "share", "way", "by"];

impl Scenario {
    /// The scenario as TOML that parses to it again: `comment` first, line by line, then the head, the rows, and of
    /// the sections what is not their default.
    pub fn to_toml(&self, comment: &str) -> String {
        let mut out = String::new();
        for line in comment.lines() {
            out.push_str(format!("# {line}").trim_end());
            out.push('\n');
        }
        // Every value of a scenario has a TOML form: it came from one.
        let [mut given, default] =
            [self, &Self::default()].map(|scenario| Table::try_from(scenario).unwrap_or_default());
        for key in ["schema", "name", "about", "seed"] {
            if let Some(value) = given.remove(key) {
                _ = writeln!(out, "{key} = {value}");
            }
        }
        for (key, order) in [("act", ACT_KEYS), ("fault", FAULT_KEYS)] {
            if let Some(Value::Array(rows)) = given.remove(key) {
                _ = writeln!(out, "\n{key} = [");
                for mut row in rows {
                    // What strikes everything need not say so.
                    let all = |value: &Value| value.as_float() == Some(1.0);
                    if let Some(table) =
                        row.as_table_mut().filter(|table| table.get("share").is_some_and(all))
                    {
                        table.remove("share");
                    }
                    _ = writeln!(out, "  {},", row_text(&row, order));
                }
                out.push_str("]\n");
            }
        }
        for (name, section) in &given {
            let Value::Table(section) = section else { continue };
            let usual = default.get(name).and_then(Value::as_table);
            let differs = |key: &&String| usual.and_then(|usual| usual.get(*key)) != section.get(*key);
            let keys: Vec<&String> = section.keys().filter(differs).collect();
            if !keys.is_empty() {
                _ = writeln!(out, "\n[{name}]");
            }
            for key in keys {
                _ = writeln!(out, "{key} = {}", inline(&section[key], &[]));
            }
        }
        out
    }
}

/// A row on one line, or with the steps of its run on lines of their own.
fn row_text(row: &Value, order: &[&str]) -> String {
    let text = inline(row, order);
    let Some(run) = row.get("run").and_then(Value::as_array).filter(|_| text.len() + 3 > WIDTH) else {
        return text;
    };
    let mut others = row.clone();
    others.as_table_mut().map(|table| table.remove("run"));
    let head = inline(&others, order);
    let steps: Vec<String> = run.iter().map(|step| format!("    {},\n", inline(step, STEP_KEYS))).collect();
    format!("{}, run = [\n{}  ] }}", head.trim_end_matches(" }"), steps.concat())
}

/// A value on one line; the keys of a table in the order given, others after them.
fn inline(value: &Value, order: &[&str]) -> String {
    match value {
        Value::Table(table) => {
            let place = |key: &str| order.iter().position(|known| *known == key).unwrap_or(order.len());
            let mut entries: Vec<(&String, &Value)> = table.iter().collect();
            entries.sort_by_key(|(key, _)| (place(key), (*key).clone()));
            let entry = |(key, value): &(&String, &Value)| {
                format!("{} = {}", key_text(key), inline(value, if *key == "run" { STEP_KEYS } else { &[] }))
            };
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Value::Array(values) => {
            format!("[{}]", values.iter().map(|value| inline(value, order)).collect::<Vec<_>>().join(", "))
        }
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
            value.to_string()
        }
    }
}

/// A key, quoted if it must be.
fn key_text(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        Value::String(key.to_owned()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::scenario::embedded;

    #[test]
    fn what_is_rendered_parses_to_the_same() {
        for (name, text) in embedded() {
            let mut scenario = Scenario::parse(name, text).unwrap();
            let again = scenario.to_toml("a comment\nof two lines");
            assert!(again.starts_with("# a comment\n# of two lines\nschema = 1\n"), "{again}");
            assert_eq!(Scenario::parse(name, &again).as_ref(), Ok(&scenario), "{again}");
            scenario.users.count = scenario.users.count.min(10);
            scenario.acts = Plan::new(scenario.clone(), 3).acts();
            scenario.seed = 3;
            assert_eq!(Scenario::parse(name, &scenario.to_toml("")).as_ref(), Ok(&scenario));
        }
    }

    #[test]
    fn rows_stand_on_their_lines() {
        let text = "schema = 1\nname = \"x\"\nabout = \"y\"\nseed = 1

act = [
  { at = \"0s\", user = 0, do = \"connect\" },
  { at = \"1s\", user = 0, do = \"chat\", run = [{ at = \"5ms\", do = \"started\" }, { at = \"2s\", do = \"answer\" }] },
  { at = \"9s\", user = 0, do = \"chat\", message = \"m0003\", run = [
    { at = \"5ms\", do = \"started\" },
    { at = \"1s\", do = \"tool\", name = \"search_corpus\", for = \"500ms\", bytes = \"21B\" },
    { at = \"2s\", do = \"answer\" },
  ] },
]

fault = [
  { kind = \"lose\", during = \"1s..2s\", users = \"0\", share = 0.5 },
]

[limits]
ready_after = \"300ms\"

[users]
count = 1
";
        let scenario = Scenario::parse("x", text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(scenario.to_toml(""), text);
    }
}
