//! The embedded gate: scores a text by what can be counted in it.
//!
//! A text starts at 1000 and loses points; it passes when the rest reaches the threshold of its kind, which is 150
//! higher in strict mode. An empty text has nothing to lose: 0.
//!
//! | rule | takes | what for |
//! |---|---|---|
//! | `empty` | 1000 | no word at all |
//! | `length` | up to 400 | fewer words than the kind asks for, in proportion |
//! | `specificity` | up to 200 | fewer than one concrete word in 20 (a digit, a sign within the word, a capital inside), where the kind asks for substance |
//! | `repetition` | up to 300 | from 10 words on: less than half of the words are different ones, in proportion |
//! | `placeholder` | 300 each, up to 600 | text that was meant to be replaced |
//! | `hedging` | 60 each beyond one in 50 words, up to 240 | maybe, perhaps, I think, … |
//! | `filler` | 50 each, up to 150 | phrases that say nothing |
//! | `no_steps` | 200 | an action plan without a list or numbered steps |
//! | `internals` | 500 | an error message that quotes the machine's insides |

use alloc::{collections::BTreeSet, string::String, vec::Vec};

use super::{ContentKind, Issue, QualityGate, Verdict};

/// How much higher the bar is in strict mode, in thousandths.
const STRICT: u64 = 150;
/// Words that are looked at; what comes after counts for the number of words only.
const WORDS_MAX: usize = 20_000;
/// A text of fewer words may repeat itself.
const REPETITION_WORDS_MIN: usize = 10;
/// One concrete word in so many is enough.
const WORDS_PER_FACT: usize = 20;
/// One hedge in so many words is caution, more is evasion.
const WORDS_PER_HEDGE: usize = 50;

const PLACEHOLDERS: [&str; 9] =
    ["lorem ipsum", "[insert", "<insert", "{{", "[todo", "tbd", "xxx", "your text here", "placeholder"];
const HEDGES: [&str; 13] = [
    "maybe",
    "might",
    "perhaps",
    "possibly",
    "probably",
    "presumably",
    "somehow",
    "could be",
    "i think",
    "i guess",
    "not sure",
    "it depends",
    "more or less",
];
const FILLERS: [&str; 8] = [
    "it is important to note",
    "in general",
    "as an ai",
    "best practices",
    "at the end of the day",
    "needless to say",
    "in today's world",
    "various factors",
];
const INTERNALS: [&str; 7] = [
    "traceback",
    "stack trace",
    "stacktrace",
    "panicked at",
    "segmentation fault",
    "nullpointer",
    "core dumped",
];

/// The embedded gate. It keeps nothing between two texts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gate;

/// What a kind of text asks for.
struct Bar {
    words_min: usize,
    substance: bool,
    threshold: u64,
}

const fn bar(kind: ContentKind) -> Bar {
    let (words_min, substance, threshold) = match kind {
        ContentKind::Optimization | ContentKind::DataAnalysis => (20, true, 650),
        ContentKind::ActionPlan => (15, true, 650),
        ContentKind::Report => (30, true, 600),
        ContentKind::Triage => (5, false, 550),
        ContentKind::ErrorMessage => (4, false, 500),
        ContentKind::General => (3, false, 500),
    };
    Bar { words_min, substance, threshold }
}

impl QualityGate for Gate {
    fn validate(&self, content: &str, kind: ContentKind, strict: bool) -> Verdict {
        let bar = bar(kind);
        let lower = content.to_lowercase();
        let words: Vec<&str> = words(&lower).take(WORDS_MAX).collect();
        let mut issues = Vec::new();
        let mut mark = |rule: &'static str, penalty: u64| {
            if penalty > 0 {
                issues.push(Issue { rule, penalty });
            }
        };
        if words.is_empty() {
            mark("empty", 1000);
        } else {
            mark("length", shortfall(words.len(), bar.words_min, 400));
            if bar.substance {
                let facts =
                    content.split_whitespace().take(WORDS_MAX).filter(|word| is_concrete(word)).count();
                mark("specificity", shortfall(facts, words.len().div_ceil(WORDS_PER_FACT), 200));
            }
            mark("repetition", repetition(&words));
            mark("placeholder", (300 * placeholders(&lower, &words)).min(600));
            let hedges = count(&words, &HEDGES).saturating_sub((words.len() / WORDS_PER_HEDGE) as u64);
            mark("hedging", (60 * hedges).min(240));
            mark("filler", (50 * count(&words, &FILLERS)).min(150));
            if kind == ContentKind::ActionPlan && !has_steps(content) {
                mark("no_steps", 200);
            }
            if kind == ContentKind::ErrorMessage && INTERNALS.iter().any(|sign| lower.contains(sign)) {
                mark("internals", 500);
            }
        }
        let score = 1000_u64.saturating_sub(issues.iter().map(|issue| issue.penalty).sum());
        let threshold = bar.threshold + if strict { STRICT } else { 0 };
        Verdict {
            passed: score >= threshold,
            score,
            threshold,
            kind,
            strict,
            words: words_len(content),
            issues,
        }
    }
}

/// The words of a text, without the signs around them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let bare = text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    bare.filter(|word| !word.is_empty())
}

fn words_len(text: &str) -> u64 {
    words(text).count() as u64
}

/// What `have` of `want` costs, if nothing at all costs `all`.
fn shortfall(have: usize, want: usize, all: u64) -> u64 {
    let missing = want.saturating_sub(have) as u64;
    all * missing / (want.max(1) as u64)
}

/// A figure, a unit, a path, an identifier: something that a reader can check.
fn is_concrete(word: &str) -> bool {
    let inner = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '%');
    inner.bytes().any(|b| b.is_ascii_digit() || matches!(b, b'%' | b'_' | b'/' | b'.' | b'@' | b'='))
        || inner.chars().skip(1).any(char::is_uppercase)
}

fn repetition(words: &[&str]) -> u64 {
    if words.len() < REPETITION_WORDS_MIN {
        return 0;
    }
    let different: BTreeSet<&str> = words.iter().copied().collect();
    shortfall(different.len(), words.len() / 2, 300)
}

/// Placeholders of one word count as words, the others wherever they stand.
fn placeholders(lower: &str, words: &[&str]) -> u64 {
    let found = PLACEHOLDERS.iter().map(|sign| {
        let is_word = sign.bytes().all(|b| b.is_ascii_alphabetic());
        if is_word { words.iter().filter(|word| *word == sign).count() } else { lower.matches(sign).count() }
    });
    found.sum::<usize>() as u64
}

/// How often one of the phrases stands in the text, word by word.
fn count(words: &[&str], phrases: &[&str]) -> u64 {
    let stands = |at: usize, phrase: &str| {
        let mut wanted = phrase.split(' ');
        let mut here = words[at..].iter();
        wanted.all(|word| here.next() == Some(&word))
    };
    (0..words.len()).filter(|at| phrases.iter().any(|phrase| stands(*at, phrase))).count() as u64
}

/// A line that begins with a number or a bullet, or the word "step".
fn has_steps(content: &str) -> bool {
    content.lines().any(|line| {
        let line = line.trim_start();
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let numbered = digits > 0 && line[digits..].starts_with(['.', ')', ':']);
        let first: String = line.chars().take(5).flat_map(char::to_lowercase).collect();
        numbered || line.starts_with(['-', '*', '•']) || first == "step "
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(verdict: &Verdict) -> Vec<&'static str> {
        verdict.issues.iter().map(|issue| issue.rule).collect()
    }

    #[test]
    fn each_rule_finds_its_text_and_spares_the_next() {
        let gate = Gate;
        let table = [
            ("", ContentKind::General, "empty"),
            ("too short", ContentKind::General, "length"),
            ("done done done done done done done done done done", ContentKind::General, "repetition"),
            ("the answer is TBD for now", ContentKind::General, "placeholder"),
            ("maybe it could be the disk", ContentKind::General, "hedging"),
            ("In general, one follows best practices.", ContentKind::General, "filler"),
            ("The call failed: panicked at main", ContentKind::ErrorMessage, "internals"),
        ];
        for (text, kind, rule) in table {
            assert!(rules(&gate.validate(text, kind, false)).contains(&rule), "{text}: {rule}");
        }
        let good = "The disk of node n7 is 93% full since 04:00; logs of the importer grew by 40 GB.";
        assert_eq!(gate.validate(good, ContentKind::General, true).issues, []);
        assert!(rules(&gate.validate("Every word counts here today", ContentKind::Triage, false)).is_empty());
    }

    #[test]
    fn a_plan_needs_steps_and_substance() {
        let vague = "We should look at the system and then make it better because that helps everybody a lot";
        let verdict = Gate.validate(vague, ContentKind::ActionPlan, false);
        assert_eq!(rules(&verdict), ["specificity", "no_steps"]);
        assert!(!verdict.passed);
        let plan = "1. Move 40 GB of logs of node n7 to cold storage before 06:00 today.\n2. Alert at 80% from now on.";
        let verdict = Gate.validate(plan, ContentKind::ActionPlan, true);
        assert!(verdict.passed, "{verdict:?}");
    }

    #[test]
    fn strict_is_a_higher_bar_for_the_same_score() {
        let text =
            "Perhaps the index is missing, maybe the cache is cold; probably both, in general, it depends.";
        let verdict = |strict| Gate.validate(text, ContentKind::Triage, strict);
        let (plain, strict) = (verdict(false), verdict(true));
        assert_eq!((plain.score, plain.threshold + 150), (strict.score, strict.threshold));
        assert_eq!(plain.score, 1000 - 240 - 50);
        assert!(plain.passed && strict.passed);
        let text =
            "In general it is important to note that best practices might, perhaps, maybe, possibly help.";
        let verdict = |strict| Gate.validate(text, ContentKind::Triage, strict);
        assert!(verdict(false).passed && !verdict(true).passed, "{:?}", verdict(false));
    }

    #[test]
    fn a_verdict_is_json() {
        let verdict = Gate.validate("too short", ContentKind::General, true);
        let value: serde_json::Value = serde_json::from_str(&verdict.json()).expect("JSON");
        assert_eq!(value["issues"][0]["rule"], "length");
        assert_eq!(
            (value["strict_mode"].clone(), value["content_type"].clone()),
            (true.into(), "general".into())
        );
        assert_eq!(value["score"], serde_json::json!(0.867));
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_a_verdict(text in "\\PC{0,200}", strict: bool) {
            let verdict = Gate.validate(&text, ContentKind::ActionPlan, strict);
            proptest::prop_assert_eq!(verdict.passed, verdict.score >= verdict.threshold);
            proptest::prop_assert!(verdict.score <= 1000);
        }
    }
}
