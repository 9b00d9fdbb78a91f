//! What a gate saw, as tables that every format shows.

use super::{Contest, Gate, Role, Weight, percent};
use crate::table::Table;

/// Differences that are listed; the JSON report holds the rest.
const DIFFERENCES_SHOWN_MAX: usize = 60;

/// Headings and tables; those without a row are left out.
pub(crate) fn tables(gate: &Gate) -> Vec<(&'static str, Table)> {
    let all = [
        ("Time", times(gate)),
        ("Exact numbers that differ", differences(gate)),
        ("Instructions", instructions(gate)),
        ("Accepted by this change", accepted(gate)),
        ("Conditions", conditions(gate)),
    ];
    all.into_iter().filter(|(_, table)| !table.rows.is_empty()).collect()
}

/// The slowest first.
fn times(gate: &Gate) -> Table {
    let mut contests: Vec<&Contest> = gate.contests.iter().collect();
    contests.sort_by(|one, other| other.estimate.total_cmp(&one.estimate));
    let row = |contest: &&Contest| {
        let name = match contest.role {
            Role::Gated => contest.title(),
            Role::Reported => format!("{} (reported only)", contest.title()),
            Role::MustPass => "control: the base against itself".to_owned(),
            Role::MustFail => "control: 10 % more work".to_owned(),
        };
        let [base, head] = contest.per_unit_ns().map(time);
        vec![
            name,
            contest.decision.to_string(),
            percent(contest.estimate),
            contest.interval.map(|end| end.map_or("?".to_owned(), percent)).join(" to "),
            base,
            head,
            contest.epochs.len().to_string(),
            format!("{:.1} s", contest.seconds),
        ]
    };
    let titles = ["Benchmark", "Verdict", "#Change", "#Interval", "#Base", "#Head", "#Epochs", "#Took"];
    Table::new(&titles, contests.iter().chain(&gate.controls.iter().collect::<Vec<_>>()).map(row).collect())
}

fn differences(gate: &Gate) -> Table {
    let rows = gate.exact.differences.iter().take(DIFFERENCES_SHOWN_MAX).map(|difference| {
        let weight = match difference.weight {
            Weight::Regression => "regression",
            Weight::Accepted => "accepted",
            Weight::Improvement => "better",
            Weight::Note => "note",
        };
        vec![
            difference.what.clone(),
            weight.to_owned(),
            difference.base.clone(),
            difference.head.clone(),
            difference.detail.clone(),
        ]
    });
    Table::new(&["Number", "Weight", "#Base", "#Head", "In other words"], rows.collect())
}

fn instructions(gate: &Gate) -> Table {
    let rows = gate.instructions.iter().map(|counted| {
        let change = percent(counted.head / counted.base - 1.0);
        let warning = if counted.is_warning { "warning" } else { "" };
        let number = |count: f64| format!("{count:.1}");
        vec![counted.name.clone(), number(counted.base), number(counted.head), change, warning.to_owned()]
    });
    Table::new(&["Benchmark", "#Base", "#Head", "#Change", "Note"], rows.collect())
}

fn accepted(gate: &Gate) -> Table {
    let rows = gate.accepted.iter();
    let rows = rows.map(|entry| vec![entry.what.clone(), entry.value.clone(), entry.reason.clone()]);
    Table::new(&["What", "#At", "Reason"], rows.collect())
}

fn conditions(gate: &Gate) -> Table {
    let conditions = &gate.conditions;
    let load = conditions.load.map(|load| load.map_or("?".to_owned(), |load| format!("{load:.2}")));
    let named = |revision: &super::Revision| {
        let tree = &revision.tree[..revision.tree.len().min(12)];
        format!("{} {}, files {tree}", revision.commit, revision.subject)
    };
    let mut rows = vec![
        ("base", named(&gate.base)),
        ("head", named(&gate.head)),
        (
            "rule",
            format!(
                "fails above {:.0} % at odds of {:.0} to 1, {} quantities, {} quads of {:.1} ms slots per epoch",
                (gate.rules.limit - 1.0) * 100.0,
                f64::from(gate.rules.family) / gate.rules.alpha,
                gate.rules.family,
                gate.rules.quads,
                gate.rules.slot_ms
            ),
        ),
        ("compiler", conditions.toolchain.clone()),
        ("load, before and after", load.join(" and ")),
    ];
    if let Some(seconds) = conditions.steal_seconds {
        rows.push(("time stolen by other machines", format!("{seconds:.1} s")));
    }
    let rows = rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]);
    Table::new(&["What", "Value"], rows.collect())
}

/// Nanoseconds with three digits.
fn time(ns: f64) -> String {
    match ns {
        ns if !ns.is_finite() => "n/a".to_owned(),
        ns if ns < 9_999.5 => format!("{ns:.0} ns"),
        ns if ns < 999_950.0 => format!("{:.1} µs", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}
