//! Inbound timestamps: what is taken at its word, and what the router's clock replaces.
//!
//! Taken, within the years 1970 to 9999: a finite number and a decimal text of at least 9 digits (seconds since the
//! Unix epoch), and ISO 8601. Of ISO 8601: a calendar date `2025-09-08` or a week date `2025-W37-1` (`2025-W37` is its
//! Monday), alone or with a time after `T`, `t` or a space; the time to the hour, minute, second or fraction, with
//! `Z`, `±hh`, `±hh:mm` or nothing, which is read as UTC; each part in extended or basic form. RFC 3339 is among these,
//! but for its leap second and its lower-case `z`. Finer than a microsecond is cut off in texts, rounded in numbers.

use time::{Date, Month, Weekday};

use super::{Envelope, Raw};
use crate::contract::Instant;

/// Fewest digits of a decimal text that is read as seconds since the epoch; `2025` is a year, not a second.
const DIGITS_MIN: usize = 9;
/// First second of the year 10000.
const END: f64 = 253_402_300_800.0;
const DAY_S: i64 = 86_400;

/// When a message says it was sent, or `None` when that cannot be trusted and the router's clock is used.
pub fn parse(raw: Raw<'_>) -> Option<Instant> {
    match raw.text() {
        None => in_seconds(raw.json().parse().ok()?),
        Some(text) => parse_text(text.trim()),
    }
}

impl Envelope<'_> {
    /// When the message says it was sent; `None` when it does not say so, or nothing that can be trusted: then the
    /// time of its arrival stands for it. Computed when asked for.
    pub fn sent_at(&self) -> Option<Instant> {
        self.timestamp.and_then(parse)
    }
}

/// Whether [`parse`] takes the value; the form that clients send is judged without being computed.
pub fn is_trusted(raw: Raw<'_>) -> bool {
    raw.json().len() > 2 && is_common(&raw.json().as_bytes()[1..raw.json().len() - 1]) || parse(raw).is_some()
}

fn in_seconds(seconds: f64) -> Option<Instant> {
    (0.0..END).contains(&seconds).then(|| {
        let whole = seconds as u64;
        // The subtraction is exact; the addition of a half rounds to the nearest microsecond.
        let micros = ((seconds - whole as f64) * 1e6 + 0.5) as u64;
        Instant::from_micros(whole * 1_000_000 + micros)
    })
}

/// [`parse`] of a text without its quotes.
pub(crate) fn parse_text(text: &str) -> Option<Instant> {
    let decimal = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if decimal {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        return if digits >= DIGITS_MIN { in_seconds(text.parse().ok()?) } else { None };
    }
    let mut reader = Reader(text.as_bytes());
    let date = reader.date()?;
    let micros = if reader.0.is_empty() {
        0
    } else {
        reader.one_of(b"Tt ")?;
        let time = reader.time()?;
        time - reader.offset()? * 1_000_000
    };
    let days = i64::from(date.to_julian_day() - UNIX_EPOCH_JULIAN_DAY);
    let micros = u64::try_from(days * DAY_S * 1_000_000 + micros).ok()?;
    // The offset may carry the last day of the year 9999 beyond it.
    (reader.0.is_empty() && micros < END as u64 * 1_000_000).then(|| Instant::from_micros(micros))
}

/// 1970-01-01.
const UNIX_EPOCH_JULIAN_DAY: i32 = 2_440_588;

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        bytes.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    /// A number of exactly `len` digits.
    fn digits(&mut self, len: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(len)?;
        let number = digits.iter().try_fold(0, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })?;
        self.0 = rest;
        Some(number)
    }

    /// A number of two digits, at most `max`.
    fn two(&mut self, max: i64) -> Option<i64> {
        self.digits(2).filter(|number| *number <= max)
    }

    fn date(&mut self) -> Option<Date> {
        let year = self.digits(4)? as i32;
        let extended = self.one_of(b"-").is_some();
        if self.one_of(b"W").is_some() {
            let week = self.two(53)? as u8;
            let day = match self.0.first() {
                Some(b'-') if extended => {
                    self.one_of(b"-")?;
                    self.digits(1)?
                }
                Some(b'0'..=b'9') if !extended => self.digits(1)?,
                _ => 1,
            };
            let day = day.checked_sub(1).filter(|day| (0..7).contains(day))?;
            return Date::from_iso_week_date(year, week, Weekday::Monday.nth_next(day as u8)).ok();
        }
        let month = Month::try_from(self.two(12)? as u8).ok()?;
        if extended {
            self.one_of(b"-")?;
        }
        Date::from_calendar_date(year, month, self.two(31)? as u8).ok()
    }

    /// Microseconds since midnight.
    fn time(&mut self) -> Option<i64> {
        let mut seconds = self.two(23)? * 3600;
        let extended = self.one_of(b":").is_some();
        if !extended && !self.0.first().is_some_and(u8::is_ascii_digit) {
            return Some(seconds * 1_000_000);
        }
        seconds += self.two(59)? * 60;
        let more = if extended {
            self.one_of(b":").is_some()
        } else {
            self.0.first().is_some_and(u8::is_ascii_digit)
        };
        if !more {
            return Some(seconds * 1_000_000);
        }
        seconds += self.two(59)?;
        Some(seconds * 1_000_000 + if self.one_of(b".,").is_some() { self.fraction()? } else { 0 })
    }

    /// Digits after the point, in microseconds; further ones are cut off.
    fn fraction(&mut self) -> Option<i64> {
        let len = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(len);
        self.0 = rest;
        let micros = (0..6)
            .fold(0, |micros, at| micros * 10 + digits.get(at).map_or(0, |digit| i64::from(digit - b'0')));
        (len > 0).then_some(micros)
    }

    /// Seconds east of UTC; none is UTC.
    fn offset(&mut self) -> Option<i64> {
        if self.0.is_empty() {
            return Some(0);
        }
        let sign = match self.one_of(b"Z+-")? {
            b'Z' => return Some(0),
            b'-' => -1,
            _ => 1,
        };
        let hours = self.two(23)?;
        let more = self.one_of(b":").is_some() || !self.0.is_empty();
        let minutes = if more { self.two(59)? } else { 0 };
        Some(sign * (hours * 3600 + minutes * 60))
    }
}

/// `YYYY-MM-DDThh:mm:ss[.fraction]Z` from 2000 to 2099, of a day that every month has.
fn is_common(text: &[u8]) -> bool {
    let Some((&b'Z', stamp)) = text.split_last() else { return false };
    let Some((
        &[b'2', b'0', y1, y2, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2],
        rest,
    )) = stamp.split_first_chunk::<19>()
    else {
        return false;
    };
    let two = |high: u8, low: u8| {
        let (high, low) = (high.wrapping_sub(b'0'), low.wrapping_sub(b'0'));
        if high < 10 && low < 10 { high * 10 + low } else { u8::MAX }
    };
    let fraction = match rest {
        [] => true,
        [b'.', digits @ ..] => (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    fraction
        && two(y1, y2) < 100
        && (1..=12).contains(&two(m1, m2))
        && (1..=28).contains(&two(d1, d2))
        && two(h1, h2) < 24
        && two(n1, n2) < 60
        && two(s1, s2) < 60
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;

    const MICROS: u64 = 1_000_000;

    #[test]
    fn what_is_taken_and_what_is_replaced() {
        for (json, expected) in [
            ("0", Some(0)),
            ("1700000000.5", Some(1_700_000_000_500_000)),
            ("1693567801.447585", Some(1_693_567_801_447_585)),
            ("\"1693567801.447585\"", Some(1_693_567_801_447_585)),
            ("\" 1700000000 \"", Some(1_700_000_000 * MICROS)),
            ("\"2025-09-08T12:00:00Z\"", Some(1_757_332_800 * MICROS)),
            ("\"2025-09-08 12:00:00.5\"", Some(1_757_332_800_500_000)),
            ("\"2025-09-08t12:00:00,1234567899\"", Some(1_757_332_800_123_456)),
            ("\"2025-09-08T14:00:00+02:00\"", Some(1_757_332_800 * MICROS)),
            ("\"2025-09-08T14:00:00+0200\"", Some(1_757_332_800 * MICROS)),
            ("\"2025-09-08T10-02\"", Some(1_757_332_800 * MICROS)),
            ("\"20250908T1200Z\"", Some(1_757_332_800 * MICROS)),
            ("\"2025-09-08\"", Some(1_757_289_600 * MICROS)),
            ("\"2025-W37-1\"", Some(1_757_289_600 * MICROS)),
            ("\"2025W371\"", Some(1_757_289_600 * MICROS)),
            ("\"2025-W37\"", Some(1_757_289_600 * MICROS)),
            ("\"2025-W37T00\"", Some(1_757_289_600 * MICROS)),
            ("\"1970-01-01T00:00:00Z\"", Some(0)),
            ("\"9999-12-31T23:59:59.999999Z\"", Some(253_402_300_799_999_999)),
            ("\"9999-12-31T23:59:59-00:01\"", None),
            ("\"1970-01-01T00:00:00+00:01\"", None),
            ("\"1969-12-31T23:59:59Z\"", None),
            ("\"10000-01-01T00:00:00Z\"", None),
            ("\"2025-02-29T12:00:00Z\"", None),
            ("\"2025-09-08T12:00:00z\"", None),
            ("\"2025-09-08T24:00:00\"", None),
            ("\"2025-09-08T23:59:60\"", None),
            ("\"2025-09-08T12:00:00.\"", None),
            ("\"2025-09-08T12:00:00+24:00\"", None),
            ("\"2025-09-08T12:00:00+01:00:00\"", None),
            ("\"2025-09-08T12:00:00 +01:00\"", None),
            ("\"2025-09-08T12:00:00ZZ\"", None),
            ("\"2025-09-08Z\"", None),
            ("\"2025-09-08_12:00:00\"", None),
            ("\"2025-09-08T\"", None),
            ("\"2025-251\"", None),
            ("\"2025-09\"", None),
            ("\"2025-W54-1\"", None),
            ("\"2025-W37-8\"", None),
            ("\"2025\"", None),
            ("\"20250908\"", None),
            ("\"1_700_000_000\"", None),
            ("\"+1700000000\"", None),
            ("\"1e9\"", None),
            ("\"nan\"", None),
            ("\"inf\"", None),
            ("\"\"", None),
            ("\"Z\"", None),
            ("\"Mon, 08 Sep 2025 16:50:01 GMT\"", None),
            ("true", None),
            ("null", None),
            ("[1]", None),
            ("-1", None),
            ("5e18", None),
            ("253402300800", None),
        ] {
            let raw = Raw::new(json, false);
            assert_eq!(parse(raw).map(Instant::as_micros), expected, "{json}");
            assert_eq!(is_trusted(raw), expected.is_some(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_judging_agrees_with_reading(text in "\\PC{0,30}|[0-9TtZW:.,+ -]{0,32}") {
            let json = serde_json::to_string(&text).expect("a text");
            let raw = Raw::new(&json, json.contains('\\'));
            prop_assert_eq!(is_trusted(raw), parse(raw).is_some());
        }

        #[test]
        fn what_the_router_writes_it_reads_back(micros in 0..253_402_300_800_000_000_u64) {
            let mut w = crate::wire::Writer::default();
            w.iso("", Instant::from_micros(micros));
            prop_assert_eq!(parse(Raw::new(w.finish(), false)), Some(Instant::from_micros(micros)));
            // Exact while a double tells microseconds apart: below 2^33 seconds, in the year 2242.
            let micros = micros % ((1 << 33) * MICROS);
            let seconds = format!("{}.{:06}", micros / MICROS, micros % MICROS);
            prop_assert_eq!(parse(Raw::new(&seconds, false)), Some(Instant::from_micros(micros)));
        }
    }
}
