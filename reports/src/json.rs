//! JSON: the format that is kept and read back.

use serde::{Deserialize, Serialize};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};
use std::{error, fmt, io};

use crate::{Comparison, Report, SCHEMA};

/// The schema of a comparison. It is written to be read by other programs; this one reads reports.
pub const COMPARISON_SCHEMA: &str = "goldenpath.comparison/1";

/// Containers at this depth or deeper are written on one line: one line per fact, metric, finding or timeline,
/// so that reports diff and grep well and an error's line number names one of them.
const INDENT_DEPTH_MAX: usize = 2;

/// Why a text is no report of this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No JSON, cut off, or JSON of another shape.
    Malformed {
        /// Line of the error, from 1.
        line: usize,
        /// Column of the error, from 1; 0 at the very start of a line.
        column: usize,
        /// What is wrong, in the parser's words.
        reason: String,
    },
    /// Another schema, or another major version of it.
    Schema {
        /// The schema that the text names.
        found: String,
    },
}

/// The only part that every version shares.
#[derive(Deserialize)]
struct Head {
    schema: String,
}

/// A comparison as it is written.
#[derive(Serialize)]
struct Compared<'a> {
    schema: &'static str,
    comparison: &'a Comparison,
}

/// `report` as JSON, with a line feed at the end. Fields come in the order of their declaration.
pub fn to_string(report: &Report) -> String {
    written(report, Lines::default())
}

/// `comparison` as JSON, with a line feed at the end: `{"schema": "goldenpath.comparison/1", "comparison": {…}}`.
pub fn comparison_to_string(comparison: &Comparison) -> String {
    // One level deeper than a report: the same lines.
    let document = Compared { schema: COMPARISON_SCHEMA, comparison };
    written(&document, Lines { indent_depth_max: INDENT_DEPTH_MAX + 1, ..Lines::default() })
}

fn written(value: &impl Serialize, lines: Lines) -> String {
    let mut out = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut out, lines);
    // Cannot fail: memory accepts every write and all map keys are text.
    value.serialize(&mut serializer).expect("a report is always valid JSON");
    out.push(b'\n');
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// Reads a report of the same major schema. Unknown fields are skipped: a later minor version may have added them.
///
/// # Errors
/// [`Error::Schema`] if the text names another schema, [`Error::Malformed`] with line and column otherwise.
pub fn from_str(text: &str) -> Result<Report, Error> {
    let head: Head = serde_json::from_str(text).map_err(Error::from)?;
    if !same_major(&head.schema) {
        return Err(Error::Schema { found: head.schema });
    }
    serde_json::from_str(text).map_err(Error::from)
}

/// Whether `schema` is [`SCHEMA`] or a minor version of it.
fn same_major(schema: &str) -> bool {
    schema.strip_prefix(SCHEMA).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Error {
        // serde_json appends the position to its message; it has its own place here.
        let message = error.to_string();
        let reason =
            message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason).to_owned();
        Error::Malformed { line: error.line(), column: error.column(), reason }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Malformed { line, column, reason } => {
                write!(f, "not a readable report: {reason} at line {line}, column {column}")
            }
            Error::Schema { found } => write!(f, "report has schema {found:?}, expected {SCHEMA:?}"),
        }
    }
}

impl error::Error for Error {}

/// Indents the outer containers and keeps the inner ones on one line.
struct Lines {
    depth: usize,
    indent_depth_max: usize,
    pretty: PrettyFormatter<'static>,
}

impl Default for Lines {
    fn default() -> Lines {
        Lines { depth: 0, indent_depth_max: INDENT_DEPTH_MAX, pretty: PrettyFormatter::new() }
    }
}

impl Lines {
    fn is_indented(&self) -> bool {
        self.depth <= self.indent_depth_max
    }
}

/// Each method opens, closes or separates with the formatter that the current depth asks for.
impl Formatter for Lines {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        if self.is_indented() {
            self.pretty.begin_array(writer)
        } else {
            CompactFormatter.begin_array(writer)
        }
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let indented = self.is_indented();
        self.depth -= 1;
        if indented { self.pretty.end_array(writer) } else { CompactFormatter.end_array(writer) }
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if self.is_indented() {
            self.pretty.begin_array_value(writer, first)
        } else {
            CompactFormatter.begin_array_value(writer, first)
        }
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.is_indented() { self.pretty.end_array_value(writer) } else { Ok(()) }
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        if self.is_indented() {
            self.pretty.begin_object(writer)
        } else {
            CompactFormatter.begin_object(writer)
        }
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let indented = self.is_indented();
        self.depth -= 1;
        if indented { self.pretty.end_object(writer) } else { CompactFormatter.end_object(writer) }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if self.is_indented() {
            self.pretty.begin_object_key(writer, first)
        } else {
            CompactFormatter.begin_object_key(writer, first)
        }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.is_indented() {
            self.pretty.begin_object_value(writer)
        } else {
            CompactFormatter.begin_object_value(writer)
        }
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.is_indented() { self.pretty.end_object_value(writer) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_report_survives_the_round_trip_and_is_written_alike_twice() {
        let report = sample::failing();
        let json = to_string(&report);
        let back = from_str(&json).expect("reads what it wrote");
        assert_eq!(back, report);
        assert_eq!(to_string(&back), json);
    }

    #[test]
    fn each_finding_has_its_own_line() {
        let json = to_string(&sample::failing());
        let lines: Vec<&str> = json.lines().filter(|line| line.contains("\"rule\"")).collect();
        assert_eq!(lines.len(), sample::failing().findings.len());
        assert!(lines[0].starts_with("    {\"rule\":\"iso.I1\","), "{}", lines[0]);
    }

    #[test]
    fn a_comparison_names_its_schema_and_holds_everything() {
        let comparison = crate::compare(&sample::passing(), &sample::failing());
        let json = comparison_to_string(&comparison);
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(value["schema"], COMPARISON_SCHEMA);
        assert_eq!(serde_json::from_value::<Comparison>(value["comparison"].clone()).ok(), Some(comparison));
    }

    #[test]
    fn a_truncated_report_names_line_and_column() {
        let json = to_string(&sample::passing());
        let cut = json.find("\"facts\"").expect("there are facts") + 3;
        let Err(error @ Error::Malformed { line, column, .. }) = from_str(&json[..cut]) else {
            panic!("a cut report was read");
        };
        assert_eq!(line, json[..cut].lines().count());
        assert_eq!(column, json[..cut].lines().last().map_or(0, str::len));
        assert!(error.to_string().contains(&format!("at line {line}, column {column}")), "{error}");
    }

    #[test]
    fn a_later_major_schema_is_refused_by_name_and_a_minor_one_is_read() {
        let json = to_string(&sample::passing());
        let later = json.replace(SCHEMA, "goldenpath.report/12");
        let error = from_str(&later).expect_err("another major");
        assert_eq!(
            error.to_string(),
            "report has schema \"goldenpath.report/12\", expected \"goldenpath.report/1\""
        );

        let minor = json.replace(SCHEMA, "goldenpath.report/1.3").replacen('{', "{\"invented\": [1],", 1);
        assert_eq!(from_str(&minor).map(|report| report.facts), Ok(sample::passing().facts));
    }

    #[test]
    fn json_that_is_no_report_says_what_is_missing() {
        let error = from_str("{\"tool\": 3}").expect_err("no schema");
        assert_eq!(error.to_string(), "not a readable report: missing field `schema` at line 1, column 11");
    }
}
