//! JSON as the standard library reads and writes it: lenient where the format is strict.

use std::fmt::Write as _;

use super::{Dict, Value, text};

/// Digits of the longest integer that is read.
pub const INT_DIGITS_MAX: usize = 4300;
/// Levels of nesting at which the reader gave up.
pub const NESTING_MAX: usize = 990;

/// Why a text was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no JSON, at that character.
    Malformed(usize),
    /// An integer of that many digits: an error of another kind, which callers that expect malformed text let through.
    Digits(usize),
    /// Nested too deep: likewise.
    Depth,
}

/// `json.loads(text)`: `NaN` and `Infinity` are numbers, a repeated key keeps its last value.
///
/// Half a surrogate pair, which a Rust text cannot hold, is read as U+FFFD.
pub fn loads(text: &str) -> Result<Value, Fault> {
    let chars: Vec<char> = text.chars().collect();
    let mut reader = Reader { chars, at: 0 };
    reader.blank();
    let value = reader.value(0)?;
    reader.blank();
    if reader.at < reader.chars.len() { Err(Fault::Malformed(reader.at)) } else { Ok(value) }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    const fn fault<T>(&self) -> Result<T, Fault> {
        Err(Fault::Malformed(self.at))
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let found = word.chars().enumerate().all(|(n, c)| self.chars.get(self.at + n) == Some(&c));
        if found {
            self.at += word.chars().count();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        if depth > NESTING_MAX {
            return Err(Fault::Depth);
        }
        match self.peek() {
            Some('"') => self.text().map(Value::Str),
            Some('{') => self.dict(depth),
            Some('[') => self.list(depth),
            Some('-' | '0'..='9') => self.number(),
            _ => {
                let words = [
                    ("null", Value::None),
                    ("true", Value::Bool(true)),
                    ("false", Value::Bool(false)),
                    ("NaN", Value::Float(f64::NAN)),
                    ("Infinity", Value::Float(f64::INFINITY)),
                ];
                let word = words.into_iter().find(|(word, _)| self.take(word));
                word.map_or_else(|| self.fault(), |(_, value)| Ok(value))
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Fault> {
        self.at += 1;
        let mut list = Vec::new();
        self.blank();
        if self.take("]") {
            return Ok(Value::List(list));
        }
        loop {
            self.blank();
            list.push(self.value(depth + 1)?);
            self.blank();
            if self.take("]") {
                return Ok(Value::List(list));
            }
            if !self.take(",") {
                return self.fault();
            }
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Value, Fault> {
        self.at += 1;
        let mut dict = Dict::default();
        self.blank();
        if self.take("}") {
            return Ok(Value::Dict(dict));
        }
        loop {
            self.blank();
            if self.peek() != Some('"') {
                return self.fault();
            }
            let key = self.text()?;
            self.blank();
            if !self.take(":") {
                return self.fault();
            }
            self.blank();
            let value = self.value(depth + 1)?;
            dict.set(key, value);
            self.blank();
            if self.take("}") {
                return Ok(Value::Dict(dict));
            }
            if !self.take(",") {
                return self.fault();
            }
        }
    }

    fn text(&mut self) -> Result<String, Fault> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let Some(c) = self.peek() else { return self.fault() };
            self.at += 1;
            match c {
                '"' => return Ok(out),
                '\\' => out.push(self.escape()?),
                c if u32::from(c) < 0x20 => return self.fault(),
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let Some(c) = self.peek() else { return self.fault() };
        self.at += 1;
        Ok(match c {
            '"' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let high = self.unit()?;
                let pair = (0xd800..0xdc00).contains(&high) && self.take("\\u");
                let low = if pair { self.unit()? } else { 0 };
                if (0xdc00..0xe000).contains(&low) {
                    let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                if pair {
                    self.at -= 6; // no pair after all: the second stands for itself
                }
                char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return self.fault(),
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u32, Fault> {
        let digits: String = self.chars.iter().skip(self.at).take(4).collect();
        let plain = digits.len() == 4 && digits.chars().all(|c| c.is_ascii_hexdigit());
        match u32::from_str_radix(&digits, 16) {
            Ok(unit) if plain => {
                self.at += 4;
                Ok(unit)
            }
            _ => self.fault(),
        }
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let start = self.at;
        if self.take("-") && self.take("Infinity") {
            return Ok(Value::Float(f64::NEG_INFINITY));
        }
        if !self.take("0") && self.digits() == 0 {
            return self.fault();
        }
        let whole = self.at;
        let fraction = self.take(".") && self.digits() > 0;
        if !fraction {
            self.at = whole;
        }
        let mantissa = self.at;
        let exponent = (self.take("e") || self.take("E")) && {
            let _sign = self.take("+") || self.take("-");
            self.digits() > 0
        };
        if !exponent {
            self.at = mantissa;
        }
        let float = fraction || exponent;
        let text: String = self.chars[start..self.at].iter().collect();
        if float {
            return Ok(Value::Float(text.parse().unwrap_or(f64::NAN)));
        }
        let digits = text.trim_start_matches('-').len();
        if digits > INT_DIGITS_MAX {
            return Err(Fault::Digits(digits));
        }
        Ok(text.parse().map_or_else(|_| Value::Big(text.into()), Value::Int))
    }

    /// Passes over digits; says how many.
    fn digits(&mut self) -> usize {
        let from = self.at;
        while matches!(self.peek(), Some('0'..='9')) {
            self.at += 1;
        }
        self.at - from
    }
}

/// `json.dumps(value, separators=(",", ":"), ensure_ascii=False)`, as frames were written: a float that is no number
/// becomes a bare `NaN` or `Infinity`, which no strict reader takes.
pub fn dumps(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => _ = write!(out, "{value}"),
        Value::Big(digits) => out.push_str(digits),
        Value::Float(value) if value.is_nan() => out.push_str("NaN"),
        Value::Float(value) if value.is_infinite() => {
            out.push_str(if *value > 0.0 { "Infinity" } else { "-Infinity" });
        }
        Value::Float(value) => out.push_str(&text::float(*value)),
        Value::Str(text) => write_text(text, out),
        Value::List(list) => {
            out.push('[');
            for (n, item) in list.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Dict(dict) => {
            out.push('{');
            for (n, (key, value)) in dict.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Whether a strict reader would refuse what [`dumps`] writes for it.
pub fn is_unwritable(value: &Value) -> bool {
    match value {
        Value::Float(value) => !value.is_finite(),
        Value::List(list) => list.iter().any(is_unwritable),
        Value::Dict(dict) => dict.iter().any(|(_, value)| is_unwritable(value)),
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Big(_) | Value::Str(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_leniently_as_they_were() {
        for (text, written) in [
            (" {\"a\":1} ", "{\"a\":1}"),
            ("{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"),
            ("[NaN,-Infinity,1e400,1.50,-0]", "[NaN,-Infinity,Infinity,1.5,0]"),
            ("\"\\ud83d\\ude80\\u00e9\\/\"", "\"🚀é/\""),
            ("\"\\ud83dx\"", "\"\u{fffd}x\""),
        ] {
            assert_eq!(loads(text).map(|value| dumps(&value)), Ok(written.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "{",
            "{\"a\":01}",
            "{\"a\":1}x",
            "\u{feff}{}",
            "{\"a\":1,}",
            "// c\n{}",
            "[1.]",
            "\"\t\"",
            "-",
            "{a:1}",
        ] {
            assert!(matches!(loads(text), Err(Fault::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn a_long_integer_and_deep_nesting_are_faults_of_their_own() {
        assert_eq!(loads(&"1".repeat(4301)), Err(Fault::Digits(4301)));
        assert!(matches!(loads(&"1".repeat(4300)), Ok(Value::Big(_))));
        assert_eq!(loads(&"[".repeat(5000)), Err(Fault::Depth));
    }
}
