//! Inbound timestamps: what is taken at its word, and what the router's clock replaces.

use time::{Date, OffsetDateTime, PrimitiveDateTime, Time, format_description::well_known::Iso8601};

use super::Raw;

/// Fewest digits of a decimal text that is read as seconds since the epoch; `2025` is a year, not a second.
const MIN_DIGITS: usize = 9;
/// 1970-01-01.
const UNIX_EPOCH_JULIAN_DAY: i32 = 2_440_588;
/// First second of the year 10000.
const END: f64 = 253_402_300_800.0;

/// Seconds since the Unix epoch, or `None` when the value cannot be trusted and the router's clock is used.
///
/// Taken: a finite number, a decimal text of at least 9 digits, or ISO 8601 (RFC 3339 form, date only, week
/// date), within the years 1970 to 9999.
pub fn parse(raw: Raw<'_>) -> Option<f64> {
    let seconds = match raw.text() {
        None => raw.json().parse().ok()?,
        Some(text) => parse_text(text.trim())?,
    };
    (0.0..END).contains(&seconds).then_some(seconds)
}

fn parse_text(text: &str) -> Option<f64> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let decimal = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if decimal && digits >= MIN_DIGITS {
        return text.parse().ok();
    }
    if decimal {
        return None;
    }
    if let Some(stamp) = parse_common(text.as_bytes()) {
        return Some(stamp);
    }
    if let Ok(stamp) = OffsetDateTime::parse(text, &Iso8601::PARSING) {
        return Some(seconds(stamp));
    }
    if let Ok(stamp) = PrimitiveDateTime::parse(text, &Iso8601::PARSING) {
        return Some(seconds(stamp.assume_utc()));
    }
    let date = Date::parse(text, &Iso8601::PARSING).ok()?;
    Some(seconds(PrimitiveDateTime::new(date, Time::MIDNIGHT).assume_utc()))
}

/// `YYYY-MM-DDThh:mm:ss[.fraction]Z` of a day that every month has: what clients send, without the general
/// parser. Anything else, valid or not, is left to it.
fn parse_common(text: &[u8]) -> Option<f64> {
    let number = |from: usize, to: usize| {
        text[from..to].iter().try_fold(0_u32, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
        })
    };
    let (&last, rest) = text.split_last()?;
    let marks = rest.len() >= 19 && [rest[4], rest[7], rest[10], rest[13], rest[16]] == *b"--T::";
    if last != b'Z' || !marks || rest.len() > 28 {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let in_range = year >= 1970 && (1..=12).contains(&month) && (1..=28).contains(&day);
    if !in_range || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = match rest.get(19) {
        None => 0.0,
        Some(b'.') if rest.len() > 20 => {
            f64::from(number(20, rest.len())?) / 10_u64.pow(rest.len() as u32 - 20) as f64
        }
        Some(_) => return None,
    };
    let date =
        Date::from_calendar_date(year as i32, time::Month::try_from(month as u8).ok()?, day as u8).ok()?;
    let days = f64::from(date.to_julian_day() - UNIX_EPOCH_JULIAN_DAY);
    Some(days * 86_400.0 + f64::from(hour * 3600 + minute * 60 + second) + fraction)
}

fn seconds(stamp: OffsetDateTime) -> f64 {
    stamp.unix_timestamp_nanos() as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_and_what_is_replaced() {
        for (json, expected) in [
            ("1700000000.5", Some(1_700_000_000.5)),
            ("\"1700000000\"", Some(1_700_000_000.0)),
            ("\"2025-09-08T12:00:00Z\"", Some(1_757_332_800.0)),
            ("\"2025-09-08T12:00:00.25Z\"", Some(1_757_332_800.25)),
            ("\"2025-02-30T12:00:00Z\"", None),
            ("\"2025-09-08T14:00:00+02:00\"", Some(1_757_332_800.0)),
            ("\"2025-09-08\"", Some(1_757_289_600.0)),
            ("\"2025-W37-1\"", Some(1_757_289_600.0)),
            ("\"2025\"", None),
            ("\"20250908\"", None),
            ("\"1_700_000_000\"", None),
            ("\"nan\"", None),
            ("true", None),
            ("null", None),
            ("-1", None),
            ("253402300800", None),
        ] {
            assert_eq!(parse(Raw::new(json, false)), expected, "{json}");
        }
    }
}
