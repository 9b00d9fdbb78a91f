//! A scanner over strict JSON (RFC 8259) that copies nothing: it checks every byte and hands out slices.
//!
//! Frames are parsed twice per recipient and simulated second, so this is the simulator's hottest loop: strings
//! are skipped eight bytes a step.

use super::DecodeError;

/// Containers nested deeper than this are refused; the router's own limit is 64.
const DEPTH_MAX: u32 = 128;

/// A position in a text.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// A value of which only scalars are of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// As written: escapes are checked, not resolved.
    Text(&'a str),
    Integer(u64),
    Bool(bool),
    /// A number that is no `u64`, as written.
    Number(&'a str),
    /// An object, array or null.
    Other,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Reads an object; `member` consumes each value.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a str) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.expect(b'{', "an object")?;
        if self.next_is(b'}') {
            return Ok(());
        }
        self.members(&mut member)
    }

    /// Goes on after a value that was read; `member` consumes each further one.
    pub(super) fn more(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a str) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if self.next_is(b'}') {
            return Ok(());
        }
        self.expect(b',', "a comma or the end of the object")?;
        self.members(&mut member)
    }

    fn members(
        &mut self,
        member: &mut impl FnMut(&mut Self, &'a str) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        loop {
            self.skip_space();
            self.expect(b'"', "a member's name")?;
            let key = self.string_rest()?;
            self.skip_space();
            self.expect(b':', "a colon")?;
            self.skip_space();
            member(self, key)?;
            if self.next_is(b'}') {
                return Ok(());
            }
            self.expect(b',', "a comma or the end of the object")?;
        }
    }

    /// Takes exactly these bytes, if they are next.
    #[inline]
    pub(super) fn take<const N: usize>(&mut self, bytes: &[u8; N]) -> bool {
        let found = self.text.as_bytes().get(self.at..).and_then(<[u8]>::first_chunk::<N>) == Some(bytes);
        self.at += if found { N } else { 0 };
        found
    }

    /// Takes exactly this text, if it is next.
    #[inline]
    pub(super) fn take_text(&mut self, text: &str) -> bool {
        let found = self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(text.as_bytes()));
        self.at += if found { text.len() } else { 0 };
        found
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<(), DecodeError> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.error("the end of the frame")) }
    }

    /// Reads any value.
    pub(super) fn value(&mut self, depth: u32) -> Result<Value<'a>, DecodeError> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.string_rest().map(Value::Text)
            }
            Some(b'{') if depth < DEPTH_MAX => {
                self.object(|scanner, _| scanner.value(depth + 1).map(drop))?;
                Ok(Value::Other)
            }
            Some(b'[') if depth < DEPTH_MAX => self.array(depth),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Other),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) | None => Err(self.error("a value")),
        }
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        // Servers write compact JSON: one look is enough almost always.
        if self.peek().is_none_or(|byte| byte > b' ') {
            return;
        }
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn array(&mut self, depth: u32) -> Result<Value<'a>, DecodeError> {
        self.at += 1;
        if self.next_is(b']') {
            return Ok(Value::Other);
        }
        loop {
            self.skip_space();
            self.value(depth + 1)?;
            if self.next_is(b']') {
                return Ok(Value::Other);
            }
            self.expect(b',', "a comma or the end of the array")?;
        }
    }

    /// Skips white space and, if `byte` is next, that too.
    #[inline]
    fn next_is(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), DecodeError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.error(what))
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, DecodeError> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.error("a value"))
        }
    }

    /// The rest of a string whose opening quote is read.
    #[inline]
    pub(super) fn string_rest(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.at;
        self.at = special(self.text.as_bytes(), start);
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(&self.text[start..self.at - 1]);
        }
        self.string_with_escapes(start)
    }

    #[cold]
    fn string_with_escapes(&mut self, start: usize) -> Result<&'a str, DecodeError> {
        loop {
            self.at = special(self.text.as_bytes(), self.at);
            match self.peek() {
                Some(b'"') => {
                    let inside = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(inside);
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.error("an escaped control character")),
                None => return Err(self.error("the end of the text")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), DecodeError> {
        self.at += 2;
        match self.text.as_bytes().get(self.at - 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => match self.hex4()? {
                0xd800..=0xdbff => {
                    self.expect(b'\\', "the second half of a surrogate pair")?;
                    self.expect(b'u', "the second half of a surrogate pair")?;
                    match self.hex4()? {
                        0xdc00..=0xdfff => Ok(()),
                        _ => Err(self.error("the second half of a surrogate pair")),
                    }
                }
                0xdc00..=0xdfff => Err(self.error("no lone surrogate")),
                _ => Ok(()),
            },
            Some(_) | None => Err(self.error("an escape")),
        }
    }

    fn hex4(&mut self) -> Result<u32, DecodeError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).unwrap_or_default();
        let number = digits
            .iter()
            .try_fold(0, |number, &digit| Some(number * 16 + char::from(digit).to_digit(16)?))
            .filter(|_| digits.len() == 4);
        self.at += 4;
        number.ok_or(DecodeError { at: self.at, expected: "four hexadecimal digits" })
    }

    /// Reads a value, which is a whole number nearly always.
    #[inline]
    pub(super) fn whole(&mut self) -> Result<Value<'a>, DecodeError> {
        let digits = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let mut number = 0;
        for (count, byte) in digits.iter().enumerate().take(16) {
            match byte {
                b'0'..=b'9' => number = number * 10 + u64::from(byte - b'0'),
                b',' | b'}' if count > 0 && (count == 1 || digits[0] != b'0') => {
                    self.at += count;
                    return Ok(Value::Integer(number));
                }
                _ => break,
            }
        }
        self.skip_space();
        self.value(1)
    }

    fn number(&mut self) -> Result<Value<'a>, DecodeError> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        if self.peek() == Some(b'0') {
            self.at += 1
        } else {
            self.digits()?
        }
        let mut whole = !negative;
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            whole = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        let integer = if whole { text.parse().ok() } else { None };
        Ok(integer.map_or(Value::Number(text), Value::Integer))
    }

    fn digits(&mut self) -> Result<(), DecodeError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count > 0 { Ok(()) } else { Err(self.error("a digit")) }
    }

    fn error(&self, expected: &'static str) -> DecodeError {
        DecodeError { at: self.at, expected }
    }
}

/// Position of the next quote, backslash or control character at or after `at`, or the length.
#[inline]
fn special(bytes: &[u8], mut at: usize) -> usize {
    // Ids and times end within four words; long texts go on in blocks that the compiler turns into vector code.
    if let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<32>) {
        let (words, _) = chunk.as_chunks::<8>();
        for word in words {
            match special_in(u64::from_le_bytes(*word)) {
                Some(found) => return at + found,
                None => at += 8,
            }
        }
    }
    special_in_long(bytes, at)
}

fn special_in_long(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<32>) {
        let mut any = 0;
        for byte in block {
            any |= u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\');
        }
        if any != 0 {
            break;
        }
        at += 32;
    }
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        match special_in(u64::from_le_bytes(*chunk)) {
            Some(found) => return at + found,
            None => at += 8,
        }
    }
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().position(|&byte| is_special(byte)).map_or(bytes.len(), |found| at + found)
}

const fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// Position of the first special byte of a word, lowest byte first.
#[inline]
fn special_in(word: u64) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let quote = (word ^ (LOW * 0x22)).wrapping_sub(LOW);
    let backslash = (word ^ (LOW * 0x5c)).wrapping_sub(LOW);
    let control = word.wrapping_sub(LOW * 0x20);
    // Both marks are ASCII, so a byte's high bit is the same with and without them.
    let found = (control | quote | backslash) & !word & HIGH;
    // A borrow can set marks above the first real one only, and the first decides.
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}
