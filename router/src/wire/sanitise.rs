//! What is taken out of an agent's values before they reach a client: secrets by their key, paths in errors,
//! internals of progress reports, and more text than a client wants.
//!
//! | part | rule |
//! |---|---|
//! | parameters | the value of a key that contains `password`, `secret`, `key`, `token`, `auth` or `credential`, in any case, is `[REDACTED]`; texts are cut at 200 characters |
//! | results | such a key's text is `[REDACTED]`; texts are cut at 500 characters, lists at 10 items |
//! | error text | empty becomes `An error occurred`; `Users` and `home` between slashes become `[PATH]/`; cut at 300 characters |
//! | error context | only `error_type` and `agent_step`, and `user_facing: true` |
//! | progress | only `percentage`, `current_step`, `total_steps`, `message`, `status`, `estimated_remaining`, `progress_type` |
//! | custom | such a key's text is `[REDACTED]`; texts are cut at 1,000 characters |
//!
//! A cut text ends in `...`, a cut list in `"...(truncated)"`. The rules reach into objects and lists at any depth;
//! what is nested deeper than 64 is replaced by `"...(truncated)"`. In results and custom values only texts are
//! redacted: a count of tokens is no secret. A value that is clean already stays as it is.

use alloc::{borrow::Cow, string::String, vec::Vec};

use serde_json::value::RawValue;

use super::{
    Writer,
    members::{Members, text},
};

/// What stands for a secret.
pub const REDACTED: &str = "[REDACTED]";
/// What ends a cut list.
pub const TRUNCATED: &str = "...(truncated)";

const SECRETS: [&str; 6] = ["password", "secret", "key", "token", "auth", "credential"];
const PROGRESS: [&str; 7] = [
    "percentage",
    "current_step",
    "total_steps",
    "message",
    "status",
    "estimated_remaining",
    "progress_type",
];
/// Where people's folders stand.
const HOMES: [&str; 2] = ["Users", "home"];
const NESTING_MAX: u32 = 64;

/// Which events are sanitised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// None.
    Nothing,
    /// Those given as JSON, by producers that did not make them for clients. The default.
    #[default]
    Given,
    /// Tool and error events of every agent.
    Everything,
}

/// Where the sanitiser works, and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sanitise {
    /// Which events are sanitised.
    pub scope: Scope,
    /// Longest text in parameters.
    pub parameter_text_chars_max: u32,
    /// Longest text in results.
    pub result_text_chars_max: u32,
    /// Longest list in results.
    pub result_list_items_max: u32,
    /// Longest error text.
    pub error_chars_max: u32,
    /// Longest text in custom values.
    pub custom_text_chars_max: u32,
}

impl Default for Sanitise {
    fn default() -> Self {
        Self {
            scope: Scope::default(),
            parameter_text_chars_max: 200,
            result_text_chars_max: 500,
            result_list_items_max: 10,
            error_chars_max: 300,
            custom_text_chars_max: 1000,
        }
    }
}

/// What a value is, and so which rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Parameters of a tool call.
    Parameters,
    /// Results of a tool call.
    Results,
    /// An error's text.
    ErrorText,
    /// An error's context.
    ErrorContext,
    /// A progress report.
    Progress,
    /// Anything else.
    Custom,
}

/// A sanitised value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clean<'a> {
    /// The value's JSON text.
    pub json: Cow<'a, str>,
    /// Something was cut or left out.
    pub cut: bool,
    /// Something was redacted or masked.
    pub redacted: bool,
}

/// Sanitises one value. Guarantee: sanitising the answer again changes nothing.
pub fn sanitise<'a>(part: Part, value: &'a RawValue, rules: &Sanitise) -> Clean<'a> {
    let mut pass = Pass { out: Writer::default(), cut: false, redacted: false };
    match part {
        Part::Parameters => {
            let limits =
                Limits { text: rules.parameter_text_chars_max as usize, items: usize::MAX, whole: true };
            pass.value(value, &limits, 0);
        }
        Part::Results => {
            let limits = Limits {
                text: rules.result_text_chars_max as usize,
                items: rules.result_list_items_max as usize,
                whole: false,
            };
            pass.value(value, &limits, 0);
        }
        Part::Custom => {
            let limits =
                Limits { text: rules.custom_text_chars_max as usize, items: usize::MAX, whole: false };
            pass.value(value, &limits, 0);
        }
        Part::ErrorText => pass.error_text(value, rules.error_chars_max as usize),
        Part::ErrorContext => pass.error_context(value),
        Part::Progress => pass.progress(value),
    }
    if pass.cut || pass.redacted || part == Part::ErrorText || part == Part::ErrorContext {
        Clean { json: Cow::Owned(String::from(pass.out.finish())), cut: pass.cut, redacted: pass.redacted }
    } else {
        Clean { json: Cow::Borrowed(value.get()), cut: false, redacted: false }
    }
}

struct Limits {
    text: usize,
    items: usize,
    /// A secret key's value is redacted whatever it is.
    whole: bool,
}

struct Pass {
    out: Writer,
    cut: bool,
    redacted: bool,
}

impl Pass {
    fn value(&mut self, value: &RawValue, limits: &Limits, depth: u32) {
        let json = value.get();
        match json.as_bytes().first() {
            Some(b'{' | b'[') if depth == NESTING_MAX => {
                self.cut = true;
                self.out.string(TRUNCATED);
            }
            Some(b'{') => {
                let members = Members::read(json).unwrap_or_default();
                for (n, (key, value)) in members.iter().enumerate() {
                    self.out.raw(if n == 0 { "{" } else { "," });
                    self.out.string(key);
                    self.out.raw(":");
                    let secret = is_secret(key) && (limits.whole || value.get().starts_with('"'));
                    if secret {
                        self.redacted |= value.get() != "\"[REDACTED]\"";
                        self.out.string(REDACTED);
                    } else {
                        self.value(value, limits, depth + 1);
                    }
                }
                self.out.raw(if members.iter().next().is_none() { "{}" } else { "}" });
            }
            Some(b'[') => self.list(json, limits, depth),
            Some(b'"') => {
                let text = text(value).unwrap_or_default();
                self.text(&text, limits.text);
            }
            _ => self.out.raw(json),
        }
    }

    fn list(&mut self, json: &str, limits: &Limits, depth: u32) {
        let items: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
        let kept = items.len().min(limits.items);
        self.out.raw("[");
        for (n, item) in items[..kept].iter().enumerate() {
            if n > 0 {
                self.out.raw(",");
            }
            self.value(item, limits, depth + 1);
        }
        if kept < items.len() {
            // Cut before, and then just this mark is over the limit.
            let marked = items.len() == kept + 1 && items[kept].get() == "\"...(truncated)\"";
            self.cut |= !marked;
            self.out.raw(if kept > 0 { "," } else { "" });
            self.out.string(TRUNCATED);
        }
        self.out.raw("]");
    }

    /// At most `max` characters and, if there were more, three dots.
    fn text(&mut self, text: &str, max: usize) {
        // No text has more characters than bytes.
        let end = if text.len() <= max { None } else { text.char_indices().nth(max).map(|(at, _)| at) };
        match end {
            None => self.out.string(text),
            Some(end) => {
                self.cut |= &text[end..] != "...";
                let mut short = String::from(&text[..end]);
                short.push_str("...");
                self.out.string(&short);
            }
        }
    }

    fn error_text(&mut self, value: &RawValue, max: usize) {
        let text = text(value).unwrap_or_else(|| Cow::Borrowed(value.get()));
        if text.is_empty() || text == "null" {
            self.out.string("An error occurred");
            return;
        }
        let mut masked = String::from(&*text);
        for home in HOMES {
            masked = masked.replace(&alloc::format!("/{home}/"), "[PATH]/");
        }
        self.redacted = masked != text;
        self.text(&masked, max);
    }

    fn error_context(&mut self, value: &RawValue) {
        let members = Members::read(value.get()).unwrap_or_default();
        if members.iter().next().is_none() {
            self.out.raw("{}");
            return;
        }
        let known = |key: &str| members.find(key).map_or("\"unknown\"", RawValue::get);
        let (kind, step) = (known("error_type"), known("agent_step"));
        let scalar = |json: &str| !json.starts_with(['{', '[']);
        self.out.raw("{\"error_type\":");
        self.out.raw(if scalar(kind) { kind } else { "\"unknown\"" });
        self.out.raw(",\"agent_step\":");
        self.out.raw(if scalar(step) { step } else { "\"unknown\"" });
        self.out.raw(",\"user_facing\":true}");
        self.cut =
            members.iter().any(|(key, _)| !["error_type", "agent_step", "user_facing"].contains(&&**key));
    }

    fn progress(&mut self, value: &RawValue) {
        let Some(members) = Members::read(value.get()) else {
            self.out.raw(value.get());
            return;
        };
        self.out.raw("{");
        let mut first = true;
        for (key, value) in members.iter() {
            if !PROGRESS.contains(&&**key) {
                self.cut = true;
                continue;
            }
            self.out.raw(if first { "" } else { "," });
            first = false;
            self.out.string(key);
            self.out.raw(":");
            self.out.raw(value.get());
        }
        self.out.raw("}");
    }
}

/// Whether a key's name says that its value is a secret.
fn is_secret(key: &str) -> bool {
    let lower = key.to_lowercase();
    SECRETS.iter().any(|secret| lower.contains(secret))
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn clean(part: Part, json: &str) -> String {
        let raw: &RawValue = serde_json::from_str(json).expect("JSON");
        sanitise(part, raw, &Sanitise::default()).json.into_owned()
    }

    #[test]
    fn secrets_go_wherever_they_stand() {
        let json = r#"{"q":"x","Api_KEY":"s","deep":[{"authToken":{"a":1}}],"n":{"password":7}}"#;
        assert_eq!(
            clean(Part::Parameters, json),
            r#"{"q":"x","Api_KEY":"[REDACTED]","deep":[{"authToken":"[REDACTED]"}],"n":{"password":"[REDACTED]"}}"#
        );
        let json = r#"{"rows":[{"secret":"s"}],"tokens":5}"#;
        assert_eq!(clean(Part::Results, json), r#"{"rows":[{"secret":"[REDACTED]"}],"tokens":5}"#);
    }

    #[test]
    fn long_texts_and_lists_are_cut_and_say_so() {
        let long = "é".repeat(501);
        let cut = clean(Part::Results, &format!("{{\"t\":\"{long}\",\"l\":[0,1,2,3,4,5,6,7,8,9,10]}}"));
        let expected =
            format!("{{\"t\":\"{}...\",\"l\":[0,1,2,3,4,5,6,7,8,9,\"...(truncated)\"]}}", "é".repeat(500));
        assert_eq!(cut, expected);
        assert_eq!(clean(Part::Results, &cut), cut);
        assert_eq!(clean(Part::Parameters, &format!("[\"{}\"]", "a".repeat(200))).len(), 204);
    }

    #[test]
    fn errors_tell_no_paths_and_progress_no_internals() {
        assert_eq!(clean(Part::ErrorText, "\"\""), "\"An error occurred\"");
        for home in HOMES {
            assert_eq!(clean(Part::ErrorText, &format!("\"/{home}/bob/a.py\"")), "\"[PATH]/bob/a.py\"");
        }
        assert_eq!(clean(Part::ErrorText, &format!("\"{}\"", "e".repeat(301))).len(), 305);
        assert_eq!(
            clean(Part::ErrorContext, r#"{"agent_step":3,"trace":"x"}"#),
            r#"{"error_type":"unknown","agent_step":3,"user_facing":true}"#
        );
        assert_eq!(clean(Part::ErrorContext, "{}"), "{}");
        assert_eq!(clean(Part::Progress, r#"{"percentage":1,"internal":"x"}"#), r#"{"percentage":1}"#);
    }

    #[test]
    fn depth_is_bounded() {
        let json = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let out = clean(Part::Custom, &json);
        assert_eq!(out.matches('[').count(), 64);
        assert!(out.contains("...(truncated)"));
    }

    proptest::proptest! {
        #[test]
        fn what_is_clean_stays_as_it_is(text in "\\PC{0,12}", count in 0_usize..30, long in 0_usize..2000) {
            let items: Vec<String> = (0..count).map(|n| format!("{n}")).collect();
            let value = serde_json::json!({ "token": text, "list": items, "long": text.repeat(long / 4) });
            let json = serde_json::to_string(&value).expect("JSON");
            for part in [Part::Parameters, Part::Results, Part::Custom, Part::Progress, Part::ErrorContext] {
                let once = clean(part, &json);
                proptest::prop_assert_eq!(clean(part, &once), once);
            }
        }
    }
}
