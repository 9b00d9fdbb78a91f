//! Moments: `datetime.fromisoformat(text).timestamp()`, a date or time without an offset being UTC.

/// Days from 1970-01-01 to the first of a year.
const fn days_before_year(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before / 4 - before / 100 + before / 400 - 719_162
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A position in a text of bytes. Behind the end there is a zero byte, as there was.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn next(&mut self) -> u8 {
        let byte = self.peek();
        self.at += 1;
        byte
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    /// Exactly that many digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let digits = self.text.get(self.at..self.at + count)?;
        self.at += count;
        digits
            .iter()
            .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    }
}

/// The moment a text of ISO 8601 names, in microseconds since 1970; `None` if it names none.
///
/// Any character may stand between date and time; weeks, basic forms, a comma and more than six digits of a second
/// are read; an ordinal date, 24:00, a leap second and a lower-case `z` are not. A final `Z` is read as `+00:00`, so
/// that it may also stand behind a date, where its plus is the separator.
pub fn iso_8601(text: &str) -> Option<i64> {
    let text = match text.strip_suffix('Z') {
        Some(rest) => format!("{rest}+00:00"),
        None => text.to_owned(),
    };
    let bytes = text.as_bytes();
    if bytes.len() < 7 {
        return None;
    }
    let date_len = date_len(bytes)?;
    let days = date(bytes.get(..date_len)?)?;
    let mut clock = Clock::default();
    if bytes.len() > date_len {
        let separator = text.get(date_len..)?.chars().next()?;
        clock = time(bytes.get(date_len + separator.len_utf8()..)?)?;
    }
    let Clock { hour, minute, second, micros, offset_us } = clock;
    if hour > 23 || minute > 59 || second > 59 || offset_us.abs() >= 86_400_000_000 {
        return None;
    }
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    Some(seconds * 1_000_000 + micros - offset_us)
}

/// Microseconds as seconds, rounded once.
pub fn seconds(micros: i64) -> f64 {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let text = format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.parse().unwrap_or(f64::NAN)
}

/// Where the date ends: its form shows in the fifth and sixth byte.
fn date_len(text: &[u8]) -> Option<usize> {
    let is_digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    if text.len() == 7 {
        return Some(7);
    }
    if text[4] != b'-' {
        if text[4] != b'W' {
            return Some(8); // YYYYMMDD
        }
        // YYYYWww or YYYYWwwd: digits of a time come in pairs.
        let end = (7..text.len()).find(|at| !is_digit(*at)).unwrap_or(text.len());
        return Some(if end < 9 {
            end
        } else if end % 2 == 0 {
            7
        } else {
            8
        });
    }
    if text[5] != b'W' {
        return Some(10); // YYYY-MM-DD
    }
    if text.len() > 8 && text[8] == b'-' {
        if text.len() == 9 {
            return None;
        }
        // YYYY-Www-D, or a hyphen between YYYY-Www and a time.
        return Some(if is_digit(10) { 8 } else { 10 });
    }
    Some(8) // YYYY-Www
}

/// Days since 1970 of a date that fills the text.
fn date(text: &[u8]) -> Option<i64> {
    let mut cursor = Cursor { text, at: 0 };
    let year = cursor.digits(4)?;
    let hyphens = cursor.take(b'-');
    if cursor.take(b'W') {
        let week = cursor.digits(2)?;
        let mut day = 1;
        if cursor.at < text.len() {
            if hyphens && !cursor.take(b'-') {
                return None;
            }
            day = cursor.digits(1)?;
        }
        return week_date(year, week, day);
    }
    let month = cursor.digits(2)?;
    if hyphens && !cursor.take(b'-') {
        return None;
    }
    let day = cursor.digits(2)?;
    let fits = year > 0 && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    if cursor.at != text.len() || !fits {
        return None;
    }
    let months: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
    Some(days_before_year(year) + months + day - 1)
}

/// Day of a week of a year: week 1 holds the year's first Thursday.
fn week_date(year: i64, week: i64, day: i64) -> Option<i64> {
    let first = days_before_year(year);
    // 1970-01-01 was a Thursday; 0 is Monday.
    let weekday = (first + 3).rem_euclid(7);
    let long = weekday == 3 || (weekday == 2 && is_leap(year));
    if year < 1 || !(1..=7).contains(&day) || !(1..=52 + i64::from(long)).contains(&week) {
        return None;
    }
    let monday = if weekday <= 3 { first - weekday } else { first + 7 - weekday };
    let days = monday + (week - 1) * 7 + day - 1;
    // The years 1 to 9999 only.
    (days_before_year(1)..days_before_year(10_000)).contains(&days).then_some(days)
}

#[derive(Clone, Copy, Default)]
struct Clock {
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    offset_us: i64,
}

/// A time with an offset or without, to the end of the text.
fn time(text: &[u8]) -> Option<Clock> {
    let zone = text.iter().position(|byte| matches!(byte, b'+' | b'-' | b'Z')).unwrap_or(text.len());
    let (hour, minute, second, micros, rest) = hms(text, 0, zone)?;
    let mut clock = Clock { hour, minute, second, micros, offset_us: 0 };
    let Some(sign) = text.get(zone) else { return (!rest).then_some(clock) };
    if *sign == b'Z' {
        return (zone + 1 == text.len()).then_some(clock);
    }
    let (hours, minutes, seconds, micros, rest) = hms(text, zone + 1, text.len())?;
    // An offset of less than a second is none.
    let whole = hours * 3600 + minutes * 60 + seconds;
    let offset = if whole == 0 { 0 } else { whole * 1_000_000 + micros };
    clock.offset_us = if *sign == b'-' { -offset } else { offset };
    (!rest).then_some(clock)
}

/// Hours, minutes, seconds, microseconds between two positions, and whether something is left over there: what is left
/// over ahead of an offset was let pass.
fn hms(text: &[u8], from: usize, to: usize) -> Option<(i64, i64, i64, i64, bool)> {
    let mut cursor = Cursor { text, at: from };
    let mut parts = [0; 3];
    let mut colons = true;
    for (n, part) in parts.iter_mut().enumerate() {
        *part = cursor.digits(2)?;
        let next = cursor.next();
        if n == 0 {
            colons = next == b':';
        }
        if cursor.at >= to {
            return Some((parts[0], parts[1], parts[2], 0, next != 0));
        }
        if colons && next == b':' {
            continue;
        }
        if next == b'.' || next == b',' {
            break;
        }
        if colons {
            return None;
        }
        cursor.at -= 1;
    }
    let [hour, minute, second] = parts;
    let count = (to - cursor.at).min(6);
    let scale = 10_i64.pow(6 - count as u32);
    let micros = cursor.digits(count)? * scale;
    while cursor.peek().is_ascii_digit() {
        cursor.at += 1;
    }
    Some((hour, minute, second, micros, cursor.at < text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<f64> {
        iso_8601(text).map(seconds)
    }

    #[test]
    fn forms_of_iso_8601_are_read() {
        for (text, moment) in [
            ("2025-09-08T16:50:01Z", 1_757_350_201.0),
            ("2025-09-08_16:50:01", 1_757_350_201.0),
            ("2025-09-08T16:50:01 +00:00", 1_757_350_201.0),
            ("20250908T165001", 1_757_350_201.0),
            ("2025-09-08T16:50:01,5", 1_757_350_201.5),
            ("2025-09-08T16:50:01.123456789", 1_757_350_201.123_456),
            ("2025-09-08T16:50:01+23:59:59", 1_757_263_802.0),
            ("2025-09-08T16", 1_757_347_200.0),
            ("2025-09-08", 1_757_289_600.0),
            ("2025-09-08Z", 1_757_289_600.0),
            ("2025-W37-1", 1_757_289_600.0),
            ("2025W371", 1_757_289_600.0),
            ("2025-W37", 1_757_289_600.0),
            ("0001-01-01T00:00:00+23:59", -62_135_683_140.0),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_800.0),
            ("1969-12-31T23:59:59Z", -1.0),
        ] {
            assert_eq!(at(text), Some(moment), "{text}");
        }
    }

    #[test]
    fn other_texts_name_no_moment() {
        for text in [
            "",
            "Z",
            "2025-09",
            "2025-09-08T",
            "2025-251",
            "2025/09/08",
            "2025-13-01T00:00:00",
            "2025-02-29T00:00:00",
            "10000-01-01T00:00:00Z",
            "2025-09-08T24:00:00",
            "2025-09-08T23:59:60",
            "2025-09-08T16:50:01z",
            "2025-09-08T16:50:01ZZ",
            "2025-09-08T16:50:01+",
            "2025-09-08T16:50:01+24:00",
            "Mon, 08 Sep 2025 16:50:01 GMT",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
