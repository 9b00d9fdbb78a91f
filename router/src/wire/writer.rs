//! A JSON writer over a reused text buffer: escapes texts, never allocates after warm-up.

use alloc::string::String;
use core::fmt::Write as _;

use crate::{contract::Instant, message::skip_plain};

/// Writes one JSON object after another into the same buffer.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: String,
    unix: Stamp,
    iso: Stamp,
}

/// The time last written, for the next one in the same second, or the same again.
#[derive(Debug, Default)]
struct Stamp {
    /// Microseconds since the epoch.
    micros: u64,
    /// Whole seconds, a point and six digits; empty before the first.
    text: String,
}

impl Stamp {
    /// The text of a time; `seconds` writes its whole seconds and the point.
    fn at(&mut self, now: Instant, seconds: impl FnOnce(u64, &mut String)) -> &str {
        let micros = now.as_micros();
        if self.text.is_empty() || micros / 1_000_000 != self.micros / 1_000_000 {
            self.text.clear();
            seconds(micros / 1_000_000, &mut self.text);
        } else if micros == self.micros {
            return &self.text;
        } else {
            self.text.truncate(self.text.len() - 6);
        }
        self.micros = micros;
        let part = micros % 1_000_000;
        for two in [part / 10_000, part / 100, part] {
            self.text.push_str(pair(two));
        }
        &self.text
    }
}

impl Writer {
    /// Begins a new frame.
    pub(crate) fn begin(&mut self) {
        self.out.clear();
    }

    pub(crate) fn finish(&self) -> &str {
        &self.out
    }

    pub(crate) fn raw(&mut self, json: &str) {
        self.out.push_str(json);
    }

    /// A member with a text value; `key` is written as `,"key":`-like literal given whole by the caller.
    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.out.push_str(key);
        self.string(text);
    }

    pub(crate) fn number(&mut self, key: &str, number: u64) {
        self.out.push_str(key);
        self.integer(number);
    }

    /// A member whose value is `prefix-node-number`, an id of ours that needs no escape.
    pub(crate) fn id(&mut self, key: &str, prefix: &str, node: &str, number: u64) {
        self.out.push_str(key);
        self.out.push('"');
        self.out.push_str(prefix);
        self.out.push('-');
        self.out.push_str(node);
        self.out.push('-');
        self.integer(number);
        self.out.push('"');
    }

    /// Unix seconds with six decimals, as legacy server messages carry them.
    pub(crate) fn unix_seconds(&mut self, key: &str, now: Instant) {
        self.out.push_str(key);
        self.out.push_str(self.unix.at(now, |seconds, text| {
            push_integer(text, seconds);
            text.push('.');
        }));
    }

    /// ISO 8601 in UTC with microseconds, quoted.
    pub(crate) fn iso(&mut self, key: &str, now: Instant) {
        self.out.push_str(key);
        self.out.push('"');
        self.out.push_str(self.iso.at(now, |seconds, text| {
            text.push_str(core::str::from_utf8(&civil(seconds / 86_400)).unwrap_or_default());
            let seconds = seconds % 86_400;
            for (lead, part) in [("T", seconds / 3600), (":", seconds / 60 % 60), (":", seconds % 60)] {
                text.push_str(lead);
                text.push_str(pair(part));
            }
            text.push('.');
        }));
        self.out.push_str("Z\"");
    }

    /// A quoted, escaped text.
    pub(crate) fn string(&mut self, text: &str) {
        self.out.push('"');
        let bytes = text.as_bytes();
        let mut plain = 0;
        loop {
            let at = skip_plain(bytes, plain);
            self.out.push_str(&text[plain..at]);
            let Some(byte) = bytes.get(at) else { break };
            plain = at + 1;
            match byte {
                b'"' => self.out.push_str("\\\""),
                b'\\' => self.out.push_str("\\\\"),
                b'\n' => self.out.push_str("\\n"),
                b'\r' => self.out.push_str("\\r"),
                b'\t' => self.out.push_str("\\t"),
                _ => {
                    // Writing into a String cannot fail.
                    let _ = write!(self.out, "\\u{byte:04x}");
                }
            }
        }
        self.out.push('"');
    }

    fn integer(&mut self, number: u64) {
        push_integer(&mut self.out, number);
    }
}

/// The last two digits of a number.
fn pair(number: u64) -> &'static str {
    const PAIRS: &str = "00010203040506070809101112131415161718192021222324252627282930313233343536373839\
                         40414243444546474849505152535455565758596061626364656667686970717273747576777879\
                         8081828384858687888990919293949596979899";
    let at = (number % 100) as usize * 2;
    &PAIRS[at..at + 2]
}

/// Appends a number in decimal.
pub(crate) fn push_integer(out: &mut String, number: u64) {
    if number < 100 {
        // Most are positions in a run.
        let text = pair(number);
        return out.push_str(if number < 10 { &text[1..] } else { text });
    }
    let mut pairs = [""; 10];
    let (mut count, mut rest) = (0, number);
    while rest >= 100 {
        pairs[count] = pair(rest);
        count += 1;
        rest /= 100;
    }
    let first = pair(rest);
    out.push_str(first.strip_prefix('0').unwrap_or(first));
    for pair in pairs[..count].iter().rev() {
        out.push_str(pair);
    }
}

/// `YYYY-MM-DD` of a day since the Unix epoch (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
fn civil(day: u64) -> [u8; 10] {
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let digit = |number: u64, place: u32| b'0' + (number / 10_u64.pow(place) % 10) as u8;
    [
        digit(year, 3),
        digit(year, 2),
        digit(year, 1),
        digit(year, 0),
        b'-',
        digit(month, 1),
        digit(month, 0),
        b'-',
        digit(date, 1),
        digit(date, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_calendar_says() {
        let mut w = Writer::default();
        for (micros, iso) in [
            (0, "\"1970-01-01T00:00:00.000000Z\""),
            (951_782_400_000_000, "\"2000-02-29T00:00:00.000000Z\""),
            (1_795_219_200_123_456, "\"2026-11-21T00:00:00.123456Z\""),
            (253_402_300_799_999_999, "\"9999-12-31T23:59:59.999999Z\""),
        ] {
            for _ in 0..2 {
                w.begin();
                w.iso("", Instant::from_micros(micros));
                assert_eq!(w.finish(), iso);
            }
        }
        w.begin();
        w.unix_seconds("", Instant::from_micros(1_700_000_000_000_042));
        assert_eq!(w.finish(), "1700000000.000042");
        // In the same second, back a little, and in another one.
        for (micros, text) in [(987_654, ".987654"), (7, ".000007"), (7, ".000007"), (1_000_007, "1.000007")]
        {
            w.begin();
            w.unix_seconds("", Instant::from_micros(1_700_000_000_000_000 + micros));
            assert!(w.finish().ends_with(text), "{}", w.finish());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_reads_back(text in "\\PC{0,40}|[\\x00-\\x40\"\\\\]{0,20}") {
            let mut w = Writer::default();
            w.string(&text);
            let back: String = serde_json::from_str(w.finish()).expect("JSON");
            proptest::prop_assert_eq!(back, text);
        }
    }

    #[test]
    fn numbers_are_written_as_they_are() {
        let mut numbers = alloc::vec![0, u64::MAX, 7_000_000_001];
        numbers.extend((0..20).flat_map(|power| {
            let ten = 10_u64.pow(power);
            [ten, ten - 1, ten + 1]
        }));
        for number in numbers {
            let mut out = String::new();
            push_integer(&mut out, number);
            assert_eq!(out, alloc::format!("{number}"));
        }
    }
}
