//! The chain: each line ends with a part of a hash over all lines up to and including itself, so that a line that was
//! altered is told from a program that does something else.
//!
//! ```text
//! {"format":2, …, "c":"3f0a6b52"}                     header
//! {"t":40689,"in":…,"out":[…],"h":"c1…","c":"98…"}    one line per input
//! {"end":{"lines":2,"hash":"…"},"c":"…"}              how many lines there were, and the run's hash
//! ```
//! A line's bytes without `,"c":"…"}` and its end go into the hash. 32 bits of it stand in the line: a line that was
//! altered passes with a probability of 2^-32, and all lines after it would have to as well. It guards against accidents,
//! not against somebody who writes the chain anew.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Header, HeaderError, RunHash};
use crate::scenario::Scenario;

/// `,"c":"` and `"}`, eight digits between them, and the end of the line.
const OPEN: &[u8] = br#","c":""#;
const CLOSE: &[u8] = b"\"}\n";
const DIGITS: usize = 8;
const TAIL: usize = OPEN.len() + DIGITS + CLOSE.len();

/// A rolling hash over bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain(RunHash);

impl Chain {
    /// Takes in the next bytes; the bytes `ab` then `c` give another value than `a` then `bc`.
    pub fn take(&mut self, bytes: &[u8]) {
        self.0.bytes(bytes);
    }

    /// The value so far, in full.
    pub fn value(&self) -> [u8; 16] {
        self.0.to_bytes()
    }

    /// The part of it that stands in a line.
    fn digits(&self) -> String {
        format!("{:08x}", self.0.short())
    }
}

/// Writes the lines of a trace: each as it was given, then its chain value and its end.
#[derive(Clone, Debug, Default)]
pub struct Chained {
    chain: Chain,
    lines: u64,
}

impl Chained {
    /// Appends the header.
    pub fn header(&mut self, header: &Header, out: &mut String) {
        self.sealed(&header.to_line(), out);
    }

    /// Appends the line of an input.
    pub fn line(&mut self, line: &str, out: &mut String) {
        self.lines += 1;
        self.sealed(line, out);
    }

    /// Appends the last line: how many there were, and the hash of the run.
    pub fn end(&mut self, hash: &str, out: &mut String) {
        let end = Last { end: End { lines: self.lines, hash: hash.to_owned() } };
        self.sealed(&serde_json::to_string(&end).unwrap_or_default(), out);
    }

    fn sealed(&mut self, line: &str, out: &mut String) {
        // Every line is a JSON object.
        let open = line.strip_suffix('}').unwrap_or(line);
        self.chain.take(open.as_bytes());
        out.push_str(open);
        out.push_str(r#","c":""#);
        out.push_str(&self.chain.digits());
        out.push_str("\"}\n");
    }
}

#[derive(Serialize, Deserialize)]
struct Last {
    end: End,
}

#[derive(Serialize, Deserialize)]
struct End {
    lines: u64,
    hash: String,
}

/// Bytes of a file that are not as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The first byte of the part that is known to be wrong, from 0.
    pub from: u64,
    /// The first byte behind it.
    pub to: u64,
    /// What is wrong with it.
    pub what: String,
    /// Whether the file just ends there.
    pub is_end: bool,
}

/// Where a trace is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The first line that is not, from 1; the header is line 1.
    pub line: u64,
    /// How it shows.
    pub kind: FlawKind,
    /// The line as it is, with its end; empty if there is none.
    pub found: Vec<u8>,
}

/// How it shows that a trace is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlawKind {
    /// The line is not the one whose chain value it bears.
    Line,
    /// The line does not end with a chain value.
    Unchained,
    /// The file's own bytes are wrong there.
    Bytes(Damage),
    /// The trace ends there, without its last line.
    CutOff,
    /// Something comes after the last line.
    GoesOn,
}

impl Flaw {
    /// Whether only the end is missing: everything before it is as it was written.
    pub const fn is_cut_off(&self) -> bool {
        match &self.kind {
            FlawKind::CutOff => true,
            FlawKind::Bytes(damage) => damage.is_end,
            FlawKind::Line | FlawKind::Unchained | FlawKind::GoesOn => false,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line;
        match &self.kind {
            FlawKind::Line => {
                write!(f, "the file was altered at line {line}: it is not what its chain value was made of")
            }
            FlawKind::Unchained => {
                write!(f, "the file was altered at line {line}: it does not end with a chain value")
            }
            FlawKind::Bytes(Damage { from, what, is_end: true, .. }) => {
                write!(f, "the file is cut off after line {}, at byte {from}: {what}", line - 1)
            }
            FlawKind::Bytes(Damage { from, to, what, .. }) => {
                let before = line - 1;
                write!(
                    f,
                    "the file was altered within bytes {from} to {to}: {what}; lines up to {before} are in order"
                )
            }
            FlawKind::CutOff => {
                write!(f, "the file is cut off after line {}: its last line is missing", line - 1)
            }
            FlawKind::GoesOn => {
                write!(f, "the file was altered at line {line}: it goes on after its last line")
            }
        }
    }
}

/// What could be opened.
pub type Opened<I> = Result<(Recorded<I>, Header, Scenario), NotOpened>;

/// Why a trace could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// This program cannot repeat the run.
    Refused(HeaderError),
    /// The header is not as it was written.
    Flawed(Flaw),
}

impl fmt::Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Flawed(flaw) => flaw.fmt(f),
        }
    }
}

impl std::error::Error for NotOpened {}

/// The lines of a recorded trace, as far as they are as they were written. `I` gives them raw, each with its end, or
/// says what is wrong with the file.
#[derive(Debug)]
pub struct Recorded<I> {
    raw: I,
    chain: Chain,
    line: u64,
    hash: Option<String>,
    flaw: Option<Flaw>,
}

impl<I: Iterator<Item = Result<Vec<u8>, Damage>>> Recorded<I> {
    /// Reads the header.
    ///
    /// # Errors
    /// The header is not as it was written, or this program cannot repeat the run.
    pub fn open(raw: I) -> Opened<I> {
        let mut recorded = Self { raw, chain: Chain::default(), line: 0, hash: None, flaw: None };
        let header = recorded.next_line();
        let flawed = |flaw: Flaw| {
            // A trace of another format, and what is no trace at all, is not an altered one of ours.
            let found = String::from_utf8_lossy(&flaw.found).into_owned();
            match Header::parse(found.trim_end()) {
                Err(error @ HeaderError::Format(_)) if !has_tail(&flaw.found) => NotOpened::Refused(error),
                Err(error @ HeaderError::NotATrace(_)) if !looks_like_ours(&flaw) => {
                    NotOpened::Refused(error)
                }
                Ok(_) | Err(_) => NotOpened::Flawed(flaw),
            }
        };
        match (header, recorded.flaw.take()) {
            (_, Some(flaw)) => Err(flawed(flaw)),
            (None, None) => Err(NotOpened::Refused(HeaderError::NotATrace("the file is empty".to_owned()))),
            (Some(header), None) => {
                let (header, scenario) = Header::parse(&header).map_err(NotOpened::Refused)?;
                Ok((recorded, header, scenario))
            }
        }
    }

    /// The line that was read last, from 1; the header is line 1.
    pub const fn number(&self) -> u64 {
        self.line
    }

    /// The run's hash, once the last line was read.
    pub fn hash(&self) -> Option<&str> {
        self.hash.as_deref()
    }

    /// Where the trace is not as it was written, once that was come to.
    pub const fn flaw(&self) -> Option<&Flaw> {
        self.flaw.as_ref()
    }

    /// What the next line would be with its chain value and its end, if it had this text. For saying where a flawed
    /// one differs.
    pub fn expected(&self, line: &str) -> String {
        let mut out = String::new();
        Chained { chain: self.chain, lines: 0 }.sealed(line, &mut out);
        out
    }

    fn next_line(&mut self) -> Option<String> {
        self.line += 1;
        let found = match self.raw.next() {
            None if self.line == 1 => return None,
            None => return self.flawed(FlawKind::CutOff, Vec::new()),
            Some(Err(damage)) => return self.flawed(FlawKind::Bytes(damage), Vec::new()),
            Some(Ok(found)) => found,
        };
        if !found.ends_with(b"\n") && !lacks_only_its_end(&found) && self.raw.next().is_none() {
            return self.flawed(FlawKind::CutOff, found);
        }
        if !has_tail(&found) {
            return self.flawed(FlawKind::Unchained, found);
        }
        let (open, tail) = found.split_at(found.len() - TAIL);
        let mut chain = self.chain;
        chain.take(open);
        let digits = &tail[OPEN.len()..OPEN.len() + DIGITS];
        match std::str::from_utf8(open) {
            Ok(open) if chain.digits().as_bytes() == digits => {
                self.chain = chain;
                Some(format!("{open}}}"))
            }
            Ok(_) | Err(_) => self.flawed(FlawKind::Line, found),
        }
    }

    fn flawed(&mut self, kind: FlawKind, found: Vec<u8>) -> Option<String> {
        self.flaw = Some(Flaw { line: self.line, kind, found });
        None
    }

    /// The last line has been read: nothing may follow.
    fn ended(&mut self, end: End) -> Option<String> {
        self.hash = Some(end.hash);
        match self.raw.next() {
            None => {}
            Some(after) => {
                self.line += 1;
                let (kind, found) = match after {
                    Ok(found) => (FlawKind::GoesOn, found),
                    Err(damage) => (FlawKind::Bytes(damage), Vec::new()),
                };
                self.flawed(kind, found);
            }
        }
        None
    }
}

impl<I: Iterator<Item = Result<Vec<u8>, Damage>>> Iterator for Recorded<I> {
    type Item = String;

    /// The next line without its chain value and its end; `None` after the last one and at the first flaw.
    fn next(&mut self) -> Option<String> {
        if self.hash.is_some() || self.flaw.is_some() {
            return None;
        }
        let line = self.next_line()?;
        if line.starts_with(r#"{"end":"#)
            && let Ok(Last { end }) = serde_json::from_str(&line)
        {
            return self.ended(end);
        }
        Some(line)
    }
}

/// Whether a line ends as each of ours does.
fn has_tail(found: &[u8]) -> bool {
    let Some(at) = found.len().checked_sub(TAIL) else { return false };
    found[at..].starts_with(OPEN) && found.ends_with(CLOSE)
}

/// Whether a line has something else in the place of its end.
fn lacks_only_its_end(found: &[u8]) -> bool {
    let before = &found[..found.len().saturating_sub(1)];
    has_tail(&[before, b"\n"].concat())
}

/// Whether a first line that is no header was one once.
fn looks_like_ours(flaw: &Flaw) -> bool {
    let known = format!("{{\"format\":{}", super::FORMAT);
    has_tail(&flaw.found)
        || flaw.found.starts_with(known.as_bytes())
        || matches!(flaw.kind, FlawKind::Bytes(_))
}
