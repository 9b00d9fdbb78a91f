//! Text of a wanted size that carries a user's canary, so that crossed wires show.

use super::Step;

/// Length of a canary: `cny-` and 16 lower-case hexadecimal digits.
pub const CANARY_BYTES: usize = 20;

/// The canary in a text: the first `cny-` followed by 16 lower-case hexadecimal digits.
pub fn canary_in(text: &str) -> Option<&str> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.match_indices("cny-")
        .filter_map(|(start, _)| text.get(start..start + CANARY_BYTES))
        .find(|canary| canary.as_bytes()[4..].iter().all(is_digit))
}

/// Appends the text of a step: the canary, then words up to the step's size. Steps without a size give the
/// canary alone.
pub fn render(step: &Step, canary: &str, out: &mut String) {
    let (bytes, salt) = match step {
        Step::Started { task_bytes } => (*task_bytes, 1),
        Step::Thinking { bytes, step } => (*bytes, 2 + u64::from(*step)),
        Step::ToolStart { call, .. } => (0, 100 + u64::from(*call)),
        Step::ToolEnd { call, result_bytes, .. } => (*result_bytes, 400 + u64::from(*call)),
        Step::Answer { bytes } => (*bytes, 700),
        Step::Fail { .. } | Step::Silence => (0, 0),
    };
    filler(canary, bytes, salt, out);
}

/// Appends exactly `bytes` bytes of valid text: the canary, then phrases chosen by `salt`, some of them not
/// ASCII. Never cuts the canary.
pub fn filler(canary: &str, bytes: u32, salt: u64, out: &mut String) {
    const PHRASES: [&str; 8] = [
        "please compare the cost of the last month with our forecast",
        "für región and show latency per model",
        "数据 in a table",
        "the → naïve estimate was off by a third",
        "today",
        "of all requests that took longer than a second, most came from two models",
        "and then",
        "with what we expected at the beginning of the quarter",
    ];
    let end = out.len() + (bytes as usize).max(canary.len());
    out.push_str(canary);
    let mut choice = crate::prng::mix(salt);
    while out.len() < end {
        let next = PHRASES[(choice >> 32) as usize % PHRASES.len()];
        if out.len() + 1 + next.len() <= end {
            out.push(' ');
            out.push_str(next);
        } else {
            out.extend(std::iter::repeat_n('.', end - out.len()));
        }
        choice = crate::prng::mix(choice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "cny-0123456789abcdef";

    #[test]
    fn canaries_are_found_only_when_whole() {
        assert_eq!(CANARY.len(), CANARY_BYTES);
        for text in [CANARY, "x cny-0123456789abcdef y", "cny-cny-0123456789abcdef0"] {
            assert_eq!(canary_in(text), Some(CANARY), "{text}");
        }
        for text in ["", "cny-0123456789abcde", "cny-0123456789ABCDEF", "cny-0123456789abcdé", "日本cny-"]
        {
            assert_eq!(canary_in(text), None, "{text}");
        }
    }

    #[test]
    fn filler_has_the_size_and_begins_with_the_canary() {
        for bytes in 0..600 {
            let mut out = String::from("before|");
            filler(CANARY, bytes, u64::from(bytes), &mut out);
            let text = out.strip_prefix("before|").unwrap();
            assert!(text.starts_with(CANARY));
            assert_eq!(text.len(), (bytes as usize).max(CANARY_BYTES));
        }
    }

    #[test]
    fn rendering_is_deterministic_and_differs_between_steps() {
        let text = |step: &Step| {
            let mut out = String::new();
            render(step, CANARY, &mut out);
            out
        };
        let think = |step| Step::Thinking { bytes: 120, step };
        assert_eq!(text(&think(1)), text(&think(1)));
        assert_ne!(text(&think(1)), text(&think(2)));
        assert_eq!(text(&Step::Silence), CANARY);
    }
}
