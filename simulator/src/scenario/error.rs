//! What is wrong with a scenario file, and where.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One mistake in a scenario file. Its text names file, line, column and key, and what is allowed there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// The name the text was parsed under, usually a path.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Dotted key, such as `network.latency`; empty if the text is not TOML at all.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What is allowed, or what to write instead; may be empty.
    pub help: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, key, message, help } = self;
        write!(f, "{file}:{line}:{column}: ")?;
        if !key.is_empty() {
            write!(f, "`{key}`: ")?;
        }
        f.write_str(message)?;
        if !help.is_empty() {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ScenarioError {}

impl ScenarioError {
    /// Turns the reader's error into ours: place from its span, key from the document, help from its text.
    pub(super) fn from_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        let path = match DeTable::parse(text) {
            Ok(table) if !span.is_empty() => key_at(table.get_ref(), &span),
            Ok(_) | Err(_) => String::new(),
        };
        let (message, help) = explain(error.message());
        let key = match missing_field(error.message()) {
            Some(field) => [path.as_str(), field]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("."),
            None => path,
        };
        Self::at(file, text, span, key, message, help)
    }

    /// An error about the value of a dotted key, placed at that value, or at its nearest table if the value
    /// is a default. An item of a list goes by its number, which the error leaves out.
    pub(super) fn about(file: &str, text: &str, key: &str, message: String, help: String) -> Self {
        let span = DeTable::parse(text).map(|table| span_of(table.get_ref(), key)).unwrap_or(0..0);
        let named: Vec<&str> = key.split('.').filter(|part| part.parse::<usize>().is_err()).collect();
        Self::at(file, text, span, named.join("."), message, help)
    }

    fn at(file: &str, text: &str, span: Range<usize>, key: String, message: String, help: String) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key,
            message,
            help,
        }
    }
}

/// Message and help of a reader's message: our own carry both, the derived ones are split at what they
/// expect.
fn explain(text: &str) -> (String, String) {
    if let Some((message, help)) = text.split_once('\n') {
        return (message.to_owned(), help.to_owned());
    }
    if text.starts_with("unknown field") || text.starts_with("unknown variant") {
        let mut names = text.split('`').skip(1).step_by(2);
        let wrong = names.next().unwrap_or_default();
        let allowed: Vec<&str> = names.collect();
        let what = if text.starts_with("unknown field") { "key" } else { "value" };
        let close = allowed
            .iter()
            .map(|name| (distance(wrong, name), name))
            .min()
            .filter(|(far, name)| *far <= 1 + name.len() / 4);
        let meant = close.map(|(_, name)| format!("did you mean `{name}`? ")).unwrap_or_default();
        return (format!("unknown {what} `{wrong}`"), format!("{meant}allowed: {}", allowed.join(", ")));
    }
    match text.split_once(", expected ") {
        Some((message, expected)) => (message.to_owned(), format!("expected {expected}")),
        None if text.starts_with("missing field") => {
            (text.replace("field", "key"), "it has no default".to_owned())
        }
        None => (text.to_owned(), String::new()),
    }
}

fn missing_field(text: &str) -> Option<&str> {
    text.strip_prefix("missing field `")?.strip_suffix('`')
}

/// The dotted path of the innermost key or value that covers a span.
fn key_at(table: &DeTable<'_>, span: &Range<usize>) -> String {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        if covers(&key.span(), span) {
            return name.to_owned();
        }
        let inner = value_at(value, span);
        if !inner.is_empty() {
            return format!("{name}.{inner}");
        }
        if covers(&value.span(), span) {
            return name.to_owned();
        }
    }
    String::new()
}

fn value_at(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> String {
    if let Some(table) = value.get_ref().as_table() {
        return key_at(table, span);
    }
    let Some(array) = value.get_ref().as_array() else { return String::new() };
    array.iter().map(|item| value_at(item, span)).find(|path| !path.is_empty()).unwrap_or_default()
}

fn covers(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.start < outer.end && inner.end <= outer.end
}

/// The span of the value of a dotted key, or of the deepest part of the path that the text has.
fn span_of(table: &DeTable<'_>, key: &str) -> Range<usize> {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    let Some((_, value)) = table.iter().find(|(name, _)| name.get_ref() == first) else { return 0..0 };
    span_within(value, rest)
}

/// The same from a value on; rows of an array go by their number.
fn span_within(value: &Spanned<DeValue<'_>>, rest: &str) -> Range<usize> {
    let (first, after) = rest.split_once('.').unwrap_or((rest, ""));
    let row = value.get_ref().as_array().and_then(|rows| rows.get(first.parse::<usize>().ok()?));
    let inner = match (value.get_ref().as_table(), row) {
        (Some(table), _) if !rest.is_empty() => span_of(table, rest),
        (_, Some(row)) => span_within(row, after),
        (Some(_) | None, None) => 0..0,
    };
    if inner.end > 0 { inner } else { value.span() }
}

/// Optimal string alignment distance: insertions, deletions, substitutions, swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
