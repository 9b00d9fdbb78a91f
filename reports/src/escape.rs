//! Making words from outside visible: what cannot be seen, or would change what is seen, is written as an escape.

use std::borrow::Cow;

/// `text` with control characters and invisible text-direction marks as Rust escapes (`\n`, `\u{1b}`).
/// A user id must neither move a terminal's cursor nor turn a table row around.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_treacherous) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_treacherous(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// [`visible`], line by line: line breaks stay.
pub(crate) fn visible_lines(text: &str) -> String {
    let lines: Vec<Cow<'_, str>> = text.lines().map(visible).collect();
    lines.join("\n")
}

fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_words_pass_and_treacherous_ones_show() {
        assert!(matches!(visible("Zoë 東京 <b>"), Cow::Borrowed("Zoë 東京 <b>")));
        assert_eq!(visible("a\tb\u{7}\u{2066}c"), "a\\tb\\u{7}\\u{2066}c");
        assert_eq!(visible_lines("a\u{1b}\nb"), "a\\u{1b}\nb");
    }
}
