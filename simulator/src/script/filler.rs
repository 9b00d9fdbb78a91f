//! Text of a wanted size that carries a user's canary, so that crossed wires show.

use super::Step;

/// Length of a canary: `cny-` and 16 lower-case hexadecimal digits.
pub const CANARY_BYTES: usize = 20;

/// The canary in a text: the first `cny-` followed by 16 lower-case hexadecimal digits.
pub fn canary_in(text: &str) -> Option<&str> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let whole = |canary: &&str| canary.starts_with("cny-") && canary.as_bytes()[4..].iter().all(is_digit);
    // Nearly every text begins with its canary.
    text.get(..CANARY_BYTES).filter(whole).or_else(|| {
        text.match_indices("cny-").filter_map(|(start, _)| text.get(start..start + CANARY_BYTES)).find(whole)
    })
}

/// Appends the text of a step: the canary, then words up to the step's size. Steps without a size give the
/// canary alone.
pub fn render(step: &Step, canary: &str, out: &mut String) {
    let (bytes, salt) = shape(step);
    filler(canary, bytes, salt, out);
}

/// Size of a step's text, and what its phrases are chosen by: below 1,000.
fn shape(step: &Step) -> (u32, u64) {
    match step {
        Step::Started { task_bytes } => (*task_bytes, 1),
        Step::Thinking { bytes, step } => (*bytes, 2 + u64::from(*step)),
        Step::ToolStart { call, .. } => (0, 100 + u64::from(*call)),
        Step::ToolEnd { call, result_bytes, .. } => (*result_bytes, 400 + u64::from(*call)),
        Step::Answer { bytes } => (*bytes, 700),
        Step::Fail { .. } | Step::Silence => (0, 0),
    }
}

/// Appends exactly `bytes` bytes of valid text: the canary, then phrases chosen by `salt`, some of them not
/// ASCII. Never cuts the canary.
pub fn filler(canary: &str, bytes: u32, salt: u64, out: &mut String) {
    let end = out.len() + (bytes as usize).max(canary.len());
    out.push_str(canary);
    let mut choice = crate::prng::mix(salt);
    while out.len() < end {
        let next = PHRASES[(choice >> 32) as usize % PHRASES.len()];
        if out.len() + 1 + next.len() <= end {
            out.push(' ');
            out.push_str(next);
        } else {
            out.push_str(&DOTS[..end - out.len()]);
        }
        choice = crate::prng::mix(choice);
    }
}

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

/// What fills the place that the next phrase is too long for: as much as the longest phrase at most.
const DOTS: &str =
    "................................................................................................";

/// Renders like [`render`], from phrases that are put together once: those of a step depend on its salt alone.
#[derive(Debug, Default)]
pub(super) struct Phrases(Vec<Stream>);

/// The phrases of one salt, one after the other.
#[derive(Clone, Debug, Default)]
struct Stream {
    choice: u64,
    text: String,
    /// Where each phrase ends.
    ends: Vec<usize>,
}

impl Phrases {
    pub(super) fn render(&mut self, step: &Step, canary: &str, out: &mut String) {
        let (bytes, salt) = shape(step);
        out.push_str(canary);
        let room = (bytes as usize).saturating_sub(canary.len());
        if room == 0 {
            return;
        }
        let at = salt as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, Stream::default());
        }
        let stream = &mut self.0[at];
        while stream.text.len() <= room {
            stream.grow(salt);
        }
        let phrases = stream.ends.partition_point(|end| *end <= room);
        let end = phrases.checked_sub(1).map_or(0, |last| stream.ends[last]);
        out.push_str(&stream.text[..end]);
        out.push_str(&DOTS[..room - end]);
    }
}

impl Stream {
    fn grow(&mut self, salt: u64) {
        self.choice = crate::prng::mix(if self.ends.is_empty() { salt } else { self.choice });
        self.text.push(' ');
        self.text.push_str(PHRASES[(self.choice >> 32) as usize % PHRASES.len()]);
        self.ends.push(self.text.len());
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
    fn phrases_put_together_once_are_the_same_phrases() {
        let mut phrases = Phrases::default();
        for bytes in (0..700).chain([4_000, 3_999, 21]) {
            for step in [
                Step::Started { task_bytes: bytes },
                Step::Thinking { bytes, step: 1 },
                Step::ToolStart { call: 3, tool: String::new() },
                Step::Answer { bytes },
                Step::Silence,
            ] {
                let (mut one, mut other) = (String::from("{"), String::from("{"));
                render(&step, CANARY, &mut one);
                phrases.render(&step, CANARY, &mut other);
                assert_eq!(one, other, "{step:?}");
            }
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
