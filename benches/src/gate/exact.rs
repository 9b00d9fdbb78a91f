//! The exact tier: counted twice per side, compared number by number. Nothing here is a measurement.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
};

use gate_worker::exact::{Counted, Exact, Latency, PlayedScenario};
use reports::{Accepted, Difference, Weight};

use super::error::GateError;

/// Virtual latency may grow by this ratio; counts may not grow at all.
const LATENCY_LIMIT: f64 = 1.05;

/// Times between two events of one run are the agent's, not the router's: no cost.
const NO_COST: [&str; 1] = ["event_gap"];

/// What a side's executable prints, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Printed {
    /// The text, to compare byte by byte.
    pub text: String,
    /// The same, read.
    pub exact: Exact,
}

/// Counts one side twice.
///
/// # Errors
/// The two differ, or the executable died: nothing exact can be said of such a side.
pub fn count(executable: &Path, which: &str) -> Result<Printed, GateError> {
    let run = || {
        let output = Command::new(executable)
            .env_clear()
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| GateError::file(executable, &error))?;
        if !output.status.success() {
            return Err(GateError::Infrastructure(format!(
                "counting {which} ended with {}: see its message above",
                output.status
            )));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (text, again) = (run()?, run()?);
    if text != again {
        let line = text.lines().zip(again.lines()).find(|(one, other)| one != other);
        let (one, other) = line.unwrap_or(("more lines", "fewer lines"));
        return Err(GateError::Infrastructure(format!(
            "{which} is not deterministic: counted twice it says `{}` and `{}`; find the cause with goldenpath sim \
             --check-determinism, no verdict can rest on it",
            one.trim(),
            other.trim()
        )));
    }
    let exact = serde_json::from_str(&text).map_err(|error| {
        GateError::NotComparable(format!(
            "{which} prints an exact tier that this gate does not read: {error}"
        ))
    })?;
    Ok(Printed { text, exact })
}

/// Both sides, compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// Where they differ.
    pub differences: Vec<Difference>,
    /// What cannot be compared because the two sides were not fed the same.
    pub not_comparable: Vec<String>,
    /// What only the head has.
    pub notes: Vec<String>,
}

/// Compares number by number; `accepted` is what the change declares.
pub fn compare(base: &Exact, head: &Exact, accepted: &[Accepted]) -> Compared {
    let mut compared = Compared::default();
    if base.protocol != head.protocol {
        compared.not_comparable.push(format!(
            "the worker's protocol is {} in the base and {} in the head",
            base.protocol, head.protocol
        ));
        return compared;
    }
    pairs("benchmark", &base.benchmarks, &head.benchmarks, |one| &one.corpus, &mut compared, benchmark);
    pairs("scenario", &base.scenarios, &head.scenarios, |one| &one.corpus, &mut compared, scenario);
    for difference in &mut compared.differences {
        let is_accepted =
            accepted.iter().any(|one| one.what == difference.what && one.value == difference.head);
        if difference.weight == Weight::Regression && is_accepted {
            difference.weight = Weight::Accepted;
        }
    }
    compared.differences.sort_by_key(|difference| match difference.weight {
        Weight::Regression => 0,
        Weight::Accepted => 1,
        Weight::Improvement => 2,
        Weight::Note => 3,
    });
    compared
}

fn pairs<T>(
    kind: &str,
    base: &BTreeMap<String, T>,
    head: &BTreeMap<String, T>,
    corpus: impl Fn(&T) -> &String,
    compared: &mut Compared,
    differ: impl Fn(&str, &T, &T, &mut Vec<Difference>),
) {
    for (name, base) in base {
        match head.get(name) {
            None => compared.not_comparable.push(format!("the {kind} {name} is gone from the head")),
            Some(head) if corpus(base) != corpus(head) => {
                compared
                    .not_comparable
                    .push(format!("the {kind} {name} was fed differently: its corpus changed"));
            }
            Some(head) => differ(name, base, head, &mut compared.differences),
        }
    }
    for name in head.keys().filter(|name| !base.contains_key(*name)) {
        compared.notes.push(format!("the {kind} {name} is new: reported, not judged"));
    }
}

/// How a number is judged.
#[derive(Clone, Copy)]
enum Judge {
    /// More is worse, less is better.
    Cost,
    /// Whatever is not the same is a change of behaviour.
    Same,
    /// A ratio above the limit is worse.
    Latency,
    /// Worth knowing.
    Note,
}

fn benchmark(name: &str, base: &Counted, head: &Counted, out: &mut Vec<Difference>) {
    let rows = [
        ("hops", base.hops, head.hops, Judge::Cost),
        ("effects", base.effects, head.effects, Judge::Same),
        ("sends", base.sends, head.sends, Judge::Same),
        ("copied_bytes", base.copied_bytes, head.copied_bytes, Judge::Cost),
        ("allocations", base.allocations, head.allocations, Judge::Cost),
        ("allocated_bytes", base.allocated_bytes, head.allocated_bytes, Judge::Note),
    ];
    let per = Per { count: base.units, name: "unit" };
    for (number, base, head, judge) in rows {
        row(format!("{name} {number}"), base, head, judge, per, out);
    }
    digest(name, &base.digest, &head.digest, out);
}

fn scenario(name: &str, base: &PlayedScenario, head: &PlayedScenario, out: &mut Vec<Difference>) {
    let rows = [
        ("messages", base.messages, head.messages, Judge::Same),
        ("hops", base.hops, head.hops, Judge::Cost),
        ("effects", base.effects, head.effects, Judge::Same),
        ("queue_passes", base.queue_passes, head.queue_passes, Judge::Cost),
        ("queue_wait_us", base.queue_wait_us, head.queue_wait_us, Judge::Latency),
        ("window_peak", base.window_peak, head.window_peak, Judge::Note),
    ];
    let per = Per { count: base.messages, name: "message" };
    for (number, base, head, judge) in rows {
        row(format!("{name} {number}"), base, head, judge, per, out);
    }
    for key in base.latency.keys().chain(head.latency.keys().filter(|key| !base.latency.contains_key(*key))) {
        let zero = Latency { count: 0, p50: 0, p99: 0, p999: 0, max: 0 };
        let (base, head) = (base.latency.get(key).unwrap_or(&zero), head.latency.get(key).unwrap_or(&zero));
        let judge = if NO_COST.contains(&key.as_str()) { Judge::Note } else { Judge::Latency };
        let rows = [
            ("count", base.count, head.count, Judge::Note),
            ("p50", base.p50, head.p50, judge),
            ("p99", base.p99, head.p99, judge),
            ("p99.9", base.p999, head.p999, judge),
            ("max", base.max, head.max, Judge::Note),
        ];
        for (quantile, base, head, judge) in rows {
            row(format!("{name} {key} {quantile}"), base, head, judge, per, out);
        }
    }
    digest(name, &base.digest, &head.digest, out);
}

/// What a sum is spread over.
#[derive(Clone, Copy)]
struct Per {
    count: u64,
    name: &'static str,
}

fn row(what: String, base: u64, head: u64, judge: Judge, per: Per, out: &mut Vec<Difference>) {
    if base == head {
        return;
    }
    let weight = match judge {
        Judge::Cost if head > base => Weight::Regression,
        Judge::Cost => Weight::Improvement,
        Judge::Same => Weight::Regression,
        // Of nothing, anything is too much more.
        Judge::Latency if head as f64 > base as f64 * LATENCY_LIMIT => Weight::Regression,
        Judge::Latency if head < base => Weight::Improvement,
        Judge::Latency | Judge::Note => Weight::Note,
    };
    let detail = match judge {
        Judge::Cost | Judge::Same => spread(base, head, per),
        Judge::Latency | Judge::Note if base > 0 => {
            format!("{:+.2} %", (head as f64 / base as f64 - 1.0) * 100.0)
        }
        Judge::Latency | Judge::Note => "was zero".to_owned(),
    };
    out.push(Difference { what, base: base.to_string(), head: head.to_string(), detail, weight });
}

/// `exactly 1 more per unit`, or a fraction.
fn spread(base: u64, head: u64, per: Per) -> String {
    let (difference, word) = (base.abs_diff(head), if head > base { "more" } else { "fewer" });
    if per.count == 0 {
        return format!("{difference} {word}");
    }
    if difference.is_multiple_of(per.count) {
        format!("exactly {} {word} per {}", difference / per.count, per.name)
    } else {
        format!("{:.4} {word} per {}", difference as f64 / per.count as f64, per.name)
    }
}

fn digest(name: &str, base: &str, head: &str, out: &mut Vec<Difference>) {
    if base != head {
        out.push(Difference {
            what: format!("{name} digest"),
            base: base.to_owned(),
            head: head.to_owned(),
            detail: "behaviour differs".to_owned(),
            weight: Weight::Note,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact() -> Exact {
        let counted = Counted {
            corpus: "c".into(),
            units: 1_024,
            hops: 1_024,
            effects: 1_024,
            sends: 0,
            copied_bytes: 9_000,
            allocations: 2_048,
            allocated_bytes: 9_999,
            digest: "d".into(),
        };
        let latency = Latency { count: 10, p50: 100, p99: 200, p999: 200, max: 250 };
        let played = PlayedScenario {
            corpus: "s".into(),
            digest: "r".into(),
            messages: 100,
            hops: 1_000,
            effects: 900,
            latency: [("first_event".to_owned(), latency), ("event_gap".to_owned(), latency)].into(),
            ..PlayedScenario::default()
        };
        Exact {
            protocol: 1,
            benchmarks: [("route".to_owned(), counted)].into(),
            scenarios: [("tiny".to_owned(), played)].into(),
        }
    }

    fn changed(change: impl FnOnce(&mut Exact)) -> Vec<(String, Weight, String)> {
        let mut head = exact();
        change(&mut head);
        let rows = compare(&exact(), &head, &[]).differences;
        rows.into_iter().map(|row| (row.what, row.weight, row.detail)).collect()
    }

    #[test]
    fn nothing_differs_from_itself() {
        assert_eq!(compare(&exact(), &exact(), &[]), Compared::default());
    }

    #[test]
    fn one_more_hop_per_message_is_named_exactly() {
        let rows = changed(|head| head.benchmarks.get_mut("route").unwrap().hops = 2_048);
        assert_eq!(rows, [("route hops".into(), Weight::Regression, "exactly 1 more per unit".into())]);
        let rows = changed(|head| head.scenarios.get_mut("tiny").unwrap().hops = 1_050);
        assert_eq!(rows, [("tiny hops".into(), Weight::Regression, "0.5000 more per message".into())]);
    }

    #[test]
    fn fewer_allocations_are_better_and_fewer_effects_are_not() {
        let rows = changed(|head| head.benchmarks.get_mut("route").unwrap().allocations = 1_024);
        assert_eq!(rows[0].1, Weight::Improvement);
        let rows = changed(|head| head.benchmarks.get_mut("route").unwrap().effects = 1_023);
        assert_eq!(rows[0].1, Weight::Regression);
    }

    #[test]
    fn virtual_latency_may_grow_by_five_percent() {
        let p99 = |p99| {
            changed(|head| {
                head.scenarios.get_mut("tiny").unwrap().latency.get_mut("first_event").unwrap().p99 = p99;
            })
        };
        assert_eq!(p99(210)[0].1, Weight::Note);
        assert_eq!(p99(211)[0].1, Weight::Regression);
        assert_eq!(p99(199)[0].1, Weight::Improvement);
        let gap = changed(|head| {
            head.scenarios.get_mut("tiny").unwrap().latency.get_mut("event_gap").unwrap().p99 = 999;
        });
        assert_eq!(gap[0].1, Weight::Note);
    }

    #[test]
    fn another_corpus_is_not_comparable_and_a_new_benchmark_is_only_news() {
        let mut head = exact();
        head.benchmarks.get_mut("route").unwrap().corpus = "other".into();
        head.scenarios.clear();
        head.benchmarks.insert("new".into(), exact().benchmarks["route"].clone());
        let compared = compare(&exact(), &head, &[]);
        assert_eq!((compared.not_comparable.len(), compared.notes.len()), (2, 1));
        assert!(compared.differences.is_empty());
    }

    #[test]
    fn what_is_accepted_is_accepted_at_that_value_only() {
        let mut head = exact();
        head.benchmarks.get_mut("route").unwrap().allocations = 3_072;
        let accept = |value: &str| {
            let accepted = Accepted {
                what: "route allocations".into(),
                value: value.into(),
                reason: "a box per message".into(),
            };
            compare(&exact(), &head, &[accepted]).differences[0].weight
        };
        assert_eq!(accept("3072"), Weight::Accepted);
        assert_eq!(accept("2900"), Weight::Regression);
    }
}
