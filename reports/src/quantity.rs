//! Units, and how an amount of each is written for a person.

use serde::{Deserialize, Serialize};

/// The unit of a metric or a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Microseconds; the unit of every time in goldenpath unless a name says otherwise.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Bytes, shown in powers of 1024.
    Bytes,
    /// A number of things.
    Count,
    /// A plain quotient. A [`Metric`](crate::Metric), whose samples are integers, records it in **millionths**
    /// (1 000 000 is 1.0); a [`Fact`](crate::Fact) holds it as it is.
    Ratio,
    /// Things per second.
    PerSecond,
}

impl Unit {
    /// An amount of this unit as a person reads it, for example `12.3 ms`, `4,096` or `1.50 KiB`.
    /// At most three significant digits, except counts, which are exact. `n/a` if `amount` is not finite.
    pub fn amount(self, amount: f64) -> String {
        if !amount.is_finite() {
            return "n/a".to_owned();
        }
        match self {
            Unit::Microseconds => duration(amount),
            Unit::Milliseconds => duration(amount * 1_000.0),
            Unit::Bytes => bytes(amount),
            Unit::Count => plain(amount),
            Unit::Ratio => format!("{amount:.3}"),
            Unit::PerSecond => format!("{}/s", plain(amount)),
        }
    }

    /// A recorded sample of this unit as a person reads it; see [`Unit::Ratio`] for the scale.
    pub fn sample(self, sample: u64) -> String {
        match self {
            Unit::Ratio => self.amount(sample as f64 / 1e6),
            Unit::Count => grouped(sample),
            Unit::Microseconds | Unit::Milliseconds | Unit::Bytes | Unit::PerSecond => {
                self.amount(sample as f64)
            }
        }
    }

    /// An exact integer of this unit as a person reads it.
    pub(crate) fn integer(self, amount: i64) -> String {
        match self {
            Unit::Count => format!("{}{}", if amount < 0 { "-" } else { "" }, grouped(amount.unsigned_abs())),
            Unit::Microseconds | Unit::Milliseconds | Unit::Bytes | Unit::Ratio | Unit::PerSecond => {
                self.amount(amount as f64)
            }
        }
    }

    /// How many microseconds one of this unit is; `None` if it is no time.
    pub(crate) fn micros(self) -> Option<u64> {
        match self {
            Unit::Microseconds => Some(1),
            Unit::Milliseconds => Some(1_000),
            Unit::Bytes | Unit::Count | Unit::Ratio | Unit::PerSecond => None,
        }
    }
}

/// A share in 0..=1 as a percentage. Only exactly 1 is shown as `100 %` and only exactly 0 as `0 %`: one lost
/// event in a million must not be rounded away.
pub(crate) fn share(share: f64) -> String {
    if !share.is_finite() {
        return "n/a".to_owned();
    }
    if share <= 0.0 || share == 1.0 || share > 1.0 {
        return format!("{} %", share * 100.0);
    }
    format!("{:.2} %", (share * 100.0).clamp(0.01, 99.99))
}

/// An instant or a span in exact microseconds, written as seconds: `1.204500 s`.
pub(crate) fn exact_seconds(micros: u64) -> String {
    format!("{}.{:06} s", micros / 1_000_000, micros % 1_000_000)
}

/// A round number of microseconds as an axis shows it, without idle zeros: `50 ms`.
pub(crate) fn tick(micros: f64) -> String {
    let shown = duration(micros);
    match shown.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => shown,
    }
}

/// An integer with a comma between groups of three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn duration(micros: f64) -> String {
    let size = micros.abs();
    if size < 999.5 {
        let digits = usize::from(micros.fract() != 0.0);
        format!("{micros:.digits$} µs")
    } else if size < 999_500.0 {
        format!("{} ms", three_digits(micros / 1e3))
    } else if size < 120e6 {
        format!("{} s", three_digits(micros / 1e6))
    } else {
        format!("{} min", three_digits(micros / 60e6))
    }
}

fn bytes(amount: f64) -> String {
    let mut size = amount;
    for suffix in ["B", "KiB", "MiB", "GiB"] {
        if size.abs() < 1_023.5 {
            return if suffix == "B" {
                format!("{size:.0} B")
            } else {
                format!("{} {suffix}", three_digits(size))
            };
        }
        size /= 1_024.0;
    }
    format!("{} TiB", three_digits(size))
}

fn plain(amount: f64) -> String {
    // Above 2^53 an f64 no longer holds every integer, so the digits would pretend.
    if amount.fract() == 0.0 && amount.abs() < 9e15 {
        let sign = if amount < 0.0 { "-" } else { "" };
        return format!("{sign}{}", grouped(amount.abs() as u64));
    }
    if amount.abs() >= 1_000.0 {
        return plain(amount.round().clamp(-8e15, 8e15));
    }
    three_digits(amount)
}

fn three_digits(amount: f64) -> String {
    let digits = match amount.abs() {
        size if size < 9.995 => 2,
        size if size < 99.95 => 1,
        _ => 0,
    };
    format!("{amount:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_three_digits_across_their_scales() {
        let shown = [0, 7, 999, 1_000, 12_345, 999_999, 1_000_000, 119_000_000, 600_000_000];
        let shown = shown.map(|micros| Unit::Microseconds.sample(micros));
        assert_eq!(
            shown,
            ["0 µs", "7 µs", "999 µs", "1.00 ms", "12.3 ms", "1.00 s", "1.00 s", "119 s", "10.0 min"]
        );
        assert_eq!(Unit::Milliseconds.sample(250), "250 ms");
    }

    #[test]
    fn a_share_short_of_all_is_never_shown_as_all() {
        assert_eq!(share(1.0), "100 %");
        assert_eq!(share(0.999_999_9), "99.99 %");
        assert_eq!(share(0.000_000_1), "0.01 %");
        assert_eq!(share(0.0), "0 %");
        assert_eq!(share(0.29), "29.00 %");
    }

    #[test]
    fn axes_carry_no_idle_zeros() {
        assert_eq!(
            [0.0, 500.0, 2_000.0, 1_500_000.0, 100_000.0].map(tick),
            ["0 µs", "500 µs", "2 ms", "1.5 s", "100 ms"]
        );
    }

    #[test]
    fn other_units() {
        assert_eq!(Unit::Bytes.sample(1_536), "1.50 KiB");
        assert_eq!(Unit::Count.sample(1_234_567), "1,234,567");
        assert_eq!(Unit::Ratio.sample(1_250_000), "1.250");
        assert_eq!(Unit::PerSecond.amount(1_234.6), "1,235/s");
        assert_eq!(Unit::Count.amount(f64::NAN), "n/a");
        assert_eq!(exact_seconds(1_204_500), "1.204500 s");
    }
}
