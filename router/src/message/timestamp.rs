//! Inbound timestamps: what is taken at its word, and what the router's clock replaces.

use time::{Date, OffsetDateTime, PrimitiveDateTime, Time, format_description::well_known::Iso8601};

use super::Raw;

/// Fewest digits of a decimal text that is read as seconds since the epoch; `2025` is a year, not a second.
const MIN_DIGITS: usize = 9;
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
    if let Ok(stamp) = OffsetDateTime::parse(text, &Iso8601::PARSING) {
        return Some(seconds(stamp));
    }
    if let Ok(stamp) = PrimitiveDateTime::parse(text, &Iso8601::PARSING) {
        return Some(seconds(stamp.assume_utc()));
    }
    let date = Date::parse(text, &Iso8601::PARSING).ok()?;
    Some(seconds(PrimitiveDateTime::new(date, Time::MIDNIGHT).assume_utc()))
}

/// Whether [`parse`] takes the value; the form that clients send is judged without being computed.
pub fn is_trusted(raw: Raw<'_>) -> bool {
    raw.json().len() > 2 && is_common(&raw.json().as_bytes()[1..raw.json().len() - 1]) || parse(raw).is_some()
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
            ("\"2025-09-08T12:00:00.5Z\"", Some(1_757_332_800.5)),
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
            let raw = Raw::new(json, false);
            assert_eq!(parse(raw), expected, "{json}");
            assert_eq!(is_trusted(raw), expected.is_some(), "{json}");
        }
    }
}
