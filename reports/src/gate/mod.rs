//! What the performance gate saw: two revisions, everything that was measured, and what follows from it. The raw
//! values are all here, so that every verdict can be computed again from a saved report.

mod tables;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use self::tables::tables;

/// Two revisions compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// What the change is judged against.
    pub base: Revision,
    /// The change.
    pub head: Revision,
    /// The rules of the decision.
    pub rules: Rules,
    /// The benchmarks on the wall clock.
    pub contests: Vec<Contest>,
    /// What is known beforehand and must come out so, else the run says nothing.
    pub controls: Vec<Contest>,
    /// Numbers that need no clock.
    pub exact: Exact,
    /// Instructions per unit; they warn and never decide.
    #[serde(default)]
    pub instructions: Vec<Instructions>,
    /// Why the two sides, or parts of them, do not measure the same thing.
    #[serde(default)]
    pub not_comparable: Vec<String>,
    /// What the change itself declares as accepted.
    #[serde(default)]
    pub accepted: Vec<Accepted>,
    /// Anything else a reader must know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The machine before and after, and the tools.
    pub conditions: Conditions,
}

/// One side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The commit, or `working tree`.
    pub commit: String,
    /// Its subject line; empty for a working tree.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The hash of its files.
    pub tree: String,
    /// A hash of each executable, in the order of the layouts.
    pub executables: Vec<String>,
}

/// How verdicts come about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// Seed of every random choice of the run.
    pub seed: u64,
    /// Largest ratio of head to base that is no regression.
    pub limit: f64,
    /// Probability of accusing wrongly, over all benchmarks together.
    pub alpha: f64,
    /// Quantities that can fail; the evidence against each must be this many times as strong.
    pub family: u32,
    /// Epochs after which a benchmark is given up as inconclusive.
    pub epochs_max: u32,
    /// Seconds after which it is.
    pub seconds_max: f64,
    /// Quads of slots per epoch.
    pub quads: u32,
    /// How long a slot should last, milliseconds.
    pub slot_ms: f64,
    /// Link orders per side.
    pub layouts: u32,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Time per unit.
    Time,
    /// 99th percentile of the time of single units.
    P99,
}

impl Quantity {
    /// What a benchmark's quantity is called: the benchmark's name, with what is compared behind it.
    pub fn of(self, name: &str) -> String {
        match self {
            Quantity::Time => name.to_owned(),
            Quantity::P99 => format!("{name} p99"),
        }
    }
}

/// What a contest is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Its verdict is part of the gate's.
    Gated,
    /// Shown, never judged.
    Reported,
    /// Must come out as a pass.
    MustPass,
    /// Must come out as a fail.
    MustFail,
}

/// What the evidence says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Slower by less than the limit: proven.
    Pass,
    /// Slower by more than the limit: proven.
    Fail,
    /// Neither, within the budget.
    Inconclusive,
}

/// One benchmark, both sides measured in turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contest {
    /// The benchmark.
    pub name: String,
    /// What one unit is.
    pub unit: String,
    /// What is compared.
    pub quantity: Quantity,
    /// What for.
    pub role: Role,
    /// Largest ratio that is no regression; above that of the rules if the change declares so.
    pub limit: f64,
    /// Evidence at which it fails.
    pub fail_at: f64,
    /// Evidence at which it passes.
    pub pass_at: f64,
    /// Units per slot.
    pub slot_units: u64,
    /// What follows.
    pub decision: Decision,
    /// What would follow from processor time instead of the wall clock.
    pub cpu_decision: Decision,
    /// The median ratio of head to base, minus one.
    pub estimate: f64,
    /// Interval that holds whenever one looks; an end is missing while there are too few epochs for it.
    pub interval: [Option<f64>; 2],
    /// Everything that was measured.
    pub epochs: Vec<Epoch>,
    /// Logarithm of the evidence for a fail, after each epoch.
    pub ln_e_fail: Vec<f64>,
    /// Logarithm of the evidence for a pass, after each epoch.
    pub ln_e_pass: Vec<f64>,
    /// How long it took, seconds.
    pub seconds: f64,
}

/// One pair of fresh copies, measured in turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Logarithm of the ratio of head to base.
    pub x: f64,
    /// Link orders of base and head.
    pub layouts: [u32; 2],
    /// The processor both were on.
    pub cpu: u32,
    /// The slots.
    pub quads: Vec<Quad>,
    /// 99th percentiles of base and head, nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ns: Option<[u64; 2]>,
}

/// Two slots of either side, nanoseconds: base, base, head, head, in whatever order they ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quad {
    /// Wall clock.
    pub wall_ns: [u64; 4],
    /// Processor time.
    pub cpu_ns: [u64; 4],
}

/// Numbers that need no clock, of both sides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Exact {
    /// As the base's worker printed them.
    pub base: serde_json::Value,
    /// As the head's worker printed them.
    pub head: serde_json::Value,
    /// Where they differ.
    pub differences: Vec<Difference>,
}

/// One number that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Which: benchmark or scenario, then the number.
    pub what: String,
    /// The base's.
    pub base: String,
    /// The head's.
    pub head: String,
    /// In other words, for example `1 more per unit`.
    pub detail: String,
    /// What it means.
    pub weight: Weight,
}

/// What a difference means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// The gate fails.
    Regression,
    /// The change declares it as accepted.
    Accepted,
    /// Better than before.
    Improvement,
    /// Worth knowing.
    Note,
}

/// Instructions of one benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instructions {
    /// The benchmark.
    pub name: String,
    /// Per unit, base.
    pub base: f64,
    /// Per unit, head.
    pub head: f64,
    /// Whether the increase is worth a warning.
    pub is_warning: bool,
}

/// A cost that the change declares as accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// Benchmark, or benchmark and number.
    pub what: String,
    /// The accepted value: a ratio for times, the exact value for numbers.
    pub value: String,
    /// Why.
    pub reason: String,
}

/// The machine and the tools.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// The compiler.
    pub toolchain: String,
    /// The processor.
    pub processor: String,
    /// Load average over a minute, before and after.
    pub load: [Option<f64>; 2],
    /// Time stolen by other machines during the run, seconds.
    pub steal_seconds: Option<f64>,
}

impl Contest {
    /// The name in a list: `route.user_message`, or `route.user_message p99`.
    pub fn title(&self) -> String {
        self.quantity.of(&self.name)
    }

    /// Estimate and interval in words: `+6.9 % [+5.4 %, +8.1 %]`.
    pub fn estimated(&self) -> String {
        let [low, high] = self.interval.map(|end| end.map_or("?".to_owned(), percent));
        format!("{} [{low}, {high}]", percent(self.estimate))
    }

    /// Median time per unit of base and head, nanoseconds; the 99th percentile if that is compared.
    pub fn per_unit_ns(&self) -> [f64; 2] {
        [0, 1].map(|side| {
            let each = self.epochs.iter().flat_map(|epoch| match epoch.p99_ns {
                Some(p99_ns) => vec![p99_ns[side] as f64],
                None => {
                    let slots = epoch.quads.iter().flat_map(|quad| &quad.wall_ns[2 * side..2 * side + 2]);
                    slots.map(|ns| *ns as f64 / self.slot_units.max(1) as f64).collect()
                }
            });
            let mut each: Vec<f64> = each.collect();
            each.sort_by(f64::total_cmp);
            each.get(each.len() / 2).copied().unwrap_or(f64::NAN)
        })
    }
}

/// A ratio minus one, as a percentage with its sign.
pub(crate) fn percent(change: f64) -> String {
    if change.is_finite() { format!("{:+.1} %", change * 100.0) } else { "n/a".to_owned() }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Decision::Pass => "pass",
            Decision::Fail => "fail",
            Decision::Inconclusive => "inconclusive",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Report, Tool, Verdict, html, json, markdown, text};

    fn report() -> Report {
        let epoch = |x: f64| Epoch {
            x,
            layouts: [0, 3],
            cpu: 1,
            quads: vec![Quad { wall_ns: [100, 110, 120, 130], cpu_ns: [100, 110, 120, 130] }],
            p99_ns: None,
        };
        let contest = Contest {
            name: "route.<script>".to_owned(),
            unit: "message".to_owned(),
            quantity: Quantity::Time,
            role: Role::Gated,
            limit: 1.05,
            fail_at: 1_000.0,
            pass_at: 100.0,
            slot_units: 10,
            decision: Decision::Fail,
            cpu_decision: Decision::Fail,
            estimate: 0.12,
            interval: [Some(0.1), None],
            epochs: vec![epoch(0.1), epoch(0.13)],
            ln_e_fail: vec![0.4, 0.8],
            ln_e_pass: vec![-0.7, -1.1],
            seconds: 1.5,
        };
        let gate = Gate {
            base: Revision::default(),
            head: Revision::default(),
            rules: Rules {
                seed: 1,
                limit: 1.05,
                alpha: 0.01,
                family: 10,
                epochs_max: 400,
                seconds_max: 60.0,
                quads: 6,
                slot_ms: 2.0,
                layouts: 4,
            },
            contests: vec![contest],
            controls: Vec::new(),
            exact: Exact::default(),
            instructions: Vec::new(),
            not_comparable: Vec::new(),
            accepted: Vec::new(),
            notes: Vec::new(),
            conditions: Conditions::default(),
        };
        let mut report = Report::new(Tool::new("goldenpath", "0.1.0"), Kind::Gate);
        report.judge(Verdict::Regression, "slower");
        report.gate = Some(Box::new(gate));
        report
    }

    #[test]
    fn the_raw_values_survive_being_saved() {
        let report = report();
        assert_eq!(json::from_str(&json::to_string(&report)), Ok(report));
    }

    #[test]
    fn every_format_names_benchmark_verdict_and_interval() {
        let report = report();
        for shown in [text::render(&report), markdown::render(&report), html::render(&report)] {
            for word in ["+12.0 %", "+10.0 % to ?", "fail"] {
                assert!(shown.contains(word), "{word} is not in {shown}");
            }
        }
    }

    #[test]
    fn both_pictures_have_words_and_hostile_names_stay_text() {
        let page = html::render(&report());
        assert_eq!(page.matches("role=\"img\"").count(), 2);
        assert_eq!(page.matches("<desc ").count(), 2);
        assert!(page.contains("over 2 epochs, limit"));
        assert!(!page.contains("<script"));
    }
}
