//! Comparing a recorded trace with a repetition, line by line, without holding either.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Compares the lines of a repetition with recorded ones as they come.
#[derive(Debug)]
pub struct Compare<I> {
    recorded: I,
    line: u64,
    first: Option<FirstDifference>,
}

/// Where two traces part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstDifference {
    /// Line of the recorded trace, from 1; the header is line 1.
    pub line: u64,
    /// Virtual time of the repetition there, microseconds; of the recorded line if the repetition has ended.
    pub at_us: u64,
    /// What differs first.
    pub what: Difference,
    /// As recorded; empty if the recording has ended.
    pub recorded: String,
    /// As repeated; empty if the repetition has ended.
    pub repeated: String,
}

/// What differs first in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The time of the input.
    Time,
    /// The input.
    Input,
    /// The effects.
    Effect,
    /// Only the hash: something that the line does not show.
    Hash,
    /// One of the traces has ended, or the recorded line is no trace line.
    Line,
}

#[derive(Deserialize)]
struct Parts<'a> {
    t: u64,
    #[serde(borrow, rename = "in")]
    input: &'a RawValue,
    #[serde(borrow)]
    out: &'a RawValue,
    h: &'a str,
}

impl<I: Iterator<Item = String>> Compare<I> {
    /// A comparison with the lines after the header.
    pub fn new(recorded: I) -> Self {
        Self { recorded, line: 1, first: None }
    }

    /// Takes in the next line of the repetition; false once the two have parted.
    pub fn line(&mut self, repeated: &str) -> bool {
        if self.first.is_none() {
            self.line += 1;
            let recorded = self.recorded.next();
            if recorded.as_deref() != Some(repeated) {
                self.first = Some(difference(self.line, recorded.as_deref().unwrap_or_default(), repeated));
            }
        }
        self.first.is_none()
    }

    /// The first difference, if there is one; a recording that goes on is one too.
    pub fn finish(mut self) -> Option<FirstDifference> {
        self.first.or_else(|| self.recorded.next().map(|recorded| difference(self.line + 1, &recorded, "")))
    }
}

impl fmt::Display for FirstDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            Difference::Time => "time",
            Difference::Input => "input",
            Difference::Effect => "effects",
            Difference::Hash => "hash",
            Difference::Line => "end of the trace",
        };
        let seconds = self.at_us as f64 / 1e6;
        write!(f, "line {} at {seconds:.6} s: {what} differs", self.line)
    }
}

fn difference(line: u64, recorded: &str, repeated: &str) -> FirstDifference {
    let parts = |text| serde_json::from_str::<Parts<'_>>(text).ok();
    let (one, two) = (parts(recorded), parts(repeated));
    let at_us = two.as_ref().or(one.as_ref()).map_or(0, |parts| parts.t);
    let what = match (one, two) {
        (Some(one), Some(two)) if one.t != two.t => Difference::Time,
        (Some(one), Some(two)) if one.input.get() != two.input.get() => Difference::Input,
        (Some(one), Some(two)) if one.out.get() != two.out.get() => Difference::Effect,
        (Some(one), Some(two)) if one.h != two.h => Difference::Hash,
        (Some(_) | None, Some(_) | None) => Difference::Line,
    };
    FirstDifference { line, at_us, what, recorded: recorded.to_owned(), repeated: repeated.to_owned() }
}
