//! Comparing a recorded trace with a repetition, line by line, without holding either.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Damage, Flaw, Recorded};

/// Compares the lines of a repetition with recorded ones as they come.
#[derive(Debug)]
pub struct Compare<I> {
    recorded: Recorded<I>,
    outcome: Outcome,
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The two are the same, byte for byte.
    Same,
    /// The program does something else than the trace says.
    Differs(FirstDifference),
    /// The trace is not as it was written; up to there, the two are the same.
    Flawed {
        /// Where.
        flaw: Flaw,
        /// Where the line and what was repeated part, if there is a line.
        place: Option<Place>,
    },
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

/// The first byte at which a line that was altered is not what was repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Position in the line, from 1.
    pub byte: usize,
    /// From there on, as it stands in the file.
    pub found: String,
    /// From there on, as repeated.
    pub repeated: String,
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

impl<I: Iterator<Item = Result<Vec<u8>, Damage>>> Compare<I> {
    /// A comparison with what comes after the header.
    pub const fn new(recorded: Recorded<I>) -> Self {
        Self { recorded, outcome: Outcome::Same }
    }

    /// Takes in the next line of the repetition; false once the two have parted.
    pub fn line(&mut self, repeated: &str) -> bool {
        if self.outcome == Outcome::Same {
            match self.recorded.next() {
                Some(recorded) if recorded == repeated => {}
                Some(recorded) => self.differs(&recorded, repeated),
                None => match self.recorded.flaw() {
                    Some(flaw) => self.outcome = self.flawed(flaw.clone(), repeated),
                    None => self.differs("", repeated),
                },
            }
        }
        self.outcome == Outcome::Same
    }

    /// The line that was compared last, from 1; the header is line 1.
    pub const fn number(&self) -> u64 {
        self.recorded.number()
    }

    /// What came of it, after a repetition that ended with this hash; a recording that goes on is a difference, too.
    pub fn finish(mut self, hash: &str) -> Outcome {
        if self.outcome == Outcome::Same {
            let recorded = self.recorded.next();
            match (recorded, self.recorded.flaw(), self.recorded.hash()) {
                (Some(recorded), ..) => self.differs(&recorded, ""),
                (None, Some(flaw), _) => {
                    self.outcome = Outcome::Flawed { flaw: flaw.clone(), place: None };
                }
                (None, None, Some(recorded)) if recorded != hash => {
                    let recorded = recorded.to_owned();
                    self.differs(&recorded, hash);
                }
                (None, None, _) => {}
            }
        }
        self.outcome
    }

    /// What came of it so far, of a repetition that was ended early.
    pub fn so_far(self) -> Outcome {
        self.outcome
    }

    fn differs(&mut self, recorded: &str, repeated: &str) {
        self.outcome = Outcome::Differs(difference(self.recorded.number(), recorded, repeated));
    }

    fn flawed(&self, flaw: Flaw, repeated: &str) -> Outcome {
        let expected = self.recorded.expected(repeated);
        let place = place(&flaw.found, &expected).filter(|_| !flaw.found.is_empty() && !flaw.is_cut_off());
        Outcome::Flawed { flaw, place }
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
        write!(f, "line {} at {seconds:.6} s: {what} differs", self.line)?;
        match place(self.recorded.as_bytes(), &self.repeated) {
            Some(place) if !self.recorded.is_empty() && !self.repeated.is_empty() => {
                write!(
                    f,
                    " from byte {} on: recorded `{}`, repeated `{}`",
                    place.byte, place.found, place.repeated
                )
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "byte {} of the line: the file has `{}`, the repetition `{}`",
            self.byte, self.found, self.repeated
        )
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
        // The hash of the whole run: of its last line only.
        (None, None) if !recorded.is_empty() && !repeated.is_empty() => Difference::Hash,
        (Some(_) | None, Some(_) | None) => Difference::Line,
    };
    FirstDifference { line, at_us, what, recorded: recorded.to_owned(), repeated: repeated.to_owned() }
}

/// Where two lines part, and a little of what follows in each.
fn place(found: &[u8], repeated: &str) -> Option<Place> {
    const SHOWN: usize = 24;
    let same = found.iter().zip(repeated.bytes()).take_while(|(one, two)| **one == *two).count();
    // A character of several bytes is shown whole.
    let from = (0..=same).rev().find(|&at| repeated.is_char_boundary(at))?;
    let head = |bytes: &[u8]| {
        String::from_utf8_lossy(&bytes[from..]).trim_end_matches('\n').chars().take(SHOWN).collect()
    };
    let is_same = found == repeated.as_bytes();
    (!is_same).then(|| Place { byte: same + 1, found: head(found), repeated: head(repeated.as_bytes()) })
}
